//! What does an `http` question of a case ask?

use route_match::gateway::{HttpQuestion, Scheme};
use route_match::{Authority, Headers, Host, RequestTarget};
use serde_json::Value;

use super::Request;

/// A question, read.
#[derive(Debug)]
pub(crate) struct Asked {
    scheme: Scheme,
    /// What the connection is made to.
    connected: Authority,
    method: String,
    host: String,
    /// Path and query, as they are sent.
    uri: String,
    headers: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn read(ask: &Value) -> Self {
        let url = ask["url"].as_str().expect("a question has a URL");
        let target = RequestTarget::parse(url);
        let authority = target.authority.expect("of a whole form");
        let headers: Vec<(String, String)> = ask["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(name, value)| {
                let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                values.into_iter().map(move |value| (name.clone(), value.as_str().expect("a text").to_owned()))
            })
            .collect();
        let host = headers.iter().find(|(name, _)| name == "host").map(|(_, value)| value.clone());
        let (_, rest) = url.split_once("://").expect("of a whole form");
        let uri = rest.find(['/', '?']).map_or("/", |at| &rest[at..]);
        let uri = uri.split_once('#').map_or(uri, |(before, _)| before);
        Self {
            scheme: if target.scheme == Some("https") { Scheme::Https } else { Scheme::Http },
            connected: Authority::parse(authority).expect("a host to connect to"),
            method: ask["method"].as_str().unwrap_or("GET").to_owned(),
            host: host.unwrap_or_else(|| authority.to_owned()),
            uri: if uri.starts_with('/') { uri.to_owned() } else { format!("/{uri}") },
            headers: headers.into_iter().filter(|(name, _)| name != "host").collect(),
        }
    }

    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            host: &self.host,
            uri: &self.uri,
            headers: &self.headers,
            server_name: (self.scheme == Scheme::Https).then(|| self.connected.host().as_str()),
        }
    }

    pub(crate) fn question(&self) -> HttpQuestion<'_> {
        question(self.scheme, self.connected.port(), &self.host, &self.uri, &self.method, &self.headers)
    }
}

/// A request in the words of the library.
pub(crate) fn question<'a>(
    scheme: Scheme,
    port: Option<u16>,
    host: &'a str,
    uri: &'a str,
    method: &'a str,
    headers: &'a dyn Headers,
) -> HttpQuestion<'a> {
    let target = RequestTarget::parse(uri);
    let mut question = HttpQuestion::new(scheme, host, target.path).method(method);
    let usual = if scheme == Scheme::Https { 443 } else { 80 };
    question.port = port.unwrap_or(usual);
    question.query = target.query;
    question.headers = headers;
    question
}

/// The server name that a client of this host sends.
pub(crate) fn server_name(request: &Request<'_>) -> Option<Host> {
    request.server_name.and_then(|name| name.parse().ok()).filter(Host::is_name)
}
