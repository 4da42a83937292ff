//! Which flows does the kernel go on with, whatever the rules say now, and how is one forgotten?

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use svc_model::backend::{Plan, PlanMode};
use svc_model::{Destination, Flow, Protocol, StaleFlow};

use crate::process::{Program, ProgramError};

/// The flows of datagrams that a kernel tracks.
pub trait FlowTable {
    /// Why it cannot be looked at.
    type Error;

    /// All of them.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn flows(&mut self) -> Result<Vec<Flow>, Self::Error>;

    /// Forgets one, and all like it from other sources. That it has ended meanwhile is no error.
    ///
    /// # Errors
    /// When that cannot be done.
    fn forget(&mut self, flow: &Flow) -> Result<(), Self::Error>;
}

/// Forgets the flows that a plan makes stale, once its rules are in place; how many.
///
/// Nothing is listed if nothing can be stale. O(flows).
///
/// # Errors
/// Those of the table.
pub fn forget_stale<T: FlowTable + ?Sized>(table: &mut T, plan: &Plan<'_>) -> Result<u64, T::Error> {
    let mut stale: BTreeMap<(Protocol, u16), Vec<StaleFlow>> = BTreeMap::new();
    for flow in plan.stale_flows() {
        stale.entry((flow.destination.protocol, flow.destination.port)).or_default().push(flow);
    }
    let is_full = plan.mode == PlanMode::Full;
    if stale.is_empty() && !is_full {
        return Ok(0);
    }
    let mut forgotten = 0;
    for flow in table.flows()? {
        let known = stale.get(&(flow.destination.protocol, flow.destination.port));
        let is_known = known.is_some_and(|known| known.iter().any(|stale| stale.is(&flow)));
        if is_known || (is_full && plan.view.is_stale(&flow)) {
            table.forget(&flow)?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

/// The program `conntrack`.
#[derive(Clone, Debug)]
pub struct ConntrackProgram(Program);

impl Default for ConntrackProgram {
    fn default() -> ConntrackProgram {
        ConntrackProgram(Program::new("conntrack"))
    }
}

impl FlowTable for ConntrackProgram {
    type Error = ProgramError;

    fn flows(&mut self) -> Result<Vec<Flow>, ProgramError> {
        let mut flows = Vec::new();
        for family in ["ipv4", "ipv6"] {
            for protocol in ["udp", "sctp"] {
                flows.extend(parse_flows(&self.0.run(&["-L", "-f", family, "-p", protocol], "")?));
            }
        }
        flows.dedup();
        Ok(flows)
    }

    fn forget(&mut self, flow: &Flow) -> Result<(), ProgramError> {
        let Flow { destination: Destination { addr, protocol, port }, reply_source } = *flow;
        let protocol = if protocol == Protocol::Sctp { "sctp" } else { "udp" };
        let (addr, port) = (addr.to_string(), port.to_string());
        let (reply, reply_port) = (reply_source.ip().to_string(), reply_source.port().to_string());
        let family = if flow.destination.addr.is_ipv4() { "ipv4" } else { "ipv6" };
        let which =
            ["--orig-dst", &addr, "--orig-port-dst", &port, "--reply-src", &reply, "--reply-port-src", &reply_port];
        let args = [&["-D", "-f", family, "-p", protocol][..], &which].concat();
        match self.0.run(&args, "") {
            // It says so and fails when there was none.
            Err(ProgramError::Failed { message, .. }) if message.contains("0 flow entries") => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

/// The flows in what `conntrack -L` prints. A line has the original direction first, then the reply's; lines of other shape
/// hold no ports and are left out.
pub fn parse_flows(text: &str) -> Vec<Flow> {
    text.lines().filter_map(parse_flow).collect()
}

fn parse_flow(line: &str) -> Option<Flow> {
    let protocol = match line.split_whitespace().next()? {
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        "tcp" => Protocol::Tcp,
        _ => return None,
    };
    let all = |key: &'static str| line.split_whitespace().filter_map(move |word| word.strip_prefix(key));
    let addr = |text: Option<&str>| text?.parse::<IpAddr>().ok();
    let port = |text: Option<&str>| text?.parse::<u16>().ok();
    let destination = Destination { addr: addr(all("dst=").next())?, protocol, port: port(all("dport=").next())? };
    let reply_source = SocketAddr::new(addr(all("src=").nth(1))?, port(all("sport=").nth(1))?);
    Some(Flow { destination, reply_source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_conntrack_is_a_flow() {
        let text = "udp      17 29 src=10.0.0.2 dst=10.96.0.10 sport=4000 dport=53 [UNREPLIED] src=10.244.1.9 dst=10.0.0.2 sport=5353 dport=4000 mark=0 use=1\n\
            icmp     1 29 src=10.0.0.2 dst=10.96.0.10 type=8 code=0 id=1 src=10.96.0.10 dst=10.0.0.2 type=0 code=0 id=1 mark=0 use=1\n";
        let flows = parse_flows(text);
        let destination = Destination::new("10.96.0.10:53".parse().unwrap(), Protocol::Udp);
        assert_eq!(flows, [Flow { destination, reply_source: "10.244.1.9:5353".parse().unwrap() }]);
    }
}
