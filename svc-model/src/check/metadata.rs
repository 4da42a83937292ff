//! Are name, namespace, labels and annotations well formed?

use super::names;
use super::report::{Report, Shown};
use crate::api::ObjectMeta;
use crate::kind::{Kind, Scope};

/// All keys and values of an object's annotations together, in bytes.
const MAX_ANNOTATIONS: usize = 256 * 1024;

pub(super) fn check(report: &mut Report, kind: Kind, metadata: &ObjectMeta) {
    // The server never sees a configuration, and the programs do not look at its metadata.
    if kind.scope() == Scope::Configuration {
        return;
    }
    let rule = match kind {
        Kind::Service => names::dns_1035_label,
        Kind::Namespace => names::dns_1123_label,
        _ => names::dns_1123_subdomain,
    };
    if metadata.name.is_empty() && metadata.generate_name.is_empty() {
        report.error("metadata.name", "missing; the object is left out");
    }
    report.optional_name("metadata.name", &metadata.name, rule);
    if !metadata.generate_name.is_empty() {
        // A prefix may end in the hyphen that the made-up part follows.
        let prefix = &metadata.generate_name;
        report.check("metadata.generateName", rule(prefix.strip_suffix('-').unwrap_or(prefix)));
    }
    match kind.scope() {
        Scope::Cluster if !metadata.namespace.is_empty() => {
            let namespace = Shown(&metadata.namespace);
            report
                .warning("metadata.namespace", format_args!("{namespace} is ignored: a {kind} lives in no namespace"));
        }
        _ => {
            report.optional_name("metadata.namespace", &metadata.namespace, names::dns_1123_label);
        }
    }
    labels_and_annotations(report, "metadata", metadata);
}

/// What a template has of it too.
pub(super) fn labels_and_annotations(report: &mut Report, at: &str, metadata: &ObjectMeta) {
    report.labels(format_args!("{at}.labels"), &metadata.labels);
    for key in metadata.annotations.keys() {
        report.check(format_args!("{at}.annotations"), names::annotation_key(key));
    }
    let size: usize = metadata.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > MAX_ANNOTATIONS {
        report.error(
            format_args!("{at}.annotations"),
            format_args!("{size} bytes of annotations, at most {MAX_ANNOTATIONS} are allowed"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::check::testing::{E, W, expect};

    #[test]
    fn names_follow_their_kind() {
        let long = "s".repeat(64);
        expect(
            "Service",
            &format!(r#"{{"metadata":{{"name":"{long}"}},"spec":{{"ports":[{{"port":80}}]}}}}"#),
            &[(E, "metadata.name")],
        );
        for (kind, name, fault) in [
            ("Service", "1st", true),
            ("Service", "a.b", true),
            ("Service", "a", false),
            ("Namespace", "team_a", true),
            ("Namespace", "a.b", true),
            ("Namespace", "1a", false),
            ("Secret", "a.b", false),
            ("Secret", "A", true),
            ("Secret", "", true),
        ] {
            let spec = if kind == "Service" { r#","spec":{"ports":[{"port":80}]}"# } else { "" };
            let expected: &[_] = if fault { &[(E, "metadata.name")] } else { &[] };
            expect(kind, &format!(r#"{{"metadata":{{"name":"{name}"}}{spec}}}"#), expected);
        }
    }

    #[test]
    fn a_generated_name_is_enough() {
        expect("ConfigMap", r#"{"metadata":{"generateName":"a-"}}"#, &[]);
        expect("ConfigMap", r#"{"metadata":{"generateName":"A-"}}"#, &[(E, "metadata.generateName")]);
        expect("ConfigMap", r#"{"metadata":{}}"#, &[(E, "metadata.name")]);
    }

    #[test]
    fn a_nameless_object_is_named_by_its_prefix() {
        for (metadata, name) in [(r#"{}"#, "ConfigMap/default/"), (r#"{"generateName":"a_"}"#, "ConfigMap/default/a_")]
        {
            let findings = super::super::testing::findings("ConfigMap", &format!(r#"{{"metadata":{metadata}}}"#));
            assert_eq!(findings[0].object, name);
        }
    }

    #[test]
    fn namespaces_are_labels_and_ignored_where_there_is_none() {
        expect("ConfigMap", r#"{"metadata":{"name":"a","namespace":"team.a"}}"#, &[(E, "metadata.namespace")]);
        expect("Node", r#"{"metadata":{"name":"n1","namespace":"default"}}"#, &[(W, "metadata.namespace")]);
    }

    #[test]
    fn labels_and_annotations_are_reported_at_the_map() {
        for (metadata, field) in [
            (r#""labels":{"app":"my app"}"#, "metadata.labels"),
            (r#""labels":{"my key":"a"}"#, "metadata.labels"),
            (r#""annotations":{"my note":"x"}"#, "metadata.annotations"),
        ] {
            expect("ConfigMap", &format!(r#"{{"metadata":{{"name":"a",{metadata}}}}}"#), &[(E, field)]);
        }
        let fine = r#"{"metadata":{"name":"a","labels":{"a.b/c":""},"annotations":{"A.b/C":"any text at all"}}}"#;
        expect("ConfigMap", fine, &[]);
    }

    #[test]
    fn annotations_are_limited_together() {
        for (size, expected) in [(256 * 1024 - 1, &[][..]), (256 * 1024, &[(E, "metadata.annotations")])] {
            let value = "x".repeat(size);
            expect("ConfigMap", &format!(r#"{{"metadata":{{"name":"a","annotations":{{"n":"{value}"}}}}}}"#), expected);
        }
    }

    #[test]
    fn configurations_have_no_metadata_to_judge() {
        expect("KubeletConfiguration", r#"{"metadata":{"name":"A B"}}"#, &[]);
    }
}
