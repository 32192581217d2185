#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gortmp::fuzz_drivers::http(input));
