//! What could not be said?

use std::collections::BTreeSet;
use std::fmt;

/// Something that Envoy cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Unexpressed {
    /// Whose it is: a rule, a listener, a Service.
    pub place: String,
    /// What is missing, and what happens in its place.
    pub what: String,
}

impl fmt::Display for Unexpressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Collects them; what is met under several hosts is said once.
#[derive(Debug, Default)]
pub(crate) struct Remarks(BTreeSet<Unexpressed>);

impl Remarks {
    pub(crate) fn add(&mut self, place: &str, what: impl Into<String>) {
        self.0.insert(Unexpressed { place: place.to_owned(), what: what.into() });
    }

    pub(crate) fn into_vec(self) -> Vec<Unexpressed> {
        self.0.into_iter().collect()
    }
}
