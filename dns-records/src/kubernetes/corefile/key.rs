//! Which zones does a server block serve, and where does it listen?

use super::super::reverse;
use crate::name::{Name, NameError};

/// A key of a server block: `[SCHEME://]ZONE[:PORT]`, where the zone may be a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Key {
    pub(in super::super) scheme: &'static str,
    pub(in super::super) port: u16,
    /// Several for a range that ends between two labels.
    pub(in super::super) zones: Vec<Name>,
}

/// The schemes, and the port of each where none is written.
const SCHEMES: [(&str, u16); 6] =
    [("dns", 53), ("tls", 853), ("quic", 853), ("grpc", 443), ("https", 443), ("https3", 443)];

impl Key {
    pub(in super::super) fn parse(text: &str) -> Result<Self, NameError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("dns", text));
        let (scheme, default) = SCHEMES.into_iter().find(|(known, _)| scheme == *known).unwrap_or(SCHEMES[0]);
        let port = rest.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        Ok(Self { scheme, port: port.unwrap_or(default), zones: reverse::origins(text)? })
    }

    /// Whether questions to the one may be meant for the other.
    pub(in super::super) fn listens_where(&self, other: &Self) -> bool {
        (self.scheme, self.port) == (other.scheme, other.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_scheme_a_zone_and_a_port() {
        let key = |text: &str| {
            let key = Key::parse(text).unwrap();
            (key.scheme, key.port, key.zones.iter().map(Name::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(key(".:1053"), ("dns", 1053, ".".into()));
        assert_eq!(key("tls://Example.org"), ("tls", 853, "example.org.".into()));
        assert_eq!(key("10.0.0.0/15"), ("dns", 53, "0.10.in-addr.arpa. 1.10.in-addr.arpa.".into()));
        assert_eq!(key("2001:db8::/32"), ("dns", 53, "8.b.d.0.1.0.0.2.ip6.arpa.".into()));
        assert!(Key::parse("a..b:53").is_err());
    }
}
