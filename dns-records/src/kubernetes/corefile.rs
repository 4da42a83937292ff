//! What does a Corefile say? Server blocks, plugins and their words; what the words mean is for `settings`.
//!
//! The syntax is that of Caddy 1 as CoreDNS has it (`corefile(5)`, `coredns-import(7)`).

mod key;
mod parse;
mod words;

use std::fmt;
use std::str::FromStr;

pub(super) use key::Key;

/// A Corefile: its server blocks in order, with the snippets that it imports in their places.
///
/// Environment variables (`{$NAME}`, `{%NAME%}`) stay as they are written, since nobody here knows them, and so do imports of
/// files.
///
/// ```
/// use dns_records::kubernetes::Corefile;
/// let corefile: Corefile = "(common) {\n  errors\n}\n.:53 {\n  import common\n  kubernetes cluster.local {\n    pods insecure\n  }\n}\n".parse()?;
/// let [errors, kubernetes] = corefile.servers[0].plugins.as_slice() else { panic!() };
/// assert_eq!((errors.name.as_str(), errors.line), ("errors", 2));
/// assert_eq!(kubernetes.block[0].args, ["insecure"]);
/// # Ok::<(), dns_records::kubernetes::CorefileError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corefile {
    /// Imports of files where server blocks stand.
    pub imports: Vec<Plugin>,
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
    /// Number of the line of the first key, from 1.
    pub line: usize,
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
    /// Number of the line, from 1; in a snippet, of the snippet's line.
    pub line: usize,
}

/// Why a text is no Corefile, and where that shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {fault}")]
pub struct CorefileError {
    /// Number of the line, from 1.
    pub line: usize,
    /// Number of the character in the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong in a text that is no Corefile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file ends inside a block.
    #[error("`{{` without `}}`")]
    Unclosed,
    /// A closing brace too many.
    #[error("`}}` without `{{`")]
    Unopened,
    /// A closing brace behind the words of a line.
    #[error("`}}` has to stand on a line of its own")]
    InlineClose,
    /// A block with no word before it on its line.
    #[error("`{{` with nothing before it on its line")]
    Nameless,
    /// Blocks within blocks, deeper than anything CoreDNS reads.
    #[error("blocks nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// Words after the closing brace of a plugin on its line.
    #[error("`{word}` after `}}`")]
    AfterBlock {
        /// The first such word, cut to 80 characters.
        word: String,
    },
    /// A quote that is not closed.
    #[error("`\"` that is not closed")]
    OpenQuote,
    /// A comma with no key behind it.
    #[error("another key is expected after the comma")]
    MissingKey,
    /// A snippet without braces.
    #[error("snippet `{name}` has no block")]
    SnippetWithoutBlock {
        /// The name.
        name: String,
    },
    /// Two snippets of one name.
    #[error("snippet `{name}` is there twice")]
    SnippetRepeated {
        /// The name.
        name: String,
    },
    /// An import of nothing, or of several things.
    #[error("import takes one snippet or file")]
    ImportArguments,
    /// A snippet that imports itself, straight or through others.
    #[error("snippet `{name}` imports itself")]
    ImportCycle {
        /// The name.
        name: String,
    },
    /// More imports than CoreDNS takes, or more words imported than any server needs.
    #[error("more than {MAX_IMPORTS} imports, or {MAX_IMPORTED} words imported")]
    TooManyImports,
}

/// Server block, plugin, property, and one to spare.
const MAX_DEPTH: usize = 4;
/// As many as CoreDNS takes (`coredns-import(7)`).
const MAX_IMPORTS: usize = 10_000;
/// Snippets that import others twice would else grow without bound.
const MAX_IMPORTED: usize = 100_000;

impl FromStr for Corefile {
    type Err = CorefileError;

    fn from_str(text: &str) -> Result<Self, CorefileError> {
        parse::parse(text)
    }
}

/// Writes what is read back as the same, but for the numbers of the lines.
impl fmt::Display for Corefile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.imports.iter().try_for_each(|import| import.indented(0, f))?;
        self.servers.iter().try_for_each(|server| server.fmt(f))
    }
}

impl fmt::Display for ServerBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, key) in self.keys.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            // Within quotes as well, a comma at the end is no part of a key.
            match key.ends_with(',') && i + 1 == self.keys.len() {
                true => quoted(&format!("{key},"), f)?,
                false => quoted(key, f)?,
            }
        }
        f.write_str(" {\n")?;
        self.plugins.iter().try_for_each(|plugin| plugin.indented(1, f))?;
        f.write_str("}\n")
    }
}

