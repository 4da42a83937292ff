//! Normalising a path never panics, and leaves no dot segment.
#![no_main]

use libfuzzer_sys::fuzz_target;
use route_match::{EscapePolicy, PathNormalisation, RequestTarget};

fuzz_target!(|target: &str| {
    let path = RequestTarget::parse(target).path;
    for mode in [PathNormalisation::Base, PathNormalisation::MergeSlashes, PathNormalisation::DecodeAndMergeSlashes] {
        if let Ok(normal) = mode.apply(path) {
            assert!(normal.split(|b| *b == b'/').all(|segment| segment != b"." && segment != b".."));
            assert_eq!(mode.apply(&*normal).as_deref(), Ok(&*normal));
        }
    }
    if EscapePolicy::STRICT.check(path).is_ok() {
        assert!(EscapePolicy::LENIENT.check(path).is_ok());
        assert!(!path.to_ascii_lowercase().contains("%2f"));
    }
    if let Ok(normal) = PathNormalisation::Nginx.apply(path) {
        assert!(normal.starts_with(b"/"));
    }
});
