//! What does a Corefile say? Server blocks, plugins and their words; what the words mean is for `settings`.
//!
//! The syntax is that of Caddy 1, which CoreDNS documents in `corefile(5)`.

use std::str::FromStr;

/// A Corefile: its server blocks in order.
///
/// ```
/// use dns_records::kubernetes::Corefile;
/// let corefile: Corefile = ".:53 {\n  kubernetes cluster.local {\n    pods insecure\n  }\n  cache 30\n}\n".parse()?;
/// let kubernetes = &corefile.servers[0].plugins[0];
/// assert_eq!((kubernetes.name.as_str(), kubernetes.line), ("kubernetes", 2));
/// assert_eq!(kubernetes.block[0].args, ["insecure"]);
/// # Ok::<(), dns_records::kubernetes::CorefileError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corefile {
    /// The server blocks in order.
    pub servers: Vec<ServerBlock>,
}

/// `ZONE[:PORT]... { ... }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerBlock {
    /// Zones with scheme and port as written.
    pub keys: Vec<String>,
    /// The plugins in the order of the file, which is not the order in which they act.
    pub plugins: Vec<Plugin>,
}

/// A line of words, and the block behind it if it has one: a plugin, or a property of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The first word.
    pub name: String,
    /// The other words of the line.
    pub args: Vec<String>,
    /// The lines between `{` and `}`.
    pub block: Vec<Plugin>,
    /// Number of the line, from 1.
    pub line: usize,
}

/// Why a text is no Corefile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CorefileError {
    /// The file ends inside a block.
    #[error("line {line}: `{{` without `}}`")]
    Unclosed {
        /// Number of the line with the brace, from 1.
        line: usize,
    },
    /// A closing brace too many.
    #[error("line {line}: `}}` without `{{`")]
    Unopened {
        /// Number of the line, from 1.
        line: usize,
    },
    /// A block with no word before it.
    #[error("line {line}: `{{` with nothing before it")]
    Nameless {
        /// Number of the line, from 1.
        line: usize,
    },
    /// Blocks within blocks, deeper than anything CoreDNS reads.
    #[error("line {line}: blocks nested deeper than {MAX_DEPTH}")]
    TooDeep {
        /// Number of the line, from 1.
        line: usize,
    },
    /// Words after a closing brace on its line.
    #[error("line {line}: `{word}` after `}}`")]
    AfterBlock {
        /// Number of the line, from 1.
        line: usize,
        /// The first such word, cut to 80 characters.
        word: String,
    },
}

/// Server block, plugin, property, and one to spare.
const MAX_DEPTH: usize = 4;

impl FromStr for Corefile {
    type Err = CorefileError;

    fn from_str(text: &str) -> Result<Self, CorefileError> {
        let lines = lines(text);
        let mut rest = lines.as_slice();
        let mut servers = Vec::new();
        while let Some(first) = rest.first() {
            if first.words[0].is_brace("}") {
                return Err(first.complaint());
            }
            // A list of keys goes on in the next line after a comma.
            let mut keys = Vec::new();
            let opened = loop {
                let Some((line, after)) = rest.split_first() else {
                    break None;
                };
                rest = after;
                let (words, opened) = line.open();
                keys.extend(words.iter().map(|word| word.text.clone()));
                if opened || !keys.last().is_some_and(|key| key.ends_with(',')) {
                    break opened.then_some(line.number);
                }
            };
            let keys = keys.iter().flat_map(|key| key.split(',')).filter(|key| !key.is_empty()).map(str::to_owned);
            let keys: Vec<String> = keys.collect();
            if keys.is_empty() {
                return Err(first.complaint());
            }
            let plugins = match opened {
                Some(line) => block(&mut rest, line, 1)?,
                // Without braces the whole file is one server block.
                None => {
                    let plugins = entries(&mut rest, 1)?;
                    if let Some(closing) = rest.first() {
                        return Err(CorefileError::Unopened { line: closing.number });
                    }
                    plugins
                }
            };
            servers.push(ServerBlock { keys, plugins });
        }
        Ok(Self { servers })
    }
}

/// The entries up to the closing brace, and the brace.
fn block(rest: &mut &[Line], opened_at: usize, depth: usize) -> Result<Vec<Plugin>, CorefileError> {
    if depth > MAX_DEPTH {
        return Err(CorefileError::TooDeep { line: opened_at });
    }
    let entries = entries(rest, depth)?;
    let Some((closing, after)) = rest.split_first() else {
        return Err(CorefileError::Unclosed { line: opened_at });
    };
    *rest = after;
    match closing.words.get(1) {
        Some(word) => {
            Err(CorefileError::AfterBlock { line: closing.number, word: word.text.chars().take(80).collect() })
        }
        None => Ok(entries),
    }
}

