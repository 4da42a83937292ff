//! DestinationRules: subsets and policies.

use std::collections::BTreeSet;

use svc_model::Resource;
use svc_model::api::{
    ClientTlsSettings, ConnectionPoolSettings, ConsistentHashLb, DestinationRule, LoadBalancerSettings,
    LocalityFailover, LocalityLbSetting, OutlierDetection, TrafficPolicy,
};

use super::value;
use crate::report::Report;

pub(super) fn check(report: &mut Report, rule: &DestinationRule) {
    let spec = &rule.spec;
    report.check("spec.host", value::host(&spec.host));
    policy(report, "spec.trafficPolicy", spec.traffic_policy.as_ref());
    let mut names = BTreeSet::new();
    for (i, subset) in spec.subsets.iter().enumerate() {
        let at = format!("spec.subsets[{i}]");
        if report.check(format_args!("{at}.name"), value::label(&subset.name)) && !names.insert(subset.name.as_str()) {
            report.error(format_args!("{at}.name"), format_args!("another subset has the name {:?}", subset.name));
        }
        report.labels(format_args!("{at}.labels"), &subset.labels);
        policy(report, &format!("{at}.trafficPolicy"), subset.traffic_policy.as_ref());
    }
    report.export_to(&spec.export_to, rule.namespace(), false);
    if let Some(selector) = &spec.workload_selector {
        report.labels("spec.workloadSelector.matchLabels", &selector.match_labels);
        let own = |entry: &String| entry == "." || entry == rule.namespace();
        if !spec.export_to.iter().all(own) {
            let message = "a rule with a workloadSelector is for callers of its own namespace";
            report.error("spec.exportTo", message);
        }
    }
}

fn policy(report: &mut Report, at: &str, policy: Option<&TrafficPolicy>) {
    let Some(policy) = policy else { return };
    if *policy == TrafficPolicy::default() {
        report.error(at, "says nothing");
    }
    if policy.tunnel.is_some() && policy.proxy_protocol.is_some() {
        report.error(format_args!("{at}.proxyProtocol"), "tunnel is there too; a policy has one of them");
    }
    level(
        report,
        at,
        (
            policy.load_balancer.as_deref(),
            policy.connection_pool.as_ref(),
            policy.outlier_detection.as_ref(),
            policy.tls.as_ref(),
        ),
    );
    for (i, port) in policy.port_level_settings.iter().enumerate() {
        let at = format!("{at}.portLevelSettings[{i}]");
        match &port.port {
            Some(port) => drop(report.port(format_args!("{at}.port.number"), port.number)),
            None => report.error(format_args!("{at}.port"), "missing"),
        }
        let parts = (
            port.load_balancer.as_deref(),
            port.connection_pool.as_ref(),
            port.outlier_detection.as_ref(),
            port.tls.as_ref(),
        );
        if parts == (None, None, None, None) {
            report.error(&at, "says nothing");
        }
        level(report, &at, parts);
    }
    if let Some(tunnel) = &policy.tunnel {
        let at = format!("{at}.tunnel");
        report.one_of(format_args!("{at}.protocol"), &tunnel.protocol, &["", "CONNECT", "POST"]);
        report.check(format_args!("{at}.targetHost"), value::host_or_address(&tunnel.target_host));
        report.port(format_args!("{at}.targetPort"), tunnel.target_port);
    }
    if let Some(proxy) = &policy.proxy_protocol {
        report.one_of(format_args!("{at}.proxyProtocol.version"), &proxy.version, &["", "V1", "V2"]);
    }
}

type Level<'a> = (
    Option<&'a LoadBalancerSettings>,
    Option<&'a ConnectionPoolSettings>,
    Option<&'a OutlierDetection>,
    Option<&'a ClientTlsSettings>,
);

/// What a policy and its exceptions for ports have in common.
fn level(report: &mut Report, at: &str, (balancer, pool, outlier, tls): Level<'_>) {
    if let Some(balancer) = balancer {
        load_balancer(report, &format!("{at}.loadBalancer"), balancer, outlier.is_some());
    }
    if let Some(pool) = pool {
        connection_pool(report, &format!("{at}.connectionPool"), pool);
    }
    if let Some(outlier) = outlier {
        outlier_detection(report, &format!("{at}.outlierDetection"), outlier);
    }
    if let Some(tls) = tls {
        client_tls(report, &format!("{at}.tls"), tls);
    }
}

