//! A player that reads as fast as its link lets it, and what it saw.

use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use gortmp::media::PacketKind;
use gortmp::{Client, ClientEvent};

use super::stream::{Shape, Stamp, stamp};
use crate::content::nanoseconds;

/// What came, and when, in nanoseconds since the program started.
#[derive(Debug, Default)]
pub struct Seen {
    pub video: Vec<(Stamp, u64)>,
    pub audio: Vec<(Stamp, u64)>,
    /// When it stopped looking.
    pub end: u64,
}

/// Plays for so long.
pub fn watch(server: SocketAddr, name: &str, time: Duration) -> Seen {
    let mut client = Client::connect(&format!("rtmp://{server}/live")).expect("the server takes players");
    let socket = client.tcp_stream().try_clone().expect("a socket");
    client.play(name, None).expect("the stream plays");
    let mut seen = Seen::default();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(time);
            // It may be waiting for something that does not come.
            let _ = socket.shutdown(Shutdown::Both);
        });
        while let Ok(event) = client.next_event() {
            let ClientEvent::Media(packet) = event else { continue };
            let Some(stamp) = stamp(&packet) else { continue };
            let list = if packet.kind == PacketKind::Video { &mut seen.video } else { &mut seen.audio };
            list.push((stamp, nanoseconds()));
        }
        seen.end = nanoseconds();
    });
    seen
}

/// What is made of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watched {
    /// From sending to arrival of video frames: half are no later, and 95 %. In seconds.
    pub lag: [f64; 2],
    /// The longest time without a video frame that can be decoded, in seconds.
    pub gap: f64,
    /// Shares of the video frames that could be decoded and of the audio messages: of all that were sent from the
    /// first that came to the last.
    pub video: f64,
    pub audio: f64,
    /// Video frames that came without what they refer to.
    pub broken: usize,
}

impl Watched {
    /// Counts only video frames that can be decoded, which others than key frames can't if what they refer to could
    /// not or did not come.
    pub fn new(seen: &Seen, shape: Shape) -> Self {
        let mut last_reference = None;
        let is_shown = |(stamp, _): &&(Stamp, u64)| {
            let reference = shape.reference(stamp.number);
            let is_shown = reference.is_none() || reference == last_reference;
            if is_shown && !shape.is_disposable(stamp.number) {
                last_reference = Some(stamp.number);
            }
            is_shown
        };
        let shown: Vec<(Stamp, u64)> = seen.video.iter().filter(is_shown).copied().collect();
        let mut lags: Vec<f64> = shown.iter().map(|(stamp, at)| seconds(at - stamp.sent)).collect();
        lags.sort_by(f64::total_cmp);
        let lag = |share: f64| lags.get(((lags.len() as f64 - 1.0) * share).round() as usize).copied();
        let next = shown.iter().skip(1).map(|(_, at)| *at).chain([seen.end]);
        let gap = shown.iter().zip(next).map(|((_, at), next)| seconds(next - at)).fold(0.0, f64::max);
        // A player that came in the middle of a GOP can't be blamed for what it missed.
        let first_key = shown.first().map_or(0, |(stamp, _)| stamp.number);
        let since = seen.video.iter().filter(|(stamp, _)| stamp.number >= first_key).count();
        Self {
            lag: [0.5, 0.95].map(|share| lag(share).unwrap_or(f64::INFINITY)),
            gap: if shown.is_empty() { f64::INFINITY } else { gap },
            video: share(&shown),
            audio: share(&seen.audio),
            broken: since - shown.len(),
        }
    }
}

/// How many of the messages there are from the first to the last that came.
fn share(came: &[(Stamp, u64)]) -> f64 {
    let (Some((first, _)), Some((last, _))) = (came.first(), came.last()) else { return 0.0 };
    came.len() as f64 / f64::from(last.number - first.number + 1)
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
