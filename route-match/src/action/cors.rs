//! Who may read the response in a browser? Cross-origin resource sharing (the Fetch standard, 3.3).

use std::borrow::Cow;

use super::{HeaderEdits, HeaderError};
use crate::regex::Regex;
use crate::request::Headers;

/// Which origins may use a resource, and how.
///
/// ```
/// use route_match::action::{Cors, CorsRequest, HeaderEdit, OriginPattern};
///
/// let mut cors = Cors::new();
/// cors.allow_origins.push(OriginPattern::wildcard("https://*.shop.example"));
/// cors.allow_methods = vec!["GET".into()];
/// let headers = [("origin", "https://eu.shop.example"), ("access-control-request-method", "GET")];
/// let request = CorsRequest::new("OPTIONS", &headers).unwrap();
/// assert!(request.is_preflight());
/// let answer = cors.response(&request)?.unwrap();
/// let origin = HeaderEdit::Set("access-control-allow-origin".into(), "https://eu.shop.example".into());
/// assert!(answer.iter().any(|edit| *edit == origin));
/// # Ok::<(), route_match::action::HeaderError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cors {
    /// Whose scripts may read.
    pub allow_origins: Vec<OriginPattern>,
    /// How an answer names the origin where any may read.
    pub any_origin: AnyOrigin,
    /// Methods, `*` for all.
    pub allow_methods: Vec<Box<str>>,
    /// Request headers, `*` for all.
    pub allow_headers: Vec<Box<str>>,
    /// Response headers that scripts may read.
    pub expose_headers: Vec<Box<str>>,
    /// For how many seconds a browser remembers the answer to a preflight.
    pub max_age: Option<u64>,
    /// Whether cookies may be sent along.
    pub allow_credentials: bool,
    /// Whether the headers of a preflight's answer stand on every response, as ingress-nginx has it.
    pub on_every_response: bool,
    /// What becomes of preflights of other origins.
    pub unmatched_preflights: UnmatchedPreflights,
}

/// The value of `access-control-allow-origin` where [`OriginPattern::Any`] allowed an origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AnyOrigin {
    /// The request's origin.
    #[default]
    Echoed,
    /// `*`.
    Star,
}

/// What becomes of a preflight whose origin is not allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnmatchedPreflights {
    /// It is answered without CORS headers, which the browser takes for a refusal.
    #[default]
    Answer,
    /// It goes to the backend.
    Forward,
}

/// Origins, compared without regard to the case of scheme and host, which have none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginPattern {
    /// Any.
    Any,
    /// This one.
    Exact(Box<str>),
    /// Those that begin with the first text, end in the second, and have between them at least one character, all of which may
    /// stand in a host; with `true`, no dot.
    Wildcard(Box<str>, Box<str>, bool),
    /// Those that begin so.
    Prefix(Box<str>),
    /// Those that match, case counting as the expression says.
    Regex(Regex),
}

impl OriginPattern {
    /// Reads an origin in which one `*` stands for any number of labels; `*` alone is any origin.
    pub fn wildcard(text: &str) -> Self {
        Self::with_star(text, false)
    }

    /// Reads an origin in which one `*` stands for one label; `*` alone is any origin.
    pub fn one_label_wildcard(text: &str) -> Self {
        Self::with_star(text, true)
    }

    fn with_star(text: &str, one_label: bool) -> Self {
        if text == "*" {
            return Self::Any;
        }
        let lower = text.to_ascii_lowercase();
        match lower.split_once('*') {
            Some((start, end)) => Self::Wildcard(start.into(), end.into(), one_label),
            None => Self::Exact(lower.into()),
        }
    }

    /// Whether an origin is one of these.
    pub fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact.eq_ignore_ascii_case(origin),
            Self::Wildcard(start, end, one_label) => {
                let origin = origin.to_ascii_lowercase();
                let inner = origin.strip_prefix(&**start).and_then(|rest| rest.strip_suffix(&**end));
                inner.is_some_and(|inner| {
                    let host =
                        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_') || (b == b'.' && !one_label);
                    !inner.is_empty() && inner.bytes().all(host)
                })
            }
            Self::Prefix(prefix) => origin.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)),
            Self::Regex(regex) => regex.is_match(origin.as_bytes()),
        }
    }
}

