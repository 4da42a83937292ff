//! Do the rules decide every packet as the view does, whatever changes and whatever fails? The test kit, by an interpreter.

mod common;

use common::Rules;
use iptables_driver::{Options, Profile};
use svc_model::Mode;
use svc_model::testkit::{Conformance, Coverage};

/// More with the environment variable `PROPTEST_CASES`, which proptest reads.
fn sequences() -> u32 {
    proptest::test_runner::Config::default().cases.max(512)
}

fn check(options: &Options) -> Coverage {
    let conformance = Conformance::default().mode(Mode::Iptables).sequences(sequences());
    match conformance.check(|| Rules::new(options.clone())) {
        Ok(coverage) => coverage,
        Err(broken) => panic!("{broken}"),
    }
}

/// None of it for nothing.
fn assert_thorough(coverage: Coverage) {
    assert_eq!(coverage.sequences, u64::from(sequences()));
    assert!(coverage.edits > 2 * coverage.sequences, "{coverage:?}");
    assert!(coverage.packets > 100 * coverage.sequences, "{coverage:?}");
    assert!(coverage.translated > coverage.packets / 10, "{coverage:?}");
    assert!(coverage.faults > coverage.sequences / 2, "{coverage:?}");
    assert!(coverage.kept_clients > coverage.sequences / 2, "{coverage:?}");
    assert!(coverage.flows > coverage.sequences, "{coverage:?}");
}

#[test]
fn the_laws_hold_for_the_modern_layout() {
    assert_thorough(check(&Options::default()));
}

#[test]
fn the_laws_hold_for_the_classic_layout() {
    let mut options = Options::default();
    options.profile = Profile::Classic;
    assert_thorough(check(&options));
}
