//! Which host and port does a request name? One reader for Host headers, `:authority` and URLs.

use std::fmt;
use std::str::FromStr;

use crate::excerpt::Excerpt;
use crate::host::{Host, HostError};

/// A host with an optional port, as a Host header, an `:authority` pseudo-header or a URL names it.
///
/// Reading is idempotent: what [`Display`](fmt::Display) writes reads back as an equal value.
///
/// ```
/// use route_match::Authority;
///
/// let authority = Authority::parse("Shop.Example.:8080")?;
/// assert_eq!(authority.to_string(), "shop.example:8080");
/// assert!(Authority::parse("user@shop.example").is_err());
/// # Ok::<(), route_match::AuthorityError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    host: Host,
    port: Option<u16>,
}

impl Authority {
    /// Reads `HOST` or `HOST:PORT`, blanks around it allowed (RFC 9110, 5.5). An empty port is none (RFC 3986, 3.2.3). User
    /// information is refused (RFC 9110, 4.2.4), so are a port that is not all digits and one above 65535.
    pub fn parse(text: &str) -> Result<Self, AuthorityError> {
        let text = text.trim_matches([' ', '\t']);
        // No host holds an `@`, so that it need be looked for only where something is wrong.
        Self::without_user_information(text).map_err(|fault| match text.contains('@') {
            true => AuthorityError::UserInformation(Excerpt::of(text)),
            false => fault,
        })
    }

    fn without_user_information(text: &str) -> Result<Self, AuthorityError> {
        // Inside brackets a colon belongs to the address.
        let after_address = if text.starts_with('[') { text.find(']').unwrap_or(text.len()) } else { 0 };
        let Some(colon) = text[after_address..].find(':') else { return Ok(Self::from(text.parse::<Host>()?)) };
        let (host, port) = text.split_at(after_address + colon);
        let port = &port[1..];
        if !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AuthorityError::Port(Excerpt::of(text)));
        }
        let number = || port.parse().map_err(|_| AuthorityError::PortRange(Excerpt::of(text)));
        let port = if port.is_empty() { None } else { Some(number()?) };
        Ok(Self { host: host.parse()?, port })
    }

    /// The authority of a whole request: that of an absolute-form target and every Host header (or `:authority` and
    /// `host`), which must all name the same host and port. A request that names none is refused, as RFC 9112, 3.2
    /// asks of HTTP/1.1. A server answers any error here with 400.
    pub fn of_request<'a>(mentions: impl IntoIterator<Item = &'a str>) -> Result<Self, AuthorityError> {
        let mut mentions = mentions.into_iter();
        let first = Self::parse(mentions.next().ok_or(AuthorityError::Missing)?)?;
        for other in mentions {
            let other = Self::parse(other)?;
            if other != first {
                return Err(AuthorityError::Contradiction(Box::new((first, other))));
            }
        }
        Ok(first)
    }

    /// The host, canonical.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, if one was written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The host alone.
    pub fn into_host(self) -> Host {
        self.host
    }
}

impl FromStr for Authority {
    type Err = AuthorityError;

    fn from_str(text: &str) -> Result<Self, AuthorityError> {
        Self::parse(text)
    }
}

impl From<Host> for Authority {
    fn from(host: Host) -> Self {
        Self { host, port: None }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => self.host.fmt(f),
        }
    }
}

/// Why a text is no [`Authority`], or a request has none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The host part is no host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// `user@host`.
    #[error("authority {0} has user information")]
    UserInformation(Excerpt),
    /// The port is not a decimal number.
    #[error("authority {0} has a port that is not a number")]
    Port(Excerpt),
    /// The port is above 65535.
    #[error("authority {0} has a port above 65535")]
    PortRange(Excerpt),
    /// The request names no host at all.
    #[error("request has no host")]
    Missing,
    /// The request names two different ones.
    #[error("request names both {} and {}", .0.0, .0.1)]
    Contradiction(Box<(Authority, Authority)>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ports_and_brackets_are_separated() {
        for (text, host, port) in [
            ("a.example", "a.example", None),
            ("A.Example:80", "a.example", Some(80)),
            ("a.example.:65535", "a.example", Some(65535)),
            ("192.0.2.1:0", "192.0.2.1", Some(0)),
            ("[::1]", "[::1]", None),
            ("[2001:DB8::1]:443", "[2001:db8::1]", Some(443)),
            (" a.example\t", "a.example", None),
        ] {
            let authority = Authority::parse(text).unwrap();
            assert_eq!((authority.host().as_str(), authority.port()), (host, port), "{text}");
        }
    }

    #[test]
    fn rfc_3986_3_2_3_an_empty_port_is_no_port() {
        for (text, canonical) in [("a.example:", "a.example"), ("[::1]:", "[::1]"), ("192.0.2.1:", "192.0.2.1")] {
            let authority = Authority::parse(text).unwrap();
            assert_eq!((authority.to_string().as_str(), authority.port()), (canonical, None));
        }
        assert!(Authority::of_request(["a.example:", "a.example"]).is_ok());
    }

    #[test]
    fn host_confusion_is_refused() {
        for text in [
            "a@b",
            "a:80:90",
            "[::1",
            "[::1]x",
            "[::1]80",
            "[fe80::1%25eth0]",
            "::1",
            "a:+80",
            "a::",
            "a:8 0",
            "a:65536",
            "",
            ":80",
            "a..b",
            "a/b",
            "a\0b",
            "a b",
            "http://a",
            "a,b",
            "a%2eb",
        ] {
            assert!(Authority::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn two_different_hosts_in_one_request_are_refused() {
        assert_eq!(Authority::of_request(["a.example", "A.example."]).unwrap().to_string(), "a.example");
        let error = Authority::of_request(["a.example", "b.example"]).unwrap_err();
        assert_eq!(error.to_string(), "request names both a.example and b.example");
        assert_eq!(Authority::of_request([]), Err(AuthorityError::Missing));
    }

    #[test]
    fn cve_2019_18802_trailing_blanks_make_no_difference() {
        assert_eq!(Authority::parse("a.example "), Authority::parse("a.example"));
    }

    proptest! {
        #[test]
        fn reading_is_total_and_idempotent(text in "[a-zA-Z0-9._:\\[\\]@%*-]{0,24}|\\PC{0,40}") {
            if let Ok(authority) = Authority::parse(&text) {
                prop_assert_eq!(Authority::parse(&authority.to_string()), Ok(authority));
            }
        }

        #[test]
        fn canonical_hosts_are_lower_case_without_trailing_dot(text in "[a-zA-Z0-9_-]{1,9}(\\.[a-zA-Z0-9_-]{1,9}){0,4}\\.?") {
            if let Ok(host) = text.parse::<Host>() {
                prop_assert_eq!(host.as_str(), host.as_str().to_ascii_lowercase());
                prop_assert!(!host.as_str().ends_with('.'));
                prop_assert_eq!(host.as_str().parse::<Host>(), Ok(host));
            }
        }
    }
}
