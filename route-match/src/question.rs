//! What is asked of a controller? A request, as it reached it.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use crate::request::{Claims, Headers};

/// The scheme of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP in TLS.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request as it reached a controller, nothing in it normalised yet.
///
/// ```
/// use route_match::ingress::{HttpQuestion, Scheme};
///
/// let headers = [("x-canary", "always")];
/// let question = HttpQuestion::new(Scheme::Https, "shop.example", "/cart").method("POST").query("step=2").headers(&headers);
/// assert_eq!((question.port, question.query), (443, Some("step=2")));
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct HttpQuestion<'a> {
    /// The scheme of the connection.
    pub scheme: Scheme,
    /// The port the client connected to.
    pub port: u16,
    /// The Host header, as sent.
    pub host: &'a str,
    /// The path, as sent, without query and fragment ([`RequestTarget`](crate::RequestTarget)).
    pub path: &'a str,
    /// The query without `?`, as sent; `None` when there is no `?`.
    pub query: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The headers.
    pub headers: &'a dyn Headers,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The claims of the request's token, which somebody has verified before; only Istio's gateways look at them.
    pub claims: Option<&'a dyn Claims>,
}

impl<'a> HttpQuestion<'a> {
    /// A GET over a connection to the scheme's usual port, without query and headers.
    pub fn new(scheme: Scheme, host: &'a str, path: &'a str) -> Self {
        const NONE: [(&str, &str); 0] = [];
        let port = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        Self { scheme, port, host, path, query: None, method: "GET", headers: &NONE, client: None, claims: None }
    }

    /// The same request over a connection to this port.
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The same request with this query (without `?`).
    pub fn query(self, query: &'a str) -> Self {
        let query = Some(query);
        Self { query, ..self }
    }

    /// The same request with this method.
    pub fn method(self, method: &'a str) -> Self {
        Self { method, ..self }
    }

    /// The same request with these headers.
    pub fn headers(self, headers: &'a dyn Headers) -> Self {
        Self { headers, ..self }
    }

    /// The same request from this address.
    pub fn client(self, client: IpAddr) -> Self {
        let client = Some(client);
        Self { client, ..self }
    }

    /// The same request with these claims.
    pub fn claims(self, claims: &'a dyn Claims) -> Self {
        let claims = Some(claims);
        Self { claims, ..self }
    }

    /// Path and query as sent; an empty path is `/`.
    pub(super) fn uri(&self) -> Cow<'a, str> {
        let path = if self.path.is_empty() { "/" } else { self.path };
        match self.query {
            Some(query) => Cow::Owned(format!("{path}?{query}")),
            None => Cow::Borrowed(path),
        }
    }
}

impl fmt::Debug for HttpQuestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpQuestion")
            .field("scheme", &self.scheme)
            .field("port", &self.port)
            .field("host", &self.host)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("method", &self.method)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
