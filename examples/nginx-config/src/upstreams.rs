//! Where do requests go? One `upstream` for each Service port, with the addresses of its Pods.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use route_match::ingress::{Balancing, ServiceBackend, Upstream};
use svc_model::api::Service;
use svc_model::{Cluster, endpoints};

use crate::token::Token;
use crate::tree::Directive;

/// The upstreams that locations name, each once.
pub(crate) struct Upstreams<'c> {
    cluster: &'c Cluster,
    least_conn: bool,
    blocks: BTreeMap<String, Directive>,
}

impl<'c> Upstreams<'c> {
    pub(crate) fn new(cluster: &'c Cluster, least_conn: bool) -> Self {
        Self { cluster, least_conn, blocks: BTreeMap::new() }
    }

    /// The name of the upstream of a backend; an error tells why it cannot be written.
    pub(crate) fn name(&mut self, upstream: &Upstream, name: Option<&str>) -> Result<String, &'static str> {
        let backend = &upstream.backend;
        let own = format!("{}-{}-{}", backend.service.namespace, backend.service.name, backend.port);
        let mut name = name.unwrap_or(&own).to_owned();
        let hash = match &upstream.balancing {
            Balancing::HashBy(by) => {
                Some(Token::script(by.key.as_str()).map_err(|_| "its hash key cannot be written")?)
            }
            _ => None,
        };
        if let Some(key) = &hash {
            // Ingresses may ask for the same Service by different keys.
            name = format!("{name}-by-{}", key.as_str().replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        }
        if !self.blocks.contains_key(&name) {
            let addrs = self.addrs(backend)?;
            let mut block = Vec::new();
            if self.least_conn {
                block.push(Directive::new("least_conn", []));
            }
            if let Some(key) = hash {
                block.push(Directive::new("hash", [key, Token::word("consistent")]));
            }
            for addr in addrs {
                let addr = Token::literal(&addr.to_string()).map_err(|_| "an address cannot be written")?;
                let args = [addr, Token::word("max_fails=0"), Token::word("fail_timeout=0")];
                block.push(Directive::new("server", args));
            }
            let token = Token::literal(&name).map_err(|_| "the name of its Service cannot be written")?;
            self.blocks.insert(name.clone(), Directive::block("upstream", [token], block));
        }
        Ok(name)
    }

    pub(crate) fn into_directives(self) -> impl Iterator<Item = Directive> {
        self.blocks.into_values()
    }

    fn addrs(&self, backend: &ServiceBackend) -> Result<BTreeSet<SocketAddr>, &'static str> {
        let name = &backend.service;
        let service = self.cluster.get::<Service>(&name.namespace, &name.name).ok_or("its Service does not exist")?;
        if service.spec.is_external_name() {
            return Err("an external name is resolved once, when nginx starts");
        }
        let found = endpoints::of(self.cluster, service);
        let port = service.spec.ports.iter().find(|port| port.port == i64::from(backend.port));
        let ready = port.into_iter().flat_map(|port| found.for_port(port)).filter(|(endpoint, _)| endpoint.ready);
        let mut addrs: BTreeSet<_> = ready.map(|(endpoint, port)| SocketAddr::new(endpoint.addr, port)).collect();
        if addrs.is_empty() {
            // service-upstream: by the cluster IP.
            let ips = service.spec.written_cluster_ips().filter_map(|ip| ip.parse().ok());
            addrs.extend(ips.map(|ip| SocketAddr::new(ip, backend.port)));
        }
        if addrs.is_empty() { Err("its Service has no address") } else { Ok(addrs) }
    }
}
