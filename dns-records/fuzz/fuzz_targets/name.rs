//! Any text and any octets as a name: what is read is written back, and can be asked.
#![no_main]

use dns_records::kubernetes::Zone;
use dns_records::{Name, NameRef, Question, RecordType};
use libfuzzer_sys::fuzz_target;
use svc_model::Cluster;

fuzz_target!(|octets: &[u8]| {
    let zone = Zone::of(&Cluster::new());
    let text = std::str::from_utf8(octets).ok().and_then(|text| text.parse::<Name>().ok());
    for name in [text, NameRef::from_wire(octets).ok().map(NameRef::to_name)].into_iter().flatten() {
        let again: Name = name.to_string().parse().expect("what is written can be read");
        assert_eq!(again.as_ref().as_wire(), name.as_ref().as_wire());
        for suffix in ["cluster.local", "in-addr.arpa", "."] {
            let suffix: Name = suffix.parse().expect("a name");
            if let Ok(name) = name.below(suffix.as_ref()) {
                let _ = zone.answer(Question::new(&name, RecordType::A)).reason.to_string();
            }
        }
    }
});
