//! Which locations does one nginx server have? One host, made of all Ingresses that name it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use svc_model::api::Ingress;
use svc_model::{NamespacedName, Resource};

use crate::action::{Backends, WeightedBackend};
use crate::host_pattern::HostPattern;
use crate::path_pattern::PathPattern;
use crate::regex::{Anchor, Regex};
use crate::rule::Rule;

use super::annotations::Annotations;
use super::balancing::Balancing;
use super::template::Template;
use crate::ingress::backend::{BackendRef, Services};
use crate::ingress::class::Dialect;
use crate::ingress::decision::{Unavailable, Upstream};
use crate::ingress::flags::ControllerFlags;
use crate::ingress::location::{
    Canary, CanaryBackends, Detour, Location, Passthrough, Policy, Rewrite, ServerPolicy, Target,
};
use crate::ingress::read::{self, PathType};

/// An Ingress and what its annotations say.
pub(super) type Annotated<'c> = (&'c Ingress, Arc<Annotations<'c>>);

/// An nginx server: one host, and its locations in the order of their Ingresses.
#[derive(Debug)]
pub(super) struct Server<'c> {
    locations: Vec<Draft<'c>>,
    /// Where among the locations a path and type is.
    places: BTreeMap<(&'c str, PathType), usize>,
    /// From the first Ingress of the host that has any.
    pub(super) aliases: Vec<&'c str>,
    pub(super) from_to_www: bool,
    /// Whether any Ingress of the host asks for it.
    ssl_passthrough: bool,
}

/// A location in the making.
#[derive(Debug)]
struct Draft<'c> {
    path: &'c str,
    path_type: PathType,
    /// Made along with the server, still to be taken over by a rule of the same path and type.
    implicit: bool,
    ingress: Option<&'c Ingress>,
    rule: Option<usize>,
    target: Target,
    /// What the Ingress's annotations say; `None` for none.
    annotations: Option<Arc<Annotations<'c>>>,
    policy: Arc<Policy>,
}

/// What goes first among the locations of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::ingress) enum Precedence<'c> {
    /// Exact locations, and the redirect to a location that ends in a slash.
    Exact,
    /// Prefix locations, the longer first.
    Prefix(Reverse<usize>),
    /// In regex mode, all locations: the longer text first, then the greater.
    Regex(Reverse<usize>, Reverse<&'c str>),
}

/// What servers are built with.
#[derive(Debug)]
pub(super) struct Builder<'c> {
    pub(super) flags: &'c ControllerFlags,
    pub(super) services: Services<'c>,
}

