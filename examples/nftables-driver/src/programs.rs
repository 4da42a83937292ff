//! The tables by way of the programs `nft` and `conntrack`.

use driver_kit::{ConntrackProgram, FlowTable, Program, ProgramError};
use svc_model::Flow;
use svc_model::addr::IpFamily;

use crate::diff::CANARY;
use crate::driver::Tables;
use crate::print::family_word;
use crate::table::TABLE;

/// The programs of the machine.
#[derive(Clone, Debug)]
pub struct Programs {
    nft: Program,
    flows: ConntrackProgram,
}

impl Default for Programs {
    fn default() -> Programs {
        Programs { nft: Program::new("nft"), flows: ConntrackProgram::default() }
    }
}

impl Programs {
    /// What a listing printed; `None` if what was to be listed is not there.
    fn list_object(&self, args: &[&str]) -> Result<Option<String>, ProgramError> {
        match self.nft.run(args, "") {
            Ok(printed) => Ok(Some(printed)),
            Err(ProgramError::Failed { message, .. }) if message.contains("No such file or directory") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Tables for Programs {
    fn list(&mut self, family: IpFamily) -> Result<Option<String>, ProgramError> {
        self.list_object(&["list", "table", family_word(family), TABLE])
    }

    fn run(&mut self, commands: &str) -> Result<(), ProgramError> {
        self.nft.run(&["-f", "-"], commands).map(drop)
    }

    fn refused_line(error: &ProgramError) -> Option<usize> {
        error.line()
    }

    fn has_canary(&mut self, family: IpFamily) -> Result<bool, ProgramError> {
        let listed = self.list_object(&["list", "chain", family_word(family), TABLE, CANARY])?;
        Ok(listed.is_some_and(|listed| listed.contains("continue")))
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
