//! What is answered: one object for programs, a headline and steps for people, from the same decision.

use serde_json::{Map, Value};

/// The answer to one question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The object that `batch` and `--output json` print.
    pub json: Map<String, Value>,
    /// The verdict, in a line.
    pub headline: String,
    /// How it came about, a line each.
    pub steps: Vec<String>,
    /// What people read in place of the headline and the steps, where the answer has a form of its own.
    pub text: Option<String>,
    /// What was considered and passed over, a line each, for those who ask.
    pub details: Vec<String>,
}

impl Answer {
    /// An answer with a headline.
    pub fn new(headline: impl Into<String>) -> Answer {
        Answer { headline: headline.into(), ..Answer::default() }
    }

    /// Sets a key of the object.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.json.insert(key.to_owned(), value.into());
    }

    /// Adds a step.
    pub fn step(&mut self, step: impl Into<String>) {
        self.steps.push(step.into());
    }

    /// Gives the reason: a key of the object, and the last step.
    pub fn because(&mut self, reason: impl Into<String>) {
        let reason = reason.into();
        self.set("reason", reason.clone());
        self.step(reason);
    }
}
