//! A cluster is a function of the objects in it, not of how they came.

mod common;

use common::{cluster, object};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use serde_json::{Value, json};
use svc_model::api::{Pod, selects};
use svc_model::{ChangeKind, Cluster, NamespacedName, Object, Resource, Touched, complete};

/// Objects of few names and labels, so that they meet.
fn objects() -> impl Strategy<Value = Vec<Value>> {
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    let namespace = || prop::sample::select(vec!["default", "shop"]);
    let labels = || {
        let pair = (prop::sample::select(vec!["app", "tier"]), prop::sample::select(vec!["x", "y"]));
        prop::collection::btree_map(pair.0, pair.1, 0..3)
    };
    let service = (namespace(), name(), labels()).prop_map(|(ns, name, selector)| {
        json!({"kind": "Service", "metadata": {"namespace": ns, "name": name}, "spec": {"selector": selector, "ports": [{"port": 80}]}})
    });
    let pod = (namespace(), name(), labels(), 1..9u8).prop_map(|(ns, name, labels, ip)| {
        json!({"kind": "Pod", "metadata": {"namespace": ns, "name": name, "labels": labels},
               "status": {"podIP": format!("10.0.0.{ip}"), "phase": "Running"}})
    });
    let slice = (namespace(), name(), name()).prop_map(|(ns, name, service)| {
        json!({"kind": "EndpointSlice", "metadata": {"namespace": ns, "name": name, "labels": {"kubernetes.io/service-name": service}},
               "addressType": "IPv4"})
    });
    let deployment = (namespace(), name(), labels(), 0..4u8).prop_map(|(ns, name, labels, replicas)| {
        json!({"kind": "Deployment", "metadata": {"namespace": ns, "name": name},
               "spec": {"replicas": replicas, "template": {"metadata": {"labels": labels}}}})
    });
    let node = name().prop_map(|name| json!({"kind": "Node", "metadata": {"name": name}}));
    prop::collection::vec(prop_oneof![3 => service, 4 => pod, 2 => slice, 1 => deployment, 1 => node], 0..24)
}

/// One object a name: the last.
fn unique(objects: Vec<Value>) -> Vec<Object> {
    let mut unique: Vec<Object> = Vec::new();
    for object in objects.into_iter().map(object) {
        unique.retain(|other| other.reference() != object.reference());
        unique.push(object);
    }
    unique
}

