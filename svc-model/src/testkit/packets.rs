//! Which packets show a difference? Those on the boundaries of what a view knows.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use crate::protocol::Protocol;
use crate::view::{NodeView, Packet};

/// Sources and destinations nobody has.
const NOBODY: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Packets at and beside every boundary of a view: to each frontend by each kind of source (an endpoint, another Pod, the
/// node, a stranger, the frontend itself, inside and just outside each source range), to the port and protocol next to it, to node ports at
/// each address of the node and elsewhere, to addresses nobody has. In a fixed order; O(frontends x sources).
pub fn packets(view: &NodeView) -> Vec<Packet> {
    let settings = view.settings();
    let mut sources: BTreeSet<IpAddr> = NOBODY.into_iter().chain(LOOPBACK).chain(settings.addresses()).collect();
    let mut destinations: BTreeSet<(SocketAddr, Protocol)> = BTreeSet::new();
    let mut pings: BTreeSet<IpAddr> = BTreeSet::new();
    let at_node: Vec<IpAddr> = settings.addresses().chain(NOBODY).chain(LOOPBACK).collect();
    for port in view.service_ports() {
        // Endpoints: the first and the last, in case sources are told apart by their order.
        let endpoints = [&port.cluster.endpoints, &port.local.endpoints];
        let ends = endpoints.into_iter().flat_map(|list| [list.first(), list.last()]).flatten();
        sources.extend(ends.map(|candidate| candidate.addr.ip()));
        sources.extend(port.load_balancer_ips.iter());
        port.source_ranges.iter().for_each(|range| sources.extend(around(range)));
        for (_, frontend) in port.frontends() {
            let addrs = if frontend.addr.is_unspecified() { &at_node[..] } else { &[frontend.addr] };
            for addr in addrs.iter().filter(|addr| addr.is_ipv4() == frontend.addr.is_ipv4()) {
                let to = |number| SocketAddr::new(*addr, number);
                destinations.insert((to(frontend.port), frontend.protocol));
                destinations.insert((to(frontend.port.wrapping_add(1).max(1)), frontend.protocol));
                destinations.insert((to(frontend.port), other(frontend.protocol)));
            }
        }
        pings.extend(port.frontends().map(|(_, frontend)| frontend.addr).filter(|addr| !addr.is_unspecified()));
        // The Service's addresses are the node's in no mode; its ports are nowhere else.
        at_node.iter().filter(|addr| addr.is_ipv4() == port.cluster_ip.is_ipv4()).for_each(|addr| {
            destinations.insert((SocketAddr::new(*addr, port.port), port.protocol));
        });
        if let Some(number) = port.health_check_node_port {
            destinations.extend(at_node.iter().map(|addr| (SocketAddr::new(*addr, number), Protocol::Tcp)));
        }
    }
    for open in view.host_ports() {
        sources.insert(open.endpoint().addr.ip());
        destinations.extend(at_node.iter().map(|addr| (SocketAddr::new(*addr, open.port), open.protocol)));
    }
    for range in settings.service_ranges() {
        let unallocated = around(range).into_iter().chain(range.hosts().nth(1_000).or(range.hosts().last()));
        destinations.extend(unallocated.map(|addr| (SocketAddr::new(addr, 80), Protocol::Tcp)));
    }
    let mut packets = Vec::new();
    for src in sources {
        let towards = |addr: IpAddr| addr.is_ipv4() == src.is_ipv4();
        let to_port = destinations.iter().filter(|(dst, _)| towards(dst.ip()));
        packets.extend(to_port.map(|(dst, protocol)| Packet::new(src, *dst, *protocol)));
        packets.extend(pings.iter().filter(|dst| towards(**dst)).map(|dst| Packet::ping(src, *dst)));
    }
    packets
}

fn other(protocol: Protocol) -> Protocol {
    match protocol {
        Protocol::Tcp => Protocol::Udp,
        Protocol::Udp | Protocol::Sctp => Protocol::Tcp,
    }
}

/// The first and last address of a range, and those just outside.
fn around(range: &IpNet) -> Vec<IpAddr> {
    let (first, last) = (range.network(), range.broadcast());
    let before = match first {
        IpAddr::V4(addr) => addr.to_bits().checked_sub(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(addr) => addr.to_bits().checked_sub(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    };
    let after = match last {
        IpAddr::V4(addr) => addr.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(addr) => addr.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    };
    [Some(first), Some(last), before, after].into_iter().flatten().filter(|addr| !addr.is_unspecified()).collect()
}
