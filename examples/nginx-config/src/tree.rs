//! What is a configuration of nginx? Directives with arguments and blocks, and nothing else.

use std::fmt;

use crate::token::Token;

/// A directive. Its name is a word of the program that made it, so that no text from elsewhere becomes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Its name; empty for an entry of a `map`.
    pub name: &'static str,
    /// Its arguments.
    pub args: Vec<Token>,
    /// Its block; `None` for a directive that ends in `;`.
    pub block: Option<Vec<Directive>>,
}

impl Directive {
    /// A directive without block.
    pub fn new(name: &'static str, args: impl IntoIterator<Item = Token>) -> Self {
        Self { name, args: args.into_iter().collect(), block: None }
    }

    /// A directive with a block.
    pub fn block(name: &'static str, args: impl IntoIterator<Item = Token>, block: Vec<Directive>) -> Self {
        Self { block: Some(block), ..Self::new(name, args) }
    }

    /// An entry of a `map`, which begins with a key instead of a name.
    pub fn entry(key: Token, value: Token) -> Self {
        Self::new("", [key, value])
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:1$}{2}", "", 4 * depth, self.name)?;
        for (i, arg) in self.args.iter().enumerate() {
            let blank = if i == 0 && self.name.is_empty() { "" } else { " " };
            write!(f, "{blank}{arg}")?;
        }
        match &self.block {
            None => f.write_str(";\n"),
            Some(block) => {
                f.write_str(" {\n")?;
                block.iter().try_for_each(|directive| directive.write(f, depth + 1))?;
                writeln!(f, "{:1$}}}", "", 4 * depth)
            }
        }
    }
}

impl fmt::Display for Directive {
    /// As it stands in a file, indented by four blanks a level.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}