/// A request with an Origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsRequest {
    origin: Box<str>,
    /// What a preflight asks for: a method, and headers.
    asks: Option<(Box<str>, Box<str>)>,
}

impl CorsRequest {
    /// The cross-origin side of a request; `None` for one without a readable Origin, which CORS has nothing to do with.
    pub fn new(method: &str, headers: &dyn Headers) -> Option<Self> {
        let value = |name: &str| {
            let mut first = None;
            headers.each(name, &mut |value| {
                if first.is_none() {
                    first = std::str::from_utf8(value).ok().map(|value| value.trim().into());
                }
            });
            first
        };
        let origin: Box<str> = value("origin")?;
        let asks = value("access-control-request-method").filter(|_| method == "OPTIONS");
        Some(Self {
            origin,
            asks: asks.map(|method| (method, value("access-control-request-headers").unwrap_or_default())),
        })
    }

    /// Any request, as ingress-nginx reads it: every OPTIONS is a preflight, and one without Origin has an empty one, which only
    /// [`OriginPattern::Any`] allows.
    pub fn of_any(method: &str, headers: &dyn Headers) -> Self {
        let of_fetch = Self::new(method, headers);
        let mut request = of_fetch.unwrap_or_else(|| Self { origin: "".into(), asks: None });
        if method == "OPTIONS" {
            request.asks.get_or_insert_default();
        }
        request
    }

    /// The origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether it only asks for permission: OPTIONS with `access-control-request-method`.
    pub fn is_preflight(&self) -> bool {
        self.asks.is_some()
    }
}

impl Cors {
    /// Allows nobody anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an origin is allowed.
    pub fn allows(&self, origin: &str) -> bool {
        self.allow_origins.iter().any(|pattern| pattern.matches(origin))
    }

    /// Whether the proxy answers this request itself.
    pub fn answers(&self, request: &CorsRequest) -> bool {
        request.is_preflight()
            && (self.unmatched_preflights == UnmatchedPreflights::Answer || self.allows(request.origin()))
    }

    /// The headers that are set on the response: of a preflight all, else those that the Fetch standard reads there; `None` for an
    /// origin that is not allowed. With credentials a `*` has no meaning to browsers, so that what was asked for stands in its
    /// place.
    ///
    /// # Errors
    /// A method, header or origin that no header can hold.
    pub fn response(&self, request: &CorsRequest) -> Result<Option<HeaderEdits>, HeaderError> {
        if !self.allows(&request.origin) {
            return Ok(None);
        }
        let star = self.any_origin == AnyOrigin::Star && self.allow_origins.contains(&OriginPattern::Any);
        let origin = if star { "*" } else { &request.origin };
        let mut edits = HeaderEdits::new().set("access-control-allow-origin", origin)?;
        if self.allow_credentials {
            edits = edits.set("access-control-allow-credentials", "true")?;
        }
        if request.is_preflight() || self.on_every_response {
            let (method, headers) = request.asks.as_ref().map_or(("", ""), |(method, headers)| (method, headers));
            for (name, allowed, asked) in [
                ("access-control-allow-methods", &self.allow_methods, method),
                ("access-control-allow-headers", &self.allow_headers, headers),
            ] {
                let echo = self.allow_credentials && !asked.is_empty() && allowed.iter().any(|value| **value == *"*");
                let value = if echo { Cow::Borrowed(asked) } else { Cow::Owned(allowed.join(", ")) };
                if !value.is_empty() {
                    edits = edits.set(name, &value)?;
                }
            }
            if let Some(seconds) = self.max_age {
                edits = edits.set("access-control-max-age", &seconds.to_string())?;
            }
        }
        if !self.expose_headers.is_empty() {
            edits = edits.set("access-control-expose-headers", &self.expose_headers.join(", "))?;
        }
        Ok(Some(edits))
    }
}

