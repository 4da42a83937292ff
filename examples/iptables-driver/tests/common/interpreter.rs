//! What do these rules do with a packet? All ways it may go, each with its share. What is not understood is an error, never skipped.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use iptables_driver::{Not, Recent, RecentAction, Rule, States, Target};
use svc_model::testkit::Outcome;
use svc_model::{NodeSettings, Packet, PodDevice, Protocol};

use super::interpreted::Walk;
use super::kernel::{Kernel, Line, seconds};

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
    Drop { is_martian: bool },
    Reject,
}

struct Machine<'a> {
    kernel: &'a Kernel,
    settings: &'a NodeSettings,
    src: IpAddr,
    device: Option<String>,
    now: Duration,
    is_coarse: bool,
}

/// A share in five decimals, as the classic layout has it, stands for the one in so many that was meant; they differ by 4 in a million.
fn meant(share: f64) -> f64 {
    let exact = 1.0 / (1.0 / share).round();
    if (exact - share).abs() < 6e-6 { exact } else { share }
}

/// Walks the hooks that a packet of a new connection passes.
pub(crate) fn walk(
    kernel: &Kernel,
    settings: &NodeSettings,
    packet: &Packet,
    now: Duration,
    is_coarse: bool,
) -> Vec<Walk> {
    let from_node = settings.is_local(packet.src);
    let device = match settings.pod_device() {
        Some(PodDevice::Bridge(name)) if settings.is_pod_source(packet.src) => name.to_string(),
        Some(PodDevice::Prefix(prefix)) if settings.is_pod_source(packet.src) => format!("{prefix}0"),
        _ => "eth0".to_owned(),
    };
    let device = (!from_node).then_some(device);
    let machine = Machine { kernel, settings, src: packet.src, device, now, is_coarse };
    let start = State {
        share: 1.0,
        dst: packet.dst,
        port: packet.port,
        mark: 0,
        translated: false,
        masqueraded: false,
        lists: Vec::new(),
    };
    let mut ends: Vec<(State, End)> = Vec::new();
    let mut alive = machine.hook("nat", if from_node { "OUTPUT" } else { "PREROUTING" }, vec![start], &mut ends);
    if from_node {
        alive = machine.hook("filter", "OUTPUT", alive, &mut ends);
    }
    let (arriving, passing): (Vec<State>, Vec<State>) =
        alive.into_iter().partition(|state| settings.is_local(state.dst));
    // What the node sends to itself leaves by loopback first, and comes in again.
    let (sent, received) = if from_node { (arriving, Vec::new()) } else { (Vec::new(), arriving) };
    let forwarded = if from_node { passing } else { machine.hook("filter", "FORWARD", passing, &mut ends) };
    let sent = machine.hook("nat", "POSTROUTING", sent, &mut ends);
    let received = machine.hook("filter", "INPUT", [sent, received].concat(), &mut ends);
    let forwarded = machine.hook("nat", "POSTROUTING", forwarded, &mut ends);
    ends.extend([received, forwarded].concat().into_iter().map(|state| (state, End::Accept)));
    let walks = ends.into_iter().map(|(state, end)| {
        let endpoint =
            |(_, port)| Outcome::Endpoint { addr: SocketAddr::new(state.dst, port), masquerade: state.masqueraded };
        let outcome = match end {
            End::Accept if state.translated => state.port.map_or(Outcome::Accept, endpoint),
            End::Accept => Outcome::Accept,
            End::Drop { .. } => Outcome::Drop,
            End::Reject => Outcome::Reject,
        };
        let is_martian = end == End::Drop { is_martian: true };
        Walk { outcome, share: state.share, lists: state.lists, is_martian }
    });
    walks.filter(|walk| walk.share > 0.0).collect()
}

