//! Walks and questions at the corners, each on a small world of its own.

use serde_json::{Value, json};
use svctrace::ask;
use svctrace::curl::Curl;
use svctrace::read::{Purpose, Reader};
use svctrace::world::World;

fn world(manifests: &str) -> World {
    let mut reader = Reader::new(Purpose::Answer);
    reader.text("world.yaml", manifests);
    let read = reader.finish();
    assert!(!read.unreadable, "{:?}", read.findings);
    World::new(read, None)
}

fn curl(world: &World, url: &str, from: Option<&str>, resolve: &[&str]) -> Value {
    let curl = Curl {
        url: url.to_owned(),
        from: from.map(str::to_owned),
        namespace: "default".to_owned(),
        resolve: resolve.iter().map(|entry| (*entry).to_owned()).collect(),
        ..Curl::default()
    };
    match curl.answer(world) {
        Ok(answer) => Value::Object(answer.json),
        Err(unusable) => json!({ "error": unusable.0 }),
    }
}

/// Where the walk ends, in words.
fn end(answer: &Value) -> &str {
    answer["reason"].as_str().or(answer["error"].as_str()).unwrap_or_default()
}

/// Two nodes, a client on the first, a web Pod on the second behind Services of several kinds.
const TWO_NODES: &str = "
{apiVersion: v1, kind: Node, metadata: {name: n1}, spec: {podCIDR: 10.244.1.0/24}, status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}, spec: {podCIDR: 10.244.2.0/24}, status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: cli}, spec: {nodeName: n1, containers: [{name: c, image: x}]}, status: {phase: Running, podIP: 10.244.1.9}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: n2, containers: [{name: c, image: x, ports: [{containerPort: 8080}]}]}
status: {phase: Running, podIP: 10.244.2.9, conditions: [{type: Ready, status: 'True'}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, clusterIP: 10.96.1.1, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]}
status: {loadBalancer: {ingress: [{ip: 203.0.113.10}]}}
---
apiVersion: v1
kind: Service
metadata: {name: proxied}
spec: {type: LoadBalancer, clusterIP: 10.96.1.3, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30083}]}
status: {loadBalancer: {ingress: [{ip: 203.0.113.13, ipMode: Proxy}]}}
";

#[test]
fn a_node_port_of_another_node_is_decided_there() {
    let world = world(TWO_NODES);
    for from in ["cli", "192.168.0.1"] {
        let answer = curl(&world, "http://192.168.0.2:30083/", Some(from), &[]);
        assert_eq!(end(&answer), "Pod/default/web port 8080", "{answer:#}");
    }
    let outside = curl(&world, "http://192.168.0.2:30083/", None, &[]);
    assert_eq!(end(&outside), "Pod/default/web port 8080");
}

#[test]
fn a_balancer_sends_to_nodes_with_an_endpoint_under_local() {
    let world = world(TWO_NODES);
    let answer = curl(&world, "http://web.example/", None, &["web.example:80:203.0.113.10"]);
    assert_eq!(end(&answer), "Pod/default/web port 8080", "{answer:#}");
    assert!(answer["steps"].to_string().contains("node: n2"));
}

#[test]
fn a_port_that_the_service_has_not_is_the_end() {
    let world = world(TWO_NODES);
    let answer = curl(&world, "tcp://web:81", Some("cli"), &[]);
    assert_eq!(
        (end(&answer), &answer["reached"]),
        ("Service/default/web has no port 81; it has 80 TCP (http)", &json!(false))
    );
}

#[test]
fn a_proxying_balancer_is_named() {
    let world = world(TWO_NODES);
    let answer = curl(&world, "http://x.example/", None, &["x.example:80:203.0.113.13"]);
    assert!(end(&answer).contains("the load balancer of Service/default/proxied"), "{answer:#}");
}

