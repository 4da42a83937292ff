//! Is this Service in order? Type, selector, affinity, traffic policies, load balancer.

use super::report::{Report, Shown};
use super::{names, service_addresses, service_ports};
use crate::addr::{IpFamily, parse_cidr, parse_ip, special};
use crate::api::{Service, ServiceSpec};

/// The node ports a cluster gives by default.
pub(super) const NODE_PORTS: std::ops::RangeInclusive<i64> = 30000..=32767;

const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const SOURCE_RANGES_FIELD: &str = "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]";
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const TOPOLOGY_AWARE_HINTS: &str = "service.kubernetes.io/topology-aware-hints";

/// The type of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    ClusterIp,
    NodePort,
    LoadBalancer,
    ExternalName,
    /// None of them: what depends on the type is not judged.
    Unknown,
}

impl Type {
    pub(super) fn of(spec: &ServiceSpec) -> Type {
        match spec.type_.as_str() {
            "" | "ClusterIP" => Type::ClusterIp,
            "NodePort" => Type::NodePort,
            "LoadBalancer" => Type::LoadBalancer,
            "ExternalName" => Type::ExternalName,
            _ => Type::Unknown,
        }
    }

    /// Whether a field that only a load balancer has is out of place.
    fn is_no_load_balancer(self) -> bool {
        !matches!(self, Type::LoadBalancer | Type::Unknown)
    }

    pub(super) fn has_node_ports(self) -> bool {
        matches!(self, Type::NodePort | Type::LoadBalancer)
    }
}

