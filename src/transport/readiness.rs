//! Waiting for a socket.

use std::net::TcpStream;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Waits until `until` for that event; returns whether it came.
pub(super) fn wait_ready(socket: &TcpStream, what: PollFlags, until: Option<Instant>) -> bool {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() });
        match poll(&mut [PollFd::new(socket, what)], timeout.as_ref()) {
            Ok(0) => return false,
            Err(Errno::INTR) => {}
            // Errors show in the next operation.
            Ok(_) | Err(_) => return true,
        }
    }
}
