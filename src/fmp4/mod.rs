//! Fragmented MP4, as browsers take it (ISO/IEC 14496-12 §8.8): sound and picture of FLV in, an initialisation
//! segment and fragments out.

mod piece;

pub use piece::{Fragment, Init, Piece};
