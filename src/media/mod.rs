//! Media messages (audio, video, data) and the parsing of their tag headers.

pub mod codec;
mod nal_units;
mod packet;
mod references;
pub mod tag_header;
mod timestamp;

pub use codec::Codec;
pub(crate) use packet::HeaderSlot;
pub use packet::{Packet, PacketKind};
pub(crate) use references::References;
pub use timestamp::Timestamp;
