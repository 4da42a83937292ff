//! Which of two Istio objects goes first?

use svc_model::api::Time;
use svc_model::{NamespacedName, Resource};

/// The order of Istio's objects: the older first, then by name, then by namespace. An object without a time of creation counts as
/// older than all that have one (`sortConfigByCreationTime` in Istio's `pilot/pkg/model/config.go`).
///
/// ```
/// use route_match::istio::Age;
/// use svc_model::api::VirtualService;
///
/// let of = |namespace: &str, name: &str| {
///     let mut object = VirtualService::default();
///     object.metadata.namespace = namespace.into();
///     object.metadata.name = name.into();
///     Age::of(&object)
/// };
/// assert!(of("zoo", "ant") < of("aviary", "bee"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Age {
    created: Option<Time>,
    name: Box<str>,
    namespace: Box<str>,
}

impl Age {
    /// That of an object.
    pub fn of(object: &impl Resource) -> Self {
        Self {
            created: object.metadata().creation_timestamp,
            name: object.name().into(),
            namespace: object.namespace().into(),
        }
    }

    /// The namespace of the object.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The namespace and name of the object.
    pub fn key(&self) -> NamespacedName {
        NamespacedName::new(self.namespace.clone(), self.name.clone())
    }
}
