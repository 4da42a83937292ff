//! The rules that kube-proxy and the books have for the same worlds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use iptables_driver::{Options, Profile, Rule, Ruleset, Saved, Table, parse, render};
use proptest::prelude::*;
use svc_model::addr::IpFamily;
use svc_model::api::{Endpoints, KubeProxyConfiguration, Service};
use svc_model::testkit::{NODE, objects};
use svc_model::{Cluster, NodeSettings, NodeView, ServicePort};
use svctrace::read::{Purpose, Reader};

fn golden(suffix: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(suffix)
}

fn render_view(view: &NodeView, profile: Profile, family: IpFamily) -> Ruleset {
    let ports: Vec<&ServicePort> = view.service_ports().map(|port| &**port).collect();
    let mut options = Options::default();
    options.profile = profile;
    render(view, &ports, family, &options)
}

/// The rules of a world, and the golden text beside it.
fn both(name: &str, profile: Profile) -> (String, String) {
    let mut reader = Reader::new(Purpose::Answer);
    reader.text(name, &std::fs::read_to_string(golden(&format!("{name}.yaml"))).unwrap());
    // As it is: what nobody wrote, no rule has.
    let cluster: Cluster = reader.finish().objects.into_iter().map(|(object, _)| object).collect();
    let view = NodeView::new(&cluster, NodeSettings::of(&cluster, None).unwrap());
    let wanted = std::fs::read_to_string(golden(&format!("{name}.rules"))).unwrap();
    (render_view(&view, profile, IpFamily::V4).without_canary().to_string(), wanted)
}

/// The `-A` lines of each table and chain, in order.
fn by_chain(text: &str) -> BTreeMap<(String, String), Vec<&str>> {
    let (mut table, mut chains) = (String::new(), BTreeMap::<_, Vec<&str>>::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name.to_owned();
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let chain = rule.split(' ').next().unwrap().to_owned();
            chains.entry((table.clone(), chain)).or_default().push(line);
        }
    }
    chains
}

#[test]
fn the_modern_layout_is_kube_proxys_chain_by_chain() {
    for name in ["iptables-modern-two-clusterip", "iptables-modern-six-services"] {
        let (rendered, wanted) = both(name, Profile::Modern);
        let (rendered, wanted) = (by_chain(&rendered), by_chain(&wanted));
        assert!(wanted.len() > 5);
        for (chain, lines) in &wanted {
            assert_eq!(rendered.get(chain), Some(lines), "{name}: {chain:?}");
        }
        // What there is beside it: jumps.
        for ((table, chain), lines) in rendered.iter().filter(|(chain, _)| !wanted.contains_key(*chain)) {
            assert!(!chain.starts_with("KUBE-"), "{name}: {table} {chain}: {lines:?}");
        }
    }
}

#[test]
fn the_classic_layout_is_that_of_the_books_byte_for_byte() {
    for name in ["iptables-classic-clusterip", "iptables-classic-affinity", "iptables-classic-portals"] {
        let (rendered, wanted) = both(name, Profile::Classic);
        let mut rest = rendered.lines();
        let mut of_services = 0;
        for (chain, lines) in by_chain(&wanted) {
            let rendered = by_chain(&rendered);
            let found: Vec<&str> = rendered
                .iter()
                .filter(|((_, name), _)| *name == chain.1)
                .flat_map(|(_, found)| found.iter().copied().filter(|line| lines.contains(line)))
                .take(lines.len())
                .collect();
            assert_eq!(found, lines, "{name}");
            if chain.1.starts_with("KUBE-SVC-") || chain.1.starts_with("KUBE-SEP-") {
                of_services += lines.len();
            }
        }
        // Chains of Services hold nothing else.
        if of_services > 0 {
            let is_of_service = |line: &&str| line.starts_with("-A KUBE-SVC-") || line.starts_with("-A KUBE-SEP-");
            assert_eq!(rest.by_ref().filter(is_of_service).count(), of_services, "{name}");
        }
    }
}

#[test]
fn shares_are_printed_as_the_tools_print_them() {
    let share = |text: &str| format!("-m statistic --mode random --probability {text} -j A").parse::<Rule>().unwrap();
    // What is written with ten decimals is read back with eleven others.
    assert_eq!(share("0.3333333333"), share("0.33333333349"));
    assert_ne!(share("0.3333300000"), share("0.33333333349"));
    assert_eq!(share("0.33333"), share("0.33332999982"));
    let cluster: Cluster = three().into_iter().collect();
    let view = NodeView::new(&cluster, NodeSettings::of(&cluster, None).unwrap());
    let modern = render_view(&view, Profile::Modern, IpFamily::V4).to_string();
    assert!(modern.contains("--probability 0.3333333333 ") && modern.contains("--probability 0.5000000000 "));
    let classic = render_view(&view, Profile::Classic, IpFamily::V4).to_string();
    assert!(classic.contains("--probability 0.33332999982 ") && classic.contains("--probability 0.50000000000 "));
}

