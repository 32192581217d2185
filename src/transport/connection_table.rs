//! The connection table: all connections, their limits, and their shutdown.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::managed_connection::ManagedConnection;
use crate::error::{Error, Result};
use crate::guard::catch_panic;

/// The part of an IPv6 address that a provider or router assigns to one customer or host.
const IPV6_NETWORK: u128 = !0 << 64;

/// All connections of a server by id; ids are never reused.
#[derive(Debug)]
pub(crate) struct ConnectionTable {
    max_connections: usize,
    max_per_ip: usize,
    table: Mutex<Table>,
    changed: Condvar,
    is_draining: AtomicBool,
}

#[derive(Default)]
struct Table {
    connections: BTreeMap<u64, Arc<ManagedConnection>>,
    /// The number of connections from each network, except for loopback.
    by_network: HashMap<IpAddr, usize>,
    last_id: u64,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("connections", &self.connections.len()).finish_non_exhaustive()
    }
}

/// Removes a connection from the table when dropped, however its thread ends.
#[derive(Debug)]
pub(crate) struct Registration {
    connections: Arc<ConnectionTable>,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut table = self.connections.table.lock();
        let Some(connection) = table.connections.remove(&self.id) else { return };
        if let Some(network) = network_of(connection.ip())
            && let Some(count) = table.by_network.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                table.by_network.remove(&network);
            }
        }
        drop(table);
        if std::thread::panicking() {
            log::error!("{connection} closed: its thread panicked");
            connection.close("its thread panicked");
        }
        // The socket is closed before the waiter counts.
        drop(connection);
        self.connections.changed.notify_all();
    }
}

impl ConnectionTable {
    /// Creates a table for that many connections, and that many per address.
    pub(crate) fn new(max_connections: usize, max_per_ip: usize) -> Self {
        Self {
            max_connections,
            max_per_ip,
            table: Mutex::default(),
            changed: Condvar::new(),
            is_draining: AtomicBool::new(false),
        }
    }

    /// Registers a connection.
    ///
    /// # Errors
    /// [`Error::Limit`] when there are too many, [`Error::Disconnected`] when the server is stopping.
    pub(crate) fn register(self: &Arc<Self>, connection: Arc<ManagedConnection>) -> Result<Registration> {
        let mut table = self.table.lock();
        if self.is_draining() {
            // A connection registered now would not be told to close.
            return Err(Error::Disconnected);
        }
        let over = |what, value: usize, limit: usize| Error::Limit { what, value: value as u64, limit: limit as u64 };
        if table.connections.len() >= self.max_connections {
            return Err(over("the number of connections", table.connections.len() + 1, self.max_connections));
        }
        if let Some(network) = network_of(connection.ip()) {
            let count = table.by_network.entry(network).or_default();
            if *count >= self.max_per_ip {
                return Err(over("the number of connections from there", *count + 1, self.max_per_ip));
            }
            *count += 1;
        }
        table.last_id += 1;
        let id = table.last_id;
        table.connections.insert(id, connection);
        Ok(Registration { connections: self.clone(), id })
    }

    /// Returns a connection.
    pub(crate) fn get(&self, id: u64) -> Option<Arc<ManagedConnection>> {
        self.table.lock().connections.get(&id).cloned()
    }

    /// Returns all connections, by id.
    pub(crate) fn all(&self) -> Vec<(u64, Arc<ManagedConnection>)> {
        self.table.lock().connections.iter().map(|(id, connection)| (*id, connection.clone())).collect()
    }

    /// Returns the ids of publishing connections by stream name.
    pub(crate) fn publishers(&self) -> HashMap<String, u64> {
        let publishes = |(id, connection): (u64, Arc<ManagedConnection>)| {
            connection.publishes().into_iter().map(move |name| (name, id))
        };
        self.all().into_iter().flat_map(publishes).collect()
    }

    /// Returns the number of connections.
    pub(crate) fn len(&self) -> usize {
        self.table.lock().connections.len()
    }

    /// Returns the limit of connections.
    pub(crate) fn max_connections(&self) -> usize {
        self.max_connections
    }

