//! The table of connections: a thread for each, and one eye on all.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustls::ServerConfig;

use super::Protocol;

use crate::connection::{Connection, Service, Transport, Watched};
use crate::error::{Error, Result};
use crate::guard::{Complaints, survive};
use crate::http;
use crate::limits;
use crate::tls::Certificate;

/// How long accepting pauses when the machine has run out of something.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// The part of an IPv6 address that a provider or router hands to one customer or host.
const IPV6_NETWORK: u128 = !0 << 64;

pub(super) struct Connections {
    service: Arc<Service>,
    site: Arc<http::Site>,
    most: usize,
    most_per_ip: usize,
    table: Mutex<Table>,
    ended: Condvar,
    next_id: AtomicU64,
    stopping: AtomicBool,
    /// Apart from the warnings about clients that were let in, which a crowd at the door shall not hide.
    turned_away: Complaints,
}

#[derive(Default)]
struct Table {
    peers: HashMap<u64, Arc<dyn Watched>>,
    /// How many come from each address, those of this machine not among them.
    by_network: HashMap<IpAddr, usize>,
}

/// Takes a connection out of the table, however its thread ends.
struct Entry {
    connections: Arc<Connections>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections.site.roster().leave(self.id);
        let mut table = self.connections.table.lock();
        let Some(peer) = table.peers.remove(&self.id) else { return };
        if let Some(network) = network_of(peer.ip())
            && let Some(count) = table.by_network.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                table.by_network.remove(&network);
            }
        }
        drop(table);
        if std::thread::panicking() {
            log::error!("{peer} was closed: its thread panicked");
            peer.close("its thread panicked");
        }
        // The socket goes with it, before anybody counts.
        drop(peer);
        self.connections.ended.notify_all();
    }
}

impl Connections {
    pub fn new(service: Arc<Service>, site: Arc<http::Site>, most: usize, most_per_ip: usize) -> Self {
        Self {
            service,
            site,
            most,
            most_per_ip,
            table: Mutex::default(),
            ended: Condvar::new(),
            next_id: AtomicU64::new(1),
            stopping: AtomicBool::new(false),
            turned_away: Complaints::default(),
        }
    }

    /// Accepts and serves, over TLS if there is a certificate, until [`stop`](Self::stop).
    pub fn accept_from(
        self: &Arc<Self>,
        listener: &TcpListener,
        protocol: Protocol,
        certificate: Option<&Certificate>,
    ) {
        // When descriptors run out this makes room to turn clients away, who would otherwise wait without a word.
        let mut spare = listener.try_clone().ok();
        loop {
            let accepted = listener.accept();
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            match accepted {
                Ok((socket, address)) => {
                    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                    let served = match spare.take().map_or_else(|| listener.try_clone(), Ok) {
                        Ok(kept) => {
                            spare = Some(kept);
                            self.serve(socket, protocol, certificate.map(Certificate::config), address)
                        }
                        Err(error) => {
                            drop(socket);
                            spare = listener.try_clone().ok();
                            Err(Error::io("accepting it", error))
                        }
                    };
                    if let Err(error) = served {
                        self.service.refusals.connections.add(1);
                        self.turned_away.warn(format_args!("[{address}] turned away: {error}"));
                    }
                }
                // The client was gone before it was accepted.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {
                }
                Err(error) if spare.take().is_some() => log::debug!("the spare descriptor is in use: {error}"),
                Err(error) => {
                    self.turned_away.warn(format_args!("can't accept connections: {error}"));
                    std::thread::sleep(EXHAUSTED_PAUSE);
                }
            }
        }
    }

    fn serve(
        self: &Arc<Self>,
        socket: TcpStream,
        protocol: Protocol,
        tls: Option<Arc<ServerConfig>>,
        address: SocketAddr,
    ) -> Result<()> {
        let thread = std::thread::Builder::new().name(format!("conn {address}")).stack_size(limits::THREAD_STACK_BYTES);
        let transport = Transport::new(socket, tls)?;
        // Boxed, since a thread's closure is moved about on its stack, whose pages stay.
        let spawned = match protocol {
            Protocol::Rtmp => {
                let connection = Box::new(Connection::new(self.service.clone(), transport, address));
                let entry = self.enter(connection.peer().clone())?;
                thread.spawn(move || {
                    let _entry = entry;
                    connection.run();
                })
            }
            Protocol::Http => {
                let connection = Box::new(http::Connection::new(self.site.clone(), transport, address));
                let entry = self.enter(connection.guest().clone())?;
                thread.spawn(move || {
                    let _entry = entry;
                    connection.run();
                })
            }
        };
        spawned.map_err(|error| Error::io("starting its thread", error))?;
        Ok(())
    }

    fn enter(self: &Arc<Self>, peer: Arc<dyn Watched>) -> Result<Entry> {
        let mut table = self.table.lock();
        if self.stopping.load(Ordering::Relaxed) {
            // Who comes in now would not be told to go.
            return Err(Error::Disconnected);
        }
        let over = |what, value: usize, limit: usize| Error::Limit { what, value: value as u64, limit: limit as u64 };
        if table.peers.len() >= self.most {
            return Err(over("the number of connections", table.peers.len() + 1, self.most));
        }
        if let Some(network) = network_of(peer.ip()) {
            let count = table.by_network.entry(network).or_default();
            if *count >= self.most_per_ip {
                return Err(over("the number of connections from there", *count + 1, self.most_per_ip));
            }
            *count += 1;
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.site.roster().enter(id, peer.clone());
        table.peers.insert(id, peer);
        Ok(Entry { connections: self.clone(), id })
    }

    fn peers(&self) -> Vec<Arc<dyn Watched>> {
        self.table.lock().peers.values().cloned().collect()
    }

    /// Holds everyone's deadlines against the clock.
    pub fn check(&self, now: Instant) {
        for peer in self.peers() {
            if survive(|| peer.check(now)).is_none() {
                peer.close("looking after it panicked");
            }
        }
        self.turned_away.tick(now);
        self.service.complaints.tick(now);
    }

    /// Asks all clients to go and takes no more.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.peers().iter().for_each(|peer| peer.ask_to_leave("the server stops"));
    }

    /// Ends all connections, whatever is still to be said on them.
    pub fn close_all(&self) {
        self.peers().iter().for_each(|peer| peer.close("the server stops"));
    }

    /// Waits for the threads of ended connections; says whether all have gone.
    pub fn wait_until_none(&self, timeout: Duration) -> bool {
        let mut table = self.table.lock();
        let until = Instant::now() + timeout;
        while !table.peers.is_empty() {
            if self.ended.wait_until(&mut table, until).timed_out() {
                return table.peers.is_empty();
            }
        }
        true
    }
}

