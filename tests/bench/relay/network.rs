//! Two network namespaces joined by a virtual cable: what the loopback can't show, whose packets hold 64 KB.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsFd;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where publishers and players find a server that listens on every address. They use networks of their own, so
/// that the server's threads, which are named after the address of their client, tell them apart.
pub const FOR_PUBLISHERS: Ipv4Addr = Ipv4Addr::new(10, 99, 7, 1);
pub const FOR_PLAYERS: Ipv4Addr = Ipv4Addr::new(10, 99, 8, 1);

/// The names of the server's threads that read from publishers, as far as the kernel keeps them (15 bytes).
pub const PUBLISHERS_THREADS: &str = "conn 10.99.7.2:";

/// The ports of every server inside: nobody else is there.
const PORT: u16 = 1935;
const HTTP_PORT: u16 = 8080;

/// How the two namespaces of a program are called, its number standing for the braces.
const NAMES: [&str; 2] = ["gortmp-{}-server", "gortmp-{}-clients"];

/// The namespaces. Dropping it takes them down.
pub struct Pair {
    names: [String; 2],
}

impl Pair {
    /// Makes both, with a cable of the usual MTU of 1,500 bytes.
    ///
    /// # Errors
    /// What is missing, and how to get it.
    pub fn new() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("it makes network namespaces, which takes root: run it with sudo".to_owned());
        }
        remove_leftovers();
        let pair = Self { names: NAMES.map(|name| name.replace("{}", &std::process::id().to_string())) };
        let [server, clients] = &pair.names;
        ip(&format!("netns add {server}"))?;
        ip(&format!("netns add {clients}"))?;
        ip(&format!("link add cable mtu 1500 netns {server} type veth peer name cable mtu 1500 netns {clients}"))?;
        // A camera's frame comes in packets of 1,500 bytes, not in one that the kernel would cut up only at a real
        // card; to the players goes what a server's card would be given.
        ip(&format!("-n {clients} link set cable gso_max_segs 1"))?;
        for (name, host) in [(server, 1), (clients, 2)] {
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} link set cable up"))?;
            // What every system has and is the same everywhere: others may pace what they send.
            ip(&format!("netns exec {name} sysctl -qw net.ipv4.tcp_congestion_control=reno"))?;
            for [a, b, c, _] in [FOR_PUBLISHERS, FOR_PLAYERS].map(|address| address.octets()) {
                ip(&format!("-n {name} address add {a}.{b}.{c}.{host}/24 dev cable"))?;
            }
        }
        Ok(pair)
    }

    /// The namespaces of the server and of the clients.
    pub fn names(&self) -> &[String; 2] {
        &self.names
    }

    /// Does something on the clients' side: its sockets, and those of the threads that it starts, are there.
    pub fn among_clients<T: Send>(&self, does: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            let file = File::open(format!("/run/netns/{}", self.names[1])).expect("our namespace");
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may enter it");
            does()
        };
        std::thread::scope(|scope| scope.spawn(inside).join().expect("it did its work"))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = ip(&format!("netns delete {name}"));
        }
    }
}

/// Where a server inside listens, for all kinds of clients: RTMP, and HTTP.
pub fn listen() -> [SocketAddr; 2] {
    [PORT, HTTP_PORT].map(|port| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())
}

/// Where clients find it.
pub fn reach(address: Ipv4Addr) -> SocketAddr {
    SocketAddrV4::new(address, PORT).into()
}

/// The same over HTTP.
pub fn reach_http(address: Ipv4Addr) -> SocketAddr {
    SocketAddrV4::new(address, HTTP_PORT).into()
}

/// The same command on the server's side.
pub fn on_server_side(command: &Command) -> Command {
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", &NAMES[0].replace("{}", &std::process::id().to_string())]);
    inside.arg(command.get_program()).args(command.get_args());
    inside
}

/// Takes down what a program left that was killed.
fn remove_leftovers() {
    let Ok(there) = std::fs::read_dir("/run/netns") else { return };
    for name in there.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let pid = name.strip_prefix("gortmp-").and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = ip(&format!("netns delete {name}"));
        }
    }
}

/// Runs iproute2's `ip` with these words.
pub fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words.split(' ')).output();
    let output = output.map_err(|error| format!("running ip: {error}; apt-get install iproute2"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or_else(|| format!("ip {words}: {}", error.trim()))
}
