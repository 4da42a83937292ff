//! Who asks, and which address does the name have for them?

use std::fmt;
use std::net::IpAddr;

use dns_records::search::{Outcome, ResolverKind};
use dns_records::{Name, Question, RecordData, RecordType};
use route_match::Host;
use svc_model::addr::parse_ip;
use svc_model::api::{Pod, Service};
use svc_model::{Resource, endpoints};

use super::{Destination, End, Walk as Curl};
use crate::ask::{self, Walk};
use crate::suggest::nearest;
use crate::world::{Unusable, unusable};

/// Stands for any client on the Internet; from the ranges for documentation (RFC 5737, RFC 3849).
const SOMEONE_OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));
const SOMEONE_OUTSIDE_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));

/// Who sends the request.
pub(super) enum Client<'w> {
    Pod { pod: &'w Pod, addrs: Vec<IpAddr> },
    Address(IpAddr),
    Outside,
}

impl Client<'_> {
    /// The source address of a packet to `dst`; `None` if the client has none of that family.
    pub(super) fn source(&self, dst: IpAddr) -> Option<IpAddr> {
        let of_family = |addr: &IpAddr| addr.is_ipv6() == dst.is_ipv6();
        match self {
            Client::Pod { addrs, .. } => addrs.iter().copied().find(of_family),
            Client::Address(addr) => Some(*addr).filter(of_family),
            Client::Outside => Some(if dst.is_ipv6() { SOMEONE_OUTSIDE_V6 } else { SOMEONE_OUTSIDE }),
        }
    }

    fn prefers_ipv6(&self) -> bool {
        match self {
            Client::Pod { addrs, .. } => addrs.iter().all(IpAddr::is_ipv6) && !addrs.is_empty(),
            Client::Address(addr) => addr.is_ipv6(),
            Client::Outside => false,
        }
    }
}

impl fmt::Display for Client<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Client::Pod { pod, .. } => write!(f, "{}", pod.reference()),
            Client::Address(addr) => write!(f, "{addr}"),
            Client::Outside => f.write_str("a client outside of the cluster"),
        }
    }
}

