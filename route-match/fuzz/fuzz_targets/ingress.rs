//! Whole manifests and annotation values, then requests: nothing panics, what is decided first among the candidates is what a
//! scan finds first, and a controller that followed the change is the one made anew.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use route_match::ingress::{Cause, HttpQuestion, IngressController, Scheme, check};
use svc_model::Cluster;
use svc_model::api::{HttpIngressPath, HttpIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, Service};

#[derive(Arbitrary, Debug)]
struct Input {
    ingresses: Vec<(String, Vec<(Key, String)>, Vec<(String, Option<String>, String)>)>,
    requests: Vec<(bool, String, String, Option<String>, Vec<(String, Vec<u8>)>)>,
}

#[derive(Arbitrary, Debug)]
enum Key {
    Known(u8),
    Other(String),
}

const KEYS: [&str; 16] = [
    "rewrite-target", "use-regex", "canary", "canary-weight", "canary-by-header", "canary-by-header-pattern", "canary-by-cookie",
    "server-alias", "enable-cors", "cors-allow-origin", "app-root", "upstream-vhost", "upstream-hash-by", "permanent-redirect",
    "allowlist-source-range", "from-to-www-redirect",
];

fuzz_target!(|input: Input| {
    let mut web = Service::default();
    web.metadata.name = "web".into();
    web.spec.type_ = "ExternalName".into();
    web.spec.external_name = "web.example".into();
    let mut cluster = Cluster::from_iter([web]);
    let mut follower = IngressController::compile(&cluster, "nginx").expect("no class is known, so any is");
    for (name, annotations, rules) in &input.ingresses {
        let mut ingress = Ingress::default();
        ingress.metadata.name = name.clone();
        for (key, value) in annotations {
            let key = match key {
                Key::Known(at) => KEYS[usize::from(*at) % KEYS.len()],
                Key::Other(key) => key,
            };
            ingress.metadata.annotations.insert(format!("nginx.ingress.kubernetes.io/{key}"), value.clone());
        }
        for (host, path_type, path) in rules {
            let mut service = IngressServiceBackend { name: "web".into(), ..Default::default() };
            service.port.number = 80;
            let backend = IngressBackend { service: Some(service), ..Default::default() };
            let path = HttpIngressPath { path: path.clone(), path_type: path_type.clone(), backend };
            ingress.spec.rules.push(IngressRule { host: host.clone(), http: Some(HttpIngressRuleValue { paths: vec![path] }) });
        }
        let touched = cluster.apply(ingress).touched;
        follower.update(&cluster, &touched).expect("no class is known, so any is");
    }
    let controller = IngressController::compile(&cluster, "nginx").expect("no class is known, so any is");
    check::cluster(&cluster);
    for (https, host, path, query, headers) in &input.requests {
        let scheme = if *https { Scheme::Https } else { Scheme::Http };
        let mut question = HttpQuestion::new(scheme, host, path).headers(headers);
        question.query = query.as_deref();
        let decision = controller.decide(&question);
        assert_eq!(decision, follower.decide(&question));
        let refused = matches!(decision.reason.cause, Cause::BadHost(_) | Cause::BadPath(_));
        let first = controller.candidates(&question).first().map(|candidate| candidate.path);
        assert!(refused || first == decision.reason.path, "{decision}");
    }
});
