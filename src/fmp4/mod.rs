//! Fragmented MP4, as browsers take it (ISO/IEC 14496-12 §8.8): sound and picture of FLV in, an initialisation
//! segment and fragments out.

mod access_unit;
mod boxes;
mod clock;
mod formats;
mod muxer;
mod pictures;
mod piece;
mod said;
mod sample;
mod sound;
mod track;

pub use formats::{AudioFormat, Formats, VideoFormat};
pub use muxer::Muxer;
pub use piece::{Fragment, Init, Piece};
pub use sample::{Ignored, Unusable};
