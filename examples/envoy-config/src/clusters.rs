//! Where do requests go? One cluster for each Service port, with its ready endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use route_match::gateway::{Backend, ServiceBackend, Unavailable, backend_tls_policy};
use svc_model::api::{BackendTlsPolicy, ConfigMap, Service, ServicePort};
use svc_model::{Cluster, Resource, endpoints};

use crate::config::{
    self, CertificateValidationContext, ClusterLoadAssignment, CommonTlsContext, DataSource, DiscoveryType,
    ExplicitHttpConfig, Http2ProtocolOptions, ProtocolOptions, Seconds, StringMatcher, StringPattern,
    SubjectAltNameMatcher, TransportSocket,
};
use crate::remarks::Remarks;

/// How long a connection to an endpoint may take: Envoy's own default.
const CONNECT_TIMEOUT: Seconds = Seconds(Duration::from_secs(5));
/// The authorities of the system, where Debian and its kin keep them.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The clusters that routes name, each once.
pub(crate) struct Clusters<'c> {
    cluster: &'c Cluster,
    by_name: BTreeMap<String, config::Cluster>,
}

/// What is spoken to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// HTTP of the version that the Service port says.
    Http,
    /// gRPC, which is HTTP/2.
    Grpc,
    /// Bytes.
    Stream,
}

impl<'c> Clusters<'c> {
    pub(crate) fn new(cluster: &'c Cluster) -> Self {
        Self { cluster, by_name: BTreeMap::new() }
    }

    pub(crate) fn into_vec(self) -> Vec<config::Cluster> {
        self.by_name.into_values().collect()
    }

    /// The name of the cluster of a backend. That of a reference in error says what is wrong, and there is no such cluster.
    pub(crate) fn of(&mut self, backend: &Backend, speech: Speech, remarks: &mut Remarks) -> String {
        match backend {
            Backend::Service(service) | Backend::Unavailable(Unavailable::NoEndpoints(service)) => {
                self.service(service, speech, remarks)
            }
            Backend::Import(name, port) => {
                let name = format!("ServiceImport/{name}:{port}");
                remarks.add(&name, "the endpoints of other clusters are not known; it has none");
                self.by_name.entry(name.clone()).or_insert_with(|| bare(name.clone(), []));
                name
            }
            backend => backend.to_string(),
        }
    }

    fn service(&mut self, backend: &ServiceBackend, speech: Speech, remarks: &mut Remarks) -> String {
        let service = self.cluster.get::<Service>(&backend.service.namespace, &backend.service.name);
        let port = service.and_then(|service| port(service, backend.port));
        let is_http2 = match speech {
            Speech::Grpc => true,
            Speech::Http => port.is_some_and(|(_, port)| port.app_protocol.as_deref() == Some("kubernetes.io/h2c")),
            Speech::Stream => false,
        };
        let kind = match (speech, is_http2) {
            (Speech::Stream, _) => " bytes",
            (_, true) => " h2",
            _ => "",
        };
        let name = format!("{}/{}:{}{kind}", backend.service.namespace, backend.service.name, backend.port);
        if !self.by_name.contains_key(&name) {
            let mut cluster = bare(name.clone(), port.map(|port| self.addrs(port)).unwrap_or_default());
            if is_http2 {
                let explicit_http_config = ExplicitHttpConfig::Http2ProtocolOptions(Http2ProtocolOptions {});
                cluster.typed_extension_protocol_options.insert(
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    ProtocolOptions::Http { explicit_http_config },
                );
            }
            if speech != Speech::Stream
                && let Some((service, port)) = port
                && let Some(policy) = backend_tls_policy(self.cluster, service, &port.name)
            {
                cluster.transport_socket = Some(self.dialled_by(policy, remarks));
            }
            self.by_name.insert(name.clone(), cluster);
        }
        name
    }

    fn addrs(&self, (service, port): (&Service, &ServicePort)) -> BTreeSet<SocketAddr> {
        let found = endpoints::of(self.cluster, service);
        let ready = found.for_port(port).filter(|(endpoint, _)| endpoint.ready);
        ready.map(|(endpoint, number)| SocketAddr::new(endpoint.addr, number)).collect()
    }

    /// TLS as a policy wants it. One without a usable authority makes its Service unavailable, and no cluster is made for it.
    fn dialled_by(&self, policy: &BackendTlsPolicy, remarks: &mut Remarks) -> TransportSocket {
        let validation = &policy.spec.validation;
        let bundles: Vec<&str> = validation
            .ca_certificate_refs
            .iter()
            .filter(|reference| reference.group.is_empty() && reference.kind == "ConfigMap")
            .filter_map(|reference| self.cluster.get::<ConfigMap>(policy.namespace(), &reference.name))
            .filter_map(|map| map.data.get("ca.crt").map(String::as_str))
            .collect();
        let trusted_ca = match bundles.is_empty() {
            true => DataSource::Filename(SYSTEM_AUTHORITIES.to_owned()),
            false => DataSource::InlineString(bundles.join("\n")),
        };
        let exact = |san_type, name: &str| SubjectAltNameMatcher {
            san_type,
            matcher: StringMatcher::from(StringPattern::Exact(name.to_owned())),
        };
        let mut names = Vec::new();
        for name in &validation.subject_alt_names {
            match (name.type_.as_str(), &name.hostname, &name.uri) {
                ("Hostname", Some(hostname), _) => names.push(exact("DNS", hostname)),
                ("URI", _, Some(uri)) => names.push(exact("URI", uri)),
                _ => remarks.add(&policy.reference().to_string(), "a name that its certificates may have is none"),
            }
        }
        if names.is_empty() {
            names.push(exact("DNS", &validation.hostname));
        }
        TransportSocket::upstream(
            validation.hostname.clone(),
            CommonTlsContext {
                validation_context: Some(CertificateValidationContext {
                    trusted_ca,
                    match_typed_subject_alt_names: names,
                }),
                ..CommonTlsContext::default()
            },
        )
    }
}

fn port(service: &Service, number: u16) -> Option<(&Service, &ServicePort)> {
    let port = service.spec.ports.iter().find(|port| port.port == i64::from(number));
    port.map(|port| (service, port))
}

/// A cluster with these endpoints.
pub(crate) fn bare(name: String, addrs: impl IntoIterator<Item = SocketAddr>) -> config::Cluster {
    config::Cluster {
        name: name.clone(),
        type_: DiscoveryType::Static,
        connect_timeout: CONNECT_TIMEOUT,
        lb_policy: None,
        load_assignment: Some(ClusterLoadAssignment::of(name, addrs)),
        transport_socket: None,
        typed_extension_protocol_options: BTreeMap::new(),
    }
}
