//! Any JSON objects make a cluster that answers: read, completed, judged, decided, without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeSeed;
use svc_model::{Cluster, Kind, NodeSettings, NodeView, Packet, Protocol, check, complete};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut cluster = Cluster::new();
    for line in text.lines() {
        let Ok(value) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let Some(Ok(kind)) = value["kind"].as_str().map(str::parse::<Kind>) else { continue };
        if let Ok(object) = kind.deserialize(value) {
            check::object(&object, "v1");
            cluster.apply(object);
        }
    }
    check::cluster(&cluster);
    complete(&mut cluster);
    let Ok(settings) = NodeSettings::of(&cluster, Some("n1")) else { return };
    let view = NodeView::new(&cluster, settings);
    for port in view.service_ports() {
        let dst = std::net::SocketAddr::new(port.cluster_ip, port.port);
        let decision = view.decide(&Packet::new(port.cluster_ip, dst, Protocol::Tcp));
        let _ = view.explain(&decision).to_string();
    }
});
