//! What is spoken on a port of the mesh?

use std::fmt;
use std::str::FromStr;

use svc_model::api::ServicePort;

/// What is spoken on a port, which decides the rules that it takes.
///
/// ```
/// use route_match::istio::PortProtocol;
///
/// assert_eq!("GRPC-Web".parse(), Ok(PortProtocol::GrpcWeb));
/// assert!(PortProtocol::Mongo.is_opaque() && PortProtocol::Detected.takes_http());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PortProtocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2 without TLS.
    Http2,
    /// gRPC.
    Grpc,
    /// gRPC for browsers.
    GrpcWeb,
    /// HTTP in TLS that the client begins.
    Https,
    /// TLS that the client begins.
    Tls,
    /// Bytes.
    Tcp,
    /// MongoDB's; bytes.
    Mongo,
    /// MySQL's; bytes.
    Mysql,
    /// Redis's; bytes.
    Redis,
    /// Datagrams, which no proxy takes.
    Udp,
    /// Not said, so that the first bytes of each connection tell.
    Detected,
}

/// A word that names no protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no protocol")]
pub struct UnknownPortProtocol(Box<str>);

impl PortProtocol {
    const NAMED: [(&'static str, Self); 11] = [
        ("http", Self::Http),
        ("http2", Self::Http2),
        ("grpc", Self::Grpc),
        ("grpc-web", Self::GrpcWeb),
        ("https", Self::Https),
        ("tls", Self::Tls),
        ("tcp", Self::Tcp),
        ("mongo", Self::Mongo),
        ("mysql", Self::Mysql),
        ("redis", Self::Redis),
        ("udp", Self::Udp),
    ];

    /// That of a port of a Kubernetes Service: by `appProtocol`, else by the port's name up to its first dash. `None` for SCTP, which
    /// Istio does not know.
    pub fn of_service_port(port: &ServicePort) -> Option<Self> {
        match port.protocol.as_str() {
            "UDP" => return Some(Self::Udp),
            "SCTP" => return None,
            _ => {}
        }
        // The standard names of the Service API (KEP-3726).
        let word = match port.app_protocol.as_deref() {
            Some("kubernetes.io/h2c") => return Some(Self::Http2),
            Some("kubernetes.io/ws") => return Some(Self::Http),
            Some("kubernetes.io/wss") => return Some(Self::Https),
            Some(word) => word,
            None => port.name.as_str(),
        };
        // The one name with a dash in it.
        if word.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("grpc-web")) {
            return Some(Self::GrpcWeb);
        }
        let word = word.split_once('-').map_or(word, |(word, _)| word);
        Some(word.parse().unwrap_or(Self::Detected))
    }

    /// Whether requests on it are routed by `http` rules.
    pub fn takes_http(self) -> bool {
        matches!(self, Self::Http | Self::Http2 | Self::Grpc | Self::GrpcWeb | Self::Detected)
    }

    /// Whether connections on it are routed by `tls` rules.
    pub fn takes_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }

    /// Whether connections on it are routed by `tcp` rules alone.
    pub fn is_opaque(self) -> bool {
        matches!(self, Self::Tcp | Self::Mongo | Self::Mysql | Self::Redis)
    }
}

impl FromStr for PortProtocol {
    type Err = UnknownPortProtocol;

    fn from_str(text: &str) -> Result<Self, UnknownPortProtocol> {
        let named = Self::NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        named.map(|(_, protocol)| *protocol).ok_or_else(|| UnknownPortProtocol(text.into()))
    }
}

impl fmt::Display for PortProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMED.iter().find(|(_, protocol)| protocol == self);
        f.pad(named.map_or("detected", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_protocol_goes_before_the_name() {
        let of = |name: &str, app_protocol: Option<&str>| {
            let app_protocol = app_protocol.map(ToOwned::to_owned);
            PortProtocol::of_service_port(&ServicePort { name: name.into(), app_protocol, ..ServicePort::default() })
        };
        for (name, app_protocol, expected) in [
            ("http-web", None, PortProtocol::Http),
            ("grpc-web-api", None, PortProtocol::GrpcWeb),
            ("grpc-api", None, PortProtocol::Grpc),
            ("httpx", None, PortProtocol::Detected),
            ("", None, PortProtocol::Detected),
            ("HTTPS", None, PortProtocol::Https),
            ("http", Some("mysql"), PortProtocol::Mysql),
            ("http", Some("example.org/odd"), PortProtocol::Detected),
            ("tcp", Some("kubernetes.io/h2c"), PortProtocol::Http2),
        ] {
            assert_eq!(of(name, app_protocol), Some(expected), "{name} {app_protocol:?}");
        }
        let datagrams = ServicePort { protocol: "UDP".into(), name: "http".into(), ..ServicePort::default() };
        assert_eq!(PortProtocol::of_service_port(&datagrams), Some(PortProtocol::Udp));
    }

    #[test]
    fn a_protocol_reads_back() {
        for (name, protocol) in PortProtocol::NAMED {
            assert_eq!(protocol.to_string().parse(), Ok(protocol), "{name}");
        }
        assert_eq!("sctp".parse::<PortProtocol>().unwrap_err().to_string(), "\"sctp\" names no protocol");
    }
}