impl fmt::Display for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.indented(0, f)
    }
}

impl Plugin {
    fn indented(&self, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent = "\t".repeat(depth);
        f.write_str(&indent)?;
        quoted(&self.name, f)?;
        for arg in &self.args {
            f.write_str(" ")?;
            quoted(arg, f)?;
        }
        if !self.block.is_empty() {
            f.write_str(" {\n")?;
            self.block.iter().try_for_each(|line| line.indented(depth + 1, f))?;
            write!(f, "{indent}}}")?;
        }
        f.write_str("\n")
    }
}

/// Whether a word holds an environment variable (`{$NAME}` or `{%NAME%}`), whose value is not known here.
pub(super) fn has_environment(word: &str) -> bool {
    let holds = |open: &str, close: &str| {
        word.split_once(open).and_then(|(_, rest)| rest.split_once(close)).is_some_and(|(name, _)| !name.is_empty())
    };
    holds("{$", "}") || holds("{%", "%}")
}

fn quoted(word: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match words::needs_quotes(word) {
        true => write!(f, "\"{}\"", word.replace('"', "\\\"")),
        false => f.write_str(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Corefile {
        text.parse().unwrap()
    }

    fn fault(text: &str) -> (usize, usize, Fault) {
        let error = text.parse::<Corefile>().expect_err(text);
        (error.line, error.column, error.fault)
    }

    #[test]
    fn quotes_comments_and_several_keys_are_read() {
        let corefile = parse(
            "# a comment\na.example:53, b.example,\nc.example { # here\n  log \"two words\" \"a \\\"b\\\"\" #no\n  x a#b c\n  y \"{\" \"\" a\"b\n}\n",
        );
        let server = &corefile.servers[0];
        assert_eq!((server.line, server.keys.join(" ").as_str()), (2, "a.example:53 b.example c.example"));
        assert_eq!(server.plugins[0].args, ["two words", "a \"b\""]);
        assert_eq!((server.plugins[0].line, &server.plugins[1].args), (4, &vec!["a".to_owned()]));
        assert_eq!(server.plugins[2].args, ["{", "", "a\"b"]);
    }

    #[test]
    fn backslashes_escape_quotes_and_nothing_else() {
        let args = |text: &str| parse(&format!(". {{\n x {text}\n}}")).servers[0].plugins[0].args.clone();
        assert_eq!(args(r#""a\b" "\\" "\\\"""#), [r"a\b", r"\\", r#"\\""#]);
        assert_eq!(args(r#"a\"b \n"#), [r#"a\"b"#, r"\n"]);
    }

    #[test]
    fn a_quoted_word_may_run_over_lines_and_its_line_goes_on_behind_it() {
        let corefile = parse(". {\n template \"a\nb\" c\n log\n}");
        let [template, log] = corefile.servers[0].plugins.as_slice() else { panic!("{corefile}") };
        assert_eq!(template.args, ["a\nb", "c"]);
        assert_eq!(log.line, 4);
    }

    #[test]
    fn byte_order_marks_and_carriage_returns_are_no_part_of_words() {
        let corefile = parse("\u{feff}.:53 {\r\n log\r\n}\r\n");
        assert_eq!(
            (corefile.servers[0].keys[0].as_str(), corefile.servers[0].plugins[0].name.as_str()),
            (".:53", "log")
        );
    }

    #[test]
    fn a_file_without_braces_is_one_server_block() {
        let corefile = parse("example.org\nlog\nkubernetes {\n pods verified\n}\n");
        assert_eq!(corefile.servers.len(), 1);
        assert_eq!(corefile.servers[0].plugins[1].block[0].name, "pods");
    }

    #[test]
    fn braces_of_a_server_block_may_stand_on_the_next_line() {
        let corefile = parse("a\n{ log\n} b { }\nc");
        let servers: Vec<_> = corefile.servers.iter().map(|server| (&*server.keys[0], server.plugins.len())).collect();
        assert_eq!(servers, [("a", 1), ("b", 0), ("c", 0)]);
    }

    #[test]
    fn keys_lose_one_comma_each() {
        assert_eq!(parse("a,b, c,, d {\n}").servers[0].keys, ["a,b", "c,", "d"]);
        assert_eq!(fault("a, {\n}"), (1, 4, Fault::MissingKey));
        assert_eq!(fault("a,\n"), (1, 1, Fault::MissingKey));
    }

    #[test]
    fn snippets_stand_in_the_place_of_their_imports() {
        let corefile = parse(
            "(zone) {\n cluster.local\n}\n(words) { pods insecure\n ttl 30\n}\n(plugins) {\n log\n import words-of-a-file\n kubernetes {\n  import words\n }\n}\nimport zone\n{\n import plugins\n errors\n}\n",
        );
        assert_eq!(
            corefile.to_string(),
            "cluster.local {\n\tlog\n\timport words-of-a-file\n\tkubernetes {\n\t\tpods insecure\n\t\tttl 30\n\t}\n\terrors\n}\n"
        );
    }

    #[test]
    fn imports_of_files_are_kept() {
        let corefile = parse("import ../zones/*\na {\n import x.conf\n}\nimport more\n");
        assert_eq!(corefile.imports.iter().map(|import| &*import.args[0]).collect::<Vec<_>>(), ["../zones/*", "more"]);
        assert_eq!(corefile.servers[0].plugins[0].args, ["x.conf"]);
        assert_eq!(parse("import x\n").imports.len(), 1);
    }

    #[test]
    fn words_are_written_in_quotes_where_they_need_them() {
        let corefile = parse("import x\n\"a b\", c,, d {\n x \"\" \"#\" \"{\" \"\\\"q\" a\"b \"l\n\" {\n  y\n }\n}\n");
        let written = corefile.to_string();
        assert_eq!(
            written,
            "import x\n\"a b\", c,, d {\n\tx \"\" \"#\" \"{\" \"\\\"q\" a\"b \"l\n\" {\n\t\ty\n\t}\n}\n"
        );
        assert_eq!(parse(&written).to_string(), written);
        assert_eq!(parse(&written).servers[0].plugins[0].args, corefile.servers[0].plugins[0].args);
    }

    #[test]
    fn errors_name_the_line_and_the_column() {
        for (text, expected) in [
            (". {\n log\n", (1, 3, Fault::Unclosed)),
            (". {\n}\n}\n", (3, 1, Fault::Unopened)),
            ("a\nlog\n}\n", (3, 1, Fault::Unopened)),
            ("{\n}\n", (1, 1, Fault::Nameless)),
            (". {\n {\n }\n}\n", (2, 2, Fault::Nameless)),
            (". {\n log\n {\n }\n}\n", (3, 2, Fault::Nameless)),
            (". { log }", (1, 9, Fault::InlineClose)),
            (". {\n log { }  é x\n}\n", (2, 11, Fault::AfterBlock { word: "é".into() })),
            (". {\na {\nb {\nc {\nd {\n}\n}\n}\n}\n}\n", (5, 3, Fault::TooDeep)),
            (". {\n log \"x\n}\n", (2, 6, Fault::OpenQuote)),
            ("(a)\nlog", (1, 1, Fault::SnippetWithoutBlock { name: "a".into() })),
            ("(a) {\n}\n(a) {\n}\n", (3, 5, Fault::SnippetRepeated { name: "a".into() })),
            ("(a) {\n log {\n}\n", (1, 5, Fault::Unclosed)),
            (". {\n import\n log\n}", (2, 2, Fault::ImportArguments)),
            (". {\n import a b\n}", (2, 2, Fault::ImportArguments)),
            (". {\n import \"\"\n}", (2, 2, Fault::ImportArguments)),
        ] {
            assert_eq!(fault(text), expected, "{text}");
        }
        assert_eq!(". {".parse::<Corefile>().unwrap_err().to_string(), "line 1, column 3: `{` without `}`");
    }

    #[test]
    fn snippets_that_import_one_another_are_an_error() {
        let cycle = |name: &str| Fault::ImportCycle { name: name.into() };
        assert_eq!(fault("(a) {\n log\n import a\n}\n. {\n import a\n}").2, cycle("a"));
        assert_eq!(fault("(a) {\n import b\n}\n(b) {\n import a\n log\n}\n. {\n import b\n}").2, cycle("b"));
    }

    #[test]
    fn snippets_that_double_one_another_are_an_error_and_cost_little() {
        let doubling = (1..64).map(|i| format!("(s{i}) {{\n import s{}\n import s{}\n}}\n", i - 1, i - 1));
        let text = format!("(s0) {{\n log\n}}\n{}. {{\n import s63\n}}\n", doubling.collect::<String>());
        assert_eq!(fault(&text).2, Fault::TooManyImports);
        let long = format!("(s) {{\n x {}\n}}\n. {{\n{}}}\n", "y ".repeat(2_000), " import s\n".repeat(60));
        assert_eq!(fault(&long).2, Fault::TooManyImports);
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        assert_eq!(fault(&"a {\n".repeat(100_000)), (5, 3, Fault::TooDeep));
    }
}
