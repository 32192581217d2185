//! Socket options that no crate supports: the only unsafe code there is.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use libc::{IPPROTO_TCP, SO_RCVLOWAT, SOL_SOCKET, TCP_NOTSENT_LOWAT, c_int, c_void, setsockopt, socklen_t};

/// Sets how many bytes have to be available to wake up a poll or read; the end, an error and a full receive buffer do
/// so as well (`socket(7)`, `SO_RCVLOWAT`).
pub(super) fn set_receive_low_water(socket: &TcpStream, bytes: usize) -> io::Result<()> {
    set(socket, SOL_SOCKET, SO_RCVLOWAT, bytes)
}

/// Sets how many unsent bytes make the system's queue count as full, whatever room it has besides what is in flight
/// (`tcp(7)`, `TCP_NOTSENT_LOWAT`); 0 for no limit.
pub(super) fn set_unsent_low_water(socket: &TcpStream, bytes: usize) -> io::Result<()> {
    set(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes)
}

fn set(socket: &TcpStream, level: c_int, name: c_int, value: usize) -> io::Result<()> {
    let value = c_int::try_from(value).unwrap_or(c_int::MAX);
    #[allow(unsafe_code, reason = "neither the standard library nor rustix knows these options")]
    // SAFETY: the descriptor is open for as long as `socket` is borrowed, and the kernel reads `size_of::<c_int>()` bytes
    // from a `c_int` that lives until the call returns.
    let result = unsafe {
        setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast::<c_void>(),
            size_of::<c_int>() as socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::{Duration, Instant};

    use rustix::event::PollFlags;

    use super::super::readiness::wait_ready;
    use super::*;

    #[test]
    fn a_poll_wakes_up_for_enough_bytes_or_the_end() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (here, _) = listener.accept().unwrap();
        let is_enough = || wait_ready(&here, PollFlags::IN, Some(Instant::now() + Duration::from_millis(100)));
        set_receive_low_water(&here, 100).unwrap();
        there.write_all(&[7; 99]).unwrap();
        assert!(!is_enough());
        there.write_all(&[7]).unwrap();
        assert!(is_enough());
        set_receive_low_water(&here, 1000).unwrap();
        assert!(!is_enough());
        drop(there);
        assert!(is_enough());
    }
}
