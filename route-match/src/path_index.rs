//! Which rules lie on this path? The deepest stored text that the path begins with, then those above it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::filed::{Extent, Filed, NO_RANK, Rank};
use crate::hash::{BLOCK, equal, hash_bytes};
use crate::request::Request;
use crate::several::Several;
use crate::slots::Layout;

/// The rules of a host, filed by a text with which every path that they take begins.
///
/// All texts with which a path begins are beginnings of one another, so they form a chain, and each node knows the next
/// above it. A look-up finds the deepest with a few hash probes, longest first, at those lengths alone at which some text
/// ends; then it climbs, and stops where no rule above can beat what it has. Lines of memory are what it costs: what every
/// look-up reads of a host comes first here, a node is half a line, and its number, which a slot tells, is already the rank.
///
/// With `FOLD`, texts are stored in lower case and paths are compared without regard to case. Clones share the nodes.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct PathIndex<const FOLD: bool> {
    /// Where texts end in the first block of bytes.
    first: Lengths,
    layout: Layout,
    /// From the hash of a text to the number of its node.
    slots: Arc<[u8]>,
    /// A node's number is the lowest rank of its rules. Those of other ranks are blank, and lie in no slot.
    nodes: Arc<[Node]>,
    /// The node of the empty text, or [`NO_NODE`].
    root: u32,
    /// The lowest rank of all, or [`NO_RANK`].
    least: u32,
    /// What most hosts have none of.
    rare: Option<Arc<Rare>>,
}

#[derive(Debug, Default)]
struct Rare {
    /// Where texts end in the blocks after the first.
    more: Vec<Lengths>,
    /// The ends of long texts.
    ends: Vec<u8>,
    /// The rules of nodes that have more than one, by the number of the node.
    several: HashMap<u32, Several, FixedState>,
}

/// No number.
const NO_NODE: u32 = u32::MAX;

/// At which lengths in a block of bytes stored texts end: bit `i` stands for `i + 1` bytes. A length that ends no text
/// needs no probe.
#[derive(Clone, Copy, Debug, Default)]
struct Lengths {
    /// Texts that matter only before a slash or the end of the path.
    elements: u64,
    /// Texts that end in a slash.
    slashes: u64,
    /// Texts that may end anywhere.
    anywhere: u64,
}

/// A stored text and what is filed under it: half a line of memory.
#[derive(Clone, Debug)]
struct Node {
    /// The length of the text, with the flags above it.
    head: u32,
    /// The node of the next shorter text with which this one begins, or [`NO_NODE`].
    parent: u32,
    /// The text; the beginning of a long one, and where its end is in [`Rare::ends`].
    text: [u8; SHORT],
}

/// Bytes of a text that a node has room for.
const SHORT: usize = 24;
/// Bytes that it has of a longer one.
const BEGINNING: usize = 20;

/// The bits of a node's head that are the length of its text.
const LENGTH: u32 = (1 << 24) - 1;
/// Where the bits begin that tell what the only rule has yet to be asked: see [`Rank::asks`].
const ASKS: u32 = 30;
/// The rules are in [`Rare::several`].
const SEVERAL: u32 = 1 << 29;
/// The only rule takes a path that ends after the text, one that goes on with a slash there, one that goes on in any way.
const ENDS: u32 = 1 << 28;
const SLASH: u32 = 1 << 27;
const GOES_ON: u32 = 1 << 26;
/// No rule above that takes paths through this node has a lower rank than any here.
const FIRST: u32 = 1 << 25;

impl<const FOLD: bool> PathIndex<FOLD> {
    /// Longest text, in bytes. A rule of a longer one can be filed under the beginning of it.
    pub(crate) const LONGEST: usize = LENGTH as usize;

