//! What the server's process holds all the while, and what it logs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::comes_true;
use super::tally::{Fates, Group};
use crate::target::{Server, cpu_of_all};

/// How often the process is looked at.
const SAMPLE: Duration = Duration::from_secs(10);

/// How often a line is printed.
const PROGRESS: Duration = Duration::from_secs(60);

/// Longer than any deadline of the server for clients that are gone.
const DEADLINES: Duration = Duration::from_secs(100);

/// Lines in the log for each connection that are no flood.
const LINES_EACH: u64 = 10;

/// The process at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Into the attacks.
    pub at: Duration,
    pub rss: u64,
    pub threads: u64,
    pub descriptors: u64,
    /// Seconds on a CPU, threads that have ended included.
    pub cpu: f64,
}

impl Sample {
    fn counts(&self) -> [u64; 2] {
        [self.threads, self.descriptors]
    }
}

/// One that looks at the server.
pub struct Watch {
    server: Server,
    duration: Duration,
    pub before: Sample,
    pub good: Sample,
    pub during: Vec<Sample>,
    pub quiet: Sample,
    pub after: Sample,
    /// How long it took until only the good ones were left.
    pub quiet_after: Duration,
    /// Seconds that the attackers themselves spent on a CPU.
    pub attackers_cpu: f64,
    errors: Vec<String>,
}

impl Watch {
    pub fn new(server: Server, duration: Duration) -> Self {
        let before = sample(server.pid(), Duration::ZERO);
        Self {
            server,
            duration,
            before,
            good: before,
            during: Vec::new(),
            quiet: before,
            after: before,
            quiet_after: Duration::ZERO,
            attackers_cpu: 0.0,
            errors: Vec::new(),
        }
    }

    /// Only the good ones that stay are there.
    pub fn good_alone(&mut self) {
        self.good = sample(self.server.pid(), Duration::ZERO);
    }

    /// Looks on while the attacks go on.
    pub fn attacks(&mut self, groups: &[Arc<Group>], fates: &[(&str, Arc<Fates>)]) {
        let (began, every) = (Instant::now(), SAMPLE.min(self.duration / 10));
        let mut printed = Duration::ZERO;
        for number in 0.. {
            let at = every * number;
            std::thread::sleep(at.saturating_sub(began.elapsed()));
            if let Some(status) = self.server.ended() {
                self.errors.push(format!("the server ended after {} s: {status}", at.as_secs()));
                return;
            }
            let now = sample(self.server.pid(), began.elapsed());
            self.during.push(now);
            let is_over = at >= self.duration;
            if is_over || at >= printed + PROGRESS {
                printed = at;
                self.progress(&now, groups, fates);
            }
            if is_over {
                break;
            }
        }
        self.attackers_cpu = attackers_cpu();
    }

    fn progress(&self, now: &Sample, groups: &[Arc<Group>], fates: &[(&str, Arc<Fates>)]) {
        let checked: u64 = groups.iter().map(|group| group.checked.load(Relaxed)).sum();
        let sum = |index: usize| groups.iter().map(|group| group.failures()[index]).sum::<u64>();
        let attacks: u64 = fates.iter().map(|(_, fates)| fates.total()).sum();
        let share = (now.cpu - self.good.cpu) / now.at.as_secs_f64().max(0.001) * 100.0;
        println!(
            "{:5.1} min: {checked} good messages checked, lost = {}, damaged = {}, cut off = {}; {attacks} attacks of \
             {} kinds; {:.1} MiB, {} threads, {} descriptors, CPU {share:.0} %",
            now.at.as_secs_f64() / 60.0,
            sum(0),
            sum(1),
            sum(2),
            fates.len(),
            now.rss as f64 / 1_048_576.0,
            now.threads,
            now.descriptors,
        );
    }

