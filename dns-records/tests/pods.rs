//! What a Pod's files hold, and what a program in it asks.

mod world;

use dns_records::hosts::HostsFile;
use dns_records::kubernetes::{Capture, Lookup, Resolver, Server, ZoneSettings, check, hosts_file, resolv_conf};
use dns_records::resolv::ResolvConf;
use dns_records::search::{Outcome, ResolverKind};
use serde_json::{Value, json};
use svc_model::Cluster;
use svc_model::api::Pod;
use svc_model::check::{Finding, Level};
use world::{alias, cluster, kubernetes, pod, service, slice};

fn kubelet(value: Value) -> Value {
    let mut kubelet = json!({"kind": "KubeletConfiguration"});
    kubelet.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    kubelet
}

fn conf(cluster: &Cluster, key: &str, host: &str) -> String {
    let (namespace, name) = key.split_once('/').unwrap();
    let pod = cluster.get::<Pod>(namespace, name).unwrap();
    resolv_conf(cluster, pod, &host.parse().unwrap()).to_string().trim_end().replace('\n', "; ")
}

const HOST: &str = "nameserver 192.0.2.53\nsearch corp.example\noptions rotate\n";

#[test]
fn the_policy_and_the_network_of_a_pod_choose_its_servers() {
    let cluster = cluster([
        kubelet(json!({"clusterDNS": ["10.96.0.10", "x", "fd00:0::a"], "clusterDomain": "c.local"})),
        pod("a/plain", "", json!({})),
        pod("a/odd", "", json!({"dnsPolicy": "clusterfirst", "hostNetwork": true})),
        pod("a/host-net", "", json!({"hostNetwork": true})),
        pod("a/with-host-net", "", json!({"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"})),
        pod("a/default", "", json!({"dnsPolicy": "Default"})),
        pod("a/none", "", json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["x."]}})),
    ]);
    let of_cluster = "nameserver 10.96.0.10; nameserver fd00::a; search a.svc.c.local svc.c.local c.local corp.example; options ndots:5";
    let of_host = "nameserver 192.0.2.53; search corp.example; options rotate";
    for (name, expected) in [
        ("plain", of_cluster),
        ("odd", of_cluster),
        ("with-host-net", of_cluster),
        ("host-net", of_host),
        ("default", of_host),
        ("none", "nameserver 1.1.1.1; search x."),
    ] {
        assert_eq!(conf(&cluster, &format!("a/{name}"), HOST), expected, "{name}");
    }
}

#[test]
fn the_address_of_the_dns_service_is_guessed_only_without_a_kubelet_configuration() {
    let with = |more: Vec<Value>| cluster(more.into_iter().chain([pod("a/p", "", json!({}))]));
    let kube_dns = service("kube-system/kube-dns", &["10.0.0.53"], json!([]));
    let searches = "search a.svc.cluster.local svc.cluster.local cluster.local; options ndots:5";
    assert_eq!(conf(&with(vec![]), "a/p", ""), format!("nameserver 10.96.0.10; {searches}"));
    assert_eq!(conf(&with(vec![kube_dns.clone()]), "a/p", ""), format!("nameserver 10.0.0.53; {searches}"));
    assert_eq!(
        conf(&with(vec![kube_dns, kubelet(json!({}))]), "a/p", HOST),
        "nameserver 192.0.2.53; search corp.example; options rotate"
    );
    let no_domain = kubelet(json!({"clusterDNS": ["10.0.0.1"]}));
    assert_eq!(conf(&with(vec![no_domain]), "a/p", HOST), "nameserver 10.0.0.1; search corp.example; options ndots:5");
}

