//! How are the headers of a request or response edited?

use std::fmt;

use crate::excerpt::Excerpt;

/// Edits of headers, applied in their order.
///
/// Names are lower-case tokens (RFC 9110, 5.1); values hold no control character but tab, so that no edit can end a header and
/// begin another.
///
/// ```
/// use route_match::action::HeaderEdits;
///
/// let edits = HeaderEdits::new().set("X-Env", "prod")?.add("Via", "1.1 edge")?.remove("x-debug")?;
/// let mut headers = vec![("X-Debug".to_owned(), "1".to_owned()), ("x-env".to_owned(), "test".to_owned())];
/// edits.apply(&mut headers);
/// assert_eq!(headers, [("x-env".into(), "prod".into()), ("via".into(), "1.1 edge".into())]);
/// assert!(HeaderEdits::new().set("x-a", "1\r\nx-b: 2").is_err());
/// # Ok::<(), route_match::action::HeaderError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits(Vec<HeaderEdit>);

/// One edit. Names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderEdit {
    /// The header has this value, and only this.
    Set(Box<str>, Box<str>),
    /// The header has this value beside those it has.
    Add(Box<str>, Box<str>),
    /// The header is gone.
    Remove(Box<str>),
}

/// Headers that can be edited. Names are compared without regard to case.
pub trait HeaderFields {
    /// Gives a header one value in place of all it has.
    fn set_header(&mut self, name: &str, value: &str);
    /// Gives a header one more value.
    fn add_header(&mut self, name: &str, value: &str);
    /// Takes a header away with all its values.
    fn remove_header(&mut self, name: &str);
}

impl HeaderEdits {
    /// No edits.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The same, then setting a header.
    pub fn set(self, name: &str, value: &str) -> Result<Self, HeaderError> {
        self.then(HeaderEdit::Set(header_name(name)?, header_value(value)?))
    }

    /// The same, then adding a value to a header.
    pub fn add(self, name: &str, value: &str) -> Result<Self, HeaderError> {
        self.then(HeaderEdit::Add(header_name(name)?, header_value(value)?))
    }

    /// The same, then removing a header.
    pub fn remove(self, name: &str) -> Result<Self, HeaderError> {
        self.then(HeaderEdit::Remove(header_name(name)?))
    }

    fn then(mut self, edit: HeaderEdit) -> Result<Self, HeaderError> {
        self.0.push(edit);
        Ok(self)
    }

    /// Appends the edits of another, to be applied after these.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The edits, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &HeaderEdit> {
        self.0.iter()
    }

    /// Whether nothing is edited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Edits these headers.
    pub fn apply(&self, headers: &mut (impl HeaderFields + ?Sized)) {
        for edit in &self.0 {
            match edit {
                HeaderEdit::Set(name, value) => headers.set_header(name, value),
                HeaderEdit::Add(name, value) => headers.add_header(name, value),
                HeaderEdit::Remove(name) => headers.remove_header(name),
            }
        }
    }
}

impl HeaderFields for Vec<(String, String)> {
    fn set_header(&mut self, name: &str, value: &str) {
        self.remove_header(name);
        self.add_header(name, value);
    }

    fn add_header(&mut self, name: &str, value: &str) {
        self.push((name.to_owned(), value.to_owned()));
    }

    fn remove_header(&mut self, name: &str) {
        self.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }
}

fn header_name(name: &str) -> Result<Box<str>, HeaderError> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(HeaderError::Name(Excerpt::of(name)));
    }
    Ok(name.to_ascii_lowercase().into())
}

fn header_value(value: &str) -> Result<Box<str>, HeaderError> {
    if value.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
        return Err(HeaderError::Value(Excerpt::of(value)));
    }
    Ok(value.into())
}

/// Why an edit is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is no token.
    #[error("header name {0} is not a token (RFC 9110, 5.6.2)")]
    Name(Excerpt),
    /// The value holds a control character.
    #[error("header value {0} holds a control character")]
    Value(Excerpt),
}

impl fmt::Display for HeaderEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(name, value) => write!(f, "set {name}: {value}"),
            Self::Add(name, value) => write!(f, "add {name}: {value}"),
            Self::Remove(name) => write!(f, "remove {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_applied_in_order() {
        let edits = HeaderEdits::new().add("a", "2").unwrap().set("A", "3").unwrap().add("a", "4").unwrap();
        let mut headers = vec![("a".to_owned(), "1".to_owned())];
        edits.apply(&mut headers);
        assert_eq!(headers, [("a".to_owned(), "3".to_owned()), ("a".to_owned(), "4".to_owned())]);
        edits.clone().remove("A").unwrap().apply(&mut headers);
        assert_eq!(headers, []);
    }

    #[test]
    fn no_edit_can_begin_another_header() {
        for value in ["a\r\nb: c", "a\nb", "a\0", "a\u{7f}"] {
            assert!(HeaderEdits::new().add("x", value).is_err(), "{value:?}");
        }
        for name in ["", "a b", "a:", "a\r", "ä"] {
            assert!(HeaderEdits::new().remove(name).is_err(), "{name:?}");
        }
        assert!(HeaderEdits::new().set("x", "a\tb, \"c\"; ü").is_ok());
    }
}
