//! Which Ingresses does a controller serve, in which order, and in which dialect does it read them?

use std::cmp::Ordering;

use svc_model::api::{Ingress, IngressClass, ObjectMeta};
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
    let classes: Vec<&IngressClass> = cluster.list().collect();
    let class_object = |name: &str| cluster.get::<IngressClass>("", name);
    let asked = class_object(class);
    if asked.is_none() && !classes.is_empty() {
        let annotated = cluster.list::<Ingress>().any(|ingress| annotation(ingress) == Some(class));
        if !annotated {
            let known = classes.iter().map(|c| c.metadata.name.clone()).collect();
            return Err(UnknownClass { class: class.to_owned(), known });
        }
    }
    let controller = asked.map(|c| c.spec.controller.as_str());
    let flags = controllers(cluster).find(|flags| match controller {
        Some(controller) => *flags.controller_class == *controller,
        None => classes.is_empty() && *flags.ingress_class == *class,
    });
    let is_nginx = match controller {
        Some(controller) => controller.ends_with("ingress-nginx") || flags.is_some(),
        None => classes.is_empty() && (class == "nginx" || flags.is_some()),
    };
    let dialect = if is_nginx { Dialect::Nginx } else { Dialect::Plain };
    let flags = flags.unwrap_or_default();

    let serves_class = |name: &str| match class_object(name) {
        Some(named) => {
            Some(named.spec.controller.as_str()) == controller
                || (flags.ingress_class_by_name && *flags.ingress_class == *name)
        }
        None => classes.is_empty() && name == class,
    };
    let default = default_class(&classes);
    let serves = |ingress: &Ingress| {
        if let Some(name) = ingress.spec.ingress_class_name.as_deref().filter(|name| !name.is_empty()) {
            serves_class(name)
        } else if let Some(name) = annotation(ingress) {
            name == class || (dialect == Dialect::Nginx && *name == *flags.ingress_class)
        } else if let Some(default) = default {
            serves_class(&default.metadata.name)
        } else {
            flags.watch_ingress_without_class || classes.is_empty()
        }
    };
    let catch_all = |ingress: &Ingress| ingress.spec.default_backend.is_some() || ingress.spec.backend.is_some();
    let mut ingresses: Vec<&Ingress> = cluster
        .list::<Ingress>()
        .filter(|ingress| serves(ingress) && !(flags.disable_catch_all && catch_all(ingress)))
        .collect();
    ingresses.sort_by(|a, b| {
        let name = by_name(a, b);
        let name = if dialect == Dialect::Nginx { name.reverse() } else { name };
        a.metadata.creation_timestamp.cmp(&b.metadata.creation_timestamp).then(name)
    });
    let settings = ControllerSettings::of(cluster, &flags);
    let (dropped, ingresses) = ingresses.into_iter().partition(|ingress| {
        dialect == Dialect::Nginx && dropped(ingress, &flags.annotations_prefix, &settings).is_some()
    });
    Ok(ServedIngresses { dialect, flags, ingresses, dropped })
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

/// Compares `namespace/name` as one text, as ingress-nginx does.
fn by_name(a: &Ingress, b: &Ingress) -> Ordering {
    fn text(ingress: &Ingress) -> impl Iterator<Item = u8> {
        ingress.namespace().bytes().chain([b'/']).chain(ingress.name().bytes())
    }
    text(a).cmp(text(b))
}