    /// Files rules.
    pub(crate) fn new(hash: &FixedState, mut rules: Vec<Filed<'_>>) -> Self {
        rules.sort_by_key(|rule| rule.rank);
        let count = rules.last().map_or(0, |rule| rule.rank.rank() as usize + 1);
        let layout = Layout::new(rules.len(), count.saturating_sub(1) as u32);
        let mut slots: Arc<[u8]> = std::iter::repeat_n(0, layout.size()).collect();
        let mut nodes: Arc<[Node]> = std::iter::repeat_n(Node::BLANK, count).collect();
        let (mut root, mut first, mut more, mut ends) = (NO_NODE, Lengths::default(), Vec::new(), Vec::new());
        let (filed, filled) = (Arc::make_mut(&mut nodes), Arc::make_mut(&mut slots));
        // The node of each rule.
        let mut numbers = Vec::with_capacity(rules.len());
        for rule in &rules {
            let rank = rule.rank.rank();
            let number = if rule.text.is_empty() {
                root = root.min(rank);
                root
            } else {
                note(&mut first, &mut more, rule);
                let hash = hash_bytes(hash, rule.text);
                let same = layout.find(filled, hash, |at| filed[at as usize].is_of::<false>(rule.text, || &ends));
                if same.is_none() {
                    layout.insert(filled, hash, rank);
                }
                same.unwrap_or(rank)
            };
            let node = &mut filed[number as usize];
            if number == rank {
                *node = Node::new(rule, &mut ends);
            } else {
                node.head = node.head & LENGTH | SEVERAL;
            }
            numbers.push(number);
        }
        let mut several: BTreeMap<u32, Vec<Filed<'_>>> = BTreeMap::new();
        for (rule, number) in rules.iter().zip(&numbers) {
            if filed[*number as usize].head & SEVERAL != 0 {
                several.entry(*number).or_default().push(*rule);
            }
        }
        let is_rare = !(more.is_empty() && ends.is_empty() && several.is_empty());
        let mut index = Self {
            first,
            layout,
            slots,
            nodes,
            root,
            least: rules.first().map_or(NO_RANK, |rule| rule.rank.rank()),
            rare: is_rare.then(|| {
                let several = several.into_iter().map(|(number, rules)| (number, Several::new(hash, rules))).collect();
                Arc::new(Rare { more, ends, several })
            }),
        };
        index.link(hash, &rules, &numbers);
        index
    }

