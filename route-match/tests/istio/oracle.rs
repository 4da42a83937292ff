//! What `spec.http` means at a gateway, said once more and as plainly as can be: no index, no table, no names in common with the
//! crate. Answers of the table are held against it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use regex::Regex;
use svc_model::api::{
    IstioGateway, IstioHttpMatch, IstioHttpRoute, IstioServer, IstioStringMatch, Pod, StringMap, Time, VirtualService,
};
use svc_model::{Cluster, Resource};

/// A request over plain HTTP, its path normal.
pub(crate) struct Request<'a> {
    pub(crate) port: u16,
    pub(crate) host: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 301 by `httpsRedirect`.
    ToHttps,
    /// A rule of a VirtualService of this namespace and name.
    Rule(String, String, usize),
    NotFound,
}

/// The answer of the proxy of the Gateway `infra/edge`. Delegates are not looked at.
pub(crate) fn answer(cluster: &Cluster, request: &Request<'_>) -> Answer {
    let edge = cluster.get::<IstioGateway>("infra", "edge").expect("the Gateway is there");
    let selector = &edge.spec.selector;
    let pod = cluster.list::<Pod>().find(|pod| !selector.is_empty() && within(selector, &pod.metadata.labels));
    let labels = pod.map_or(selector, |pod| &pod.metadata.labels);
    let namespace = pod.map_or("infra", |pod| pod.namespace());

    let mut gateways: Vec<&IstioGateway> =
        cluster.list::<IstioGateway>().filter(|gateway| within(&gateway.spec.selector, labels)).collect();
    gateways.sort_by(|a, b| age(*a).cmp(&age(*b)));
    let servers = servers(&gateways, request.port);

    let mut virtual_hosts: BTreeMap<String, (bool, Vec<Entry<'_>>)> = BTreeMap::new();
    for (gateway, server) in servers {
        let redirects = server.tls.as_ref().is_some_and(|tls| tls.https_redirect);
        for object in virtual_services(cluster, gateway, namespace) {
            let rules = rules(object, gateway, request.port, labels, namespace);
            if rules.is_empty() {
                continue;
            }
            for host in common(&hosts_for(server, gateway.namespace(), object.namespace()), &object.spec.hosts) {
                let (to_https, entries) = virtual_hosts.entry(host).or_default();
                *to_https |= redirects;
                entries.extend(rules.clone());
            }
        }
        if redirects {
            for host in hosts_for_all(server) {
                virtual_hosts.entry(host.to_ascii_lowercase()).or_default().0 = true;
            }
        }
    }

    let chosen = virtual_hosts.iter().filter(|(domain, _)| fits(domain, request.host));
    let Some((_, (to_https, entries))) =
        chosen.min_by_key(|(domain, _)| (domain.starts_with('*'), Reverse(domain.len())))
    else {
        return Answer::NotFound;
    };
    if *to_https {
        return Answer::ToHttps;
    }
    let last = |entry: &&Entry<'_>| entry.is_catch_all();
    let mut in_order = entries.iter().filter(|entry| !last(entry)).chain(entries.iter().filter(last));
    match in_order.find(|entry| entry.found.is_none_or(|found| holds(found, request))) {
        Some(entry) => Answer::Rule(entry.object.namespace().into(), entry.object.name().into(), entry.rule),
        None => Answer::NotFound,
    }
}

/// A match of a rule; `None` for a rule without any.
#[derive(Clone)]
struct Entry<'a> {
    object: &'a VirtualService,
    rule: usize,
    found: Option<&'a IstioHttpMatch>,
}

impl Entry<'_> {
    fn is_catch_all(&self) -> bool {
        self.found.is_none_or(|found| {
            let path = found.uri.as_ref().is_none_or(|uri| match (&uri.exact, &uri.prefix, &uri.regex) {
                (None, Some(prefix), None) => prefix == "/",
                (None, None, Some(regex)) => regex == ".*",
                (None, None, None) => true,
                _ => false,
            });
            let nothing = found.headers.is_empty() && found.without_headers.is_empty() && found.query_params.is_empty();
            path && nothing && found.method.is_none() && found.authority.is_none() && found.scheme.is_none()
        })
    }
}

