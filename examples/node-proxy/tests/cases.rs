//! The cases of the service dataplane, asked of a real kernel: each question is a connection, by TCP or UDP, from its source, and
//! where it ends is compared with what the case expects.
//!
//! One network serves all cases. Sources that are no node's live in one namespace, the node in another, and whatever else has an
//! address lives behind it: endpoints, other nodes, and the addresses of Services, so that a packet that goes on unchanged arrives. What
//! cannot be asked is counted by reason.

#[path = "lab/namespace.rs"]
mod namespace;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use iptables_driver::{IptablesDriver, Options, Variant};
use namespace::{Failure, Namespace, ask, dial, missing};
use nftables_driver::{Layout, NftablesDriver};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;
use svc_model::backend::{Backend, Generation, Plan};
use svc_model::testkit::{Distribution, Outcome};
use svc_model::{Cluster, Delta, Frontend, FrontendKind, Mode, NodeSettings, NodeView, Packet, Protocol, Verdict};
use svctrace::cases;
use svctrace::read::{Purpose, Reader};

#[test]
fn iptables_decides_the_cases() {
    let mut options = Options::default();
    options.counters = false;
    options.random_fully = true;
    let driver = IptablesDriver::new(iptables_driver::Programs::new(Variant::Legacy), options);
    let told = run(Mode::Iptables, driver, &["ip", "iptables-legacy-restore", "conntrack"]);
    assert_told(told, &[(Unasked::OtherMode, 95), (Unasked::Sctp, 4), (Unasked::HostPort, 3)], 428);
}

#[test]
fn nftables_decides_the_cases() {
    nftables(Layout::Modern);
}

#[test]
fn the_fast_layout_decides_the_cases() {
    nftables(Layout::Fast);
}

fn nftables(layout: Layout) {
    let driver = NftablesDriver::new(nftables_driver::Programs::default(), layout);
    let told = run(Mode::Nftables, driver, &["ip", "nft", "conntrack"]);
    assert_told(told, &[(Unasked::OtherMode, 19), (Unasked::Sctp, 5), (Unasked::HostPort, 3)], 503);
}

/// Why a question is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unasked {
    /// The case is about another mode. (What is asked of iptables is asked of nftables, too, as that decides it.)
    OtherMode,
    /// Few kernels have SCTP.
    Sctp,
    /// A CNI plugin has the host ports.
    HostPort,
}

/// How many questions were asked, and how many not.
#[derive(Default)]
struct Told {
    asked: usize,
    unasked: BTreeMap<Unasked, usize>,
    wrong: Vec<String>,
}

fn assert_told(told: Option<Told>, unasked: &[(Unasked, usize)], asked: usize) {
    let Some(told) = told else { return };
    assert!(told.wrong.is_empty(), "{}", told.wrong.join("\n"));
    assert_eq!((told.unasked, told.asked), (unasked.iter().copied().collect(), asked));
}

/// The view of a node, and the packets that it is asked about.
struct World {
    name: String,
    view: NodeView,
    packets: Vec<Packet>,
}

fn run<B: Backend + Send + 'static>(mode: Mode, driver: B, programs: &[&str]) -> Option<Told> {
    if let Some(why) = missing(programs) {
        println!("skipped: {why}");
        return None;
    }
    let mut told = Told::default();
    let worlds = worlds(mode, &mut told);
    match Street::new(&worlds) {
        Ok(street) => ask_all(&street, driver, worlds, &mut told),
        Err(why) => {
            println!("skipped: {why}");
            return None;
        }
    }
    Some(told)
}

