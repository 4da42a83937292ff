//! Who owns a destination that several may claim? The best claim wins, and the next best takes over when it goes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use foldhash::fast::FixedState;

use super::decide::FrontendKind;
use crate::protocol::Protocol;

/// Where packets are sent to: an address, a protocol and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    /// The address; where node ports are spoken of, the unspecified one stands for any address of the node.
    pub addr: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

impl Destination {
    /// A destination of this protocol.
    pub fn new(addr: SocketAddr, protocol: Protocol) -> Destination {
        Destination { addr: addr.ip(), protocol, port: addr.port() }
    }

    /// The address and port.
    pub fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.addr, self.port)
    }
}

/// One word for IPv4 and three for IPv6, since this is hashed for every packet.
impl Hash for Destination {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let port = (u64::from(self.port) << 8) | self.protocol as u64;
        match self.addr {
            IpAddr::V4(addr) => state.write_u64((u64::from(addr.to_bits()) << 32) | port),
            IpAddr::V6(addr) => {
                state.write_u128(addr.to_bits());
                state.write_u64(port);
            }
        }
    }
}

/// `10.96.0.10:53 UDP`
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.socket_addr(), self.protocol)
    }
}

/// A claim of a Service port, by its row in the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    pub(super) row: u32,
    pub(super) kind: FrontendKind,
}

/// The claims to each key. Almost all keys have one, which is found by one look-up; the others of a contested key are kept
/// aside. Keys from the wire are only looked up, never put in, so the hash is a fast one without a secret; what is put in are
/// addresses of Services, of which only some kinds are their owners' choice.
#[derive(Clone, Debug)]
pub(super) struct Claims<K> {
    owners: HashMap<K, Claim, FixedState>,
    /// The claims that lost, per key; never an empty set.
    losers: BTreeMap<K, BTreeSet<Claim>>,
}

impl<K> Default for Claims<K> {
    fn default() -> Self {
        Claims { owners: HashMap::default(), losers: BTreeMap::new() }
    }
}

impl<K: Copy + Eq + Ord + Hash> Claims<K> {
    /// Who has it.
    #[inline]
    pub(super) fn owner(&self, key: &K) -> Option<Claim> {
        self.owners.get(key).copied()
    }

    /// Adds a claim; `rank` orders claims, the least has the key.
    pub(super) fn add<R: Ord>(&mut self, key: K, claim: Claim, rank: impl Fn(Claim) -> R) {
        let owner = self.owners.entry(key).or_insert(claim);
        if *owner == claim || self.losers.get(&key).is_some_and(|losers| losers.contains(&claim)) {
            return;
        }
        let loser = if rank(claim) < rank(*owner) { std::mem::replace(owner, claim) } else { claim };
        self.losers.entry(key).or_default().insert(loser);
    }

    /// Takes a claim back, if it is there.
    pub(super) fn remove<R: Ord>(&mut self, key: K, claim: Claim, rank: impl Fn(Claim) -> R) {
        let Some(owner) = self.owners.get_mut(&key) else { return };
        let Some(losers) = self.losers.get_mut(&key) else {
            if *owner == claim {
                self.owners.remove(&key);
            }
            return;
        };
        if *owner == claim {
            // The set is not empty.
            if let Some(best) = losers.iter().copied().min_by_key(|loser| rank(*loser)) {
                losers.remove(&best);
                *owner = best;
            }
        } else {
            losers.remove(&claim);
        }
        if losers.is_empty() {
            self.losers.remove(&key);
        }
    }

    /// The keys that several claim, in order: who has it, and who has not, in no order.
    pub(super) fn contested(&self) -> impl Iterator<Item = (K, Claim, &BTreeSet<Claim>)> {
        self.losers.iter().filter_map(|(key, losers)| Some((*key, self.owner(key)?, losers)))
    }

    /// Every key with its owner, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, Claim)> {
        self.owners.iter().map(|(key, claim)| (*key, *claim))
    }

    pub(super) fn len(&self) -> usize {
        self.owners.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(row: u32) -> Claim {
        Claim { row, kind: FrontendKind::ClusterIp }
    }

    #[test]
    fn the_best_claim_has_the_key_whatever_comes_and_goes() {
        let rank = |claim: Claim| claim.row;
        // Every order of three arrivals and three departures.
        let orders = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
        for arrivals in orders {
            for departures in orders {
                let mut claims = Claims::default();
                let mut there: Vec<u32> = Vec::new();
                for row in arrivals {
                    claims.add('k', claim(row), rank);
                    claims.add('k', claim(row), rank);
                    there.push(row);
                    assert_eq!(claims.owner(&'k').map(rank), there.iter().min().copied());
                }
                for row in departures {
                    claims.remove('k', claim(row), rank);
                    there.retain(|other| *other != row);
                    assert_eq!(claims.owner(&'k').map(rank), there.iter().min().copied());
                    assert_eq!(claims.contested().count(), usize::from(there.len() > 1));
                }
                assert_eq!(claims.len(), 0);
            }
        }
    }
}
