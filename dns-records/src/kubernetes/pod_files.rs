//! What does the kubelet write into a Pod's `/etc/resolv.conf` and `/etc/hosts`?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use svc_model::addr::parse_ip;
use svc_model::api::{Node, Pod, PodDnsConfig};
use svc_model::{Cluster, Resource};

use super::settings::{DEFAULT_DOMAIN, cluster_dns, cluster_domain, kubelet, told_addresses};
use crate::hosts::HostsFile;
use crate::name::MAX_LABEL;
use crate::resolv::{ResolvConf, ResolvOption, drop_repeats};

/// Which settings a Pod starts from, once its policy and its network are known.
enum Effective {
    Nothing,
    Cluster,
    Host,
}

/// The resolv.conf of a Pod. `host` is the parsed file that `KubeletConfiguration.resolvConf` names, empty if it is not
/// known; if that key is the empty text, `host` does not count.
///
/// ```
/// use dns_records::{kubernetes::resolv_conf, resolv::ResolvConf};
/// let (cluster, pod) = (svc_model::Cluster::new(), svc_model::api::Pod::default());
/// let conf = resolv_conf(&cluster, &pod, &ResolvConf::default());
/// assert_eq!(conf.nameservers, ["10.96.0.10"]);
/// assert_eq!(conf.searches, ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"]);
/// assert_eq!(conf.ndots(), 5);
/// ```
pub fn resolv_conf(cluster: &Cluster, pod: &Pod, host: &ResolvConf) -> ResolvConf {
    let told = kubelet(cluster);
    // The address of the DNS service is guessed only where no kubelet says which it has.
    let servers = told.map_or_else(|| cluster_dns(cluster), told_addresses);
    let mut conf = match effective(pod) {
        Effective::Nothing => ResolvConf::default(),
        Effective::Cluster if !servers.is_empty() => {
            let domain = told.map_or(DEFAULT_DOMAIN, |told| told.cluster_domain.as_str());
            ResolvConf {
                nameservers: servers.iter().map(IpAddr::to_string).collect(),
                searches: cluster_searches(pod.namespace(), domain, &host.searches),
                options: vec![ResolvOption::new("ndots", Some("5"))],
            }
        }
        Effective::Cluster | Effective::Host => match told.and_then(|told| told.resolv_conf.as_deref()) {
            Some("") => loopback(cluster, pod),
            _ => host.clone(),
        },
    };
    if let Some(config) = &pod.spec.dns_config {
        conf.merge(written(config));
    }
    conf.limit();
    conf
}

/// The kubelet takes a policy it does not know for `ClusterFirst`.
fn effective(pod: &Pod) -> Effective {
    match pod.spec.dns_policy.as_str() {
        "None" => Effective::Nothing,
        "Default" => Effective::Host,
        "ClusterFirst" | "" if pod.spec.host_network => Effective::Host,
        _ => Effective::Cluster,
    }
}

fn cluster_searches(namespace: &str, domain: &str, host: &[String]) -> Vec<String> {
    let mut searches = match domain {
        "" => Vec::new(),
        _ => vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.to_owned()],
    };
    searches.extend_from_slice(host);
    drop_repeats(&mut searches);
    searches
}

/// With `resolvConf: ""`: loopback in the family of each InternalIP of the Pod's node, and the root as search list.
fn loopback(cluster: &Cluster, pod: &Pod) -> ResolvConf {
    let node = match pod.spec.node_name.as_str() {
        "" => {
            let mut nodes = cluster.list::<Node>();
            nodes.next().filter(|_| nodes.next().is_none())
        }
        name => cluster.get::<Node>("", name),
    };
    let addresses = node.into_iter().flat_map(|node| &node.status.addresses);
    let internal =
        addresses.filter(|address| address.type_ == "InternalIP").filter_map(|address| parse_ip(&address.address).ok());
    let servers = internal.map(|addr| match addr {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST).to_string(),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::LOCALHOST).to_string(),
    });
    let mut nameservers: Vec<String> = servers.collect();
    if nameservers.is_empty() {
        nameservers.push(Ipv4Addr::LOCALHOST.to_string());
    }
    ResolvConf { nameservers, searches: vec![".".into()], options: Vec::new() }
}

fn written(config: &PodDnsConfig) -> ResolvConf {
    ResolvConf {
        nameservers: config.nameservers.clone(),
        searches: config.searches.clone(),
        options: config
            .options
            .iter()
            .map(|option| ResolvOption::new(&*option.name, option.value.as_deref()))
            .collect(),
    }
}

/// The hosts file of a Pod: `localhost`, the Pod's own names and its `hostAliases`. Of a Pod on the host's network only the
/// aliases are known, the rest is the node's own file.
pub fn hosts_file(cluster: &Cluster, pod: &Pod) -> HostsFile {
    let mut hosts = HostsFile::default();
    if !pod.spec.host_network {
        hosts.push(Ipv4Addr::LOCALHOST.into(), ["localhost"]);
        hosts.push(Ipv6Addr::LOCALHOST.into(), ["localhost", "ip6-localhost", "ip6-loopback"]);
        for (last, name) in [(0, "localnet"), (0, "mcastprefix"), (1, "allnodes"), (2, "allrouters")] {
            hosts.push(Ipv6Addr::new(0xfe00, 0, 0, 0, 0, 0, 0, last).into(), [format!("ip6-{name}")]);
        }
        let hostname = hostname(pod);
        for addr in pod.written_ips().filter_map(|ip| parse_ip(ip).ok()) {
            let full = (!pod.spec.subdomain.is_empty()).then(|| {
                let (subdomain, namespace) = (&pod.spec.subdomain, pod.namespace());
                format!("{hostname}.{subdomain}.{namespace}.svc.{}", cluster_domain(cluster))
            });
            hosts.push(addr, full.into_iter().chain([hostname.to_owned()]));
        }
    }
    for alias in &pod.spec.host_aliases {
        if let Ok(addr) = parse_ip(&alias.ip) {
            hosts.push(addr, &alias.hostnames);
        }
    }
    hosts
}

/// `spec.hostname`, else the Pod's name, cut to a label as the kubelet cuts it.
fn hostname(pod: &Pod) -> &str {
    let name = if pod.spec.hostname.is_empty() { pod.name() } else { &pod.spec.hostname };
    match name.get(..MAX_LABEL) {
        Some(cut) if name.len() > MAX_LABEL => cut.trim_end_matches(['-', '.']),
        _ => name,
    }
}
