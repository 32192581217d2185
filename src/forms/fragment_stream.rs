//! A live stream as fragmented MP4: made once for all players, as a stream whose messages are the fragments.

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
    packager: Mutex<Packager>,
    output: Arc<Stream>,
    subscription: Mutex<Option<Subscription>>,
    state: Mutex<State>,
    changed: Condvar,
}

struct Packager {
    muxer: Muxer,
    /// The stream that it is made from.
    input: Arc<Stream>,
    publication: Publication,
    outputs: Vec<MuxerOutput>,
    /// The publication of which an ignored message was logged.
    logged: Option<u64>,
}

impl Packager {
    /// Counts messages that became no samples, and logs the first of each publication.
    #[inline(never)]
    fn report_ignored(&mut self, ignored: &Ignored) {
        self.input.counters().ignored.add(ignored.count);
        let (Some((kind, why, bytes)), Some((id, client))) = (&ignored.first, self.input.last_publisher()) else {
            return;
        };
        if self.logged.replace(id) != Some(id) {
            let (name, kind) =
                (self.input.name().escape_debug(), if *kind == PacketKind::Video { "video" } else { "audio" });
            let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            IGNORED.warn(format_args!(
                "{client} {name}: {kind} message ignored in MP4 and HLS, as further ones will be: {why}, begins with {}",
                bytes.join(" ")
            ));
        }
    }
}

/// Shared by all streams.
static IGNORED: LazyLock<ClientLog> = LazyLock::new(ClientLog::default);

struct State {
    /// The codecs of the last initialization segment.
    codecs: Option<String>,
    /// The stream has ended.
    has_ended: bool,
    /// When it was last requested.
    last_request: Instant,
}

impl std::fmt::Debug for FragmentStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FragmentStream").field("output", &self.output).finish_non_exhaustive()
    }
}

impl FragmentStream {
    pub(super) fn start(service: &Service, stream: &Arc<Stream>) -> Arc<Self> {
        let (output, publication) = service.registry.derive(stream, Instant::now());
        let packager =
            Packager { muxer: Muxer::new(), input: stream.clone(), publication, outputs: Vec::new(), logged: None };
        let state = State { codecs: None, has_ended: false, last_request: Instant::now() };
        let form = Arc::new(Self {
            packager: Mutex::new(packager),
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

    /// Returns the stream of its fragments.
    pub(crate) fn output(&self) -> &Arc<Stream> {
        &self.output
    }

    /// Waits for the initialization segment and returns its codecs; `None` when the stream ends, or has neither audio
    /// nor video by then.
    pub(crate) fn codecs(&self, until: Instant) -> Option<String> {
        let mut state = self.state.lock();
        while state.codecs.is_none() && !state.has_ended {
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.codecs.clone().filter(|_| !state.has_ended)
    }

    fn end(&self) {
        self.state.lock().has_ended = true;
        self.changed.notify_all();
        self.output.end();
    }
}

impl Form for FragmentStream {
    fn record_request(&self, now: Instant) {
        self.state.lock().last_request = now;
    }

    fn has_ended(&self) -> bool {
        self.state.lock().has_ended
    }

    fn is_in_use(&self, now: Instant) -> bool {
        let state = self.state.lock();
        let is_requested = now.saturating_duration_since(state.last_request) < limits::FRAGMENTS_IDLE_TIMEOUT;
        !state.has_ended && (is_requested || self.output.players() > 0)
    }

    fn stop(&self) {
        self.end();
        // Dropped without holding the lock, since unsubscribing waits for the lane.
        let subscription = self.subscription.lock().take();
        drop(subscription);
    }
}

impl Sink for FragmentStream {
    fn push(&self, _: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        let mut packager = self.packager.lock();
        let Packager { muxer, publication, outputs, .. } = &mut *packager;
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
            packager.report_ignored(&ignored);
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
        self.packager.lock().muxer.start_without_key_frame();
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
