//! What every object carries: metadata, labels, owners.

use std::collections::BTreeMap;

use super::{Time, mirrors};

/// Labels, annotations and equality selectors.
pub type StringMap = BTreeMap<String, String>;

mirrors! {
    /// The name, namespace and labels of an object.
    pub struct ObjectMeta {
        /// The name, unique for its kind within the namespace.
        pub name: String,
        /// Prefix of a name that the API server would make up.
        pub generate_name: String,
        /// The namespace; empty means `default` for a namespaced kind (see [`Resource::namespace`](crate::Resource::namespace)).
        pub namespace: String,
        /// Set by the API server; unique for all time.
        pub uid: String,
        /// Labels, which selectors look at.
        pub labels: StringMap,
        /// Annotations, which controllers look at.
        pub annotations: StringMap,
        /// When the object was created; decides who is older.
        pub creation_timestamp: Option<Time>,
        /// Set while the object is being deleted.
        pub deletion_timestamp: Option<Time>,
        /// The objects this one belongs to.
        pub owner_references: Vec<OwnerReference>,
    }

    /// A reference to an owner in the same namespace.
    pub struct OwnerReference {
        /// Group and version of the owner.
        pub api_version: String,
        /// Kind of the owner.
        pub kind: String,
        /// Name of the owner.
        pub name: String,
    }

    /// Which objects belong: all of `match_labels` and all of `match_expressions`.
    pub struct LabelSelector {
        /// Labels that must be there with this value.
        pub match_labels: StringMap,
        /// Further requirements.
        pub match_expressions: Vec<LabelSelectorRequirement>,
    }

    /// One requirement of a [`LabelSelector`].
    pub struct LabelSelectorRequirement {
        /// The label's key.
        pub key: String,
        /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
        pub operator: String,
        /// Values for `In` and `NotIn`.
        pub values: Vec<String>,
    }

    /// A reference to an object, as an endpoint carries it.
    pub struct ObjectReference {
        /// Kind of the object.
        pub kind: String,
        /// Namespace of the object.
        pub namespace: String,
        /// Name of the object.
        pub name: String,
    }
}

impl LabelSelector {
    /// Whether nothing is required. An empty selector matches everything in the API, but no workload may have one.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether `labels` meet every requirement. An unknown operator meets nothing.
    pub fn matches(&self, labels: &StringMap) -> bool {
        selects(&self.match_labels, labels)
            && self.match_expressions.iter().all(|requirement| {
                let value = labels.get(&requirement.key);
                match requirement.operator.as_str() {
                    "In" => value.is_some_and(|value| requirement.values.contains(value)),
                    "NotIn" => value.is_none_or(|value| !requirement.values.contains(value)),
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    _ => false,
                }
            })
    }
}

/// Whether an equality selector (a Service's, say) is met: every pair is among the labels. The empty selector is
/// met by all; callers for whom it means "none" ask first.
pub fn selects(selector: &StringMap, labels: &StringMap) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}
