//! Whatever the text, reading ends, in time and without a panic.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value};
use svc_model::Kind;
use svc_model::schema::{self, Shape, Struct};
use svctrace::read::{Purpose, Reader, World};

fn read(purpose: Purpose, text: &str) -> World {
    let mut reader = Reader::new(purpose);
    reader.text("world.yaml", text);
    reader.finish()
}

fn read_both(text: &str) {
    for purpose in [Purpose::Answer, Purpose::Check] {
        let world = read(purpose, text);
        for finding in world.findings.iter().take(20) {
            world.place(finding);
        }
        world.with_checks([]);
    }
}

/// Words that mean something to YAML or to the reader.
fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "apiVersion: v1",
        "kind: Service",
        "kind: List",
        "items:",
        "metadata:",
        "name: a",
        "spec:",
        "ports:",
        "- port: 80",
        "---",
        "...",
        "\n",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "? ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&a ",
        "*a",
        "<<: *a",
        "|",
        ">",
        "#",
        "%YAML 1.1",
        "!!str ",
        "!!binary ",
        "'",
        "\"",
        "\t",
        "\r\n",
        "\u{feff}",
        "yes",
        "~",
        "0x",
        "1e400",
        ".nan",
        "9000: x",
        "\u{0}",
        "\u{85}",
        "é",
    ])
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9.:/-]{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["v1", "80", "true", "10.0.0.1", "2026-11-20T10:00:00Z", "eA=="])
            .prop_map(Value::from),
    ];
    let names = prop::sample::select(FIELD_NAMES.clone());
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            )),
        ]
    })
}

/// Every name that is a field somewhere.
static FIELD_NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    fn collect(table: &'static Struct, seen: &mut Vec<*const Struct>, names: &mut Vec<&'static str>) {
        if seen.contains(&(table as *const Struct)) {
            return;
        }
        seen.push(table);
        for field in table.fields {
            names.push(field.name);
            let mut shape = field.shape;
            while let Shape::List(inner) | Shape::Map(inner) = shape {
                shape = inner;
            }
            if let Shape::Struct(inner) = shape {
                collect(inner, seen, names);
            }
        }
    }
    let (mut seen, mut names) = (Vec::new(), vec!["unknown", "portz"]);
    for kind in Kind::ALL {
        for version in kind.versions() {
            collect(schema::of(*kind, version.name), &mut seen, &mut names);
        }
    }
    names.sort_unstable();
    names.dedup();
    names
});

/// A value that mostly has the shape asked for.
fn shaped(shape: &'static Shape, depth: u32) -> BoxedStrategy<Value> {
    let right = match shape {
        Shape::Struct(table) if depth > 0 => {
            let fields: Vec<_> =
                table.fields.iter().map(|field| (Just(field.name), shaped(field.shape, depth - 1))).collect();
            let some = prop::sample::subsequence((0..fields.len()).collect::<Vec<_>>(), 0..=fields.len().min(5));
            some.prop_flat_map(move |chosen| chosen.into_iter().map(|index| fields[index].clone()).collect::<Vec<_>>())
                .prop_map(|fields| {
                    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
                })
                .boxed()
        }
        Shape::List(element) if depth > 0 => {
            prop::collection::vec(shaped(element, depth - 1), 0..3).prop_map(Value::from).boxed()
        }
        Shape::Map(value) if depth > 0 => prop::collection::vec(("[a-z./]{0,5}", shaped(value, depth - 1)), 0..3)
            .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>()))
            .boxed(),
        Shape::Int => any::<i16>().prop_map(Value::from).boxed(),
        Shape::Bool => any::<bool>().prop_map(Value::from).boxed(),
        _ => "[a-zA-Z0-9.:=-]{0,10}".prop_map(Value::from).boxed(),
    };
    prop_oneof![9 => right, 1 => json()].boxed()
}

fn object() -> impl Strategy<Value = (Kind, &'static str, Value)> {
    let versions = Kind::ALL.iter().flat_map(|kind| kind.versions().iter().map(|version| (*kind, version.name)));
    prop::sample::select(versions.collect::<Vec<_>>()).prop_flat_map(|(kind, version)| {
        let body = shaped(Box::leak(Box::new(Shape::Struct(schema::of(kind, version)))), 4);
        body.prop_map(move |body| (kind, version, body))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        read_both(&text);
    }

    #[test]
    fn any_bytes_that_are_text_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_both(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_heap_of_yaml_words_is_read_or_refused(words in prop::collection::vec(word(), 0..40)) {
        read_both(&words.concat());
    }

    #[test]
    fn any_value_as_any_kind_is_read_or_told_of((kind, version, mut body) in object()) {
        if let Value::Object(map) = &mut body {
            map.insert("apiVersion".into(), version.into());
            map.insert("kind".into(), kind.in_manifest().into());
        }
        read_both(&body.to_string());
        // What is wrong with a list element costs that element alone: the object is there, save for its name.
        if body.is_object() {
            prop_assert_eq!(read(Purpose::Check, &body.to_string()).objects.len(), 1);
        }
    }

    #[test]
    fn an_object_reads_the_same_from_json_and_from_yaml((kind, version, body) in object()) {
        let Value::Object(mut map) = body else { return Ok(()) };
        map.insert("apiVersion".into(), version.into());
        map.insert("kind".into(), kind.in_manifest().into());
        let json = Value::Object(map).to_string();
        // A blank line with a comment hides the brace from the JSON reader's guess, so that the YAML reader takes it.
        let (from_json, from_yaml) = (read(Purpose::Check, &json), read(Purpose::Check, &format!("# yaml\n{json}")));
        let objects = |world: &World| world.objects.iter().map(|(object, _)| object.clone()).collect::<Vec<_>>();
        prop_assert_eq!(objects(&from_json), objects(&from_yaml));
    }

    #[test]
    fn the_same_text_reads_the_same((kind, version, body) in object()) {
        let Value::Object(mut map) = body else { return Ok(()) };
        map.insert("apiVersion".into(), version.into());
        map.insert("kind".into(), kind.in_manifest().into());
        let text = Value::Object(map).to_string();
        let (one, other) = (read(Purpose::Answer, &text), read(Purpose::Answer, &text));
        prop_assert_eq!(one.objects, other.objects);
        prop_assert_eq!(one.findings, other.findings);
    }
}
