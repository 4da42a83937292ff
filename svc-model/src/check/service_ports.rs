//! Are the ports of this Service in order?

use std::collections::{BTreeSet, HashMap, HashSet};

use super::names;
use super::report::Report;
use super::service::{NODE_PORTS, Type};
use crate::Protocol;
use crate::api::{IntOrString, ServicePort, ServiceSpec};

/// The kubelet's own port, which the API server lets no load balancer expose.
const KUBELET_PORT: i64 = 10250;

pub(super) fn check(report: &mut Report, spec: &ServiceSpec, type_: Type) {
    let may_be_empty = spec.is_headless() || matches!(type_, Type::ExternalName | Type::Unknown);
    if spec.ports.is_empty() && !may_be_empty {
        report.error("spec.ports", "missing: a Service without `clusterIP: None` needs a port");
    }
    let mut seen = Seen::default();
    for (i, port) in spec.ports.iter().enumerate() {
        let at = &format!("spec.ports[{i}]");
        name(report, at, port, spec.ports.len() > 1, &mut seen);
        let number_is_right = report.port(format_args!("{at}.port"), port.port);
        let protocol = report.protocol(format_args!("{at}.protocol"), &port.protocol);
        target_port(report, at, port);
        if let Some(protocol) = &port.app_protocol {
            report.check(format_args!("{at}.appProtocol"), names::qualified_name(protocol));
        }
        if let Some(protocol) = protocol {
            if number_is_right && !seen.ports.insert((protocol, port.port)) {
                report.error(at, format_args!("{protocol} port {} a second time", port.port));
            }
            node_port(report, at, port, protocol, type_, &mut seen);
        }
        if type_ == Type::LoadBalancer && port.port == KUBELET_PORT {
            report.error(at, "port 10250 is the kubelet's and may not be exposed by a load balancer");
        }
    }
    let protocols: BTreeSet<&str> =
        spec.ports.iter().filter_map(|port| Some(Protocol::of_field(&port.protocol).ok()?.as_str())).collect();
    if type_ == Type::LoadBalancer && protocols.len() > 1 {
        let protocols = protocols.into_iter().collect::<Vec<_>>().join(" and ");
        let message = format_args!("{protocols} on one load balancer: not every implementation can do that");
        report.warning("spec.ports", message);
    }
}

/// What earlier ports of the Service took.
#[derive(Default)]
struct Seen<'a> {
    names: HashSet<&'a str>,
    ports: HashSet<(Protocol, i64)>,
    /// Who has a node port: the Service port's number and the protocols.
    node_ports: HashMap<i64, (i64, HashSet<Protocol>)>,
}

fn name<'a>(report: &mut Report, at: &str, port: &'a ServicePort, required: bool, seen: &mut Seen<'a>) {
    let field = format_args!("{at}.name");
    if port.name.is_empty() {
        if required {
            report.error(field, "missing: each of several ports needs a name");
        }
    } else if report.check(field, names::dns_1123_label(&port.name)) && !seen.names.insert(&port.name) {
        report.error(format_args!("{at}.name"), format_args!("{:?} a second time", port.name));
    }
}

fn target_port(report: &mut Report, at: &str, port: &ServicePort) {
    match &port.target_port {
        // Absence, 0 and the empty text all mean the Service port's own number.
        None | Some(IntOrString::Int(0)) => {}
        Some(IntOrString::Int(number)) => _ = report.port(format_args!("{at}.targetPort"), *number),
        Some(IntOrString::String(name)) => {
            let is_number = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
            let hint = if is_number { "; without quotes it is a number" } else { "" };
            let result = if name.is_empty() { Ok(()) } else { names::iana_service_name(name) };
            report.check(format_args!("{at}.targetPort"), result.map_err(|error| format!("{error}{hint}")));
        }
    }
}

