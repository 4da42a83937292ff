//! Which worlds may there be? Small ones, of few names and addresses, so that everything meets everything.

use proptest::prelude::*;
use proptest::sample::select;

use super::laws::Fault;
use super::scenario::{Edit, Scenario};
use crate::api::*;
use crate::kind::{Kind, Object, ObjectRef, Resource};

/// The node whose view is asked for.
pub const NODE: &str = "n1";

const NODES: [&str; 3] = [NODE, "n2", "n3"];
const NAMES: [&str; 3] = ["a", "b", "c"];
const NAMESPACES: [&str; 2] = ["default", "shop"];

fn meta(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { namespace: namespace.into(), name: name.into(), ..Default::default() }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn names() -> impl Strategy<Value = (&'static str, &'static str)> {
    (select(&NAMESPACES[..]), select(&NAMES[..]))
}

/// Mostly absent.
fn seldom<T: std::fmt::Debug + Clone>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.3, of)
}

fn policy() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just(""), 1 => Just("Cluster"), 2 => Just("Local")]
}

fn service_port() -> impl Strategy<Value = ServicePort> {
    let numbers = select(vec![(53, 30053), (80, 30080), (443, 30443)]);
    let protocol = prop_oneof![4 => Just("TCP"), 3 => Just("UDP"), 1 => Just("SCTP")];
    let name = prop_oneof![3 => Just("main"), 1 => Just("side")];
    (numbers, protocol, name, any::<bool>()).prop_map(|((port, node_port), protocol, name, with_node_port)| {
        ServicePort {
            name: name.into(),
            protocol: protocol.into(),
            port,
            node_port: if with_node_port { node_port } else { 0 },
            target_port: Some(IntOrString::String("web".into())),
            ..Default::default()
        }
    })
}

fn service() -> impl Strategy<Value = Object> {
    let addresses = prop_oneof![
        6 => select(vec!["172.30.0.1", "172.30.0.2", "172.30.0.3"]).prop_map(|v4| vec![v4]),
        1 => select(vec!["fd00:30::1", "fd00:30::2"]).prop_map(|v6| vec![v6]),
        2 => (select(vec!["172.30.0.1", "172.30.0.4"]), select(vec!["fd00:30::1", "fd00:30::3"])).prop_map(|(v4, v6)| vec![v4, v6]),
        1 => Just(vec!["None"]),
    ];
    let external = seldom(select(vec!["203.0.113.1", "203.0.113.2", "192.168.0.1", "172.30.0.1", "2001:db8:1::1"]));
    let balancer =
        seldom((select(vec!["198.51.100.1", "198.51.100.2", "2001:db8:2::1"]), seldom(select(vec!["VIP", "Proxy"]))));
    let ranges = seldom(select(vec!["198.18.0.0/24", "192.168.0.0/24", "10.1.0.0/16", "2001:db8::/64"]));
    let affinity = seldom(select(vec![10i64, 10_800]));
    let shape = (names(), select(vec!["ClusterIP", "NodePort", "LoadBalancer"]), addresses);
    let ports = prop::collection::vec(service_port(), 1..3);
    let policies = (policy(), policy(), any::<bool>());
    (shape, ports, external, balancer, ranges, affinity, policies).prop_map(
        |(((namespace, name), type_, addresses), ports, external, balancer, ranges, affinity, policies)| {
            let (internal, external_policy, publish) = policies;
            let mut service = Service { metadata: meta(namespace, name), ..Default::default() };
            let spec = &mut service.spec;
            spec.type_ = type_.into();
            spec.selector.insert("app".into(), name.into());
            spec.cluster_ip = addresses.first().copied().unwrap_or_default().into();
            spec.cluster_ips = strings(&addresses);
            spec.ports = ports;
            if type_ == "ClusterIP" {
                spec.ports.iter_mut().for_each(|port| port.node_port = 0);
            }
            spec.external_ips = external.into_iter().map(Into::into).collect();
            spec.internal_traffic_policy = (!internal.is_empty()).then(|| internal.to_owned());
            spec.external_traffic_policy = external_policy.into();
            spec.load_balancer_source_ranges = ranges.into_iter().map(Into::into).collect();
            spec.publish_not_ready_addresses = publish;
            if let Some(seconds) = affinity {
                spec.session_affinity = "ClientIP".into();
                let client_ip = Some(ClientIpConfig { timeout_seconds: Some(seconds) });
                spec.session_affinity_config = Some(SessionAffinityConfig { client_ip });
            }
            if type_ == "LoadBalancer" {
                spec.health_check_node_port = 32_000;
                let ingress = balancer.map(|(ip, mode)| LoadBalancerIngress {
                    ip: ip.into(),
                    ip_mode: mode.map(Into::into),
                    ..Default::default()
                });
                service.status.load_balancer.ingress = ingress.into_iter().collect();
            }
            service.into()
        },
    )
}

