//! The files of the video folder that a client may play.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;

use super::json_text;
use super::streams::{Audio, Video, encode_path, is_playable};
use crate::access::Origin;
use crate::vod::{Library, ListedVideo};

use super::super::{HttpService, Request};

/// How long a listing is used.
pub(super) const LISTING_LIFETIME: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct List<'a> {
    videos: Vec<&'a File>,
    /// The number of others, which need a key that the request lacks.
    locked: usize,
}

#[derive(Clone, Serialize)]
struct File {
    name: String,
    bytes: u64,
    duration_seconds: Option<f64>,
    video: Option<Video>,
    audio: Option<Audio>,
}

/// The listing of files with their formats, which takes a while for many.
#[derive(Debug, Default)]
pub(in crate::http) struct Videos(Mutex<Listing>);

#[derive(Default)]
struct Listing {
    listed: Option<Instant>,
    files: Arc<Files>,
}

#[derive(Default)]
struct Files {
    files: Vec<(ListedVideo, File)>,
    /// The JSON for clients that may see all of it.
    unrestricted: OnceLock<Arc<str>>,
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listing").field("files", &self.files.files.len()).finish_non_exhaustive()
    }
}

impl Videos {
    /// Returns all files; concurrent callers wait for the same listing.
    fn list(&self, library: &Library) -> Arc<Files> {
        let mut listing = self.0.lock();
        if listing.listed.is_none_or(|listed| listed.elapsed() > LISTING_LIFETIME) {
            let found = library.list();
            if !found.iter().eq(listing.files.files.iter().map(|(listed, _)| listed)) {
                let previous: HashMap<_, _> = listing.files.files.iter().map(|(listed, file)| (listed, file)).collect();
                let files = found.into_iter().map(|listed| {
                    let file = previous.get(&listed).map_or_else(|| inspect(library, &listed), |file| (*file).clone());
                    (listed, file)
                });
                listing.files = Arc::new(Files { files: files.collect(), unrestricted: OnceLock::new() });
            }
            listing.listed = Some(Instant::now());
        }
        listing.files.clone()
    }
}

/// Reads the formats of a file; none of a damaged one.
fn inspect(library: &Library, listed: &ListedVideo) -> File {
    let name = encode_path(&listed.name);
    let opened = library.open(&name).inspect_err(|error| log::debug!("{}: {error}", listed.name.escape_debug())).ok();
    let formats = opened.as_ref().map(|video| video.formats()).unwrap_or_default();
    File {
        name: listed.name.clone(),
        bytes: listed.bytes,
        duration_seconds: opened.and_then(|video| video.duration()),
        video: formats.video.map(Into::into),
        audio: formats.audio.map(Into::into),
    }
}

/// Returns the JSON of the files that the client may play.
pub(super) fn to_json(http: &HttpService, request: &Request, origin: Origin) -> Arc<str> {
    let listing = http.videos.list(&http.service.library);
    let files = listing.files.iter().map(|(_, file)| file);
    if !http.settings.play_restricted {
        return listing.unrestricted.get_or_init(|| json_text(&List { videos: files.collect(), locked: 0 })).clone();
    }
    let is_visible =
        |file: &&File| is_playable(http, request, origin, &format!("{}/{}", http.service.vod_app, file.name));
    let videos: Vec<_> = files.filter(is_visible).collect();
    json_text(&List { locked: listing.files.len() - videos.len(), videos })
}
