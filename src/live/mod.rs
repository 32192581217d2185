//! Live streams: publishers, subscribers, and the relay lanes between them.
//!
//! A publisher's thread wraps each message in an `Arc` and pushes it into the crossbeam channels of the lanes that have
//! subscribers of its stream. A lane is a thread that drains its channel and hands the messages to its subscribers'
//! sinks, none of which ever blocks. Audio is deferred at the publisher until the next video frame, so that both go out
//! in one send.

mod arrival_clock;
mod cache;
mod change_notifier;
mod congestion_log;

mod key_frames;

mod lane;
mod lane_subscribers;
mod merge_window;
mod message;
mod metadata;
mod publication;
mod rates;
mod registry;
mod sink;
mod state;
mod stream;
mod subscriber;
mod timeline;
mod timestamp_source;
mod tracks;
mod viewer;
mod warnings;

pub use change_notifier::ChangeNotifier;
pub use lane::{Lane, LanePool};
pub use merge_window::MergeWindow;
pub use message::{HTTP_STREAM_ID, LiveMessage, PLAYER_STREAM_ID};
pub use publication::{Publication, PublisherGone};
pub use registry::{PublishRefused, Registry, ReplacePublisher, Settings, StreamStatus};
pub use sink::{Backlog, QueueLimits, Sink, Skip, SubscriptionFilter};
pub use stream::{StartAt, Stream, Subscription};
pub use timestamp_source::Times;
pub use viewer::Viewer;
pub use warnings::Warning;

#[cfg(test)]
mod tests;
