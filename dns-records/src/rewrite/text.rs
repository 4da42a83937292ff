//! What is a name as a text that rules can match?

use std::fmt::{self, Write};

use crate::name::NameRef;

/// Every octet of a name as `\DDD`, and the dots.
const MAX_TEXT: usize = 1024;

/// A name in lower case with its final dot, without allocation.
pub(super) struct NameText {
    octets: [u8; MAX_TEXT],
    length: usize,
}

impl NameText {
    pub(super) fn of(name: NameRef<'_>) -> Self {
        let mut text = Self { octets: [0; MAX_TEXT], length: 0 };
        // At most 253 octets in labels, four characters each, and no more dots than there is room for: it cannot fail.
        let _ = write!(text, "{name}");
        text.octets[..text.length].make_ascii_lowercase();
        text
    }

    pub(super) fn as_str(&self) -> &str {
        // Names are written in ASCII.
        std::str::from_utf8(&self.octets[..self.length]).unwrap_or_default()
    }
}

impl Write for NameText {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let end = self.length + more.len();
        self.octets.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(more.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn the_longest_names_fit() {
        for label in [b"\x00".as_slice(), b"A"] {
            let name = Name::from_labels(std::iter::repeat_n(label, 127)).unwrap();
            assert_eq!(NameText::of(name.as_ref()).as_str(), name.to_string().to_lowercase());
        }
        let long = Name::from_labels([&[0; 63], &[0; 63], &[0; 63], &[0; 61][..]]).unwrap();
        assert_eq!(NameText::of(long.as_ref()).as_str(), long.to_string());
    }
}
