//! What is the cluster's DNS told? The Corefile of CoreDNS and the kubelet's configuration.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use svc_model::addr::parse_ip;
use svc_model::api::{ConfigMap, KubeletConfiguration, Service};
use svc_model::check::Finding;
use svc_model::{Cluster, Kind, ObjectRef};

use super::corefile::{Corefile, Key, Plugin, has_environment};
use super::plugins::Plugins;
use super::reverse;
use crate::name::Name;

/// The cluster domain where none is written.
pub const DEFAULT_DOMAIN: &str = "cluster.local";
/// The address of the DNS service where nothing tells.
const DEFAULT_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10));
/// Largest `ttl` that CoreDNS takes, in seconds.
const MAX_TTL: u32 = 3600;

/// Whether names of Pod addresses (`10-1-2-3.NAMESPACE.pod.ZONE`) are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PodMode {
    /// They do not exist.
    #[default]
    Disabled,
    /// With the address in the name, if the namespace exists.
    Insecure,
    /// Only if a live Pod of the namespace has the address.
    Verified,
}

/// The settings of a [`Zone`](super::Zone). The defaults are those of CoreDNS's `kubernetes` plugin, not those of the
/// Corefile that installers write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZoneSettings {
    /// The zones answered for, forward and reverse; PTR records lead into the first forward one.
    pub zones: Vec<Name>,
    /// TTL of all records but `dns-version`, in seconds.
    pub ttl: u32,
    /// The SOA serial; the caller moves it when an answer can change.
    pub serial: u32,
    /// Names of Pod addresses.
    pub pods: PodMode,
    /// Whether an endpoint without a hostname is named after its Pod.
    pub endpoint_pod_names: bool,
    /// Whether endpoints are known at all (`noendpoints` turns that off).
    pub endpoints: bool,
    /// The namespaces that are exposed; all if `None`.
    pub namespaces: Option<BTreeSet<String>>,
    /// Whether a Service with a cluster IP and no ready endpoint does not exist.
    pub ignore_empty_services: bool,
    /// Zones below which a name that does not exist is left to others; the root stands for all.
    pub fallthrough: Vec<Name>,
    /// Whether the search list is walked on the server (needs [`PodMode::Verified`]).
    pub autopath: bool,
    /// Whether whole zones are handed out.
    pub transfer: bool,
    /// Addresses of the DNS service: `ns.dns.ZONE` and the name servers of the zone.
    pub addresses: Vec<IpAddr>,
    /// Seed of the hash tables. Questions only read them, so that a fixed one serves; a server exposed to tenants who
    /// choose names may draw one at random.
    pub hash_seed: u64,
}

impl Default for ZoneSettings {
    fn default() -> Self {
        Self {
            zones: zones_of(DEFAULT_DOMAIN),
            ttl: 5,
            serial: 1,
            pods: PodMode::Disabled,
            endpoint_pod_names: false,
            endpoints: true,
            namespaces: None,
            ignore_empty_services: false,
            fallthrough: Vec::new(),
            autopath: false,
            transfer: false,
            addresses: vec![DEFAULT_ADDRESS],
            hash_seed: 0,
        }
    }
}

/// The zones where a Corefile names none: the cluster domain and both reverse trees.
fn zones_of(domain: &str) -> Vec<Name> {
    [domain, "in-addr.arpa", "ip6.arpa"].iter().filter_map(|zone| zone.parse().ok()).collect()
}

/// The kubelet's configuration, if the cluster holds one.
pub(super) fn kubelet(cluster: &Cluster) -> Option<&KubeletConfiguration> {
    cluster.list().next()
}

/// The cluster domain: `KubeletConfiguration.clusterDomain`, else `cluster.local`; without a final dot.
pub fn cluster_domain(cluster: &Cluster) -> &str {
    let domain = kubelet(cluster).map(|kubelet| kubelet.cluster_domain.trim_end_matches('.'));
    domain.filter(|domain| !domain.is_empty()).unwrap_or(DEFAULT_DOMAIN)
}

/// The addresses of the DNS service: `KubeletConfiguration.clusterDNS`, else the cluster IPs of Service
/// `kube-system/kube-dns`, else `10.96.0.10`.
pub fn cluster_dns(cluster: &Cluster) -> Vec<IpAddr> {
    let told = kubelet(cluster).map(told_addresses).unwrap_or_default();
    if !told.is_empty() {
        return told;
    }
    let service = cluster.get::<Service>("kube-system", "kube-dns").filter(|service| !service.spec.is_external_name());
    let own: Vec<IpAddr> = service
        .into_iter()
        .flat_map(|service| service.spec.written_cluster_ips())
        .filter_map(|ip| parse_ip(ip).ok())
        .collect();
    if own.is_empty() { vec![DEFAULT_ADDRESS] } else { own }
}

