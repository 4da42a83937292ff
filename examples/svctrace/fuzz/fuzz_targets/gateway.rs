//! Any manifests as a Gateway: compiled, asked, judged and updated without a panic; the index finds what the scan finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use route_match::Host;
use route_match::gateway::{GatewayTable, HttpQuestion, Outcome, Scheme, check};
use svc_model::api::Gateway;
use svc_model::{Cluster, Resource, Touched};
use svctrace::read::{Purpose, Reader};

fuzz_target!(|input: (&str, &str, &str, &str)| {
    let (text, host, path, header) = input;
    let mut reader = Reader::new(Purpose::Answer);
    reader.text("fuzz.yaml", text);
    let cluster: Cluster = reader.finish().objects.into_iter().map(|(object, _)| object).collect();
    for object in cluster.objects() {
        check::object(object, "gateway.networking.k8s.io/v1");
    }
    check::cluster(&cluster);
    let name: Option<Host> = host.parse().ok();
    let headers = [("x-a", header), ("content-type", header), ("origin", header)];
    for gateway in cluster.list::<Gateway>() {
        let Ok(mut table) = GatewayTable::compile(&cluster, &gateway.key()) else { continue };
        let ports: Vec<u16> = table.listeners().iter().map(|listener| listener.port).collect();
        for (scheme, port) in ports.iter().flat_map(|port| [(Scheme::Http, *port), (Scheme::Https, *port)]) {
            let question = HttpQuestion::new(scheme, host, path).port(port).query(header).headers(&headers);
            let decision = table.decide(&question, name.as_ref());
            let _ = decision.to_string();
            let first = table.candidates(&question);
            let found = decision.rule.is_some() && !matches!(decision.outcome, Outcome::NoHttp);
            assert!(!found || decision.rule == first.first().map(|found| &**found.value()));
            table.decide_tls(port, name.as_ref());
            table.decide_tcp(port);
        }
        let before = format!("{:?}", table.status(&cluster));
        table.update(&cluster, &Touched::everything(&cluster)).expect("the Gateway is there");
        assert_eq!(format!("{:?}", table.status(&cluster)), before);
    }
});
