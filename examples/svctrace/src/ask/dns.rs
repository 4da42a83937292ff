//! What does the cluster's DNS answer, and what does a Pod's resolver ask?

use dns_records::kubernetes::{Lookup as Walk, Zone, hosts_file, lookup, resolv_conf};
use dns_records::resolv::ResolvConf;
use dns_records::search::{Outcome, ResolverKind};
use dns_records::{Name, Question, Record, RecordType};
use serde::Deserialize;
use svc_model::api::{Pod, Service};
use svc_model::{Kind, ObjectRef, Resource, endpoints};

use crate::answer::Answer;
use crate::world::{Unusable, World, unusable};

/// The compiled zones of a world.
#[derive(Debug)]
pub(crate) struct Dns(Zone);

impl World {
    /// The zones that the cluster's DNS answers for.
    pub(crate) fn zone(&self) -> &Zone {
        &self.dns.get_or_init(|| Dns(Zone::of(&self.cluster))).0
    }
}

/// A question to the cluster's DNS.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct DnsQuestion {
    /// The name; absolute with or without its final dot.
    pub name: String,
    /// The record type; `A` when absent.
    #[serde(rename = "type", default)]
    pub type_: Option<String>,
}

/// The Pod whose resolv.conf is asked for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Resolv {
    /// The Pod, or a workload: then its first Pod.
    pub pod: String,
}

/// A name that a Pod looks up.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Lookup {
    /// The Pod, or a workload: then its first Pod.
    pub pod: String,
    /// The name, as the program gives it to its resolver.
    pub name: String,
}

impl DnsQuestion {
    /// Asks it.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let name: Name = self.name.parse().map_err(|error| unusable(format!("name: {error}")))?;
        let type_ = self.type_.as_deref().unwrap_or("A");
        let record_type: RecordType = type_.parse().map_err(|error| unusable(format!("type: {error}")))?;
        let found = world.zone().answer(Question::new(&name, record_type));
        let what = match (found.answer.len(), found.rcode) {
            (0, dns_records::Rcode::NoError) => "no data".to_owned(),
            (1, _) => "1 record".to_owned(),
            (0, _) => "no record".to_owned(),
            (n, _) => format!("{n} records"),
        };
        let mut answer = Answer::new(format!("{name} {record_type}: {}, {what}", found.rcode));
        answer.set("rcode", found.rcode.to_string());
        for (key, records) in
            [("answer", &found.answer), ("authority", &found.authority), ("additional", &found.additional)]
        {
            let lines: Vec<String> = records.iter().map(Record::to_string).collect();
            for line in &lines {
                answer.step(if key == "answer" { line.clone() } else { format!("{line}  ({key})") });
            }
            answer.set(key, lines);
        }
        answer.because(format!("{}{}", found.reason, assumed(world, found.reason.object())));
        Ok(answer)
    }
}

impl Resolv {
    /// Shows it.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let pod = world.pod(&self.pod, "default")?;
        let conf = resolv_conf(&world.cluster, pod, &ResolvConf::default());
        let mut answer = Answer::new(format!("resolv.conf of {}", pod.reference()));
        answer.set("nameservers", conf.nameservers.clone());
        answer.set("searches", conf.searches.clone());
        let options: Vec<String> = conf.options.iter().map(ToString::to_string).collect();
        answer.set("options", options);
        conf.to_string().lines().for_each(|line| answer.step(line));
        answer.because(policy(pod));
        Ok(answer)
    }
}

fn policy(pod: &Pod) -> String {
    let written = match pod.spec.dns_policy.as_str() {
        "" => "dnsPolicy is not set, which means ClusterFirst".to_owned(),
        policy => format!("dnsPolicy is {policy}"),
    };
    let network = match (pod.spec.host_network, pod.spec.dns_policy.as_str()) {
        (true, "" | "ClusterFirst") => ", but on the host's network that means the node's own file",
        _ => "",
    };
    let more = if pod.spec.dns_config.is_some() { "; spec.dnsConfig is merged" } else { "" };
    format!("{written}{network}{more}")
}

