//! Fragmented MP4, as browsers take it (ISO/IEC 14496-12 §8.8): sound and picture of FLV in, an initialisation
//! segment and fragments out.

mod boxes;
mod clock;
mod muxer;
mod pictures;
mod piece;
mod sound;
mod track;

pub use muxer::Muxer;
pub use piece::{Fragment, Init, Piece};
pub use track::{AudioFormat, VideoFormat};