/// All questions of the cases that can be asked in a mode. What a view decides is what its case expects, where the mode is the case's own.
fn worlds(mode: Mode, told: &mut Told) -> Vec<World> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../svctrace/tests/cases");
    let mut files: Vec<_> = directory.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().unwrap().to_str().unwrap().starts_with("dataplane-"));
    files.sort();
    assert!(!files.is_empty());
    let mut worlds = Vec::new();
    for case in files.iter().flat_map(|file| cases::load(file).unwrap()) {
        let own = cluster(case["world"].as_str().unwrap(), None);
        let others = cluster(case["world"].as_str().unwrap(), Some(mode));
        let mut by_node: BTreeMap<Option<&str>, Vec<&Value>> = BTreeMap::new();
        for question in case["queries"].as_array().unwrap() {
            by_node.entry(question["ask"]["node"].as_str().or(case["node"].as_str())).or_default().push(question);
        }
        for (node, questions) in by_node {
            let view = |cluster: &Cluster| NodeView::new(cluster, NodeSettings::of(cluster, node).unwrap());
            let (own, view) = (view(&own), view(&others));
            let is_own = own.settings().mode() == mode;
            let mut packets = Vec::new();
            for question in questions {
                let packet = packet(&question["ask"]);
                assert_expected(&own, &packet, &question["expect"]);
                let decision = view.decide(&packet);
                let is_host_port = matches!(decision.frontend, Some(Frontend::HostPort(_)));
                let unasked = if !is_own && (mode, own.settings().mode()) != (Mode::Nftables, Mode::Iptables) {
                    Unasked::OtherMode
                } else if packet.port.is_some_and(|(protocol, _)| protocol == Protocol::Sctp) {
                    Unasked::Sctp
                } else if is_host_port {
                    Unasked::HostPort
                } else {
                    packets.push(packet);
                    continue;
                };
                *told.unasked.entry(unasked).or_default() += 1;
            }
            if !packets.is_empty() {
                worlds.push(World { name: case["name"].as_str().unwrap().to_owned(), view, packets });
            }
        }
    }
    worlds
}

/// The objects of a world, in its own mode or another.
fn cluster(world: &str, mode: Option<Mode>) -> Cluster {
    let mut text = world.to_owned();
    if let Some(mode) = mode {
        let kind = "kind: KubeProxyConfiguration\n";
        let (before, after) = world.split_once(kind).expect("a configuration");
        let kept: Vec<&str> = after.lines().filter(|line| !line.starts_with("mode:")).collect();
        let mode = if mode == Mode::Nftables { "nftables" } else { "iptables" };
        text = format!("{before}{kind}mode: {mode}\n{}\n", kept.join("\n"));
    }
    let mut reader = Reader::new(Purpose::Answer);
    reader.text("world", &text);
    let mut cluster: Cluster = reader.finish().objects.into_iter().map(|(object, _)| object).collect();
    svc_model::complete(&mut cluster);
    cluster
}

fn packet(ask: &Value) -> Packet {
    let protocol = ask["protocol"].as_str().unwrap().parse().unwrap();
    let text = |key| ask[key].as_str().unwrap();
    Packet::new(text("src").parse().unwrap(), text("dst").parse().unwrap(), protocol)
}

fn assert_expected(view: &NodeView, packet: &Packet, expect: &Value) {
    let decision = view.decide(packet);
    let verdict = match decision.verdict {
        Verdict::Dnat => "dnat",
        Verdict::Accept => "accept",
        Verdict::Reject => "reject",
        Verdict::Drop => "drop",
    };
    assert_eq!(expect["verdict"], verdict, "{packet:?}");
    let endpoints = expect["endpoints"].as_array().into_iter().flatten();
    let expected: BTreeSet<SocketAddr> = endpoints.map(|e| e["addr"].as_str().unwrap().parse().unwrap()).collect();
    let candidates = decision.endpoints.candidates();
    assert_eq!(expected, candidates.iter().map(|candidate| candidate.addr).collect(), "{packet:?}");
    if let Some(masquerade) = expect["masquerade"].as_bool() {
        assert_eq!(masquerade, decision.endpoints.masquerades_any(), "{packet:?}");
    }
}

/// Where a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// Somebody answered at this address, and saw this source.
    At(SocketAddr, IpAddr),
    Nowhere(Failure),
}

/// Of a node's connections to several endpoints, each is missed with less than this chance.
const MISSED: f64 = 1e-9;
/// How long silence is waited for. Who expects an answer waits longer.
const SILENCE: Duration = Duration::from_millis(400);

fn ask_all<B: Backend + Send + 'static>(street: &Street, mut driver: B, worlds: Vec<World>, told: &mut Told) {
    for (number, World { name, view, packets }) in worlds.into_iter().enumerate() {
        let view = std::sync::Arc::new(view);
        let given = view.clone();
        driver = street.node.run(move || {
            let capabilities = driver.capabilities();
            let plan = Plan::full(Generation(number as u64 + 1), &given, Delta::EMPTY, &capabilities);
            driver.apply(&plan).unwrap_or_else(|error| panic!("{error}"));
            driver
        });
        // A load balancer may have bound its address to the node; then the node speaks from it.
        let is_bound = |packet: &&Packet| packet.src == packet.dst && !view.settings().is_local(packet.src);
        let (bound, unbound): (Vec<&Packet>, Vec<&Packet>) = packets.iter().partition(is_bound);
        let mut groups = vec![(BTreeSet::new(), unbound)];
        groups.extend(bound.into_iter().map(|packet| (BTreeSet::from([packet.src]), vec![packet])));
        for (extra, packets) in groups {
            street.settle(view.settings().addresses().chain(extra).collect());
            // Silence takes its time: all at once.
            thread::scope(|scope| {
                let asked: Vec<_> = packets.iter().map(|packet| scope.spawn(|| street.judge(&view, packet))).collect();
                for outcome in asked.into_iter().map(|asked| asked.join().unwrap()) {
                    told.asked += 1;
                    told.wrong.extend(outcome.err().map(|wrong| format!("{name}: {wrong}")));
                }
            });
        }
    }
}

