//! The log, which must never hold up the server: a terminal may be stopped with Ctrl-S, a program that reads the log
//! may hang.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use env_logger::{Builder, Target, WriteStyle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::limits;

/// What a pipe takes without waiting when it takes anything, in bytes.
const PIECE: usize = 4096;

/// A log to standard error whose lines are lost when nobody takes them.
pub(crate) fn builder() -> Builder {
    let mut builder = Builder::new();
    let wants_colors = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_some_and(|value| value != "dumb");
    builder.write_style(if wants_colors { WriteStyle::Always } else { WriteStyle::Never });
    builder.target(Target::Pipe(Box::new(Losing::new(io::stderr()))));
    builder
}

/// Writes whole lines, or loses them when there is no room for long, and says so when there is room again.
struct Losing<W> {
    out: W,
    /// It had no room the last time.
    is_stuck: bool,
    lost: u64,
    /// The last line was cut off.
    is_torn: bool,
}

impl<W: Write + AsFd> Losing<W> {
    fn new(out: W) -> Self {
        Self { out, is_stuck: false, lost: 0, is_torn: false }
    }

    fn has_room(&mut self) -> bool {
        let patience = if self.is_stuck { Duration::ZERO } else { limits::LOG_PATIENCE };
        let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
        let ready = loop {
            match poll(&mut [PollFd::new(&self.out, PollFlags::OUT)], Some(&timeout)) {
                Err(Errno::INTR) => {}
                ready => break ready,
            }
        };
        // Errors show when it is written to.
        self.is_stuck = ready == Ok(0);
        !self.is_stuck
    }

    /// Whether all of it went out.
    fn put(&mut self, bytes: &[u8]) -> io::Result<bool> {
        for (index, piece) in bytes.chunks(PIECE).enumerate() {
            if !self.has_room() {
                self.is_torn |= index > 0;
                return Ok(false);
            }
            self.out.write_all(piece)?;
        }
        Ok(true)
    }
}

impl<W: Write + AsFd> Write for Losing<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lost > 0 {
            let start = if self.is_torn { "…\n" } else { "" };
            if self.put(format!("{start}{} lines of the log were lost: nobody took them\n", self.lost).as_bytes())? {
                (self.lost, self.is_torn) = (0, false);
            }
        }
        if self.lost > 0 || !self.put(line)? {
            self.lost += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_stuck { Ok(()) } else { self.out.flush() }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    use super::*;

    #[test]
    fn lines_that_nobody_takes_are_counted_and_the_others_come_whole() {
        let (there, here) = UnixStream::pair().unwrap();
        let mut log = Losing::new(here);
        let line = format!("{}\n", "x".repeat(9_999));
        let began = Instant::now();
        while log.lost < 100 {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert!(began.elapsed() < 5 * limits::LOG_PATIENCE, "it waits once, not for each line");
        there.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let reading = std::thread::spawn(move || {
            let lines = BufReader::new(there).lines().map(Result::unwrap);
            lines.collect::<Vec<_>>()
        });
        // What is lost before there is room again is counted as well.
        while log.lost > 0 {
            log.write_all(b"after\n").unwrap();
        }
        drop(log);
        let lines = reading.join().unwrap();
        let told = lines.iter().position(|line| line.contains("lines of the log were lost")).unwrap();
        assert!(lines[told].split(' ').next().unwrap().parse::<u64>().unwrap() >= 100, "{}", lines[told]);
        assert_eq!(lines[told + 1..], ["after"]);
        assert!(lines[..told - 1].iter().all(|before| *before == line.trim_end()), "whole lines");
        assert!(lines[told - 1].trim_end_matches('…').bytes().all(|byte| byte == b'x'), "the last may be torn");
    }
}
