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

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use svc_model::api::Ingress;
use svc_model::{Cluster, Resource};

use crate::host_pattern::{HostPattern, WildcardDepth};
use crate::path_pattern::PathPattern;
use crate::rule::Rule;

use super::backend::Services;
use super::class::{Dialect, Selection};
use super::controller::Built;
use super::location::{Detour, Location, Target};
use super::names::Wanted;
use super::read;
use annotations::{Annotations, Reader};
use server::Builder;
pub(super) use server::Precedence;

pub use access::Access;
pub(super) use annotations::{
    Drop, DropCause, Format, Risk, Values, annotation, annotations, dropped, source_range, takes, uses_regex,
};
pub use balancing::{AffinityMode, Balancing, CookieAffinity, HashBy};
pub(super) use canary::Taker;
pub use canary::{CanaryCause, CanaryRule};
pub(super) use cors::response as cors_response;
pub(super) use custom_headers::is_header_name;
pub use template::Template;
pub(super) use template::Variables;

/// What builds the hosts of an ingress-nginx controller.
pub(super) struct Hosts<'c> {
    reader: Reader<'c>,
    servers: Builder<'c>,
    /// Many hosts may be of one Ingress, whose annotations are read once.
    known: RefCell<BTreeMap<(&'c str, &'c str), Arc<Annotations<'c>>>>,
}

impl<'c> Hosts<'c> {
    pub(super) fn new(cluster: &'c Cluster, selection: &'c Selection) -> Self {
        let Selection { flags, settings, .. } = selection;
        Self {
            reader: Reader { cluster, flags, settings },
            servers: Builder { flags, services: Services::new(cluster, Dialect::Nginx) },
            known: RefCell::default(),
        }
    }

    /// The server of a host, from the Ingresses with a part in it, in their order; `None` if there is none.
    pub(super) fn build(
        &self,
        host: &HostPattern,
        ingresses: impl Iterator<Item = &'c Ingress>,
    ) -> Option<Built<Precedence<'c>>> {
        let mut known = self.known.borrow_mut();
        let ingresses: Vec<_> = ingresses
            .map(|ingress| {
                let read = || Arc::new(self.reader.read(ingress));
                (ingress, known.entry((ingress.namespace(), ingress.name())).or_insert_with(read).clone())
            })
            .collect();
        let server = self.servers.server(host, &ingresses)?;
        let aliases = server.aliases.iter().filter_map(|alias| alias_pattern(alias)).collect();
        let wanted = Wanted { aliases, twin: www_twin(host).filter(|_| server.from_to_www) };
        Some(Built { rules: server.rules(host), wanted })
    }
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

/// The redirect from a www twin to the host it is of.
pub(super) fn www_redirect<'c>(to: &HostPattern) -> Rule<Precedence<'c>, Location> {
    let detour = Some(Detour::Www(to.to_string().into()));
    let location = Location { detour, ..Location::plain(None, None, Target::NotFound) };
    Rule::new(Precedence::Exact, PathPattern::any(), location)
}
