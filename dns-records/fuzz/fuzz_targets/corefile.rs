//! Any Corefile: read, written and read back, and made into a server that answers.
#![no_main]

use std::net::IpAddr;

use dns_records::kubernetes::{Corefile, Server, check};
use dns_records::{Name, Question, RecordType};
use libfuzzer_sys::fuzz_target;
use svc_model::Cluster;
use svc_model::api::{ConfigMap, Pod, Service};

fuzz_target!(|text: &str| {
    let Ok(corefile) = text.parse::<Corefile>() else { return };
    let written = corefile.to_string();
    assert_eq!(written.parse::<Corefile>().expect("what is written can be read").to_string(), written);
    let mut cluster = Cluster::new();
    let mut config = ConfigMap::default();
    (config.metadata.namespace, config.metadata.name) = ("kube-system".into(), "coredns".into());
    config.data.insert("Corefile".into(), text.into());
    let (mut service, mut pod) = (Service::default(), Pod::default());
    (service.metadata.namespace, service.metadata.name) = ("b".into(), "s".into());
    service.spec.cluster_ips.push("10.0.0.1".into());
    (pod.metadata.namespace, pod.metadata.name) = ("a".into(), "p".into());
    pod.status.pod_ip = "10.1.0.9".into();
    cluster.apply(config);
    cluster.apply(service);
    cluster.apply(pod);
    let _ = check(&cluster);
    let server = Server::of(&cluster);
    for name in ["s.b.svc.cluster.local", "s.b.a.svc.cluster.local", "a.example", "1.0.0.10.in-addr.arpa"] {
        let name: Name = name.parse().expect("a name");
        for record_type in [RecordType::A, RecordType::PTR, RecordType::AXFR] {
            let client = Some(IpAddr::from([10, 1, 0, 9]));
            let _ = server.answer(Question::new(&name, record_type), client).reason.to_string();
        }
    }
});
