//! Do selectors select somebody, and do the ports of their Services say what is spoken there?

use std::collections::{BTreeMap, BTreeSet};

use svc_model::api::{
    DaemonSet, Deployment, DestinationRule, IstioGateway, Pod, ReplicaSet, Service, Sidecar, StatefulSet, StringMap,
    VirtualService, WorkloadEntry, selects,
};
use svc_model::check::Finding;
use svc_model::{Kind, Resource};

use super::destinations::destinations;
use super::{Known, Warnings};
use crate::istio::PortProtocol;

pub(super) fn check(known: &Known<'_>, findings: &mut Vec<Finding>) {
    port_names(known, findings);
    let workloads = Workloads::of(known);
    for gateway in known.cluster.list::<IstioGateway>() {
        let selector = &gateway.spec.selector;
        // In a world without gateways of any kind, they are somewhere else.
        let known_keys = selector.keys().all(|key| workloads.keys.contains(key.as_str()));
        if !selector.is_empty() && known_keys && !workloads.all().any(|labels| selects(selector, labels)) {
            let message = "selects no Pod and no workload, so that no proxy opens these servers";
            Warnings::about(gateway, findings).warn("spec.selector", message);
        }
    }
    for sidecar in known.cluster.list::<Sidecar>() {
        let Some(selector) = sidecar.spec.workload_selector.as_ref().filter(|s| !s.labels.is_empty()) else { continue };
        let mut labels = workloads.of_namespace(sidecar.namespace()).peekable();
        if labels.peek().is_some() && !labels.any(|labels| selects(&selector.labels, labels)) {
            let message = "selects no Pod and no workload of the namespace";
            Warnings::about(sidecar, findings).warn("spec.workloadSelector", message);
        }
    }
    for rule in known.cluster.list::<DestinationRule>() {
        subsets(known, &workloads, rule, findings);
    }
}

/// The labels of Pods, of the templates of workloads, and of WorkloadEntries, by namespace.
struct Workloads<'c> {
    by_namespace: BTreeMap<&'c str, Vec<&'c StringMap>>,
    keys: BTreeSet<&'c str>,
}

impl<'c> Workloads<'c> {
    fn of(known: &Known<'c>) -> Self {
        let cluster = known.cluster;
        let pods = cluster.list::<Pod>().map(|pod| (pod.namespace(), &pod.metadata.labels));
        let entries = cluster.list::<WorkloadEntry>();
        let entries = entries.flat_map(|e| [(e.namespace(), &e.metadata.labels), (e.namespace(), &e.spec.labels)]);
        let deployments = cluster.list::<Deployment>().map(|w| (w.namespace(), &w.spec.template.metadata.labels));
        let daemons = cluster.list::<DaemonSet>().map(|w| (w.namespace(), &w.spec.template.metadata.labels));
        let sets = cluster.list::<StatefulSet>().map(|w| (w.namespace(), &w.spec.template.metadata.labels));
        let replicas = cluster.list::<ReplicaSet>().map(|w| (w.namespace(), &w.spec.template.metadata.labels));
        let mut workloads = Self { by_namespace: BTreeMap::new(), keys: BTreeSet::new() };
        for (namespace, labels) in pods.chain(entries).chain(deployments).chain(daemons).chain(sets).chain(replicas) {
            workloads.by_namespace.entry(namespace).or_default().push(labels);
            workloads.keys.extend(labels.keys().map(String::as_str));
        }
        workloads
    }

    fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = &'c StringMap> {
        self.by_namespace.get(namespace).into_iter().flatten().copied()
    }

    fn all(&self) -> impl Iterator<Item = &'c StringMap> {
        self.by_namespace.values().flatten().copied()
    }
}

/// Subsets that no endpoint of their Service belongs to.
fn subsets(known: &Known<'_>, workloads: &Workloads<'_>, rule: &DestinationRule, findings: &mut Vec<Finding>) {
    if rule.spec.subsets.is_empty() {
        return;
    }
    let Some(object) = known.find(&rule.spec.host, rule.namespace()).filter(|object| object.kind == Kind::Service)
    else {
        return;
    };
    let service = known.cluster.get::<Service>(&object.namespace, &object.name);
    let Some(service) = service.filter(|service| !service.spec.selector.is_empty()) else { return };
    let of_service = workloads.of_namespace(&object.namespace).filter(|labels| selects(&service.spec.selector, labels));
    let endpoints: Vec<&StringMap> = of_service.collect();
    if endpoints.is_empty() {
        return; // Said of the Service.
    }
    for (i, subset) in rule.spec.subsets.iter().enumerate() {
        if !endpoints.iter().any(|labels| selects(&subset.labels, labels)) {
            let message = format!("no endpoint of {object} has these labels: 503 for subset {:?}", subset.name);
            Warnings::about(rule, findings).warn(format!("spec.subsets[{i}].labels"), message);
        }
    }
}

/// Ports of Services that VirtualServices lead to, whose names leave the protocol to be detected.
fn port_names(known: &Known<'_>, findings: &mut Vec<Finding>) {
    let mut meant = BTreeSet::new();
    for object in known.cluster.list::<VirtualService>() {
        let hosts = destinations(object).map(|(_, destination)| destination.host.as_str());
        let hosts = hosts.chain(object.spec.hosts.iter().map(String::as_str));
        meant.extend(hosts.filter_map(|host| known.find(host, object.namespace())));
    }
    for object in meant.iter().filter(|object| object.kind == Kind::Service) {
        let Some(service) = known.cluster.get::<Service>(&object.namespace, &object.name) else { continue };
        for (i, port) in service.spec.ports.iter().enumerate() {
            let detected = PortProtocol::of_service_port(port) == Some(PortProtocol::Detected);
            if detected && port.app_protocol.is_none() {
                let name = &port.name;
                let advice = match name.as_str() {
                    "" => "call it http or tcp".to_owned(),
                    name => format!("call it http-{name} or tcp-{name}"),
                };
                let message = format!(
                    "{name:?} names no protocol, so that Istio guesses it from the first bytes; {advice}, or set appProtocol"
                );
                Warnings::about(service, findings).warn(format!("spec.ports[{i}].name"), message);
            }
        }
    }
}