    /// Waits for the server to notice that all but the good ones that stay are gone.
    pub fn until_good_alone(&mut self) {
        let began = Instant::now();
        self.quiet = self.until("the good clients alone", self.good);
        self.quiet_after = began.elapsed();
    }

    /// Waits for the server to notice that nobody is there any more.
    pub fn until_nobody(&mut self) {
        self.after = self.until("nobody", self.before);
    }

    fn until(&mut self, whom: &str, wanted: Sample) -> Sample {
        let pid = self.server.pid();
        let mut now = wanted;
        let has_come = self.server.ended().is_none()
            && comes_true(DEADLINES, || {
                now = sample(pid, Duration::ZERO);
                now.counts() == wanted.counts()
            });
        if !has_come {
            let ([threads, descriptors], wanted) = (now.counts(), wanted.counts());
            let (waited, [its_threads, its_descriptors]) = (DEADLINES.as_secs(), wanted);
            self.errors.push(format!(
                "with {whom}, {threads} threads and {descriptors} descriptors after {waited} s instead of \
                 {its_threads} and {its_descriptors}"
            ));
        }
        now
    }

    /// What is wrong with the server and with its log, after so many connections.
    pub fn verdict(&mut self, connections: u64) -> Vec<String> {
        let mut errors = std::mem::take(&mut self.errors);
        if let Some(status) = self.server.ended() {
            errors.push(format!("the server has ended: {status}"));
        }
        let log = self.log();
        errors.extend(log.lines().filter(|line| line.contains("panicked")).map(|line| format!("the log: {line}")));
        let is_one_of_its_own = |line: &&str| line.starts_with("[20") && !line.starts_with("[2000");
        let is_clean = |line: &&str| !line.contains(|c: char| c.is_control() || "\u{2028}\u{202e}".contains(c));
        if let Some(line) = log.lines().find(|line| !is_one_of_its_own(line) || !is_clean(line)) {
            errors.push(format!("a line in the log that a client made up: {line:?}"));
        }
        let lines = log.lines().count() as u64;
        if lines > LINES_EACH * connections {
            errors.push(format!("the log was flooded: {lines} lines for {connections} connections"));
        }
        errors.extend((!errors.is_empty()).then(|| self.keep_log()));
        errors
    }

    /// Keeps the log for who wants to find out what went wrong; says where.
    fn keep_log(&self) -> String {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile.log");
        match std::fs::copy(self.server.log_path(), &path) {
            Ok(_) => format!("the server's log is in {}", path.display()),
            Err(error) => format!("the server's log could not be kept: {error}"),
        }
    }

    /// The lines of the log that one connection wrote in a minute, at most. In a longer time its port is another's.
    pub fn most_lines(&self) -> usize {
        let mut lines = HashMap::<_, usize>::new();
        // Time, down to the minute here, level and target, then the address in brackets.
        let log = self.log();
        let source = |line| {
            let (head, rest) = str::split_once(line, "] [")?;
            Some((head.get(..17)?, rest.split_once(']')?.0))
        };
        log.lines().filter_map(source).for_each(|source| *lines.entry(source).or_default() += 1);
        lines.into_values().max().unwrap_or(0)
    }

    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.server.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// When so much of the time was over.
    pub fn sample_at(&self, share: f64) -> Sample {
        let at = self.duration.mul_f64(share).saturating_sub(Duration::from_millis(1));
        self.during.iter().find(|sample| sample.at >= at).or(self.during.last()).copied().unwrap_or_default()
    }
}

fn sample(pid: u32, at: Duration) -> Sample {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let status = read("status");
    let field = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        value.and_then(|value| value.split_whitespace().next()).and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |fds| fds.count() as u64);
    Sample { at, rss: field("VmRSS:") * 1024, threads: field("Threads:"), descriptors, cpu: cpu_of_all(pid) }
}

fn attackers_cpu() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let attackers = tasks
        .flatten()
        .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "attack"));
    let nanoseconds = attackers.filter_map(|task| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}
