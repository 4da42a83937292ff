//! Do the rules decide every packet as the view does, whatever changes and whatever fails? The test kit, by an interpreter.

mod common;

use common::interpreted::assert_lawful;
use common::kernel::Kernel;
use nftables_driver::Layout;
use svc_model::Mode;

#[test]
fn the_laws_hold_for_the_modern_layout() {
    assert_lawful::<Kernel>(Mode::Nftables, &Layout::Modern);
}

#[test]
fn the_laws_hold_for_the_fast_layout() {
    assert_lawful::<Kernel>(Mode::Nftables, &Layout::Fast);
}
