//! Live streams as fragmented MP4: made once for each stream that somebody wants so, and shared by all who do.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Guest;
use super::hls_viewers::HlsViewers;
use crate::connection::{HTTP_STREAM_ID, Service, Watched};
use crate::fmp4::{Ignored, Muxer, Piece};
use crate::guard::{Budget, Complaints};
use crate::hls::Window;
use crate::limits;
use crate::live::{Backlog, LiveMessage, Publication, Sink, Skip, StartAt, Stream, Subscription, Wanted};
use crate::media::PacketKind;

/// The streams that are wanted as fragments.
#[derive(Debug)]
pub(super) struct Fragments {
    streams: Mutex<HashMap<String, Arc<Fragmented>>>,
    /// Bytes of the last segments of all.
    windows: Arc<Budget>,
}

impl Default for Fragments {
    fn default() -> Self {
        Self { streams: Mutex::default(), windows: Budget::new(limits::HLS_BYTES_OF_ALL) }
    }
}

impl Fragments {
    /// The live stream of that name; `None` if nobody publishes it.
    pub fn of(&self, service: &Service, name: &str) -> Option<Arc<Fragmented>> {
        let mut streams = self.streams.lock();
        let known = streams.get(name).filter(|known| known.is_wanted_again()).cloned();
        let stream = match known {
            Some(known) => known,
            None => service.registry.with_published(name, |stream| Fragmented::start(service, stream))?,
        };
        streams.insert(name.to_owned(), stream.clone());
        Some(stream)
    }

    /// The last segments of the live stream of that name, also of one that has just ended, and the stream of its fragments;
    /// `None` if nobody publishes it.
    pub fn window_of(&self, service: &Service, name: &str, guest: &Guest) -> Option<(Arc<Window>, Arc<Stream>)> {
        if let Some(stream) = self.of(service, name) {
            return Some((stream.window(guest, &self.windows), stream.output.clone()));
        }
        let ended = self.streams.lock().get(name).cloned()?;
        let hls = ended.hls.lock();
        hls.as_ref().map(|hls| (hls.window.clone(), ended.output.clone()))
    }

    /// Forgets those that nobody wants any more. To be called about every half second.
    pub fn tick(&self, now: Instant) {
        let mut unwanted = Vec::new();
        self.streams.lock().retain(|_, stream| {
            let stays = stream.is_wanted(now);
            if !stays {
                unwanted.push(stream.clone());
            }
            stays
        });
        // To leave a stream takes a moment.
        unwanted.iter().for_each(|stream| stream.stop());
    }
}

/// A live stream as fragments.
pub(super) struct Fragmented {
    work: Mutex<Work>,
    output: Arc<Stream>,
    subscription: Mutex<Option<Subscription>>,
    state: Mutex<State>,
    changed: Condvar,
    hls: Mutex<Option<Hls>>,
}

/// Its last segments, which are made while somebody asks for them.
struct Hls {
    window: Arc<Window>,
    asked: Instant,
    viewers: HlsViewers,
    _subscription: Subscription,
}

struct Work {
    muxer: Muxer,
    /// What comes in.
    input: Arc<Stream>,
    publication: Publication,
    pieces: Vec<Piece>,
    /// The publication of which the log was told that something in it is ignored.
    told: Option<u64>,
}

impl Work {
    /// Counts what became no samples, and tells the log of it once for each publication.
    #[inline(never)]
    fn count(&mut self, ignored: &Ignored) {
        self.input.counters().ignored.add(ignored.count);
        let (Some((kind, why, bytes)), Some((id, client))) = (&ignored.first, self.input.last_publisher()) else {
            return;
        };
        if self.told.replace(id) != Some(id) {
            let (name, kind) =
                (self.input.name().escape_debug(), if *kind == PacketKind::Video { "video" } else { "audio" });
            let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            IGNORED.warn(format_args!(
                "{client} {name}: a message of {kind} is {why}, ignored in MP4 and HLS, as others will be; it begins with {}",
                bytes.join(" ")
            ));
        }
    }
}

/// What is said of all streams together.
static IGNORED: LazyLock<Complaints> = LazyLock::new(Complaints::default);

struct State {
    /// Of the last initialisation segment.
    codecs: Option<String>,
    /// The stream has ended.
    is_over: bool,
    /// When somebody asked for it last.
    asked: Instant,
}

impl std::fmt::Debug for Fragmented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fragmented").field("output", &self.output).finish_non_exhaustive()
    }
}

