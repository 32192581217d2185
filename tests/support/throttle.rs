//! A link that carries so many bytes a second from a server to its client, and keeps little on the way.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};

/// The receive window, as far as the system lets it be small.
const WINDOW: usize = 8 * 1024;
const STEP: Duration = Duration::from_millis(5);

/// A way to the server for one client.
pub struct Throttle {
    pub address: SocketAddr,
}

impl Throttle {
    /// With so many bytes a second.
    pub fn start(server: SocketAddr, rate: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its number");
        std::thread::spawn(move || {
            let (client, _) = listener.accept().expect("a client");
            let far = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
            sockopt::set_socket_recv_buffer_size(&far, WINDOW).expect("a small window");
            connect(&far, &server).expect("the server");
            let far = TcpStream::from(far);
            let (up_from, up_to) = (client.try_clone().expect("a handle"), far.try_clone().expect("a handle"));
            std::thread::spawn(move || std::io::copy(&mut &up_from, &mut &up_to));
            carry(&far, &client, rate);
            let _ = client.shutdown(Shutdown::Both);
        });
        Self { address }
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, rate: usize) {
    let (mut buffer, mut due, mut allowed) = ([0; 64 * 1024], Instant::now(), 0.0);
    loop {
        due += STEP;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        allowed += rate as f64 * STEP.as_secs_f64();
        while allowed >= 1.0 {
            let most = buffer.len().min(allowed as usize);
            from.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
            match from.read(&mut buffer[..most]) {
                Ok(0) => return,
                Ok(count) => {
                    allowed -= count as f64;
                    if to.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
                // What it has not carried it can't carry later.
                Err(_) => {
                    (allowed, due) = (0.0, Instant::now());
                }
            }
        }
    }
}
