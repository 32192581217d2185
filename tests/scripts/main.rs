//! The scripts that push cameras, with stand-ins for hardware and with real cameras.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod hardware;
mod ip_camera_faults;
mod ip_cameras;
mod push;
