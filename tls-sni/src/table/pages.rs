//! What is stored under a number? A vector with holes, of which copies share what did not change.

use super::tree::{FANOUT, Tree};
use alloc::sync::Arc;

/// Values by number, in pages: a change copies one page and the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Pages<T> {
    root: Tree<Option<T>>,
    depth: u32,
    /// One more than the largest number ever given.
    len: usize,
}

impl<T> Pages<T> {
    pub(crate) fn new() -> Pages<T> {
        Pages { root: Tree::empty(), depth: 0, len: 0 }
    }

    pub(crate) fn get(&self, number: usize) -> Option<&T> {
        self.root.leaf(number / FANOUT, self.depth).get(number % FANOUT)?.as_ref()
    }

    /// How many numbers were given, taken values included.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.root.leaves().flat_map(|page| page.iter()).enumerate().filter_map(|(i, value)| Some((i, value.as_ref()?)))
    }
}

impl<T: Clone> Pages<T> {
    /// Stores a value under the next number.
    pub(crate) fn push(&mut self, value: T) {
        let (page, at) = (self.len / FANOUT, self.len % FANOUT);
        if page >> (5 * self.depth) > 0 {
            let old = core::mem::replace(&mut self.root, Tree::empty());
            self.root = Tree::Branch(Arc::new([old]));
            self.depth += 1;
        }
        let leaf = self.root.leaf_mut(page, self.depth);
        if leaf.is_empty() {
            *leaf = (0..FANOUT).map(|_| None).collect();
        }
        Arc::make_mut(leaf)[at] = Some(value);
        self.len += 1;
    }

    /// The place of a number that was given.
    pub(crate) fn slot(&mut self, number: usize) -> Option<&mut Option<T>> {
        if number >= self.len {
            return None;
        }
        Arc::make_mut(self.root.leaf_mut(number / FANOUT, self.depth)).get_mut(number % FANOUT)
    }
}
