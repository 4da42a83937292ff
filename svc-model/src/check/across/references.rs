//! Does what an object names exist, and is it the object's to name? Services of slices and Pods, addresses of endpoints,
//! the DNS server of the kubelet.

use std::collections::HashSet;
use std::net::IpAddr;

use super::owners::{API_SERVER, Owners};
use super::{Findings, allocation, workloads};
use crate::Protocol;
use crate::addr::{IpFamily, Special, parse_ip, special};
use crate::api::{
    EndpointSlice, Endpoints, KubeletConfiguration, Pod, SERVICE_NAME_LABEL, Service, ServicePort, StatefulSet,
};
use crate::check::{Finding, names};
use crate::cluster::Cluster;
use crate::kind::{Kind, ObjectRef, Resource};

pub(super) fn check(cluster: &Cluster, owners: &Owners<'_>, findings: &mut Findings) {
    let ports = Ports::of(cluster);
    for slice in cluster.list::<EndpointSlice>() {
        slice_names(cluster, &ports, owners, slice, findings);
    }
    for endpoints in cluster.list::<Endpoints>() {
        endpoints_name(cluster, &ports, owners, endpoints, findings);
    }
    governing_services(cluster, findings);
    kubelet(cluster, findings);
}

/// The ports of all Services: namespace, Service, port name and protocol.
struct Ports<'a>(HashSet<(&'a str, &'a str, &'a str, Protocol)>);

impl<'a> Ports<'a> {
    fn of(cluster: &'a Cluster) -> Ports<'a> {
        let of_service = |service: &'a Service| {
            let readable = |port: &'a ServicePort| Some((port.name.as_str(), Protocol::of_field(&port.protocol).ok()?));
            let ports = service.spec.ports.iter().filter_map(readable);
            ports.map(|(name, protocol)| (service.namespace(), service.name(), name, protocol))
        };
        Ports(cluster.list::<Service>().flat_map(of_service).collect())
    }

    /// Whether a port of an endpoints object pairs with none of its Service. One refused for its form is not judged.
    fn is_dead(&self, service: &Service, name: &str, protocol: &str) -> Option<Protocol> {
        let protocol = Protocol::of_field(protocol).ok()?;
        let is_name = name.is_empty() || names::dns_1123_label(name).is_ok();
        let pairs = self.0.contains(&(service.namespace(), service.name(), name, protocol));
        (is_name && !pairs && !service.spec.ports.is_empty() && !service.spec.is_external_name()).then_some(protocol)
    }
}

