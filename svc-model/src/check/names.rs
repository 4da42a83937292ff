//! Is this text a name of that kind? The formats of Kubernetes names, each a function with a precise error.
//!
//! They are those of [Object Names and IDs] and [Labels and Selectors] of the Kubernetes documentation. Lengths are
//! counted in bytes, as the API server does. Every function costs O(length).
//!
//! ```
//! use svc_model::check::names;
//! assert!(names::dns_1035_label("cart-2").is_ok());
//! assert_eq!(
//!     names::dns_1035_label("2nd").unwrap_err().to_string(),
//!     "\"2nd\" is no DNS-1035 label: it begins with '2', not with a-z",
//! );
//! ```
//!
//! [Object Names and IDs]: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
//! [Labels and Selectors]: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/

use std::fmt;

use super::report::Shown;

/// Why a text is not the name it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    value: String,
    format: &'static str,
    fault: NameFault,
}

impl NameError {
    /// The text, cut to 64 characters.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What is wrong with it.
    pub fn fault(&self) -> &NameFault {
        &self.fault
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no {}: {}", Shown(&self.value), self.format, self.fault)
    }
}

impl std::error::Error for NameError {}

/// What is wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameFault {
    /// There is nothing, or nothing between two separators.
    Empty,
    /// It is longer than `max` bytes.
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The most there may be.
        max: usize,
    },
    /// A character that may be nowhere in it.
    Character {
        /// The character.
        found: char,
        /// What may be there.
        allowed: &'static str,
    },
    /// A character that may not be first.
    First {
        /// The character.
        found: char,
        /// What may be there.
        allowed: &'static str,
    },
    /// A character that may not be last.
    Last {
        /// The character.
        found: char,
        /// What may be there.
        allowed: &'static str,
    },
    /// No letter in it.
    NoLetter,
    /// Two hyphens in a row.
    DoubleHyphen,
    /// More than one slash.
    TwoSlashes,
    /// Only one label, where a full name is asked for.
    OneLabel,
    /// `.`, `..`, or a text that begins with `..`, which would be a path.
    Dots,
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameFault::Empty => f.write_str("a part of it is empty"),
            NameFault::TooLong { length, max } => write!(f, "it has {length} bytes, at most {max} are allowed"),
            NameFault::Character { found, allowed } => write!(f, "it holds {found:?}, allowed are {allowed}"),
            NameFault::First { found, allowed } => write!(f, "it begins with {found:?}, not with {allowed}"),
            NameFault::Last { found, allowed } => write!(f, "it ends with {found:?}, not with {allowed}"),
            NameFault::NoLetter => f.write_str("it needs at least one letter"),
            NameFault::DoubleHyphen => f.write_str("it holds two hyphens in a row"),
            NameFault::TwoSlashes => f.write_str("it holds more than one slash"),
            NameFault::OneLabel => f.write_str("it needs at least two labels with a dot between them"),
            NameFault::Dots => f.write_str("it may not be or begin with two dots, or be one dot"),
        }
    }
}

/// A DNS-1123 label: 1 to 63 of `a-z`, `0-9`, `-`, alphanumeric at both ends. Namespaces, port names of Services.
pub fn dns_1123_label(text: &str) -> Result<(), NameError> {
    run(text, 63, &LABEL).map_err(error(text, "DNS-1123 label"))
}

/// A DNS-1035 label: as [`dns_1123_label`], but a letter first. Names of Services.
pub fn dns_1035_label(text: &str) -> Result<(), NameError> {
    run(text, 63, &LABEL_1035).map_err(error(text, "DNS-1035 label"))
}

/// A DNS-1123 subdomain: labels with dots between them, at most 253 bytes; a label may be longer than 63. Names of most
/// objects.
pub fn dns_1123_subdomain(text: &str) -> Result<(), NameError> {
    subdomain(text).map_err(error(text, "DNS-1123 subdomain"))
}

/// A domain name of two labels or more, each a [`dns_1123_label`]; one final dot is allowed. Addresses of FQDN slices.
pub fn full_domain_name(text: &str) -> Result<(), NameError> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let check = || {
        subdomain(name)?;
        if !name.contains('.') {
            return Err(NameFault::OneLabel);
        }
        name.split('.').try_for_each(|label| run(label, 63, &LABEL))
    };
    check().map_err(error(text, "full domain name"))
}

