//! What do these rules do with a packet? All ways it may go, each with its share. What is not understood is an error, never skipped.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nftables_driver::{Among, HookPoint, Key, MapKind, Name, Side, Slot, Statement, Table, Verdict};
use svc_model::testkit::Outcome;
use svc_model::{NodeSettings, Packet, PodDevice, Protocol};

use super::interpreted::Walk;
use super::kernel::Kernel;

#[derive(Clone, Debug)]
struct State {
    share: f64,
    dst: IpAddr,
    port: Option<(Protocol, u16)>,
    mark: u32,
    translated: bool,
    masqueraded: bool,
    lists: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Accept,
    Drop,
    Reject,
}

struct Machine<'a> {
    kernel: &'a Kernel,
    table: &'a Table,
    settings: &'a NodeSettings,
    src: IpAddr,
    device: Option<String>,
    now: Duration,
}

/// Walks the hooks that a packet of a new connection passes.
pub(crate) fn walk(kernel: &Kernel, settings: &NodeSettings, packet: &Packet, now: Duration) -> Vec<Walk> {
    let Some(table) = kernel.table(packet.src.is_ipv4()) else {
        return vec![Walk { outcome: Outcome::Accept, share: 1.0, lists: Vec::new(), is_martian: false }];
    };
    let from_node = settings.is_local(packet.src);
    let device = match settings.pod_device() {
        Some(PodDevice::Bridge(name)) if settings.is_pod_source(packet.src) => name.to_string(),
        Some(PodDevice::Prefix(prefix)) if settings.is_pod_source(packet.src) => format!("{prefix}0"),
        _ => "eth0".to_owned(),
    };
    let device = (!from_node).then_some(device);
    let machine = Machine { kernel, table, settings, src: packet.src, device, now };
    let (dst, port) = (packet.dst, packet.port);
    let start = State { share: 1.0, dst, port, mark: 0, translated: false, masqueraded: false, lists: Vec::new() };
    let mut ends: Vec<(State, End)> = Vec::new();
    let first = if from_node { HookPoint::Output } else { HookPoint::Prerouting };
    let alive = machine.hook(first, vec![start], &mut ends);
    let (arriving, passing): (Vec<State>, Vec<State>) =
        alive.into_iter().partition(|state| settings.is_local(state.dst));
    // What the node sends to itself leaves by loopback first, and comes in again.
    let (sent, received) = if from_node { (arriving, Vec::new()) } else { (Vec::new(), arriving) };
    let forwarded = if from_node { passing } else { machine.hook(HookPoint::Forward, passing, &mut ends) };
    let sent = machine.hook(HookPoint::Postrouting, sent, &mut ends);
    let received = machine.hook(HookPoint::Input, [sent, received].concat(), &mut ends);
    let forwarded = machine.hook(HookPoint::Postrouting, forwarded, &mut ends);
    ends.extend([received, forwarded].concat().into_iter().map(|state| (state, End::Accept)));
    let walks = ends.into_iter().map(|(state, end)| {
        let endpoint =
            |(_, port)| Outcome::Endpoint { addr: SocketAddr::new(state.dst, port), masquerade: state.masqueraded };
        let outcome = match end {
            End::Accept if state.translated => state.port.map_or(Outcome::Accept, endpoint),
            End::Accept => Outcome::Accept,
            End::Drop => Outcome::Drop,
            End::Reject => Outcome::Reject,
        };
        Walk { outcome, share: state.share, lists: state.lists, is_martian: false }
    });
    walks.filter(|walk| walk.share > 0.0).collect()
}

