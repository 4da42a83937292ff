//! How is TLS ended, and how is it spoken to backends?

use serde::Serialize;

use super::{DataSource, StringMatcher, is_off};

/// `envoy.config.core.v3.TransportSocket` with its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TransportSocket {
    /// Its name.
    pub name: &'static str,
    /// Its settings.
    pub typed_config: TlsContext,
}

/// The TLS context of one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "@type")]
pub enum TlsContext {
    /// `envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext`.
    #[serde(rename = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext")]
    Downstream {
        /// Whether clients must have a certificate.
        #[serde(skip_serializing_if = "is_off")]
        require_client_certificate: bool,
        /// What both sides have in common.
        common_tls_context: CommonTlsContext,
    },
    /// `envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext`.
    #[serde(rename = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext")]
    Upstream {
        /// The server name that is asked for.
        #[serde(skip_serializing_if = "String::is_empty")]
        sni: String,
        /// What both sides have in common.
        common_tls_context: CommonTlsContext,
    },
}

impl TransportSocket {
    /// TLS that ends here, with these certificates.
    pub fn downstream(common_tls_context: CommonTlsContext, require_client_certificate: bool) -> Self {
        let typed_config = TlsContext::Downstream { require_client_certificate, common_tls_context };
        Self { name: "envoy.transport_sockets.tls", typed_config }
    }

    /// TLS to a backend of this name.
    pub fn upstream(sni: String, common_tls_context: CommonTlsContext) -> Self {
        Self { name: "envoy.transport_sockets.tls", typed_config: TlsContext::Upstream { sni, common_tls_context } }
    }
}

/// `envoy.extensions.transport_sockets.tls.v3.CommonTlsContext`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CommonTlsContext {
    /// The certificates, of which one fits the server name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls_certificates: Vec<TlsCertificate>,
    /// Whom the other side may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_context: Option<CertificateValidationContext>,
    /// The protocols spoken inside, the best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn_protocols: Vec<&'static str>,
}

/// `envoy.extensions.transport_sockets.tls.v3.TlsCertificate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TlsCertificate {
    /// The certificate and those above it.
    pub certificate_chain: DataSource,
    /// Its key.
    pub private_key: DataSource,
}

/// `envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateValidationContext {
    /// Who must have signed.
    pub trusted_ca: DataSource,
    /// Names of which the certificate must have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_typed_subject_alt_names: Vec<SubjectAltNameMatcher>,
}

/// `envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubjectAltNameMatcher {
    /// `DNS` or `URI`.
    pub san_type: &'static str,
    /// The name.
    pub matcher: StringMatcher,
}