/// Who is behind the node, whatever the rules.
const WITHOUT_RULES: [&str; 2] = ["198.18.1.2:9", "[2001:db8:ffff:1::2]:9"];

/// The network.
struct Street {
    node: Namespace,
    /// Where all sources are that are no node's and answer nobody.
    outside: Namespace,
    /// Each source that is an endpoint, too: it must not find the others at home.
    pods: BTreeMap<IpAddr, Namespace>,
    /// Where all others are.
    behind: Namespace,
    /// Who answers.
    homes: BTreeSet<IpAddr>,
    /// The node's addresses of the moment.
    settled: std::sync::Mutex<Option<BTreeSet<IpAddr>>>,
}

impl Street {
    fn new(worlds: &[World]) -> Result<Street, String> {
        let local: BTreeSet<IpAddr> = worlds.iter().flat_map(|world| world.view.settings().addresses()).collect();
        let mut answering: BTreeSet<(Protocol, SocketAddr)> = BTreeSet::new();
        let mut sources = BTreeSet::new();
        for (view, packet) in worlds.iter().flat_map(|world| world.packets.iter().map(|packet| (&world.view, packet))) {
            let (protocol, port) = packet.port.unwrap();
            answering.insert((protocol, SocketAddr::new(packet.dst, port)));
            let decision = view.decide(packet);
            answering.extend(decision.endpoints.candidates().iter().map(|candidate| (protocol, candidate.addr)));
            sources.insert(packet.src);
        }
        let homes: BTreeSet<IpAddr> = answering.iter().map(|(_, addr)| addr.ip()).collect();
        sources.retain(|src| !src.is_loopback() && !local.contains(src));
        let (own, outside): (BTreeSet<IpAddr>, BTreeSet<IpAddr>) =
            sources.into_iter().partition(|src| homes.contains(src));
        let street = Street {
            node: Namespace::new()?,
            outside: Namespace::new()?,
            pods: own.into_iter().map(|addr| Ok((addr, Namespace::new()?))).collect::<Result<_, String>>()?,
            behind: Namespace::new()?,
            homes,
            settled: std::sync::Mutex::default(),
        };
        street.node.sh(
            "ip link set lo up
             for f in all default; do echo 0 > /proc/sys/net/ipv6/conf/$f/accept_dad; echo 1 > /proc/sys/net/ipv6/conf/$f/forwarding
             echo 0 > /proc/sys/net/ipv4/conf/$f/rp_filter; echo 1 > /proc/sys/net/ipv4/conf/$f/route_localnet; done
             echo 1 > /proc/sys/net/ipv4/ip_forward
             echo 0 > /proc/sys/net/ipv4/icmp_ratelimit; echo 0 > /proc/sys/net/ipv4/icmp_ratemask; echo 0 > /proc/sys/net/ipv6/icmp/ratelimit",
        )?;
        let every: [&str; 2] = ["-4 route add default", "-6 route add default"];
        street.join(1, &street.behind, &every.map(str::to_owned))?;
        let routes = |addr: &IpAddr| format!("{} route add {addr}", family(*addr));
        street.join(2, &street.outside, &outside.iter().map(routes).collect::<Vec<_>>())?;
        street.outside.sh(&on_loopback(outside.iter().copied()))?;
        for (number, (addr, pod)) in (3..).zip(&street.pods) {
            street.join(number, pod, &[routes(addr)])?;
            pod.sh(&on_loopback(std::iter::once(*addr)))?;
        }
        for namespace in [&street.node, &street.behind].into_iter().chain(street.pods.values()) {
            // They answer at addresses that come and go.
            namespace
                .sh("echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind; echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind")?;
            let answering = answering.clone();
            namespace.run(move || serve(&answering)).map_err(|error| error.to_string())?;
        }
        street.behind.run(|| serve(&WITHOUT_RULES.map(|addr| (Protocol::Tcp, addr.parse().unwrap())).into())).unwrap();
        street.meet()?;
        Ok(street)
    }

