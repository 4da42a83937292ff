//! What does one document say? YAML or JSON text to a tree of values, with work and memory bounded.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::budget::BudgetBreach;

use super::path::{Path, Step, shorten};
use super::yaml::read_yaml;

/// Longest document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 64 << 20;
/// Most mappings, lists and scalars of a document, with every alias counted as what it stands for.
pub const MAX_NODES: usize = 5_000_000;
/// Most levels of mappings and lists inside each other.
pub const MAX_DEPTH: usize = 64;

/// Most values of a document that aliases (`*name`) stand for.
pub const MAX_ALIASED: usize = 1_000_000;

/// Most repeated keys that are reported of one document.
const MAX_REPEATED: usize = 1_000;

/// A document as a tree of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    pub(super) value: Value,
    /// Where a key of a mapping stands again. The value is that of the last one.
    pub(super) repeated: Vec<Path>,
}

/// Why a document could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", place.map_or(String::new(), |(line, column)| format!(" at line {line}, column {column}")))]
pub struct YamlError {
    pub(super) message: String,
    /// Line and column within the text, from 1, if known.
    pub(super) place: Option<(usize, usize)>,
}

impl From<YamlError> for String {
    fn from(error: YamlError) -> String {
        error.to_string()
    }
}

/// Reads a document: the JSON values that stand in it one after another, else one YAML document.
///
/// Scalars are those of YAML 1.1, as kubectl reads them (`yes` is a boolean, `010` is eight), save that `y` and `n` are
/// text; a number without a fraction becomes an integer.
pub(super) fn read(text: &str) -> Result<Vec<Tree>, YamlError> {
    check_length(text)?;
    // YAML is no superset of JSON where escapes and tabs are concerned, so JSON has its own reader; what only looks
    // like JSON (a flow mapping) is left to the YAML one, which also words the errors.
    if text.trim_start().starts_with(['{', '['])
        && let Some(trees) = read_json(text)
    {
        return Ok(trees);
    }
    read_yaml(text).map(|tree| vec![tree])
}

pub(super) fn check_length(text: &str) -> Result<(), YamlError> {
    if text.len() <= MAX_DOCUMENT_BYTES {
        return Ok(());
    }
    Err(YamlError { message: format!("over the limit of {MAX_DOCUMENT_BYTES} bytes a document"), place: None })
}

fn read_json(text: &str) -> Option<Vec<Tree>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut trees = Vec::new();
    loop {
        let reading = Reading::default();
        let value = reading.at(0).deserialize(&mut deserializer).ok()?;
        trees.push(Tree { value, repeated: reading.into_repeated() });
        if deserializer.end().is_ok() {
            return Some(trees);
        }
    }
}

/// What is counted and noted while one document is read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) state: RefCell<State>,
    /// The limit that the YAML reader found exceeded.
    pub(super) breach: Option<BudgetBreach>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    nodes: usize,
    /// The limit that was exceeded, in words.
    pub(super) exceeded: Option<String>,
    /// Whether there is a word, bare or quoted, that is a boolean when bare.
    pub(super) boolean_word: bool,
    /// Paths of repeated keys, innermost step first while their mappings are being read.
    repeated: Vec<Vec<Step>>,
}

impl Reading {
    pub(super) fn at(&self, depth: usize) -> Node<'_> {
        Node { reading: self, depth }
    }

    pub(super) fn into_repeated(self) -> Vec<Path> {
        let repeated = self.state.into_inner().repeated;
        repeated.into_iter().map(|steps| Path(steps.into_iter().rev().collect())).collect()
    }

    fn count<E: de::Error>(&self, depth: usize) -> Result<(), E> {
        let mut state = self.state.borrow_mut();
        state.nodes += 1;
        let exceeded = if state.nodes > MAX_NODES {
            format!("over the limit of {MAX_NODES} values a document")
        } else if depth > MAX_DEPTH {
            format!("over the limit of {MAX_DEPTH} levels of nesting")
        } else {
            return Ok(());
        };
        state.exceeded = Some(exceeded.clone());
        Err(E::custom(exceeded))
    }

    /// Notes that the key of this mapping stood before.
    fn note(&self, key: &str) {
        let repeated = &mut self.state.borrow_mut().repeated;
        if repeated.len() < MAX_REPEATED {
            repeated.push(vec![Step::Key(shorten(key).into_owned())]);
        }
    }

    /// How many keys are noted so far; those that a child adds get the child's step.
    fn noted(&self) -> usize {
        self.state.borrow().repeated.len()
    }

    fn prepend(&self, from: usize, step: impl Fn() -> Step) {
        for path in &mut self.state.borrow_mut().repeated[from..] {
            path.push(step());
        }
    }
}

