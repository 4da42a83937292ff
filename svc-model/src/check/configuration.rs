//! Are KubeProxyConfiguration and KubeletConfiguration in order?

use std::fmt::Display;
use std::net::IpAddr;

use ipnet::IpNet;

use super::report::{Report, Shown, is_port};
use super::{duration, names, node};
use crate::addr::parse_ip;
use crate::api::{KubeProxyConfiguration, KubeletConfiguration, ProxyConntrack};

const SECOND: i64 = 1_000_000_000;

/// The schedulers of the kernel that kube-proxy knows; `mh` is the youngest.
const SCHEDULERS: &[&str] = &["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "mh"];

/// More servers than this are not written into a resolv.conf.
const MAX_DNS_SERVERS: usize = 3;

pub(super) fn kube_proxy(report: &mut Report, config: &KubeProxyConfiguration) {
    match config.mode.as_str() {
        "" => {}
        "userspace" => report.error("mode", "userspace is gone since 1.26: iptables, ipvs or nftables"),
        mode => _ = report.one_of("mode", mode, &["iptables", "ipvs", "nftables"]),
    }
    detection(report, config);
    node_port_addresses(report, &config.node_port_addresses);
    masquerade_bit(report, "iptables.masqueradeBit", config.iptables.masquerade_bit);
    periods(report, "iptables", &config.iptables.sync_period, &config.iptables.min_sync_period, SECOND);
    if config.mode == "ipvs" {
        for (i, cidr) in config.ipvs.exclude_cidrs.iter().enumerate() {
            report.cidr(format_args!("ipvs.excludeCIDRs[{i}]"), cidr);
        }
        periods(report, "ipvs", &config.ipvs.sync_period, &config.ipvs.min_sync_period, 0);
        if !config.ipvs.scheduler.is_empty() {
            report.one_of("ipvs.scheduler", &config.ipvs.scheduler, SCHEDULERS);
        }
        let ipvs = &config.ipvs;
        timeout(report, "ipvs.tcpTimeout", &ipvs.tcp_timeout);
        timeout(report, "ipvs.tcpFinTimeout", &ipvs.tcp_fin_timeout);
        timeout(report, "ipvs.udpTimeout", &ipvs.udp_timeout);
    }
    if config.mode == "nftables" {
        masquerade_bit(report, "nftables.masqueradeBit", config.nftables.masquerade_bit);
        periods(report, "nftables", &config.nftables.sync_period, &config.nftables.min_sync_period, SECOND);
    }
    if !config.bind_address.is_empty() {
        report.address("bindAddress", &config.bind_address);
    }
    address_and_port(report, "healthzBindAddress", &config.healthz_bind_address);
    address_and_port(report, "metricsBindAddress", &config.metrics_bind_address);
    conntrack(report, &config.conntrack);
    timeout(report, "configSyncPeriod", &config.config_sync_period);
    if let Some(score) = config.oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
        report.error("oomScoreAdj", format_args!("{score} is not within -1000 to 1000"));
    }
}

fn conntrack(report: &mut Report, conntrack: &ProxyConntrack) {
    for (field, number) in [("maxPerCore", conntrack.max_per_core), ("min", conntrack.min)] {
        if let Some(number) = number.filter(|number| *number < 0) {
            report.error(format_args!("conntrack.{field}"), format_args!("{number} is negative"));
        }
    }
    timeout(report, "conntrack.tcpEstablishedTimeout", &conntrack.tcp_established_timeout);
    timeout(report, "conntrack.tcpCloseWaitTimeout", &conntrack.tcp_close_wait_timeout);
    timeout(report, "conntrack.udpTimeout", &conntrack.udp_timeout);
    timeout(report, "conntrack.udpStreamTimeout", &conntrack.udp_stream_timeout);
}

fn detection(report: &mut Report, config: &KubeProxyConfiguration) {
    match config.detect_local_mode.as_str() {
        "" | "ClusterCIDR" => cluster_cidr(report, &config.cluster_cidr),
        "NodeCIDR" => {}
        "BridgeInterface" if config.detect_local.bridge_interface.is_empty() => {
            report.error("detectLocal.bridgeInterface", "missing: detectLocalMode BridgeInterface needs it");
        }
        "InterfaceNamePrefix" if config.detect_local.interface_name_prefix.is_empty() => {
            report.error("detectLocal.interfaceNamePrefix", "missing: detectLocalMode InterfaceNamePrefix needs it");
        }
        "BridgeInterface" | "InterfaceNamePrefix" => {}
        mode => {
            let modes = ["ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"];
            report.one_of("detectLocalMode", mode, &modes);
        }
    }
}