/// An IANA service name (RFC 6335, section 5.1): 1 to 15 of `a-z`, `0-9`, `-`, at least one letter, no hyphen at an end
/// or beside another. Port names of containers, and target ports by name.
pub fn iana_service_name(text: &str) -> Result<(), NameError> {
    let check = || {
        run(text, 15, &LABEL)?;
        if text.contains("--") {
            return Err(NameFault::DoubleHyphen);
        }
        if !text.bytes().any(|b| b.is_ascii_lowercase()) {
            return Err(NameFault::NoLetter);
        }
        Ok(())
    };
    check().map_err(error(text, "IANA service name"))
}

/// A qualified name, `[prefix/]name`: the prefix a [`dns_1123_subdomain`], the name 1 to 63 of `A-Z`, `a-z`, `0-9`, `-`,
/// `_`, `.`, alphanumeric at both ends. Keys of labels, application protocols.
pub fn qualified_name(text: &str) -> Result<(), NameError> {
    let check = || {
        let name = match text.split_once('/') {
            Some((_, rest)) if rest.contains('/') => return Err(NameFault::TwoSlashes),
            Some((prefix, name)) => subdomain(prefix).map(|()| name)?,
            None => text,
        };
        run(name, 63, &QUALIFIED)
    };
    check().map_err(error(text, "qualified name"))
}

/// The key of an annotation: a [`qualified_name`] whose prefix may have capitals.
pub fn annotation_key(text: &str) -> Result<(), NameError> {
    qualified_name(&text.to_ascii_lowercase()).map_err(|e| NameError { format: "annotation key", ..e })
}

/// The value of a label: empty, or 1 to 63 of `A-Z`, `a-z`, `0-9`, `-`, `_`, `.`, alphanumeric at both ends.
pub fn label_value(text: &str) -> Result<(), NameError> {
    if text.is_empty() { Ok(()) } else { run(text, 63, &QUALIFIED).map_err(error(text, "label value")) }
}

/// The key of a ConfigMap or Secret: 1 to 253 of `A-Z`, `a-z`, `0-9`, `-`, `_`, `.`; no path upwards.
pub fn config_key(text: &str) -> Result<(), NameError> {
    let check = || {
        run(text, 253, &CONFIG_KEY)?;
        if text == "." || text.starts_with("..") { Err(NameFault::Dots) } else { Ok(()) }
    };
    check().map_err(error(text, "ConfigMap key"))
}

