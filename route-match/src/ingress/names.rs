//! Under which names are servers found, beside their own? Aliases and www twins, and who gets one that several want.

use std::collections::{BTreeMap, BTreeSet};

use crate::host_pattern::HostPattern;

/// The servers, and the names they want beside their own. A name goes to the server of that very host, else to the first that wants it
/// as an alias, else to the first whose twin it is; hosts in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    servers: BTreeMap<HostPattern, Wanted>,
    aliases: BTreeMap<HostPattern, BTreeSet<HostPattern>>,
    twins: BTreeMap<HostPattern, BTreeSet<HostPattern>>,
}

/// The names that a server wants beside its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) aliases: Vec<HostPattern>,
    /// Requests for it are redirected to the server's host.
    pub(super) twin: Option<HostPattern>,
}

/// Who is found under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<'n> {
    Server,
    Alias(&'n HostPattern),
    Twin(&'n HostPattern),
    Nobody,
}

impl Names {
    /// Puts a server in place, or takes it away. Answers every name under which somebody else may be found now.
    pub(super) fn put(&mut self, host: &HostPattern, wanted: Option<Wanted>) -> BTreeSet<HostPattern> {
        let mut changed = BTreeSet::from([host.clone()]);
        if let Some(Wanted { aliases, twin }) = self.servers.remove(host) {
            for alias in &aliases {
                leave(&mut self.aliases, alias, host);
            }
            if let Some(twin) = &twin {
                leave(&mut self.twins, twin, host);
            }
            changed.extend(aliases.into_iter().chain(twin));
        }
        if let Some(wanted) = wanted {
            for alias in &wanted.aliases {
                self.aliases.entry(alias.clone()).or_default().insert(host.clone());
            }
            if let Some(twin) = &wanted.twin {
                self.twins.entry(twin.clone()).or_default().insert(host.clone());
            }
            changed.extend(wanted.aliases.iter().chain(&wanted.twin).cloned());
            self.servers.insert(host.clone(), wanted);
        }
        changed
    }

    pub(super) fn find(&self, name: &HostPattern) -> Found<'_> {
        if self.servers.contains_key(name) {
            Found::Server
        } else if let Some(host) = self.aliases.get(name).and_then(BTreeSet::first) {
            Found::Alias(host)
        } else if let Some(host) = self.twins.get(name).and_then(BTreeSet::first) {
            Found::Twin(host)
        } else {
            Found::Nobody
        }
    }
}

fn leave(wanting: &mut BTreeMap<HostPattern, BTreeSet<HostPattern>>, name: &HostPattern, host: &HostPattern) {
    if let Some(hosts) = wanting.get_mut(name) {
        hosts.remove(host);
        if hosts.is_empty() {
            wanting.remove(name);
        }
    }
}
