//! Any objects, one JSON document a line: read, judged, completed, asked every question, without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeSeed;
use svc_model::api::{Pod, Service};
use svc_model::{
    Cluster, ForwardPort, ForwardTarget, Kind, NodeSettings, NodeView, Packet, Protocol, Resource, check, complete,
    port_forward, service_environment,
};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut cluster = Cluster::new();
    for line in text.lines() {
        let Ok(value) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let Some(Ok(kind)) = value["kind"].as_str().map(str::parse::<Kind>) else { continue };
        let api_version = value["apiVersion"].as_str().unwrap_or("v1").to_owned();
        if let Ok(object) = kind.deserialize(value) {
            check::object(&object, &api_version);
            cluster.apply(object);
        }
    }
    check::cluster(&cluster);
    complete(&mut cluster);
    for pod in cluster.list::<Pod>() {
        service_environment(&cluster, pod);
        let _ = port_forward(&cluster, &ForwardTarget::Pod(pod.key()), &ForwardPort::Number(80));
    }
    for service in cluster.list::<Service>() {
        let target = ForwardTarget::Service(service.key());
        for port in &service.spec.ports {
            let _ = port_forward(&cluster, &target, &ForwardPort::Name(port.name.clone()));
        }
    }
    let Ok(settings) = NodeSettings::of(&cluster, Some("n1")) else { return };
    let view = NodeView::new(&cluster, settings);
    for port in view.service_ports() {
        let dst = std::net::SocketAddr::new(port.cluster_ip, port.port);
        let decision = view.decide(&Packet::new(port.cluster_ip, dst, Protocol::Tcp));
        let _ = view.explain(&decision).to_string();
    }
});
