//! What does the router see of a request? A borrowed view.

use std::fmt;

use crate::host::Host;

/// A request as the router sees it, all of it borrowed.
///
/// The host is canonical by its type; the path must already be normalised as the router's rules expect, and carry
/// neither query nor fragment.
///
/// ```
/// use route_match::{Host, Request};
///
/// let host: Host = "shop.example".parse()?;
/// let headers = [("x-canary", "always")];
/// let request = Request::new(Some(&host), "/cart").method("POST").query("step=2").headers(&headers);
/// assert_eq!(request.query_value("step"), Some("2"));
/// # Ok::<(), route_match::HostError>(())
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The host, `None` for a request without one.
    pub host: Option<&'a Host>,
    /// The normalised path, without query.
    pub path: &'a [u8],
    /// The method, as sent.
    pub method: &'a str,
    /// The scheme, as sent; compared without regard to case. `None` when it is not known.
    pub scheme: Option<&'a str>,
    /// The authority as sent, port included, `None` for a request without one: what [`Condition::Authority`] sees. The host
    /// above is what it names.
    ///
    /// [`Condition::Authority`]: crate::Condition::Authority
    pub authority: Option<&'a str>,
    /// The query without `?`, as sent; empty when there is none.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a dyn Headers,
    /// The claims of the request's token, `None` for one without.
    pub claims: Option<&'a dyn Claims>,
}

impl<'a> Request<'a> {
    /// A GET without query and headers.
    pub fn new(host: Option<&'a Host>, path: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            host,
            path: path.as_ref(),
            method: "GET",
            scheme: None,
            authority: None,
            query: "",
            headers: &NO_HEADERS,
            claims: None,
        }
    }

    /// The same request with this method.
    pub fn method(self, method: &'a str) -> Self {
        Self { method, ..self }
    }

    /// The same request with this scheme.
    pub fn scheme(self, scheme: &'a str) -> Self {
        Self { scheme: Some(scheme), ..self }
    }

    /// The same request with this authority, as sent.
    pub fn authority(self, authority: &'a str) -> Self {
        Self { authority: Some(authority), ..self }
    }

    /// The same request with this query (without `?`).
    pub fn query(self, query: &'a str) -> Self {
        Self { query, ..self }
    }

    /// The same request with these headers.
    pub fn headers(self, headers: &'a dyn Headers) -> Self {
        Self { headers, ..self }
    }

    /// The same request with these claims, which its token has been verified to make.
    pub fn claims(self, claims: &'a dyn Claims) -> Self {
        Self { claims: Some(claims), ..self }
    }

    /// The value of the first query parameter of this name, as sent; empty for one without `=`.
    pub fn query_value(&self, name: &str) -> Option<&'a str> {
        self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).find_map(|(key, value)| {
            // The empty query has no parameters, not one without a name.
            (key == name && !(key.is_empty() && value.is_empty())).then_some(value)
        })
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("host", &self.host)
            .field("path", &String::from_utf8_lossy(self.path))
            .field("method", &self.method)
            .field("scheme", &self.scheme)
            .field("authority", &self.authority)
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}

const NO_HEADERS: [(&str, &str); 0] = [];

/// The claims of a request's token (RFC 7519, 4), known to whoever verified it: never read them from headers.
///
/// Closures are claims: `|path: &[Box<str>], visit: &mut dyn FnMut(&str)| ...`.
pub trait Claims {
    /// Calls `visit` with the value of the claim at this path, the names of nested claims from the outermost on: a text, or each
    /// text of a list. Claims of other types have no value.
    fn each(&self, path: &[Box<str>], visit: &mut dyn FnMut(&str));
}

impl<F: Fn(&[Box<str>], &mut dyn FnMut(&str))> Claims for F {
    fn each(&self, path: &[Box<str>], visit: &mut dyn FnMut(&str)) {
        self(path, visit);
    }
}

/// The headers of a request.
pub trait Headers {
    /// Calls `visit` with each value of the header `name`, case ignored, in the order of appearance.
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8]));
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for &[(N, V)] {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        for (key, value) in *self {
            if key.as_ref().eq_ignore_ascii_case(name) {
                visit(value.as_ref());
            }
        }
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const COUNT: usize> Headers for [(N, V); COUNT] {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.as_slice().each(name, visit);
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for Vec<(N, V)> {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.as_slice().each(name, visit);
    }
}

#[cfg(feature = "http")]
impl Headers for http::HeaderMap {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        for value in self.get_all(name) {
            visit(value.as_bytes());
        }
    }
}

#[cfg(feature = "http")]
impl<'a> Request<'a> {
    /// The view of the head of an `http` request. Host and path are given, since reading and normalising them is the
    /// caller's first step ([`Authority::of_request`](crate::Authority::of_request),
    /// [`PathNormalisation`](crate::PathNormalisation)). The authority is that of the URI, else the Host header.
    pub fn from_parts(
        parts: &'a http::request::Parts,
        host: Option<&'a Host>,
        path: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Self {
        Self::of_http(&parts.method, &parts.uri, &parts.headers, host, path.as_ref())
    }

    /// As [`from_parts`](Self::from_parts), from a whole request.
    pub fn from_request<B>(
        request: &'a http::Request<B>,
        host: Option<&'a Host>,
        path: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Self {
        Self::of_http(request.method(), request.uri(), request.headers(), host, path.as_ref())
    }

    fn of_http(
        method: &'a http::Method,
        uri: &'a http::Uri,
        headers: &'a http::HeaderMap,
        host: Option<&'a Host>,
        path: &'a [u8],
    ) -> Self {
        let host_header = || headers.get(http::header::HOST).and_then(|value| value.to_str().ok());
        Self {
            host,
            path,
            method: method.as_str(),
            scheme: uri.scheme_str(),
            authority: uri.authority().map(http::uri::Authority::as_str).or_else(host_header),
            query: uri.query().unwrap_or_default(),
            headers,
            claims: None,
        }
    }
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::*;
    use crate::condition::{Condition, ValuePattern};

    #[test]
    fn an_http_request_is_seen_whole() {
        let request = http::Request::post("http://shop.example/cart?a=1").header("X-A", "1").header("x-a", "2");
        let request = request.body(()).unwrap();
        let host: Host = "shop.example".parse().unwrap();
        let (parts, ()) = request.clone().into_parts();
        for view in
            [Request::from_request(&request, Some(&host), "/cart"), Request::from_parts(&parts, Some(&host), "/cart")]
        {
            assert!(Condition::method("POST").holds(&view));
            assert!(Condition::header("x-a", ValuePattern::exact("1,2")).holds(&view));
            assert!(Condition::query("a", ValuePattern::exact("1")).holds(&view));
            assert!(Condition::authority(ValuePattern::exact("shop.example")).holds(&view));
            assert!(Condition::scheme(ValuePattern::exact("http")).holds(&view));
        }
    }

    #[test]
    fn the_authority_of_an_origin_form_request_is_its_host_header() {
        let request = http::Request::get("/cart").header("Host", "Shop.example:8080").body(()).unwrap();
        let view = Request::from_request(&request, None, "/cart");
        assert_eq!((view.authority, view.scheme), (Some("Shop.example:8080"), None));
    }
}
