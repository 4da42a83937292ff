//! What did `nft list table` print? The objects, or that it is not what this driver writes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use svc_model::Protocol;
use svc_model::addr::IpFamily;

use crate::names::Name;
use crate::print::{address_type, family_word};
use crate::table::{
    Among, Chain, Comment, Element, Hook, HookPoint, Interface, Key, Map, MapKind, Rule, Set, Side, Slot, Slots,
    Statement, TABLE, Table, Verdict, disjoint,
};

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

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    /// One of `{ } , ;` and the end of a line.
    Mark(char),
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

/// Lines end commands only outside of the braces of a set.
fn tokens(text: &str) -> Vec<(usize, Token)> {
    let mut tokens = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '{' | '}' | ',' | ';' => tokens.push((i, Token::Mark(c))),
                '"' => tokens.push((i, Token::Quoted(chars.by_ref().take_while(|c| *c != '"').collect()))),
                '#' => break,
                c if c.is_whitespace() => {}
                c => {
                    let mut word = String::from(c);
                    let ends = |c: &char| c.is_whitespace() || matches!(c, '{' | '}' | ',' | ';' | '"');
                    while let Some(c) = chars.next_if(|c| !ends(c)) {
                        word.push(c);
                    }
                    tokens.push((i, Token::Word(word)));
                }
            }
        }
        tokens.push((i, Token::Mark('\n')));
    }
    tokens
}

struct Reader<'a> {
    tokens: &'a [(usize, Token)],
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

impl<'a> Reader<'a> {
    fn line(&self) -> usize {
        self.tokens.get(self.at.saturating_sub(1)).or(self.tokens.last()).map_or(1, |(line, _)| line + 1)
    }

    fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at).map(|(_, token)| token);
        self.at += 1;
        token
    }

    /// Past the ends of lines and semicolons.
    fn next_in_block(&mut self) -> Option<&'a Token> {
        loop {
            match self.next() {
                Some(Token::Mark('\n' | ';')) => {}
                token => return token,
            }
        }
    }

    fn word(&mut self) -> Read<&'a str> {
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
            Some(Token::Mark(other)) if *other == mark => Ok(()),
            token => Err(format!("{mark:?} is missing, there is {token:?}")),
        }
    }

    fn quoted(&mut self) -> Read<Option<Comment>> {
        match self.next() {
            Some(Token::Quoted(text)) => Ok(Some(Comment::new(text.as_str()))),
            token => Err(format!("a comment is missing, there is {token:?}")),
        }
    }

    /// To the end of the line.
    fn rest_of_line(&mut self) -> Vec<&'a Token> {
        let mut rest = Vec::new();
        let mut depth = 0;
        loop {
            match self.next() {
                None | Some(Token::Mark(';')) => return rest,
                Some(Token::Mark('\n')) if depth == 0 => return rest,
                Some(Token::Mark('\n')) => {}
                Some(token) => {
                    depth += i32::from(*token == Token::Mark('{')) - i32::from(*token == Token::Mark('}'));
                    rest.push(token);
                }
            }
        }
    }

    fn table(&mut self) -> Read<Listed> {
        let mut listed = Listed { table: Table::new(self.family), altered: BTreeSet::new() };
        let start = [self.next_in_block(), self.next(), self.next()];
        let wanted = ["table", family_word(self.family), TABLE];
        let is_ours =
            |(token, wanted): (Option<&Token>, &str)| matches!(token, Some(Token::Word(word)) if word == wanted);
        if !start.into_iter().zip(wanted).all(is_ours) {
            return Err("it does not begin with our table".to_owned());
        }
        self.expect('{')?;
        loop {
            match self.next_in_block() {
                Some(Token::Mark('}')) => return Ok(listed),
                Some(Token::Word(kind)) => match kind.as_str() {
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
                Some(Token::Word(word)) => match word.as_str() {
                    "type" => {
                        let of = self.rest_of_line();
                        let addr = Token::Word(address_type(self.family).to_owned());
                        has_pairs = match of.as_slice() {
                            [one] if **one == addr => false,
                            [one, _, two] if **one == addr && **two == addr => true,
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
                let [Token::Word(addr)] = element.as_slice() else {
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
                Some(Token::Word(word)) => match word.as_str() {
                    word @ ("type" | "typeof") => {
                        let of = self.rest_of_line();
                        // The first word is the address's, if there is one.
                        if matches!(of.first(), Some(Token::Word(word)) if word.starts_with("ip")) {
                            map.kind = MapKind::Address;
                        }
                        let is_verdict = matches!(of.last(), Some(Token::Word(word)) if word == "verdict");
                        if word == "type" && !is_verdict {
                            return Err("a map of another kind".to_owned());
                        }
                        if word == "typeof" {
                            let protocol = of.iter().find_map(|token| match token {
                                Token::Word(word) => protocol_of(word).ok(),
                                _ => None,
                            });
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
            let (key, element) = map_element(&element)?;
            map.elements.insert(key, element);
        }
        Ok(AnyMap::Verdicts(map))
    }

    /// `= { A, B, ... }`, each as its tokens.
    fn elements(&mut self) -> Read<Vec<Vec<Token>>> {
        if self.word()? != "=" {
            return Err("= is missing".to_owned());
        }
        self.expect('{')?;
        let mut elements = vec![Vec::new()];
        loop {
            match self.next() {
                Some(Token::Mark('}')) => break,
                Some(Token::Mark(',')) => elements.push(Vec::new()),
                Some(Token::Mark('\n')) => {}
                Some(token) => elements.last_mut().map_or((), |element: &mut Vec<Token>| element.push(token.clone())),
                None => return Err("elements do not end".to_owned()),
            }
        }
        elements.retain(|element| !element.is_empty());
        Ok(elements)
    }

    fn chain(&mut self) -> Read<(Chain, bool)> {
        let (mut chain, mut is_altered) = (Chain::default(), false);
        self.expect('{')?;
        loop {
            match self.next_in_block() {
                Some(Token::Mark('}')) => return Ok((chain, is_altered)),
                Some(Token::Word(word)) if word == "comment" => chain.comment = self.quoted()?,
                Some(Token::Word(word)) if word == "type" => chain.hook = Some(self.hook()?),
                Some(Token::Word(word)) if word == "policy" => drop(self.rest_of_line()),
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
        let words = self.rest_of_line();
        let words: Vec<&str> = words
            .iter()
            .filter_map(|token| match token {
                Token::Word(word) => Some(word.as_str()),
                _ => None,
            })
            .collect();
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
fn map_element(tokens: &[Token]) -> Read<(Key, Element)> {
    let (mut words, mut comment) = (Vec::new(), None);
    for token in tokens {
        match token {
            Token::Word(word) => words.push(word.as_str()),
            Token::Quoted(text) => comment = Some(Comment::new(text.as_str())),
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
fn words_of(tokens: &[Token]) -> Read<Vec<&str>> {
    let words: Option<Vec<&str>> = tokens
        .iter()
        .map(|token| match token {
            Token::Word(word) => Some(word.as_str()),
            _ => None,
        })
        .collect();
    let words = words.ok_or("an element of another kind")?;
    Ok(words.into_iter().filter(|word| *word != ".").collect())
}

/// `A . A`
fn twice(tokens: &[Token]) -> Read<IpAddr> {
    match words_of(tokens)?[..] {
        [one, other] if one == other => one.parse().map_err(|_| format!("{one:?} is no address")),
        _ => Err("a pair of another kind".to_owned()),
    }
}

/// `A . 80 . 0 : B . 8080`
fn slot(tokens: &[Token]) -> Read<(Slot, SocketAddr)> {
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

fn protocol_of(word: &str) -> Read<Protocol> {
    match word {
        "tcp" | "6" => Ok(Protocol::Tcp),
        "udp" | "17" => Ok(Protocol::Udp),
        "sctp" | "132" => Ok(Protocol::Sctp),
        _ => Err(format!("{word:?} is no protocol")),
    }
}

/// A verdict, and how many words come after it.
fn verdict(words: &[&str]) -> Read<(Verdict, usize)> {
    let chain = |name: &str| Name::new(name).ok_or_else(|| format!("{name:?} is no name"));
    Ok(match *words {
        ["drop", ref rest @ ..] => (Verdict::Drop, rest.len()),
        ["reject", ref rest @ ..] => (Verdict::Reject, rest.len()),
        ["return", ref rest @ ..] => (Verdict::Return, rest.len()),
        ["continue", ref rest @ ..] => (Verdict::Continue, rest.len()),
        ["jump", name, ref rest @ ..] => (Verdict::Jump(chain(name)?), rest.len()),
        ["goto", name, ref rest @ ..] => (Verdict::Goto(chain(name)?), rest.len()),
        _ => return Err(format!("{words:?} is no verdict")),
    })
}

/// A rule in our words or in those of `nft list`.
fn rule(tokens: &[&Token], family: IpFamily) -> Read<Rule> {
    let mut words: Vec<&str> = Vec::with_capacity(tokens.len());
    let mut rule = Rule::default();
    let mut tokens = tokens.iter();
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) if word == "comment" => match tokens.next() {
                Some(Token::Quoted(text)) => rule.comment = Some(Comment::new(text.as_str())),
                _ => return Err("a comment without text".to_owned()),
            },
            Token::Word(word) => words.push(word),
            Token::Quoted(text) => words.push(text),
            Token::Mark('{') => words.push("{"),
            Token::Mark('}') => words.push("}"),
            Token::Mark(',') => words.push(","),
            Token::Mark(mark) => return Err(format!("{mark:?} in a rule")),
        }
    }
    let mut words = words.as_slice();
    while !words.is_empty() {
        let (statement, rest) = statement(words, family)?;
        rule.statements.push(statement);
        words = rest;
    }
    Ok(rule)
}

fn statement<'w, 't>(words: &'w [&'t str], family: IpFamily) -> Read<(Statement, &'w [&'t str])> {
    let unknown = || format!("{:?} is not understood", &words[..words.len().min(8)]);
    let name = |word: &str| Name::new(word).ok_or_else(|| format!("{word:?} is no name"));
    let ip = family_word(family);
    Ok(match *words {
        [word, "daddr", ".", "meta", "l4proto", ".", "th", "dport", "vmap", map, ref rest @ ..] if word == ip => {
            (Statement::LookUp(name(map.strip_prefix('@').ok_or_else(unknown)?)?), rest)
        }
        ["meta", "l4proto", ".", "th", "dport", "vmap", map, ref rest @ ..] => {
            (Statement::LookUpPort(name(map.strip_prefix('@').ok_or_else(unknown)?)?), rest)
        }
        [word, side @ ("saddr" | "daddr"), ref rest @ ..] if word == ip => {
            let (negated, rest) = negation(rest);
            let (among, rest) = among(rest)?;
            let side = if side == "saddr" { Side::Source } else { Side::Destination };
            (Statement::Address { side, negated, among }, rest)
        }
        ["fib", side @ ("saddr" | "daddr"), "type", "local", ref rest @ ..] => {
            let side = if side == "saddr" { Side::Source } else { Side::Destination };
            (Statement::Local { side }, rest)
        }
        ["iifname", ref rest @ ..] => {
            let (negated, rest) = negation(rest);
            let [device, ref rest @ ..] = *rest else { return Err(unknown()) };
            (Statement::InterfaceIs { negated, name: Interface::new(device).ok_or_else(unknown)? }, rest)
        }
        ["dnat", word, "to", ref rest @ ..] if word == ip => {
            let (kind, rest) = match *rest {
                [word, "daddr", ".", ref rest @ ..] if word == ip => (MapKind::Address, rest),
                ref rest => (MapKind::Port, rest),
            };
            let [protocol, "dport", ".", "numgen", "random", "mod", among, "map", map, ref rest @ ..] = *rest else {
                return Err(unknown());
            };
            let map = name(map.strip_prefix('@').ok_or_else(unknown)?)?;
            let among = among.parse().map_err(|_| unknown())?;
            (Statement::DnatTo { map, protocol: protocol_of(protocol)?, kind, among }, rest)
        }
        ["ct", "status", "dnat", one, "saddr", ".", other, "daddr", set, ref rest @ ..] if one == ip && other == ip => {
            (Statement::Loops(name(set.strip_prefix('@').ok_or_else(unknown)?)?), rest)
        }
        ["meta", "l4proto", protocol, ref rest @ ..] => (Statement::Protocol(protocol_of(protocol)?), rest),
        ["ct", "state", "new", ref rest @ ..] => (Statement::New, rest),
        ["mark", "and", bits, "==", "0", ref rest @ ..]
        | ["meta", "mark", "&", bits, "==", "0x00000000", ref rest @ ..] => (Statement::Unmarked(bits_of(bits)?), rest),
        ["mark", "set", "mark", "or", bits, ref rest @ ..]
        | ["meta", "mark", "set", "meta", "mark", "|", bits, ref rest @ ..] => {
            (Statement::SetMark(bits_of(bits)?), rest)
        }
        ["mark", "set", "mark", "xor", bits, ref rest @ ..]
        | ["meta", "mark", "set", "meta", "mark", "^", bits, ref rest @ ..] => {
            (Statement::TurnMark(bits_of(bits)?), rest)
        }
        ["update", set, "{", word, "saddr", "}", ref rest @ ..] if word == ip => {
            (Statement::Remember(name(set.strip_prefix('@').ok_or_else(unknown)?)?), rest)
        }
        ["numgen", "random", "mod", n, "vmap", "{", ref rest @ ..] => {
            let n: usize = n.parse().map_err(|_| unknown())?;
            let end = rest.iter().position(|word| *word == "}").ok_or_else(unknown)?;
            let mut chains = Vec::new();
            for (i, choice) in rest[..end].split(|word| *word == ",").enumerate() {
                match *choice {
                    [at, ":", "goto", chain] if at.parse::<usize>() == Ok(i) => chains.push(name(chain)?),
                    _ => return Err(unknown()),
                }
            }
            if chains.len() != n {
                return Err(unknown());
            }
            (Statement::Choose(chains), &rest[end + 1..])
        }
        ["dnat", "to", to, ref rest @ ..] => (Statement::Dnat(to.parse().map_err(|_| unknown())?), rest),
        ["masquerade", "fully-random", ref rest @ ..] => (Statement::Masquerade, rest),
        _ => {
            let (verdict, rest) = verdict(words)?;
            (Statement::Verdict(verdict), &words[words.len() - rest..])
        }
    })
}

fn negation<'w, 't>(words: &'w [&'t str]) -> (bool, &'w [&'t str]) {
    match words {
        ["!=", rest @ ..] => (true, rest),
        words => (false, words),
    }
}

fn among<'w, 't>(words: &'w [&'t str]) -> Read<(Among, &'w [&'t str])> {
    let range = |word: &str| -> Read<IpNet> {
        let host = word.parse::<IpAddr>().map(IpNet::from);
        host.or_else(|_| word.parse()).map_err(|_| format!("{word:?} is no range"))
    };
    match words {
        ["{", rest @ ..] => {
            let end = rest.iter().position(|word| *word == "}").ok_or("a set that does not end")?;
            let mut ranges = Vec::new();
            for word in rest[..end].iter().filter(|word| **word != ",") {
                match word.split_once('-') {
                    // Neighbours are listed as one.
                    Some((first, last)) => {
                        ranges.extend(between(first, last).ok_or_else(|| format!("{word:?} is no range"))?)
                    }
                    None => ranges.push(range(word)?),
                }
            }
            Ok((Among::Some(disjoint(&ranges)), &rest[end + 1..]))
        }
        [word, rest @ ..] => match word.strip_prefix('@') {
            Some(set) => Ok((Among::Set(Name::new(set).ok_or("a set without a name")?), rest)),
            None => Ok((Among::One(range(word)?), rest)),
        },
        [] => Err("addresses are missing".to_owned()),
    }
}

/// The ranges from an address to another.
fn between(first: &str, last: &str) -> Option<Vec<IpNet>> {
    Some(match (first.parse().ok()?, last.parse().ok()?) {
        (IpAddr::V4(first), IpAddr::V4(last)) => Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect(),
        (IpAddr::V6(first), IpAddr::V6(last)) => Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect(),
        _ => return None,
    })
}

fn bits_of(text: &str) -> Read<u32> {
    let digits = text.strip_prefix("0x").ok_or_else(|| format!("{text:?} is no mark"))?;
    u32::from_str_radix(digits, 16).map_err(|_| format!("{text:?} is no mark"))
}