#[test]
fn what_is_given_goes_before_dns() {
    let world = world(TWO_NODES);
    let answer = curl(&world, "http://web/", Some("cli"), &["web:80:10.244.2.9"]);
    assert!(answer["steps"].to_string().contains("--resolve goes before DNS, which has 10.96.1.1"), "{answer:#}");
}

#[test]
fn an_undeclared_port_of_a_pod_is_remarked_on() {
    let world = world(TWO_NODES);
    let answer = curl(&world, "tcp://10.244.2.9:9999", Some("cli"), &[]);
    assert_eq!(end(&answer), "Pod/default/web port 9999, which none of its containers declares");
}

#[test]
fn a_pods_packet_is_seen_by_its_node_and_an_addresss_by_the_configured_one() {
    let manifests = format!(
        "{TWO_NODES}---\n{{apiVersion: kubeproxy.config.k8s.io/v1alpha1, kind: KubeProxyConfiguration, hostnameOverride: n2, clusterCIDR: 10.244.0.0/16}}\n"
    );
    let connect = |manifests: &str, src: &str| {
        let question = json!({"kind": "connect", "src": src, "dst": "192.168.0.2:30083"});
        let answer = ask::answer_value(&question, &world(manifests));
        answer["verdict"].as_str().or(answer["error"].as_str()).unwrap_or_default().to_owned()
    };
    assert_eq!(connect(&manifests, "default/cli"), "accept");
    assert_eq!(connect(&manifests, "10.244.1.9"), "dnat");
    assert!(connect(TWO_NODES, "10.244.1.9").contains("n1, n2"), "nothing chooses a node");
}

#[test]
fn keys_without_a_meaning_are_named() {
    let question = json!({"kind": "connect", "src": "10.1.1.1", "dst": "10.96.1.1:80", "prot": "UDP", "node": "n1"});
    assert_eq!(ask::answer_value(&question, &world(TWO_NODES))["ignored"], json!(["prot"]));
}

#[test]
fn families_do_not_mix() {
    let manifests = "
{apiVersion: v1, kind: Pod, metadata: {name: v6}, status: {phase: Running, podIP: 'fd00:1::9'}}
---
{apiVersion: v1, kind: Service, metadata: {name: both}, spec: {clusterIP: 10.96.1.1, clusterIPs: [10.96.1.1, 'fd00:10::1'], ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: four}, spec: {clusterIP: 10.96.1.2, ports: [{port: 80}]}}
";
    let world = world(manifests);
    let answer = curl(&world, "http://both/", Some("v6"), &[]);
    assert!(answer["steps"].to_string().contains("both is fd00:10::1"), "{answer:#}");
    let answer = curl(&world, "http://four/", Some("v6"), &[]);
    assert_eq!(end(&answer), "Pod/default/v6 has no IPv4 address to send from");
    let mixed = json!({"kind": "connect", "src": "fd00:1::9", "dst": "10.96.1.2:80"});
    assert!(ask::answer_value(&mixed, &world)["error"].as_str().unwrap().contains("different IP families"));
}

/// An ingress-nginx controller on the node's network, and a web server there too.
const CONTROLLER: &str = "
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: ctl, namespace: ingress-nginx, labels: {app: ing}}
spec:
  nodeName: n1
  containers:
  - {name: controller, image: x, args: [/nginx-ingress-controller, --ingress-class=nginx], ports: [{containerPort: 80}, {containerPort: 443}, {containerPort: 10254}]}
