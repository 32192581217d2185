//! Panics: a bug costs one connection and not the server.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`; returns `None` if it panicked. What it was changing may be inconsistent and has to be closed.
///
/// The process's panic hook reports the panic, with its location.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Logs panics with their location and thread, which is named after its client.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        let (name, text) = (thread.name().unwrap_or("?"), text.unwrap_or("no reason given").escape_debug());
        log::error!("internal error: thread \"{name}\" panicked at {location}: {text}");
    }));
}
