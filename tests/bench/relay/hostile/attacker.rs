//! What all attacks need: connections, and finding out how they end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};

use super::Stage;
use super::bytes;
use super::rng::Rng;
use super::tally::{Fate, Fates};

/// Milliseconds.
pub const fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// How long a connection, or the answer in a handshake, may take: long, since a server that is busy may be.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long sending may block before the attack goes on with something else.
const SENDING: Duration = Duration::from_secs(1);

/// How long it may take to read what a stalled player has left unread.
const UNREAD: Duration = Duration::from_secs(3);

/// How often standing connections are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A kind of attack: rounds of it with pauses between them.
pub struct Kind {
    pub name: &'static str,
    pub pause: Duration,
    pub round: fn(&mut Attacker) -> io::Result<()>,
}

/// What is attacked.
#[derive(Debug)]
pub struct Target {
    pub server: SocketAddr,
    /// Where it speaks HTTP.
    pub http: SocketAddr,
    /// Live streams that are published all the time.
    pub published: [&'static str; 2],
    /// What the server should never have done.
    pub breaches: Mutex<Vec<String>>,
}

/// One that makes attacks of one kind.
pub struct Attacker {
    pub target: Arc<Target>,
    pub rng: Rng,
    /// Rounds made before this one.
    pub rounds: u64,
    fates: Arc<Fates>,
    stage: Arc<Stage>,
}

impl Attacker {
    pub fn new(target: Arc<Target>, seed: u64, fates: Arc<Fates>, stage: Arc<Stage>) -> Self {
        Self { target, rng: Rng::new(seed), rounds: 0, fates, stage }
    }

    /// Attacks until all attacks are over.
    pub fn run(&mut self, kind: &Kind) {
        while self.goes_on() {
            // One that could not even begin was turned away.
            if (kind.round)(self).is_err() {
                self.note(Fate::Closed);
            }
            self.rounds += 1;
            self.rest(kind.pause);
        }
    }

    pub fn goes_on(&self) -> bool {
        self.stage.others_go_on()
    }

    /// Sleeps, unless all is over before.
    pub fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        while self.goes_on() && Instant::now() < until {
            std::thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
        }
    }

    pub fn note(&self, fate: Fate) {
        self.fates.note(fate, 1);
    }

    /// Notes something that must not be.
    pub fn breach(&self, text: String) {
        self.target.breaches.lock().push(text);
    }

    /// A connection that has said nothing yet.
    pub fn dial(&self) -> io::Result<TcpStream> {
        Self::dial_to(&self.target.server)
    }

    /// The same over HTTP.
    pub fn dial_http(&self) -> io::Result<TcpStream> {
        Self::dial_to(&self.target.http)
    }

    fn dial_to(address: &SocketAddr) -> io::Result<TcpStream> {
        let socket = TcpStream::connect_timeout(address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(SENDING))?;
        Ok(socket)
    }

    /// A connection behind its handshake.
    pub fn shake(&self) -> io::Result<TcpStream> {
        let mut socket = self.dial()?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(&bytes::hello())?;
        socket.read_exact(&mut vec![0; 1 + 2 * bytes::PACKET])?;
        socket.write_all(&[0; bytes::PACKET])?;
        Ok(socket)
    }

    /// A connection to an application with message stream 1. The answers are not waited for.
    pub fn enter(&self, app: &str) -> io::Result<TcpStream> {
        let mut socket = self.shake()?;
        socket.write_all(&[bytes::connect(app), bytes::create_stream()].concat())?;
        Ok(socket)
    }

    /// A connection that publishes under that name.
    pub fn publisher(&self, name: &str) -> io::Result<TcpStream> {
        let mut socket = self.enter("live")?;
        socket.write_all(&bytes::publish(name))?;
        Ok(socket)
    }

    /// A connection that plays.
    pub fn player(&self, app: &str, name: &str) -> io::Result<TcpStream> {
        let mut socket = self.enter(app)?;
        socket.write_all(&bytes::play(name))?;
        Ok(socket)
    }

