//! Which Ingresses does a controller serve, in which order, and in which dialect does it read them?

use std::cmp::Reverse;
use std::collections::BTreeSet;

use svc_model::api::{Ingress, IngressClass, ObjectMeta, Time};
use svc_model::{Cluster, Resource};

use super::flags::{ControllerFlags, controllers, parse_bool};
use super::nginx::{self, dropped};
use super::settings::ControllerSettings;

/// The annotation that named a class before `spec.ingressClassName` did.
pub(super) const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
/// The annotation that makes an IngressClass the default.
pub(super) const DEFAULT_CLASS_ANNOTATION: &str = "ingressclass.kubernetes.io/is-default-class";

/// How a controller reads an Ingress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// The words of the Ingress API, no more.
    Plain,
    /// ingress-nginx: its tables, its annotations, nginx's matching.
    Nginx,
}

/// What the controller of one class serves: the common ground of routing and certificates.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServedIngresses<'c> {
    /// How the controller reads its Ingresses.
    pub dialect: Dialect,
    /// The flags it runs with.
    pub flags: ControllerFlags,
    /// Its Ingresses in its own order: oldest first; of equal age (or without), ingress-nginx takes the greater
    /// `namespace/name` first, others the smaller.
    pub ingresses: Vec<&'c Ingress>,
    /// Those it would serve but drops whole for an annotation that is malformed, or riskier than its settings allow.
    pub dropped: Vec<&'c Ingress>,
}

impl ServedIngresses<'_> {
    /// The value of the controller's own annotation of this key, such as `server-alias`, whatever its prefix here; an
    /// empty one counts as absent. Always `None` in the plain dialect, which has no annotations.
    pub fn annotation<'i>(&self, ingress: &'i Ingress, key: &str) -> Option<&'i str> {
        match self.dialect {
            Dialect::Nginx => nginx::annotation(ingress, &self.flags.annotations_prefix, key),
            Dialect::Plain => None,
        }
    }

    /// Whether the controller's own annotation of this key is on, as Go's `strconv.ParseBool` reads it.
    pub fn is_annotated(&self, ingress: &Ingress, key: &str) -> bool {
        self.annotation(ingress, key).and_then(parse_bool) == Some(true)
    }
}

/// Nothing in the cluster knows this class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no ingress class {class:?}; there is {}", .known.join(", "))]
pub struct UnknownClass {
    /// The class that was asked for.
    pub class: String,
    /// The IngressClasses there are.
    pub known: Vec<String>,
}

/// The Ingresses that the controller of `class` serves. O(n log n) in the number of Ingresses.
///
/// An Ingress is served by the first of these that decides:
/// 1. `spec.ingressClassName`: the class it names exists and has the same `spec.controller` as the asked one (all
///    classes of a controller share one table). In a cluster without any IngressClass equal names suffice.
/// 2. the annotation `kubernetes.io/ingress.class`: it equals the class's name, or the controller's `--ingress-class`.
/// 3. neither: the default IngressClass, the newest if there are several, as in 1.
/// 4. no default: the controller runs with `--watch-ingress-without-class`, or the cluster has no IngressClass.
///
/// The dialect is [`Dialect::Nginx`] when the class's controller is, or ends in, `ingress-nginx`, and in a cluster without
/// IngressClasses when the class is `nginx` or a workload runs ingress-nginx with `--ingress-class` of this name.
///
/// # Errors
/// [`UnknownClass`] when there are IngressClasses but none of this name, and no Ingress has it in its annotation.
pub fn served<'c>(cluster: &'c Cluster, class: &str) -> Result<ServedIngresses<'c>, UnknownClass> {
    let selection = Selection::of(cluster, class)?;
    let mut ingresses: Vec<&Ingress> = cluster.list().filter(|ingress| selection.serves(ingress)).collect();
    ingresses.sort_by_cached_key(|ingress| selection.place(ingress));
    let (dropped, ingresses) = ingresses.into_iter().partition(|ingress| selection.drops(ingress));
    Ok(ServedIngresses { dialect: selection.dialect, flags: selection.flags, ingresses, dropped })
}

/// By what a controller knows its Ingresses: one class and its flags, whatever Ingresses there are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selection {
    class: Box<str>,
    pub(super) dialect: Dialect,
    pub(super) flags: ControllerFlags,
    pub(super) settings: ControllerSettings,
    /// The IngressClasses of the controller; `None` in a cluster without any.
    classes: Option<BTreeSet<Box<str>>>,
    /// Whether an Ingress without class is served.
    without_class: bool,
    /// Whether the class has no object, and is known because an Ingress names it in its annotation.
    pub(super) by_annotation: bool,
}

