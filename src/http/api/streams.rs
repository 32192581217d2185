//! Live streams and files, as far as the one who asks may play them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;

use crate::access::{Proven, Verb};
use crate::fmp4::{AudioFormat, VideoFormat};
use crate::live::StreamStatus;
use crate::session::StreamPath;
use crate::vod::{Library, ListedVideo};

use super::super::{Request, Site};

/// How old the list of files may be.
const FRESH: Duration = Duration::from_secs(5);

/// What a list comes to for one who asks.
#[derive(Serialize)]
pub(super) struct Streams {
    streams: Vec<Stream>,
    /// How many others need a key that the request lacks.
    locked: usize,
}

#[derive(Serialize)]
struct Stream {
    name: String,
    app: String,
    key: String,
    published: bool,
    age_seconds: Option<f64>,
    video: Option<Video>,
    audio: Option<Audio>,
    frames_per_second: f64,
    bits_per_second: f64,
    viewers: usize,
    bytes_in: u64,
    bytes_out: u64,
    messages_in: u64,
    messages_dropped: u64,
}

#[derive(Clone, Serialize)]
struct Video {
    codec: String,
    width: u16,
    height: u16,
}

#[derive(Clone, Serialize)]
struct Audio {
    codec: String,
    sample_rate: u32,
    channels: u8,
}

impl From<VideoFormat> for Video {
    fn from(VideoFormat { codec, width, height }: VideoFormat) -> Self {
        Self { codec, width, height }
    }
}

impl From<AudioFormat> for Audio {
    fn from(AudioFormat { codec, sample_rate, channels }: AudioFormat) -> Self {
        Self { codec, sample_rate, channels }
    }
}

impl From<StreamStatus> for Stream {
    fn from(status: StreamStatus) -> Self {
        let (app, key) = status.name.split_once('/').unwrap_or(("", &status.name));
        Self {
            app: app.to_owned(),
            key: key.to_owned(),
            published: status.is_published,
            age_seconds: status.age.map(|age| age.as_secs_f64()),
            video: status.video.map(Into::into),
            audio: status.audio.map(Into::into),
            frames_per_second: status.pictures_per_second,
            bits_per_second: status.bits_per_second,
            viewers: status.players,
            bytes_in: status.traffic.bytes_in,
            bytes_out: status.traffic.bytes_out,
            messages_in: status.traffic.messages_in,
            messages_dropped: status.traffic.dropped,
            name: status.name,
        }
    }
}

/// The live streams.
pub(super) fn streams(site: &Site, request: &Request, ip: IpAddr) -> Streams {
    let all = site.service.registry.status();
    let count = all.len();
    let streams: Vec<Stream> =
        all.into_iter().filter(|stream| may_play(site, request, ip, &stream.name)).map(Into::into).collect();
    Streams { locked: count - streams.len(), streams }
}

/// What a list of files comes to for one who asks.
#[derive(Serialize)]
pub(super) struct Files {
    videos: Vec<File>,
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
    files: Arc<Vec<(ListedVideo, File)>>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl Videos {
    /// All files; who comes while others look waits for what they find.
    fn list(&self, library: &Library) -> Arc<Vec<(ListedVideo, File)>> {
        let mut known = self.0.lock();
        if known.listed.is_none_or(|listed| listed.elapsed() > FRESH) {
            let before: HashMap<_, _> = known.files.iter().map(|(listed, file)| (listed, file)).collect();
            let files = library.list().into_iter().map(|listed| {
                let file = before.get(&listed).map_or_else(|| look_into(library, &listed), |file| (*file).clone());
                (listed, file)
            });
            known.files = Arc::new(files.collect());
            known.listed = Some(Instant::now());
        }
        known.files.clone()
    }
}

/// What is known of a file; of a damaged one, nothing.
fn look_into(library: &Library, listed: &ListedVideo) -> File {
    let name = encoded(&listed.name);
    let opened = library.open(&name).inspect_err(|error| log::debug!("{}: {error}", listed.name.escape_debug())).ok();
    let (video, audio) = opened.as_ref().map_or((None, None), |video| video.formats());
    File {
        name: listed.name.clone(),
        bytes: listed.bytes,
        duration_seconds: opened.and_then(|video| video.duration()),
        video: video.map(Into::into),
        audio: audio.map(Into::into),
    }
}

/// The files of the video folder.
pub(super) fn videos(site: &Site, request: &Request, ip: IpAddr) -> Files {
    let all = site.videos.list(&site.service.library);
    let may = |name: &str| may_play(site, request, ip, &format!("{}/{name}", site.service.vod_app));
    let videos: Vec<_> = all.iter().filter(|(_, file)| may(&file.name)).map(|(_, file)| file.clone()).collect();
    Files { locked: all.len() - videos.len(), videos }
}

/// Whether the request may play the stream or file of that name.
fn may_play(site: &Site, request: &Request, ip: IpAddr, name: &str) -> bool {
    let path = StreamPath::new("", &format!("{}?{}", encoded(name), request.query()));
    path.is_ok_and(|path| site.service.access.check(Verb::Play, &path, ip, &Proven::default()).is_ok())
}

/// A name as part of a URL's path, in which nothing in it means anything else.
fn encoded(name: &str) -> String {
    name.replace('%', "%25").replace('?', "%3F")
}