impl Machine<'_> {
    /// Those that go on from a built-in chain; what is accepted in it goes on, too.
    fn hook(&self, table: &'static str, chain: &str, states: Vec<State>, ends: &mut Vec<(State, End)>) -> Vec<State> {
        let mut ended = Vec::new();
        let mut alive = self.chain(table, chain, states, &mut ended, 0);
        for (state, end) in ended {
            match end {
                End::Accept => alive.push(state),
                end => ends.push((state, end)),
            }
        }
        alive
    }

    /// Those that come back from a chain.
    fn chain(
        &self,
        table: &'static str,
        chain: &str,
        mut states: Vec<State>,
        ends: &mut Vec<(State, End)>,
        depth: usize,
    ) -> Vec<State> {
        assert!(depth < 16, "chains lead to each other");
        let mut back = Vec::new();
        for line in self.kernel.chain(self.src.is_ipv4(), table, chain) {
            if states.is_empty() {
                break;
            }
            let Line::Rule(rule) = line else { panic!("nobody understands {line:?}") };
            let mut passing = Vec::new();
            let mut matched = Vec::new();
            for mut state in states {
                if !self.matches(rule, &state) {
                    passing.push(state);
                    continue;
                }
                let share = rule.probability.map_or(1.0, |probability| probability.share());
                let share = if self.is_coarse { meant(share) } else { share };
                if share < 1.0 {
                    passing.push(State { share: state.share * (1.0 - share), ..state.clone() });
                    state.share *= share;
                }
                if let Some(Recent { list, action: RecentAction::Set }) = &rule.recent {
                    state.lists.push(list.as_str().to_owned());
                }
                matched.push(state);
            }
            match &rule.target {
                None => passing.extend(matched),
                Some(Target::Jump(to)) => passing.extend(self.chain(table, to.as_str(), matched, ends, depth + 1)),
                Some(Target::Return) => back.extend(matched),
                Some(Target::Accept) => ends.extend(matched.into_iter().map(|state| (state, End::Accept))),
                Some(Target::Drop) => {
                    let is_martian = chain == "KUBE-FIREWALL" && rule.destination.is_some();
                    ends.extend(matched.into_iter().map(|state| (state, End::Drop { is_martian })));
                }
                Some(Target::Reject) => {
                    assert_eq!(table, "filter");
                    ends.extend(matched.into_iter().map(|state| (state, End::Reject)));
                }
                Some(Target::Dnat(to)) => {
                    assert_eq!(table, "nat");
                    let translate = |state: State| {
                        let port = state.port.map(|(protocol, _)| (protocol, to.port()));
                        (State { dst: to.ip(), port, translated: true, ..state }, End::Accept)
                    };
                    ends.extend(matched.into_iter().map(translate));
                }
                Some(Target::Masquerade { .. }) => {
                    let masquerade = |state| (State { masqueraded: true, ..state }, End::Accept);
                    ends.extend(matched.into_iter().map(masquerade));
                }
                Some(Target::SetMark { value, mask }) => {
                    passing
                        .extend(matched.into_iter().map(|state| State { mark: (state.mark & !mask) ^ value, ..state }));
                }
                Some(other) => panic!("nobody understands {other:?}"),
            }
            states = passing;
        }
        states.extend(back);
        states
    }

    fn matches(&self, rule: &Rule, state: &State) -> bool {
        fn holds<T>(wanted: &Option<Not<T>>, is: impl Fn(&T) -> bool) -> bool {
            match wanted {
                None => true,
                Some(Not::Is(value)) => is(value),
                Some(Not::Not(value)) => !is(value),
            }
        }
        let states = if state.translated { States::NEW | States::DNAT } else { States::NEW };
        let recent = match &rule.recent {
            Some(Recent { list, action }) => seconds(*action).is_none_or(|seconds| {
                self.kernel.has_seen(self.src.is_ipv4(), list.as_str(), self.src, self.now, seconds)
            }),
            None => true,
        };
        holds(&rule.source, |net| net.contains(&self.src))
            && holds(&rule.destination, |net| net.contains(&state.dst))
            && holds(&rule.in_interface, |name| self.device.as_deref().is_some_and(|device| name.means(device)))
            && rule.protocol.is_none_or(|protocol| state.port.is_some_and(|(other, _)| other == protocol))
            && rule.destination_port.is_none_or(|port| state.port.is_some_and(|(_, other)| other == port))
            && (!rule.source_is_local || self.settings.is_local(self.src))
            && (!rule.destination_is_local || self.settings.is_local(state.dst))
            && holds(&rule.mark, |mark| state.mark & mark.mask == mark.value)
            && holds(&rule.states, |wanted| wanted.meets(states))
            && recent
    }
}
