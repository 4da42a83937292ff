//! What does the author of a router write down? A path, conditions, a precedence key, and what to select.

use crate::condition::Condition;
use crate::path_pattern::PathPattern;

/// A rule for some host: it takes a request when its path pattern and all its conditions do, and it goes before every
/// rule of a greater key.
///
/// The key depends on the rule alone. Rules of equal keys keep the order in which they were added; with `K = ()` that
/// order is all there is.
#[derive(Clone, Debug)]
pub struct Rule<K, T> {
    pub(crate) key: K,
    pub(crate) path: PathPattern,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) value: T,
}

impl<K, T> Rule<K, T> {
    /// A rule without conditions.
    pub fn new(key: K, path: PathPattern, value: T) -> Self {
        Self { key, path, conditions: Vec::new(), value }
    }

    /// The same rule with one more condition.
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}
