//! Where does a number lead? An array in the form of a tree, of which copies share what did not change.

use alloc::sync::Arc;
use alloc::vec::Vec;

/// Bits of a place that one level of the tree takes. Wide and flat: a look-up follows two pointers to any of 65,536
/// leaves, a change copies some 4 kB a level.
const BITS: u32 = 8;
const FANOUT: usize = 1 << BITS;

/// A radix tree whose leaves, all on one level, are slices.
///
/// A copy costs a reference count. A change copies the way to one leaf, unless nobody shares it.
#[derive(Clone, Debug)]
pub(crate) enum Tree<T> {
    Branch {
        /// By how many bits a place is shifted to find its child.
        shift: u32,
        children: Arc<[Tree<T>]>,
    },
    Leaves(Arc<[Arc<[T]>]>),
}

impl<T> Tree<T> {
    /// A tree over these leaves, in their order.
    pub(crate) fn of(leaves: Vec<Arc<[T]>>) -> Tree<T> {
        let mut level: Vec<Tree<T>> = groups(leaves).map(Tree::Leaves).collect();
        let mut shift = BITS;
        while level.len() > 1 {
            level = groups(level).map(|children| Tree::Branch { shift, children }).collect();
            shift += BITS;
        }
        level.pop().unwrap_or_else(Tree::empty)
    }

    pub(crate) fn empty() -> Tree<T> {
        Tree::Leaves(Arc::new([]))
    }

    /// The leaf at a place; an empty one where there is none.
    #[inline]
    pub(crate) fn leaf(&self, place: usize) -> &[T] {
        let mut node = self;
        loop {
            match node {
                Tree::Leaves(leaves) => return leaves.get(place & (FANOUT - 1)).map_or(&[], |leaf| leaf),
                Tree::Branch { shift, children } => match children.get((place >> shift) & (FANOUT - 1)) {
                    Some(child) => node = child,
                    None => return &[],
                },
            }
        }
    }

    /// All leaves in order.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = &Arc<[T]>> {
        let mut way = Vec::from([core::slice::from_ref(self).iter()]);
        let levels = core::iter::from_fn(move || {
            loop {
                match way.last_mut()?.next() {
                    Some(Tree::Leaves(leaves)) => return Some(leaves.iter()),
                    Some(Tree::Branch { children, .. }) => way.push(children.iter()),
                    None => {
                        way.pop();
                    }
                }
            }
        });
        levels.flatten()
    }
}

impl<T: Clone> Tree<T> {
    /// The leaf at a place, to be changed: it and the way to it become this tree's own. `None` where there is none.
    pub(crate) fn leaf_mut(&mut self, place: usize) -> Option<&mut Arc<[T]>> {
        match self {
            Tree::Leaves(leaves) => Arc::make_mut(leaves).get_mut(place & (FANOUT - 1)),
            Tree::Branch { shift, children } => {
                let at = (place >> *shift) & (FANOUT - 1);
                Arc::make_mut(children).get_mut(at)?.leaf_mut(place)
            }
        }
    }

    /// Appends a leaf; `count` are there.
    pub(crate) fn push(&mut self, count: usize, leaf: Arc<[T]>) {
        if let Some(shift) = self.full(count) {
            let old = core::mem::replace(self, Tree::empty());
            *self = Tree::Branch { shift, children: Arc::new([old]) };
        }
        match self {
            Tree::Leaves(leaves) => *leaves = leaves.iter().cloned().chain([leaf]).collect(),
            Tree::Branch { shift, children } => {
                let (at, below) = (count >> *shift, count & ((1 << *shift) - 1));
                match Arc::make_mut(children).get_mut(at) {
                    Some(child) => child.push(below, leaf),
                    None => *children = children.iter().cloned().chain([Tree::chain(*shift, leaf)]).collect(),
                }
            }
        }
    }

    /// The shift of the level above, if there is no room below this node for another leaf.
    fn full(&self, count: usize) -> Option<u32> {
        let above = match self {
            Tree::Leaves(_) => BITS,
            Tree::Branch { shift, .. } => shift + BITS,
        };
        (count >> above > 0).then_some(above)
    }

    /// A single leaf below a branch with this shift.
    fn chain(shift: u32, leaf: Arc<[T]>) -> Tree<T> {
        match shift - BITS {
            0 => Tree::Leaves(Arc::new([leaf])),
            shift => Tree::Branch { shift, children: Arc::new([Tree::chain(shift, leaf)]) },
        }
    }
}

fn groups<T>(items: Vec<T>) -> impl Iterator<Item = Arc<[T]>> {
    let mut rest = items.into_iter();
    core::iter::from_fn(move || {
        let group: Arc<[T]> = rest.by_ref().take(FANOUT).collect();
        (!group.is_empty()).then_some(group)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushed_or_built_a_tree_holds_its_leaves_in_order() {
        for count in [0, 1, FANOUT, FANOUT + 1, 3 * FANOUT, FANOUT * FANOUT + 1] {
            let leaves: Vec<Arc<[usize]>> = (0..count).map(|i| Arc::from([i])).collect();
            let built = Tree::of(leaves.clone());
            let mut pushed = Tree::empty();
            for (i, leaf) in leaves.into_iter().enumerate() {
                pushed.push(i, leaf);
            }
            for tree in [&built, &pushed] {
                assert!(tree.leaves().map(|leaf| leaf[0]).eq(0..count));
                assert!((0..count).all(|i| *tree.leaf(i) == [i]));
            }
            if count > 0 {
                let before = built.clone();
                let mut changed = built;
                *changed.leaf_mut(count - 1).unwrap() = Arc::from([7_000_000]);
                assert_eq!((changed.leaf(count - 1)[0], before.leaf(count - 1)[0]), (7_000_000, count - 1));
            }
        }
    }
}
