//! On which line does a finding stand? Asked only of documents that something is reported about.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use serde_saphyr::options::DuplicateKeyPolicy;

use super::path::{Path, Step};
use super::yaml::{Booleans, options};

/// A document with the place of everything in it.
#[derive(Debug)]
pub(super) struct Places(Option<Node>);

impl Places {
    /// Reads a document again, which costs as much as reading it did. Of an unreadable one nothing is known.
    pub(super) fn of(text: &str) -> Places {
        Places(
            serde_saphyr::from_str_with_options(text, options(DuplicateKeyPolicy::LastWins, Booleans::TrueAndFalse))
                .ok(),
        )
    }

    /// Line and column of a field of the object at `within`, from 1, or of the innermost value around it that exists.
    pub(super) fn find(&self, within: &Path, field: &str) -> Option<(usize, usize)> {
        let mut node = self.0.as_ref()?;
        let mut found = node.place;
        let steps = within.0.iter().map(step_text).chain(steps(field).map(Cow::Borrowed));
        for step in steps {
            let next = match &node.kind {
                Kind::Scalar => None,
                Kind::List(elements) => step
                    .parse()
                    .ok()
                    .and_then(|index: usize| elements.get(index))
                    .map(|element| (element.place, element)),
                Kind::Map(entries) => {
                    entries.iter().rev().find(|(name, ..)| *name == step).map(|(_, place, value)| (*place, value))
                }
            };
            let Some((place, value)) = next else { break };
            (found, node) = (place, value);
        }
        (found.0 > 0).then_some(found)
    }

    /// The path of the key that stands at a line and column.
    pub(super) fn key_at(&self, place: (usize, usize)) -> Option<Path> {
        fn search(node: &Node, place: (usize, usize), steps: &mut Vec<Step>) -> bool {
            match &node.kind {
                Kind::Scalar => false,
                Kind::List(elements) => elements.iter().enumerate().any(|(index, element)| {
                    steps.push(Step::Index(index));
                    search(element, place, steps) || steps.pop().is_none()
                }),
                Kind::Map(entries) => entries.iter().any(|(key, at, value)| {
                    steps.push(Step::Key(key.clone()));
                    *at == place || search(value, place, steps) || steps.pop().is_none()
                }),
            }
        }
        let mut steps = Vec::new();
        search(self.0.as_ref()?, place, &mut steps).then_some(Path(steps))
    }
}

fn step_text(step: &Step) -> Cow<'_, str> {
    match step {
        Step::Field(name) | Step::Key(name) => Cow::Borrowed(name),
        Step::Index(index) => Cow::Owned(index.to_string()),
    }
}

/// The steps of a path as text: `a.b[0][x.y]` is `a`, `b`, `0`, `x.y`.
fn steps(field: &str) -> impl Iterator<Item = &str> {
    let mut rest = field;
    std::iter::from_fn(move || {
        if let Some(bracket) = rest.strip_prefix('[') {
            let (step, after) = bracket.split_once(']').unwrap_or((bracket, ""));
            rest = after.strip_prefix('.').unwrap_or(after);
            return Some(step);
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (step, after) = rest.split_at(end);
        rest = after.strip_prefix('.').unwrap_or(after);
        (!step.is_empty()).then_some(step)
    })
}

/// A value and where it stands.
#[derive(Debug)]
struct Node {
    place: (usize, usize),
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Scalar,
    List(Vec<Node>),
    Map(Vec<(String, (usize, usize), Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        let place = (spanned.referenced.line() as usize, spanned.referenced.column() as usize);
        Ok(Node { place, kind: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
        struct KindVisitor;

        impl<'de> Visitor<'de> for KindVisitor {
            type Value = Kind;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Kind, E> {
                Ok(Kind::Scalar)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Kind, E> {
                Ok(Kind::Scalar)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Kind, E> {
                Ok(Kind::Scalar)
            }

            fn visit_i128<E>(self, _: i128) -> Result<Kind, E> {
                Ok(Kind::Scalar)
            }

            fn visit_u128<E>(self, _: u128) -> Result<Kind, E> {
                Ok(Kind::Scalar)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Kind, E> {
                Ok(Kind::Scalar)
            }

            fn visit_str<E>(self, _: &str) -> Result<Kind, E> {
                Ok(Kind::Scalar)
            }

            fn visit_bytes<E>(self, _: &[u8]) -> Result<Kind, E> {
                Ok(Kind::Scalar)
            }

            fn visit_unit<E>(self) -> Result<Kind, E> {
                Ok(Kind::Scalar)
            }

            fn visit_none<E>(self) -> Result<Kind, E> {
                Ok(Kind::Scalar)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
                IgnoredAny::deserialize(deserializer).map(|_| Kind::Scalar)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Kind, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = elements.next_element()? {
                    list.push(element);
                }
                Ok(Kind::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
                let mut map = Vec::new();
                while let Some((key, value)) = entries.next_entry::<Spanned<String>, Node>()? {
                    let place = (key.referenced.line() as usize, key.referenced.column() as usize);
                    map.push((key.value, place, value));
                }
                Ok(Kind::Map(map))
            }
        }

        deserializer.deserialize_any(KindVisitor)
    }
}
