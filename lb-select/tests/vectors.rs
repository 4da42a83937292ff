//! Does every vector of the recorded peers and published algorithms come out as expected?
#![cfg(feature = "cookie")]

#[path = "../examples/vectors/runner/mod.rs"]
mod runner;

#[test]
fn every_vector_is_answered_as_expected() {
    let vectors = runner::read(include_str!("data/balancing-vectors.yaml")).unwrap();
    assert_eq!(vectors.len(), 120);
    let failures: Vec<String> =
        vectors.iter().filter_map(|v| Some(format!("{}: {}", v.name, v.check().err()?))).collect();
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), vectors.len(), failures.join("\n"));
}
