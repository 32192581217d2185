//! Files of the video folder, as far as the one who asks may play them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;

use super::json_text;
use super::streams::{Audio, Video, encoded, may_play};
use crate::access::Origin;
use crate::vod::{Library, ListedVideo};

use super::super::{HttpService, Request};

/// How old the list of files may be.
pub(super) const FRESH: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct List<'a> {
    videos: Vec<&'a File>,
    /// How many others need a key that the request lacks.
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

/// The list of files with what is known of each, which takes a while for many.
#[derive(Debug, Default)]
pub(in crate::http) struct Videos(Mutex<Known>);

#[derive(Default)]
struct Known {
    listed: Option<Instant>,
    files: Arc<Files>,
}

#[derive(Default)]
struct Files {
    files: Vec<(ListedVideo, File)>,
    /// What those get from whom nothing is kept.
    all: OnceLock<Arc<str>>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("files", &self.files.files.len()).finish_non_exhaustive()
    }
}

impl Videos {
    /// All files; who comes while others look waits for what they find.
    fn list(&self, library: &Library) -> Arc<Files> {
        let mut known = self.0.lock();
        if known.listed.is_none_or(|listed| listed.elapsed() > FRESH) {
            let found = library.list();
            if !found.iter().eq(known.files.files.iter().map(|(listed, _)| listed)) {
                let before: HashMap<_, _> = known.files.files.iter().map(|(listed, file)| (listed, file)).collect();
                let files = found.into_iter().map(|listed| {
                    let file = before.get(&listed).map_or_else(|| inspect(library, &listed), |file| (*file).clone());
                    (listed, file)
                });
                known.files = Arc::new(Files { files: files.collect(), all: OnceLock::new() });
            }
            known.listed = Some(Instant::now());
        }
        known.files.clone()
    }
}

/// What is known of a file; of a damaged one, nothing.
fn inspect(library: &Library, listed: &ListedVideo) -> File {
    let name = encoded(&listed.name);
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

/// The files of the video folder as JSON, for one who asks.
pub(super) fn text(http: &HttpService, request: &Request, origin: Origin) -> Arc<str> {
    let known = http.videos.list(&http.service.library);
    let files = known.files.iter().map(|(_, file)| file);
    if !http.settings.play_restricted {
        return known.all.get_or_init(|| json_text(&List { videos: files.collect(), locked: 0 })).clone();
    }
    let may = |file: &&File| may_play(http, request, origin, &format!("{}/{}", http.service.vod_app, file.name));
    let videos: Vec<_> = files.filter(may).collect();
    json_text(&List { locked: known.files.len() - videos.len(), videos })
}
