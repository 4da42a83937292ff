//! May a Service have this external IP? What the owner of a cluster lets its users claim.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::addr::{AddrError, parse_cidr, special};

/// Which `spec.externalIPs` count.
///
/// Every node hands a Service what is sent to its external IPs, whoever owns the address, so whoever may write a Service can
/// take the traffic of others (CVE-2020-8554, open by design). The API server has a switch against it, the admission plugin
/// [`DenyServiceExternalIPs`]; owners of clusters that need some external IPs allow ranges by a webhook. This is both as a
/// value: everything (the default, as in Kubernetes), nothing, or what lies in some ranges.
///
/// Addresses that nobody may claim (loopback, link-local, unspecified: see [`special`]) are never allowed, and an IPv4 address
/// written as IPv6 is the IPv4 address.
///
/// Written `all`, `none`, or ranges with commas between them; it prints as it is read, the ranges merged and in order.
///
/// ```
/// use svc_model::ExternalIpPolicy;
///
/// let policy: ExternalIpPolicy = "203.0.113.0/24,2001:db8::/64".parse()?;
/// assert!(policy.allows("203.0.113.7".parse()?));
/// assert!(!policy.allows("10.96.0.10".parse()?));
/// assert!(!ExternalIpPolicy::DENY_ALL.allows("203.0.113.7".parse()?));
/// assert!(!ExternalIpPolicy::default().allows("127.0.0.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`DenyServiceExternalIPs`]: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#denyserviceexternalips
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExternalIpPolicy {
    /// The allowed ranges, merged and in order; `None` allows all.
    ranges: Option<Vec<IpNet>>,
}

impl ExternalIpPolicy {
    /// Every Service may have what it asks for, as in Kubernetes.
    pub const ALLOW_ALL: ExternalIpPolicy = ExternalIpPolicy { ranges: None };

    /// No Service has an external IP.
    pub const DENY_ALL: ExternalIpPolicy = ExternalIpPolicy { ranges: Some(Vec::new()) };

    /// Addresses in these ranges only; without any, none.
    pub fn only(ranges: impl IntoIterator<Item = IpNet>) -> ExternalIpPolicy {
        let mut ranges = IpNet::aggregate(&ranges.into_iter().collect());
        ranges.sort_unstable_by_key(IpNet::network);
        ExternalIpPolicy { ranges: Some(ranges) }
    }

    /// Whether a Service may have this external IP. O(log ranges), no allocation.
    pub fn allows(&self, addr: IpAddr) -> bool {
        let addr = addr.to_canonical();
        if special(addr).is_some() {
            return false;
        }
        let Some(ranges) = &self.ranges else { return true };
        let below = ranges.partition_point(|range| range.network() <= addr);
        below > 0 && ranges[below - 1].contains(&addr)
    }
}

impl fmt::Display for ExternalIpPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ranges.as_deref() {
            None => f.write_str("all"),
            Some([]) => f.write_str("none"),
            Some([first, rest @ ..]) => {
                write!(f, "{first}")?;
                rest.iter().try_for_each(|range| write!(f, ",{range}"))
            }
        }
    }
}

impl FromStr for ExternalIpPolicy {
    type Err = AddrError;

    fn from_str(text: &str) -> Result<ExternalIpPolicy, AddrError> {
        match text {
            "all" => Ok(ExternalIpPolicy::ALLOW_ALL),
            "none" => Ok(ExternalIpPolicy::DENY_ALL),
            ranges => ranges.split(',').map(parse_cidr).collect::<Result<Vec<_>, _>>().map(ExternalIpPolicy::only),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(text: &str) -> ExternalIpPolicy {
        text.parse().unwrap()
    }

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn cve_2020_8554_the_owner_says_which_external_ips_count() {
        for (text, yes, no) in [
            ("all", &["203.0.113.7", "10.96.0.1", "2001:db8::7"][..], &[][..]),
            ("none", &[], &["203.0.113.7", "2001:db8::7"]),
            (
                "203.0.113.0/25",
                &["203.0.113.0", "203.0.113.127", "::ffff:203.0.113.7"],
                &["203.0.113.128", "2001:db8::7"],
            ),
            ("10.0.0.0/8,10.1.0.0/16", &["10.0.0.1", "10.1.0.1", "10.255.255.255"], &["11.0.0.0", "9.255.255.255"]),
            ("::/0", &["2001:db8::7"], &["203.0.113.7"]),
            ("0.0.0.0/0,::/0", &["203.0.113.7", "2001:db8::7"], &[]),
        ] {
            for ip in yes {
                assert!(policy(text).allows(addr(ip)), "{text} {ip}");
            }
            for ip in no {
                assert!(!policy(text).allows(addr(ip)), "{text} {ip}");
            }
        }
    }

    #[test]
    fn cve_2020_8554_nobody_claims_the_node_itself() {
        for text in ["all", "0.0.0.0/0,::/0"] {
            for ip in
                ["127.0.0.1", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1", "224.0.0.1", "::ffff:127.0.0.1"]
            {
                assert!(!policy(text).allows(addr(ip)), "{text} {ip}");
            }
        }
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in ["", "All", "10.0.0.1", "10.0.0.0/8,", "all,10.0.0.0/8"] {
            assert!(text.parse::<ExternalIpPolicy>().is_err(), "{text}");
        }
        assert_eq!(policy("10.1.0.0/16, 10.0.0.0/8").to_string(), "10.0.0.0/8");
    }

    /// Ranges of few networks, so that some hold others.
    fn range() -> impl Strategy<Value = IpNet> {
        (prop_oneof![Just(0u8), Just(10), any::<u8>()], any::<[u8; 3]>(), 0..=32u8, any::<bool>()).prop_map(
            |(first, [b, c, d], length, v6)| {
                let addr: IpAddr = match v6 {
                    true => [0x2000 + u16::from(first), b.into(), c.into(), 0, 0, 0, 0, d.into()].into(),
                    false => [first, b, c, d].into(),
                };
                IpNet::new(addr, length).unwrap().trunc()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_policy_allows_what_some_range_holds(ranges in prop::collection::vec(range(), 0..6), addrs in prop::collection::vec(range(), 1..8)) {
            let policy = ExternalIpPolicy::only(ranges.clone());
            prop_assert_eq!(policy.to_string().parse(), Ok(policy.clone()));
            for addr in addrs.iter().map(IpNet::addr).chain(ranges.iter().map(IpNet::broadcast)) {
                let addr = addr.to_canonical();
                let expected = special(addr).is_none() && ranges.iter().any(|range| range.contains(&addr));
                prop_assert_eq!(policy.allows(addr), expected, "{} in {}", addr, policy);
            }
        }
    }
}
