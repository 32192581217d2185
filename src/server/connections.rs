//! The table of connections: a thread for each, and one eye on all.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::connection::{Connection, Peer, Service};
use crate::error::Result;
use crate::limits;

/// How long accepting pauses when the machine has run out of something.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Connections {
    service: Arc<Service>,
    peers: Mutex<HashMap<u64, Arc<Peer>>>,
    ended: Condvar,
    next_id: AtomicU64,
    stopping: AtomicBool,
    last_complaint: Mutex<Option<Instant>>,
}

/// Takes a connection out of the table, however its thread ends.
struct Entry {
    connections: Arc<Connections>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections.peers.lock().remove(&self.id);
        self.connections.ended.notify_all();
    }
}

impl Connections {
    pub fn new(service: Arc<Service>) -> Self {
        Self {
            service,
            peers: Mutex::default(),
            ended: Condvar::new(),
            next_id: AtomicU64::new(1),
            stopping: AtomicBool::new(false),
            last_complaint: Mutex::default(),
        }
    }

    /// Accepts and serves until [`stop`](Self::stop).
    pub fn accept_from(self: &Arc<Self>, listener: &TcpListener) {
        // When descriptors run out this makes room to turn clients away, who would otherwise wait without a word.
        let mut spare = listener.try_clone().ok();
        loop {
            let accepted = listener.accept();
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            match accepted {
                Ok((socket, address)) => {
                    let served = match spare.take().map_or_else(|| listener.try_clone(), Ok) {
                        Ok(kept) => {
                            spare = Some(kept);
                            self.serve(socket, address)
                        }
                        Err(error) => {
                            drop(socket);
                            spare = listener.try_clone().ok();
                            Err(crate::Error::io("accepting it", error))
                        }
                    };
                    if let Err(error) = served {
                        self.complain(&format!("[{address}] turned away: {error}"));
                    }
                }
                // The client was gone before it was accepted.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {
                }
                Err(error) if spare.take().is_some() => log::debug!("the spare descriptor is in use: {error}"),
                Err(error) => {
                    self.complain(&format!("can't accept connections: {error}"));
                    std::thread::sleep(EXHAUSTED_PAUSE);
                }
            }
        }
    }

    fn serve(self: &Arc<Self>, socket: TcpStream, address: SocketAddr) -> Result<()> {
        let name = SocketAddr::new(address.ip().to_canonical(), address.port()).to_string();
        let thread = std::thread::Builder::new().name(format!("conn {name}")).stack_size(limits::THREAD_STACK_BYTES);
        // Boxed, since a thread's closure is moved about on its stack, whose pages stay.
        let connection = Box::new(Connection::new(self.service.clone(), &socket, name)?);
        let entry = self.enter(connection.peer().clone())?;
        let run = move || {
            let _entry = entry;
            connection.run(&socket);
        };
        thread.spawn(run).map_err(|error| crate::Error::io("starting its thread", error))?;
        Ok(())
    }

    fn enter(self: &Arc<Self>, peer: Arc<Peer>) -> Result<Entry> {
        let mut peers = self.peers.lock();
        if self.stopping.load(Ordering::Relaxed) {
            // Who comes in now would not be told to go.
            return Err(crate::Error::Disconnected);
        }
        if peers.len() >= limits::CONNECTIONS {
            let (value, limit) = (peers.len() as u64 + 1, limits::CONNECTIONS as u64);
            return Err(crate::Error::Limit { what: "the number of connections", value, limit });
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        peers.insert(id, peer);
        Ok(Entry { connections: self.clone(), id })
    }

    /// At most one line a second: who floods the server shall not flood the log.
    fn complain(&self, text: &str) {
        let mut last = self.last_complaint.lock();
        if last.is_none_or(|last| last.elapsed() >= Duration::from_secs(1)) {
            log::warn!("{text}");
            *last = Some(Instant::now());
        }
    }

    /// Holds everyone's deadlines against the clock.
    pub fn check(&self, now: Instant) {
        let peers: Vec<_> = self.peers.lock().values().cloned().collect();
        peers.iter().for_each(|peer| peer.check(now));
    }

    /// Ends all connections and takes no more.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.peers.lock().values().for_each(|peer| peer.close("the server stops"));
    }

    /// Waits for the threads of ended connections; says whether all have gone.
    pub fn wait_until_none(&self, timeout: Duration) -> bool {
        let mut peers = self.peers.lock();
        let until = Instant::now() + timeout;
        while !peers.is_empty() {
            if self.ended.wait_until(&mut peers, until).timed_out() {
                return peers.is_empty();
            }
        }
        true
    }
}