/// Which characters may stand where.
struct Alphabet {
    first: (fn(u8) -> bool, &'static str),
    inner: (fn(u8) -> bool, &'static str),
    last: (fn(u8) -> bool, &'static str),
}

const LOWER_OR_DIGIT: (fn(u8) -> bool, &str) = (lower_or_digit, "a-z or 0-9");
const LABEL: Alphabet = Alphabet {
    first: LOWER_OR_DIGIT,
    inner: (|b| lower_or_digit(b) || b == b'-', "a-z, 0-9 and '-'"),
    last: LOWER_OR_DIGIT,
};
const LABEL_1035: Alphabet = Alphabet { first: (|b| b.is_ascii_lowercase(), "a-z"), ..LABEL };
const ALPHANUMERIC: (fn(u8) -> bool, &str) = (|b| b.is_ascii_alphanumeric(), "a letter or digit");
const ANY_NAME: (fn(u8) -> bool, &str) = (any_name, "A-Z, a-z, 0-9, '-', '_' and '.'");
const QUALIFIED: Alphabet = Alphabet { first: ALPHANUMERIC, inner: ANY_NAME, last: ALPHANUMERIC };
const CONFIG_KEY: Alphabet = Alphabet { first: ANY_NAME, inner: ANY_NAME, last: ANY_NAME };

fn lower_or_digit(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn any_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')
}

fn run(text: &str, max: usize, alphabet: &Alphabet) -> Result<(), NameFault> {
    let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
        return Err(NameFault::Empty);
    };
    let allows = |rule: fn(u8) -> bool, found: char| found.is_ascii() && rule(found as u8);
    if text.len() > max {
        return Err(NameFault::TooLong { length: text.len(), max });
    }
    if let Some(found) = text.chars().find(|c| !allows(alphabet.inner.0, *c)) {
        return Err(NameFault::Character { found, allowed: alphabet.inner.1 });
    }
    if !allows(alphabet.first.0, first) {
        return Err(NameFault::First { found: first, allowed: alphabet.first.1 });
    }
    if !allows(alphabet.last.0, last) {
        return Err(NameFault::Last { found: last, allowed: alphabet.last.1 });
    }
    Ok(())
}

fn subdomain(text: &str) -> Result<(), NameFault> {
    if text.len() > 253 {
        return Err(NameFault::TooLong { length: text.len(), max: 253 });
    }
    text.split('.').try_for_each(|label| run(label, 253, &LABEL))
}

fn error(text: &str, format: &'static str) -> impl FnOnce(NameFault) -> NameError {
    move |fault| NameError { value: text.chars().take(64).collect(), format, fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&str) -> Result<(), NameError>;

    fn accepts(rule: Rule, texts: &[&str]) {
        for text in texts {
            assert_eq!(rule(text), Ok(()), "{text}");
        }
    }

    fn refuses(rule: Rule, texts: &[&str]) {
        for text in texts {
            assert!(rule(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn labels_are_lower_case_with_alphanumeric_ends() {
        let longest = "s".repeat(63);
        accepts(dns_1123_label, &["a", "0", "a-b", "80", "a--b", &longest]);
        refuses(dns_1123_label, &["", "-a", "a-", "A", "a.b", "a_b", "a b", "é", "a\n", &"s".repeat(64)]);
        accepts(dns_1035_label, &["a", "a0", "a-b", &longest]);
        refuses(dns_1035_label, &["", "1a", "-a", "a-", "A", "a.b", &"s".repeat(64)]);
    }

    #[test]
    fn subdomains_are_limited_as_a_whole_only() {
        accepts(dns_1123_subdomain, &["a", "a.b", "1.2.3.4", &"a".repeat(253)]);
        refuses(dns_1123_subdomain, &["", ".", "a.", ".a", "a..b", "a_b.c", "a.-b", &"a".repeat(254)]);
    }

    #[test]
    fn full_domain_names_have_two_labels_of_63() {
        accepts(full_domain_name, &["a.b", "a.b.", "db.example.com"]);
        refuses(
            full_domain_name,
            &["", ".", "a", "a.", "my_db.example.com", "a.b..", &format!("{}.b", "a".repeat(64))],
        );
    }

    #[test]
    fn iana_names_have_a_letter_and_fifteen_bytes() {
        accepts(iana_service_name, &["http", "a", "8a", "a-b-c", "abcdefghijklmno"]);
        refuses(iana_service_name, &["", "80", "Http", "a--b", "-a", "a-", "a_b", "abcdefghijklmnop"]);
    }

    #[test]
    fn qualified_names_have_at_most_one_prefix() {
        accepts(qualified_name, &["app", "App_1.x", "a.b/c", "kubernetes.io/h2c"]);
        refuses(qualified_name, &["", "/", "a/", "/a", "a/b/c", "A.b/c", "my note", "-a", "a.b/c d", &"a".repeat(64)]);
        accepts(annotation_key, &["A.b/c", "Note"]);
        refuses(annotation_key, &["my note", "a/b/c", ""]);
    }

    #[test]
    fn label_values_may_be_empty() {
        accepts(label_value, &["", "a", "A_b.c-1"]);
        refuses(label_value, &["my app", "-a", "a/b", &"a".repeat(64)]);
    }

    #[test]
    fn config_keys_are_no_paths() {
        accepts(config_key, &["a", "A.b_c-d", "-", ".a", "a..", &"k".repeat(253)]);
        refuses(config_key, &["", "a b", "a/b", ".", "..", "..a", &"k".repeat(254)]);
    }

    #[test]
    fn errors_say_what_is_wrong_and_what_is_allowed() {
        for (rule, text, message) in [
            (iana_service_name as Rule, "80", "\"80\" is no IANA service name: it needs at least one letter"),
            (dns_1123_label, "a.b", "\"a.b\" is no DNS-1123 label: it holds '.', allowed are a-z, 0-9 and '-'"),
            (dns_1035_label, "a-", "\"a-\" is no DNS-1035 label: it ends with '-', not with a-z or 0-9"),
        ] {
            assert_eq!(rule(text).unwrap_err().to_string(), message);
        }
    }
}