#[cfg(test)]
mod tests {
    use super::super::HeaderEdit;
    use super::*;

    fn values(cors: &Cors, method: &str, headers: &[(&str, &str)]) -> Vec<(String, String)> {
        let request = CorsRequest::new(method, &headers).unwrap();
        let edits = cors.response(&request).unwrap().unwrap_or_default();
        let pair = |edit: &HeaderEdit| match edit {
            HeaderEdit::Set(name, value) => (name.to_string(), value.to_string()),
            other => panic!("{other}"),
        };
        edits.iter().map(pair).collect()
    }

    #[test]
    fn wildcards_stand_for_labels_of_a_host() {
        let many = OriginPattern::wildcard("https://*.a.example");
        let one = OriginPattern::one_label_wildcard("https://*.a.example");
        for (origin, by_many, by_one) in [
            ("https://x.a.example", true, true),
            ("HTTPS://X.A.example", true, true),
            ("https://y.x.a.example", true, false),
            ("https://a.example", false, false),
            ("https://.a.example", false, false),
            ("https://evil.example/.a.example", false, false),
            ("http://x.a.example", false, false),
            ("https://x.a.example:8443", false, false),
        ] {
            assert_eq!((many.matches(origin), one.matches(origin)), (by_many, by_one), "{origin}");
        }
        assert!(OriginPattern::wildcard("*").matches("null"));
    }

    #[test]
    fn with_credentials_a_star_is_what_was_asked_for() {
        let mut cors = Cors::new();
        cors.allow_origins.push(OriginPattern::Any);
        cors.allow_methods = vec!["*".into()];
        cors.allow_headers = vec!["*".into()];
        let preflight = [
            ("Origin", "https://a.example"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "x-a, x-b"),
        ];
        let of = |cors: &Cors, name: &str| {
            values(cors, "OPTIONS", &preflight).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
        };
        assert_eq!(of(&cors, "access-control-allow-methods").as_deref(), Some("*"));
        cors.allow_credentials = true;
        assert_eq!(of(&cors, "access-control-allow-methods").as_deref(), Some("PUT"));
        assert_eq!(of(&cors, "access-control-allow-headers").as_deref(), Some("x-a, x-b"));
        assert_eq!(of(&cors, "access-control-allow-origin").as_deref(), Some("https://a.example"));
        cors.any_origin = AnyOrigin::Star;
        assert_eq!(of(&cors, "access-control-allow-origin").as_deref(), Some("*"));
    }

    #[test]
    fn only_preflights_are_told_methods_and_only_they_are_answered() {
        let mut cors = Cors::new();
        cors.allow_origins.push(OriginPattern::wildcard("https://a.example"));
        cors.allow_methods = vec!["GET".into()];
        cors.max_age = Some(5);
        let origin = [("origin", "https://a.example")];
        assert_eq!(values(&cors, "GET", &origin).len(), 1);
        assert_eq!(values(&cors, "GET", &[("origin", "https://b.example")]), []);
        cors.on_every_response = true;
        assert_eq!(values(&cors, "GET", &origin).len(), 3);
        for (method, origin, ask, answered) in [
            ("OPTIONS", "https://a.example", true, true),
            ("OPTIONS", "https://b.example", true, true),
            ("OPTIONS", "https://a.example", false, false),
            ("GET", "https://a.example", true, false),
        ] {
            let mut headers = vec![("origin", origin)];
            headers.extend(ask.then_some(("access-control-request-method", "GET")));
            let request = CorsRequest::new(method, &headers).unwrap();
            assert_eq!(cors.answers(&request), answered, "{method} {origin} {ask}");
            cors.unmatched_preflights = UnmatchedPreflights::Forward;
            assert_eq!(cors.answers(&request), answered && cors.allows(origin));
            cors.unmatched_preflights = UnmatchedPreflights::Answer;
        }
        assert_eq!(CorsRequest::new("OPTIONS", &[("x", "y")]), None);
    }
}
