//! Reading an authority never panics, and reads back what it prints.
#![no_main]

use libfuzzer_sys::fuzz_target;
use route_match::{Authority, HostPattern};

fuzz_target!(|text: &str| {
    if let Ok(authority) = Authority::parse(text) {
        assert_eq!(Authority::parse(&authority.to_string()), Ok(authority));
    }
    if let Ok(pattern) = text.parse::<HostPattern>() {
        assert_eq!(pattern.to_string().parse(), Ok(pattern));
    }
});
