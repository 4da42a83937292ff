//! What in these objects will not resolve, or will resolve to what nobody meant?

use svc_model::addr::parse_ip;
use svc_model::api::{
    CronJob, DaemonSet, Deployment, Job, Pod, PodDnsConfig, PodSpec, ReplicaSet, Service, StatefulSet, WorkloadSpec,
};
use svc_model::check::Finding;
use svc_model::{Cluster, ObjectRef, Resource};

use super::capture::is_top_level_domain;
use super::settings::ZoneSettings;
use super::zone::Zone;
use crate::name::MAX_WIRE;
use crate::resolv::{MAX_NAMESERVERS, MAX_SEARCH_CHARS, MAX_SEARCHES};

/// What is wrong with the DNS of a cluster: the Corefile, names too long to be served, `dnsPolicy` and `dnsConfig` of Pods and
/// of Pod templates (as the API server validates them), and Services that capture names of the internet.
///
/// Give it the world as it was written, before [`complete`](svc_model::complete()) derives Pods from templates. By object and
/// field, as texts.
pub fn check(cluster: &Cluster) -> Vec<Finding> {
    let (settings, _, mut findings) = ZoneSettings::read(cluster);
    findings.extend_from_slice(Zone::new(cluster, settings).findings());
    for pod in cluster.list::<Pod>() {
        check_pod(&pod.reference(), "spec", &pod.spec, &mut findings);
    }
    check_workloads(cluster, |set: &DaemonSet| &set.spec, &mut findings);
    check_workloads(cluster, |deployment: &Deployment| &deployment.spec, &mut findings);
    check_workloads(cluster, |job: &Job| &job.spec, &mut findings);
    check_workloads(cluster, |set: &ReplicaSet| &set.spec, &mut findings);
    check_workloads(cluster, |set: &StatefulSet| &set.spec, &mut findings);
    for job in cluster.list::<CronJob>() {
        let spec = &job.spec.job_template.spec.template.spec;
        check_pod(&job.reference(), "spec.jobTemplate.spec.template.spec", spec, &mut findings);
    }
    for service in cluster.list::<Service>() {
        findings
            .extend(captured(service).map(|message| Finding::warning(service.reference(), "metadata.name", message)));
    }
    findings.sort_by(|a, b| (&a.object, &a.field).cmp(&(&b.object, &b.field)));
    findings
}

/// What a Service is found for by those who ask for something else: the search list comes first.
fn captured(service: &Service) -> Option<String> {
    let (name, namespace) = (service.name(), service.namespace());
    match namespace {
        "svc" => Some(format!(
            "`ENDPOINT.{name}.svc` looked up in a Pod is an endpoint of this Service, not the Service ENDPOINT of namespace \
             `{name}`: the search list comes first, and this namespace is called `svc` (CVE-2022-2835)"
        )),
        _ if is_top_level_domain(namespace) => Some(format!(
            "`{name}.{namespace}` looked up in a Pod is this Service, not the host of that name: the search list comes first, \
             and `{namespace}` is a top-level domain (CVE-2022-2837)"
        )),
        _ => None,
    }
}

fn check_workloads<T: Resource>(cluster: &Cluster, spec: fn(&T) -> &WorkloadSpec, findings: &mut Vec<Finding>) {
    for workload in cluster.list::<T>() {
        check_pod(&workload.reference(), "spec.template.spec", &spec(workload).template.spec, findings);
    }
}

/// As the API server validates a Pod's `dnsPolicy` and `dnsConfig`.
fn check_pod(object: &ObjectRef, path: &str, spec: &PodSpec, findings: &mut Vec<Finding>) {
    let mut error =
        |field: &str, message: String| findings.push(Finding::error(object, format!("{path}.{field}"), message));
    match (spec.dns_policy.as_str(), &spec.dns_config) {
        ("None", None) => error("dnsConfig", "is required with dnsPolicy None".into()),
        ("None", Some(config)) if config.nameservers.is_empty() => {
            error("dnsConfig.nameservers", "at least one is required with dnsPolicy None".into());
        }
        ("" | "None" | "Default" | "ClusterFirst" | "ClusterFirstWithHostNet", _) => {}
        (policy, _) => error(
            "dnsPolicy",
            format!(
                "`{}` is none of ClusterFirst, ClusterFirstWithHostNet, Default, None",
                policy.chars().take(80).collect::<String>()
            ),
        ),
    }
    if let Some(config) = &spec.dns_config {
        check_dns_config(config, &mut error);
    }
}

fn check_dns_config(config: &PodDnsConfig, error: &mut impl FnMut(&str, String)) {
    if config.nameservers.len() > MAX_NAMESERVERS {
        error("dnsConfig.nameservers", format!("{} servers, at most {MAX_NAMESERVERS}", config.nameservers.len()));
    }
    for (i, server) in config.nameservers.iter().enumerate() {
        if let Err(reason) = parse_ip(server) {
            error(&format!("dnsConfig.nameservers[{i}]"), reason.to_string());
        }
    }
    if config.searches.len() > MAX_SEARCHES {
        error("dnsConfig.searches", format!("{} search paths, at most {MAX_SEARCHES}", config.searches.len()));
    }
    let chars = config.searches.iter().map(String::len).sum::<usize>() + config.searches.len().saturating_sub(1);
    if chars > MAX_SEARCH_CHARS {
        error("dnsConfig.searches", format!("{chars} characters, at most {MAX_SEARCH_CHARS}"));
    }
    for (i, search) in config.searches.iter().enumerate().filter(|(_, search)| !is_search_path(search)) {
        error(
            &format!("dnsConfig.searches[{i}]"),
            format!("`{}` is no domain name", search.chars().take(80).collect::<String>()),
        );
    }
    for (i, _) in config.options.iter().enumerate().filter(|(_, option)| option.name.is_empty()) {
        error(&format!("dnsConfig.options[{i}]"), "an option needs a name".into());
    }
}

/// The root, or labels in lower case of letters, digits, `-` and `_`, which no `-` or `_` ends and no `-` starts.
fn is_search_path(text: &str) -> bool {
    let is_label = |label: &str| {
        let plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
        let rest = label.strip_prefix('_').unwrap_or(label).as_bytes();
        rest.iter().all(|octet| plain(*octet) || matches!(octet, b'-' | b'_'))
            && rest.first().is_some_and(|octet| plain(*octet))
            && rest.last().is_some_and(|octet| plain(*octet))
    };
    let path = text.strip_suffix('.').unwrap_or(text);
    text == "." || (path.len() <= MAX_WIRE - 2 && path.split('.').all(is_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_paths_are_domain_names_with_underscores_or_the_root() {
        for path in [".", "a", "a.example.", "_tcp.a_b.example", "0-0"] {
            assert!(is_search_path(path), "{path}");
        }
        for path in ["", "..", "a..b", "A", "-a", "a-", "a_", "a b", &"a.".repeat(128)] {
            assert!(!is_search_path(path), "{path}");
        }
    }
}
