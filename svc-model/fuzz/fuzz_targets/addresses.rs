//! Any texts, a line each, where objects have addresses and ranges: read alike everywhere, and without a panic.
#![no_main]

#[path = "../../tests/laws/addresses.rs"]
mod addresses;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let lines: Vec<&str> = text.split('\n').take(16).collect();
    addresses::hold(&lines);
});
