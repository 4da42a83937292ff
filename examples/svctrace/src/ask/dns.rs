//! What does the cluster's DNS answer? For people in dig's form.

use std::fmt::Write as _;
use std::net::IpAddr;

use dns_records::kubernetes::{Missing, Reason, Server, ServerReason};
use dns_records::{Label, Name, Question, Rcode, Record, RecordType};
use serde::Deserialize;
use svc_model::api::{Pod, Service};
use svc_model::{Kind, ObjectRef, Resource, endpoints};

use crate::answer::Answer;
use crate::suggest::nearest;
use crate::world::{Unusable, World, unusable};

/// The compiled DNS server of a world.
#[derive(Debug)]
pub(crate) struct Dns(Server);

impl World {
    /// The cluster's DNS server: its zones, and the plugins of its Corefile.
    pub(crate) fn dns_server(&self) -> &Server {
        &self.dns.get_or_init(|| Dns(Server::of(&self.cluster))).0
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
    /// The Pod or workload that asks, or an address: `autopath` and `transfer` look at it.
    #[serde(default)]
    pub from: Option<String>,
    /// For people, the data of the records alone.
    #[serde(skip)]
    pub short: bool,
}

impl DnsQuestion {
    /// Asks it.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let name: Name = self.name.parse().map_err(|error| unusable(format!("name: {error}")))?;
        let record_type = record_type(self.type_.as_deref().unwrap_or("A"))?;
        let client = self.from.as_deref().map(|from| client(world, from)).transpose()?.flatten();
        let found = world.dns_server().answer(Question::new(&name, record_type), client);
        let what = match (found.answer.len(), found.rcode) {
            (0, Rcode::NoError) => "no data".to_owned(),
            (1, _) => "1 record".to_owned(),
            (0, _) => "no record".to_owned(),
            (n, _) => format!("{n} records"),
        };
        let mut answer = Answer::new(format!("{name} {record_type}: {}, {what}", found.rcode));
        answer.set("rcode", found.rcode.to_string());
        for (key, records) in
            [("answer", &found.answer), ("authority", &found.authority), ("additional", &found.additional)]
        {
            answer.set(key, records.iter().map(Record::to_string).collect::<Vec<_>>());
        }
        let reason = &found.reason;
        let words = format!("{reason}{}{}", assumed(world, reason.object()), meant(world, &name, reason));
        answer.set("reason", words.clone());
        answer.text = Some(match self.short {
            true => found.answer.iter().map(|record| format!("{}\n", record.data)).collect(),
            false => dig(&name, record_type, &found, &words),
        });
        Ok(answer)
    }
}

/// Types that people ask for.
const TYPES: [&str; 15] =
    ["A", "AAAA", "ANY", "AXFR", "CAA", "CNAME", "HTTPS", "IXFR", "MX", "NS", "PTR", "SOA", "SRV", "SVCB", "TXT"];

/// A record type, or what may have been meant.
fn record_type(text: &str) -> Result<RecordType, Unusable> {
    text.parse().map_err(|error| {
        let near = match nearest(&text.to_uppercase(), TYPES).as_slice() {
            [] => String::new(),
            near => format!("; did you mean {}?", near.join(" or ")),
        };
        unusable(format!("type: {error}{near}"))
    })
}

/// The address of an asker: written, or a Pod's.
fn client(world: &World, from: &str) -> Result<Option<IpAddr>, Unusable> {
    match svc_model::addr::parse_ip(from) {
        Ok(addr) => Ok(Some(addr)),
        Err(_) => Ok(pod_address(world, world.pod(from, "default")?)),
    }
}

/// The address by which the cluster's DNS knows a Pod.
pub(crate) fn pod_address(world: &World, pod: &Pod) -> Option<IpAddr> {
    endpoints::pod_addrs(&world.cluster, pod).first().copied()
}

/// As dig prints a reply: what is no record stands in comments, so that the whole is a zone file.
fn dig(name: &Name, record_type: RecordType, found: &dns_records::Answer<ServerReason<'_>>, reason: &str) -> String {
    let sections = [("ANSWER", &found.answer), ("AUTHORITY", &found.authority), ("ADDITIONAL", &found.additional)];
    let columns = |record: &Record| {
        [record.owner.to_string(), record.ttl.to_string(), "IN".into(), record.data.record_type().to_string()]
    };
    let mut widths = [0; 4];
    for record in sections.iter().flat_map(|(_, records)| records.iter()) {
        for (width, column) in widths.iter_mut().zip(columns(record)) {
            *width = (*width).max(column.chars().count());
        }
    }
    let mut text = String::new();
    let flags = if found.authoritative { "qr aa" } else { "qr" };
    let counts = sections.map(|(title, records)| format!(", {title}: {}", records.len())).concat();
    let _ = writeln!(text, ";; ->>HEADER<<- opcode: QUERY, status: {}", found.rcode);
    let _ = writeln!(text, ";; flags: {flags}; QUERY: 1{counts}\n");
    let _ = writeln!(text, ";; QUESTION SECTION:\n;{name} IN {record_type}\n");
    for (title, records) in sections.iter().filter(|(_, records)| !records.is_empty()) {
        let _ = writeln!(text, ";; {title} SECTION:");
        for record in *records {
            for (width, column) in widths.iter().zip(columns(record)) {
                let _ = write!(text, "{column:width$} ");
            }
            let _ = writeln!(text, "{}", record.data);
        }
        text.push('\n');
    }
    let _ = writeln!(text, ";; reason: {reason}");
    text
}

/// The Services that a name which is not there may have meant: `; did you mean cart.shop?`
fn meant(world: &World, name: &Name, reason: &ServerReason<'_>) -> String {
    let labels: Vec<_> = name.as_ref().labels().map(|label| label.to_string()).collect();
    let found = match reason.zone() {
        Some(Reason::Missing(Missing::Service { service, namespace, .. })) => similar(world, &service, &namespace),
        // The short form of a program in a Pod: here no search list makes it whole.
        Some(Reason::NotOurs) => match labels.as_slice() {
            [service, namespace] | [service, namespace, _] if world.has_service(namespace, service) => {
                let domain = dns_records::kubernetes::cluster_domain(&world.cluster);
                vec![format!("{service}.{namespace}.svc.{domain}")]
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    if found.is_empty() { String::new() } else { format!("; did you mean {}?", found.join(" or ")) }
}

fn similar(world: &World, service: &Label<'_>, namespace: &Label<'_>) -> Vec<String> {
    let known: Vec<String> = world.cluster.list::<Service>().map(|service| service.key().to_string()).collect();
    let near = nearest(&format!("{namespace}/{service}").to_lowercase(), known.iter().map(String::as_str));
    let short = |key: &str| key.split_once('/').map(|(namespace, name)| format!("{name}.{namespace}"));
    near.into_iter().filter_map(short).collect()
}

impl World {
    fn has_service(&self, namespace: &str, name: &str) -> bool {
        self.cluster.get::<Service>(&namespace.to_lowercase(), &name.to_lowercase()).is_some()
    }
}

/// What of the answer about an object had to be assumed.
pub(crate) fn assumed(world: &World, object: Option<&ObjectRef>) -> &'static str {
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
