//! Where does a request to an ingress controller go? The controller compiled from a cluster, which it follows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use svc_model::api::Ingress;
use svc_model::{Cluster, Kind, NamespacedName, ObjectRef, Touched};

use crate::host_pattern::HostPattern;
use crate::host_table::HostTable;
use crate::path_pattern::PathPattern;
use crate::router::{HostChange, Router, RouterBuilder};
use crate::rule::Rule;

use super::class::{Dialect, Selection, UnknownClass};
use super::flags::{ControllerFlags, controllers, is_controller};
use super::location::{Location, Target};
use super::names::{Found, Names, Wanted};
use super::parts::Parts;
use super::{nginx, plain};

/// The decisions of the controller that implements one ingress class, compiled from a cluster.
///
/// A decision costs a look-up in a [`Router`]; it allocates for a Host of more than 40 bytes, for a path that has to be
/// normalised, for redirects and rewrites, and for CORS. When the cluster changes, [`update`](Self::update) rebuilds the hosts that are
/// touched; those who decide meanwhile keep a clone, which shares everything but the tables of hosts.
///
/// ```
/// use route_match::ingress::{HttpQuestion, IngressController, Scheme};
/// use svc_model::Cluster;
/// use svc_model::api::{Ingress, IngressRule};
///
/// let mut cluster = Cluster::new();
/// let mut controller = IngressController::compile(&cluster, "edge")?;
/// let question = HttpQuestion::new(Scheme::Http, "shop.example", "/");
/// assert_eq!(controller.decide(&question).reason.host.map(ToString::to_string).as_deref(), Some("*"));
///
/// let mut ingress = Ingress::default();
/// ingress.metadata.name = "shop".into();
/// ingress.spec.rules.push(IngressRule { host: "shop.example".into(), http: None });
/// let change = cluster.apply(ingress);
/// controller.update(&cluster, &change.touched)?;
/// assert_eq!(controller.decide(&question).reason.host.map(ToString::to_string).as_deref(), Some("shop.example"));
/// # Ok::<(), route_match::ingress::UnknownClass>(())
/// ```
#[derive(Clone, Debug)]
pub struct IngressController {
    pub(super) selection: Selection,
    pub(super) router: Router<Location>,
    /// The hosts with a certificate.
    pub(super) certified: HostTable<()>,
    parts: Parts,
    names: Names,
    /// What runs ingress-nginx, and thereby gives the flags.
    controllers: BTreeSet<ObjectRef>,
    /// In the plain dialect, the default backend of every host that has none of its own.
    common: Option<(NamespacedName, Target)>,
    /// An update failed, so that the next one compiles everything anew.
    stale: bool,
}

/// A host, built: its rules, and the names it wants beside its own.
pub(super) struct Built<K> {
    pub(super) rules: Vec<Rule<K, Location>>,
    pub(super) wanted: Wanted,
}

/// Something that takes a request: a path of a rule, or a default backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate<'t> {
    /// The Ingress it comes from; `None` for the controller's own default backend.
    pub route: Option<&'t ObjectRef>,
    /// The index in the Ingress's `spec.rules`; `None` for a default backend.
    pub rule: Option<usize>,
    /// The hosts it is for.
    pub host: &'t HostPattern,
    /// The paths it is for.
    pub path: &'t PathPattern,
}

impl fmt::Display for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.route, self.rule) {
            (Some(route), Some(rule)) => write!(f, "{route} rule {rule}")?,
            (Some(route), None) => write!(f, "{route} default backend")?,
            (None, _) => f.write_str("the controller")?,
        }
        write!(f, " (host {}, path {})", self.host, self.path)
    }
}

impl IngressController {
    /// Compiles what the controller of `class` serves; see [`served`](super::served) for which Ingresses those are.
    ///
    /// O(n log n) in the number of paths of the Ingresses served; for ingress-nginx plus the endpoints of the Services they
    /// name, each of which is read once, however many paths lead to it.
    pub fn compile(cluster: &Cluster, class: &str) -> Result<Self, UnknownClass> {
        Ok(Self::of(cluster, Selection::of(cluster, class)?))
    }