    /// Sends as much of it as the server takes.
    pub fn say(&self, socket: &TcpStream, bytes: &[u8]) {
        let _ = { socket }.write_all(bytes);
    }

    /// Reads what comes until the server hangs up or for so long; notes how it ended and returns the last bytes.
    pub fn settle(&self, socket: &TcpStream, patience: Duration) -> Vec<u8> {
        let (heard, is_closed) = self.listen(socket, patience);
        self.note(match (bytes::is_refusal(&heard), is_closed) {
            (true, _) => Fate::Refused,
            (false, true) => Fate::Closed,
            (false, false) => Fate::Ended,
        });
        heard
    }

    /// The same over HTTP, where refusals are statuses.
    pub fn settle_http(&self, socket: &TcpStream, patience: Duration) -> Vec<u8> {
        let (heard, is_closed) = self.listen(socket, patience);
        self.note(match (heard.starts_with(b"HTTP/1.1 4"), is_closed) {
            (true, _) => Fate::Refused,
            (false, true) => Fate::Closed,
            (false, false) => Fate::Ended,
        });
        heard
    }

    /// The same where it counts only whether the server has hung up.
    pub fn settle_closed(&self, socket: &TcpStream, patience: Duration) {
        let (_, is_closed) = self.listen(socket, patience);
        self.note(if is_closed { Fate::Closed } else { Fate::Ended });
    }

    /// The last bytes that come until the server hangs up or for so long, and whether it has hung up.
    fn listen(&self, mut socket: &TcpStream, patience: Duration) -> (Vec<u8>, bool) {
        let mut heard = Vec::new();
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.goes_on() || socket.set_read_timeout(Some(left.min(LOOK))).is_err() {
                return (heard, false);
            }
            let mut buffer = [0; 16 * 1024];
            match socket.read(&mut buffer) {
                Ok(0) => return (heard, true),
                Ok(count) => heard.extend_from_slice(&buffer[..count]),
                Err(error) if is_timeout(&error) => {}
                Err(_) => return (heard, true),
            }
            heard.drain(..heard.len().saturating_sub(64 * 1024));
        }
    }

    /// Keeps connections until the server has closed them, at most for so long. `drip` is called now and then for
    /// each, and says with an error that one is gone.
    pub fn stand(
        &self,
        mut sockets: Vec<TcpStream>,
        patience: Duration,
        mut drip: impl FnMut(&TcpStream) -> io::Result<()>,
    ) {
        let until = Instant::now() + patience;
        sockets.iter().for_each(|socket| socket.set_nonblocking(true).unwrap_or_default());
        while self.goes_on() && Instant::now() < until && !sockets.is_empty() {
            sockets.retain(|socket| {
                let stays = drip(socket).is_ok_and(|()| !is_closed(socket));
                if !stays {
                    self.note(Fate::Closed);
                }
                stays
            });
            std::thread::sleep(LOOK);
        }
        sockets.iter().for_each(|_| self.note(Fate::Ended));
    }

    /// Keeps connections of which nothing is read, or next to nothing by `drip`, for so long. That the server has
    /// closed them shows only when all that had been sent before is read.
    pub fn stall(&self, sockets: &[TcpStream], time: Duration, mut drip: impl FnMut(&TcpStream)) {
        let until = Instant::now() + time;
        while self.goes_on() && Instant::now() < until {
            sockets.iter().for_each(&mut drip);
            self.rest(Duration::from_secs(1));
        }
        for socket in sockets {
            let _ = set_socket_recv_buffer_size(socket, 1 << 20);
            // A connection that the server has closed is reset by this, however much is on its way still.
            self.say(socket, &bytes::message(2, 0, 3, 0, &[0; 4]));
            self.settle_closed(socket, UNREAD);
        }
    }
}

/// Whether the server has hung up; what it sent is ignored.
fn is_closed(mut socket: &TcpStream) -> bool {
    loop {
        match socket.read(&mut [0; 4096]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return !is_timeout(&error),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Closing this connection is a reset instead of an end.
pub fn will_reset(socket: &TcpStream) {
    let _ = set_socket_linger(socket, Some(Duration::ZERO));
}
