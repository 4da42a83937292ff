//! Which parts of a request make its hash? Envoy's route `hash_policy` and Istio's `consistentHash`.

use crate::cookie::{SetCookie, cookies};
use crate::hash::ip::Text;
use crate::hash::xxh64;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::net::SocketAddr;
use core::time::Duration;

/// A part of a request that gives a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashSource {
    /// The first value of a header with this name.
    Header(String),
    /// A cookie.
    Cookie {
        /// Its name.
        name: String,
        /// If there is one, an absent cookie is generated and lives so long; zero for as long as the browser's session.
        ttl: Option<Duration>,
        /// The path of a generated cookie; empty for none.
        path: String,
    },
    /// The first value of a query parameter with this name.
    Query(String),
    /// The address the request comes from, without port.
    SourceIp,
}

/// One line of a route's hash policy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashPolicy {
    /// What is hashed.
    pub source: HashSource,
    /// Whether the lines after it do not count, if there is a hash by then: its own or one from before.
    pub terminal: bool,
}

impl HashPolicy {
    /// A line that is not terminal.
    pub fn new(source: HashSource) -> Self {
        Self { source, terminal: false }
    }

    /// The hash of a header.
    pub fn header(name: impl Into<String>) -> Self {
        Self::new(HashSource::Header(name.into()))
    }

    /// The hash of a cookie; with a `ttl`, one that is absent is generated.
    pub fn cookie(name: impl Into<String>, ttl: Option<Duration>) -> Self {
        Self::new(HashSource::Cookie { name: name.into(), ttl, path: String::new() })
    }

    /// The hash of a query parameter.
    pub fn query(name: impl Into<String>) -> Self {
        Self::new(HashSource::Query(name.into()))
    }

    /// The hash of the source address.
    pub fn source_ip() -> Self {
        Self::new(HashSource::SourceIp)
    }

    /// The same line with this [`terminal`](Self#structfield.terminal).
    #[must_use]
    pub fn terminal(self, terminal: bool) -> Self {
        Self { terminal, ..self }
    }
}

/// A request, as a hash policy looks at it.
pub trait HashRequest {
    /// The first value of a header; names are compared without case.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// The first value of a query parameter, as it is written.
    fn query(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// The value of a cookie. By default it is read from the header `cookie`.
    fn cookie(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        match self.header("cookie")? {
            Cow::Borrowed(header) => {
                cookies(header).find(|(n, _)| *n == name.as_bytes()).map(|(_, v)| Cow::Borrowed(v))
            }
            Cow::Owned(header) => {
                let value = cookies(&header).find(|(n, _)| *n == name.as_bytes()).map(|(_, value)| value.to_vec());
                value.map(Cow::Owned)
            }
        }
    }

    /// What is hashed in place of the value of a header: where a rewriting by a regular expression belongs. By default
    /// nothing is rewritten.
    fn rewrite<'a>(&self, name: &str, value: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
        let _ = name;
        value
    }

    /// Where the request comes from, if it comes from an address.
    fn remote(&self) -> Option<SocketAddr>;

    /// The address it came to.
    fn local(&self) -> Option<SocketAddr>;
}

/// The hash of a request by the lines of a hash policy, in order (Envoy, `hash_policy.cc`). `None` if no line gives one;
/// hash policies then take a random word.
///
/// Hashes are joined by `rotate_left(1) xor next`, each being the [`xxh64`] of a value. An empty cookie is absent.
/// `set_cookie` gets every cookie that is generated, to be sent with the response: its value is the hash of both
/// addresses as text, so that requests of one connection get the same.
///
/// ```
/// use lb_select::{HashPolicy, HashRequest, request_hash};
/// use std::{borrow::Cow, net::SocketAddr};
///
/// struct Request;
/// impl HashRequest for Request {
///     fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
///         (name == "x-user").then_some(Cow::Borrowed(b"amy"))
///     }
///     fn query(&self, _: &str) -> Option<Cow<'_, [u8]>> { None }
///     fn remote(&self) -> Option<SocketAddr> { "10.0.0.9:41234".parse().ok() }
///     fn local(&self) -> Option<SocketAddr> { None }
/// }
///
/// let policies = [HashPolicy::header("x-user").terminal(true), HashPolicy::source_ip()];
/// assert_eq!(request_hash(&policies, &Request, |_| ()), Some(18165713691167380660));
/// ```
pub fn request_hash<'a>(
    policies: &'a [HashPolicy],
    request: &impl HashRequest,
    mut set_cookie: impl FnMut(SetCookie<'a>),
) -> Option<u64> {
    let mut hash = None;
    for policy in policies {
        if let Some(next) = policy.source.hash(request, &mut set_cookie) {
            hash = Some(hash.map_or(next, |hash: u64| hash.rotate_left(1) ^ next));
        }
        if policy.terminal && hash.is_some() {
            break;
        }
    }
    hash
}

impl HashSource {
    fn hash<'a>(&'a self, request: &impl HashRequest, set_cookie: &mut impl FnMut(SetCookie<'a>)) -> Option<u64> {
        match self {
            Self::Header(name) => request.header(name).map(|value| xxh64(&request.rewrite(name, value), 0)),
            Self::Query(name) => request.query(name).map(|value| xxh64(&value, 0)),
            Self::SourceIp => request.remote().map(|remote| xxh64(Text::new(remote.ip()).as_bytes(), 0)),
            Self::Cookie { name, ttl, path } => match request.cookie(name) {
                Some(value) if !value.is_empty() => Some(xxh64(&value, 0)),
                _ => {
                    let ttl = (*ttl)?;
                    let value = generated_value(request.remote()?, request.local()?);
                    let hash = xxh64(value.as_bytes(), 0);
                    let cookie = SetCookie::new(name, value).http_only(true).path(path);
                    set_cookie(if ttl.is_zero() { cookie } else { cookie.max_age(ttl) });
                    Some(hash)
                }
            },
        }
    }
}