/// One value of the document, on its way into a [`Value`].
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    reading: &'a Reading,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.reading.count(0)?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.reading.count(0)?;
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.reading.count(0)?;
        Ok(value.into())
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.reading.count(0)?;
        // 2^53: up to here a float holds every integer. kubectl prints such a number without a fraction.
        if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
            return Ok((value as i64).into());
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that JSON cannot hold"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        self.reading.count(0)?;
        if super::yaml::is_boolean_word(&value) {
            self.reading.state.borrow_mut().boolean_word = true;
        }
        Ok(Value::String(value))
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<Value, E> {
        self.visit_string(String::from_utf8_lossy(value).into_owned())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.reading.count(0)?;
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        self.reading.count(self.depth + 1)?;
        let mut list = Vec::new();
        loop {
            let noted = self.reading.noted();
            let Some(element) = elements.next_element_seed(self.reading.at(self.depth + 1))? else {
                break;
            };
            self.reading.prepend(noted, || Step::Index(list.len()));
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.reading.count(self.depth + 1)?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let noted = self.reading.noted();
            let value = entries.next_value_seed(self.reading.at(self.depth + 1))?;
            self.reading.prepend(noted, || Step::Key(shorten(&key).into_owned()));
            if map.contains_key(&key) {
                self.reading.note(&key);
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::yaml::yaml;
    use super::*;

    fn value(text: &str) -> Value {
        match read(text) {
            Ok(trees) => trees.into_iter().next().map(|tree| tree.value).unwrap(),
            Err(error) => panic!("{text:?}: {error}"),
        }
    }

    fn refused(text: &str) -> String {
        read(text).expect_err("should not be readable").message
    }

    fn repeated(text: &str) -> Vec<String> {
        read(text).unwrap().iter().flat_map(|tree| &tree.repeated).map(Path::to_string).collect()
    }

    #[test]
    fn scalars_are_those_of_yaml_1_1_as_kubectl_reads_them() {
        for (text, expected) in [
            ("yes", json!(true)),
            ("NO", json!(false)),
            ("y", json!("y")),
            ("N", json!("N")),
            ("on", json!(true)),
            ("On", json!(true)),
            ("off", json!(false)),
            ("FALSE", json!(false)),
            ("'yes'", json!("yes")),
            ("[yes, 'yes', n, {b: off}, \"on\"]", json!([true, "yes", "n", {"b": false}, "on"])),
            ("010", json!(8)),
            ("0644", json!(420)),
            ("0o17", json!(15)),
            ("0b11", json!(3)),
            ("0x1F", json!(31)),
            ("1_000", json!(1000)),
            ("08", json!(8)),
            ("1e3", json!(1000)),
            ("80.0", json!(80)),
            ("80.5", json!(80.5)),
            ("1.10", json!(1.1)),
            ("~", json!(null)),
            ("null", json!(null)),
            ("", json!(null)),
            ("12:30:45", json!("12:30:45")),
            ("2026-11-20", json!("2026-11-20")),
            ("10.0.0.1", json!("10.0.0.1")),
            ("fd00::1", json!("fd00::1")),
            ("18446744073709551615", json!(18446744073709551615u64)),
        ] {
            assert_eq!(value(&format!("a: {text}\n")), json!({ "a": expected }), "{text}");
        }
    }

    #[test]
    fn keys_are_strings() {
        assert_eq!(
            value("data:\n  9000: a\n  yes: b\n  1.5: c\n"),
            json!({"data": {"9000": "a", "yes": "b", "1.5": "c"}})
        );
    }

    #[test]
    fn byte_order_mark_and_line_ends_of_windows_are_read() {
        assert_eq!(value("\u{feff}a: 1\r\nb: |\r\n  x\r\n  y\r\n"), json!({"a": 1, "b": "x\ny\n"}));
    }

    #[test]
    fn json_is_read_as_json() {
        assert_eq!(
            value("{\n\t\"a\": \"\\/\\ud83d\\ude00\",\n\t\"b\": [1.0, 1e2, -0.5]\n}\n"),
            json!({"a": "/\u{1f600}", "b": [1, 100, -0.5]})
        );
        assert_eq!(read("{\"a\": 1}\n{\"a\": 2}").unwrap().len(), 2);
        assert_eq!(value("{a: yes}"), json!({"a": true}));
        assert_eq!(value("[1, 2]"), json!([1, 2]));
    }

    #[test]
    fn merge_keys_are_merged_and_repeat_nothing() {
        let text = "base: &base {a: 1, b: 2}\nmore:\n  <<: *base\n  b: 3\n";
        assert_eq!(value(text)["more"], json!({"a": 1, "b": 3}));
        assert!(repeated(text).is_empty());
    }

    #[test]
    fn a_repeated_key_is_noted_and_the_last_value_counts() {
        let text = "a: 1\nb:\n- c: 1\n  c: 2\n  d: {e: 1, e: 2, e: 3}\na: 2\n";
        assert_eq!(value(text), json!({"a": 2, "b": [{"c": 2, "d": {"e": 3}}]}));
        assert_eq!(repeated(text), ["[b][0][c]", "[b][0][d][e]", "[b][0][d][e]", "[a]"]);
        assert_eq!(repeated("{\"a\": 1, \"b\": {\"c\": 1, \"c\": 2}}"), ["[b][c]"]);
    }

    #[test]
    fn a_repeated_number_is_a_repeated_key() {
        let text = "data:\n  x: 0\n  9000: a\n  9000: b\n";
        assert_eq!(value(text), json!({"data": {"x": 0, "9000": "b"}}));
        assert_eq!(repeated(text), ["[data][9000]"]);
    }

    #[test]
    fn cve_2019_11253_aliases_do_not_multiply() {
        let mut text = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, of) in "bcdefghi".chars().zip("abcdefgh".chars()) {
            let aliases = vec![format!("*{of}"); 9].join(", ");
            text.push_str(&format!("{name}: &{name} [{aliases}]\n"));
        }
        assert_eq!(refused(&text), format!("over the limit of {MAX_ALIASED} values that aliases repeat"));
    }

    #[test]
    fn cve_2019_11253_nesting_is_bounded() {
        for text in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(20_000), "{\"a\":".repeat(100_000)] {
            assert_eq!(refused(&text), format!("over the limit of {MAX_DEPTH} levels of nesting"));
        }
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        let message = refused(&nested(MAX_DEPTH + 1));
        assert_eq!(message, format!("over the limit of {MAX_DEPTH} levels of nesting"));
        let block: String = (0..=MAX_DEPTH).map(|level| " ".repeat(level) + "a:\n").collect();
        assert_eq!(refused(&(block + &" ".repeat(MAX_DEPTH + 1) + "a: 1\n")), message);
    }

    #[test]
    fn cve_2019_11253_a_huge_scalar_is_refused_unread() {
        let text = "a: ".to_owned() + &"x".repeat(MAX_DOCUMENT_BYTES);
        assert!(refused(&text).contains(&format!("over the limit of {MAX_DOCUMENT_BYTES}")));
    }

    #[test]
    fn a_list_of_ten_thousand_services_is_read() {
        let item = "- apiVersion: v1\n  kind: Service\n  metadata: {name: a, labels: {a: b, c: d}}\n  spec: {ports: [{port: 80, name: http}, {port: 81, name: x}], selector: {app: a}}\n";
        let text = "kind: List\nitems:\n".to_owned() + &item.repeat(10_000);
        assert_eq!(value(&text)["items"].as_array().map(Vec::len), Some(10_000));
    }

    #[test]
    fn an_unreadable_document_tells_where() {
        let error = read("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.place.is_some(), "{error:?}");
        assert!(!error.message.contains('\n'));
    }

    #[test]
    fn a_bad_document_is_one_error_and_the_next_is_read() {
        // What follows the end of a document in the same text is not a second error, nor read as part of it.
        assert!(read("a: 1\n...\nb: 2\n").is_err());
        assert_eq!(value("a: 1\n...\n"), json!({"a": 1}));
    }

    #[test]
    fn a_file_that_is_no_manifest_may_not_repeat_a_key() {
        assert_eq!(yaml("- a: 1\n"), Ok(json!([{"a": 1}])));
        assert!(yaml("- a: 1\n  a: 2\n").unwrap_err().to_string().contains("[0][a]"));
        assert!(yaml("a: [").unwrap_err().to_string().contains(" at line "));
    }
}
