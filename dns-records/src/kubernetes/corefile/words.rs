//! Which words stand in a Corefile, and where?

use std::iter::Peekable;
use std::str::Chars;

use super::{CorefileError, Fault};

/// A word of a Corefile.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    /// Within double quotes, so that it is no brace.
    pub(super) quoted: bool,
    /// Whether it is the first of its line.
    pub(super) first: bool,
}

impl Word {
    pub(super) fn is_brace(&self, brace: &str) -> bool {
        !self.quoted && self.text == brace
    }

    pub(super) fn fault(&self, fault: Fault) -> CorefileError {
        CorefileError { line: self.line, column: self.column, fault }
    }
}

/// Words are parted by white space. One that starts with a double quote runs to the next quote, over spaces, lines, braces and
/// `#`; `\"` in it is a quote, and no other escape is known. Elsewhere `#` starts a comment to the end of the line.
pub(super) fn words(text: &str) -> Result<Vec<Word>, CorefileError> {
    let mut at = Cursor { chars: text.chars().peekable(), line: 1, column: 1 };
    let mut words = Vec::new();
    // The line on which the last word ended.
    let mut ended = 0;
    while let Some(c) = at.peek() {
        if is_space(c) {
            at.next();
            continue;
        }
        if c == '#' {
            while at.peek().is_some_and(|c| c != '\n') {
                at.next();
            }
            continue;
        }
        let (line, column) = (at.line, at.column);
        let quoted = c == '"';
        let text = if quoted {
            at.quoted().ok_or(CorefileError { line, column, fault: Fault::OpenQuote })?
        } else {
            at.plain()
        };
        words.push(Word { text, line, column, quoted, first: ended != line });
        ended = at.line;
    }
    Ok(words)
}

/// A byte order mark counts as space, wherever it stands.
fn is_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// Whether a text has to be quoted to be read back as one word.
pub(super) fn needs_quotes(text: &str) -> bool {
    matches!(text, "" | "{" | "}") || text.starts_with('"') || text.contains(|c| is_space(c) || c == '#')
}

struct Cursor<'t> {
    chars: Peekable<Chars<'t>>,
    line: usize,
    column: usize,
}

impl Cursor<'_> {
    fn peek(&mut self) -> Option<char> {
        self.chars.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        (self.line, self.column) = if c == '\n' { (self.line + 1, 1) } else { (self.line, self.column + 1) };
        Some(c)
    }

    fn plain(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            match c {
                // Not even a carriage return within a word parts it.
                '\r' => {}
                '#' => break,
                c if is_space(c) => break,
                c => word.push(c),
            }
            self.next();
        }
        word
    }

    /// From the opening quote to the closing one; `None` if there is none.
    fn quoted(&mut self) -> Option<String> {
        let mut word = String::new();
        self.next();
        loop {
            match self.next()? {
                '"' => return Some(word),
                '\\' => match self.next()? {
                    '"' => word.push('"'),
                    other => word.extend(['\\', other]),
                },
                c => word.push(c),
            }
        }
    }
}
