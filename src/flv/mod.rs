//! FLV files (FLV 10.1 annex E, with the codecs of Enhanced RTMP): reading, writing, key frame index.
//!
//! ```text
//! file = "FLV" version flags header-length(4) [more header] PreviousTagSize0(4) tag*
//! tag  = header(11) data PreviousTagSize(4)
//! ```
//!
//! A tag's data is exactly the payload of the RTMP message of the same type, so both are a
//! [`Packet`](crate::media::Packet).

mod extent;
#[cfg(test)]
pub(crate) mod fixtures;
mod keyframe_index;
mod metadata;
mod preamble;
mod reader;
mod sequence_headers;
mod source;
pub mod tag;
mod time_base;
mod writer;

pub(crate) use extent::{Damage, Extent};
pub(crate) use keyframe_index::{KeyFrame, KeyframeIndex, Search};
pub use metadata::Metadata;
pub(crate) use preamble::Preamble;
pub use reader::{Reader, TagStart};
pub(crate) use sequence_headers::SequenceHeaders;
pub use tag::TagHeader;
pub(crate) use time_base::TimeBase;
pub(crate) use time_base::is_jump;
pub use writer::Writer;
