//! Which objects are in each other's way?

use std::collections::{BTreeMap, BTreeSet};

use svc_model::api::{IstioGateway, ServiceEntry, Sidecar, VirtualService};
use svc_model::check::Finding;
use svc_model::{Cluster, NamespacedName, Resource};

use super::{Warnings, on_mesh};
use crate::istio::{Age, ExportTo, Exposure, GatewayProxy, Servers, full_host};

/// Most VirtualServices with one host that a further one is compared with.
const MAX_COMPARED: usize = 64;

pub(super) fn check(cluster: &Cluster, findings: &mut Vec<Finding>) {
    mesh_hosts(cluster, findings);
    servers(cluster, findings);
    protocols(cluster, findings);
    sidecars(cluster, findings);
}

/// VirtualServices for one host in the mesh, where one of them alone is used.
fn mesh_hosts(cluster: &Cluster, findings: &mut Vec<Finding>) {
    let mut by_host: BTreeMap<String, Vec<(Age, &VirtualService, usize)>> = BTreeMap::new();
    for object in cluster.list::<VirtualService>().filter(|object| on_mesh(object)) {
        for (i, host) in object.spec.hosts.iter().enumerate() {
            let host = full_host(host, object.namespace()).into_owned();
            by_host.entry(host).or_default().push((Age::of(object), object, i));
        }
    }
    for (host, mut objects) in by_host {
        objects.sort_by(|a, b| a.0.cmp(&b.0));
        for (at, (age, object, i)) in objects.iter().enumerate() {
            // The same object names the host twice: an error of its own.
            let others = objects[..at].iter().take(MAX_COMPARED).filter(|other| other.0 != *age);
            let winner = others.map(|other| other.1).find(|other| hides(other, object));
            if let Some(winner) = winner {
                let message = format!(
                    "{} has {host} in the mesh already and goes before: rules of two objects are not merged there",
                    winner.reference()
                );
                Warnings::about(*object, findings).warn(format!("spec.hosts[{i}]"), message);
            }
        }
    }
}

/// Whether the older of two goes before the other wherever that one is seen.
fn hides(older: &VirtualService, younger: &VirtualService) -> bool {
    let read = |object: &VirtualService| ExportTo::read(&object.spec.export_to, object.namespace());
    let (wide, narrow) = (read(older), read(younger));
    match &narrow {
        ExportTo::Everyone => wide == ExportTo::Everyone,
        ExportTo::Nobody => false,
        // Of the two in one of these namespaces, the one that is less widely exported goes first.
        ExportTo::Namespaces(names) => {
            let exposure =
                |export: &ExportTo, object: &VirtualService, name: &str| export.exposure(object.namespace(), name);
            names.iter().all(|name| {
                let (older, younger) = (exposure(&wide, older, name), exposure(&narrow, younger, name));
                older.is_some_and(|older: Exposure| younger.is_some_and(|younger| older <= younger))
            })
        }
    }
}

/// Servers that others of the same proxy keep out.
fn servers(cluster: &Cluster, findings: &mut Vec<Finding>) {
    let mut seen: BTreeSet<NamespacedName> = BTreeSet::new();
    let mut said: BTreeSet<(NamespacedName, usize)> = BTreeSet::new();
    for gateway in cluster.list::<IstioGateway>() {
        if seen.contains(&gateway.key()) {
            continue;
        }
        let proxy = GatewayProxy::of(cluster, gateway);
        seen.extend(proxy.gateways.iter().cloned());
        for refused in Servers::of(cluster, &proxy).refused {
            // What an object does by itself is an error of its own.
            let Some(owner) = cluster.get::<IstioGateway>(&refused.gateway.namespace, &refused.gateway.name) else {
                continue;
            };
            if refused.fault.is_conflict() && said.insert((refused.gateway.clone(), refused.index)) {
                let field = format!("spec.servers[{}]", refused.index);
                Warnings::about(owner, findings).warn(field, format!("is not opened: {}", refused.fault));
            }
        }
    }
}

/// ServiceEntries that say different protocols of one host and port.
fn protocols(cluster: &Cluster, findings: &mut Vec<Finding>) {
    let mut first: BTreeMap<(&str, i64), (&ServiceEntry, String)> = BTreeMap::new();
    let mut entries: Vec<&ServiceEntry> = cluster.list::<ServiceEntry>().collect();
    entries.sort_by_cached_key(|entry| Age::of(*entry));
    for entry in entries {
        let spec = &entry.spec;
        let mut said = BTreeSet::new();
        for host in &spec.hosts {
            for (i, port) in spec.ports.iter().enumerate() {
                let protocol = port.protocol.to_ascii_uppercase();
                let (other, theirs) = first.entry((host, port.number)).or_insert((entry, protocol.clone()));
                if *theirs != protocol && other.key() != entry.key() && said.insert(i) {
                    let message = format!(
                        "{} says {theirs:?} of port {} of {host}; the older counts",
                        other.reference(),
                        port.number
                    );
                    Warnings::about(entry, findings).warn(format!("spec.ports[{i}].protocol"), message);
                }
            }
        }
    }
}

/// Sidecars for all workloads of one namespace.
fn sidecars(cluster: &Cluster, findings: &mut Vec<Finding>) {
    let mut first: BTreeMap<&str, &Sidecar> = BTreeMap::new();
    let mut objects: Vec<&Sidecar> = cluster.list::<Sidecar>().collect();
    objects.sort_by_cached_key(|object| Age::of(*object));
    for object in objects {
        let selector = object.spec.workload_selector.as_ref();
        if selector.is_some_and(|selector| !selector.labels.is_empty()) {
            continue;
        }
        let other = *first.entry(object.namespace()).or_insert(object);
        if other.key() != object.key() {
            let message = format!("missing, and {} is for all workloads of the namespace already", other.reference());
            Warnings::about(object, findings).warn("spec.workloadSelector", message);
        }
    }
}