/// The entries up to a closing brace or the end. The depth of recursion is bounded by [`MAX_DEPTH`].
fn entries(rest: &mut &[Line], depth: usize) -> Result<Vec<Plugin>, CorefileError> {
    let mut entries = Vec::new();
    while let Some((line, after)) = rest.split_first() {
        if line.words[0].is_brace("}") {
            break;
        }
        *rest = after;
        let (words, opened) = line.open();
        let Some((name, args)) = words.split_first() else {
            return Err(line.complaint());
        };
        let block = if opened { block(rest, line.number, depth + 1)? } else { Vec::new() };
        entries.push(Plugin {
            name: name.text.clone(),
            args: args.iter().map(|word| word.text.clone()).collect(),
            block,
            line: line.number,
        });
    }
    Ok(entries)
}

struct Line {
    number: usize,
    /// At least one.
    words: Vec<Word>,
}

struct Word {
    text: String,
    quoted: bool,
}

impl Word {
    fn is_brace(&self, brace: &str) -> bool {
        !self.quoted && self.text == brace
    }
}

impl Line {
    /// The words, and whether an opening brace ends them.
    fn open(&self) -> (&[Word], bool) {
        match self.words.split_last() {
            Some((last, words)) if last.is_brace("{") => (words, true),
            _ => (&self.words, false),
        }
    }

    /// What is wrong with a line that has no words before its brace.
    fn complaint(&self) -> CorefileError {
        match self.words[0].is_brace("}") {
            true => CorefileError::Unopened { line: self.number },
            false => CorefileError::Nameless { line: self.number },
        }
    }
}

/// Words in double quotes may hold spaces, braces and `\"`, and run over lines; `#` where a word would start makes the
/// rest of the line a comment. `name { word }` on one line counts as three.
fn lines(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut open_line = false;
    let mut number = 1;
    let mut chars = text.chars().peekable();
    while let Some(&first) = chars.peek() {
        if first == '\n' {
            number += 1;
            open_line = false;
            chars.next();
            continue;
        }
        if first.is_whitespace() || first == '\u{feff}' {
            chars.next();
            continue;
        }
        if first == '#' {
            while chars.next_if(|&c| c != '\n').is_some() {}
            continue;
        }
        let start = number;
        let quoted = first == '"';
        let mut word = String::new();
        if quoted {
            chars.next();
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    '\\' if chars.peek() == Some(&'"') => word.extend(chars.next()),
                    _ => {
                        number += usize::from(c == '\n');
                        word.push(c);
                    }
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
        }
        let word = Word { text: word, quoted };
        // A closing brace starts a line of its own, an opening one ends its line.
        open_line &= !word.is_brace("}");
        let goes_on = !word.is_brace("{");
        match lines.last_mut() {
            Some(line) if open_line => line.words.push(word),
            _ => lines.push(Line { number: start, words: vec![word] }),
        }
        open_line = goes_on;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Corefile {
        text.parse().unwrap()
    }

    #[test]
    fn quotes_comments_and_several_keys_are_read() {
        let corefile = parse(
            "# a comment\na.example:53, b.example,\nc.example { # here\n  log \"two words\" \"a \\\"b\\\"\" #no\n  x a#b \"{\"\n}\n",
        );
        let server = &corefile.servers[0];
        assert_eq!(server.keys, ["a.example:53", "b.example", "c.example"]);
        assert_eq!(server.plugins[0].args, ["two words", "a \"b\""]);
        assert_eq!((server.plugins[0].line, server.plugins[0].args.len()), (4, 2));
    }

    #[test]
    fn a_file_without_braces_is_one_server_block() {
        let corefile = parse("example.org\nlog\nkubernetes {\n pods verified\n}\n");
        assert_eq!(corefile.servers.len(), 1);
        assert_eq!(corefile.servers[0].plugins[1].block[0].name, "pods");
    }

    #[test]
    fn blocks_may_stand_on_one_line() {
        let corefile = parse(". { kubernetes { pods insecure } }");
        let kubernetes = &corefile.servers[0].plugins[0];
        assert_eq!(kubernetes.name, "kubernetes");
        assert_eq!(kubernetes.block[0].args, ["insecure"]);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, error) in [
            (". {\n log\n", CorefileError::Unclosed { line: 1 }),
            (". {\n}\n}\n", CorefileError::Unopened { line: 3 }),
            ("{\n}\n", CorefileError::Nameless { line: 1 }),
            (". {\n {\n }\n}\n", CorefileError::Nameless { line: 2 }),
            (". {\n} x\n", CorefileError::AfterBlock { line: 2, word: "x".into() }),
            (". {\na {\nb {\nc {\nd {\n}\n}\n}\n}\n}\n", CorefileError::TooDeep { line: 5 }),
        ] {
            assert_eq!(text.parse::<Corefile>(), Err(error), "{text}");
        }
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        assert!(matches!("a {\n".repeat(100_000).parse::<Corefile>(), Err(CorefileError::TooDeep { line: 5 })));
    }
}
