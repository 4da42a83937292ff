//! What manifests leave open is filled in as a cluster would, and remembered as assumed.

mod common;

use common::{cluster, completed, node, object};
use serde_json::{Value, json};
use svc_model::api::{Pod, Service};
use svc_model::{Cluster, MAX_ASSUMED_PODS, NamespacedName, Resource, complete};

fn workload(kind: &str, name: &str, spec: Value) -> Value {
    let mut full = json!({"template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": []}}});
    full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"kind": kind, "metadata": {"name": name}, "spec": full})
}

fn node_with_pods(name: &str, ip: &str, cidr: &str) -> Value {
    let mut node = node(name, ip);
    node["spec"] = json!({"podCIDR": cidr});
    node
}

fn pods(cluster: &Cluster) -> Vec<(String, String, String)> {
    let pods = cluster.list::<Pod>();
    pods.map(|pod| {
        (
            pod.name().to_owned(),
            pod.spec.node_name.clone(),
            pod.status.pod_ip.clone(),
        )
    })
    .collect()
}

fn pod(name: &str, node: &str, ip: &str) -> (String, String, String) {
    (name.to_owned(), node.to_owned(), ip.to_owned())
}

#[test]
fn a_statefulset_stands_for_numbered_pods_spread_over_the_nodes() {
    let cluster = completed([
        node_with_pods("n1", "192.168.0.1", "10.244.1.0/24"),
        node_with_pods("n2", "192.168.0.2", "10.244.2.0/24"),
        workload(
            "StatefulSet",
            "db",
            json!({"replicas": 3, "serviceName": "db-headless"}),
        ),
    ]);
    let expected = [
        pod("db-0", "n1", "10.244.1.1"),
        pod("db-1", "n2", "10.244.2.1"),
        pod("db-2", "n1", "10.244.1.2"),
    ];
    assert_eq!(pods(&cluster), expected);
    let first = cluster.get::<Pod>("default", "db-0").unwrap();
    assert_eq!(
        (first.spec.hostname.as_str(), first.spec.subdomain.as_str()),
        ("db-0", "db-headless")
    );
    assert!(first.is_ready() && cluster.is_assumed_pod(&first.key()));
}

#[test]
fn a_daemonset_has_a_pod_on_every_node_and_host_network_has_its_address() {
    let cluster = completed([
        node("n1", "192.168.0.1"),
        node("n2", "192.168.0.2"),
        workload(
            "DaemonSet",
            "agent",
            json!({"template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"hostNetwork": true}}}),
        ),
    ]);
    let expected = [
        pod("agent-daemonset-n1", "n1", "192.168.0.1"),
        pod("agent-daemonset-n2", "n2", "192.168.0.2"),
    ];
    assert_eq!(pods(&cluster), expected);
}

#[test]
fn a_workload_with_a_pod_in_the_world_stands_for_no_other() {
    let existing = json!({"kind": "Pod", "metadata": {"name": "web-x", "labels": {"app": "web", "v": "1"}},
                          "status": {"podIP": "10.9.9.9", "phase": "Running"}});
    let cluster = completed([workload("Deployment", "web", json!({"replicas": 3})), existing]);
    assert_eq!(pods(&cluster), [pod("web-x", "", "10.9.9.9")]);
    assert!(!cluster.is_assumed_pod(&NamespacedName::new("default", "web-x")));
}

#[test]
fn a_replicaset_of_a_deployment_of_the_world_is_not_counted_twice() {
    let mut owned = workload("ReplicaSet", "web-abc", json!({"replicas": 2}));
    owned["metadata"]["ownerReferences"] = json!([{"kind": "Deployment", "name": "web"}]);
    let cluster = completed([workload("Deployment", "web", json!({"replicas": 2})), owned.clone()]);
    assert_eq!(cluster.list::<Pod>().count(), 2);
    let alone = completed([owned]);
    assert_eq!(alone.list::<Pod>().count(), 2);
}

#[test]
fn jobs_count_by_parallelism_and_no_replicas_are_none() {
    let job = json!({"kind": "CronJob", "metadata": {"name": "tick"}, "spec": {"jobTemplate": {"spec":
        {"parallelism": 2, "template": {"metadata": {"labels": {"app": "tick"}}}}}}});
    let cluster = completed([job, workload("Deployment", "off", json!({"replicas": 0}))]);
    assert_eq!(cluster.list::<Pod>().count(), 2);
}

#[test]
fn addresses_skip_those_that_are_taken() {
    let existing =
        json!({"kind": "Pod", "metadata": {"name": "p"}, "status": {"podIP": "10.244.0.1", "phase": "Running"}});
    let cluster = completed([existing, workload("Deployment", "web", json!({}))]);
    assert_eq!(pods(&cluster)[1].2, "10.244.0.2");
}

#[test]
fn a_pod_that_nobody_has_run_runs() {
    let cluster = completed([json!({"kind": "Pod", "metadata": {"name": "tool"}, "spec": {"containers": []}})]);
    let tool = cluster.get::<Pod>("default", "tool").unwrap();
    assert!(tool.is_ready() && cluster.is_assumed_pod(&tool.key()));
    let waiting = completed([json!({"kind": "Pod", "metadata": {"name": "tool"}, "status": {"phase": "Pending"}})]);
    assert_eq!(pods(&waiting), [pod("tool", "", "")]);
}

#[test]
fn replicas_beyond_all_reason_are_bounded_and_reported() {
    let mut cluster = cluster([workload(
        "Deployment",
        "web",
        json!({"replicas": 9_000_000_000_000_000_000i64}),
    )]);
    let findings = complete(&mut cluster);
    assert_eq!(cluster.list::<Pod>().count(), MAX_ASSUMED_PODS);
    assert_eq!(findings[0].field, "spec.replicas");
}

fn ips(cluster: &Cluster, name: &str) -> Vec<String> {
    cluster
        .get::<Service>("default", name)
        .unwrap()
        .spec
        .cluster_ips
        .clone()
}

#[test]
fn cluster_ips_come_from_the_upper_band_explicit_ones_first() {
    let service = |name: &str, spec: Value| json!({"kind": "Service", "metadata": {"name": name}, "spec": spec});
    let cluster = completed([
        service("a", json!({"ports": [{"port": 80}]})),
        service("b", json!({"ports": [{"port": 80}]})),
        service("explicit", json!({"clusterIP": "10.96.1.0"})),
        service("headless", json!({"clusterIP": "None"})),
        service("kubernetes", json!({})),
        service("name", json!({"type": "ExternalName", "externalName": "a.example"})),
    ]);
    assert_eq!(ips(&cluster, "a"), ["10.96.1.1"]);
    assert_eq!(ips(&cluster, "b"), ["10.96.1.2"]);
    assert_eq!(ips(&cluster, "kubernetes"), ["10.96.0.1"]);
    assert_eq!(ips(&cluster, "headless"), [""; 0]);
    assert_eq!(ips(&cluster, "name"), [""; 0]);
    assert!(cluster.has_assumed_cluster_ips(&NamespacedName::new("default", "a")));
    assert!(!cluster.has_assumed_cluster_ips(&NamespacedName::new("default", "explicit")));
}

#[test]
fn a_full_upper_band_falls_back_to_the_lower_and_then_fails() {
    // /28 has 16 addresses, all of them lower band; the first and the last are never given, the second is reserved.
    let range = json!({"kind": "ServiceCIDR", "metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.0.0.0/28"]}});
    let service = |i: usize| json!({"kind": "Service", "metadata": {"name": format!("s{i:02}")}, "spec": {"ports": [{"port": 80}]}});
    let mut cluster = cluster((0..14).map(service).chain([range]));
    let findings = complete(&mut cluster);
    assert_eq!(ips(&cluster, "s00"), ["10.0.0.2"]);
    assert_eq!(ips(&cluster, "s12"), ["10.0.0.14"]);
    assert_eq!(findings.len(), 1);
    assert_eq!(
        (findings[0].object.as_str(), findings[0].field.as_str()),
        ("Service/default/s13", "spec.clusterIPs")
    );
}

