//! What must Envoy answer, and does it?

use std::collections::BTreeMap;
use std::fmt::Write as _;

use route_match::action::{Action, HeaderEdit, HeaderEdits, HeaderFields, WeightedBackend};

use super::{Answered, Daemon, ROUTE, Request};

/// What a decision comes to.
#[derive(Debug)]
pub(crate) enum Expected {
    /// No answer in HTTP.
    Silence,
    /// The proxy's own answer.
    Status {
        /// The route that has it; `None` for none, or whichever.
        route: Option<String>,
        status: u16,
        /// Headers that the response must have.
        headers: BTreeMap<String, String>,
    },
    /// The client is sent elsewhere.
    Redirect { route: String, code: u16, location: String },
    /// One of these.
    Forward { route: String, ends: Vec<End>, copies: Vec<String> },
}

/// Where a part of the requests ends.
#[derive(Debug)]
pub(crate) enum End {
    /// With this status.
    Failure(u16),
    /// At a backend: its name, the URI and headers that it sees, and those of the response.
    Backend { name: String, uri: String, request: BTreeMap<String, String>, response: BTreeMap<String, String> },
}

/// What the backend answers with, before any edits.
const OF_BACKEND: (&str, &str) = ("x-a", "echo");

/// The headers that an entry's filters edit, with the values they end with; those that are gone are empty.
pub(crate) fn edited<B>(
    action: &Action<B>,
    entry: &WeightedBackend<B>,
    request: Vec<(String, String)>,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let filters = || action.filters_for(Some(entry));
    let response = vec![(OF_BACKEND.0.to_owned(), OF_BACKEND.1.to_owned())];
    (
        after(filters().map(|filters| &filters.request_headers), request),
        after(filters().map(|filters| &filters.response_headers), response),
    )
}

fn after<'e>(edits: impl Iterator<Item = &'e HeaderEdits>, mut had: Vec<(String, String)>) -> BTreeMap<String, String> {
    let mut names = Vec::new();
    for edits in edits {
        names.extend(edits.iter().map(|edit| match edit {
            HeaderEdit::Set(name, _) | HeaderEdit::Add(name, _) | HeaderEdit::Remove(name) => name.to_string(),
            other => panic!("{other}"),
        }));
        let fields: &mut dyn HeaderFields = &mut had;
        edits.apply(fields);
    }
    names.into_iter().map(|name| (name.clone(), joined(&had, &name))).collect()
}

/// All values of a header.
pub(crate) fn joined(headers: &[(String, String)], name: &str) -> String {
    let values = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    values.collect::<Vec<_>>().join(",")
}

/// Headers that are set on a response.
pub(crate) fn set(edits: &HeaderEdits) -> BTreeMap<String, String> {
    after(std::iter::once(edits), Vec::new())
}

impl Expected {
    /// What is not so, a line each; empty if all is.
    pub(crate) fn compare(
        &self,
        answered: &Result<Answered, String>,
        request: &Request<'_>,
        daemon: &Daemon,
    ) -> String {
        let is_grpc = joined(request.headers, "content-type").starts_with("application/grpc");
        let mut wrong = String::new();
        let answered = match (self, answered) {
            (Self::Silence, Err(_)) => return wrong,
            (Self::Silence, Ok(answered)) => return format!("decided to be silent, Envoy {answered:?}"),
            (_, Err(error)) => return format!("decided {self:?}, Envoy: {error}"),
            (_, Ok(answered)) => answered,
        };
        let mut expect = |key: &str, expected: &str| {
            let found = answered.get(key).map_or("", String::as_str);
            if found != expected {
                let _ = writeln!(wrong, "{key}: decided {expected:?}, Envoy {found:?}");
            }
        };
        let route = format!("header {ROUTE}");
        match self {
            Self::Silence => {}
            Self::Status { route: named, status, headers } => {
                if let Some(named) = named {
                    expect(&route, named);
                }
                match status {
                    status if is_grpc => {
                        expect("status", "200");
                        expect("header grpc-status", grpc_status(*status));
                    }
                    // Envoy has a status of its own for preflights.
                    204 => expect("status", "200"),
                    status => expect("status", &status.to_string()),
                }
                headers.iter().for_each(|(name, value)| expect(&format!("header {name}"), value));
            }
            Self::Redirect { route: named, code, location } => {
                expect(&route, named);
                expect("status", &code.to_string());
                let found = answered.get("location").map_or("", String::as_str);
                if host_in_lower_case(found) != host_in_lower_case(location) && !keeps_port(found, location, request) {
                    expect("location", location);
                }
            }
            Self::Forward { route: named, ends, copies } => {
                expect(&route, named);
                let backend = answered.get("backend");
                // Several may lead to one backend, each with edits of its own.
                let reached = ends.iter().filter(|end| match end {
                    End::Failure(status) if is_grpc => {
                        let told = answered.get("header grpc-status");
                        backend.is_none() && told.is_some_and(|told| told == grpc_status(*status))
                    }
                    End::Failure(status) => backend.is_none() && answered["status"] == status.to_string(),
                    End::Backend { name, .. } => backend == Some(name),
                });
                let wrongs: Vec<String> = reached.map(|end| end.compare(answered)).collect();
                match wrongs.iter().find(|wrong| wrong.is_empty()).or(wrongs.first()) {
                    None => expect("backend", &format!("one of {ends:?}")),
                    Some(first) => wrong.push_str(first),
                }
                for copy in copies.iter().filter(|copy| backend.is_some() && daemon.copies(copy) == 0) {
                    let _ = writeln!(wrong, "no copy to {copy}");
                }
            }
        }
        wrong
    }
}

impl End {
    fn compare(&self, answered: &Answered) -> String {
        let mut wrong = String::new();
        let Self::Backend { uri, request, response, .. } = self else { return wrong };
        let mut expect = |key: &str, expected: &str| {
            let found = answered.get(key).map_or("", String::as_str);
            if found != expected {
                let _ = writeln!(wrong, "{key}: decided {expected:?}, Envoy {found:?}");
            }
        };
        expect("status", "200");
        expect("uri", uri);
        request.iter().for_each(|(name, value)| expect(&format!("request {name}"), value));
        response.iter().for_each(|(name, value)| expect(&format!("header {name}"), value));
        wrong
    }
}

/// The status of gRPC that Envoy gives in place of one of HTTP.
fn grpc_status(status: u16) -> &'static str {
    match status {
        400 => "13",
        401 => "16",
        403 => "7",
        404 => "12",
        429 | 502 | 503 | 504 => "14",
        _ => "2",
    }
}

/// Whether all that differs is the port that the client wrote, which Envoy keeps where it knows no host to write in its place.
fn keeps_port(found: &str, location: &str, request: &Request<'_>) -> bool {
    let port =
        request.host.rsplit_once(':').filter(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    let Some((host, port)) = port else { return false };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let without = host_in_lower_case(found).replacen(&format!("://{host}:{port}"), &format!("://{host}"), 1);
    without == host_in_lower_case(location)
}

/// Of a host that is not known before the request, Envoy keeps the letters in a Location.
fn host_in_lower_case(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?']).map_or(url.len(), |at| start + at);
    url[..end].to_ascii_lowercase() + &url[end..]
}
