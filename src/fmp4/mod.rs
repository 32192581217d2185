//! Fragmented MP4 (ISO/IEC 14496-12 §8.8) for browsers: muxes audio and video of FLV into an initialization segment and
//! fragments.

mod access_unit;
mod announced;
mod audio_entries;
mod boxes;
mod clock;
mod formats;
mod muxer;
mod output;
mod sample;
mod track;
mod video_entries;

pub(crate) use formats::Formats;
pub use formats::{AudioFormat, VideoFormat};
pub use muxer::Muxer;
pub use output::{Fragment, Init, MuxerOutput};
pub use sample::{Ignored, Unusable};
