//! A kernel in memory that takes what `iptables-restore` takes, and an interpreter of its rules.

// Each test takes a part of it.
#![allow(dead_code)]

#[path = "../../../driver-kit/tests/interpreted/mod.rs"]
pub(crate) mod interpreted;
pub(crate) mod interpreter;
pub(crate) mod kernel;

use std::net::IpAddr;
use std::time::Duration;

use iptables_driver::{IptablesDriver, Options, Profile};
use svc_model::{Flow, NodeSettings, Packet};

use interpreted::{InMemory, Walk};
use kernel::{Kernel, KernelError};

impl InMemory for Kernel {
    type Options = Options;
    type Driver = IptablesDriver<Kernel>;

    fn driver(self, options: &Options) -> IptablesDriver<Kernel> {
        IptablesDriver::new(self, options.clone())
    }

    fn of(driver: &mut IptablesDriver<Kernel>) -> &mut Kernel {
        driver.tables()
    }

    fn walk(&self, options: &Options, settings: &NodeSettings, packet: &Packet, now: Duration) -> Vec<Walk> {
        interpreter::walk(self, settings, packet, now, options.profile == Profile::Classic)
    }

    fn see(&mut self, list: &str, source: IpAddr, now: Duration) {
        self.see(source.is_ipv4(), list, source, now);
    }

    fn flows(&mut self) -> &mut Vec<Flow> {
        &mut self.flows
    }

    fn fail_after(&mut self, batches: u64, loses_reply: bool) {
        self.fails_after = Some((batches, if loses_reply { KernelError::ReplyLost } else { KernelError::Refused }));
    }

    fn flush(&mut self) {
        self.flush();
    }

    fn plant(&mut self) {
        self.plant();
    }

    fn foreign(&self) -> String {
        self.foreign()
    }
}
