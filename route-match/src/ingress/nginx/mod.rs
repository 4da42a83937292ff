//! The dialect of ingress-nginx: how its servers and locations become a router.
//!
//! The controller turns Ingresses into nginx servers (one a host) and locations; nginx then matches by its own rules. Both
//! steps are repeated here, from the documented behaviour of the two programs.

mod annotations;

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use svc_model::api::Ingress;
use svc_model::{Cluster, NamespacedName, Resource};

use crate::host_pattern::{HostPattern, WildcardDepth};
use crate::host_table::HostTable;
use crate::path_pattern::PathPattern;
use crate::regex::{Anchor, Regex};
use crate::router::{Router, RouterBuilder};
use crate::rule::Rule;

use super::backend::{BackendRef, Services};
use super::class::{Dialect, ServedIngresses};
use super::decision::Unavailable;
use super::location::{Detour, HttpsRedirect, Location, Policy, Rewrite, Target};
use super::read::{self, PathType};
use annotations::Annotations;
pub(super) use annotations::{annotation, has_snippet_suffix, malformed_redirect, unmodelled_annotations, uses_regex};

/// The compiled tables of an ingress-nginx controller.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    pub(super) router: Router<Location>,
    /// The hosts that some Ingress lists in its `tls`.
    pub(super) certified: HostTable<()>,
}

/// An nginx server in the making: one host, and its locations in the order of their Ingresses.
struct Server<'c> {
    locations: Vec<Draft<'c>>,
    /// Where among the locations a path and type is.
    places: BTreeMap<(&'c str, PathType), usize>,
    aliases: Vec<&'c str>,
    from_to_www: bool,
    /// What the Ingress that creates the server says.
    ssl_passthrough: bool,
}

/// A location in the making.
struct Draft<'c> {
    path: &'c str,
    path_type: PathType,
    /// Made along with the server, still to be taken over by a rule of the same path and type.
    implicit: bool,
    ingress: Option<&'c Ingress>,
    rule: Option<usize>,
    target: Target,
    /// What the Ingress's annotations say; `None` for none.
    annotations: Option<&'c Annotations<'c>>,
    /// A canary Ingress shares the location.
    canary: bool,
}

/// What goes first among the locations of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Precedence<'c> {
    /// Exact locations, and the redirect to a location that ends in a slash.
    Exact,
    /// Prefix locations, the longer first.
    Prefix(Reverse<usize>),
    /// In regex mode, all locations: the longer text first, then the greater.
    Regex(Reverse<usize>, Reverse<&'c str>),
}

pub(super) fn compile(cluster: &Cluster, served: &ServedIngresses<'_>) -> Tables {
    let prefix = &served.flags.annotations_prefix;
    let ingresses: Vec<(&Ingress, Annotations<'_>)> =
        served.ingresses.iter().map(|ingress| (*ingress, Annotations::of(ingress, prefix))).collect();
    let controller = Controller { served, services: Services::new(cluster, Dialect::Nginx) };
    let servers = controller.servers(&ingresses);

    let mut builder = RouterBuilder::new();
    for (host, server) in &servers {
        server.add_to(&mut builder, host);
    }
    for (host, server) in &servers {
        for alias in &server.aliases {
            // An alias that is some server's host, or an earlier alias, is dropped.
            if let Ok(alias) = HostPattern::parse(alias, WildcardDepth::One)
                && !builder.contains(&alias)
            {
                builder.alias(alias, host.clone());
            }
        }
    }
    for (host, _) in servers.iter().filter(|(_, server)| server.from_to_www) {
        if let HostPattern::Exact(host) = host {
            let twin = match host.as_str().strip_prefix("www.") {
                Some(bare) => bare.to_owned(),
                None => format!("www.{host}"),
            };
            if let Ok(twin) = read::host(&twin)
                && !builder.contains(&twin)
            {
                let detour = Some(Detour::Www(host.as_str().into()));
                let policy = Policy { detour, ..Policy::default() };
                let location = Location { route: None, rule: None, target: Target::NotFound, policy };
                builder.rule(twin, Rule::new(Precedence::Exact, PathPattern::any(), location));
            }
        }
    }
    Tables { router: builder.build(), certified: certified(served) }
}

/// The hosts that some Ingress lists in its `tls`: a missing or unusable Secret means the default certificate. An entry
/// without hosts lists none.
fn certified(served: &ServedIngresses<'_>) -> HostTable<()> {
    let tls = served.ingresses.iter().flat_map(|ingress| &ingress.spec.tls).flat_map(|tls| &tls.hosts);
    let listed: BTreeSet<HostPattern> = tls
        .filter_map(|host| HostPattern::parse(host, WildcardDepth::One).ok())
        .filter(|host| *host != HostPattern::Any)
        .collect();
    HostTable::new(listed.into_iter().map(|host| (host, ())))
}

struct Controller<'c> {
    served: &'c ServedIngresses<'c>,
    services: Services<'c>,
}

