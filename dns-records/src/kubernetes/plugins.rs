//! Which plugins act in the server block of `kubernetes`, besides it? `rewrite`, `autopath`, `transfer` and `hosts`.

use std::net::{IpAddr, SocketAddr};

use svc_model::addr::parse_ip;

use super::corefile::{Corefile, Key, Plugin, has_environment};
use super::settings::{Complaints, cut};
use crate::hosts::{HostsFile, HostsRecords, HostsSettings};
use crate::name::{Name, NameRef};
use crate::rewrite::{Rule, Rules};

/// The plugins, in the order in which they act. CoreDNS fixes it when it is built, whatever the Corefile says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plugins {
    pub(super) rewrite: Rules,
    /// The lines of the rules.
    pub(super) rewrite_lines: Vec<usize>,
    pub(super) autopath: Option<Autopath>,
    pub(super) transfer: Option<Transfer>,
    pub(super) hosts: Option<Hosts>,
    /// The zones of the server block.
    zones: Vec<Name>,
    /// Zones of other server blocks that listen in the same place, and their lines.
    others: Vec<(Name, usize)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Autopath {
    pub(super) zones: Vec<Name>,
    pub(super) line: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Transfer {
    zones: Vec<Name>,
    /// Who may have the zones; everybody if `None`.
    to: Option<Vec<IpAddr>>,
    pub(super) line: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hosts {
    pub(super) records: HostsRecords,
    pub(super) line: usize,
}

/// Largest `ttl` of `hosts`, in seconds.
const MAX_HOSTS_TTL: u32 = 65535;

impl Plugins {
    /// Those of the server block at this place, whose keys name `keys`.
    pub(super) fn read(corefile: &Corefile, at: usize, keys: Vec<Name>, complaints: &mut Complaints) -> Self {
        let server = &corefile.servers[at];
        let mut plugins = Self { others: others(corefile, at), zones: keys, ..Self::default() };
        let mut rules = Vec::new();
        for plugin in &server.plugins {
            match plugin.name.as_str() {
                "rewrite" => rules.extend(rule(plugin, complaints).map(|rule| (rule, plugin.line))),
                "autopath" => plugins.autopath = plugins.autopath(plugin, complaints).or(plugins.autopath),
                "transfer" => plugins.transfer = plugins.transfer(plugin, complaints).or(plugins.transfer),
                "hosts" if plugins.hosts.is_none() => plugins.hosts = Some(plugins.hosts(plugin, complaints)),
                "hosts" => complaints.error(format!("line {}: `hosts` once more in its server block", plugin.line)),
                _ => {}
            }
        }
        plugins.rewrite_lines = rules.iter().map(|(_, line)| *line).collect();
        plugins.rewrite = rules.into_iter().map(|(rule, _)| rule).collect();
        plugins
    }

    /// Whether none of them can change what the zone answers.
    pub(super) fn are_idle(&self) -> bool {
        let all_may_transfer = self.transfer.as_ref().is_none_or(|transfer| transfer.to.is_none());
        let none = self.rewrite.as_slice().is_empty() && self.autopath.is_none() && self.hosts.is_none();
        none && all_may_transfer && self.others.is_empty()
    }

    /// The line of the server block that gets a question instead of this one: that with the longest key decides.
    pub(super) fn elsewhere(&self, name: NameRef<'_>) -> Option<usize> {
        let matched = |zone: &Name| name.is_within(zone.as_ref()).then(|| zone.as_ref().labels().count());
        let others = self.others.iter().filter_map(|(zone, line)| Some((matched(zone)?, *line)));
        let (longest, line) = others.max_by_key(|(labels, _)| *labels)?;
        self.zones.iter().all(|zone| matched(zone).is_none_or(|own| own < longest)).then_some(line)
    }

    /// The zones that words name, else those of the server block.
    fn zones_or_keys(&self, words: &[String], line: usize, complaints: &mut Complaints) -> Vec<Name> {
        if words.is_empty() { self.zones.clone() } else { complaints.zones(words, line) }
    }

    /// `autopath [ZONE...] @kubernetes`
    fn autopath(&self, plugin: &Plugin, complaints: &mut Complaints) -> Option<Autopath> {
        match plugin.args.split_last() {
            Some((search, zones)) if search == "@kubernetes" => {
                Some(Autopath { zones: self.zones_or_keys(zones, plugin.line, complaints), line: plugin.line })
            }
            Some(_) => {
                complaints
                    .warning(plugin, "is followed with `@kubernetes` only, other search lists are not known here");
                None
            }
            None => {
                complaints.error(format!("line {}: `autopath` needs a search list", plugin.line));
                None
            }
        }
    }

    /// `transfer [ZONE...] { to ADDRESS... }`
    fn transfer(&self, plugin: &Plugin, complaints: &mut Complaints) -> Option<Transfer> {
        let zones = self.zones_or_keys(&plugin.args, plugin.line, complaints);
        let (mut to, mut all) = (Vec::new(), false);
        for word in &plugin.block {
            if word.name != "to" {
                continue;
            }
            for text in &word.args {
                let addr = parse_ip(text).ok().or_else(|| text.parse().ok().map(|addr: SocketAddr| addr.ip()));
                match addr {
                    _ if text == "*" => all = true,
                    Some(addr) => to.push(addr),
                    None => complaints.error(format!("line {}: `{}` is no address", word.line, cut(text))),
                }
            }
        }
        if to.is_empty() && !all {
            complaints.error(format!("line {}: `transfer` needs `to`", plugin.line));
            return None;
        }
        Some(Transfer { zones, to: (!all).then_some(to), line: plugin.line })
    }

    /// `hosts [FILE [ZONE...]] { ... }`
    fn hosts(&self, plugin: &Plugin, complaints: &mut Complaints) -> Hosts {
        let (file, zones) = plugin.args.split_first().map_or((None, &[][..]), |(file, zones)| (Some(file), zones));
        if file.is_some() {
            complaints.warning(plugin, "names a file, which is not read here; its inline entries count");
        }
        let zones = self.zones_or_keys(zones, plugin.line, complaints);
        let mut settings = HostsSettings { zones, ..HostsSettings::default() };
        let mut entries = HostsFile::default();
        for word in &plugin.block {
            let line = word.line;
            match (word.name.as_str(), word.args.as_slice()) {
                ("fallthrough", []) => settings.fallthrough = vec![Name::root()],
                ("fallthrough", zones) => settings.fallthrough = complaints.zones(zones, line),
                ("fallthrough_unsupported", []) => settings.fallthrough_unsupported = true,
                ("no_reverse", _) => settings.reverse = false,
                ("ttl", [ttl, ..]) if ttl.parse().is_ok_and(|ttl| (1..=MAX_HOSTS_TTL).contains(&ttl)) => {
                    settings.ttl = ttl.parse().unwrap_or(settings.ttl);
                }
                ("reload", [_]) => {}
                ("ttl" | "reload" | "fallthrough_unsupported", _) => {
                    complaints.error(format!("line {line}: `{}` is nothing `hosts` takes", cut(&line_of(word))));
                }
                _ if !settings.fallthrough.is_empty() => {
                    let message = "is no property of `hosts`, and entries stand before `fallthrough`";
                    complaints.error(format!("line {line}: `{}` {message}", cut(&word.name)));
                }
                (addr, names) => {
                    // A scope is left out, as CoreDNS does.
                    match parse_ip(addr.split_once('%').map_or(addr, |(addr, _)| addr)) {
                        Ok(addr) => entries.push(addr, names),
                        Err(reason) => {
                            complaints.warn(format!("line {line}: an entry of `hosts` is left out: {reason}"))
                        }
                    }
                    for name in names.iter().filter(|name| name.parse::<Name>().is_err()) {
                        complaints.warn(format!("line {line}: `{}` is no name", cut(name)));
                    }
                }
            }
        }
        if settings.fallthrough_unsupported && settings.fallthrough.is_empty() {
            complaints.error(format!("line {}: `fallthrough_unsupported` needs `fallthrough`", plugin.line));
        }
        Hosts { records: HostsRecords::new(&entries, settings), line: plugin.line }
    }
}

impl Transfer {
    /// Whether a client may have a zone; one that is not known may what any other may.
    pub(super) fn allows(&self, zone: NameRef<'_>, client: Option<IpAddr>) -> bool {
        let to = |client: IpAddr| self.to.as_ref().is_none_or(|to| to.contains(&client));
        self.zones.iter().any(|own| zone.is_within(own.as_ref())) && client.is_none_or(to)
    }
}

/// A rule of `rewrite`: its words stand on its line, or on those of its block where that has fewer than two.
fn rule(plugin: &Plugin, complaints: &mut Complaints) -> Option<Rule> {
    let mut words: Vec<&str> = plugin.args.iter().map(String::as_str).collect();
    if words.len() < 2 {
        words.extend(
            plugin
                .block
                .iter()
                .flat_map(|line| [line.name.as_str()].into_iter().chain(line.args.iter().map(String::as_str))),
        );
    }
    if let Some(word) = words.iter().find(|word| has_environment(word)) {
        complaints.warn(format!(
            "line {}: a rule of `rewrite` is left out: the environment of CoreDNS, and so `{}`, is not known here",
            plugin.line,
            cut(word)
        ));
        return None;
    }
    let field = words.iter().find(|word| !matches!(word.to_ascii_lowercase().as_str(), "continue" | "stop"));
    match Rule::from_words(&words) {
        Ok(rule) => Some(rule),
        Err(error) if field.is_some_and(|field| OTHER_FIELDS.contains(&field.to_ascii_lowercase().as_str())) => {
            complaints.warn(format!("line {}: a rule of `rewrite` is left out: {error}", plugin.line));
            None
        }
        Err(error) => {
            complaints.error(format!("line {}: a rule of `rewrite` is left out: {error}", plugin.line));
            None
        }
    }
}

/// What `rewrite` can change besides the name.
const OTHER_FIELDS: [&str; 6] = ["type", "class", "edns0", "ttl", "cname", "rcode"];

/// The zones of the server blocks that compete with the one at this place.
fn others(corefile: &Corefile, at: usize) -> Vec<(Name, usize)> {
    let keys = |keys: &[String]| -> Vec<Key> {
        keys.iter().filter(|key| !has_environment(key)).filter_map(|key| Key::parse(key).ok()).collect()
    };
    let own = keys(&corefile.servers[at].keys);
    let others = corefile.servers.iter().enumerate().filter(|(other, _)| *other != at);
    others
        .flat_map(|(_, server)| keys(&server.keys).into_iter().map(|key| (key, server.line)))
        .filter(|(key, _)| own.iter().any(|own| own.listens_where(key)))
        .flat_map(|(key, line)| key.zones.into_iter().map(move |zone| (zone, line)))
        .collect()
}

fn line_of(word: &Plugin) -> String {
    [std::slice::from_ref(&word.name), word.args.as_slice()].concat().join(" ")
}
