//! Files of the video folder.

use std::io::IoSlice;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::body::{Body, Length};
use super::condition::is_unchanged;
use super::range::{self, Wanted};
use super::response::{self, Response};
use super::{HttpConnection, Method, Next, Request, not_found};
use crate::error::{Error, Result};
use crate::fmp4::MuxerOutput;
use crate::limits;
use crate::session::StreamPath;
use crate::vod::{Fragments, Video};

/// Bytes of a file sent at once.
const PIECE: usize = 128 * 1024;

impl HttpConnection {
    /// The file as it is, or a part of it.
    pub(super) fn file_flv(&self, request: &Request, path: &StreamPath) -> Result<Next> {
        let video = self.open(path)?;
        let status = video.status()?;
        let (length, changed) = (status.len(), status.modified().unwrap_or(UNIX_EPOCH));
        let tag = entity_tag(length, changed);
        // Files from the future are told to have been changed now.
        let told = changed.min(SystemTime::now());
        if is_unchanged(request, &tag, Some(told)) {
            let response = Response::empty(304).with("etag", tag).with("last-modified", response::date(told));
            return self.respond(Some(request), response);
        }
        // Who has a part of another file wants all of this one.
        let field = request.header("range").filter(|_| request.header("if-range").is_none_or(|had| had == tag));
        let (status, part) = match range::wanted(field, length) {
            Wanted::All => (200, 0..length),
            Wanted::Part(part) => (206, part),
            Wanted::Nothing => {
                let response = Response::error(416, "the file has no such part");
                return self.respond(Some(request), response.with("content-range", format!("bytes */{length}")));
            }
        };
        let mut headers = vec![
            ("content-type", "video/x-flv".into()),
            ("accept-ranges", "bytes".into()),
            ("etag", tag.into()),
            ("last-modified", response::date(told).into()),
        ];
        if status == 206 {
            headers.push(("content-range", format!("bytes {}-{}/{length}", part.start, part.end - 1).into()));
        }
        let head = self.head(Some(request), status, headers, Length::Known(part.end - part.start));
        self.client.send(&mut [IoSlice::new(&head)], limits::WRITE_STALL)?;
        if request.method == Method::Head {
            return Ok(Next::Request);
        }
        let level = if part.start == 0 { log::Level::Info } else { log::Level::Debug };
        log::log!(level, "{} started downloading {path}.flv from byte {}", self.client, part.start);
        for place in part.clone().step_by(PIECE) {
            if self.client.should_stop() {
                break;
            }
            let count = (part.end - place).min(PIECE as u64) as usize;
            self.client.socket().send_file(video.file(), place, count, limits::HTTP_FILE_STALL)?;
        }
        Ok(Next::Request)
    }

    /// The file as fragmented MP4: from `start` seconds on, or of it only a video frame to show with `poster`.
    pub(super) fn file_mp4(&self, request: &Request, path: &StreamPath) -> Result<Next> {
        let nothing = || not_found("the file has nothing that MP4 could carry");
        if request.query_value("poster").is_some() {
            let poster = Fragments::poster(self.open(path)?).map_err(|error| self.unreadable(path, error))?;
            let poster = poster.ok_or_else(nothing)?;
            let body = [poster[0].bytes(), poster[1].bytes()].concat();
            return self.respond(Some(request), Response::ok("video/mp4", body).with("cache-control", "max-age=60"));
        }
        let start = match request.query_value("start") {
            Some(text) => text
                .parse::<f64>()
                .ok()
                .filter(|start| (0.0..4e6).contains(start))
                .ok_or(Error::Http { status: 400, reason: "start is a number of seconds".into() })?,
            None => 0.0,
        };
        let mut fragments = self.fragments_of(path, (1000.0 * start) as u32)?;
        let first = fragments.next().transpose().map_err(|error| self.unreadable(path, error))?;
        let Some(MuxerOutput::Init(init)) = first else { return Err(nothing()) };
        let headers = vec![
            ("content-type", format!("video/mp4; codecs=\"{}\"", init.codecs).into()),
            ("cache-control", "no-store".into()),
        ];
        let mut body = Body::new(self, request, headers, None);
        if !body.is_wanted() {
            return body.end();
        }
        self.client.set_activities(Vec::new(), vec![path.to_string()]);
        log::info!("{} started playing {path} over HTTP from {start:.1} s", self.client);
        let (began, sent_before) = (Instant::now(), self.client.socket().sent());
        let mut why = "the file has ended";
        body.write(&init.bytes)?;
        for fragment in fragments {
            match fragment? {
                // The rest has other tracks, for which the client has to ask anew.
                MuxerOutput::Init(_) => {
                    why = "the tracks have changed";
                    break;
                }
                MuxerOutput::Fragment(fragment) => body.write(&fragment.bytes)?,
            }
        }
        let next = body.end();
        let seconds = began.elapsed().as_secs_f32();
        let kib = (self.client.socket().sent() - sent_before) / 1024;
        log::info!("{} stopped playing {path} over HTTP: {why}; {seconds:.1} s, {kib} KiB sent", self.client);
        next
    }

    pub(super) fn open(&self, path: &StreamPath) -> Result<Box<Video>> {
        self.http.service.library.open(&path.name).map_err(|error| self.unreadable(path, error))
    }

    /// The fragments of a file from a time on, in milliseconds.
    pub(super) fn fragments_of(&self, path: &StreamPath, start_ms: u32) -> Result<Fragments> {
        Fragments::new(self.open(path)?, start_ms).map_err(|error| self.unreadable(path, error))
    }

    /// What the client is told when a file can't be opened or read, before anything of it was sent.
    pub(super) fn unreadable(&self, path: &StreamPath, error: Error) -> Error {
        match error {
            Error::Refused { description, .. } => not_found(description),
            error @ (Error::Flv { .. } | Error::Limit { .. }) => not_found(error.to_string()),
            error @ Error::Io { .. } => {
                self.http.service.client_log.warn(format_args!("{} {path}: {error}", self.client));
                Error::Http { status: 500, reason: "the file can't be read".into() }
            }
            error => error,
        }
    }
}

/// What tells a file from what it was before (RFC 9110 §8.8.3).
fn entity_tag(length: u64, changed: SystemTime) -> String {
    let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("\"{length:x}-{:x}\"", changed.as_nanos())
}
