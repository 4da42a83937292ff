//! Which rules lie on this path? The deepest stored text that the path begins with, then those above it.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::filed::{Extent, Filed, NO_RANK, Rank};
use crate::hash::{BLOCK, equal, hash_bytes};
use crate::request::Request;
use crate::several::Several;
use crate::slots::{Layout, Slot};

/// The rules of a host, filed by a text with which every path that they take begins.
///
/// All texts with which a path begins are beginnings of one another, so they form a chain, and each node knows the next
/// above it. A look-up finds the deepest with a few hash probes, longest first, at those lengths alone at which some text
/// ends; then it climbs, and stops where no rule above can beat what it has. Lines of memory are what it costs: what every
/// look-up reads is here, in one line; the rest is one piece of memory, in which a node lies together.
///
/// With `FOLD`, texts are stored in lower case and paths are compared without regard to case. Clones share the nodes.
#[derive(Clone, Debug)]
pub(crate) struct PathIndex<const FOLD: bool> {
    /// Where texts end in the first block of bytes.
    first: Lengths,
    /// The slots, from the hash of a node's text to its place; then the nodes (see [`Node`]).
    bytes: Arc<[u8]>,
    slots: Layout,
    /// The place of the node of the empty text, or [`NO_NODE`].
    root: u32,
    /// The lowest rank of all, or [`NO_RANK`].
    least: u32,
    /// What most hosts have none of.
    rare: Option<Arc<Rare>>,
}

#[derive(Debug)]
struct Rare {
    /// Where texts end in the blocks after the first.
    more: Box<[Lengths]>,
    /// The rules of nodes that have more than one.
    several: Box<[Several]>,
}

/// No place.
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

/// A stored text and what is filed under it.
///
/// As bytes it is two words of four, the length of the text with the flags above it and the rule; then the text; then, if
/// there is a node above, its place and `above`, which few look-ups read.
struct Node<'i> {
    flags: u32,
    /// A [`Rank`], or with [`SEVERAL`] which of [`Rare::several`].
    rule: u32,
    text: &'i [u8],
    /// The bytes after the text.
    rest: &'i [u8],
}

/// The bits of a node's first word that are the length of its text.
const LENGTH: u32 = (1 << 24) - 1;
const HAS_PARENT: u32 = 1 << 31;
const SEVERAL: u32 = 1 << 30;
/// The only rule takes a path that ends after the text, one that goes on with a slash there, one that goes on in any way.
const ENDS: u32 = 1 << 29;
const SLASH: u32 = 1 << 28;
const GOES_ON: u32 = 1 << 27;
/// No rule above that takes paths through this node has a lower rank than the only one here.
const FIRST: u32 = 1 << 26;

impl<const FOLD: bool> PathIndex<FOLD> {
    /// Longest text, in bytes. A rule of a longer one can be filed under the beginning of it.
    pub(crate) const LONGEST: usize = LENGTH as usize;

