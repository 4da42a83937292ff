//! Are the cluster IPs, families and external IPs of this Service in order?

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::report::{Report, Shown};
use super::service::Type;
use crate::addr::IpFamily;
use crate::api::ServiceSpec;

pub(super) fn cluster_ips(report: &mut Report, spec: &ServiceSpec, type_: Type) {
    if type_ == Type::ExternalName {
        on_external_name(report, spec);
        return;
    }
    // The server copies `clusterIP` when it stands alone.
    let copied = (!spec.cluster_ip.is_empty()).then_some(&spec.cluster_ip);
    let written: &[String] = if spec.cluster_ips.is_empty() {
        copied.map(std::slice::from_ref).unwrap_or_default()
    } else {
        &spec.cluster_ips
    };
    if let Some(first) = written.first() {
        if spec.cluster_ip.is_empty() {
            report.error("spec.clusterIPs", "set while `clusterIP` is not");
        } else if *first != spec.cluster_ip {
            let message = format_args!("the first is {}, but `clusterIP` is {}", Shown(first), Shown(&spec.cluster_ip));
            report.error("spec.clusterIPs", message);
        }
    }
    let addrs = list(report, written, type_);
    let distinct: BTreeSet<IpFamily> = addrs.iter().flatten().copied().map(IpFamily::of).collect();
    let all_read = addrs.iter().all(Option::is_some);
    if all_read && addrs.len() == 2 && distinct.len() == 1 {
        report.error("spec.clusterIPs", "two addresses of one family; at most one of each");
    }
    let families = families(report, spec);
    for (i, (addr, family)) in addrs.iter().zip(&families).enumerate() {
        if let (Some(addr), Some(family)) = (addr, family)
            && IpFamily::of(*addr) != *family
        {
            let message = format_args!("{addr} is not {family}, which `ipFamilies[{i}]` asks for");
            report.error(format_args!("spec.clusterIPs[{i}]"), message);
        }
    }
    let wanted: BTreeSet<IpFamily> = families.into_iter().flatten().collect();
    let two = if addrs.iter().flatten().count() == 2 {
        Some("cluster IPs")
    } else {
        (wanted.len() == 2).then_some("families")
    };
    policy(report, spec, two);
}

/// The addresses of the list; `None` stands for one that cannot be read, and nothing for the `None` of a headless Service.
fn list(report: &mut Report, written: &[String], type_: Type) -> Vec<Option<IpAddr>> {
    if written.len() > 2 {
        report.error("spec.clusterIPs", format_args!("{} addresses, at most one of each family", written.len()));
    }
    if written.first().is_some_and(|first| first == "None") {
        if written.len() > 1 {
            report.error("spec.clusterIPs", "`None` beside an address: it must stand alone");
        }
        if type_.has_node_ports() {
            report.error("spec.clusterIPs[0]", "a NodePort or LoadBalancer Service cannot be headless");
        }
        return Vec::new();
    }
    let one = |(i, ip): (usize, &String)| report.address(format_args!("spec.clusterIPs[{i}]"), ip);
    written.iter().enumerate().map(one).collect()
}

fn families(report: &mut Report, spec: &ServiceSpec) -> Vec<Option<IpFamily>> {
    let mut seen = BTreeSet::new();
    let mut families = Vec::new();
    for (i, text) in spec.ip_families.iter().enumerate() {
        let field = format_args!("spec.ipFamilies[{i}]");
        let family: Option<IpFamily> = text.parse().ok();
        match family {
            None => _ = report.one_of(field, text, &["IPv4", "IPv6"]),
            Some(family) if !seen.insert(family) => report.error(field, format_args!("{text} a second time")),
            Some(_) => {}
        }
        families.push(family);
    }
    families
}

fn policy(report: &mut Report, spec: &ServiceSpec, two: Option<&str>) {
    if let Some(policy) = &spec.ip_family_policy
        && !report.one_of("spec.ipFamilyPolicy", policy, &["SingleStack", "PreferDualStack", "RequireDualStack"])
    {
        return;
    }
    // Nobody allocates for a headless Service without selector, so it may ask for anything.
    let is_free = spec.is_headless() && spec.selector.is_empty();
    if let Some(two) = two
        && matches!(spec.ip_family_policy.as_deref(), None | Some("SingleStack"))
        && !is_free
    {
        let message = format_args!("two {two} need PreferDualStack or RequireDualStack");
        report.error("spec.ipFamilyPolicy", message);
    }
}

fn on_external_name(report: &mut Report, spec: &ServiceSpec) {
    const MESSAGE: &str = "not on type ExternalName: it has no address";
    if !spec.cluster_ip.is_empty() || !spec.cluster_ips.is_empty() {
        report.error("spec.clusterIPs", MESSAGE);
    }
    if !spec.ip_families.is_empty() {
        report.error("spec.ipFamilies", MESSAGE);
    }
    if spec.ip_family_policy.is_some() {
        report.error("spec.ipFamilyPolicy", MESSAGE);
    }
}