/// `clusterDNS` without what is no address, which the kubelet passes over.
pub(super) fn told_addresses(kubelet: &KubeletConfiguration) -> Vec<IpAddr> {
    kubelet.cluster_dns.iter().filter_map(|addr| parse_ip(addr).ok()).collect()
}

impl ZoneSettings {
    /// The settings of a cluster: from ConfigMap `kube-system/coredns`, key `Corefile`, first `kubernetes` block, and
    /// the kubelet's configuration.
    pub fn of(cluster: &Cluster) -> Self {
        Self::read(cluster).0
    }

    /// As [`ZoneSettings::of`], with the plugins beside `kubernetes`, and what is wrong in the Corefile.
    pub(super) fn read(cluster: &Cluster) -> (Self, Plugins, Vec<Finding>) {
        let mut settings =
            Self { zones: zones_of(cluster_domain(cluster)), addresses: cluster_dns(cluster), ..Self::default() };
        let mut complaints = Complaints::default();
        let plugins = match corefile_text(cluster).map(str::parse::<Corefile>) {
            None => Plugins::default(),
            Some(Ok(corefile)) => settings.read_corefile(&corefile, &mut complaints),
            Some(Err(error)) => {
                complaints.error(error.to_string());
                Plugins::default()
            }
        };
        (settings, plugins, complaints.findings)
    }

    /// Takes over what the first `kubernetes` block of a Corefile and the plugins `autopath` and `transfer` beside it say.
    pub fn apply(&mut self, corefile: &Corefile) {
        self.read_corefile(corefile, &mut Complaints::default());
    }

    fn read_corefile(&mut self, corefile: &Corefile, complaints: &mut Complaints) -> Plugins {
        for import in &corefile.imports {
            complaints.warning(import, "names what cannot be read here");
        }
        for plugin in corefile.servers.iter().flat_map(|server| &server.plugins) {
            match plugin.name.as_str() {
                "import" => complaints.warning(plugin, "names what cannot be read here"),
                name if !PLUGINS.contains(&name) => complaints.warning(plugin, "is no plugin of CoreDNS"),
                _ => {}
            }
        }
        let found = corefile.servers.iter().enumerate().find_map(|(at, server)| {
            let kubernetes = server.plugins.iter().find(|plugin| plugin.name == "kubernetes")?;
            Some((at, server, kubernetes))
        });
        let Some((at, server, kubernetes)) = found else {
            complaints
                .findings
                .push(corefile_finding(Finding::warning, "no `kubernetes` block, the defaults of the plugin hold"));
            return Plugins::default();
        };
        let keys = complaints.zones(&server.keys, server.line);
        let own = complaints.zones(&kubernetes.args, kubernetes.line);
        let zones = if kubernetes.args.is_empty() { keys.clone() } else { own };
        let is_forward = |zone: &Name| !reverse::is_reverse(zone.as_ref());
        if !zones.iter().any(is_forward) {
            let words = if kubernetes.args.is_empty() { &server.keys } else { &kubernetes.args };
            // A variable in the place of the domain is most likely to hold it.
            let guess = words.iter().any(|word| has_environment(word));
            self.zones.retain(|zone| guess && is_forward(zone));
            if !guess {
                complaints
                    .error(format!("line {}: `kubernetes` needs a zone that is not a reverse one", kubernetes.line));
            }
            self.zones.extend(zones);
        } else {
            self.zones = zones;
        }
        for word in &kubernetes.block {
            self.read_word(word, complaints);
        }
        let plugins = Plugins::read(corefile, at, keys, complaints);
        self.transfer = plugins.transfer.is_some();
        self.autopath = plugins.autopath.is_some() && self.pods == PodMode::Verified;
        if let Some(autopath) = &plugins.autopath
            && !self.autopath
        {
            let line = autopath.line;
            complaints.warn(format!("line {line}: `autopath` has no effect without `pods verified`"));
        }
        plugins
    }