    /// Files rules.
    pub(crate) fn new(hash: &FixedState, mut rules: Vec<Filed<'_>>) -> Self {
        // The first bytes tell most texts apart, in one comparison.
        rules.sort_by_cached_key(|rule| (first_bytes(rule.text), rule.text, rule.extent, rule.rank));
        let groups: Vec<_> = rules.chunk_by(|a, b| equal(a.text, b.text)).collect();
        let size = groups.iter().map(|group| Node::LARGEST + group[0].text.len()).sum::<usize>();
        let count = groups.iter().filter(|group| !group[0].text.is_empty()).count();
        let slots = Layout::new(count, (count * 8 + size) as u32);
        let mut bytes = Vec::with_capacity(slots.len() * size_of::<Slot>() + size);
        bytes.resize(slots.len() * size_of::<Slot>(), 0);
        let (mut root, mut lengths, mut several) = (NO_NODE, vec![Lengths::default()], Vec::new());
        // The nodes whose texts the current one begins with, and the lowest rank of each and those above it.
        let mut open: Vec<(&[u8], u32, u32)> = Vec::new();
        for group in &groups {
            let text = group[0].text;
            let begins_with = |above: &[u8]| text.get(..above.len()).is_some_and(|beginning| equal(beginning, above));
            while open.last().is_some_and(|(above, ..)| !begins_with(above)) {
                open.pop();
            }
            let place = bytes.len() as u32;
            let parent = open.last().map(|(_, place, least)| (*place, *least));
            let above = parent.map_or(NO_RANK, |(_, least)| least);
            let (flags, rule) = match *group {
                [only] => (extent_flags(only) | if only.rank.rank() < above { FIRST } else { 0 }, only.rank.0),
                _ => {
                    several.push(Several::new(hash, group));
                    (SEVERAL, several.len() as u32 - 1)
                }
            };
            Node::write(&mut bytes, flags, rule, text, parent);
            let through = group.iter().filter(|rule| rule.extent != Extent::Whole).map(|rule| rule.rank.rank());
            open.push((text, place, through.fold(above, u32::min)));
            match text.len().checked_sub(1) {
                None => root = place,
                Some(last) => {
                    let words = bytes.as_chunks_mut().0;
                    slots.insert(&mut words[..slots.len()], hash_bytes(hash, text), place);
                    let block = last / BLOCK;
                    if block >= lengths.len() {
                        lengths.resize(block + 1, Lengths::default());
                    }
                    lengths[block].add(text, last % BLOCK, group.iter().any(|rule| rule.extent == Extent::Text));
                }
            }
        }
        let more: Box<[_]> = lengths[1..].into();
        let rare = !more.is_empty() || !several.is_empty();
        Self {
            first: lengths[0],
            bytes: bytes.into(),
            slots,
            root,
            least: rules.iter().map(|rule| rule.rank.rank()).min().unwrap_or(NO_RANK),
            rare: rare.then(|| Arc::new(Rare { more, several: several.into() })),
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
        let path = request.path;
        let mut next = self.deepest(hash, path);
        while next != NO_NODE {
            let node = self.node(next);
            if node.flags & SEVERAL != 0 {
                best = self.best_of_several(&node, hash, request, best, accepts);
            } else {
                let rank = Rank(node.rule);
                if rank.rank() < best && node.covers(path) && (rank.is_settled() || accepts(rank)) {
                    best = rank.rank();
                    if node.flags & FIRST != 0 {
                        break;
                    }
                }
            }
            next = node.above(best);
        }
        best
    }

    fn best_of_several(
        &self,
        node: &Node<'_>,
        hash: &FixedState,
        request: &Request<'_>,
        best: u32,
        accepts: &mut impl FnMut(Rank) -> bool,
    ) -> u32 {
        let covers = |extent: Extent| extent.covers(node.text, request.path);
        match &self.rare {
            Some(rare) => rare.several[node.rule as usize].best(hash, request, best, covers, accepts),
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
        let slots = &self.bytes.as_chunks().0[..self.slots.len()];
        while ends != 0 {
            let last = ends.ilog2() as usize;
            ends ^= 1 << last;
            let mut hasher = before.clone();
            hasher.write(&block[..=last]);
            let text = &path[..=start + last];
            let found = self.slots.find(slots, hasher.finish(), |place| self.is_node_of(place, text));
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Whether the node at this place has this text.
    #[inline]
    fn is_node_of(&self, place: u32, text: &[u8]) -> bool {
        let bytes = &self.bytes[place as usize..];
        // By the question's length, which is known before the node is read.
        let stored = || bytes.get(Node::HEAD..Node::HEAD + text.len());
        (word(bytes) & LENGTH) as usize == text.len() && stored().is_some_and(|stored| same::<FOLD>(stored, text))
    }

    #[inline]
    fn node(&self, place: u32) -> Node<'_> {
        let bytes = &self.bytes[place as usize..];
        let head = word(bytes);
        let (text, rest) = bytes[Node::HEAD..].split_at((head & LENGTH) as usize);
        Node { flags: head & !LENGTH, rule: word(&bytes[4..]), text, rest }
    }
}

/// The first bytes of a text, which order as the texts do unless they are the same.
fn first_bytes(text: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    let count = text.len().min(16);
    bytes[..count].copy_from_slice(&text[..count]);
    u128::from_be_bytes(bytes)
}

/// How much of a path the text must be for the only rule. The empty text is the beginning of everything.
fn extent_flags(rule: &Filed<'_>) -> u32 {
    match rule.extent {
        Extent::Elements if !rule.text.is_empty() => ENDS | SLASH,
        Extent::Elements | Extent::Text => ENDS | SLASH | GOES_ON,
        Extent::Whole => ENDS,
    }
}

impl Node<'_> {
    /// Bytes before the text.
    const HEAD: usize = 8;
    /// Most bytes beside the text.
    const LARGEST: usize = 16;

    /// Appends a node; `parent` is the place of the next node above, and the lowest rank there and above that may take a path
    /// through this node, or [`NO_RANK`].
    fn write(nodes: &mut Vec<u8>, flags: u32, rule: u32, text: &[u8], parent: Option<(u32, u32)>) {
        let flags = flags | if parent.is_some() { HAS_PARENT } else { 0 };
        nodes.extend_from_slice(&(text.len() as u32 | flags).to_ne_bytes());
        nodes.extend_from_slice(&rule.to_ne_bytes());
        nodes.extend_from_slice(text);
        if let Some((place, above)) = parent {
            nodes.extend_from_slice(&place.to_ne_bytes());
            nodes.extend_from_slice(&above.to_ne_bytes());
        }
    }

    /// Whether the text is as much of the path as the only rule asks.
    #[inline]
    fn covers(&self, path: &[u8]) -> bool {
        // How the path goes on cannot be foretold, so there are no branches. (At its end this looks at the last byte.)
        let ends = self.text.len() == path.len();
        let at = self.text.len().min(path.len().saturating_sub(1));
        let slash = path.get(at).is_some_and(|next| *next == b'/');
        let here = if ends { ENDS } else { GOES_ON | (u32::from(slash) * SLASH) };
        self.flags & here != 0
    }

    /// The place of the next node above, if some rule there or above ranks below `best`, or [`NO_NODE`].
    #[inline]
    fn above(&self, best: u32) -> u32 {
        if self.flags & HAS_PARENT != 0 && word(&self.rest[4..]) < best { word(self.rest) } else { NO_NODE }
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