    fn of(cluster: &Cluster, selection: Selection) -> Self {
        let mut controller = Self {
            selection,
            router: RouterBuilder::<(), Location>::new().build(),
            certified: HostTable::new([]),
            parts: Parts::default(),
            names: Names::default(),
            controllers: controllers(cluster).map(|(object, _)| object).collect(),
            common: None,
            stale: false,
        };
        for ingress in cluster.list::<Ingress>() {
            controller.take_in(ingress);
        }
        controller.certify();
        controller.common = controller.common(cluster);
        controller.rebuild(cluster, controller.all_hosts());
        controller
    }

    /// Follows a cluster: `touched` is what changes since the last time say ([`Cluster::apply`], [`Cluster::remove`]).
    ///
    /// Costs the Ingresses of the hosts that are touched, and, where a host begins or ceases to exist, a walk over all hosts. A change
    /// of an IngressClass, of the controller's flags, settings or default backend compiles everything anew. The result is
    /// what [`compile`](Self::compile) makes of the cluster.
    ///
    /// # Errors
    /// As `compile`; the controller then stays as it was, until an update succeeds.
    pub fn update(&mut self, cluster: &Cluster, touched: &Touched) -> Result<(), UnknownClass> {
        if self.stale || self.is_shaken(cluster, touched) {
            // What an update that fails was told of is lost.
            let stale = std::mem::replace(&mut self.stale, true);
            let selection = Selection::of(cluster, self.selection.class())?;
            self.stale = false;
            if stale || selection != self.selection || touched.all_services {
                *self = Self::of(cluster, selection);
                return Ok(());
            }
            self.controllers = controllers(cluster).map(|(object, _)| object).collect();
        }
        let mut hosts = BTreeSet::new();
        let mut named = |parts: &Parts, object: &ObjectRef| {
            for ingress in parts.naming(object) {
                hosts.extend(parts.hosts_of(ingress).cloned());
            }
        };
        for object in touched.objects.iter().filter(|object| object.kind == Kind::ConfigMap) {
            named(&self.parts, object);
        }
        for service in &touched.services {
            named(&self.parts, &ObjectRef::new(Kind::Service, service.namespace.clone(), service.name.clone()));
        }
        for object in touched.objects.iter().filter(|object| object.kind == Kind::Ingress) {
            let key = NamespacedName::new(object.namespace.clone(), object.name.clone());
            hosts.extend(self.parts.hosts_of(&key).cloned());
            self.parts.take(&key);
            if let Some(ingress) = cluster.get::<Ingress>(&key.namespace, &key.name) {
                self.take_in(ingress);
            }
            hosts.extend(self.parts.hosts_of(&key).cloned());
        }
        self.certify();
        let default = self.selection.flags.default_backend_service.as_ref();
        let common = self.common(cluster);
        if default.is_some_and(|service| touched.services.contains(service)) || common != self.common {
            hosts.extend(self.all_hosts());
        }
        self.common = common;
        self.rebuild(cluster, hosts);
        Ok(())
    }

    /// How the controller reads its Ingresses.
    pub fn dialect(&self) -> Dialect {
        self.selection.dialect
    }

    /// The flags the controller runs with.
    pub fn flags(&self) -> &ControllerFlags {
        &self.selection.flags
    }