fn load_balancer(report: &mut Report, at: &str, balancer: &LoadBalancerSettings, detects_outliers: bool) {
    if let Some(simple) = &balancer.simple {
        const SIMPLE: [&str; 6] =
            ["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"];
        report.one_of(format_args!("{at}.simple"), simple, &SIMPLE);
        if balancer.consistent_hash.is_some() {
            report.error(format_args!("{at}.consistentHash"), "simple is there too; a policy has one of them");
        }
    }
    if let Some(hash) = &balancer.consistent_hash {
        consistent_hash(report, &format!("{at}.consistentHash"), hash);
    }
    if let Some(setting) = &balancer.locality_lb_setting {
        locality(report, &format!("{at}.localityLbSetting"), setting, detects_outliers);
    }
    if let Some(setting) = &balancer.zone_aware_lb_setting {
        let at = format!("{at}.zoneAwareLbSetting");
        if balancer.locality_lb_setting.is_some() {
            report.error(&at, "localityLbSetting is there too; a policy has one of them");
        }
        failover(report, &at, (&setting.failover, &setting.failover_priority), detects_outliers);
        topology(report, &at, &setting.failover_priority, "zones are told apart already");
    }
    report.duration(format_args!("{at}.warmupDurationSecs"), balancer.warmup_duration_secs.as_deref());
    if let Some(warmup) = &balancer.warmup {
        let at = format!("{at}.warmup");
        match &warmup.duration {
            Some(duration) => drop(report.check(format_args!("{at}.duration"), value::duration(duration))),
            None => report.error(format_args!("{at}.duration"), "missing"),
        }
        if warmup.minimum_percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent.as_f64())) {
            report.error(format_args!("{at}.minimumPercent"), "is not within 0 and 100");
        }
        if warmup.aggression.is_some_and(|aggression| aggression.as_f64() <= 0.0) {
            report.error(format_args!("{at}.aggression"), "must be greater than 0");
        }
    }
}

/// Largest Maglev table, exclusive (Envoy).
const MAX_MAGLEV: i64 = 5_000_011;

fn consistent_hash(report: &mut Report, at: &str, hash: &ConsistentHashLb) {
    let keys = [
        hash.http_header_name.is_some(),
        hash.http_cookie.is_some(),
        hash.use_source_ip.is_some(),
        hash.http_query_parameter_name.is_some(),
    ];
    match keys.into_iter().filter(|there| *there).count() {
        0 => report.warning(at, "names nothing to hash, so that endpoints are chosen at random"),
        1 => {}
        _ => report.error(at, "names several things to hash; a policy has one of them"),
    }
    if let Some(cookie) = &hash.http_cookie {
        let at = format!("{at}.httpCookie");
        report.required(format_args!("{at}.name"), &cookie.name);
        let mut seen = BTreeSet::new();
        for (i, attribute) in cookie.attributes.iter().enumerate() {
            let field = format!("{at}.attributes[{i}].name");
            if report.required(&field, &attribute.name) && !seen.insert(attribute.name.as_str()) {
                report.error(field, format_args!("{:?} is there already", attribute.name));
            }
        }
    }
    if hash.minimum_ring_size != 0 {
        let field = format!("{at}.minimumRingSize");
        if hash.ring_hash.is_some() || hash.maglev.is_some() {
            report.error(field, "is the older form of ringHash, and a table is named already");
        } else {
            report.warning(field, "the older form of ringHash.minimumRingSize");
        }
    }
    if let Some(maglev) = &hash.maglev {
        let size = maglev.table_size;
        if !(1..MAX_MAGLEV).contains(&size) || !is_prime(size) {
            let message = format_args!("{size} is no prime below {MAX_MAGLEV}");
            report.error(format_args!("{at}.maglev.tableSize"), message);
        }
        if hash.ring_hash.is_some() {
            report.error(format_args!("{at}.maglev"), "ringHash is there too; a policy has one of them");
        }
    }
}

/// Whether a size below [`MAX_MAGLEV`] is a prime, for which 1 passes (Envoy).
fn is_prime(size: i64) -> bool {
    size < 4 || size % 2 == 1 && (3..).step_by(2).take_while(|factor| factor * factor <= size).all(|f| size % f != 0)
}

