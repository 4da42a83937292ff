//! What is the value of a cookie, as nginx's `$cookie_NAME` has it?

use crate::request::Headers;

/// The value of the first cookie of this name; names are compared without regard to case, and a value ends at `;` alone.
/// Nothing is decoded or unquoted.
pub(super) fn cookie<T>(headers: &dyn Headers, name: &str, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
    let mut read = Some(read);
    let mut found = None;
    headers.each("cookie", &mut |header| {
        if let Some(value) = find(header, name.as_bytes())
            && let Some(read) = read.take()
        {
            found = Some(read(value));
        }
    });
    found
}

/// nginx begins a new pair after `;` and `,` alike, but only while it looks for the name.
fn find<'h>(header: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let blanks = |text: &'h [u8]| &text[text.iter().take_while(|b| **b == b' ').count()..];
    let mut rest = header;
    loop {
        if let Some(start) = rest.get(..name.len())
            && start.eq_ignore_ascii_case(name)
            && let Some(value) = blanks(&rest[name.len()..]).strip_prefix(b"=")
        {
            let value = blanks(value);
            let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
            return Some(&value[..end]);
        }
        let next = rest.iter().position(|b| matches!(b, b';' | b','))?;
        rest = blanks(&rest[next + 1..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_counts_and_its_value_is_taken_as_it_is() {
        for (header, value) in [
            ("a=1", Some("1")),
            ("x=1; A=2; a=3", Some("2")),
            ("x=1,a=2,y", Some("2,y")),
            ("aa=1; a = 2 ; b", Some("2 ")),
            ("ab=a=1", None),
            ("a", None),
            ("a=", Some("")),
            ("", None),
            (";;a=\"q\"", Some("\"q\"")),
        ] {
            let headers = [("Cookie", header)];
            let found = cookie(&headers, "a", |value| String::from_utf8(value.to_vec()).unwrap());
            assert_eq!(found.as_deref(), value, "{header:?}");
        }
        let two = [("cookie", "b=1"), ("cookie", "a=2"), ("cookie", "a=3")];
        assert_eq!(cookie(&two, "a", <[u8]>::to_vec), Some(b"2".to_vec()));
    }
}
