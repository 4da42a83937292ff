//! A decision allocates nothing.

mod common;

use common::{cluster, node, proxy, service, slice, view};
use serde_json::json;
use svc_model::{Packet, Protocol};

#[test]
fn a_decision_allocates_nothing_hit_or_miss() {
    let cluster = cluster([
        proxy(json!({})),
        node("n1", "192.168.0.1"),
        service("web", json!({"type": "NodePort", "ports": [{"name": "http", "port": 80, "nodePort": 30080}]})),
        slice("web", &[("10.1.0.1", "n1", json!({})), ("10.2.0.1", "n2", json!({}))]),
    ]);
    let view = view(&cluster, "n1");
    let packets: Vec<Packet> = ["172.30.0.41:80", "172.30.0.41:81", "192.168.0.1:30080", "8.8.8.8:53"]
        .iter()
        .map(|dst| Packet::new("10.1.0.9".parse().unwrap(), dst.parse().unwrap(), Protocol::Tcp))
        .collect();
    let allocations = allocation_counter::measure(|| {
        for packet in &packets {
            let decision = view.decide(packet);
            std::hint::black_box(decision.endpoints.masquerades_any());
        }
    });
    assert_eq!(allocations.count_total, 0);
}
