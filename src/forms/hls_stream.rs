//! A live stream as segments of HLS: a live playlist window over its fragments, and who watches it.

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

/// A live stream's last segments, which are made while somebody asks for them.
#[derive(Debug)]
pub(crate) struct HlsStream {
    fragments: Arc<FragmentStream>,
    window: Arc<LiveWindow>,
    subscription: Mutex<Option<Subscription>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When somebody asked for something last.
    asked: Instant,
    viewers: HlsViewers,
}

impl HlsStream {
    /// Starts to make segments of fragments, in memory of which `bytes` is the account.
    pub(super) fn start(fragments: Arc<FragmentStream>, lane: &Lane, bytes: Share) -> Arc<Self> {
        let window = Arc::new(LiveWindow::new(bytes));
        let (start_at, filter) = (StartAt::LastKeyFrame, SubscriptionFilter::default());
        let subscription = fragments.output().subscribe(window.clone(), HTTP_STREAM_ID, lane, start_at, filter);
        let state = State { asked: Instant::now(), viewers: HlsViewers::default() };
        Arc::new(Self { fragments, window, subscription: Mutex::new(Some(subscription)), state: Mutex::new(state) })
    }

    /// Its playlists and segments.
    pub(crate) fn window(&self) -> &LiveWindow {
        &self.window
    }

    /// The stream of its fragments, whose counters count what goes out.
    pub(crate) fn stream(&self) -> &Arc<Stream> {
        self.fragments.output()
    }

    /// Notes who has asked for something: a viewer.
    pub(crate) fn record_viewer(&self, ip: IpAddr, agent: &str) {
        let mut state = self.state.lock();
        state.asked = Instant::now();
        let asked = state.asked;
        state.viewers.record(ip, agent, self.stream(), asked);
    }
}

impl Form for HlsStream {
    fn mark_wanted(&self, now: Instant) {
        self.state.lock().asked = now;
    }

    fn is_over(&self) -> bool {
        self.fragments.is_over()
    }

    /// Those who play segments are behind, and want the last ones also of a stream that has ended.
    fn is_wanted(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        state.viewers.tick(now);
        now.saturating_duration_since(state.asked) < limits::HLS_IDLE_TIMEOUT
    }

    fn stop(&self) {
        // By itself, since to leave a stream is to wait for its lane.
        let subscription = self.subscription.lock().take();
        drop(subscription);
    }
}
