//! Which certificate does an Ingress controller serve, or where does it pass the connection on?
//!
//! The reference is ingress-nginx, whose rules are its documented behaviour; other controllers answer alike, without
//! its aliases, its passthrough and its flags.
//!
//! 1. Every host of a rule is a *server*, unless the API server would refuse it; a host that stands only in `spec.tls`
//!    creates nothing.
//! 2. The first Ingress of a server's host, oldest first, that has a `spec.tls` decides its certificate for good: the
//!    entry that lists the host names the Secret; if no entry does, the first entry whose certificate covers the host
//!    by its dNSNames. A Secret that is missing, cannot be used or does not cover the host means the default
//!    certificate; later Ingresses are not tried. The server of rules without host always has the default.
//! 3. A server name finds the server of its very host, else that of the wildcard in place of its first label, else the
//!    default certificate. A server without any `spec.tls` is passed over; one that was given the default is not.
//! 4. Dates do not matter, and no name is refused. A connection is refused only if the client cannot verify the key of
//!    the certificate.
//! 5. With `--enable-ssl-passthrough` and the annotation `ssl-passthrough: "true"` on any Ingress with a host, that very
//!    host goes undecrypted to the Service of its path `/`, with or without ready endpoints.
//!
//! ```
//! use svc_model::Cluster;
//! use svc_model::api::{self, Ingress, IngressRule};
//! use tls_sni::ingress::IngressTls;
//! use tls_sni::{Sni, TlsQuestion};
//!
//! let mut ingress = Ingress::default();
//! ingress.metadata.name = "shop".into();
//! ingress.spec.rules = vec![IngressRule { host: "shop.example".into(), ..Default::default() }];
//! ingress.spec.tls = vec![api::IngressTls { hosts: vec!["shop.example".into()], secret_name: "gone".into() }];
//! let mut cluster = Cluster::new();
//! cluster.apply(ingress);
//!
//! let table = IngressTls::of_class(&cluster, "nginx")?;
//! let question = TlsQuestion::new(Sni::new(Some(b"shop.example")));
//! let decision = table.decide(&question, 0);
//! assert_eq!(decision.certificate.unwrap().to_string(), "default");
//! assert_eq!(decision.reason.code(), "secret-missing");
//! assert_eq!(
//!     decision.reason.to_string(),
//!     "rule host shop.example of Ingress/default/shop, whose tls entry for it names Secret/default/gone, which does \
//!      not exist; default certificate"
//! );
//! # Ok::<(), route_match::ingress::UnknownClass>(())
//! ```

mod compile;
mod reason;

use crate::choice::Alert;
use crate::decision::{Backend, CertificateRef, TlsDecision, TlsQuestion, TlsReason};
use crate::facts::CertificateFacts;
use crate::name_map::NameMap;
use crate::secret::SecretError;
use crate::server_name::ServerName;
use core::fmt;
use reason::{Outcome, Step};
use route_match::ingress::Unavailable;
use std::boxed::Box;
use std::vec::Vec;
use svc_model::{NamespacedName, ObjectRef};

pub use compile::certificates_by_their_names;
pub(crate) use compile::covers;
pub use reason::Reason;

/// What controllers pick from a client's protocols, the best first.
const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// The certificates and passthrough hosts of one controller: an immutable table, compiled once.
///
/// A question takes two hash look-ups at most, whatever the number of Ingresses, and allocates nothing.
#[derive(Clone)]
pub struct IngressTls {
    names: NameMap<Entry>,
    servers: Vec<Server>,
    secrets: Vec<LoadedSecret>,
    default: DefaultCertificate,
    /// Hosts that stand in some `spec.tls` and in no rule, for the reason alone.
    tls_only: NameMap<ObjectRef>,
}

/// What a name leads to.
#[derive(Clone)]
enum Entry {
    Server(usize),
    /// An alias of a server, and whether the server's certificate names it.
    Alias {
        alias: Box<str>,
        server: usize,
        covered: bool,
    },
}

/// One host of the rules.
#[derive(Clone)]
struct Server {
    host: Box<str>,
    /// The Ingress that decided the certificate, or the first with the host if none did.
    ingress: ObjectRef,
    certificate: ServerCertificate,
    passthrough: Passthrough,
}

#[derive(Clone)]
enum ServerCertificate {
    /// No Ingress of the host has a tls section.
    Undecided,
    Secret {
        secret: usize,
        by: Named,
    },
    Default(WhyDefault),
}

/// How a tls section names a Secret for a host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    ByHost,
    BySan,
}

#[derive(Clone)]
enum WhyDefault {
    NoSecretName,
    NoEntry,
    Missing(ObjectRef),
    Unusable(ObjectRef, SecretError),
    /// The index of the Secret.
    NotCovered(usize),
}