/// An address of a Pod on a node: `10.NODE.0.POD` and the like.
fn addr(node: usize, pod: u8, v6: bool) -> String {
    if v6 { format!("fd00:{}::{pod}", node + 1) } else { format!("10.{}.0.{pod}", node + 1) }
}

fn slice_endpoint(v6: bool) -> impl Strategy<Value = SliceEndpoint> {
    let conditions = prop_oneof![
        5 => Just((None, None, None)),
        1 => Just((Some(false), Some(false), None)),
        2 => Just((Some(false), Some(true), Some(true))),
        1 => Just((Some(false), Some(false), Some(true))),
    ];
    let zones = seldom(select(vec![vec!["zone-a"], vec!["zone-b"], vec!["zone-a", "zone-b"]]));
    let nodes = seldom(select(&NODES[..]));
    (0..NODES.len(), 1..5u8, conditions, zones, nodes).prop_map(move |(node, pod, conditions, zones, nodes)| {
        let (ready, serving, terminating) = conditions;
        let for_name = |name: &str| ForName { name: name.into() };
        let hints = EndpointHints {
            for_zones: zones.unwrap_or_default().into_iter().map(for_name).collect(),
            for_nodes: nodes.into_iter().map(for_name).collect(),
        };
        SliceEndpoint {
            addresses: vec![addr(node, pod, v6)],
            conditions: EndpointConditions { ready, serving, terminating },
            node_name: Some(NODES[node].into()),
            hints: (hints != EndpointHints::default()).then_some(hints),
            ..Default::default()
        }
    })
}

fn slice() -> impl Strategy<Value = Object> {
    let ports = prop::collection::vec((select(vec!["main", "side"]), select(vec!["TCP", "UDP", "SCTP"])), 1..4);
    prop::bool::weighted(0.25).prop_flat_map(move |v6| {
        let endpoints = prop::collection::vec(slice_endpoint(v6), 0..5);
        (names(), select(&NAMES[..]), ports.clone(), endpoints).prop_map(
            move |((namespace, name), service, ports, endpoints)| {
                let mut slice = EndpointSlice { metadata: meta(namespace, name), ..Default::default() };
                slice.metadata.labels.insert(SERVICE_NAME_LABEL.into(), service.into());
                slice.address_type = if v6 { "IPv6" } else { "IPv4" }.into();
                let port = |(name, protocol): (&str, &str)| SlicePort {
                    name: Some(name.into()),
                    protocol: protocol.into(),
                    port: Some(8080),
                    ..Default::default()
                };
                slice.ports = ports.into_iter().map(port).collect();
                slice.endpoints = endpoints;
                slice.into()
            },
        )
    })
}

fn endpoints() -> impl Strategy<Value = Object> {
    let address = (0..NODES.len(), 1..5u8).prop_map(|(node, pod)| EndpointAddress {
        ip: addr(node, pod, false),
        node_name: Some(NODES[node].into()),
        ..Default::default()
    });
    let addresses = prop::collection::vec(address, 0..3);
    (names(), addresses.clone(), addresses).prop_map(|((namespace, name), addresses, not_ready_addresses)| {
        let port = |protocol: &str| EndpointPort {
            name: "main".into(),
            protocol: protocol.into(),
            port: 9090,
            ..Default::default()
        };
        let ports = vec![port("TCP"), port("UDP")];
        let subsets = vec![EndpointSubset { addresses, not_ready_addresses, ports }];
        Endpoints { metadata: meta(namespace, name), subsets }.into()
    })
}