impl<'w> Curl<'w, '_> {
    pub(super) fn client(&mut self) -> Result<Client<'w>, Unusable> {
        let Some(from) = &self.curl.from else {
            self.step("client", "outside of the cluster", "no --from");
            return Ok(Client::Outside);
        };
        let pod = match parse_ip(from) {
            Ok(addr) => match self.world.pod_with_ip(addr) {
                Some(pod) => pod,
                None => {
                    let node = self.world.node_with_ip(addr).map(|node| format!(", Node/{}", node.name()));
                    self.step("client", &format!("{addr}{}", node.unwrap_or_default()), &format!("--from {from}"));
                    return Ok(Client::Address(addr));
                }
            },
            Err(_) => self.world.pod(from, &self.curl.namespace)?,
        };
        let node = if pod.spec.node_name.is_empty() { "no node" } else { &pod.spec.node_name };
        let addrs = endpoints::pod_addrs(&self.world.cluster, pod);
        let written: Vec<String> = addrs.iter().map(ToString::to_string).collect();
        let assumed = if self.world.cluster.is_assumed_pod(&pod.key()) { " (assumed)" } else { "" };
        let result = format!("{} at {} on {node}", pod.reference(), written.join(" and "));
        self.step_by("client", &result, &format!("--from {from}{assumed}"), &pod.reference(), "metadata.name");
        Ok(Client::Pod { pod, addrs })
    }

    /// The address of a host: written, given, from the hosts file, or from the cluster's DNS.
    pub(super) fn address(
        &mut self,
        client: &Client<'w>,
        destination: &Destination<'_>,
    ) -> Result<Result<IpAddr, End>, Unusable> {
        let (host, port) = (destination.authority.host(), destination.port);
        if let Ok(addr) = parse_ip(host.as_ref().trim_start_matches('[').trim_end_matches(']')) {
            return Ok(Ok(addr));
        }
        let given = self.given(host, port)?;
        let Client::Pod { pod, .. } = client else {
            return Ok(match given {
                Some(addr) => {
                    self.step("name", &format!("{host} is {addr}"), "--resolve");
                    Ok(addr)
                }
                None => Err(End::Stopped(format!(
                    "{client} does not ask the cluster's DNS; give the address with --resolve {host}:{port}:ADDRESS"
                ))),
            });
        };
        let walk = ask::walk(self.world, pod, host.as_ref(), ResolverKind::Glibc)?;
        let known = self.known(client, &walk);
        if let (Some(addr), Some(known)) = (given, known) {
            let why = format!("--resolve goes before DNS, which has {known}");
            self.step("name", &format!("{host} is {addr}"), &why);
            return Ok(Ok(addr));
        }
        for name in &walk.found.tries {
            self.step("lookup", &name.to_string(), &walk.heard(self.world, name));
        }
        let cost = walk.cost(host.as_ref());
        Ok(match (known, given) {
            (Some(addr), _) => {
                self.step("name", &format!("{host} is {addr}"), &cost);
                Ok(addr)
            }
            (None, Some(addr)) => {
                let why = format!("--resolve, in place of the servers outside; {cost}");
                self.step("name", &format!("{host} is {addr}"), &why);
                Ok(addr)
            }
            (None, None) => Err(End::Stopped(self.no_address(host, port, &walk))),
        })
    }

    fn no_address(&self, host: &Host, port: u16, walk: &Walk) -> String {
        let advice = format!("give its address with --resolve {host}:{port}:ADDRESS");
        let similar = self.similar_service(host.as_ref());
        match walk.found.outcome {
            Outcome::Found => format!("the name is an alias that leads out of the cluster; {advice}"),
            Outcome::Unknown if similar.is_empty() => {
                format!("the name is for servers outside of the cluster; {advice}")
            }
            _ => format!("the cluster's DNS has no such name{similar}"),
        }
    }

    /// What `--resolve` says of a host and port.
    fn given(&self, host: &Host, port: u16) -> Result<Option<IpAddr>, Unusable> {
        let mut found = None;
        for entry in &self.curl.resolve {
            let form = || unusable(format!("--resolve: {entry:?} is not of the form HOST:PORT:ADDRESS"));
            let mut parts = entry.splitn(3, ':');
            let (Some(name), Some(number), Some(addr)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(form());
            };
            let name: Host = name.parse().map_err(|_| form())?;
            let number: u16 = number.parse().map_err(|_| form())?;
            let addr = addr.strip_prefix('[').and_then(|addr| addr.strip_suffix(']')).unwrap_or(addr);
            let addr = parse_ip(addr).map_err(|_| form())?;
            if name == *host && number == port {
                found = Some(addr);
            }
        }
        Ok(found)
    }

    /// The address that a look-up ends in: one of the client's family, if there is any.
    fn known(&self, client: &Client<'_>, walk: &Walk) -> Option<IpAddr> {
        let found = &walk.found;
        let addrs = match (found.hosts.is_empty(), found.outcome) {
            (false, _) => found.hosts.clone(),
            (true, Outcome::Found) => {
                found.tries.last().map(|name| self.resolved(name, walk.client())).unwrap_or_default()
            }
            _ => return None,
        };
        let wants_ipv6 = client.prefers_ipv6();
        addrs.iter().find(|addr| addr.is_ipv6() == wants_ipv6).or(addrs.first()).copied()
    }

    /// The addresses that the cluster's DNS has for a name, IPv4 before IPv6.
    fn resolved(&self, name: &Name, client: Option<IpAddr>) -> Vec<IpAddr> {
        let server = self.world.dns_server();
        let answers = [RecordType::A, RecordType::AAAA]
            .map(|record_type| server.answer(Question::new(name, record_type), client));
        let records = answers.iter().flat_map(|answer| &answer.answer);
        records
            .filter_map(|record| match record.data {
                RecordData::A(addr) => Some(IpAddr::V4(addr)),
                RecordData::Aaaa(addr) => Some(IpAddr::V6(addr)),
                _ => None,
            })
            .collect()
    }

    fn similar_service(&self, host: &str) -> String {
        let services = self.world.cluster.list::<Service>();
        let names: Vec<String> =
            services.flat_map(|s| [s.name().to_owned(), format!("{}.{}", s.name(), s.namespace())]).collect();
        match nearest(host, names.iter().map(String::as_str)).as_slice() {
            [] => String::new(),
            near => format!("; did you mean {}?", near.join(" or ")),
        }
    }
}
