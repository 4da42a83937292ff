//! What does a Pod's resolver ask when it looks a name up, and what does that cost?

use std::net::IpAddr;

use dns_records::kubernetes::{Capture, Cheaper, Lookup as Found, Resolver, hosts_file};
use dns_records::resolv::ResolvConf;
use dns_records::search::{Outcome, ResolverKind};
use dns_records::{Name, Question, Rcode, RecordType};
use serde::Deserialize;
use serde_json::json;
use svc_model::Resource;
use svc_model::api::Pod;

use super::dns::{assumed, pod_address};
use super::resolv;
use crate::answer::Answer;
use crate::world::{Unusable, World, unusable};

/// A name that a Pod looks up.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Lookup {
    /// The Pod, or a workload: then its first Pod.
    pub pod: String,
    /// The name, as the program gives it to its resolver.
    pub name: String,
    /// Whose rules the program follows: `glibc` (also when absent), `musl` or `go`.
    #[serde(default)]
    pub resolver: Option<String>,
}

/// A look-up, and what it was made with.
pub(crate) struct Walk {
    pub(crate) found: Found,
    cheaper: Option<Cheaper>,
    conf: ResolvConf,
    client: Option<IpAddr>,
}

impl Lookup {
    /// Walks it.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let pod = world.pod(&self.pod, "default")?;
        let kind = self.resolver.as_deref().unwrap_or("glibc").parse();
        let kind: ResolverKind = kind.map_err(|error| unusable(format!("resolver: {error}")))?;
        let walk = walk(world, pod, &self.name, kind)?;
        let found = &walk.found;
        let mut answer = Answer::new(headline(pod, &self.name, found));
        for name in &found.tries {
            answer.step(format!("{name} — {}", walk.heard(world, name)));
        }
        answer.set("tries", found.tries.iter().map(Name::to_string).collect::<Vec<_>>());
        answer.set("outcome", found.outcome.to_string());
        answer.set("queries", found.queries());
        if let Some(Cheaper { name, queries, ndots, .. }) = &walk.cheaper {
            let mut suggestion = json!({ "name": name, "queries": queries });
            ndots.iter().for_each(|ndots| suggestion["ndots"] = (*ndots).into());
            answer.set("suggestion", suggestion);
        }
        if found.captured.is_some() {
            answer.set("captured", true);
        }
        if !found.hosts.is_empty() {
            answer.set("hosts", found.hosts.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
        let mut reason = walk.cost(&self.name);
        if let Some(last) = found.tries.last().filter(|_| found.outcome == Outcome::Found) {
            let last = world.dns_server().answer(Question::new(last, RecordType::A), walk.client);
            reason.push_str(assumed(world, last.reason.object()));
        }
        answer.because(reason);
        Ok(answer)
    }
}

/// The look-up of a program in a Pod.
pub(crate) fn walk(world: &World, pod: &Pod, name: &str, kind: ResolverKind) -> Result<Walk, Unusable> {
    let (conf, hosts, client) = (resolv::conf(world, pod), hosts_file(&world.cluster, pod), pod_address(world, pod));
    let resolver = Resolver::new(world.dns_server(), &conf).with_hosts(&hosts).with_kind(kind).with_client(client);
    let no_name = |error| unusable(format!("name: {error}"));
    let found = resolver.lookup(name).map_err(no_name)?;
    let cheaper = resolver.cheaper(name).map_err(no_name)?;
    Ok(Walk { found, cheaper, conf, client })
}

impl Walk {
    /// What comes of one name that the resolver asks.
    pub(crate) fn heard(&self, world: &World, name: &Name) -> String {
        let ask = |record_type| world.dns_server().answer(Question::new(name, record_type), self.client);
        let (a, aaaa) = (ask(RecordType::A), ask(RecordType::AAAA));
        let mut records: Vec<String> = Vec::new();
        for record in a.answer.iter().chain(&aaaa.answer) {
            // An alias answers both questions.
            let data = record.data.to_string();
            if !records.contains(&data) {
                records.push(data);
            }
        }
        match records.is_empty() {
            false => {
                let reason = if a.answer.is_empty() { &aaaa.reason } else { &a.reason };
                format!("{} ({reason}){}", records.join(", "), assumed(world, reason.object()))
            }
            true if a.rcode == Rcode::Refused && a.reason.rewritten().is_none() => {
                "left to the servers the cluster's DNS forwards to".to_owned()
            }
            true => format!("{} ({})", a.rcode, a.reason),
        }
    }

    /// What the look-up costs, why, and how it could cost less.
    pub(crate) fn cost(&self, name: &str) -> String {
        let found = &self.found;
        if !found.hosts.is_empty() {
            return "the hosts file has the name, so no question is sent".to_owned();
        }
        let n = found.tries.len();
        let mut words =
            format!("{n} name{}, {} questions (A and AAAA each)", if n == 1 { "" } else { "s" }, found.queries());
        let (dots, ndots) = (name.matches('.').count(), self.conf.ndots());
        if n > 1 && !name.ends_with('.') && dots < usize::from(ndots) {
            let dots = match dots {
                1 => "1 dot is".to_owned(),
                n => format!("{n} dots are"),
            };
            words.push_str(&format!("; {dots} fewer than ndots:{ndots}, so the search list goes first"));
        }
        if let Some(Cheaper { name, queries, ndots, .. }) = &self.cheaper {
            words.push_str(&format!("; asking for {name} costs {queries}"));
            if let Some(ndots) = ndots {
                words.push_str(&format!(", and so does the name as it is with ndots:{ndots}"));
            }
        }
        let whole = name.trim_end_matches('.');
        match found.captured {
            Some(Capture::Host) => words.push_str(&format!(
                "; the search list comes before the host {whole}: if that is meant, ask for {whole}. (CVE-2022-2837)"
            )),
            Some(Capture::Service) => words.push_str(&format!(
                "; the search list comes before the Service {whole}: if that is meant, ask for its whole name with a final dot \
                 (CVE-2022-2835)"
            )),
            _ => {}
        }
        words
    }

    /// The address of the Pod that asks.
    pub(crate) fn client(&self) -> Option<IpAddr> {
        self.client
    }
}

fn headline(pod: &Pod, name: &str, found: &Found) -> String {
    let end = match (found.hosts.first(), found.outcome, found.tries.last()) {
        (Some(addr), _, _) => format!("{addr} from the hosts file"),
        (None, Outcome::Found, Some(last)) => format!("found as {last}"),
        (None, outcome, _) => outcome.to_string(),
    };
    format!("{name} in {}: {end}", pod.reference())
}
