//! Is this Pod, or the Pod of this template, in order?

use std::collections::HashSet;
use std::net::IpAddr;

use super::names;
use super::report::{Report, Shown, is_port};
use crate::Protocol;
use crate::addr::{parse_ip, special};
use crate::api::{Container, ContainerPort, PodSpec, PodStatus};

/// Where a Pod's specification stands, which decides some defaults.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// In a Pod: a container on the host's network has its ports as host ports.
    Alone,
    /// In a template: those defaults come later.
    InTemplate,
}

/// Judges the specification that stands at `at` (`spec` in a Pod).
pub(super) fn check(report: &mut Report, at: &str, spec: &PodSpec, stands: Stands) {
    if spec.containers.is_empty() {
        report.error(format_args!("{at}.containers"), "missing: a Pod needs a container");
    }
    let mut pod = Seen::default();
    let host_port = |port: &ContainerPort| host_port(spec, port, stands);
    for (i, container) in spec.containers.iter().enumerate() {
        let at = format!("{at}.containers[{i}]");
        check_container(report, &at, container, host_port, spec.host_network, &mut pod);
    }
    for (i, container) in spec.init_containers.iter().enumerate() {
        // They run one by one, so their ports are free again for the next; nor does the server compare them with those of
        // the host.
        let mut alone = Seen { names: std::mem::take(&mut pod.names), ..Seen::default() };
        check_container(report, &format!("{at}.initContainers[{i}]"), container, host_port, false, &mut alone);
        pod.names = alone.names;
    }
    host_aliases(report, at, spec);
    report.optional_name(format_args!("{at}.hostname"), &spec.hostname, names::dns_1123_label);
    report.optional_name(format_args!("{at}.subdomain"), &spec.subdomain, names::dns_1123_label);
    report.optional_name(format_args!("{at}.nodeName"), &spec.node_name, names::dns_1123_subdomain);
    if !spec.restart_policy.is_empty() {
        let policies = ["Always", "OnFailure", "Never"];
        report.one_of(format_args!("{at}.restartPolicy"), &spec.restart_policy, &policies);
    }
}

/// The addresses the Pod has; those that no endpoint may have are left out of the answers.
pub(super) fn status(report: &mut Report, status: &PodStatus) {
    let listed = status.pod_ips.iter().enumerate().map(|(i, ip)| (format!("status.podIPs[{i}].ip"), ip.ip.as_str()));
    let single = (status.pod_ips.is_empty() && !status.pod_ip.is_empty()).then_some(status.pod_ip.as_str());
    for (field, text) in listed.chain(single.map(|ip| ("status.podIP".to_owned(), ip))) {
        match parse_ip(text).map(special) {
            Ok(None) => report.canonical_if_address(field, text),
            Ok(Some(kind)) => report.warning(field, format_args!("{} is {kind}; it is left out", Shown(text))),
            Err(_) => report.warning(field, format_args!("{} is no IP address; it is left out", Shown(text))),
        }
    }
}

/// The host port of a declared port, after the defaults.
pub(super) fn host_port(spec: &PodSpec, port: &ContainerPort, stands: Stands) -> i64 {
    let given = port.host_port == 0 && spec.host_network && stands == Stands::Alone;
    if given { port.container_port } else { port.host_port }
}

/// What earlier containers of the Pod took.
#[derive(Default)]
struct Seen<'a> {
    names: HashSet<&'a str>,
    ports: HashSet<(Protocol, i64)>,
    host_ports: HashSet<(Protocol, &'a str, i64)>,
}

fn check_container<'a>(
    report: &mut Report,
    at: &str,
    container: &'a Container,
    host_port: impl Fn(&ContainerPort) -> i64,
    on_host_network: bool,
    seen: &mut Seen<'a>,
) {
    let name = &container.name;
    if report.required_name(format_args!("{at}.name"), name, names::dns_1123_label) && !seen.names.insert(name) {
        report.error(format_args!("{at}.name"), format_args!("{name:?} a second time"));
    }
    if container.image.is_empty() {
        report.error(format_args!("{at}.image"), "missing");
    }
    let mut port_names = HashSet::new();
    for (j, port) in container.ports.iter().enumerate() {
        let at = &format!("{at}.ports[{j}]");
        if report.optional_name(format_args!("{at}.name"), &port.name, names::iana_service_name)
            && !port.name.is_empty()
            && !port_names.insert(&port.name)
        {
            report.error(format_args!("{at}.name"), format_args!("{:?} a second time in the container", port.name));
        }
        check_port(report, at, port, host_port(port), on_host_network, seen);
    }
}

