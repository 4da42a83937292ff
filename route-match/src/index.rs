//! Which rules of one host can match this path? Buckets by path, each in rank order.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use foldhash::fast::FixedState;

use crate::path_pattern::Filing;
use crate::slots::Slots;

/// The ranks of a host's rules, filed under the longest beginning of a path that all paths they match share, cut
/// back to an element boundary.
///
/// A look-up walks the element boundaries of the request's path from the root, probes for a node at each, and leaves
/// a bucket as soon as its ranks cannot beat the best rule found so far. Memory is what it costs, so all that
/// a node has lies together, and the rules themselves are touched only where a condition or pattern must be asked.
#[derive(Clone, Debug)]
pub(crate) struct PathIndex {
    /// From the hash of a node's text to the node's place among the nodes.
    slots: Slots,
    /// For each node: [`HEADER`] words of four bytes, its ranks, its text.
    nodes: Box<[u8]>,
    hash: FixedState,
    /// Elements in the longest node text: deeper boundaries need no probe.
    deepest: usize,
}

/// Words before the ranks of a node: the length of its text, and the number of ranks in each bucket.
const HEADER: usize = 4;
/// Bytes of a word.
const WORD: usize = 4;

/// Why a rule is filed under a text; the order is that of the buckets in a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bucket {
    /// It takes exactly this path.
    Exact,
    /// It takes all paths below this one, by elements.
    Elements,
    /// It takes some of these, and its pattern has yet to be asked.
    Within,
}

/// A rank, and whether its rule has conditions, in one word.
#[derive(Clone, Copy)]
struct Rank(u32);

impl Rank {
    fn new(rank: u32, conditional: bool) -> Self {
        Self(rank << 1 | u32::from(conditional))
    }

    fn rank(self) -> u32 {
        self.0 >> 1
    }

    fn is_conditional(self) -> bool {
        self.0 & 1 == 1
    }
}

impl PathIndex {
    /// Files the rules of a host, given in rank order: what their patterns ask, and whether they have conditions. At most
    /// 2^31 of them.
    pub(crate) fn new<'p>(hash: &FixedState, rules: impl Iterator<Item = (Filing<'p>, bool)>) -> Self {
        let mut filed: Vec<(&str, Bucket, u32)> = (0u32..)
            .zip(rules)
            .map(|(rank, (filing, conditional))| {
                let rank = Rank::new(rank, conditional).0;
                match filing {
                    Filing::Exact(text) => (text, Bucket::Exact, rank),
                    Filing::Elements(text) => (text, Bucket::Elements, rank),
                    Filing::Within(text) => (last_boundary(text), Bucket::Within, rank),
                }
            })
            .collect();
        filed.sort_unstable();

        let mut nodes = Vec::new();
        let mut places = Vec::new();
        let mut deepest = 0;
        for group in filed.chunk_by(|(a, ..), (b, ..)| a == b) {
            let (text, ..) = group[0];
            places.push((hash_path(hash, text.as_bytes()), nodes.len() as u32));
            let count = |bucket| group.iter().filter(|(_, b, _)| *b == bucket).count() as u32;
            let header = [text.len() as u32, count(Bucket::Exact), count(Bucket::Elements), count(Bucket::Within)];
            for word in header.into_iter().chain(group.iter().map(|(.., rank)| *rank)) {
                nodes.extend_from_slice(&word.to_ne_bytes());
            }
            nodes.extend_from_slice(text.as_bytes());
            deepest = deepest.max(steps(text.as_bytes()).count());
        }
        Self { slots: Slots::new(&places), nodes: nodes.into(), hash: hash.clone(), deepest }
    }

    /// The smallest rank whose rule takes the path. `accepts(rank, path_known)` asks a rule for the rest: its
    /// conditions, and its path pattern too unless `path_known`.
    #[inline]
    pub(crate) fn best(&self, path: &[u8], mut accepts: impl FnMut(u32, bool) -> bool) -> Option<u32> {
        let mut best = u32::MAX;
        let mut hasher = self.hash.build_hasher();
        // The root comes first: the empty text lies under every path.
        let (mut end, mut depth) = (0, 0);
        loop {
            let whole = end == path.len();
            if let Some(node) = self.node(hasher.clone().finish(), &path[..end]) {
                let [exact, elements, within] = node;
                for (bucket, asked, path_known) in [(exact, whole, true), (elements, true, true), (within, true, false)]
                {
                    if asked {
                        let ranks = words(bucket).map(Rank).take_while(|rank| rank.rank() < best);
                        let accepted =
                            |rank: &Rank| (path_known && !rank.is_conditional()) || accepts(rank.rank(), path_known);
                        if let Some(rank) = { ranks }.find(accepted) {
                            best = rank.rank();
                        }
                    }
                }
            }
            if whole || depth == self.deepest {
                break;
            }
            depth += 1;
            let from = end;
            end = next_boundary(path, end);
            hasher.write(&path[from..end]);
        }
        (best != u32::MAX).then_some(best)
    }

    /// The buckets of the node of this text.
    #[inline]
    fn node(&self, hash: u64, text: &[u8]) -> Option<[&[u8]; 3]> {
        let mut buckets = [&[] as &[u8]; 3];
        self.slots.find(hash, |at| {
            let (header, rest) = self.nodes[at as usize..].split_at(HEADER * WORD);
            let mut header = words(header).map(|word| word as usize);
            let length = header.next().unwrap_or_default();
            let mut rest = rest;
            for (bucket, count) in buckets.iter_mut().zip(header) {
                (*bucket, rest) = rest.split_at(count * WORD);
            }
            &rest[..length] == text
        })?;
        Some(buckets)
    }
}

#[inline]
fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks::<WORD>().0.iter().map(|word| u32::from_ne_bytes(*word))
}

/// The text up to its last slash: every path that begins with the text has this as a prefix by elements.
fn last_boundary(text: &str) -> &str {
    text.rfind('/').map_or("", |slash| &text[..slash])
}

/// The element boundary after `from`, which is one itself: the place of the next slash, or the end. An element begins
/// with its slash; a path that does not start with one has a bare first element.
#[inline]
fn next_boundary(path: &[u8], from: usize) -> usize {
    let start = from + usize::from(path[from] == b'/');
    path[start..].iter().position(|b| *b == b'/').map_or(path.len(), |n| start + n)
}

/// The pieces of a text between its element boundaries.
fn steps(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    std::iter::from_fn(move || {
        let from = end;
        (from < text.len()).then(|| {
            end = next_boundary(text, from);
            from..end
        })
    })
}

/// The hash of a text in the pieces in which the walk feeds it.
fn hash_path(state: &FixedState, text: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    for step in steps(text) {
        hasher.write(&text[step]);
    }
    hasher.finish()
}
