//! What does a rule say? In our words, or in those of `nft list`.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use svc_model::Protocol;
use svc_model::addr::IpFamily;

use super::Read;
use super::lexer::Token;
use crate::names::Name;
use crate::print::family_word;
use crate::table::{Among, Comment, Interface, MapKind, Rule, Side, Statement, Verdict, disjoint};

pub(super) fn protocol_of(word: &str) -> Read<Protocol> {
    match word {
        "tcp" | "6" => Ok(Protocol::Tcp),
        "udp" | "17" => Ok(Protocol::Udp),
        "sctp" | "132" => Ok(Protocol::Sctp),
        _ => Err(format!("{word:?} is no protocol")),
    }
}

/// A verdict, and how many words come after it.
pub(super) fn verdict(words: &[&str]) -> Read<(Verdict, usize)> {
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
pub(super) fn rule(tokens: &[Token<'_>], family: IpFamily) -> Read<Rule> {
    let mut words: Vec<&str> = Vec::with_capacity(tokens.len());
    let mut rule = Rule::default();
    let mut tokens = tokens.iter();
    while let Some(token) = tokens.next() {
        match *token {
            Token::Word("comment") => match tokens.next() {
                Some(Token::Quoted(text)) => rule.comment = Some(Comment::new(*text)),
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
