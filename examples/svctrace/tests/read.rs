//! What is said of documents: kinds, versions, fields, types, lists, names.

use svc_model::check::Level;
use svc_model::{Kind, Object, check};
use svctrace::read::{Purpose, Reader, World};

fn read(purpose: Purpose, text: &str) -> World {
    let mut reader = Reader::new(purpose);
    reader.text("world.yaml", text);
    reader.finish()
}

fn check(text: &str) -> World {
    read(Purpose::Check, text)
}

/// Findings as `E object field` and `W object field`.
fn facts(world: &World) -> Vec<String> {
    let facts = world.findings.iter().map(|finding| {
        let level = if finding.level == Level::Error { "E" } else { "W" };
        format!("{level} {} {}", finding.object, finding.field).trim_end().to_owned()
    });
    facts.collect()
}

fn names(world: &World) -> Vec<String> {
    world.objects.iter().map(|(object, _)| object.reference().to_string()).collect()
}

fn service(world: &World) -> &svc_model::api::Service {
    match &world.objects[0].0 {
        Object::Service(service) => service,
        other => panic!("{other:?}"),
    }
}

const HEAD: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";

#[test]
fn a_plain_service_has_no_finding() {
    let world = check(&format!("{HEAD}spec:\n  ports: [{{port: 80, targetPort: http}}]\n  selector: {{app: a}}\n"));
    assert_eq!(facts(&world), Vec::<String>::new());
    assert_eq!(names(&world), ["Service/default/a"]);
    assert_eq!(service(&world).spec.ports[0].port, 80);
    assert!(!world.unreadable);
}

#[test]
fn documents_are_counted_over_all_inputs_empty_ones_too() {
    let mut reader = Reader::new(Purpose::Check);
    reader.text("a.yaml", "# nothing\n---\n---\njust text\n");
    reader.text("b.yaml", "kind: Service\napiVersion: v1\nmetadata: {name: a}\n---\n- 1\n---\na: [\n");
    let world = reader.finish();
    assert_eq!(facts(&world), ["E document 2", "E document 4", "E document 5"]);
    assert!(world.unreadable);
    assert_eq!(names(&world), ["Service/default/a"]);
    let places: Vec<_> = world.findings.iter().map(|finding| world.place(finding).unwrap().to_string()).collect();
    assert_eq!(places[..2], ["a.yaml:3:1", "b.yaml:4:1"]);
    assert!(places[2].starts_with("b.yaml:7:") || places[2].starts_with("b.yaml:8:"), "{places:?}");
}

#[test]
fn kind_and_version_must_be_there() {
    assert_eq!(facts(&check("metadata: {name: a}")), ["E document 1 apiVersion", "E document 1 kind"]);
    assert_eq!(facts(&check("kind: Service\nmetadata: {name: a}")), ["E Service/default/a apiVersion"]);
    assert_eq!(facts(&check("apiVersion: v1\nkind: 7")), ["E document 1 kind"]);
    assert_eq!(facts(&check("apiVersion: v1\nkind:\n")), ["E document 1 kind"]);
}

#[test]
fn a_version_that_does_not_exist_is_read_as_the_nearest_for_a_check_only() {
    let text = "apiVersion: extensions/v1beat1\nkind: Ingress\nmetadata: {name: a}\nspec: {backend: {serviceName: s}}";
    let world = check(text);
    assert_eq!(facts(&world), ["E Ingress/default/a apiVersion"]);
    assert!(world.findings[0].message.contains("extensions/v1beta1"));
    let Object::Ingress(ingress) = &world.objects[0].0 else { panic!() };
    assert_eq!(ingress.spec.backend.as_ref().unwrap().service_name, "s");
    assert!(read(Purpose::Answer, text).objects.is_empty());
}

