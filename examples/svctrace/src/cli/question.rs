//! Which question do these words ask?

use dns_records::{Name, RecordType};
use svc_model::addr::parse_ip;
use svc_model::api::{Gateway, Ingress, IngressClass, IstioGateway, Service};
use svc_model::{Cluster, Resource};

use super::args::{Command, Common};
use crate::ask::{self, Ask};
use crate::suggest::nearest;
use crate::world::{Unusable, World, unusable};

/// The question that a command asks.
pub(super) fn question(command: &Command, common: &Common, world: &World) -> Result<Ask, Unusable> {
    let pod = |name: &str| qualified(name, &common.namespace);
    Ok(match command {
        Command::Connect { src, dst, protocol } => {
            let src = if parse_ip(src).is_ok() { src.clone() } else { pod(src) };
            Ask::Connect(ask::Connect {
                dst: destination(dst, &src, protocol, common, world)?,
                src,
                protocol: Some(protocol.to_uppercase()),
                node: None,
            })
        }
        Command::Dns { words, reverse, short, from } => {
            let from = from.as_deref().map(|from| if parse_ip(from).is_ok() { from.to_owned() } else { pod(from) });
            let (name, type_) = match reverse {
                Some(addr) => {
                    let addr = parse_ip(addr).map_err(|error| unusable(format!("-x: {error}")))?;
                    (Name::reverse(addr).to_string(), "PTR".to_owned())
                }
                None => dig_words(words)?,
            };
            Ask::Dns(ask::DnsQuestion { name, type_: Some(type_), from, short: *short })
        }
        Command::Resolv { pod: name } => Ask::Resolv(ask::Resolv { pod: pod(name) }),
        Command::Lookup { name, from, resolver } => {
            Ask::Lookup(ask::Lookup { pod: pod(from), name: name.clone(), resolver: Some(resolver.clone()) })
        }
        Command::Env { pod: name } => Ask::Env(ask::Env { pod: pod(name) }),
        Command::Http(args) => Ask::Http(ask::Http {
            url: args.url.clone(),
            method: Some(args.method.clone()),
            headers: headers(&args.headers)?,
            to: proxy(args.to.as_deref(), world)?,
            src: args.src.clone(),
            from: args.from.as_deref().map(pod),
        }),
        Command::Tls(args) => Ask::Tls(ask::Tls {
            sni: args.sni.clone(),
            port: Some(args.port),
            alpn: args.alpn.clone(),
            sigalgs: Some(args.sigalgs.clone()).filter(|schemes| !schemes.is_empty()),
            authority: args.authority.clone(),
            hello: args.hello.clone(),
            now: args.now.clone(),
            to: proxy(args.to.as_deref(), world)?,
            from: args.from.as_deref().map(pod),
            ..ask::Tls::default()
        }),
        Command::Tcp(args) => {
            let (host, port) = args.dst.rsplit_once(':').unwrap_or(("", &args.dst));
            let port = port.parse().map_err(|_| unusable(format!("{:?} is not of the form [HOST:]PORT", args.dst)))?;
            Ask::Tcp(ask::Tcp {
                dst: Some(host.to_owned()).filter(|host| !host.is_empty()),
                port,
                protocol: Some(args.protocol.to_uppercase()),
                to: proxy(args.to.as_deref(), world)?,
                from: args.from.as_deref().map(pod),
            })
        }
        Command::Status { object } => Ask::Status(ask::Status { object: object.clone() }),
        Command::PortForward { target, port } => Ask::PortForward(ask::PortForward {
            to: forward_target(target, &common.namespace),
            port: ask::Port::Text(port.clone()),
        }),
        _ => return Err(unusable("not a question")),
    })
}

/// The proxy that is named, else the only one there is.
fn proxy(named: Option<&str>, world: &World) -> Result<String, Unusable> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let known = proxies(&world.cluster);
    match known.as_slice() {
        [only] => Ok(only.clone()),
        // As `render nginx` takes it: Ingresses older than IngressClass.
        [] if world.cluster.list::<Ingress>().next().is_some() => Ok("IngressClass/nginx".to_owned()),
        [] => Err(unusable("there is no Gateway and no IngressClass: name who is asked with --to")),
        [first, second, rest @ ..] => {
            let others = if rest.is_empty() { String::new() } else { format!(" and {} others", rest.len()) };
            Err(unusable(format!(
                "there is more than one to ask: name it with --to; there is {first}, {second}{others}"
            )))
        }
    }
}

