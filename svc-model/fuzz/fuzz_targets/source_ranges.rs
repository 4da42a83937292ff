//! Any texts, a line each, as the source ranges of a load balancer: the view lets in whom the readable ones name.
#![no_main]

#[path = "../../tests/laws/source_ranges.rs"]
mod source_ranges;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let lines: Vec<&str> = text.split('\n').take(8).collect();
    source_ranges::hold(&lines);
});
