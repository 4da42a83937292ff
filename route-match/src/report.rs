//! What is wrong with one object? The findings of a check, and judgements of single values that the checks of several kinds share.

use std::collections::BTreeSet;
use std::fmt::Display;

use svc_model::check::Finding;
use svc_model::{NamespacedName, Object};

/// The findings about one object. Paths and messages are only written out when something is found.
pub(crate) struct Report {
    object: String,
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(object: &Object) -> Self {
        Self { object: svc_model::check::subject(object), findings: Vec::new() }
    }

    pub(crate) fn error(&mut self, field: impl Display, message: impl Display) {
        self.findings.push(Finding::error(&self.object, field.to_string(), message.to_string()));
    }

    pub(crate) fn warning(&mut self, field: impl Display, message: impl Display) {
        self.findings.push(Finding::warning(&self.object, field.to_string(), message.to_string()));
    }

    /// Whether a value is in order; an error if it is not.
    pub(crate) fn check<T>(&mut self, field: impl Display, result: Result<T, impl Display>) -> bool {
        result.map_err(|error| self.error(field, error)).is_ok()
    }

    pub(crate) fn one_of(&mut self, field: impl Display, value: &str, allowed: &[&str]) {
        if !allowed.contains(&value) {
            self.error(field, not_one_of(value, allowed));
        }
    }

    pub(crate) fn within(&mut self, field: impl Display, number: i64, from: i64, to: i64) {
        if !(from..=to).contains(&number) {
            self.error(field, format_args!("{number} is not within {from} and {to}"));
        }
    }

    pub(crate) fn at_most(&mut self, field: impl Display, count: usize, most: usize) {
        if count > most {
            self.error(field, format_args!("has {count} entries, at most {most} are allowed"));
        }
    }

    pub(crate) fn no_longer(&mut self, field: impl Display, text: &str, most: usize) {
        let length = text.chars().count();
        if length > most {
            self.error(field, format_args!("has {length} characters, at most {most} are allowed"));
        }
    }

    pub(crate) fn required(&mut self, field: impl Display, text: &str) -> bool {
        if text.is_empty() {
            self.error(&field, "missing");
        }
        !text.is_empty()
    }

    /// Repeated keys of a list that is a map.
    pub(crate) fn distinct<'a>(&mut self, at: &str, keys: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for (i, key) in keys.enumerate() {
            if !seen.insert(key) {
                self.error(format_args!("{at}[{i}]"), format_args!("{key:?} is there already"));
            }
        }
    }
}

/// What is said of a value outside a short list.
pub(crate) fn not_one_of(value: &str, allowed: &[&str]) -> String {
    format!("{value:?} is not one of {}", allowed.join(", "))
}

/// The names that there are, for an error about one that is not.
pub(crate) fn listed(known: &[NamespacedName]) -> String {
    match known {
        [] => "none".to_owned(),
        known => known.iter().map(NamespacedName::to_string).collect::<Vec<_>>().join(", "),
    }
}
