//! The objects that kube-proxy has for the same world.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nftables_driver::{Layout, Table, diff, parse, render};
use proptest::prelude::*;
use svc_model::addr::IpFamily;
use svc_model::api::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, KubeProxyConfiguration, Service, ServicePort as ApiPort,
};
use svc_model::testkit::{NODE, objects};
use svc_model::{Cluster, NodeSettings, NodeView, Object, ServicePort};
use svctrace::read::{Purpose, Reader};

fn table(view: &NodeView, family: IpFamily) -> Table {
    let ports: Vec<&ServicePort> = view.service_ports().map(|port| &**port).collect();
    render(view, &ports, family, Layout::Modern)
}

/// The rules of each chain in order, and all other lines.
fn parts(text: &str) -> (BTreeMap<String, Vec<&str>>, BTreeSet<&str>) {
    let (mut rules, mut others) = (BTreeMap::<String, Vec<&str>>::new(), BTreeSet::new());
    for line in text.lines() {
        match line.strip_prefix("add rule ip kube-proxy ") {
            Some(rule) => rules.entry(rule.split(' ').next().unwrap().to_owned()).or_default().push(line),
            None => drop(others.insert(line)),
        }
    }
    (rules, others)
}

#[test]
fn the_objects_are_kube_proxys() {
    let golden = |suffix: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden/nftables-modern-six-services")
            .with_extension(suffix);
        std::fs::read_to_string(path).unwrap()
    };
    let mut reader = Reader::new(Purpose::Answer);
    reader.text("world", &golden("yaml"));
    // As it is: what nobody wrote, no rule has.
    let cluster: Cluster = reader.finish().objects.into_iter().map(|(object, _)| object).collect();
    let view = NodeView::new(&cluster, NodeSettings::of(&cluster, None).unwrap());
    let (rendered, wanted) = (table(&view, IpFamily::V4).to_string(), golden("rules"));
    let ((rules, others), (wanted_rules, wanted_others)) = (parts(&rendered), parts(&wanted));
    assert_eq!(rules, wanted_rules);
    assert_eq!(others, wanted_others);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_in_a_name_breaks_out_of_its_field(
        name in "\\PC{0,80}|[a\"'\\\\\n\r\t;{} -]{0,40}|\nflush ruleset\n",
        namespace in "\\PC{0,20}|[a\"'\\\\\n;{}/ -]{0,20}",
        port in "[a\"'\\\\\n;{} -]{0,20}",
        device in "[a-z0-9\"\n;{} /+*-]{0,20}",
    ) {
        let rules = |namespace: &str, name: &str, port: &str| {
            let mut service = Service::default();
            service.metadata.name = name.into();
            service.metadata.namespace = namespace.into();
            service.spec.cluster_ip = "10.96.0.1".into();
            service.spec.external_ips = vec!["203.0.113.1".into()];
            service.spec.session_affinity = "ClientIP".into();
            service.spec.ports.push(ApiPort { name: port.into(), port: 80, ..Default::default() });
            let mut endpoints = Endpoints { metadata: service.metadata.clone(), ..Default::default() };
            let addresses = vec![EndpointAddress { ip: "10.244.0.1".into(), ..Default::default() }];
            let ports = vec![EndpointPort { name: port.into(), port: 80, ..Default::default() }];
            endpoints.subsets.push(EndpointSubset { addresses, ports, ..Default::default() });
            let mut config = KubeProxyConfiguration { detect_local_mode: "BridgeInterface".into(), ..Default::default() };
            config.detect_local.bridge_interface.clone_from(&device);
            let cluster = Cluster::from_iter([service.into(), endpoints.into(), Object::from(config)]);
            let view = NodeView::new(&cluster, NodeSettings::of(&cluster, None).unwrap());
            table(&view, IpFamily::V4).to_string()
        };
        let text = rules(&namespace, &name, &port);
        // As many commands as with plain names, one a line.
        prop_assert_eq!(text.lines().count(), rules("shop", "cart", "http").lines().count());
        prop_assert!(text.contains("affinity-"));
        prop_assert!(text.lines().all(|line| line.starts_with("add ")));
        prop_assert!(text.chars().all(|c| c == '\n' || (' '..='~').contains(&c)));
    }

    #[test]
    fn from_nothing_a_table_takes_as_many_commands_as_it_has_lines(objects in objects(), v6 in any::<bool>()) {
        let cluster: Cluster = objects.into_iter().collect();
        let view = NodeView::new(&cluster, NodeSettings::of(&cluster, Some(NODE)).unwrap());
        let table = table(&view, if v6 { IpFamily::V6 } else { IpFamily::V4 });
        let lines = table.to_string().lines().count();
        prop_assert_eq!(diff(None, &table).operations(), lines as u64);
    }

    #[test]
    fn no_text_makes_the_reader_panic(
        text in "(set |map |chain |elements = |type |typeof |timeout |dnat |numgen random mod |[{},;:=.\"@]|[0-9]{1,11}|\\PC|[ \n])*",
    ) {
        let _ = parse(&text, IpFamily::V4);
        let _ = parse(&format!("table ip kube-proxy {{\n{text}"), IpFamily::V4);
        let _ = parse(&format!("table ip6 kube-proxy {{ map m {{ {text}"), IpFamily::V6);
        let _ = parse(&format!("table ip kube-proxy {{ chain c {{ {text}"), IpFamily::V4);
    }
}