fn check_port<'a>(
    report: &mut Report,
    at: &str,
    port: &'a ContainerPort,
    host_port: i64,
    on_host_network: bool,
    seen: &mut Seen<'a>,
) {
    let number = port.container_port;
    let number_is_right = report.port(format_args!("{at}.containerPort"), number);
    let protocol = report.protocol(format_args!("{at}.protocol"), &port.protocol);
    if let Some(protocol) = protocol
        && number_is_right
        && !seen.ports.insert((protocol, number))
    {
        report.warning(at, format_args!("{protocol} port {number} is declared a second time in the Pod"));
    }
    if !port.host_ip.is_empty() && parse_ip(&port.host_ip).is_err() {
        let message = format_args!("{} is no IP address, so no node has it", Shown(&port.host_ip));
        report.warning(format_args!("{at}.hostIP"), message);
    }
    if host_port == 0 {
        if !port.host_ip.is_empty() {
            report.warning(at, "`hostIP` without `hostPort` does nothing");
        }
        return;
    }
    // A host port that is only the default says nothing new.
    if !is_port(host_port) {
        if port.host_port != 0 {
            report.port(format_args!("{at}.hostPort"), host_port);
        }
    } else if on_host_network && number_is_right && host_port != number {
        let message = format_args!("{host_port} is not the containerPort {number}: on the host's network they are one");
        report.error(format_args!("{at}.hostPort"), message);
    } else if let Some(protocol) = protocol
        && !seen.host_ports.insert((protocol, &port.host_ip, host_port))
    {
        let message = format_args!("{protocol} host port {host_port} a second time in the Pod");
        report.error(format_args!("{at}.hostPort"), message);
    }
}

