//! A controller that follows its cluster is the one that is made anew.

use proptest::prelude::*;
use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use svc_model::{Cluster, Kind, ObjectRef, Touched};

use route_match::ingress::{HttpQuestion, IngressController, Scheme};

const HOSTS: [&str; 5] = ["a.example", "www.a.example", "b.example", "*.example", ""];
const PATHS: [(&str, &str); 4] =
    [("Prefix", "/"), ("Prefix", "/x/"), ("Exact", "/x"), ("ImplementationSpecific", "/[a-z]")];
const SERVICES: [&str; 3] = ["s0", "s1", "gone"];

fn one<T: Clone + std::fmt::Debug + 'static>(of: &[T]) -> impl Strategy<Value = T> + use<T> {
    proptest::sample::select(of.to_vec())
}

/// An annotation of the controller.
fn annotation() -> impl Strategy<Value = (&'static str, &'static str)> {
    one(&[
        ("use-regex", "true"),
        ("rewrite-target", "/r"),
        ("server-alias", "b.example,alias.example"),
        ("server-alias", "www.a.example"),
        ("from-to-www-redirect", "true"),
        ("canary", "true"),
        ("canary-weight", "40"),
        ("custom-headers", "default/headers"),
        ("default-backend", "s1"),
        ("app-root", "/root"),
        ("ssl-passthrough", "true"),
        ("permanent-redirect", "https://c.example"),
        ("permanent-redirect", "https://c.example;"),
        ("enable-cors", "true"),
        ("affinity", "cookie"),
    ])
}

fn backend() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => one(&SERVICES).prop_map(|name| json!({"service": {"name": name, "port": {"number": 80}}})),
        1 => Just(json!({"resource": {"kind": "Bucket", "name": "b"}})),
    ]
}

fn ingress() -> impl Strategy<Value = Value> {
    let rule = (one(&HOSTS), proptest::collection::vec((one(&PATHS), backend()), 0..3)).prop_map(|(host, paths)| {
        let path = |((path_type, path), backend)| json!({"path": path, "pathType": path_type, "backend": backend});
        json!({"host": host, "http": {"paths": paths.into_iter().map(path).collect::<Vec<_>>()}})
    });
    (
        one(&["i", "j", "k"]),
        one(&["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"]),
        proptest::collection::btree_map(Just(()).prop_flat_map(|()| annotation()), Just(()), 0..3),
        one(&["", "", "nginx", "edge"]),
        proptest::option::of(one(&["nginx", "edge"])),
        proptest::collection::vec(rule, 0..3),
        proptest::option::of(backend()),
        proptest::option::of(one(&["a.example", "*.example"])),
    )
        .prop_map(|(name, created, annotations, class, old_class, rules, default, tls)| {
            let mut all: serde_json::Map<String, Value> = annotations
                .into_keys()
                .map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), json!(value)))
                .collect();
            all.extend(old_class.map(|class| ("kubernetes.io/ingress.class".to_owned(), json!(class))));
            let tls = tls.map(|host| json!([{"hosts": [host]}])).unwrap_or_default();
            let class = if class.is_empty() { Value::Null } else { json!(class) };
            json!({"kind": "Ingress", "metadata": {"name": name, "creationTimestamp": created, "annotations": all},
                "spec": {"ingressClassName": class, "rules": rules, "defaultBackend": default, "tls": tls}})
        })
}

