//! What values do the annotations of an Ingress have?

use svc_model::api::Ingress;

use super::known::{Format, Known, known};
use crate::ingress::flags::parse_bool;

/// The controller's annotations of one Ingress that have a value it takes. An empty value counts as absent, and so does,
/// for nearly every key, one that is refused; what else becomes of those says [`Values::refused`].
#[derive(Clone, Debug)]
pub(in crate::ingress) struct Values<'c> {
    taken: Vec<(&'static Known, &'c str)>,
    refused: Vec<&'static Known>,
}

impl<'c> Values<'c> {
    pub(in crate::ingress) fn of(ingress: &'c Ingress, prefix: &str) -> Self {
        let mut values = Self { taken: Vec::new(), refused: Vec::new() };
        for (known, _, value) in annotations(ingress, prefix) {
            if takes(known, value) {
                values.taken.push((known, value));
            } else {
                values.refused.push(known);
            }
        }
        values
    }

    /// The value of a key, without blanks around it.
    pub(in crate::ingress) fn text(&self, key: &str) -> Option<&'c str> {
        let (_, value) = self.taken.iter().find(|(known, _)| known.key == key)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    pub(in crate::ingress) fn boolean(&self, key: &str) -> Option<bool> {
        self.text(key).and_then(parse_bool)
    }

    pub(in crate::ingress) fn integer(&self, key: &str) -> Option<i64> {
        self.text(key)?.parse().ok()
    }

    /// Whether the key has a value that the controller does not take.
    pub(in crate::ingress) fn is_refused(&self, key: &str) -> bool {
        self.refused.iter().any(|known| known.key == key)
    }
}

/// The annotations that the controller knows: what is known of them, the whole name, and the value, which is not empty.
pub(in crate::ingress) fn annotations<'c>(
    ingress: &'c Ingress,
    prefix: &str,
) -> impl Iterator<Item = (&'static Known, &'c str, &'c str)> {
    ingress.metadata.annotations.iter().filter_map(move |(name, value)| {
        let key = name.strip_prefix(prefix)?.strip_prefix('/')?;
        (!value.is_empty()).then_some((known(key)?, name.as_str(), value.as_str()))
    })
}

/// Whether the controller takes this value. Line breaks it never does (CVE-2021-25748, CVE-2024-7646), save in what is raw
/// configuration.
pub(in crate::ingress) fn takes(known: &Known, value: &str) -> bool {
    known.format.takes(value) && (known.format == Format::Snippet || !value.contains(['\r', '\n']))
}