fn proxies(cluster: &Cluster) -> Vec<String> {
    let gateways = cluster.list::<Gateway>().map(Resource::reference);
    let of_istio = cluster.list::<IstioGateway>().map(Resource::reference);
    let classes = cluster.list::<IngressClass>().map(Resource::reference);
    gateways.chain(of_istio).chain(classes).map(|proxy| proxy.to_string()).collect()
}

/// The name and the type among the words, in either order.
fn dig_words(words: &[String]) -> Result<(String, String), Unusable> {
    if let Some(server) = words.iter().find(|word| word.starts_with('@')) {
        return Err(unusable(format!("{server}: no server is asked, the manifests answer")));
    }
    let is_type = |word: &str| word.parse::<RecordType>().is_ok();
    Ok(match words {
        [first, second] if is_type(first) && !is_type(second) => (second.clone(), first.to_uppercase()),
        [name, type_] => (name.clone(), type_.to_uppercase()),
        _ => (words.concat(), "A".to_owned()),
    })
}

/// The address behind `svc/NAME[.NAMESPACE]:PORT`, of the family that the sender has; anything else is one already. ICMP has no
/// port, so none need be named.
fn destination(dst: &str, src: &str, protocol: &str, common: &Common, world: &World) -> Result<String, Unusable> {
    let Some(name) = dst.strip_prefix("svc/").or_else(|| dst.strip_prefix("service/")) else {
        if dst.starts_with(|first: char| first.is_ascii_alphabetic()) && parse_ip(dst).is_err() {
            let form = "ADDRESS:PORT or svc/NAME[.NAMESPACE]:PORT";
            return Err(unusable(format!("dst: {dst:?} is not of the form {form}")));
        }
        return Ok(dst.to_owned());
    };
    let (name, port) = match name.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (name, None),
    };
    let service = world.service(name, &common.namespace)?;
    let sender = ask::source(world, src, false)?.0;
    let ips: Vec<&str> = service.spec.written_cluster_ips().collect();
    let ip = ips.iter().find(|ip| ip.contains(':') == sender.is_ipv6()).or(ips.first());
    let no_address = || unusable(format!("{} has no cluster IP; connect to one of its endpoints", service.reference()));
    let ip = ip.ok_or_else(no_address)?;
    if protocol.eq_ignore_ascii_case("ICMP") {
        return Ok((*ip).to_owned());
    }
    let no_port =
        || unusable(format!("{dst:?} names no port; {} has {}", service.reference(), ask::port_list(service)));
    let port = port.ok_or_else(no_port)?;
    let number = port_number(service, port)?;
    Ok(if ip.contains(':') { format!("[{ip}]:{number}") } else { format!("{ip}:{number}") })
}

/// The number of a Service port that is given by number or name.
fn port_number(service: &Service, port: &str) -> Result<i64, Unusable> {
    let found = service.spec.ports.iter().find(|known| known.name == port || known.port.to_string() == port);
    let no_port = || {
        let names = service.spec.ports.iter().map(|known| known.name.as_str()).filter(|name| !name.is_empty());
        let near = match nearest(port, names).as_slice() {
            [] => String::new(),
            near => format!("; did you mean {}?", near.join(" or ")),
        };
        let (reference, ports) = (service.reference(), ask::port_list(service));
        unusable(format!("{reference} has no port {port}: it has {ports}{near}"))
    };
    Ok(found.ok_or_else(no_port)?.port)
}

/// A name of a Pod or workload with its namespace written out.
fn qualified(name: &str, namespace: &str) -> String {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        [name] => format!("{namespace}/{name}"),
        [kind, name] if crate::world::kind_word(kind).is_some() => format!("{kind}/{namespace}/{name}"),
        _ => name.to_owned(),
    }
}

fn forward_target(target: &str, namespace: &str) -> String {
    match target.split('/').collect::<Vec<_>>().as_slice() {
        [name] => format!("pod/{namespace}/{name}"),
        [kind, name] if ask::is_forwarded(kind) => format!("{kind}/{namespace}/{name}"),
        _ => target.to_owned(),
    }
}

pub(super) fn headers(written: &[String]) -> Result<serde_json::Map<String, serde_json::Value>, Unusable> {
    let mut headers = serde_json::Map::new();
    for header in written {
        let (name, value) =
            header.split_once(':').ok_or_else(|| unusable(format!("{header:?} is not of the form NAME: VALUE")))?;
        headers.insert(name.trim().to_owned(), value.trim().into());
    }
    Ok(headers)
}
