//! What is a chain called, and which chains are ours?

use std::borrow::Borrow;
use std::fmt;
use std::net::SocketAddr;

use arrayvec::ArrayString;
use driver_kit::{short_hash, write_socket_addr};
use svc_model::{NamespacedName, Protocol, ServicePort};

/// The longest name: XT_EXTENSION_MAXNAMELEN less its end.
const LONGEST: usize = 28;

/// The name of a chain: 1 to 28 letters, digits and dashes, which is what the kernel takes and no line can end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainName(ArrayString<LONGEST>);

/// Prefixes of the chains of a Service port or endpoint, with those of older layouts.
const SERVICE_CHAINS: [&str; 6] = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-", "KUBE-XLB-"];

impl ChainName {
    /// A name, if it is one.
    pub fn new(name: &str) -> Option<ChainName> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let fits = !name.is_empty() && name.len() <= LONGEST && name.bytes().all(plain) && !name.starts_with('-');
        if fits { ArrayString::from(name).ok().map(ChainName) } else { None }
    }

    /// `PREFIX` and a short hash.
    fn hashed(prefix: &'static str, hash: [u8; 16]) -> ChainName {
        let mut name = ArrayString::new();
        // The longest prefix has 9 characters.
        name.push_str(prefix);
        name.push_str(str::from_utf8(&hash).expect("letters and digits"));
        ChainName(name)
    }

    /// One of the names below.
    pub(crate) fn fixed(name: &'static str) -> ChainName {
        ChainName(ArrayString::from(name).expect("a name of ours, which is short"))
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
        self.is_of_service() || TOP_LEVEL.contains(&self.as_str())
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
    /// Its chains have one hash and differ by prefix.
    hash: [u8; 16],
}

impl PortNames {
    /// The classic layout keeps the colon where the port has no name.
    pub(crate) fn of(port: &ServicePort, keeps_colon: bool) -> PortNames {
        let NamespacedName { namespace, name } = &*port.service;
        let mut text = [&**namespace, "/", name].concat();
        if keeps_colon || !port.name.is_empty() {
            text.push(':');
            text.push_str(&port.name);
        }
        let hashed = [&*text, protocol_word(port.protocol)].concat();
        PortNames { text, hash: short_hash(&hashed), hashed }
    }

    pub(crate) fn chain(&self, prefix: &'static str) -> ChainName {
        ChainName::hashed(prefix, self.hash)
    }

    pub(crate) fn endpoint(&self, addr: SocketAddr) -> ChainName {
        let mut hashed = String::with_capacity(self.hashed.len() + 48);
        hashed.push_str(&self.hashed);
        // Text in memory takes everything.
        let _ = write_socket_addr(&mut hashed, addr);
        ChainName::hashed("KUBE-SEP-", short_hash(&hashed))
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
