//! Which Secret does each host of the Ingresses get? The table of an Ingress controller, compiled from its objects.

use super::{
    DefaultCertificate, Entry, IngressTls, LoadedSecret, Named, Passthrough, Server, ServerCertificate, WhyDefault,
};
use crate::cert_name::CertName;
use crate::decision::Backend;
use crate::facts::{CertificateFacts, CommonName};
use crate::name_map::NameMap;
use crate::secret::{self, SecretError};
use crate::server_name::ServerName;
use crate::store::{CertStore, Policy};
use route_match::ingress::{
    Dialect, ServedIngresses, ServiceBackend, Unavailable, UnknownClass, rule_hosts, served, service_backend,
};
use std::collections::BTreeMap;
use std::string::ToString;
use std::vec::Vec;
use svc_model::api::{Ingress, IngressBackend, IngressTls as TlsEntry, Secret};
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Resource};

/// A host of a rule has the forms of a certificate's name: exact, or a wildcard for one label.
type HostPattern = CertName;

impl IngressTls {
    /// Compiles the table of the controller that serves a class: n log n in the hosts, and each Secret is read once.
    ///
    /// # Errors
    /// [`UnknownClass`] when the cluster knows no such class.
    pub fn of_class(cluster: &Cluster, class: &str) -> Result<IngressTls, UnknownClass> {
        Ok(IngressTls::new(cluster, &served(cluster, class)?, 0))
    }

    /// Compiles the table of a controller whose Ingresses are known, with a seed for the hash of its names as
    /// [`NameMap::new`] explains: random where tenants choose their hosts.
    pub fn new(cluster: &Cluster, controller: &ServedIngresses<'_>, seed: u64) -> IngressTls {
        let nginx = controller.dialect == Dialect::Nginx;
        let compiler =
            Compiler { cluster, controller, secrets: Secrets { cluster, known: BTreeMap::new(), loaded: Vec::new() } };
        let default = controller.flags.default_ssl_certificate.as_ref().filter(|_| nginx);
        compiler.compile(default, seed)
    }
}

/// A store of every Secret that the Ingresses of a class name, each under the names of its certificate, whatever the
/// hosts of the tls entries: the way of Traefik, whose documentation says so.
///
/// The common name counts as a name. Secrets that cannot be used are left out. There is no default certificate; add
/// one with [`CertStore::add`] and [`CertStore::serve_by_default`].
///
/// # Errors
/// [`UnknownClass`] when the cluster knows no such class.
pub fn certificates_by_their_names(cluster: &Cluster, class: &str) -> Result<CertStore<ObjectRef>, UnknownClass> {
    let controller = served(cluster, class)?;
    let mut secrets = Secrets { cluster, known: BTreeMap::new(), loaded: Vec::new() };
    for ingress in &controller.ingresses {
        for entry in &ingress.spec.tls {
            secrets.load(ingress.namespace(), &entry.secret_name);
        }
    }
    let mut builder = CertStore::builder();
    builder.policy(Policy { common_name: CommonName::Always, ..Policy::default() });
    for LoadedSecret { reference, facts } in secrets.loaded {
        builder.add(facts, reference);
    }
    Ok(builder.build())
}

struct Compiler<'c> {
    cluster: &'c Cluster,
    controller: &'c ServedIngresses<'c>,
    secrets: Secrets<'c>,
}

/// What the Ingresses say of one host, in their order.
struct Host<'c> {
    /// The first Ingress with the host: it makes the server.
    creator: &'c Ingress,
    /// The first one of them with a tls section.
    tls: Option<&'c Ingress>,
    /// From the first one of them that has aliases.
    aliases: &'c str,
    /// Whether any of them asks for passthrough.
    passthrough: bool,
    /// The backend of the first `/` that is no exact path.
    root: Option<(&'c Ingress, &'c IngressBackend)>,
}

