//! A place whose way to the server can be cut without a word to either side: a network of its own, or where the
//! system allows none, a relay between the two that stops.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::faults::{is_root, prefixed, system_tool};
use super::*;

/// What cuts the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A cable that is pulled.
    Cable,
    /// A firewall that forgot the connection and drops what belongs to it.
    Firewall,
}

pub struct RemoteHost {
    network: Option<Network>,
    is_cut: Arc<AtomicBool>,
}

/// A network namespace that lives as long as the process that holds it, and that process as long as its test.
struct Network {
    holder: Child,
    here: Ipv4Addr,
}

impl RemoteHost {
    pub fn new() -> Self {
        Self { network: Network::new(), is_cut: Arc::default() }
    }

    /// What a server has to listen on to be reached from there.
    pub fn listen(&self) -> String {
        let here = self.network.as_ref().map_or(Ipv4Addr::new(127, 0, 0, 2), |network| network.here);
        format!("{here}:0")
    }

    /// Where a server that listens there is to be found from there.
    pub fn server(&self, server: &Server) -> SocketAddr {
        let (ip, _) = self.listen().split_once(':').map(|(ip, port)| (ip.to_owned(), port.to_owned())).expect("a port");
        let line = server.wait_for_log(&format!("listening on rtmp://{ip}:"));
        let address = line.split_once("rtmp://").and_then(|(_, address)| address.trim().parse().ok());
        let address = address.expect("an address");
        if self.network.is_some() { address } else { relay(address, self.is_cut.clone()) }
    }

    /// A command that runs there.
    pub fn command(&self, command: Command) -> Command {
        match &self.network {
            Some(network) => prefixed(network.enter(), &command),
            None => command,
        }
    }

    /// Cuts the way in both directions. Neither side is told.
    pub fn cut(&self, cut: Cut) {
        self.is_cut.store(true, Ordering::Relaxed);
        let Some(network) = &self.network else { return };
        let mut command = network.enter();
        match cut {
            Cut::Cable => command.args(["ip", "link", "set", "far", "down"]),
            Cut::Firewall => command.args([
                system_tool("nft", "nftables").get_program().to_str().expect("a plain path"),
                "add table inet cut; \
                 add chain inet cut in { type filter hook input priority 0; policy drop; }; \
                 add chain inet cut out { type filter hook output priority 0; policy drop; }",
            ]),
        };
        run(&mut command).expect("the way is cut");
    }
}

impl Network {
    fn new() -> Option<Self> {
        if !is_root() {
            return None;
        }
        let mut holder = tool("setpriv", "util-linux");
        holder.args(["--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"]);
        let holder = holder.stdin(Stdio::null()).spawn().expect("setpriv runs");
        // Each network of each process that may run now has its own, from the range for such tests.
        static NETWORKS: AtomicU32 = AtomicU32::new(0);
        let id = std::process::id().wrapping_mul(8).wrapping_add(NETWORKS.fetch_add(1, Ordering::Relaxed)) % (1 << 15);
        let base = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + 4 * id;
        let network = Self { holder, here: (base + 1).into() };
        match network.set_up(&Ipv4Addr::from(base + 2), id) {
            Ok(()) => Some(network),
            Err(error) => {
                eprintln!("there are no networks to be had, so a relay that stops stands in for one: {error}");
                None
            }
        }
    }

    fn set_up(&self, there: &Ipv4Addr, id: u32) -> Result<(), String> {
        let ip = |arguments: &str| run(system_tool("ip", "iproute2").args(arguments.split(' ')));
        let pid = self.holder.id();
        let own = std::fs::read_link("/proc/self/ns/net").map_err(|error| error.to_string())?;
        let until = std::time::Instant::now() + PATIENCE;
        while std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|network| network == own) {
            if std::time::Instant::now() > until {
                return Err("unshare made none".to_owned());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        ip(&format!("link add gortmp{id} type veth peer name far netns {pid}"))?;
        ip(&format!("addr add {}/30 dev gortmp{id}", self.here))?;
        ip(&format!("link set gortmp{id} up"))?;
        run(self.enter().args(["ip", "addr", "add", &format!("{there}/30"), "dev", "far"]))?;
        run(self.enter().args(["ip", "link", "set", "far", "up"]))
    }

    fn enter(&self) -> Command {
        let mut command = tool("nsenter", "util-linux");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id()));
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let announced = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {announced}")) }
}

/// Passes bytes on in both directions until told to stop; then it neither reads nor closes.
fn relay(to: SocketAddr, stop: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let far = TcpStream::connect(to).expect("the server is there");
            for (from, to) in [(&near, &far), (&far, &near)] {
                let (from, to) = (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
                let stop = stop.clone();
                std::thread::spawn(move || pass_on(from, to, &stop));
            }
        }
    });
    address
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, stop: &AtomicBool) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length) = from.read(&mut buffer) {
        while stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_secs(1));
        }
        if length == 0 || to.write_all(&buffer[..length]).is_err() {
            let _ = to.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}
