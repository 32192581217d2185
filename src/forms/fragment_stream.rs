//! A live stream as fragmented MP4: made once for all who want it so, as a stream whose messages are the fragments.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Form;
use crate::fmp4::{Ignored, Muxer, MuxerOutput};
use crate::guard::ClientLog;
use crate::limits;
use crate::live::{
    Backlog, HTTP_STREAM_ID, LiveMessage, Publication, Sink, Skip, StartAt, Stream, Subscription, SubscriptionFilter,
};
use crate::media::PacketKind;
use crate::service::Service;

/// A live stream as fragments.
pub(crate) struct FragmentStream {
    work: Mutex<Work>,
    output: Arc<Stream>,
    subscription: Mutex<Option<Subscription>>,
    state: Mutex<State>,
    changed: Condvar,
}

struct Work {
    muxer: Muxer,
    /// What comes in.
    input: Arc<Stream>,
    publication: Publication,
    outputs: Vec<MuxerOutput>,
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
                "{client} {name}: {kind} message ignored in MP4 and HLS, as further ones will be: it is {why} and begins with {}",
                bytes.join(" ")
            ));
        }
    }
}

/// What is said of all streams together.
static IGNORED: LazyLock<ClientLog> = LazyLock::new(ClientLog::default);

struct State {
    /// Of the last initialisation segment.
    codecs: Option<String>,
    /// The stream has ended.
    is_over: bool,
    /// When somebody asked for it last.
    asked: Instant,
}

impl std::fmt::Debug for FragmentStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FragmentStream").field("output", &self.output).finish_non_exhaustive()
    }
}

impl FragmentStream {
    pub(super) fn start(service: &Service, stream: &Arc<Stream>) -> Arc<Self> {
        let (output, publication) = service.registry.derive(stream, Instant::now());
        let work = Work { muxer: Muxer::new(), input: stream.clone(), publication, outputs: Vec::new(), told: None };
        let state = State { codecs: None, is_over: false, asked: Instant::now() };
        let form = Arc::new(Self {
            work: Mutex::new(work),
            output,
            subscription: Mutex::new(None),
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let (lane, filter) = (service.lanes.pick(), SubscriptionFilter::default());
        let subscription = stream.subscribe(form.clone(), HTTP_STREAM_ID, &lane, StartAt::LastKeyFrame, filter);
        *form.subscription.lock() = Some(subscription);
        form
    }

    /// The stream of its fragments.
    pub(crate) fn output(&self) -> &Arc<Stream> {
        &self.output
    }

    /// Waits for the initialisation segment and tells the codecs in it; `None` when the stream ends, or there is neither
    /// audio nor video by then.
    pub(crate) fn codecs(&self, until: Instant) -> Option<String> {
        let mut state = self.state.lock();
        while state.codecs.is_none() && !state.is_over {
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.codecs.clone().filter(|_| !state.is_over)
    }

    fn end(&self) {
        self.state.lock().is_over = true;
        self.changed.notify_all();
        self.output.end();
    }
}

impl Form for FragmentStream {
    fn mark_wanted(&self, now: Instant) {
        self.state.lock().asked = now;
    }

    fn is_over(&self) -> bool {
        self.state.lock().is_over
    }

    fn is_wanted(&self, now: Instant) -> bool {
        let state = self.state.lock();
        let is_asked_for = now.saturating_duration_since(state.asked) < limits::FRAGMENTS_IDLE_TIMEOUT;
        !state.is_over && (is_asked_for || self.output.players() > 0)
    }

    fn stop(&self) {
        self.end();
        // By itself, since to leave a stream is to wait for its lane.
        let subscription = self.subscription.lock().take();
        drop(subscription);
    }
}

impl Sink for FragmentStream {
    fn push(&self, _: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        let mut work = self.work.lock();
        let Work { muxer, publication, outputs, .. } = &mut *work;
        messages.iter().for_each(|message| muxer.push(&message.packet, outputs));
        for output in outputs.iter() {
            if let MuxerOutput::Init(init) = output {
                self.state.lock().codecs = Some(init.codecs.clone());
                self.changed.notify_all();
            }
        }
        // Nobody else publishes it.
        let _ = publication.send_fragments(outputs.drain(..), Instant::now());
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

    fn start_without_key_frame(&self) {
        self.work.lock().muxer.start_without_key_frame();
    }

    fn ended(&self, _: u32) {
        self.end();
    }

    fn abandon(&self, reason: &str) {
        log::error!("{} as fragments: {reason}", self.output.name().escape_debug());
        self.end();
    }

    fn peer(&self) -> &str {
        "fragments"
    }

    fn is_viewer(&self) -> bool {
        false
    }
}
