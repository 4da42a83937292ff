//! What is stored under a number? A vector with holes, of which copies share what did not change.

use super::tree::Tree;
use alloc::sync::Arc;

/// Values on a page.
const PAGE: usize = 32;

/// Values by number, in pages: a change copies one page and the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Pages<T> {
    pages: Tree<Option<T>>,
    /// How many numbers were given, those whose values were taken included.
    len: usize,
}

impl<T> Pages<T> {
    pub(crate) fn new() -> Pages<T> {
        Pages { pages: Tree::empty(), len: 0 }
    }

    pub(crate) fn get(&self, number: usize) -> Option<&T> {
        self.place(number)?.as_ref()
    }

    /// Where a value lies or lay; nothing of it is touched.
    #[inline]
    pub(crate) fn place(&self, number: usize) -> Option<&Option<T>> {
        self.pages.leaf(number / PAGE).get(number % PAGE)
    }

    /// The next number.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All places, by number.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Option<T>> {
        self.pages.leaves().flat_map(|page| page.iter())
    }
}

impl<T: Clone> Pages<T> {
    /// Stores a value under the next number.
    pub(crate) fn push(&mut self, value: T) {
        if self.len.is_multiple_of(PAGE) {
            self.pages.push(self.len / PAGE, (0..PAGE).map(|_| None).collect());
        }
        self.len += 1;
        if let Some(slot) = self.slot(self.len - 1) {
            *slot = Some(value);
        }
    }

    /// The place of a number that was given.
    pub(crate) fn slot(&mut self, number: usize) -> Option<&mut Option<T>> {
        Arc::make_mut(self.pages.leaf_mut(number / PAGE)?).get_mut(number % PAGE)
    }
}