fn age<T: Resource>(object: &T) -> (Option<Time>, &str, &str) {
    (object.metadata().creation_timestamp, object.name(), object.namespace())
}

fn within(selector: &StringMap, labels: &StringMap) -> bool {
    selector.iter().all(|pair| labels.get(pair.0) == Some(pair.1))
}

/// The plain HTTP servers of a port, of the address that a question without one means.
fn servers<'c>(gateways: &[&'c IstioGateway], number: u16) -> Vec<(&'c IstioGateway, &'c IstioServer)> {
    let all = gateways.iter().flat_map(|gateway| gateway.spec.servers.iter().map(|server| (*gateway, server)));
    let here: Vec<_> =
        all.filter(|(_, server)| server.port.as_ref().is_some_and(|port| port.number == i64::from(number))).collect();
    let is_http = |server: &IstioServer| {
        let protocol = server.port.as_ref().map(|port| port.protocol.as_str());
        matches!(protocol, Some("HTTP" | "HTTP2"))
    };
    // Of each address, if its first server speaks HTTP, those that do.
    let opens =
        |bind: &str| here.iter().find(|(_, server)| server.bind == bind).is_some_and(|(_, server)| is_http(server));
    let bind =
        if opens("") { Some("") } else { here.iter().map(|(_, server)| server.bind.as_str()).find(|bind| opens(bind)) };
    here.iter().filter(|(_, server)| Some(server.bind.as_str()) == bind && is_http(server)).copied().collect()
}

fn virtual_services<'c>(cluster: &'c Cluster, gateway: &IstioGateway, proxy: &str) -> Vec<&'c VirtualService> {
    let full = format!("{}/{}", gateway.namespace(), gateway.name());
    let mut out: Vec<(u8, &VirtualService)> = Vec::new();
    for object in cluster.list::<VirtualService>().filter(|object| !object.spec.hosts.is_empty()) {
        let own = object.namespace();
        let names =
            |text: &String| if text.contains('/') || text == "mesh" { text.clone() } else { format!("{own}/{text}") };
        if !object.spec.gateways.iter().any(|text| names(text) == full) {
            continue;
        }
        let export = &object.spec.export_to;
        let has = |word: &str| export.iter().any(|text| text == word);
        let group = if export.is_empty() || has("*") {
            2
        } else if has("~") {
            continue;
        } else if own == proxy && (has(".") || has(own)) {
            0
        } else if own != proxy && has(proxy) {
            1
        } else {
            continue;
        };
        out.push((group, object));
    }
    out.sort_by(|a, b| (a.0, age(a.1)).cmp(&(b.0, age(b.1))));
    out.into_iter().map(|(_, object)| object).collect()
}

fn rules<'c>(
    object: &'c VirtualService,
    gateway: &IstioGateway,
    port: u16,
    labels: &StringMap,
    namespace: &str,
) -> Vec<Entry<'c>> {
    let mut out = Vec::new();
    for (rule, written) in object.spec.http.iter().enumerate() {
        if !acts(written) {
            continue;
        }
        if written.match_.is_empty() {
            out.push(Entry { object, rule, found: None });
            return out;
        }
        for found in &written.match_ {
            let at_gateway = |text: &String| {
                let full = if text.contains('/') { text.clone() } else { format!("{}/{text}", object.namespace()) };
                text != "mesh" && full == format!("{}/{}", gateway.namespace(), gateway.name())
            };
            let here = if found.gateways.is_empty() {
                within(&found.source_labels, labels)
                    && (found.source_namespace.is_empty() || found.source_namespace == namespace)
            } else {
                found.gateways.iter().any(at_gateway)
            };
            if !here || (found.port != 0 && found.port != i64::from(port)) || !readable(found) {
                continue;
            }
            let entry = Entry { object, rule, found: Some(found) };
            let end = entry.is_catch_all();
            out.push(entry);
            if end {
                return out;
            }
        }
    }
    out
}

