//! Which variables tell a container of Services? What the kubelet adds to the environment.

use std::collections::BTreeMap;

use crate::addr::parse_ip;
use crate::api::{Pod, Service};
use crate::cluster::Cluster;
use crate::kind::Resource;
use crate::protocol::{Protocol, port_number};

/// The variables that the kubelet makes from Services for the containers of a Pod, by name.
///
/// They come from the Services of the Pod's namespace that have a cluster IP, unless `enableServiceLinks` is `false`,
/// and always from `default/kubernetes`, which a Service `kubernetes` of the own namespace replaces. A Service `redis` with a
/// port `db` of 6379 gives the variables that Docker links had: `REDIS_SERVICE_HOST`, `REDIS_SERVICE_PORT`,
/// `REDIS_SERVICE_PORT_DB`, `REDIS_PORT`, `REDIS_PORT_6379_TCP`, and so on. Where the names of two Services collide, the later
/// by name wins (for the kubelet it is a matter of luck).
///
/// ```
/// use svc_model::api::{Pod, Service, ServicePort};
/// use svc_model::{Cluster, service_environment};
///
/// let mut service = Service::default();
/// service.metadata.name = "redis".into();
/// service.spec.cluster_ip = "10.0.19.85".into();
/// service.spec.ports.push(ServicePort { port: 6379, ..Default::default() });
/// let cluster = Cluster::from_iter([service]);
///
/// let env = service_environment(&cluster, &Pod::default());
/// assert_eq!(env["REDIS_SERVICE_HOST"], "10.0.19.85");
/// assert_eq!(env["REDIS_PORT"], "tcp://10.0.19.85:6379");
/// ```
pub fn service_environment(cluster: &Cluster, pod: &Pod) -> BTreeMap<String, String> {
    let mut services: BTreeMap<&str, &Service> = BTreeMap::new();
    let has_address = |service: &&Service| address(service).is_some();
    services.extend(cluster.get::<Service>("default", "kubernetes").filter(has_address).map(|s| (s.name(), s)));
    if pod.spec.enable_service_links != Some(false) {
        services.extend(cluster.list_in::<Service>(pod.namespace()).filter(has_address).map(|s| (s.name(), s)));
    }
    let mut env = BTreeMap::new();
    for service in services.into_values() {
        add(service, &mut env);
    }
    env
}

/// The first cluster IP as written; none for headless and ExternalName Services, nor where it is no address.
fn address(service: &Service) -> Option<&str> {
    if service.spec.is_external_name() || service.spec.is_headless() {
        return None;
    }
    service.spec.written_cluster_ips().next().filter(|ip| parse_ip(ip).is_ok())
}

fn add(service: &Service, env: &mut BTreeMap<String, String>) {
    let Some(ip) = address(service) else { return };
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    let prefix = variable_part(service.name());
    let readable = service
        .spec
        .ports
        .iter()
        .filter_map(|port| Some((port, port_number(port.port)?, Protocol::of_field(&port.protocol).ok()?)));
    env.insert(format!("{prefix}_SERVICE_HOST"), ip.to_owned());
    for (i, (port, number, protocol)) in readable.enumerate() {
        let lower = protocol.as_str().to_ascii_lowercase();
        let url = format!("{lower}://{host}:{number}");
        if i == 0 {
            env.insert(format!("{prefix}_SERVICE_PORT"), number.to_string());
            env.insert(format!("{prefix}_PORT"), url.clone());
        }
        if !port.name.is_empty() {
            env.insert(format!("{prefix}_SERVICE_PORT_{}", variable_part(&port.name)), number.to_string());
        }
        let base = format!("{prefix}_PORT_{number}_{protocol}");
        env.insert(format!("{base}_PROTO"), lower);
        env.insert(format!("{base}_PORT"), number.to_string());
        env.insert(format!("{base}_ADDR"), ip.to_owned());
        env.insert(base, url);
    }
}

fn variable_part(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}