#[test]
fn wrong_groups_and_slips_are_told_from_strangers() {
    let facts_of = |version: &str, kind: &str| {
        facts(&check(&format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}")))
    };
    assert_eq!(facts_of("apps/v1", "Service"), ["E Service/default/a apiVersion"]);
    assert_eq!(facts_of("v1", "Sevice"), ["W Sevice/default/a kind"]);
    assert_eq!(facts_of("app/v1", "Deployment"), ["W Deployment/default/a apiVersion"]);
    assert_eq!(facts_of("v1", "ServiceAccount"), Vec::<String>::new());
    assert_eq!(facts_of("serving.knative.dev/v1", "Service"), Vec::<String>::new());
    assert_eq!(facts_of("discovery.k8s.io/v1beta1", "EndpointSlice"), ["W EndpointSlice/default/a apiVersion"]);
}

#[test]
fn strangers_are_counted() {
    let stranger =
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}\nspec: 5\n";
    let world = check(&format!("{stranger}---\n{stranger}---\napiVersion: a.b/v1\nkind: C\n"));
    assert_eq!(facts(&world), Vec::<String>::new());
    assert_eq!(world.ignored_kinds().into_iter().collect::<Vec<_>>(), [("C", 1), ("CustomResourceDefinition", 2)]);
    assert_eq!(world.ignored[0].object, "CustomResourceDefinition/x");
}

#[test]
fn an_unknown_field_is_told_with_the_nearest_or_its_place() {
    let message = |text: &str| {
        let world = check(text);
        let finding = &world.findings[0];
        assert_eq!(finding.level, Level::Warning, "{finding}");
        format!("{}: {}", finding.field, finding.message)
    };
    assert_eq!(
        message(&format!("{HEAD}spec: {{selectors: {{a: b}}}}")),
        "spec.selectors: unknown field; did you mean selector?"
    );
    assert_eq!(
        message(&format!("{HEAD}selector: {{a: b}}")),
        "selector: unknown field here; it belongs at spec.selector"
    );
    assert_eq!(
        message("apiVersion: v1\nkind: Pod\nname: a\n"),
        "name: unknown field here; it belongs at metadata.name"
    );
    assert_eq!(
        message(&format!("{HEAD}spec: {{ports: [{{port: 1, colour: red}}]}}")),
        "spec.ports[0].colour: unknown field"
    );
    assert_eq!(
        message(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\nspec: {defaultBackend: {serviceName: s}}"
        ),
        "spec.defaultBackend.serviceName: unknown field: it is one of networking.k8s.io/v1beta1, not of networking.k8s.io/v1"
    );
}

#[test]
fn a_field_of_another_version_is_not_read() {
    let world = check(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\nspec: {defaultBackend: {serviceName: s}}",
    );
    let Object::Ingress(ingress) = &world.objects[0].0 else { panic!() };
    assert_eq!(ingress.spec.default_backend.as_ref().unwrap().service_name, "");
}

