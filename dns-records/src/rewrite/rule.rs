//! What does one rule say? The words of CoreDNS's `rewrite` plugin, behind the word `rewrite` itself.

use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};

use super::text::NameText;
use crate::name::{Name, NameError, NameRef};

/// Longest regular expression, in bytes; CoreDNS's bound.
const MAX_PATTERN: usize = 10_000;
/// Size of a compiled expression, in bytes: `((a{100}){100}){100}` is refused at once.
const MAX_COMPILED: usize = 1 << 20;

/// A rule of `rewrite name`: which names it takes, what it makes of them, and what it puts back in the reply.
///
/// Written `[continue|stop] name [exact|prefix|suffix|substring|regex] FROM TO [OPTIONS]`, with the options `answer auto`,
/// `answer name FROM TO` and `answer value FROM TO`, in any number. Names are in lower case with a final dot when they meet a
/// rule; texts of a rule are made so, whatever they compare with: the prefix `web` takes `web.shop.` and not `web-1.shop.`. A
/// regular expression is taken as it is, and `{1}` in TO stands for what its first group took.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    matches: Matches,
    from: From,
    to: String,
    goes_on: bool,
    responses: Vec<Response>,
    /// The words as given, which tell all of the above.
    words: Vec<String>,
}

/// How a rule compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Matches {
    /// The whole name.
    Exact,
    /// How it begins, in whole labels.
    Prefix,
    /// How it ends, on a label boundary or not.
    Suffix,
    /// Any part of it that ends with a label; each is replaced.
    Substring,
    /// A regular expression, anywhere in the name; the whole name is replaced.
    Regex,
}

#[derive(Clone, Debug, PartialEq)]
enum From {
    Name(Name),
    Text(String),
    Pattern(Pattern),
}

/// What is done to names of the reply.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Response {
    pub(super) for_owners: bool,
    pub(super) for_values: bool,
    pub(super) back: Back,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Back {
    /// The renamed question, and names below it, become the question again.
    Question,
    /// One suffix becomes the other.
    Suffix {
        from: String,
        to: String,
    },
    Pattern(Pattern),
}

/// Why words are no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The rule is about something else than the name: `type`, `class`, `ttl`, …
    #[error("rules of the field `{0}` are not followed here")]
    Field(String),
    /// Words are missing, or too many.
    #[error("`name` takes [exact|prefix|suffix|substring|regex] FROM TO and answer rules")]
    Arguments,
    /// No way to compare.
    #[error("`{0}` is none of exact, prefix, suffix, substring, regex")]
    Matches(String),
    /// An exact rule between things that are no names.
    #[error("`{name}` is no name: {error}")]
    Name {
        /// The text.
        name: String,
        /// Why it is none.
        error: NameError,
    },
    /// No answer rule.
    #[error("an answer rule is `auto`, `name FROM TO` or `value FROM TO`")]
    Answer,
    /// `answer auto` and `answer name` say the same twice.
    #[error("`answer auto` and `answer name` exclude each other")]
    AutoAndName,
    /// A regular expression that cannot be read, or is too large.
    #[error("regular expression: {0}")]
    Regex(String),
    /// The replacement names more groups than there are.
    #[error("`{0}` names more groups than the regular expression has")]
    Groups(String),
}

/// Reads words parted by spaces.
impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        Self::from_words(&words)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

impl Rule {
    /// Reads the words of a rule.
    ///
    /// # Errors
    /// They are none that CoreDNS takes, or are about something else than the name.
    pub fn from_words(words: &[&str]) -> Result<Self, RuleError> {
        let is = |at: usize, word: &str| words.get(at).is_some_and(|own| own.eq_ignore_ascii_case(word));
        let goes_on = is(0, "continue");
        let rest = &words[usize::from(goes_on || is(0, "stop"))..];
        let (field, args) = rest.split_first().ok_or(RuleError::Arguments)?;
        if !field.eq_ignore_ascii_case("name") {
            return Err(RuleError::Field(field.chars().take(80).collect()));
        }
        let (matches, from, to, answers) = match args {
            [from, to] => (Matches::Exact, from, to, &[][..]),
            [matches, from, to, answers @ ..] => (matches.parse()?, from, to, answers),
            _ => return Err(RuleError::Arguments),
        };
        let (auto, explicit) = answer_rules(answers)?;
        let to = absolute(to);
        let from = match matches {
            Matches::Exact => {
                name(&to)?;
                From::Name(name(&absolute(from))?)
            }
            Matches::Regex => From::Pattern(Pattern::new(from, &to)?),
            _ => From::Text(absolute(from)),
        };
        let back = match (matches, auto, &from) {
            (Matches::Exact, ..) => Some(Back::Question),
            (_, false, _) => None,
            // What ended so may be put back wherever it stands, not in the question alone.
            (Matches::Suffix, true, From::Text(text)) => Some(Back::Suffix { from: to.clone(), to: text.clone() }),
            (_, true, _) => Some(Back::Question),
        };
        let back = back.map(|back| Response { for_owners: true, for_values: true, back });
        let responses = back.into_iter().chain(explicit).collect();
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Ok(Self { matches, from, to, goes_on, responses, words })
    }

