//! What a path means.

use super::{Request, api, page};
use crate::error::{Error, Result};
use crate::hls;
use crate::session::StreamPath;

/// What is asked for.
#[derive(Debug)]
pub(super) enum Target {
    /// A part of the page.
    Page(&'static page::File),
    /// A live stream or a file.
    Media(StreamPath, Representation),
    /// A question of a program.
    Api,
    /// Nothing that is known.
    Nothing,
}

/// The representation of a stream or file that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Representation {
    /// As FLV.
    Flv,
    /// As fragmented MP4.
    Mp4,
    /// As that file of HLS.
    Hls(hls::Name),
}

/// Reads a request's path.
///
/// # Errors
/// [`Error::Http`] when a name is too long.
pub(super) fn of(request: &Request) -> Result<Target> {
    if api::is_meant(&request.path) {
        return Ok(Target::Api);
    }
    if let Some(file) = page::file(&request.path) {
        return Ok(Target::Page(file));
    }
    let path = request.path.trim_start_matches('/');
    let (name, representation) = match (hls_file(path), path.rsplit_once('.')) {
        (Some(found), _) => found,
        (None, Some((name, "flv"))) => (name, Representation::Flv),
        // Of files whose names differ in that only, it may be either.
        (None, Some((_, extension))) if extension.eq_ignore_ascii_case("flv") => (path, Representation::Flv),
        (None, Some((name, extension))) if extension.eq_ignore_ascii_case("mp4") => (name, Representation::Mp4),
        _ => return Ok(Target::Nothing),
    };
    let path = StreamPath::new("", &format!("{name}?{}", request.query()))
        .map_err(|error| Error::Http { status: 400, reason: error.to_string().into() })?;
    Ok(if path.app.is_empty() { Target::Nothing } else { Target::Media(path, representation) })
}

/// A stream or recording, and which of its files.
fn hls_file(path: &str) -> Option<(&str, Representation)> {
    let (name, file) = path.rsplit_once('/')?;
    Some((name, Representation::Hls(hls::Name::parse(file)?)))
}
