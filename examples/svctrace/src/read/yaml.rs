//! What does a YAML document say? The settings of the YAML reader, its limits in words, and what it leaves to settle:
//! repeated keys, and words that are booleans only when bare.

use std::cell::RefCell;
use std::rc::Rc;

use serde::de::DeserializeSeed;
use serde_json::Value;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::DuplicateKeyPolicy;

use super::locate::Places;
use super::tree::{MAX_ALIASED, MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_NODES, Reading, Tree, YamlError, check_length};

/// Reads a text that is one YAML document and no manifest, within the same limits; a repeated key is an error.
pub fn yaml(text: &str) -> Result<Value, YamlError> {
    check_length(text)?;
    let tree = read_yaml(text)?;
    match tree.repeated.first() {
        None => Ok(tree.value),
        Some(path) => Err(YamlError { message: format!("the key {path} stands there more than once"), place: None }),
    }
}

pub(super) fn read_yaml(text: &str) -> Result<Tree, YamlError> {
    let mut reading = Reading::default();
    let error = match reading.yaml(text, DuplicateKeyPolicy::Error, Booleans::TrueAndFalse) {
        Ok(mut value) => {
            reading.settle_booleans(text, &mut value)?;
            return Ok(Tree { value, repeated: Vec::new() });
        }
        Err(error) => error,
    };
    let serde_saphyr::Error::DuplicateMappingKey { .. } = error.without_snippet() else {
        return Err(reading.explain(&error));
    };
    // A key stands twice: read again so that the last one counts, and note all of them.
    let first = place(&error);
    let mut reading = Reading::default();
    let read = reading.yaml(text, DuplicateKeyPolicy::LastWins, Booleans::TrueAndFalse);
    let mut value = read.map_err(|error| reading.explain(&error))?;
    reading.settle_booleans(text, &mut value)?;
    let mut repeated = reading.into_repeated();
    if repeated.is_empty() {
        // The reader drops repeated numbers (`9000: a`, `9000: b`) before they can be seen.
        let path = first.and_then(|place| Places::of(text).key_at(place));
        repeated.push(path.unwrap_or_default());
    }
    Ok(Tree { value, repeated })
}

/// Which bare words are booleans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Booleans {
    TrueAndFalse,
    /// Those of YAML 1.1, `y` and `n` among them.
    Yaml11,
}

/// Whether a word, when bare, is a boolean for kubectl. `true` and `false` aside; `y` and `n` are text.
pub(super) fn is_boolean_word(text: &str) -> bool {
    matches!(text, "yes" | "Yes" | "YES" | "no" | "No" | "NO" | "on" | "On" | "ON" | "off" | "Off" | "OFF")
}

/// Makes booleans of the words that stand bare: `yaml11` is the same document, read so that they are booleans there.
fn settle(value: &mut Value, yaml11: &Value) {
    match (value, yaml11) {
        (value @ Value::String(_), Value::Bool(bare)) if value.as_str().is_some_and(is_boolean_word) => {
            *value = Value::Bool(*bare);
        }
        (Value::Array(list), Value::Array(others)) => {
            list.iter_mut().zip(others).for_each(|(value, other)| settle(value, other));
        }
        (Value::Object(map), Value::Object(others)) => {
            map.values_mut().zip(others.values()).for_each(|(value, other)| settle(value, other));
        }
        _ => {}
    }
}

/// The settings of the YAML reader. `LastWins` is for reading again what `Error` refused.
pub(super) fn options(duplicate_keys: DuplicateKeyPolicy, booleans: Booleans) -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_events: 3 * MAX_NODES,
            max_recorded_anchor_events: MAX_ALIASED,
            max_aliases: 50_000,
            max_anchors: 50_000,
            alias_anchor_ratio_multiplier: 10,
            max_depth: MAX_DEPTH,
            max_total_scalar_bytes: MAX_DOCUMENT_BYTES,
        },
        duplicate_keys: duplicate_keys,
        strict_booleans: booleans == Booleans::TrueAndFalse,
        legacy_octal_numbers: true,
        with_snippet: false,
    }
}

fn place(error: &serde_saphyr::Error) -> Option<(usize, usize)> {
    let location = error.location()?;
    (location.line() > 0).then_some((location.line() as usize, location.column() as usize))
}

impl Reading {
    fn yaml(
        &mut self,
        text: &str,
        duplicate_keys: DuplicateKeyPolicy,
        booleans: Booleans,
    ) -> Result<Value, serde_saphyr::Error> {
        // Where aliases are about, the reader's error is text alone; its report names the limit.
        let breach = Rc::new(RefCell::new(None));
        let noted = breach.clone();
        let options =
            options(duplicate_keys, booleans).with_budget_report(move |report| *noted.borrow_mut() = report.breached);
        let value = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
            self.at(0).deserialize(deserializer)
        });
        self.breach = breach.take();
        value
    }

    /// Tells a bare `yes` from a quoted one. The reader hands both over as text or the bare one as a boolean that has lost
    /// its word, so a document that holds such a word is read both ways.
    fn settle_booleans(&self, text: &str, value: &mut Value) -> Result<(), YamlError> {
        if self.state.borrow().boolean_word {
            let mut again = Reading::default();
            let yaml11 = again.yaml(text, DuplicateKeyPolicy::LastWins, Booleans::Yaml11);
            settle(value, &yaml11.map_err(|error| again.explain(&error))?);
        }
        Ok(())
    }

    fn explain(&self, error: &serde_saphyr::Error) -> YamlError {
        let exceeded = self.state.borrow_mut().exceeded.take();
        let exceeded = exceeded.or_else(|| self.breach.as_ref().and_then(limit));
        YamlError { message: exceeded.unwrap_or_else(|| plain(error)), place: place(error) }
    }
}

/// The limit of the YAML reader that a document exceeds, in words.
fn limit(breach: &BudgetBreach) -> Option<String> {
    Some(match breach {
        BudgetBreach::Depth { .. } => format!("over the limit of {MAX_DEPTH} levels of nesting"),
        BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. } => {
            format!("over the limit of {MAX_NODES} values a document")
        }
        BudgetBreach::ScalarBytes { .. } => format!("over the limit of {MAX_DOCUMENT_BYTES} bytes a document"),
        BudgetBreach::RecordedAnchorEvents { .. } | BudgetBreach::RecordedAnchorBytes { .. } => {
            format!("over the limit of {MAX_ALIASED} values that aliases repeat")
        }
        BudgetBreach::AliasAnchorRatio { .. } | BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } => {
            "over the limit of aliases: ten for each anchor, 50000 in all".to_owned()
        }
        _ => return None,
    })
}

/// The reader's message on one line, without the place, which is told apart from it.
fn plain(error: &serde_saphyr::Error) -> String {
    let message = error.without_snippet().to_string();
    let message = message.lines().next().unwrap_or("not YAML");
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    match message {
        // The parser's own bound on flow collections, which it meets before it counts levels.
        _ if matches!(error.without_snippet(), serde_saphyr::Error::MultipleDocuments { .. }) => {
            "several documents stand there, and one is read".to_owned()
        }
        "recursion limit exceeded" => format!("over the limit of {MAX_DEPTH} levels of nesting"),
        _ => message.to_owned(),
    }
}
