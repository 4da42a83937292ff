//! What does a route say? All kinds of route in one compiled form, made of the rules that the router takes.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use svc_model::api::{
    GrpcRoute, GrpcRouteRule, HttpNamedMatch, HttpRoute, HttpRouteMatch, HttpRouteRule, ParentReference,
    RouteBackendRef, StreamRouteRule, TcpRoute, Time, TlsRoute, UdpRoute,
};
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Resource};

use super::backend::{Backend, Resolver, Unavailable};
use super::filter::{self, FilterFault, FilterList};
use super::listener::qualified;
use super::read::{self, MethodMatch, Named, PathMatch};
use crate::action::{Action, Backends, Cors, Redirect, Retry, Timeouts, WeightedBackend};
use crate::condition::{Condition, ValuePattern};
use crate::path_pattern::PathPattern;
use crate::rule::Rule;

/// What a matching rule of a route leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteRule {
    /// The route.
    pub route: ObjectRef,
    /// The index in its `spec.rules`.
    pub rule: usize,
    /// What happens.
    pub action: Action<Backend>,
    /// Why it cannot be applied, if so; the action then is a 500.
    pub fault: Option<Box<str>>,
}

impl RouteRule {
    /// The status of every request, if the rule can serve none: 500 where a filter cannot be applied or there is no backend, else that of
    /// its backends, none of which can take any. Of gRPC, no backend is 503: its UNAVAILABLE.
    pub fn failure(&self) -> Option<u16> {
        if self.fault.is_some() {
            return Some(500);
        }
        let backends = self.action.backends()?;
        let status = backends.only_failure()?;
        let is_grpc = self.route.kind == Kind::GrpcRoute;
        Some(if is_grpc && backends.total() == 0 { 503 } else { status })
    }
}

/// What goes first among the matches of a host, as the Gateway API lists its criteria. Each depends on the match alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Precedence {
    criteria: Criteria,
    /// The older route; one without age was never in a cluster and counts as old.
    age: Option<Time>,
    /// `namespace/name`, alphabetically.
    name: Arc<str>,
    rule: usize,
    index: usize,
}

/// The criteria of each kind of route. A gRPC match takes gRPC requests alone, and so goes before any match of an HTTPRoute
/// of the same host, where the API leaves the order open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Criteria {
    Grpc { service: Reverse<usize>, method: Reverse<usize>, headers: Reverse<usize> },
    Http { path: PathRank, has_method: Reverse<bool>, headers: Reverse<usize>, query: Reverse<usize> },
    Stream,
}

/// Exact, then expressions, then longer prefixes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    Exact,
    Regex,
    Prefix(Reverse<usize>),
}

/// A match of a route.
#[derive(Clone, Debug)]
pub(super) struct CompiledMatch {
    precedence: Precedence,
    path: PathPattern,
    conditions: Vec<Condition>,
    value: Arc<RouteRule>,
}

impl CompiledMatch {
    pub(super) fn rule(&self) -> Rule<Precedence, Arc<RouteRule>> {
        let rule = Rule::new(self.precedence.clone(), self.path.clone(), self.value.clone());
        self.conditions.iter().cloned().fold(rule, Rule::when)
    }
}

/// A route, compiled.
#[derive(Clone, Debug)]
pub(super) struct CompiledRoute {
    pub(super) matches: Vec<CompiledMatch>,
    /// The Services it refers to, there or not.
    pub(super) services: BTreeSet<NamespacedName>,
    /// References that do not resolve: where they stand, and why.
    pub(super) unresolved: Vec<(String, Unavailable)>,
    /// Rules and filters that cannot be applied: where they stand, and why.
    pub(super) faults: Vec<(String, Box<str>)>,
    /// How many rules work.
    pub(super) sound_rules: usize,
}

