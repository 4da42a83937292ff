//! What does an ingress controller do with the request? TLS, route, Service, endpoint.

use std::net::SocketAddr;

use lb_select::RoundRobin;
use route_match::ingress::{ControllerFlags, Dialect, Outcome, Scheme, ServiceBackend};
use svc_model::api::{IngressClass, Pod, Service};
use svc_model::{Protocol, Resource, endpoints};
use tls_sni::{CertificateRef, Mode, Sni, TlsQuestion};

use super::packet::{choose, reached};
use super::{End, Walk};
use crate::ask::{self, ParsedRequest, percent};
use crate::world::Unusable;

impl Walk<'_, '_> {
    /// The class by which to ask a controller: its own word for one, else the first class that names it.
    pub(super) fn class_of(&self, flags: &ControllerFlags) -> String {
        let serves = |class: &&IngressClass| class.spec.controller == *flags.controller_class;
        let own = self.world.cluster.get::<IngressClass>("", &flags.ingress_class).filter(serves);
        let class = own.or_else(|| self.world.cluster.list::<IngressClass>().find(serves));
        class.map_or(flags.ingress_class.to_string(), |class| class.name().to_owned())
    }

    /// Through a controller.
    pub(super) fn proxy(&mut self, class: &str, request: &ParsedRequest<'_>) -> Result<End, Unusable> {
        let controller = self.world.controller(class)?;
        if request.scheme == Scheme::Https {
            let name = request.authority.host();
            let question = TlsQuestion::new(Sni::new(Some(name.as_ref().as_bytes())));
            let decision = controller.certificates.decide(&question, ask::now());
            let (result, why) =
                (format!("server name {name}: {}", ask::outcome(&decision)), decision.reason.to_string());
            match decision.certificate {
                Some(CertificateRef::Secret(secret)) => self.step_by("TLS", &result, &why, secret, "data"),
                _ => self.step("TLS", &result, &why),
            }
            match decision.mode {
                Mode::Terminate => {}
                Mode::Reject => return Ok(End::Stopped("the handshake is refused".to_owned())),
                Mode::Passthrough => {
                    let Some(backend) = decision.backends.first() else {
                        return Ok(End::Stopped("the connection is passed on, but to no backend".to_owned()));
                    };
                    return self.backend(&ServiceBackend { service: backend.service.clone(), port: backend.port });
                }
            }
        }
        let mut question = request.question();
        question.client = self.sender;
        let decision = controller.routes.decide_over(&question, ask::gateway::server_name(request));
        let why = decision.to_string();
        let mut step = |result: &str| match decision.route {
            Some(route) => self.step_by("route", result, &why, route, "spec"),
            None => self.step("route", result, &why),
        };
        match &decision.outcome {
            Outcome::Forward { backends, request, .. } => {
                let Some((share, part)) = backends.shares().next() else {
                    return Ok(End::Stopped("no backend has a share of the requests".to_owned()));
                };
                let backend = &share.backend.backend;
                let of_all = match backends.only() {
                    Some(_) => String::new(),
                    None => format!(" ({} of the requests)", percent(part)),
                };
                let path = request.path.as_ref().map(|path| format!(", path rewritten to {path}")).unwrap_or_default();
                let host = request.host.as_ref().map(|host| format!(", host rewritten to {host}")).unwrap_or_default();
                step(&format!("{backend}{of_all}{path}{host}"));
                if controller.routes.dialect() == Dialect::Plain {
                    self.step(
                        "proxy",
                        "sends to the Service's endpoints",
                        "assumed; a controller may use the cluster IP",
                    );
                }
                self.backend(backend)
            }
            Outcome::Redirect { code, location } => {
                step(&format!("redirect {code} to {location}"));
                Ok(End::Stopped(format!("redirected ({code}) to {location}")))
            }
            Outcome::Respond { status } => {
                step(&format!("status {status}"));
                Ok(End::Stopped(format!("the controller answers {status}")))
            }
            other => Err(ask::unknown(other)),
        }
    }

    /// The endpoint that a proxy picks for a Service port: one that is ready, by turns.
    pub(super) fn backend(&mut self, backend: &ServiceBackend) -> Result<End, Unusable> {
        let name = &backend.service;
        let Some(service) = self.world.cluster.get::<Service>(&name.namespace, &name.name) else {
            return Ok(End::Stopped(format!("{name} does not exist")));
        };
        if service.spec.is_external_name() {
            let target = &service.spec.external_name;
            return Ok(End::Reached(format!("{target}:{}, which {name} stands for", backend.port)));
        }
        let found = endpoints::of(&self.world.cluster, service);
        let port = service.spec.ports.iter().find(|port| {
            port.port == i64::from(backend.port) && Protocol::of_field(&port.protocol) == Ok(Protocol::Tcp)
        });
        let ready = port.into_iter().flat_map(|port| found.for_port(port)).filter(|(endpoint, _)| endpoint.ready);
        let mut ready: Vec<_> =
            ready.map(|(endpoint, port)| (SocketAddr::new(endpoint.addr, port), &endpoint.pod)).collect();
        ready.sort_unstable();
        ready.dedup_by_key(|(addr, _)| *addr);
        if ready.is_empty() {
            return Ok(End::Stopped(format!("{backend} has no ready endpoint")));
        }
        let addrs: Vec<SocketAddr> = ready.iter().map(|(addr, _)| *addr).collect();
        let (addr, pod) = ready[choose(&RoundRobin::new, &addrs)?];
        let assumed = self.world.assumed_words(service, false);
        let why = match addrs.len() {
            1 => format!("the only ready endpoint{assumed}"),
            n => format!("{n} ready endpoints by turns; this one for example{assumed}"),
        };
        self.step_by("endpoint", &format!("{name} -> {addr}"), &why, name, "spec.selector");
        let pod = pod.as_ref().and_then(|pod| self.world.cluster.get::<Pod>(&pod.namespace, &pod.name));
        Ok(match pod.or_else(|| self.world.pod_with_ip(addr.ip())) {
            Some(pod) => End::Reached(reached(pod, addr.port())),
            None => End::Reached(format!("{addr}, an endpoint that is no Pod of the manifests")),
        })
    }
}