#[test]
fn where_the_tables_are_open_only_slips_are_told() {
    let pod = |spec: &str| facts(&check(&format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {spec}")));
    assert_eq!(pod("{affinity: {anything: 1}, volumes: [{name: 5}]}"), Vec::<String>::new());
    assert_eq!(
        pod("{containers: [{name: a, env: [{name: a, vlaue: b, brandNew: c}]}]}"),
        ["W Pod/default/a spec.containers[0].env[0].vlaue"]
    );
    assert_eq!(
        pod("{containers: [{name: a, port: [], ports: [{containerport: 80}]}]}"),
        ["W Pod/default/a spec.containers[0].port", "W Pod/default/a spec.containers[0].ports[0].containerport",]
    );
    let kubelet = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nclusterDns: [1.1.1.1]\nevictionHard: {}\n";
    assert_eq!(facts(&check(kubelet)), ["W KubeletConfiguration clusterDns"]);
}

#[test]
fn a_repeated_key_is_an_error_and_the_last_value_counts() {
    let world = check(&format!("{HEAD}spec:\n  type: NodePort\n  selector: {{a: b, a: c}}\n  type: ClusterIP\n"));
    assert_eq!(facts(&world), ["E Service/default/a spec.selector[a]", "E Service/default/a spec.type"]);
    assert_eq!(service(&world).spec.type_, "ClusterIP");
    assert_eq!(world.place(&world.findings[1]).unwrap().line, 7);
}

#[test]
fn a_value_of_the_wrong_type_is_an_error_at_its_path() {
    for (spec, path) in [
        ("{ports: [{port: \"80\"}]}", "spec.ports[0].port"),
        ("{ports: [{port: 80.5}]}", "spec.ports[0].port"),
        ("{ports: [{port: 80, targetPort: true}]}", "spec.ports[0].targetPort"),
        ("{ports: {port: 80}}", "spec.ports"),
        ("{ports: [80]}", "spec.ports[0]"),
        ("{selector: {canary: yes}}", "spec.selector[canary]"),
        ("{selector: {version: 1.10}}", "spec.selector[version]"),
        ("{publishNotReadyAddresses: \"true\"}", "spec.publishNotReadyAddresses"),
        ("{externalIPs: 1.2.3.4}", "spec.externalIPs"),
        ("[]", "spec"),
    ] {
        assert_eq!(facts(&check(&format!("{HEAD}spec: {spec}"))), [format!("E Service/default/a {path}")], "{spec}");
    }
    let labels = "apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {a.b/c: on}, creationTimestamp: today}";
    assert_eq!(facts(&check(labels)), ["E Node/n1 metadata.labels[a.b/c]", "E Node/n1 metadata.creationTimestamp"]);
    assert_eq!(
        facts(&check("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {9000: x, b: 5}")),
        ["E ConfigMap/default/c data[b]"]
    );
}

#[test]
fn whole_numbers_may_be_written_as_floats() {
    let world = check(&format!("{HEAD}spec: {{ports: [{{port: 80.0, targetPort: 1e3}}]}}"));
    assert_eq!(facts(&world), Vec::<String>::new());
    assert_eq!(service(&world).spec.ports[0].port, 80);
}

#[test]
fn null_is_absence() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: , annotations: ~}\nspec:\n  tolerations:\n  containers:\n";
    assert_eq!(facts(&check(pod)), Vec::<String>::new());
    let world = check(&format!("{HEAD}spec: {{ports: [null, {{port: 1}}], selector: {{a: }}, type: }}"));
    assert_eq!(facts(&world), Vec::<String>::new());
    assert_eq!(service(&world).spec.ports.len(), 2);
    assert_eq!(service(&world).spec.selector["a"], "");
}

#[test]
fn answers_leave_out_an_element_with_a_wrong_value_and_checks_keep_its_place() {
    let text =
        format!("{HEAD}spec: {{ports: [{{port: \"80\", name: a}}, {{port: 81, name: b}}], externalIPs: [7, 1.2.3.4]}}");
    let answer = read(Purpose::Answer, &text);
    assert_eq!(service(&answer).spec.ports.len(), 1);
    assert_eq!(service(&answer).spec.ports[0].name, "b");
    assert_eq!(service(&answer).spec.external_ips, ["1.2.3.4"]);
    let check = read(Purpose::Check, &text);
    assert_eq!(service(&check).spec.ports[1].name, "b");
    assert_eq!(service(&check).spec.external_ips, ["", "1.2.3.4"]);
}

#[test]
fn what_is_refused_for_its_form_is_not_judged_further() {
    let world = check(&format!("{HEAD}spec: {{ports: [{{port: \"80\"}}], externalIPs: [7]}}"));
    let judged = [
        check::Finding::error("Service/default/a", "spec.ports[0].port", "out of range"),
        check::Finding::error("Service/default/a", "spec.externalIPs[0]", "not an address"),
        check::Finding::error("Service/default/a", "spec.ports[0].name", "kept"),
        check::Finding::error("Service/default/b", "spec.ports[0].port", "kept"),
    ];
    let findings = world.with_checks(judged);
    assert_eq!(findings.len(), 4);
    assert_eq!(findings.iter().filter(|finding| finding.message == "kept").count(), 2);
    let whole = check(&format!("{HEAD}spec: {{ports: 80}}"));
    assert_eq!(whole.with_checks([check::Finding::error("Service/default/a", "spec.ports[0].port", "x")]).len(), 1);
}

