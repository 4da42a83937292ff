//! What do the `http` rules of a VirtualService become at a listener? Rules of the router, in order.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use svc_model::api::VirtualService;
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Resource};

use super::action::{self, ActionContext, RuleFault};
use super::delegate::{Spliced, splice};
use super::destination::{Destination, Hosts, ImpliedPort};
use super::matching::{HttpMatch, Listener, Matched, scope};
use super::names::{GatewayName, full_host};
use crate::action::{Action, Redirect, RedirectParts, RedirectPort};
use crate::condition::Condition;
use crate::path_pattern::PathPattern;
use crate::rule::Rule;

/// What a virtual host does with the requests that a rule takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpRule {
    /// Who says so.
    pub origin: Origin,
    /// What happens.
    pub action: Action<Destination>,
}

/// Who a rule of a virtual host comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// A rule of a VirtualService.
    #[non_exhaustive]
    VirtualService {
        /// The VirtualService.
        route: ObjectRef,
        /// The index in its `spec.http`.
        rule: usize,
        /// The VirtualService that this rule hands over to, and the index of the rule there.
        delegate: Option<(ObjectRef, usize)>,
    },
    /// `tls.httpsRedirect` of a server of this Gateway. Envoy looks at it before any rule of the virtual host (`require_tls`).
    HttpsRedirect(ObjectRef),
    /// A service that no VirtualService speaks of.
    Service,
    /// `outboundTrafficPolicy`: destinations that nobody knows are let through.
    AllowAny,
    /// `outboundTrafficPolicy`: destinations that nobody knows are refused.
    BlockAll,
}

impl Origin {
    /// The VirtualService, and the index of the rule in its `spec.http`; where it hands over to a delegate, those of the rule that
    /// does.
    pub fn virtual_service(&self) -> Option<(&ObjectRef, usize)> {
        match self {
            Self::VirtualService { route, rule, .. } => Some((route, *rule)),
            _ => None,
        }
    }

    /// The VirtualService in which the rule is written, and its index there: the delegate's where there is one.
    pub fn written(&self) -> Option<(&ObjectRef, usize)> {
        match self {
            Self::VirtualService { delegate: Some((route, rule)), .. } => Some((route, *rule)),
            other => other.virtual_service(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VirtualService { route, rule, delegate } => {
                write!(f, "{route} rule {rule}")?;
                delegate.iter().try_for_each(|(route, rule)| write!(f, ", by {route} rule {rule}"))
            }
            Self::HttpsRedirect(gateway) => write!(f, "httpsRedirect of {gateway}"),
            Self::Service => f.write_str("no VirtualService"),
            Self::AllowAny => f.write_str("allow_any"),
            Self::BlockAll => f.write_str("block_all"),
        }
    }
}

impl HttpRule {
    /// A rule that no VirtualService wrote.
    pub fn new(origin: Origin, action: Action<Destination>) -> Self {
        Self { origin, action }
    }

    /// The redirect of a server with `httpsRedirect`: the Host stays as it was sent, port and all.
    pub(crate) fn https_redirect(gateway: ObjectRef) -> Self {
        let parts =
            RedirectParts { scheme: Some("https".into()), port: RedirectPort::OfHost, ..RedirectParts::default() };
        Self::new(Origin::HttpsRedirect(gateway), Action::redirect(Redirect::to(301, parts)))
    }
}

/// A match of a rule, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledMatch {
    path: PathPattern,
    conditions: Vec<Condition>,
    catch_all: bool,
    rule: Arc<HttpRule>,
}

impl CompiledMatch {
    /// A match of every request.
    pub fn everything(rule: HttpRule) -> Self {
        let HttpMatch { path, conditions, catch_all, .. } = HttpMatch::everything();
        Self { path, conditions, catch_all, rule: Arc::new(rule) }
    }

    /// Whether it is a catch-all, behind which nothing of its VirtualService follows and which gateways move to the end.
    pub fn is_catch_all(&self) -> bool {
        self.catch_all
    }

    /// What it leads to.
    pub fn rule(&self) -> &Arc<HttpRule> {
        &self.rule
    }

    pub(crate) fn to_rule(&self) -> Rule<(), Arc<HttpRule>> {
        let rule = Rule::new((), self.path.clone(), self.rule.clone());
        self.conditions.iter().cloned().fold(rule, Rule::when)
    }
}

/// The `http` rules of a VirtualService, those of its delegates in their places, and how to compile them for a listener.
#[derive(Clone, Debug)]
pub struct HttpRules<'c> {
    virtual_service: &'c VirtualService,
    spliced: Vec<Spliced<'c>>,
}

impl<'c> HttpRules<'c> {
    /// Puts the rules of delegates in their places. O(size); see the module for what bounds delegates.
    pub fn of(cluster: &'c Cluster, virtual_service: &'c VirtualService) -> Self {
        Self { virtual_service, spliced: splice(cluster, virtual_service) }
    }

