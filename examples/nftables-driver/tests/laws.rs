//! Do the rules decide every packet as the view does, whatever changes and whatever fails? The test kit, by an interpreter.

mod common;

use common::Rules;
use nftables_driver::Layout;
use svc_model::Mode;
use svc_model::testkit::Conformance;

/// More with the environment variable `PROPTEST_CASES`, which proptest reads.
fn sequences() -> u32 {
    proptest::test_runner::Config::default().cases.max(512)
}

fn check(layout: Layout) {
    let conformance = Conformance::default().mode(Mode::Nftables).sequences(sequences());
    let coverage = match conformance.check(|| Rules::new(layout)) {
        Ok(coverage) => coverage,
        Err(broken) => panic!("{broken}"),
    };
    assert_eq!(coverage.sequences, u64::from(sequences()));
    // None of it for nothing.
    assert!(coverage.edits > 2 * coverage.sequences, "{coverage:?}");
    assert!(coverage.packets > 100 * coverage.sequences, "{coverage:?}");
    assert!(coverage.translated > coverage.packets / 10, "{coverage:?}");
    assert!(coverage.faults > coverage.sequences / 2, "{coverage:?}");
    assert!(coverage.kept_clients > coverage.sequences / 2, "{coverage:?}");
    assert!(coverage.flows > coverage.sequences, "{coverage:?}");
}

#[test]
fn the_laws_hold_for_the_modern_layout() {
    check(Layout::Modern);
}

#[test]
fn the_laws_hold_for_the_fast_layout() {
    check(Layout::Fast);
}
