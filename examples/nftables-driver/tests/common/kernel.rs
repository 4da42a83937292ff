//! Tables in memory: the commands of `nft -f` and `nft list table`, as far as the driver needs them. Everything else is an error.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use driver_kit::FlowTable;
use nftables_driver::{Among, Chain, Name, Rule, Statement, Table, Tables, Verdict, parse};
use svc_model::Flow;
use svc_model::addr::IpFamily;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KernelError {
    #[error("refused")]
    Refused,
    #[error("the reply was lost")]
    ReplyLost,
    #[error("nft: {0}")]
    Invalid(String),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Kernel {
    /// By whether the family is IPv4.
    tables: BTreeMap<bool, Table>,
    /// When each source was put into a set.
    seen: BTreeMap<(bool, Name), BTreeMap<IpAddr, Duration>>,
    pub(crate) flows: Vec<Flow>,
    pub(crate) fails: Option<(u64, KernelError)>,
    /// Tables of others; no command reaches them.
    pub(crate) foreign: String,
}

fn invalid(what: impl Into<String>) -> KernelError {
    KernelError::Invalid(what.into())
}

fn family_of(is_v4: bool) -> IpFamily {
    if is_v4 { IpFamily::V4 } else { IpFamily::V6 }
}

fn name(text: &str) -> Result<Name, KernelError> {
    Name::new(text).ok_or_else(|| invalid(format!("{text:?} is no name")))
}

/// What a verdict leads to.
fn target(verdict: &Verdict) -> Option<&Name> {
    match verdict {
        Verdict::Jump(name) | Verdict::Goto(name) => Some(name),
        _ => None,
    }
}

/// Elements in a set or map of the kind of that which they are for.
fn holder(table: &Table, object: &Name, elements: &str) -> Result<String, KernelError> {
    let addr = if table.family == IpFamily::V4 { "ipv4_addr" } else { "ipv6_addr" };
    Ok(if table.sets.contains_key(object) {
        format!("set x {{ type {addr}; elements = {elements} }}")
    } else if table.loops.contains_key(object) {
        format!("set x {{ type {addr} . {addr}; elements = {elements} }}")
    } else if table.maps.contains_key(object) {
        format!("map x {{ type t : verdict; elements = {elements} }}")
    } else if table.slots.contains_key(object) {
        format!("map x {{ typeof tcp dport; elements = {elements} }}")
    } else {
        return Err(invalid(format!("no set or map {object}")));
    })
}

fn has_set(table: &Table, name: &Name) -> bool {
    table.sets.contains_key(name)
        || table.maps.contains_key(name)
        || table.slots.contains_key(name)
        || table.loops.contains_key(name)
}

fn chains_of(rule: &Rule) -> Vec<&Name> {
    let of = rule.statements.iter().flat_map(|statement| match statement {
        Statement::Choose(chains) => chains.iter().collect::<Vec<&Name>>(),
        Statement::Verdict(verdict) => target(verdict).into_iter().collect(),
        _ => Vec::new(),
    });
    of.collect()
}

fn sets_of(rule: &Rule) -> Vec<&Name> {
    rule.statements
        .iter()
        .filter_map(|statement| match statement {
            Statement::Address { among: Among::Set(name), .. } => Some(name),
            Statement::Remember(name) | Statement::LookUp(name) | Statement::LookUpPort(name) => Some(name),
            Statement::DnatTo { map, .. } => Some(map),
            Statement::Loops(set) => Some(set),
            _ => None,
        })
        .collect()
}

impl Kernel {
    pub(crate) fn table(&self, is_v4: bool) -> Option<&Table> {
        self.tables.get(&is_v4)
    }

    pub(crate) fn see(&mut self, set: &str, source: IpAddr, now: Duration) {
        let key = (source.is_ipv4(), Name::new(set).unwrap());
        self.seen.entry(key).or_default().insert(source, now);
    }

    /// Whether a source is in a set whose elements are forgotten.
    pub(crate) fn has_seen(&self, set: &Name, source: IpAddr, now: Duration, seconds: u32) -> bool {
        let seen = self.seen.get(&(source.is_ipv4(), set.clone())).and_then(|set| set.get(&source));
        seen.is_some_and(|seen| now - *seen < Duration::from_secs(seconds.into()))
    }

    pub(crate) fn flush(&mut self) {
        self.tables.clear();
        self.seen.clear();
    }

    fn commit(&mut self, commands: &str) -> Result<(), KernelError> {
        let mut next = self.clone();
        for command in commands.lines() {
            next.command(command)?;
        }
        // The driver puts in order what needs order; what leads where is judged after each command, too.
        next.check()?;
        *self = next;
        Ok(())
    }

    fn check(&self) -> Result<(), KernelError> {
        for table in self.tables.values() {
            let rules = || table.chains.values().flat_map(|chain| &chain.rules);
            let verdicts = table.maps.values().flat_map(|map| map.elements.values()).filter_map(|e| target(&e.verdict));
            let chains = rules().flat_map(chains_of).chain(verdicts);
            if let Some(lost) = chains.into_iter().find(|name| !table.chains.contains_key(*name)) {
                return Err(invalid(format!("no chain {lost}")));
            }
            if let Some(lost) = rules().flat_map(sets_of).find(|name| !has_set(table, name)) {
                return Err(invalid(format!("no set {lost}")));
            }
        }
        Ok(())
    }

    fn command(&mut self, command: &str) -> Result<(), KernelError> {
        let error = || invalid(command);
        let mut parts = command.splitn(6, ' ');
        let mut word = || parts.next().unwrap_or_default();
        let (verb, kind, family, table, object, rest) = (word(), word(), word(), word(), word(), word());
        let is_v4 = match family {
            "ip" => true,
            "ip6" => false,
            _ => return Err(error()),
        };
        if table != "kube-proxy" {
            return Err(error());
        }
        let family = family_of(is_v4);
        match (verb, kind) {
            ("add", "table") => {
                self.tables.entry(is_v4).or_insert_with(|| Table::new(family));
                return Ok(());
            }
            ("delete", "table") => {
                self.tables.remove(&is_v4).ok_or_else(error)?;
                self.seen.retain(|(other, _), _| *other != is_v4);
                return Ok(());
            }
            _ => {}
        }
        let table = self.tables.get_mut(&is_v4).ok_or_else(error)?;
        let object = name(object)?;
        // One object as nft would list it.
        let listed = |inside: &str| {
            let text = format!("table {} kube-proxy {{\n{inside}\n}}\n", if is_v4 { "ip" } else { "ip6" });
            parse(&text, family)
                .map_err(|error| invalid(format!("{error}: {command}")))
                .and_then(|listed| if listed.altered.is_empty() { Ok(listed.table) } else { Err(invalid(command)) })
        };
        match (verb, kind) {
            ("add", "set" | "map") => {
                if has_set(table, &object) {
                    return Err(error());
                }
                let new = listed(&format!("{kind} {object} {rest}"))?;
                table.sets.extend(new.sets);
                table.maps.extend(new.maps);
                table.slots.extend(new.slots);
                table.loops.extend(new.loops);
            }
            ("add", "chain") => {
                let body = if rest.is_empty() { "{ }" } else { rest };
                let mut new = listed(&format!("chain {object} {body}"))?;
                let chain = new.chains.remove(&object).ok_or_else(error)?;
                let there = table.chains.entry(object).or_insert_with(|| chain.clone());
                if there.hook != chain.hook {
                    return Err(error());
                }
            }
            ("add", "rule") => {
                let mut new = listed(&format!("chain {object} {{\n{rest}\n}}"))?;
                let rules = new.chains.remove(&object).ok_or_else(error)?.rules;
                // What it leads to must be there already.
                let lost = rules.iter().any(|rule| {
                    chains_of(rule).into_iter().any(|name| !table.chains.contains_key(name))
                        || sets_of(rule).iter().any(|name| !has_set(table, name))
                });
                if lost || rules.len() != 1 {
                    return Err(error());
                }
                table.chains.get_mut(&object).ok_or_else(error)?.rules.extend(rules);
            }
            ("flush", "chain") => table.chains.get_mut(&object).ok_or_else(error)?.rules.clear(),
            ("add", "element") => {
                let mut new = listed(&holder(table, &object, rest)?)?;
                if let Some(set) = table.sets.get_mut(&object) {
                    set.elements.append(&mut new.sets.pop_first().ok_or_else(error)?.1.elements);
                } else if let Some(set) = table.loops.get_mut(&object) {
                    set.append(&mut new.loops.pop_first().ok_or_else(error)?.1);
                } else if let Some(slots) = table.slots.get_mut(&object) {
                    for (slot, to) in new.slots.pop_first().ok_or_else(error)?.1.elements {
                        if slots.elements.insert(slot, to).is_some() {
                            return Err(error());
                        }
                    }
                } else {
                    for (key, element) in new.maps.pop_first().ok_or_else(error)?.1.elements {
                        if target(&element.verdict).is_some_and(|name| !table.chains.contains_key(name)) {
                            return Err(error());
                        }
                        let map = table.maps.get_mut(&object).ok_or_else(error)?;
                        if map.elements.insert(key, element).is_some() {
                            return Err(error());
                        }
                    }
                }
            }
            ("delete", "element") => {
                // Written without what the key leads to.
                let value = match (table.slots.contains_key(&object), table.maps.contains_key(&object)) {
                    (true, _) => " : :: . 1 }",
                    (_, true) => " : drop }",
                    _ => " }",
                };
                let gone = listed(&holder(table, &object, &rest.replace(" }", value))?)?;
                let was_there: Vec<bool> = if let Some(set) = table.sets.get_mut(&object) {
                    gone.sets.values().flat_map(|gone| &gone.elements).map(|addr| set.elements.remove(addr)).collect()
                } else if let Some(set) = table.loops.get_mut(&object) {
                    gone.loops.values().flatten().map(|addr| set.remove(addr)).collect()
                } else if let Some(slots) = table.slots.get_mut(&object) {
                    let gone = gone.slots.values().flat_map(|gone| gone.elements.keys());
                    gone.map(|slot| slots.elements.remove(slot).is_some()).collect()
                } else {
                    let map = table.maps.get_mut(&object).ok_or_else(error)?;
                    let gone = gone.maps.values().flat_map(|gone| gone.elements.keys());
                    gone.map(|key| map.elements.remove(key).is_some()).collect()
                };
                if was_there.is_empty() || !was_there.into_iter().all(|was_there| was_there) {
                    return Err(error());
                }
            }
            ("delete", "chain") => {
                let rules = |chains: &BTreeMap<Name, Chain>| {
                    chains.values().flat_map(|chain| &chain.rules).any(|rule| chains_of(rule).contains(&&object))
                };
                let elements = table.maps.values().flat_map(|map| map.elements.values());
                let is_used = elements.into_iter().any(|element| target(&element.verdict) == Some(&object));
                if is_used
                    || rules(&table.chains)
                    || !table.chains.get(&object).is_some_and(|chain| chain.rules.is_empty())
                {
                    return Err(error());
                }
                table.chains.remove(&object);
            }
            ("delete", "set" | "map") => {
                let mut rules = table.chains.values().flat_map(|chain| &chain.rules);
                if rules.any(|rule| sets_of(rule).contains(&&object)) {
                    return Err(error());
                }
                let is_gone = table.sets.remove(&object).is_some()
                    || table.maps.remove(&object).is_some()
                    || table.slots.remove(&object).is_some()
                    || table.loops.remove(&object).is_some();
                if !is_gone {
                    return Err(error());
                }
                self.seen.remove(&(is_v4, object));
            }
            _ => return Err(error()),
        }
        Ok(())
    }
}

impl Tables for Kernel {
    /// In the words of nft, which are not those that were written.
    fn list(&mut self, family: IpFamily) -> Result<Option<String>, KernelError> {
        let is_v4 = family == IpFamily::V4;
        let Some(table) = self.tables.get(&is_v4) else { return Ok(None) };
        let word = if is_v4 { "ip" } else { "ip6" };
        let mut text = format!("table {word} kube-proxy {{\n\tcomment \"rules for kube-proxy\"\n");
        let commands = table.to_string();
        let of = |verb: &str, name: &Name| {
            let start = format!("add {verb} {word} kube-proxy {name} ");
            let found = commands.lines().filter_map(|line| line.strip_prefix(&start).map(str::to_owned));
            found.collect::<Vec<String>>()
        };
        let sets = table.sets.keys().chain(table.loops.keys()).collect::<Vec<_>>();
        let maps = table.maps.keys().chain(table.slots.keys()).collect();
        for (verb, names) in [("set", sets), ("map", maps)] {
            for name in names {
                let spec = of(verb, name).remove(0);
                let spec = spec.trim_start_matches("{ ").trim_end_matches(" ; }").replace(" ; ", "\n\t\t");
                writeln!(text, "\t{verb} {name} {{\n\t\t{spec}").unwrap();
                let mut elements: Vec<String> = of("element", name)
                    .iter()
                    .map(|element| element.trim_start_matches("{ ").trim_end_matches(" }").to_owned())
                    .collect();
                if let Some(seen) = self.seen.get(&(is_v4, name.clone())) {
                    elements.extend(seen.keys().map(|addr| format!("{addr} expires 2h59m3s4ms")));
                }
                if !elements.is_empty() {
                    writeln!(text, "\t\telements = {{ {} }}", elements.join(",\n\t\t\t     ")).unwrap();
                }
                text.push_str("\t}\n\n");
            }
        }
        for (name, chain) in &table.chains {
            writeln!(text, "\tchain {name} {{").unwrap();
            if let Some(comment) = &chain.comment {
                writeln!(text, "\t\tcomment \"{}\"", comment.as_str()).unwrap();
            }
            if chain.hook.is_some() {
                let spec = of("chain", name).remove(0);
                let spec = spec.trim_start_matches("{ ").trim_end_matches(" ; }");
                let spec = spec.replace("priority -100", "priority dstnat").replace("priority 100", "priority srcnat");
                let spec =
                    spec.replace("priority 0", "priority filter").replace("priority -110", "priority dstnat - 10");
                writeln!(text, "\t\t{spec}; policy accept;").unwrap();
            }
            for rule in of("rule", name) {
                let rule = rule.replace("mark and 0x4000 == 0 ", "meta mark & 0x00004000 == 0x00000000 ");
                let rule = rule.replace("mark set mark or 0x4000", "meta mark set meta mark | 0x00004000");
                let rule = rule.replace("mark set mark xor 0x4000", "meta mark set meta mark ^ 0x00004000");
                writeln!(text, "\t\t{}", rule.replace(" , ", ",\n\t\t\t\t")).unwrap();
            }
            text.push_str("\t}\n\n");
        }
        text.push_str("}\n");
        Ok(Some(text))
    }

    fn run(&mut self, commands: &str) -> Result<(), KernelError> {
        let fails = match &mut self.fails {
            Some((0, _)) => self.fails.take().map(|(_, error)| error),
            Some((batches, _)) => {
                *batches -= 1;
                None
            }
            None => None,
        };
        if fails == Some(KernelError::Refused) {
            return Err(KernelError::Refused);
        }
        self.commit(commands)?;
        fails.map_or(Ok(()), Err)
    }

    fn has_canary(&mut self, family: IpFamily) -> Result<bool, KernelError> {
        let table = self.tables.get(&(family == IpFamily::V4));
        Ok(table.is_some_and(|table| table.chains.contains_key("generation")))
    }

    fn may_have_happened(error: &KernelError) -> bool {
        *error == KernelError::ReplyLost
    }
}

impl FlowTable for Kernel {
    type Error = KernelError;

    fn flows(&mut self) -> Result<Vec<Flow>, KernelError> {
        Ok(self.flows.clone())
    }

    fn forget(&mut self, flow: &Flow) -> Result<(), KernelError> {
        self.flows.retain(|other| other != flow);
        Ok(())
    }
}