    /// Joins a namespace to the node, which has these routes there.
    fn join(&self, number: usize, other: &Namespace, routes: &[String]) -> Result<(), String> {
        other.sh("ip link set lo up; for f in all default; do echo 0 > /proc/sys/net/ipv6/conf/$f/accept_dad
             echo 0 > /proc/sys/net/ipv4/conf/$f/rp_filter; done")?;
        let (v4, v6) = (|end| format!("198.18.{number}.{end}"), |end| format!("2001:db8:ffff:{number}::{end}"));
        let mut script = format!(
            "ip link add v{number} type veth peer name eth0 netns {}
             ip addr add {}/24 dev v{number}; ip addr add {}/64 dev v{number} nodad; ip link set v{number} up\n",
            other.path,
            v4(1),
            v6(1)
        );
        for route in routes {
            let via = if route.starts_with("-6") { v6(2) } else { v4(2) };
            writeln!(script, "ip {route} via {via}").unwrap();
        }
        // Routes want a device that is up; so the far end is first once it is there.
        let (link, routes) = script.split_at(script.find('\n').unwrap() + 1);
        self.node.sh(link)?;
        other.sh(&format!(
            "ip addr add {}/24 dev eth0; ip addr add {}/64 dev eth0 nodad; ip link set eth0 up
             ip route add default via {}; ip -6 route add default via {}",
            v4(2),
            v6(2),
            v4(1),
            v6(1)
        ))?;
        self.node.sh(routes).map(drop)
    }

    /// Neighbours take a moment to find each other.
    fn meet(&self) -> Result<(), String> {
        let all = || [&self.node, &self.outside].into_iter().chain(self.pods.values());
        for (namespace, to) in all().flat_map(|namespace| WITHOUT_RULES.map(|to| (namespace, to.parse().unwrap()))) {
            let answers = (0..20).any(|_| {
                let dialled = namespace.run(move || dial(Protocol::Tcp, None, to));
                let answer = ask(&dialled, Protocol::Tcp, to, SILENCE);
                answer.is_ok() || {
                    thread::sleep(SILENCE / 4);
                    false
                }
            });
            if !answers {
                return Err(format!("{to} does not answer without any rules"));
            }
        }
        Ok(())
    }

    /// Gives the node these addresses, and all others that answer to those behind it.
    fn settle(&self, addrs: BTreeSet<IpAddr>) {
        let mut settled = self.settled.lock().unwrap();
        if settled.as_ref() == Some(&addrs) {
            return;
        }
        let flush = "ip addr flush dev lo scope global; ip -6 addr flush dev lo scope global\n";
        let others = self
            .homes
            .iter()
            .filter(|addr| !addrs.contains(*addr) && !self.pods.contains_key(*addr) && !addr.is_loopback());
        self.behind.sh(&format!("{flush}{}", on_loopback(others.copied()))).unwrap();
        self.node.sh(&format!("{flush}{}", on_loopback(addrs.iter().copied()))).unwrap();
        *settled = Some(addrs);
    }

    /// Asks a question often enough; what is wrong about where it ended.
    fn judge(&self, view: &NodeView, packet: &Packet) -> Result<(), String> {
        let (protocol, port) = packet.port.unwrap();
        let to = SocketAddr::new(packet.dst, port);
        let is_node = self.settled.lock().unwrap().as_ref().unwrap().contains(&packet.src) || packet.src.is_loopback();
        let namespace = match self.pods.get(&packet.src) {
            _ if is_node => &self.node,
            Some(pod) => pod,
            None => &self.outside,
        };
        let decision = view.decide(packet);
        let mut expected: BTreeSet<End> =
            Distribution::from(&decision).iter().map(|(outcome, _)| self.end(outcome, packet, to)).collect();
        let is_external = matches!(
            decision.frontend,
            Some(Frontend::Service(FrontendKind::ExternalIp | FrontendKind::LoadBalancer, _))
        );
        if is_node && is_external && view.settings().mode() == Mode::Iptables && decision.verdict == Verdict::Reject {
            // kube-proxy's rules of refusal do not see what the node itself sends to external addresses.
            expected = BTreeSet::from([End::At(to, packet.src)]);
        }
        let n = expected.len() as f64;
        let times = if expected.len() > 1 { (n * (n / MISSED).ln()).ceil() as usize } else { 2 };
        let patience = if expected.contains(&End::Nowhere(Failure::Lost)) { SILENCE } else { SILENCE * 8 };
        let mut met: BTreeSet<End> = BTreeSet::new();
        for _ in 0..times {
            let src = packet.src;
            let dialled = namespace.run(move || dial(protocol, Some(src), to));
            met.insert(match ask(&dialled, protocol, to, patience) {
                Ok(text) => {
                    let (at, from) = text.split_once(' ').unwrap();
                    End::At(at.parse().unwrap(), from.parse().unwrap())
                }
                Err(failure) => End::Nowhere(failure),
            });
            if met.contains(&End::Nowhere(Failure::Lost)) {
                break;
            }
        }
        let is_sticky =
            matches!(decision.frontend, Some(Frontend::Service(_, port)) if port.affinity_seconds.is_some());
        let is_met = if is_sticky { met.len() == 1 && met.is_subset(&expected) } else { met == expected };
        if is_met {
            return Ok(());
        }
        Err(format!("{packet:?} met {met:?} instead of {expected:?} ({})", view.explain(&decision)))
    }

    fn end(&self, outcome: Outcome, packet: &Packet, to: SocketAddr) -> End {
        match outcome {
            Outcome::Endpoint { addr, masquerade } => {
                // What goes to the node's own processes does not pass where sources are replaced.
                let is_node = self.settled.lock().unwrap().as_ref().unwrap().contains(&addr.ip());
                let from = if masquerade && !is_node { self.masqueraded(addr.ip()) } else { packet.src };
                End::At(addr, from)
            }
            Outcome::Accept => End::At(to, packet.src),
            Outcome::Reject => End::Nowhere(Failure::Refused),
            _ => End::Nowhere(Failure::Lost),
        }
    }

    /// The node's address on the way to another.
    fn masqueraded(&self, to: IpAddr) -> IpAddr {
        let number = self.pods.keys().position(|pod| *pod == to).map_or(1, |at| 3 + at);
        let text = if to.is_ipv4() { format!("198.18.{number}.1") } else { format!("2001:db8:ffff:{number}::1") };
        text.parse().unwrap()
    }
}

/// As `ip` wants to be told.
fn family(addr: IpAddr) -> &'static str {
    if addr.is_ipv4() { "-4" } else { "-6" }
}