impl<'c> Controller<'c> {
    /// All servers with their locations.
    fn servers(&self, ingresses: &'c [(&'c Ingress, Annotations<'c>)]) -> BTreeMap<HostPattern, Server<'c>> {
        let mains = || ingresses.iter().filter(|(_, annotations)| !annotations.canary);
        let mut servers = BTreeMap::from([(HostPattern::Any, Server::new(self.implicit(None)))]);
        let mut catch_all_taken = false;
        for (ingress, annotations) in mains() {
            for rule in &ingress.spec.rules {
                let Ok(host) = read::rule_host(rule) else { continue };
                let server = servers.entry(host).or_insert_with(|| {
                    let mut server = Server::new(self.implicit(Some((ingress, annotations))));
                    server.ssl_passthrough = self.served.flags.enable_ssl_passthrough && annotations.ssl_passthrough;
                    server
                });
                server.from_to_www |= annotations.from_to_www;
                if server.aliases.is_empty() {
                    server.aliases.clone_from(&annotations.aliases);
                }
            }
            if ingress.spec.rules.is_empty()
                && !catch_all_taken
                && let Some(target) = self.default_of(ingress, annotations)
            {
                // The catch-all does not take the redirects and rewrites of this Ingress.
                let root = Draft { implicit: false, ingress: Some(ingress), target, ..self.implicit(None) };
                let server = servers.entry(HostPattern::Any).or_insert_with(|| Server::new(self.implicit(None)));
                // All that a server has at this stage is its `/`.
                server.locations[0] = root;
                catch_all_taken = true;
            }
        }
        for (ingress, annotations) in mains() {
            self.for_each_path(ingress, |host, rule, path| {
                let Some(target) = self.target(ingress, annotations, BackendRef::of(path.backend)) else {
                    return;
                };
                let Some(server) = servers.get_mut(&host) else { return };
                let draft = Draft {
                    path: path.text,
                    path_type: path.path_type,
                    implicit: false,
                    ingress: Some(ingress),
                    rule: Some(rule),
                    target,
                    annotations: Some(annotations),
                    canary: false,
                };
                server.add(draft);
            });
        }
        for (ingress, _) in ingresses.iter().filter(|(_, annotations)| annotations.canary) {
            self.for_each_path(ingress, |host, _, path| {
                if let Some(main) = servers.get_mut(&host).and_then(|server| server.location(&path)) {
                    main.canary = true;
                }
            });
        }
        servers
    }

    fn for_each_path(&self, ingress: &'c Ingress, mut visit: impl FnMut(HostPattern, usize, read::RulePath<'c>)) {
        for (index, rule) in ingress.spec.rules.iter().enumerate() {
            if let Ok(host) = read::rule_host(rule) {
                read::paths(rule, Dialect::Nginx).for_each(|path| visit(host.clone(), index, path));
            }
        }
    }

