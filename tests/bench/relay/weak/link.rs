//! The weak link, which is a script of its own.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::network::{self, Pair};

/// The server's address on the link, and the players'.
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 9, 1);
const PLAYERS: Ipv4Addr = Ipv4Addr::new(10, 99, 9, 2);

/// How good a link is.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// Milliseconds each way, and at most so many more by chance.
    pub delay: u32,
    pub jitter: u32,
    /// Per cent of the packets that are lost.
    pub loss: u32,
    /// Bits a second each way.
    pub kbits: u32,
    /// It is gone for so many seconds each time that so many have passed.
    pub gone: Option<(u32, u32)>,
}

/// A link that is there until this is dropped.
pub struct Link {
    script: Child,
}

impl Link {
    /// Joins the two sides besides the cable.
    pub fn start(pair: &Pair, quality: Quality) -> Self {
        let [server, clients] = pair.names();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/weak/link.py");
        let mut command = Command::new("python3");
        let Quality { delay, jitter, loss, kbits, gone } = quality;
        let rate = f64::from(kbits) / 1000.0;
        command.arg(script).args(
            [("--delay", delay), ("--jitter", jitter), ("--loss", loss)].map(|(name, value)| format!("{name}={value}")),
        );
        command.arg(format!("--rate={rate}"));
        if let Some((gone, every)) = gone {
            command.arg(format!("--gone={}", gone * 1000)).arg(format!("--every={every}"));
        }
        command.args([server, &SERVER.to_string(), clients, &PLAYERS.to_string()]);
        let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python runs");
        let mut line = String::new();
        let output = script.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a pipe");
        assert_eq!(line, "ready\n", "the link stands");
        Self { script }
    }

    /// Where players find the server.
    pub fn rtmp(&self) -> SocketAddr {
        network::reach(SERVER)
    }

    /// The same over HTTP.
    pub fn http(&self) -> SocketAddr {
        network::reach_http(SERVER)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}
