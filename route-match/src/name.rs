//! Is this text a DNS name? Eight bytes at a time, since every request asks.

use crate::host::HostFault;

/// Longest name in bytes, without a trailing dot (RFC 1035, 2.3.4).
pub(crate) const MAX_NAME: usize = 253;
/// Longest label in bytes.
const MAX_LABEL: usize = 63;

/// Whether this is a name: labels of 1..=63 letters, digits, `-` and `_`, none starting or ending with `-`, 253 bytes in
/// all, the last label not all digits.
pub(crate) fn is_name(name: &[u8]) -> bool {
    let (Some(last), true) = (name.last(), has_labels(name)) else { return false };
    let is_short = || name.len() <= MAX_NAME && name.split(|b| *b == b'.').all(|label| label.len() <= MAX_LABEL);
    (name.len() <= MAX_LABEL || is_short()) && !(last.is_ascii_digit() && ends_in_number(name))
}

/// Whether the last label is all digits.
pub(crate) fn ends_in_number(name: &[u8]) -> bool {
    name.rsplit(|b| *b == b'.').next().unwrap_or_default().iter().all(u8::is_ascii_digit)
}

/// What keeps a text that is no name from being one.
pub(crate) fn name_fault(name: &str) -> HostFault {
    if name.is_empty() {
        return HostFault::Empty;
    }
    if name.len() > MAX_NAME {
        return HostFault::TooLong;
    }
    for label in name.split('.') {
        if let Some(bad) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-' && *c != '_') {
            return HostFault::Character(bad);
        }
        match label.as_bytes() {
            [] => return HostFault::EmptyLabel,
            [b'-', ..] | [.., b'-'] => return HostFault::Hyphen,
            bytes if bytes.len() > MAX_LABEL => return HostFault::LabelTooLong,
            _ => {}
        }
    }
    HostFault::NumericEnd
}

/// Whether all bytes are of names, no label is empty, and none starts or ends with a hyphen. The empty text has none.
fn has_labels(name: &[u8]) -> bool {
    // A name begins as after a dot and ends as before one.
    let mut before = Kinds { other: 0, dots: HIGHEST, hyphens: 0 };
    let mut faults = 0;
    let (words, rest) = name.as_chunks::<8>();
    for word in words {
        let kinds = Kinds::of(u64::from_le_bytes(*word));
        faults |= kinds.faults_after(&before);
        before = kinds;
    }
    // What is left, and a dot for the end.
    let mut word = [b'.'; 8];
    word[..rest.len()].copy_from_slice(rest);
    // Of the dots that fill the word only the first is part of it.
    let filling = u64::MAX << 8 << (8 * rest.len());
    faults |= Kinds::of(u64::from_le_bytes(word)).faults_after(&before) & !filling;
    faults == 0
}

/// The highest bit of each byte.
const HIGH: u64 = repeat(0x80);
/// The highest bit of the last byte.
const HIGHEST: u64 = 1 << 63;

/// What the bytes of a word are: each has its highest bit set in one of these, or in none if any label may hold it.
struct Kinds {
    /// Bytes that no name holds.
    other: u64,
    dots: u64,
    hyphens: u64,
}

impl Kinds {
    /// The kinds of the eight bytes of a word in little-endian order.
    #[inline]
    fn of(word: u64) -> Self {
        // Sums stay within their bytes, since they are below 0x80 twice; those that were not are judged by their highest bit.
        let low = word & !HIGH;
        let at_least = |text: u64, byte: u8| text + repeat(0x80 - byte);
        let within = |text: u64, first: u8, last: u8| at_least(text, first) & !at_least(text, last + 1);
        let is = |byte: u8| !((low ^ repeat(byte)) + repeat(0x7f)) & HIGH;
        let (dots, hyphens) = (is(b'.') & !word, is(b'-') & !word);
        // Letters of either case are the same but for this bit, and nothing else becomes one.
        let plain = within(low | repeat(0x20), b'a', b'z') | within(low, b'0', b'9') | is(b'_');
        Self { other: (!plain | word) & HIGH & !(dots | hyphens), dots, hyphens }
    }

    /// A bit at each byte that no name holds, or that may not follow the one before it.
    #[inline]
    fn faults_after(&self, before: &Self) -> u64 {
        let after_dot = self.dots << 8 | before.dots >> 56;
        let after_hyphen = self.hyphens << 8 | before.hyphens >> 56;
        self.other | after_dot & (self.dots | self.hyphens) | after_hyphen & self.dots
    }
}

/// A word of eight times this byte.
const fn repeat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_is_of_the_right_kind_wherever_it_stands() {
        for byte in 0..=255u8 {
            let expected = byte.is_ascii_alphanumeric() || byte == b'_';
            for at in 1..19 {
                let mut name = [b'a'; 20];
                name[at] = byte;
                assert_eq!(is_name(&name), expected || matches!(byte, b'-' | b'.'), "{byte} at {at}");
            }
            assert_eq!(is_name(&[byte, b'a']), expected, "{byte}");
            assert_eq!(is_name(&[b'a', byte]), expected, "{byte}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn words_find_what_labels_show(
            text in "[aZ09_.-]{0,8}|([aB-]{1,6}\\.?){0,6}|[a-z]{62,65}(\\.[a-z0-9]{62,65}){0,4}|\\PC{0,6}",
        ) {
            let by_labels = !text.is_empty()
                && text.len() <= MAX_NAME
                && text.split('.').all(|label| {
                    (1..=MAX_LABEL).contains(&label.len())
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                })
                && !ends_in_number(text.as_bytes());
            prop_assert_eq!(is_name(text.as_bytes()), by_labels);
            // What is refused has a fault other than ending in a number, unless it does.
            prop_assert!(by_labels || name_fault(&text) != HostFault::NumericEnd || ends_in_number(text.as_bytes()));
        }
    }
}
