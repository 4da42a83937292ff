//! Real packets in a real kernel meet what the view decides: network namespaces, the reference drivers, connections.
//!
//! Where the machine does not let a process make namespaces, or lacks a program, a test says `skipped:` and why. Without root, run the
//! tests in `unshare -Urn`, with `XTABLES_LOCKFILE` naming a file that can be written.

mod lab;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use iptables_driver::{IptablesDriver, Options, Profile, Variant};
use lab::namespace;
use lab::{CLIENT, Lab, Met, NODE, Namespace, PORT, exchange, lab, pod_addr, tcp, udp_socket};
use nftables_driver::{Layout, NftablesDriver};
use svc_model::backend::{Backend, Progress, Reconciler, Schedule};
use svc_model::testkit::{Distribution, Outcome};
use svc_model::{Cluster, NodeSettings, NodeView, Packet, Protocol, Verdict};
use svctrace::read::{Purpose, Reader};

/// What serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driver {
    Legacy,
    Nft,
    Classic,
    Nftables,
    Fast,
}

impl Driver {
    const ALL: [Driver; 5] = [Driver::Legacy, Driver::Nft, Driver::Classic, Driver::Nftables, Driver::Fast];

    fn mode(self) -> &'static str {
        if matches!(self, Driver::Nftables | Driver::Fast) { "nftables" } else { "iptables" }
    }

    fn programs(self) -> &'static [&'static str] {
        match self {
            Driver::Nftables | Driver::Fast => &["ip", "nft", "conntrack"],
            Driver::Nft => &["ip", "iptables-nft-restore", "conntrack"],
            Driver::Legacy | Driver::Classic => &["ip", "iptables-legacy-restore", "conntrack"],
        }
    }

    /// The arguments of `node-proxy`.
    fn args(self) -> &'static [&'static str] {
        match self {
            Driver::Legacy => &["--variant", "legacy"],
            Driver::Nft => &["--variant", "nft"],
            Driver::Classic => &["--variant", "legacy", "--classic"],
            Driver::Nftables => &["--driver", "nftables"],
            Driver::Fast => &["--driver", "nftables", "--fast"],
        }
    }

    /// What is there, for comparing.
    fn dump(self, node: &Namespace) -> String {
        let text = match self {
            Driver::Nftables | Driver::Fast => {
                node.sh("nft list tables | sort | while read -r table; do nft list $table; done")
            }
            Driver::Nft => node.sh("iptables-nft-save; ip6tables-nft-save"),
            Driver::Legacy | Driver::Classic => node.sh("iptables-legacy-save; ip6tables-legacy-save"),
        };
        // Times, counters and the generation differ without anything having happened.
        let without_counters = |line: &str| line.split(" [").next().unwrap_or_default().to_owned();
        let lines: Vec<String> = text
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with('#') && !line.contains("generation "))
            .map(without_counters)
            .collect();
        lines.join("\n")
    }

    /// Brings the node's kernel in step with a view, from whatever is there.
    fn apply(self, node: &Namespace, cluster: &Cluster) -> NodeView {
        let cluster = cluster.clone();
        node.run(move || {
            let view = NodeView::new(&cluster, NodeSettings::of(&cluster, Some("n1")).unwrap());
            match self {
                Driver::Nftables => settle(&mut nftables(Layout::Modern), &view),
                Driver::Fast => settle(&mut nftables(Layout::Fast), &view),
                _ => settle(&mut self.iptables(), &view),
            }
            if view.settings().takes_node_ports_at(std::net::Ipv4Addr::LOCALHOST.into()) {
                std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").unwrap();
            }
            view
        })
    }

    fn iptables(self) -> IptablesDriver<iptables_driver::Programs> {
        let mut options = Options::default();
        options.counters = false;
        options.random_fully = true;
        options.profile = if self == Driver::Classic { Profile::Classic } else { Profile::Modern };
        let variant = if self == Driver::Nft { Variant::Nft } else { Variant::Legacy };
        IptablesDriver::new(iptables_driver::Programs::new(variant), options)
    }
}

fn nftables(layout: Layout) -> NftablesDriver<nftables_driver::Programs> {
    NftablesDriver::new(nftables_driver::Programs::default(), layout)
}

