//! Any text as a manifest: read, told of and located without a panic, for both purposes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svctrace::read::{Purpose, Reader};

fuzz_target!(|text: &str| {
    for purpose in [Purpose::Answer, Purpose::Check] {
        let mut reader = Reader::new(purpose);
        reader.text("fuzz.yaml", text);
        let world = reader.finish();
        for finding in world.with_checks([]).iter().take(10) {
            let _ = world.place(finding);
        }
    }
});
