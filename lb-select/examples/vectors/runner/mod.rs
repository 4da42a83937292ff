//! What does a vector ask, what is the answer, and is it the expected one?

mod compare;
mod guards;
mod hashes;
mod input;
mod loads;
mod requests;
mod sequences;
mod traffic;

use input::Input;
use serde_json::{Value, json};

/// One entry of a vector file.
#[derive(Debug, Clone)]
pub(crate) struct Vector {
    pub(crate) name: String,
    op: String,
    input: Value,
    expect: Value,
    tolerance: f64,
}

/// Reads a file: a YAML list of vectors.
pub(crate) fn read(text: &str) -> Result<Vec<Vector>, String> {
    // An endpoint may be called `n`.
    let options = serde_saphyr::options! { strict_booleans: true };
    let entries: Vec<Value> = serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    entries.iter().map(|entry| Vector::read(Input(entry))).collect()
}

/// What an operation answers; `None` if this group does not know it.
pub(crate) type Answer = Option<Result<Value, String>>;

/// The groups of operations, each in a file of its own.
const GROUPS: &[fn(&str, Input<'_>) -> Answer] =
    &[sequences::answer, loads::answer, hashes::answer, traffic::answer, guards::answer, requests::answer];

impl Vector {
    fn read(entry: Input<'_>) -> Result<Self, String> {
        Ok(Self {
            name: entry.text("name")?.to_owned(),
            op: entry.text("op")?.to_owned(),
            input: entry.field("input").clone(),
            expect: entry.field("expect").clone(),
            tolerance: entry.real_or("tolerance", 1e-9)?,
        })
    }

    /// The answer of the crate, or why there is none.
    pub(crate) fn answer(&self) -> Result<Value, String> {
        let groups = GROUPS.iter();
        groups.filter_map(|group| group(&self.op, Input(&self.input))).next().unwrap_or(Err("unsupported".to_owned()))
    }

    /// The answer as a line of JSON.
    #[allow(dead_code, reason = "the test only compares")]
    pub(crate) fn line(&self) -> Value {
        match self.answer() {
            Ok(got) => json!({"name": self.name, "got": got}),
            Err(error) => json!({"name": self.name, "error": error}),
        }
    }

    /// Compares the answer with what is expected.
    pub(crate) fn check(&self) -> Result<(), String> {
        compare::agrees(&self.expect, &self.answer()?, self.tolerance)
    }
}
