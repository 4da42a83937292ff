//! Twenty Services on one node, to look at what drivers write when one of them changes.

use svc_model::api::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Node, NodeAddress, Service, ServicePort,
};
use svc_model::{Cluster, NodeSettings, NodeView, Object};

const NODE: &str = "n1";

/// Services `s1` to `s20` with two endpoints each, and a node.
pub(crate) fn cluster() -> Cluster {
    let mut node = Node::default();
    node.metadata.name = NODE.into();
    node.status.addresses.push(NodeAddress { type_: "InternalIP".into(), address: "192.0.2.7".into() });
    (1..=20).flat_map(|i| service(&format!("s{i}"), i, &[1, 2])).chain([node.into()]).collect()
}

/// As the node sees it.
pub(crate) fn view(cluster: &Cluster) -> NodeView {
    NodeView::new(cluster, NodeSettings::of(cluster, Some(NODE)).unwrap())
}

/// A Service with endpoints of these numbers.
pub(crate) fn service(name: &str, number: u8, endpoints: &[u8]) -> [Object; 2] {
    edited(name, number, endpoints, |_| {})
}

/// The same, otherwise edited.
pub(crate) fn edited(name: &str, number: u8, endpoints: &[u8], edit: fn(&mut Service)) -> [Object; 2] {
    let mut service = Service::default();
    service.metadata.name = name.into();
    service.spec.cluster_ip = format!("10.96.0.{number}");
    service.spec.ports.push(ServicePort { port: 80, ..Default::default() });
    edit(&mut service);
    let mut object = Endpoints::default();
    object.metadata.name = name.into();
    let address = |n: &u8| EndpointAddress { ip: format!("10.244.{number}.{n}"), ..Default::default() };
    object.subsets.push(EndpointSubset {
        addresses: endpoints.iter().map(address).collect(),
        ports: vec![EndpointPort { port: 8080, ..Default::default() }],
        ..Default::default()
    });
    [service.into(), object.into()]
}
