//! A live stream as HLS segments: a live playlist window over its fragments, and its viewers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::hls_viewers::HlsViewers;
use super::{Form, FragmentStream};
use crate::guard::Share;
use crate::hls::LiveWindow;
use crate::limits;
use crate::live::{HTTP_STREAM_ID, Lane, StartAt, Stream, Subscription, SubscriptionFilter};

/// The latest segments of a live stream, made on demand.
#[derive(Debug)]
pub(crate) struct HlsStream {
    fragments: Arc<FragmentStream>,
    window: Arc<LiveWindow>,
    subscription: Mutex<Option<Subscription>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When it was last requested.
    last_request: Instant,
    viewers: HlsViewers,
}

impl HlsStream {
    /// Starts making segments of fragments; their memory is reserved from `bytes`.
    pub(super) fn start(fragments: Arc<FragmentStream>, lane: &Lane, bytes: Share) -> Arc<Self> {
        let window = Arc::new(LiveWindow::new(bytes));
        let (start_at, filter) = (StartAt::LastKeyFrame, SubscriptionFilter::default());
        let subscription = fragments.output().subscribe(window.clone(), HTTP_STREAM_ID, lane, start_at, filter);
        let state = State { last_request: Instant::now(), viewers: HlsViewers::default() };
        Arc::new(Self { fragments, window, subscription: Mutex::new(Some(subscription)), state: Mutex::new(state) })
    }

    /// Returns its playlists and segments.
    pub(crate) fn window(&self) -> &LiveWindow {
        &self.window
    }

    /// Returns the stream of its fragments, whose counters count what is sent.
    pub(crate) fn stream(&self) -> &Arc<Stream> {
        self.fragments.output()
    }

    /// Records a request by a viewer.
    pub(crate) fn record_viewer(&self, ip: IpAddr, agent: &str) {
        let mut state = self.state.lock();
        state.last_request = Instant::now();
        let last_request = state.last_request;
        state.viewers.record(ip, agent, self.stream(), last_request);
    }
}

impl Form for HlsStream {
    fn record_request(&self, now: Instant) {
        self.state.lock().last_request = now;
    }

    fn has_ended(&self) -> bool {
        self.fragments.has_ended()
    }

    /// HLS players are behind, and request the last segments of an ended stream as well.
    fn is_in_use(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        state.viewers.tick(now);
        now.saturating_duration_since(state.last_request) < limits::HLS_IDLE_TIMEOUT
    }

    fn stop(&self) {
        // Dropped without holding the lock, since unsubscribing waits for the lane.
        let subscription = self.subscription.lock().take();
        drop(subscription);
    }
}
