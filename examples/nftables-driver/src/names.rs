//! What is an object called? A hash that tells it from all others, and as much of its own name as nft takes.

use std::borrow::Borrow;
use std::fmt;
use std::net::SocketAddr;

use svc_model::{Kind, NamespacedName, ObjectRef, Protocol, ServicePort};

/// The name of a chain, set or map: letters, digits and `-_./`, beginning with a letter; at most 255, which is what no line can end in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Longest base of a name, so that there is room for any prefix in the kernel's 255 characters.
const LONGEST_BASE: usize = 240;

impl Name {
    /// A name, if it is one.
    pub fn new(name: &str) -> Option<Name> {
        let fits =
            name.len() <= 255 && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_plain);
        fits.then(|| Name(name.into()))
    }

    pub(crate) fn fixed(name: &'static str) -> Name {
        Name(name.into())
    }

    /// A name made of our own words and numbers.
    pub(crate) fn generated(name: String) -> Name {
        Name(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/')
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The names of a Service port's objects.
#[derive(Clone, Debug)]
pub(crate) struct PortNames {
    /// `ns/name:port`, as comments have it.
    pub(crate) text: String,
    /// `ns/name/proto/port`
    path: String,
    base: String,
}

impl PortNames {
    pub(crate) fn of(port: &ServicePort) -> PortNames {
        let NamespacedName { namespace, name } = &*port.service;
        let mut text = [&**namespace, "/", name].concat();
        let path = [&*text, "/", protocol_word(port.protocol), "/", &port.name].concat();
        if !port.name.is_empty() {
            text.push(':');
            text.push_str(&port.name);
        }
        PortNames { text, base: base(&path), path }
    }

    pub(crate) fn chain(&self, prefix: &'static str) -> Name {
        Name(format!("{prefix}{}", self.base).into())
    }

    /// The chain of an endpoint and its affinity set.
    pub(crate) fn endpoint(&self, addr: SocketAddr) -> [Name; 2] {
        // Colons would end the name.
        let ip = addr.ip().to_string().replace(':', ".");
        let base = base(&format!("{}__{ip}/{}", self.path, addr.port()));
        ["endpoint-", "affinity-"].map(|prefix| Name(format!("{prefix}{base}").into()))
    }
}

/// The hash is of the whole, so what is cut or replaced after it tells nothing from nothing.
fn base(of: &str) -> String {
    let mut base = String::with_capacity(9 + of.len());
    base.extend(driver_kit::short_hash::<8>(of).map(char::from));
    base.push('-');
    match of.chars().all(is_plain) {
        true => base.push_str(of),
        false => base.extend(of.chars().map(|c| if is_plain(c) { c } else { '_' })),
    }
    if base.len() > LONGEST_BASE {
        base.truncate(LONGEST_BASE - 3);
        base.push_str("...");
    }
    base
}

/// The Service that a command is for, by the name or the comment of what it writes.
pub(crate) fn service_of(command: &str) -> Option<ObjectRef> {
    let of = |path: &str| {
        let mut parts = path.split(['/', ':']);
        let (namespace, name) = (parts.next()?, parts.next()?);
        (!namespace.is_empty() && !name.is_empty()).then(|| ObjectRef::new(Kind::Service, namespace, name))
    };
    let by_name = |word: &str| {
        let (prefix, base) = word.trim_start_matches('@').split_once('-')?;
        let prefixes = ["service", "local", "external", "firewall", "endpoint", "affinity"];
        prefixes.contains(&prefix).then(|| base.get(8..)?.strip_prefix('-')).flatten().and_then(of)
    };
    let by_comment = || of(command.split_once("comment \"")?.1.split([' ', '"']).next()?);
    command.split_whitespace().find_map(by_name).or_else(by_comment)
}

/// The protocol as nft spells it.
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
    fn a_command_tells_its_service() {
        let told = |command| service_of(command).map(|service| service.to_string());
        let shop = Some("Service/shop/cart".to_owned());
        assert_eq!(told("add chain ip kube-proxy service-ULMVA6XW-shop/cart/tcp/p80"), shop);
        assert_eq!(
            told("add rule ip kube-proxy services ip saddr @affinity-5OJB2KTY-shop/cart/tcp/__10.180.0.1/80 drop"),
            shop
        );
        let element =
            "add element ip kube-proxy no-endpoint-services { 10.0.0.1 . tcp . 80 comment \"shop/cart:p80\" : drop }";
        assert_eq!(told(element), shop);
        assert_eq!(
            told("add set ip kube-proxy cluster-ips { type ipv4_addr ; comment \"Active ClusterIPs\" ; }"),
            None
        );
        assert_eq!(told("add chain ip kube-proxy filter-output"), None);
    }

    #[test]
    fn names_are_those_of_kube_proxy() {
        assert_eq!(base("ns1/svc1/tcp/p80"), "ULMVA6XW-ns1/svc1/tcp/p80");
        assert_eq!(base("ns1/svc1/tcp/p80__10.180.0.1/80"), "5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80");
        let v6 = "testing/service/tcp/http__fd80.abcd.12..a1b2.c3d4.e5f6.9999/80";
        assert_eq!(base(v6), format!("U7E2ET36-{v6}"));
        let long = base(&"x".repeat(300));
        assert_eq!((long.len(), &long[237..]), (240, "..."));
        assert!(base("a b;\n}").ends_with("-a_b___"));
    }
}