fn cluster_cidr(report: &mut Report, text: &str) {
    if text.is_empty() {
        let message = "empty: no source counts as a Pod, so cluster IP traffic is never masqueraded";
        report.warning("clusterCIDR", message);
        return;
    }
    let parts: Vec<&str> = text.split(',').collect();
    let nets: Vec<IpNet> = parts.iter().filter_map(|part| report.cidr("clusterCIDR", part)).collect();
    if parts.len() > 2 {
        report.error("clusterCIDR", format_args!("{} ranges, at most one of each family", parts.len()));
    } else if node::share_a_family(&nets) {
        report.error("clusterCIDR", "two ranges of one family");
    }
}

fn node_port_addresses(report: &mut Report, addresses: &[String]) {
    for (i, address) in addresses.iter().enumerate() {
        let field = format_args!("nodePortAddresses[{i}]");
        if address != "primary" {
            report.cidr(field, address);
        } else if addresses.len() > 1 {
            report.error(field, "`primary` must stand alone");
        }
    }
}

fn masquerade_bit(report: &mut Report, field: &str, bit: Option<i64>) {
    if let Some(bit) = bit.filter(|bit| !(0..=31).contains(bit)) {
        report.error(field, format_args!("{bit} is not within 0 to 31"));
    }
}

/// The nanoseconds of a duration that may not be negative; 0 when absent.
fn timeout(report: &mut Report, field: impl Display, text: &str) -> Option<i64> {
    let Some(nanoseconds) = (if text.is_empty() { Some(0) } else { duration::nanoseconds(text) }) else {
        report.error(field, format_args!("{} is no duration such as 30s", Shown(text)));
        return None;
    };
    if nanoseconds < 0 {
        report.error(field, format_args!("{text} is negative"));
        return None;
    }
    Some(nanoseconds)
}

/// Judges the two periods of a mode; absent or 0 they are 30 s and `default_min`.
fn periods(report: &mut Report, mode: &str, sync: &str, min: &str, default_min: i64) {
    let mut period = |name: &str, text: &str, default: i64| {
        let nanoseconds = timeout(report, format_args!("{mode}.{name}"), text)?;
        Some(if nanoseconds == 0 { default } else { nanoseconds })
    };
    let (sync_period, min_period) =
        (period("syncPeriod", sync, 30 * SECOND), period("minSyncPeriod", min, default_min));
    if let (Some(sync_period), Some(min_period)) = (sync_period, min_period)
        && sync_period < min_period
    {
        let shown = |text: &str, nanoseconds: i64| {
            if text.is_empty() { format!("{}s, the default,", nanoseconds / SECOND) } else { text.to_owned() }
        };
        let message = format!("{} is below minSyncPeriod, {}", shown(sync, sync_period), shown(min, min_period));
        report.error(format_args!("{mode}.syncPeriod"), message.trim_end_matches(','));
    }
}

/// `IP`, which gets the default port, or `IP:port`.
fn address_and_port(report: &mut Report, field: &str, text: &str) {
    if text.is_empty() || parse_ip(text).is_ok() {
        return;
    }
    let parts = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => text.rsplit_once(':').filter(|(host, _)| !host.contains(':')),
    };
    let addr: Option<IpAddr> = parts.and_then(|(host, _)| parse_ip(host).ok());
    match (parts, addr) {
        (Some((_, port)), Some(_)) => {
            if !port.parse().is_ok_and(is_port) {
                report.error(field, format_args!("{} has no port within 1 to 65535", Shown(text)));
            }
        }
        _ => report.error(field, format_args!("{} is neither an IP address nor IP:PORT", Shown(text))),
    }
}