pub(super) fn check(report: &mut Report, service: &Service) {
    let spec = &service.spec;
    let type_ = Type::of(spec);
    if type_ == Type::Unknown {
        report.one_of("spec.type", &spec.type_, &["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]);
    }
    service_ports::check(report, spec, type_);
    selector(report, spec, type_);
    affinity(report, spec, type_);
    policies(report, spec, type_);
    service_addresses::cluster_ips(report, spec, type_);
    service_addresses::external_ips(report, spec, type_);
    external_name(report, spec, type_);
    load_balancer(report, service, type_);
    status(report, service, type_);
    topology_annotations(report, service);
}

fn selector(report: &mut Report, spec: &ServiceSpec, type_: Type) {
    if report.labels("spec.selector", &spec.selector) && type_ == Type::ExternalName && !spec.selector.is_empty() {
        report.warning("spec.selector", "ignored on an ExternalName Service: it has no endpoints");
    }
}

fn affinity(report: &mut Report, spec: &ServiceSpec, type_: Type) {
    const TIMEOUT: &str = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
    let config = spec.session_affinity_config.as_ref();
    match spec.session_affinity.as_str() {
        "" | "None" if config.is_some() => {
            report.warning("spec.sessionAffinityConfig", "dropped: it needs `sessionAffinity: ClientIP`");
        }
        "" | "None" => {}
        "ClientIP" => {
            let timeout = config.and_then(|config| config.client_ip.as_ref()?.timeout_seconds);
            if let Some(seconds) = timeout.filter(|seconds| !(1..=86400).contains(seconds)) {
                report.error(TIMEOUT, format_args!("{seconds} is not within 1 to 86400 seconds"));
            }
            if spec.is_headless() {
                report.warning("spec.sessionAffinity", "ignored on a headless Service: clients choose the endpoint");
            } else if spec.external_traffic_policy == "Local" && is_reached_from_outside(spec, type_) {
                let message = "each node with `externalTrafficPolicy: Local` knows its own endpoints only: a client that the \
                               load balancer leads to another node gets another endpoint";
                report.warning("spec.sessionAffinity", message);
            }
        }
        other => {
            report.one_of("spec.sessionAffinity", other, &["None", "ClientIP"]);
        }
    }
}

fn policies(report: &mut Report, spec: &ServiceSpec, type_: Type) {
    const POLICIES: &[&str] = &["Cluster", "Local"];
    if let Some(policy) = &spec.internal_traffic_policy {
        report.one_of("spec.internalTrafficPolicy", policy, POLICIES);
    }
    if let Some(distribution) = &spec.traffic_distribution {
        let known = ["PreferSameZone", "PreferSameNode", "PreferClose"];
        if report.one_of("spec.trafficDistribution", distribution, &known) && distribution == "PreferClose" {
            report.warning("spec.trafficDistribution", "PreferClose is the older name of PreferSameZone");
        }
    }
    let policy = spec.external_traffic_policy.as_str();
    if !policy.is_empty() && !is_reached_from_outside(spec, type_) {
        let message = "only for a Service that is reached from outside: NodePort, LoadBalancer, or with externalIPs";
        report.error("spec.externalTrafficPolicy", message);
    } else if !policy.is_empty() {
        report.one_of("spec.externalTrafficPolicy", policy, POLICIES);
    }
    let port = spec.health_check_node_port;
    if port == 0
        || type_ == Type::Unknown
        || (type_ == Type::LoadBalancer && !["", "Cluster", "Local"].contains(&policy))
    {
        return;
    }
    if type_ != Type::LoadBalancer || policy != "Local" {
        let message = "only for type LoadBalancer with `externalTrafficPolicy: Local`";
        report.error("spec.healthCheckNodePort", message);
    } else if !NODE_PORTS.contains(&port) {
        report.error("spec.healthCheckNodePort", format_args!("{port} is not within 30000 to 32767"));
    } else if spec.ports.iter().any(|service_port| service_port.node_port == port) {
        report.error("spec.healthCheckNodePort", format_args!("{port} is a node port of this Service"));
    }
}

/// Whether the external policy has anything to decide about.
fn is_reached_from_outside(spec: &ServiceSpec, type_: Type) -> bool {
    match type_ {
        Type::ClusterIp => !spec.external_ips.is_empty(),
        Type::ExternalName => false,
        Type::NodePort | Type::LoadBalancer | Type::Unknown => true,
    }
}

fn external_name(report: &mut Report, spec: &ServiceSpec, type_: Type) {
    let name = spec.external_name.as_str();
    if type_ != Type::ExternalName {
        if !name.is_empty() && type_ != Type::Unknown {
            report.warning("spec.externalName", "ignored: the type is not ExternalName");
        }
        return;
    }
    // One final dot marks a full name.
    let name = name.strip_suffix('.').unwrap_or(name);
    if !report.required_name("spec.externalName", name, names::dns_1123_subdomain) {
        return;
    }
    // CVE-2021-32783: a proxy that follows such a name reaches itself.
    if name == "localhost" || name.ends_with(".localhost") {
        report.warning("spec.externalName", format_args!("{} leads every client to itself", Shown(name)));
    } else if let Ok(addr) = parse_ip(name) {
        let kind = special(addr).map(|special| format!(" ({special})")).unwrap_or_default();
        let message =
            format_args!("{} is an IP address{kind}: DNS gives no answer for it, as a CNAME needs a name", Shown(name));
        report.warning("spec.externalName", message);
    }
}

fn load_balancer(report: &mut Report, service: &Service, type_: Type) {
    let spec = &service.spec;
    const ONLY: &str = "only for type LoadBalancer";
    let misplaced = type_.is_no_load_balancer();
    if misplaced && spec.allocate_load_balancer_node_ports.is_some() {
        report.error("spec.allocateLoadBalancerNodePorts", ONLY);
    }
    if let Some(class) = &spec.load_balancer_class {
        if misplaced {
            report.error("spec.loadBalancerClass", ONLY);
        } else {
            report.check("spec.loadBalancerClass", names::qualified_name(class));
        }
    }
    if spec.is_headless() && !spec.load_balancer_ip.is_empty() {
        report.warning("spec.loadBalancerIP", "ignored on a headless Service");
    } else {
        report.canonical_if_address("spec.loadBalancerIP", &spec.load_balancer_ip);
    }
    let Some(ranges) = SourceRanges::of(service) else {
        return;
    };
    if misplaced {
        report.error(ranges.field, ONLY);
    }
    for (i, range) in ranges.texts.iter().enumerate() {
        match ranges.is_list {
            true => _ = report.padded_cidr(format_args!("{}[{i}]", ranges.field), range),
            false => _ = report.padded_cidr(ranges.field, range),
        }
    }
    if let Some(message) = ranges.open_family(type_, written_families(service)) {
        report.warning(ranges.field, message);
    }
}

/// Who may use the load balancer, as the Service says it: by its field, or else by the annotation that was there before.
pub(super) struct SourceRanges<'a> {
    pub(super) field: &'static str,
    is_list: bool,
    texts: Vec<&'a str>,
}

impl<'a> SourceRanges<'a> {
    pub(super) fn of(service: &'a Service) -> Option<SourceRanges<'a>> {
        let listed = &service.spec.load_balancer_source_ranges;
        if !listed.is_empty() {
            let texts = listed.iter().map(String::as_str).collect();
            return Some(SourceRanges { field: "spec.loadBalancerSourceRanges", is_list: true, texts });
        }
        let annotation = service.metadata.annotations.get(SOURCE_RANGES)?;
        let texts = if annotation.trim().is_empty() { Vec::new() } else { annotation.split(',').collect() };
        Some(SourceRanges { field: SOURCE_RANGES_FIELD, is_list: false, texts })
    }

    /// What to say where the ranges are of one family while the load balancer has another, too.
    pub(super) fn open_family(&self, type_: Type, has: impl IntoIterator<Item = IpFamily>) -> Option<String> {
        let mut families = self.texts.iter().filter_map(|text| parse_cidr(text).ok()).map(|net| IpFamily::of_net(&net));
        let first = families.next()?;
        if type_ != Type::LoadBalancer || families.any(|family| family != first) {
            return None;
        }
        let open = has.into_iter().find(|family| *family != first)?;
        Some(format!("{first} ranges only: the load balancer's {open} address is open to all"))
    }
}

/// The families that the Service is written to have.
pub(super) fn written_families(service: &Service) -> impl Iterator<Item = IpFamily> {
    let spec = &service.spec;
    let asked = spec.ip_families.iter().filter_map(|family| family.parse().ok());
    let ingress = service.status.load_balancer.ingress.iter().map(|ingress| ingress.ip.as_str());
    let written = spec.written_cluster_ips().chain(ingress).filter_map(|ip| parse_ip(ip).ok()).map(IpFamily::of);
    let both: &[IpFamily] =
        if spec.ip_family_policy.as_deref() == Some("RequireDualStack") { &[IpFamily::V4, IpFamily::V6] } else { &[] };
    asked.chain(written).chain(both.iter().copied())
}

fn status(report: &mut Report, service: &Service, type_: Type) {
    let ingress = &service.status.load_balancer.ingress;
    if type_.is_no_load_balancer() && !ingress.is_empty() {
        report.error("status.loadBalancer.ingress", "only for type LoadBalancer");
        return;
    }
    for (i, ingress) in ingress.iter().enumerate() {
        let at = format_args!("status.loadBalancer.ingress[{i}]");
        if !ingress.ip.is_empty() {
            let addr = report.address(format_args!("{at}.ip"), &ingress.ip);
            // CVE-2020-8554: who may write the status may capture an address as with `externalIPs`.
            if let Some(kind) = addr.and_then(special) {
                let message = format_args!("{} is {kind}, which no load balancer can have", Shown(&ingress.ip));
                report.warning(format_args!("{at}.ip"), message);
            }
        }
        if parse_ip(&ingress.hostname).is_ok() {
            let message = format_args!("{} is an address; it belongs into `ip`", Shown(&ingress.hostname));
            report.error(format_args!("{at}.hostname"), message);
        } else {
            report.optional_name(format_args!("{at}.hostname"), &ingress.hostname, names::dns_1123_subdomain);
        }
        match &ingress.ip_mode {
            Some(_) if ingress.ip.is_empty() => report.error(format_args!("{at}.ipMode"), "only together with `ip`"),
            Some(mode) => _ = report.one_of(format_args!("{at}.ipMode"), mode, &["VIP", "Proxy"]),
            None => {}
        }
    }
}

fn topology_annotations(report: &mut Report, service: &Service) {
    let annotations = &service.metadata.annotations;
    let Some(old) = annotations.get(TOPOLOGY_AWARE_HINTS) else {
        return;
    };
    let message = format_args!("{TOPOLOGY_AWARE_HINTS} is the older name of {TOPOLOGY_MODE}");
    report.warning(format_args!("metadata.annotations[{TOPOLOGY_AWARE_HINTS}]"), message);
    if let Some(new) = annotations.get(TOPOLOGY_MODE).filter(|new| *new != old) {
        let message = format_args!("{} differs from {} in {TOPOLOGY_AWARE_HINTS}", Shown(new), Shown(old));
        report.error(format_args!("metadata.annotations[{TOPOLOGY_MODE}]"), message);
    }
}

#[cfg(test)]
mod tests {
    use crate::check::testing::{E, W, expect, expect_service, expect_service_with as with, findings};

    const PORT: &str = r#""ports":[{"port":80}]"#;

    #[test]
    fn values_of_lists_count_case() {
        for (fields, field) in [
            (r#""type":"Loadbalancer""#, "spec.type"),
            (r#""sessionAffinity":"clientIP""#, "spec.sessionAffinity"),
            (r#""internalTrafficPolicy":"Node""#, "spec.internalTrafficPolicy"),
            (r#""internalTrafficPolicy":"""#, "spec.internalTrafficPolicy"),
            (r#""ipFamilies":["ipv4"]"#, "spec.ipFamilies[0]"),
            (r#""ipFamilyPolicy":"DualStack""#, "spec.ipFamilyPolicy"),
            (r#""trafficDistribution":"SameZone""#, "spec.trafficDistribution"),
            (r#""type":"NodePort","externalTrafficPolicy":"local""#, "spec.externalTrafficPolicy"),
        ] {
            with(fields, &[(E, field)]);
        }
        with(r#""trafficDistribution":"PreferSameNode""#, &[]);
        with(r#""trafficDistribution":"PreferClose""#, &[(W, "spec.trafficDistribution")]);
    }

    #[test]
    fn what_hangs_on_an_unknown_type_is_not_judged() {
        let fields = r#"{"type":"Loadbalancer","loadBalancerSourceRanges":["10.0.0.0/8"],"healthCheckNodePort":30900}"#;
        expect_service(fields, &[(E, "spec.type")]);
    }

    #[test]
    fn selectors() {
        with(r#""selector":{"app":"my app"}"#, &[(E, "spec.selector")]);
        with(r#""selector":{"my key":"a"}"#, &[(E, "spec.selector")]);
        let name = r#"{"type":"ExternalName","externalName":"db.example.com","selector":{"app":"a"}}"#;
        expect_service(name, &[(W, "spec.selector")]);
    }

    #[test]
    fn affinity() {
        const TIMEOUT: &str = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
        let client_ip = |seconds: i64| {
            format!(
                r#""sessionAffinity":"ClientIP","sessionAffinityConfig":{{"clientIP":{{"timeoutSeconds":{seconds}}}}}"#
            )
        };
        for (seconds, expected) in
            [(0, &[(E, TIMEOUT)][..]), (1, &[]), (86400, &[]), (86401, &[(E, TIMEOUT)]), (-1, &[(E, TIMEOUT)])]
        {
            with(&client_ip(seconds), expected);
        }
        with(r#""sessionAffinity":"ClientIP","sessionAffinityConfig":{}"#, &[]);
        let dropped = r#""sessionAffinityConfig":{"clientIP":{"timeoutSeconds":100000}}"#;
        with(dropped, &[(W, "spec.sessionAffinityConfig")]);
        with(r#""clusterIP":"None","sessionAffinity":"ClientIP""#, &[(W, "spec.sessionAffinity")]);
    }

    #[test]
    fn affinity_of_nodes_that_know_their_own_endpoints_only() {
        let local = |type_: &str, affinity: &str| {
            format!(r#""type":"{type_}","externalTrafficPolicy":"Local","sessionAffinity":"{affinity}""#)
        };
        with(&local("LoadBalancer", "ClientIP"), &[(W, "spec.sessionAffinity")]);
        with(&local("NodePort", "ClientIP"), &[(W, "spec.sessionAffinity")]);
        with(&local("LoadBalancer", "None"), &[]);
        with(r#""type":"LoadBalancer","sessionAffinity":"ClientIP""#, &[]);
        with(r#""internalTrafficPolicy":"Local","sessionAffinity":"ClientIP""#, &[]);
    }

    #[test]
    fn external_names() {
        const NAME: &str = "spec.externalName";
        for (name, expected) in [
            ("", &[(E, NAME)][..]),
            (".", &[(E, NAME)]),
            ("my_db.example.com", &[(E, NAME)]),
            ("db.example.com", &[]),
            ("db.example.com.", &[]),
            ("db..", &[(E, NAME)]),
        ] {
            expect_service(&format!(r#"{{"type":"ExternalName","externalName":"{name}"}}"#), expected);
        }
        with(r#""externalName":"db.example.com""#, &[(W, NAME)]);
        for (fields, field) in [
            (r#""clusterIP":"10.0.0.1""#, "spec.clusterIPs"),
            (r#""clusterIP":"None""#, "spec.clusterIPs"),
            (r#""clusterIPs":["None"]"#, "spec.clusterIPs"),
            (r#""ipFamilies":["IPv4"]"#, "spec.ipFamilies"),
            (r#""ipFamilyPolicy":"SingleStack""#, "spec.ipFamilyPolicy"),
        ] {
            expect_service(&format!(r#"{{"type":"ExternalName","externalName":"a.b",{fields}}}"#), &[(E, field)]);
        }
    }

    #[test]
    fn cve_2021_32783_an_external_name_that_leads_back() {
        for name in ["localhost", "localhost.", "a.localhost", "127.0.0.1", "169.254.169.254", "203.0.113.9"] {
            let spec = format!(r#"{{"type":"ExternalName","externalName":"{name}"}}"#);
            expect_service(&spec, &[(W, "spec.externalName")]);
        }
        let special = findings(
            "Service",
            r#"{"metadata":{"name":"a"},"spec":{"type":"ExternalName","externalName":"127.0.0.1"}}"#,
        );
        assert!(special[0].message.contains("loopback"), "{special:?}");
    }

    #[test]
    fn source_ranges() {
        const FIELD: &str = "spec.loadBalancerSourceRanges";
        let ranges =
            |ranges: &str, rest: &str| format!(r#""type":"LoadBalancer","loadBalancerSourceRanges":[{ranges}]{rest}"#);
        with(&ranges(r#""10.0.0.0/8","192.0.2.1""#, ""), &[(E, "spec.loadBalancerSourceRanges[1]")]);
        with(&ranges(r#"" 10.0.0.0/8 ""#, ""), &[]);
        with(&ranges(r#""10.1.0.0/8""#, ""), &[(W, "spec.loadBalancerSourceRanges[0]")]);
        with(r#""type":"NodePort","loadBalancerSourceRanges":["10.0.0.0/8"]"#, &[(E, FIELD)]);
        let dual = r#","ipFamilies":["IPv4","IPv6"],"ipFamilyPolicy":"PreferDualStack""#;
        with(&ranges(r#""10.0.0.0/8""#, dual), &[(W, FIELD)]);
        with(&ranges(r#""10.0.0.0/8","fd00::/8""#, dual), &[]);
        with(&ranges(r#""fd00::/8""#, r#","ipFamilyPolicy":"RequireDualStack""#), &[(W, FIELD)]);
    }

    #[test]
    fn the_source_ranges_annotation_counts_without_the_field() {
        const KEY: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
        let field = format!("metadata.annotations[{KEY}]");
        let service = |value: &str, spec: &str| {
            let metadata = format!(r#"{{"name":"a","annotations":{{"{KEY}":"{value}"}}}}"#);
            format!(r#"{{"metadata":{metadata},"spec":{{{spec},{PORT}}}}}"#)
        };
        let balancer = r#""type":"LoadBalancer""#;
        expect("Service", &service("10.0.0.0/8", r#""type":"ClusterIP""#), &[(E, &field)]);
        expect("Service", &service("10.0.0.0/8, 192.0.2.1", balancer), &[(E, &field)]);
        expect("Service", &service("10.0.0.0/8, fd00::/8", balancer), &[]);
        expect("Service", &service(" ", balancer), &[]);
        let both = r#""type":"LoadBalancer","loadBalancerSourceRanges":["10.0.0.0/8"]"#;
        expect("Service", &service("nonsense", both), &[]);
        let dual = r#""type":"LoadBalancer","ipFamilyPolicy":"RequireDualStack""#;
        expect("Service", &service("10.0.0.0/8", dual), &[(W, &field)]);
    }

    #[test]
    fn load_balancer_fields_need_a_load_balancer() {
        for (field, value) in [("allocateLoadBalancerNodePorts", "false"), ("loadBalancerClass", r#""a.b/c""#)] {
            let path = format!("spec.{field}");
            for type_ in ["ClusterIP", "NodePort"] {
                with(&format!(r#""type":"{type_}","{field}":{value}"#), &[(E, &path)]);
            }
            with(&format!(r#""type":"LoadBalancer","{field}":{value}"#), &[]);
        }
        with(r#""type":"LoadBalancer","loadBalancerClass":"my class""#, &[(E, "spec.loadBalancerClass")]);
        with(r#""clusterIP":"None","loadBalancerIP":"10.0.0.1""#, &[(W, "spec.loadBalancerIP")]);
        with(r#""type":"LoadBalancer","loadBalancerIP":"010.0.0.1""#, &[(W, "spec.loadBalancerIP")]);
        with(r#""type":"LoadBalancer","loadBalancerIP":"10.0.0.1""#, &[]);
    }

    #[test]
    fn the_external_policy_needs_a_way_in() {
        const POLICY: &str = "spec.externalTrafficPolicy";
        with(r#""externalTrafficPolicy":"Local""#, &[(E, POLICY)]);
        with(r#""type":"NodePort","externalTrafficPolicy":"Local""#, &[]);
        with(r#""externalIPs":["203.0.113.7"],"externalTrafficPolicy":"Local""#, &[(W, "spec.externalIPs[0]")]);
        let name = r#"{"type":"ExternalName","externalName":"a.b","externalTrafficPolicy":"Cluster"}"#;
        expect_service(name, &[(E, POLICY)]);
    }

    #[test]
    fn the_health_check_port_needs_a_local_load_balancer() {
        const PORT: &str = "spec.healthCheckNodePort";
        let local = |type_: &str, port: i64| {
            format!(r#""type":"{type_}","externalTrafficPolicy":"Local","healthCheckNodePort":{port}"#)
        };
        with(&local("LoadBalancer", 30900), &[]);
        with(&local("NodePort", 30900), &[(E, PORT)]);
        with(&local("LoadBalancer", 80), &[(E, PORT)]);
        with(&local("LoadBalancer", -1), &[(E, PORT)]);
        with(r#""type":"LoadBalancer","healthCheckNodePort":30900"#, &[(E, PORT)]);
        let same = r#"{"type":"LoadBalancer","externalTrafficPolicy":"Local","healthCheckNodePort":30900,"ports":[{"port":80,"nodePort":30900}]}"#;
        expect_service(same, &[(E, PORT)]);
    }

    #[test]
    fn the_status_of_a_load_balancer() {
        let status = |type_: &str, ingress: &str| {
            let status = format!(r#"{{"loadBalancer":{{"ingress":[{ingress}]}}}}"#);
            format!(r#"{{"metadata":{{"name":"a"}},"spec":{{"type":"{type_}",{PORT}}},"status":{status}}}"#)
        };
        const AT: &str = "status.loadBalancer.ingress";
        expect("Service", &status("NodePort", r#"{"ip":"10.0.0.1"}"#), &[(E, AT)]);
        for (ingress, field) in [
            (r#"{"ip":"lb.example.com"}"#, "ip"),
            (r#"{"hostname":"10.0.0.1"}"#, "hostname"),
            (r#"{"hostname":"a_b"}"#, "hostname"),
            (r#"{"hostname":"lb.example.com","ipMode":"VIP"}"#, "ipMode"),
            (r#"{"ip":"10.0.0.1","ipMode":"vip"}"#, "ipMode"),
        ] {
            expect("Service", &status("LoadBalancer", ingress), &[(E, &format!("{AT}[0].{field}"))]);
        }
        for ingress in
            [r#"{"ip":"10.0.0.1"}"#, r#"{"ip":"10.0.0.1","ipMode":"Proxy"}"#, r#"{"hostname":"lb.example.com"}"#]
        {
            expect("Service", &status("LoadBalancer", ingress), &[]);
        }
    }

    #[test]
    fn cve_2020_8554_no_load_balancer_is_the_node_itself() {
        for ip in ["127.0.0.1", "169.254.169.254", "::1", "0.0.0.0"] {
            let status = format!(r#"{{"loadBalancer":{{"ingress":[{{"ip":"{ip}"}}]}}}}"#);
            let service =
                format!(r#"{{"metadata":{{"name":"a"}},"spec":{{"type":"LoadBalancer",{PORT}}},"status":{status}}}"#);
            expect("Service", &service, &[(W, "status.loadBalancer.ingress[0].ip")]);
        }
    }

    #[test]
    fn topology_annotations_agree() {
        const OLD: &str = "metadata.annotations[service.kubernetes.io/topology-aware-hints]";
        const NEW: &str = "metadata.annotations[service.kubernetes.io/topology-mode]";
        let service = |annotations: &str| {
            format!(r#"{{"metadata":{{"name":"a","annotations":{{{annotations}}}}},"spec":{{{PORT}}}}}"#)
        };
        let (old, new) =
            (r#""service.kubernetes.io/topology-aware-hints":"Auto""#, r#""service.kubernetes.io/topology-mode":"#);
        expect("Service", &service(&format!(r#"{new}"Auto""#)), &[]);
        expect("Service", &service(old), &[(W, OLD)]);
        expect("Service", &service(&format!(r#"{old},{new}"Auto""#)), &[(W, OLD)]);
        expect("Service", &service(&format!(r#"{old},{new}"Disabled""#)), &[(W, OLD), (E, NEW)]);
    }
}
