//! How do words become server blocks? As in Caddy 1: keys, braces, snippets and imports.

use std::collections::HashMap;
use std::rc::Rc;

use super::words::{Word, words};
use super::{Corefile, CorefileError, Fault, MAX_DEPTH, MAX_IMPORTED, MAX_IMPORTS, Plugin, ServerBlock};

pub(super) fn parse(text: &str) -> Result<Corefile, CorefileError> {
    let file = Source { snippet: None, words: words(text)?.into(), at: 0 };
    let mut parser =
        Parser { sources: vec![file], snippets: HashMap::new(), imports: 0, imported: 0, files: Vec::new() };
    let mut servers = Vec::new();
    while parser.peek().is_some() {
        servers.extend(parser.server()?);
    }
    Ok(Corefile { imports: parser.files, servers })
}

struct Parser {
    /// The file, and within it the snippets that are being read in place of an `import`.
    sources: Vec<Source>,
    snippets: HashMap<String, Rc<[Word]>>,
    /// How many snippets were imported, and how many words that were.
    imports: usize,
    imported: usize,
    /// Imports of files among the keys.
    files: Vec<Plugin>,
}

struct Source {
    snippet: Option<String>,
    words: Rc<[Word]>,
    at: usize,
}

impl Parser {
    fn peek(&mut self) -> Option<&Word> {
        while self.sources.last().is_some_and(|source| source.at == source.words.len()) {
            self.sources.pop();
        }
        let source = self.sources.last()?;
        source.words.get(source.at)
    }

    fn next(&mut self) -> Option<Word> {
        let word = self.peek()?.clone();
        if let Some(source) = self.sources.last_mut() {
            source.at += 1;
        }
        Some(word)
    }

    /// The next word if it is on the same line as the last.
    fn peek_same_line(&mut self) -> Option<&Word> {
        self.peek().filter(|word| !word.first)
    }

    /// A server block, or nothing but a snippet or imports.
    fn server(&mut self) -> Result<Option<ServerBlock>, CorefileError> {
        let line = self.peek().map_or(0, |word| word.line);
        let (keys, brace) = self.keys()?;
        if let [key] = keys.as_slice()
            && let Some(name) = key.strip_prefix('(').and_then(|key| key.strip_suffix(')'))
        {
            let Some(brace) = brace else {
                let fault = Fault::SnippetWithoutBlock { name: name.to_owned() };
                return Err(CorefileError { line, column: 1, fault });
            };
            self.snippet(name.to_owned(), &brace)?;
            return Ok(None);
        }
        if keys.is_empty() {
            return Ok(None);
        }
        // Without braces the whole file is one server block.
        let plugins = self.entries(brace.as_ref(), 1)?;
        Ok(Some(ServerBlock { keys, plugins, line }))
    }

    /// The keys of a server block up to its brace, or to the end of the line: after a comma they go on in the next.
    fn keys(&mut self) -> Result<(Vec<String>, Option<Word>), CorefileError> {
        let mut keys = Vec::new();
        let mut wants_more = true;
        let mut last = None;
        while let Some(word) = self.peek() {
            if word.first && !wants_more && !word.is_brace("{") {
                break;
            }
            let word = word.clone();
            self.next();
            if word.is_brace("{") {
                return match (keys.is_empty(), wants_more) {
                    (true, _) => Err(word.fault(Fault::Nameless)),
                    (false, true) => Err(word.fault(Fault::MissingKey)),
                    (false, false) => Ok((keys, Some(word))),
                };
            }
            if word.is_brace("}") {
                return Err(word.fault(Fault::Unopened));
            }
            if word.text == "import" && (word.first || keys.is_empty()) {
                let file = self.import(&word)?;
                self.files.extend(file);
                continue;
            }
            let key = word.text.strip_suffix(',');
            wants_more = key.is_some();
            keys.extend(Some(key.unwrap_or(&word.text).to_owned()).filter(|key| !key.is_empty()));
            last = Some(word);
        }
        match last {
            Some(word) if wants_more => Err(word.fault(Fault::MissingKey)),
            _ => Ok((keys, None)),
        }
    }

