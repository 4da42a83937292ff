//! Does an object have the fields and types of its kind? Findings about it, and the object cut down to what fits.

use serde_json::Value;
use strsim::osa_distance;
use svc_model::Kind;
use svc_model::api::SecretBytes;
use svc_model::check::Level;
use svc_model::schema::{self, Shape, Struct};

use super::Purpose;
use super::kinds::MAX_EDITS;
use super::path::{Path, Step, shorten};

/// Most faults that are reported of one object.
const MAX_FAULTS: usize = 1_000;

/// Longest name that could be a slip in a field's.
const MAX_FIELD_NAME: usize = 64;

/// A finding about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) level: Level,
    pub(super) path: Path,
    pub(super) message: String,
    /// Whether the value was refused for its form, so that nobody need judge it further.
    pub(super) refused: bool,
}

/// Walks an object by the tables of its kind, and cuts away what does not fit: unknown fields, `null` fields, values
/// of the wrong type (and, for [`Purpose::Answer`], the list elements that hold one).
pub(super) fn walk(object: &mut Value, kind: Kind, version: &'static str, purpose: Purpose) -> Vec<Fault> {
    let mut walk = Walk { kind, version, purpose, faults: Vec::new() };
    walk.value(object, &Shape::Struct(schema::of(kind, version)), &At::Root);
    walk.faults
}

/// The same path with each step called a field or a key, as the tables of the kind have it.
pub(super) fn name_steps(path: &Path, kind: Kind, version: &str) -> Path {
    let mut shape = Shape::Struct(schema::of(kind, version));
    let steps = path.0.iter().map(|step| {
        let (step, inner) = match (step, shape) {
            (Step::Field(name) | Step::Key(name), Shape::Map(value)) => (Step::Key(name.clone()), *value),
            (Step::Field(name) | Step::Key(name), Shape::Struct(table)) => {
                (Step::Field(name.clone()), table.field(name).map_or(Shape::Opaque, |field| *field.shape))
            }
            (Step::Field(name) | Step::Key(name), _) => (Step::Field(name.clone()), Shape::Opaque),
            (Step::Index(index), Shape::List(element)) => (Step::Index(*index), *element),
            (Step::Index(index), _) => (Step::Index(*index), Shape::Opaque),
        };
        shape = inner;
        step
    });
    Path(steps.collect())
}

/// Takes the value at a path out of the object, and for an answer the list element that holds it.
pub(super) fn take_out(object: &mut Value, path: &Path, purpose: Purpose) {
    let is_index = |step: &Step| matches!(step, Step::Index(_));
    let length = match purpose {
        Purpose::Answer => path.0.iter().rposition(is_index).map_or(path.0.len(), |index| index + 1),
        Purpose::Check => path.0.len(),
    };
    let Some((last, steps)) = path.0[..length].split_last() else {
        return;
    };
    let mut at = object;
    for step in steps {
        let next = match step {
            Step::Field(key) | Step::Key(key) => at.get_mut(key),
            Step::Index(index) => at.get_mut(index),
        };
        let Some(next) = next else { return };
        at = next;
    }
    match (last, at) {
        (Step::Field(key) | Step::Key(key), Value::Object(map)) => drop(map.shift_remove(key)),
        (Step::Index(index), Value::Array(list)) if *index < list.len() => match purpose {
            Purpose::Answer => drop(list.remove(*index)),
            Purpose::Check => list[*index] = Value::Null,
        },
        _ => {}
    }
}

struct Walk {
    kind: Kind,
    version: &'static str,
    purpose: Purpose,
    faults: Vec<Fault>,
}

/// What became of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Fits,
    /// Something in it was cut away.
    Cut,
    /// It has the wrong type.
    Refused,
}

impl Walk {
    fn value(&mut self, value: &mut Value, shape: &Shape, at: &At<'_>) -> Fit {
        match (shape, value) {
            (Shape::Struct(table), Value::Object(map)) => self.structure(map, table, at),
            (Shape::List(element), Value::Array(list)) => self.list(list, element, at),
            (Shape::Map(value), Value::Object(map)) => self.map(map, value, at),
            (Shape::String, Value::String(_)) | (Shape::Bool, Value::Bool(_)) | (Shape::Opaque, _) => Fit::Fits,
            (Shape::IntOrString, Value::String(_)) => Fit::Fits,
            (Shape::Int | Shape::IntOrString, Value::Number(number)) if number.is_i64() => Fit::Fits,
            (Shape::Number, Value::Number(_)) => Fit::Fits,
            (Shape::Base64, Value::String(text)) => {
                if SecretBytes::from_base64(text).bytes().is_none() {
                    // The value stays: a Secret without it would look as if the key had been left out.
                    self.fault(Level::Error, at, "not base64".to_owned(), true);
                }
                Fit::Fits
            }
            (_, value) => {
                let message = self.wrong_type(value, shape);
                self.fault(Level::Error, at, message, true);
                Fit::Refused
            }
        }
    }

    fn structure(&mut self, map: &mut serde_json::Map<String, Value>, table: &'static Struct, at: &At<'_>) -> Fit {
        let mut fit = Fit::Fits;
        map.retain(|name, value| {
            let at = At::Field(at, name);
            let Some(field) = table.field(name) else {
                self.unknown(name, table, &at);
                return false;
            };
            if value.is_null() {
                return false;
            }
            let inner = self.value(value, field.shape, &at);
            if inner != Fit::Fits {
                fit = Fit::Cut;
            }
            inner != Fit::Refused
        });
        fit
    }

