//! Which words are there? Those of what nft prints, with their lines.

/// A word of what nft prints.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'t> {
    Word(&'t str),
    /// What stands between quotes, which nft escapes nothing in.
    Quoted(&'t str),
    /// One of `{ } , ;` and the end of a line.
    Mark(char),
}

impl<'t> Token<'t> {
    /// The word, if it is one.
    pub(super) fn word(self) -> Option<&'t str> {
        match self {
            Token::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// The words of a text, each with the number of its line, from 0. Lines end commands only outside of the braces of a set.
pub(super) fn tokens(text: &str) -> Vec<(usize, Token<'_>)> {
    // A word has about eight letters.
    let mut tokens = Vec::with_capacity(text.len() / 8);
    for (i, line) in text.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            let (token, after) = match c {
                '#' => break,
                '{' | '}' | ',' | ';' => (Token::Mark(c), after),
                '"' => {
                    let (quoted, after) = after.split_once('"').unwrap_or((after, ""));
                    (Token::Quoted(quoted), after)
                }
                _ => {
                    let ends = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ',' | ';' | '"');
                    let (word, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
                    (Token::Word(word), after)
                }
            };
            tokens.push((i, token));
            rest = after.trim_start();
        }
        tokens.push((i, Token::Mark('\n')));
    }
    tokens
}
