//! What manifests leave open is filled in as a cluster would, and remembered as assumed.

mod common;

use common::{cluster, completed, node, object};
use serde_json::{Value, json};
use svc_model::api::{Pod, Service, WorkloadSpec};
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
    pods.map(|pod| (pod.name().to_owned(), pod.spec.node_name.clone(), pod.status.pod_ip.clone())).collect()
}

fn pod(name: &str, node: &str, ip: &str) -> (String, String, String) {
    (name.to_owned(), node.to_owned(), ip.to_owned())
}

#[test]
fn a_statefulset_stands_for_numbered_pods_spread_over_the_nodes() {
    let cluster = completed([
        node_with_pods("n1", "192.168.0.1", "10.244.1.0/24"),
        node_with_pods("n2", "192.168.0.2", "10.244.2.0/24"),
        workload("StatefulSet", "db", json!({"replicas": 3, "serviceName": "db-headless"})),
    ]);
    let expected = [pod("db-0", "n1", "10.244.1.1"), pod("db-1", "n2", "10.244.2.1"), pod("db-2", "n1", "10.244.1.2")];
    assert_eq!(pods(&cluster), expected);
    let first = cluster.get::<Pod>("default", "db-0").unwrap();
    assert_eq!((first.spec.hostname.as_str(), first.spec.subdomain.as_str()), ("db-0", "db-headless"));
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
    let expected = [pod("agent-daemonset-n1", "n1", "192.168.0.1"), pod("agent-daemonset-n2", "n2", "192.168.0.2")];
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

fn findings(objects: impl IntoIterator<Item = Value>) -> (Cluster, Vec<(String, String, String)>) {
    let mut cluster = cluster(objects);
    let findings = complete(&mut cluster).into_iter();
    let findings = findings.map(|finding| (finding.object, finding.field, finding.message)).collect();
    (cluster, findings)
}

fn pods_of(cluster: &Cluster, kind: &str, name: &str) -> usize {
    let owned = |pod: &&Pod| {
        let owners = &pod.metadata.owner_references;
        matches!(owners.as_slice(), [owner] if owner.kind == kind && owner.name == name)
    };
    cluster.list::<Pod>().filter(owned).count()
}

const ENDLESS: i64 = 9_000_000_000_000_000_000;

#[test]
fn replicas_beyond_all_reason_are_bounded_and_reported_where_they_are_written() {
    let job = |spec: Value| json!({"parallelism": ENDLESS, "template": spec});
    let template = json!({"metadata": {"labels": {"app": "job"}}});
    let (cluster, findings) = findings([
        workload("Deployment", "web", json!({"replicas": ENDLESS})),
        json!({"kind": "Job", "metadata": {"name": "once"}, "spec": job(template.clone())}),
        json!({"kind": "CronJob", "metadata": {"name": "tick"}, "spec": {"jobTemplate": {"spec": job(template)}}}),
    ]);
    for (kind, name) in [("Deployment", "web"), ("Job", "once"), ("CronJob", "tick")] {
        assert_eq!(pods_of(&cluster, kind, name), 1_000);
    }
    let places: Vec<_> = findings.iter().map(|(object, field, _)| (&**object, &**field)).collect();
    assert_eq!(
        places,
        [
            ("Job/default/once", "spec.parallelism"),
            ("CronJob/default/tick", "spec.jobTemplate.spec.parallelism"),
            ("Deployment/default/web", "spec.replicas"),
        ]
    );
    assert_eq!(findings[2].2, "of 9000000000000000000 Pods 1000 are assumed: 1000 is the most for one workload");
}

#[test]
fn no_workload_goes_without_pods_because_another_wants_many() {
    let greedy = (0..20).map(|i| workload("Deployment", &format!("a{i:02}"), json!({"replicas": ENDLESS})));
    let modest = [workload("Deployment", "b", json!({})), workload("Deployment", "c", json!({"replicas": 40}))];
    let (cluster, findings) = findings(greedy.chain(modest));
    assert_eq!(cluster.list::<Pod>().count(), MAX_ASSUMED_PODS);
    assert_eq!(pods_of(&cluster, "Deployment", "b"), 1);
    assert_eq!(pods_of(&cluster, "Deployment", "c"), 40);
    // 10,000 - 41 over twenty: the rest goes by order.
    assert_eq!(pods_of(&cluster, "Deployment", "a00"), 498);
    assert_eq!(pods_of(&cluster, "Deployment", "a19"), 497);
    assert_eq!(findings.len(), 20);
}

#[test]
fn each_workload_has_a_pod_however_many_workloads_there_are() {
    let sets = (0..MAX_ASSUMED_PODS + 5).map(|i| workload("StatefulSet", &format!("s{i}"), json!({"replicas": 2})));
    let (cluster, findings) = findings(sets);
    assert_eq!(cluster.list::<Pod>().count(), MAX_ASSUMED_PODS + 5);
    assert_eq!(findings[0].2, "of 2 Pods 1 is assumed: 10000 is the most for all workloads");
}

#[test]
fn a_daemonset_has_a_pod_on_each_of_very_many_nodes() {
    let nodes = (0..1_500).map(|i| json!({"kind": "Node", "metadata": {"name": format!("n{i}")}}));
    let (cluster, findings) = findings(nodes.chain([workload("DaemonSet", "agent", json!({}))]));
    assert_eq!((cluster.list::<Pod>().count(), findings), (1_500, vec![]));
}

#[test]
fn a_range_of_pod_addresses_that_does_not_suffice_is_reported_once() {
    let (cluster, findings) = findings([
        node_with_pods("n1", "192.168.0.1", "10.244.1.0/29"),
        workload("Deployment", "web", json!({"replicas": 9})),
    ]);
    assert_eq!(cluster.list::<Pod>().filter(|pod| !pod.status.pod_ip.is_empty()).count(), 6);
    let message =
        "the range of Pod addresses 10.244.1.0/29 is exhausted: this and 2 more Pods get none of its addresses";
    let (object, field) = ("Pod/default/web-deployment-6", "status.podIP");
    assert_eq!(findings, [(object.to_owned(), field.to_owned(), message.to_owned())]);
}

#[test]
fn nodes_with_one_range_take_turns_in_it() {
    let cluster = completed([
        node_with_pods("n1", "192.168.0.1", "10.244.0.0/16"),
        node_with_pods("n2", "192.168.0.2", "10.244.9.9/16"),
        workload("Deployment", "web", json!({"replicas": 3})),
    ]);
    let addrs: Vec<String> = pods(&cluster).into_iter().map(|(_, _, addr)| addr).collect();
    assert_eq!(addrs, ["10.244.0.1", "10.244.0.2", "10.244.0.3"]);
}

#[test]
fn pods_of_a_template_without_labels_are_known_by_their_owner() {
    let job = json!({"kind": "Job", "metadata": {"name": "once"}, "spec": {"template": {"spec": {"containers": []}}}});
    let cron =
        json!({"kind": "CronJob", "metadata": {"name": "once"}, "spec": {"jobTemplate": {"spec": {"parallelism": 2}}}});
    let cluster = completed([job, cron]);
    assert_eq!(pods_of(&cluster, "Job", "once"), 1);
    assert_eq!(pods_of(&cluster, "CronJob", "once"), 2);
}

#[test]
fn an_owner_of_an_unknown_kind_is_no_workload_of_the_world() {
    let mut owned = workload("ReplicaSet", "web", json!({}));
    owned["metadata"]["ownerReferences"] = json!([{"kind": "Rollout", "name": "web"}]);
    let namesake = json!({"kind": "Service", "metadata": {"name": "web"}, "spec": {"clusterIP": "None"}});
    assert_eq!(completed([owned, namesake]).list::<Pod>().count(), 1);
}

#[test]
fn the_effective_selector_is_the_written_one_else_the_templates_labels() {
    let spec = |selector: Value| -> WorkloadSpec {
        serde_json::from_value(
            json!({"selector": selector, "template": {"metadata": {"labels": {"app": "web", "v": "1"}}}}),
        )
        .unwrap()
    };
    let labels = |spec: &WorkloadSpec| spec.effective_selector().match_labels.keys().cloned().collect::<Vec<_>>();
    assert_eq!(labels(&spec(json!({"matchLabels": {"app": "web"}}))), ["app"]);
    assert_eq!(labels(&spec(Value::Null)), ["app", "v"]);
    assert_eq!(labels(&spec(json!({}))), ["app", "v"]);
    assert!(WorkloadSpec::default().effective_selector().is_empty());
}

fn ips(cluster: &Cluster, name: &str) -> Vec<String> {
    cluster.get::<Service>("default", name).unwrap().spec.cluster_ips.clone()
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
    assert_eq!((findings[0].object.as_str(), findings[0].field.as_str()), ("Service/default/s13", "spec.clusterIPs"));
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
        service("half", json!({"ipFamilyPolicy": "RequireDualStack", "clusterIP": "10.96.5.5"})),
    ]);
    assert_eq!(ips(&cluster, "both"), ["10.96.1.0", "fd00:96::100"]);
    assert_eq!(ips(&cluster, "half"), ["10.96.5.5", "fd00:96::101"]);
    assert_eq!(ips(&cluster, "single"), ["10.96.1.1"]);
    assert_eq!(ips(&cluster, "six"), ["fd00:96::102"]);
}

