//! Where is the client sent instead?

use std::fmt::Write as _;

use super::PathRewrite;

/// A redirect: a status and a Location.
///
/// ```
/// use route_match::action::{Redirect, RedirectParts, RequestUri};
///
/// let request = RequestUri {
///     scheme: "http", host: "shop.example", host_port: None, port: 80, path: "/cart", query: Some("step=2"),
/// };
/// let to_https = Redirect::to(308, RedirectParts { scheme: Some("https".into()), ..RedirectParts::default() });
/// assert_eq!(to_https.location(&request), "https://shop.example/cart?step=2");
/// assert_eq!(Redirect::verbatim(302, "https://else.example/").location(&request), "https://else.example/");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// The status, 300 to 308.
    pub code: u16,
    target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Verbatim(Box<str>),
    Parts(Box<RedirectParts>),
}

/// What of a request's URI is replaced; the default keeps all of it, and writes a port where the request's scheme needs one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedirectParts {
    /// The scheme, in lower case.
    pub scheme: Option<Box<str>>,
    /// The host; the port is written after it, so that one that carries a port already goes with [`RedirectPort::Omitted`].
    pub host: Option<Box<str>>,
    /// The port.
    pub port: RedirectPort,
    /// The path.
    pub path: Option<PathRewrite>,
    /// The query.
    pub query: QueryRule,
    /// Whether one slash at the end of path and query is taken off, as ingress-nginx does.
    pub trim_slash: bool,
}

/// Which port a Location names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RedirectPort {
    /// The usual one if the redirect names a scheme, else that of the request; left out where it is the usual one of the
    /// scheme (Gateway API).
    #[default]
    Derived,
    /// This one, left out where it is the usual one of the scheme.
    Number(u16),
    /// That of the request, left out where it is the usual one of the scheme.
    OfRequest,
    /// That of the request, always written.
    AlwaysWritten,
    /// The one that the Host names, if it names one and the redirect names no host.
    OfHost,
    /// The same, left out where it is the usual one of the request's scheme and the redirect changes that (Envoy).
    OfHostUnlessUsual,
    /// None.
    Omitted,
}

/// What becomes of the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryRule {
    /// It is kept.
    #[default]
    Keep,
    /// There is none.
    Drop,
    /// It is this one, without `?`.
    Replace(Box<str>),
}

/// The URI of a request, as a redirect sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestUri<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The host, without port.
    pub host: &'a str,
    /// The port that the Host names, if it names one.
    pub host_port: Option<u16>,
    /// The port of the listener.
    pub port: u16,
    /// The path, as received.
    pub path: &'a str,
    /// The query without `?`, as received.
    pub query: Option<&'a str>,
}

impl Redirect {
    /// To the request's own URI, parts of it replaced.
    pub fn to(code: u16, parts: RedirectParts) -> Self {
        Self { code, target: Target::Parts(Box::new(parts)) }
    }

    /// To this Location, whatever the request was.
    pub fn verbatim(code: u16, location: &str) -> Self {
        Self { code, target: Target::Verbatim(location.into()) }
    }

    /// What is replaced; `None` for one that is the same whatever the request was.
    pub fn parts(&self) -> Option<&RedirectParts> {
        match &self.target {
            Target::Verbatim(_) => None,
            Target::Parts(parts) => Some(parts),
        }
    }

    /// Whether the path is replaced, in whole or in part.
    pub fn rewrites_path(&self) -> bool {
        matches!(&self.target, Target::Parts(parts) if parts.path.is_some())
    }

    /// The value of the Location header.
    pub fn location(&self, request: &RequestUri<'_>) -> String {
        match &self.target {
            Target::Verbatim(location) => location.to_string(),
            Target::Parts(parts) => parts.location(request),
        }
    }
}

