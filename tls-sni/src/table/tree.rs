//! Where does a number lead? An array in the form of a tree, of which copies share what did not change.

use alloc::sync::Arc;
use alloc::vec::Vec;

/// Bits of a place that one level of the tree takes.
const BITS: u32 = 5;
/// Children of a branch.
pub(crate) const FANOUT: usize = 1 << BITS;

/// A radix tree of `FANOUT^depth` leaves, all on one level, each a slice.
///
/// A copy costs a reference count. A change copies the branches on the way to one leaf, unless nobody shares them.
#[derive(Clone, Debug)]
pub(crate) enum Tree<T> {
    Branch(Arc<[Tree<T>]>),
    Leaf(Arc<[T]>),
}

impl<T> Tree<T> {
    /// A tree over these leaves, in their order.
    pub(crate) fn of(leaves: Vec<Arc<[T]>>) -> Tree<T> {
        let mut level: Vec<Tree<T>> = leaves.into_iter().map(Tree::Leaf).collect();
        while level.len() > 1 {
            let mut rest = level.into_iter();
            level = core::iter::from_fn(|| {
                let children: Arc<[Tree<T>]> = rest.by_ref().take(FANOUT).collect();
                (!children.is_empty()).then_some(Tree::Branch(children))
            })
            .collect();
        }
        level.pop().unwrap_or_else(Tree::empty)
    }

    pub(crate) fn empty() -> Tree<T> {
        Tree::Leaf(Arc::new([]))
    }

    /// The leaf at a place below a root of `depth` levels; an empty one where there is none.
    pub(crate) fn leaf(&self, place: usize, depth: u32) -> &[T] {
        let mut node = self;
        let mut shift = depth * BITS;
        loop {
            match node {
                Tree::Leaf(leaf) => return leaf,
                Tree::Branch(children) => {
                    shift = shift.saturating_sub(BITS);
                    match children.get((place >> shift) & (FANOUT - 1)) {
                        Some(child) => node = child,
                        None => return &[],
                    }
                }
            }
        }
    }

    /// All leaves in order.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = &Arc<[T]>> {
        let mut way = Vec::from([core::slice::from_ref(self).iter()]);
        core::iter::from_fn(move || {
            loop {
                match way.last_mut()?.next() {
                    Some(Tree::Leaf(leaf)) => return Some(leaf),
                    Some(Tree::Branch(children)) => way.push(children.iter()),
                    None => {
                        way.pop();
                    }
                }
            }
        })
    }
}

impl<T: Clone> Tree<T> {
    /// The leaf at a place, to be changed: it and the branches on the way to it become this tree's own. Grows where
    /// nothing is yet; `depth` levels are as many as the largest place takes.
    pub(crate) fn leaf_mut(&mut self, place: usize, depth: u32) -> &mut Arc<[T]> {
        let mut node = self;
        for level in (0..depth).rev() {
            let at = (place >> (level * BITS)) & (FANOUT - 1);
            let children = match node {
                Tree::Branch(children) => children,
                Tree::Leaf(_) => {
                    *node = Tree::Branch(Arc::new([]));
                    match node {
                        Tree::Branch(children) => children,
                        Tree::Leaf(_) => unreachable!("a branch was written above"),
                    }
                }
            };
            if children.len() <= at {
                let missing = at + 1 - children.len();
                *children = children.iter().cloned().chain((0..missing).map(|_| Tree::empty())).collect();
            }
            node = &mut Arc::make_mut(children)[at];
        }
        match node {
            Tree::Leaf(leaf) => leaf,
            Tree::Branch(_) => unreachable!("all leaves lie on the level of the depth"),
        }
    }
}

/// The levels of branches above `leaves` leaves.
pub(crate) fn depth_of(leaves: usize) -> u32 {
    let mut depth = 0;
    while FANOUT.checked_pow(depth).is_some_and(|most| most < leaves) {
        depth += 1;
    }
    depth
}
