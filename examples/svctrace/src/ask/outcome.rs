//! How is what becomes of a request told? The parts of an answer that are alike in every dialect.

use route_match::action::{HeaderEdit, HeaderEdits};
use route_match::gateway::HttpOutcome;
use serde_json::{Map, Value, json};

use crate::answer::Answer;

/// What happens to a request, in a line; `backends` are told where it is forwarded.
pub(super) fn headline<B>(url: &str, outcome: &HttpOutcome<'_, B>, backends: impl Iterator<Item = String>) -> String {
    match outcome {
        HttpOutcome::Forward { .. } => format!("{url} -> {}", backends.collect::<Vec<_>>().join(" or ")),
        HttpOutcome::Redirect { code, location } => format!("{url} -> {code} to {location}"),
        HttpOutcome::Respond { status, .. } => format!("{url} -> {status}"),
        _ => format!("{url}: no HTTP answer"),
    }
}

/// The path and host that whoever takes the request sees, where they are others.
pub(super) fn rewrite(answer: &mut Answer, who: &str, path: Option<&str>, host: Option<&str>) {
    if path.is_some() || host.is_some() {
        answer.set("rewrite", json!({ "path": path, "host": host }));
    }
    if let Some(path) = path {
        answer.step(format!("the {who} sees the path {path}"));
    }
    if let Some(host) = host {
        answer.step(format!("the {who} sees the host {host}"));
    }
}

/// Edits of headers under their key, if there are any.
pub(super) fn headers<'a>(answer: &mut Answer, key: &str, edits: impl Iterator<Item = &'a HeaderEdits>) {
    if let Some(value) = edits_value(edits) {
        answer.set(key, value);
    }
}

/// Edits of headers as the contract has them; the last of one name counts. `None` for none.
pub(super) fn edits_value<'a>(edits: impl Iterator<Item = &'a HeaderEdits>) -> Option<Value> {
    let (mut set, mut add, mut remove) = (Map::new(), Map::new(), Vec::new());
    for edit in edits.flat_map(HeaderEdits::iter) {
        match edit {
            HeaderEdit::Set(name, value) => drop(set.insert(name.to_string(), json!(value))),
            HeaderEdit::Add(name, value) => drop(add.insert(name.to_string(), json!(value))),
            HeaderEdit::Remove(name) => remove.push(json!(name)),
            _ => {}
        }
    }
    let is_some = !set.is_empty() || !add.is_empty() || !remove.is_empty();
    is_some.then(|| json!({ "set": set, "add": add, "remove": remove }))
}
