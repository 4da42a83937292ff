//! Which escaped characters may a path hold? Those that a back end may take for structure are refused on request.

use std::fmt;

use crate::normalise::{PathError, PathFault};

/// A reserved character in its escaped spelling: a proxy that leaves it escaped and a back end that decodes it see
/// two different paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ReservedEscape {
    /// `%2F`
    Slash,
    /// `%5C`
    Backslash,
    /// `%00`
    Nul,
    /// `%3B`
    Semicolon,
    /// `%25`
    Percent,
    /// `%3F`
    QuestionMark,
    /// `%23`
    NumberSign,
}

impl ReservedEscape {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Slash, Self::Backslash, Self::Nul, Self::Semicolon, Self::Percent, Self::QuestionMark, Self::NumberSign];

    /// The character.
    pub fn character(self) -> char {
        match self {
            Self::Slash => '/',
            Self::Backslash => '\\',
            Self::Nul => '\0',
            Self::Semicolon => ';',
            Self::Percent => '%',
            Self::QuestionMark => '?',
            Self::NumberSign => '#',
        }
    }
}

impl fmt::Display for ReservedEscape {
    /// The escape, in upper case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{:02X}", self.character() as u32)
    }
}

/// Which [`ReservedEscape`]s a raw path may hold; a path with another is to be answered with 400.
///
/// It is asked about the path as received, before [`PathNormalisation`](crate::PathNormalisation), which decodes none of
/// them but what it forwards decoded. The switches are Traefik's `encodedCharacters`: its 3.6.4 was as
/// [`STRICT`](Self::STRICT) by default (CVE-2025-66490), other versions as [`LENIENT`](Self::LENIENT).
///
/// ```
/// use route_match::{EscapePolicy, ReservedEscape};
///
/// assert!(EscapePolicy::STRICT.check("/a%2Fb").is_err());
/// assert!(EscapePolicy::STRICT.allowing(ReservedEscape::Slash).check("/a%2fb").is_ok());
/// assert!(EscapePolicy::LENIENT.refusing(ReservedEscape::Nul).check("/a%00").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EscapePolicy {
    /// A bit for each refused escape.
    refused: u8,
}

impl EscapePolicy {
    /// All are refused.
    pub const STRICT: Self = Self { refused: 0x7f };
    /// All are allowed.
    pub const LENIENT: Self = Self { refused: 0 };

    /// The same policy, allowing this escape.
    pub const fn allowing(self, escape: ReservedEscape) -> Self {
        Self { refused: self.refused & !(1 << escape as u8) }
    }

    /// The same policy, refusing this escape.
    pub const fn refusing(self, escape: ReservedEscape) -> Self {
        Self { refused: self.refused | 1 << escape as u8 }
    }

    /// Whether the policy allows this escape.
    pub const fn allows(self, escape: ReservedEscape) -> bool {
        self.refused & 1 << escape as u8 == 0
    }

    /// Checks a raw path for escapes that are refused, in either case of their digits. Linear; does not allocate.
    pub fn check(self, path: &(impl AsRef<[u8]> + ?Sized)) -> Result<(), PathError> {
        let path = path.as_ref();
        if self == Self::LENIENT {
            return Ok(());
        }
        for escape in path.windows(3).filter(|window| window[0] == b'%') {
            let found = ReservedEscape::ALL.into_iter().find(|reserved| match escape[1..] {
                [high, low] => {
                    let digit = |b: u8| char::from(b).to_digit(16);
                    digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low) == Some(reserved.character() as u32)
                }
                _ => false,
            });
            if let Some(reserved) = found.filter(|reserved| !self.allows(*reserved)) {
                return Err(PathError::new(path, PathFault::Refused(reserved)));
            }
        }
        Ok(())
    }
}

impl Default for EscapePolicy {
    /// [`LENIENT`](Self::LENIENT), as most proxies are.
    fn default() -> Self {
        Self::LENIENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cve_2025_66490_each_reserved_escape_is_a_switch() {
        for escape in ReservedEscape::ALL {
            for text in [escape.to_string(), escape.to_string().to_ascii_lowercase()] {
                let path = format!("/a{text}b");
                let error = EscapePolicy::STRICT.check(&path).unwrap_err();
                assert_eq!(error.fault(), PathFault::Refused(escape));
                assert!(error.to_string().ends_with(&format!("holds the escape {escape}")), "{error}");
                assert!(EscapePolicy::STRICT.allowing(escape).check(&path).is_ok());
                assert!(EscapePolicy::LENIENT.refusing(escape).check(&path).is_err());
                assert!(EscapePolicy::LENIENT.check(&path).is_ok());
            }
        }
        for path in ["/", "/a%20b", "/a%2", "/%", "/%zz/%2e", "/a;b/%41"] {
            assert!(EscapePolicy::STRICT.check(path).is_ok(), "{path}");
        }
        assert!(EscapePolicy::STRICT.check("/%252f").is_err(), "%25 itself");
    }
}
