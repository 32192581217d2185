//! Live streams: who publishes, who plays, and who gets which message when.
//!
//! A publisher's thread puts each message into an `Arc` and pushes it into the crossbeam channels of the
//! lanes that have players of its stream; a lane is a thread that hands what it finds in its channel to
//! its players' sinks, none of which ever makes it wait. Audio waits at its publisher for the next video frame.

mod arrivals;
mod cache;
mod changes;
mod clock_watch;
mod key_frames;
mod kinds;
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
mod viewer;
mod warnings;
mod weakness;

pub use changes::Changes;
pub use clock_watch::Times;
pub use lane::{Lane, LanePool};
pub use merge_window::MergeWindow;
pub use message::{HTTP_STREAM_ID, LiveMessage, PLAYER_STREAM_ID};
pub use publication::{Publication, PublisherGone};
pub use registry::{PublishRefused, Registry, ReplacePublisher, Settings, StreamStatus};
pub use sink::{Backlog, QueueLimits, Sink, Skip, Wanted};
pub use stream::{StartAt, Stream, Subscription};
pub use viewer::Viewer;
pub use warnings::Warning;

#[cfg(test)]
mod tests;