    /// Gives each node the one above it, and tells which need not look there.
    fn link(&mut self, hash: &FixedState, rules: &[Filed<'_>], numbers: &[u32]) {
        let own = || rules.iter().zip(numbers).filter(|(rule, number)| rule.rank.rank() == **number);
        let parent =
            |rule: &Filed<'_>| rule.text.split_last().map_or(NO_NODE, |(_, shorter)| self.deepest(hash, shorter));
        let parents: Vec<u32> = own().map(|(rule, _)| parent(rule)).collect();
        let nodes = Arc::make_mut(&mut self.nodes);
        for ((_, number), parent) in own().zip(parents) {
            nodes[*number as usize].parent = parent;
            nodes[*number as usize].head |= FIRST;
        }
        for (rule, number) in rules.iter().zip(numbers) {
            let node = &nodes[*number as usize];
            if node.head & FIRST != 0 && rule.rank.rank() > least_through(nodes, node.parent) {
                nodes[*number as usize].head ^= FIRST;
            }
        }
    }

    /// The lowest rank of all, or [`NO_RANK`].
    pub(crate) fn least(&self) -> u32 {
        self.least
    }

    /// The smallest rank below `best` whose rule takes the request, or `best`. `accepts` asks a rule for what its filing
    /// does not tell.
    #[inline]
    pub(crate) fn best(
        &self,
        hash: &FixedState,
        request: &Request<'_>,
        mut best: u32,
        accepts: &mut impl FnMut(Rank) -> bool,
    ) -> u32 {
        let mut number = self.deepest(hash, request.path);
        while let Some(node) = self.nodes.get(number as usize) {
            let before = best;
            if node.head & SEVERAL != 0 {
                best = self.best_of_several(number, hash, request, best, accepts);
            } else if number < best && node.covers(request.path) {
                let rank = node.rank(number);
                if rank.is_settled() || accepts(rank) {
                    best = number;
                }
            }
            if best < before && node.head & FIRST != 0 {
                break;
            }
            number = node.parent;
        }
        best
    }

    fn best_of_several(
        &self,
        number: u32,
        hash: &FixedState,
        request: &Request<'_>,
        best: u32,
        accepts: &mut impl FnMut(Rank) -> bool,
    ) -> u32 {
        let text = &request.path[..self.nodes[number as usize].length()];
        let covers = |extent: Extent| extent.covers(text, request.path);
        match self.rare.as_ref().and_then(|rare| rare.several.get(&number)) {
            Some(several) => several.best(hash, request, best, covers, accepts),
            // A node that has several rules keeps them there.
            None => best,
        }
    }

    /// The node of the longest text that the path begins with, or [`NO_NODE`]. (A node that matters only at the end of an
    /// element is looked for only there.)
    #[inline]
    fn deepest(&self, hash: &FixedState, path: &[u8]) -> u32 {
        if path.len() > BLOCK
            && let Some(rare) = &self.rare
        {
            return self.deepest_of_long(&rare.more, hash, path);
        }
        self.deepest_in(&hash.build_hasher(), path, 0, &self.first).unwrap_or(self.root)
    }

    #[cold]
    fn deepest_of_long(&self, more: &[Lengths], hash: &FixedState, path: &[u8]) -> u32 {
        let mut hasher = hash.build_hasher();
        let mut found = self.root;
        let starts = (0..path.len()).step_by(BLOCK);
        for (start, lengths) in starts.zip(std::iter::once(&self.first).chain(more)) {
            found = self.deepest_in(&hasher, path, start, lengths).unwrap_or(found);
            let block = &path[start..path.len().min(start + BLOCK)];
            if FOLD {
                hasher.write(&fold(block)[..block.len()]);
            } else {
                hasher.write(block);
            }
        }
        found
    }

    /// The deepest node whose text ends in the block that starts at `start`; `before` has been fed what lies before.
    #[inline]
    fn deepest_in(&self, before: &(impl Hasher + Clone), path: &[u8], start: usize, lengths: &Lengths) -> Option<u32> {
        let mut ends = lengths.ends(&path[start..]);
        if ends == 0 {
            return None;
        }
        let (folded, block);
        if FOLD {
            folded = fold(&path[start..]);
            block = folded.as_slice();
        } else {
            block = &path[start..];
        }
        while ends != 0 {
            let last = ends.ilog2() as usize;
            ends ^= 1 << last;
            let mut hasher = before.clone();
            hasher.write(&block[..=last]);
            let text = &path[..=start + last];
            let found = self.layout.find(&self.slots, hasher.finish(), |number| self.is_node_of(number, text));
            if found.is_some() {
                return found;
            }
        }
        None
    }

    #[inline]
    fn is_node_of(&self, number: u32, text: &[u8]) -> bool {
        let ends = || self.rare.as_ref().map_or(&[] as &[u8], |rare| &rare.ends);
        self.nodes.get(number as usize).is_some_and(|node| node.is_of::<FOLD>(text, ends))
    }
}

/// Notes where the text of the rule, which is not empty, ends: in the first block or in which one after it.
fn note(first: &mut Lengths, more: &mut Vec<Lengths>, rule: &Filed<'_>) {
    let last = rule.text.len().saturating_sub(1);
    let lengths = match (last / BLOCK).checked_sub(1) {
        None => first,
        Some(block) => {
            more.resize(more.len().max(block + 1), Lengths::default());
            &mut more[block]
        }
    };
    lengths.add(rule.text, last % BLOCK, rule.extent == Extent::Text);
}

/// The lowest rank, of those of this node and the ones above it, that may take a path that goes on after their texts.
fn least_through(nodes: &[Node], mut number: u32) -> u32 {
    let mut least = NO_RANK;
    while let Some(node) = nodes.get(number as usize) {
        if node.head & (SEVERAL | SLASH | GOES_ON) != 0 {
            least = least.min(number);
        }
        number = node.parent;
    }
    least
}

/// How much of a path the text must be for the only rule. The empty text is the beginning of everything.
fn extent_flags(rule: &Filed<'_>) -> u32 {
    match rule.extent {
        Extent::Elements if !rule.text.is_empty() => ENDS | SLASH,
        Extent::Elements | Extent::Text => ENDS | SLASH | GOES_ON,
        Extent::Whole => ENDS,
    }
}

impl Node {
    const BLANK: Self = Self { head: 0, parent: NO_NODE, text: [0; SHORT] };