    /// Keeps the words up to the brace that closes this one.
    fn snippet(&mut self, name: String, brace: &Word) -> Result<(), CorefileError> {
        let mut words: Vec<Word> = Vec::new();
        let mut depth = 1;
        loop {
            let mut word = self.next().ok_or_else(|| brace.fault(Fault::Unclosed))?;
            depth = match () {
                () if word.is_brace("{") => depth + 1,
                () if word.is_brace("}") => depth - 1,
                () => depth,
            };
            if depth == 0 {
                break;
            }
            // What is put in place of an import starts a line.
            word.first |= words.is_empty();
            words.push(word);
        }
        if self.snippets.contains_key(&name) {
            return Err(brace.fault(Fault::SnippetRepeated { name }));
        }
        self.snippets.insert(name, words.into());
        Ok(())
    }

    /// The lines up to the closing brace, or to the end of the file where there was no opening one. Recursion is bounded by
    /// [`MAX_DEPTH`].
    fn entries(&mut self, brace: Option<&Word>, depth: usize) -> Result<Vec<Plugin>, CorefileError> {
        let mut entries = Vec::new();
        loop {
            match (self.next(), brace) {
                (None, None) => return Ok(entries),
                (None, Some(brace)) => return Err(brace.fault(Fault::Unclosed)),
                (Some(word), Some(_)) if word.is_brace("}") => return Ok(entries),
                (Some(word), None) if word.is_brace("}") => return Err(word.fault(Fault::Unopened)),
                (Some(word), _) if word.is_brace("{") => return Err(word.fault(Fault::Nameless)),
                (Some(word), _) if word.text == "import" => entries.extend(self.import(&word)?),
                (Some(word), _) => entries.push(self.entry(word, depth)?),
            }
        }
    }

    fn entry(&mut self, name: Word, depth: usize) -> Result<Plugin, CorefileError> {
        let mut plugin = Plugin { line: name.line, name: name.text, args: Vec::new(), block: Vec::new() };
        while let Some(word) = self.peek_same_line().cloned() {
            if word.is_brace("}") {
                return Err(word.fault(Fault::InlineClose));
            }
            self.next();
            if !word.is_brace("{") {
                plugin.args.push(word.text);
                continue;
            }
            if depth == MAX_DEPTH {
                return Err(word.fault(Fault::TooDeep));
            }
            plugin.block = self.entries(Some(&word), depth + 1)?;
            if let Some(after) = self.peek_same_line() {
                let text = after.text.chars().take(80).collect();
                return Err(after.fault(Fault::AfterBlock { word: text }));
            }
        }
        Ok(plugin)
    }

    /// Goes on with the words of a snippet; what is no snippet is a file, and kept as a line.
    fn import(&mut self, import: &Word) -> Result<Option<Plugin>, CorefileError> {
        let is_name = |word: &&Word| !word.text.is_empty() && !word.is_brace("{") && !word.is_brace("}");
        let Some(name) = self.peek_same_line().filter(is_name).map(|word| word.text.clone()) else {
            return Err(import.fault(Fault::ImportArguments));
        };
        self.next();
        let is_open = self.sources.iter().any(|source| source.snippet.as_ref() == Some(&name));
        if self.peek_same_line().is_some() {
            return Err(import.fault(Fault::ImportArguments));
        }
        let Some(words) = self.snippets.get(&name) else {
            let line = import.line;
            return Ok(Some(Plugin { name: "import".into(), args: vec![name], block: Vec::new(), line }));
        };
        if is_open {
            return Err(import.fault(Fault::ImportCycle { name }));
        }
        self.imports += 1;
        self.imported += words.len();
        if self.imports > MAX_IMPORTS || self.imported > MAX_IMPORTED {
            return Err(import.fault(Fault::TooManyImports));
        }
        self.sources.push(Source { snippet: Some(name), words: words.clone(), at: 0 });
        Ok(None)
    }
}