    fn list(&mut self, list: &mut Vec<Value>, shape: &Shape, at: &At<'_>) -> Fit {
        let mut index = 0;
        list.retain_mut(|element| {
            let fit = if element.is_null() { Fit::Fits } else { self.value(element, shape, &At::Index(at, index)) };
            index += 1;
            if fit != Fit::Fits && self.purpose == Purpose::Answer {
                return false;
            }
            if element.is_null() || fit == Fit::Refused {
                *element = zero(shape);
            }
            true
        });
        Fit::Fits
    }

    fn map(&mut self, map: &mut serde_json::Map<String, Value>, shape: &Shape, at: &At<'_>) -> Fit {
        map.retain(|key, value| {
            if value.is_null() {
                *value = zero(shape);
            }
            self.value(value, shape, &At::Key(at, key)) != Fit::Refused
        });
        Fit::Fits
    }

    fn fault(&mut self, level: Level, at: &At<'_>, message: String, refused: bool) {
        if self.faults.len() == MAX_FAULTS {
            return;
        }
        self.faults.push(Fault { level, path: at.path(), message, refused });
    }

    fn unknown(&mut self, name: &str, table: &'static Struct, at: &At<'_>) {
        if self.faults.len() == MAX_FAULTS {
            return;
        }
        if name.len() > MAX_FIELD_NAME {
            if table.complete {
                self.fault(Level::Warning, at, "unknown field".to_owned(), false);
            }
            return;
        }
        // The wrong case of a name is no slip of the pen, however many letters it is.
        let edits = |known: &str| if known.eq_ignore_ascii_case(name) { 0 } else { osa_distance(known, name) };
        let nearest = table.fields.iter().map(|field| field.name).min_by_key(|known| edits(known));
        let nearest = nearest.filter(|known| {
            let edits = edits(known);
            // In two letters, two slips leave nothing.
            edits <= MAX_EDITS && edits < known.len().min(name.len())
        });
        let message = match nearest {
            Some(nearest) => format!("unknown field; did you mean {nearest}?"),
            None if !table.complete => return,
            None => match schema::place_of(schema::of(self.kind, self.version), name) {
                Some(place) => format!("unknown field here; it belongs at {place}"),
                None => match self.other_version(name) {
                    Some(version) => format!("unknown field: it is one of {version}, not of {}", self.version),
                    None => "unknown field".to_owned(),
                },
            },
        };
        self.fault(Level::Warning, at, message, false);
    }

    /// Another version of the kind that has a field of this name.
    fn other_version(&self, name: &str) -> Option<&'static str> {
        let mut versions = self.kind.versions().iter().map(|version| version.name);
        versions.find(|version| schema::place_of(schema::of(self.kind, version), name).is_some())
    }

    fn wrong_type(&self, value: &Value, shape: &Shape) -> String {
        let wanted = match shape {
            Shape::String | Shape::Base64 => "a string",
            Shape::Int => "a whole number",
            Shape::Number => "a number",
            Shape::Bool => "true or false",
            Shape::IntOrString => "a whole number or a string",
            Shape::List(_) => "a list",
            Shape::Struct(_) | Shape::Map(_) => "a mapping",
            _ => "something else",
        };
        let advice = match (shape, value) {
            (Shape::String | Shape::Base64, Value::Bool(_)) => {
                "; put it in quotes (a bare yes, no, on or off is a boolean)"
            }
            (Shape::String | Shape::Base64, Value::Number(_)) => "; put it in quotes",
            (Shape::Int, Value::String(text)) if text.parse::<i64>().is_ok() => "; take away its quotes",
            (Shape::Number, Value::String(text)) if text.parse::<f64>().is_ok_and(f64::is_finite) => {
                "; take away its quotes"
            }
            (Shape::Bool, Value::String(text)) if matches!(&**text, "true" | "false") => "; take away its quotes",
            _ => "",
        };
        format!("must be {wanted}, not {}{advice}", self.describe(value))
    }

    /// What a value is, and the value itself if it is short and no secret.
    fn describe(&self, value: &Value) -> String {
        let is_secret = self.kind == Kind::Secret;
        match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) | Value::Number(_) if is_secret => "a number or boolean".to_owned(),
            Value::Bool(value) => format!("the boolean {value}"),
            Value::Number(number) => format!("the number {number}"),
            Value::String(_) if is_secret => "a string".to_owned(),
            Value::String(text) => format!("the string {:?}", shorten(text)),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "a mapping".to_owned(),
        }
    }
}

/// What the API server makes of a `null` in a list or map.
fn zero(shape: &Shape) -> Value {
    match shape {
        Shape::String | Shape::Base64 => "".into(),
        Shape::Int | Shape::Number | Shape::IntOrString => 0.into(),
        Shape::Bool => false.into(),
        Shape::List(_) => Value::Array(Vec::new()),
        Shape::Struct(_) | Shape::Map(_) => Value::Object(serde_json::Map::new()),
        _ => Value::Null,
    }
}

/// The way to a value, linked on the stack so that it costs nothing until there is something to report.
enum At<'a> {
    Root,
    Field(&'a At<'a>, &'a str),
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    fn path(&self) -> Path {
        match self {
            At::Root => Path::default(),
            At::Field(at, name) => at.path().then(Step::Field(shorten(name).into_owned())),
            At::Key(at, key) => at.path().then(Step::Key(shorten(key).into_owned())),
            At::Index(at, index) => at.path().then(Step::Index(*index)),
        }
    }
}