    /// A node of one rule; `ends` takes the end of a long text.
    fn new(rule: &Filed<'_>, ends: &mut Vec<u8>) -> Self {
        let length = rule.text.len() as u32;
        let mut node = Self { head: length | extent_flags(rule) | rule.rank.asks() << ASKS, ..Self::BLANK };
        match node.text.get_mut(..rule.text.len()) {
            Some(text) => text.copy_from_slice(rule.text),
            None => {
                let (beginning, end) = rule.text.split_at(BEGINNING);
                node.text[..BEGINNING].copy_from_slice(beginning);
                node.text[BEGINNING..].copy_from_slice(&(ends.len() as u32).to_ne_bytes());
                ends.extend_from_slice(end);
            }
        }
        node
    }

    /// Bytes of the text.
    #[inline]
    fn length(&self) -> usize {
        (self.head & LENGTH) as usize
    }

    /// The rank of the only rule of the node of this number.
    #[inline]
    fn rank(&self, number: u32) -> Rank {
        Rank::asking(number, self.head >> ASKS)
    }

    /// Whether the text is this one; `ends` has the ends of long texts.
    #[inline]
    fn is_of<'e, const FOLD: bool>(&self, text: &[u8], ends: impl FnOnce() -> &'e [u8]) -> bool {
        self.length() == text.len()
            && match self.text.get(..text.len()) {
                Some(stored) => same::<FOLD>(stored, text),
                None => self.is_of_long::<FOLD>(text, ends()),
            }
    }

    fn is_of_long<const FOLD: bool>(&self, text: &[u8], ends: &[u8]) -> bool {
        let (Some((beginning, at)), Some((text, end))) =
            (self.text.split_first_chunk::<BEGINNING>(), text.split_at_checked(BEGINNING))
        else {
            return false;
        };
        let stored = ends.get(word(at) as usize..).and_then(|ends| ends.get(..end.len()));
        same::<FOLD>(beginning, text) && stored.is_some_and(|stored| same::<FOLD>(stored, end))
    }

    /// Whether the text is as much of the path as the only rule asks.
    #[inline]
    fn covers(&self, path: &[u8]) -> bool {
        // How the path goes on cannot be foretold, so there are no branches. (At its end this looks at the last byte.)
        let ends = self.length() == path.len();
        let at = self.length().min(path.len().saturating_sub(1));
        let slash = path.get(at).is_some_and(|next| *next == b'/');
        let here = if ends { ENDS } else { GOES_ON | (u32::from(slash) * SLASH) };
        self.head & here != 0
    }
}

impl Lengths {
    fn add(&mut self, text: &[u8], bit: usize, ends_anywhere: bool) {
        let lengths = match ends_anywhere {
            false => &mut self.elements,
            true if text.ends_with(b"/") => &mut self.slashes,
            true => &mut self.anywhere,
        };
        *lengths |= 1 << bit;
    }

    /// The lengths at which a stored text may end in the first block of this.
    #[inline]
    fn ends(&self, rest: &[u8]) -> u64 {
        let block = &rest[..rest.len().min(BLOCK)];
        let inside = u64::MAX.checked_shr((BLOCK - block.len()) as u32).unwrap_or_default();
        let mut ends = self.anywhere & inside;
        if self.elements | self.slashes != 0 {
            let slashes = slashes(block);
            let last = match rest.get(BLOCK) {
                None => inside ^ inside >> 1,
                Some(after) => u64::from(*after == b'/') << (BLOCK - 1),
            };
            ends |= self.slashes & slashes | self.elements & (slashes >> 1 | last);
        }
        ends
    }
}

/// Where slashes stand in a block of at most 64 bytes.
#[inline]
fn slashes(block: &[u8]) -> u64 {
    let Some(last) = block.last_chunk::<8>() else {
        return block.iter().rev().fold(0, |found, b| found << 1 | u64::from(*b == b'/'));
    };
    // The last word overlaps the one before it.
    let mut found = slashes_in(*last) << (block.len() - 8);
    let mut shift = 0;
    for word in block.as_chunks::<8>().0 {
        found |= slashes_in(*word) << shift;
        shift += 8;
    }
    found
}

