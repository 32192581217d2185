//! Settings of glibc that reduce the resident memory of the heap and of thread stacks.
//!
//! By default glibc raises its mmap and trim thresholds with each large block that is freed, and so retains such blocks
//! and free space at the end of each arena, of which there are eight per core: after some minutes of large messages
//! from many clients, hundreds of MiB are never returned. With fixed thresholds it returns free memory. At the top of
//! each thread's stack it also reserves 1.4 KB for libraries loaded later, of which there are none here; without that,
//! an idle connection's stack fits well within two pages. The only interface to these settings within reach of safe
//! code is the environment, which glibc reads at startup, so the program executes itself again in the same process.

use std::ffi::OsString;

/// In bytes: the size from which blocks are mapped and unmapped individually, and the size from which free space at an
/// arena's end is returned. Then the space reserved on each stack for libraries loaded later.
const SETTINGS: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
    ("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=0:glibc.rtld.nns=1"),
];

/// Marks the second start. `SETTINGS` alone would not do: glibc removes them from the environment of privileged
/// programs.
const MARK: &str = "GORTMP_SETTLED";

/// Executes the program again with these settings, unless the environment has any of them already. Returns if there is
/// nothing to do or if it fails, which only costs memory.
#[cfg(target_env = "gnu")]
pub fn apply_settings(arguments: impl IntoIterator<Item = OsString>) {
    use std::os::unix::process::CommandExt;
    if SETTINGS.iter().any(|(name, _)| std::env::var_os(name).is_some()) || std::env::var_os(MARK).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = arguments.into_iter();
    let mut command = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // Returns only on failure.
    let _ = command.args(arguments).envs(SETTINGS).env(MARK, "1").exec();
}

/// Does nothing: the settings are glibc's.
#[cfg(not(target_env = "gnu"))]
pub fn apply_settings(_: impl IntoIterator<Item = OsString>) {}