#[test]
fn an_empty_resolv_conf_key_means_loopback_of_the_pods_own_node() {
    let node = |name: &str, addr: &str| {
        json!({"kind": "Node", "metadata": {"name": name},
        "status": {"addresses": [{"type": "InternalIP", "address": addr}, {"type": "ExternalIP", "address": "192.0.2.1"}]}})
    };
    let objects = |nodes: Vec<Value>| {
        cluster(nodes.into_iter().chain([
            kubelet(json!({"resolvConf": ""})),
            pod("a/there", "", json!({"nodeName": "six"})),
            pod("a/nowhere", "", json!({})),
        ]))
    };
    let two = objects(vec![node("four", "10.0.0.1"), node("six", "fd00::1")]);
    assert_eq!(conf(&two, "a/there", HOST), "nameserver ::1; search .");
    assert_eq!(conf(&two, "a/nowhere", HOST), "nameserver 127.0.0.1; search .");
    assert_eq!(conf(&objects(vec![node("six", "fd00::1")]), "a/nowhere", HOST), "nameserver ::1; search .");
}

fn shop() -> Cluster {
    cluster([
        service("shop/cart", &["10.0.0.1"], json!([])),
        service("com/google", &["10.0.0.2"], json!([])),
        service("shop/none-yet", &[], json!([])),
        alias("shop/web", "www.example.com"),
        pod(
            "shop/p",
            "10.1.0.9",
            json!({"hostname": "Own", "subdomain": "sub",
            "hostAliases": [{"ip": "10.9.9.9", "hostnames": ["redis", "cart"]}, {"ip": "fd00::9", "hostnames": ["redis"]},
                {"ip": "nothing", "hostnames": ["x"]}]}),
        ),
    ])
}

fn look(cluster: &Cluster, name: &str, kind: ResolverKind) -> Lookup {
    let pod = cluster.get::<Pod>("shop", "p").unwrap();
    let conf = resolv_conf(cluster, pod, &ResolvConf::default());
    let client = pod.status.pod_ip.parse().ok();
    let (server, hosts) = (Server::of(cluster), hosts_file(cluster, pod));
    Resolver::new(&server, &conf).with_hosts(&hosts).with_kind(kind).with_client(client).lookup(name).unwrap()
}

fn tries(cluster: &Cluster, name: &str, kind: ResolverKind) -> Vec<String> {
    look(cluster, name, kind).tries.iter().map(ToString::to_string).collect()
}

#[test]
fn the_hosts_file_goes_before_every_question() {
    let shop = shop();
    let hosts =
        |name: &str| look(&shop, name, ResolverKind::Glibc).hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(hosts("REDIS"), ["10.9.9.9", "fd00::9"]);
    assert_eq!(hosts("cart"), ["10.9.9.9"]);
    assert_eq!(hosts("own"), ["10.1.0.9"]);
    assert_eq!(hosts("Own.sub.shop.svc.cluster.local"), ["10.1.0.9"]);
    assert_eq!(hosts("localhost"), ["127.0.0.1", "::1"]);
    assert!(tries(&shop, "cart", ResolverKind::Glibc).is_empty());
    // With a final dot, or by another form of its name, the Service is found.
    assert_eq!(tries(&shop, "cart.shop.svc.cluster.local.", ResolverKind::Glibc), ["cart.shop.svc.cluster.local."]);
    assert_eq!(tries(&shop, "cart.shop", ResolverKind::Glibc).len(), 2);
}

#[test]
fn a_pod_on_the_hosts_network_is_known_by_its_aliases_only() {
    let spec = json!({"hostNetwork": true, "hostAliases": [{"ip": "10.9.9.9", "hostnames": ["redis"]}]});
    let cluster = cluster([pod("a/p", "192.0.2.1", spec)]);
    let hosts: HostsFile = hosts_file(&cluster, cluster.get::<Pod>("a", "p").unwrap());
    assert_eq!(hosts.to_string(), "10.9.9.9\tredis\n");
}

#[test]
fn a_hostname_is_cut_to_a_label() {
    let name = format!("{}-x", "n".repeat(62));
    let cluster = cluster([pod(&format!("a/{name}"), "10.1.0.1", json!({}))]);
    let hosts = hosts_file(&cluster, cluster.get::<Pod>("a", &name).unwrap());
    assert_eq!(hosts.addresses(&"n".repeat(62)).count(), 1);
}

