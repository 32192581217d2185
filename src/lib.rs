//! gortmp: an RTMP camera relay and video-on-demand server, and the library it is made of.
#![forbid(unsafe_code)]

pub mod amf;
pub mod error;
pub mod flv;
pub mod limits;
pub mod live;
pub mod media;
pub mod rtmp;
pub mod session;
pub mod vod;

pub use error::{Error, Result};
