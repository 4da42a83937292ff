//! Is this workload in order? Selector, template, replicas.

use super::report::Report;
use super::{metadata, names, pod};
use crate::api::{LabelSelector, WorkloadSpec};
use crate::kind::Kind;

/// Judges the specification that stands at `at` (`spec` in all but a CronJob).
pub(super) fn check(report: &mut Report, kind: Kind, api_version: &str, at: &str, spec: &WorkloadSpec) {
    let template = &format!("{at}.template");
    metadata::labels_and_annotations(report, &format!("{template}.metadata"), &spec.template.metadata);
    pod::check(report, &format!("{template}.spec"), &spec.template.spec, pod::Stands::InTemplate);
    for (field, count) in [("replicas", spec.replicas), ("parallelism", spec.parallelism)] {
        if let Some(count) = count.filter(|count| *count < 0) {
            report.error(format_args!("{at}.{field}"), format_args!("{count} is negative"));
        }
    }
    let runs_to_its_end = matches!(kind, Kind::Job | Kind::CronJob);
    if !runs_to_its_end {
        selector(report, api_version, at, spec);
    }
    restart_policy(
        report,
        &format!("{template}.spec.restartPolicy"),
        &spec.template.spec.restart_policy,
        runs_to_its_end,
    );
}

fn selector(report: &mut Report, api_version: &str, at: &str, spec: &WorkloadSpec) {
    let Some(selector) = spec.selector.as_ref().filter(|selector| !selector.is_empty()) else {
        // The groups before `apps/v1` take the template's labels.
        if api_version == "apps/v1" {
            report.error(format_args!("{at}.selector"), "missing: it must select the template's labels");
        }
        return;
    };
    if well_formed(report, &format!("{at}.selector"), selector) && !selector.matches(&spec.template.metadata.labels) {
        let message = "not selected by `spec.selector`: the workload would not know its own Pods";
        report.error(format_args!("{at}.template.metadata.labels"), message);
    }
}

fn well_formed(report: &mut Report, at: &str, selector: &LabelSelector) -> bool {
    let before = report.findings.len();
    report.labels(format_args!("{at}.matchLabels"), &selector.match_labels);
    for (i, requirement) in selector.match_expressions.iter().enumerate() {
        let at = &format!("{at}.matchExpressions[{i}]");
        report.check(format_args!("{at}.key"), names::qualified_name(&requirement.key));
        let operators = ["In", "NotIn", "Exists", "DoesNotExist"];
        if !report.one_of(format_args!("{at}.operator"), &requirement.operator, &operators) {
            continue;
        }
        let takes_values = matches!(requirement.operator.as_str(), "In" | "NotIn");
        if takes_values == requirement.values.is_empty() {
            let message = if takes_values { "missing" } else { "not with this operator" };
            report.error(format_args!("{at}.values"), message);
        }
    }
    report.findings.len() == before
}

