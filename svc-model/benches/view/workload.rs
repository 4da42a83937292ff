//! Clusters of any size, the same on every machine, and changes to them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use svc_model::api::{
    EndpointSlice, ObjectReference, SERVICE_NAME_LABEL, Service, ServicePort, SliceEndpoint, SlicePort,
};
use svc_model::{Cluster, NodeSettings, NodeView, Object, Packet, Protocol};

const SEED: u64 = 0x5eed_0001;

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

pub(crate) fn cluster_ip(i: usize) -> Ipv4Addr {
    Ipv4Addr::from(0xac1e_000a + i as u32)
}

pub(crate) fn service(i: usize) -> Service {
    let mut service = Service::default();
    service.metadata.namespace = format!("ns{}", i / 100);
    service.metadata.name = format!("svc{i}");
    service.spec.cluster_ip = cluster_ip(i).to_string();
    service.spec.ports = vec![ServicePort { name: "http".into(), port: 80, ..Default::default() }];
    service
}

/// The slice of Service `i`, with Pods spread over fifty nodes.
pub(crate) fn slice(i: usize, per: usize) -> EndpointSlice {
    let namespace = format!("ns{}", i / 100);
    let mut slice = EndpointSlice::default();
    slice.metadata.name = format!("svc{i}-x7k2p");
    slice.metadata.labels.insert(SERVICE_NAME_LABEL.into(), format!("svc{i}"));
    slice.address_type = "IPv4".into();
    slice.ports = vec![SlicePort { name: Some("http".into()), port: Some(8080), ..Default::default() }];
    let endpoint = |e| SliceEndpoint {
        addresses: vec![Ipv4Addr::from(0x0a80_0001 + (i * per + e) as u32).to_string()],
        node_name: Some(format!("node-{}", (i * per + e) % 50)),
        zone: Some("zone-a".into()),
        target_ref: Some(ObjectReference {
            kind: "Pod".into(),
            namespace: namespace.clone(),
            name: format!("svc{i}-5d8f9c7b64-{e:05}"),
        }),
        ..Default::default()
    };
    slice.endpoints = (0..per).map(endpoint).collect();
    slice.metadata.namespace = namespace;
    slice
}

/// `n` Services of one port, a hundred to a namespace, each with a slice of `per` endpoints.
pub(crate) fn objects(n: usize, per: usize) -> Vec<Object> {
    (0..n).flat_map(|i| [Object::from(service(i)), Object::from(slice(i, per))]).collect()
}

/// One step of churn: `k` slices, each with one endpoint replaced.
pub(crate) fn churn(n: usize, per: usize, k: usize, step: u64) -> Vec<EndpointSlice> {
    let mut rng = Rng(SEED ^ 7 ^ (step << 20));
    let changed = |x: usize| {
        let i = rng.below(n);
        let mut slice = slice(i, per);
        let e = rng.below(per);
        let addr = Ipv4Addr::from(0x6440_0001u32 + (step as u32).wrapping_mul(4096) + x as u32);
        slice.endpoints[e].addresses = vec![addr.to_string()];
        slice
    };
    (0..k).map(changed).collect()
}

pub(crate) fn view(cluster: &Cluster) -> NodeView {
    NodeView::new(cluster, NodeSettings::of(cluster, Some("node-1")).expect("a node is named"))
}

/// Packets to the Services, in an order that caches do not guess.
pub(crate) fn packets(n: usize, port: u16) -> Vec<Packet> {
    let src = IpAddr::from([10, 1, 2, 3]);
    let mut rng = Rng(SEED ^ 8);
    let mut packet = || Packet::new(src, SocketAddr::new(cluster_ip(rng.below(n)).into(), port), Protocol::Tcp);
    (0..16_384).map(|_| packet()).collect()
}
