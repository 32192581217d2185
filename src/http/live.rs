//! Live streams: they go out through the relay lanes, while the connection's thread waits for the client to hang up.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::body::Length;
use super::{HttpConnection, Method, Next, Reader, Request, not_found, response, web_socket};

use crate::error::{Error, Result};
use crate::flv;
use crate::forms::{Form, FragmentStream};
use crate::limits;
use crate::live::{HTTP_STREAM_ID, Stream, Subscription, SubscriptionFilter};
use crate::session::StreamPath;
use crate::transport::{Framing, Wrapping};

/// How often who waits looks whether the server stops.
pub(super) const LOOK: Duration = Duration::from_millis(500);

impl HttpConnection {
    /// A live stream as FLV without end, or each tag as a message of a WebSocket.
    pub(super) fn live_flv(&mut self, request: &Request, path: &StreamPath, reader: &mut Reader<'_>) -> Result<Next> {
        let name = stream_name(path);
        let tracks = self.http.service.registry.with_published(&name, |stream| stream.tracks());
        let (has_audio, has_video) = tracks.ok_or_else(|| not_published(&name))?;
        let start = flv::tag::encode_file_header(has_audio, has_video);
        let http = self.http.clone();
        let subscribe = |connection: &Self| {
            http.service.registry.with_published(&name, |stream| connection.subscribe(stream, path))
        };
        self.stream(request, path, reader, "video/x-flv".into(), &start, true, subscribe)
    }

    /// A live stream as fragmented MP4 without end, or each piece as a message of a WebSocket.
    pub(super) fn live_mp4(&mut self, request: &Request, path: &StreamPath, reader: &mut Reader<'_>) -> Result<Next> {
        let fragments = self.fragments(path)?;
        let until = Instant::now() + limits::FRAGMENTS_START_TIMEOUT;
        let codecs = loop {
            let found = fragments.codecs(until.min(Instant::now() + LOOK));
            let goes_on = Instant::now() < until && !fragments.has_ended() && !self.client.should_stop();
            if found.is_some() || !goes_on {
                break found;
            }
        };
        let Some(codecs) = codecs else {
            let reason = format!("{} has no audio or video yet that MP4 could carry", stream_name(path).escape_debug());
            return Err(Error::Http { status: 503, reason: reason.into() });
        };
        let media_type = format!("video/mp4; codecs=\"{codecs}\"").into();
        let subscribe = |connection: &Self| {
            let subscription = connection.subscribe(fragments.output(), path);
            (!fragments.has_ended()).then_some(subscription)
        };
        self.stream(request, path, reader, media_type, &[], false, subscribe)
    }

    /// A live stream as fragments.
    pub(super) fn fragments(&self, path: &StreamPath) -> Result<Arc<FragmentStream>> {
        let name = stream_name(path);
        self.http.forms.fragments(&self.http.service, &name).ok_or_else(|| not_published(&name))
    }

    fn subscribe(&self, stream: &Arc<Stream>, path: &StreamPath) -> Subscription {
        let start_at = self.http.service.start_at(path);
        stream.subscribe(
            self.client.clone(),
            HTTP_STREAM_ID,
            self.client.lane(),
            start_at,
            SubscriptionFilter::default(),
        )
    }

    /// Lets the lanes send a stream, behind `start`, until it or the client has gone.
    #[allow(clippy::too_many_arguments, reason = "a stream's ways differ in all of them")]
    fn stream(
        &mut self,
        request: &Request,
        path: &StreamPath,
        reader: &mut Reader<'_>,
        media_type: Cow<'static, str>,
        start: &[u8],
        as_tags: bool,
        subscribe: impl FnOnce(&Self) -> Option<Subscription>,
    ) -> Result<Next> {
        let accepted = web_socket::accept(request, self.http.settings.cors.as_deref())?;
        let wrapping = match &accepted {
            Some(_) => Wrapping::WebSocket,
            None if request.knows_chunks => Wrapping::Chunk,
            None => Wrapping::None,
        };
        let mut head = match accepted {
            Some(headers) => self.head(Some(request), 101, headers, Length::Unknown),
            None => {
                let mut headers = response::without_end(vec![("content-type", media_type.clone())]);
                if wrapping == Wrapping::Chunk {
                    headers.push(("transfer-encoding", "chunked".into()));
                }
                // Behind it there is no other request.
                self.head(Some(request), 200, headers, Length::Unknown)
            }
        };
        if request.method == Method::Head {
            self.client.send(&mut [std::io::IoSlice::new(&head)], limits::WRITE_STALL)?;
            return Ok(Next::End);
        }
        head.extend(match wrapping {
            // There are no header fields to tell it.
            Wrapping::WebSocket if start.is_empty() => web_socket::text(&media_type),
            _ => wrapping.wrap(start),
        });
        let is_web_socket = wrapping == Wrapping::WebSocket;
        self.client.start_streaming(Framing::Http { as_tags, wrapping }, head);
        self.client.set_activities(Vec::new(), vec![stream_name(path)]);
        let began = Instant::now();
        let Some(subscription) = subscribe(self) else {
            self.client.end_streaming("the stream has ended");
            return Ok(Next::End);
        };
        let how = if is_web_socket { "WebSocket" } else { "HTTP" };
        log::info!("{} started playing {path} over {how}", self.client);
        let result = if is_web_socket { web_socket::wait(reader) } else { wait(reader).map(|()| None) };
        let (seconds, kib, dropped) =
            (began.elapsed().as_secs_f32(), self.client.sent() / 1024, subscription.dropped());
        drop(subscription);
        let why = self.client.close_reason().unwrap_or_else(|| "the client disconnected".to_owned());
        log::info!(
            "{} stopped playing {path} over {how}: {why}; {seconds:.1} s, {kib} KiB sent, {dropped} messages dropped",
            self.client
        );
        if let Some(close) = result? {
            self.client.enqueue(close);
        }
        Ok(Next::End)
    }
}

/// Waits until the client hangs up. What it says meanwhile is of no interest, and not to be listened to for ever.
fn wait(reader: &mut Reader<'_>) -> Result<()> {
    let (mut unread, mut heard) = ([0; 512], 0);
    while heard <= limits::HTTP_HEAD_BYTES {
        match reader.read(&mut unread) {
            Ok(count) if count > 0 => heard += count,
            // An error is an end as well.
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// The name by which the live streams know it.
pub(super) fn stream_name(path: &StreamPath) -> String {
    format!("{}/{}", path.app, path.live_name())
}

pub(super) fn not_published(name: &str) -> crate::Error {
    not_found(format!("nobody publishes {} now", name.escape_debug()))
}
