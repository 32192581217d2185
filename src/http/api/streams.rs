//! The live streams that a client may play.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;

use super::json_text;
use crate::access::{Operation, Origin, VerifiedKeys};
use crate::fmp4::{AudioFormat, VideoFormat};
use crate::live::StreamStatus;
use crate::session::StreamPath;

use super::super::{HttpService, Request};

/// How long a snapshot is shared by the clients of the event feed.
pub(super) const SNAPSHOT_LIFETIME: Duration = Duration::from_millis(250);

/// The last snapshot of live streams: a thousand clients of the event feed cost as much as one.
#[derive(Debug, Default)]
pub(in crate::http) struct EventFeed(Mutex<Option<Arc<Snapshot>>>);

impl EventFeed {
    /// Returns a snapshot of the live streams, at most [`SNAPSHOT_LIFETIME`] old.
    pub(super) fn snapshot(&self, http: &HttpService) -> Arc<Snapshot> {
        let mut cached = self.0.lock();
        match &*cached {
            Some(snapshot) if snapshot.taken.elapsed() < SNAPSHOT_LIFETIME => snapshot.clone(),
            _ => cached.insert(Arc::new(Snapshot::capture(http))).clone(),
        }
    }
}

/// A snapshot of the live streams.
#[derive(Debug)]
pub(super) struct Snapshot {
    taken: Instant,
    /// The number of changes before it.
    pub changes: u64,
    streams: Vec<Stream>,
    /// The JSON for clients that may see all of it.
    unrestricted: OnceLock<Arc<str>>,
}

impl Snapshot {
    /// Takes a snapshot.
    pub(super) fn capture(http: &HttpService) -> Self {
        let (taken, changes) = (Instant::now(), http.service.registry.changes().count());
        let publishers = http.connections.publishers();
        let listed = |status: StreamStatus| {
            let publisher = publishers.get(&status.name).filter(|_| status.is_published);
            Stream::new(status, publisher.map(|&connection| Publisher { connection }))
        };
        let streams = http.service.registry.status().into_iter().map(listed).collect();
        Self { taken, changes, streams, unrestricted: OnceLock::new() }
    }

    /// Whether any stream is published.
    pub(super) fn is_live(&self) -> bool {
        self.streams.iter().any(|stream| stream.published)
    }

    /// Returns the JSON of the streams that the client may play.
    pub(super) fn to_json(&self, http: &HttpService, request: &Request, origin: Origin) -> Arc<str> {
        if !http.settings.play_restricted {
            return self
                .unrestricted
                .get_or_init(|| json_text(&List { streams: self.streams.iter().collect(), locked: 0 }))
                .clone();
        }
        let streams: Vec<_> =
            self.streams.iter().filter(|stream| is_playable(http, request, origin, &stream.name)).collect();
        json_text(&List { locked: self.streams.len() - streams.len(), streams })
    }
}

#[derive(Serialize)]
struct List<'a> {
    streams: Vec<&'a Stream>,
    /// The number of others, which need a key that the request lacks.
    locked: usize,
}

#[derive(Debug, Serialize)]
struct Stream {
    name: String,
    app: String,
    key: String,
    published: bool,
    age_seconds: Option<f64>,
    publisher: Option<Publisher>,
    video: Option<Video>,
    audio: Option<Audio>,
    frames_per_second: f64,
    bits_per_second: f64,
    viewers: usize,
    bytes_in: u64,
    bytes_out: u64,
    messages_in: u64,
    messages_dropped: u64,
    skips: u64,
    messages_ignored: u64,
    /// What is wrong with the encoder's settings.
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
struct Warning {
    code: &'static str,
    text: String,
}

#[derive(Debug, Serialize)]
struct Publisher {
    connection: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Video {
    codec: String,
    name: &'static str,
    width: u16,
    height: u16,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Audio {
    codec: String,
    name: &'static str,
    sample_rate: u32,
    channels: u8,
}

impl From<VideoFormat> for Video {
    fn from(VideoFormat { codec, name, width, height }: VideoFormat) -> Self {
        Self { codec, name, width, height }
    }
}

impl From<AudioFormat> for Audio {
    fn from(AudioFormat { codec, name, sample_rate, channels }: AudioFormat) -> Self {
        Self { codec, name, sample_rate, channels }
    }
}

impl Stream {
    fn new(status: StreamStatus, publisher: Option<Publisher>) -> Self {
        let (app, key) = status.name.split_once('/').unwrap_or(("", &status.name));
        Self {
            app: app.to_owned(),
            key: key.to_owned(),
            published: status.is_published,
            age_seconds: status.age.map(|age| age.as_secs_f64()),
            publisher,
            video: status.video.map(Into::into),
            audio: status.audio.map(Into::into),
            frames_per_second: status.frames_per_second,
            bits_per_second: status.bits_per_second,
            viewers: status.players,
            bytes_in: status.traffic.bytes_in,
            bytes_out: status.traffic.bytes_out,
            messages_in: status.traffic.messages_in,
            messages_dropped: status.traffic.dropped,
            skips: status.traffic.skips,
            messages_ignored: status.traffic.ignored,
            warnings: status
                .warnings
                .into_iter()
                .map(|warning| Warning { code: warning.code, text: warning.text })
                .collect(),
            name: status.name,
        }
    }
}

/// Whether the request may play the stream or file of that name.
pub(super) fn is_playable(http: &HttpService, request: &Request, origin: Origin, name: &str) -> bool {
    let path = StreamPath::new("", &format!("{}?{}", encode_path(name), request.query()));
    path.is_ok_and(|path| http.service.access.check(Operation::Play, &path, origin, &VerifiedKeys::default()).is_ok())
}

/// Encodes a name for a URL's path, so that none of it has another meaning.
pub(super) fn encode_path(name: &str) -> String {
    name.replace('%', "%25").replace('?', "%3F")
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::http::HttpSettings;
    use crate::service::Service;
    use crate::transport::ConnectionTable;

    const HERE: Origin = Origin { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), is_http: true, is_tls: false };

    fn http() -> HttpService {
        let service = Service::for_tests();
        HttpService::new(Arc::new(service), Arc::new(ConnectionTable::new(10, 10)), HttpSettings::default())
    }

    #[test]
    fn event_streams_share_one_snapshot_for_a_while() {
        let (http, request) = (http(), Request::read(&mut &b"GET / HTTP/1.0\r\n\r\n"[..]).unwrap().unwrap());
        let text = |snapshot: &Snapshot| snapshot.to_json(&http, &request, HERE);
        let began = Instant::now();
        let first = http.event_feed.snapshot(&http);
        let _publication =
            http.service.registry.publish("live/cam", "[192.0.2.7:5000]", Instant::now(), Box::new(|_| {})).unwrap();
        let second = http.event_feed.snapshot(&http);
        if began.elapsed() < SNAPSHOT_LIFETIME {
            assert!(Arc::ptr_eq(&first, &second) && Arc::ptr_eq(&text(&first), &text(&second)));
        }
        assert!(http.service.registry.changes().count() > first.changes, "they learn that there is more");
        std::thread::sleep(SNAPSHOT_LIFETIME);
        let third = http.event_feed.snapshot(&http);
        assert!(third.is_live() && third.changes > first.changes);
        assert_eq!(&*text(&first), r#"{"streams":[],"locked":0}"#);
        assert!(text(&third).contains(r#""name":"live/cam","app":"live","key":"cam","published":true"#));
    }
}
