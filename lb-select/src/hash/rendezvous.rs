//! Rendezvous hashing: every endpoint gets a score for the key, the highest wins.

use super::function::{fnv1a, fnv1a_update, xxh64};
use super::ip::Text;
use super::{HashTable, ranks};
use crate::candidates::Eligible;
use crate::{Choice, Pick, Policy, Reason, ToCandidates, Unavailable};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// The names of endpoints in one piece, so that scoring all of them runs over memory in order.
#[derive(Debug, Clone)]
struct Names {
    bytes: Box<[u8]>,
    /// For each where its name ends, its index in the pool and its weight.
    entries: Box<[Entry]>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    end: u32,
    index: u32,
    weight: u32,
}

impl Names {
    fn iter(&self) -> impl Iterator<Item = (&[u8], Entry)> {
        self.entries.iter().scan(0, |start, &entry| {
            let name = &self.bytes[*start..entry.end as usize];
            *start = entry.end as usize;
            Some((name, entry))
        })
    }
}

/// The place of an endpoint in the order of a key: its score, and its position among the names for equal scores.
type Place = (f64, usize);

/// What the two kinds have in common: names, and a score for each.
trait Scores {
    fn names(&self) -> &Names;

    /// The score of a name; may be any lower number if it is below `best`.
    fn score(&self, name: &[u8], weight: u32, hash: u64, best: f64) -> f64;

    /// The endpoint with the highest score, of those placed after `after` that `admits` accepts. The first of equals.
    fn best(&self, hash: u64, after: Option<Place>, admits: impl Fn(usize) -> bool) -> Option<(Place, usize)> {
        let mut best: Option<(Place, usize)> = None;
        for (position, (name, entry)) in self.names().iter().enumerate() {
            let floor =
                if after.is_some() { f64::NEG_INFINITY } else { best.map_or(f64::NEG_INFINITY, |((b, _), _)| b) };
            let score = self.score(name, entry.weight, hash, floor);
            let behind = after.is_none_or(|(s, p)| score < s || (score == s && position > p));
            if behind && best.is_none_or(|((b, _), _)| score > b) && admits(entry.index as usize) {
                best = Some(((score, position), entry.index as usize));
            }
        }
        best
    }

    /// The endpoint that comes as number `rank` in the order of a key. O(n × rank).
    fn ranked(&self, hash: u64, rank: u32) -> Option<usize> {
        let rank = rank as usize % self.names().entries.len().max(1);
        let (mut place, mut index) = self.best(hash, None, |_| true)?;
        for _ in 0..rank {
            (place, index) = self.best(hash, Some(place), |_| true)?;
        }
        Some(index)
    }

    fn choose(&self, eligible: &Eligible, pick: &Pick<'_>, hash: u64) -> Result<Choice, Unavailable> {
        let first = self.ranked(hash, pick.attempt()).ok_or_else(|| eligible.refusal(pick))?;
        if eligible.admission.admits_all(pick) || eligible.admission.admits(pick, first) {
            return Ok(Choice::new(first, Reason::Hash));
        }
        let next = self.best(hash, None, |index| eligible.admission.admits(pick, index));
        next.map(|(_, index)| Choice::new(index, Reason::HashFallback)).ok_or_else(|| eligible.refusal(pick))
    }
}

/// Highest random weight (Thaler and Ravishankar, 1996; weights by Schindelhauer and Schomaker, 2005), scored by
/// `−weight / ln u` with `u` from xxHash64 of the key with the request's hash as seed.
///
/// Shares are exact in expectation; when an endpoint leaves, no key of another moves; when its weight changes, keys move
/// only from or to it. No table, but a look-up is O(n). The order of endpoints does not matter.
///
/// ```
/// use lb_select::{Pool, hash::Rendezvous};
///
/// let pool = Pool::builder().endpoint("a", ()).endpoint("b", ()).endpoint("c", ()).build()?;
/// let smaller = Pool::builder().endpoint("a", ()).endpoint("c", ()).build()?;
/// let (before, after) = (Rendezvous::new(&pool), Rendezvous::new(&smaller));
/// for hash in (0..100).filter(|&hash| before.lookup(hash) != Some(1)) {
///     assert_eq!(before.lookup(hash) == Some(0), after.lookup(hash) == Some(0)); // only keys of b move
/// }
/// # Ok::<(), lb_select::PoolError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rendezvous {
    names: Names,
    /// Whether all weights are equal, so that the hashes alone decide.
    uniform: bool,
    eligible: Eligible,
}

