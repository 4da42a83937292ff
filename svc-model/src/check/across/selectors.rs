//! Does this Service lead to anything? Its selector, its target ports, and whether anybody is ready.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Findings, workloads};
use crate::Protocol;
use crate::api::{Endpoints, IntOrString, Pod, PodSpec, Service, StringMap, selects};
use crate::check::names;
use crate::check::report::is_port;
use crate::cluster::Cluster;
use crate::endpoints::{self, Source};
use crate::kind::Resource;

pub(super) fn check(cluster: &Cluster, findings: &mut Findings) {
    let templates = Templates::of(cluster);
    for service in cluster.list::<Service>().filter(|service| !service.spec.is_external_name()) {
        let (namespace, selector) = (service.namespace(), &service.spec.selector);
        let has_objects = cluster.slices_of(namespace, service.name()).next().is_some()
            || cluster.get::<Endpoints>(namespace, service.name()).is_some();
        if has_objects {
            written_endpoints(cluster, service, findings);
        }
        if selector.is_empty() {
            if !has_objects {
                let message = "no selector, and no EndpointSlice or Endpoints object: it has no endpoints";
                findings.warning(service, "spec.selector", message);
            }
            continue;
        }
        if !is_well_formed(selector) {
            continue;
        }
        let mut selected = Selected::default();
        templates.selected_by(namespace, selector).for_each(|spec| selected.add(spec, true));
        for pod in cluster.pods_selected_by(namespace, selector) {
            selected.add(&pod.spec, may_serve(pod, service));
        }
        if selected.count > 0 {
            target_ports(service, &selected, findings);
        }
        if has_objects {
            continue;
        }
        let what = shown(selector);
        if selected.count == 0 {
            findings.warning(service, "spec.selector", format_args!("no Pod and no workload has the labels {what}"));
        } else if !selected.any_may_serve {
            findings.warning(service, "spec.selector", format_args!("no Pod with the labels {what} is ready"));
        }
    }
}

fn written_endpoints(cluster: &Cluster, service: &Service, findings: &mut Findings) {
    let endpoints = endpoints::of(cluster, service);
    let mut all = endpoints.sets.iter().flat_map(|set| &set.endpoints);
    if !all.any(|endpoint| endpoint.ready || (endpoint.serving && endpoint.terminating)) {
        let objects = if endpoints.source == Source::Slices { "EndpointSlices hold" } else { "Endpoints object holds" };
        findings.warning(service, "spec.selector", format_args!("its {objects} no endpoint that is ready"));
    }
}

/// Whether a Pod could be an endpoint that takes connections. A Pod that nobody has run yet, to go by its status, could.
fn may_serve(pod: &Pod, service: &Service) -> bool {
    let is_new = pod.status.phase.is_empty() && pod.status.conditions.is_empty();
    !pod.is_finished() && (is_new || pod.is_ready() || service.spec.publish_not_ready_addresses)
}

/// A selector that is refused for its form is not judged further.
fn is_well_formed(selector: &StringMap) -> bool {
    selector.iter().all(|(key, value)| names::qualified_name(key).is_ok() && names::label_value(value).is_ok())
}

fn shown(selector: &StringMap) -> String {
    selector.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn target_ports(service: &Service, selected: &Selected<'_>, findings: &mut Findings) {
    for (i, port) in service.spec.ports.iter().enumerate() {
        let Ok(protocol) = Protocol::of_field(&port.protocol) else {
            continue;
        };
        let field = format_args!("spec.ports[{i}].targetPort");
        let number = match &port.target_port {
            Some(IntOrString::String(name)) if !name.is_empty() => {
                if names::iana_service_name(name).is_ok() && !selected.names.contains(&(name, protocol)) {
                    let known = selected.names_of(protocol);
                    let message = format_args!("no Pod it selects has a {protocol} port named {name:?}{known}");
                    findings.warning(service, field, message);
                }
                continue;
            }
            Some(IntOrString::Int(number)) if *number != 0 => *number,
            _ => port.port,
        };
        if is_port(number) && selected.all_declare && !selected.numbers.contains(&number) {
            findings.warning(service, field, format_args!("no Pod it selects declares the port {number}"));
        }
    }
}

/// What the Pods and templates of one Service have.
struct Selected<'a> {
    count: usize,
    names: BTreeSet<(&'a str, Protocol)>,
    numbers: HashSet<i64>,
    /// Whether every one of them declares some port.
    all_declare: bool,
    any_may_serve: bool,
}

impl Default for Selected<'_> {
    fn default() -> Self {
        let (names, numbers) = Default::default();
        Selected { count: 0, names, numbers, all_declare: true, any_may_serve: false }
    }
}

impl<'a> Selected<'a> {
    fn add(&mut self, spec: &'a PodSpec, may_serve: bool) {
        self.count += 1;
        self.any_may_serve |= may_serve;
        self.all_declare &= spec.container_ports().next().is_some();
        for port in spec.container_ports() {
            self.numbers.insert(port.container_port);
            if let Ok(protocol) = Protocol::of_field(&port.protocol) {
                self.names.insert((&port.name, protocol));
            }
        }
    }

