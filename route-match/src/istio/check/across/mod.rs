//! What Istio's objects say of each other, of Services and of Pods.

mod conflicts;
mod destinations;
mod references;
mod workloads;

use std::collections::{BTreeMap, BTreeSet};

use svc_model::api::{DestinationRule, Service, VirtualService};
use svc_model::check::Finding;
use svc_model::{Cluster, Resource};

use crate::istio::destination::EntryHosts;
use crate::istio::full_host;

pub(super) fn check(cluster: &Cluster) -> Vec<Finding> {
    let known = Known::of(cluster);
    let mut findings = Vec::new();
    references::check(cluster, &mut findings);
    destinations::check(&known, &mut findings);
    conflicts::check(cluster, &mut findings);
    workloads::check(&known, &mut findings);
    findings
}

/// What destinations can be.
struct Known<'c> {
    cluster: &'c Cluster,
    entries: EntryHosts,
    /// From the full host of DestinationRules to the subsets that they define.
    subsets: BTreeMap<Box<str>, BTreeSet<&'c str>>,
    /// From the name of a Service to the namespaces that have one.
    namespaces: BTreeMap<&'c str, Vec<&'c str>>,
}

impl<'c> Known<'c> {
    fn of(cluster: &'c Cluster) -> Self {
        let mut subsets: BTreeMap<Box<str>, BTreeSet<&str>> = BTreeMap::new();
        for rule in cluster.list::<DestinationRule>() {
            let host = full_host(&rule.spec.host, rule.namespace()).into();
            subsets.entry(host).or_default().extend(rule.spec.subsets.iter().map(|subset| subset.name.as_str()));
        }
        let mut namespaces: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for service in cluster.list::<Service>() {
            namespaces.entry(service.name()).or_default().push(service.namespace());
        }
        Self { cluster, entries: EntryHosts::of(cluster), subsets, namespaces }
    }
}

/// The findings about one object, with warnings alone.
struct Warnings<'f> {
    object: String,
    findings: &'f mut Vec<Finding>,
}

impl<'f> Warnings<'f> {
    fn about(object: &impl Resource, findings: &'f mut Vec<Finding>) -> Self {
        Self { object: object.reference().in_manifest(), findings }
    }

    fn warn(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.findings.push(Finding::warning(&self.object, field, message));
    }
}

