//! The dialect of ingress-nginx: how its servers and locations become a router.
//!
//! The controller turns Ingresses into nginx servers (one a host) and locations; nginx then matches by its own rules. Both
//! steps are repeated here, from the documented behaviour of the two programs.

mod access;
mod annotations;
mod balancing;
mod canary;
mod cookie;
mod cors;
mod custom_headers;
mod server;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use svc_model::Cluster;
use svc_model::api::Ingress;

use crate::host_pattern::{HostPattern, WildcardDepth};
use crate::host_table::HostTable;
use crate::path_pattern::PathPattern;
use crate::router::{Router, RouterBuilder};
use crate::rule::Rule;

use super::backend::{BackendRef, Services};
use super::class::{Dialect, ServedIngresses};
use super::location::{Detour, Location, Target};
use super::read;
use super::settings::ControllerSettings;
use annotations::Reader;
use server::{Annotated, Builder, Precedence};

pub(super) use access::Access;
pub(super) use annotations::{
    Drop, DropCause, Format, Risk, Values, annotation, annotations, dropped, source_range, takes, uses_regex,
};
pub use balancing::{AffinityMode, Balancing, CookieAffinity, HashBy};
pub use canary::CanaryCause;
pub(super) use canary::{CanaryRule, Taker};
pub(super) use cors::response as cors_response;
pub(super) use custom_headers::is_header_name;
pub use template::Template;
pub(super) use template::Variables;

/// The compiled tables of an ingress-nginx controller.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    pub(super) router: Router<Location>,
    /// The hosts that some Ingress lists in its `tls`.
    pub(super) certified: HostTable<()>,
}

pub(super) fn compile(cluster: &Cluster, served: &ServedIngresses<'_>, settings: &ControllerSettings) -> Tables {
    let reader = Reader { cluster, flags: &served.flags, settings };
    let servers = Builder { flags: &served.flags, services: Services::new(cluster, Dialect::Nginx) };
    let mut hosts: BTreeMap<HostPattern, Vec<Annotated<'_>>> = BTreeMap::from([(HostPattern::Any, Vec::new())]);
    for ingress in &served.ingresses {
        let annotations = Arc::new(reader.read(ingress));
        for host in hosts_of(ingress) {
            hosts.entry(host).or_default().push((ingress, annotations.clone()));
        }
    }
    let servers: Vec<_> =
        hosts.iter().filter_map(|(host, ingresses)| Some((host, servers.server(host, ingresses)?))).collect();

    let mut builder = RouterBuilder::new();
    for (host, server) in &servers {
        builder.host((*host).clone());
        for rule in server.rules(host) {
            builder.rule((*host).clone(), rule);
        }
    }
    for (host, server) in &servers {
        for alias in &server.aliases {
            // An alias that is some server's host, or an earlier alias, is dropped.
            if let Some(alias) = alias_pattern(alias)
                && !builder.contains(&alias)
            {
                builder.alias(alias, (*host).clone());
            }
        }
    }
    for (host, _) in servers.iter().filter(|(_, server)| server.from_to_www) {
        if let Some(twin) = www_twin(host)
            && !builder.contains(&twin)
        {
            builder.rule(twin, www_redirect(host));
        }
    }
    Tables { router: builder.build(), certified: certified(served) }
}

/// The hosts whose servers an Ingress has a part in.
fn hosts_of(ingress: &Ingress) -> BTreeSet<HostPattern> {
    let mut hosts: BTreeSet<HostPattern> =
        ingress.spec.rules.iter().filter_map(|rule| read::rule_host(rule).ok()).collect();
    if BackendRef::default_of(ingress).is_some() {
        // Without rules it is that of the catch-all, as a canary it joins the catch-all.
        hosts.insert(HostPattern::Any);
    }
    hosts
}

/// The hosts that an alias stands for. nginx takes a `*.` of its own for any number of labels, while the controller writes
/// those of rules as expressions for one.
fn alias_pattern(alias: &str) -> Option<HostPattern> {
    HostPattern::parse(alias, WildcardDepth::Any).ok().filter(|alias| *alias != HostPattern::Any)
}

/// The other host of `from-to-www-redirect`: with `www.`, or without it.
fn www_twin(host: &HostPattern) -> Option<HostPattern> {
    let HostPattern::Exact(host) = host else { return None };
    let twin = match host.as_str().strip_prefix("www.") {
        Some(bare) => bare.to_owned(),
        None => format!("www.{host}"),
    };
    read::host(&twin).ok()
}

fn www_redirect<'c>(to: &HostPattern) -> Rule<Precedence<'c>, Location> {
    let detour = Some(Detour::Www(to.to_string().into()));
    let location = Location { detour, ..Location::plain(None, None, Target::NotFound) };
    Rule::new(Precedence::Exact, PathPattern::any(), location)
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
