//! How does one name a place inside an object?

use std::borrow::Cow;
use std::fmt;

/// Longest name of anything, in bytes, in what is said about a document: a hostile one may hold names of megabytes.
const MAX_NAME: usize = 512;

/// A text for a message or path: itself, or its beginning.
pub(super) fn shorten(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_NAME {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}...", &text[..text.floor_char_boundary(MAX_NAME)]))
}

/// A place inside a document: `spec.ports[0].port`, `metadata.labels[app]`.
///
/// Displays as the manifest spells it: JSON names, `[i]` for list elements, `[key]` for map entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Path(pub(super) Vec<Step>);

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Step {
    /// A field with a name of its own.
    Field(String),
    /// An entry of a map, whose keys are free.
    Key(String),
    /// An element of a list, from 0.
    Index(usize),
}

impl Path {
    /// This path with one more field.
    pub(super) fn field(&self, name: &str) -> Path {
        self.then(Step::Field(name.to_owned()))
    }

    /// This path with one more step.
    pub(super) fn then(&self, step: Step) -> Path {
        Path(self.0.iter().cloned().chain([step]).collect())
    }

    /// Both paths in a row.
    pub(super) fn join(&self, rest: &Path) -> Path {
        Path(self.0.iter().chain(&rest.0).cloned().collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if index == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Key(key) => write!(f, "[{key}]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
