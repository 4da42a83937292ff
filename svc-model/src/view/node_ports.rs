//! On which of the node's addresses do node ports answer?

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::settings::Mode;
use crate::addr::{IpFamily, parse_cidr};

/// The addresses that take node ports, worked out from `nodePortAddresses` and `localhostNodePorts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NodePortAddresses {
    accepted: BTreeSet<IpAddr>,
    loopback: Loopback,
    /// The families of which no address is chosen: whichever the node has are taken.
    everywhere: Vec<IpFamily>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Loopback {
    #[default]
    None,
    /// 127.0.0.1, which the list of ranges holds.
    Localhost,
    /// All of 127.0.0.0/8, because every local address is taken.
    All,
}

impl NodePortAddresses {
    pub(super) fn new(
        mode: Mode,
        listed: &[String],
        localhost_node_ports: bool,
        addresses: &BTreeSet<IpAddr>,
        primary: &[IpAddr],
    ) -> NodePortAddresses {
        let wants_primary =
            listed.iter().any(|entry| entry == "primary") || (listed.is_empty() && mode == Mode::Nftables);
        if wants_primary {
            return NodePortAddresses { accepted: primary.iter().copied().collect(), ..NodePortAddresses::default() };
        }
        let ranges: Vec<IpNet> = listed.iter().filter_map(|cidr| parse_cidr(cidr).ok()).collect();
        // A family without a range of its own takes all its addresses.
        let all_of = |family| !ranges.iter().any(|range| IpFamily::of_net(range) == family);
        let listed = |addr: &IpAddr| ranges.iter().any(|range| range.contains(addr));
        let accepted = addresses.iter().filter(|addr| all_of(IpFamily::of(**addr)) || listed(addr)).copied().collect();
        let loopback = match mode {
            Mode::Iptables if !localhost_node_ports => Loopback::None,
            Mode::Iptables
                if all_of(IpFamily::V4)
                    || ranges
                        .iter()
                        .any(|range| range.prefix_len() == 0 && IpFamily::of_net(range) == IpFamily::V4) =>
            {
                Loopback::All
            }
            Mode::Iptables if listed(&IpAddr::V4(Ipv4Addr::LOCALHOST)) => Loopback::Localhost,
            _ => Loopback::None,
        };
        let takes_all = |range: &IpNet, family| range.prefix_len() == 0 && IpFamily::of_net(range) == family;
        let everywhere = [IpFamily::V4, IpFamily::V6]
            .into_iter()
            .filter(|family| all_of(*family) || ranges.iter().any(|range| takes_all(range, *family)));
        NodePortAddresses { accepted, loopback, everywhere: everywhere.collect() }
    }

    pub(super) fn is_everywhere(&self, family: IpFamily) -> bool {
        self.everywhere.contains(&family)
    }

    pub(super) fn accepts(&self, dst: IpAddr) -> bool {
        match (dst, self.loopback) {
            (IpAddr::V4(v4), Loopback::All) if v4.is_loopback() => true,
            (IpAddr::V4(Ipv4Addr::LOCALHOST), Loopback::Localhost) => true,
            _ => self.accepted.contains(&dst),
        }
    }
}
