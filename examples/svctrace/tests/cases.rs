//! Every case file of `tests/cases` passes.

use std::path::Path;

use svctrace::cases;

/// Runs a file; all its questions must be answered as expected.
fn run(name: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    let cases = cases::load(&file).expect("a case file");
    let outcomes: Vec<_> =
        cases.iter().flat_map(|case| cases::run_case(case).into_iter().map(move |o| (case, o))).collect();
    assert!(!outcomes.is_empty(), "{name} asks nothing");
    let failures: Vec<String> = outcomes
        .iter()
        .filter_map(|(case, outcome)| outcome.as_ref().err().map(|failure| format!("{}\n{failure}", case["name"])))
        .collect();
    assert!(failures.is_empty(), "{} of {} failed\n{}", failures.len(), outcomes.len(), failures.join("\n"));
}

macro_rules! case_files {
    ($($test:ident $file:literal;)*) => {
        $(#[test] fn $test() { run($file); })*

        #[test]
        fn every_file_is_run() {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
            let mut found: Vec<String> = std::fs::read_dir(directory)
                .expect("a directory")
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
                .collect();
            found.sort();
            let mut named = vec![$($file.to_owned()),*];
            named.sort();
            assert_eq!(found, named);
        }
    };
}

case_files! {
    dataplane_affinity "dataplane-affinity.yaml";
    dataplane_basic "dataplane-basic.yaml";
    dataplane_combos "dataplane-combos.yaml";
    dataplane_dualstack "dataplane-dualstack.yaml";
    dataplane_endpoints "dataplane-endpoints.yaml";
    dataplane_external "dataplane-external.yaml";
    dataplane_hostport "dataplane-hostport.yaml";
    dataplane_ipvs "dataplane-ipvs.yaml";
    dataplane_masquerade "dataplane-masquerade.yaml";
    dataplane_nodeport "dataplane-nodeport.yaml";
    dataplane_policy "dataplane-policy.yaml";
    dataplane_seed "dataplane-seed.yaml";
    dataplane_terminating "dataplane-terminating.yaml";
    dataplane_topology "dataplane-topology.yaml";
    dns_corefile "dns-corefile.yaml";
    dns_endpoints "dns-endpoints.yaml";
    dns_env "dns-env.yaml";
    dns_external "dns-external.yaml";
    dns_lookup "dns-lookup.yaml";
    dns_resolv "dns-resolv.yaml";
    dns_reverse "dns-reverse.yaml";
    dns_services "dns-services.yaml";
    dns_srv "dns-srv.yaml";
    documents_check "documents-check.yaml";
    envoy_oracle "envoy-oracle.yaml";
    gateway_backends "gateway-backends.yaml";
    gateway_bad_input "gateway-bad-input.yaml";
    gateway_filters "gateway-filters.yaml";
    gateway_listeners "gateway-listeners.yaml";
    gateway_matching "gateway-matching.yaml";
    gateway_tls_grpc_tcp "gateway-tls-grpc-tcp.yaml";
    ingress_bad_input "ingress-bad-input.yaml";
    ingress_class "ingress-class.yaml";
    ingress_conformance "ingress-conformance.yaml";
    ingress_nginx_annotations "ingress-nginx-annotations.yaml";
    ingress_nginx_paths "ingress-nginx-paths.yaml";
    ingress_seeds "ingress-seeds.yaml";
    istio_check "istio-check.yaml";
    istio_destinationrule "istio-destinationrule.yaml";
    istio_gateway "istio-gateway.yaml";
    istio_mesh "istio-mesh.yaml";
    istio_seed "istio-seed.yaml";
    istio_tcp_tls "istio-tcp-tls.yaml";
    istio_virtualservice "istio-virtualservice.yaml";
    model_check "model-check.yaml";
    more_core "more-core.yaml";
    more_gateway "more-gateway.yaml";
    more_ingress "more-ingress.yaml";
    more_istio "more-istio.yaml";
    tls_check "tls-check.yaml";
    tls_gateway "tls-gateway.yaml";
    tls_ingress "tls-ingress.yaml";
    tls_istio "tls-istio.yaml";
}
