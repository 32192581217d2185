//! Metrics for Prometheus, in its text format 0.0.4.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::HttpService;
use super::connections::{self, Connection};
use crate::limits;
use crate::live::StreamStatus;

/// Renders the metrics; what can't be read of the process is left out.
pub(super) fn render(http: &HttpService) -> String {
    let mut out = Text(String::new());
    let streams = http.service.registry.status();
    out.head("gortmp_build_info", "gauge", "The version.");
    out.line("gortmp_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    out.single("gortmp_uptime_seconds", "gauge", "Time since start, in seconds.", http.started.elapsed().as_secs_f64());
    out.head("gortmp_connections", "gauge", "Connected clients.");
    let clients = connections::list(http);
    for protocol in ["rtmp", "rtmps", "http", "https"] {
        let count = clients.iter().filter(|one| one.protocol == protocol).count();
        out.line("gortmp_connections", &[("protocol", protocol)], count as f64);
    }
    let refusals = &http.service.refusals;
    out.head("gortmp_refusals_total", "counter", "Refused requests of clients.");
    for (what, count) in [
        ("connection", &refusals.connections),
        ("connect", &refusals.connects),
        ("publish", &refusals.publishes),
        ("play", &refusals.plays),
    ] {
        out.line("gortmp_refusals_total", &[("of", what)], count.get() as f64);
    }
    out.head("gortmp_http_responses_total", "counter", "HTTP responses.");
    for (count, code) in http.responses.iter().zip(["1xx", "2xx", "3xx", "4xx", "5xx"]) {
        out.line("gortmp_http_responses_total", &[("code", code)], count.get() as f64);
    }
    let published = streams.iter().filter(|stream| stream.is_published).count();
    out.single("gortmp_streams", "gauge", "Published live streams.", published as f64);
    out.head("gortmp_forms", "gauge", "Published live streams that are made into another form at present.");
    for (form, count) in http.forms.counts() {
        out.line("gortmp_forms", &[("form", form)], count as f64);
    }
    let total = http.service.registry.traffic();
    out.single("gortmp_received_bytes_total", "counter", "Bytes from publishers.", total.bytes_in as f64);
    out.single("gortmp_sent_bytes_total", "counter", "Bytes of live streams to players.", total.bytes_out as f64);
    out.single("gortmp_received_messages_total", "counter", "Messages from publishers.", total.messages_in as f64);
    out.single(
        "gortmp_sent_messages_total",
        "counter",
        "Messages of live streams to players.",
        total.messages_out as f64,
    );
    let what = "Messages dropped for slow players.";
    out.single("gortmp_dropped_messages_total", "counter", what, total.dropped as f64);
    let what = "Skips of slow players to a later key frame.";
    out.single("gortmp_skips_total", "counter", what, total.skips as f64);
    let what = "Messages that are no frames, left out of MP4 and HLS.";
    out.single("gortmp_ignored_messages_total", "counter", what, total.ignored as f64);
    per_stream(&mut out, &streams, &clients);
    process(&mut out, http.started_at);
    out.0
}

type Of = fn(&StreamStatus) -> f64;

const PER_STREAM: [(&str, &str, &str, Of); 11] = [
    ("gortmp_stream_published", "gauge", "Whether the stream is published.", |s| f64::from(u8::from(s.is_published))),
    ("gortmp_stream_viewers", "gauge", "Players of the stream, waiting ones included.", |s| s.players as f64),
    ("gortmp_stream_bytes_per_second", "gauge", "Bytes per second from its publisher.", |s| s.bits_per_second / 8.0),
    ("gortmp_stream_frames_per_second", "gauge", "Video frames from its publisher.", |s| s.frames_per_second),
    ("gortmp_stream_received_bytes_total", "counter", "Bytes from its publishers.", |s| s.traffic.bytes_in as f64),
    ("gortmp_stream_sent_bytes_total", "counter", "Bytes to its players.", |s| s.traffic.bytes_out as f64),
    ("gortmp_stream_received_messages_total", "counter", "Messages from its publishers.", |s| {
        s.traffic.messages_in as f64
    }),
    ("gortmp_stream_sent_messages_total", "counter", "Messages to its players.", |s| s.traffic.messages_out as f64),
    ("gortmp_stream_dropped_messages_total", "counter", "Messages dropped for slow players.", |s| {
        s.traffic.dropped as f64
    }),
    ("gortmp_stream_skips_total", "counter", "Skips of slow players to a later key frame.", |s| s.traffic.skips as f64),
    ("gortmp_stream_ignored_messages_total", "counter", "Messages that are no frames, left out of MP4 and HLS.", |s| {
        s.traffic.ignored as f64
    }),
];

/// Adds the busiest streams by name, and the gauges of all others summed up: streams that become busy and those that
/// end leave that sum, so it can't be a counter. The totals include them.
fn per_stream(out: &mut Text, streams: &[StreamStatus], clients: &[Connection]) {
    let mut busiest: Vec<_> = streams.iter().collect();
    busiest.sort_by_key(|stream| std::cmp::Reverse(stream.traffic.bytes_in));
    let (named, others) = busiest.split_at(busiest.len().min(limits::METRICS_STREAMS));
    out.head("gortmp_stream_info", "gauge", "The codecs of the stream.");
    for stream in named {
        let video = stream.video.as_ref().map_or("", |video| &video.codec);
        let audio = stream.audio.as_ref().map_or("", |audio| &audio.codec);
        out.line("gortmp_stream_info", &[("stream", &stream.name), ("video", video), ("audio", audio)], 1.0);
    }
    let lag = |stream: &StreamStatus| {
        let players = clients.iter().filter(|client| client.plays.contains(&stream.name));
        players.map(|player| player.lag_seconds).fold(0.0, f64::max)
    };
    let name = "gortmp_stream_lag_seconds";
    out.head(name, "gauge", "Age of the oldest message queued for its slowest player, in seconds.");
    for stream in named {
        out.line(name, &[("stream", &stream.name)], lag(stream));
    }
    for (name, kind, what, of) in PER_STREAM {
        out.head(name, kind, what);
        for stream in named {
            out.line(name, &[("stream", &stream.name)], of(stream));
        }
        if !others.is_empty() && kind == "gauge" {
            out.line(name, &[("stream", "_other")], others.iter().map(|stream| of(stream)).sum());
        }
    }
}

/// Adds the usual metrics of the process, under their usual names.
fn process(out: &mut Text, started: SystemTime) {
    let started = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    let what = "When the process started, in seconds since 1970.";
    out.single("process_start_time_seconds", "gauge", what, started.as_secs_f64());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    if let Some(kib) = field("VmRSS") {
        out.single("process_resident_memory_bytes", "gauge", "Resident memory.", kib * 1024.0);
    }
    if let Some(kib) = field("VmSize") {
        out.single("process_virtual_memory_bytes", "gauge", "Virtual memory.", kib * 1024.0);
    }
    if let Some(threads) = field("Threads") {
        out.single("process_threads", "gauge", "Threads.", threads);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        // Without the one that lists them.
        out.single("process_open_fds", "gauge", "Open descriptors.", files.count().saturating_sub(1) as f64);
    }
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let used = used.tv_sec as f64 + used.tv_nsec as f64 / 1e9;
    out.single("process_cpu_seconds_total", "counter", "CPU time.", used);
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if let Some(most) = most {
        out.single("process_max_fds", "gauge", "Maximum of open descriptors.", most as f64);
    }
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        self.line(name, &[], value);
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Traffic;

    #[test]
    fn a_label_cannot_end_its_line() {
        let mut out = Text(String::new());
        out.line("m", &[("stream", "a\"\\\n} 1")], 2.5);
        assert_eq!(out.0, "m{stream=\"a\\\"\\\\\\n} 1\"} 2.5\n");
    }

    #[test]
    fn beyond_the_limit_streams_are_summed_up() {
        let stream = |number: usize| StreamStatus {
            name: format!("live/{number}"),
            is_published: true,
            players: 1,
            traffic: Traffic { bytes_in: number as u64, ..Traffic::default() },
            age: None,
            video: None,
            audio: None,
            frames_per_second: 0.0,
            bits_per_second: 0.0,
            warnings: Vec::new(),
        };
        let streams: Vec<_> = (0..limits::METRICS_STREAMS + 2).map(stream).collect();
        let mut out = Text(String::new());
        per_stream(&mut out, &streams, &[]);
        assert!(out.0.contains("gortmp_stream_viewers{stream=\"_other\"} 2\n"));
        assert!(!out.0.contains("\"live/1\"") && out.0.contains("\"live/2\""));
        assert!(!out.0.lines().any(|line| line.contains("_total{") && line.contains("_other")), "it would fall");
    }
}
