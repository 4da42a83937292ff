//! Which names stand under this label?

use std::collections::{BTreeSet, HashMap};

use crate::api::StringMap;

/// Names by namespace, then label key, then label value.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelIndex(HashMap<Box<str>, HashMap<Box<str>, ByValue>>);

/// The names that carry each value of one label.
type ByValue = HashMap<Box<str>, BTreeSet<Box<str>>>;

impl LabelIndex {
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts a name under each of the pairs.
    pub(crate) fn insert(&mut self, namespace: &str, labels: &StringMap, name: &str) {
        for (key, value) in labels {
            self.insert_pair(namespace, key, value, name);
        }
    }

    /// Puts a name under one of the pairs, that with the fewest names.
    pub(crate) fn insert_under_rarest(&mut self, namespace: &str, labels: &StringMap, name: &str) {
        let rarest =
            labels.iter().min_by_key(|(key, value)| self.names(namespace, key, value).map_or(0, BTreeSet::len));
        if let Some((key, value)) = rarest {
            self.insert_pair(namespace, key, value, name);
        }
    }

    fn insert_pair(&mut self, namespace: &str, key: &str, value: &str, name: &str) {
        let keys = self.0.entry(namespace.into()).or_default();
        let values = keys.entry(key.into()).or_default();
        values.entry(value.into()).or_default().insert(name.into());
    }

    fn names(&self, namespace: &str, key: &str, value: &str) -> Option<&BTreeSet<Box<str>>> {
        self.0.get(namespace)?.get(key)?.get(value)
    }

    /// Removes a name from wherever it stands among these labels.
    pub(crate) fn remove(&mut self, namespace: &str, labels: &StringMap, name: &str) {
        let Some(keys) = self.0.get_mut(namespace) else { return };
        for (key, value) in labels {
            if let Some(values) = keys.get_mut(key.as_str())
                && let Some(names) = values.get_mut(value.as_str())
            {
                names.remove(name);
                if names.is_empty() {
                    values.remove(value.as_str());
                    if values.is_empty() {
                        keys.remove(key.as_str());
                    }
                }
            }
        }
        if keys.is_empty() {
            self.0.remove(namespace);
        }
    }

    /// The names under a pair, in order.
    pub(crate) fn with(&self, namespace: &str, key: &str, value: &str) -> impl Iterator<Item = &Box<str>> {
        self.names(namespace, key, value).into_iter().flatten()
    }

    /// The names under the pair of the selector that fewest carry; `None` when some pair is carried by none.
    pub(crate) fn rarest(&self, namespace: &str, selector: &StringMap) -> Option<&BTreeSet<Box<str>>> {
        let keys = self.0.get(namespace)?;
        let mut rarest: Option<&BTreeSet<Box<str>>> = None;
        for (key, value) in selector {
            let names = keys.get(key.as_str())?.get(value.as_str())?;
            if rarest.is_none_or(|rarest| names.len() < rarest.len()) {
                rarest = Some(names);
            }
        }
        rarest
    }
}