#[test]
fn a_lookup_ends_where_there_is_an_address_and_musl_where_there_is_a_name() {
    let shop = shop();
    assert_eq!(tries(&shop, "web", ResolverKind::Glibc), ["web.shop.svc.cluster.local."]);
    for (kind, count) in [(ResolverKind::Glibc, 4), (ResolverKind::Go, 4), (ResolverKind::Musl, 1)] {
        assert_eq!(tries(&shop, "none-yet", kind).len(), count, "{kind:?}");
    }
    let outside = look(&shop, "www.example.com", ResolverKind::Glibc);
    assert_eq!((outside.tries.len(), outside.outcome), (4, Outcome::Unknown));
    assert_eq!(look(&shop, "nobody.shop.svc.cluster.local.", ResolverKind::Glibc).outcome, Outcome::NotFound);
}

#[test]
fn cve_2022_2837_a_service_in_namespace_com_captures_a_host_and_is_warned_of() {
    let shop = shop();
    let found = look(&shop, "google.com", ResolverKind::Glibc);
    assert_eq!(
        found.tries.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["google.com.shop.svc.cluster.local.", "google.com.svc.cluster.local."]
    );
    assert_eq!((found.outcome, found.captured), (Outcome::Found, Some(Capture::Host)));
    let with_dot = look(&shop, "google.com.", ResolverKind::Glibc);
    assert_eq!((with_dot.tries[0].to_string().as_str(), with_dot.captured), ("google.com.", None));
    assert_eq!(look(&shop, "cart.shop.svc", ResolverKind::Glibc).captured, None);
    let warned: Vec<Finding> = check(&shop);
    let [finding] = warned.as_slice() else { panic!("{warned:?}") };
    assert_eq!(
        (finding.level, &*finding.object, &*finding.field),
        (Level::Warning, "Service/com/google", "metadata.name")
    );
    assert!(finding.message.contains("CVE-2022-2837"), "{}", finding.message);
}

#[test]
fn cve_2022_2835_a_namespace_svc_captures_services_and_is_warned_of() {
    let cluster = cluster([
        service("shop/api", &["10.0.0.1"], json!([])),
        service("svc/shop", &["None"], json!([])),
        slice("svc/shop", "IPv4", json!([]), json!([{"addresses": ["10.9.9.9"], "hostname": "api"}])),
        pod("shop/p", "10.1.0.9", json!({})),
    ]);
    let found = look(&cluster, "api.shop.svc", ResolverKind::Glibc);
    assert_eq!(found.tries.last().unwrap().to_string(), "api.shop.svc.svc.cluster.local.");
    assert_eq!(found.captured, Some(Capture::Service));
    assert_eq!(look(&cluster, "api.shop.svc.cluster.local.", ResolverKind::Glibc).captured, None);
    let warned: Vec<String> = check(&cluster).iter().map(ToString::to_string).collect();
    let [finding] = warned.as_slice() else { panic!("{warned:?}") };
    assert!(finding.starts_with("warning: Service/svc/shop metadata.name: `ENDPOINT.shop.svc`"), "{finding}");
    assert!(finding.ends_with("(CVE-2022-2835)"), "{finding}");
}