impl<'c> Compiler<'c> {
    fn compile(mut self, default: Option<&NamespacedName>, seed: u64) -> IngressTls {
        let hosts = self.hosts();
        let mut servers = Vec::new();
        let mut entries = Vec::new();
        let mut aliases = Vec::new();
        for (pattern, host) in &hosts {
            let certificate = self.certificate(pattern, host);
            for alias in host.aliases.split(',').map(str::trim).filter(|alias| !alias.is_empty()) {
                let name = HostPattern::new(alias.as_bytes());
                if !hosts.contains_key(&name) {
                    let covered = match certificate {
                        // ingress-nginx asks the names it once accepted the certificate by: the SAN, else the CN.
                        ServerCertificate::Secret { secret, .. } => {
                            covers(&self.secrets.loaded[secret].facts, &name, CommonName::WithoutSan)
                        }
                        _ => false,
                    };
                    aliases.push((name, Entry::Alias { alias: alias.into(), server: servers.len(), covered }));
                }
            }
            entries.push((pattern.clone(), Entry::Server(servers.len())));
            servers.push(Server {
                host: pattern.to_string().into(),
                ingress: host.tls.unwrap_or(host.creator).reference(),
                certificate,
                passthrough: self.passthrough(pattern, host),
            });
        }
        let default = self.default_certificate(default);
        let tls_hosts = self.controller.ingresses.iter().flat_map(|ingress| {
            let hosts = ingress.spec.tls.iter().flat_map(|entry| &entry.hosts);
            hosts.map(|host| (HostPattern::new(host.as_bytes()), ingress.reference()))
        });
        IngressTls {
            tls_only: NameMap::new(seed, tls_hosts.filter(|(host, _)| !hosts.contains_key(host))),
            names: NameMap::new(seed, entries.into_iter().chain(aliases)),
            servers,
            secrets: self.secrets.loaded,
            default,
        }
    }

