//! A panic is a defect, and costs one connection and not the server.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does something; `None` when it panicked. What it was changing may be half changed: close it.
///
/// The panic itself is reported by the process's panic hook, which knows the place.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Makes panics lines in the log, with their place and the thread, which is named after its client.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        let (name, text) = (thread.name().unwrap_or("?"), text.unwrap_or("no reason given").escape_debug());
        log::error!("a defect: thread \"{name}\" panicked at {place}: {text}");
    }));
}
