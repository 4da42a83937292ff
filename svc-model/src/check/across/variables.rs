//! Do the environment variables of two Services have one name? Which of them a container sees is then left to chance.

use std::collections::HashMap;

use super::Findings;
use super::owners::API_SERVER;
use crate::Protocol;
use crate::api::Service;
use crate::check::report::is_port;
use crate::cluster::Cluster;
use crate::kind::Resource;

pub(super) fn check(cluster: &Cluster, findings: &mut Findings) {
    let mut namespace = "";
    let mut owners: HashMap<String, &Service> = HashMap::new();
    let has_variables = |service: &&Service| !service.spec.is_headless() && !service.spec.is_external_name();
    let api_server = cluster.get::<Service>(API_SERVER.0, API_SERVER.1).filter(has_variables);
    for service in cluster.list::<Service>().filter(has_variables) {
        // The Services come by namespace.
        if service.namespace() != namespace {
            namespace = service.namespace();
            owners.clear();
            // The API server's variables are everywhere, unless the namespace has a Service of that name itself.
            let everywhere =
                api_server.filter(|api_server| cluster.get::<Service>(namespace, api_server.name()).is_none());
            owners.extend(
                everywhere.into_iter().flat_map(|service| variables(service).into_iter().map(move |v| (v, service))),
            );
        }
        let mut collision = None;
        for variable in variables(service) {
            match owners.get(&variable) {
                None => _ = owners.insert(variable, service),
                Some(owner) if owner.name() != service.name() => _ = collision.get_or_insert((variable, *owner)),
                Some(_) => {}
            }
        }
        if let Some((variable, owner)) = collision {
            let message = format_args!("the variable {variable} is made of {} too; chance decides", owner.reference());
            findings.warning(service, "metadata.name", message);
        }
    }
}

/// The names of the variables that the kubelet makes of a Service.
fn variables(service: &Service) -> Vec<String> {
    let prefix = upper(service.name());
    let mut names: Vec<String> = ["SERVICE_HOST", "SERVICE_PORT", "PORT"].map(|name| format!("{prefix}_{name}")).into();
    for port in service.spec.ports.iter().filter(|port| is_port(port.port)) {
        let Ok(protocol) = Protocol::of_field(&port.protocol) else {
            continue;
        };
        if !port.name.is_empty() {
            names.push(format!("{prefix}_SERVICE_PORT_{}", upper(&port.name)));
        }
        let base = format!("{prefix}_PORT_{}_{protocol}", port.port);
        names.extend(["_PROTO", "_PORT", "_ADDR"].map(|end| format!("{base}{end}")));
        names.push(base);
    }
    names
}

fn upper(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use crate::check::testing::{W, expect_across};

    fn service(name: &str, spec: &str) -> String {
        format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{{{spec}}}}}"#)
    }

    #[test]
    fn variables_of_two_services_collide() {
        const PORT: &str = r#""ports":[{"port":80}]"#;
        let named = r#""ports":[{"name":"b-service","port":80}]"#;
        for (a, b, collides) in [
            (service("a", PORT), service("a-service", PORT), true),
            (service("a", PORT), service("b", PORT), false),
            // A_SERVICE_PORT_B_SERVICE_HOST is nobody's, but A_SERVICE_PORT_B_SERVICE_PORT would be a name's.
            (service("a", named), service("a-service-port-b", r#""ports":[{"name":"x","port":80}]"#), false),
            (service("a", r#""ports":[{"name":"b-port","port":80}]"#), service("a-service-port-b", PORT), true),
            (service("a", PORT), service("a-service", r#""clusterIP":"None""#), false),
        ] {
            let last = b.split('"').nth(5).unwrap().to_owned();
            let object = format!("Service/default/{last}");
            let expected = &[(W, object.as_str(), "metadata.name")];
            expect_across(
                &[("Service", &a), ("Service", &b)],
                &["metadata.name"],
                if collides { expected } else { &[] },
            );
        }
    }

    #[test]
    fn the_variables_of_the_api_server_are_in_every_namespace() {
        let api = service("kubernetes", r#""ports":[{"name":"https","port":443}]"#);
        let other = |name: &str| {
            format!(r#"{{"metadata":{{"name":"{name}","namespace":"shop"}},"spec":{{"ports":[{{"port":80}}]}}}}"#)
        };
        let found = &[(W, "Service/shop/kubernetes-service", "metadata.name")];
        let world = |services: &[&str], expected: &[(crate::check::Level, &str, &str)]| {
            let objects: Vec<(&str, &str)> = services.iter().map(|service| ("Service", *service)).collect();
            expect_across(&objects, &["metadata.name"], expected);
        };
        world(&[&api, &other("kubernetes-service")], found);
        world(&[&api, &other("kubernetes")], &[]);
        world(&[&other("kubernetes-service")], &[]);
    }

    #[test]
    fn services_of_other_namespaces_do_not_collide() {
        let a = service("a", r#""ports":[{"port":80}]"#);
        let b = r#"{"metadata":{"name":"a-service","namespace":"other"},"spec":{"ports":[{"port":80}]}}"#;
        expect_across(&[("Service", &a), ("Service", b)], &["metadata.name"], &[]);
    }
}
