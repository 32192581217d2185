//! The page in a browser, which looks for itself.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

/// What it saw, in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Page {
    /// From the making of a video frame to its being shown.
    pub p50: f64,
    pub p95: f64,
    /// Without a new video frame, in all and at once.
    pub still: f64,
    pub longest: f64,
}

/// Publishes a stream with a clock in the video and watches the page with it for so many seconds.
pub fn watch(http: SocketAddr, rtmp: SocketAddr, kbits: u64, seconds: u64) -> Page {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    assert!(
        folder.join("node_modules").exists(),
        "the browser is driven by modules: run scripts/install-test-tools.sh"
    );
    // A browser gets a priority of its own, but none that keeps everything else from running.
    let mut command = Command::new("chrt");
    command
        .args(["--other", "0", "nice", "-n", "-15", "node"])
        .arg(folder.join("weak.mjs"))
        .arg(format!("http://{http}"))
        .arg(format!("rtmp://{rtmp}/live/weak"));
    command.args([kbits.to_string(), seconds.to_string()]);
    let output = command.stderr(Stdio::inherit()).output().expect("Node runs");
    assert!(output.status.success(), "the page was watched");
    serde_json::from_slice(&output.stdout).expect("what it saw")
}
