//! What does a program in a Pod ask when it looks up a name, where does that end, and what would be cheaper?

use std::net::IpAddr;

use super::capture::is_top_level_domain;
use super::server::Server;
use super::server_reason::PluginReason;
use crate::answer::{NoUpstream, Question, Rcode, Section};
use crate::hosts::HostsFile;
use crate::name::{Name, NameError};
use crate::record::{RecordRef, RecordType};
use crate::resolv::ResolvConf;
use crate::search::{Heard, Outcome, ResolverKind, Search};

/// A program that looks names up: its files, its resolver, and the server it asks.
///
/// ```
/// use dns_records::kubernetes::{Resolver, Server};
/// let server = Server::of(&svc_model::Cluster::new());
/// let conf = "search default.svc.cluster.local\noptions ndots:5".parse()?;
/// let resolver = Resolver::new(&server, &conf);
/// let found = resolver.lookup("www.example.com")?;
/// let tries: Vec<_> = found.tries.iter().map(ToString::to_string).collect();
/// assert_eq!(tries, ["www.example.com.default.svc.cluster.local.", "www.example.com."]);
/// assert_eq!(found.queries(), 4);
/// let cheaper = resolver.cheaper("www.example.com")?.unwrap();
/// assert_eq!((cheaper.name.as_str(), cheaper.queries, cheaper.ndots), ("www.example.com.", 2, Some(2)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resolver<'a> {
    /// The server that answers.
    pub server: &'a Server,
    /// The Pod's resolv.conf.
    pub conf: &'a ResolvConf,
    /// The Pod's hosts file.
    pub hosts: Option<&'a HostsFile>,
    /// Whose rules the program follows.
    pub kind: ResolverKind,
    /// The Pod's address, by which a server with `autopath` knows whose search list to walk.
    pub client: Option<IpAddr>,
}

/// A look-up from the first file to the last question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lookup {
    /// The names asked for, in order, each for A and for AAAA; none if the hosts file has the name.
    pub tries: Vec<Name>,
    /// The addresses that the hosts file gives the name.
    pub hosts: Vec<IpAddr>,
    /// How it ends.
    pub outcome: Outcome,
    /// What the name most likely means, if the search list made something else of it.
    pub captured: Option<Capture>,
}

/// Whose name somebody else answers to, because the search list comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capture {
    /// A host elsewhere: `x.com` was found as Service `x` of namespace `com` (CVE-2022-2837).
    Host,
    /// A Service: `x.ns.svc` was found as endpoint `x` of Service `ns` in a namespace `svc` (CVE-2022-2835).
    Service,
}

impl Lookup {
    /// How many questions are sent: A and AAAA for every name. musl sends each to all its servers at once.
    pub fn queries(&self) -> usize {
        2 * self.tries.len()
    }
}

/// A way to the same end with fewer questions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cheaper {
    /// What to look up instead: a shorter form of the name where there is one, else the whole name with its final dot.
    pub name: String,
    /// How many questions that costs.
    pub queries: usize,
    /// The largest `ndots` with which the name as it is written costs no more than that.
    pub ndots: Option<u8>,
}

impl<'a> Resolver<'a> {
    /// A resolver of the C library, without a hosts file, at no address that the server knows.
    pub fn new(server: &'a Server, conf: &'a ResolvConf) -> Self {
        Self { server, conf, hosts: None, kind: ResolverKind::default(), client: None }
    }

    /// With the Pod's hosts file.
    pub fn with_hosts(self, hosts: &'a HostsFile) -> Self {
        Self { hosts: Some(hosts), ..self }
    }

    /// With the rules of another resolver.
    pub fn with_kind(self, kind: ResolverKind) -> Self {
        Self { kind, ..self }
    }

    /// At an address.
    pub fn with_client(self, client: Option<IpAddr>) -> Self {
        Self { client, ..self }
    }

    /// Looks a name up: the hosts file first, then the search list against the server.
    ///
    /// # Errors
    /// `name` is no DNS name.
    pub fn lookup(&self, name: &str) -> Result<Lookup, NameError> {
        let mut known: Vec<IpAddr> = Vec::new();
        for addr in self.hosts.into_iter().flat_map(|hosts| hosts.lookup(name, self.kind)) {
            if !known.contains(&addr) {
                known.push(addr);
            }
        }
        if !known.is_empty() {
            return Ok(Lookup { tries: Vec::new(), hosts: known, outcome: Outcome::Found, captured: None });
        }
        let walked =
            Search::new(name, self.conf, self.kind)?.walk(|candidate| self.server.heard(candidate, self.client));
        let end = walked.names.last().filter(|_| walked.outcome == Outcome::Found);
        let captured = end.and_then(|end| capture(&name.parse().ok()?, end));
        Ok(Lookup { tries: walked.names, hosts: known, outcome: walked.outcome, captured })
    }

