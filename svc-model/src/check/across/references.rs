//! Does what an object names exist, and is it the object's to name? Services of slices and Pods, addresses of endpoints,
//! the DNS server of the kubelet.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::{Findings, allocation, workloads};
use crate::Protocol;
use crate::addr::{IpFamily, Special, parse_ip, special};
use crate::api::{EndpointSlice, Endpoints, KubeletConfiguration, Pod, SERVICE_NAME_LABEL, Service, StatefulSet};
use crate::check::{Finding, names};
use crate::cluster::Cluster;
use crate::kind::{Kind, ObjectRef, Resource};

pub(super) fn check(cluster: &Cluster, findings: &mut Findings) {
    let index = Index::of(cluster);
    for slice in cluster.list::<EndpointSlice>() {
        slice_names(cluster, &index, slice, findings);
    }
    for endpoints in cluster.list::<Endpoints>() {
        endpoints_name(cluster, &index, endpoints, findings);
    }
    governing_services(cluster, findings);
    kubelet(cluster, findings);
}

/// What endpoints are compared with.
#[derive(Default)]
struct Index<'a> {
    /// Namespace, Service, port name and protocol.
    ports: HashSet<(&'a str, &'a str, &'a str, Protocol)>,
    cluster_ips: HashMap<IpAddr, &'a Service>,
    /// Some Pod that has the address, and all namespaces that have one. Those on the host's network have the node's.
    pods: HashMap<IpAddr, &'a Pod>,
    pod_namespaces: HashSet<(IpAddr, &'a str)>,
}

impl<'a> Index<'a> {
    fn of(cluster: &'a Cluster) -> Index<'a> {
        let mut index = Index::default();
        for service in cluster.list::<Service>() {
            for port in &service.spec.ports {
                if let Ok(protocol) = Protocol::of_field(&port.protocol) {
                    index.ports.insert((service.namespace(), service.name(), &port.name, protocol));
                }
            }
            for addr in allocation::written_addrs(service) {
                index.cluster_ips.entry(addr).or_insert(service);
            }
        }
        for pod in cluster.list::<Pod>().filter(|pod| !pod.spec.host_network && !pod.is_finished()) {
            for addr in pod.written_ips().filter_map(|ip| parse_ip(ip).ok()) {
                index.pods.entry(addr).or_insert(pod);
                index.pod_namespaces.insert((addr, pod.namespace()));
            }
        }
        index
    }

    /// CVE-2021-25740: whoever may write endpoints can lead a Service to what only others may reach.
    fn why_not(&self, namespace: &str, addr: IpAddr) -> Option<String> {
        if let Some(service) = self.cluster_ips.get(&addr) {
            return Some(format!("{addr} is the cluster IP of {}", service.reference()));
        }
        let pod = self.pods.get(&addr).filter(|_| !self.pod_namespaces.contains(&(addr, namespace)))?;
        Some(format!("{addr} is {}, of another namespace", pod.reference()))
    }

    /// Whether a port of an endpoints object pairs with none of its Service. One refused for its form is not judged.
    fn is_dead(&self, service: &Service, name: &str, protocol: &str) -> Option<Protocol> {
        let protocol = Protocol::of_field(protocol).ok()?;
        let is_name = name.is_empty() || names::dns_1123_label(name).is_ok();
        let pairs = self.ports.contains(&(service.namespace(), service.name(), name, protocol));
        (is_name && !pairs && !service.spec.ports.is_empty() && !service.spec.is_external_name()).then_some(protocol)
    }
}

fn service_named(namespace: &str, name: &str) -> ObjectRef {
    ObjectRef::new(Kind::Service, namespace, name)
}

fn dead(service: &Service, name: &str, protocol: Protocol) -> String {
    let port = if name.is_empty() { "without a name".to_owned() } else { format!("named {name:?}") };
    format!("{} has no {protocol} port {port}, so nothing leads here", service.reference())
}

/// An address that the object itself may have.
fn judged(text: &str) -> Option<IpAddr> {
    parse_ip(text).ok().filter(|addr| special(*addr).is_none())
}

fn slice_names(cluster: &Cluster, index: &Index<'_>, slice: &EndpointSlice, findings: &mut Findings) {
    let namespace = slice.namespace();
    let name = slice.metadata.labels.get(SERVICE_NAME_LABEL);
    if let Some(name) = name.filter(|name| names::label_value(name).is_ok()) {
        match cluster.get::<Service>(namespace, name) {
            Some(service) => slice_ports(index, slice, service, findings),
            None => {
                let message = format_args!("there is no {}", service_named(namespace, name));
                findings.warning(slice, format_args!("metadata.labels[{SERVICE_NAME_LABEL}]"), message);
            }
        }
    }
    let family: Option<IpFamily> = slice.address_type.parse().ok();
    for (i, endpoint) in slice.endpoints.iter().enumerate() {
        for (j, text) in endpoint.addresses.iter().enumerate() {
            let addr = judged(text).filter(|addr| Some(IpFamily::of(*addr)) == family);
            if let Some(message) = addr.and_then(|addr| index.why_not(namespace, addr)) {
                findings.warning(slice, format_args!("endpoints[{i}].addresses[{j}]"), message);
            }
        }
    }
}

fn slice_ports(index: &Index<'_>, slice: &EndpointSlice, service: &Service, findings: &mut Findings) {
    let mut seen = HashSet::new();
    for (i, port) in slice.ports.iter().enumerate() {
        let name = port.name.as_deref().unwrap_or_default();
        // A repeated name is refused.
        if seen.insert(name)
            && let Some(protocol) = index.is_dead(service, name, &port.protocol)
        {
            findings.warning(slice, format_args!("ports[{i}].name"), dead(service, name, protocol));
        }
    }
}

fn endpoints_name(cluster: &Cluster, index: &Index<'_>, endpoints: &Endpoints, findings: &mut Findings) {
    let namespace = endpoints.namespace();
    let service = cluster.get::<Service>(namespace, endpoints.name());
    if service.is_none() && !endpoints.name().is_empty() {
        let message = format_args!("there is no {}", service_named(namespace, endpoints.name()));
        findings.warning(endpoints, "metadata.name", message);
    }
    for (i, subset) in endpoints.subsets.iter().enumerate() {
        for (list, addresses) in [("addresses", &subset.addresses), ("notReadyAddresses", &subset.not_ready_addresses)]
        {
            for (j, address) in addresses.iter().enumerate() {
                if let Some(message) = judged(&address.ip).and_then(|addr| index.why_not(namespace, addr)) {
                    findings.warning(endpoints, format_args!("subsets[{i}].{list}[{j}].ip"), message);
                }
            }
        }
        let Some(service) = service else { continue };
        for (j, port) in subset.ports.iter().enumerate() {
            // A missing name beside other ports is refused.
            let is_missing = port.name.is_empty() && subset.ports.len() > 1;
            if let Some(protocol) = index.is_dead(service, &port.name, &port.protocol)
                && !is_missing
            {
                let field = format_args!("subsets[{i}].ports[{j}].name");
                findings.warning(endpoints, field, dead(service, &port.name, protocol));
            }
        }
    }
}

/// The Services under which Pods have their names.
fn governing_services(cluster: &Cluster, findings: &mut Findings) {
    let why_not = |namespace: &str, name: &str| {
        let is_fine = name.is_empty() || names::dns_1123_label(name).is_err();
        let missing = !is_fine && cluster.get::<Service>(namespace, name).is_none();
        missing.then(|| {
            let service = service_named(namespace, name);
            format!("there is no {service}, so the Pods have no names in DNS")
        })
    };
    for pod in cluster.list::<Pod>() {
        if let Some(message) = why_not(pod.namespace(), &pod.spec.subdomain) {
            findings.warning(pod, "spec.subdomain", message);
        }
    }
    for workload in workloads(cluster) {
        if let Some(message) = why_not(workload.namespace, &workload.spec.template.spec.subdomain) {
            let field = format!("{}.template.spec.subdomain", workload.at);
            findings.0.push(Finding::warning(&workload.object, field, message));
        }
    }
    for set in cluster.list::<StatefulSet>() {
        if let Some(message) = why_not(set.namespace(), &set.spec.service_name) {
            findings.warning(set, "spec.serviceName", message);
        }
    }
}

fn kubelet(cluster: &Cluster, findings: &mut Findings) {
    let Some(service) = cluster.get::<Service>("kube-system", "kube-dns") else {
        return;
    };
    let served: Vec<IpAddr> = allocation::written_addrs(service).collect();
    let Some(first) = served.first() else { return };
    for config in cluster.list::<KubeletConfiguration>() {
        for (i, text) in config.cluster_dns.iter().enumerate() {
            let Ok(addr) = parse_ip(text) else { continue };
            // A cache on the node has a link-local address and forwards to the Service.
            if !served.contains(&addr) && special(addr) != Some(Special::LinkLocal) {
                let message = format_args!("{addr} is not {}, which has {first}", service.reference());
                findings.warning(config, format_args!("clusterDNS[{i}]"), message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Level;
    use crate::check::testing::{W, expect_across};

    const SLICE: &str = "EndpointSlice/default/s";
    const ENDPOINTS: &str = "Endpoints/default/a";

    fn service(name: &str, ports: &str) -> String {
        format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{{"clusterIP":"10.96.0.9","ports":[{ports}]}}}}"#)
    }

    fn slice(addr: &str, ports: &str) -> String {
        let labels = r#""labels":{"kubernetes.io/service-name":"a"}"#;
        let endpoints = format!(r#""endpoints":[{{"addresses":["{addr}"]}}]"#);
        format!(r#"{{"metadata":{{"name":"s",{labels}}},"addressType":"IPv4",{endpoints},"ports":[{ports}]}}"#)
    }

    fn endpoints(addr: &str, ports: &str) -> String {
        format!(r#"{{"metadata":{{"name":"a"}},"subsets":[{{"addresses":[{{"ip":"{addr}"}}],"ports":[{ports}]}}]}}"#)
    }

    #[test]
    fn slices_and_endpoints_belong_to_a_service() {
        let a = service("a", r#"{"port":80}"#);
        let (s, e) = (slice("10.1.0.1", ""), endpoints("10.1.0.1", ""));
        let label = "metadata.labels[kubernetes.io/service-name]";
        expect_across(&[("EndpointSlice", &s)], &["metadata"], &[(W, SLICE, label)]);
        expect_across(&[("Endpoints", &e)], &["metadata"], &[(W, ENDPOINTS, "metadata.name")]);
        expect_across(&[("Endpoints", "{}")], &["metadata"], &[]);
        let malformed = s.replace(r#":"a"}"#, r#":"a b"}"#);
        expect_across(&[("EndpointSlice", &malformed)], &["metadata"], &[]);
        expect_across(&[("Service", &a), ("EndpointSlice", &s), ("Endpoints", &e)], &["metadata"], &[]);
    }

    #[test]
    fn ports_pair_by_name_and_protocol() {
        #[track_caller]
        fn both(service_ports: &str, ports: &str, dead: &[usize]) {
            let a = service("a", service_ports);
            for (kind, json, object, at) in [
                ("EndpointSlice", slice("10.1.0.1", ports), SLICE, "ports"),
                ("Endpoints", endpoints("10.1.0.1", ports), ENDPOINTS, "subsets[0].ports"),
            ] {
                let fields: Vec<String> = dead.iter().map(|i| format!("{at}[{i}].name")).collect();
                let expected: Vec<(Level, &str, &str)> = fields.iter().map(|f| (W, object, f.as_str())).collect();
                expect_across(&[("Service", &a), (kind, &json)], &["].name"], &expected);
            }
        }
        let one = r#"{"port":80}"#;
        both(one, r#"{"port":80}"#, &[]);
        both(one, r#"{"name":"http","port":8080}"#, &[0]);
        both(one, r#"{"port":80,"protocol":"UDP"}"#, &[0]);
        both(r#"{"name":"x","port":80}"#, r#"{"port":80}"#, &[0]);
        both(
            r#"{"name":"x","port":80},{"name":"y","port":81}"#,
            r#"{"name":"x","port":1},{"name":"z","port":2}"#,
            &[1],
        );
        // Without ports a headless Service has every port.
        both("", r#"{"name":"x","port":80}"#, &[]);
        // Refused for their form.
        both(one, r#"{"name":"A_B","port":80}"#, &[]);
        both(one, r#"{"port":80,"protocol":"tcp"}"#, &[]);
    }

    #[test]
    fn cve_2021_25740_endpoints_that_are_not_the_namespaces_own() {
        let pod = |namespace: &str, rest: &str, phase: &str| {
            let metadata = format!(r#"{{"name":"p","namespace":"{namespace}"}}"#);
            format!(r#"{{"metadata":{metadata},"spec":{{{rest}}},"status":{{"podIP":"10.1.0.1","phase":"{phase}"}}}}"#)
        };
        let a = service("a", r#"{"port":80}"#);
        let fields = [(W, SLICE, "endpoints[0].addresses[0]")];
        let old_fields = [(W, ENDPOINTS, "subsets[0].addresses[0].ip")];
        for (addr, pods, found) in [
            ("10.1.0.1", vec![pod("other", "", "Running")], true),
            ("10.1.0.1", vec![pod("default", "", "Running")], false),
            ("10.1.0.1", vec![pod("other", "", "Running"), pod("default", "", "")], false),
            ("10.1.0.1", vec![pod("other", r#""hostNetwork":true"#, "Running")], false),
            ("10.1.0.1", vec![pod("other", "", "Succeeded")], false),
            ("10.1.0.2", vec![pod("other", "", "Running")], false),
            ("10.96.0.9", vec![], true),
            ("010.096.0.9", vec![], true),
        ] {
            for (kind, json, expected) in
                [("EndpointSlice", slice(addr, ""), fields), ("Endpoints", endpoints(addr, ""), old_fields)]
            {
                let mut world: Vec<(&str, &str)> = vec![("Service", &a), (kind, &json)];
                world.extend(pods.iter().map(|pod| ("Pod", pod.as_str())));
                expect_across(&world, &["ddresses"], if found { &expected } else { &[] });
            }
        }
    }

    #[test]
    fn pods_have_names_under_a_service() {
        const ABOUT: &[&str] = &["subdomain", "serviceName"];
        let a = service("a", "");
        let pod = r#"{"metadata":{"name":"p"},"spec":{"subdomain":"a"}}"#;
        expect_across(&[("Pod", pod)], ABOUT, &[(W, "Pod/default/p", "spec.subdomain")]);
        expect_across(&[("Pod", pod), ("Service", &a)], ABOUT, &[]);
        let set = r#"{"metadata":{"name":"d"},"spec":{"serviceName":"a"}}"#;
        expect_across(&[("StatefulSet", set)], ABOUT, &[(W, "StatefulSet/default/d", "spec.serviceName")]);
        expect_across(&[("StatefulSet", set), ("Service", &a)], ABOUT, &[]);
        let deployment = r#"{"metadata":{"name":"d"},"spec":{"template":{"spec":{"subdomain":"a"}}}}"#;
        let field = "spec.template.spec.subdomain";
        expect_across(&[("Deployment", deployment)], ABOUT, &[(W, "Deployment/default/d", field)]);
        expect_across(&[("Pod", r#"{"metadata":{"name":"p"},"spec":{"subdomain":"a.b"}}"#)], ABOUT, &[]);
    }

    #[test]
    fn the_kubelet_should_name_the_dns_service() {
        let dns = r#"{"metadata":{"name":"kube-dns","namespace":"kube-system"},"spec":{"clusterIP":"10.96.0.10"}}"#;
        let kubelet = r#"{"clusterDNS":["10.96.0.10","10.96.0.11","169.254.20.10","kube-dns"]}"#;
        let expected = &[(W, "KubeletConfiguration", "clusterDNS[1]")];
        expect_across(&[("KubeletConfiguration", kubelet), ("Service", dns)], &["clusterDNS"], expected);
        expect_across(&[("KubeletConfiguration", kubelet)], &["clusterDNS"], &[]);
    }
}
