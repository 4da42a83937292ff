//! What did `nft list table` print? The objects, or that it is not what this driver writes.

mod lexer;
mod rule;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use svc_model::addr::IpFamily;

use crate::names::Name;
use crate::print::{address_type, family_word};
use crate::table::{Chain, Comment, Element, Hook, HookPoint, Key, Map, MapKind, Set, Slot, Slots, TABLE, Table};
use lexer::{Token, tokens};
use rule::{protocol_of, rule, verdict};

/// A text that is not one that nft lists of our table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("near line {line}: {what}")]
pub struct ListError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

/// A table as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// The objects.
    pub table: Table,
    /// Chains that hold what this driver would not write; their rules are left out above.
    pub altered: BTreeSet<Name>,
}

/// Reads what `nft list table` printed of our table in a family. O(length).
///
/// # Errors
/// Says where it is not such a list. A rule that is not understood is no error, but marks its chain as altered.
pub fn parse(text: &str, family: IpFamily) -> Result<Listed, ListError> {
    let tokens = tokens(text);
    let mut reader = Reader { tokens: &tokens, at: 0, family };
    reader.table().map_err(|what| ListError { line: reader.line(), what })
}

struct Reader<'a, 't> {
    tokens: &'a [(usize, Token<'t>)],
    at: usize,
    family: IpFamily,
}

enum AnySet {
    Addresses(Set),
    Loops(BTreeSet<IpAddr>),
}

enum AnyMap {
    Verdicts(Map),
    Slots(Slots),
}

type Read<T> = Result<T, String>;

impl<'a, 't> Reader<'a, 't> {
    fn line(&self) -> usize {
        self.tokens.get(self.at.saturating_sub(1)).or(self.tokens.last()).map_or(1, |(line, _)| line + 1)
    }