#[test]
fn a_lookup_knows_what_it_costs_and_what_would_be_cheaper() {
    let shop = shop();
    let pod = shop.get::<Pod>("shop", "p").unwrap();
    let (server, conf) = (Server::of(&shop), resolv_conf(&shop, pod, &"search corp.example".parse().unwrap()));
    let cost = |name: &str, kind: ResolverKind| {
        let resolver = Resolver::new(&server, &conf).with_kind(kind);
        let cheaper = resolver.cheaper(name).unwrap();
        let cheaper = cheaper.map(|cheaper| (cheaper.name, cheaper.queries, cheaper.ndots));
        (resolver.lookup(name).unwrap().queries(), cheaper)
    };
    let some = |name: &str, queries, ndots| Some((name.to_owned(), queries, ndots));
    for kind in [ResolverKind::Glibc, ResolverKind::Musl, ResolverKind::Go] {
        assert_eq!(cost("web", kind), (2, None));
        assert_eq!(cost("web.shop.svc.cluster.local.", kind), (2, None));
        // Every form of a name in the own namespace costs more than its first label.
        assert_eq!(cost("web.shop", kind), (4, some("web", 2, None)));
        assert_eq!(cost("web.shop.svc", kind), (6, some("web", 2, None)));
        assert_eq!(cost("web.shop.svc.cluster.local", kind), (10, some("web", 2, Some(4))));
        // The list cannot be cut short for other namespaces, and a host elsewhere needs its dot.
        assert_eq!(cost("google.com", kind), (4, some("google.com.svc.cluster.local.", 2, None)));
        assert_eq!(cost("www.example.com", kind), (10, some("www.example.com.", 2, Some(2))));
        assert_eq!(cost("nobody.shop.svc.cluster.local.", kind), (2, None), "nothing is found, so nothing is cheaper");
    }
}

#[test]
fn what_is_cheaper_ends_where_the_name_did() {
    let shop = cluster([
        service("shop/web", &["10.0.0.1"], json!([])),
        service("web/shop", &["10.0.0.2"], json!([])),
        pod("web/p", "10.1.0.9", json!({})),
    ]);
    let pod = shop.get::<Pod>("web", "p").unwrap();
    let (server, conf) = (Server::of(&shop), resolv_conf(&shop, pod, &ResolvConf::default()));
    let resolver = Resolver::new(&server, &conf);
    for name in ["web.shop", "shop.web", "shop", "web.shop.svc", "web.shop.svc.cluster.local", "www.example.com"] {
        let before = resolver.lookup(name).unwrap();
        let Some(cheaper) = resolver.cheaper(name).unwrap() else { continue };
        let after = resolver.lookup(&cheaper.name).unwrap();
        assert_eq!((after.tries.last(), after.queries()), (before.tries.last(), cheaper.queries), "{name}");
        assert!(after.queries() < before.queries(), "{name}");
    }
}

#[test]
fn autopath_walks_the_list_on_the_server_for_live_pods_only() {
    let world = |pods: &str| {
        cluster([
            world::corefile(&format!(
                ". {{\n autopath @kubernetes\n kubernetes cluster.local in-addr.arpa {{\n pods {pods}\n}}\n}}"
            )),
            service("shop/cart", &["10.0.0.1"], json!([])),
            service("other/there", &["10.0.0.3"], json!([])),
            pod("shop/p", "10.1.0.9", json!({})),
        ])
    };
    let verified = world("verified");
    assert!(ZoneSettings::of(&verified).autopath && !ZoneSettings::of(&world("insecure")).autopath);
    for name in ["cart", "there.other", "there.other.svc", "www.example.com", "nobody"] {
        let tries = tries(&verified, name, ResolverKind::Glibc);
        assert_eq!(tries, [format!("{name}.shop.svc.cluster.local.")], "{name}");
    }
    assert_eq!(tries(&verified, "www.example.com.", ResolverKind::Glibc), ["www.example.com."]);
    // Nothing has the name, not even as it is: the client walks its list in vain.
    assert_eq!(tries(&verified, "nobody.shop.svc.cluster.local", ResolverKind::Glibc).len(), 4);
    assert_eq!(tries(&world("insecure"), "there.other", ResolverKind::Glibc).len(), 2);
    let conf = "search shop.svc.cluster.local svc.cluster.local\noptions ndots:5".parse().unwrap();
    let stranger = "192.0.2.1".parse().ok();
    let server = Server::of(&verified);
    let found = Resolver::new(&server, &conf).with_client(stranger).lookup("there.other");
    assert_eq!(found.unwrap().tries.len(), 2);
}

