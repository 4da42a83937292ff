//! How much of a hostile value does an error carry? The value, cut to a bound.

use std::fmt;

/// Bytes of a value that an error keeps.
const MAX: usize = 128;

/// An offending value as an error keeps it: cut to 128 bytes, shown quoted and escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    text: Box<str>,
    cut: bool,
}

impl Excerpt {
    pub(crate) fn of(text: &str) -> Self {
        let mut end = text.len().min(MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self { text: text[..end].into(), cut: end < text.len() }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{}", self.text, if self.cut { "..." } else { "" })
    }
}
