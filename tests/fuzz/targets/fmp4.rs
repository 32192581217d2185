#![no_main]

#[allow(dead_code)]
#[path = "../drivers/mod.rs"]
mod drivers;

libfuzzer_sys::fuzz_target!(|input: &[u8]| drivers::fmp4(input));