#[test]
fn the_primary_range_is_that_of_the_object_named_kubernetes() {
    let range =
        |name: &str, cidr: &str| json!({"kind": "ServiceCIDR", "metadata": {"name": name}, "spec": {"cidrs": [cidr]}});
    let service =
        |name: &str| json!({"kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
    let cluster = completed([
        range("additional", "fd00:96::/112"),
        range("extra", "10.97.0.0/16"),
        range("kubernetes", "10.96.0.0/16"),
        service("kubernetes"),
        service("web"),
    ]);
    assert_eq!(ips(&cluster, "kubernetes"), ["10.96.0.1"]);
    assert_eq!(ips(&cluster, "web"), ["10.96.1.0"]);
}

#[test]
fn ranges_that_are_full_are_left_for_the_next_by_name() {
    let range =
        |name: &str, cidr: &str| json!({"kind": "ServiceCIDR", "metadata": {"name": name}, "spec": {"cidrs": [cidr]}});
    let service = |i: usize| json!({"kind": "Service", "metadata": {"name": format!("s{i:02}")}, "spec": {"ports": [{"port": 80}]}});
    let ranges = [range("a", "10.0.0.0/30"), range("b", "10.0.0.1/30"), range("c", "10.0.0.8/30")];
    let mut cluster = cluster((0..4).map(service).chain(ranges));
    let findings = complete(&mut cluster);
    assert_eq!(
        (0..3).map(|i| ips(&cluster, &format!("s{i:02}")).concat()).collect::<Vec<_>>(),
        ["10.0.0.2", "10.0.0.9", "10.0.0.10"]
    );
    assert_eq!(findings[0].message, "no free IPv4 address is left in the Service ranges");
    assert_eq!(findings.len(), 1);
}

#[test]
fn node_ports_go_on_in_the_lower_band_and_then_fail() {
    let ports: Vec<Value> = (0..2769).map(|i| json!({"name": format!("p{i}"), "port": i + 1})).collect();
    let service = json!({"kind": "Service", "metadata": {"name": "a"}, "spec": {"type": "NodePort", "ports": ports}});
    let (cluster, findings) = findings([service]);
    let ports = &cluster.get::<Service>("default", "a").unwrap().spec.ports;
    assert_eq!([0, 2681, 2682, 2767, 2768].map(|i| ports[i].node_port), [30086, 32767, 30000, 30085, 0]);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].1, "spec.ports[2768].nodePort");
}

