//! Files of the video folder.

use std::io::{IoSlice, Read, Seek, SeekFrom};

use super::range::{self, Wanted};
use super::{Connection, Method, Next, Request, Response, not_found};
use crate::error::{Error, Result};
use crate::limits;
use crate::session::StreamPath;
use crate::vod::Video;

/// Bytes read from a file at once.
const PIECE: usize = 64 * 1024;

impl Connection {
    /// The file as it is, or a part of it.
    pub(super) fn file_flv(&self, request: &Request, path: &StreamPath) -> Result<Next> {
        let video = self.open(path)?;
        let mut file = video.cursor();
        let failed = |error| Error::io(format!("reading {path}"), error);
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        // Without a mark of its own to compare, a file may be another by now.
        let field = request.header("range").filter(|_| request.header("if-range").is_none());
        let (status, part) = match range::wanted(field, length) {
            Wanted::All => (200, 0..length),
            Wanted::Part(part) => (206, part),
            Wanted::Nothing => {
                let response = Response::error(416, "the file has no such part");
                return self.respond(Some(request), response.with("content-range", format!("bytes */{length}")));
            }
        };
        let mut headers = vec![("content-type", "video/x-flv".into()), ("accept-ranges", "bytes".into())];
        if status == 206 {
            headers.push(("content-range", format!("bytes {}-{}/{length}", part.start, part.end - 1).into()));
        }
        let head = self.head(Some(request), status, headers, Some(part.end - part.start));
        self.guest.send(&mut [IoSlice::new(&head)], limits::WRITE_STALL)?;
        if request.method == Method::Head {
            return Ok(Next::Request);
        }
        let level = if part.start == 0 { log::Level::Info } else { log::Level::Debug };
        log::log!(level, "{} gets {path}.flv from byte {}", self.guest, part.start);
        file.seek(SeekFrom::Start(part.start)).map_err(failed)?;
        let (mut buffer, mut left) = (vec![0; PIECE], part.end - part.start);
        while left > 0 && !self.guest.is_asked_to_leave() {
            let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = file.read(&mut buffer[..wanted]).map_err(failed)?;
            if count == 0 {
                return Err(Error::io(format!("reading {path}"), std::io::ErrorKind::UnexpectedEof.into()));
            }
            self.guest.send(&mut [IoSlice::new(&buffer[..count])], limits::HTTP_FILE_STALL)?;
            left -= count as u64;
        }
        Ok(Next::Request)
    }

    /// The file as fragmented MP4.
    pub(super) fn file_mp4(&self, request: &Request, path: &StreamPath) -> Result<Next> {
        let _ = (request, path);
        Ok(Next::End)
    }

    fn open(&self, path: &StreamPath) -> Result<Video> {
        self.site.service.library.open(&path.name).map_err(|error| match error {
            Error::Refused { description, .. } => not_found(description),
            error @ (Error::Flv { .. } | Error::Limit { .. }) => not_found(error.to_string()),
            error => error,
        })
    }
}