/// Labels of a Node by which localities are told.
const TOPOLOGY: [&str; 3] =
    ["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];

fn locality(report: &mut Report, at: &str, setting: &LocalityLbSetting, detects_outliers: bool) {
    if !setting.distribute.is_empty() && !setting.failover.is_empty() {
        report.error(format_args!("{at}.failover"), "distribute is there too; a policy has one of them");
    }
    for (i, share) in setting.distribute.iter().enumerate() {
        let at = format!("{at}.distribute[{i}].to");
        for (to, weight) in share.to.iter().filter(|(_, weight)| !(1..=100).contains(*weight)) {
            report.error(format_args!("{at}[{to}]"), format_args!("{weight} is not within 1 and 100"));
        }
        let total: i128 = share.to.values().copied().map(i128::from).sum();
        if total != 100 {
            report.error(&at, format_args!("the shares sum to {total} percent, not 100"));
        }
        localities(report, |_| at.clone(), share.to.keys().map(String::as_str));
    }
    let from = |i: usize| format!("{at}.distribute[{i}].from");
    localities(report, from, setting.distribute.iter().map(|share| share.from.as_str()));
    failover(report, at, (&setting.failover, &setting.failover_priority), detects_outliers);
    if !setting.failover.is_empty() {
        topology(report, at, &setting.failover_priority, "failover orders localities already");
    }
}

/// Regions that stand in for others.
fn failover(report: &mut Report, at: &str, (list, priority): (&[LocalityFailover], &[String]), detects_outliers: bool) {
    if (!list.is_empty() || !priority.is_empty()) && !detects_outliers {
        report.warning(at, "nothing fails over without outlierDetection");
    }
    for (i, failover) in list.iter().enumerate() {
        let at = format!("{at}.failover[{i}]");
        if failover.from == failover.to {
            report.error(format_args!("{at}.to"), "a region does not stand in for itself");
        }
        for (field, region) in [("from", &failover.from), ("to", &failover.to)] {
            if region.contains(['/', '*']) {
                report.error(format_args!("{at}.{field}"), format_args!("{region:?} is no region by itself"));
            }
        }
    }
}

/// Labels of localities, where something else tells these.
fn topology(report: &mut Report, at: &str, priority: &[String], message: &str) {
    for (i, _) in priority.iter().enumerate().filter(|(_, label)| TOPOLOGY.contains(&label.as_str())) {
        report.error(format_args!("{at}.failoverPriority[{i}]"), message);
    }
}

/// Localities of which none is part of another.
fn localities<'a>(report: &mut Report, field: impl Fn(usize) -> String, list: impl Iterator<Item = &'a str>) {
    let mut seen: BTreeSet<Vec<&str>> = BTreeSet::new();
    for (i, text) in list.enumerate() {
        let mut parts: Vec<&str> = text.splitn(3, '/').collect();
        let star = text.find('*').is_some_and(|at| at + 1 != text.len());
        if star || parts.iter().any(|part| part.is_empty()) {
            report.error(field(i), format_args!("{text:?} is no REGION/ZONE/SUBZONE with a star at its end at most"));
            continue;
        }
        if parts.last() == Some(&"*") {
            parts.pop();
        }
        // The first that is not before it is the first that could be below it.
        let below = seen.range(parts.clone()..).next().is_some_and(|other| other.starts_with(&parts));
        let above = (0..parts.len()).any(|end| seen.contains(&parts[..end]));
        if below || above {
            report.error(field(i), format_args!("{text:?} and another stand for the same places in part"));
        }
        seen.insert(parts);
    }
}

