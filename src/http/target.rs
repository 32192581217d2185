//! Request targets.

use super::{Request, api, page};
use crate::error::{Error, Result};
use crate::hls;
use crate::session::StreamPath;

/// The target of a request.
#[derive(Debug)]
pub(super) enum Target {
    /// A file of the page.
    Page(&'static page::File),
    /// A live stream or a file.
    Media(StreamPath, Representation),
    /// A part of the API.
    Api,
    /// Nothing known.
    Unknown,
}

/// The requested representation of a stream or file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Representation {
    /// FLV.
    Flv,
    /// Fragmented MP4.
    Mp4,
    /// An HLS file.
    Hls(hls::Name),
}

/// Parses a request's path.
///
/// # Errors
/// [`Error::Http`] when a name is too long.
pub(super) fn parse(request: &Request) -> Result<Target> {
    if api::is_api_path(&request.path) {
        return Ok(Target::Api);
    }
    if let Some(file) = page::file(&request.path) {
        return Ok(Target::Page(file));
    }
    let path = request.path.trim_start_matches('/');
    let (name, representation) = match (hls_file(path), path.rsplit_once('.')) {
        (Some(found), _) => found,
        (None, Some((name, "flv"))) => (name, Representation::Flv),
        // Of files whose names differ only in that, it may be either.
        (None, Some((_, extension))) if extension.eq_ignore_ascii_case("flv") => (path, Representation::Flv),
        (None, Some((name, extension))) if extension.eq_ignore_ascii_case("mp4") => (name, Representation::Mp4),
        _ => return Ok(Target::Unknown),
    };
    let path = StreamPath::new("", &format!("{name}?{}", request.query()))
        .map_err(|error| Error::Http { status: 400, reason: error.to_string().into() })?;
    Ok(if path.app.is_empty() { Target::Unknown } else { Target::Media(path, representation) })
}

/// Splits the path of an HLS file into the name of a stream or recording, and the file.
fn hls_file(path: &str) -> Option<(&str, Representation)> {
    let (name, file) = path.rsplit_once('/')?;
    Some((name, Representation::Hls(hls::Name::parse(file)?)))
}
