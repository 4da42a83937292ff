//! How does a record name something without a copy? A name in two pieces, borrowed from two places.

use std::fmt;

use crate::name::{Label, Labels, MAX_WIRE, Name, NameRef, display};

/// A name in two borrowed pieces: labels of its own in front of an existing name.
///
/// Records are handed out with such names, so that `db-0.db.shop.svc` of the table and `CLUSTER.local.` of the question
/// make one name without a copy.
#[derive(Clone, Copy)]
pub struct JoinedName<'a> {
    /// Whole labels in wire form, without a final zero octet.
    head: &'a [u8],
    tail: NameRef<'a>,
}

impl<'a> JoinedName<'a> {
    /// `head` in front of `tail`, or `None` if the name would be longer than 255 octets.
    pub fn new(head: NameRef<'a>, tail: NameRef<'a>) -> Option<Self> {
        Self::from_head(head.labels_wire(), tail)
    }

    /// As [`JoinedName::new`], from labels in wire form.
    pub(crate) fn from_head(head: &'a [u8], tail: NameRef<'a>) -> Option<Self> {
        (head.len() + tail.as_wire().len() <= MAX_WIRE).then_some(Self { head, tail })
    }

    /// The labels from left to right.
    pub fn labels(self) -> impl Iterator<Item = Label<'a>> {
        Labels::over(self.head).chain(self.tail.labels())
    }

    /// The two pieces in wire form: whole labels, and the rest with its final zero octet.
    pub fn as_wire(self) -> (&'a [u8], &'a [u8]) {
        (self.head, self.tail.as_wire())
    }
}

impl From<JoinedName<'_>> for Name {
    fn from(name: JoinedName<'_>) -> Self {
        Self::joined(name.head, name.tail)
    }
}

impl<'a> From<NameRef<'a>> for JoinedName<'a> {
    fn from(tail: NameRef<'a>) -> Self {
        Self { head: &[], tail }
    }
}

impl<'a> From<&'a Name> for JoinedName<'a> {
    fn from(name: &'a Name) -> Self {
        name.as_ref().into()
    }
}

impl fmt::Display for JoinedName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self.labels(), f)
    }
}

impl fmt::Debug for JoinedName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl PartialEq for JoinedName<'_> {
    fn eq(&self, other: &Self) -> bool {
        let lower = |name: Self| name.head.iter().chain(name.tail.as_wire()).map(u8::to_ascii_lowercase);
        lower(*self).eq(lower(*other))
    }
}

impl Eq for JoinedName<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_names_equal_by_labels_wherever_they_are_cut() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let (a, bc, ab, c) = (name("a"), name("b.c"), name("A.B"), name("C"));
        let one = JoinedName::new(a.as_ref(), bc.as_ref()).unwrap();
        let two = JoinedName::new(ab.as_ref(), c.as_ref()).unwrap();
        assert_eq!(one, two);
        assert_eq!(Name::from(one), Name::from(two));
        assert_ne!(one, JoinedName::from(bc.as_ref()));
        assert_eq!(two.to_string(), "A.B.C.");
    }
}
