//! How did an Ingress controller come to its answer? In a code for programs and in words for people.

use super::{DefaultCertificate, IngressTls, Named, Passthrough, Server, WhyDefault, Without};
use crate::decision::{Backend, CertificateRef};
use crate::server_name::Sni;
use core::fmt;
use core::ptr;
use svc_model::ObjectRef;

/// Why an Ingress controller answers as it does.
#[derive(Clone, Copy)]
pub struct Reason<'a> {
    pub(super) step: Step<'a>,
    pub(super) outcome: Outcome<'a>,
}

/// The way from the server name to a server.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Server(&'a Server),
    Alias { alias: &'a str, server: &'a Server },
    Wildcard { without: Without<'a>, wildcard: &'a str, server: &'a Server },
    Nothing { without: Without<'a>, table: &'a IngressTls },
    NoName(&'a Sni),
}

/// What came of it.
#[derive(Clone, Copy)]
pub(super) enum Outcome<'a> {
    Secret { secret: &'a ObjectRef, by: Named },
    Default { why: Option<&'a WhyDefault>, table: &'a IngressTls },
    Passthrough { ingress: &'a ObjectRef, to: &'a Backend },
    Unverifiable(CertificateRef<'a>),
}

impl<'a> Step<'a> {
    pub(super) fn server(self) -> Option<&'a Server> {
        match self {
            Step::Server(server) | Step::Alias { server, .. } | Step::Wildcard { server, .. } => Some(server),
            Step::Nothing { .. } | Step::NoName(_) => None,
        }
    }

    /// The Ingress that lists the name in `spec.tls` though no Ingress has a rule for it.
    fn in_tls_of(self) -> Option<&'a ObjectRef> {
        match self {
            Step::Nothing { without: Without::Rule(name), table } => {
                table.tls_only.get(name).map(|(_, ingress)| ingress)
            }
            _ => None,
        }
    }
}

impl Reason<'_> {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match (self.outcome, self.step) {
            (Outcome::Passthrough { .. }, _) => "passthrough",
            (Outcome::Unverifiable(_), _) => "unverifiable",
            (Outcome::Secret { by: Named::ByHost, .. }, _) => "secret",
            (Outcome::Secret { by: Named::BySan, .. }, _) => "secret-by-san",
            (Outcome::Default { why: Some(why), .. }, _) => match why {
                WhyDefault::NoSecretName => "no-secret-name",
                WhyDefault::NoEntry => "no-tls-entry",
                WhyDefault::Missing(_) => "secret-missing",
                WhyDefault::Unusable(..) => "secret-unusable",
                WhyDefault::NotCovered(_) => "not-covered",
            },
            (Outcome::Default { why: None, .. }, step) => match step {
                Step::NoName(Sni::Ip(_)) => "ip-literal",
                Step::NoName(Sni::Invalid(_)) => "invalid-name",
                Step::NoName(_) => "no-name",
                Step::Nothing { without, .. } => match without {
                    Without::Rule(_) if step.in_tls_of().is_some() => "tls-host-without-rule",
                    Without::Rule(_) => "unknown-host",
                    Without::Covered { .. } => "alias-not-covered",
                    Without::Tls(_) => "no-tls-section",
                },
                // A server that was reached has a certificate or was given the default, for a reason.
                Step::Server(_) | Step::Alias { .. } | Step::Wildcard { .. } => "no-tls-section",
            },
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.step.fmt(f)?;
        let server = self.step.server();
        match self.outcome {
            Outcome::Secret { secret, by } => {
                let by = match by {
                    Named::ByHost => "whose tls entry for it names",
                    Named::BySan => {
                        "no tls entry of which lists it, so that the first certificate that covers it is served:"
                    }
                };
                if let Some(Server { ingress, .. }) = server {
                    write!(f, " of {ingress}, {by} {secret}")?;
                }
            }
            Outcome::Default { why, table } => {
                if let (Some(why), Some(server)) = (why, server) {
                    why.fmt(f, server, table)?;
                }
                write!(f, "; default certificate")?;
                table.default.fmt(f, table)?;
            }
            Outcome::Passthrough { ingress, to } => {
                write!(f, " is passed through undecrypted by {ingress} to {} port {}", to.service, to.port)?;
            }
            Outcome::Unverifiable(certificate) => {
                write!(f, "; refused, since the client verifies no key like that of {certificate}")?;
            }
        }
        match server.map(|server| &server.passthrough) {
            Some(Passthrough::NeedsFlag) => {
                write!(f, "; ssl-passthrough has no effect without --enable-ssl-passthrough")
            }
            Some(Passthrough::Wildcard) => write!(f, "; ssl-passthrough has no effect on a wildcard host"),
            Some(Passthrough::Nowhere(None)) => {
                write!(f, "; ssl-passthrough has no effect, since its path / leads to no Service")
            }
            Some(Passthrough::Nowhere(Some(why))) => write!(f, "; ssl-passthrough has no effect, since {why}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Server(server) => write!(f, "rule host {}", server.host),
            Step::Alias { alias, server } => write!(f, "alias {alias} of rule host {}", server.host),
            Step::Wildcard { without, wildcard, server } => {
                write!(f, "{without}; wildcard {wildcard} used: rule host {}", server.host)
            }
            Step::Nothing { without, .. } => match (without, self.in_tls_of()) {
                (Without::Rule(name), Some(ingress)) => {
                    write!(f, "spec.tls of {ingress} lists {name}, or a wildcard for it, but no rule does")
                }
                _ => write!(f, "{without}, and no wildcard serves it"),
            },
            Step::NoName(Sni::Ip(ip)) => write!(f, "the server name is the IP literal {ip}"),
            Step::NoName(Sni::Invalid(error)) => write!(f, "the server name is no host name: {error}"),
            Step::NoName(_) => write!(f, "no server name was sent"),
        }
    }
}