impl RedirectParts {
    /// The port that the Location of a request names, if it names one: of a request with this scheme, to this port, whose Host
    /// names `host_port`.
    pub fn written_port(&self, scheme: &str, port: u16, host_port: Option<u16>) -> Option<u16> {
        let new_scheme = self.scheme.as_deref().unwrap_or(scheme);
        let unless_usual = |port| if usual_port(new_scheme) == Some(port) { None } else { Some(port) };
        let host_port = if self.host.is_none() { host_port } else { None };
        match self.port {
            RedirectPort::Derived if self.scheme.is_some() => None,
            RedirectPort::Derived | RedirectPort::OfRequest => unless_usual(port),
            RedirectPort::Number(port) => unless_usual(port),
            RedirectPort::AlwaysWritten => Some(port),
            RedirectPort::OfHost => host_port,
            RedirectPort::OfHostUnlessUsual if new_scheme == scheme => host_port,
            RedirectPort::OfHostUnlessUsual => host_port.filter(|port| usual_port(scheme) != Some(*port)),
            RedirectPort::Omitted => None,
        }
    }

    fn location(&self, request: &RequestUri<'_>) -> String {
        let scheme = self.scheme.as_deref().unwrap_or(request.scheme);
        let host = self.host.as_deref().unwrap_or(request.host);
        let mut location = format!("{scheme}://{host}");
        if let Some(port) = self.written_port(request.scheme, request.port, request.host_port) {
            // Writing to a string cannot fail.
            let _ = write!(location, ":{port}");
        }
        match &self.path {
            Some(path) => location.push_str(&String::from_utf8_lossy(&path.apply(request.path.as_bytes()))),
            None => location.push_str(request.path),
        }
        let query = match &self.query {
            QueryRule::Keep => request.query,
            QueryRule::Drop => None,
            QueryRule::Replace(query) => Some(&**query),
        };
        if let Some(query) = query {
            location.push('?');
            location.push_str(query);
        }
        if self.trim_slash && location.ends_with('/') {
            location.pop();
        }
        location
    }
}

fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: RequestUri<'_> =
        RequestUri { scheme: "http", host: "a.example", host_port: None, port: 8080, path: "/x/", query: None };

    fn location(parts: RedirectParts) -> String {
        Redirect::to(302, parts).location(&REQUEST)
    }

    #[test]
    fn ports_are_derived_as_the_gateway_api_says() {
        let of = |scheme: Option<&str>, port| {
            location(RedirectParts { scheme: scheme.map(Into::into), port, ..RedirectParts::default() })
        };
        assert_eq!(of(None, RedirectPort::Derived), "http://a.example:8080/x/");
        assert_eq!(of(Some("https"), RedirectPort::Derived), "https://a.example/x/");
        assert_eq!(of(None, RedirectPort::Number(80)), "http://a.example/x/");
        assert_eq!(of(Some("https"), RedirectPort::Number(8443)), "https://a.example:8443/x/");
        assert_eq!(of(Some("https"), RedirectPort::OfRequest), "https://a.example:8080/x/");
        assert_eq!(of(None, RedirectPort::AlwaysWritten), "http://a.example:8080/x/");
        assert_eq!(of(None, RedirectPort::Omitted), "http://a.example/x/");
    }

    #[test]
    fn the_port_of_the_host_is_kept_as_envoy_does() {
        let of = |host_port, scheme: Option<&str>, port| {
            let parts = RedirectParts { scheme: scheme.map(Into::into), port, ..RedirectParts::default() };
            Redirect::to(301, parts).location(&RequestUri { host_port, ..REQUEST })
        };
        assert_eq!(of(Some(80), Some("https"), RedirectPort::OfHost), "https://a.example:80/x/");
        assert_eq!(of(Some(80), Some("https"), RedirectPort::OfHostUnlessUsual), "https://a.example/x/");
        assert_eq!(of(Some(80), None, RedirectPort::OfHostUnlessUsual), "http://a.example:80/x/");
        assert_eq!(of(Some(8080), Some("https"), RedirectPort::OfHostUnlessUsual), "https://a.example:8080/x/");
        assert_eq!(of(None, None, RedirectPort::OfHost), "http://a.example/x/");
    }

    #[test]
    fn path_query_and_slash_follow_the_parts() {
        let path = Some(PathRewrite::prefix("/x", "/y"));
        assert_eq!(location(RedirectParts { path, ..Default::default() }), "http://a.example:8080/y/");
        assert_eq!(location(RedirectParts { trim_slash: true, ..Default::default() }), "http://a.example:8080/x");
        let query = QueryRule::Replace("q=1".into());
        assert_eq!(location(RedirectParts { query, ..Default::default() }), "http://a.example:8080/x/?q=1");
    }
}