/// A bit for each byte of the word that is a slash.
#[inline]
fn slashes_in(word: [u8; 8]) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // A byte is 0 where there was a slash; its high bit is set where it is not 0, exactly.
    let other = u64::from_le_bytes(word) ^ u64::from_ne_bytes([b'/'; 8]);
    let is_other = (((other & LOW) + LOW) | other) & !LOW;
    // The multiplication gathers the eight high bits, each shifted to its place in the uppermost byte.
    ((is_other ^ !LOW) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// The first block of a text in lower case.
#[inline]
fn fold(text: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let length = text.len().min(BLOCK);
    block[..length].copy_from_slice(&text[..length]);
    block.make_ascii_lowercase();
    block
}

#[inline]
fn same<const FOLD: bool>(stored: &[u8], text: &[u8]) -> bool {
    if FOLD { stored.eq_ignore_ascii_case(text) } else { equal(stored, text) }
}

/// The word that the first four bytes are.
#[inline]
fn word(bytes: &[u8]) -> u32 {
    u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXTENTS: [Extent; 3] = [Extent::Text, Extent::Elements, Extent::Whole];

    fn filed(text: &str, extent: Extent, rank: u32) -> Filed<'_> {
        Filed { text: text.as_bytes(), extent, rank: Rank::new(rank, false, false), conditions: &[] }
    }

    fn best<const FOLD: bool>(index: &PathIndex<FOLD>, hash: &FixedState, path: &[u8]) -> u32 {
        index.best(hash, &Request::new(None, path), NO_RANK, &mut |_| false)
    }

    #[test]
    fn slashes_are_found_wherever_they_are() {
        for at in 0..BLOCK {
            for length in at + 1..=BLOCK {
                let mut block = vec![b'.'; length];
                block[at] = b'/';
                assert_eq!(slashes(&block), 1 << at);
            }
        }
        let all: Vec<u8> = (0..=255).collect();
        assert!(all.chunks(BLOCK).enumerate().all(|(i, block)| slashes(block) == if i == 0 { 1 << 47 } else { 0 }));
    }

    #[test]
    fn a_text_at_the_edge_of_a_block_is_found() {
        let hash = FixedState::with_seed(0);
        for length in [1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200] {
            let text = format!("/{}", "a".repeat(length - 1));
            for extent in EXTENTS {
                let index = PathIndex::<false>::new(&hash, vec![filed(&text, extent, 0)]);
                let folded = PathIndex::<true>::new(&hash, vec![filed(&text, extent, 0)]);
                for (tail, extents) in [("", 3), ("/", 2), ("/x", 2), ("x", 1)] {
                    let expected = if EXTENTS[..extents].contains(&extent) { 0 } else { NO_RANK };
                    let path = format!("{text}{tail}");
                    assert_eq!(best(&index, &hash, path.as_bytes()), expected, "{length} {extent:?} {tail}");
                    let upper = path.to_ascii_uppercase();
                    assert_eq!(best(&folded, &hash, upper.as_bytes()), expected, "{length} {extent:?} {tail}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn the_index_finds_what_a_scan_finds(
            texts in proptest::collection::vec(("(/|//|/a|b|/a{20}|/[ab]{60}){0,5}", 0..3usize), 0..40),
            picked in any::<proptest::sample::Index>(),
            tail in "(/|/a|b)?",
            ranks in any::<u64>(),
        ) {
            let hash = FixedState::with_seed(ranks);
            // Any order of ranks, not only by length.
            let mut order: Vec<_> = texts.iter().collect();
            order.sort_by_key(|text| hash_bytes(&hash, text.0.as_bytes()));
            let rules: Vec<_> = (0u32..).zip(&order).map(|(rank, (text, e))| filed(text, EXTENTS[*e], rank)).collect();
            let path = if texts.is_empty() { tail } else { format!("{}{tail}", picked.get(&texts).0) };
            let takes = |rule: &&Filed<'_>| path.as_bytes().starts_with(rule.text) && rule.extent.covers(rule.text, path.as_bytes());
            let scan = rules.iter().find(takes).map_or(NO_RANK, |rule| rule.rank.rank());
            let folded = PathIndex::<true>::new(&hash, rules.clone());
            prop_assert_eq!(best(&PathIndex::<false>::new(&hash, rules), &hash, path.as_bytes()), scan);
            prop_assert_eq!(best(&folded, &hash, path.to_ascii_uppercase().as_bytes()), scan);
        }
    }
}
