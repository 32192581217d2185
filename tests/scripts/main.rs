//! The scripts that push cameras, with stand-ins for hardware and with real cameras.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod hardware;
mod ip_camera_faults;
mod ip_cameras;
mod push;

use support::turns::Turns;

/// Cameras encode, and so does what pushes them.
static TURNS: Turns = Turns::new(6);
