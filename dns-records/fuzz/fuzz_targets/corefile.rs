//! Any Corefile: read, applied to settings, compiled and asked.
#![no_main]

use dns_records::kubernetes::{Corefile, Zone, ZoneSettings};
use dns_records::{Name, Question, RecordType};
use libfuzzer_sys::fuzz_target;
use svc_model::Cluster;

fuzz_target!(|text: &str| {
    let Ok(corefile) = text.parse::<Corefile>() else { return };
    let mut settings = ZoneSettings::default();
    settings.apply(&corefile);
    let zone = Zone::new(&Cluster::new(), settings);
    let name: Name = "a.default.svc.cluster.local".parse().expect("a name");
    let _ = zone.answer(Question::new(&name, RecordType::A)).reason.to_string();
});