    /// The hosts that requests are told apart by, from most to least specific, aliases and www twins among them.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = &HostPattern> {
        self.router.hosts()
    }

    /// The locations of exactly this host, in the order in which they go before each other; for those who write them down for
    /// another proxy.
    pub fn locations(&self, host: &HostPattern) -> impl Iterator<Item = (&PathPattern, &Location)> {
        self.router.rules(host).map(|found| (found.path(), found.value()))
    }

    /// Whether some Ingress lists a host, or a wildcard for it, in its `tls`, so that it has a certificate.
    pub fn is_certified(&self, host: &HostPattern) -> bool {
        match host {
            HostPattern::Exact(host) => self.certified.matches(Some(host)).next().is_some(),
            _ => self.certified.get(host).is_some(),
        }
    }

    /// The status of redirects to HTTPS.
    pub fn https_redirect_code(&self) -> u16 {
        self.selection.settings.redirect_code
    }

    /// Whether what is touched may change which Ingresses are served, or how all of them are read.
    fn is_shaken(&self, cluster: &Cluster, touched: &Touched) -> bool {
        let Selection { flags, by_annotation, .. } = &self.selection;
        let is_settings = |object: &ObjectRef| {
            let name = flags.configmap.as_ref().filter(|_| object.kind == Kind::ConfigMap);
            name.is_some_and(|name| name.namespace == object.namespace && name.name == object.name)
        };
        let runs_controller =
            |object: &ObjectRef| self.controllers.contains(object) || cluster.object(object).is_some_and(is_controller);
        let pod = |pod: &NamespacedName| ObjectRef::new(Kind::Pod, pod.namespace.clone(), pod.name.clone());
        touched.all_services
            || touched.pods.iter().any(|key| runs_controller(&pod(key)))
            || touched.objects.iter().any(|object| match object.kind {
                Kind::IngressClass => true,
                Kind::Ingress => *by_annotation,
                _ => is_settings(object) || runs_controller(object),
            })
    }

    fn take_in(&mut self, ingress: &Ingress) {
        if self.selection.serves(ingress) && !self.selection.drops(ingress) {
            self.parts.put(&self.selection, ingress);
        }
    }

    /// Brings the table of certified hosts up to date.
    fn certify(&mut self) {
        if self.parts.take_certified_changed() {
            self.certified = HostTable::new(self.parts.certified().map(|host| (host.clone(), ())));
        }
    }

    fn all_hosts(&self) -> BTreeSet<HostPattern> {
        self.parts.hosts().cloned().chain([HostPattern::Any]).collect()
    }

    fn common(&self, cluster: &Cluster) -> Option<(NamespacedName, Target)> {
        match self.selection.dialect {
            Dialect::Plain => plain::common(cluster, self.parts.of_host(cluster, &HostPattern::Any)),
            Dialect::Nginx => None,
        }
    }

    /// Builds these hosts anew.
    fn rebuild(&mut self, cluster: &Cluster, hosts: BTreeSet<HostPattern>) {
        let Self { selection, router, parts, names, common, .. } = self;
        match selection.dialect {
            Dialect::Plain => {
                let builder = plain::Hosts::new(cluster, common.as_ref());
                let built = hosts.into_iter().map(|host| {
                    let built = builder.build(&host, parts.of_host(cluster, &host));
                    (host, built)
                });
                // Nobody wants a twin here.
                replace(router, names, built, plain::nowhere);
            }
            Dialect::Nginx => {
                let builder = nginx::Hosts::new(cluster, selection);
                let built = hosts.into_iter().map(|host| {
                    let built = builder.build(&host, parts.of_host(cluster, &host));
                    (host, built)
                });
                replace(router, names, built, nginx::www_redirect);
            }
        }
    }
}

/// Puts hosts in place in the router, under all their names.
fn replace<K: Ord>(
    router: &mut Router<Location>,
    names: &mut Names,
    built: impl Iterator<Item = (HostPattern, Option<Built<K>>)>,
    to_twin: impl Fn(&HostPattern) -> Rule<K, Location>,
) {
    let mut changed = BTreeSet::new();
    let mut rules = BTreeMap::new();
    for (host, built) in built {
        let (wanted, of_host) = built.map(|built| (built.wanted, built.rules)).unzip();
        changed.extend(names.put(&host, wanted));
        rules.extend(of_host.map(|of_host| (host, of_host)));
    }
    let change = |name: HostPattern| {
        let change = match names.find(&name) {
            // A server that was not built stays, though somebody wanted its name.
            Found::Server => HostChange::Rules(rules.remove(&name)?),
            Found::Alias(host) => HostChange::SameAs(host.clone()),
            Found::Twin(host) => HostChange::Rules(vec![to_twin(host)]),
            Found::Nobody => HostChange::Gone,
        };
        Some((name, change))
    };
    router.update(changed.into_iter().filter_map(change).collect::<Vec<_>>());
}