/// A route of any kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum AnyRoute<'c> {
    Http(&'c HttpRoute),
    Grpc(&'c GrpcRoute),
    Tls(&'c TlsRoute),
    Tcp(&'c TcpRoute),
    Udp(&'c UdpRoute),
}

/// The kinds of route.
pub(super) const ROUTE_KINDS: [Kind; 5] =
    [Kind::HttpRoute, Kind::GrpcRoute, Kind::TlsRoute, Kind::TcpRoute, Kind::UdpRoute];

impl<'c> AnyRoute<'c> {
    /// Every route of a cluster.
    pub(super) fn all(cluster: &'c Cluster) -> impl Iterator<Item = Self> {
        (cluster.list().map(Self::Http))
            .chain(cluster.list().map(Self::Grpc))
            .chain(cluster.list().map(Self::Tls))
            .chain(cluster.list().map(Self::Tcp))
            .chain(cluster.list().map(Self::Udp))
    }

    /// The route that a reference names.
    pub(super) fn of(cluster: &'c Cluster, reference: &ObjectRef) -> Option<Self> {
        let (namespace, name) = (&*reference.namespace, &*reference.name);
        match reference.kind {
            Kind::HttpRoute => cluster.get(namespace, name).map(Self::Http),
            Kind::GrpcRoute => cluster.get(namespace, name).map(Self::Grpc),
            Kind::TlsRoute => cluster.get(namespace, name).map(Self::Tls),
            Kind::TcpRoute => cluster.get(namespace, name).map(Self::Tcp),
            Kind::UdpRoute => cluster.get(namespace, name).map(Self::Udp),
            _ => None,
        }
    }

    pub(super) fn reference(self) -> ObjectRef {
        match self {
            Self::Http(route) => route.reference(),
            Self::Grpc(route) => route.reference(),
            Self::Tls(route) => route.reference(),
            Self::Tcp(route) => route.reference(),
            Self::Udp(route) => route.reference(),
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Http(_) => Kind::HttpRoute,
            Self::Grpc(_) => Kind::GrpcRoute,
            Self::Tls(_) => Kind::TlsRoute,
            Self::Tcp(_) => Kind::TcpRoute,
            Self::Udp(_) => Kind::UdpRoute,
        }
    }

    pub(super) fn namespace(self) -> &'c str {
        match self {
            Self::Http(route) => route.namespace(),
            Self::Grpc(route) => route.namespace(),
            Self::Tls(route) => route.namespace(),
            Self::Tcp(route) => route.namespace(),
            Self::Udp(route) => route.namespace(),
        }
    }

    pub(super) fn parents(self) -> &'c [ParentReference] {
        match self {
            Self::Http(route) => &route.spec.parent_refs,
            Self::Grpc(route) => &route.spec.parent_refs,
            Self::Tls(route) => &route.spec.parent_refs,
            Self::Tcp(route) => &route.spec.parent_refs,
            Self::Udp(route) => &route.spec.parent_refs,
        }
    }

    pub(super) fn hostnames(self) -> &'c [String] {
        match self {
            Self::Http(route) => &route.spec.hostnames,
            Self::Grpc(route) => &route.spec.hostnames,
            Self::Tls(route) => &route.spec.hostnames,
            Self::Tcp(_) | Self::Udp(_) => &[],
        }
    }

    /// Compiles the route's rules. O(matches + backends), and the endpoints of Services not met before.
    pub(super) fn compile(self, resolver: &Resolver<'_>) -> CompiledRoute {
        let (age, name) = match self {
            Self::Http(route) => (route.metadata.creation_timestamp, qualified(route)),
            Self::Grpc(route) => (route.metadata.creation_timestamp, qualified(route)),
            Self::Tls(route) => (route.metadata.creation_timestamp, qualified(route)),
            Self::Tcp(route) => (route.metadata.creation_timestamp, qualified(route)),
            Self::Udp(route) => (route.metadata.creation_timestamp, qualified(route)),
        };
        let mut compiler = Compiler {
            resolver,
            route: self.reference(),
            age,
            name: name.into(),
            out: CompiledRoute {
                matches: Vec::new(),
                services: BTreeSet::new(),
                unresolved: Vec::new(),
                faults: Vec::new(),
                sound_rules: 0,
            },
        };
        match self {
            Self::Http(route) => {
                route.spec.rules.iter().enumerate().for_each(|(i, rule)| compiler.http_rule(i, rule));
                if route.spec.rules.is_empty() {
                    // The API's default is one rule that takes everything, and leads nowhere.
                    compiler.http_rule(0, &HttpRouteRule::default());
                }
            }
            Self::Grpc(route) => {
                route.spec.rules.iter().enumerate().for_each(|(i, rule)| compiler.grpc_rule(i, rule));
            }
            Self::Tls(route) => compiler.stream_rule(route.spec.rules.first()),
            Self::Tcp(route) => compiler.stream_rule(route.spec.rules.first()),
            Self::Udp(route) => compiler.stream_rule(route.spec.rules.first()),
        }
        compiler.out
    }
}

struct Compiler<'r, 'c> {
    resolver: &'r Resolver<'c>,
    route: ObjectRef,
    age: Option<Time>,
    name: Arc<str>,
    out: CompiledRoute,
}

impl Compiler<'_, '_> {
    fn http_rule(&mut self, index: usize, rule: &HttpRouteRule) {
        let everything = [HttpRouteMatch::default()];
        let matches = if rule.matches.is_empty() { &everything[..] } else { &rule.matches };
        // A prefix can only be replaced where one prefix is matched.
        let prefix = match matches {
            [only] => match PathMatch::read(only.path.as_ref()) {
                Ok(PathMatch::Prefix(prefix)) => Some(prefix),
                _ => None,
            },
            _ => None,
        };
        let at = format!("spec.rules[{index}]");
        let list = FilterList { filters: &rule.filters, field: format!("{at}.filters"), prefix };
        let mut action = self.action(&list, &rule.backend_refs, &at, prefix);
        if let Ok(action) = &mut action {
            if let Some(timeouts) = &rule.timeouts {
                let read = |text: &Option<String>| text.as_deref().and_then(|text| read::duration(text).ok());
                action.timeouts = Timeouts {
                    request: read(&timeouts.request).filter(|timeout| !timeout.is_zero()),
                    backend_request: read(&timeouts.backend_request).filter(|timeout| !timeout.is_zero()),
                };
            }
            action.retry = rule.retry.as_ref().map(|retry| Retry {
                attempts: retry.attempts.and_then(|attempts| u32::try_from(attempts).ok()),
                backoff: retry.backoff.as_deref().and_then(|text| read::duration(text).ok()),
                statuses: retry.codes.iter().filter_map(|code| u16::try_from(*code).ok()).collect(),
                conditions: Vec::new(),
            });
            action.session = rule.session_persistence.as_ref().and_then(filter::session);
        }
        let value = self.value(index, &at, action);
        for (i, found) in matches.iter().enumerate() {
            if let Some((criteria, path, conditions)) = http_match(found) {
                self.add(criteria, index, i, path, conditions, &value);
            }
        }
    }

    fn grpc_rule(&mut self, index: usize, rule: &GrpcRouteRule) {
        let at = format!("spec.rules[{index}]");
        let list = FilterList { filters: &rule.filters, field: format!("{at}.filters"), prefix: None };
        let mut action = self.action(&list, &rule.backend_refs, &at, None);
        if let Ok(action) = &mut action {
            action.session = rule.session_persistence.as_ref().and_then(filter::session);
        }
        let value = self.value(index, &at, action);
        let everything = [Default::default()];
        let matches = if rule.matches.is_empty() { &everything[..] } else { &rule.matches };
        for (i, found) in matches.iter().enumerate() {
            let Some(mut conditions) = named_conditions(&found.headers, Named::Header) else {
                continue;
            };
            let headers = Reverse(conditions.len());
            let (path, service, method) = match &found.method {
                None => (PathPattern::any(), 0, 0),
                Some(method) => {
                    let Ok(read) = MethodMatch::read(method) else { continue };
                    let Ok(path) = read.pattern() else { continue };
                    (path, read.service.chars().count(), read.method.chars().count())
                }
            };
            conditions.push(Condition::header("content-type", ValuePattern::prefix("application/grpc")));
            let criteria = Criteria::Grpc { service: Reverse(service), method: Reverse(method), headers };
            self.add(criteria, index, i, path, conditions, &value);
        }
    }

    fn stream_rule(&mut self, rule: Option<&StreamRouteRule>) {
        let Some(rule) = rule else { return };
        let at = "spec.rules[0]";
        let list = FilterList { filters: &[], field: String::new(), prefix: None };
        let action = self.action(&list, &rule.backend_refs, at, None);
        let value = self.value(0, at, action);
        self.add(Criteria::Stream, 0, 0, PathPattern::any(), Vec::new(), &value);
    }

    fn add(
        &mut self,
        criteria: Criteria,
        rule: usize,
        index: usize,
        path: PathPattern,
        conditions: Vec<Condition>,
        value: &Arc<RouteRule>,
    ) {
        let precedence = Precedence { criteria, age: self.age, name: self.name.clone(), rule, index };
        self.out.matches.push(CompiledMatch { precedence, path, conditions, value: value.clone() });
    }

    /// The rule's value; a fault makes it fail.
    fn value(&mut self, rule: usize, at: &str, action: Result<Action<Backend>, FilterFault>) -> Arc<RouteRule> {
        let (action, fault) = match action {
            Ok(action) => {
                self.out.sound_rules += 1;
                (action, None)
            }
            Err(FilterFault { field, why }) => {
                let field = if field.is_empty() { at.to_owned() } else { field };
                self.out.faults.push((field, why.clone()));
                (Action::respond(500), Some(why))
            }
        };
        Arc::new(RouteRule { route: self.route.clone(), rule, action, fault })
    }

    fn action(
        &mut self,
        list: &FilterList<'_>,
        references: &[RouteBackendRef],
        at: &str,
        prefix: Option<&str>,
    ) -> Result<Action<Backend>, FilterFault> {
        let kind = self.route.kind;
        let namespace = self.route.namespace.clone();
        let is_grpc = kind == Kind::GrpcRoute;
        let mut parsed = list.parse(is_grpc)?;
        for (index, mirror) in std::mem::take(&mut parsed.mirrors) {
            let field = format!("{}[{index}].requestMirror.backendRef", list.field);
            if let Some(mirror) = self.mirror(mirror, field) {
                parsed.filters.mirrors.push(mirror);
            }
        }
        let mut cors = parsed.cors;
        let mut action = match parsed.redirect {
            Some(redirect) => Action::redirect(redirect as Redirect),
            None => {
                let alone = references.iter().filter(|reference| weight(reference) > 0).count() == 1;
                let mut redirect = None;
                let mut entries = Vec::new();
                for (k, reference) in references.iter().enumerate() {
                    let field = format!("{at}.backendRefs[{k}]");
                    let own = Own { alone: alone && weight(reference) > 0, redirect: &mut redirect, cors: &mut cors };
                    entries.push(self.weighted(&namespace, kind, reference, field, prefix, own));
                }
                match redirect {
                    Some(redirect) => Action::redirect(redirect),
                    None => Action::forward(Backends::new(entries)),
                }
            }
        };
        action.cors = cors;
        action.filters = parsed.filters;
        Ok(action)
    }

    fn weighted(
        &mut self,
        namespace: &str,
        kind: Kind,
        reference: &RouteBackendRef,
        field: String,
        prefix: Option<&str>,
        own: Own<'_>,
    ) -> WeightedBackend<Backend> {
        self.note_service(reference);
        let mut backend = self.resolver.resolve(kind, namespace, reference);
        let mut filters = None;
        if matches!(kind, Kind::HttpRoute | Kind::GrpcRoute) && !reference.filters.is_empty() {
            let list = FilterList { filters: &reference.filters, field: format!("{field}.filters"), prefix };
            match list.parse(kind == Kind::GrpcRoute).and_then(|parsed| parsed.of_backend(&list, own.alone)) {
                Ok(mut parsed) => {
                    for (index, mirror) in parsed.mirrors {
                        let field = format!("{}[{index}].requestMirror.backendRef", list.field);
                        parsed.filters.mirrors.extend(self.mirror(mirror, field));
                    }
                    filters = Some(Box::new(parsed.filters));
                    // A reference that is invalid fails, whatever its filters would do.
                    if !matches!(&backend, Backend::Unavailable(why) if why.is_invalid_reference()) {
                        *own.redirect = parsed.redirect;
                    }
                    if let Some(cors) = parsed.cors {
                        own.cors.get_or_insert(cors);
                    }
                }
                Err(FilterFault { field, why }) => {
                    self.out.faults.push((field, why.clone()));
                    backend = Backend::Unavailable(Unavailable::Filter(why));
                }
            }
        }
        let failure = match &backend {
            Backend::Unavailable(why) => {
                if why.is_invalid_reference() && !matches!(why, Unavailable::Filter(_)) {
                    self.out.unresolved.push((field, why.clone()));
                }
                // gRPC's UNAVAILABLE, or what the Gateway API says of HTTP.
                let nobody = matches!(why, Unavailable::NoEndpoints(_));
                Some(if kind == Kind::GrpcRoute || nobody { 503 } else { 500 })
            }
            _ => None,
        };
        let mut weighted = WeightedBackend::new(weight(reference), backend);
        weighted.failure = failure;
        weighted.filters = filters;
        weighted
    }

    /// Who gets copies; `None` for a mirror that cannot be had, which harms nobody.
    fn mirror(&mut self, mirror: filter::MirrorFilter<'_>, field: String) -> Option<crate::action::Mirror<Backend>> {
        self.note_service(mirror.reference);
        let (kind, namespace) = (self.route.kind, self.route.namespace.clone());
        match self.resolver.resolve(kind, &namespace, mirror.reference) {
            Backend::Unavailable(why) if why.is_invalid_reference() => {
                self.out.unresolved.push((field, why));
                None
            }
            backend => Some(crate::action::Mirror { backend, share: mirror.share }),
        }
    }

    fn note_service(&mut self, reference: &RouteBackendRef) {
        let namespace = reference.namespace.as_deref().unwrap_or(&self.route.namespace);
        self.out.services.insert(NamespacedName::new(namespace, reference.name.as_str()));
    }
}

/// Where the filters of the only backend put what answers in its place.
struct Own<'a> {
    /// Whether it is the only one that has a part.
    alone: bool,
    redirect: &'a mut Option<Redirect>,
    cors: &'a mut Option<Cors>,
}