impl<'c> Builder<'c> {
    /// The server of a host, from the Ingresses that name it, in their order: for [`HostPattern::Any`] those with a rule without
    /// host, and those with a default backend and no rule. `None` if none but canaries do; there always is a catch-all.
    pub(super) fn server(&self, host: &HostPattern, ingresses: &[Annotated<'c>]) -> Option<Server<'c>> {
        let mains = || ingresses.iter().filter(|(_, annotations)| annotations.canary.is_none());
        let mut server = match host {
            HostPattern::Any => Server::new(self.catch_all(mains())),
            _ => {
                let (creator, annotations) = mains().next()?;
                Server::new(self.implicit(creator, annotations))
            }
        };
        for (ingress, annotations) in mains() {
            server.ssl_passthrough |= self.flags.enable_ssl_passthrough && annotations.ssl_passthrough;
            if server.aliases.is_empty() && !ingress.spec.rules.is_empty() {
                server.aliases.clone_from(&annotations.aliases);
            }
            for_each_path(host, ingress, |rule, path| {
                if let Some(target) = self.target(ingress, annotations, BackendRef::of(path.backend)) {
                    server.add(Draft {
                        path: path.text,
                        path_type: path.path_type,
                        implicit: false,
                        ingress: Some(ingress),
                        rule: Some(rule),
                        target,
                        annotations: Some(annotations.clone()),
                        policy: annotations.policy.clone(),
                    });
                }
            });
        }
        for (ingress, annotations) in ingresses.iter().filter(|(_, annotations)| annotations.canary.is_some()) {
            // The default backend of a canary joins every location of the catch-all.
            if *host == HostPattern::Any
                && let Some(backend) = BackendRef::default_of(ingress)
            {
                for main in &mut server.locations {
                    self.join(main, ingress, annotations, &backend);
                }
            }
            for_each_path(host, ingress, |_, path| {
                if let Some(main) = server.location(&path) {
                    self.join(main, ingress, annotations, &BackendRef::of(path.backend));
                }
            });
        }
        Some(server)
    }

    /// The location `/` of the catch-all: the controller's default backend, unless an Ingress without rules has one. Redirects
    /// and rewrites of that Ingress do not count there.
    fn catch_all<'i>(&self, mut ingresses: impl Iterator<Item = &'i Annotated<'c>>) -> Draft<'c>
    where
        'c: 'i,
    {
        let default = ingresses.find_map(|(ingress, annotations)| {
            let target = self.default_of(ingress, annotations).filter(|_| ingress.spec.rules.is_empty())?;
            Some((*ingress, target, Arc::new(annotations.policy.without_redirects())))
        });
        let implicit = default.is_none();
        let (ingress, target, policy) = match default {
            Some((ingress, target, policy)) => (Some(ingress), target, policy),
            None => (None, self.default_backend(), Arc::default()),
        };
        Draft {
            path: "/",
            path_type: PathType::Prefix,
            implicit,
            ingress,
            rule: None,
            target,
            annotations: None,
            policy,
        }
    }

    /// The location `/` that comes with a server: the default backend of the Ingress that creates it, and its annotations;
    /// else the controller's default backend.
    fn implicit(&self, creator: &'c Ingress, annotations: &Arc<Annotations<'c>>) -> Draft<'c> {
        let own = self.default_of(creator, annotations);
        Draft {
            path: "/",
            path_type: PathType::Prefix,
            implicit: true,
            ingress: own.is_some().then_some(creator),
            rule: None,
            target: own.unwrap_or_else(|| self.default_backend()),
            annotations: Some(annotations.clone()),
            policy: annotations.policy.clone(),
        }
    }

    /// The controller's default backend; without ready endpoints it is the built-in 404.
    fn default_backend(&self) -> Target {
        let service = self.flags.default_backend_service.as_ref();
        match service.map(|service| self.services.first_port(service)) {
            Some(Ok(backend)) => Ok(Upstream { backend, balancing: Balancing::RoundRobin }).into(),
            Some(Err(_)) | None => Target::NotFound,
        }
    }

    fn default_of(&self, ingress: &Ingress, annotations: &Annotations<'_>) -> Option<Target> {
        self.target(ingress, annotations, BackendRef::default_of(ingress)?)
    }

    /// Where a backend leads; `None` for one that is skipped.
    fn target(&self, ingress: &Ingress, annotations: &Annotations<'_>, backend: BackendRef<'_>) -> Option<Target> {
        let found = self.upstream(ingress, annotations, &backend)?.or_else(|why| {
            let fallback = annotations.default_backend.map(|name| NamespacedName::new(ingress.namespace(), name));
            let backend = fallback.and_then(|fallback| self.services.first_port(&fallback).ok()).ok_or(why)?;
            Ok(Upstream { backend, balancing: annotations.balancing.clone() })
        });
        Some(found.into())
    }

    fn upstream(
        &self,
        ingress: &Ingress,
        annotations: &Annotations<'_>,
        backend: &BackendRef<'_>,
    ) -> Option<Result<Upstream, Unavailable>> {
        let BackendRef::Service(name, port) = backend else {
            return None;
        };
        let found = self.services.resolve(ingress.namespace(), name, *port, annotations.service_upstream);
        Some(found.map(|backend| Upstream { backend, balancing: annotations.balancing.clone() }))
    }

    /// Lets a canary join a main location: the first that is another Service than the main's. The controller's own default
    /// backend has none.
    fn join(
        &self,
        main: &mut Draft<'c>,
        ingress: &'c Ingress,
        annotations: &Annotations<'c>,
        backend: &BackendRef<'_>,
    ) {
        let (Target::Service(backends, canary @ None), Some(rule), Some(_)) =
            (&mut main.target, &annotations.canary, main.ingress)
        else {
            return;
        };
        let (Some(found), Some(first)) = (self.upstream(ingress, annotations, backend), backends.entries().first())
        else {
            return;
        };
        if found.as_ref().is_ok_and(|found| found.backend == first.backend.backend) {
            return;
        }
        let backends = found.map(|mut upstream| {
            // A client stays where a cookie of the main backend has put it, with the canary too.
            if matches!(first.backend.balancing, Balancing::Cookie(_)) && annotations.sticky_canary {
                upstream.balancing = first.backend.balancing.clone();
            }
            CanaryBackends {
                canary: Backends::new([WeightedBackend::new(1, upstream.clone())]),
                both: Backends::new([
                    WeightedBackend::new(rule.total - rule.weight, first.backend.clone()),
                    WeightedBackend::new(rule.weight, upstream),
                ]),
            }
        });
        *canary = Some(Box::new(Canary { route: ingress.reference(), rule: rule.clone(), backends }));
    }
}

/// The paths of those rules of an Ingress that name this host.
fn for_each_path<'c>(host: &HostPattern, ingress: &'c Ingress, mut visit: impl FnMut(usize, read::RulePath<'c>)) {
    for (index, rule) in ingress.spec.rules.iter().enumerate() {
        if read::rule_host(rule).is_ok_and(|named| named == *host) {
            read::paths(rule, Dialect::Nginx).for_each(|path| visit(index, path));
        }
    }
}

impl<'c> Server<'c> {
    fn new(root: Draft<'c>) -> Self {
        Self {
            places: BTreeMap::from([((root.path, root.path_type), 0)]),
            locations: vec![root],
            aliases: Vec::new(),
            from_to_www: false,
            ssl_passthrough: false,
        }
    }

