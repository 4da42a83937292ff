//! What is a chain called, and which chains are ours?

use std::borrow::Borrow;
use std::fmt;
use std::net::SocketAddr;

use svc_model::{Protocol, ServicePort};

/// The name of a chain: 1 to 28 letters, digits and dashes, which is what the kernel takes and no line can end in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainName(Box<str>);

/// The longest name: XT_EXTENSION_MAXNAMELEN less its end.
const LONGEST: usize = 28;

/// Prefixes of the chains of a Service port or endpoint, with those of older layouts.
const SERVICE_CHAINS: [&str; 6] = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-", "KUBE-XLB-"];

impl ChainName {
    /// A name, if it is one.
    pub fn new(name: &str) -> Option<ChainName> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let fits = !name.is_empty() && name.len() <= LONGEST && name.bytes().all(plain) && !name.starts_with('-');
        fits.then(|| ChainName(name.into()))
    }

    /// `PREFIX` and the short hash of what it stands for.
    pub(crate) fn hashed(prefix: &'static str, of: &str) -> ChainName {
        let hash = driver_kit::short_hash::<16>(of);
        let mut name = String::with_capacity(LONGEST);
        name.push_str(prefix);
        name.extend(hash.map(char::from));
        ChainName(name.into())
    }

    /// One of the names below.
    pub(crate) fn fixed(name: &'static str) -> ChainName {
        ChainName(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the chain of one Service port or endpoint, of this layout or an older one.
    pub fn is_of_service(&self) -> bool {
        SERVICE_CHAINS.iter().any(|prefix| self.0.starts_with(prefix))
    }

    /// Whether the driver owns it.
    pub fn is_owned(&self) -> bool {
        self.is_of_service() || TOP_LEVEL.contains(&&*self.0)
    }
}

impl Borrow<str> for ChainName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) const SERVICES: &str = "KUBE-SERVICES";
pub(crate) const NODE_PORTS: &str = "KUBE-NODEPORTS";
pub(crate) const EXTERNAL_SERVICES: &str = "KUBE-EXTERNAL-SERVICES";
pub(crate) const FORWARD: &str = "KUBE-FORWARD";
pub(crate) const PROXY_FIREWALL: &str = "KUBE-PROXY-FIREWALL";
pub(crate) const FIREWALL: &str = "KUBE-FIREWALL";
pub(crate) const POSTROUTING: &str = "KUBE-POSTROUTING";
pub(crate) const MARK_MASQ: &str = "KUBE-MARK-MASQ";
/// Marks what the filter table drops; the classic layout's way to drop from within nat.
pub(crate) const MARK_DROP: &str = "KUBE-MARK-DROP";
/// Marks what comes from no range of Pods, where there are several.
pub(crate) const MARK_OUTSIDE: &str = "KUBE-MARK-OUTSIDE";
/// Holds one rule that does nothing; when it is gone, so is the rest.
pub(crate) const CANARY: &str = "KUBE-PROXY-CANARY";

const TOP_LEVEL: [&str; 11] = [
    SERVICES,
    NODE_PORTS,
    EXTERNAL_SERVICES,
    FORWARD,
    PROXY_FIREWALL,
    FIREWALL,
    POSTROUTING,
    MARK_MASQ,
    MARK_DROP,
    MARK_OUTSIDE,
    CANARY,
];

/// The names of a Service port's chains.
#[derive(Clone, Debug)]
pub(crate) struct PortNames {
    /// `ns/name:port`, as comments have it.
    pub(crate) text: String,
    hashed: String,
}

impl PortNames {
    /// The classic layout keeps the colon where the port has no name.
    pub(crate) fn of(port: &ServicePort, keeps_colon: bool) -> PortNames {
        let mut text = port.service.to_string();
        if keeps_colon || !port.name.is_empty() {
            text.push(':');
            text.push_str(&port.name);
        }
        let hashed = format!("{text}{}", protocol_word(port.protocol));
        PortNames { text, hashed }
    }

    pub(crate) fn chain(&self, prefix: &'static str) -> ChainName {
        ChainName::hashed(prefix, &self.hashed)
    }

    pub(crate) fn endpoint(&self, addr: SocketAddr) -> ChainName {
        ChainName::hashed("KUBE-SEP-", &format!("{}{addr}", self.hashed))
    }
}

/// The protocol as iptables spells it.
pub(crate) fn protocol_word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_place() {
        for name in ["", "A B", "A\nB", "-A", "KUBE-SVC-0123456789ABCDEFGHIJ", "A\"B", "K\u{e4}"] {
            assert_eq!(ChainName::new(name), None, "{name:?}");
        }
        assert!(ChainName::new("KUBE-SVC-0123456789ABCDEF").is_some_and(|name| name.is_owned()));
        assert!(ChainName::new("KUBE-KUBELET-CANARY").is_some_and(|name| !name.is_owned()));
    }
}
