//! How do the tests of the checks write their tables? Manifests as JSON, findings as (level, field).

use serde::de::DeserializeSeed;

use super::{Finding, Level};
use crate::{Cluster, Kind, Object};

pub(super) const E: Level = Level::Error;
pub(super) const W: Level = Level::Warning;

pub(super) fn read(kind: &str, json: &str) -> Object {
    let kind: Kind = kind.parse().unwrap();
    kind.deserialize(&mut serde_json::Deserializer::from_str(json)).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// The findings about one object in its current version.
pub(super) fn findings(kind: &str, json: &str) -> Vec<Finding> {
    let object = read(kind, json);
    super::object(&object, object.kind().versions()[0].name)
}

/// Asserts that one object has just these findings, in any order.
#[track_caller]
pub(super) fn expect(kind: &str, json: &str, expected: &[(Level, &str)]) {
    let found = findings(kind, json);
    let mut fields: Vec<(Level, &str)> = found.iter().map(|finding| (finding.level, finding.field.as_str())).collect();
    let mut expected = expected.to_vec();
    fields.sort_unstable();
    expected.sort_unstable();
    assert_eq!(fields, expected, "{json}\n{found:#?}");
}

/// A Service named `a` with this spec.
#[track_caller]
pub(super) fn expect_service(spec: &str, expected: &[(Level, &str)]) {
    expect("Service", &format!(r#"{{"metadata":{{"name":"a"}},"spec":{spec}}}"#), expected);
}

/// A cluster of `kind manifest` lines.
pub(super) fn world(objects: &[(&str, &str)]) -> Cluster {
    objects.iter().map(|(kind, json)| read(kind, json)).collect()
}

/// Asserts that a world has these findings across its objects among those at the given field names, and no other there.
///
/// Every world has more to say (assumed addresses, Services without Pods); a test looks at the fields it is about.
#[track_caller]
pub(super) fn expect_across(objects: &[(&str, &str)], about: &[&str], expected: &[(Level, &str, &str)]) {
    let found = super::cluster(&world(objects));
    let at = |finding: &&Finding| about.iter().any(|field| finding.field.contains(field));
    let fields: Vec<(Level, &str, &str)> =
        found.iter().filter(at).map(|f| (f.level, f.object.as_str(), f.field.as_str())).collect();
    assert_eq!(fields, expected, "{found:#?}");
}

/// A Service with these fields and one good port must have these findings.
#[track_caller]
pub(super) fn expect_service_with(fields: &str, expected: &[(Level, &str)]) {
    expect_service(&format!(r#"{{{fields},"ports":[{{"port":80}}]}}"#), expected);
}
