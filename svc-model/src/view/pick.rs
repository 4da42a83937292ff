//! Which endpoint does this connection get? A choice on top of a decision, for proxies in user space.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::NodeView;
use super::candidates::Candidate;
use super::claims::Destination;
use super::decide::{Decision, Frontend, Packet};
use super::service_port::{ServicePort, ServicePortId};
use super::settings::Mode;

/// What remembers where clients went, for Services with `sessionAffinity: ClientIP`.
///
/// [`ClientTable`](crate::ClientTable) is one; write your own to share it between processes, say.
pub trait AffinityTable {
    /// Tells `visit` every endpoint where a client went, and when last.
    fn recall(&self, client: &Client<'_>, visit: &mut dyn FnMut(SocketAddr, Duration));

    /// Remembers that a client has gone to an endpoint just now.
    fn remember(&mut self, client: &Client<'_>, endpoint: SocketAddr, now: Duration);
}

/// Whom an [`AffinityTable`] remembers: a source address, for one port of a Service.
///
/// Whichever address of the Service it used, it is the same client; in IPVS mode each address has clients of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client<'a> {
    /// The Service port.
    pub port: ServicePortId<'a>,
    /// The address of the Service, where that counts.
    pub frontend: Option<Destination>,
    /// The source address, before any translation.
    pub addr: IpAddr,
}

/// The endpoint of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Picked<'v> {
    /// The endpoint.
    pub endpoint: &'v Candidate,
    /// Whether the connection's source is replaced.
    pub masquerade: bool,
    /// Whether it is where the client went before.
    pub sticky: bool,
}

impl NodeView {
    /// Decides a packet and, if it goes to an endpoint, picks one: that of the client's last connection under session
    /// affinity, else any with equal chance, by one word of `words` (none where there is one endpoint).
    ///
    /// `now` counts from any start, but the same one for every pick with this table. Of several endpoints where the client
    /// went less than the timeout ago, the first in order is taken, as the rules of kube-proxy do. Every
    /// connection renews its client's time.
    ///
    /// ```
    /// # let service = serde_json::from_str::<svc_model::api::Service>(r#"{"metadata": {"name": "cart"},
    /// #     "spec": {"clusterIP": "10.96.0.41", "sessionAffinity": "ClientIP", "ports": [{"port": 80}]}}"#)?;
    /// # let slice = serde_json::from_str::<svc_model::api::EndpointSlice>(r#"{"metadata": {"name": "cart-1",
    /// #     "labels": {"kubernetes.io/service-name": "cart"}}, "addressType": "IPv4", "ports": [{"name": "", "port": 80}],
    /// #     "endpoints": [{"addresses": ["10.1.0.1"]}, {"addresses": ["10.1.0.2"]}]}"#)?;
    /// # let mut cluster = svc_model::Cluster::new();
    /// # (cluster.apply(service), cluster.apply(slice));
    /// # let view = svc_model::NodeView::new(&cluster, svc_model::NodeSettings::of(&cluster, None)?);
    /// use std::time::Duration;
    /// use svc_model::{ClientTable, Packet, Protocol};
    ///
    /// let mut table = ClientTable::new(65_536); // clients at most
    /// let mut words = (0..).step_by(1); // your random generator
    /// let mut word = || words.next().unwrap();
    /// let packet = Packet::new("10.1.0.9".parse()?, "10.96.0.41:80".parse()?, Protocol::Tcp);
    /// let (_, first) = view.pick(&packet, Duration::ZERO, &mut word, &mut table);
    /// let (_, second) = view.pick(&packet, Duration::from_secs(60), &mut word, &mut table);
    /// assert_eq!(first.unwrap().endpoint, second.unwrap().endpoint);
    /// assert!(second.unwrap().sticky);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pick<'v>(
        &'v self,
        packet: &Packet,
        now: Duration,
        words: &mut dyn FnMut() -> u64,
        table: &mut dyn AffinityTable,
    ) -> (Decision<'v>, Option<Picked<'v>>) {
        let decision = self.decide(packet);
        let candidates = decision.endpoints.candidates();
        let picked =
            |endpoint, sticky| Some(Picked { endpoint, masquerade: decision.endpoints.masquerades(endpoint), sticky });
        let any = |words: &mut dyn FnMut() -> u64| match candidates {
            [] | [_] => candidates.first(),
            _ => candidates.get((words() % candidates.len() as u64) as usize),
        };
        let (Some(seconds), Some(Frontend::Service(_, port))) = (decision.affinity_seconds(), decision.frontend) else {
            return (decision, any(words).and_then(|endpoint| picked(endpoint, false)));
        };
        let client = self.client(packet, port);
        let timeout = Duration::from_secs(seconds.into());
        let mut sticky: Option<usize> = None;
        table.recall(&client, &mut |addr, seen| {
            if now.saturating_sub(seen) < timeout {
                let at = candidates.iter().position(|candidate| candidate.addr == addr);
                sticky = at.filter(|at| sticky.is_none_or(|known| *at < known)).or(sticky);
            }
        });
        let endpoint = sticky.and_then(|at| candidates.get(at)).or_else(|| any(words));
        if let Some(endpoint) = endpoint {
            table.remember(&client, endpoint.addr, now);
        }
        (decision, endpoint.and_then(|endpoint| picked(endpoint, sticky.is_some())))
    }

    /// The client that a packet to this port comes from.
    fn client<'a>(&self, packet: &Packet, port: &'a ServicePort) -> Client<'a> {
        let destination =
            packet.port.map(|(protocol, number)| Destination { addr: packet.dst, protocol, port: number });
        let frontend = destination.filter(|_| self.settings.mode == Mode::Ipvs);
        Client { port: port.id(), frontend, addr: packet.src }
    }
}
