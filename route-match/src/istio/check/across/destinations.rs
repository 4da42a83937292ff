//! Do destinations exist, with the port and the subset that is named?

use std::collections::BTreeSet;

use svc_model::ObjectRef;
use svc_model::api::{DestinationRule, IstioDestination, Service, ServiceEntry, VirtualService};
use svc_model::check::Finding;
use svc_model::{Kind, Resource};

use super::{Known, Warnings};
use crate::istio::destination::{ClusterHosts, Hosts};
use crate::istio::{ExportTo, full_host};

/// The annotation with which a Service says who sees it.
const EXPORT_TO: &str = "networking.istio.io/exportTo";

pub(super) fn check(known: &Known<'_>, findings: &mut Vec<Finding>) {
    for object in known.cluster.list::<VirtualService>() {
        let mut warnings = Warnings::about(object, findings);
        for (at, destination) in destinations(object) {
            one(known, object.namespace(), &at, destination, &mut warnings);
        }
    }
    for rule in known.cluster.list::<DestinationRule>() {
        let host = &rule.spec.host;
        if !host.is_empty() && !host.contains('*') && known.find(host, rule.namespace()).is_none() {
            let message = known.unknown(host, rule.namespace());
            Warnings::about(rule, findings).warn("spec.host", message);
        }
    }
}

/// The destinations of a VirtualService, each with the path of its place.
pub(super) fn destinations(object: &VirtualService) -> impl Iterator<Item = (String, &IstioDestination)> {
    let http = object.spec.http.iter().enumerate().flat_map(|(i, rule)| {
        let routes = rule.route.iter().enumerate().filter_map(move |(j, entry)| {
            Some((format!("spec.http[{i}].route[{j}].destination"), entry.destination.as_ref()?))
        });
        let mirrors = rule.mirrors.iter().enumerate().filter_map(move |(j, entry)| {
            Some((format!("spec.http[{i}].mirrors[{j}].destination"), entry.destination.as_ref()?))
        });
        let mirror = rule.mirror.iter().map(move |mirror| (format!("spec.http[{i}].mirror"), mirror));
        routes.chain(mirror).chain(mirrors)
    });
    let tls = object.spec.tls.iter().map(|rule| &rule.route).enumerate().map(|(i, route)| ("tls", i, route));
    let tcp = object.spec.tcp.iter().map(|rule| &rule.route).enumerate().map(|(i, route)| ("tcp", i, route));
    let streams = tls.chain(tcp).flat_map(|(list, i, route)| {
        route.iter().enumerate().filter_map(move |(j, entry)| {
            Some((format!("spec.{list}[{i}].route[{j}].destination"), entry.destination.as_ref()?))
        })
    });
    http.chain(streams)
}

impl Known<'_> {
    /// The Service or ServiceEntry that a host stands for in an object of this namespace.
    pub(super) fn find(&self, host: &str, namespace: &str) -> Option<ObjectRef> {
        let hosts = ClusterHosts { cluster: self.cluster, entries: &self.entries };
        Some(hosts.find(&full_host(host, namespace), namespace)?.service)
    }

    /// What is said of a host that nobody has, with what may have been meant.
    fn unknown(&self, host: &str, namespace: &str) -> String {
        let full = full_host(host, namespace);
        let hint = match host.split_once('.') {
            Some((name, other)) => {
                let meant = self.cluster.get::<Service>(other, name).is_some();
                let words = || format!("; a host with a dot is complete: write {name}.{other}.svc.cluster.local");
                meant.then(words)
            }
            None => self.namespaces.get(host).and_then(|namespaces| {
                let other = namespaces.first()?;
                Some(format!("; a short host is of this namespace: write {host}.{other}.svc.cluster.local"))
            }),
        };
        format!("no Service and no ServiceEntry has the host {full}{}", hint.unwrap_or_default())
    }

    /// The numbers of the ports of a Service or ServiceEntry, and whether it is seen from a namespace.
    fn ports(&self, object: &ObjectRef, namespace: &str) -> (BTreeSet<i64>, bool) {
        let seen = |list: &[String]| ExportTo::read(list, &object.namespace).reaches(namespace);
        if object.kind == Kind::ServiceEntry {
            let entry = self.cluster.get::<ServiceEntry>(&object.namespace, &object.name);
            let ports = entry.iter().flat_map(|entry| &entry.spec.ports).map(|port| port.number);
            return (ports.collect(), entry.is_none_or(|entry| seen(&entry.spec.export_to)));
        }
        let service = self.cluster.get::<Service>(&object.namespace, &object.name);
        let annotation = service.and_then(|service| service.metadata.annotations.get(EXPORT_TO));
        let list: Vec<String> =
            annotation.iter().flat_map(|list| list.split(',')).map(|entry| entry.trim().to_owned()).collect();
        (service.iter().flat_map(|service| &service.spec.ports).map(|port| port.port).collect(), seen(&list))
    }

    /// Whether a DestinationRule for a full host, or a wildcard above it, defines a subset.
    fn has_subset(&self, host: &str, subset: &str) -> bool {
        let above = host.char_indices().filter(|(_, c)| *c == '.').map(|(at, _)| format!("*{}", &host[at..]));
        let mut names = [host.to_owned()].into_iter().chain(above).chain(["*".to_owned()]);
        names.any(|name| self.subsets.get(name.as_str()).is_some_and(|subsets| subsets.contains(subset)))
    }
}

fn one(known: &Known<'_>, namespace: &str, at: &str, destination: &IstioDestination, warnings: &mut Warnings<'_>) {
    let host = &destination.host;
    if host.is_empty() || host == "*" {
        return; // An error by itself.
    }
    let Some(object) = known.find(host, namespace) else {
        return warnings.warn(format!("{at}.host"), format!("{}: 503", known.unknown(host, namespace)));
    };
    let (ports, seen) = known.ports(&object, namespace);
    if !seen {
        warnings.warn(format!("{at}.host"), format!("{object} is not exported to {namespace}: 503"));
    }
    if let Some(port) = &destination.port
        && port.number != 0
        && !ports.contains(&port.number)
    {
        let there: Vec<String> = ports.iter().map(ToString::to_string).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        warnings.warn(format!("{at}.port.number"), format!("{object} has no port {}, but {there}", port.number));
    }
    let full = full_host(host, namespace);
    if !destination.subset.is_empty() && !known.has_subset(&full, &destination.subset) {
        let message = format!("no DestinationRule defines the subset {:?} of {full}: 503", destination.subset);
        warnings.warn(format!("{at}.subset"), message);
    }
}
