//! Playlists and segments of live streams and recordings.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use super::body::{Body, Length};
use super::live::{POLL_INTERVAL, not_published};
use super::{Disposition, HttpConnection, Method, Request, Response, not_found};
use crate::error::{Error, Result};
use crate::fmp4::MuxerOutput;
use crate::hls::{Layout, Name, Unavailable, vod};
use crate::limits;
use crate::session::StreamPath;
use crate::vod::{self as videos, Fragments};

const PLAYLIST: &str = "application/vnd.apple.mpegurl";

impl HttpConnection {
    /// Sends an HLS file of a live stream.
    pub(super) fn live_hls(&self, request: &Request, path: &StreamPath, name: Name) -> Result<Disposition> {
        let stream_name = path.stream_key();
        let hls = self.http.forms.hls(&self.http.service, &stream_name).ok_or_else(|| not_published(&stream_name))?;
        hls.record_viewer(self.client.ip(), &self.client.agent());
        let (window, stream) = (hls.window(), hls.stream());
        let query = forwarded_query(request);
        let number = |key| request.query_value(key).map(|text| text.parse::<u64>()).transpose();
        let fragments = match name {
            Name::Index => {
                let text = self.wait_for(|until| window.index(&query, until))?;
                return self.playlist(request, text);
            }
            Name::Media(layout) => {
                let bad =
                    || Error::Http { status: 400, reason: "_HLS_part must be a number and requires _HLS_msn".into() };
                let (segment, part) = (number("_HLS_msn"), number("_HLS_part"));
                let (segment, part) = (segment.map_err(|_| bad())?, part.map_err(|_| bad())?);
                if segment.is_none() && part.is_some() {
                    return Err(bad());
                }
                let at_least = segment.map(|segment| (segment, part));
                let skip = request.query_value("_HLS_skip").is_some();
                let text = self.wait_for(|until| window.media(layout, at_least, skip, &query, until))?;
                return self.playlist(request, text);
            }
            Name::Init(number) => window.init(number).map(|init| vec![init]),
            Name::Segment(number) => window.segments(number, number),
            Name::Span(first, last) => window.segments(first, last),
            Name::Part(number, part) => Some(self.wait_for(|until| window.part(number, part, until))?),
        };
        let fragments = fragments.ok_or_else(|| not_found("the segment has expired or is not available yet"))?;
        if request.method == Method::Get {
            stream.counters().messages_out.add(fragments.len() as u64);
            stream.counters().bytes_out.add(fragments.iter().map(|fragment| fragment.bytes().len() as u64).sum());
        }
        self.respond_fragments(request, &fragments)
    }

    /// Sends an HLS file of a recording.
    pub(super) fn file_hls(&self, request: &Request, path: &StreamPath, name: Name) -> Result<Disposition> {
        let unsupported = || not_found("the file has nothing that MP4 could carry");
        let unreadable = |error| self.unreadable(path, error);
        match name {
            Name::Index => {
                let video = self.open(path)?;
                let (bytes, seconds) = (video.status()?.len(), video.duration().unwrap_or(0.0).max(1.0));
                let first = self.fragments_of(path, 0)?.next().transpose().map_err(unreadable)?;
                let Some(MuxerOutput::Init(init)) = first else { return Err(unsupported()) };
                let rate = (bytes as f64 * 8.0 / seconds) as u64;
                self.playlist(request, vod::index(&init.codecs, init.size, rate, &forwarded_query(request)))
            }
            Name::Media(Layout::Segments) => {
                let segments = videos::segment_boundaries(|| self.open(path), vod::SEGMENT_MS, limits::HLS_SEGMENTS);
                let (boundaries, end) = segments.map_err(unreadable)?;
                self.playlist(request, vod::media(&boundaries, end, &forwarded_query(request)))
            }
            Name::Init(start) => match self.fragments_from(path, start)?.next().transpose().map_err(unreadable)? {
                Some(init @ MuxerOutput::Init(_)) => self.respond_fragments(request, &[Arc::new(init)]),
                _ => Err(unsupported()),
            },
            Name::Span(start, end) => {
                // Reads the fragments twice, since they may be too long for memory.
                let length = self.fragments_from(path, start)?.size_until(end).map_err(unreadable)?;
                let headers = vec![("content-type", "video/mp4".into()), ("cache-control", "max-age=60".into())];
                let mut body = Body::new(self, request, headers, Some(length));
                if body.has_body() {
                    let mut fragments = self.fragments_from(path, start)?.until(end);
                    fragments.try_for_each(|fragment| body.write(&fragment?.bytes))?;
                }
                body.end()
            }
            Name::Media(_) | Name::Segment(_) | Name::Part(..) => {
                Err(not_found("there is no such file of a recording"))
            }
        }
    }

    fn fragments_from(&self, path: &StreamPath, start_ms: u64) -> Result<Fragments> {
        let start_ms = u32::try_from(start_ms).map_err(|_| not_found("the file is not that long"))?;
        self.fragments_of(path, start_ms)
    }

    /// Waits for part of a live stream, unless the server stops.
    fn wait_for<T>(&self, poll: impl Fn(Instant) -> Result<T, Unavailable>) -> Result<T> {
        let until = Instant::now() + limits::HLS_BLOCKING_TIMEOUT;
        loop {
            let result = poll(until.min(Instant::now() + POLL_INTERVAL));
            let should_continue = Instant::now() < until && !self.client.should_stop();
            let (status, reason) = match result {
                Ok(found) => return Ok(found),
                Err(Unavailable::TimedOut) if should_continue => continue,
                Err(Unavailable::TimedOut) => (503, "not available yet: try again"),
                Err(Unavailable::TooEarly) => (400, "the stream is not near that segment yet"),
                Err(Unavailable::Gone) => (404, "the part or playlist has expired"),
            };
            return Err(Error::Http { status, reason: reason.into() });
        }
    }

    fn playlist(&self, request: &Request, text: String) -> Result<Disposition> {
        self.respond(Some(request), Response::ok(PLAYLIST, text.into_bytes()).with("cache-control", "no-cache"))
    }

    /// Sends fragments without copying them.
    fn respond_fragments(&self, request: &Request, fragments: &[Arc<MuxerOutput>]) -> Result<Disposition> {
        let length = fragments.iter().map(|fragment| fragment.bytes().len() as u64).sum();
        let headers = vec![("content-type", "video/mp4".into()), ("cache-control", "max-age=60".into())];
        let head = self.head(Some(request), 200, headers, Length::Known(length));
        let body = if request.method == Method::Head { &[] } else { fragments };
        let mut all: Vec<_> = [IoSlice::new(&head)].into_iter().collect();
        all.extend(body.iter().map(|fragment| IoSlice::new(fragment.bytes())));
        self.client.send(&mut all, limits::WRITE_STALL)?;
        Ok(Disposition::KeepAlive)
    }
}

/// Returns the part of the query to forward to the files in a playlist: all but the playlist's own parameters.
fn forwarded_query(request: &Request) -> String {
    let pairs = request.query().split('&').filter(|pair| !pair.starts_with("_HLS_"));
    pairs.collect::<Vec<_>>().join("&")
}
