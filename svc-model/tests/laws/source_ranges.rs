//! Who may use the addresses of a load balancer? The view against the rule as it stands in the documentation, for any texts
//! as ranges. Shared by the property test and the fuzz target.

use std::net::IpAddr;

use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use svc_model::addr::{IpFamily, parse_cidr, parse_ip};
use svc_model::check::{self, Level};
use svc_model::{Cluster, Kind, NodeSettings, NodeView, Object, Packet, Protocol, Verdict};

const NODE: [&str; 2] = ["192.168.0.1", "fd00:10::1"];
const CLUSTER_IP: [&str; 2] = ["172.30.0.1", "fd00:20::1"];
const VIP: [&str; 2] = ["203.0.113.7", "2001:db8::7"];
const EXTERNAL: [&str; 2] = ["198.51.100.7", "2001:db8:1::7"];

/// A range, read by itself: prefix bits and their number.
#[derive(Clone, Copy)]
struct Range {
    family: IpFamily,
    bits: u128,
    length: u32,
}

impl Range {
    fn read(text: &str) -> Option<Range> {
        let (addr, length) = text.trim().split_once('/')?;
        let digits = length.trim_start_matches('0');
        if length.is_empty() || digits.len() > 3 || !length.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let length: u32 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        // A mapped range is the IPv4 range in it, if its prefix reaches so far.
        let (addr, mapped) = (parse_ip(addr).ok()?, addr.contains(':'));
        let (bits, length) = match addr {
            IpAddr::V4(v4) if mapped && length < 96 => (v4.to_ipv6_mapped().to_bits(), length),
            IpAddr::V4(_) if mapped => (number(addr), length - 96),
            _ => (number(addr), length),
        };
        let family = if mapped && bits >> 32 != 0 { IpFamily::V6 } else { IpFamily::of(addr) };
        (length <= width(family)).then_some(Range { family, bits, length })
    }

    fn holds(&self, addr: IpAddr) -> bool {
        let shift = width(self.family) - self.length;
        let differing = self.bits ^ number(addr);
        IpFamily::of(addr) == self.family && differing.checked_shr(shift).unwrap_or(0) == 0
    }

    /// Its first and last address, and those beside it.
    fn edges(&self) -> Vec<IpAddr> {
        let free = 1u128.checked_shl(width(self.family) - self.length).map_or(u128::MAX, |size| size - 1);
        let (first, last) = (self.bits & !free, self.bits | free);
        let addr = |bits: u128| match self.family {
            IpFamily::V4 => u32::try_from(bits).ok().map(|bits| IpAddr::V4(bits.into())),
            IpFamily::V6 => Some(IpAddr::V6(bits.into())),
        };
        let around = [Some(first), Some(last), first.checked_sub(1), last.checked_add(1)];
        around.into_iter().flatten().filter_map(addr).map(|addr| addr.to_canonical()).collect()
    }
}

fn width(family: IpFamily) -> u32 {
    match family {
        IpFamily::V4 => 32,
        IpFamily::V6 => 128,
    }
}

fn number(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => addr.to_bits().into(),
        IpAddr::V6(addr) => addr.to_bits(),
    }
}

/// Every law for a Service with these ranges.
pub(crate) fn hold(texts: &[&str]) {
    let ports = json!([{"name": "http", "port": 80, "nodePort": 30080}]);
    let spec = json!({
        "type": "LoadBalancer", "clusterIP": CLUSTER_IP[0], "clusterIPs": CLUSTER_IP, "ipFamilyPolicy": "RequireDualStack",
        "externalIPs": EXTERNAL, "loadBalancerSourceRanges": texts, "ports": ports,
    });
    let ingress: Vec<Value> = VIP.iter().map(|ip| json!({ "ip": ip })).collect();
    let service = json!({"metadata": {"name": "web"}, "spec": spec, "status": {"loadBalancer": {"ingress": ingress}}});
    let service = read(Kind::Service, service);
    let ranges: Vec<Option<Range>> = texts.iter().map(|text| Range::read(text)).collect();

    let found = check::object(&service, "v1");
    for (i, (text, range)) in texts.iter().zip(&ranges).enumerate() {
        let field = format!("spec.loadBalancerSourceRanges[{i}]");
        let refused = found.iter().any(|finding| finding.level == Level::Error && finding.field == field);
        assert_eq!(refused, range.is_none(), "{text:?}");
        assert_eq!(parse_cidr(text).is_err(), range.is_none(), "{text:?}");
    }

    let ranges: Vec<Range> = ranges.into_iter().flatten().collect();
    let mut sources: Vec<IpAddr> = ranges.iter().flat_map(Range::edges).collect();
    sources.extend(NODE.iter().chain(&VIP).chain(&["8.8.8.8", "2001:4860::1"]).map(|ip| addr(ip)));
    for mode in ["iptables", "nftables", "ipvs"] {
        let view = view(&service, mode);
        for (i, family) in [IpFamily::V4, IpFamily::V6].into_iter().enumerate() {
            let own: Vec<Range> = ranges.iter().copied().filter(|range| range.family == family).collect();
            for src in sources.iter().copied().filter(|src| IpFamily::of(*src) == family) {
                let inside = |addr: IpAddr| own.iter().any(|range| range.holds(addr));
                let from_itself = src == addr(VIP[i]) && inside(addr(NODE[i]));
                let allowed = own.is_empty() || inside(src) || from_itself;
                let verdict = |dst: &str, port: u16| {
                    view.decide(&Packet::new(src, (addr(dst), port).into(), Protocol::Tcp)).verdict
                };
                let expected = if allowed { Verdict::Dnat } else { Verdict::Drop };
                assert_eq!(verdict(VIP[i], 80), expected, "{src} with {texts:?} in mode {mode}");
                // No other way in is guarded.
                assert_eq!(verdict(CLUSTER_IP[i], 80), Verdict::Dnat, "{src} with {texts:?}");
                assert_eq!(verdict(EXTERNAL[i], 80), Verdict::Dnat, "{src} with {texts:?}");
                assert_eq!(verdict(NODE[i], 30080), Verdict::Dnat, "{src} with {texts:?}");
            }
        }
    }
}

fn view(service: &Object, mode: &str) -> NodeView {
    let slice = |name: &str, addr: &str| {
        read(
            Kind::EndpointSlice,
            json!({
                "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "web"}}, "addressType": name,
                "ports": [{"name": "http", "port": 8080}], "endpoints": [{"addresses": [addr]}],
            }),
        )
    };
    let addresses: Vec<Value> = NODE.iter().map(|ip| json!({"type": "InternalIP", "address": ip})).collect();
    let node = read(Kind::Node, json!({"metadata": {"name": "n1"}, "status": {"addresses": addresses}}));
    let proxy = read(Kind::KubeProxyConfiguration, json!({ "mode": mode }));
    let slices = [slice("IPv4", "10.1.0.1"), slice("IPv6", "fd00:30::1")];
    let cluster: Cluster = [service.clone(), node, proxy].into_iter().chain(slices).collect();
    NodeView::new(&cluster, NodeSettings::of(&cluster, Some("n1")).expect("a node is named"))
}

fn addr(text: &str) -> IpAddr {
    text.parse().expect("an address of this file")
}

fn read(kind: Kind, value: Value) -> Object {
    kind.deserialize(value).expect("texts may be any")
}
