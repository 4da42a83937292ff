//! Where did this client go before? A bounded memory for session affinity.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::view::{AffinityTable, Client, Delta, Destination, ServicePort, ServicePortId, ServicePortKey};

/// A memory of clients, for [`NodeView::pick`](crate::NodeView::pick): where each went and when, for each Service port apart.
///
/// Holds so many pairs of client and Service port at most; one more pushes out the pair that connected longest ago.
/// (An iptables rule holds a hundred clients for each endpoint.) It outlives views, so keep it beside them, and
/// [`follow`](Self::follow) their deltas so that endpoints that are gone are forgotten. A connection costs O(log n) and the number
/// of Service ports with affinity that its client uses; nothing is hashed, so no address can be chosen to slow others down.
#[derive(Clone, Debug)]
pub struct ClientTable {
    capacity: usize,
    /// By address, and in IPVS mode by frontend; for each the few Service ports it uses.
    clients: BTreeMap<Source, Vec<Memory>>,
    /// The memories by their last connection.
    order: BTreeMap<Turn, Source>,
    turns: u64,
}

type Source = (IpAddr, Option<Destination>);

/// A moment, and a number that tells apart the connections of one.
type Turn = (Duration, u64);

/// The endpoints remembered for one client of one port; more would be as many connections within one timeout that each went
/// elsewhere.
const ENDPOINTS: usize = 16;

#[derive(Clone, Debug)]
struct Memory {
    port: ServicePortKey,
    /// The latest last.
    endpoints: Vec<(SocketAddr, Duration)>,
    turn: Turn,
}

impl ClientTable {
    /// An empty table for this many pairs of client and Service port; 0 remembers nobody. Memory is taken as clients come,
    /// some 300 bytes each.
    pub fn new(capacity: usize) -> ClientTable {
        ClientTable { capacity, clients: BTreeMap::new(), order: BTreeMap::new(), turns: 0 }
    }

    /// How many pairs of client and Service port are remembered.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Forgets the endpoints that a delta of the view takes away, so that one that leaves and comes back has no clients, and all
    /// of a Service port that is gone. O(clients) for each port that loses an endpoint.
    pub fn follow(&mut self, delta: &Delta) {
        for change in &delta.ports {
            self.follow_port(change.before().map(|port| &**port), change.after().map(|port| &**port));
        }
    }

    /// Forgets the endpoints that a change of one Service port takes away.
    pub(crate) fn follow_port(&mut self, before: Option<&ServicePort>, after: Option<&ServicePort>) {
        let reached = |port: &ServicePort| -> Vec<SocketAddr> {
            let both = port.cluster.endpoints.iter().chain(&*port.local.endpoints);
            both.map(|candidate| candidate.addr).collect()
        };
        let Some(before) = before else { return };
        let kept = after.map(reached).unwrap_or_default();
        let mut gone = reached(before);
        gone.retain(|addr| !kept.contains(addr));
        if !gone.is_empty() {
            self.forget(&before.id(), &gone);
        }
    }

    /// Forgets that clients of a Service port went to these endpoints. O(clients).
    pub fn forget(&mut self, port: &ServicePortId<'_>, endpoints: &[SocketAddr]) {
        let order = &mut self.order;
        self.clients.retain(|_, memories| {
            memories.retain_mut(|memory| {
                if memory.port.id() == *port {
                    memory.endpoints.retain(|(addr, _)| !endpoints.contains(addr));
                }
                let keep = !memory.endpoints.is_empty();
                if !keep {
                    order.remove(&memory.turn);
                }
                keep
            });
            !memories.is_empty()
        });
    }

    /// Pushes out whoever connected longest ago.
    fn push_out(&mut self) {
        let Some((turn, source)) = self.order.pop_first() else { return };
        if let Some(memories) = self.clients.get_mut(&source) {
            memories.retain(|memory| memory.turn != turn);
            if memories.is_empty() {
                self.clients.remove(&source);
            }
        }
    }
}

impl AffinityTable for ClientTable {
    fn recall(&self, client: &Client<'_>, visit: &mut dyn FnMut(SocketAddr, Duration)) {
        let memories = self.clients.get(&(client.addr, client.frontend)).into_iter().flatten();
        if let Some(memory) = memories.into_iter().find(|memory| memory.port.id() == client.port) {
            memory.endpoints.iter().for_each(|(addr, seen)| visit(*addr, *seen));
        }
    }

    fn remember(&mut self, client: &Client<'_>, endpoint: SocketAddr, now: Duration) {
        if self.capacity == 0 {
            return;
        }
        let source = (client.addr, client.frontend);
        // Time may be told out of order; the order of the table is that of the calls.
        let latest = now.max(self.order.last_key_value().map_or(now, |((latest, _), _)| *latest));
        self.turns += 1;
        let turn = (latest, self.turns);
        let memories = self.clients.entry(source).or_default();
        match memories.iter_mut().find(|memory| memory.port.id() == client.port) {
            Some(memory) => {
                memory.endpoints.retain(|(addr, _)| *addr != endpoint);
                if memory.endpoints.len() == ENDPOINTS {
                    memory.endpoints.remove(0);
                }
                memory.endpoints.push((endpoint, now));
                self.order.remove(&memory.turn);
                memory.turn = turn;
            }
            None => memories.push(Memory { port: client.port.into(), endpoints: vec![(endpoint, now)], turn }),
        }
        self.order.insert(turn, source);
        if self.order.len() > self.capacity {
            self.push_out();
        }
    }
}
