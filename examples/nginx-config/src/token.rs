//! What may stand as one argument of a directive? Text that reads as exactly one token, or nothing.

use std::fmt;

/// Longest token: nginx reads its configuration in pieces of 4096 bytes, and refuses what spans more than one.
const LONGEST: usize = 4000;

/// One argument of an nginx directive. Whatever text it was made of, it is read back as that text and ends nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Box<str>);

/// A text that cannot be an argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unquotable {
    /// It holds a control character.
    #[error("a control character cannot be written into the configuration of nginx")]
    Control,
    /// It holds a dollar sign where nginx would read the name of a variable; there is no way to escape one.
    #[error("a dollar sign would be read as the beginning of a variable")]
    Dollar,
    /// It is longer than nginx reads at once.
    #[error("it is longer than nginx reads at once")]
    TooLong,
}

impl Token {
    /// A text in which no variable may be read.
    pub fn literal(text: &str) -> Result<Self, Unquotable> {
        if text.contains('$') { Err(Unquotable::Dollar) } else { Self::script(text) }
    }

    /// A text in which nginx reads variables, or an expression, in which `$` is the end.
    pub fn script(text: &str) -> Result<Self, Unquotable> {
        if text.chars().any(char::is_control) {
            Err(Unquotable::Control)
        } else if text.len() > LONGEST {
            Err(Unquotable::TooLong)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// A word of this program's own.
    pub(crate) fn word(text: &'static str) -> Self {
        Self(text.into())
    }

    /// The text that nginx reads.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    /// As it is written: bare if nothing in it could be read otherwise, else in double quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=~*^@+,%$?&".contains(&b);
        if !self.0.is_empty() && self.0.bytes().all(bare) {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}