status: {phase: Running, podIP: 10.244.1.50, conditions: [{type: Ready, status: 'True'}]}
---
{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: internal}, spec: {controller: k8s.io/ingress-nginx}}
---
{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: nginx}, spec: {controller: k8s.io/ingress-nginx}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ingressClassName: nginx
  rules: [{host: shop.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.5.6, selector: {app: web}, ports: [{name: h3, port: 80, protocol: UDP, targetPort: 9999}, {name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {hostNetwork: true, containers: [{name: c, image: x, ports: [{containerPort: 8080}]}]}}
";

#[test]
fn a_controller_routes_to_the_tcp_port_of_a_host_network_pod() {
    let world = world(CONTROLLER);
    let answer = curl(&world, "http://shop.example.com/", None, &["shop.example.com:80:10.244.1.50"]);
    assert_eq!(end(&answer), "Pod/default/web-deployment-0 port 8080", "{answer:#}");
    assert!(answer["steps"].to_string().contains("IngressClass/nginx"), "not the other class of the controller");
}

#[test]
fn only_the_controllers_own_ports_route() {
    let world = world(CONTROLLER);
    let at = |url: &str| {
        let port = url.rsplit(':').next().unwrap().trim_end_matches('/');
        end(&curl(&world, url, None, &[&format!("shop.example.com:{port}:10.244.1.50")])).to_owned()
    };
    assert_eq!(at("http://shop.example.com:10254/"), "Pod/ingress-nginx/ctl port 10254");
    assert_eq!(at("http://shop.example.com:443/"), "the controller's TLS port answers plain HTTP with 400");
    assert_eq!(at("https://shop.example.com:80/"), "the controller's plain port cannot do TLS");
}

#[test]
fn workloads_are_found_by_their_owners_labels_or_not() {
    let world = world(
        "
{apiVersion: batch/v1, kind: Job, metadata: {name: pi}, spec: {template: {spec: {containers: [{name: pi, image: perl}], restartPolicy: Never}}}}
---
{apiVersion: batch/v1, kind: CronJob, metadata: {name: tick}, spec: {jobTemplate: {spec: {template: {metadata: {labels: {app: tick}}, spec: {containers: [{name: c, image: x}]}}}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: tick-123-x, labels: {app: tick}, ownerReferences: [{apiVersion: batch/v1, kind: Job, name: tick-123}]}, status: {phase: Running, podIP: 10.244.1.52}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web-canary}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-abc-1, labels: {app: web}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-abc}]}, status: {phase: Running, podIP: 10.244.1.50}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-canary-def-1, labels: {app: web}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-canary-def}]}, status: {phase: Running, podIP: 10.244.1.51}}
",
    );
    let pod = |name: &str| match world.pod(name, "default") {
        Ok(pod) => pod.metadata.name.clone(),
        Err(unusable) => unusable.0,
    };
    assert_eq!(pod("job/pi"), "pi-job-0");
    assert_eq!(pod("tick"), "tick-123-x");
    assert_eq!(pod("deploy/web"), "web-abc-1");
    assert_eq!(pod("deployment.apps/web-canary"), "web-canary-def-1");
    assert_eq!(
        pod("sts/web"),
        "no Pod or workload default/web",
        "that name is another kind's, and the rest are too many to list"
    );
}

#[test]
fn what_is_assumed_is_said_wherever_it_counts() {
    let world = world(
        "
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: all}, spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}}}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i}, spec: {rules: [{host: a.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}}
",
    );
    for question in [
        json!({"kind": "dns", "name": "web.default.svc.cluster.local", "type": "A"}),
        json!({"kind": "dns", "name": "all.default.svc.cluster.local", "type": "A"}),
        json!({"kind": "lookup", "pod": "default/web", "name": "web"}),
        json!({"kind": "env", "pod": "default/web"}),
        json!({"kind": "connect", "src": "10.1.1.1", "dst": "10.96.1.0:80"}),
        json!({"kind": "http", "url": "http://a.example/", "to": "IngressClass/nginx"}),
        json!({"kind": "port-forward", "to": "svc/default/web", "port": 80}),
    ] {
        let answer = ask::answer_value(&question, &world);
        assert!(answer["reason"].as_str().unwrap_or_default().contains("assumed"), "{question}: {answer}");
    }
}