    /// A cheaper way to where a look-up of `name` ends, if there is one.
    ///
    /// # Errors
    /// `name` is no DNS name.
    pub fn cheaper(&self, name: &str) -> Result<Option<Cheaper>, NameError> {
        let now = self.lookup(name)?;
        let Some(end) = now.tries.last() else { return Ok(None) };
        if now.tries.len() < 2 || !matches!(now.outcome, Outcome::Found | Outcome::Unknown) {
            return Ok(None);
        }
        let cost = |resolver: &Resolver<'_>, name: &str| {
            let then = resolver.lookup(name).ok()?;
            (then.tries.last() == Some(end) && then.outcome == now.outcome).then(|| then.queries())
        };
        // What the search list makes the end of, and the end itself.
        let paths = self.conf.searches.iter().filter_map(|path| path.parse::<Name>().ok());
        let shorter = paths.filter_map(|path| without(end, &path)).map(|name| name.to_string());
        let mut forms: Vec<String> = shorter.map(|name| name.trim_end_matches('.').to_owned()).collect();
        forms.sort_by_key(String::len);
        forms.push(end.to_string());
        let forms = forms.into_iter().filter_map(|form| Some((cost(self, &form)?, form)));
        let best = forms.min_by_key(|(queries, _)| *queries).filter(|(queries, _)| *queries < now.queries());
        let Some((queries, form)) = best else { return Ok(None) };
        let ndots = (0..self.conf.ndots()).rev().find(|ndots| {
            let mut conf = self.conf.clone();
            conf.set_ndots(*ndots);
            let resolver = Resolver { conf: &conf, ..self.clone() };
            cost(&resolver, name).is_some_and(|then| then <= queries)
        });
        Ok(Some(Cheaper { name: form, queries, ndots }))
    }
}

/// Whether a name that ended there most likely means something else.
fn capture(asked: &Name, end: &Name) -> Option<Capture> {
    if asked == end {
        return None;
    }
    let labels = asked.as_ref().labels().count();
    let last = asked.as_ref().labels().last().filter(|_| labels > 1)?;
    // The short form `x.ns.svc` is one label of the list short of a cluster's domain, and this one is two.
    let below_svc = || end.as_ref().skip(labels).labels().next().is_some_and(|label| label.is("svc"));
    match () {
        () if last.is("svc") && below_svc() => Some(Capture::Service),
        () if is_top_level_domain(&last.to_string()) => Some(Capture::Host),
        () => None,
    }
}

/// The labels of a name left of a suffix, if it ends so and is longer.
fn without(name: &Name, suffix: &Name) -> Option<Name> {
    let (name, suffix) = (name.as_ref(), suffix.as_ref());
    let own = name.labels().count().checked_sub(suffix.labels().count()).filter(|own| *own > 0 && !suffix.is_root())?;
    let labels = name.labels().take(own).map(|label| label.0);
    (name.skip(own) == suffix).then(|| Name::from_labels(labels))?.ok()
}

impl Server {
    /// What comes of the two questions, A and AAAA, for a name that a client asks.
    fn heard(&self, name: &Name, client: Option<IpAddr>) -> Heard {
        let mut records = 0;
        let mut count = |section: Section, _: &RecordRef<'_>| records += usize::from(section == Section::Answer);
        let mut ask =
            |record_type| self.answer_into(Question::new(name, record_type), client, &mut NoUpstream, &mut count);
        let (a, _) = (ask(RecordType::A), ask(RecordType::AAAA));
        match a.rcode {
            // The forwarder answers, and the client sees that as the answer to its question.
            Rcode::NoError if a.reason.plugin() == Some(PluginReason::Outside) => Heard::Settled,
            Rcode::Refused => Heard::Unknown,
            _ if records > 0 => Heard::Records,
            Rcode::NxDomain => Heard::NoName,
            // A failure ends musl's search as a name without an address does, and no other's.
            _ => Heard::NoData,
        }
    }
}