fn findings(objects: impl IntoIterator<Item = Value>) -> Vec<String> {
    check(&cluster(objects)).iter().map(ToString::to_string).collect()
}

#[test]
fn check_judges_dns_settings_of_pods_and_templates_as_the_api_server_does() {
    let long = "a.".repeat(100);
    let searches: Vec<_> = (0..33).map(|i| format!("{long}s{i}")).collect();
    let bad = json!({"dnsPolicy": "None", "dnsConfig": {
        "searches": searches, "options": [{"name": "ndots"}, {"value": "2"}]}});
    let template = json!({"kind": "StatefulSet", "metadata": {"name": "t", "namespace": "a"}, "spec": {"template": {"spec":
        {"dnsPolicy": "clusterFirst", "dnsConfig": {"nameservers": ["1.1.1.1", "::1", "x", "2.2.2.2"], "searches": ["_a_b.c", ".", "a..b"]}}}}});
    assert_eq!(
        findings([pod("a/p", "", bad), template, pod("a/ok", "", json!({"dnsConfig": {"searches": ["x.example."]}}))]),
        [
            "error: Pod/a/p spec.dnsConfig.nameservers: at least one is required with dnsPolicy None",
            "error: Pod/a/p spec.dnsConfig.options[1]: an option needs a name",
            "error: Pod/a/p spec.dnsConfig.searches: 33 search paths, at most 32",
            "error: Pod/a/p spec.dnsConfig.searches: 6721 characters, at most 2048",
            "error: StatefulSet/a/t spec.template.spec.dnsConfig.nameservers: 4 servers, at most 3",
            "error: StatefulSet/a/t spec.template.spec.dnsConfig.nameservers[2]: \"x\" is no IP address",
            "error: StatefulSet/a/t spec.template.spec.dnsConfig.searches[2]: `a..b` is no domain name",
            "error: StatefulSet/a/t spec.template.spec.dnsPolicy: `clusterFirst` is none of ClusterFirst, \
             ClusterFirstWithHostNet, Default, None",
        ]
    );
    assert_eq!(
        findings([pod("a/p", "", json!({"dnsPolicy": "None"}))]),
        ["error: Pod/a/p spec.dnsConfig: is required with dnsPolicy None"]
    );
}

#[test]
fn check_reports_what_it_does_not_know_in_a_corefile() {
    let at = "ConfigMap/kube-system/coredns data[Corefile]: ";
    let stock = "pods insecure\nfallthrough in-addr.arpa ip6.arpa\nttl 30";
    assert_eq!(findings([kubernetes(stock)]), [""; 0]);
    assert_eq!(
        findings([kubernetes("ttl 3601\npods maybe\nupstream\nlabels a=b")]),
        [
            format!("error: {at}line 4: `ttl 3601` is nothing the kubernetes plugin takes"),
            format!("error: {at}line 5: `pods maybe` is nothing the kubernetes plugin takes"),
            format!("error: {at}line 6: `upstream` is nothing the kubernetes plugin takes"),
            format!("warning: {at}line 7: `labels` can hide Services and is not followed here"),
        ]
    );
    assert_eq!(
        findings([world::corefile(". {\n kubernetes\n proxy . 8.8.8.8\n}")]),
        [format!("warning: {at}line 3: `proxy` is no plugin of CoreDNS")]
    );
    assert_eq!(
        findings([world::corefile(". {\n kubernetes")]),
        [format!("error: {at}line 1, column 3: `{{` without `}}`")]
    );
    assert_eq!(
        findings([world::corefile(". {\n kubernetes 10.0.0.0/8\n}")]),
        [format!("error: {at}line 2: `kubernetes` needs a zone that is not a reverse one")]
    );
    assert_eq!(
        findings([world::corefile(". {\n log\n}")]),
        [format!("warning: {at}no `kubernetes` block, the defaults of the plugin hold")]
    );
}