    fn next(&mut self) -> Option<Token<'t>> {
        let token = self.tokens.get(self.at).map(|(_, token)| *token);
        self.at += 1;
        token
    }

    /// Past the ends of lines and semicolons.
    fn next_in_block(&mut self) -> Option<Token<'t>> {
        loop {
            match self.next() {
                Some(Token::Mark('\n' | ';')) => {}
                token => return token,
            }
        }
    }

    fn word(&mut self) -> Read<&'t str> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word),
            token => Err(format!("a word is missing, there is {token:?}")),
        }
    }

    fn name(&mut self) -> Read<Name> {
        let word = self.word()?;
        Name::new(word).ok_or_else(|| format!("{word:?} is no name"))
    }

    fn expect(&mut self, mark: char) -> Read<()> {
        match self.next() {
            Some(Token::Mark(other)) if other == mark => Ok(()),
            token => Err(format!("{mark:?} is missing, there is {token:?}")),
        }
    }

    fn quoted(&mut self) -> Read<Option<Comment>> {
        match self.next() {
            Some(Token::Quoted(text)) => Ok(Some(Comment::new(text))),
            token => Err(format!("a comment is missing, there is {token:?}")),
        }
    }

    /// To the end of the line.
    fn rest_of_line(&mut self) -> Vec<Token<'t>> {
        let mut rest = Vec::new();
        let mut depth = 0;
        loop {
            match self.next() {
                None | Some(Token::Mark(';')) => return rest,
                Some(Token::Mark('\n')) if depth == 0 => return rest,
                Some(Token::Mark('\n')) => {}
                Some(token) => {
                    depth += i32::from(token == Token::Mark('{')) - i32::from(token == Token::Mark('}'));
                    rest.push(token);
                }
            }
        }
    }

    fn table(&mut self) -> Read<Listed> {
        let mut listed = Listed { table: Table::new(self.family), altered: BTreeSet::new() };
        let start = [self.next_in_block(), self.next(), self.next()];
        let wanted = ["table", family_word(self.family), TABLE];
        if start != wanted.map(|word| Some(Token::Word(word))) {
            return Err("it does not begin with our table".to_owned());
        }
        self.expect('{')?;
        loop {
            match self.next_in_block() {
                Some(Token::Mark('}')) => return Ok(listed),
                Some(Token::Word(kind)) => match kind {
                    "comment" => drop(self.quoted()?),
                    "set" => {
                        let name = self.name()?;
                        match self.set()? {
                            AnySet::Addresses(set) => drop(listed.table.sets.insert(name, set)),
                            AnySet::Loops(addrs) => drop(listed.table.loops.insert(name, addrs)),
                        }
                    }
                    "map" => {
                        let name = self.name()?;
                        match self.map()? {
                            AnyMap::Verdicts(map) => drop(listed.table.maps.insert(name, map)),
                            AnyMap::Slots(slots) => drop(listed.table.slots.insert(name, slots)),
                        }
                    }
                    "chain" => {
                        let name = self.name()?;
                        let (chain, is_altered) = self.chain()?;
                        if is_altered {
                            listed.altered.insert(name.clone());
                        }
                        listed.table.chains.insert(name, chain);
                    }
                    kind => return Err(format!("{kind:?} is no object of ours")),
                },
                token => return Err(format!("{token:?} is no object")),
            }
        }
    }

    fn set(&mut self) -> Read<AnySet> {
        let mut set = Set::default();
        let mut elements = Vec::new();
        let mut has_pairs = false;
        self.expect('{')?;
        loop {
            match self.next_in_block() {
                Some(Token::Mark('}')) => break,
                Some(Token::Word(word)) => match word {
                    "type" => {
                        let addr = Token::Word(address_type(self.family));
                        has_pairs = match self.rest_of_line().as_slice() {
                            [one] if *one == addr => false,
                            [one, _, two] if *one == addr && *two == addr => true,
                            _ => return Err("a set of another kind".to_owned()),
                        };
                    }
                    "size" | "flags" | "gc-interval" => drop(self.rest_of_line()),
                    "timeout" => set.timeout = Some(seconds(self.word()?)?),
                    "comment" => set.comment = self.quoted()?,
                    "elements" => elements = self.elements()?,
                    word => return Err(format!("{word:?} in a set")),
                },
                token => return Err(format!("{token:?} in a set")),
            }
        }
        if has_pairs {
            return elements.iter().map(|element| twice(element)).collect::<Read<_>>().map(AnySet::Loops);
        }
        // What rules have put in is not what was written.
        if set.timeout.is_none() {
            for element in elements {
                let [(_, Token::Word(addr))] = element else {
                    return Err("an element that is no address".to_owned());
                };
                set.elements.insert(addr.parse().map_err(|_| format!("{addr:?} is no address"))?);
            }
        }
        Ok(AnySet::Addresses(set))
    }

    fn map(&mut self) -> Read<AnyMap> {
        let mut slots_of = None;
        let mut map = Map { kind: MapKind::Port, comment: None, elements: BTreeMap::new() };
        let mut elements = Vec::new();
        self.expect('{')?;
        loop {
            match self.next_in_block() {
                Some(Token::Mark('}')) => break,
                Some(Token::Word(word)) => match word {
                    word @ ("type" | "typeof") => {
                        let of = self.rest_of_line();
                        // The first word is the address's, if there is one.
                        if of.first().and_then(|token| token.word()).is_some_and(|word| word.starts_with("ip")) {
                            map.kind = MapKind::Address;
                        }
                        if word == "type" && of.last() != Some(&Token::Word("verdict")) {
                            return Err("a map of another kind".to_owned());
                        }
                        if word == "typeof" {
                            let protocol = of.iter().find_map(|token| protocol_of(token.word()?).ok());
                            slots_of = Some(protocol.ok_or("a map of another kind")?);
                        }
                    }
                    "size" | "flags" => drop(self.rest_of_line()),
                    "comment" => map.comment = self.quoted()?,
                    "elements" => elements = self.elements()?,
                    word => return Err(format!("{word:?} in a map")),
                },
                token => return Err(format!("{token:?} in a map")),
            }
        }
        if let Some(protocol) = slots_of {
            let elements = elements.iter().map(|element| slot(element)).collect::<Read<_>>()?;
            return Ok(AnyMap::Slots(Slots { protocol, kind: map.kind, elements }));
        }
        for element in elements {
            let (key, element) = map_element(element)?;
            map.elements.insert(key, element);
        }
        Ok(AnyMap::Verdicts(map))
    }

    /// `= { A, B, ... }`, each as its tokens.
    fn elements(&mut self) -> Read<Vec<&'a [(usize, Token<'t>)]>> {
        if self.word()? != "=" {
            return Err("= is missing".to_owned());
        }
        self.expect('{')?;
        let rest = &self.tokens[self.at..];
        let end = rest.iter().position(|(_, token)| *token == Token::Mark('}')).ok_or("elements do not end")?;
        self.at += end + 1;
        // Lines end after a comma or at the braces.
        let is_end = |(_, token): &(usize, Token<'_>)| matches!(token, Token::Mark(',' | '\n'));
        Ok(rest[..end].split(is_end).filter(|element| !element.is_empty()).collect())
    }

    fn chain(&mut self) -> Read<(Chain, bool)> {
        let (mut chain, mut is_altered) = (Chain::default(), false);
        self.expect('{')?;
        loop {
            match self.next_in_block() {
                Some(Token::Mark('}')) => return Ok((chain, is_altered)),
                Some(Token::Word("comment")) => chain.comment = self.quoted()?,
                Some(Token::Word("type")) => chain.hook = Some(self.hook()?),
                Some(Token::Word("policy")) => drop(self.rest_of_line()),
                Some(_) => {
                    self.at -= 1;
                    let tokens = self.rest_of_line();
                    match rule(&tokens, self.family) {
                        Ok(rule) => chain.rules.push(rule),
                        Err(_) => is_altered = true,
                    }
                }
                None => return Err("a chain does not end".to_owned()),
            }
        }
    }

    /// `nat hook output priority -100`; some priorities have names.
    fn hook(&mut self) -> Read<Hook> {
        let is_nat = self.word()? == "nat";
        let words: Vec<&str> = self.rest_of_line().into_iter().filter_map(Token::word).collect();
        let ["hook", point, "priority", priority @ ..] = words.as_slice() else {
            return Err("a chain of another kind".to_owned());
        };
        let point = HookPoint::WORDS.iter().find(|(word, _)| word == point).ok_or("a hook of another kind")?.1;
        let named = |name: &str| match name {
            "raw" => Some(-300),
            "mangle" => Some(-150),
            "dstnat" => Some(-100),
            "filter" => Some(0),
            "security" => Some(50),
            "srcnat" => Some(100),
            number => number.parse().ok(),
        };
        let number = match *priority {
            [one] => named(one),
            [base, "+", by] => named(base).zip(by.parse::<i32>().ok()).map(|(base, by)| base + by),
            [base, "-", by] => named(base).zip(by.parse::<i32>().ok()).map(|(base, by)| base - by),
            _ => None,
        };
        Ok(Hook { is_nat, point, priority: number.ok_or("a priority of another kind")? })
    }
}

