//! A world and what happens to it, in words that can be read.

use std::fmt;

use super::laws::Fault;
use crate::api::KubeProxyConfiguration;
use crate::kind::{Object, ObjectRef, Resource};
use crate::view::Mode;

/// One change to the objects.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Edit {
    /// An object comes, or replaces the one of its name.
    Apply(Box<Object>),
    /// An object goes, if it is there.
    Remove(ObjectRef),
}

/// A world, what happens to it, and what goes wrong meanwhile.
///
/// Prints as manifests, a line each, with the changes after them.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Scenario {
    /// The objects at first.
    pub objects: Vec<Object>,
    /// The changes, each with a fault that strikes while it is brought about.
    pub edits: Vec<(Edit, Option<Fault>)>,
}

impl Scenario {
    /// A world and what happens to it, for [`Conformance::play`](super::Conformance::play).
    pub fn new(objects: Vec<Object>, edits: Vec<(Edit, Option<Fault>)>) -> Scenario {
        Scenario { objects, edits }
    }

    /// The same where proxies run in this mode, whatever the configuration, for a back end that has one.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Scenario {
        let unconfigured = || KubeProxyConfiguration { mode: mode.to_string(), ..Default::default() };
        let set = |object: &mut Object| match object {
            Object::KubeProxyConfiguration(config) => {
                config.mode = mode.to_string();
                true
            }
            _ => false,
        };
        if self.objects.iter_mut().filter_map(|object| set(object).then_some(())).count() == 0 {
            self.objects.push(unconfigured().into());
        }
        for (edit, _) in &mut self.edits {
            match edit {
                Edit::Apply(object) => drop(set(object)),
                Edit::Remove(object) if *object == unconfigured().reference() => {
                    *edit = Edit::Apply(Box::new(unconfigured().into()));
                }
                Edit::Remove(_) => {}
            }
        }
        self
    }
}

fn manifest(object: &Object) -> String {
    // A mirror has only keys that are text, so JSON can hold it.
    serde_json::to_string(object).unwrap_or_else(|error| format!("{}: {error}", object.reference()))
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Edit::Apply(object) => write!(f, "apply {}", manifest(object)),
            Edit::Remove(object) => write!(f, "remove {object}"),
        }
    }
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.objects.iter().try_for_each(|object| writeln!(f, "{}", manifest(object)))?;
        self.edits.iter().enumerate().try_for_each(|(i, (edit, fault))| {
            write!(f, "# change {}: {edit}", i + 1)?;
            match fault {
                Some(fault) => writeln!(f, " while {fault}"),
                None => writeln!(f),
            }
        })
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}
