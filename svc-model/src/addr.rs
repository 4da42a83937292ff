//! Which address does this text mean? Reading as the Kubernetes data plane does, lenient where it is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpFamily {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl IpFamily {
    /// The family of an address.
    pub fn of(addr: IpAddr) -> IpFamily {
        if addr.is_ipv4() { IpFamily::V4 } else { IpFamily::V6 }
    }

    /// `0.0.0.0` or `::`.
    pub fn unspecified(self) -> IpAddr {
        match self {
            IpFamily::V4 => Ipv4Addr::UNSPECIFIED.into(),
            IpFamily::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    /// The family of a range.
    pub fn of_net(net: &IpNet) -> IpFamily {
        IpFamily::of(net.addr())
    }
}

impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IpFamily::V4 => "IPv4",
            IpFamily::V6 => "IPv6",
        })
    }
}

/// A text that is neither `IPv4` nor `IPv6`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown IP family {0:?}: IPv4 or IPv6")]
pub struct UnknownIpFamily(pub String);

impl FromStr for IpFamily {
    type Err = UnknownIpFamily;

    fn from_str(text: &str) -> Result<IpFamily, UnknownIpFamily> {
        match text {
            "IPv4" => Ok(IpFamily::V4),
            "IPv6" => Ok(IpFamily::V6),
            _ => Err(UnknownIpFamily(text.chars().take(32).collect())),
        }
    }
}

/// A text that is no address or range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no {what}")]
pub struct AddrError {
    value: String,
    what: &'static str,
}

impl AddrError {
    fn new(value: &str, what: &'static str) -> AddrError {
        AddrError { value: value.chars().take(64).collect(), what }
    }

    /// The text, cut to 64 characters.
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// Reads an address as kube-proxy does: leading zeros of IPv4 octets are decimal and dropped (`010.096.0.05` is
/// `10.96.0.5`), and an IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address.
///
/// ```
/// use svc_model::addr::parse_ip;
/// assert_eq!(parse_ip("010.096.0.05")?.to_string(), "10.96.0.5");
/// assert_eq!(parse_ip("::ffff:10.0.0.1")?.to_string(), "10.0.0.1");
/// assert!(parse_ip("10.0.0").is_err());
/// # Ok::<(), svc_model::addr::AddrError>(())
/// ```
pub fn parse_ip(text: &str) -> Result<IpAddr, AddrError> {
    parse_ip_as_written(text).map(|addr| addr.to_canonical())
}

/// Reads a CIDR as kube-proxy does: white space around it is trimmed, octets as [`parse_ip`], and the bits behind the prefix
/// are cleared (`203.0.113.077/025` is `203.0.113.0/25`). An IPv4 range written as IPv6 is the IPv4 range
/// (`::ffff:10.0.0.0/104` is `10.0.0.0/8`), as long as its prefix keeps the mapping.
pub fn parse_cidr(text: &str) -> Result<IpNet, AddrError> {
    let error = || AddrError::new(text, "CIDR");
    let (addr, len) = text.trim().split_once('/').ok_or_else(error)?;
    let addr = parse_ip_as_written(addr).map_err(|_| error())?;
    let len: u8 = decimal(len).ok_or_else(error)?;
    let mapped = |addr: Ipv6Addr| Some((addr.to_ipv4_mapped()?, len.checked_sub(MAPPED_PREFIX)?));
    let net = match addr {
        IpAddr::V4(addr) => Ipv4Net::new(addr, len).map(|net| IpNet::V4(net.trunc())),
        IpAddr::V6(addr) => match mapped(addr) {
            Some((addr, len)) => Ipv4Net::new(addr, len).map(|net| IpNet::V4(net.trunc())),
            None => Ipv6Net::new(addr, len).map(|net| IpNet::V6(net.trunc())),
        },
    };
    net.map_err(|_| error())
}

/// The bits before an IPv4 address that is written as IPv6 (RFC 4291, section 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

fn parse_ip_as_written(text: &str) -> Result<IpAddr, AddrError> {
    let read = || match text.rsplit_once(':') {
        // The dotted end of a mapped address is as lenient as an IPv4 address alone.
        Some((head, tail)) if tail.contains('.') => format!("{head}:{}", octets(tail)?).parse().ok().map(IpAddr::V6),
        Some(_) => text.parse().ok().map(IpAddr::V6),
        None => octets(text).map(IpAddr::V4),
    };
    read().ok_or_else(|| AddrError::new(text, "IP address"))
}

fn octets(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = decimal(parts.next()?)?;
    }
    parts.next().is_none().then(|| octets.into())
}

