//! Tables that follow a cluster.

use serde_json::{Value, json};
use svc_model::{Cluster, Touched};

use route_match::istio::IstioGatewayTable;

use crate::world::{ask, cluster, edge, gateway, object, server, to, told, virtual_service};

/// A cluster and the table that follows it.
struct Followed {
    cluster: Cluster,
    table: IstioGatewayTable,
}

impl Followed {
    fn new(objects: impl IntoIterator<Item = Value>) -> Self {
        let cluster = cluster(objects);
        let table = IstioGatewayTable::compile(&cluster, &edge()).unwrap();
        Self { cluster, table }
    }

    fn apply(&mut self, value: Value) {
        let touched = self.cluster.apply(object(value)).touched;
        self.table.update(&self.cluster, &touched).unwrap();
    }

    fn remove(&mut self, value: Value) {
        use svc_model::Object;
        let reference = Object::reference(&object(value));
        let touched = self.cluster.remove(&reference).touched;
        self.table.update(&self.cluster, &touched).unwrap();
    }

    fn told(&self, url: &str) -> String {
        told(&ask(&self.table, url, &[]))
    }
}

fn plain() -> Value {
    gateway(json!([server(80, "HTTP", json!(["*"]))]))
}

#[test]
fn a_destination_becomes_what_its_host_is() {
    let rules = json!([{"route": [{"destination": {"host": "s.team.svc.cluster.local"}}]}]);
    let mut followed = Followed::new([plain(), virtual_service("v", rules)]);
    let host = "s.team.svc.cluster.local";
    let service = |ports: Value| json!({"kind": "Service", "metadata": {"name": "s", "namespace": "team"}, "spec": {"ports": ports}});
    let entry = |namespace: &str, host: &str| {
        json!({"kind": "ServiceEntry", "metadata": {"name": "e", "namespace": namespace},
            "spec": {"hosts": [host], "ports": [{"number": 9090, "name": "http"}]}})
    };
    assert_eq!(followed.told("a/"), format!("v 0: 1 Host/{host} port 80"));
    followed.apply(entry("other", "*.svc.cluster.local"));
    assert_eq!(followed.told("a/"), "v 0: 1 ServiceEntry/other/e port 9090");
    followed.apply(service(json!([{"port": 8080}])));
    assert_eq!(followed.told("a/"), "v 0: 1 Service/team/s port 8080");
    followed.apply(service(json!([{"port": 8080, "name": "a"}, {"port": 81, "name": "b"}])));
    assert_eq!(followed.told("a/"), "v 0: 1 Service/team/s port 80");
    // One of the same name in the VirtualService's namespace goes first.
    followed.apply(entry("infra", host));
    assert_eq!(followed.told("a/"), "v 0: 1 ServiceEntry/infra/e port 9090");
    followed.remove(entry("infra", host));
    followed.remove(service(Value::Null));
    assert_eq!(followed.told("a/"), "v 0: 1 ServiceEntry/other/e port 9090");
}

#[test]
fn roots_follow_their_delegates() {
    let root = virtual_service("root", json!([{"delegate": {"name": "d"}}, {"route": to("rest")}]));
    let mut followed = Followed::new([plain(), root]);
    let delegate = |host: &str| {
        json!({"kind": "VirtualService", "metadata": {"name": "d", "namespace": "infra"},
            "spec": {"http": [{"route": to(host)}]}})
    };
    assert!(followed.told("a/").starts_with("root 1"));
    followed.apply(delegate("one"));
    assert!(followed.told("a/").contains("one.infra"));
    followed.apply(delegate("two"));
    assert!(followed.told("a/").contains("two.infra"));
    followed.remove(delegate("two"));
    assert!(followed.told("a/").starts_with("root 1"));
}

#[test]
fn the_proxys_pod_brings_gateways_and_a_namespace() {
    let other = json!({"kind": "Gateway", "metadata": {"name": "other", "namespace": "infra"},
        "spec": {"selector": {"tier": "front"}, "servers": [server(81, "HTTP", json!(["*"]))]}});
    let mut followed = Followed::new([plain(), other]);
    let pod = |labels: Value| json!({"kind": "Pod", "metadata": {"name": "p", "namespace": "x", "labels": labels}});
    assert_eq!(followed.table.servers().accepted.len(), 1);
    followed.apply(pod(json!({"app": "edge", "tier": "front"})));
    assert_eq!((followed.table.servers().accepted.len(), &*followed.table.proxy().namespace), (2, "x"));
    followed.apply(pod(json!({"app": "edge"})));
    assert_eq!(followed.table.servers().accepted.len(), 1);
    followed.remove(pod(Value::Null));
    assert_eq!(&*followed.table.proxy().namespace, "infra");
}

#[test]
fn a_table_that_its_gateway_leaves_says_so() {
    let mut followed = Followed::new([plain()]);
    let touched: Touched = followed.cluster.remove(&followed.table.gateway().clone()).touched;
    let error = followed.table.update(&followed.cluster, &touched).unwrap_err();
    assert_eq!(error.to_string(), "no Istio Gateway infra/edge; there is none");
}