/// The kubelet does not refuse these: it skips what it cannot read.
pub(super) fn kubelet(report: &mut Report, config: &KubeletConfiguration) {
    if config.cluster_dns.len() > MAX_DNS_SERVERS {
        let message = format_args!("{} servers, only the first {MAX_DNS_SERVERS} are used", config.cluster_dns.len());
        report.warning("clusterDNS", message);
    }
    for (i, server) in config.cluster_dns.iter().enumerate() {
        if parse_ip(server).is_err() {
            let message = format_args!("{} is no IP address; the kubelet skips it", Shown(server));
            report.warning(format_args!("clusterDNS[{i}]"), message);
        }
        report.canonical_if_address(format_args!("clusterDNS[{i}]"), server);
    }
    let domain = &config.cluster_domain;
    let name = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
    if let Err(error) = names::dns_1123_subdomain(&name)
        && !domain.is_empty()
    {
        report.warning("clusterDomain", error);
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Level;
    use crate::check::testing::{E, W, expect};

    /// A configuration with this, and a cluster CIDR.
    #[track_caller]
    fn proxy(rest: &str, expected: &[(Level, &str)]) {
        expect("KubeProxyConfiguration", &format!(r#"{{"clusterCIDR":"10.244.0.0/16",{rest}}}"#), expected);
    }

    #[test]
    fn modes() {
        for mode in ["", "iptables", "ipvs", "nftables"] {
            proxy(&format!(r#""mode":"{mode}""#), &[]);
        }
        for mode in ["userspace", "ebpf", "IPVS"] {
            proxy(&format!(r#""mode":"{mode}""#), &[(E, "mode")]);
        }
    }

    #[test]
    fn cluster_ranges() {
        for (cidr, expected) in [
            ("10.244.0.0/16", &[][..]),
            ("10.244.0.0/16,fd00::/48", &[]),
            ("", &[(W, "clusterCIDR")]),
            ("10.244.0.0", &[(E, "clusterCIDR")]),
            ("10.244.0.0/16,", &[(E, "clusterCIDR")]),
            ("10.244.0.0/16, fd00::/48", &[(E, "clusterCIDR")]),
            ("10.244.0.0/16,10.245.0.0/16", &[(E, "clusterCIDR")]),
            ("10.244.0.0/16,fd00::/48,10.245.0.0/16", &[(E, "clusterCIDR")]),
        ] {
            expect("KubeProxyConfiguration", &format!(r#"{{"clusterCIDR":"{cidr}"}}"#), expected);
            expect(
                "KubeProxyConfiguration",
                &format!(r#"{{"clusterCIDR":"{cidr}","detectLocalMode":"NodeCIDR"}}"#),
                &[],
            );
        }
    }

    #[test]
    fn detection_of_local_traffic() {
        proxy(r#""detectLocalMode":"PodCIDR""#, &[(E, "detectLocalMode")]);
        proxy(r#""detectLocalMode":"BridgeInterface""#, &[(E, "detectLocal.bridgeInterface")]);
        let bridge = r#""detectLocal":{"bridgeInterface":"cbr0"}"#;
        proxy(&format!(r#""detectLocalMode":"BridgeInterface",{bridge}"#), &[]);
        let prefix = [(E, "detectLocal.interfaceNamePrefix")];
        proxy(&format!(r#""detectLocalMode":"InterfaceNamePrefix",{bridge}"#), &prefix);
    }

    #[test]
    fn node_port_addresses() {
        proxy(r#""nodePortAddresses":["primary"]"#, &[]);
        proxy(r#""nodePortAddresses":["127.0.0.1/32","10.20.30.40"]"#, &[(E, "nodePortAddresses[1]")]);
        proxy(r#""nodePortAddresses":["primary","127.0.0.1/32"]"#, &[(E, "nodePortAddresses[0]")]);
    }

    #[test]
    fn masquerade_bits_of_the_mode() {
        proxy(r#""iptables":{"masqueradeBit":32}"#, &[(E, "iptables.masqueradeBit")]);
        proxy(r#""iptables":{"masqueradeBit":-1}"#, &[(E, "iptables.masqueradeBit")]);
        proxy(r#""iptables":{"masqueradeBit":31}"#, &[]);
        proxy(r#""nftables":{"masqueradeBit":32}"#, &[]);
        proxy(r#""mode":"nftables","nftables":{"masqueradeBit":32}"#, &[(E, "nftables.masqueradeBit")]);
    }

    #[test]
    fn periods() {
        let of = |mode: &str, sync: &str, min: &str| {
            format!(r#""mode":"{mode}","{mode}":{{"syncPeriod":"{sync}","minSyncPeriod":"{min}"}}"#)
        };
        for mode in ["iptables", "ipvs", "nftables"] {
            let sync = format!("{mode}.syncPeriod");
            proxy(&of(mode, "30s", "10s"), &[]);
            proxy(&of(mode, "-1s", "10s"), &[(E, &sync)]);
            proxy(&of(mode, "10s", "-1s"), &[(E, &format!("{mode}.minSyncPeriod"))]);
            proxy(&of(mode, "5s", "10s"), &[(E, &sync)]);
            proxy(&of(mode, "", "31s"), &[(E, &sync)]);
            proxy(&of(mode, "soon", "10s"), &[(E, &sync)]);
        }
        proxy(r#""ipvs":{"syncPeriod":"-1s"}"#, &[]);
        // The shortest period is a second unless it is set, but not in IPVS mode.
        proxy(r#""iptables":{"syncPeriod":"500ms"}"#, &[(E, "iptables.syncPeriod")]);
        proxy(r#""mode":"ipvs","ipvs":{"syncPeriod":"500ms"}"#, &[]);
    }

    #[test]
    fn excluded_ranges_of_ipvs() {
        proxy(r#""mode":"ipvs","ipvs":{"excludeCIDRs":["10.0.0.0/8","192.0.2.1"]}"#, &[(E, "ipvs.excludeCIDRs[1]")]);
        proxy(r#""ipvs":{"excludeCIDRs":["192.0.2.1"]}"#, &[]);
    }

    #[test]
    fn bind_addresses() {
        proxy(r#""bindAddress":"::""#, &[]);
        proxy(r#""bindAddress":"10.10.12.11:2000""#, &[(E, "bindAddress")]);
        for text in ["", "127.0.0.1", "::1", "127.0.0.1:10249", "[::1]:10249", "[127.0.0.1]:10249", "0.0.0.0:1"] {
            proxy(&format!(r#""metricsBindAddress":"{text}""#), &[]);
        }
        for text in [
            "localhost",
            "localhost:80",
            "127.0.0.1:0",
            "127.0.0.1:x",
            "127.0.0.1:65536",
            "[::1",
            "[::1]",
            "::1]:80",
            ":80",
        ] {
            proxy(&format!(r#""healthzBindAddress":"{text}""#), &[(E, "healthzBindAddress")]);
        }
    }

    #[test]
    fn the_scheduler_and_timeouts_of_ipvs() {
        let ipvs = |mode: &str, field: &str, value: &str| format!(r#""mode":"{mode}","ipvs":{{"{field}":"{value}"}}"#);
        for scheduler in ["", "rr", "wlc", "mh"] {
            proxy(&ipvs("ipvs", "scheduler", scheduler), &[]);
        }
        proxy(&ipvs("ipvs", "scheduler", "RR"), &[(E, "ipvs.scheduler")]);
        proxy(&ipvs("iptables", "scheduler", "RR"), &[]);
        for field in ["tcpTimeout", "tcpFinTimeout", "udpTimeout"] {
            proxy(&ipvs("ipvs", field, "-1s"), &[(E, &format!("ipvs.{field}"))]);
            proxy(&ipvs("ipvs", field, "0s"), &[]);
            proxy(&ipvs("iptables", field, "-1s"), &[]);
        }
    }

    #[test]
    fn conntrack_timeouts_and_the_rest() {
        for field in ["tcpEstablishedTimeout", "tcpCloseWaitTimeout", "udpTimeout", "udpStreamTimeout"] {
            let path = format!("conntrack.{field}");
            proxy(&format!(r#""conntrack":{{"{field}":"-1h"}}"#), &[(E, &path)]);
            proxy(&format!(r#""conntrack":{{"{field}":"soon"}}"#), &[(E, &path)]);
            proxy(&format!(r#""conntrack":{{"{field}":"0s"}}"#), &[]);
        }
        proxy(r#""configSyncPeriod":"-1s""#, &[(E, "configSyncPeriod")]);
        proxy(r#""configSyncPeriod":"0s""#, &[]);
        for (score, expected) in
            [(-1001, &[(E, "oomScoreAdj")][..]), (-1000, &[]), (1000, &[]), (1001, &[(E, "oomScoreAdj")])]
        {
            proxy(&format!(r#""oomScoreAdj":{score}"#), expected);
        }
    }

    #[test]
    fn conntrack_counts() {
        proxy(r#""conntrack":{"maxPerCore":-1,"min":-1}"#, &[(E, "conntrack.maxPerCore"), (E, "conntrack.min")]);
        proxy(r#""conntrack":{"maxPerCore":0}"#, &[]);
    }

    #[test]
    fn the_kubelet_skips_what_it_cannot_read() {
        expect("KubeletConfiguration", r#"{"clusterDNS":["10.96.0.10","kube-dns"]}"#, &[(W, "clusterDNS[1]")]);
        let four = r#"{"clusterDNS":["10.0.0.1","10.0.0.2","10.0.0.3","10.0.0.4"]}"#;
        expect("KubeletConfiguration", four, &[(W, "clusterDNS")]);
        expect("KubeletConfiguration", r#"{"clusterDNS":["010.96.0.10"]}"#, &[(W, "clusterDNS[0]")]);
        expect("KubeletConfiguration", r#"{"clusterDomain":"my_cluster"}"#, &[(W, "clusterDomain")]);
        expect("KubeletConfiguration", r#"{"clusterDomain":"cluster.local.","clusterDNS":["fd00::a"]}"#, &[]);
    }
}