#[test]
fn lists_are_opened() {
    let text = "apiVersion: v1\nkind: List\nmetadata: {}\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  typ: x\n- kind: List\n  apiVersion: v1\n  items:\n  - apiVersion: v1\n    kind: Namespace\n    metadata: {name: b, name: c}\n- 5\n- metadata: {}\n";
    let world = check(text);
    assert_eq!(names(&world), ["Service/default/a", "Namespace/c"]);
    assert_eq!(
        facts(&world)[1..],
        [
            "E Namespace/c metadata.name",
            "E document 1 items[2]",
            "E document 1 items[3].apiVersion",
            "E document 1 items[3].kind",
        ]
    );
    assert_eq!(world.place(&world.findings[0]).unwrap().line, 8);
    assert_eq!(world.place(&world.findings[1]).unwrap().line, 14);
}

#[test]
fn typed_lists_lend_their_items_kind_and_version() {
    let world = check("apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\n");
    assert_eq!(names(&world), ["Service/default/a", "Service/default/b"]);
    let world = check("apiVersion: v1\nkind: List\nitems:\n");
    assert!(world.objects.is_empty() && world.findings.is_empty());
    assert_eq!(facts(&check("apiVersion: v1\nkind: List\nitems: 5\n")), ["E document 1 items"]);
}

#[test]
fn of_two_objects_of_one_name_the_last_counts() {
    let text = format!("{HEAD}spec: {{type: NodePort}}\n---\n{HEAD}spec: {{type: LoadBalancer}}\n");
    let world = check(&text);
    assert_eq!(facts(&world), ["W Service/default/a metadata.name"]);
    assert_eq!(names(&world), ["Service/default/a"]);
    assert_eq!(service(&world).spec.type_, "LoadBalancer");
    let spelt_out = format!("{HEAD}---\napiVersion: v1\nkind: Service\nmetadata: {{name: a, namespace: default}}\n");
    assert_eq!(facts(&check(&spelt_out)), ["W Service/default/a metadata.name"]);
}

#[test]
fn objects_without_a_name_are_checked_but_answer_nothing() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {generateName: p-}\n---\napiVersion: v1\nkind: Pod\nmetadata:\nnmae: a\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: 5}\n";
    let world = check(text);
    assert_eq!(world.objects.len(), 3);
    assert_eq!(facts(&world), ["W Pod/default/ nmae", "E Pod/default/ metadata.name"]);
    assert!(read(Purpose::Answer, text).objects.is_empty());
    let world = check("apiVersion: v1\nkind: Pod\nmetadata: {generateName: p-}\nspec: {hostnetwork: true}");
    assert_eq!(facts(&world), ["W Pod/default/p- spec.hostnetwork"]);
}

#[test]
fn configurations_have_no_name() {
    let text = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nipvs: {excludeCIDRS: []}\n";
    let world = read(Purpose::Answer, text);
    assert_eq!(world.objects[0].0.kind(), Kind::KubeProxyConfiguration);
    assert_eq!(facts(&world), ["W KubeProxyConfiguration ipvs.excludeCIDRS"]);
}

#[test]
fn the_version_an_object_was_read_by_is_kept() {
    let version = |version: &str| {
        let world = check(&format!("apiVersion: {version}\nkind: Deployment\nmetadata: {{name: d}}\n"));
        world.objects[0].1.api_version
    };
    assert_eq!(version("apps/v1beta1"), "apps/v1beta1");
    assert_eq!(version("apps/v2"), "apps/v1");
}

#[test]
fn values_of_a_secret_are_not_printed() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {tls.crt: a certificate!, pin: 4711}\nstringData: {p: 123456}\n";
    let world = check(secret);
    assert_eq!(
        facts(&world),
        ["E Secret/default/s data[tls.crt]", "E Secret/default/s data[pin]", "E Secret/default/s stringData[p]"]
    );
    for finding in &world.findings {
        let text = finding.to_string();
        assert!(!text.contains("certificate") && !text.contains("4711") && !text.contains("123456"), "{text}");
    }
}

