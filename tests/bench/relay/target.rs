//! The servers that are measured, and what the system says about their processes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::network;
use super::nginx;
use crate::support::tls::make_certificate;

/// Which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Ours, with these options besides.
    Gortmp(Vec<String>),
    /// nginx with its RTMP module.
    Nginx,
    /// A loop that only sends: what no server can do without.
    Bare,
    /// Any other: its name, and the command that starts it, `{port}` standing for the port.
    Other(String, String),
}

impl Target {
    /// The name in the table.
    pub fn name(&self) -> &str {
        match self {
            Self::Gortmp(_) => "gortmp",
            Self::Nginx => "nginx-rtmp",
            Self::Bare => "loopback baseline",
            Self::Other(name, _) => name,
        }
    }
}

/// How a server is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    /// Options that ours gets as well.
    pub options: &'a [&'a str],
    /// TLS besides; nginx's own, in front of its RTMP module.
    pub with_tls: bool,
    /// On the server's side of a [`network::Pair`].
    pub in_pair: bool,
}

/// A running server. Dropping it ends it.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// Where its publishers find it.
    pub for_publishers: SocketAddr,
    /// Where ours and nginx speak HTTP.
    pub http: Option<SocketAddr>,
    /// Where they speak RTMP within TLS, if that is wanted, and ours HTTP.
    pub rtmps: Option<SocketAddr>,
    pub https: Option<SocketAddr>,
    pub target: Target,
    dir: tempfile::TempDir,
}

impl Server {
    /// Starts it with this folder of videos and waits until it listens. Ours logs warnings only.
    pub fn start(target: &Target, videos: &Path) -> Self {
        Self::start_with(target, videos, &["-q"])
    }

    /// The same; ours gets these options as well.
    pub fn start_with(target: &Target, videos: &Path, options: &[&str]) -> Self {
        Self::start_as(target, videos, Setup { options, ..Setup::default() })
    }

    /// The same in another way.
    pub fn start_as(target: &Target, videos: &Path, setup: Setup<'_>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let [listen, http] = if setup.in_pair { network::listen() } else { [free_address(), free_address()] };
        let found_at = |reach| if setup.in_pair { network::reach(reach) } else { listen };
        let (address, for_publishers) = (found_at(network::FOR_PLAYERS), found_at(network::FOR_PUBLISHERS));
        let port = listen.port().to_string();
        let is_ours = matches!(target, Target::Gortmp(_));
        let http = (is_ours || *target == Target::Nginx).then_some(http);
        let certificate = setup.with_tls.then(|| make_certificate(dir.path()));
        let rtmps = setup.with_tls.then(free_address);
        let https = (setup.with_tls && is_ours).then(free_address);
        let mut command = match target {
            Target::Gortmp(options) => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_gortmp"));
                command.args(["-l", &listen.to_string()]).args(http.map(|http| format!("--http={http}")));
                command.args(rtmps.map(|rtmps| format!("--tls-listen={rtmps}")));
                command.args(https.map(|https| format!("--https={https}")));
                if let Some([certificate, key]) = &certificate {
                    command.arg("--tls-cert").arg(certificate).arg("--tls-key").arg(key);
                }
                command.args(setup.options).arg("-d").arg(videos).args(options);
                command
            }
            Target::Nginx => {
                let rtmps = rtmps.zip(certificate.as_ref());
                nginx::command(dir.path(), nginx::Addresses { rtmp: listen, http, rtmps }, videos)
            }
            Target::Bare => {
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command.args(["bare-server", &port]);
                command
            }
            Target::Other(_, line) => {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("exec {}", line.replace("{port}", &port))]);
                command
            }
        };
        if setup.in_pair {
            command = network::on_server_side(&command);
        }
        let log = std::fs::File::create(dir.path().join("log")).expect("a file of ours");
        command.current_dir(dir.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("the same file")).stderr(log);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("starting {}: {error}", target.name()));
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            let has_ended = child.try_wait().expect("the state of a child").is_some();
            if has_ended || Instant::now() > deadline {
                let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
                panic!("{} does not listen: {log}", target.name());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(200));
        Self { child, address, for_publishers, http, rtmps, https, target: target.clone(), dir }
    }

    /// Its resident memory in bytes, read fast enough to do so while it counts.
    pub fn rss(&self) -> u64 {
        rss(self.child.id())
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it logs.
    pub fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// How often its threads of that name have gone to sleep, and were woken again for that.
    pub fn sleeps(&self, thread_name: &str) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the server runs");
        let read = |task: &std::fs::DirEntry, name| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let of_name = tasks.flatten().filter(|task| read(task, "comm").starts_with(thread_name));
        of_name.map(|task| field(&read(&task, "status"), "voluntary_ctxt_switches:")).sum()
    }

    /// What its process has used up to now.
    pub fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its number")
}

/// What the kernel counts CPU time in towards users.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Seconds on a CPU, of the threads that are there.
    pub cpu: f64,
    /// The same with those that have ended, in steps of 10 ms.
    pub cpu_of_all: f64,
    /// Memory that is resident, in bytes.
    pub rss: u64,
    /// Times that a thread was switched away from.
    pub switches: u64,
    pub threads: u64,
    pub descriptors: u64,
}

impl Usage {
    fn of(pid: u32) -> Self {
        let mut usage = Self::default();
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the server runs");
        for task in tasks.flatten() {
            let read = |name| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let nanoseconds = read("schedstat").split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0.0);
            usage.cpu += nanoseconds / 1e9;
            usage.threads += 1;
            let status = read("status");
            usage.switches +=
                field(&status, "voluntary_ctxt_switches:") + field(&status, "nonvoluntary_ctxt_switches:");
        }
        usage.cpu_of_all = cpu_of_all(pid);
        usage.rss = rss(pid);
        usage.descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |fds| fds.count() as u64);
        usage
    }
}

/// Seconds on a CPU of all threads that are and were, in steps of 10 ms.
pub fn cpu_of_all(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Fields 14 and 15; the process's name before them may hold anything.
    let ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

fn rss(pid: u32) -> u64 {
    field(&std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default(), "VmRSS:") * 1024
}

fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.split_whitespace().next()).and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// The bare loop: what comes from the one that publishes goes to each that joined before, send by send.
pub fn run_bare(port: u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
    let mut players = Vec::new();
    for socket in listener.incoming() {
        let mut socket = socket.expect("a connection");
        socket.set_nodelay(true).expect("a socket option");
        let mut first = [0];
        match socket.read(&mut first) {
            Ok(1) if &first == b"J" => players.push(socket),
            Ok(1) => return relay(socket, &mut players),
            _ => {}
        }
    }
}

fn relay(mut publisher: TcpStream, players: &mut Vec<TcpStream>) {
    let mut buffer = vec![0; 1 << 20];
    while let Ok(count @ 1..) = publisher.read(&mut buffer) {
        players.retain_mut(|player| player.write_all(&buffer[..count]).is_ok());
    }
    // The players stay until the benchmark ends this process.
    std::thread::park();
}