    /// How it compares.
    pub fn matches(&self) -> Matches {
        self.matches
    }

    /// Whether the rules behind it see the name that this one made (`continue`).
    pub fn goes_on(&self) -> bool {
        self.goes_on
    }

    pub(super) fn responses(&self) -> &[Response] {
        &self.responses
    }

    /// What a name becomes, if the rule takes it. `text` is the name's, made when first needed.
    pub(super) fn rename(&self, name: NameRef<'_>, text: &mut Option<NameText>) -> Option<String> {
        let from = match &self.from {
            From::Name(from) => return (from.as_ref() == name).then(|| self.to.clone()),
            From::Text(from) => from.as_str(),
            From::Pattern(pattern) => return pattern.expand(text.get_or_insert_with(|| NameText::of(name)).as_str()),
        };
        let to = &self.to;
        let text = text.get_or_insert_with(|| NameText::of(name)).as_str();
        match self.matches {
            Matches::Prefix => text.strip_prefix(from).map(|rest| format!("{to}{rest}")),
            Matches::Suffix => text.strip_suffix(from).map(|rest| format!("{rest}{to}")),
            _ => text.contains(from).then(|| text.replace(from, to)),
        }
    }
}

impl FromStr for Matches {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "exact" => Self::Exact,
            "prefix" => Self::Prefix,
            "suffix" => Self::Suffix,
            "substring" => Self::Substring,
            "regex" => Self::Regex,
            _ => return Err(RuleError::Matches(text.chars().take(80).collect())),
        })
    }
}

impl fmt::Display for Matches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Suffix => "suffix",
            Self::Substring => "substring",
            Self::Regex => "regex",
        })
    }
}

/// `answer (auto | name FROM TO | value FROM TO)`, with `answer` left out at will behind the first.
fn answer_rules(words: &[&str]) -> Result<(bool, Vec<Response>), RuleError> {
    let (mut auto, mut rules) = (false, Vec::new());
    let mut rest = words;
    while let [first, more @ ..] = rest {
        let body = match *first {
            "answer" => more,
            _ if rest.len() == words.len() => return Err(RuleError::Answer),
            _ => rest,
        };
        rest = match body {
            ["auto", rest @ ..] => {
                auto = true;
                rest
            }
            [field @ ("name" | "value"), from, to, rest @ ..] => {
                let for_owners = *field == "name";
                let back = Back::Pattern(Pattern::new(from, to)?);
                rules.push(Response { for_owners, for_values: !for_owners, back });
                rest
            }
            _ => return Err(RuleError::Answer),
        };
    }
    match auto && rules.iter().any(|rule| rule.for_owners) {
        true => Err(RuleError::AutoAndName),
        false => Ok((auto, rules)),
    }
}

/// A regular expression and what it makes of a name.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    regex: Regex,
    to: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Group(usize),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str() && self.to == other.to
    }
}

impl Pattern {
    fn new(pattern: &str, to: &str) -> Result<Self, RuleError> {
        if pattern.len() > MAX_PATTERN {
            return Err(RuleError::Regex(format!("longer than {MAX_PATTERN} bytes")));
        }
        let regex = RegexBuilder::new(pattern).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build().map_err(
            |error| {
                // The reason stands in the last line, below a picture of the place.
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default();
                RuleError::Regex(reason.trim_start_matches("error: ").chars().take(200).collect())
            },
        )?;
        let to = absolute(to);
        // As CoreDNS counts them: `{0}`, the whole match, is one, and a number beyond the groups stays as it is.
        let named = (0..=100).filter(|number| to.contains(&format!("{{{number}}}"))).count();
        match named >= regex.captures_len() {
            true => Err(RuleError::Groups(to.chars().take(80).collect())),
            false => Ok(Self { to: parts(&to, regex.captures_len()), regex }),
        }
    }