#[test]
fn a_stranger_cannot_fill_memory_with_views_of_nodes_that_are_not() {
    let world = world(TWO_NODES);
    for i in 0..1_000 {
        let question = json!({"kind": "connect", "src": "10.1.1.1", "dst": "10.96.1.1:80", "node": format!("x{i}")});
        assert!(ask::answer_value(&question, &world)["verdict"].is_string());
    }
    assert!(world.views_kept() <= 32);
}

/// A Gateway with an address of its own, its proxy Pod, and a route to a Service of another namespace.
const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: infra}
spec:
  gatewayClassName: any
  listeners:
  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
  - {name: tcp, port: 9000, protocol: TCP, allowedRoutes: {namespaces: {from: All}}}
status: {addresses: [{value: 203.0.113.20}]}
---
{apiVersion: v1, kind: Pod, metadata: {name: edge-0, namespace: infra, labels: {gateway.networking.k8s.io/gateway-name: edge}}, spec: {containers: [{name: p, image: x}]}, status: {phase: Running, podIP: 10.244.3.3, conditions: [{type: Ready, status: 'True'}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: apps}
spec:
  parentRefs: [{name: edge, namespace: infra}]
  rules:
  - matches: [{path: {value: /shop}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]
    backendRefs: [{name: web, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: db, namespace: apps}
spec: {parentRefs: [{name: edge, namespace: infra}], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: apps}, spec: {selector: {app: web}, clusterIP: 10.96.7.7, ports: [{port: 80, targetPort: 8080}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: apps, labels: {app: web}}, spec: {containers: [{name: c, image: x}]}, status: {phase: Running, podIP: 10.244.3.4, conditions: [{type: Ready, status: 'True'}]}}
";

#[test]
fn a_walk_goes_through_the_gateway_that_has_the_address() {
    let world = world(GATEWAY);
    let resolve = ["shop.example:80:203.0.113.20", "shop.example:9000:203.0.113.20"];
    let answer = curl(&world, "http://shop.example/shop/cart", None, &resolve);
    assert!(end(&answer).contains("Pod/apps/web-0 port 8080"), "{answer}");
    let steps = answer["steps"].to_string();
    assert!(steps.contains("Gateway/infra/edge") && steps.contains("path rewritten to /cart"), "{steps}");
    let lost = curl(&world, "http://shop.example/else", None, &resolve);
    assert_eq!(end(&lost), "the Gateway answers 404");
    let stream = curl(&world, "tcp://shop.example:9000", None, &resolve);
    assert!(end(&stream).contains("Pod/apps/web-0"), "{stream}");
}

#[test]
fn a_walk_goes_on_through_the_proxy_pod_of_a_gateway() {
    let world = world(GATEWAY);
    let resolve = ["shop.example:80:10.244.3.3"];
    let answer = curl(&world, "http://shop.example/shop", Some("apps/web-0"), &resolve);
    assert!(answer["steps"].to_string().contains("is a proxy of Gateway/infra/edge"), "{answer}");
    assert_eq!(answer["reached"], true, "{answer}");
}

#[test]
fn the_status_of_gateways_and_routes_is_what_a_controller_reports() {
    let world = world(GATEWAY);
    let ask = |object: Value| ask::answer_value(&json!({"kind": "status", "object": object}), &world);
    let all = ask(Value::Null);
    assert_eq!(all["objects"].as_array().map(Vec::len), Some(3), "{all}");
    let gateway = ask(json!("Gateway/infra/edge"));
    assert_eq!(gateway["objects"][0]["listeners"][0]["attachedRoutes"], 1, "{gateway}");
    let route = ask(json!("HTTPRoute/apps/web"));
    let conditions = &route["objects"][0]["parents"][0]["conditions"];
    assert_eq!((&conditions[0]["type"], &conditions[0]["status"]), (&json!("Accepted"), &json!("True")), "{route}");
    assert!(ask(json!("HTTPRoute/apps/none"))["error"].is_string());
    assert!(ask(json!("Service/apps/web"))["error"].is_string());
}
