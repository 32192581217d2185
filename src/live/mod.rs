//! Live streams: publishers, subscribers, and the relay lanes between them.
//!
//! A publisher's thread wraps each message in an `Arc` and pushes it into the crossbeam channels of the lanes that have
//! subscribers of its stream. A lane is a thread that drains its channel and hands the messages to its subscribers'
//! sinks, none of which ever blocks; a publisher with few players drains it itself. Audio is deferred at the publisher until the next video frame, so that both go out
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

pub(crate) use lane::Lane;
pub use lane::LanePool;
pub use merge_window::MergeWindow;
pub use message::LiveMessage;
pub(crate) use message::{HTTP_STREAM_ID, PLAYER_STREAM_ID};
pub use publication::Publication;
pub(crate) use registry::PublishRefused;
pub use registry::{Registry, ReplacePublisher, Settings, StreamStatus};
pub(crate) use sink::QueueLimits;
pub use sink::{Backlog, Sink, Skip, SubscriptionFilter};
pub(crate) use stream::Stream;
pub use stream::{StartAt, Subscription};
pub use timestamp_source::Times;
pub(crate) use viewer::Viewer;
pub use warnings::Warning;

#[cfg(test)]
mod tests;
