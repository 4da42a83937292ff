//! What does a Gateway do with the request? TLS, route, Service, endpoint.

use std::net::IpAddr;

use route_match::gateway::{Backend, Outcome, Scheme};
use svc_model::addr::parse_ip;
use svc_model::api::{Gateway, Pod};
use svc_model::{NamespacedName, ObjectRef, Resource};
use tls_sni::{CertificateRef, Mode};

use super::{Destination, End, Walk};
use crate::ask::{self, percent};
use crate::world::{Unusable, unusable};

/// The label by which the Pods and Services of a Gateway name it (GEP-1762).
const GATEWAY_NAME_LABEL: &str = "gateway.networking.k8s.io/gateway-name";

impl Walk<'_, '_> {
    /// The Gateway with this address, by its status or, failing that, by what it asks for.
    pub(super) fn gateway_at(&self, addr: IpAddr) -> Option<NamespacedName> {
        let has = |gateway: &&Gateway| {
            let mut addresses = gateway.status.addresses.iter().chain(&gateway.spec.addresses);
            addresses.any(|address| parse_ip(&address.value) == Ok(addr))
        };
        self.world.cluster.list::<Gateway>().find(has).map(Resource::key)
    }

    /// The Gateway whose proxy a Pod is.
    pub(super) fn gateway_of(&self, pod: &Pod) -> Option<NamespacedName> {
        let name = pod.metadata.labels.get(GATEWAY_NAME_LABEL)?;
        self.world.cluster.get::<Gateway>(pod.namespace(), name).map(Resource::key)
    }

    /// Through a Gateway.
    pub(super) fn through_gateway(
        &mut self,
        name: &NamespacedName,
        destination: &Destination<'_>,
    ) -> Result<End, Unusable> {
        let gateway = self.world.gateway(name)?;
        let Some(request) = &destination.request else {
            let decision = gateway.table().decide_tcp(destination.port);
            self.step("route", &format!("port {} TCP", destination.port), &decision.to_string());
            let backend = decision.backends().next().map(|(backend, _)| backend.clone());
            return self.gateway_backend(backend.as_ref());
        };
        if request.scheme == Scheme::Https {
            let question = ask::gateway::handshake(request);
            let decision = gateway.decide(&question, ask::now());
            let result = format!("server name {}: {}", request.authority.host(), ask::outcome(&decision));
            let why = decision.reason.to_string();
            match decision.certificate {
                Some(CertificateRef::Secret(secret)) => self.step_by("TLS", &result, &why, secret, "data"),
                _ => self.step("TLS", &result, &why),
            }
            match (decision.mode, decision.route) {
                (Mode::Terminate, None) => {}
                (Mode::Reject, _) => return Ok(End::Stopped("the handshake is refused".to_owned())),
                (Mode::Terminate | Mode::Passthrough, _) => {
                    let Some(backend) = decision.backends.first() else {
                        return Ok(End::Stopped("the connection is passed on, but to no backend".to_owned()));
                    };
                    let backend =
                        route_match::ingress::ServiceBackend { service: backend.service.clone(), port: backend.port };
                    return self.backend(&backend);
                }
            }
        }
        let decision = gateway.table().decide(&request.question(), ask::gateway::server_name(request));
        let why = decision.to_string();
        let route = decision.rule.map(|rule| &rule.route);
        match &decision.outcome {
            Outcome::Forward { path, host, .. } => {
                let shares = decision.rule.and_then(|rule| rule.action.backends());
                let shares: Vec<_> = shares.into_iter().flat_map(|backends| backends.shares()).collect();
                let chosen = shares.iter().find(|(entry, _)| entry.failure.is_none());
                let mut result = chosen.map(|(entry, _)| entry.backend.to_string()).unwrap_or_default();
                if let Some((_, share)) = chosen.filter(|_| shares.len() > 1) {
                    result.push_str(&format!(" ({} of the requests)", percent(*share)));
                }
                if let Some(path) = path {
                    result.push_str(&format!(", path rewritten to {path}"));
                }
                if let Some(host) = host {
                    result.push_str(&format!(", host rewritten to {host}"));
                }
                self.route_step(route, &result, &why);
                let backend = chosen.map(|(entry, _)| entry.backend.clone());
                self.gateway_backend(backend.as_ref())
            }
            Outcome::Redirect { code, location } => {
                self.route_step(route, &format!("redirect {code} to {location}"), &why);
                Ok(End::Stopped(format!("redirected ({code}) to {location}")))
            }
            Outcome::Respond { status, .. } => {
                self.route_step(route, &format!("status {status}"), &why);
                Ok(End::Stopped(format!("the Gateway answers {status}")))
            }
            Outcome::NoHttp => Ok(End::Stopped(why)),
            _ => Err(unusable("the answer is of a kind that is not modelled yet")),
        }
    }

    fn route_step(&mut self, route: Option<&ObjectRef>, result: &str, why: &str) {
        match route {
            Some(route) => self.step_by("route", result, why, route, "spec"),
            None => self.step("route", result, why),
        }
    }

    fn gateway_backend(&mut self, backend: Option<&Backend>) -> Result<End, Unusable> {
        match backend.map(|backend| (backend, backend.service())) {
            Some((_, Some(service))) => self.backend(service),
            Some((backend, None)) => Ok(End::Reached(format!("{backend}, which the manifests do not describe"))),
            None => Ok(End::Stopped("no backend takes the connection".to_owned())),
        }
    }
}