fn in_two_orders() -> impl Strategy<Value = (Vec<Object>, Vec<Object>)> {
    let objects = objects().prop_map(unique);
    objects.prop_flat_map(|objects| (Just(objects.clone()), Just(objects).prop_shuffle()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_same_objects_in_any_order_make_the_same_cluster((objects, shuffled) in in_two_orders()) {
        let mut one: Cluster = objects.into_iter().collect();
        let mut other: Cluster = shuffled.into_iter().collect();
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(complete(&mut one), complete(&mut other));
        prop_assert_eq!(&one, &other);
    }

    #[test]
    fn what_is_added_and_removed_leaves_no_trace(objects in objects(), extra in objects()) {
        let before: Cluster = unique(objects).into_iter().collect();
        let mut cluster = before.clone();
        let added: Vec<Object> = unique(extra).into_iter().filter(|o| before.object(&o.reference()).is_none()).collect();
        for object in &added {
            prop_assert_eq!(cluster.apply(object.clone()).kind, ChangeKind::Added);
        }
        for object in added.iter().rev() {
            prop_assert_eq!(cluster.remove(&object.reference()).kind, ChangeKind::Removed);
        }
        prop_assert_eq!(&cluster, &before);
        // The indices too: what they find is what a scan finds.
        check_indices(&cluster)?;
    }

    #[test]
    fn the_indices_find_what_a_scan_finds(objects in objects(), removed in prop::collection::vec(any::<Index>(), 0..6)) {
        let objects = unique(objects);
        let mut cluster: Cluster = objects.iter().cloned().collect();
        for index in removed.into_iter().filter(|_| !objects.is_empty()) {
            cluster.remove(&objects[index.index(objects.len())].reference());
        }
        check_indices(&cluster)?;
    }

    #[test]
    fn a_change_touches_every_service_whose_endpoints_change(objects in objects(), change in objects(), keep in any::<Index>()) {
        let mut cluster: Cluster = unique(objects).into_iter().collect();
        let changes = unique(change);
        prop_assume!(!changes.is_empty());
        let object = changes[keep.index(changes.len())].clone();
        let endpoints = |cluster: &Cluster| -> Vec<(NamespacedName, _)> {
            cluster.list::<svc_model::api::Service>().map(|s| (s.key(), svc_model::endpoints::of(cluster, s))).collect()
        };
        let before = endpoints(&cluster);
        let change = cluster.apply(object);
        for (service, found) in endpoints(&cluster) {
            if !before.contains(&(service.clone(), found)) {
                let touched = change.touched.all_services || change.touched.services.contains(&service);
                prop_assert!(touched, "{} was not touched by {:?}", service, change);
            }
        }
    }

    #[test]
    fn extending_does_what_applying_one_by_one_does(objects in objects(), more in objects()) {
        let mut extended: Cluster = objects.iter().cloned().map(object).collect();
        extended.extend(more.iter().cloned().map(object));
        let mut applied = Cluster::new();
        objects.into_iter().chain(more).for_each(|value| drop(applied.apply(object(value))));
        prop_assert_eq!(&extended, &applied);
        check_indices(&extended)?;
        check_indices(&applied)?;
    }

    #[test]
    fn a_part_of_a_list_is_in_its_order(objects in objects(), picked in subsequence((0..24usize).collect::<Vec<_>>(), 0..24)) {
        let cluster: Cluster = unique(objects).into_iter().collect();
        let keys: Vec<NamespacedName> = cluster.list::<Pod>().map(Resource::key).collect();
        let picked: Vec<_> = picked.into_iter().filter_map(|i| keys.get(i)).collect();
        prop_assert!(picked.is_sorted());
    }
}

fn check_indices(cluster: &Cluster) -> Result<(), TestCaseError> {
    for service in cluster.list::<svc_model::api::Service>() {
        let selector = &service.spec.selector;
        let scanned: Vec<_> = cluster
            .list_in::<Pod>(service.namespace())
            .filter(|pod| !selector.is_empty() && selects(selector, &pod.metadata.labels))
            .map(|pod| pod.name())
            .collect();
        let found: Vec<_> = cluster.pods_selected_by(service.namespace(), selector).map(|pod| pod.name()).collect();
        prop_assert_eq!(found, scanned);
        let scanned: Vec<_> = cluster
            .list_in::<svc_model::api::EndpointSlice>(service.namespace())
            .filter(|slice| {
                slice.metadata.labels.get("kubernetes.io/service-name").is_some_and(|s| s == service.name())
            })
            .map(|slice| slice.name())
            .collect();
        let found: Vec<_> = cluster.slices_of(service.namespace(), service.name()).map(|slice| slice.name()).collect();
        prop_assert_eq!(found, scanned);
    }
    for pod in cluster.list::<Pod>() {
        let labels = &pod.metadata.labels;
        let scanned: Vec<_> = cluster
            .list_in::<svc_model::api::Service>(pod.namespace())
            .filter(|service| !service.spec.selector.is_empty() && selects(&service.spec.selector, labels))
            .map(|service| service.name())
            .collect();
        let found: Vec<_> = cluster.services_selecting(pod.namespace(), labels).map(|service| service.name()).collect();
        prop_assert_eq!(found, scanned);
    }
    Ok(())
}

#[test]
fn an_equal_object_changes_nothing() {
    let service = json!({"kind": "Service", "metadata": {"name": "a"}});
    let mut cluster = cluster([service.clone()]);
    let change = cluster.apply(object(service));
    assert_eq!(change.kind, ChangeKind::Unchanged);
    assert_eq!(change.touched, Touched::default());
}

#[test]
fn a_pod_touches_the_services_that_selected_it_before_and_after() {
    let mut cluster = cluster([
        json!({"kind": "Service", "metadata": {"name": "old"}, "spec": {"selector": {"app": "old"}}}),
        json!({"kind": "Service", "metadata": {"name": "new"}, "spec": {"selector": {"app": "new"}}}),
        json!({"kind": "Service", "metadata": {"name": "other"}, "spec": {"selector": {"app": "other"}}}),
        json!({"kind": "Pod", "metadata": {"name": "p", "labels": {"app": "old"}}}),
    ]);
    let change = cluster.apply(object(json!({"kind": "Pod", "metadata": {"name": "p", "labels": {"app": "new"}}})));
    let services = ["new", "old"].map(|name| NamespacedName::new("default", name));
    assert_eq!(change.kind, ChangeKind::Replaced);
    assert_eq!(change.touched.services, services.into());
}

#[test]
fn a_namespace_is_touched_when_it_may_come_or_go_and_configurations_are() {
    let mut cluster = Cluster::new();
    let secret = |name: &str| object(json!({"kind": "Secret", "metadata": {"namespace": "shop", "name": name}}));
    let mut apply = |object: Object| {
        let touched = cluster.apply(object).touched;
        (touched.namespaces.contains("shop"), cluster.has_namespace("shop"))
    };
    assert_eq!(apply(secret("a")), (true, true));
    assert_eq!(apply(secret("b")), (false, true));
    assert_eq!(apply(object(json!({"kind": "Namespace", "metadata": {"name": "shop"}}))), (true, true));
    let mut remove = |reference: &str| {
        let touched = cluster.remove(&reference.parse().unwrap()).touched;
        (touched.namespaces.contains("shop"), cluster.has_namespace("shop"))
    };
    assert_eq!(remove("Secret/shop/a"), (false, true));
    assert_eq!(remove("Namespace/shop"), (true, true));
    assert_eq!(remove("Secret/shop/b"), (true, false));
    assert!(cluster.has_namespace("default") && !cluster.has_namespace(""));
    let touched = cluster.apply(object(json!({"kind": "KubeletConfiguration"}))).touched;
    assert!(touched.configuration);
    let touched = cluster.apply(object(json!({"kind": "ConfigMap", "metadata": {"name": "m"}}))).touched;
    assert_eq!(touched.objects, ["ConfigMap/default/m".parse().unwrap()].into());
    let everything = Touched::everything(&cluster);
    assert!(everything.namespaces.contains("kube-system") && everything.objects.is_superset(&touched.objects));
}

#[test]
fn a_namespace_exists_by_its_object_or_by_what_lives_in_it() {
    let cluster = cluster([
        json!({"kind": "Namespace", "metadata": {"name": "empty"}}),
        json!({"kind": "Pod", "metadata": {"namespace": "lived-in", "name": "p"}}),
        json!({"kind": "Node", "metadata": {"name": "n1"}}),
    ]);
    let namespaces: Vec<&str> = cluster.namespaces().into_iter().collect();
    assert_eq!(namespaces, ["default", "empty", "kube-node-lease", "kube-public", "kube-system", "lived-in"]);
}

/// Names and addresses of a headless Service's endpoints.
fn headless_endpoints(spec: Value) -> Vec<String> {
    let mut full = json!({"clusterIP": "None", "selector": {"app": "web"}});
    full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let pod = json!({"kind": "Pod", "metadata": {"name": "p", "labels": {"app": "web"}},
                     "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}});
    let cluster = cluster([json!({"kind": "Service", "metadata": {"name": "web"}, "spec": full}), pod]);
    let found = svc_model::endpoints::of(&cluster, cluster.get("default", "web").unwrap());
    let endpoints = found.sets.iter().flat_map(|set| &set.endpoints);
    endpoints.map(|endpoint| endpoint.addr.to_string()).collect()
}

#[test]
fn a_dual_stack_headless_service_has_both_addresses_of_its_pods_where_no_range_tells() {
    assert_eq!(headless_endpoints(json!({})), ["10.0.0.1"]);
    assert_eq!(headless_endpoints(json!({"ipFamilyPolicy": "SingleStack"})), ["10.0.0.1"]);
    for policy in ["PreferDualStack", "RequireDualStack"] {
        assert_eq!(headless_endpoints(json!({"ipFamilyPolicy": policy})), ["10.0.0.1", "fd00::1"]);
    }
    assert_eq!(headless_endpoints(json!({"ipFamilies": ["IPv6"]})), ["fd00::1"]);
}

#[test]
fn pods_that_number_a_named_port_differently_stand_in_sets_apart() {
    let pod = |name: &str, ip: &str, number: u16| {
        json!({"kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
               "spec": {"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": number}]}]},
               "status": {"phase": "Running", "podIP": ip}})
    };
    let cluster = cluster([
        json!({"kind": "Service", "metadata": {"name": "web"},
               "spec": {"clusterIP": "10.96.0.7", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}}),
        pod("a", "10.0.0.1", 8080),
        pod("b", "10.0.0.2", 9090),
        pod("c", "10.0.0.3", 8080),
        pod("d", "10.0.0.4", 8080),
        json!({"kind": "Pod", "metadata": {"name": "e", "labels": {"app": "web"}}, "status": {"phase": "Running", "podIP": "10.0.0.5"}}),
    ]);
    let service: &svc_model::api::Service = cluster.get("default", "web").unwrap();
    let found = svc_model::endpoints::of(&cluster, service);
    let sizes: Vec<_> = found.sets.iter().map(|set| (set.ports[0].port, set.endpoints.len())).collect();
    assert_eq!(sizes, [(8080, 3), (9090, 1)]);
    assert_eq!(found.for_port(&service.spec.ports[0]).count(), 4);
}
