//! What people read, to the letter: the shop of `examples/manifests/shop`.

mod common;

use common::on_shop;
use expect_test::{Expect, expect};

fn check(args: &[&str], expected: Expect) {
    expected.assert_eq(&on_shop(args));
}

#[test]
fn curl_walks_from_a_pod_through_the_ingress_controller() {
    let resolve = "shop.example.com:443:203.0.113.10";
    check(
        &["curl", "https://shop.example.com/cart", "--from", "shop/debug", "--resolve", resolve],
        expect![[r#"
            https://shop.example.com/cart: Pod/shop/cart-deployment-0 port 8080
               1. client: Pod/shop/debug at 10.244.1.200 on worker-a — --from shop/debug (manifests/shop/11-debug.yaml:5)
               2. lookup: shop.example.com.shop.svc.cluster.local. — NXDOMAIN (no Service com in namespace shop)
               3. lookup: shop.example.com.svc.cluster.local. — NXDOMAIN (no namespace com)
               4. lookup: shop.example.com.cluster.local. — NXDOMAIN (no name of a cluster has this form)
               5. lookup: shop.example.com. — left to the servers the cluster's DNS forwards to
               6. name: shop.example.com is 203.0.113.10 — --resolve, in place of the servers outside; 4 names, 8 questions (A and AAAA each); 2 dots are fewer than ndots:5, so the search list goes first; asking for shop.example.com. costs 2, and so does the name as it is with ndots:2
               7. packet: 10.244.1.200 -> 203.0.113.10:443 TCP: dnat to 2 endpoints (seen from node worker-a) — load balancer address of Service/ingress-nginx/ingress-nginx-controller port https: externalTrafficPolicy is Local, but a Pod of the cluster may use any endpoint; 2 ready endpoints (assumed Pods) (manifests/shop/04-ingress-nginx.yaml:68)
               8. endpoint: 10.244.1.6:443 — each of 2 gets 50% of new connections; this one for example
               9. proxy: Pod/ingress-nginx/ingress-nginx-controller-deployment-0 port 443 runs ingress-nginx for IngressClass/nginx — its container's arguments
              10. TLS: server name shop.example.com: terminate with certificate Secret/shop/shop-tls — rule host shop.example.com of Ingress/shop/shop, whose tls entry for it names Secret/shop/shop-tls (manifests/shop/09-ingress.yaml:8)
              11. route: Service/shop/cart port 80 — Ingress/shop/shop rule 0: host shop.example.com, path prefix /cart, the most specific rule that matches (manifests/shop/09-ingress.yaml:19)
              12. endpoint: Service/shop/cart -> 10.244.1.8:8080 — 2 ready endpoints by turns; this one for example (assumed Pods) (manifests/shop/05-shop.yaml:85)
        "#]],
    );
}

#[test]
fn curl_walks_from_a_pod_to_a_service() {
    check(
        &["curl", "http://cart/items", "--from", "shop/debug"],
        expect![[r#"
            http://cart/items: Pod/shop/cart-deployment-0 port 8080
              1. client: Pod/shop/debug at 10.244.1.200 on worker-a — --from shop/debug (manifests/shop/11-debug.yaml:5)
              2. lookup: cart.shop.svc.cluster.local. — 10.96.1.3 (Service/shop/cart has a cluster IP) (assumed cluster IP)
              3. name: cart is 10.96.1.3 — 1 name, 2 questions (A and AAAA each)
              4. packet: 10.244.1.200 -> 10.96.1.3:80 TCP: dnat to 2 endpoints (seen from node worker-a) — cluster IP of Service/shop/cart port http: 2 ready endpoints, the same client keeps its endpoint for 600 s (ClientIP) (assumed cluster IP) (assumed Pods) (manifests/shop/05-shop.yaml:80)
              5. endpoint: 10.244.1.8:8080 — each of 2 gets 50% of new connections; this one for example
        "#]],
    );
}

#[test]
fn curl_walks_from_outside() {
    check(
        &["curl", "http://shop.example.com/", "--resolve", "shop.example.com:80:203.0.113.10"],
        expect![[r#"
            http://shop.example.com/: redirected (308) to https://shop.example.com
              1. client: outside of the cluster — no --from
              2. name: shop.example.com is 203.0.113.10 — --resolve
              3. node: worker-a — any node may get the packet; this one for example, --node chooses another
              4. packet: 198.51.100.7 -> 203.0.113.10:80 TCP: dnat to 1 endpoint (seen from node worker-a) — load balancer address of Service/ingress-nginx/ingress-nginx-controller port http: externalTrafficPolicy is Local; 1 ready endpoint on node worker-a (assumed Pods) (manifests/shop/04-ingress-nginx.yaml:68)
              5. endpoint: 10.244.1.6:80 — the only one
              6. proxy: Pod/ingress-nginx/ingress-nginx-controller-deployment-0 port 80 runs ingress-nginx for IngressClass/nginx — its container's arguments
              7. route: redirect 308 to https://shop.example.com — Ingress/shop/shop rule 0: host shop.example.com, path prefix /, the host has a certificate, so plain HTTP is redirected (ssl-redirect is on unless an annotation turns it off) (manifests/shop/09-ingress.yaml:19)
        "#]],
    );
}

#[test]
fn curl_of_a_wrong_name_says_what_was_meant() {
    check(
        &["curl", "http://crat/", "--from", "shop/debug"],
        expect![[r#"
            http://crat/: the cluster's DNS has no such name; did you mean cart?
              1. client: Pod/shop/debug at 10.244.1.200 on worker-a — --from shop/debug (manifests/shop/11-debug.yaml:5)
              2. lookup: crat.shop.svc.cluster.local. — NXDOMAIN (no Service crat in namespace shop)
              3. lookup: crat.svc.cluster.local. — NXDOMAIN (no namespace crat)
              4. lookup: crat.cluster.local. — NXDOMAIN (no name of a cluster has this form)
              5. lookup: crat. — left to the servers the cluster's DNS forwards to
        "#]],
    );
}

#[test]
fn curl_of_an_alias_that_leaves_the_cluster() {
    check(
        &["curl", "https://payments.partner/", "--from", "shop/debug"],
        expect![[r#"
            https://payments.partner/: the name is an alias that leads out of the cluster; give its address with --resolve payments.partner:443:ADDRESS
              1. client: Pod/shop/debug at 10.244.1.200 on worker-a — --from shop/debug (manifests/shop/11-debug.yaml:5)
              2. lookup: payments.partner.shop.svc.cluster.local. — NXDOMAIN (no Service partner in namespace shop)
              3. lookup: payments.partner.svc.cluster.local. — api.payments.example. (Service/partner/payments is an ExternalName for api.payments.example.)
        "#]],
    );
}

#[test]
fn curl_of_bare_tcp() {
    check(
        &["curl", "tcp://redis-0.redis.data:6379", "--from", "shop/debug"],
        expect![[r#"
            tcp://redis-0.redis.data:6379: Pod/data/redis-0 port 6379
              1. client: Pod/shop/debug at 10.244.1.200 on worker-a — --from shop/debug (manifests/shop/11-debug.yaml:5)
              2. lookup: redis-0.redis.data.shop.svc.cluster.local. — NXDOMAIN (no Service data in namespace shop)
              3. lookup: redis-0.redis.data.svc.cluster.local. — 10.244.1.2 (ready endpoint of Service/data/redis) (assumed Pods)
              4. name: redis-0.redis.data is 10.244.1.2 — 2 names, 4 questions (A and AAAA each); 2 dots are fewer than ndots:5, so the search list goes first; asking for redis-0.redis.data.svc.cluster.local. costs 2
              5. packet: 10.244.1.200 -> 10.244.1.2:6379 TCP: accept (seen from node worker-a) — no Service owns this address and port; the packet goes on unchanged; it is the address of Pod/data/redis-0 (assumed)
        "#]],
    );
}

#[test]
fn connect_to_a_service_by_name() {
    check(
        &["connect", "shop/debug", "svc/web.shop:http"],
        expect![[r#"
            10.244.1.200 -> 10.96.1.6:80 TCP: dnat to 3 endpoints (seen from node worker-a)
              1. cluster IP of Service/shop/web port http: 3 ready endpoints (assumed cluster IP) (assumed Pods) (manifests/shop/05-shop.yaml:38)
              2. 33.3% to 10.244.1.11:8080 Pod/shop/web-deployment-0 on worker-a
              3. 33.3% to 10.244.1.12:8080 Pod/shop/web-deployment-2 on worker-a
              4. 33.3% to 10.244.2.10:8080 Pod/shop/web-deployment-1 on worker-b
        "#]],
    );
}

#[test]
fn connect_to_a_node_port_from_outside() {
    check(
        &["--node", "worker-b", "connect", "198.51.100.7", "192.0.2.12:30080"],
        expect![[r#"
            198.51.100.7 -> 192.0.2.12:30080 TCP: dnat to 2 endpoints
              1. node port 30080 of Service/edge/status port http: externalTrafficPolicy is Cluster; 2 ready endpoints, source address replaced (masquerade) (assumed Pods) (manifests/shop/07-edge.yaml:29)
              2. 50% to 10.244.1.5:8080 Pod/edge/status-deployment-0 on worker-a, masqueraded
              3. 50% to 10.244.2.4:8080 Pod/edge/status-deployment-1 on worker-b, masqueraded
        "#]],
    );
}

#[test]
fn lookup_tells_what_it_costs() {
    check(
        &["lookup", "redis.data", "--from", "shop/debug"],
        expect![[r#"
            redis.data in Pod/shop/debug: found as redis.data.svc.cluster.local.
              1. redis.data.shop.svc.cluster.local. — NXDOMAIN (no Service data in namespace shop)
              2. redis.data.svc.cluster.local. — 10.244.1.2, 10.244.2.2, 10.244.1.3 (Service/data/redis is headless: its 3 ready endpoints) (assumed Pods)
              3. 2 names, 4 questions (A and AAAA each); 1 dot is fewer than ndots:5, so the search list goes first; asking for redis.data.svc.cluster.local. costs 2 (assumed Pods)
        "#]],
    );
    check(
        &["lookup", "www.example.com", "--from", "shop/debug"],
        expect![[r#"
            www.example.com in Pod/shop/debug: left to servers elsewhere
              1. www.example.com.shop.svc.cluster.local. — NXDOMAIN (no Service com in namespace shop)
              2. www.example.com.svc.cluster.local. — NXDOMAIN (no namespace com)
              3. www.example.com.cluster.local. — NXDOMAIN (no name of a cluster has this form)
              4. www.example.com. — left to the servers the cluster's DNS forwards to
              5. 4 names, 8 questions (A and AAAA each); 2 dots are fewer than ndots:5, so the search list goes first; asking for www.example.com. costs 2, and so does the name as it is with ndots:2
        "#]],
    );
}

#[test]
fn resolv_and_dns() {
    check(
        &["resolv", "deploy/web", "-n", "shop"],
        expect![[r#"
            # Pod/shop/web-deployment-0: dnsPolicy is not set, which means ClusterFirst
            nameserver 10.96.0.10
            search shop.svc.cluster.local svc.cluster.local cluster.local
            options ndots:5
        "#]],
    );
    check(
        &["dns", "web.shop.svc.cluster.local"],
        expect![[r#"
            ;; ->>HEADER<<- opcode: QUERY, status: NOERROR
            ;; flags: qr aa; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 0

            ;; QUESTION SECTION:
            ;web.shop.svc.cluster.local. IN A

            ;; ANSWER SECTION:
            web.shop.svc.cluster.local. 30 IN A 10.96.1.6

            ;; reason: Service/shop/web has a cluster IP (assumed cluster IP)
        "#]],
    );
    check(
        &["dns", "nobody.shop.svc.cluster.local"],
        expect![[r#"
            ;; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN
            ;; flags: qr aa; QUERY: 1, ANSWER: 0, AUTHORITY: 1, ADDITIONAL: 0

            ;; QUESTION SECTION:
            ;nobody.shop.svc.cluster.local. IN A

            ;; AUTHORITY SECTION:
            cluster.local. 30 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 30

            ;; reason: no Service nobody in namespace shop
        "#]],
    );
}

#[test]
fn lookup_by_other_resolvers_and_of_dearer_names() {
    check(
        &["lookup", "redis.data", "--from", "shop/debug", "--resolver", "musl"],
        expect![[r#"
        redis.data in Pod/shop/debug: found as redis.data.svc.cluster.local.
          1. redis.data.shop.svc.cluster.local. — NXDOMAIN (no Service data in namespace shop)
          2. redis.data.svc.cluster.local. — 10.244.1.2, 10.244.2.2, 10.244.1.3 (Service/data/redis is headless: its 3 ready endpoints) (assumed Pods)
          3. 2 names, 4 questions (A and AAAA each); 1 dot is fewer than ndots:5, so the search list goes first; asking for redis.data.svc.cluster.local. costs 2 (assumed Pods)
    "#]],
    );
    check(
        &["lookup", "cart.shop.svc.cluster.local", "--from", "shop/debug"],
        expect![[r#"
        cart.shop.svc.cluster.local in Pod/shop/debug: found as cart.shop.svc.cluster.local.
          1. cart.shop.svc.cluster.local.shop.svc.cluster.local. — NXDOMAIN (no name of a cluster has this form)
          2. cart.shop.svc.cluster.local.svc.cluster.local. — NXDOMAIN (no name of a cluster has this form)
          3. cart.shop.svc.cluster.local.cluster.local. — NXDOMAIN (no name of a cluster has this form)
          4. cart.shop.svc.cluster.local. — 10.96.1.3 (Service/shop/cart has a cluster IP) (assumed cluster IP)
          5. 4 names, 8 questions (A and AAAA each); 4 dots are fewer than ndots:5, so the search list goes first; asking for cart costs 2, and so does the name as it is with ndots:4 (assumed cluster IP)
    "#]],
    );
    check(
        &["lookup", "cart", "--from", "shop/debug", "--output", "json"],
        expect![[r#"
        {
          "tries": [
            "cart.shop.svc.cluster.local."
          ],
          "outcome": "found",
          "queries": 2,
          "reason": "1 name, 2 questions (A and AAAA each) (assumed cluster IP)"
        }
    "#]],
    );
    check(
        &["lookup", "www.example.com", "--from", "shop/debug", "--output", "json"],
        expect![[r#"
        {
          "tries": [
            "www.example.com.shop.svc.cluster.local.",
            "www.example.com.svc.cluster.local.",
            "www.example.com.cluster.local.",
            "www.example.com."
          ],
          "outcome": "left to servers elsewhere",
          "queries": 8,
          "suggestion": {
            "name": "www.example.com.",
            "queries": 2,
            "ndots": 2
          },
          "reason": "4 names, 8 questions (A and AAAA each); 2 dots are fewer than ndots:5, so the search list goes first; asking for www.example.com. costs 2, and so does the name as it is with ndots:2"
        }
    "#]],
    );
}

#[test]
fn dns_is_asked_and_printed_as_with_dig() {
    check(
        &["dns", "SRV", "_redis._tcp.redis.data.svc.cluster.local"],
        expect![[r#"
        ;; ->>HEADER<<- opcode: QUERY, status: NOERROR
        ;; flags: qr aa; QUERY: 1, ANSWER: 3, AUTHORITY: 0, ADDITIONAL: 3

        ;; QUESTION SECTION:
        ;_redis._tcp.redis.data.svc.cluster.local. IN SRV

        ;; ANSWER SECTION:
        _redis._tcp.redis.data.svc.cluster.local. 30 IN SRV 0 33 6379 redis-0.redis.data.svc.cluster.local.
        _redis._tcp.redis.data.svc.cluster.local. 30 IN SRV 0 33 6379 redis-1.redis.data.svc.cluster.local.
        _redis._tcp.redis.data.svc.cluster.local. 30 IN SRV 0 33 6379 redis-2.redis.data.svc.cluster.local.

        ;; ADDITIONAL SECTION:
        redis-0.redis.data.svc.cluster.local.     30 IN A   10.244.1.2
        redis-1.redis.data.svc.cluster.local.     30 IN A   10.244.2.2
        redis-2.redis.data.svc.cluster.local.     30 IN A   10.244.1.3

        ;; reason: port of Service/data/redis (assumed Pods)
    "#]],
    );
    check(
        &["dns", "redis.data.svc.cluster.local", "--short"],
        expect![[r#"
        10.244.1.2
        10.244.2.2
        10.244.1.3
    "#]],
    );
    check(
        &["dns", "payments.partner.svc.cluster.local", "aaaa", "--short"],
        expect![[r#"
        api.payments.example.
    "#]],
    );
    check(
        &["dns", "-x", "10.96.1.6"],
        expect![[r#"
        ;; ->>HEADER<<- opcode: QUERY, status: NOERROR
        ;; flags: qr aa; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 0

        ;; QUESTION SECTION:
        ;6.1.96.10.in-addr.arpa. IN PTR

        ;; ANSWER SECTION:
        6.1.96.10.in-addr.arpa. 30 IN PTR web.shop.svc.cluster.local.

        ;; reason: 10.96.1.6 belongs to Service/shop/web (assumed cluster IP)
    "#]],
    );
    check(
        &["-q", "dns", "web.shop.svc.cluster.local"],
        expect![[r#"
        web.shop.svc.cluster.local. A: NOERROR, 1 record
    "#]],
    );
}

#[test]
fn dns_of_a_wrong_name_says_what_was_meant() {
    for (name, reason) in [
        ("crat.shop.svc.cluster.local", "no Service crat in namespace shop; did you mean cart.shop?"),
        ("cart.shpo.svc.cluster.local", "no namespace shpo; did you mean cart.shop?"),
        ("cart.shop", "in no zone of this cluster; did you mean cart.shop.svc.cluster.local?"),
    ] {
        let said = on_shop(&["dns", name]);
        assert_eq!(said.lines().last(), Some(&*format!(";; reason: {reason}")), "{name}");
    }
}

#[test]
fn http_and_tls_ask_the_controller() {
    check(
        &["http", "https://shop.example.com/cart/1", "--to", "IngressClass/nginx"],
        expect![[r#"
            https://shop.example.com/cart/1 -> Service/shop/cart port 80
              1. Ingress/shop/shop rule 0: host shop.example.com, path prefix /cart, the most specific rule that matches (assumed Pods)
        "#]],
    );
    check(
        &["tls", "www.shop.example.com", "--to", "IngressClass/nginx"],
        expect![[r#"
            www.shop.example.com: terminate with certificate Secret/shop/shop-tls
              1. there is no rule host www.shop.example.com; wildcard *.shop.example.com used: rule host *.shop.example.com of Ingress/shop/shop, whose tls entry for it names Secret/shop/shop-tls
        "#]],
    );
}

#[test]
fn tls_says_the_protocol_and_where_a_later_request_goes() {
    let alpn = ["--alpn", "http/1.1", "--alpn", "h2"];
    let asked = ["tls", "shop.example.com", "--to", "IngressClass/nginx", "--authority", "other.example"];
    check(
        &[&asked[..], &alpn].concat(),
        expect![[r#"
            shop.example.com: terminate with certificate Secret/shop/shop-tls
              1. rule host shop.example.com of Ingress/shop/shop, whose tls entry for it names Secret/shop/shop-tls
              2. agrees on the protocol h2
              3. a request for other.example on this connection goes by the routes
        "#]],
    );
}

#[test]
fn port_forward_to_a_service() {
    check(
        &["port-forward", "svc/web", "8080:http", "-n", "shop"],
        expect![[r#"
        Service/shop/web http -> Pod/shop/web-deployment-0 port 8080
          1. kubectl listens on port 8080 of this machine
          2. the connection passes the API server and the kubelet to the Pod's loopback address: no Service address, policy or balancing is involved (assumed Pod)
    "#]],
    );
    check(
        &["-q", "port-forward", "deploy/web", "8080", "-n", "shop"],
        expect![[r#"
            Pod/shop/web-deployment-0 8080 -> Pod/shop/web-deployment-0 port 8080
        "#]],
    );
}

#[test]
fn quiet_prints_the_verdict_only() {
    check(
        &["-q", "connect", "shop/debug", "10.96.0.10:53", "--protocol", "udp"],
        expect![[r#"
            10.244.1.200 -> 10.96.0.10:53 UDP: dnat to 2 endpoints (seen from node worker-a)
        "#]],
    );
}

#[test]
fn check_of_the_shop_has_no_error() {
    check(
        &["check"],
        expect![[r#"
            manifests/shop/04-ingress-nginx.yaml:68:1: warning: Service/ingress-nginx/ingress-nginx-controller spec.clusterIP: absent: answers rest on an assumed address
            manifests/shop/05-shop.yaml:38:1: warning: Service/shop/web spec.clusterIP: absent: answers rest on an assumed address
            manifests/shop/05-shop.yaml:80:1: warning: Service/shop/cart spec.clusterIP: absent: answers rest on an assumed address
            manifests/shop/05-shop.yaml:128:1: warning: Service/shop/checkout spec.clusterIP: absent: answers rest on an assumed address
            manifests/shop/05-shop.yaml:167:1: warning: Service/shop/search spec.clusterIP: absent: answers rest on an assumed address
            manifests/shop/07-edge.yaml:29:1: warning: Service/edge/status spec.clusterIP: absent: answers rest on an assumed address
            manifests/shop/07-edge.yaml:66:1: warning: Service/edge/devices spec.clusterIP: absent: answers rest on an assumed address
            0 errors, 7 warnings
        "#]],
    );
}