    fn names_of(&self, protocol: Protocol) -> String {
        let names = self.names.iter().filter(|(name, p)| !name.is_empty() && *p == protocol).map(|(name, _)| *name);
        match names.take(5).collect::<Vec<_>>() {
            names if names.is_empty() => String::new(),
            names => format!(", they have {}", names.join(", ")),
        }
    }
}

/// The Pod templates of all workloads by namespace and label.
struct Templates<'a> {
    templates: Vec<(&'a StringMap, &'a PodSpec)>,
    by_label: HashMap<(&'a str, &'a str, &'a str), Vec<usize>>,
}

impl<'a> Templates<'a> {
    fn of(cluster: &'a Cluster) -> Templates<'a> {
        let mut found = Templates { templates: Vec::new(), by_label: HashMap::new() };
        for workload in workloads(cluster) {
            let template = &workload.spec.template;
            for (key, value) in &template.metadata.labels {
                found.by_label.entry((workload.namespace, key, value)).or_default().push(found.templates.len());
            }
            found.templates.push((&template.metadata.labels, &template.spec));
        }
        found
    }

    /// Costs the number of templates that carry the rarest label of the selector.
    fn selected_by<'s>(
        &'s self,
        namespace: &'s str,
        selector: &'s StringMap,
    ) -> impl Iterator<Item = &'a PodSpec> + use<'s, 'a> {
        let with = |(key, value): (&'s String, &'s String)| -> &'s [usize] {
            self.by_label.get(&(namespace, key.as_str(), value.as_str())).map(Vec::as_slice).unwrap_or_default()
        };
        let rarest = selector.iter().map(with).min_by_key(|templates| templates.len()).unwrap_or_default();
        let templates = rarest.iter().map(|i| self.templates[*i]);
        templates.filter(move |(labels, _)| selects(selector, labels)).map(|(_, spec)| spec)
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Level;
    use crate::check::testing::{W, expect_across};

    const SELECTOR: (Level, &str, &str) = (W, "Service/default/a", "spec.selector");
    const TARGET: (Level, &str, &str) = (W, "Service/default/a", "spec.ports[0].targetPort");

    fn service(spec: &str) -> String {
        format!(r#"{{"metadata":{{"name":"a"}},"spec":{{{spec}}}}}"#)
    }

    fn selecting(port: &str) -> String {
        service(&format!(r#""selector":{{"app":"x"}},"ports":[{{{port}}}]"#))
    }

    fn pod(name: &str, label: &str, ports: &str, status: &str) -> String {
        let metadata = format!(r#"{{"name":"{name}","labels":{{"app":"{label}","tier":"t"}}}}"#);
        let spec = format!(r#"{{"containers":[{{"name":"c","image":"i","ports":[{ports}]}}]}}"#);
        format!(r#"{{"metadata":{metadata},"spec":{spec},"status":{{{status}}}}}"#)
    }

    fn deployment(label: &str, ports: &str) -> String {
        let template = pod("t", label, ports, "");
        format!(r#"{{"metadata":{{"name":"d"}},"spec":{{"template":{template}}}}}"#)
    }

    #[test]
    fn a_selector_selects_a_pod_or_a_workload() {
        const ABOUT: &[&str] = &["spec.selector"];
        let a = selecting(r#""port":80"#);
        expect_across(&[("Service", &a)], ABOUT, &[SELECTOR]);
        expect_across(&[("Service", &a), ("Pod", &pod("p", "y", "", ""))], ABOUT, &[SELECTOR]);
        expect_across(&[("Service", &a), ("Pod", &pod("p", "x", "", ""))], ABOUT, &[]);
        for kind in ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"] {
            expect_across(&[("Service", &a), (kind, &deployment("y", ""))], ABOUT, &[SELECTOR]);
            expect_across(&[("Service", &a), (kind, &deployment("x", ""))], ABOUT, &[]);
        }
        let cron = format!(
            r#"{{"metadata":{{"name":"d"}},"spec":{{"jobTemplate":{{"spec":{{"template":{}}}}}}}}}"#,
            pod("t", "x", "", "")
        );
        expect_across(&[("Service", &a), ("CronJob", &cron)], ABOUT, &[]);
        let elsewhere = r#"{"metadata":{"name":"p","namespace":"other","labels":{"app":"x"}}}"#;
        expect_across(&[("Service", &a), ("Pod", elsewhere)], ABOUT, &[SELECTOR]);
        // Refused for its form.
        expect_across(&[("Service", &service(r#""selector":{"app":"my app"}"#))], ABOUT, &[]);
    }

    #[test]
    fn endpoints_objects_stand_in_for_pods() {
        const ABOUT: &[&str] = &["spec.selector"];
        let slice = r#"{"metadata":{"name":"s","labels":{"kubernetes.io/service-name":"a"}},"addressType":"IPv4","endpoints":[{"addresses":["10.1.0.1"]}]}"#;
        let endpoints = r#"{"metadata":{"name":"a"},"subsets":[{"addresses":[{"ip":"10.1.0.1"}]}]}"#;
        let bare = service(r#""ports":[{"port":80}]"#);
        expect_across(&[("Service", &bare)], ABOUT, &[SELECTOR]);
        for a in [&bare, &selecting(r#""port":80"#)] {
            expect_across(&[("Service", a), ("EndpointSlice", slice)], ABOUT, &[]);
            expect_across(&[("Service", a), ("Endpoints", endpoints)], ABOUT, &[]);
        }
        let name = service(r#""type":"ExternalName","externalName":"db.example.com""#);
        expect_across(&[("Service", &name)], ABOUT, &[]);
    }

    #[test]
    fn somebody_should_be_ready() {
        const ABOUT: &[&str] = &["spec.selector"];
        let bare = service(r#""ports":[{"port":80}]"#);
        let endpoint = |conditions: &str| {
            let labels = r#""labels":{"kubernetes.io/service-name":"a"}"#;
            format!(
                r#"{{"metadata":{{"name":"s",{labels}}},"addressType":"IPv4","endpoints":[{{"addresses":["10.1.0.1"],"conditions":{{{conditions}}}}}]}}"#
            )
        };
        for (conditions, expected) in [
            ("", &[][..]),
            (r#""ready":false"#, &[SELECTOR]),
            (r#""ready":false,"terminating":true"#, &[]),
            (r#""ready":false,"serving":false,"terminating":true"#, &[SELECTOR]),
        ] {
            expect_across(&[("Service", &bare), ("EndpointSlice", &endpoint(conditions))], ABOUT, expected);
        }
        let not_ready = r#"{"metadata":{"name":"a"},"subsets":[{"notReadyAddresses":[{"ip":"10.1.0.1"}]}]}"#;
        expect_across(&[("Service", &bare), ("Endpoints", not_ready)], ABOUT, &[SELECTOR]);

        let a = selecting(r#""port":80"#);
        let condition = |status: &str| {
            let conditions = format!(r#"[{{"type":"Ready","status":"{status}"}}]"#);
            pod("p", "x", "", &format!(r#""phase":"Running","podIP":"10.1.0.1","conditions":{conditions}"#))
        };
        expect_across(&[("Service", &a), ("Pod", &condition("True"))], ABOUT, &[]);
        expect_across(&[("Service", &a), ("Pod", &condition("False"))], ABOUT, &[SELECTOR]);
        let publishing = service(r#""selector":{"app":"x"},"publishNotReadyAddresses":true"#);
        expect_across(&[("Service", &publishing), ("Pod", &condition("False"))], ABOUT, &[]);
        // The template's Pods will be.
        let world = [("Service", &*a), ("Pod", &*condition("False")), ("Deployment", &*deployment("x", ""))];
        expect_across(&world, ABOUT, &[]);
    }

    #[test]
    fn a_target_port_by_name_is_some_pods_port() {
        const ABOUT: &[&str] = &["targetPort"];
        let a = selecting(r#""port":80,"targetPort":"web""#);
        let with = |ports: &str| pod("p", "x", ports, "");
        expect_across(&[("Service", &a), ("Pod", &with(r#"{"containerPort":8080,"name":"http"}"#))], ABOUT, &[TARGET]);
        expect_across(&[("Service", &a), ("Pod", &with(""))], ABOUT, &[TARGET]);
        expect_across(&[("Service", &a), ("Pod", &with(r#"{"containerPort":8080,"name":"web"}"#))], ABOUT, &[]);
        let udp = r#"{"containerPort":8080,"name":"web","protocol":"UDP"}"#;
        expect_across(&[("Service", &a), ("Pod", &with(udp))], ABOUT, &[TARGET]);
        let world = [
            ("Service", &*a),
            ("Pod", &*with("")),
            ("Deployment", &*deployment("x", r#"{"containerPort":1,"name":"web"}"#)),
        ];
        expect_across(&world, ABOUT, &[]);
        // No Pod is another fault.
        expect_across(&[("Service", &a)], ABOUT, &[]);
    }

    #[test]
    fn a_target_port_by_number_is_declared_where_all_declare() {
        const ABOUT: &[&str] = &["targetPort"];
        let p = pod("p", "x", r#"{"containerPort":8080}"#, "");
        let silent = pod("q", "x", "", "");
        for (port, expected) in
            [(r#""port":80"#, &[TARGET][..]), (r#""port":80,"targetPort":8080"#, &[]), (r#""port":8080"#, &[])]
        {
            let a = selecting(port);
            expect_across(&[("Service", &a), ("Pod", &p)], ABOUT, expected);
            expect_across(
                &[("Service", &a), ("Deployment", &deployment("x", r#"{"containerPort":8080}"#))],
                ABOUT,
                expected,
            );
            expect_across(&[("Service", &a), ("Pod", &p), ("Pod", &silent)], ABOUT, &[]);
        }
    }
}