pub(super) fn connection_pool(report: &mut Report, at: &str, pool: &ConnectionPoolSettings) {
    if pool.tcp.is_none() && pool.http.is_none() {
        report.error(at, "says nothing");
    }
    if let Some(tcp) = &pool.tcp {
        let at = format!("{at}.tcp");
        not_negative(report, format!("{at}.maxConnections"), tcp.max_connections);
        report.duration(format_args!("{at}.connectTimeout"), tcp.connect_timeout.as_deref());
        report.duration(format_args!("{at}.maxConnectionDuration"), tcp.max_connection_duration.as_deref());
        // Zero switches it off.
        let is_zero = |text: &&str| svc_model::check::duration::nanoseconds(text) == Some(0);
        let idle = tcp.idle_timeout.as_deref().filter(|text| !is_zero(text));
        report.duration(format_args!("{at}.idleTimeout"), idle);
        if let Some(keepalive) = &tcp.tcp_keepalive {
            report.duration(format_args!("{at}.tcpKeepalive.time"), keepalive.time.as_deref());
            report.duration(format_args!("{at}.tcpKeepalive.interval"), keepalive.interval.as_deref());
        }
    }
    if let Some(http) = &pool.http {
        let at = format!("{at}.http");
        for (field, number) in [
            ("http1MaxPendingRequests", http.http1_max_pending_requests),
            ("http2MaxRequests", http.http2_max_requests),
            ("maxRequestsPerConnection", http.max_requests_per_connection),
            ("maxRetries", http.max_retries),
            ("maxConcurrentStreams", http.max_concurrent_streams),
        ] {
            not_negative(report, format!("{at}.{field}"), number);
        }
        report.duration(format_args!("{at}.idleTimeout"), http.idle_timeout.as_deref());
        let policy = http.h2_upgrade_policy.as_str();
        report.one_of(format_args!("{at}.h2UpgradePolicy"), policy, &["", "DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"]);
        if policy == "UPGRADE" && http.use_client_protocol {
            report.error(format_args!("{at}.useClientProtocol"), "h2UpgradePolicy UPGRADE chooses the protocol");
        }
        if let Some(keepalive) = &http.http2_keep_alive {
            for (field, length) in [("interval", &keepalive.interval), ("timeout", &keepalive.timeout)] {
                let field = format!("{at}.http2KeepAlive.{field}");
                match length {
                    Some(length) => drop(report.check(field, value::duration(length))),
                    None => report.error(field, "missing"),
                }
            }
        }
    }
}

fn not_negative(report: &mut Report, field: String, number: i64) {
    report.within(field, number, 0, i64::from(i32::MAX));
}

fn outlier_detection(report: &mut Report, at: &str, outlier: &OutlierDetection) {
    if outlier.consecutive_errors != 0 {
        let message = "the older form of consecutiveGatewayErrors";
        report.warning(format_args!("{at}.consecutiveErrors"), message);
    }
    let local = outlier.consecutive_local_origin_failures.unwrap_or(0) > 0;
    if local && !outlier.split_external_local_origin_errors {
        let field = format!("{at}.consecutiveLocalOriginFailures");
        report.error(field, "has no effect without splitExternalLocalOriginErrors");
    }
    report.duration(format_args!("{at}.interval"), outlier.interval.as_deref());
    report.duration(format_args!("{at}.baseEjectionTime"), outlier.base_ejection_time.as_deref());
    report.within(format_args!("{at}.maxEjectionPercent"), outlier.max_ejection_percent, 0, 100);
    report.within(format_args!("{at}.minHealthPercent"), outlier.min_health_percent, 0, 100);
}

fn client_tls(report: &mut Report, at: &str, tls: &ClientTlsSettings) {
    report.one_of(format_args!("{at}.mode"), &tls.mode, &["", "DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]);
    let verifies = matches!(tls.mode.as_str(), "SIMPLE" | "MUTUAL");
    let files = [&tls.client_certificate, &tls.private_key, &tls.ca_certificates, &tls.ca_crl];
    let named = !tls.credential_name.is_empty();
    if tls.insecure_skip_verify == Some(true) && verifies {
        let authorities = !tls.ca_certificates.is_empty() || named && tls.mode == "SIMPLE";
        if authorities || !tls.subject_alt_names.is_empty() {
            let message = "nothing is verified, and yet it is said against what";
            report.error(format_args!("{at}.insecureSkipVerify"), message);
        }
    }
    if verifies && named && files.iter().any(|file| !file.is_empty()) {
        report.error(format_args!("{at}.credentialName"), "files are named too; a policy has one of them");
    } else if tls.mode == "MUTUAL" && !named {
        report.required(format_args!("{at}.clientCertificate"), &tls.client_certificate);
        report.required(format_args!("{at}.privateKey"), &tls.private_key);
    }
}