/// Something else that decisions depend on.
fn surroundings() -> impl Strategy<Value = Value> {
    let service = one(&SERVICES[..2]).prop_map(|name| {
        json!({"kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"app": name}}})
    });
    let pod = (one(&SERVICES[..2]), any::<bool>()).prop_map(|(app, ready)| {
        let ready = if ready { "True" } else { "False" };
        json!({"kind": "Pod", "metadata": {"name": app, "labels": {"app": app}}, "status": {
            "phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": ready}],
        }})
    });
    let map = one(&["", "X-A"]).prop_map(|name| {
        let data = if name.is_empty() { json!({}) } else { json!({ name: "1" }) };
        json!({"kind": "ConfigMap", "metadata": {"name": "headers"}, "data": data})
    });
    let settings = one(&["false", "true"]).prop_map(|allowed| {
        let allowed = if allowed == "true" { "X-A" } else { "" };
        json!({"kind": "ConfigMap", "metadata": {"name": "conf", "namespace": "edge"},
            "data": {"global-allowed-response-headers": allowed}})
    });
    let class = (one(&["nginx", "edge"]), one(&["k8s.io/ingress-nginx", "example.com/edge"]), one(&["true", "false"]))
        .prop_map(|(name, controller, default)| {
            json!({"kind": "IngressClass", "metadata": {"name": name, "annotations": {
                "ingressclass.kubernetes.io/is-default-class": default,
            }}, "spec": {"controller": controller}})
        });
    let controller = (
        one(&["Pod", "Deployment"]),
        one(&["--disable-catch-all", "--default-backend-service=default/s0", "--enable-ssl-passthrough"]),
    )
        .prop_map(|(kind, flag)| {
            let spec = json!({"containers": [{"args": ["/nginx-ingress-controller", "--configmap=edge/conf", flag]}]});
            let spec = if kind == "Pod" { spec } else { json!({"template": {"spec": spec}}) };
            json!({"kind": kind, "metadata": {"name": "c", "namespace": "edge"}, "spec": spec})
        });
    prop_oneof![3 => service, 3 => pod, 1 => map, 1 => settings, 1 => class, 1 => controller]
}

#[derive(Clone, Debug)]
enum Change {
    Apply(Value),
    /// The object of this number among those that are there.
    Remove(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => ingress().prop_map(Change::Apply),
        4 => surroundings().prop_map(Change::Apply),
        2 => any::<usize>().prop_map(Change::Remove),
    ]
}

fn make(cluster: &mut Cluster, change: &Change) -> Touched {
    match change {
        Change::Apply(manifest) => {
            let kind: Kind = manifest["kind"].as_str().unwrap().parse().unwrap();
            cluster.apply(kind.deserialize(manifest.clone()).unwrap()).touched
        }
        Change::Remove(at) => {
            let there: Vec<ObjectRef> = cluster.objects().map(svc_model::Object::reference).collect();
            if there.is_empty() { Touched::default() } else { cluster.remove(&there[at % there.len()]).touched }
        }
    }
}

fn answers(controller: &IngressController) -> Vec<String> {
    let hosts = ["a.example", "www.a.example", "b.example", "alias.example", "q.example", "www.b.example", "10.0.0.1"];
    let schemes = [Scheme::Http, Scheme::Https];
    let mut answers = vec![format!("{:?} {:?}", controller.dialect(), controller.flags())];
    for (host, scheme) in hosts.iter().flat_map(|host| schemes.map(|scheme| (host, scheme))) {
        for path in ["/", "/x", "/x/", "/x/y", "/zz"] {
            let question = HttpQuestion::new(scheme, host, path);
            let candidates = controller.candidates(&question);
            answers.push(format!("{question:?} {:?} {candidates:?}", controller.decide(&question)));
        }
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_controller_that_follows_its_cluster_is_the_one_made_anew(
        batches in proptest::collection::vec(proptest::collection::vec(change(), 1..4), 1..12),
    ) {
        let mut cluster = Cluster::new();
        let mut followers = ["nginx", "edge"].map(|class| (class, IngressController::compile(&cluster, class).unwrap()));
        for batch in &batches {
            let mut touched = Touched::default();
            for change in batch {
                touched.extend(make(&mut cluster, change));
            }
            for (class, follower) in &mut followers {
                let updated = follower.update(&cluster, &touched);
                match IngressController::compile(&cluster, class) {
                    Ok(anew) => {
                        prop_assert_eq!(updated, Ok(()));
                        for (followed, made) in answers(follower).iter().zip(&answers(&anew)) {
                            prop_assert_eq!(followed, made, "class {}", class);
                        }
                    }
                    Err(error) => prop_assert_eq!(updated, Err(error)),
                }
            }
        }
    }
}
