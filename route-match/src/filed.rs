//! What does an index keep of a rule? Its rank, and what its place in the index leaves open.

use crate::condition::Condition;

/// No rule.
pub(crate) const NO_RANK: u32 = u32::MAX;

/// A rule as it is filed in an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filed<'p> {
    /// Every path that the rule takes begins with this.
    pub(crate) text: &'p [u8],
    pub(crate) extent: Extent,
    pub(crate) rank: Rank,
    pub(crate) conditions: &'p [Condition],
}

/// How much of a path a text must cover for the rule to take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extent {
    /// Any beginning.
    Text,
    /// A beginning that ends before a slash, or all. The empty text is the beginning of everything.
    Elements,
    /// All.
    Whole,
}

impl Extent {
    /// Whether a text with which the path begins is this much of it.
    #[inline]
    pub(crate) fn covers(self, text: &[u8], path: &[u8]) -> bool {
        let next = path.get(text.len());
        match self {
            Self::Text => true,
            Self::Elements => text.is_empty() || next.is_none_or(|next| *next == b'/'),
            Self::Whole => next.is_none(),
        }
    }
}

/// A rule's rank, below 2^30, and whether its pattern and its conditions have yet to be asked, in one word. Orders by rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(pub(crate) u32);

impl Rank {
    pub(crate) fn new(rank: u32, ask_pattern: bool, ask_conditions: bool) -> Self {
        Self::asking(rank, u32::from(ask_pattern) << 1 | u32::from(ask_conditions))
    }

    /// A rank with what another [`asks`](Self::asks).
    #[inline]
    pub(crate) fn asking(rank: u32, asks: u32) -> Self {
        Self(rank << 2 | asks)
    }

    /// What has to be asked, as two bits.
    #[inline]
    pub(crate) fn asks(self) -> u32 {
        self.0 & 3
    }

    #[inline]
    pub(crate) fn rank(self) -> u32 {
        self.0 >> 2
    }

    #[inline]
    pub(crate) fn asks_pattern(self) -> bool {
        self.0 & 2 != 0
    }

    #[inline]
    pub(crate) fn asks_conditions(self) -> bool {
        self.0 & 1 != 0
    }

    /// The same when the pattern has been asked.
    #[inline]
    pub(crate) fn with_pattern_asked(self) -> Self {
        Self(self.0 & !2)
    }

    /// Whether nothing has to be asked.
    #[inline]
    pub(crate) fn is_settled(self) -> bool {
        self.asks() == 0
    }

    /// The first of these ascending ranks that is accepted, if it is below `best`, else `best`.
    #[inline]
    pub(crate) fn first(ranks: impl Iterator<Item = Self>, best: u32, accepts: &mut impl FnMut(Self) -> bool) -> u32 {
        for rank in ranks {
            if rank.rank() >= best {
                break;
            }
            if rank.is_settled() || accepts(rank) {
                return rank.rank();
            }
        }
        best
    }
}
