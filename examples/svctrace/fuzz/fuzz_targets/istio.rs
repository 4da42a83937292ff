//! Any manifests as Istio: gateways and sidecars compiled, asked, judged and updated without a panic; the index finds what the scan finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use route_match::Host;
use route_match::istio::{
    Caller, HttpQuestion, IstioGatewayTable, MeshDecision, MeshTable, Outcome, Scheme, StreamTarget, check,
};
use svc_model::api::{IstioGateway, MeshConfig, Pod};
use svc_model::{Cluster, Resource, Touched};
use svctrace::read::{Purpose, Reader};

fuzz_target!(|input: (&str, &str, &str, &str)| {
    let (text, host, path, header) = input;
    let mut reader = Reader::new(Purpose::Answer);
    reader.text("fuzz.yaml", text);
    let cluster: Cluster = reader.finish().objects.into_iter().map(|(object, _)| object).collect();
    for object in cluster.objects() {
        check::object(object);
    }
    check::cluster(&cluster);
    let everything = Touched::everything(&cluster);
    let name: Option<Host> = host.parse().ok();
    let headers = [("x-a", header), ("origin", header)];
    let ask = |scheme, port| HttpQuestion::new(scheme, host, path).port(port).query(header).headers(&headers);
    for gateway in cluster.list::<IstioGateway>() {
        let Ok(mut table) = IstioGatewayTable::compile(&cluster, &gateway.key()) else { continue };
        let ports: Vec<u16> = table.servers().accepted.iter().map(|server| server.port).chain([80]).collect();
        let answers = |table: &IstioGatewayTable| {
            let mut answers = Vec::new();
            for (scheme, port) in ports.iter().flat_map(|port| [(Scheme::Http, *port), (Scheme::Https, *port)]) {
                let question = ask(scheme, port);
                let decision = table.decide(&question, name.as_ref());
                let first = table.candidates(&question, name.as_ref());
                let found = decision.rule.is_some() && !matches!(decision.outcome, Outcome::NoHttp);
                assert!(!found || decision.rule == first.first().map(|found| &**found.value()));
                answers.push(decision.to_string());
            }
            answers
        };
        let before = answers(&table);
        table.update(&cluster, &everything).expect("the Gateway is there");
        assert_eq!(answers(&table), before);
    }
    let callers = cluster.list::<Pod>().take(4).map(|pod| Caller::new(pod.namespace(), pod.metadata.labels.clone()));
    for caller in callers.chain([Caller::new("default", Default::default())]) {
        let mesh = MeshConfig::default();
        let table = MeshTable::compile(&cluster, &mesh, &caller);
        for port in [80, 443, 3306] {
            for scheme in [Scheme::Http, Scheme::Https] {
                let question = ask(scheme, port);
                let decision = table.decide(&question);
                let _ = decision.to_string();
                if let MeshDecision::Http(decision) = decision
                    && let Some(rule) = decision.rule
                {
                    let first = table.candidates(&question);
                    assert_eq!(first.first().map(|found| &**found.value()), Some(rule));
                }
            }
            table.decide_tls(port, name.as_ref());
            if let Some(name) = &name {
                let _ = table.decide_tcp(port, StreamTarget::of(name)).to_string();
            }
        }
    }
});