fn on_loopback(addrs: impl Iterator<Item = IpAddr>) -> String {
    // The kernel takes an address of IPv6 in by and by, and says meanwhile that nobody can be reached there.
    let wait = |addr: IpAddr| match addr {
        IpAddr::V4(_) => String::new(),
        IpAddr::V6(_) => {
            format!("for i in $(seq 100); do ip -6 route get {addr} 2>&1 | grep -q ^local && break; sleep 0.02; done\n")
        }
    };
    let add = |addr: IpAddr| format!("ip {} addr add {addr} dev lo\n{}", family(addr), wait(addr));
    addrs.map(add).collect()
}

/// Answers every connection and datagram at these addresses with the address and the source that it saw.
fn serve(at: &BTreeSet<(Protocol, SocketAddr)>) -> std::io::Result<()> {
    let of = |wanted: Protocol| at.iter().filter(move |(protocol, _)| *protocol == wanted).map(|(_, addr)| *addr);
    let listeners: Vec<(TcpListener, SocketAddr)> =
        of(Protocol::Tcp).map(|addr| Ok((TcpListener::bind(addr)?, addr))).collect::<std::io::Result<_>>()?;
    let sockets: Vec<(UdpSocket, SocketAddr)> =
        of(Protocol::Udp).map(|addr| Ok((UdpSocket::bind(addr)?, addr))).collect::<std::io::Result<_>>()?;
    listeners.iter().try_for_each(|(listener, _)| listener.set_nonblocking(true))?;
    sockets.iter().try_for_each(|(socket, _)| socket.set_nonblocking(true))?;
    thread::spawn(move || {
        loop {
            let fds = listeners.iter().map(|(l, _)| l.as_fd()).chain(sockets.iter().map(|(s, _)| s.as_fd()));
            let mut waits: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            poll(&mut waits, PollTimeout::NONE).unwrap();
            for (listener, addr) in &listeners {
                while let Ok((mut stream, from)) = listener.accept() {
                    let _ = stream.write_all(format!("{addr} {}", from.ip()).as_bytes());
                }
            }
            for (socket, addr) in &sockets {
                while let Ok((_, from)) = socket.recv_from(&mut [0; 8]) {
                    let _ = socket.send_to(format!("{addr} {}", from.ip()).as_bytes(), from);
                }
            }
        }
    });
    Ok(())
}
