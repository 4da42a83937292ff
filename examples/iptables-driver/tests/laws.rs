//! Do the rules decide every packet as the view does, whatever changes and whatever fails? The test kit, by an interpreter.

mod common;

use common::interpreted::assert_lawful;
use common::kernel::Kernel;
use iptables_driver::{Options, Profile};
use svc_model::Mode;

#[test]
fn the_laws_hold_for_the_modern_layout() {
    assert_lawful::<Kernel>(Mode::Iptables, &Options::default());
}

#[test]
fn the_laws_hold_for_the_classic_layout() {
    let mut options = Options::default();
    options.profile = Profile::Classic;
    assert_lawful::<Kernel>(Mode::Iptables, &options);
}
