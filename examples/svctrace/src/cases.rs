//! Do these worlds answer as expected? Runs case files: unit tests of a cluster's routing.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::ask;
use crate::read::{self, Purpose, Reader};
use crate::report::{FailOn, Report};
use crate::world::World;

/// Runs case files: prints the failures, and a closing line with the counts. Whether all passed.
pub fn run(files: &[PathBuf], out: &mut dyn Write) -> io::Result<bool> {
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        match load(file) {
            Ok(cases) => {
                for case in &cases {
                    for outcome in run_case(case) {
                        match outcome {
                            Ok(()) => passed += 1,
                            Err(failure) => {
                                failed += 1;
                                let name = case["name"].as_str().unwrap_or("(no name)");
                                writeln!(out, "{}: {name}\n{failure}", file.display())?;
                            }
                        }
                    }
                }
            }
            Err(error) => {
                failed += 1;
                writeln!(out, "{}: {error}", file.display())?;
            }
        }
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(failed == 0)
}

/// The cases of a file.
pub fn load(file: &Path) -> Result<Vec<Value>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    match read::yaml(&text)? {
        Value::Array(cases) => Ok(cases),
        _ => Err("not a list of cases".to_owned()),
    }
}

/// The outcome of each question of a case; a failure says what was asked, expected and answered.
pub fn run_case(case: &Value) -> Vec<Result<(), String>> {
    if let Err(fault) = judge_form(case) {
        return vec![Err(format!("  not a case: {fault}\n"))];
    }
    let text = case["world"].as_str().unwrap_or_default();
    let node = match &case["node"] {
        Value::Null => None,
        Value::String(name) => Some(name.clone()),
        other => Some(other.to_string()),
    };
    let wants_clean = case["checkClean"] == true;
    let list = |key: &str| case[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let (checks, questions) = (list("check"), list("queries"));
    let mut outcomes = Vec::new();
    if wants_clean || !checks.is_empty() {
        outcomes.extend(run_checks(text, wants_clean, checks));
    }
    if !questions.is_empty() {
        let mut reader = Reader::new(Purpose::Answer);
        reader.text("world", text);
        let read = reader.finish();
        if let Some(fault) = read.findings.iter().find(|finding| finding.field.is_empty()) {
            return vec![Err(format!("  the world cannot be read: {}\n", fault.finding))];
        }
        let world = World::new(read, node);
        for question in questions {
            let answer = ask::answer_value(&question["ask"], &world);
            outcomes.push(verdict(
                matches(&question["expect"], &answer, ""),
                &question["ask"],
                &question["expect"],
                &answer,
            ));
        }
    }
    outcomes
}

/// A case that is misspelt would pass without asking anything.
fn judge_form(case: &Value) -> Result<(), String> {
    let Some(keys) = case.as_object() else { return Err("not a mapping".to_owned()) };
    const KNOWN: [&str; 7] = ["name", "source", "world", "node", "queries", "check", "checkClean"];
    if let Some(key) = keys.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("unknown key {key:?}: a case has {}", KNOWN.join(", ")));
    }
    if !matches!(case["world"], Value::Null | Value::String(_)) {
        return Err("world: must be a text of manifests".to_owned());
    }
    for key in ["queries", "check"] {
        if !matches!(case[key], Value::Null | Value::Array(_)) {
            return Err(format!("{key}: must be a list"));
        }
    }
    let asks_nothing = |key: &str| case[key].as_array().is_none_or(Vec::is_empty);
    if asks_nothing("queries") && asks_nothing("check") && case["checkClean"] != true {
        return Err("neither queries nor check nor checkClean".to_owned());
    }
    let questions = case["queries"].as_array().into_iter().flatten();
    match questions.enumerate().find(|(_, q)| !q["ask"].is_object() || !q["expect"].is_object()) {
        Some((i, _)) => Err(format!("queries[{i}]: must have ask and expect")),
        None => Ok(()),
    }
}

fn run_checks(text: &str, wants_clean: bool, checks: &[Value]) -> Vec<Result<(), String>> {
    let mut reader = Reader::new(Purpose::Check);
    reader.text("world", text);
    let world = reader.finish();
    let unreadable = world.unreadable;
    let report = Report::new(world, false);
    let found = report.json();
    let mut outcomes = Vec::new();
    if wants_clean {
        let clean = !unreadable && !report.fails(FailOn::Error);
        outcomes.push(verdict(clean, &json!("check"), &json!("no error, exit status 0"), &found["errors"]));
    }
    for check in checks {
        let level = if check["level"] == "warning" { "warnings" } else { "errors" };
        let mut fact = check.clone();
        if let Some(fact) = fact.as_object_mut() {
            fact.shift_remove("level");
        }
        let hit = found[level].as_array().is_some_and(|found| found.iter().any(|finding| matches(&fact, finding, "")));
        outcomes.push(verdict(hit, &json!("check"), check, &found[level]));
    }
    outcomes
}

fn verdict(good: bool, asked: &Value, expected: &Value, answered: &Value) -> Result<(), String> {
    if good {
        return Ok(());
    }
    Err(format!("  asked    {asked}\n  expected {expected}\n  answered {answered}\n"))
}