fn node_port(report: &mut Report, at: &str, port: &ServicePort, protocol: Protocol, type_: Type, seen: &mut Seen<'_>) {
    let number = port.node_port;
    let field = format_args!("{at}.nodePort");
    if number == 0 {
        return;
    }
    if type_ == Type::ClusterIp {
        report.error(field, "not on type ClusterIP: NodePort or LoadBalancer");
    }
    if !type_.has_node_ports() {
        return;
    }
    if !NODE_PORTS.contains(&number) {
        report.error(field, format_args!("{number} is not within 30000 to 32767"));
        return;
    }
    let (first, protocols) = seen.node_ports.entry(number).or_insert_with(|| (port.port, HashSet::new()));
    if !protocols.insert(protocol) {
        report.error(field, format_args!("{protocol} node port {number} a second time"));
    } else if *first != port.port {
        let message = format_args!("{number} is given to port {first}; only ports of one number may share a node port");
        report.error(field, message);
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Level;
    use crate::check::testing::{E, W, expect_service};

    /// A Service with these ports.
    #[track_caller]
    fn ports(type_: &str, ports: &str, expected: &[(Level, &str)]) {
        expect_service(&format!(r#"{{"type":"{type_}","ports":[{ports}]}}"#), expected);
    }

    #[test]
    fn ports_may_be_missing_only_without_a_cluster_ip() {
        expect_service("{}", &[(E, "spec.ports")]);
        expect_service(r#"{"clusterIP":"None"}"#, &[]);
        expect_service(r#"{"type":"ExternalName","externalName":"db.example.com"}"#, &[]);
    }

    #[test]
    fn port_names() {
        let unnamed = [(E, "spec.ports[0].name"), (E, "spec.ports[1].name")];
        ports("", r#"{"port":80},{"port":443}"#, &unnamed);
        ports("", r#"{"name":"http","port":80},{"port":443}"#, &unnamed[1..]);
        ports("", r#"{"name":"web","port":80},{"name":"web","port":8080}"#, &unnamed[1..]);
        ports("", r#"{"name":"http_api","port":80}"#, &unnamed[..1]);
        ports("", r#"{"name":"abcdefghijklmnop","port":80}"#, &[]);
        ports("", r#"{"name":"80","port":80}"#, &[]);
    }

    #[test]
    fn port_numbers_and_protocols() {
        for port in [r#"{"port":0}"#, r#"{"targetPort":8080}"#, r#"{"port":65536}"#, r#"{"port":-1}"#] {
            ports("", port, &[(E, "spec.ports[0].port")]);
        }
        ports("", r#"{"port":80,"protocol":"HTTP"}"#, &[(E, "spec.ports[0].protocol")]);
        ports("", r#"{"port":80,"protocol":"SCTP"}"#, &[]);
        for target in [r#""8080""#, r#""Http""#, "65536", "-1", r#""abcdefghijklmnop""#, r#""a--b""#] {
            ports("", &format!(r#"{{"port":80,"targetPort":{target}}}"#), &[(E, "spec.ports[0].targetPort")]);
        }
        for target in ["8080", r#""http""#, "0", r#""""#, "null"] {
            ports("", &format!(r#"{{"port":80,"targetPort":{target}}}"#), &[]);
        }
        ports("", r#"{"port":80,"appProtocol":"http 2"}"#, &[(E, "spec.ports[0].appProtocol")]);
        ports("", r#"{"port":80,"appProtocol":"kubernetes.io/h2c"}"#, &[]);
        ports("", r#"{"name":"x","port":80},{"name":"y","port":80}"#, &[(E, "spec.ports[1]")]);
        ports("", r#"{"name":"t","port":53},{"name":"u","port":53,"protocol":"UDP"}"#, &[]);
        ports("LoadBalancer", r#"{"port":10250}"#, &[(E, "spec.ports[0]")]);
        ports("NodePort", r#"{"port":10250}"#, &[]);
    }

    #[test]
    fn node_ports() {
        const FIRST: &str = "spec.ports[0].nodePort";
        const SECOND: &str = "spec.ports[1].nodePort";
        ports("", r#"{"port":80,"nodePort":30080}"#, &[(E, FIRST)]);
        for (number, expected) in
            [(29999, &[(E, FIRST)][..]), (30000, &[]), (32767, &[]), (32768, &[(E, FIRST)]), (-1, &[(E, FIRST)])]
        {
            ports("NodePort", &format!(r#"{{"port":80,"nodePort":{number}}}"#), expected);
            ports("LoadBalancer", &format!(r#"{{"port":80,"nodePort":{number}}}"#), expected);
        }
        let two = |a: u16, b: u16, protocol: &str| {
            format!(
                r#"{{"name":"t","port":{a},"nodePort":30053}},{{"name":"u","port":{b},"protocol":"{protocol}","nodePort":30053}}"#
            )
        };
        ports("NodePort", &two(53, 53, "UDP"), &[]);
        ports("NodePort", &two(53, 54, "UDP"), &[(E, SECOND)]);
        ports("NodePort", &two(53, 54, "TCP"), &[(E, SECOND)]);
    }

    #[test]
    fn two_protocols_on_one_load_balancer_are_a_risk() {
        for (protocol, expected) in [("UDP", &[(W, "spec.ports")][..]), ("SCTP", &[(W, "spec.ports")]), ("TCP", &[])] {
            let both = format!(r#"{{"name":"t","port":53}},{{"name":"u","port":54,"protocol":"{protocol}"}}"#);
            ports("LoadBalancer", &both, expected);
            ports("NodePort", &both, &[]);
        }
    }
}