fn host_aliases(report: &mut Report, at: &str, spec: &PodSpec) {
    let mut seen: HashSet<IpAddr> = HashSet::new();
    for (i, alias) in spec.host_aliases.iter().enumerate() {
        let at = &format!("{at}.hostAliases[{i}]");
        if let Some(addr) = report.address(format_args!("{at}.ip"), &alias.ip)
            && !seen.insert(addr)
        {
            report.warning(format_args!("{at}.ip"), format_args!("{} a second time", Shown(&alias.ip)));
        }
        for (j, name) in alias.hostnames.iter().enumerate() {
            report.check(format_args!("{at}.hostnames[{j}]"), names::dns_1123_subdomain(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Level;
    use crate::check::testing::{E, W, expect};

    #[track_caller]
    fn pod(spec: &str, expected: &[(Level, &str)]) {
        expect("Pod", &format!(r#"{{"metadata":{{"name":"p"}},"spec":{spec}}}"#), expected);
    }

    /// A Pod of one container with these ports, and a second one with those.
    #[track_caller]
    fn ports(first: &str, second: &str, rest: &str, expected: &[(Level, &str)]) {
        let container = |name, ports| format!(r#"{{"name":"{name}","image":"i","ports":[{ports}]}}"#);
        let (c, d) = (container("c", first), container("d", second));
        pod(&format!(r#"{{"containers":[{c},{d}]{rest}}}"#), expected);
    }

    #[track_caller]
    fn with(field: &str, expected: &[(Level, &str)]) {
        pod(&format!(r#"{{"containers":[{{"name":"c","image":"i"}}],{field}}}"#), expected);
    }

    #[test]
    fn a_pod_needs_named_containers_with_images() {
        expect("Pod", r#"{"metadata":{"name":"p"}}"#, &[(E, "spec.containers")]);
        pod(r#"{"containers":[{"name":"c"}]}"#, &[(E, "spec.containers[0].image")]);
        pod(r#"{"containers":[{"image":"i"}]}"#, &[(E, "spec.containers[0].name")]);
        pod(r#"{"containers":[{"name":"C","image":"i"}]}"#, &[(E, "spec.containers[0].name")]);
        let twice = r#"{"containers":[{"name":"c","image":"i"},{"name":"c","image":"i"}]}"#;
        pod(twice, &[(E, "spec.containers[1].name")]);
        with(r#""initContainers":[{"name":"c","image":"i"}]"#, &[(E, "spec.initContainers[0].name")]);
        with(r#""initContainers":[{"name":"d","image":"i"}]"#, &[]);
    }

    #[test]
    fn container_ports() {
        ports(r#"{"containerPort":80,"name":"web"}"#, r#"{"containerPort":81,"name":"web"}"#, "", &[]);
        let long = r#"{"containerPort":80,"name":"abcdefghijklmnop"}"#;
        ports(long, "", "", &[(E, "spec.containers[0].ports[0].name")]);
        let twice = r#"{"containerPort":80,"name":"web"},{"containerPort":81,"name":"web"}"#;
        ports(twice, "", "", &[(E, "spec.containers[0].ports[1].name")]);
        ports(r#"{"name":"web","hostPort":80}"#, "", "", &[(E, "spec.containers[0].ports[0].containerPort")]);
        ports(r#"{"containerPort":65536}"#, "", "", &[(E, "spec.containers[0].ports[0].containerPort")]);
        ports(r#"{"containerPort":80,"protocol":"HTTP"}"#, "", "", &[(E, "spec.containers[0].ports[0].protocol")]);
        ports(r#"{"containerPort":80}"#, r#"{"containerPort":80}"#, "", &[(W, "spec.containers[1].ports[0]")]);
        ports(r#"{"containerPort":80}"#, r#"{"containerPort":80,"protocol":"UDP"}"#, "", &[]);
        ports(r#"{"containerPort":80,"hostIP":"10.0.0.1"}"#, "", "", &[(W, "spec.containers[0].ports[0]")]);
    }

    #[test]
    fn host_ports() {
        const SECOND: &str = "spec.containers[1].ports[0].hostPort";
        let port = |n: u32, rest: &str| format!(r#"{{"containerPort":{n},"hostPort":8080{rest}}}"#);
        ports(&port(80, ""), &port(81, ""), "", &[(E, SECOND)]);
        ports(&port(80, ""), &port(81, r#","protocol":"UDP""#), "", &[]);
        ports(&port(80, ""), &port(81, r#","hostIP":"10.0.0.1""#), "", &[]);
        ports(r#"{"containerPort":80,"hostPort":-1}"#, "", "", &[(E, "spec.containers[0].ports[0].hostPort")]);
        let host = r#","hostNetwork":true"#;
        ports(&port(80, ""), "", host, &[(E, "spec.containers[0].ports[0].hostPort")]);
        ports(r#"{"containerPort":80,"hostPort":80},{"containerPort":443}"#, "", host, &[]);
        let both = [(W, "spec.containers[1].ports[0]"), (E, SECOND)];
        ports(r#"{"containerPort":80}"#, r#"{"containerPort":80}"#, host, &both);
        // The default of a wrong number is wrong once.
        ports(r#"{"containerPort":-1}"#, "", host, &[(E, "spec.containers[0].ports[0].containerPort")]);
    }

    #[test]
    fn init_containers_do_not_share_ports() {
        let init = |name| format!(r#"{{"name":"{name}","image":"i","ports":[{{"containerPort":80,"hostPort":80}}]}}"#);
        with(&format!(r#""initContainers":[{},{}]"#, init("d"), init("e")), &[]);
        let other = r#"{"name":"d","image":"i","ports":[{"containerPort":80,"hostPort":8080}]}"#;
        with(&format!(r#""hostNetwork":true,"initContainers":[{other}]"#), &[]);
    }

    #[test]
    fn addresses_of_the_status_and_of_host_ports() {
        let status = |status: &str, expected: &[(Level, &str)]| {
            let spec = r#"{"containers":[{"name":"c","image":"i"}]}"#;
            expect("Pod", &format!(r#"{{"metadata":{{"name":"p"}},"spec":{spec},"status":{{{status}}}}}"#), expected);
        };
        status(r#""podIP":"10.1.0.1","podIPs":[{"ip":"10.1.0.1"},{"ip":"fd00::1"}]"#, &[]);
        status(r#""podIP":"10.1.0""#, &[(W, "status.podIP")]);
        status(r#""podIP":"127.0.0.1""#, &[(W, "status.podIP")]);
        status(r#""podIP":"x","podIPs":[{"ip":"10.1.0.1"},{"ip":"010.1.0.1"}]"#, &[(W, "status.podIPs[1].ip")]);
        let port = r#"{"containerPort":80,"hostPort":80,"hostIP":"n1"}"#;
        ports(port, "", "", &[(W, "spec.containers[0].ports[0].hostIP")]);
    }

    #[test]
    fn names_and_policies() {
        with(r#""hostname":"db_0""#, &[(E, "spec.hostname")]);
        with(r#""hostname":"db-0","subdomain":"db.prod""#, &[(E, "spec.subdomain")]);
        with(r#""nodeName":"node 1""#, &[(E, "spec.nodeName")]);
        with(r#""nodeName":"n1.example","restartPolicy":"Never""#, &[]);
        with(r#""restartPolicy":"always""#, &[(E, "spec.restartPolicy")]);
    }

    #[test]
    fn host_aliases() {
        with(r#""hostAliases":[{"ip":"db","hostnames":["db.local"]}]"#, &[(E, "spec.hostAliases[0].ip")]);
        with(r#""hostAliases":[{"ip":"10.1.2.3","hostnames":["a_b"]}]"#, &[(E, "spec.hostAliases[0].hostnames[0]")]);
        with(r#""hostAliases":[{"ip":"10.1.2.3"},{"ip":"10.1.2.3"}]"#, &[(W, "spec.hostAliases[1].ip")]);
        with(r#""hostAliases":[{"ip":"10.1.2.3","hostnames":["a.local"]},{"ip":"2001:db8::7"}]"#, &[]);
    }
}
