//! Every manifest of `examples/manifests` is read, and what is said of it is known.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use svc_model::check::Level;
use svctrace::read::{Input, Purpose, World, read};

fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests")
}

fn world(path: &Path, purpose: Purpose) -> World {
    read(&[Input::Path(path.to_owned())], purpose)
}

fn facts(world: &World) -> Vec<String> {
    let fact = |finding: &svctrace::read::Finding| {
        let level = if finding.level == Level::Error { "E" } else { "W" };
        format!("{level} {} {}", finding.object, finding.field).trim_end().to_owned()
    };
    world.findings.iter().map(fact).collect()
}

#[test]
fn the_shop_is_read_without_a_finding() {
    let world = world(&manifests().join("shop"), Purpose::Check);
    assert_eq!(facts(&world), Vec::<String>::new());
    assert!(world.ignored_kinds().is_empty());
    assert!(world.objects.len() > 30, "{}", world.objects.len());
    assert!(!world.unreadable);
}

#[test]
fn the_founding_documents_are_read_as_they_stand() {
    let mut found = BTreeMap::new();
    for article in fs::read_dir(manifests().join("documents")).unwrap().flatten().filter(|entry| entry.path().is_dir())
    {
        for file in fs::read_dir(article.path()).unwrap() {
            let path = file.unwrap().path();
            let facts = facts(&world(&path, Purpose::Check));
            let name = path.strip_prefix(manifests().join("documents")).unwrap().display().to_string();
            if !facts.is_empty() {
                found.insert(name.trim_end_matches(".yaml").to_owned(), facts);
            }
        }
    }
    let text: String = found.iter().map(|(name, facts)| format!("{name}\n  {}\n", facts.join("\n  "))).collect();
    expect_test::expect_file!["read_documents.txt"].assert_eq(&text);
}

#[test]
fn a_purpose_changes_no_finding() {
    for directory in ["shop", "documents"] {
        let path = manifests().join(directory);
        assert_eq!(facts(&world(&path, Purpose::Answer)), facts(&world(&path, Purpose::Check)));
    }
}

#[test]
fn every_finding_has_a_place_in_its_file() {
    let world = world(&manifests().join("documents"), Purpose::Check);
    for finding in &world.findings {
        let place = world.place(finding).unwrap();
        let text = fs::read_to_string(&*place.file).unwrap();
        let line = text.lines().nth(place.line - 1).unwrap_or_else(|| panic!("{place}: {finding}"));
        let last = finding.field.rsplit(['.', '[']).next().unwrap_or_default().trim_end_matches(']');
        if !last.is_empty() && last.parse::<usize>().is_err() && !finding.message.contains("missing") {
            assert!(line.contains(last), "{place}: {finding}: {line}");
        }
    }
}
