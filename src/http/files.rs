//! Files of the video folder.

use std::io::IoSlice;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::body::{Body, Length};
use super::condition::is_unchanged;
use super::range::{self, ByteRange};
use super::response::{self, Response};
use super::{Disposition, HttpConnection, Method, Request, not_found};
use crate::error::{Error, Result};
use crate::fmp4::MuxerOutput;
use crate::limits;
use crate::session::StreamPath;
use crate::vod::{Fragments, Video};

/// Bytes of a file per send.
const CHUNK_BYTES: usize = 128 * 1024;

impl HttpConnection {
    /// Sends the file as it is, or a part of it.
    pub(super) fn file_flv(&self, request: &Request, path: &StreamPath) -> Result<Disposition> {
        let video = self.open(path)?;
        let status = video.status()?;
        let (length, changed) = (status.len(), status.modified().unwrap_or(UNIX_EPOCH));
        let tag = entity_tag(length, changed);
        // Modification dates in the future are reported as now.
        let last_modified = changed.min(SystemTime::now());
        if is_unchanged(request, &tag, Some(last_modified)) {
            let response = Response::empty(304).with("etag", tag).with("last-modified", response::date(last_modified));
            return self.respond(Some(request), response);
        }
        // A client that holds a part of another version gets all of this one.
        let field =
            request.header("range").filter(|_| request.header("if-range").is_none_or(|tag_held| tag_held == tag));
        let (status, part) = match range::parse(field, length) {
            ByteRange::Whole => (200, 0..length),
            ByteRange::Part(part) => (206, part),
            ByteRange::Unsatisfiable => {
                let response = Response::error(416, "the file has no such part");
                return self.respond(Some(request), response.with("content-range", format!("bytes */{length}")));
            }
        };
        let mut headers = vec![
            ("content-type", "video/x-flv".into()),
            ("accept-ranges", "bytes".into()),
            ("etag", tag.into()),
            ("last-modified", response::date(last_modified).into()),
        ];
        if status == 206 {
            headers.push(("content-range", format!("bytes {}-{}/{length}", part.start, part.end - 1).into()));
        }
        let head = self.head(Some(request), status, headers, Length::Known(part.end - part.start));
        self.client.send(&mut [IoSlice::new(&head)], limits::WRITE_STALL)?;
        if request.method == Method::Head {
            return Ok(Disposition::KeepAlive);
        }
        let level = if part.start == 0 { log::Level::Info } else { log::Level::Debug };
        log::log!(level, "{} started downloading {path}.flv from byte {}", self.client, part.start);
        for offset in part.clone().step_by(CHUNK_BYTES) {
            if self.client.should_stop() {
                break;
            }
            let count = (part.end - offset).min(CHUNK_BYTES as u64) as usize;
            self.client.socket().send_file(video.file(), offset, count, limits::HTTP_FILE_STALL)?;
        }
        Ok(Disposition::KeepAlive)
    }

    /// Sends the file as fragmented MP4: from `start` seconds on, or with `poster` a single video frame.
    pub(super) fn file_mp4(&self, request: &Request, path: &StreamPath) -> Result<Disposition> {
        let unsupported = || not_found("the file has nothing that MP4 could carry");
        if request.query_value("poster").is_some() {
            let poster = Fragments::poster(self.open(path)?).map_err(|error| self.unreadable(path, error))?;
            let poster = poster.ok_or_else(unsupported)?;
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
        let Some(MuxerOutput::Init(init)) = first else { return Err(unsupported()) };
        let headers = vec![
            ("content-type", format!("video/mp4; codecs=\"{}\"", init.codecs).into()),
            ("cache-control", "no-store".into()),
        ];
        let mut body = Body::new(self, request, headers, None);
        if !body.has_body() {
            return body.end();
        }
        self.client.set_activities(Vec::new(), vec![path.to_string()]);
        log::info!("{} started playing {path} over HTTP from {start:.1} s", self.client);
        let (began, sent_before) = (Instant::now(), self.client.socket().sent());
        let mut why = "the file has ended";
        body.write(&init.bytes)?;
        for fragment in fragments {
            match fragment? {
                // The rest has other tracks, which need another request.
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

    /// Returns the fragments of a file from a time on, in milliseconds.
    pub(super) fn fragments_of(&self, path: &StreamPath, start_ms: u32) -> Result<Fragments> {
        Fragments::new(self.open(path)?, start_ms).map_err(|error| self.unreadable(path, error))
    }

    /// Maps an error of opening or reading a file, before anything is sent, to a response.
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

/// Returns the entity tag of a version of a file (RFC 9110 §8.8.3).
fn entity_tag(length: u64, changed: SystemTime) -> String {
    let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("\"{length:x}-{:x}\"", changed.as_nanos())
}