impl Machine<'_> {
    /// Those that go on from all chains of a hook, the least priority first.
    fn hook(&self, point: HookPoint, mut states: Vec<State>, ends: &mut Vec<(State, End)>) -> Vec<State> {
        let mut chains: Vec<(i32, &Name)> = self
            .table
            .chains
            .iter()
            .filter_map(|(name, chain)| chain.hook.filter(|hook| hook.point == point).map(|hook| (hook.priority, name)))
            .collect();
        chains.sort();
        for (_, chain) in chains {
            let mut ended = Vec::new();
            states = self.chain(chain, states, &mut ended, 0);
            for (state, end) in ended {
                match end {
                    End::Accept => states.push(state),
                    end => ends.push((state, end)),
                }
            }
        }
        states
    }

    /// Those that come back from a chain.
    fn chain(&self, name: &Name, mut states: Vec<State>, ends: &mut Vec<(State, End)>, depth: usize) -> Vec<State> {
        assert!(depth < 16, "chains lead to each other");
        let mut back = Vec::new();
        let chain = self.table.chains.get(name).unwrap_or_else(|| panic!("no chain {name}"));
        for rule in &chain.rules {
            let mut passing = Vec::new();
            for state in states {
                self.rule(&rule.statements, state, &mut passing, &mut back, ends, depth);
            }
            states = passing;
        }
        states.extend(back);
        states
    }

    fn rule(
        &self,
        statements: &[Statement],
        mut state: State,
        passing: &mut Vec<State>,
        back: &mut Vec<State>,
        ends: &mut Vec<(State, End)>,
        depth: usize,
    ) {
        for statement in statements {
            let holds = match statement {
                Statement::Address { side, negated, among } => {
                    let addr = if *side == Side::Source { self.src } else { state.dst };
                    self.is_among(addr, among) != *negated
                }
                Statement::Local { side } => {
                    self.settings.is_local(if *side == Side::Source { self.src } else { state.dst })
                }
                Statement::InterfaceIs { negated, name } => {
                    self.device.as_deref().is_some_and(|device| name.means(device)) != *negated
                }
                Statement::Protocol(protocol) => state.port.is_some_and(|(other, _)| other == *protocol),
                Statement::New => true,
                Statement::Unmarked(bits) => state.mark & bits == 0,
                Statement::SetMark(bits) => {
                    state.mark |= bits;
                    true
                }
                Statement::TurnMark(bits) => {
                    state.mark ^= bits;
                    true
                }
                Statement::Remember(set) => {
                    state.lists.push(set.as_str().to_owned());
                    true
                }
                Statement::LookUp(map) | Statement::LookUpPort(map) => {
                    let addr = matches!(statement, Statement::LookUp(_)).then_some(state.dst);
                    let key = state.port.map(|(protocol, port)| Key { addr, protocol, port });
                    let map = self.table.maps.get(map).unwrap_or_else(|| panic!("no map {map}"));
                    match key.and_then(|key| map.elements.get(&key)) {
                        Some(element) => return self.verdict(&element.verdict, state, passing, back, ends, depth),
                        None => false,
                    }
                }
                Statement::Choose(chains) => {
                    let share = state.share / chains.len() as f64;
                    for chain in chains {
                        back.extend(self.chain(chain, vec![State { share, ..state.clone() }], ends, depth + 1));
                    }
                    return;
                }
                Statement::Dnat(to) => {
                    let port = state.port.map(|(protocol, _)| (protocol, to.port()));
                    ends.push((State { dst: to.ip(), port, translated: true, ..state }, End::Accept));
                    return;
                }
                Statement::Loops(set) => {
                    let set = self.table.loops.get(set).unwrap_or_else(|| panic!("no set {set}"));
                    state.translated && state.dst == self.src && set.contains(&self.src)
                }
                Statement::DnatTo { map, protocol, kind, among } => {
                    let slots = self.table.slots.get(map).unwrap_or_else(|| panic!("no map {map}"));
                    assert_eq!((slots.kind, slots.protocol), (*kind, *protocol));
                    let addr = (*kind == MapKind::Address).then_some(state.dst);
                    let Some((_, port)) = state.port.filter(|(other, _)| other == protocol) else { break };
                    let share = state.share / f64::from(*among);
                    for number in 0..*among {
                        let state = State { share, ..state.clone() };
                        match slots.elements.get(&Slot { addr, port, number }) {
                            Some(to) => {
                                let port = Some((*protocol, to.port()));
                                ends.push((State { dst: to.ip(), port, translated: true, ..state }, End::Accept));
                            }
                            // A number without an endpoint matches nothing.
                            None => passing.push(state),
                        }
                    }
                    return;
                }
                Statement::Masquerade => {
                    ends.push((State { masqueraded: true, ..state }, End::Accept));
                    return;
                }
                Statement::Verdict(verdict) => return self.verdict(verdict, state, passing, back, ends, depth),
                other => panic!("nobody understands {other:?}"),
            };
            if !holds {
                break;
            }
        }
        passing.push(state);
    }

    fn verdict(
        &self,
        verdict: &Verdict,
        state: State,
        passing: &mut Vec<State>,
        back: &mut Vec<State>,
        ends: &mut Vec<(State, End)>,
        depth: usize,
    ) {
        match verdict {
            Verdict::Drop => ends.push((state, End::Drop)),
            Verdict::Reject => ends.push((state, End::Reject)),
            Verdict::Return => back.push(state),
            Verdict::Continue => passing.push(state),
            Verdict::Jump(chain) => passing.extend(self.chain(chain, vec![state], ends, depth + 1)),
            Verdict::Goto(chain) => back.extend(self.chain(chain, vec![state], ends, depth + 1)),
            other => panic!("nobody understands {other:?}"),
        }
    }

    fn is_among(&self, addr: IpAddr, among: &Among) -> bool {
        match among {
            Among::Set(name) => {
                let set = self.table.sets.get(name).unwrap_or_else(|| panic!("no set {name}"));
                match set.timeout {
                    Some(seconds) => self.kernel.has_seen(name, addr, self.now, seconds),
                    None => set.elements.contains(&addr),
                }
            }
            among => among.ranges().is_some_and(|ranges| ranges.iter().any(|range| range.contains(&addr))),
        }
    }
}
