//! What does a program in a Pod ask when it looks up a name, and where does that end?

use std::net::IpAddr;

use super::zone::Zone;
use crate::answer::{NoUpstream, Question, Rcode, Section};
use crate::hosts::HostsFile;
use crate::name::{NameError, NameRef};
use crate::record::{RecordRef, RecordType};
use crate::resolv::ResolvConf;
use crate::search::{Heard, Outcome, ResolverKind, Search};

/// A look-up from the first file to the last question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lookup {
    /// The names asked for, in order, each for A and for AAAA; none if the hosts file has the name.
    pub tries: Vec<crate::Name>,
    /// The addresses that the hosts file gives the name.
    pub hosts: Vec<IpAddr>,
    /// How it ends.
    pub outcome: Outcome,
}

/// Looks a name up as a program in a Pod does: the hosts file first, then the search list against `zone`.
///
/// `client` is the Pod's address, by which a server with autopath knows whose search list to walk.
///
/// # Errors
/// `name` is no DNS name.
///
/// ```
/// use dns_records::kubernetes::{Zone, lookup};
/// let zone = Zone::of(&svc_model::Cluster::new());
/// let conf = "search default.svc.cluster.local\noptions ndots:5".parse()?;
/// let found = lookup(&zone, &conf, &Default::default(), "www.example.com", Default::default(), None)?;
/// let tries: Vec<_> = found.tries.iter().map(ToString::to_string).collect();
/// assert_eq!(tries, ["www.example.com.default.svc.cluster.local.", "www.example.com."]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn lookup(
    zone: &Zone,
    conf: &ResolvConf,
    hosts: &HostsFile,
    name: &str,
    kind: ResolverKind,
    client: Option<IpAddr>,
) -> Result<Lookup, NameError> {
    let mut known: Vec<IpAddr> = Vec::new();
    hosts.addresses(name).for_each(|addr| {
        if !known.contains(&addr) {
            known.push(addr);
        }
    });
    if !known.is_empty() {
        return Ok(Lookup { tries: Vec::new(), hosts: known, outcome: Outcome::Found });
    }
    let walked = Search::new(name, conf, kind)?.walk(|candidate| zone.heard(candidate, client));
    Ok(Lookup { tries: walked.names, hosts: known, outcome: walked.outcome })
}

impl Zone {
    /// What comes of the two questions, A and AAAA, for a name.
    pub(super) fn heard_plainly(&self, name: NameRef<'_>) -> Heard {
        let mut records = 0;
        let mut count = |section: Section, _: &RecordRef<'_>| records += usize::from(section == Section::Answer);
        let mut ask = |record_type| self.answer_into(Question { name, record_type }, &mut NoUpstream, &mut count).rcode;
        let rcodes = [ask(RecordType::A), ask(RecordType::AAAA)];
        match rcodes[0] {
            Rcode::Refused => Heard::Unknown,
            _ if records > 0 => Heard::Records,
            Rcode::NxDomain => Heard::NoName,
            _ => Heard::NoData,
        }
    }
}