pub(super) fn external_ips(report: &mut Report, spec: &ServiceSpec, type_: Type) {
    if spec.external_ips.is_empty() {
        return;
    }
    if spec.is_headless() {
        report.warning("spec.externalIPs", "ignored on a headless Service");
    } else if type_ == Type::ExternalName {
        report.warning("spec.externalIPs", "ignored on an ExternalName Service");
    }
    for (i, ip) in spec.external_ips.iter().enumerate() {
        let field = format_args!("spec.externalIPs[{i}]");
        // CVE-2020-8554, which is open by design.
        if let Some(addr) = report.destination(field, ip) {
            let message = format_args!("every node hands this Service what is sent to {addr}, whoever owns it");
            report.warning(field, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::testing::{E, W, expect_service, expect_service_with as with};

    #[test]
    fn cluster_ips() {
        const LIST: &str = "spec.clusterIPs";
        const FIRST: &str = "spec.clusterIPs[0]";
        for (fields, expected) in [
            (r#""clusterIP":"10.96.0""#, &[(E, FIRST)][..]),
            (r#""clusterIP":"10.96.0.10""#, &[]),
            (r#""clusterIP":"10.96.0.10","clusterIPs":["10.96.0.11"]"#, &[(E, LIST)]),
            (r#""clusterIPs":["10.96.0.11"]"#, &[(E, LIST)]),
            (r#""clusterIP":"None","clusterIPs":["None"]"#, &[]),
            (r#""clusterIP":"None","clusterIPs":["None","10.96.0.11"]"#, &[(E, LIST)]),
            (r#""clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1","None"]"#, &[(E, "spec.clusterIPs[1]")]),
            (
                r#""clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1","10.0.0.2"],"ipFamilyPolicy":"PreferDualStack""#,
                &[(E, LIST)],
            ),
            (
                r#""clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1","fd00::1","10.0.0.2"],"ipFamilyPolicy":"PreferDualStack""#,
                &[(E, LIST)],
            ),
            (r#""clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1","fd00::1"],"ipFamilyPolicy":"PreferDualStack""#, &[]),
            (r#""clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1","fd00::1"]"#, &[(E, "spec.ipFamilyPolicy")]),
            (r#""clusterIP":"10.96.0.11","ipFamilies":["IPv6"]"#, &[(E, FIRST)]),
            (r#""clusterIP":"fd00::12","ipFamilies":["IPv6"]"#, &[]),
            (r#""clusterIP":"None","type":"NodePort""#, &[(E, FIRST)]),
            (r#""clusterIP":"None","type":"LoadBalancer""#, &[(E, FIRST)]),
            (r#""clusterIP":"10.096.000.011""#, &[(W, FIRST)]),
            (r#""clusterIP":"::ffff:10.96.0.11""#, &[(W, FIRST)]),
            (r#""clusterIP":"fd00:0:0::1""#, &[(W, FIRST)]),
        ] {
            with(fields, expected);
        }
    }

    #[test]
    fn families_and_their_policy() {
        const POLICY: &str = "spec.ipFamilyPolicy";
        with(r#""ipFamilies":["IPv4","IPv4"]"#, &[(E, "spec.ipFamilies[1]")]);
        with(r#""ipFamilies":["IPv4","IPv6"]"#, &[(E, POLICY)]);
        with(r#""ipFamilies":["IPv4","IPv6"],"ipFamilyPolicy":"SingleStack""#, &[(E, POLICY)]);
        with(r#""ipFamilies":["IPv6","IPv4"],"ipFamilyPolicy":"PreferDualStack""#, &[]);
        with(r#""clusterIP":"None","ipFamilies":["IPv4","IPv6"]"#, &[]);
        with(r#""clusterIP":"None","selector":{"a":"b"},"ipFamilies":["IPv4","IPv6"]"#, &[(E, POLICY)]);
    }

    #[test]
    fn cve_2020_8554_external_ips_are_always_warned_of() {
        const FIRST: &str = "spec.externalIPs[0]";
        for ip in
            ["vip.example.com", "", "127.0.0.1", "::1", "0.0.0.0", "169.254.169.254", "fe80::1", "224.0.0.5", "ff02::1"]
        {
            with(&format!(r#""externalIPs":["{ip}"]"#), &[(E, FIRST)]);
        }
        with(r#""externalIPs":["203.0.113.7","2001:db8::7"]"#, &[(W, FIRST), (W, "spec.externalIPs[1]")]);
        with(r#""externalIPs":["203.0.113.007"]"#, &[(W, FIRST), (W, FIRST)]);
        with(r#""externalIPs":["::ffff:127.0.0.1"]"#, &[(E, FIRST)]);
        with(r#""clusterIP":"None","externalIPs":["203.0.113.7"]"#, &[(W, "spec.externalIPs"), (W, FIRST)]);
        let name = r#"{"type":"ExternalName","externalName":"a.b","externalIPs":["203.0.113.7"]}"#;
        expect_service(name, &[(W, "spec.externalIPs"), (W, FIRST)]);
    }
}
