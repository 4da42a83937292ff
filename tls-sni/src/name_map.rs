//! What belongs to a server name? A table of exact names and one-label wildcards, made once and then only read.

use crate::cert_name::{CertName, NameMatch};
use crate::server_name::ServerName;
use crate::table::{NameTable, Value, Values, key_of};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// An immutable table from names and one-label wildcards to values.
///
/// A look-up costs a hash and a probe for the exact name and as much again for the wildcard, whatever the size, and
/// allocates nothing. No answer depends on the seed, only the places in memory do.
///
/// ```
/// use tls_sni::{CertName, NameMap, NameMatch, ServerName};
///
/// let map = NameMap::new(0, [("a.example", 1), ("*.example", 2)].map(|(n, v)| (CertName::new(n.as_bytes()), v)));
/// let get = |name: &str| map.get(&name.parse().unwrap());
/// assert_eq!(get("a.example"), Some((NameMatch::Exact, &1)));
/// assert_eq!(get("b.example"), Some((NameMatch::Wildcard, &2)));
/// assert_eq!(get("c.b.example"), None);
/// ```
#[derive(Clone)]
pub struct NameMap<T> {
    names: NameTable,
    values: Arc<[T]>,
}

impl<T> NameMap<T> {
    /// Builds the table; inert names are left out, and of equal names the first stays. Takes n log n in the names.
    ///
    /// Who lets strangers choose the names (tenants of a cluster, say) gives a random `seed`, so that they cannot
    /// choose names whose look-ups collide. Names that are only looked up need no such care.
    pub fn new(seed: u64, names: impl IntoIterator<Item = (CertName, T)>) -> NameMap<T> {
        let keyed = names.into_iter().filter_map(|(name, value)| Some((key_of(&name)?, value)));
        let (keys, values): (Vec<_>, Vec<T>) = keyed.unzip();
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|a, b| keys[*a].cmp(&keys[*b]));
        order.dedup_by(|later, first| keys[*later] == keys[*first]);
        let names = NameTable::new(seed, order.into_iter().map(|i| (&*keys[i], to_value(i))));
        NameMap { names, values: values.into() }
    }

    /// The value of the exact name, else of the wildcard in place of its first label.
    #[inline]
    pub fn get(&self, name: &ServerName) -> Option<(NameMatch, &T)> {
        let exact = self.exact(name).map(|value| (NameMatch::Exact, value));
        exact.or_else(|| Some((NameMatch::Wildcard, self.wildcard(name)?)))
    }

    /// The value of the exact name.
    #[inline]
    pub fn exact(&self, name: &ServerName) -> Option<&T> {
        self.first(self.names.exact(name))
    }

    /// The value of the wildcard in place of the first label.
    #[inline]
    pub fn wildcard(&self, name: &ServerName) -> Option<&T> {
        self.first(self.names.wildcard(name))
    }

    /// The number of names.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn first(&self, mut numbers: Values<'_>) -> Option<&T> {
        self.values.get(to_number(numbers.next()?))
    }
}

/// A name takes 27 bytes and more: 2^40 of them do not fit a machine.
fn to_value(number: usize) -> Value {
    let [a, b, c, d, e, ..] = (number as u64).to_le_bytes();
    Value([a, b, c, d, e])
}

#[inline]
fn to_number(Value([a, b, c, d, e]): Value) -> usize {
    u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]) as usize
}

impl<T> Default for NameMap<T> {
    fn default() -> NameMap<T> {
        NameMap::new(0, [])
    }
}

impl<T: fmt::Debug> fmt::Debug for NameMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameMap").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_names_the_first_stays() {
        let map = NameMap::new(
            0,
            [("a.b", 1), ("A.b.", 2), ("*.b", 3), ("f*.b", 4)].map(|(n, v)| (CertName::new(n.as_bytes()), v)),
        );
        assert_eq!(map.len(), 2);
        assert_eq!(map.get(&"a.b".parse().unwrap()), Some((NameMatch::Exact, &1)));
        assert_eq!(map.get(&"b".parse().unwrap()), None);
    }
}
