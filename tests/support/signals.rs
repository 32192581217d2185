//! What the processes that tests start do at a signal, whoever runs the tests.

use std::process::Command;

/// A command that runs a program with the default disposition of every signal. Whoever runs the tests may ignore
/// some, as `nohup` does; children inherit that, and a shell can't trap what was ignored when it began.
pub fn with_default_signals(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("/usr/bin/env");
    command.arg("--default-signal").arg(program);
    command
}

/// Runs these tests of a module of the calling test binary, which is given as `module_path!()` has it, under a parent
/// that ignores what it can, and holds them to pass.
pub fn assert_pass_with_signals_ignored(module: &str, tests: &[&str]) {
    let (_, module) = module.split_once("::").expect("a module of a test binary");
    let names = tests.iter().map(|test| format!("{module}::{test}"));
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap '' HUP INT QUIT TERM PIPE USR1; exec "$0" "$@""#]);
    command.arg(std::env::current_exe().expect("the path of this program")).arg("--exact").args(names);
    let output = command.output().expect("sh runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let passed = format!("test result: ok. {} passed", tests.len());
    assert!(output.status.success() && text.contains(&passed), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
