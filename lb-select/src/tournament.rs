//! Which line is highest now? A tournament of lines that all rise, each at its own rate, where the highest falls back.

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// The currents of smooth weighted round robin: at time `t` (picks so far) member `i` stands at `base + weight·t`.
///
/// Members of one weight rise together, so their order only changes when one is chosen: each weight has a heap, a *class*.
/// The heads of classes are lines of different slope. A kinetic tournament (Basch, Guibas and Hershberger 1997) keeps for
/// each pair the higher one and the time until which that holds, and looks again only at pairs whose time has come.
///
/// Bases wrap. The currents themselves stay within a few sums of weights of each other, so the difference of two is exact.
#[derive(Debug, Clone)]
pub(crate) struct Tournament {
    classes: Box<[Class]>,
    /// A complete binary tree: the root is node 1, the children of node `i` are `2i` and `2i + 1`, and the leaves are the
    /// classes, from `leaves` on.
    nodes: Box<[Node]>,
    leaves: usize,
    time: u64,
    sum: i64,
}

#[derive(Debug, Clone)]
struct Class {
    weight: u32,
    waiting: BinaryHeap<Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    base: i64,
    rank: u32,
}

/// The winner among the leaves below, and the time before which no pair below has to be looked at again.
#[derive(Debug, Clone, Copy)]
struct Node {
    winner: u32,
    until: u64,
}

/// A leaf without a class.
const NOBODY: u32 = u32::MAX;
const FOREVER: u64 = u64::MAX;

impl Tournament {
    /// A tournament of members with these weights, all at 0.
    pub(crate) fn new(weights: impl Iterator<Item = u32>) -> Self {
        let mut members: Vec<(u32, u32)> = (0..).zip(weights).map(|(rank, weight)| (weight, rank)).collect();
        let sum = members.iter().map(|&(weight, _)| i64::from(weight)).sum();
        members.sort_unstable();
        let class = |members: &[(u32, u32)]| {
            let waiting: Vec<Waiting> = members.iter().map(|&(_, rank)| Waiting { base: 0, rank }).collect();
            Class { weight: members[0].0, waiting: waiting.into() }
        };
        let classes: Box<[Class]> = members.chunk_by(|a, b| a.0 == b.0).map(class).collect();
        let leaves = classes.len().next_power_of_two();
        let nodes = alloc::vec![Node { winner: NOBODY, until: FOREVER }; 2 * leaves].into();
        let mut tournament = Self { classes, nodes, leaves, time: 0, sum };
        for class in 0..tournament.classes.len() {
            tournament.nodes[leaves + class].winner = class as u32;
        }
        tournament.play_all();
        tournament
    }

    /// Starts anew from these currents, in place.
    pub(crate) fn restart(&mut self, currents: &[f64]) {
        self.time = 0;
        for class in &mut self.classes {
            let mut waiting = core::mem::take(&mut class.waiting).into_vec();
            for member in &mut waiting {
                member.base = currents[member.rank as usize] as i64; // a whole number
            }
            class.waiting = waiting.into();
        }
        self.play_all();
    }

    fn play_all(&mut self) {
        for node in (1..self.leaves).rev() {
            self.play(node);
        }
    }

    /// One pick: all rise, and the highest falls back by the sum of weights. There must be a member.
    #[inline]
    pub(crate) fn next(&mut self) -> usize {
        self.time += 1;
        if self.nodes[1].until <= self.time {
            self.look_again(1);
        }
        let class = self.nodes[1].winner as usize;
        // Every class has a member, and the tree a class.
        let Some(mut head) = self.classes[class].waiting.peek_mut() else { return 0 };
        let rank = head.rank as usize;
        head.base = head.base.wrapping_sub(self.sum);
        drop(head);
        let mut node = (self.leaves + class) / 2;
        while node > 0 {
            self.play(node);
            node /= 2;
        }
        rank
    }

    /// Plays the pairs whose time has come, those below first.
    fn look_again(&mut self, node: usize) {
        if node >= self.leaves {
            return;
        }
        for child in [2 * node, 2 * node + 1] {
            if self.nodes[child].until <= self.time {
                self.look_again(child);
            }
        }
        self.play(node);
    }

    /// Decides who of the two below is higher, and until when.
    #[inline]
    fn play(&mut self, node: usize) {
        let (left, right) = (self.nodes[2 * node], self.nodes[2 * node + 1]);
        let below = left.until.min(right.until);
        let (winner, until) = match (self.head(left.winner), self.head(right.winner)) {
            (Some(a), Some(b)) if self.beats(a, b) => (left.winner, self.overtaken(a, b)),
            (Some(a), Some(b)) => (right.winner, self.overtaken(b, a)),
            (None, Some(_)) => (right.winner, FOREVER),
            (_, None) => (left.winner, FOREVER),
        };
        self.nodes[node] = Node { winner, until: until.min(below) };
    }

    /// The weight of a class and its member that stands highest.
    #[inline]
    fn head(&self, class: u32) -> Option<(u32, Waiting)> {
        let class = self.classes.get(class as usize)?;
        Some((class.weight, *class.waiting.peek()?))
    }

    /// How far above `b` stands `a` now?
    #[inline]
    fn lead(&self, a: (u32, Waiting), b: (u32, Waiting)) -> i64 {
        let current = |(weight, waiting): (u32, Waiting)| waiting.base.wrapping_add(at(weight, self.time));
        current(a).wrapping_sub(current(b))
    }

    #[inline]
    fn beats(&self, a: (u32, Waiting), b: (u32, Waiting)) -> bool {
        let lead = self.lead(a, b);
        lead > 0 || (lead == 0 && a.1.rank < b.1.rank)
    }

    /// The time at which `b` beats `a`, which beats it now.
    #[inline]
    fn overtaken(&self, a: (u32, Waiting), b: (u32, Waiting)) -> u64 {
        let Some(gain @ 1..) = b.0.checked_sub(a.0) else { return FOREVER };
        let lead = self.lead(a, b) as u64;
        // At the same height the lower rank wins. The lead is above 0 then, or `a` would not beat `b`.
        let needed = if b.1.rank < a.1.rank { lead } else { lead + 1 };
        self.time.saturating_add(needed.div_ceil(gain.into()))
    }

    /// Where everyone stands.
    pub(crate) fn write_currents(&self, currents: &mut [f64]) {
        for class in &self.classes {
            for waiting in &class.waiting {
                currents[waiting.rank as usize] = waiting.base.wrapping_add(at(class.weight, self.time)) as f64;
            }
        }
    }
}

/// How far a line of this slope has risen, in wrapping arithmetic.
#[inline]
fn at(weight: u32, time: u64) -> i64 {
    u64::from(weight).wrapping_mul(time) as i64
}

/// Higher is greater; at the same height, the lower rank.
impl Ord for Waiting {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.base.wrapping_sub(other.base).cmp(&0).then_with(|| other.rank.cmp(&self.rank))
    }
}

impl PartialOrd for Waiting {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}
