//! How much memory the process keeps: what was freed, and the stacks of its threads.
//!
//! By itself glibc learns from each large block that is freed to keep such blocks, and room at the end of each of its
//! arenas, of which there are eight for each core: some minutes of large messages from many clients, and hundreds of
//! MiB stay for good. With limits that stand still it gives back what is free. At the top of each thread's stack it also keeps
//! 1.4 KB for libraries that might be loaded later, of which there are none here; without, an idle connection's stack stays
//! well within two pages. It reads all that from the environment and nowhere else that is within reach of safe code, so the
//! program starts itself anew, in the same process.

use std::ffi::OsString;

/// In bytes: blocks from this size on are the system's business alone; an arena's end is given back from this size on. Then
/// what is kept on each stack for libraries to come.
const SETTINGS: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
    ("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=0:glibc.rtld.nns=1"),
];

/// Says that it was done: glibc takes the settings from the environment of programs with rights of their own.
const MARK: &str = "GORTMP_SETTLED";

/// Starts the program anew with these settings, unless the environment has any of them already. Returns when there is
/// nothing to do or it can't be done, which costs memory only.
#[cfg(target_env = "gnu")]
pub fn settle(arguments: impl IntoIterator<Item = OsString>) {
    use std::os::unix::process::CommandExt;
    if SETTINGS.iter().any(|(name, _)| std::env::var_os(name).is_some()) || std::env::var_os(MARK).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = arguments.into_iter();
    let mut again = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // Returns only if it could not be done.
    let _ = again.args(arguments).envs(SETTINGS).env(MARK, "1").exec();
}

/// Other allocators look after themselves.
#[cfg(not(target_env = "gnu"))]
pub fn settle(_: impl IntoIterator<Item = OsString>) {}