    /// Returns the limit of connections per address.
    pub(crate) fn max_per_ip(&self) -> usize {
        self.max_per_ip
    }

    /// Checks the deadlines of all connections.
    pub(crate) fn check(&self, now: Instant) {
        for (_, connection) in self.all() {
            if catch_panic(|| connection.check(now)).is_none() {
                connection.close("checking its deadlines panicked");
            }
        }
    }

    /// Whether the server is stopping.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Stops accepting connections and makes all of them drain.
    pub(crate) fn start_draining(&self, reason: &str) {
        self.is_draining.store(true, Ordering::Relaxed);
        self.all().iter().for_each(|(_, connection)| connection.start_draining(reason));
    }

    /// Closes all connections at once.
    pub(crate) fn close_all(&self, reason: &str) {
        self.all().iter().for_each(|(_, connection)| connection.close(reason));
    }

    /// Waits until all connections are gone; returns whether they are.
    pub(crate) fn wait_until_empty(&self, timeout: Duration) -> bool {
        let mut table = self.table.lock();
        let until = Instant::now() + timeout;
        while !table.connections.is_empty() {
            if self.changed.wait_until(&mut table, until).timed_out() {
                return table.connections.is_empty();
            }
        }
        true
    }
}

/// Returns what counts as one address: an IPv4 address, or an IPv6 network, of which one host can use all addresses.
/// `None` for loopback.
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
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;
    use crate::limits;
    use crate::live::{LanePool, MergeWindow};
    use crate::transport::{Protocol, Socket};

    /// Returns a client with that address.
    fn client(address: &str) -> (Arc<ManagedConnection>, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = Socket::new(listener.accept().unwrap().0, None).unwrap();
        let lane = LanePool::start(1, MergeWindow::Auto).unwrap().pick();
        let address = address.parse().unwrap();
        (ManagedConnection::new(Protocol::Http, address, socket, lane, limits::PUBLISHER_SILENCE), there)
    }

    #[test]
    fn a_panic_ends_one_connection() {
        let table = Arc::new(ConnectionTable::new(10, 10));
        let _good = table.register(client("192.0.2.8:5000").0).unwrap();
        let (connection, mut there) = client("192.0.2.7:5000");
        let registration = table.register(connection).unwrap();
        let thread = std::thread::spawn(move || {
            let _registration = registration;
            panic!("deliberate panic");
        });
        assert!(thread.join().is_err());
        assert_eq!(there.read(&mut [0]).unwrap(), 0, "its socket is closed");
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn connections_at_the_limits_and_one_past() {
        let table = Arc::new(ConnectionTable::new(4, 2));
        let register = |address: &str| table.register(client(address).0);
        let first = register("192.0.2.7:1").unwrap();
        let second = register("192.0.2.7:2").unwrap();
        let refused = register("192.0.2.7:3").unwrap_err().to_string();
        assert!(refused.contains("from there is 3, over the limit of 2"), "{refused}");
        let _others = [register("127.0.0.1:1").unwrap(), register("127.0.0.1:2").unwrap()];
        let refused = register("192.0.2.8:1").unwrap_err().to_string();
        assert!(refused.contains("connections is 5, over the limit of 4"), "{refused}");
        drop(first);
        let third = register("192.0.2.7:3").unwrap();
        drop((third, second));
        assert!(table.table.lock().by_network.is_empty(), "closed connections are not counted");
    }

    #[test]
    fn no_connection_is_accepted_while_draining() {
        let table = Arc::new(ConnectionTable::new(4, 2));
        let (connection, _there) = client("192.0.2.7:1");
        let registration = table.register(connection.clone()).unwrap();
        table.start_draining("the server stops");
        assert!(connection.is_draining());
        assert!(matches!(table.register(client("192.0.2.7:2").0), Err(Error::Disconnected)));
        assert!(!table.wait_until_empty(Duration::ZERO));
        drop(registration);
        assert!(table.wait_until_empty(Duration::ZERO));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address_and_loopback_as_none() {
        let network = |ip: &str| network_of(ip.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_eq!([network("127.0.0.1"), network("::1"), network("::ffff:127.0.0.1")], [None, None, None]);
    }
}