#[test]
fn what_was_assumed_stays_so_when_more_is_completed_later() {
    let key = NamespacedName::new("default", "a");
    let mut cluster = completed([
        json!({"kind": "Service", "metadata": {"name": "a"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}),
    ]);
    let once = cluster.clone();
    assert_eq!(complete(&mut cluster), []);
    assert_eq!(cluster, once);
    assert!(cluster.has_assumed_cluster_ips(&key) && cluster.is_assumed_node_port(&key, 30086));
}

#[test]
fn a_node_port_shared_with_a_written_one_is_not_assumed() {
    let cluster =
        completed([json!({"kind": "Service", "metadata": {"name": "dns"}, "spec": {"type": "NodePort", "ports": [
        {"name": "udp", "port": 53, "protocol": "UDP"}, {"name": "tcp", "port": 53, "nodePort": 30053}]}})]);
    let service = cluster.get::<Service>("default", "dns").unwrap();
    assert_eq!(service.spec.ports[0].node_port, 30053);
    assert!(!cluster.has_assumed_node_ports(&service.key()));
}

#[test]
fn dual_stack_without_two_ranges_is_an_error() {
    let service = json!({"kind": "Service", "metadata": {"name": "a"}, "spec": {"ipFamilyPolicy": "RequireDualStack"}});
    let findings = complete(&mut cluster([service]));
    assert_eq!(findings.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(), ["spec.ipFamilyPolicy"]);
}

#[test]
fn node_ports_come_from_the_upper_band_and_two_protocols_of_a_port_share_theirs() {
    let service = |name: &str, spec: Value| json!({"kind": "Service", "metadata": {"name": name}, "spec": spec});
    let cluster = completed([
        service(
            "a",
            json!({"type": "NodePort", "ports": [{"name": "x", "port": 53}, {"name": "y", "port": 53, "protocol": "UDP"}]}),
        ),
        service("b", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30086}]})),
        service("c", json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]})),
        service("d", json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{"port": 80}]})),
    ]);
    let ports = |name: &str| -> Vec<i64> {
        cluster.get::<Service>("default", name).unwrap().spec.ports.iter().map(|port| port.node_port).collect()
    };
    assert_eq!(ports("a"), [30087, 30087]);
    assert_eq!(ports("b"), [30086]);
    assert_eq!(ports("c"), [30088]);
    assert_eq!(cluster.get::<Service>("default", "c").unwrap().spec.health_check_node_port, 30089);
    assert_eq!(ports("d"), [0]);
}

#[test]
fn a_real_object_takes_the_place_of_an_assumed_one() {
    let mut cluster =
        completed([json!({"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}})]);
    let key = NamespacedName::new("default", "a");
    assert!(cluster.has_assumed_cluster_ips(&key));
    cluster.apply(object(json!({"kind": "Service", "metadata": {"name": "a"}, "spec": {"clusterIP": "10.96.7.7"}})));
    assert!(!cluster.has_assumed_cluster_ips(&key));
}