    /// Adds a location, unless there is one of this path and type that is not just implied.
    fn add(&mut self, draft: Draft<'c>) {
        let from_to_www = draft.annotations.as_ref().is_some_and(|annotations| annotations.from_to_www);
        match self.places.entry((draft.path, draft.path_type)) {
            Entry::Vacant(entry) => {
                entry.insert(self.locations.len());
                self.locations.push(draft);
            }
            Entry::Occupied(entry) => {
                let existing = &mut self.locations[*entry.get()];
                if !existing.implicit {
                    return;
                }
                *existing = draft;
            }
        }
        self.from_to_www |= from_to_www;
    }

    /// The location `/`, with which a server begins.
    fn root(&self) -> &Draft<'c> {
        &self.locations[0]
    }

    fn location(&mut self, path: &read::RulePath<'_>) -> Option<&mut Draft<'c>> {
        let at = *self.places.get(&(path.text, path.path_type))?;
        Some(&mut self.locations[at])
    }

    /// Whether every path of the host has become a regular expression.
    fn regex_mode(&self) -> bool {
        self.locations.iter().any(|draft| {
            let uses_regex = draft.annotations.as_ref().is_some_and(|annotations| annotations.use_regex);
            uses_regex || draft.rewrite_target().is_some()
        })
    }

    /// The rules of the host.
    pub(super) fn rules(&self, host: &HostPattern) -> Vec<Rule<Precedence<'c>, Location>> {
        let policy = Arc::new(self.policy(host));
        let regex_mode = self.regex_mode();
        let mut rules = Vec::with_capacity(self.locations.len());
        for draft in &self.locations {
            let location = draft.location(&policy);
            if regex_mode {
                // A pattern that cannot be compiled never matches.
                if let Ok(regex) = Regex::ignoring_case(draft.path, Anchor::Caret) {
                    let key = Precedence::Regex(Reverse(draft.path.len()), Reverse(draft.path));
                    rules.push(Rule::new(key, PathPattern::regex(regex), location));
                }
                continue;
            }
            if let Some(bare) = draft.path.strip_suffix('/').filter(|bare| !bare.is_empty() && !self.claims(bare)) {
                let detour = Some(Detour::TrailingSlash(draft.path.into()));
                let redirect = Location { detour, ..location.clone() };
                rules.push(Rule::new(Precedence::Exact, PathPattern::exact(bare), redirect));
            }
            let (key, pattern) = match draft.path_type {
                PathType::Exact => (Precedence::Exact, PathPattern::exact(draft.path)),
                PathType::Prefix if draft.path == "/" => (Precedence::Prefix(Reverse(1)), PathPattern::any()),
                PathType::Prefix if draft.path.ends_with('/') => {
                    (Precedence::Prefix(Reverse(draft.path.len())), PathPattern::text_prefix(draft.path))
                }
                // nginx gets two locations of it, `P/` as text and `P` exactly.
                PathType::Prefix => {
                    (Precedence::Prefix(Reverse(draft.path.len() + 1)), PathPattern::prefix(draft.path))
                }
            };
            rules.push(Rule::new(key, pattern, location));
        }
        rules
    }

