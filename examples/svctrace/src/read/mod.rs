//! What do the manifests say? YAML and JSON text to the objects of the model, with a finding for all that does not fit.
//!
//! ```
//! use svctrace::read::{Purpose, Reader};
//!
//! let mut reader = Reader::new(Purpose::Answer);
//! reader.text("shop.yaml", "{apiVersion: v1, kind: Service, metadata: {name: cart}, spec: {selectors: {app: cart}}}");
//! let world = reader.finish();
//! assert_eq!(world.objects[0].0.reference().to_string(), "Service/default/cart");
//! let finding = &world.findings[0];
//! assert_eq!(finding.to_string(), "warning: Service/default/cart spec.selectors: unknown field; did you mean selector?");
//! assert_eq!(world.place(finding).unwrap().to_string(), "shop.yaml:1:64");
//! ```
//!
//! A text is split into documents, each document becomes a tree (repeated keys are noted, work and memory bounded), a
//! `List` is opened, `kind` and `apiVersion` choose the tables by which the tree is walked and cut down to what fits,
//! and the rest is read into a [`svc_model::Object`].
//!
//! Limits: [`MAX_INPUT_BYTES`] an input; [`MAX_DOCUMENT_BYTES`], [`MAX_NODES`], [`MAX_DEPTH`] and [`MAX_ALIASED`] a
//! document. A document beyond one of them is unreadable, which is an error that names the limit.

mod input;
mod kinds;
mod locate;
mod object;
mod path;
mod split;
mod tree;
mod walk;
mod world;
mod yaml;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use svc_model::{Kind, Object, ObjectRef, Scope, check};

pub use self::input::{Input, InputError, MAX_INPUT_BYTES};
use self::object::Outcome;
use self::path::{Path, Step};
pub use self::tree::{MAX_ALIASED, MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_NODES, YamlError};
pub use self::world::{Finding, Ignored, Origin, Place, World};
pub use self::yaml::yaml;

/// What the objects are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To answer questions: a list element with a value of the wrong type is left out, and so is an object without name
    /// or known version.
    Answer,
    /// To check them: list elements keep their places, with values of the wrong type absent, and objects without name
    /// or in a misspelt version (read as the nearest) are there too.
    Check,
}

/// Reads inputs in their order.
pub fn read(inputs: &[Input], purpose: Purpose) -> World {
    let mut reader = Reader::new(purpose);
    for input in inputs {
        reader.input(input);
    }
    reader.finish()
}

/// Reads one text after another into a [`World`].
#[derive(Debug)]
pub struct Reader {
    purpose: Purpose,
    documents: usize,
    world: World,
    /// The position of each named object in `world.objects`.
    positions: HashMap<ObjectRef, usize>,
    /// Positions of objects that a later one of the same name replaces.
    replaced: HashSet<usize>,
}

impl Reader {
    /// A reader that has read nothing.
    pub fn new(purpose: Purpose) -> Reader {
        Reader { purpose, documents: 0, world: World::default(), positions: HashMap::new(), replaced: HashSet::new() }
    }

    /// Reads all that an input stands for.
    pub fn input(&mut self, input: &Input) {
        input::read(input, |name, bytes| match bytes {
            Ok(bytes) => self.bytes(name, bytes),
            Err(error) => {
                self.world.unreadable = true;
                self.world.failures.push(error);
            }
        });
    }

    /// Reads the documents of a text; the name is for messages.
    pub fn text(&mut self, name: &str, text: &str) {
        let file: Arc<str> = name.into();
        for piece in split::split(text) {
            let mut origin = Origin {
                file: file.clone(),
                document: self.documents + 1,
                line: piece.line,
                api_version: "",
                within: Path::default(),
                text: piece.text.into(),
            };
            if piece.is_empty() {
                self.documents += 1;
                continue;
            }
            match tree::read(piece.text) {
                Ok(trees) => {
                    for tree in trees {
                        self.documents += 1;
                        origin.document = self.documents;
                        self.document(tree, &origin);
                    }
                }
                Err(error) => {
                    self.documents += 1;
                    self.unreadable(&origin, error.message, error.place);
                }
            }
        }
    }

    /// What was read.
    pub fn finish(mut self) -> World {
        let mut position = 0;
        self.world.objects.retain(|_| {
            position += 1;
            !self.replaced.contains(&(position - 1))
        });
        self.world
    }

    fn bytes(&mut self, name: &str, bytes: Vec<u8>) {
        match String::from_utf8(bytes) {
            Ok(text) => self.text(name, &text),
            Err(error) => {
                self.documents += 1;
                let origin = Origin {
                    file: name.into(),
                    document: self.documents,
                    line: 1,
                    api_version: "",
                    within: Path::default(),
                    text: "".into(),
                };
                let valid = error.utf8_error().valid_up_to();
                let line = error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
                self.unreadable(&origin, "not UTF-8 text".to_owned(), Some((line, 1)));
            }
        }
    }

    fn document(&mut self, tree: tree::Tree, origin: &Origin) {
        match tree.value {
            Value::Null => {}
            Value::Object(_) => self.value(tree.value, tree.repeated, origin, None),
            _ => self.unreadable(origin, "not a mapping, so not an object".to_owned(), None),
        }
    }

