//! Under which names and addresses is a service called?

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::host::Host;
use crate::host_pattern::{HostPattern, Wildcard, WildcardDepth};
use crate::istio::names::service_of;
use crate::istio::registry::{MeshService, Registry};
use crate::istio::stream::pattern;

/// The domains of a service in the proxies of a namespace: its name, its addresses, and for names of the cluster the shorter forms that a
/// resolver there would complete; the same for the names of ExternalName Services that lead to it. A headless Service has what lies
/// below each name as well, for its Pods. The first is its full name, if that is one.
pub(super) fn domains(service: &MeshService, registry: &Registry, namespace: &str) -> Vec<HostPattern> {
    let mut names: Vec<String> = Vec::new();
    for name in [&*service.host].into_iter().chain(registry.aliases_of(&service.host)) {
        names.push(name.to_owned());
        if let Some((own, short)) = service_of(name) {
            names.extend([format!("{short}.{own}"), format!("{short}.{own}.svc")]);
            names.extend((own == namespace).then(|| short.to_owned()));
        }
    }
    let mut found: Vec<HostPattern> = names.iter().filter_map(|name| pattern(name)).collect();
    if service.is_headless() {
        let below = |pattern: &HostPattern| match pattern {
            HostPattern::Exact(host) => Wildcard::new(host.clone(), WildcardDepth::Any).map(HostPattern::Wildcard),
            _ => None,
        };
        let below: Vec<HostPattern> = found.iter().filter_map(below).collect();
        found.extend(below);
    }
    let of_addr = |addr| match addr {
        IpAddr::V4(addr) => Host::from(addr),
        IpAddr::V6(addr) => Host::from(addr),
    };
    found.extend(service.single_addresses().map(of_addr).map(HostPattern::Exact));
    let mut taken = BTreeSet::new();
    found.retain(|domain| taken.insert(domain.clone()));
    found
}