fn pod() -> impl Strategy<Value = Object> {
    let ready = prop_oneof![3 => Just("True"), 1 => Just("False")];
    let host_port = seldom(select(vec![80i64, 30_080]));
    let fate = (ready, prop::bool::weighted(0.15), prop::bool::weighted(0.1));
    (names(), 0..NODES.len(), 1..5u8, select(&NAMES[..]), host_port, fate).prop_map(
        |((namespace, name), node, number, app, host_port, (ready, terminating, finished))| {
            let mut pod = Pod { metadata: meta(namespace, name), ..Default::default() };
            pod.metadata.labels.insert("app".into(), app.into());
            pod.metadata.deletion_timestamp = terminating.then(|| "2026-01-01T00:00:00Z".parse().ok()).flatten();
            pod.spec.node_name = NODES[node].into();
            let port = |protocol: &str| ContainerPort {
                name: "web".into(),
                container_port: 8080,
                protocol: protocol.into(),
                host_port: host_port.unwrap_or_default(),
                ..Default::default()
            };
            let ports = vec![port("TCP"), port("UDP")];
            pod.spec.containers = vec![Container { name: "c".into(), ports, ..Default::default() }];
            pod.status.phase = if finished { "Succeeded" } else { "Running" }.into();
            pod.status.pod_ips = [false, true].map(|v6| PodIp { ip: addr(node, number, v6) }).into();
            pod.status.conditions = vec![Condition { type_: "Ready".into(), status: ready.into() }];
            pod.into()
        },
    )
}

fn node() -> impl Strategy<Value = Object> {
    let zone = prop_oneof![2 => Just("zone-a"), 1 => Just("zone-b"), 1 => Just("")];
    (0..NODES.len(), zone, any::<bool>()).prop_map(|(i, zone, dual)| {
        let mut node = Node { metadata: meta("", NODES[i]), ..Default::default() };
        if !zone.is_empty() {
            node.metadata.labels.insert("topology.kubernetes.io/zone".into(), zone.into());
        }
        let address = |type_: &str, address: String| NodeAddress { type_: type_.into(), address };
        node.status.addresses = vec![address("InternalIP", format!("192.168.0.{}", i + 1))];
        if dual {
            node.status.addresses.push(address("InternalIP", format!("fd00:168::{}", i + 1)));
            node.status.addresses.push(address("ExternalIP", format!("203.0.113.{}", 100 + i)));
        }
        node.spec.pod_cidrs = vec![format!("10.{}.0.0/16", i + 1), format!("fd00:{}::/64", i + 1)];
        node.into()
    })
}

fn configuration() -> impl Strategy<Value = Object> {
    let mode = select(vec!["", "iptables", "nftables", "ipvs"]);
    let detector = select(vec![
        ("", ""),
        ("", "10.0.0.0/8"),
        ("ClusterCIDR", "10.0.0.0/8,fd00::/16"),
        ("NodeCIDR", ""),
        ("BridgeInterface", ""),
    ]);
    let addresses = seldom(select(vec!["192.168.0.0/24", "primary", "127.0.0.0/8", "0.0.0.0/0"]));
    (mode, detector, addresses, any::<bool>(), seldom(any::<bool>())).prop_map(
        |(mode, (detect_local_mode, cidr), addresses, masquerade_all, localhost)| {
            let mut config = KubeProxyConfiguration { mode: mode.into(), ..Default::default() };
            config.detect_local_mode = detect_local_mode.into();
            config.cluster_cidr = cidr.into();
            config.detect_local.bridge_interface = "cbr0".into();
            config.node_port_addresses = addresses.into_iter().map(Into::into).collect();
            config.iptables.masquerade_all = masquerade_all;
            config.nftables.masquerade_all = masquerade_all;
            config.iptables.localhost_node_ports = localhost;
            config.into()
        },
    )
}