/// Why an address is most likely not an endpoint of this Service. Whoever may write endpoints can lead a Service to what only
/// others may reach (CVE-2021-25740, open by design).
fn why_not(owners: &Owners<'_>, namespace: &str, service: &str, addr: IpAddr) -> Option<String> {
    if let Some(other) = owners.cluster_ip(addr) {
        return Some(format!("{addr} is the cluster IP of {}", other.reference()));
    }
    if owners.is_in_namespace(addr, namespace) {
        return None;
    }
    if let Some(pod) = owners.pod(addr) {
        return Some(format!("{addr} is {}, of another namespace", pod.reference()));
    }
    // The API server is no Pod, or one on the host's network.
    if (namespace, service) == API_SERVER {
        return None;
    }
    if let Some(node) = owners.node(addr) {
        let node = node.reference();
        return Some(format!("{addr} is {node}, and no Pod of this namespace is known to use its network"));
    }
    if let Some(other) = owners.external(addr) {
        return Some(format!("{addr} is an address of {} itself", other.reference()));
    }
    owners.pod_ranges().exclude(addr).then(|| format!("{addr} is outside the ranges of the Pods"))
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

fn slice_names(
    cluster: &Cluster,
    ports: &Ports<'_>,
    owners: &Owners<'_>,
    slice: &EndpointSlice,
    findings: &mut Findings,
) {
    let namespace = slice.namespace();
    let name = slice.metadata.labels.get(SERVICE_NAME_LABEL);
    if let Some(name) = name.filter(|name| names::label_value(name).is_ok()) {
        match cluster.get::<Service>(namespace, name) {
            Some(service) => slice_ports(ports, slice, service, findings),
            None => {
                let message = format_args!("there is no {}", service_named(namespace, name));
                findings.warning(slice, format_args!("metadata.labels[{SERVICE_NAME_LABEL}]"), message);
            }
        }
    }
    let service = name.map_or("", String::as_str);
    let family: Option<IpFamily> = slice.address_type.parse().ok();
    for (i, endpoint) in slice.endpoints.iter().enumerate() {
        for (j, text) in endpoint.addresses.iter().enumerate() {
            let addr = judged(text).filter(|addr| Some(IpFamily::of(*addr)) == family);
            if let Some(message) = addr.and_then(|addr| why_not(owners, namespace, service, addr)) {
                findings.warning(slice, format_args!("endpoints[{i}].addresses[{j}]"), message);
            }
        }
    }
}

fn slice_ports(ports: &Ports<'_>, slice: &EndpointSlice, service: &Service, findings: &mut Findings) {
    let mut seen = HashSet::new();
    for (i, port) in slice.ports.iter().enumerate() {
        let name = port.name.as_deref().unwrap_or_default();
        // A repeated name is refused.
        if seen.insert(name)
            && let Some(protocol) = ports.is_dead(service, name, &port.protocol)
        {
            findings.warning(slice, format_args!("ports[{i}].name"), dead(service, name, protocol));
        }
    }
}

fn endpoints_name(
    cluster: &Cluster,
    ports: &Ports<'_>,
    owners: &Owners<'_>,
    endpoints: &Endpoints,
    findings: &mut Findings,
) {
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
                if let Some(message) =
                    judged(&address.ip).and_then(|addr| why_not(owners, namespace, endpoints.name(), addr))
                {
                    findings.warning(endpoints, format_args!("subsets[{i}].{list}[{j}].ip"), message);
                }
            }
        }
        let Some(service) = service else { continue };
        for (j, port) in subset.ports.iter().enumerate() {
            // A missing name beside other ports is refused.
            let is_missing = port.name.is_empty() && subset.ports.len() > 1;
            if let Some(protocol) = ports.is_dead(service, &port.name, &port.protocol)
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

    /// What a slice and an Endpoints object of the Service `a` with this address are warned of in this world.
    #[track_caller]
    fn judged(addr: &str, world: &[(&str, &str)], found: bool) {
        let a = service("a", r#"{"port":80}"#);
        for (kind, json, field) in [
            ("EndpointSlice", slice(addr, ""), (W, SLICE, "endpoints[0].addresses[0]")),
            ("Endpoints", endpoints(addr, ""), (W, ENDPOINTS, "subsets[0].addresses[0].ip")),
        ] {
            let mut objects: Vec<(&str, &str)> = vec![("Service", &a), (kind, &json)];
            objects.extend(world);
            expect_across(&objects, &["ddresses"], if found { std::slice::from_ref(&field) } else { &[] });
        }
    }

    #[test]
    fn cve_2021_25740_endpoints_that_are_a_node() {
        let node = r#"{"metadata":{"name":"n1"},"status":{"addresses":[{"type":"InternalIP","address":"192.168.0.1"},{"type":"ExternalIP","address":"203.0.113.1"},{"type":"Hostname","address":"192.168.0.9"}]}}"#;
        let pod = |namespace: &str| {
            let metadata = format!(r#"{{"name":"p","namespace":"{namespace}"}}"#);
            format!(
                r#"{{"metadata":{metadata},"spec":{{"hostNetwork":true,"nodeName":"n1"}},"status":{{"phase":"Running"}}}}"#
            )
        };
        let daemon = r#"{"metadata":{"name":"d"},"spec":{"template":{"spec":{"hostNetwork":true}}}}"#;
        for addr in ["192.168.0.1", "203.0.113.1"] {
            judged(addr, &[("Node", node)], true);
            judged(addr, &[("Node", node), ("Pod", &pod("other"))], true);
            judged(addr, &[("Node", node), ("DaemonSet", daemon)], false);
        }
        judged("192.168.0.1", &[("Node", node), ("Pod", &pod("default"))], false);
        judged("192.168.0.9", &[("Node", node)], false);
    }

    #[test]
    fn cve_2021_25740_endpoints_that_are_a_service() {
        let external = r#"{"metadata":{"name":"b","namespace":"other"},"spec":{"externalIPs":["203.0.113.7"]}}"#;
        let status = r#""status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.8"}]}}"#;
        let balanced = format!(r#"{{"metadata":{{"name":"c"}},"spec":{{"type":"LoadBalancer"}},{status}}}"#);
        let world = [("Service", external), ("Service", &balanced)];
        judged("203.0.113.7", &world, true);
        judged("203.0.113.8", &world, true);
        judged("203.0.113.9", &world, false);
    }

    #[test]
    fn cve_2021_25740_endpoints_outside_the_ranges_of_pods() {
        let node = r#"{"metadata":{"name":"n1"},"spec":{"podCIDR":"10.244.1.0/24"}}"#;
        let proxy = r#"{"clusterCIDR":"10.245.0.0/16,fd00::/48"}"#;
        let pod = r#"{"metadata":{"name":"p"},"status":{"podIP":"192.0.2.1","phase":"Running"}}"#;
        for (addr, found) in [("10.244.1.9", false), ("10.245.9.9", false), ("10.244.2.9", true), ("192.0.2.1", true)] {
            judged(addr, &[("Node", node), ("KubeProxyConfiguration", proxy)], found);
            judged(addr, &[], false);
        }
        judged("192.0.2.1", &[("Node", node), ("Pod", pod)], false);
        judged("10.245.9.9", &[("Node", node)], true);
    }

    #[test]
    fn the_api_server_has_the_endpoints_it_has() {
        let node = r#"{"metadata":{"name":"n1"},"spec":{"podCIDR":"10.244.1.0/24"},"status":{"addresses":[{"type":"InternalIP","address":"192.168.0.1"}]}}"#;
        let named = |name: &str| {
            format!(
                r#"{{"metadata":{{"name":"{name}"}},"subsets":[{{"addresses":[{{"ip":"192.168.0.1"}},{{"ip":"192.0.2.1"}}]}}]}}"#
            )
        };
        expect_across(&[("Node", node), ("Endpoints", &named("kubernetes"))], &["ddresses"], &[]);
        let both = [(W, ENDPOINTS, "subsets[0].addresses[0].ip"), (W, ENDPOINTS, "subsets[0].addresses[1].ip")];
        expect_across(&[("Node", node), ("Endpoints", &named("a"))], &["ddresses"], &both);
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