    fn policy(&self, host: &HostPattern) -> ServerPolicy {
        let app_root = self.locations.iter().find_map(|draft| draft.annotations.as_ref()?.app_root.clone());
        // Bytes are passed on to the Service of `/`, by the very host: not to wildcards and aliases.
        let passthrough = match host {
            HostPattern::Exact(host) if self.ssl_passthrough => self.root().passed_to().map(|upstream| Passthrough {
                host: host.clone(),
                route: self.root().ingress.map(Resource::reference),
                rule: self.root().rule,
                backends: Backends::new([WeightedBackend::new(1, upstream)]),
            }),
            _ => None,
        };
        ServerPolicy { app_root, passthrough }
    }

    /// Whether some location takes exactly this path.
    fn claims(&self, path: &str) -> bool {
        let types = [PathType::Exact, PathType::Prefix];
        types.into_iter().any(|path_type| self.places.contains_key(&(path, path_type)))
    }
}

impl Draft<'_> {
    /// The Service that an Ingress names for it, if it exists, with or without a ready endpoint.
    fn passed_to(&self) -> Option<Upstream> {
        self.ingress?;
        match &self.target {
            Target::Service(backends, _) => backends.entries().first().map(|entry| entry.backend.clone()),
            Target::Unavailable(Unavailable::NoEndpoints(backend)) => {
                Some(Upstream { backend: backend.clone(), balancing: Balancing::RoundRobin })
            }
            Target::Unavailable(_) | Target::NotFound => None,
        }
    }

    /// A target equal to the path rewrites nothing.
    fn rewrite_target(&self) -> Option<&str> {
        self.annotations.as_ref()?.rewrite_target.filter(|target| *target != self.path)
    }

    fn location(&self, server: &Arc<ServerPolicy>) -> Location {
        // A target with a variable that is not modelled is told by the policy.
        let rewrite = self.rewrite_target().and_then(|target| {
            let search = Regex::ignoring_case(self.path, Anchor::None).ok()?;
            Some(Box::new(Rewrite { search, target: Template::parse(target).ok()? }))
        });
        Location {
            route: self.ingress.map(Resource::reference),
            rule: self.rule,
            target: self.target.clone(),
            server: server.clone(),
            policy: self.policy.clone(),
            detour: None,
            rewrite,
            is_challenge: self.path.starts_with("/.well-known/acme-challenge"),
        }
    }
}
