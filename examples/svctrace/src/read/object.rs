//! Which object is this tree? Kind, tables and mirror found and applied, each fault noted.

use serde::de::DeserializeSeed;
use serde_json::Value;
use svc_model::check::Level;
use svc_model::{Kind, Object, Retired, Scope};

use super::Purpose;
use super::kinds::{Resolved, resolve};
use super::path::{Path, Step, shorten};
use super::walk::{self, Fault};

/// Most faults that a mirror may find in one object after the tables found nothing.
const MAX_ATTEMPTS: usize = 64;

/// What became of a tree.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) outcome: Outcome,
    /// How findings call it; `None` if it has no kind.
    pub(super) label: Option<String>,
    pub(super) faults: Vec<Fault>,
    /// Kind and version of its tables.
    pub(super) table: Option<(Kind, &'static str)>,
}

#[derive(Debug, Default)]
pub(super) enum Outcome {
    /// Nothing that serves the purpose.
    #[default]
    Refused,
    /// The kind is not one that is read.
    Ignored {
        api_version: String,
        kind: String,
    },
    Object(Box<Object>),
}

/// Reads an object. `implied` holds `apiVersion` and `kind` for an item of a typed list, which may leave them out.
pub(super) fn read(mut value: Value, implied: Option<(&str, &str)>, purpose: Purpose) -> Read {
    let mut read = Read::default();
    let api_version = head(&value, "apiVersion", implied.map(|(api_version, _)| api_version), &mut read.faults);
    let kind = head(&value, "kind", implied.map(|(_, kind)| kind), &mut read.faults);
    let Some(kind) = kind else { return read };
    let Some(api_version) = api_version else {
        read.label = Some(label(
            &value,
            &kind,
            Kind::ALL.iter().find(|known| known.in_manifest() == kind).map(|known| known.scope()),
        ));
        return read;
    };
    let resolved = resolve(&api_version, &kind);
    let scope = match &resolved {
        Resolved::Known { kind, .. }
        | Resolved::NoSuchVersion { kind, .. }
        | Resolved::WrongGroup { kind }
        | Resolved::MisspeltGroup { kind, .. }
        | Resolved::MisspeltKind { nearest: kind } => Some(kind.scope()),
        Resolved::Unknown => None,
    };
    read.label = Some(label(&value, &kind, scope));
    let mut fault = |level, field: &str, message| {
        read.faults.push(Fault { level, path: Path::default().field(field), message, refused: false });
    };
    let (known, version) = match resolved {
        Resolved::Known { kind, version, retired } => {
            if let Some(retired) = retired {
                fault(Level::Warning, "apiVersion", retirement(kind, version, retired));
            }
            (kind, version)
        }
        Resolved::NoSuchVersion { kind, nearest } => {
            let message = format!("{} has no version {api_version:?}; did you mean {nearest}?", kind.in_manifest());
            fault(Level::Error, "apiVersion", message);
            if purpose == Purpose::Answer {
                return read;
            }
            (kind, nearest)
        }
        Resolved::WrongGroup { kind } => {
            let name = kind.in_manifest();
            let namesakes = Kind::ALL.iter().filter(|known| known.in_manifest() == name);
            let right: Vec<&str> = namesakes.filter_map(|kind| Some(kind.versions().first()?.name)).collect();
            let right = right.join(" or ");
            fault(Level::Error, "apiVersion", format!("there is no {name} in {api_version:?}; it belongs to {right}"));
            return read;
        }
        Resolved::MisspeltKind { nearest } => {
            fault(Level::Warning, "kind", format!("unknown kind {kind:?}; did you mean {}?", nearest.in_manifest()));
            read.outcome = Outcome::Ignored { api_version, kind };
            return read;
        }
        Resolved::MisspeltGroup { nearest, .. } => {
            fault(Level::Warning, "apiVersion", format!("unknown group in {api_version:?}; did you mean {nearest}?"));
            read.outcome = Outcome::Ignored { api_version, kind };
            return read;
        }
        Resolved::Unknown => {
            read.outcome = Outcome::Ignored { api_version, kind };
            return read;
        }
    };
    read.table = Some((known, version));
    read.faults.extend(walk::walk(&mut value, known, version, purpose));
    if let Some(object) = typed(&mut value, known, version, purpose, &mut read.faults)
        && (purpose == Purpose::Check || has_name(&object))
    {
        read.outcome = Outcome::Object(Box::new(object));
    }
    read
}

fn has_name(object: &Object) -> bool {
    object.kind().scope() == Scope::Configuration || !object.metadata().name.is_empty()
}

/// `kind` or `apiVersion` as text.
fn head(value: &Value, name: &str, implied: Option<&str>, faults: &mut Vec<Fault>) -> Option<String> {
    let message = match value.get(name) {
        Some(Value::String(text)) if !text.is_empty() => return Some(shorten(text).into_owned()),
        None | Some(Value::Null) => match implied {
            Some(text) => return Some(text.to_owned()),
            None => "missing".to_owned(),
        },
        Some(Value::String(_)) => "empty".to_owned(),
        Some(_) => "must be a string".to_owned(),
    };
    faults.push(Fault { level: Level::Error, path: Path::default().field(name), message, refused: true });
    None
}

/// The label of an object that is still a tree. Without a known scope, a namespace is named only if it is written.
fn label(value: &Value, kind: &str, scope: Option<Scope>) -> String {
    let text = |field| value.get("metadata")?.get(field)?.as_str().filter(|text| !text.is_empty()).map(shorten);
    let name = text("name").or_else(|| text("generateName")).unwrap_or_default();
    let kind = shorten(kind);
    match (scope, text("namespace")) {
        (Some(Scope::Configuration), _) => kind.into_owned(),
        (Some(Scope::Namespaced), namespace) => format!("{kind}/{}/{name}", namespace.as_deref().unwrap_or("default")),
        (None, Some(namespace)) => format!("{kind}/{namespace}/{name}"),
        (Some(Scope::Cluster), _) | (None, None) => format!("{kind}/{name}"),
    }
}

fn retirement(kind: Kind, version: &str, retired: Retired) -> String {
    let current = kind.versions().first().map_or("", |version| version.name);
    match retired {
        Retired::Removed(since) => format!("{version} is no longer served since Kubernetes {since}; use {current}"),
        Retired::Deprecated(since) => format!("{version} {kind} is deprecated since Kubernetes {since}"),
    }
}

/// Reads the mirror of a kind. What the tables let pass and the mirror refuses (a time that is none) is taken out.
fn typed(value: &mut Value, kind: Kind, version: &str, purpose: Purpose, faults: &mut Vec<Fault>) -> Option<Object> {
    for _ in 0..MAX_ATTEMPTS {
        let mut track = serde_path_to_error::Track::new();
        let error = match kind.deserialize(serde_path_to_error::Deserializer::new(&*value, &mut track)) {
            Ok(object) => return Some(object),
            Err(error) => error,
        };
        let steps = track.path();
        let steps = steps.iter().filter_map(|segment| match segment {
            serde_path_to_error::Segment::Seq { index } => Some(Step::Index(*index)),
            serde_path_to_error::Segment::Map { key } => Some(Step::Key(key.clone())),
            serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => None,
        });
        let path = walk::name_steps(&Path(steps.collect()), kind, version);
        walk::take_out(value, &path, purpose);
        let is_root = path.0.is_empty();
        faults.push(Fault { level: Level::Error, path, message: error.to_string(), refused: true });
        if is_root {
            return None;
        }
    }
    None
}