/// Lists whose order counts; a DNS answer's does when it holds a CNAME.
fn is_ordered(key: &str, expected: &[Value]) -> bool {
    match key {
        "tries" | "nameservers" | "searches" => true,
        "answer" => expected.iter().any(|record| record.as_str().is_some_and(|record| record.contains(" CNAME "))),
        _ => false,
    }
}

/// Whether an answer holds what is expected: each key of an object, each member of a list in any order. What is null, false
/// or empty may be absent; numbers agree to 1e-6; `env` is compared whole.
fn matches(expected: &Value, got: &Value, key: &str) -> bool {
    match (expected, got) {
        _ if key == "env" => expected == got,
        (Value::Object(expected), Value::Object(got)) => expected.iter().all(|(key, value)| match got.get(key) {
            Some(got) => matches(value, got, key),
            None => is_nothing(value),
        }),
        (Value::Array(expected), Value::Array(got)) if expected.len() == got.len() => {
            if is_ordered(key, expected) {
                return expected.iter().zip(got).all(|(expected, got)| matches(expected, got, ""));
            }
            pairs_up(expected, got)
        }
        (Value::Number(expected), Value::Number(got)) => match (expected.as_f64(), got.as_f64()) {
            (Some(expected), Some(got)) => (expected - got).abs() <= 1e-6 * expected.abs().max(got.abs()).max(1.0),
            _ => expected == got,
        },
        // A number in the cases may stand for a text of digits, and the other way round.
        (Value::Number(number), Value::String(text)) | (Value::String(text), Value::Number(number)) => {
            number.to_string() == *text
        }
        _ => expected == got,
    }
}

/// Whether every expected member can have an answered one to itself: a matching, found by augmenting paths.
fn pairs_up(expected: &[Value], got: &[Value]) -> bool {
    fn place(want: usize, fits: &[Vec<usize>], taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
        for &candidate in &fits[want] {
            if std::mem::replace(&mut tried[candidate], true) {
                continue;
            }
            let free = match taken[candidate] {
                None => true,
                Some(other) => place(other, fits, taken, tried),
            };
            if free {
                taken[candidate] = Some(want);
                return true;
            }
        }
        false
    }
    let fits: Vec<Vec<usize>> =
        expected.iter().map(|expected| (0..got.len()).filter(|&i| matches(expected, &got[i], "")).collect()).collect();
    let mut taken = vec![None; got.len()];
    (0..expected.len()).all(|want| place(want, &fits, &mut taken, &mut vec![false; got.len()]))
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expectation_is_a_subset() {
        let got = json!({"verdict": "dnat", "endpoints": [{"addr": "b", "p": 0.5}, {"addr": "a", "p": 0.5000000001}], "x": 1});
        assert!(matches(
            &json!({"endpoints": [{"addr": "a", "p": 0.5}, {"addr": "b"}], "masquerade": false}),
            &got,
            ""
        ));
        assert!(!matches(&json!({"endpoints": [{"addr": "a"}, {"addr": "a"}]}), &got, ""));
        assert!(!matches(&json!({"endpoints": [{"addr": "a"}]}), &got, ""));
        assert!(!matches(&json!({"masquerade": true}), &got, ""));
        assert!(matches(&json!({"x": "1"}), &got, ""));
        // The loose member must not take the answer that the strict one needs.
        assert!(matches(&json!({"endpoints": [{"p": 0.5}, {"addr": "b"}]}), &got, ""));
    }

    #[test]
    fn a_case_that_asks_nothing_or_is_misspelt_fails() {
        for case in [
            json!({"name": "x", "world": "", "manifests": "y", "checkClean": true}),
            json!({"name": "x", "world": [], "checkClean": true}),
            json!({"name": "x", "world": "", "queries": 3, "checkClean": true}),
            json!({"name": "x", "world": ""}),
            json!({"name": "x", "world": "", "queries": [{"ask": {"kind": "env"}}]}),
            json!("x"),
        ] {
            assert!(matches!(run_case(&case).as_slice(), [Err(fault)] if fault.contains("not a case")), "{case}");
        }
    }

    #[test]
    fn a_world_that_cannot_be_read_fails_whatever_is_expected() {
        let question = json!({"kind": "connect", "src": "10.0.0.1", "dst": "10.0.0.2:80"});
        let case =
            json!({"name": "x", "world": "a: [", "queries": [{"ask": question, "expect": {"verdict": "accept"}}]});
        assert!(run_case(&case).iter().all(Result::is_err));
    }

    #[test]
    fn order_counts_for_tries_and_chains_and_env_is_compared_whole() {
        assert!(!matches(&json!({"tries": ["a", "b"]}), &json!({"tries": ["b", "a"]}), ""));

        assert!(!matches(
            &json!({"answer": ["x 5 IN CNAME y", "y A 1"]}),
            &json!({"answer": ["y A 1", "x 5 IN CNAME y"]}),
            ""
        ));
        assert!(!matches(&json!({"env": {}}), &json!({"env": {"A": "1"}}), ""));
    }
}