#[derive(Clone)]
enum Passthrough {
    Unasked,
    /// The controller runs without `--enable-ssl-passthrough`.
    NeedsFlag,
    /// Only exact hosts are passed through.
    Wildcard,
    /// The `/` of the host leads to no Service, or to none that can be passed to.
    Nowhere(Option<Unavailable>),
    To {
        ingress: ObjectRef,
        backend: [Backend; 1],
    },
}

#[derive(Clone)]
struct LoadedSecret {
    reference: ObjectRef,
    facts: CertificateFacts,
}

#[derive(Clone)]
enum DefaultCertificate {
    /// The controller's own; with the Secret of the flag that could not be used.
    Own(Option<(NamespacedName, Option<SecretError>)>),
    Secret(usize),
}

impl IngressTls {
    /// What happens to a connection. `now` is not looked at: controllers serve certificates of any date.
    pub fn decide<'a>(&'a self, question: &'a TlsQuestion<'_>, _now: i64) -> TlsDecision<'a> {
        let step = self.step(question);
        let reason = |outcome| TlsReason::Ingress(Reason { step, outcome });
        if let Step::Server(server) = step
            && let Passthrough::To { ingress, backend } = &server.passthrough
        {
            let outcome = Outcome::Passthrough { ingress, to: &backend[0] };
            return TlsDecision::pass_through(backend, reason(outcome));
        }
        let (secret, outcome) = match step.server().map(|server| &server.certificate) {
            Some(ServerCertificate::Secret { secret, by }) => {
                let secret = &self.secrets[*secret];
                let secret_name = &secret.reference;
                (Some(secret), Outcome::Secret { secret: secret_name, by: *by })
            }
            Some(ServerCertificate::Default(why)) => {
                let why = Some(why);
                (self.default_secret(), Outcome::Default { why, table: self })
            }
            Some(ServerCertificate::Undecided) | None => {
                (self.default_secret(), Outcome::Default { why: None, table: self })
            }
        };
        let certificate = match secret {
            Some(secret) => CertificateRef::Secret(&secret.reference),
            None => CertificateRef::ControllerDefault,
        };
        if secret.is_some_and(|secret| !question.accepted_keys.contains(secret.facts.key)) {
            return TlsDecision::reject(Alert::HandshakeFailure, reason(Outcome::Unverifiable(certificate)));
        }
        TlsDecision::terminate(certificate, question.alpn.pick(&PROTOCOLS), reason(outcome))
    }

    /// The way from the server name to a server.
    fn step<'a>(&'a self, question: &'a TlsQuestion<'_>) -> Step<'a> {
        let Some(name) = question.sni.name() else {
            return Step::NoName(&question.sni);
        };
        let without = match self.names.exact(name) {
            None => Without::Rule(name),
            Some(Entry::Server(server)) => {
                let server = &self.servers[*server];
                if server.has_entry() {
                    return Step::Server(server);
                }
                Without::Tls(&server.host)
            }
            Some(Entry::Alias { alias, server, covered }) => {
                let server = &self.servers[*server];
                if *covered {
                    return Step::Alias { alias, server };
                }
                let of = &server.host;
                Without::Covered { alias, of }
            }
        };
        let wildcard = match self.names.wildcard(name) {
            Some(Entry::Server(server)) => {
                let server = &self.servers[*server];
                server.has_entry().then_some((&server.host, server))
            }
            Some(Entry::Alias { alias, server, covered }) => covered.then_some((alias, &self.servers[*server])),
            None => None,
        };
        match wildcard {
            Some((wildcard, server)) => Step::Wildcard { without, wildcard, server },
            None => Step::Nothing { without, table: self },
        }
    }

    fn default_secret(&self) -> Option<&LoadedSecret> {
        match self.default {
            DefaultCertificate::Own(_) => None,
            DefaultCertificate::Secret(secret) => Some(&self.secrets[secret]),
        }
    }

    /// The number of hosts and aliases.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no Ingress has a host.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// What a name lacks to be served by a server of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without<'a> {
    Rule(&'a ServerName),
    Tls(&'a str),
    Covered { alias: &'a str, of: &'a str },
}

impl Server {
    /// Whether a name ends its search here: it has a certificate, or its bytes are passed on.
    fn has_entry(&self) -> bool {
        !matches!(self.certificate, ServerCertificate::Undecided) || matches!(self.passthrough, Passthrough::To { .. })
    }
}

impl fmt::Debug for IngressTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IngressTls")
            .field("servers", &self.servers.len())
            .field("secrets", &self.secrets.len())
            .finish_non_exhaustive()
    }
}