/// A Service with three endpoints.
fn three() -> Vec<svc_model::Object> {
    let mut service = Service::default();
    service.metadata.name = "a".into();
    service.spec.cluster_ip = "10.96.0.1".into();
    service.spec.ports.push(svc_model::api::ServicePort { port: 80, ..Default::default() });
    let mut endpoints = Endpoints::default();
    endpoints.metadata.name = "a".into();
    let address = |ip: &str| svc_model::api::EndpointAddress { ip: ip.into(), ..Default::default() };
    endpoints.subsets.push(svc_model::api::EndpointSubset {
        addresses: ["10.1.0.1", "10.1.0.2", "10.1.0.3"].map(address).into(),
        ports: vec![svc_model::api::EndpointPort { port: 80, ..Default::default() }],
        ..Default::default()
    });
    vec![service.into(), endpoints.into()]
}

fn owned(saved: &Saved, rules: &Ruleset) -> Ruleset {
    let mut read = rules.clone();
    read.filter.clone_from(&saved.table(Table::Filter).chains);
    read.nat.clone_from(&saved.table(Table::Nat).chains);
    assert!(Table::ALL.iter().all(|table| saved.table(*table).altered.is_empty()));
    read
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_printed_is_read_back_as_it_was(objects in objects(), classic in any::<bool>(), v6 in any::<bool>()) {
        let cluster: Cluster = objects.into_iter().collect();
        let view = NodeView::new(&cluster, NodeSettings::of(&cluster, Some(NODE)).unwrap());
        let (profile, family) = (
            if classic { Profile::Classic } else { Profile::Modern },
            if v6 { IpFamily::V6 } else { IpFamily::V4 },
        );
        let rules = render_view(&view, profile, family);
        let saved = parse(&rules.to_string()).unwrap();
        prop_assert_eq!(owned(&saved, &rules), rules);
    }

    #[test]
    fn nothing_in_a_name_breaks_out_of_its_field(
        name in "\\PC{0,80}|[a\"'\\\\\n\r\t -]{0,40}|COMMIT|\nCOMMIT\n\\*filter\n-A INPUT -j ACCEPT",
        port in "[a\"'\\\\\n -]{0,20}",
        device in "[a-z0-9\"\n /+-]{0,20}",
    ) {
        let mut objects = three();
        for object in &mut objects {
            match object {
                svc_model::Object::Service(service) => {
                    service.metadata.name.clone_from(&name);
                    service.spec.ports[0].name.clone_from(&port);
                    service.spec.external_ips = vec!["203.0.113.1".into()];
                }
                svc_model::Object::Endpoints(endpoints) => {
                    endpoints.metadata.name.clone_from(&name);
                    endpoints.subsets[0].ports[0].name.clone_from(&port);
                }
                _ => {}
            }
        }
        let mut config = KubeProxyConfiguration { detect_local_mode: "BridgeInterface".into(), ..Default::default() };
        config.detect_local.bridge_interface = device;
        objects.push(config.into());
        let cluster: Cluster = objects.into_iter().collect();
        let view = NodeView::new(&cluster, NodeSettings::of(&cluster, None).unwrap());
        for profile in [Profile::Modern, Profile::Classic] {
            let rules = render_view(&view, profile, IpFamily::V4);
            let text = rules.to_string();
            let saved = parse(&text).unwrap();
            prop_assert_eq!(owned(&saved, &rules), rules.clone());
            let jumps = 15;
            let in_chains = text.lines().filter(|line| line.starts_with("-A ")).count();
            prop_assert_eq!(in_chains, rules.len() + jumps);
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(
        text in "([*:][a-z]{0,6}|-[AsdpmjI] ?|--[a-z]{2,9} |COMMIT|\"|\\\\|!|\\PC|[ \n])*",
        table in "\\*(nat|filter)\n",
    ) {
        let _ = parse(&text);
        let _ = parse(&format!("{table}:KUBE-SERVICES - [0:0]\n{text}"));
        let _ = text.parse::<Rule>();
    }
}