/// Where an Ingress stands among those of its controller: the older first; of equal age, or without, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(Option<Time>, ByName);

/// `namespace/name` as one text, in whichever direction the dialect has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ByName {
    Rising(Box<str>),
    Falling(Reverse<Box<str>>),
}

impl Selection {
    pub(super) fn of(cluster: &Cluster, class: &str) -> Result<Self, UnknownClass> {
        let classes: Vec<&IngressClass> = cluster.list().collect();
        let asked = cluster.get::<IngressClass>("", class);
        let by_annotation = asked.is_none() && !classes.is_empty();
        if by_annotation && !cluster.list::<Ingress>().any(|ingress| annotation(ingress) == Some(class)) {
            let known = classes.iter().map(|c| c.metadata.name.clone()).collect();
            return Err(UnknownClass { class: class.to_owned(), known });
        }
        let controller = asked.map(|c| c.spec.controller.as_str());
        let mut flags = controllers(cluster).map(|(_, flags)| flags);
        let flags = flags.find(|flags| match controller {
            Some(controller) => *flags.controller_class == *controller,
            None => classes.is_empty() && *flags.ingress_class == *class,
        });
        let is_nginx = match controller {
            Some(controller) => controller.ends_with("ingress-nginx") || flags.is_some(),
            None => classes.is_empty() && (class == "nginx" || flags.is_some()),
        };
        let flags = flags.unwrap_or_default();
        let serves_class = |named: &&IngressClass| {
            Some(named.spec.controller.as_str()) == controller
                || (flags.ingress_class_by_name && *flags.ingress_class == *named.metadata.name)
        };
        let without_class = match default_class(&classes) {
            Some(default) => serves_class(&default),
            None => flags.watch_ingress_without_class || classes.is_empty(),
        };
        let of_controller =
            classes.iter().copied().filter(serves_class).map(|class| class.metadata.name.as_str().into());
        Ok(Self {
            class: class.into(),
            dialect: if is_nginx { Dialect::Nginx } else { Dialect::Plain },
            settings: ControllerSettings::of(cluster, &flags),
            classes: (!classes.is_empty()).then(|| of_controller.collect()),
            flags,
            without_class,
            by_annotation,
        })
    }

    /// The class that was asked for.
    pub(super) fn class(&self) -> &str {
        &self.class
    }

    /// Whether the controller serves this Ingress.
    pub(super) fn serves(&self, ingress: &Ingress) -> bool {
        let spec = &ingress.spec;
        if self.flags.disable_catch_all && (spec.default_backend.is_some() || spec.backend.is_some()) {
            return false;
        }
        if let Some(name) = spec.ingress_class_name.as_deref().filter(|name| !name.is_empty()) {
            match &self.classes {
                Some(classes) => classes.contains(name),
                None => *name == *self.class,
            }
        } else if let Some(name) = annotation(ingress) {
            *name == *self.class || (self.dialect == Dialect::Nginx && *name == *self.flags.ingress_class)
        } else {
            self.without_class
        }
    }

    /// Whether the controller drops this Ingress whole for one of its annotations.
    pub(super) fn drops(&self, ingress: &Ingress) -> bool {
        self.dialect == Dialect::Nginx && dropped(ingress, &self.flags.annotations_prefix, &self.settings).is_some()
    }

    pub(super) fn place(&self, ingress: &Ingress) -> Place {
        let name = format!("{}/{}", ingress.namespace(), ingress.name()).into();
        let name = match self.dialect {
            Dialect::Plain => ByName::Rising(name),
            Dialect::Nginx => ByName::Falling(Reverse(name)),
        };
        Place(ingress.metadata.creation_timestamp, name)
    }
}

/// The class that the API server's admission gives to an Ingress without one: the default; of several the newest, then
/// the first by name.
fn default_class<'c>(classes: &[&'c IngressClass]) -> Option<&'c IngressClass> {
    let defaults = classes.iter().filter(|class| is_default(&class.metadata));
    // Of equal maxima the last counts, hence from the end.
    defaults.rev().max_by_key(|class| class.metadata.creation_timestamp).copied()
}

pub(super) fn is_default(class: &ObjectMeta) -> bool {
    class.annotations.get(DEFAULT_CLASS_ANNOTATION).is_some_and(|value| value == "true")
}

pub(super) fn annotation(ingress: &Ingress) -> Option<&str> {
    ingress.metadata.annotations.get(CLASS_ANNOTATION).map(String::as_str)
}