fn settle<B: Backend>(backend: &mut B, view: &NodeView) {
    let mut reconciler = Reconciler::new(Schedule::default());
    reconciler.lists_complete();
    let start = Instant::now();
    while !reconciler.is_settled() {
        if let Progress::Failed(failure) = reconciler.run(start.elapsed(), view, backend) {
            panic!("{failure}");
        }
    }
    // What is in place changes nothing, as the kernel itself tells it.
    let observed = backend.read_back().unwrap();
    assert!(observed.intact, "{:?}", observed.artifact);
    let capabilities = backend.capabilities();
    let generation = observed.generation.unwrap();
    let plan = svc_model::backend::Plan::full(generation, view, svc_model::Delta::EMPTY, &capabilities);
    assert_eq!(backend.apply(&plan).unwrap().operations, 0);
}

fn cluster(world: &str) -> Cluster {
    let mut reader = Reader::new(Purpose::Answer);
    reader.text("world", world);
    let read = reader.finish();
    assert!(!read.unreadable);
    read.objects.into_iter().map(|(object, _)| object).collect()
}

/// A node with these Services; Pods are 10.244.1.69 and up, and those with an even number are on the node.
fn world(driver: Driver, services: &str) -> String {
    format!(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: {}
clusterCIDR: 10.244.0.0/16,fd00:10:244::/48
---
apiVersion: v1
kind: Node
metadata: {{name: n1}}
status:
  addresses:
  - {{type: InternalIP, address: {}}}
  - {{type: InternalIP, address: \"{}\"}}
{services}",
        driver.mode(),
        NODE[0],
        NODE[1],
    )
}

/// A Service with these fields of its spec, and its Pods in both families.
fn service(name: &str, number: u8, pods: &[usize], spec: &str) -> String {
    let mut text = format!(
        "---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  clusterIP: 10.96.0.{number}
  clusterIPs: [10.96.0.{number}, \"fd00:96::{number}\"]
  ports:
  - {{name: t, port: 80, targetPort: {PORT}, protocol: TCP, nodePort: {}}}
  - {{name: u, port: 53, targetPort: {PORT}, protocol: UDP, nodePort: {}}}
{spec}
",
        30_000 + u16::from(number),
        30_100 + u16::from(number),
    );
    for v6 in [false, true] {
        let endpoints: Vec<String> = pods
            .iter()
            .map(|pod| {
                let node = if pod % 2 == 0 { "n1" } else { "n2" };
                format!("{{addresses: [\"{}\"], nodeName: {node}}}", pod_addr(*pod, v6))
            })
            .collect();
        text.push_str(&format!(
            "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-{v6}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: {}
ports:
- {{name: t, port: {PORT}, protocol: TCP}}
- {{name: u, port: {PORT}, protocol: UDP}}
endpoints: [{}]
",
            if v6 { "IPv6" } else { "IPv4" },
            endpoints.join(", ")
        ));
    }
    text
}

/// How often each end was met.
type Counts = BTreeMap<Met, usize>;

fn count(namespace: &Namespace, protocol: Protocol, to: SocketAddr, times: usize) -> Counts {
    namespace.run(move || {
        let mut counts = Counts::new();
        for _ in 0..times {
            let met = match protocol {
                Protocol::Udp => exchange(&udp_socket(to)),
                _ => tcp(to),
            };
            *counts.entry(met).or_default() += 1;
        }
        counts
    })
}

/// Whether what was met is what the view decides: the ends, their shares within 5 standard deviations, the sources that were seen.
fn assert_met(view: &NodeView, packet: &Packet, counts: &Counts, what: &dyn Debug) {
    let decision = view.decide(packet);
    let n: usize = counts.values().sum();
    let mut expected = Counts::new();
    for (outcome, share) in Distribution::from(&decision).iter() {
        let met = match outcome {
            Outcome::Endpoint { addr, masquerade } => {
                let v6 = addr.is_ipv6();
                let own = if masquerade { masqueraded(v6) } else { packet.src };
                Met::Pod(addr, own)
            }
            Outcome::Reject => Met::Refused,
            _ => Met::Lost,
        };
        let mean = n as f64 * share;
        let deviation = (mean * (1.0 - share)).sqrt() * 5.0;
        let got = counts.get(&met).copied().unwrap_or_default();
        assert!(
            (got as f64 - mean).abs() <= deviation + 1e-9,
            "{what:?}: {packet:?} met {counts:?}, but {met:?} should be {mean:.0} of {n} ({})",
            view.explain(&decision)
        );
        expected.insert(met, got);
    }
    assert_eq!(*counts, expected.into_iter().filter(|(_, n)| *n > 0).collect(), "{what:?}: {packet:?}");
}

/// The address that the kernel takes for what it sends to a Pod.
fn masqueraded(v6: bool) -> IpAddr {
    if v6 { NODE[1] } else { "169.254.1.1" }.parse().unwrap()
}

/// Asks every frontend of a view by TCP and UDP from outside, from the node, and from each Pod.
fn probe_all(lab: &Lab, view: &NodeView, times: usize, what: &dyn Debug) -> usize {
    let mut probes = 0;
    for port in view.service_ports() {
        for (_, to) in port.frontends() {
            let v6 = to.addr.is_ipv6();
            let addr = if to.addr.is_unspecified() { NODE[usize::from(v6)].parse().unwrap() } else { to.addr };
            let dst = SocketAddr::new(addr, to.port);
            let outside: IpAddr = CLIENT[usize::from(v6)].parse().unwrap();
            let mut from = vec![(&lab.client, outside)];
            from.extend(lab.pods.iter().enumerate().map(|(i, pod)| (pod, pod_addr(i, v6))));
            // Silence takes its time, and so may a refusal: all at once, and once each.
            let ask = |(namespace, src): (&Namespace, IpAddr)| {
                let packet = Packet::new(src, dst, to.protocol);
                let times = if view.decide(&packet).verdict == Verdict::Dnat { times } else { 1 };
                (packet, count(namespace, to.protocol, dst, times))
            };
            let met: Vec<(Packet, Counts)> = thread::scope(|scope| {
                let asked: Vec<_> = from.into_iter().map(|source| scope.spawn(move || ask(source))).collect();
                asked.into_iter().map(|asked| asked.join().unwrap()).collect()
            });
            met.iter().for_each(|(packet, counts)| assert_met(view, packet, counts, what));
            probes += met.len();
        }
    }
    probes
}

const EVERYTHING: fn(Driver) -> String = |driver| {
    let services = [
        service("plain", 10, &[0, 1, 2], "  type: NodePort"),
        service(
            "local",
            11,
            &[0, 1],
            "  type: LoadBalancer\n  externalTrafficPolicy: Local\n  externalIPs: [203.0.113.11, \"2001:db8:3::11\"]",
        ),
        service(
            "elsewhere",
            12,
            &[1],
            "  type: NodePort\n  externalTrafficPolicy: Local\n  internalTrafficPolicy: Local",
        ),
        service("nobody", 13, &[], "  type: NodePort\n  externalIPs: [203.0.113.13, \"2001:db8:3::13\"]"),
        service(
            "guarded",
            14,
            &[2],
            "  type: LoadBalancer\n  loadBalancerSourceRanges: [192.0.2.0/24, 2001:db8:2::/64]\nstatus:\n  loadBalancer:\n    ingress: [{ip: 203.0.113.14}, {ip: \"2001:db8:3::14\"}]",
        ),
        service("internal", 15, &[0, 2], "  internalTrafficPolicy: Local\n  type: NodePort"),
    ];
    world(driver, &services.concat())
};

#[test]
fn packets_meet_what_the_view_decides() {
    for driver in Driver::ALL {
        let Some(lab) = lab(3, driver.programs()) else { continue };
        let view = driver.apply(&lab.node, &cluster(&EVERYTHING(driver)));
        let probes = probe_all(&lab, &view, 24, &driver);
        assert!(probes > 150, "{driver:?}: {probes}");
        println!("{driver:?}: {probes} probes");
    }
}

#[test]
fn every_endpoint_has_its_share() {
    for driver in Driver::ALL {
        let Some(lab) = lab(3, driver.programs()) else { continue };
        let view = driver.apply(&lab.node, &cluster(&EVERYTHING(driver)));
        let to = "10.96.0.10:80".parse().unwrap();
        let packet = Packet::new(CLIENT[0].parse().unwrap(), to, Protocol::Tcp);
        assert_met(&view, &packet, &count(&lab.client, Protocol::Tcp, to, 2_000), &driver);
        // The node's own processes.
        let counts = count(&lab.node, Protocol::Tcp, to, 300);
        assert_eq!(counts.values().sum::<usize>(), 300);
        assert_eq!(counts.keys().filter(|met| matches!(met, Met::Pod(..))).count(), 3, "{driver:?}: {counts:?}");
    }
}

#[test]
fn a_client_keeps_its_endpoint_until_it_is_forgotten() {
    for driver in Driver::ALL {
        let Some(lab) = lab(3, driver.programs()) else { continue };
        let spec = "  sessionAffinity: ClientIP\n  sessionAffinityConfig: {clientIP: {timeoutSeconds: 2}}";
        let text = world(driver, &service("sticky", 10, &[0, 1, 2], spec));
        driver.apply(&lab.node, &cluster(&text));
        let to = "10.96.0.10:80".parse().unwrap();
        let counts = count(&lab.client, Protocol::Tcp, to, 60);
        assert_eq!(counts.len(), 1, "{driver:?}: {counts:?}");
        // A full sync by another process does not forget.
        driver.apply(&lab.node, &cluster(&text));
        assert_eq!(count(&lab.client, Protocol::Tcp, to, 20).keys().next(), counts.keys().next(), "{driver:?}");
        let mut met: Vec<Met> = Vec::new();
        for _ in 0..8 {
            thread::sleep(Duration::from_millis(3_100));
            met.extend(count(&lab.client, Protocol::Tcp, to, 1).keys());
        }
        met.sort();
        met.dedup();
        // 8 strangers at one of 3: one in 2,000.
        assert!(met.len() > 1, "{driver:?}: {met:?}");
    }
}

#[test]
fn a_flow_of_datagrams_leaves_an_endpoint_that_is_gone() {
    for driver in Driver::ALL {
        let Some(lab) = lab(2, driver.programs()) else { continue };
        let with = |pods: &[usize]| cluster(&world(driver, &service("dns", 10, pods, "  type: NodePort")));
        driver.apply(&lab.node, &with(&[0]));
        let sockets = lab
            .client
            .run(|| ["10.96.0.10:53", "[fd00:96::10]:53", "192.0.2.1:30110"].map(|to| udp_socket(to.parse().unwrap())));
        let ask = |sockets: &[std::net::UdpSocket; 3]| {
            let sockets = sockets.each_ref().map(|socket| socket.try_clone().unwrap());
            lab.client.run(move || sockets.each_ref().map(exchange))
        };
        let pod =
            |met: [Met; 3]| met.map(|met| if let Met::Pod(addr, _) = met { addr.ip() } else { panic!("{met:?}") });
        assert_eq!(pod(ask(&sockets)), [false, true, false].map(|v6| pod_addr(0, v6)), "{driver:?}");
        driver.apply(&lab.node, &with(&[1]));
        assert_eq!(pod(ask(&sockets)), [false, true, false].map(|v6| pod_addr(1, v6)), "{driver:?}");
        driver.apply(&lab.node, &with(&[]));
        assert!(ask(&sockets).iter().all(|met| *met == Met::Refused), "{driver:?}");
        driver.apply(&lab.node, &with(&[0]));
        assert_eq!(pod(ask(&sockets)), [false, true, false].map(|v6| pod_addr(0, v6)), "{driver:?}");
    }
}

/// Rules of somebody else, before and after ours.
fn plant(driver: Driver, node: &Namespace) {
    let script = match driver {
        Driver::Nftables | Driver::Fast => {
            "nft add table inet other; nft add chain inet other input '{ type filter hook input priority 5 ; }'
             nft add rule inet other input ip saddr 198.51.100.9 drop comment '\"somebody else\"'"
        }
        Driver::Nft => {
            "for t in iptables-nft ip6tables-nft; do $t -t nat -N OTHER; $t -t nat -A OTHER -m comment --comment \"somebody's \\\"rule\\\"\" -j RETURN
             $t -t nat -A POSTROUTING -j OTHER; $t -A INPUT -p tcp --dport 9 -j DROP; done"
        }
        Driver::Legacy | Driver::Classic => {
            "for t in iptables-legacy ip6tables-legacy; do $t -t nat -N OTHER; $t -t nat -A OTHER -m comment --comment \"somebody's \\\"rule\\\"\" -j RETURN
             $t -t nat -A POSTROUTING -j OTHER; $t -A INPUT -p tcp --dport 9 -j DROP; done"
        }
    };
    node.sh(script).unwrap();
}

/// Lines of a dump that are not ours.
fn foreign(driver: Driver, dump: &str) -> Vec<String> {
    if matches!(driver, Driver::Nftables | Driver::Fast) {
        let at = dump.find("table inet other").expect("the table of somebody else");
        let end = dump[at..].find("\n}").map_or(dump.len(), |end| at + end);
        return dump[at..end].lines().map(str::to_owned).collect();
    }
    let is_rule = |line: &&str| line.starts_with("-A ") || line.starts_with(":OTHER");
    dump.lines().filter(is_rule).filter(|line| !line.contains("KUBE-")).map(str::to_owned).collect()
}

struct Manifests(std::path::PathBuf);

impl Manifests {
    fn new(name: &str, text: &str) -> Manifests {
        let path = std::env::temp_dir().join(format!("node-proxy-{}-{name}.yaml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Manifests(path)
    }
}

impl Drop for Manifests {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn program(driver: Driver, node: &Namespace, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_node-proxy"));
    command.args(driver.args()).args(["--netns", &node.path]).args(args).stderr(Stdio::piped()).stdout(Stdio::null());
    command.spawn().unwrap()
}

fn succeed(child: Child) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_process_killed_at_any_moment_leaves_what_the_next_one_mends() {
    for driver in [Driver::Legacy, Driver::Nft, Driver::Nftables, Driver::Fast] {
        let Some(lab) = lab(2, driver.programs()) else { continue };
        plant(driver, &lab.node);
        let before = foreign(driver, &driver.dump(&lab.node));
        let both = [&[0][..], &[1]].map(|pods| {
            let others: String = (20..120).map(|i| service(&format!("s{i}"), i, &[0, 1], "")).collect();
            Manifests::new(
                &format!("{driver:?}-{}", pods[0]),
                &world(driver, &(service("a", 10, pods, "  type: NodePort") + &others)),
            )
        });
        let path = |i: usize| both[i].0.to_str().unwrap();
        // How long it takes.
        let start = Instant::now();
        succeed(program(driver, &lab.node, &["apply", "-f", path(0)]));
        let whole = start.elapsed();
        let to: SocketAddr = "10.96.0.10:80".parse().unwrap();
        for kill in 0..20u32 {
            let mut child = program(driver, &lab.node, &["apply", "-f", path(1 - kill as usize % 2)]);
            thread::sleep(whole * (kill + 1) / 20);
            let _ = child.kill();
            child.wait().unwrap();
            // An old endpoint or a new one, or refused; never lost in the middle for good.
            let met = count(&lab.client, Protocol::Tcp, to, 1);
            assert!(met.keys().all(|met| *met != Met::Lost), "{driver:?} {kill}: {met:?}");
            assert_eq!(foreign(driver, &driver.dump(&lab.node)), before, "{driver:?} {kill}");
        }
        succeed(program(driver, &lab.node, &["apply", "-f", path(1)]));
        let view = driver.apply(&lab.node, &cluster(&std::fs::read_to_string(path(1)).unwrap()));
        let packet = Packet::new(CLIENT[0].parse().unwrap(), to, Protocol::Tcp);
        assert_met(&view, &packet, &count(&lab.client, Protocol::Tcp, to, 20), &driver);
        succeed(program(driver, &lab.node, &["cleanup"]));
        let after = driver.dump(&lab.node);
        assert_eq!(foreign(driver, &after), before, "{driver:?}");
        assert!(!after.contains("KUBE-") && !after.contains("kube-proxy"), "{driver:?}: {after}");
    }
}

#[test]
fn rules_that_somebody_removes_come_back() {
    for driver in Driver::ALL {
        let Some(lab) = lab(1, driver.programs()) else { continue };
        let text = world(driver, &service("a", 10, &[0], "  type: NodePort"));
        driver.apply(&lab.node, &cluster(&text));
        let whole = driver.dump(&lab.node);
        let harm = match driver {
            Driver::Nftables | Driver::Fast => {
                ["nft flush ruleset", "nft flush chain ip kube-proxy services", "nft delete table ip kube-proxy"]
            }
            Driver::Nft => [
                "iptables-nft -t nat -F",
                "iptables-nft -t nat -F KUBE-SERVICES",
                "iptables-nft -t nat -D PREROUTING 1",
            ],
            _ => [
                "iptables-legacy -t nat -F",
                "iptables-legacy -t nat -F KUBE-SERVICES",
                "iptables-legacy -t nat -D PREROUTING 1",
            ],
        };
        for script in harm {
            lab.node.sh(script).unwrap();
            driver.apply(&lab.node, &cluster(&text));
            assert_eq!(driver.dump(&lab.node), whole, "{driver:?} after {script}");
            assert!(matches!(
                count(&lab.client, Protocol::Tcp, "10.96.0.10:80".parse().unwrap(), 1).keys().next(),
                Some(Met::Pod(..))
            ));
        }
    }
}

#[test]
fn a_watching_process_follows_its_manifests_and_ends_when_told() {
    for driver in [Driver::Legacy, Driver::Nftables] {
        let Some(lab) = lab(2, driver.programs()) else { continue };
        let text = |pod| world(driver, &service("a", 10, &[pod], ""));
        let manifests = Manifests::new(&format!("watch-{driver:?}"), &text(0));
        let child = program(driver, &lab.node, &["watch", "-f", manifests.0.to_str().unwrap()]);
        let to: SocketAddr = "10.96.0.10:80".parse().unwrap();
        let reaches = |pod: usize| {
            let is = |met: &Met| matches!(met, Met::Pod(addr, _) if addr.ip() == pod_addr(pod, false));
            (0..100).any(|_| {
                thread::sleep(Duration::from_millis(100));
                count(&lab.client, Protocol::Tcp, to, 1).keys().any(is)
            })
        };
        assert!(reaches(0), "{driver:?}");
        std::fs::write(&manifests.0, text(1)).unwrap();
        assert!(reaches(1), "{driver:?}");
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        succeed(child);
        // The rules stay.
        assert!(reaches(1), "{driver:?}");
    }
}

#[test]
fn a_lock_that_somebody_holds_is_waited_for() {
    let driver = Driver::Legacy;
    let Some(lab) = lab(1, &[driver.programs(), &["flock"]].concat()) else { return };
    let manifests = Manifests::new("lock", &world(driver, &service("a", 10, &[0], "")));
    let lock = std::env::temp_dir().join(format!("node-proxy-{}.lock", std::process::id()));
    let mut holder = Command::new("flock").arg(&lock).args(["sleep", "2"]).spawn().unwrap();
    while !lock.exists() {
        thread::sleep(Duration::from_millis(10));
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_node-proxy"));
    command.env("XTABLES_LOCKFILE", &lock).args(driver.args()).args(["--netns", &lab.node.path]);
    let output = command.args(["apply", "-f", manifests.0.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // It is over by now: who had it was done first.
    assert!(holder.try_wait().unwrap().is_some());
    std::fs::remove_file(&lock).unwrap();
    let met = count(&lab.client, Protocol::Tcp, "10.96.0.10:80".parse().unwrap(), 1);
    assert!(matches!(met.keys().next(), Some(Met::Pod(..))), "{met:?}");
}

#[test]
fn node_ports_answer_on_loopback_and_neighbours_do_not_reach_it() {
    for driver in [Driver::Legacy, Driver::Nft, Driver::Nftables] {
        let Some(lab) = lab(1, driver.programs()) else { continue };
        // What the neighbour needs for the attack of CVE-2020-8558.
        let neighbour = "ip addr flush dev lo; ip route del local 127.0.0.0/8 dev lo table local 2>/dev/null || true
             echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; ip route add 127.0.0.0/8 via 192.0.2.1";
        lab.client.sh(neighbour).unwrap();
        lab.node.sh("echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet").unwrap();
        lab.node.run(|| {
            let listener = std::net::TcpListener::bind("127.0.0.1:7777").unwrap();
            thread::spawn(move || {
                listener.incoming().flatten().for_each(|stream| (&stream).write_all(b"own").unwrap())
            });
        });
        let reach = |namespace: &Namespace, to: &str| {
            let to: SocketAddr = to.parse().unwrap();
            namespace.run(move || {
                let patience = Duration::from_millis(700);
                namespace::ask(&namespace::dial(Protocol::Tcp, None, to), Protocol::Tcp, to, patience)
            })
        };
        assert_eq!(reach(&lab.client, "127.0.0.1:7777").as_deref(), Ok("own"), "{driver:?} without rules");
        lab.node.sh("echo 0 > /proc/sys/net/ipv4/conf/all/route_localnet").unwrap();
        driver.apply(&lab.node, &cluster(&world(driver, &service("a", 10, &[0], "  type: NodePort"))));
        assert_eq!(reach(&lab.client, "127.0.0.1:7777"), Err(namespace::Failure::Lost), "{driver:?}");
        assert_eq!(reach(&lab.node, "127.0.0.1:7777").as_deref(), Ok("own"), "{driver:?}");
        let ports = [(Protocol::Tcp, "127.0.0.1:30010"), (Protocol::Udp, "127.0.0.1:30110")];
        for (protocol, to) in ports {
            let met = count(&lab.node, protocol, to.parse().unwrap(), 3);
            // nftables leaves loopback alone, and nobody else listens there.
            let met_by = |met: &Met| match driver {
                Driver::Nftables => *met == Met::Refused,
                _ => *met == Met::Pod(SocketAddr::new(pod_addr(0, false), PORT), masqueraded(false)),
            };
            assert!(met.keys().all(met_by), "{driver:?} {to}: {met:?}");
        }
    }
}

/// A driver that follows a cluster by differences.
struct Followed<B> {
    cluster: Cluster,
    view: NodeView,
    reconciler: Reconciler,
    backend: B,
    now: Duration,
}

impl<B: Backend + Send + 'static> Followed<B> {
    fn new(text: &str, backend: B) -> Followed<B> {
        let cluster = cluster(text);
        let view = NodeView::new(&cluster, NodeSettings::of(&cluster, Some("n1")).unwrap());
        let mut reconciler = Reconciler::new(Schedule::default());
        reconciler.lists_complete();
        Followed { cluster, view, reconciler, backend, now: Duration::ZERO }
    }

    /// Follows to another state, after this time; how that failed on the way, and how many plans it took.
    fn to(mut self, node: &Namespace, text: &str, after: Duration) -> (Followed<B>, Vec<String>, usize) {
        let wanted = cluster(text);
        node.run(move || {
            let mut touched = svc_model::Touched::default();
            let gone: Vec<_> = self.cluster.objects().map(|object| object.reference()).collect();
            let kept: Vec<_> = wanted.objects().map(|object| object.reference()).collect();
            let gone = gone.iter().filter(|reference| !kept.contains(reference));
            gone.for_each(|reference| touched.extend(self.cluster.remove(reference).touched));
            wanted.objects().for_each(|object| touched.extend(self.cluster.apply(object.clone()).touched));
            self.reconciler.changed(self.view.update(&self.cluster, &touched));
            self.now += after;
            let (mut failures, mut plans) = (Vec::new(), 0);
            loop {
                match self.reconciler.run(self.now, &self.view, &mut self.backend) {
                    Progress::Idle { .. } if self.reconciler.is_settled() => break (self, failures, plans),
                    Progress::Idle { until } => self.now = until.unwrap(),
                    Progress::Failed(failure) => failures.push(failure.to_string()),
                    Progress::Applied { .. } => plans += 1,
                    _ => {}
                }
                assert!(failures.len() < 5, "{failures:?}");
            }
        })
    }
}

const SOON: Duration = Duration::from_secs(1);

#[test]
fn what_iptables_refuses_is_named_and_holds_nothing_else_up() {
    for driver in [Driver::Legacy, Driver::Nft] {
        let Some(lab) = lab(2, driver.programs()) else { continue };
        let iptables = if driver == Driver::Nft { "iptables-nft" } else { "iptables-legacy" };
        let (a, b) = (service("a", 10, &[0], ""), |pod| service("b", 11, &[pod], ""));
        let both = world(driver, &(a + &b(0)));
        let (followed, failures, _) = Followed::new(&both, driver.iptables()).to(&lab.node, &both, SOON);
        assert!(failures.is_empty(), "{failures:?}");
        // A chain that somebody else's rule leads to cannot be deleted.
        let rules = lab.node.sh(&format!("{iptables} -t nat -S KUBE-SERVICES")).unwrap();
        let rule = rules.lines().find(|line| line.contains("default/a:t cluster IP")).unwrap();
        let chain = rule.rsplit(' ').next().unwrap().to_owned();
        lab.node.sh(&format!("{iptables} -t nat -N OTHER; {iptables} -t nat -A OTHER -j {chain}")).unwrap();
        let only = world(driver, &b(1));
        let (followed, failures, plans) = followed.to(&lab.node, &only, SOON);
        assert!(matches!(failures.as_slice(), [one] if one.contains("Service/default/a")), "{driver:?}: {failures:?}");
        assert_eq!(plans, 1);
        let met = count(&lab.client, Protocol::Tcp, "10.96.0.11:80".parse().unwrap(), 3);
        assert!(met.keys().all(|met| matches!(met, Met::Pod(addr, _) if addr.ip() == pod_addr(1, false))), "{met:?}");
        let met = count(&lab.client, Protocol::Tcp, "10.96.0.10:80".parse().unwrap(), 1);
        assert!(!met.keys().any(|met| matches!(met, Met::Pod(..))), "{driver:?}: {met:?}");
        let kept = lab.node.sh(&format!("{iptables} -t nat -S {chain}; {iptables} -t nat -S OTHER")).unwrap();
        assert_eq!(kept, format!("-N {chain}\n-N OTHER\n-A OTHER -j {chain}\n"));
        // It goes with the next full plan after what held it.
        lab.node.sh(&format!("{iptables} -t nat -F OTHER")).unwrap();
        let (_, failures, _) = followed.to(&lab.node, &only, SOON * 31);
        assert!(failures.is_empty(), "{failures:?}");
        assert!(!driver.dump(&lab.node).contains(&chain), "{driver:?}");
    }
}

#[test]
fn what_nft_refuses_is_named_and_made_anew() {
    for driver in [Driver::Nftables, Driver::Fast] {
        let Some(lab) = lab(2, driver.programs()) else { continue };
        let layout = if driver == Driver::Fast { Layout::Fast } else { Layout::Modern };
        let a = service("a", 10, &[0], "  sessionAffinity: ClientIP");
        let b = |pod| service("b", 11, &[pod], "");
        let with = |pod| world(driver, &(a.clone() + &b(pod)));
        let (followed, ..) = Followed::new(&with(0), nftables(layout)).to(&lab.node, &with(0), SOON);
        let sets = lab.node.sh("nft list sets ip | grep -o 'affinity-[^ ]*default/a/tcp[^ ]*'").unwrap();
        let (followed, failures, _) = followed.to(&lab.node, &world(driver, &b(0)), SOON);
        assert!(failures.is_empty(), "{failures:?}");
        plant(driver, &lab.node);
        let before = foreign(driver, &driver.dump(&lab.node));
        // Somebody has put something of another kind where a set of ours will be, and what is nothing of ours.
        let set = sets.lines().next().unwrap();
        let planted =
            format!("nft add set ip kube-proxy {set} '{{ type inet_service; }}'; nft add counter ip kube-proxy theirs");
        lab.node.sh(&planted).unwrap();
        let (_, failures, plans) = followed.to(&lab.node, &with(1), SOON);
        assert!(matches!(failures.as_slice(), [one] if one.contains("Service/default/a")), "{driver:?}: {failures:?}");
        assert_eq!(plans, 1);
        for (to, pod) in [("10.96.0.10:80", 0), ("10.96.0.11:80", 1)] {
            let met = count(&lab.client, Protocol::Tcp, to.parse().unwrap(), 3);
            let is_there = |met: &Met| matches!(met, Met::Pod(addr, _) if addr.ip() == pod_addr(pod, false));
            assert!(met.keys().all(is_there), "{driver:?}: {met:?}");
        }
        let after = driver.dump(&lab.node);
        assert_eq!(foreign(driver, &after), before, "{driver:?}");
        assert!(!after.contains("theirs") && !after.contains("inet_service\n"), "{driver:?}: {after}");
    }
}
