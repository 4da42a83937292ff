//! Which namespaces see an object?

use std::collections::BTreeSet;

use super::order::Age;

/// The namespaces that an object's `exportTo` names.
///
/// ```
/// use route_match::istio::ExportTo;
///
/// let lent = ExportTo::read(&[".".to_owned(), "infra".to_owned()], "shop");
/// assert!(lent.reaches("shop") && lent.reaches("infra") && !lent.reaches("web"));
/// assert!(ExportTo::read(&[], "shop").reaches("web"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportTo {
    /// All of them: `*`, also when nothing is written.
    Everyone,
    /// None: `~`.
    Nobody,
    /// These.
    Namespaces(BTreeSet<Box<str>>),
}

/// How an object comes to be seen from a namespace. The order is that in which Istio lists VirtualServices for a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exposure {
    /// It is of that namespace, and not for all.
    Own,
    /// It is of another that names this one.
    Lent,
    /// It is for all.
    Public,
}

/// The order of the VirtualServices that a proxy sees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Precedence {
    /// How the proxy comes to see it.
    pub exposure: Exposure,
    /// Then the older.
    pub age: Age,
}

impl ExportTo {
    /// Reads the list of an object of `namespace`. `*` makes it public whatever else is in the list, then `~` hides it.
    pub fn read(list: &[String], namespace: &str) -> Self {
        let has = |text: &str| list.iter().any(|entry| entry == text);
        if list.is_empty() || has("*") {
            return Self::Everyone;
        }
        if has("~") {
            return Self::Nobody;
        }
        Self::Namespaces(
            list.iter().map(|entry| if entry == "." { namespace } else { entry.as_str() }.into()).collect(),
        )
    }

    /// Whether it is seen from this namespace.
    pub fn reaches(&self, namespace: &str) -> bool {
        match self {
            Self::Everyone => true,
            Self::Nobody => false,
            Self::Namespaces(names) => names.contains(namespace),
        }
    }

    /// How an object of the namespace `own` is seen from another, if it is.
    pub fn exposure(&self, own: &str, from: &str) -> Option<Exposure> {
        match self {
            Self::Everyone => Some(Exposure::Public),
            Self::Namespaces(_) if self.reaches(from) => Some(if own == from { Exposure::Own } else { Exposure::Lent }),
            Self::Namespaces(_) | Self::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_word_of_a_list_counts() {
        let read = |list: &[&str]| ExportTo::read(&list.iter().map(ToString::to_string).collect::<Vec<_>>(), "own");
        assert_eq!(read(&["~", "*", "."]), ExportTo::Everyone);
        assert_eq!(read(&["~", "."]), ExportTo::Nobody);
        assert_eq!(read(&["."]).exposure("own", "own"), Some(Exposure::Own));
        assert_eq!(read(&["."]).exposure("own", "other"), None);
        assert_eq!(read(&[".", "other"]).exposure("own", "other"), Some(Exposure::Lent));
        assert_eq!(read(&["*"]).exposure("own", "own"), Some(Exposure::Public));
        assert!(Exposure::Own < Exposure::Lent && Exposure::Lent < Exposure::Public);
    }
}
