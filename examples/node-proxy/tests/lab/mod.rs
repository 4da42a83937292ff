//! A small network of namespaces: a client, a node, and Pods behind it. One process, a thread a namespace; all of it is gone with the
//! process, and has no way out.

pub(crate) mod namespace;

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use svc_model::Protocol;

pub(crate) use namespace::Namespace;
use namespace::{Failure, ask, dial, missing};

/// What came of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Met {
    /// A Pod answered, which saw this source.
    Pod(SocketAddr, IpAddr),
    Refused,
    Lost,
}

/// The network.
pub(crate) struct Lab {
    pub(crate) client: Namespace,
    pub(crate) node: Namespace,
    pub(crate) pods: Vec<Namespace>,
}

/// Where each Pod listens, for TCP and UDP.
pub(crate) const PORT: u16 = 8080;

pub(crate) fn pod_addr(i: usize, v6: bool) -> IpAddr {
    let addr = if v6 { format!("fd00:10:244:1::{}", 69 + i) } else { format!("10.244.1.{}", 69 + i) };
    addr.parse().unwrap()
}

pub(crate) const CLIENT: [&str; 2] = ["192.0.2.2", "2001:db8:2::2"];
pub(crate) const NODE: [&str; 2] = ["192.0.2.1", "2001:db8:2::1"];

/// The network, or `None` after saying why not: a test that did not run must not look as if it had.
pub(crate) fn lab(pods: usize, programs: &[&str]) -> Option<Lab> {
    let made = match missing(programs) {
        Some(why) => Err(why),
        None => Lab::new(pods),
    };
    made.map_err(|why| println!("skipped: {why}")).ok()
}

impl Lab {
    fn new(pods: usize) -> Result<Lab, String> {
        let (client, node) = (Namespace::new()?, Namespace::new()?);
        let pods: Result<Vec<Namespace>, String> = (0..pods).map(|_| Namespace::new()).collect();
        let lab = Lab { client, node, pods: pods? };
        // Nobody else is here who could have an address already.
        let start = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad; ip link set lo up";
        for namespace in [&lab.client, &lab.node].into_iter().chain(&lab.pods) {
            namespace.sh(start)?;
        }
        lab.node.sh(&format!("ip link add vc type veth peer name eth0 netns {}", lab.client.path))?;
        lab.client
            .sh("ip addr add 192.0.2.2/24 dev eth0; ip addr add 2001:db8:2::2/64 dev eth0 nodad; ip link set eth0 up
             ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8:2::1")?;
        // Errors come at most once a second otherwise, and so many for all, and the next refusal looks like a loss.
        lab.node.sh("ip addr add 192.0.2.1/24 dev vc; ip addr add 2001:db8:2::1/64 dev vc nodad; ip link set vc up
             echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
             echo 0 > /proc/sys/net/ipv4/icmp_ratelimit; echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
             echo 0 > /proc/sys/net/ipv4/icmp_ratemask
             ip route add default via 192.0.2.2; ip -6 route add default via 2001:db8:2::2")?;
        for (i, pod) in lab.pods.iter().enumerate() {
            let (v4, v6) = (pod_addr(i, false), pod_addr(i, true));
            lab.node.sh(&format!(
                "ip link add vp{i} type veth peer name eth0 netns {}
                 ip addr add 169.254.1.1/32 dev vp{i}; ip addr add fe80::1/64 dev vp{i} nodad; ip link set vp{i} up
                 ip route add {v4}/32 dev vp{i}; ip -6 route add {v6}/128 dev vp{i}",
                pod.path
            ))?;
            pod.sh(&format!(
                "ip addr add {v4}/32 dev eth0; ip addr add {v6}/128 dev eth0 nodad; ip link set eth0 up
                 ip route add 169.254.1.1 dev eth0 scope link; ip route add default via 169.254.1.1
                 ip -6 route add default via fe80::1 dev eth0",
            ))?;
            pod.run(move || serve(i)).map_err(|error| error.to_string())?;
        }
        // Neighbours take a moment to find each other.
        for (i, v6) in (0..lab.pods.len()).flat_map(|i| [(i, false), (i, true)]) {
            let to = SocketAddr::new(pod_addr(i, v6), PORT);
            let answers = (0..20).any(|_| matches!(lab.client.run(move || tcp(to)), Met::Pod(..)));
            if !answers {
                return Err(format!("{to} does not answer without any rules"));
            }
        }
        Ok(lab)
    }
}

/// Answers every connection and datagram with the Pod's number and the source that it saw.
fn serve(i: usize) -> std::io::Result<()> {
    let listener = TcpListener::bind(("::", PORT))?;
    let socket = UdpSocket::bind(("::", PORT))?;
    let answer = move |from: SocketAddr| format!("{i} {}", from.ip().to_canonical());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.peer_addr().map(|from| stream.write_all(answer(from).as_bytes()));
        }
    });
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(answer(from).as_bytes(), from);
        }
    });
    Ok(())
}

/// A wrong rule shows as silence, so nobody waits for long.
const PATIENCE: Duration = Duration::from_millis(400);

fn met(asked: Result<String, Failure>, v6: bool) -> Met {
    match asked {
        Ok(text) => {
            let (pod, from) = text.split_once(' ').unwrap();
            Met::Pod(SocketAddr::new(pod_addr(pod.parse().unwrap(), v6), PORT), from.parse().unwrap())
        }
        Err(Failure::Refused | Failure::Closed) => Met::Refused,
        Err(Failure::Lost) => Met::Lost,
        Err(Failure::Other(errno)) => panic!("{errno}"),
    }
}

/// Connects by TCP, with time for a packet that is sent again.
pub(crate) fn tcp(to: SocketAddr) -> Met {
    let dialled = dial(Protocol::Tcp, None, to);
    met(ask(&dialled, Protocol::Tcp, to, PATIENCE + Duration::from_secs(1)), to.is_ipv6())
}

/// A socket that goes on for several datagrams.
pub(crate) fn udp_socket(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::from(dial(Protocol::Udp, None, to));
    socket.connect(to).unwrap();
    socket
}

/// Sends a datagram and waits for the answer.
pub(crate) fn exchange(socket: &UdpSocket) -> Met {
    let to = socket.peer_addr().unwrap();
    met(ask(&socket.try_clone().unwrap().into(), Protocol::Udp, to, PATIENCE), to.is_ipv6())
}