/// `3h`, `1m30s`, `10800s`
fn seconds(text: &str) -> Read<u32> {
    let (mut total, mut digits) = (0u32, String::new());
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return Err(format!("{text:?} is no time")),
        };
        let number: u32 = digits.parse().map_err(|_| format!("{text:?} is no time"))?;
        total = number.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or("a time too long")?;
        digits.clear();
    }
    Ok(total)
}

/// `A . tcp . 80 comment "..." : goto X`
fn map_element(tokens: &[(usize, Token<'_>)]) -> Read<(Key, Element)> {
    let (mut words, mut comment) = (Vec::with_capacity(tokens.len()), None);
    for (_, token) in tokens {
        match *token {
            Token::Word(word) => words.push(word),
            Token::Quoted(text) => comment = Some(Comment::new(text)),
            Token::Mark(mark) => return Err(format!("{mark:?} in an element")),
        }
    }
    words.retain(|word| !matches!(*word, "." | "comment"));
    let at = words.iter().position(|word| *word == ":").ok_or("an element without a verdict")?;
    let (addr, protocol, port) = match words[..at] {
        [addr, protocol, port] => {
            (Some(addr.parse::<IpAddr>().map_err(|_| format!("{addr:?} is no address"))?), protocol, port)
        }
        [protocol, port] => (None, protocol, port),
        _ => return Err("a key of another kind".to_owned()),
    };
    let protocol = protocol_of(protocol)?;
    let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
    let (verdict, rest) = verdict(&words[at + 1..])?;
    if rest > 0 {
        return Err("more than a verdict".to_owned());
    }
    Ok((Key { addr, protocol, port }, Element { verdict, comment }))
}

/// The words of an element without the dots.
fn words_of<'t>(tokens: &[(usize, Token<'t>)]) -> Read<Vec<&'t str>> {
    let words: Option<Vec<&str>> = tokens.iter().map(|(_, token)| token.word()).collect();
    let words = words.ok_or("an element of another kind")?;
    Ok(words.into_iter().filter(|word| *word != ".").collect())
}

/// `A . A`
fn twice(tokens: &[(usize, Token<'_>)]) -> Read<IpAddr> {
    match words_of(tokens)?[..] {
        [one, other] if one == other => one.parse().map_err(|_| format!("{one:?} is no address")),
        _ => Err("a pair of another kind".to_owned()),
    }
}

/// `A . 80 . 0 : B . 8080`
fn slot(tokens: &[(usize, Token<'_>)]) -> Read<(Slot, SocketAddr)> {
    fn read<T: std::str::FromStr>(word: &str) -> Read<T> {
        word.parse().map_err(|_| format!("{word:?} in an element"))
    }
    let words = words_of(tokens)?;
    let (addr, rest) = match words.len() {
        6 => (Some(read(words[0])?), &words[1..]),
        _ => (None, &words[..]),
    };
    let [port, number, ":", to, to_port] = *rest else { return Err("a slot of another kind".to_owned()) };
    let slot = Slot { addr, port: read(port)?, number: read(number)? };
    Ok((slot, SocketAddr::new(read(to)?, read(to_port)?)))
}
