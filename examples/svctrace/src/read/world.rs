//! What was read: objects, findings, and the places of both.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use svc_model::{Object, check};

use super::InputError;
use super::locate::Places;
use super::path::Path;

/// Everything that was read.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct World {
    /// The objects, in the order of their documents; of several with one name only the last.
    pub objects: Vec<(Object, Origin)>,
    /// What is wrong with the documents, in their order.
    pub findings: Vec<Finding>,
    /// Objects of kinds that are not read.
    pub ignored: Vec<Ignored>,
    /// Inputs that could not be opened.
    pub failures: Vec<InputError>,
    /// Whether an input could not be opened, or a document is not YAML, not a mapping, or beyond a limit.
    pub unreadable: bool,
    /// Values that were refused for their form: object and field.
    pub(super) refused: HashSet<(String, String)>,
    /// The document that was read last for the places in it: findings come in the order of documents.
    places: RefCell<Option<(Arc<str>, Places)>>,
}

/// A finding and the document it is about. Derefs to the finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The finding.
    pub finding: check::Finding,
    /// Where its object stands, if it stands in a document.
    pub origin: Option<Origin>,
    /// Line and column in the document, from 1, if the reader knows already.
    pub(super) at: Option<(usize, usize)>,
}

impl Deref for Finding {
    type Target = check::Finding;

    fn deref(&self) -> &check::Finding {
        &self.finding
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.finding.fmt(f)
    }
}

/// Where an object stands. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file as named or found, `-` for standard input.
    pub file: Arc<str>,
    /// The document, counted from 1 over all documents of all inputs.
    pub document: usize,
    /// The line of the file on which the document begins, from 1.
    pub line: usize,
    /// The API version by whose fields the object was read; empty for what is no object of a known kind.
    pub api_version: &'static str,
    /// The way to the object inside the document, if it is part of a list.
    pub(super) within: Path,
    pub(super) text: Arc<str>,
}

impl Origin {
    /// Line and column of a field of the object, from 1, or of what is nearest around it: reads the document again.
    pub fn place(&self, field: &str) -> Place {
        self.find(&Places::of(&self.text), field)
    }

    fn find(&self, places: &Places, field: &str) -> Place {
        self.at(places.find(&self.within, field).unwrap_or((1, 1)))
    }

    fn at(&self, (line, column): (usize, usize)) -> Place {
        Place { file: self.file.clone(), line: self.line + line - 1, column }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} (document {})", self.file, self.line, self.document)
    }
}

/// A place in a file; displays as `file:line:column`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Place {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// An object of a kind that is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its `kind`.
    pub kind: String,
    /// Kind, namespace (if written) and name.
    pub object: String,
    /// Where it stands.
    pub origin: Origin,
}

impl World {
    /// Where a finding stands. `None` if it is about no document.
    ///
    /// Reads the document again, unless it was the last one asked about: ask in the order of documents.
    pub fn place(&self, finding: &Finding) -> Option<Place> {
        let origin = finding.origin.as_ref()?;
        if let Some(place) = finding.at {
            return Some(origin.at(place));
        }
        let mut last = self.places.borrow_mut();
        let places = match last.take() {
            Some((text, places)) if Arc::ptr_eq(&text, &origin.text) => places,
            _ => Places::of(&origin.text),
        };
        let place = origin.find(&places, &finding.field);
        *last = Some((origin.text.clone(), places));
        Some(place)
    }

    /// How many objects of each kind were ignored, by kind.
    pub fn ignored_kinds(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for ignored in &self.ignored {
            *counts.entry(ignored.kind.as_str()).or_default() += 1;
        }
        counts
    }

    /// The findings of reading together with those of checking the objects, in the order of the documents: a value that
    /// was refused for its form is not judged further.
    pub fn with_checks(&self, checks: impl IntoIterator<Item = check::Finding>) -> Vec<Finding> {
        let origins: HashMap<String, &Origin> =
            self.objects.iter().map(|(object, origin)| (svc_model::check::subject(object), origin)).collect();
        let mut findings = self.findings.clone();
        for finding in checks {
            if !self.is_refused(&finding.object, &finding.field) {
                let origin = origins.get(&finding.object).map(|origin| (*origin).clone());
                findings.push(Finding { finding, origin, at: None });
            }
        }
        findings.sort_by_key(|finding| finding.origin.as_ref().map_or(usize::MAX, |origin| origin.document));
        findings
    }

    /// Whether the value of a field, or one around it, was refused for its form.
    fn is_refused(&self, object: &str, field: &str) -> bool {
        let ends = field.char_indices().filter(|(_, c)| matches!(c, '.' | '[')).map(|(index, _)| index);
        let mut ends = ends.chain([field.len()]);
        !self.refused.is_empty() && ends.any(|end| self.refused.contains(&(object.to_owned(), field[..end].to_owned())))
    }
}
