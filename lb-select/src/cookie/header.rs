//! What cookies does a request bring?

/// The cookies of a `Cookie` header (RFC 6265, section 5.4), as name and value in order, any bytes as they are.
///
/// What has no `=` is left out, spaces around names and values are cut, and a value in double quotes is given without
/// them. O(length), no allocation.
///
/// ```
/// use lb_select::cookie::cookies;
///
/// let found: Vec<_> = cookies(b"a=1; route=\"x\"; odd").collect();
/// assert_eq!(found, [(&b"a"[..], &b"1"[..]), (b"route", b"x")]);
/// ```
pub fn cookies(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    header.split(|&byte| byte == b';').filter_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
        let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
        Some((name, bare))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn odd_headers_lose_nothing_that_can_be_read() {
        let read = |header: &'static str| cookies(header.as_bytes()).collect::<Vec<_>>();
        assert_eq!(read("a=b=c"), [(&b"a"[..], &b"b=c"[..])]);
        assert_eq!(read(" a = 1 ;;=2;\"b\"=\""), [(&b"a"[..], &b"1"[..]), (b"", b"2"), (b"\"b\"", b"\"")]);
        assert!(read("").is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_and_names_and_values_are_parts_of_it(header in proptest::collection::vec(any::<u8>(), 0..80)) {
            for (name, value) in cookies(&header) {
                prop_assert!(!name.contains(&b'=') && !name.contains(&b';') && !value.contains(&b';'));
                prop_assert!(name.len() + value.len() < header.len());
            }
        }
    }
}