fn decimal(text: &str) -> Option<u8> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The zeros go first, so that a long run of them cannot overflow.
    let digits = text.trim_start_matches('0');
    if digits.is_empty() { Some(0) } else { digits.parse().ok() }
}

/// Why no endpoint or external IP may have this address.
///
/// The API server refuses these in Endpoints, EndpointSlices and `externalIPs`; that slices once escaped the rule was
/// CVE-2021-25737.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Special {
    /// `0.0.0.0` or `::`
    Unspecified,
    /// `127.0.0.0/8` or `::1`
    Loopback,
    /// `169.254.0.0/16` or `fe80::/10`
    LinkLocal,
    /// `224.0.0.0/24` or `ff02::/16`
    LinkLocalMulticast,
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Special::Unspecified => "unspecified",
            Special::Loopback => "loopback",
            Special::LinkLocal => "link-local",
            Special::LinkLocalMulticast => "link-local multicast",
        })
    }
}

/// Whether an address is one that no endpoint may have.
pub fn special(addr: IpAddr) -> Option<Special> {
    let addr = addr.to_canonical();
    if addr.is_unspecified() {
        Some(Special::Unspecified)
    } else if addr.is_loopback() {
        Some(Special::Loopback)
    } else {
        match addr {
            IpAddr::V4(v4) if v4.is_link_local() => Some(Special::LinkLocal),
            IpAddr::V4(v4) if v4.octets()[..3] == [224, 0, 0] => Some(Special::LinkLocalMulticast),
            IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfe80 => Some(Special::LinkLocal),
            IpAddr::V6(v6) if v6.segments()[0] == 0xff02 => Some(Special::LinkLocalMulticast),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_leniently_and_print_canonically() {
        for (text, canonical) in [
            ("203.0.113.000/025", "203.0.113.0/25"),
            (" 10.0.0.0/8\t", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("fd00:0::5/64", "fd00::/64"),
            ("10.0.0.0/0008", "10.0.0.0/8"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3/128", "10.1.2.3/32"),
            ("::ffff:10.1.2.3/96", "0.0.0.0/0"),
            ("::ffff:10.1.2.3/80", "::/80"),
        ] {
            assert_eq!(parse_cidr(text).map(|net| net.to_string()), Ok(canonical.to_owned()));
        }
        for text in [
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "/8",
            "a/8",
            "::/129",
            "10.0.0.0/256",
            "::ffff:10.0.0.0/129",
        ] {
            assert!(parse_cidr(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_dotted_end_of_a_mapped_address_is_read_leniently() {
        assert_eq!(parse_ip("::ffff:010.0.00.1"), parse_ip("10.0.0.1"));
        assert_eq!(parse_ip("64:ff9b::010.0.0.1"), parse_ip("64:ff9b::a00:1"));
        for text in ["::ffff:10.0.0", "::ffff:10.0.0.256", "10.0.0.1:80", "10.0.0.1:", ":10.0.0.1", "::10.0.0.1.1"] {
            assert!(parse_ip(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cve_2021_25737_special_addresses_are_seen_through_mapping() {
        for text in
            ["127.0.0.1", "169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1", "ff02::1"]
        {
            assert!(special(parse_ip(text).unwrap()).is_some(), "{text}");
        }
        for text in ["10.0.0.1", "224.0.1.1", "fd00::1", "ff05::1"] {
            assert_eq!(special(parse_ip(text).unwrap()), None, "{text}");
        }
    }
}
