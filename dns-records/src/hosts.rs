//! Which addresses does a hosts file give a name, and which records does a server make of it?

mod records;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::search::ResolverKind;

pub use records::{HostsRecords, HostsSettings, Told};

/// A hosts file (`hosts(5)`): lines of an address and its names.
///
/// ```
/// use dns_records::hosts::HostsFile;
/// let hosts: HostsFile = "127.0.0.1 localhost\n10.1.2.3 redis cache # aliases\n".parse().unwrap();
/// assert_eq!(hosts.addresses("REDIS").collect::<Vec<_>>(), ["10.1.2.3".parse::<std::net::IpAddr>().unwrap()]);
/// assert_eq!(hosts.addresses("redis.").count(), 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostsFile {
    lines: Vec<HostsLine>,
}

/// One line of a hosts file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsLine {
    /// The address.
    pub addr: IpAddr,
    /// Its names, the canonical one first.
    pub names: Vec<String>,
}

impl HostsFile {
    /// Appends a line.
    pub fn push<S: Into<String>>(&mut self, addr: IpAddr, names: impl IntoIterator<Item = S>) {
        self.lines.push(HostsLine { addr, names: names.into_iter().map(Into::into).collect() });
    }

    /// The lines in order.
    pub fn lines(&self) -> &[HostsLine] {
        &self.lines
    }

    /// The addresses of every line that has this name, without regard to case; a final dot never matches.
    pub fn addresses(&self, name: &str) -> impl Iterator<Item = IpAddr> {
        self.lookup(name, ResolverKind::Glibc)
    }

    /// The same by the rules of a resolver: musl minds the case, Go does not mind a final dot.
    pub fn lookup(&self, name: &str, kind: ResolverKind) -> impl Iterator<Item = IpAddr> {
        let name = if kind == ResolverKind::Go { name.strip_suffix('.').unwrap_or(name) } else { name };
        let is_name = move |own: &String| match kind {
            ResolverKind::Musl => own == name,
            ResolverKind::Glibc | ResolverKind::Go => own.eq_ignore_ascii_case(name),
        };
        let has_name = move |line: &&HostsLine| line.names.iter().any(|own| is_name(own) && !own.ends_with('.'));
        self.lines.iter().filter(has_name).map(|line| line.addr)
    }
}

/// Never fails: what is no line of address and names is passed over, as resolvers do.
impl FromStr for HostsFile {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut hosts = Self::default();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            if let Some(addr) = words.next().and_then(|word| word.parse().ok()) {
                let names: Vec<_> = words.collect();
                if !names.is_empty() {
                    hosts.push(addr, names);
                }
            }
        }
        Ok(hosts)
    }
}

impl fmt::Display for HostsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{}\t{}", line.addr, line.names.join("\t")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_compare_names_each_in_its_way() {
        let hosts: HostsFile = "10.1.2.3 Redis\n".parse().unwrap();
        let found = |name: &str| {
            [ResolverKind::Glibc, ResolverKind::Musl, ResolverKind::Go].map(|kind| hosts.lookup(name, kind).count())
        };
        assert_eq!(found("Redis"), [1, 1, 1]);
        assert_eq!(found("redis"), [1, 0, 1]);
        assert_eq!(found("Redis."), [0, 0, 1]);
    }

    #[test]
    fn comments_and_lines_without_an_address_or_name_are_passed_over() {
        let hosts: HostsFile = "# 1.1.1.1 a\n1.1.1.1\nx a\n1.1.1.2 a#b\n::1 b a\n".parse().unwrap();
        assert_eq!(hosts.to_string(), "1.1.1.2\ta\n::1\tb\ta\n");
        assert_eq!(hosts.addresses("a").count(), 2);
        assert_eq!(hosts.to_string().parse(), Ok(hosts));
    }
}