#[test]
fn dual_stack_services_get_what_they_ask_for() {
    let ranges = json!({"kind": "ServiceCIDR", "metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16", "fd00:96::/108"]}});
    let service = |name: &str, spec: Value| json!({"kind": "Service", "metadata": {"name": name}, "spec": spec});
    let cluster = completed([
        ranges,
        service("both", json!({"ipFamilyPolicy": "PreferDualStack"})),
        service("single", json!({})),
        service("six", json!({"ipFamilies": ["IPv6"]})),
        service(
            "half",
            json!({"ipFamilyPolicy": "RequireDualStack", "clusterIP": "10.96.5.5"}),
        ),
    ]);
    assert_eq!(ips(&cluster, "both"), ["10.96.1.0", "fd00:96::100"]);
    assert_eq!(ips(&cluster, "half"), ["10.96.5.5", "fd00:96::101"]);
    assert_eq!(ips(&cluster, "single"), ["10.96.1.1"]);
    assert_eq!(ips(&cluster, "six"), ["fd00:96::102"]);
}

#[test]
fn dual_stack_without_two_ranges_is_an_error() {
    let service = json!({"kind": "Service", "metadata": {"name": "a"}, "spec": {"ipFamilyPolicy": "RequireDualStack"}});
    let findings = complete(&mut cluster([service]));
    assert_eq!(
        findings.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(),
        ["spec.ipFamilyPolicy"]
    );
}

#[test]
fn node_ports_come_from_the_upper_band_and_two_protocols_of_a_port_share_theirs() {
    let service = |name: &str, spec: Value| json!({"kind": "Service", "metadata": {"name": name}, "spec": spec});
    let cluster = completed([
        service(
            "a",
            json!({"type": "NodePort", "ports": [{"name": "x", "port": 53}, {"name": "y", "port": 53, "protocol": "UDP"}]}),
        ),
        service(
            "b",
            json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30086}]}),
        ),
        service(
            "c",
            json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}),
        ),
        service(
            "d",
            json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{"port": 80}]}),
        ),
    ]);
    let ports = |name: &str| -> Vec<i64> {
        cluster
            .get::<Service>("default", name)
            .unwrap()
            .spec
            .ports
            .iter()
            .map(|port| port.node_port)
            .collect()
    };
    assert_eq!(ports("a"), [30087, 30087]);
    assert_eq!(ports("b"), [30086]);
    assert_eq!(ports("c"), [30088]);
    assert_eq!(
        cluster
            .get::<Service>("default", "c")
            .unwrap()
            .spec
            .health_check_node_port,
        30089
    );
    assert_eq!(ports("d"), [0]);
}

#[test]
fn a_real_object_takes_the_place_of_an_assumed_one() {
    let mut cluster =
        completed([json!({"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}})]);
    let key = NamespacedName::new("default", "a");
    assert!(cluster.has_assumed_cluster_ips(&key));
    cluster.apply(object(
        json!({"kind": "Service", "metadata": {"name": "a"}, "spec": {"clusterIP": "10.96.7.7"}}),
    ));
    assert!(!cluster.has_assumed_cluster_ips(&key));
}