    /// Reads an object, or the objects of a list. `implied` is what the list says of its items.
    fn value(&mut self, mut value: Value, repeated: Vec<Path>, origin: &Origin, implied: Option<(&str, &str)>) {
        let Some((kind, items)) = take_items(&mut value) else {
            return self.object(value, repeated, origin, implied);
        };
        let api_version = value.get("apiVersion").and_then(Value::as_str).unwrap_or_default().to_owned();
        let item_kind = kind.strip_suffix("List").unwrap_or_default();
        let implied = (!item_kind.is_empty()).then_some((api_version.as_str(), item_kind));
        let path = origin.within.field("items");
        let Value::Array(items) = items else {
            return self.document_fault(origin, &path, "must be a list");
        };
        let mut inner: HashMap<usize, Vec<Path>> = HashMap::new();
        for path in repeated {
            match path.0.as_slice() {
                [Step::Key(name), Step::Index(index), rest @ ..] if name == "items" && !rest.is_empty() => {
                    inner.entry(*index).or_default().push(Path(rest.to_vec()));
                }
                _ => self.document_fault(origin, &origin.within.join(&as_fields(&path)), REPEATED),
            }
        }
        for (index, item) in items.into_iter().enumerate() {
            let within = path.then(Step::Index(index));
            if item.is_object() {
                let origin = Origin { within, ..origin.clone() };
                self.value(item, inner.remove(&index).unwrap_or_default(), &origin, implied);
            } else {
                self.document_fault(origin, &within, "must be an object");
            }
        }
    }

    fn object(&mut self, value: Value, repeated: Vec<Path>, origin: &Origin, implied: Option<(&str, &str)>) {
        let read = object::read(value, implied, self.purpose);
        let Some(label) = read.label else {
            // Neither the object nor its fields can be named but by the document.
            for path in &repeated {
                self.document_fault(origin, &origin.within.join(&as_fields(path)), REPEATED);
            }
            for fault in read.faults {
                self.document_fault(origin, &origin.within.join(&fault.path), &fault.message);
            }
            return;
        };
        let origin = &Origin { api_version: read.table.map_or("", |(_, version)| version), ..origin.clone() };
        for path in repeated {
            let path = match read.table {
                Some((kind, version)) => walk::name_steps(&path, kind, version),
                None => as_fields(&path),
            };
            self.fault(check::Level::Error, label.clone(), path.to_string(), REPEATED.to_owned(), origin);
        }
        for fault in read.faults {
            let field = fault.path.to_string();
            if fault.refused {
                self.world.refused.insert((label.clone(), field.clone()));
            }
            self.fault(fault.level, label.clone(), field, fault.message, origin);
        }
        match read.outcome {
            Outcome::Object(object) => self.keep(*object, label, origin),
            Outcome::Ignored { api_version, kind } => {
                self.world.ignored.push(Ignored { api_version, kind, object: label, origin: origin.clone() });
            }
            Outcome::Refused => {}
        }
    }

    /// Keeps an object; an earlier one of the same name gives way.
    fn keep(&mut self, object: Object, label: String, origin: &Origin) {
        let reference = object.reference();
        let is_configuration = reference.kind.scope() == Scope::Configuration;
        if is_configuration || !reference.name.is_empty() {
            let position = self.world.objects.len();
            if let Some(earlier) = self.positions.insert(reference, position) {
                self.replaced.insert(earlier);
                let first = &self.world.objects[earlier].1;
                let message = format!("{label} stands in {}:{} already; the last one counts", first.file, first.line);
                let field = if is_configuration { "kind" } else { "metadata.name" };
                self.fault(check::Level::Warning, label, field.to_owned(), message, origin);
            }
        }
        self.world.objects.push((object, origin.clone()));
    }

    /// An error that can be told of the document only; the path begins at its root.
    fn document_fault(&mut self, origin: &Origin, path: &Path, message: &str) {
        let origin = Origin { within: Path::default(), ..origin.clone() };
        self.fault(check::Level::Error, document(&origin), path.to_string(), message.to_owned(), &origin);
    }

    fn fault(&mut self, level: check::Level, object: String, field: String, message: String, origin: &Origin) {
        let finding = check::Finding { level, object, field, message };
        self.world.findings.push(Finding { finding, origin: Some(origin.clone()), at: None });
    }

    fn unreadable(&mut self, origin: &Origin, message: String, at: Option<(usize, usize)>) {
        self.world.unreadable = true;
        self.world.findings.push(Finding {
            finding: check::Finding::error(document(origin), "", message),
            origin: Some(origin.clone()),
            at: Some(at.unwrap_or((1, 1))),
        });
    }
}

/// What is said of a key that stands twice in one mapping.
const REPEATED: &str = "the key stands here more than once; the last value counts";

/// How findings call a document whose object has no name of its own.
fn document(origin: &Origin) -> String {
    format!("document {}", origin.document)
}

/// The path of an object without tables: all its keys count as fields.
fn as_fields(path: &Path) -> Path {
    let steps = path.0.iter().cloned().map(|step| match step {
        Step::Key(key) => Step::Field(key),
        step => step,
    });
    Path(steps.collect())
}

/// The kind and items of a list (`List`, or `ServiceList` and the like); what is left has none.
fn take_items(value: &mut Value) -> Option<(String, Value)> {
    let kind = value.get("kind")?.as_str()?.to_owned();
    let is_list = kind.ends_with("List") && kind.parse::<Kind>().is_err();
    let items = value.as_object_mut().filter(|_| is_list)?.get_mut("items")?;
    let items = items.take();
    Some((kind, if items.is_null() { Value::Array(Vec::new()) } else { items }))
}
