//! Who may read responses in a browser? The `enable-cors` and `cors-*` annotations, as the controller's template writes them.

use crate::action::{AnyOrigin, Cors, CorsRequest, HeaderEdits, OriginPattern, UnmatchedPreflights};
use crate::regex::{Anchor, Regex};
use crate::request::Headers;

use super::annotations::Values;

const METHODS: &str = "GET, PUT, POST, DELETE, PATCH, OPTIONS";
const HEADERS: &str =
    "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization";
/// Twenty days.
const MAX_AGE: i64 = 1_728_000;

/// Reads the annotations; `None` unless CORS is enabled.
pub(super) fn cors(values: &Values<'_>) -> Option<Cors> {
    values.boolean("enable-cors").filter(|enabled| *enabled)?;
    let mut cors = Cors::new();
    cors.allow_origins = match values.text("cors-allow-origin") {
        None => vec![OriginPattern::Any],
        Some(list) => {
            let origins: Vec<&str> = list.split(',').map(str::trim).filter(|origin| !origin.is_empty()).collect();
            if origins.contains(&"*") {
                vec![OriginPattern::Any]
            } else {
                origins.into_iter().filter_map(origin).collect()
            }
        }
    };
    cors.any_origin = AnyOrigin::Star;
    cors.on_every_response = true;
    cors.unmatched_preflights = UnmatchedPreflights::Forward;
    // One text each, passed on as it was written.
    cors.allow_methods = vec![values.text("cors-allow-methods").unwrap_or(METHODS).into()];
    cors.allow_headers = vec![values.text("cors-allow-headers").unwrap_or(HEADERS).into()];
    cors.expose_headers = values.text("cors-expose-headers").into_iter().map(Into::into).collect();
    cors.max_age = u64::try_from(values.integer("cors-max-age").unwrap_or(MAX_AGE)).ok();
    cors.allow_credentials = values.boolean("cors-allow-credentials").unwrap_or(true);
    Some(cors)
}

/// An origin of the list: compared without regard to case, a `*` being one label. The controller's expression is held to the end
/// of the Origin only. One without a scheme, save `null`, is skipped.
fn origin(text: &str) -> Option<OriginPattern> {
    if text != "null" && !text.contains("://") {
        return None;
    }
    let literal = |text: &str| text.replace('.', r"\.");
    let pattern = match text.split_once('*') {
        Some((before, after)) => format!("(?:{}[a-z0-9-]+{})$", literal(before), literal(after)),
        None => format!("(?:{})$", literal(text)),
    };
    // The characters of an origin are letters, digits and `-.:/`, so that this always is an expression.
    Regex::ignoring_case(&pattern, Anchor::None).ok().map(OriginPattern::Regex)
}

/// What CORS does to a request: the headers of its response, and whether nginx answers it itself. `None` for an origin that is
/// not allowed. Where any is, a request needs none.
pub(in crate::ingress) fn response(cors: &Cors, method: &str, headers: &dyn Headers) -> Option<(HeaderEdits, bool)> {
    let request = CorsRequest::of_any(method, headers);
    // An Origin that no header can hold is not allowed.
    let edits = cors.response(&request).ok().flatten()?;
    if !cors.answers(&request) {
        return Some((edits, false));
    }
    let edits =
        edits.set("content-type", "text/plain charset=UTF-8").and_then(|edits| edits.set("content-length", "0"));
    Some((edits.ok()?, true))
}