impl Fragmented {
    fn start(service: &Service, stream: &Arc<Stream>) -> Arc<Self> {
        let (output, publication) = service.registry.derive(stream, Instant::now());
        let work = Work { muxer: Muxer::new(), input: stream.clone(), publication, pieces: Vec::new(), told: None };
        let state = State { codecs: None, is_over: false, asked: Instant::now() };
        let fragmented = Arc::new(Self {
            work: Mutex::new(work),
            output,
            subscription: Mutex::new(None),
            state: Mutex::new(state),
            changed: Condvar::new(),
            hls: Mutex::new(None),
        });
        let (lane, wanted) = (service.lanes.pick(), Wanted::default());
        let subscription = stream.subscribe(fragmented.clone(), HTTP_STREAM_ID, &lane, StartAt::LastKeyFrame, wanted);
        *fragmented.subscription.lock() = Some(subscription);
        fragmented
    }

    /// The stream of its fragments.
    pub fn output(&self) -> &Arc<Stream> {
        &self.output
    }

    /// Its last segments.
    fn window(&self, guest: &Guest, windows: &Arc<Budget>) -> Arc<Window> {
        let mut hls = self.hls.lock();
        let start = || {
            let (window, start_at) = (Arc::new(Window::new(windows.share())), StartAt::LastKeyFrame);
            let subscription =
                self.output.subscribe(window.clone(), HTTP_STREAM_ID, guest.lane(), start_at, Wanted::default());
            Hls { window, asked: Instant::now(), viewers: HlsViewers::default(), _subscription: subscription }
        };
        let hls = hls.get_or_insert_with(start);
        hls.asked = Instant::now();
        hls.viewers.saw(guest.ip(), &guest.agent(), &self.output, hls.asked);
        hls.window.clone()
    }

    /// Waits for the initialisation segment and tells the codecs in it; `None` when the stream ends, or there is neither
    /// sound nor picture by then.
    pub fn codecs(&self, until: Instant) -> Option<String> {
        let mut state = self.state.lock();
        while state.codecs.is_none() && !state.is_over {
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.codecs.clone().filter(|_| !state.is_over)
    }

    /// Whether the stream has ended.
    pub fn is_over(&self) -> bool {
        self.state.lock().is_over
    }

    fn is_wanted_again(&self) -> bool {
        let mut state = self.state.lock();
        state.asked = Instant::now();
        !state.is_over
    }

    fn is_wanted(&self, now: Instant) -> bool {
        let is_stale = |hls: &mut Hls| now.saturating_duration_since(hls.asked) >= limits::HLS_KEPT;
        // To leave a stream takes a moment, so not under the lock.
        let (stale, has_hls) = {
            let mut hls = self.hls.lock();
            hls.iter_mut().for_each(|hls| hls.viewers.tick(now));
            (hls.take_if(is_stale), hls.is_some())
        };
        drop(stale);
        let state = self.state.lock();
        let is_asked_for = now.saturating_duration_since(state.asked) < limits::FRAGMENTS_KEPT;
        // Those who play segments are behind, and want the last ones still.
        has_hls || (!state.is_over && (is_asked_for || self.output.players() > 0))
    }

    fn stop(&self) {
        self.over();
        // By itself, since to leave a stream is to wait for its lane.
        let (subscription, hls) = (self.subscription.lock().take(), self.hls.lock().take());
        drop((subscription, hls));
    }

    fn over(&self) {
        self.state.lock().is_over = true;
        self.changed.notify_all();
        self.output.end();
    }
}

impl Sink for Fragmented {
    fn push(&self, _: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        let mut work = self.work.lock();
        let Work { muxer, publication, pieces, .. } = &mut *work;
        messages.iter().for_each(|message| muxer.push(&message.packet, pieces));
        for piece in pieces.iter() {
            if let Piece::Init(init) = piece {
                self.state.lock().codecs = Some(init.codecs.clone());
                self.changed.notify_all();
            }
        }
        // Nobody else publishes it.
        let _ = publication.send_pieces(pieces.drain(..), Instant::now());
        let ignored = muxer.take_ignored();
        if ignored.count > 0 {
            work.count(&ignored);
        }
        Backlog { bytes: 0, age: Duration::ZERO }
    }

    fn skip(&self, _: u32, _: Skip) -> usize {
        0
    }

    fn flush(&self) -> bool {
        false
    }

    fn starts_anywhere(&self) {
        self.work.lock().muxer.start_anywhere();
    }

    fn ended(&self, _: u32) {
        self.over();
    }

    fn abandon(&self, reason: &str) {
        log::error!("{} as fragments: {reason}", self.output.name().escape_debug());
        self.over();
    }

    fn peer(&self) -> &str {
        "fragments"
    }

    fn is_viewer(&self) -> bool {
        false
    }
}