    /// The location `/` that comes with a server: the default backend of the Ingress that creates it, and its annotations;
    /// else the controller's default backend.
    fn implicit(&self, creator: Option<(&'c Ingress, &'c Annotations<'c>)>) -> Draft<'c> {
        let own = creator.and_then(|(ingress, annotations)| self.default_of(ingress, annotations));
        Draft {
            path: "/",
            path_type: PathType::Prefix,
            implicit: true,
            ingress: creator.map(|(ingress, _)| ingress).filter(|_| own.is_some()),
            rule: None,
            target: own.unwrap_or_else(|| self.default_backend()),
            annotations: creator.map(|(_, annotations)| annotations),
            canary: false,
        }
    }

    /// The controller's default backend; without ready endpoints it is the built-in 404.
    fn default_backend(&self) -> Target {
        let service = self.served.flags.default_backend_service.as_ref();
        match service.map(|service| self.services.first_port(service)) {
            Some(Ok(backend)) => Ok(backend).into(),
            Some(Err(_)) | None => Target::NotFound,
        }
    }

    fn default_of(&self, ingress: &Ingress, annotations: &Annotations<'_>) -> Option<Target> {
        self.target(ingress, annotations, BackendRef::default_of(ingress)?)
    }

    /// Where a backend leads; `None` for one that is skipped.
    fn target(&self, ingress: &Ingress, annotations: &Annotations<'_>, backend: BackendRef<'_>) -> Option<Target> {
        let BackendRef::Service(name, port) = backend else {
            return None;
        };
        let found =
            self.services.resolve(ingress.namespace(), name, port, annotations.service_upstream).or_else(|why| {
                let fallback = annotations.default_backend.map(|name| NamespacedName::new(ingress.namespace(), name));
                fallback.and_then(|fallback| self.services.first_port(&fallback).ok()).ok_or(why)
            });
        Some(found.into())
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
        match self.places.entry((draft.path, draft.path_type)) {
            Entry::Vacant(entry) => {
                entry.insert(self.locations.len());
                self.locations.push(draft);
            }
            Entry::Occupied(entry) => {
                let existing = &mut self.locations[*entry.get()];
                if existing.implicit {
                    *existing = draft;
                }
            }
        }
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
            draft
                .annotations
                .is_some_and(|a| a.use_regex || a.rewrite_target.is_some_and(|target| target != draft.path))
        })
    }

    fn add_to(&self, builder: &mut RouterBuilder<Precedence<'c>, Location>, host: &HostPattern) {
        builder.host(host.clone());
        let app_root = self.locations.iter().find_map(|draft| draft.annotations?.app_root);
        // Bytes are passed on to the Service of `/`, by the very host: not to wildcards and aliases.
        let passthrough = match host {
            HostPattern::Exact(host) if self.ssl_passthrough && self.root().leads_to_service() => Some(host),
            _ => None,
        };
        let regex_mode = self.regex_mode();
        for draft in &self.locations {
            let mut location = draft.location();
            location.policy.app_root = app_root.map(Into::into);
            location.policy.ssl_passthrough = passthrough.cloned();
            if regex_mode {
                // A pattern that cannot be compiled never matches.
                if let Ok(regex) = Regex::ignoring_case(draft.path, Anchor::Caret) {
                    let key = Precedence::Regex(Reverse(draft.path.len()), Reverse(draft.path));
                    builder.rule(host.clone(), Rule::new(key, PathPattern::regex(regex), location));
                }
                continue;
            }
            if let Some(bare) = draft.path.strip_suffix('/').filter(|bare| !bare.is_empty() && !self.claims(bare)) {
                let mut redirect = location.clone();
                redirect.policy.detour = Some(Detour::TrailingSlash(draft.path.into()));
                builder.rule(host.clone(), Rule::new(Precedence::Exact, PathPattern::exact(bare), redirect));
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
            builder.rule(host.clone(), Rule::new(key, pattern, location));
        }
    }

    /// Whether some location takes exactly this path.
    fn claims(&self, path: &str) -> bool {
        let types = [PathType::Exact, PathType::Prefix];
        types.into_iter().any(|path_type| self.places.contains_key(&(path, path_type)))
    }
}

impl Draft<'_> {
    /// Whether an Ingress names a Service for it that exists, with or without a ready endpoint.
    fn leads_to_service(&self) -> bool {
        let exists = matches!(self.target, Target::Service(_) | Target::Unavailable(Unavailable::NoEndpoints(_)));
        exists && self.ingress.is_some()
    }

    fn location(&self) -> Location {
        let route = self.ingress.map(Resource::reference);
        Location { route, rule: self.rule, target: self.target.clone(), policy: self.policy() }
    }

    fn policy(&self) -> Policy {
        let Some(annotations) = self.annotations else {
            return Policy { unmodelled: self.canary.then_some("canary"), ..Policy::default() };
        };
        let rewrite_target = annotations.rewrite_target.filter(|target| *target != self.path);
        let challenge = self.path.starts_with("/.well-known/acme-challenge");
        Policy {
            unmodelled: if self.canary { Some("canary") } else { annotations.unmodelled },
            redirect: annotations.redirect.clone(),
            https: if challenge { HttpsRedirect::Never } else { annotations.https },
            preserve_trailing_slash: annotations.preserve_trailing_slash,
            rewrite: rewrite_target.and_then(|target| {
                let search = Regex::ignoring_case(self.path, Anchor::None).ok()?;
                Some(Rewrite { search, target: target.into() })
            }),
            ..Policy::default()
        }
    }
}