/// Whether rules hold in sidecars.
fn on_mesh(object: &VirtualService) -> bool {
    super::virtual_service::on_mesh(object)
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeSeed;
    use serde_json::{Value, json};
    use svc_model::{Cluster, Kind};

    /// `OBJECT FIELD` of what is said of these objects, in order.
    fn found(objects: &[(Kind, Value)]) -> Vec<String> {
        let objects = objects.iter().map(|(kind, value)| kind.deserialize(value.clone()).expect("an object"));
        let cluster: Cluster = objects.collect();
        let mut texts: Vec<String> =
            super::check(&cluster).iter().map(|finding| format!("{} {}", finding.object, finding.field)).collect();
        texts.sort();
        texts
    }

    fn virtual_service(name: &str, spec: Value) -> (Kind, Value) {
        (Kind::VirtualService, json!({"metadata": {"name": name}, "spec": spec}))
    }

    fn service(name: &str, ports: Value) -> (Kind, Value) {
        (Kind::Service, json!({"metadata": {"name": name}, "spec": {"ports": ports}}))
    }

    fn web() -> (Kind, Value) {
        service("web", json!([{"name": "http", "port": 80}]))
    }

    fn rule(host: &str) -> Value {
        json!([{"route": [{"destination": {"host": host}}]}])
    }

    #[test]
    fn gateways_that_are_not_there_or_serve_other_hosts() {
        let edge = (
            Kind::IstioGateway,
            json!({"metadata": {"name": "edge"}, "spec": {
            "servers": [{"hosts": ["other/a.x", "*.y"]}]}}),
        );
        let bound = |name: &str, host: &str, gateway: &str| {
            virtual_service(name, json!({"hosts": [host], "gateways": [gateway], "http": rule("web")}))
        };
        let world = [
            web(),
            edge,
            bound("a", "a.x", "edge"),
            bound("b", "b.y", "edge"),
            bound("c", "*", "default/edge"),
            bound("d", "b.y", "edgy"),
        ];
        assert_eq!(
            found(&world),
            ["VirtualService/default/a spec.gateways[0]", "VirtualService/default/d spec.gateways[0]"]
        );
    }

    #[test]
    fn delegates_that_are_not_there_or_nobody_hands_over_to() {
        let root = |name: &str, to: &str| {
            virtual_service(name, json!({"hosts": [name], "http": [{"delegate": {"name": to}}]}))
        };
        let leaf = |name: &str| virtual_service(name, json!({"http": rule("web")}));
        let hidden = (
            Kind::VirtualService,
            json!({"metadata": {"name": "h", "namespace": "other"}, "spec": {
            "exportTo": ["."], "http": [{"redirect": {"uri": "/"}}]}}),
        );
        let far = virtual_service(
            "e.x",
            json!({"hosts": ["e.x"], "http": [{"delegate": {"name": "h", "namespace": "other"}}]}),
        );
        let world = [
            web(),
            root("a.x", "leaf"),
            root("b.x", "none"),
            root("c.x", "a.x"),
            leaf("leaf"),
            leaf("lost"),
            hidden,
            far,
        ];
        assert_eq!(
            found(&world),
            [
                "VirtualService/default/b.x spec.http[0].delegate",
                "VirtualService/default/c.x spec.http[0].delegate",
                "VirtualService/default/e.x spec.http[0].delegate",
                "VirtualService/default/lost spec.hosts",
            ]
        );
    }

    #[test]
    fn destinations_ports_and_subsets_that_are_not_there() {
        let entry = (
            Kind::ServiceEntry,
            json!({"metadata": {"name": "e"}, "spec": {
            "hosts": ["*.ext.x"], "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]}}),
        );
        let policy = (
            Kind::DestinationRule,
            json!({"metadata": {"name": "p"}, "spec": {
            "host": "web", "subsets": [{"name": "v1"}]}}),
        );
        let lost = (Kind::DestinationRule, json!({"metadata": {"name": "lost"}, "spec": {"host": "wob"}}));
        let rules = json!([
            {"route": [
                {"destination": {"host": "web", "subset": "v1", "port": {"number": 80}}},
                {"destination": {"host": "web.default.svc.cluster.local", "subset": "v2"}},
                {"destination": {"host": "web", "port": {"number": 81}}},
                {"destination": {"host": "a.ext.x", "port": {"number": 443}}},
                {"destination": {"host": "web.default"}},
            ], "mirror": {"host": "none"}},
        ]);
        let streams = json!([{"match": [{"port": 1}], "route": [{"destination": {"host": "none"}}]}]);
        let world = [
            web(),
            entry,
            policy,
            lost,
            virtual_service("a", json!({"hosts": ["web"], "http": rules, "tcp": streams})),
        ];
        assert_eq!(
            found(&world),
            [
                "DestinationRule/default/lost spec.host",
                "VirtualService/default/a spec.http[0].mirror.host",
                "VirtualService/default/a spec.http[0].route[1].destination.subset",
                "VirtualService/default/a spec.http[0].route[2].destination.port.number",
                "VirtualService/default/a spec.http[0].route[4].destination.host",
                "VirtualService/default/a spec.tcp[0].route[0].destination.host",
            ]
        );
    }

    #[test]
    fn hosts_that_two_have_in_the_mesh() {
        let of = |name: &str, namespace: &str, host: &str, more: Value| {
            let mut spec = json!({"hosts": [host], "http": rule("web.default.svc.cluster.local")});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            (Kind::VirtualService, json!({"metadata": {"name": name, "namespace": namespace}, "spec": spec}))
        };
        let full = "web.default.svc.cluster.local";
        let world = [
            web(),
            of("a", "default", "web", json!({})),
            of("b", "default", full, json!({})),
            of("c", "other", full, json!({"exportTo": ["."]})),
            of("d", "third", full, json!({"exportTo": ["fourth"]})),
            of("e", "default", "web", json!({"gateways": ["edge"]})),
        ];
        // The private one is used in its own namespace, and the lent one in that it is lent to.
        let said = found(&world);
        let conflicts: Vec<&str> = said.iter().filter(|text| text.ends_with("hosts[0]")).map(String::as_str).collect();
        assert_eq!(conflicts, ["VirtualService/default/b spec.hosts[0]"]);
    }

    #[test]
    fn names_of_ports_without_a_protocol() {
        let world = [
            service("web", json!([{"name": "http", "port": 80}, {"name": "admin", "port": 81}])),
            service("other", json!([{"name": "admin", "port": 81}])),
            virtual_service("a", json!({"hosts": ["web"], "http": rule("web")})),
        ];
        assert_eq!(found(&world), ["Service/default/web spec.ports[1].name"]);
    }

    #[test]
    fn selectors_that_select_nothing() {
        let pod =
            (Kind::Pod, json!({"metadata": {"name": "p", "labels": {"app": "web", "version": "v1", "istio": "edge"}}}));
        let service = (
            Kind::Service,
            json!({"metadata": {"name": "web"}, "spec": {
            "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}}),
        );
        let policy = (
            Kind::DestinationRule,
            json!({"metadata": {"name": "p"}, "spec": {"host": "web", "subsets": [
            {"name": "v1", "labels": {"version": "v1"}}, {"name": "v2", "labels": {"version": "v2"}}]}}),
        );
        let gateway = |name: &str, label: &str| {
            (
                Kind::IstioGateway,
                json!({"metadata": {"name": name}, "spec": {
            "selector": {"istio": label}, "servers": []}}),
            )
        };
        let sidecar = |name: &str, label: &str| {
            (
                Kind::Sidecar,
                json!({"metadata": {"name": name}, "spec": {
            "workloadSelector": {"labels": {"app": label}}}}),
            )
        };
        let world = [
            pod,
            service,
            policy,
            gateway("g", "edge"),
            gateway("h", "egde"),
            sidecar("s", "web"),
            sidecar("t", "wob"),
        ];
        assert_eq!(
            found(&world),
            [
                "DestinationRule/default/p spec.subsets[1].labels",
                "Gateway/default/h spec.selector",
                "Sidecar/default/t spec.workloadSelector",
            ]
        );
    }

    #[test]
    fn objects_in_each_others_way() {
        let sidecar = |name: &str| (Kind::Sidecar, json!({"metadata": {"name": name}, "spec": {"egress": []}}));
        let entry = |name: &str, protocol: &str| {
            (
                Kind::ServiceEntry,
                json!({"metadata": {"name": name}, "spec": {
            "hosts": ["a.x"], "ports": [{"number": 443, "name": "p", "protocol": protocol}]}}),
            )
        };
        let gateway = |name: &str| {
            (
                Kind::IstioGateway,
                json!({"metadata": {"name": name}, "spec": {"selector": {"istio": "edge"},
            "servers": [{"port": {"number": 443, "name": name, "protocol": "HTTPS"}, "hosts": ["a.x"],
                "tls": {"mode": "SIMPLE", "credentialName": "c"}}]}}),
            )
        };
        let world = [
            sidecar("s"),
            sidecar("t"),
            entry("e", "TLS"),
            entry("f", "HTTPS"),
            entry("g", "tls"),
            gateway("i"),
            gateway("j"),
        ];
        assert_eq!(
            found(&world),
            [
                "Gateway/default/j spec.servers[0]",
                "ServiceEntry/default/f spec.ports[0].protocol",
                "Sidecar/default/t spec.workloadSelector",
            ]
        );
    }
}
