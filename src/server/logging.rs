//! The log, which must never block the server: a terminal may be stopped with Ctrl-S or hang with its connection, a
//! program that reads the log may hang.
//!
//! Lines are handed to one thread, which alone waits for the output. When there is no room for more lines they are
//! lost, and counted.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError};
use env_logger::{Builder, Target, WriteStyle};

use crate::limits;

/// How often a flush checks whether it is done.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The log writer of this process.
static WRITER: OnceLock<LogWriter> = OnceLock::new();

/// Returns a builder of a log to standard error whose lines are lost when nobody takes them.
pub(crate) fn builder() -> Builder {
    let mut builder = Builder::new();
    let wants_colors = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_some_and(|value| value != "dumb");
    builder.write_style(if wants_colors { WriteStyle::Always } else { WriteStyle::Never });
    // Without the thread, lines are written directly.
    if let Ok(lines) = LogWriter::start(io::stderr()) {
        builder.target(Target::Pipe(Box::new(WRITER.get_or_init(|| lines).clone())));
    }
    builder
}

/// Waits until all lines are written, for a limited time.
pub(crate) fn flush() {
    if let Some(lines) = WRITER.get() {
        lines.wait_until_written(limits::LOG_WRITE_TIMEOUT);
    }
}

/// A handle to the thread that writes.
#[derive(Clone)]
struct LogWriter {
    sender: Sender<Vec<u8>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Handed to the thread.
    enqueued: AtomicU64,
    /// Written by it, or discarded where writing failed.
    written: AtomicU64,
    lost: AtomicU64,
}

impl LogWriter {
    fn start(mut to: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, lines) = crossbeam_channel::bounded::<Vec<u8>>(limits::LOG_LINES);
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        let write = move || {
            for line in lines {
                // The reader may be gone, which is no reason to stop.
                let _ = to.write_all(&line);
                counted.written.fetch_add(1, Ordering::Release);
                let lost = counted.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let _ = to.write_all(format!("{lost} lines of the log were lost: nobody took them\n").as_bytes());
                }
            }
        };
        std::thread::Builder::new().name("log".to_owned()).stack_size(limits::THREAD_STACK_BYTES).spawn(write)?;
        Ok(Self { sender, counts })
    }

    fn wait_until_written(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        let is_written = || self.counts.written.load(Ordering::Acquire) >= self.counts.enqueued.load(Ordering::Acquire);
        while !is_written() && Instant::now() < until {
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Before it is sent, so that a flush never misses it.
        self.counts.enqueued.fetch_add(1, Ordering::Release);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.sender.try_send(line.to_vec()) {
            self.counts.enqueued.fetch_sub(1, Ordering::Release);
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn lost_lines_are_counted_and_the_others_stay_whole() {
        let (there, here) = UnixStream::pair().unwrap();
        let mut log = LogWriter::start(here).unwrap();
        let line = format!("{}\n", "x".repeat(9_999));
        let (began, mut written) = (Instant::now(), 0);
        while log.counts.lost.load(Ordering::Relaxed) < 100 {
            log.write_all(line.as_bytes()).unwrap();
            written += 1;
        }
        assert!(began.elapsed() < 5 * limits::LOG_WRITE_TIMEOUT, "logging never blocks");
        let waited = Instant::now();
        log.wait_until_written(Duration::from_millis(50));
        assert!(waited.elapsed() >= Duration::from_millis(50), "it is not written");
        there.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let reading = std::thread::spawn(move || BufReader::new(there).lines().map(Result::unwrap).collect::<Vec<_>>());
        log.wait_until_written(Duration::from_secs(20));
        log.write_all(b"after\n").unwrap();
        log.wait_until_written(Duration::from_secs(20));
        drop(log);
        let lines = reading.join().unwrap();
        let reports: Vec<_> = lines.iter().filter(|line| line.contains("lines of the log were lost")).collect();
        let lost: usize = reports.iter().map(|line| line.split(' ').next().unwrap().parse::<usize>().unwrap()).sum();
        let whole = lines.iter().filter(|before| **before == line.trim_end()).count();
        assert_eq!((whole + lost, lines.last().unwrap().as_str()), (written, "after"));
        assert_eq!(lines.len(), whole + reports.len() + 1, "no line is truncated");
    }

    #[test]
    fn logged_lines_are_written_before_the_end() {
        let (there, here) = UnixStream::pair().unwrap();
        let mut log = LogWriter::start(here).unwrap();
        for _ in 0..100 {
            log.write_all(b"line\n").unwrap();
        }
        log.wait_until_written(Duration::from_secs(20));
        there.set_nonblocking(true).unwrap();
        let mut lines = BufReader::new(there).lines();
        assert_eq!(lines.by_ref().map_while(Result::ok).count(), 100);
    }
}