impl Rendezvous {
    /// The scores of a pool. O(n log n).
    pub fn new(candidates: &impl ToCandidates) -> Self {
        let candidates = candidates.to_candidates();
        let ranks = ranks(&candidates);
        let mut order: Vec<_> = candidates.eligible().collect();
        order.sort_unstable_by_key(|c| ranks[c.index as usize]);
        let mut weights = order.iter().map(|c| c.weight);
        let first = weights.next();
        let uniform = weights.all(|weight| Some(weight) == first);
        Self { names: names(&candidates, order.into_iter()), uniform, eligible: Eligible::of(candidates) }
    }

    /// The index of the endpoint for this hash. `None` if no endpoint has a weight. O(n), no allocation.
    pub fn lookup(&self, hash: u64) -> Option<usize> {
        self.ranked(hash, 0)
    }
}

impl Scores for Rendezvous {
    fn names(&self) -> &Names {
        &self.names
    }

    fn score(&self, name: &[u8], weight: u32, hash: u64, best: f64) -> f64 {
        let x = (xxh64(name, hash) >> 11) as f64; // 53 bits are exact
        if self.uniform {
            return x;
        }
        let (u, weight) = ((x + 0.5) / (1_u64 << 53) as f64, f64::from(weight));
        // −ln u is at least 1 − u, so this is an upper bound, and cheaper. The margin is far above any rounding.
        let bound = weight / (1.0 - u) * (1.0 + 1e-9);
        if bound < best { bound.min(f64::MIN) } else { -weight / libm::log(u) }
    }
}

/// Attempt number `attempt` goes to the endpoint with the next lower score, so that no endpoint comes twice before all
/// had their turn.
impl HashTable for Rendezvous {
    fn attempt(&self, hash: u64, attempt: u32) -> Option<usize> {
        self.ranked(hash, attempt)
    }
}

/// One random word for a pick without hash, else none.
impl Policy for Rendezvous {
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let hash = pick.hash_or_word();
        self.choose(&self.eligible, pick, hash)
    }
}

/// Traefik's `hrw`: scored by `weight / −ln u`, with `u` from FNV-1a of the client's address followed by the name.
///
/// As a policy it goes by the pick's hash, which must be [`fnv1a`] of the source, or else by the client's address as text. A
/// look-up is O(n). Of equal scores the first in the order of the pool wins.
#[derive(Debug, Clone)]
pub struct TraefikHrw {
    names: Names,
    eligible: Eligible,
}

impl TraefikHrw {
    /// The scores of a pool.
    pub fn new(candidates: &impl ToCandidates) -> Self {
        let candidates = candidates.to_candidates();
        Self { names: names(&candidates, candidates.eligible()), eligible: Eligible::of(candidates) }
    }

    /// The index of the endpoint for a source with this [`fnv1a`]. `None` if no endpoint has a weight. O(n), no allocation.
    pub fn lookup(&self, hash: u64) -> Option<usize> {
        self.ranked(hash, 0)
    }
}

impl Scores for TraefikHrw {
    fn names(&self) -> &Names {
        &self.names
    }

    fn score(&self, name: &[u8], weight: u32, hash: u64, _: f64) -> f64 {
        // FNV has no end of its own: the hash of the source is where that of the name goes on.
        let u = fnv1a_update(hash, name) as f64 / 2_f64.powi(64);
        (1.0 / -libm::log(u)) * f64::from(weight)
    }
}

/// Attempt number `attempt` goes to the endpoint with the next lower score.
impl HashTable for TraefikHrw {
    fn attempt(&self, hash: u64, attempt: u32) -> Option<usize> {
        self.ranked(hash, attempt)
    }
}

/// One random word for a pick with neither hash nor client, else none.
impl Policy for TraefikHrw {
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let hash = match (pick.hash(), pick.client()) {
            (None, Some(client)) => fnv1a(Text::new(client).as_bytes()),
            _ => pick.hash_or_word(),
        };
        self.choose(&self.eligible, pick, hash)
    }
}

fn names(candidates: &crate::Candidates, order: impl Iterator<Item = crate::candidates::Candidate>) -> Names {
    let mut bytes = Vec::new();
    let members = candidates.admission().members();
    let entries = order.map(|c| {
        bytes.extend_from_slice(members.key(c.index as usize).map_or(&[], |key| key.as_bytes()));
        Entry { end: bytes.len() as u32, index: c.index, weight: c.weight }
    });
    let entries = entries.collect();
    Names { bytes: bytes.into(), entries }
}
