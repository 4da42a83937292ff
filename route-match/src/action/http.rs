//! Actions on the types of the crate `http`.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};

use super::{Action, HeaderFields, WeightedBackend};

impl HeaderFields for HeaderMap {
    fn set_header(&mut self, name: &str, value: &str) {
        if let Some((name, value)) = field(name, value) {
            self.insert(name, value);
        }
    }

    fn add_header(&mut self, name: &str, value: &str) {
        if let Some((name, value)) = field(name, value) {
            self.append(name, value);
        }
    }

    fn remove_header(&mut self, name: &str) {
        self.remove(name);
    }
}

/// `None` only for what is no header; [`HeaderEdits`](super::HeaderEdits) hold none such.
fn field(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((
        name.parse().ok()?,
        HeaderValue::from_str(value).or_else(|_| HeaderValue::from_bytes(value.as_bytes())).ok()?,
    ))
}

impl<B> Action<B> {
    /// Makes of a request what `backend` sees: path, Host, headers. `path` is the path in the form in which it was matched. What
    /// no URI can hold is not written into it.
    pub fn apply_to_request(
        &self,
        backend: Option<&WeightedBackend<B>>,
        path: &[u8],
        parts: &mut http::request::Parts,
    ) {
        let (path, host) = self.rewritten(backend, path);
        if let Some(uri) = rewritten(&parts.uri, path, host) {
            parts.uri = uri;
        }
        if let Some(host) = host {
            parts.headers.set_header("host", host);
        }
        for filters in self.filters_for(backend) {
            filters.request_headers.apply(&mut parts.headers);
        }
    }

    /// Makes of the response of `backend` what the client sees.
    pub fn apply_to_response(&self, backend: Option<&WeightedBackend<B>>, headers: &mut HeaderMap) {
        for filters in self.filters_for(backend) {
            filters.response_headers.apply(headers);
        }
    }
}

/// The URI with another path and the same query, and with another authority if it has one.
fn rewritten(uri: &Uri, path: Option<Vec<u8>>, host: Option<&str>) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    if let Some(mut path) = path {
        if let Some(query) = uri.query() {
            path.push(b'?');
            path.extend_from_slice(query.as_bytes());
        }
        parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    }
    if let (Some(authority), Some(host)) = (&mut parts.authority, host) {
        *authority = host.parse().ok()?;
    }
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::super::{Backends, Filters, HeaderEdits, PathRewrite};
    use super::*;

    #[test]
    fn a_request_becomes_what_the_backend_sees() {
        let mut chosen = WeightedBackend::new(1, "b");
        chosen.filters = Some(Box::new(Filters {
            host: Some("b.example".into()),
            request_headers: HeaderEdits::new().set("x-b", "2").unwrap().remove("x-c").unwrap(),
            response_headers: HeaderEdits::new().add("via", "b").unwrap(),
            ..Filters::default()
        }));
        let mut action = Action::forward(Backends::new([chosen]));
        action.filters.path = Some(PathRewrite::prefix("/a", "/"));
        action.filters.request_headers = HeaderEdits::new().set("x-b", "1").unwrap();
        let backend = action.backends().unwrap().only();

        let request = http::Request::get("http://a.example/a/x?q=1").header("x-c", "1").body(()).unwrap();
        let (mut parts, ()) = request.into_parts();
        action.apply_to_request(backend, b"/a/x", &mut parts);
        assert_eq!(parts.uri, "http://b.example/x?q=1");
        for (name, value) in [("host", Some("b.example")), ("x-b", Some("2")), ("x-c", None)] {
            assert_eq!(parts.headers.get(name).map(|value| value.to_str().unwrap()), value, "{name}");
        }

        let mut headers = HeaderMap::new();
        headers.insert("via", HeaderValue::from_static("a"));
        action.apply_to_response(backend, &mut headers);
        assert_eq!(headers.get_all("via").iter().count(), 2);
    }
}