#[test]
fn text_that_is_not_utf8_and_missing_files_are_unreadable() {
    let directory = std::env::temp_dir().join(format!("svctrace-read-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("b")).unwrap();
    std::fs::write(directory.join("c.yml"), b"a: b\nc: \xff\n").unwrap();
    std::fs::write(
        directory.join("b/a.json"),
        "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"b\"}}",
    )
    .unwrap();
    std::fs::write(directory.join("a.yaml"), "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n").unwrap();
    std::fs::write(directory.join("readme.txt"), "no manifest").unwrap();
    let inputs =
        [directory.to_str().unwrap().parse().unwrap(), directory.join("none.yaml").to_str().unwrap().parse().unwrap()];
    let world = svctrace::read::read(&inputs, Purpose::Answer);
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(names(&world), ["Namespace/a", "Namespace/b"]);
    assert_eq!(facts(&world), ["E document 3"]);
    assert_eq!(world.place(&world.findings[0]).unwrap().line, 2);
    assert_eq!(world.failures.len(), 1);
    assert!(world.unreadable);
}

#[test]
fn the_flush_left_service_of_a_blog_post_is_told_field_by_field() {
    let text = "kind: Service\napiVersion: v1\nmetadata:\nname: my-nginx\nspec:\ntype: NodePort\nports:\n- port: 80\ntargetPort: 80\nnodePort: 31000\nselector:\nname: my-nginx\n";
    let world = check(text);
    let mut facts = facts(&world);
    facts.sort();
    assert_eq!(
        facts,
        [
            "E Service/default/ name",
            "W Service/default/ name",
            "W Service/default/ nodePort",
            "W Service/default/ ports",
            "W Service/default/ selector",
            "W Service/default/ targetPort",
            "W Service/default/ type",
        ]
    );
}

#[test]
fn a_broken_document_costs_no_other() {
    let text = format!("a: [\n---\n{HEAD}---\nb: }}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: x}}\n");
    let world = check(&text);
    assert_eq!(facts(&world), ["E document 1", "E document 3"]);
    assert_eq!(names(&world), ["Service/default/a", "Namespace/x"]);
}

#[test]
fn byte_order_mark_line_ends_of_windows_and_tabs_in_json_are_read() {
    let crlf =
        format!("\u{feff}{HEAD}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: x}}\n").replace('\n', "\r\n");
    assert_eq!(names(&check(&crlf)), ["Service/default/a", "Namespace/x"]);
    let json = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Namespace\",\n\t\"metadata\": {\"name\": \"x\"}\n}\n";
    assert_eq!(names(&check(&format!("{json}{json}"))), ["Namespace/x"]);
    assert_eq!(facts(&check(&format!("{json}{json}"))), ["W Namespace/x metadata.name"]);
}

#[test]
fn five_thousand_documents_are_read() {
    let text: String =
        (0..5_000).map(|i| format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n{i}}}\n")).collect();
    assert_eq!(check(&text).objects.len(), 5_000);
}

#[test]
fn an_alias_and_a_merge_are_read_as_what_they_stand_for() {
    let text =
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: &l {app: a}}\nspec: {selector: {<<: *l, x: b}}\n";
    let world = check(text);
    assert_eq!(facts(&world), Vec::<String>::new());
    assert_eq!(service(&world).spec.selector.len(), 2);
    assert_eq!(service(&world).spec.selector["app"], "a");
}

#[test]
fn output_of_kubectl_get_is_read() {
    let text = r#"{"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [{
        "apiVersion": "v1", "kind": "Service", "metadata": {
            "name": "a", "namespace": "x", "creationTimestamp": "2026-11-20T10:00:00Z", "resourceVersion": "1", "uid": "u",
            "managedFields": [{"apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:ports": {"k:{\"port\":80}": {}}}}}]},
        "spec": {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "sessionAffinity": "None", "type": "ClusterIP"},
        "status": {"loadBalancer": {}}}]}"#;
    let world = check(text);
    assert_eq!(facts(&world), Vec::<String>::new());
    assert_eq!(names(&world), ["Service/x/a"]);
}

#[test]
fn faults_of_one_object_are_counted_out() {
    let fields: String = (0..5_000).map(|i| format!("  unknown{i}: 1\n")).collect();
    let world = check(&format!("{HEAD}spec:\n{fields}"));
    assert_eq!(world.findings.len(), 1_000);
    let long = check(&format!("{HEAD}spec:\n  {}: {{}}\n  type: [{}]\n", "k".repeat(1_000), "1,".repeat(1_000)));
    assert!(long.findings.iter().all(|finding| finding.to_string().len() < 1_000));
}
