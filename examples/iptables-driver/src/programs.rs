//! The tables by way of the programs `iptables-save`, `iptables-restore` and `conntrack`.

use driver_kit::{ConntrackProgram, FlowTable, Program, ProgramError};
use svc_model::Flow;
use svc_model::addr::IpFamily;

use crate::driver::Tables;
use crate::names::CANARY;
use crate::ruleset::Table;

/// Which of the two implementations of iptables; never both in one network namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Variant {
    /// The one the machine is set up for.
    #[default]
    Default,
    /// The kernel's own iptables.
    Legacy,
    /// iptables on nftables.
    Nft,
}

impl Variant {
    fn infix(self) -> &'static str {
        match self {
            Variant::Default => "",
            Variant::Legacy => "-legacy",
            Variant::Nft => "-nft",
        }
    }
}

/// The programs of the machine.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    variant: Variant,
    flows: ConntrackProgram,
}

/// How long others may hold the lock of the tables. Without a limit the legacy programs wait for ever.
const WAIT: [&str; 2] = ["-w", "5"];

impl Programs {
    /// Those of a variant.
    pub fn new(variant: Variant) -> Programs {
        Programs { variant, ..Programs::default() }
    }

    fn program(&self, family: IpFamily, suffix: &str) -> Program {
        let stem = match family {
            IpFamily::V4 => "iptables",
            IpFamily::V6 => "ip6tables",
        };
        Program::new(format!("{stem}{}{suffix}", self.variant.infix()))
    }
}

impl Tables for Programs {
    fn save(&mut self, family: IpFamily) -> Result<String, ProgramError> {
        self.program(family, "-save").run(&[], "")
    }

    fn restore(&mut self, family: IpFamily, input: &str) -> Result<(), ProgramError> {
        self.program(family, "-restore").run(&["--noflush", WAIT[0], WAIT[1]], input).map(drop)
    }

    fn refused_line(error: &ProgramError) -> Option<usize> {
        error.line()
    }

    fn has_canary(&mut self, family: IpFamily, table: Table) -> Result<bool, ProgramError> {
        match self.program(family, "").run(&[WAIT[0], WAIT[1], "-t", table.as_str(), "-S", CANARY], "") {
            Ok(printed) => Ok(printed.lines().any(|line| line.starts_with("-A "))),
            // No such chain. 4 is a lock that is held.
            Err(ProgramError::Failed { status, .. }) if status.code() != Some(4) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn may_have_happened(error: &ProgramError) -> bool {
        matches!(error, ProgramError::TimedOut { .. })
    }
}

impl FlowTable for Programs {
    type Error = ProgramError;

    fn flows(&mut self) -> Result<Vec<Flow>, ProgramError> {
        self.flows.flows()
    }

    fn forget(&mut self, flow: &Flow) -> Result<(), ProgramError> {
        self.flows.forget(flow)
    }
}