/// The part of a reference. Out of range is refused by the API server; nothing then goes there.
fn weight(reference: &RouteBackendRef) -> u32 {
    u32::try_from(reference.weight.unwrap_or(1)).ok().filter(|weight| *weight <= 1_000_000).unwrap_or(0)
}

/// The rule of one match of an HTTPRoute; `None` for one that the API server refuses, or whose expression cannot be read.
fn http_match(found: &HttpRouteMatch) -> Option<(Criteria, PathPattern, Vec<Condition>)> {
    let path = PathMatch::read(found.path.as_ref()).ok()?;
    let rank = match &path {
        PathMatch::Exact(_) => PathRank::Exact,
        PathMatch::Regex(_) => PathRank::Regex,
        PathMatch::Prefix(prefix) => PathRank::Prefix(Reverse(prefix.chars().count())),
    };
    let mut conditions = Vec::new();
    if let Some(method) = &found.method {
        conditions.push(Condition::method(read::method(method).ok()?));
    }
    let headers = named_conditions(&found.headers, Named::Header)?;
    let query = named_conditions(&found.query_params, Named::Query)?;
    let criteria = Criteria::Http {
        path: rank,
        has_method: Reverse(found.method.is_some()),
        headers: Reverse(headers.len()),
        query: Reverse(query.len()),
    };
    conditions.extend(headers);
    conditions.extend(query);
    Some((criteria, path.pattern(), conditions))
}

/// Conditions on headers or query parameters, of which only the first of a name counts; `None` if one cannot be read.
fn named_conditions(conditions: &[HttpNamedMatch], named: Named) -> Option<Vec<Condition>> {
    let mut names = BTreeSet::new();
    let mut out = Vec::new();
    for condition in conditions {
        let value = read::named_match(condition, named).ok()?;
        let name = match named {
            Named::Header => condition.name.to_ascii_lowercase(),
            Named::Query => condition.name.clone(),
        };
        if names.insert(name) {
            out.push(match named {
                Named::Header => Condition::header(&condition.name, value),
                Named::Query => Condition::query(&condition.name, value),
            });
        }
    }
    Some(out)
}