    /// The matches that can hold at this listener, in their order: a match that asks for another port, gateway or caller is left out, and
    /// so is one, or a whole rule, that admission refuses. The list ends at a rule without matches and at a catch-all. Empty where
    /// nothing is left; the VirtualService then does not count here.
    pub fn compile(&self, listener: Listener<'_>, hosts: &dyn Hosts) -> Vec<CompiledMatch> {
        let namespace = self.virtual_service.namespace();
        let implied_port = match listener.gateway {
            GatewayName::Mesh => ImpliedPort::OfListener(listener.port),
            GatewayName::Named(_) => ImpliedPort::OfService(listener.port),
        };
        let context = ActionContext { namespace, hosts, port: listener.port, scheme: listener.scheme, implied_port };
        let mut out = Vec::new();
        for spliced in &self.spliced {
            let mut values = Values { rules: self, spliced, context, shared: None };
            if spliced.rule.match_.is_empty() {
                if values.push(HttpMatch::everything(), &mut out) {
                    return out;
                }
                continue;
            }
            let here = spliced.rule.match_.iter().filter(|found| listener.admits(scope(found), namespace));
            for found in here {
                // An expression that cannot be read takes nothing.
                let Ok(read) = HttpMatch::read(found) else { continue };
                if values.push(read, &mut out) {
                    return out;
                }
            }
        }
        out
    }

    /// The hosts of all destinations, in full: what the outcome depends on beside the objects themselves.
    pub fn destination_hosts(&self) -> BTreeSet<Box<str>> {
        let namespace = self.virtual_service.namespace();
        let rules = self.spliced.iter().map(|spliced| &*spliced.rule);
        let destinations = rules.flat_map(|rule| {
            let routes = rule.route.iter().filter_map(|to| to.destination.as_ref());
            let mirrors = rule.mirrors.iter().filter_map(|to| to.destination.as_ref());
            routes.chain(mirrors).chain(&rule.mirror)
        });
        destinations.map(|to| full_host(&to.host, namespace).into()).collect()
    }

    /// Why rules, or matches of them, are left out wherever they are compiled: the index of each rule, and the fault.
    pub fn faults(&self) -> impl Iterator<Item = (usize, RuleFault)> {
        struct Nobody;
        impl Hosts for Nobody {
            fn find(&self, _: &str, _: &str) -> Option<super::destination::KnownHost> {
                None
            }
        }
        let context = ActionContext {
            namespace: self.virtual_service.namespace(),
            hosts: &Nobody,
            port: 80,
            scheme: crate::question::Scheme::Http,
            implied_port: ImpliedPort::OfListener(80),
        };
        self.spliced.iter().flat_map(move |spliced| {
            let whole = action::action(&spliced.rule, Matched::Whole, context).err();
            let matches = spliced.rule.match_.iter().filter_map(|found| HttpMatch::read(found).err());
            whole
                .into_iter()
                .chain(matches.map(RuleFault::from))
                .map(|fault| (spliced.index, fault))
                .collect::<Vec<_>>()
        })
    }
}

/// The rule of the matches of one rule: shared, unless it replaces what is matched.
struct Values<'r, 'c> {
    rules: &'r HttpRules<'c>,
    spliced: &'r Spliced<'c>,
    context: ActionContext<'r>,
    shared: Option<Option<Arc<HttpRule>>>,
}

impl Values<'_, '_> {
    /// Adds a match, if its rule can be applied; whether it is a catch-all.
    fn push(&mut self, read: HttpMatch<'_>, out: &mut Vec<CompiledMatch>) -> bool {
        let Some(rule) = self.rule(read.matched) else { return false };
        let HttpMatch { path, conditions, catch_all, .. } = read;
        out.push(CompiledMatch { path, conditions, catch_all, rule });
        catch_all
    }

    fn rule(&mut self, matched: Matched<'_>) -> Option<Arc<HttpRule>> {
        if action::depends_on_match(&self.spliced.rule) {
            return self.make(matched);
        }
        if self.shared.is_none() {
            self.shared = Some(self.make(matched));
        }
        self.shared.clone().flatten()
    }

    fn make(&self, matched: Matched<'_>) -> Option<Arc<HttpRule>> {
        let action = action::action(&self.spliced.rule, matched, self.context).ok()?;
        let reference =
            |name: &NamespacedName| ObjectRef::new(Kind::VirtualService, name.namespace.clone(), name.name.clone());
        let origin = Origin::VirtualService {
            route: self.rules.virtual_service.reference(),
            rule: self.spliced.index,
            delegate: self.spliced.delegate.as_ref().map(|(name, rule)| (reference(name), *rule)),
        };
        Some(Arc::new(HttpRule::new(origin, action)))
    }
}