fn range() -> impl Strategy<Value = Object> {
    select(vec![vec!["172.30.0.0/24"], vec!["172.30.0.0/24", "fd00:30::/112"], vec!["fd00:30::/112"]]).prop_map(
        |cidrs| {
            let spec = ServiceCidrSpec { cidrs: strings(&cidrs) };
            ServiceCidr { metadata: meta("", "kubernetes"), spec }.into()
        },
    )
}

/// An object of any kind that decides packets.
fn object() -> impl Strategy<Value = Object> {
    prop_oneof![
        8 => service(),
        7 => slice(),
        1 => endpoints(),
        4 => pod(),
        2 => node(),
        1 => configuration(),
        1 => range(),
    ]
}

/// A Service with a slice of its own, since chance alone would seldom bring the two together.
fn served() -> impl Strategy<Value = Vec<Object>> {
    (service(), slice()).prop_map(|(service, mut slice)| {
        if let (Object::Service(service), Object::EndpointSlice(slice)) = (&service, &mut slice) {
            slice.metadata.namespace = service.metadata.namespace.clone();
            slice.metadata.name = service.metadata.name.clone();
            slice.metadata.labels.insert(SERVICE_NAME_LABEL.into(), service.metadata.name.clone());
            let port = |port: &ServicePort| SlicePort {
                name: Some(port.name.clone()),
                protocol: port.protocol.clone(),
                port: Some(8080),
                ..Default::default()
            };
            slice.ports = service.spec.ports.iter().map(port).collect();
        }
        vec![service, slice]
    })
}

/// The objects of a small world, each name once; the node [`NODE`] is among them.
pub fn objects() -> impl Strategy<Value = Vec<Object>> {
    let some = prop_oneof![2 => served(), 1 => object().prop_map(|object| vec![object])];
    (node(), prop::collection::vec(some, 0..8)).prop_map(|(first, objects)| {
        let mut node = first;
        let mut objects: Vec<Object> = objects.into_iter().flatten().collect();
        if let Object::Node(node) = &mut node {
            node.metadata.name = NODE.into();
        }
        objects.push(node);
        let mut unique: Vec<Object> = Vec::new();
        for object in objects {
            unique.retain(|other| other.reference() != object.reference());
            unique.push(object);
        }
        unique
    })
}

fn edit() -> impl Strategy<Value = Edit> {
    let kinds =
        vec![Kind::Service, Kind::Service, Kind::EndpointSlice, Kind::EndpointSlice, Kind::Pod, Kind::Endpoints];
    let removed = prop_oneof![
        8 => (select(kinds), names()).prop_map(|(kind, (namespace, name))| ObjectRef::new(kind, namespace, name)),
        1 => select(&NODES[..]).prop_map(|name| ObjectRef::new(Kind::Node, "", name)),
        1 => Just(KubeProxyConfiguration::default().reference()),
        1 => Just(ObjectRef::new(Kind::ServiceCidr, "", "kubernetes")),
    ];
    prop_oneof![
        3 => object().prop_map(|object| Edit::Apply(Box::new(object))),
        1 => removed.prop_map(Edit::Remove),
    ]
}

/// Changes to a small world.
pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    prop::collection::vec(edit(), 0..8)
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        1 => Just(Fault::Refuse),
        3 => (1..4u64).prop_map(Fault::Interrupt),
        1 => Just(Fault::LoseReply),
        1 => Just(Fault::Restart),
        1 => Just(Fault::Flush),
    ]
}

/// Worlds, changes to them, and faults meanwhile.
pub fn scenarios() -> impl Strategy<Value = Scenario> {
    let edits = prop::collection::vec((edit(), seldom(fault())), 0..8);
    (objects(), edits).prop_map(|(objects, edits)| Scenario { objects, edits })
}