impl fmt::Display for Without<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Without::Rule(name) => write!(f, "there is no rule host {name}"),
            Without::Tls(host) => write!(f, "rule host {host} has no tls section"),
            Without::Covered { alias, of } => {
                write!(f, "alias {alias} of rule host {of} is not covered by a certificate of that host")
            }
        }
    }
}

impl WhyDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>, server: &Server, table: &IngressTls) -> fmt::Result {
        let ingress = &server.ingress;
        match self {
            WhyDefault::NoSecretName => write!(f, " of {ingress}, whose tls entry for it has no secretName"),
            WhyDefault::NoEntry => {
                write!(f, " of {ingress}, no tls entry of which lists it or has a certificate that covers it")
            }
            WhyDefault::Missing(secret) => {
                write!(f, " of {ingress}, whose tls entry for it names {secret}, which does not exist")
            }
            WhyDefault::Unusable(secret, error) => {
                write!(f, " of {ingress}, whose tls entry for it names {secret}, which cannot be used: {error}")
            }
            WhyDefault::NotCovered(secret) => {
                let secret = &table.secrets[*secret];
                write!(f, " of {ingress}, whose tls entry for it names {}", secret.reference)?;
                write!(f, ", whose certificate does not cover it (names:")?;
                for name in &secret.facts.names {
                    write!(f, " {name}")?;
                }
                match &secret.facts.common_name {
                    Some(name) if secret.facts.names.is_empty() => write!(f, " none, common name {name})"),
                    _ if secret.facts.names.is_empty() => write!(f, " none)"),
                    _ => write!(f, ")"),
                }
            }
        }
    }
}

impl DefaultCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>, table: &IngressTls) -> fmt::Result {
        match self {
            DefaultCertificate::Own(None) => Ok(()),
            DefaultCertificate::Secret(secret) => write!(f, " of the controller, {}", table.secrets[*secret].reference),
            DefaultCertificate::Own(Some((name, None))) => {
                write!(f, " made by the controller, since Secret {name} of --default-ssl-certificate does not exist")
            }
            DefaultCertificate::Own(Some((name, Some(error)))) => {
                write!(
                    f,
                    " made by the controller, since Secret {name} of --default-ssl-certificate cannot be used: {error}"
                )
            }
        }
    }
}

/// As its words.
impl fmt::Debug for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self})", self.code())
    }
}

/// Equal when the same code came by way of the same server of the same table.
impl PartialEq for Reason<'_> {
    fn eq(&self, other: &Self) -> bool {
        let server = |reason: &Self| reason.step.server().map(ptr::from_ref);
        self.code() == other.code() && server(self) == server(other)
    }
}

impl Eq for Reason<'_> {}
