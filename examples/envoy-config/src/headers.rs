//! How are headers edited, and who may read the response in a browser?

use route_match::action::{Cors, Filters, HeaderEdit, HeaderEdits, OriginPattern, UnmatchedPreflights};

use crate::config::{
    CorsPolicy, HeaderAppendAction, HeaderEditList, HeaderValue, HeaderValueOption, RegexMatcher, StringMatcher,
    StringPattern,
};
use crate::re2;

/// What the edits of some filters come to.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    pub(crate) list: HeaderEditList,
    /// The Host that is set as a header.
    pub(crate) host: Option<String>,
    /// What cannot be said.
    pub(crate) faults: Vec<&'static str>,
}

/// What becomes of one header: edits in order, as Envoy has none.
struct Outcome<'e> {
    name: &'e str,
    /// Whether the values that were there go.
    replaced: bool,
    values: Vec<&'e str>,
}

impl Edits {
    /// Of these filters, in their order.
    pub(crate) fn of<'f, B: 'f>(filters: impl Iterator<Item = &'f Filters<B>> + Clone) -> Self {
        let mut edits = Self::default();
        for outcome in outcomes(filters.clone().map(|filters| &filters.request_headers)) {
            if outcome.name == "host" {
                // Of a name beside others that are there, Envoy can say nothing; a request has one Host.
                match outcome.values.last() {
                    Some(host) => edits.host = Some((*host).to_owned()),
                    None => edits.faults.push("the Host cannot be removed"),
                }
                continue;
            }
            outcome.write(&mut edits.list.request_headers_to_add, &mut edits.list.request_headers_to_remove);
        }
        for outcome in outcomes(filters.map(|filters| &filters.response_headers)) {
            if outcome.name == "host" {
                edits.faults.push("a response has no Host that could be edited");
                continue;
            }
            outcome.write(&mut edits.list.response_headers_to_add, &mut edits.list.response_headers_to_remove);
        }
        edits
    }
}

fn outcomes<'e>(edits: impl Iterator<Item = &'e HeaderEdits>) -> Vec<Outcome<'e>> {
    let mut outcomes: Vec<Outcome<'e>> = Vec::new();
    for edit in edits.flat_map(HeaderEdits::iter) {
        let (name, value, replaces) = match edit {
            HeaderEdit::Set(name, value) => (name, Some(&**value), true),
            HeaderEdit::Add(name, value) => (name, Some(&**value), false),
            HeaderEdit::Remove(name) => (name, None, true),
            _ => continue,
        };
        let at = outcomes.iter().position(|outcome| *outcome.name == **name).unwrap_or_else(|| {
            outcomes.push(Outcome { name, replaced: false, values: Vec::new() });
            outcomes.len() - 1
        });
        let outcome = &mut outcomes[at];
        if replaces {
            outcome.replaced = true;
            outcome.values.clear();
        }
        outcome.values.extend(value);
    }
    outcomes
}

impl Outcome<'_> {
    fn write(&self, add: &mut Vec<HeaderValueOption>, remove: &mut Vec<String>) {
        if self.values.is_empty() {
            remove.push(self.name.to_owned());
        }
        for (i, value) in self.values.iter().enumerate() {
            let append_action = match self.replaced && i == 0 {
                true => HeaderAppendAction::OverwriteIfExistsOrAdd,
                false => HeaderAppendAction::AppendIfExistsOrAdd,
            };
            // A single percent sign begins a variable.
            let header = HeaderValue { key: self.name.to_owned(), value: value.replace('%', "%%") };
            add.push(HeaderValueOption { header, append_action, keep_empty_value: true });
        }
    }
}

/// The policy of a rule, and what of it cannot be said.
pub(crate) fn cors(cors: &Cors) -> Result<(CorsPolicy, Vec<&'static str>), String> {
    let mut faults = Vec::new();
    let star = |values: &[Box<str>]| values.iter().any(|value| **value == *"*");
    if cors.allow_credentials && (star(&cors.allow_methods) || star(&cors.allow_headers)) {
        faults.push("with credentials, what a preflight asks for cannot take the place of *");
    }
    let policy = CorsPolicy {
        allow_origin_string_match: cors.allow_origins.iter().map(origin).collect::<Result<_, _>>()?,
        allow_methods: cors.allow_methods.join(", "),
        allow_headers: cors.allow_headers.join(", "),
        expose_headers: cors.expose_headers.join(", "),
        max_age: cors.max_age.map(|seconds| seconds.to_string()).unwrap_or_default(),
        allow_credentials: cors.allow_credentials,
        forward_not_matching_preflights: cors.unmatched_preflights == UnmatchedPreflights::Forward,
    };
    Ok((policy, faults))
}

fn origin(origin: &OriginPattern) -> Result<StringMatcher, String> {
    let regex = |regex: String| StringMatcher::from(StringPattern::SafeRegex(RegexMatcher { regex }));
    let folded = |pattern| StringMatcher { pattern, ignore_case: true };
    Ok(match origin {
        OriginPattern::Any => regex("(?s:.*)".to_owned()),
        OriginPattern::Exact(exact) => folded(StringPattern::Exact(exact.to_string())),
        OriginPattern::Prefix(prefix) => folded(StringPattern::Prefix(prefix.to_string())),
        OriginPattern::Wildcard(start, end, one_label) => {
            let dot = if *one_label { "" } else { "." };
            regex(format!("(?i){}[a-z0-9_{dot}-]+{}", re2::quoted(start), re2::quoted(end)))
        }
        OriginPattern::Regex(expression) => regex(re2::whole(expression)?),
        _ => return Err("there is no word for an origin of its CORS".to_owned()),
    })
}