fn acts(rule: &IstioHttpRoute) -> bool {
    !rule.route.is_empty() || rule.redirect.is_some() || rule.direct_response.is_some()
}

fn texts(found: &IstioHttpMatch) -> impl Iterator<Item = &IstioStringMatch> {
    let single = [&found.uri, &found.method, &found.authority, &found.scheme].into_iter().flatten();
    single.chain(found.headers.values()).chain(found.without_headers.values()).chain(found.query_params.values())
}

fn readable(found: &IstioHttpMatch) -> bool {
    texts(found).all(|text| text.regex.as_deref().is_none_or(|regex| regex == "*" || Regex::new(regex).is_ok()))
}

fn hosts_for(server: &IstioServer, own: &str, namespace: &str) -> Vec<String> {
    if server.hosts.iter().any(|host| host == "*/*") {
        return vec!["*".into()];
    }
    let host = |host: &String| match host.split_once('/') {
        None | Some(("*", _)) => Some(host.rsplit('/').next()?.to_owned()),
        Some((".", host)) => (own == namespace).then(|| host.to_owned()),
        Some((other, host)) => (other == namespace).then(|| host.to_owned()),
    };
    server.hosts.iter().filter_map(host).collect()
}

fn hosts_for_all(server: &IstioServer) -> Vec<String> {
    if server.hosts.iter().any(|host| host == "*/*") {
        return vec!["*".into()];
    }
    server.hosts.iter().filter_map(|host| host.rsplit('/').next().map(str::to_owned)).collect()
}

/// The narrower of each pair of which one lies within the other.
fn common(servers: &[String], objects: &[String]) -> Vec<String> {
    let inside = |narrow: &str, wide: &str| match wide.strip_prefix('*') {
        Some(suffix) => narrow.trim_start_matches('*').ends_with(suffix),
        None => narrow == wide,
    };
    let mut out: Vec<String> = Vec::new();
    for server in servers {
        for object in objects {
            let pair = if inside(server, object) { Some(server) } else { inside(object, server).then_some(object) };
            out.extend(pair.map(|host| host.to_ascii_lowercase()));
        }
    }
    out.sort();
    out.dedup();
    out
}

fn fits(domain: &str, host: &str) -> bool {
    match domain.strip_prefix('*') {
        Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        None => domain == host,
    }
}

fn holds(found: &IstioHttpMatch, request: &Request<'_>) -> bool {
    let path = found.uri.as_ref().is_none_or(|uri| {
        if found.ignore_uri_case && uri.regex.is_none() {
            let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
            let uri = IstioStringMatch { exact: lower(&uri.exact), prefix: lower(&uri.prefix), regex: None };
            text_holds(&uri, &request.path.to_lowercase())
        } else {
            text_holds(uri, request.path)
        }
    });
    let header =
        |name: &str| request.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
    let query = |name: &str| {
        let mut pairs = request.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    path && found.method.as_ref().is_none_or(|text| text_holds(text, request.method))
        && found.headers.iter().all(|(name, text)| header(name).is_some_and(|value| text_holds(text, value)))
        && found.query_params.iter().all(|(name, text)| query(name).is_some_and(|value| text_holds(text, value)))
        && found.without_headers.iter().all(|(name, text)| match (is_presence(text), header(name)) {
            (true, value) => value.is_none(),
            (false, value) => !text_holds(text, value.unwrap_or("")),
        })
}

fn is_presence(text: &IstioStringMatch) -> bool {
    text.exact.is_none() && text.prefix.is_none() && text.regex.as_deref().is_none_or(|regex| regex == "*")
}

fn text_holds(text: &IstioStringMatch, value: &str) -> bool {
    match (&text.exact, &text.prefix, &text.regex) {
        (Some(exact), ..) => value == exact,
        (None, Some(prefix), _) => value.starts_with(prefix.as_str()),
        (None, None, Some(regex)) if regex != "*" => {
            Regex::new(&format!("^(?:{regex})$")).is_ok_and(|regex| regex.is_match(value))
        }
        _ => true,
    }
}
