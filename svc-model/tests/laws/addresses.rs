//! What must hold of any text where an address or a range is expected. Shared by the property test and the fuzz target.

use std::net::IpAddr;

use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use svc_model::addr::{IpFamily, parse_cidr, parse_ip, special};
use svc_model::check::{self, Level};
use svc_model::{Cluster, Kind, NodeSettings, NodeView, Object, Packet, Protocol, complete, endpoints};

/// Every law for every text.
pub(crate) fn hold(texts: &[&str]) {
    for text in texts {
        one_address(text);
        one_range(text);
    }
    in_objects(texts);
}

/// What is read is canonical, prints as it is read, and is what the standard library reads where that is as strict.
fn one_address(text: &str) {
    match (parse_ip(text), text.parse::<IpAddr>()) {
        (Ok(addr), strict) => {
            assert_eq!(addr, addr.to_canonical(), "{text:?}");
            assert_eq!(parse_ip(&addr.to_string()), Ok(addr), "{text:?}");
            assert!(strict.is_err() || strict.map(|strict| strict.to_canonical()) == Ok(addr), "{text:?}");
        }
        (Err(error), strict) => {
            assert!(strict.is_err(), "{text:?} is an address");
            assert!(error.value().chars().count() <= 64);
        }
    }
}

/// A range has no bits behind its prefix, is of the family of the address in it, and holds that.
fn one_range(text: &str) {
    let Ok(net) = parse_cidr(text) else { return };
    assert_eq!(net, net.trunc(), "{text:?}");
    assert_eq!(parse_cidr(&net.to_string()), Ok(net), "{text:?}");
    assert_eq!(parse_cidr(&format!("\t{text} ")), Ok(net), "{text:?}");
    let (addr, length) = text.trim().split_once('/').expect("a range has a slash");
    let addr = parse_ip(addr).expect("the part before it is an address");
    if IpFamily::of(addr) == IpFamily::of_net(&net) {
        assert!(net.contains(&addr), "{text:?}");
    } else {
        // Only a prefix that is too short to keep the mapping leaves it.
        assert!(length.parse::<u32>().is_ok_and(|length| length < 96), "{text:?}");
    }
}

/// Slices, Endpoints and external IPs refuse the same addresses, those refused are left out of the answers, and the rest is
/// used.
fn in_objects(texts: &[&str]) {
    let slice = |family: IpFamily| {
        let endpoints: Vec<Value> = texts.iter().map(|text| json!({ "addresses": [text] })).collect();
        read(
            Kind::EndpointSlice,
            json!({
                "metadata": {"name": family.to_string().to_lowercase(), "labels": {"kubernetes.io/service-name": "sliced"}},
                "addressType": family.to_string(), "ports": [{"name": "http", "port": 80}], "endpoints": endpoints,
            }),
        )
    };
    let (v4, v6) = (slice(IpFamily::V4), slice(IpFamily::V6));
    let addresses: Vec<Value> = texts.iter().map(|text| json!({ "ip": text })).collect();
    let hand_made = read(
        Kind::Endpoints,
        json!({"metadata": {"name": "listed"}, "subsets": [{"addresses": addresses, "ports": [{"name": "http", "port": 80}]}]}),
    );
    let service = |name: &str, ip: &str| {
        let ports = json!([{"name": "http", "port": 80}]);
        let spec = json!({"type": "LoadBalancer", "clusterIP": ip, "externalIPs": texts, "ports": ports});
        let ingress: Vec<Value> = texts.iter().map(|text| json!({ "ip": text })).collect();
        let status = json!({"loadBalancer": {"ingress": ingress}});
        read(Kind::Service, json!({"metadata": {"name": name}, "spec": spec, "status": status}))
    };
    let services = [service("sliced", "172.30.0.1"), service("listed", texts.first().unwrap_or(&""))];

    let usable = |text: &str| parse_ip(text).ok().filter(|addr| special(*addr).is_none());
    for (i, text) in texts.iter().enumerate() {
        let addr = usable(text);
        let refuses = |object: &Object, field: String| {
            check::object(object, "v1").iter().any(|found| found.level == Level::Error && found.field == field)
        };
        assert_eq!(refuses(&hand_made, format!("subsets[0].addresses[{i}].ip")), addr.is_none(), "{text:?}");
        assert_eq!(refuses(&services[0], format!("spec.externalIPs[{i}]")), addr.is_none(), "{text:?}");
        for (slice, family) in [(&v4, IpFamily::V4), (&v6, IpFamily::V6)] {
            let fits = addr.is_some_and(|addr| IpFamily::of(addr) == family);
            assert_eq!(refuses(slice, format!("endpoints[{i}].addresses[0]")), !fits, "{text:?} in {family}");
        }
    }

    let pods = texts.iter().enumerate().map(|(i, text)| {
        let status = json!({"phase": "Running", "podIPs": [{"ip": text}], "hostIP": text});
        let port = json!({"containerPort": 80, "hostPort": 80, "hostIP": text});
        let spec = json!({"nodeName": "n1", "containers": [{"name": "c", "image": "i", "ports": [port]}]});
        read(Kind::Pod, json!({"metadata": {"name": format!("p{i}")}, "spec": spec, "status": status}))
    });
    let node_addresses: Vec<Value> = texts.iter().map(|text| json!({"type": "InternalIP", "address": text})).collect();
    let node =
        json!({"metadata": {"name": "n1"}, "spec": {"podCIDRs": texts}, "status": {"addresses": node_addresses}});
    let proxy = json!({"clusterCIDR": texts.join(","), "nodePortAddresses": texts});
    let ranges = json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": texts}});
    let rest = [
        read(Kind::Node, node),
        read(Kind::KubeProxyConfiguration, proxy),
        read(Kind::ServiceCidr, ranges),
        read(Kind::KubeletConfiguration, json!({ "clusterDNS": texts })),
    ];
    let mut cluster: Cluster = services.into_iter().chain([v4, v6, hand_made]).chain(pods).chain(rest).collect();
    check::cluster(&cluster);
    let expected = |family: Option<IpFamily>| {
        let fits = |addr: &IpAddr| family.is_none_or(|family| IpFamily::of(*addr) == family);
        texts.iter().filter_map(|text| usable(text)).filter(fits).collect::<Vec<IpAddr>>()
    };
    for (name, wanted) in
        [("sliced", [expected(Some(IpFamily::V4)), expected(Some(IpFamily::V6))].concat()), ("listed", expected(None))]
    {
        let service = cluster.get("default", name).expect("it is among the objects");
        let found = endpoints::of(&cluster, service);
        let found: Vec<IpAddr> = found.sets.iter().flat_map(|set| &set.endpoints).map(|e| e.addr).collect();
        assert_eq!(found, wanted, "{name} of {texts:?}");
    }
    complete(&mut cluster);
    let view = NodeView::new(&cluster, NodeSettings::of(&cluster, Some("n1")).expect("a node is named"));
    for addr in texts.iter().filter_map(|text| parse_ip(text).ok()) {
        let decision = view.decide(&Packet::new(addr, (addr, 80).into(), Protocol::Tcp));
        assert!(!view.explain(&decision).to_string().is_empty());
    }
}

fn read(kind: Kind, value: Value) -> Object {
    kind.deserialize(value).expect("texts may be any")
}