fn restart_policy(report: &mut Report, field: &str, policy: &str, runs_to_its_end: bool) {
    let wrong = match policy {
        "" | "Always" => runs_to_its_end,
        "OnFailure" | "Never" => !runs_to_its_end,
        _ => return,
    };
    if wrong && runs_to_its_end {
        report.error(field, "OnFailure or Never: a Job runs to its end (the default is Always)");
    } else if wrong {
        report.error(field, format_args!("{policy:?} is not Always, the only policy of such a workload"));
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Level;
    use crate::check::testing::{E, expect, read};

    const LABELS: &str = r#""metadata":{"labels":{"app":"d"}}"#;
    const CONTAINERS: &str = r#""containers":[{"name":"c","image":"i"}]"#;

    /// A workload with a good selector and template, and one more field.
    #[track_caller]
    fn with(kind: &str, spec_field: &str, pod_field: &str, expected: &[(Level, &str)]) {
        let selector = r#""selector":{"matchLabels":{"app":"d"}}"#;
        let template = format!(r#""template":{{{LABELS},"spec":{{{CONTAINERS}{pod_field}}}}}"#);
        let spec = format!(r#"{{{selector},{template}{spec_field}}}"#);
        expect(kind, &format!(r#"{{"metadata":{{"name":"d"}},"spec":{spec}}}"#), expected);
    }

    #[track_caller]
    fn selector(selector: &str, expected: &[(Level, &str)]) {
        let spec = format!(r#"{{{selector}"template":{{{LABELS},"spec":{{{CONTAINERS}}}}}}}"#);
        for kind in ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"] {
            expect(kind, &format!(r#"{{"metadata":{{"name":"d"}},"spec":{spec}}}"#), expected);
        }
    }

    #[test]
    fn a_selector_must_select_the_template() {
        selector(r#""selector":{"matchLabels":{"app":"d"}},"#, &[]);
        selector("", &[(E, "spec.selector")]);
        selector(r#""selector":{},"#, &[(E, "spec.selector")]);
        selector(r#""selector":{"matchLabels":{"app":"x"}},"#, &[(E, "spec.template.metadata.labels")]);
        selector(r#""selector":{"matchLabels":{"app":"my app"}},"#, &[(E, "spec.selector.matchLabels")]);
        let expression = |e: &str| format!(r#""selector":{{"matchExpressions":[{{"key":"app",{e}}}]}},"#);
        selector(&expression(r#""operator":"Exists""#), &[]);
        selector(&expression(r#""operator":"In","values":["d"]"#), &[]);
        selector(&expression(r#""operator":"In""#), &[(E, "spec.selector.matchExpressions[0].values")]);
        let key = r#""selector":{"matchLabels":{"app":"d"},"matchExpressions":[{"key":"a b","operator":"Exists"}]},"#;
        selector(key, &[(E, "spec.selector.matchExpressions[0].key")]);
        selector(
            &expression(r#""operator":"Exists","values":["d"]"#),
            &[(E, "spec.selector.matchExpressions[0].values")],
        );
        selector(&expression(r#""operator":"in""#), &[(E, "spec.selector.matchExpressions[0].operator")]);
    }

    #[test]
    fn the_old_groups_take_the_labels_of_the_template() {
        let json =
            format!(r#"{{"metadata":{{"name":"d"}},"spec":{{"template":{{{LABELS},"spec":{{{CONTAINERS}}}}}}}}}"#);
        let object = read("Deployment", &json);
        assert_eq!(crate::check::object(&object, "apps/v1beta1"), []);
        assert_eq!(crate::check::object(&object, "extensions/v1beta1"), []);
        assert_eq!(crate::check::object(&object, "apps/v1")[0].field, "spec.selector");
    }

    #[test]
    fn a_job_needs_no_selector() {
        let template = format!(r#"{{"template":{{"spec":{{{CONTAINERS},"restartPolicy":"Never"}}}}}}"#);
        expect("Job", &format!(r#"{{"metadata":{{"name":"d"}},"spec":{template}}}"#), &[]);
        let cron = format!(r#"{{"metadata":{{"name":"d"}},"spec":{{"jobTemplate":{{"spec":{template}}}}}}}"#);
        expect("CronJob", &cron, &[]);
    }

    #[test]
    fn counts_are_not_negative() {
        with("Deployment", r#","replicas":-1"#, "", &[(E, "spec.replicas")]);
        with("Deployment", r#","replicas":0"#, "", &[]);
        with("Job", r#","parallelism":-1"#, r#","restartPolicy":"Never""#, &[(E, "spec.parallelism")]);
    }

    #[test]
    fn restart_policies_fit_the_workload() {
        const FIELD: &str = "spec.template.spec.restartPolicy";
        with("Deployment", "", r#","restartPolicy":"Never""#, &[(E, FIELD)]);
        with("Deployment", "", r#","restartPolicy":"Always""#, &[]);
        with("Deployment", "", r#","restartPolicy":"never""#, &[(E, FIELD)]);
        with("Job", "", "", &[(E, FIELD)]);
        with("Job", "", r#","restartPolicy":"OnFailure""#, &[]);
    }

    #[test]
    fn the_rules_of_pods_hold_in_templates() {
        let empty = r#"{"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}}}}}"#;
        expect("Deployment", empty, &[(E, "spec.template.spec.containers")]);
        let cron = r#"{"metadata":{"name":"d"},"spec":{"jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never"}}}}}}"#;
        expect("CronJob", cron, &[(E, "spec.jobTemplate.spec.template.spec.containers")]);
        with("Deployment", "", r#","subdomain":"a.b""#, &[(E, "spec.template.spec.subdomain")]);
    }

    #[test]
    fn a_template_gets_no_host_ports_by_default() {
        let port = |host: &str| {
            let ports = format!(r#"[{{"containerPort":80{host}}}]"#);
            let container = |name| format!(r#"{{"name":"{name}","image":"i","ports":{ports}}}"#);
            let spec = format!(r#"{{"hostNetwork":true,"containers":[{}]}}"#, container("c"));
            format!(
                r#"{{"metadata":{{"name":"d"}},"spec":{{"selector":{{"matchLabels":{{"app":"d"}}}},"template":{{{LABELS},"spec":{spec}}}}}}}"#
            )
        };
        expect("Deployment", &port(""), &[]);
        expect("Deployment", &port(r#","hostPort":80"#), &[]);
        let field = "spec.template.spec.containers[0].ports[0].hostPort";
        expect("Deployment", &port(r#","hostPort":8080"#), &[(E, field)]);
    }
}
