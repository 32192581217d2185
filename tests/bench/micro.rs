//! What each step in the life of a message costs, measured alone: `cargo bench --bench micro`, with a part of a
//! name behind it for some of them only. Every step is checked for its result once before it is measured.
#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark that can't go on shall stop")]

#[path = "micro/amf.rs"]
mod amf;
#[path = "micro/chunks.rs"]
mod chunks;
#[path = "micro/content.rs"]
mod content;
#[path = "micro/flv.rs"]
mod flv;
#[path = "micro/live.rs"]
mod live;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    // Short enough to wait for all of them; options may say otherwise.
    let (warm_up, measurement) = (Duration::from_secs(1), Duration::from_secs(2));
    let settings = Criterion::default().warm_up_time(warm_up).measurement_time(measurement);
    let mut criterion = settings.configure_from_args();
    chunks::benches(&mut criterion);
    amf::benches(&mut criterion);
    flv::benches(&mut criterion);
    live::benches(&mut criterion);
    criterion.final_summary();
}