    /// What is made of a text in which there is a match.
    pub(super) fn expand(&self, text: &str) -> Option<String> {
        if !self.regex.is_match(text) {
            return None;
        }
        let captures = self.regex.captures(text)?;
        let mut made = String::new();
        for part in &self.to {
            match part {
                Part::Text(text) => made.push_str(text),
                Part::Group(group) => made.push_str(captures.get(*group).map_or("", |found| found.as_str())),
            }
        }
        Some(made)
    }
}

/// Cuts at `{N}`; a number beyond the groups is text like any other, as it is to CoreDNS.
fn parts(to: &str, groups: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut text, mut rest) = (String::new(), to);
    while let Some(open) = rest.find('{') {
        text.push_str(&rest[..open]);
        let number = rest[open + 1..].split_once('}').map(|(number, _)| number);
        // `{01}` is not `{1}`.
        let plain = number.filter(|number| number.parse::<usize>().is_ok_and(|n| n.to_string() == **number));
        match plain.and_then(|number| Some((number, number.parse::<usize>().ok().filter(|n| *n < groups)?))) {
            Some((number, group)) => {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Group(group));
                rest = &rest[open + number.len() + 2..];
            }
            None => {
                text.push('{');
                rest = &rest[open + 1..];
            }
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

fn name(text: &str) -> Result<Name, RuleError> {
    text.parse().map_err(|error| RuleError::Name { name: text.chars().take(80).collect(), error })
}

/// In lower case and with a final dot.
fn absolute(text: &str) -> String {
    let dot = if text.ends_with('.') { "" } else { "." };
    format!("{}{dot}", text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(words: &str) -> String {
        words.parse::<Rule>().unwrap_err().to_string()
    }

    #[test]
    fn a_rule_prints_the_words_it_was_read_from() {
        for words in [
            "name a b",
            "stop name exact A. b.",
            r"continue name regex (x)\.y {1} answer name a b value c d answer value e f",
        ] {
            let rule: Rule = words.parse().unwrap();
            assert_eq!(rule.to_string(), words);
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }

    #[test]
    fn words_that_are_no_rule_are_refused_with_the_reason() {
        for (words, expected) in [
            ("", "`name` takes [exact|prefix|suffix|substring|regex] FROM TO and answer rules"),
            ("stop", "`name` takes [exact|prefix|suffix|substring|regex] FROM TO and answer rules"),
            ("name a", "`name` takes [exact|prefix|suffix|substring|regex] FROM TO and answer rules"),
            ("ttl a 30", "rules of the field `ttl` are not followed here"),
            ("name a b c", "`a` is none of exact, prefix, suffix, substring, regex"),
            ("name exact a..b c", "`a..b.` is no name: empty label at octet 2 of `a..b.`"),
            ("name exact a b auto", "an answer rule is `auto`, `name FROM TO` or `value FROM TO`"),
            ("name exact a b answer", "an answer rule is `auto`, `name FROM TO` or `value FROM TO`"),
            ("name exact a b answer name x", "an answer rule is `auto`, `name FROM TO` or `value FROM TO`"),
            ("name suffix a b answer auto name x y", "`answer auto` and `answer name` exclude each other"),
            ("name regex a {1}", "`{1}.` names more groups than the regular expression has"),
            ("name regex (a {1}", "regular expression: unclosed group"),
            ("name suffix a b answer value (x y", "regular expression: unclosed group"),
        ] {
            assert_eq!(error(words), expected, "{words}");
        }
    }

    #[test]
    fn cve_2022_24713_and_huge_expressions_are_refused_at_once() {
        for pattern in ["((a{100}){100}){100}", r"\w{100000}", &"a".repeat(MAX_PATTERN + 1)] {
            assert!(error(&format!("name regex {pattern} b")).starts_with("regular expression: "), "{pattern:.40}");
        }
        // Nothing, many times: small by now, and so it may be taken.
        assert!("name regex (?:){4294967295} b".parse::<Rule>().is_ok());
    }

    #[test]
    fn a_number_beyond_the_groups_is_text() {
        let parts = |to: &str| parts(to, 2);
        let text = |text: &str| Part::Text(text.into());
        assert_eq!(parts("a{1}{0}b"), [text("a"), Part::Group(1), Part::Group(0), text("b")]);
        assert_eq!(parts("{2}{01}{x}{{1"), [text("{2}{01}{x}{{1")]);
    }
}
