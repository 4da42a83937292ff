//! A kernel in memory that takes what `nft -f` takes, and an interpreter of its rules.

// Each test takes a part of it.
#![allow(dead_code)]

#[path = "../../../driver-kit/tests/interpreted/mod.rs"]
pub(crate) mod interpreted;
pub(crate) mod interpreter;
pub(crate) mod kernel;

use std::net::IpAddr;
use std::time::Duration;

use nftables_driver::{Layout, NftablesDriver};
use svc_model::{Flow, NodeSettings, Packet};

use interpreted::{InMemory, Walk};
use kernel::{Kernel, KernelError};

impl InMemory for Kernel {
    type Options = Layout;
    type Driver = NftablesDriver<Kernel>;

    /// Pieces as small as these are cut everywhere.
    fn driver(self, layout: &Layout) -> NftablesDriver<Kernel> {
        NftablesDriver::new(self, *layout).piece(16)
    }

    fn of(driver: &mut NftablesDriver<Kernel>) -> &mut Kernel {
        driver.tables()
    }

    fn walk(&self, _: &Layout, settings: &NodeSettings, packet: &Packet, now: Duration) -> Vec<Walk> {
        interpreter::walk(self, settings, packet, now)
    }

    fn see(&mut self, list: &str, source: IpAddr, now: Duration) {
        self.see(list, source, now);
    }

    fn flows(&mut self) -> &mut Vec<Flow> {
        &mut self.flows
    }

    fn fail_after(&mut self, batches: u64, loses_reply: bool) {
        self.fails = Some((batches, if loses_reply { KernelError::ReplyLost } else { KernelError::Refused }));
    }

    fn flush(&mut self) {
        self.flush();
    }

    fn plant(&mut self) {
        self.foreign = "table inet filter { chain input { tcp dport 22 accept } }".to_owned();
    }

    fn foreign(&self) -> String {
        self.foreign.clone()
    }
}