    /// The hosts of the rules. A rule without host, and one whose host the API server refuses or no server name can equal,
    /// adds none.
    fn hosts(&self) -> BTreeMap<HostPattern, Host<'c>> {
        let mut hosts: BTreeMap<HostPattern, Host<'c>> = BTreeMap::new();
        for &ingress in &self.controller.ingresses {
            if self.controller.is_annotated(ingress, "canary") {
                continue;
            }
            for rule in &ingress.spec.rules {
                let Some(hosts_of_rule) = rule_hosts(rule) else {
                    continue;
                };
                let pattern = HostPattern::new(hosts_of_rule.to_string().as_bytes());
                if pattern.is_inert() {
                    continue; // any host too, which is written `*`
                }
                let new = Host { creator: ingress, tls: None, aliases: "", passthrough: false, root: None };
                let host = hosts.entry(pattern).or_insert(new);
                if host.tls.is_none() && !ingress.spec.tls.is_empty() {
                    host.tls = Some(ingress);
                }
                host.passthrough |= self.controller.is_annotated(ingress, "ssl-passthrough");
                if host.aliases.is_empty() {
                    host.aliases = self.controller.annotation(ingress, "server-alias").unwrap_or_default().trim();
                }
                let paths = rule.http.iter().flat_map(|http| &http.paths);
                for path in paths.filter(|path| matches!(path.path.as_str(), "" | "/")) {
                    let prefix = matches!(path.path_type.as_deref(), Some("Prefix" | "ImplementationSpecific") | None);
                    if host.root.is_none() && prefix && self.backend(ingress, &path.backend).is_some() {
                        host.root = Some((ingress, &path.backend));
                    }
                }
            }
        }
        hosts
    }

    fn certificate(&mut self, pattern: &HostPattern, host: &Host<'c>) -> ServerCertificate {
        let Some(ingress) = host.tls else {
            return ServerCertificate::Undecided;
        };
        let tls = &ingress.spec.tls;
        let lists = |entry: &&TlsEntry| entry.hosts.iter().any(|host| HostPattern::new(host.as_bytes()) == *pattern);
        let Some(entry) = tls.iter().find(lists) else {
            let by_san = tls.iter().find_map(|entry| {
                let secret = self.secrets.load(ingress.namespace(), &entry.secret_name)?.ok()?;
                covers(&self.secrets.loaded[secret].facts, pattern, CommonName::Never).then_some(secret)
            });
            return match by_san {
                Some(secret) => ServerCertificate::Secret { secret, by: Named::BySan },
                None => ServerCertificate::Default(WhyDefault::NoEntry),
            };
        };
        let reference = || ObjectRef::new(Kind::Secret, ingress.namespace(), entry.secret_name.as_str());
        ServerCertificate::Default(match self.secrets.load(ingress.namespace(), &entry.secret_name) {
            _ if entry.secret_name.is_empty() => WhyDefault::NoSecretName,
            None => WhyDefault::Missing(reference()),
            Some(Err(error)) => WhyDefault::Unusable(reference(), error),
            Some(Ok(secret)) if covers(&self.secrets.loaded[secret].facts, pattern, CommonName::WithoutSan) => {
                return ServerCertificate::Secret { secret, by: Named::ByHost };
            }
            Some(Ok(secret)) => WhyDefault::NotCovered(secret),
        })
    }

    /// ingress-nginx passes the host on to the Service of its `/`: that of the first such path, else the default backend of the Ingress
    /// that makes the server.
    fn passthrough(&self, pattern: &HostPattern, host: &Host<'c>) -> Passthrough {
        let ingress = host.creator;
        if !host.passthrough {
            return Passthrough::Unasked;
        }
        if !self.controller.flags.enable_ssl_passthrough {
            return Passthrough::NeedsFlag;
        }
        if pattern.exact().is_none() {
            return Passthrough::Wildcard;
        }
        let spec = &ingress.spec;
        let default = || Some((ingress, spec.default_backend.as_ref().or(spec.backend.as_ref())?));
        let backend = host.root.or_else(default).and_then(|(owner, backend)| self.backend(owner, backend));
        match backend {
            Some(Ok(to)) => Passthrough::To {
                ingress: ingress.reference(),
                backend: [Backend { service: to.service, port: to.port, p: 1.0 }],
            },
            Some(Err(why)) => Passthrough::Nowhere(Some(why)),
            None => Passthrough::Nowhere(None),
        }
    }

    /// The Service of a backend, whether or not it has endpoints; `None` for a backend that is no Service.
    fn backend(&self, ingress: &Ingress, backend: &IngressBackend) -> Option<Result<ServiceBackend, Unavailable>> {
        service_backend(self.cluster, self.controller.dialect, ingress.namespace(), backend)
    }

    fn default_certificate(&mut self, flag: Option<&NamespacedName>) -> DefaultCertificate {
        let Some(flag) = flag else {
            return DefaultCertificate::Own(None);
        };
        match self.secrets.load(&flag.namespace, &flag.name) {
            Some(Ok(secret)) => DefaultCertificate::Secret(secret),
            Some(Err(error)) => DefaultCertificate::Own(Some((flag.clone(), Some(error)))),
            None => DefaultCertificate::Own(Some((flag.clone(), None))),
        }
    }
}

/// Whether a certificate covers a rule host. A wildcard host is covered by the very same wildcard alone.
pub(crate) fn covers(facts: &CertificateFacts, host: &CertName, common_name: CommonName) -> bool {
    match host.exact().map(str::parse::<ServerName>) {
        Some(Ok(name)) => facts.covers(&name, common_name).is_some(),
        _ => !host.is_inert() && facts.effective_names(common_name).any(|name| name == host),
    }
}

/// The Secrets that were asked for, each read once.
struct Secrets<'c> {
    cluster: &'c Cluster,
    known: BTreeMap<(std::string::String, std::string::String), Result<usize, SecretError>>,
    loaded: Vec<LoadedSecret>,
}

impl Secrets<'_> {
    /// The index of a Secret among the loaded ones; `None` if it does not exist.
    fn load(&mut self, namespace: &str, name: &str) -> Option<Result<usize, SecretError>> {
        let key = (namespace.to_string(), name.to_string());
        if let Some(known) = self.known.get(&key) {
            return Some(known.clone());
        }
        let secret: &Secret = self.cluster.get(namespace, name)?;
        let result = secret::load(secret).map(|pair| {
            self.loaded.push(LoadedSecret { reference: secret.reference(), facts: pair.facts });
            self.loaded.len() - 1
        });
        self.known.insert(key, result.clone());
        Some(result)
    }
}
