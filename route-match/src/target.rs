//! What does the request line say? Its target, taken apart.

/// A request target (RFC 9112, 3.2), taken apart before anything looks at the path.
///
/// A fragment, which no client should send, is cut off at the first `#` before all else; then the query at the first `?`.
///
/// ```
/// use route_match::RequestTarget;
///
/// let target = RequestTarget::parse("HTTP://shop.example/cart?step=2#top");
/// assert_eq!(target.authority, Some("shop.example"));
/// assert_eq!((target.path, target.query), ("/cart", Some("step=2")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTarget<'a> {
    /// The scheme of an absolute target, as sent; compare it without regard to case.
    pub scheme: Option<&'a str>,
    /// The authority of an absolute target, to be read by [`Authority::of_request`](crate::Authority::of_request)
    /// together with the Host headers.
    pub authority: Option<&'a str>,
    /// The path, raw; empty for an absolute target without one.
    pub path: &'a str,
    /// The query without `?`; `None` when there is no `?`.
    pub query: Option<&'a str>,
}

impl<'a> RequestTarget<'a> {
    /// Takes a target apart. Never fails: what is no absolute URL is a path.
    pub fn parse(target: &'a str) -> Self {
        let target = target.split_once('#').map_or(target, |(before, _)| before);
        let (target, query) = match target.split_once('?') {
            Some((target, query)) => (target, Some(query)),
            None => (target, None),
        };
        match target.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                Self { scheme: Some(scheme), authority: Some(authority), path, query }
            }
            _ => Self { scheme: None, authority: None, path: target, query },
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cve_2021_32779_a_fragment_is_no_part_of_path_or_query() {
        for (target, path, query) in [
            ("/admin#x", "/admin", None),
            ("/admin#?a=b", "/admin", None),
            ("/app#foo", "/app", None),
            ("/admin?a=b#c?d", "/admin", Some("a=b")),
        ] {
            let parsed = RequestTarget::parse(target);
            assert_eq!((parsed.path, parsed.query), (path, query), "{target}");
        }
    }

    #[test]
    fn cve_2020_8595_the_query_is_never_part_of_the_path() {
        let parsed = RequestTarget::parse("/login?x=/a?b");
        assert_eq!((parsed.path, parsed.query), ("/login", Some("x=/a?b")));
    }

    #[test]
    fn cve_2023_35944_a_scheme_is_recognised_in_any_case() {
        let parsed = RequestTarget::parse("HtTp://a.example");
        assert_eq!((parsed.scheme, parsed.authority, parsed.path), (Some("HtTp"), Some("a.example"), ""));
        assert_eq!(RequestTarget::parse("/a://b").authority, None);
        assert_eq!(RequestTarget::parse("*").path, "*");
    }
}