    fn read_word(&mut self, word: &Plugin, complaints: &mut Complaints) {
        let args: Vec<&str> = word.args.iter().map(String::as_str).collect();
        match (word.name.as_str(), args.as_slice()) {
            ("pods", ["disabled"]) => self.pods = PodMode::Disabled,
            ("pods", ["insecure"]) => self.pods = PodMode::Insecure,
            ("pods", ["verified"]) => self.pods = PodMode::Verified,
            ("ttl", [seconds]) if seconds.parse::<u32>().is_ok_and(|ttl| ttl <= MAX_TTL) => {
                self.ttl = seconds.parse().unwrap_or(self.ttl);
            }
            ("endpoint_pod_names", []) => self.endpoint_pod_names = true,
            ("noendpoints", []) => self.endpoints = false,
            ("namespaces", [_, ..]) => {
                self.namespaces.get_or_insert_default().extend(args.iter().map(|name| (*name).to_owned()));
            }
            ("ignore", ["empty_service"]) => self.ignore_empty_services = true,
            ("fallthrough", []) => self.fallthrough = vec![Name::root()],
            ("fallthrough", _) => self.fallthrough = complaints.zones(&word.args, word.line),
            ("labels" | "namespace_labels", [_, ..]) => {
                complaints.warning(word, "can hide Services and is not followed here");
            }
            ("multicluster", _) | ("zonal", []) => complaints.warning(word, "is not followed here"),
            ("endpoint" | "kubeconfig" | "tls" | "apiserver_qps" | "apiserver_burst" | "apiserver_max_inflight", _)
            | ("startup_timeout", _) => {}
            _ => complaints.error(format!(
                "line {}: `{}` is nothing the kubernetes plugin takes",
                word.line,
                cut(&[&[word.name.as_str()], args.as_slice()].concat().join(" "))
            )),
        }
    }
}

/// The Corefile of a cluster, if it holds one.
pub(super) fn corefile_text(cluster: &Cluster) -> Option<&str> {
    let config_map = cluster.get::<ConfigMap>("kube-system", "coredns")?;
    config_map.data.get("Corefile").map(String::as_str)
}

/// A text as it may stand in a message.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// What is found wrong while a Corefile is read.
#[derive(Default)]
pub(super) struct Complaints {
    findings: Vec<Finding>,
}

impl Complaints {
    pub(super) fn error(&mut self, message: String) {
        self.findings.push(corefile_finding(Finding::error, message));
    }

    pub(super) fn warn(&mut self, message: String) {
        self.findings.push(corefile_finding(Finding::warning, message));
    }

    pub(super) fn warning(&mut self, plugin: &Plugin, message: &str) {
        self.warn(format!("line {}: `{}` {message}", plugin.line, cut(&plugin.name)));
    }

    /// The zones that words name. What is no name, or holds an environment variable, is left out and told of.
    pub(super) fn zones(&mut self, words: &[String], line: usize) -> Vec<Name> {
        let mut zones = Vec::new();
        for word in words {
            if has_environment(word) {
                self.warn(format!("line {line}: zone `{}`: the environment of CoreDNS is not known here", cut(word)));
                continue;
            }
            match Key::parse(word) {
                Ok(key) => zones.extend(key.zones),
                Err(error) => self.error(format!("line {line}: zone `{}`: {error}", cut(word))),
            }
        }
        zones
    }
}

fn corefile_finding(level: fn(ObjectRef, String, String) -> Finding, message: impl Into<String>) -> Finding {
    level(ObjectRef::new(Kind::ConfigMap, "kube-system", "coredns"), "data[Corefile]".into(), message.into())
}

/// The plugins that CoreDNS is built with (`plugin.cfg`), and `import`.
const PLUGINS: &[&str] = &[
    "acl",
    "any",
    "auto",
    "autopath",
    "azure",
    "bind",
    "bufsize",
    "cache",
    "cancel",
    "chaos",
    "clouddns",
    "debug",
    "dns64",
    "dnssec",
    "dnstap",
    "erratic",
    "errors",
    "etcd",
    "file",
    "forward",
    "geoip",
    "grpc",
    "grpc_server",
    "header",
    "health",
    "hosts",
    "https",
    "https3",
    "import",
    "k8s_external",
    "kubernetes",
    "loadbalance",
    "local",
    "log",
    "loop",
    "metadata",
    "minimal",
    "multisocket",
    "nomad",
    "nsid",
    "on",
    "pprof",
    "prometheus",
    "proxyproto",
    "quic",
    "ready",
    "reload",
    "rewrite",
    "root",
    "route53",
    "secondary",
    "shed",
    "sign",
    "template",
    "timeouts",
    "tls",
    "trace",
    "transfer",
    "tsig",
    "view",
    "whoami",
];