impl Lookup {
    /// Walks it.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let pod = world.pod(&self.pod, "default")?;
        let walk = walk(world, pod, &self.name)?;
        let mut answer = Answer::new(headline(pod, &self.name, &walk));
        let tries: Vec<String> = walk.tries.iter().map(Name::to_string).collect();
        for (i, name) in walk.tries.iter().enumerate() {
            answer.step(format!(
                "{name} — {}",
                heard(world, name, i + 1 == walk.tries.len() && walk.outcome == Outcome::Found)
            ));
        }
        answer.set("tries", tries);
        answer.set("outcome", walk.outcome.to_string());
        if !walk.hosts.is_empty() {
            let hosts: Vec<String> = walk.hosts.iter().map(ToString::to_string).collect();
            answer.set("hosts", hosts);
        }
        let mut reason = cost(world, pod, &self.name, &walk);
        if let Some(last) = walk.tries.last().filter(|_| walk.outcome == Outcome::Found) {
            let found = world.zone().answer(Question::new(last, RecordType::A));
            reason.push_str(assumed(world, found.reason.object()));
        }
        answer.because(reason);
        Ok(answer)
    }
}

/// The look-up of a program in a Pod, by the rules of glibc.
pub(crate) fn walk(world: &World, pod: &Pod, name: &str) -> Result<Walk, Unusable> {
    let conf = resolv_conf(&world.cluster, pod, &ResolvConf::default());
    let hosts = hosts_file(&world.cluster, pod);
    let client = endpoints::pod_addrs(&world.cluster, pod).first().copied();
    lookup(world.zone(), &conf, &hosts, name, ResolverKind::Glibc, client)
        .map_err(|error| unusable(format!("name: {error}")))
}

/// What comes of one name that the resolver asks.
pub(crate) fn heard(world: &World, name: &Name, found: bool) -> String {
    let zone = world.zone();
    let ask = |record_type| zone.answer(Question::new(name, record_type));
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
        true if found => "answered by the server's own walk of the search list (autopath)".to_owned(),
        true if a.rcode == dns_records::Rcode::Refused => {
            "left to the servers the cluster's DNS forwards to".to_owned()
        }
        true => format!("{} ({})", a.rcode, a.reason),
    }
}

/// What of the answer about an object had to be assumed.
fn assumed(world: &World, object: Option<&ObjectRef>) -> &'static str {
    let Some(object) = object else { return "" };
    match object.kind {
        Kind::Service => {
            let service = world.cluster.get::<Service>(&object.namespace, &object.name);
            service.map_or("", |service| world.assumed_words(service, true))
        }
        Kind::Pod if world.cluster.is_assumed_pod(&object.key()) => " (assumed Pod)",
        _ => "",
    }
}

fn headline(pod: &Pod, name: &str, walk: &Walk) -> String {
    let found = match (walk.hosts.first(), walk.outcome, walk.tries.last()) {
        (Some(addr), _, _) => format!("{addr} from the hosts file"),
        (None, Outcome::Found, Some(last)) => format!("found as {last}"),
        (None, outcome, _) => outcome.to_string(),
    };
    format!("{name} in {}: {found}", pod.reference())
}

/// What the look-up costs, and how it could cost less.
pub(crate) fn cost(world: &World, pod: &Pod, name: &str, walk: &Walk) -> String {
    if !walk.hosts.is_empty() {
        return "the hosts file has the name, so no question is sent".to_owned();
    }
    let n = walk.tries.len();
    let mut words = format!("{n} name{}, {} questions (A and AAAA each)", if n == 1 { "" } else { "s" }, 2 * n);
    if n > 1 && !name.ends_with('.') {
        let conf = resolv_conf(&world.cluster, pod, &ResolvConf::default());
        let dots = name.matches('.').count();
        if dots < usize::from(conf.ndots()) {
            let dots = match dots {
                1 => "1 dot is".to_owned(),
                n => format!("{n} dots are"),
            };
            words.push_str(&format!("; {dots} fewer than ndots:{}, so the search list goes first", conf.ndots()));
        }
        if let Some(last) = walk.tries.last() {
            words.push_str(&format!("; asking for {last} costs 2"));
        }
    }
    words
}