/// 16 hexadecimal digits that both ends of a connection give.
fn generated_value(remote: SocketAddr, local: SocketAddr) -> String {
    format!("{:016x}", xxh64(format!("{remote}{local}").as_bytes(), 0))
}

/// Istio's `loadBalancer.consistentHash`, of which exactly one is set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IstioHashKey {
    /// `httpHeaderName`.
    HttpHeaderName(String),
    /// `httpCookie`.
    HttpCookie {
        /// The name of the cookie.
        name: String,
        /// Its path; empty for none.
        path: String,
        /// How long a generated one lives; absent for: do not generate.
        ttl: Option<Duration>,
    },
    /// `useSourceIp: true`.
    UseSourceIp,
    /// `httpQueryParameterName`.
    HttpQueryParameterName(String),
}

impl From<IstioHashKey> for HashPolicy {
    fn from(key: IstioHashKey) -> Self {
        Self::new(match key {
            IstioHashKey::HttpHeaderName(name) => HashSource::Header(name),
            IstioHashKey::HttpCookie { name, path, ttl } => HashSource::Cookie { name, path, ttl },
            IstioHashKey::UseSourceIp => HashSource::SourceIp,
            IstioHashKey::HttpQueryParameterName(name) => HashSource::Query(name),
        })
    }
}

/// The first value of a parameter in a query (what follows the `?`), as it is written. `None` if there is none; a
/// parameter without `=` has an empty value. O(length).
///
/// ```
/// assert_eq!(lb_select::query_parameter(b"a=1&user=amy&user=bob", b"user"), Some(&b"amy"[..]));
/// ```
pub fn query_parameter<'a>(query: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let pairs = query.split(|&byte| byte == b'&').map(|pair| {
        let end = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        (&pair[..end], pair.get(end + 1..).unwrap_or_default())
    });
    pairs.into_iter().find(|(n, _)| *n == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Headers, the cookie header among them, and a query.
    struct Request<'a>(&'a [(&'a str, &'a str)], &'a str);

    impl HashRequest for Request<'_> {
        fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
            self.0.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_bytes().into())
        }

        fn query(&self, name: &str) -> Option<Cow<'_, [u8]>> {
            query_parameter(self.1.as_bytes(), name.as_bytes()).map(Cow::Borrowed)
        }

        fn remote(&self) -> Option<SocketAddr> {
            "[fd00::9]:41234".parse().ok()
        }

        fn local(&self) -> Option<SocketAddr> {
            "10.0.0.1:8080".parse().ok()
        }
    }

    #[test]
    fn a_terminal_line_without_a_hash_does_not_end_the_policy_but_one_after_a_hash_does() {
        let request = Request(&[("a", "1"), ("c", "3")], "");
        let lines = |b_terminal| [HashPolicy::header("b").terminal(b_terminal), HashPolicy::header("c")];
        assert_eq!(request_hash(&lines(true), &request, |_| ()), Some(xxh64(b"3", 0)));
        let after = [HashPolicy::header("a"), HashPolicy::header("b").terminal(true), HashPolicy::header("c")];
        assert_eq!(request_hash(&after, &request, |_| ()), Some(xxh64(b"1", 0)));
        assert_eq!(request_hash(&[], &request, |_| ()), None);
    }

    #[test]
    fn an_empty_cookie_is_absent_and_only_a_ttl_makes_a_new_one() {
        let request = Request(&[("cookie", "x=1; sid=; y=2")], "");
        assert_eq!(request_hash(&[HashPolicy::cookie("sid", None)], &request, |_| panic!("not asked for")), None);
        let mut made = Vec::new();
        let lines = [HashPolicy::cookie("sid", Some(Duration::ZERO))];
        let hash = request_hash(&lines, &request, |cookie| made.push(format!("{cookie}")));
        let value = format!("{:016x}", xxh64(b"[fd00::9]:4123410.0.0.1:8080", 0));
        assert_eq!(hash, Some(xxh64(value.as_bytes(), 0)));
        assert_eq!(made, [format!("sid={value}; HttpOnly")]);
        let sent = format!("sid={value}");
        let again = Request(&[("cookie", &sent)], "");
        assert_eq!(request_hash(&lines, &again, |_| panic!("is there")), hash);
    }

    #[test]
    fn the_source_is_hashed_without_port_and_brackets() {
        let hash = request_hash(&[IstioHashKey::UseSourceIp.into()], &Request(&[], ""), |_| ());
        assert_eq!(hash, Some(xxh64(b"fd00::9", 0)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_query_and_what_is_found_was_there(query in proptest::collection::vec(any::<u8>(), 0..60), name in "[a-c=&]{0,2}") {
            if let Some(value) = query_parameter(&query, name.as_bytes()) {
                prop_assert!(value.is_empty() || query.windows(value.len()).any(|part| part == value));
                prop_assert!(!value.contains(&b'&'));
            }
        }
    }
}
