//! What people read of Istio, to the letter: the walk of `examples/manifests/istio`.

mod common;

use common::{MANIFESTS, on, run, text};
use expect_test::{Expect, expect};

fn check(args: &[&str], expected: Expect) {
    expected.assert_eq(&on("istio", args));
}

const EGRESS: &str = "http://istio-egressgateway.istio-system.svc.cluster.local/baidu";

#[test]
fn an_ingress_gateway_takes_one_path_of_any_host() {
    let to = "IstioGateway/istio-system/sptest-gateway";
    check(
        &["http", "http://106.15.5.10/sleep", "--to", to],
        expect![[r#"
            http://106.15.5.10/sleep -> Service/default/sptest port 6666
              1. VirtualService/istio-system/sptestvs rule 0 (host *, exact /sleep), the first that takes the request
              2. Service/default/sptest port 6666 is at 10.244.1.1:6666, 10.244.1.2:6666
        "#]],
    );
    check(
        &["http", "http://106.15.5.10/sleep/", "--to", to],
        expect![[r#"
        http://106.15.5.10/sleep/ -> 404
          1. virtual host * has no rule that takes the request, and no other is asked
    "#]],
    );
}

#[test]
fn curl_walks_from_outside_through_the_ingress_gateway() {
    let resolve = "shop.example.com:80:203.0.113.10";
    check(
        &["curl", "http://shop.example.com/sleep", "--resolve", resolve],
        expect![[r#"
        http://shop.example.com/sleep: Pod/default/sptest-deployment-0 port 6666
          1. client: outside of the cluster — no --from
          2. name: shop.example.com is 203.0.113.10 — --resolve
          3. packet: 198.51.100.7 -> 203.0.113.10:80 TCP: dnat to 1 endpoint (seen from node worker) — load balancer address of Service/istio-system/istio-ingressgateway port http2: externalTrafficPolicy is Cluster; 1 ready endpoint, source address replaced (masquerade) (assumed Pods) (manifests/istio/10-ingress.yaml:27)
          4. endpoint: 10.244.1.4:8080 — the only one
          5. proxy: Pod/istio-system/istio-ingressgateway-deployment-0 port 8080 is a gateway of Istio's, IstioGateway/istio-system/sptest-gateway — the selector of the Gateway fits its labels (manifests/istio/10-ingress.yaml:7)
          6. route: Service/default/sptest port 6666 — VirtualService/istio-system/sptestvs rule 0 (host *, exact /sleep), the first that takes the request (manifests/istio/10-ingress.yaml:15)
          7. endpoint: Service/default/sptest -> 10.244.1.1:6666 — 2 endpoints; this one for example (manifests/istio/10-ingress.yaml:46)
    "#]],
    );
}

#[test]
fn without_a_sidecar_the_egress_gateway_sends_out() {
    check(
        &["curl", EGRESS, "-H", "Host: www.baidu.com", "--from", "plain"],
        expect![[r#"
        http://istio-egressgateway.istio-system.svc.cluster.local/baidu: www.baidu.com:80, which the manifests do not describe
           1. client: Pod/default/plain at 10.244.1.201 on worker — --from plain (manifests/istio/00-cluster.yaml:27)
           2. lookup: istio-egressgateway.istio-system.svc.cluster.local.default.svc.cluster.local. — NXDOMAIN (no name of a cluster has this form)
           3. lookup: istio-egressgateway.istio-system.svc.cluster.local.svc.cluster.local. — NXDOMAIN (no name of a cluster has this form)
           4. lookup: istio-egressgateway.istio-system.svc.cluster.local.cluster.local. — NXDOMAIN (no name of a cluster has this form)
           5. lookup: istio-egressgateway.istio-system.svc.cluster.local. — 10.96.0.80 (Service/istio-system/istio-egressgateway has a cluster IP)
           6. name: istio-egressgateway.istio-system.svc.cluster.local is 10.96.0.80 — 4 names, 8 questions (A and AAAA each); 4 dots are fewer than ndots:5, so the search list goes first; asking for istio-egressgateway.istio-system.svc.cluster.local. costs 2, and so does the name as it is with ndots:4
           7. packet: 10.244.1.201 -> 10.96.0.80:80 TCP: dnat to 1 endpoint (seen from node worker) — cluster IP of Service/istio-system/istio-egressgateway port http2: 1 ready endpoint (assumed Pods) (manifests/istio/20-egress.yaml:45)
           8. endpoint: 10.244.1.3:8080 — the only one
           9. proxy: Pod/istio-system/istio-egressgateway-deployment-0 port 8080 is a gateway of Istio's, IstioGateway/default/istio-egressgateway — the selector of the Gateway fits its labels (manifests/istio/20-egress.yaml:7)
          10. route: ServiceEntry/default/baidu port 80, path rewritten to / — VirtualService/default/test-egress-gateway rule 0 (host www.baidu.com, exact /baidu), the first that takes the request (manifests/istio/20-egress.yaml:15)
          11. endpoint: ServiceEntry/default/baidu -> www.baidu.com:80 — the only one (manifests/istio/20-egress.yaml:36)
    "#]],
    );
}

#[test]
fn a_sidecar_goes_by_the_rules_that_hold_in_the_mesh_as_well() {
    check(
        &["curl", EGRESS, "-H", "Host: www.baidu.com", "--from", "tool"],
        expect![[r#"
        http://istio-egressgateway.istio-system.svc.cluster.local/baidu: www.baidu.com:80, which the manifests do not describe
          1. client: Pod/default/tool at 10.244.1.200 on worker — --from tool (manifests/istio/00-cluster.yaml:18)
          2. lookup: istio-egressgateway.istio-system.svc.cluster.local.default.svc.cluster.local. — NXDOMAIN (no name of a cluster has this form)
          3. lookup: istio-egressgateway.istio-system.svc.cluster.local.svc.cluster.local. — NXDOMAIN (no name of a cluster has this form)
          4. lookup: istio-egressgateway.istio-system.svc.cluster.local.cluster.local. — NXDOMAIN (no name of a cluster has this form)
          5. lookup: istio-egressgateway.istio-system.svc.cluster.local. — 10.96.0.80 (Service/istio-system/istio-egressgateway has a cluster IP)
          6. name: istio-egressgateway.istio-system.svc.cluster.local is 10.96.0.80 — 4 names, 8 questions (A and AAAA each); 4 dots are fewer than ndots:5, so the search list goes first; asking for istio-egressgateway.istio-system.svc.cluster.local. costs 2, and so does the name as it is with ndots:4
          7. sidecar: takes what Pod/default/tool sends — the label istio-injection of its namespace says so (manifests/istio/00-cluster.yaml:18)
          8. route: ServiceEntry/default/baidu port 80, path rewritten to / — VirtualService/default/test-egress-gateway rule 0 (host www.baidu.com, exact /baidu), the first that takes the request (manifests/istio/20-egress.yaml:15)
          9. endpoint: ServiceEntry/default/baidu -> www.baidu.com:80 — the only one (manifests/istio/20-egress.yaml:36)
    "#]],
    );
}

#[test]
fn curl_walks_through_sidecar_and_egress_gateway() {
    check(
        &["curl", "http://api.partner.example/orders", "--from", "tool"],
        expect![[r#"
        http://api.partner.example/orders: api.partner.example:80, which the manifests do not describe
          1. client: Pod/default/tool at 10.244.1.200 on worker — --from tool (manifests/istio/00-cluster.yaml:18)
          2. name: api.partner.example has no address here — the name is for servers outside of the cluster; give its address with --resolve api.partner.example:80:ADDRESS; the sidecar goes by the Host
          3. sidecar: takes what Pod/default/tool sends — the label istio-injection of its namespace says so (manifests/istio/00-cluster.yaml:18)
          4. route: Service/istio-system/istio-egressgateway port 80 — VirtualService/default/partner-through-egress rule 0 (host api.partner.example, text prefix /), the first that takes the request (manifests/istio/30-partner.yaml:14)
          5. endpoint: Service/istio-system/istio-egressgateway -> 10.244.1.3:8080 — the only one (manifests/istio/20-egress.yaml:45)
          6. proxy: Pod/istio-system/istio-egressgateway-deployment-0 port 8080 is a gateway of Istio's, IstioGateway/default/istio-egressgateway — the selector of the Gateway fits its labels (manifests/istio/20-egress.yaml:7)
          7. route: ServiceEntry/default/partner port 80 — VirtualService/default/partner-through-egress rule 1 (host api.partner.example, text prefix /), the first that takes the request (manifests/istio/30-partner.yaml:14)
          8. endpoint: ServiceEntry/default/partner -> api.partner.example:80 — the only one (manifests/istio/30-partner.yaml:5)
    "#]],
    );
}

#[test]
fn connections_and_requests_to_what_is_outside_of_the_cluster() {
    check(
        &["tcp", "mysqldb.svc.remote:3306", "--to", "mesh", "--from", "tool"],
        expect![[r#"
            mysqldb.svc.remote:3306 -> ServiceEntry/default/mysqldb subset v1 port 3306
              1. ServiceEntry/default/mysqldb subset v1 port 3306 is at 139.196.230.106:3306
              2. ServiceEntry/default/mysqldb subset v1 port 3306 is called as DestinationRule/default/mysqldb says
              3. VirtualService/default/mysqldb rule 0, for connections to mysqldb.svc.remote
        "#]],
    );
    check(
        &["http", "http://xxx.example.com:7777/hello", "--to", "mesh", "--from", "tool"],
        expect![[r#"
            http://xxx.example.com:7777/hello -> ServiceEntry/default/vmentry port 7777
              1. no VirtualService (host xxx.example.com, text prefix /), the first that takes the request
              2. ServiceEntry/default/vmentry port 7777 is at 139.196.230.204:7777
        "#]],
    );
}

#[test]
fn the_sidecar_of_a_workload_is_asked_by_its_name() {
    check(
        &["http", "http://www.baidu.com/other", "--to", "mesh", "--from", "deploy/sptest"],
        expect![[r#"
        http://www.baidu.com/other -> 404
          1. virtual host www.baidu.com has no rule that takes the request, and no other is asked
    "#]],
    );
}

#[test]
fn check_finds_no_error() {
    check(
        &["check"],
        expect![[r#"
        0 errors, 0 warnings
    "#]],
    );
}

#[test]
fn a_slip_in_who_is_asked_is_named() {
    let directory = format!("{MANIFESTS}/istio");
    let words = |to: &str| {
        let output = run(&["-f", directory.as_str(), "http", "http://a/", "--to", to], "");
        assert_eq!(output.status.code(), Some(2));
        text(&output.stderr)
    };
    for slip in ["IstioGateway/istio-system/sptest-gatway", "Gateway/istio-system/sptest-gateway"] {
        let near = words(slip);
        assert!(near.contains("did you mean IstioGateway/istio-system/sptest-gateway?"), "{near}");
    }
    let form = words("IstioGatway/a/b");
    assert!(form.contains("IstioGateway/NAMESPACE/NAME"), "{form}");
}
