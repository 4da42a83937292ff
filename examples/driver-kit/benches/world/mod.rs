//! The world of both benches: Services with two endpoints each.

use svc_model::Object;
use svc_model::api::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service, ServicePort};

/// A Service with two endpoints, which differ with `step`.
pub(crate) fn service(i: u32, step: u32) -> [Object; 2] {
    let mut service = Service::default();
    service.metadata.name = format!("svc-{i}");
    service.metadata.namespace = format!("ns-{}", i % 50);
    service.spec.cluster_ip = std::net::Ipv4Addr::from(0x0a60_0001 + i).to_string();
    service.spec.ports.push(ServicePort { port: 80, ..Default::default() });
    let mut endpoints = Endpoints { metadata: service.metadata.clone(), ..Default::default() };
    let address = |n: u32| EndpointAddress {
        ip: std::net::Ipv4Addr::from(0x0af4_0001 + 2 * i + n + step * 1_000_000).to_string(),
        ..Default::default()
    };
    endpoints.subsets.push(EndpointSubset {
        addresses: vec![address(0), address(1)],
        ports: vec![EndpointPort { port: 8080, ..Default::default() }],
        ..Default::default()
    });
    [service.into(), endpoints.into()]
}