/// What counts as one place: an IPv4 address, or an IPv6 network, of which one host has all addresses that it likes.
fn network_of(ip: IpAddr) -> Option<IpAddr> {
    match ip.to_canonical() {
        ip if ip.is_loopback() => None,
        IpAddr::V6(ip) => Some(IpAddr::from((u128::from(ip) & IPV6_NETWORK).to_be_bytes())),
        ip => Some(ip),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::Ipv4Addr;

    use super::*;
    use crate::access::{Access, AccessConfig};
    use crate::guard::Budget;
    use crate::live::{Gather, LanePool, Registry, Settings};
    use crate::stats::Refusals;
    use crate::vod::Library;

    fn connections(most: usize, most_per_ip: usize) -> Arc<Connections> {
        let service = Service {
            registry: Registry::new(Settings::default()),
            lanes: LanePool::start(1, Gather::Auto).unwrap(),
            library: Library::new("nowhere".into()),
            access: Access::new(AccessConfig::default()).unwrap(),
            live_apps: vec!["live".to_owned()],
            vod_app: "gortmp".to_owned(),
            gop_cache: true,
            publish_timeout: limits::PUBLISHER_SILENCE,
            partial: Budget::new(limits::PARTIAL_BYTES_OF_ALL),
            complaints: Complaints::default(),
            refusals: Refusals::default(),
        };
        let service = Arc::new(service);
        let site = Arc::new(http::Site::new(service.clone(), http::Facts::default()));
        Arc::new(Connections::new(service, site, most, most_per_ip))
    }

    /// A client that says it comes from there.
    fn client(connections: &Connections, address: &str) -> (Connection, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let transport = Transport::new(listener.accept().unwrap().0, None).unwrap();
        (Connection::new(connections.service.clone(), transport, address.parse().unwrap()), there)
    }

    #[test]
    fn a_panic_ends_one_connection_and_frees_its_stream() {
        let connections = connections(10, 10);
        let (good, _) = client(&connections, "192.0.2.8:5000");
        let _good = connections.enter(good.peer().clone()).unwrap();
        let (connection, mut there) = client(&connections, "192.0.2.7:5000");
        let entry = connections.enter(connection.peer().clone()).unwrap();
        let (service, publish) = (connections.service.clone(), |service: &Service| {
            service.registry.publish("live/cam", "[192.0.2.7:5000]", Instant::now(), Box::new(|_| {}))
        });
        let thread = std::thread::spawn(move || {
            let _entry = entry;
            let _connection = connection;
            let _publication = publish(&service).unwrap();
            assert!(publish(&service).is_err(), "the name is taken");
            panic!("a defect, on purpose");
        });
        assert!(thread.join().is_err());
        assert_eq!(there.read(&mut [0]).unwrap(), 0, "its socket is closed");
        assert!(publish(&connections.service).is_ok(), "the name is free");
        assert_eq!(connections.table.lock().peers.len(), 1);
    }

    #[test]
    fn connections_at_the_limits_and_one_past() {
        let connections = connections(4, 2);
        let enter = |address: &str| connections.enter(client(&connections, address).0.peer().clone());
        let first = enter("192.0.2.7:1").unwrap();
        let _second = enter("192.0.2.7:2").unwrap();
        let refused = enter("192.0.2.7:3").err().unwrap().to_string();
        assert!(refused.contains("from there is 3, over the limit of 2"), "{refused}");
        let _others = [enter("127.0.0.1:1").unwrap(), enter("127.0.0.1:2").unwrap()];
        let refused = enter("192.0.2.8:1").err().unwrap().to_string();
        assert!(refused.contains("connections is 5, over the limit of 4"), "{refused}");
        drop(first);
        let third = enter("192.0.2.7:3").unwrap();
        drop((third, _second));
        assert!(connections.table.lock().by_network.is_empty(), "who has gone is not remembered");
    }

    #[test]
    fn an_ipv6_network_counts_as_one_and_this_machine_not_at_all() {
        let network = |ip: &str| network_of(ip.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_eq!([network("127.0.0.1"), network("::1"), network("::ffff:127.0.0.1")], [None, None, None]);
    }
}
