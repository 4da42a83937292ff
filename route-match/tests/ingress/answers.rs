//! Ingress by example: manifests, questions and the answers they must get.

use crate::harness::{answer, cases, meets, world};

#[track_caller]
fn check(file: &str) {
    let mut wrong = Vec::new();
    let mut asked = 0;
    for case in cases(file) {
        let cluster = world(&case);
        for query in case["queries"].as_array().expect("a case has queries") {
            let answer = answer(&cluster, &query["ask"]);
            asked += 1;
            if !meets(&query["expect"], &answer) {
                wrong.push(format!(
                    "{}: {}\n  expected {}\n  answered {answer}",
                    case["name"], query["ask"], query["expect"]
                ));
            }
        }
    }
    assert!(asked > 0, "no question asked");
    assert!(wrong.is_empty(), "{} of {asked} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn conformance_of_hosts_paths_and_default_backends() {
    check(include_str!("cases/conformance.json"));
}

#[test]
fn classes_decide_who_serves_an_ingress() {
    check(include_str!("cases/classes.json"));
}

#[test]
fn manifests_as_found_in_tutorials() {
    check(include_str!("cases/documents.json"));
}

#[test]
fn nginx_servers_and_locations() {
    check(include_str!("cases/nginx-paths.json"));
}

#[test]
fn nginx_annotations() {
    check(include_str!("cases/nginx-annotations.json"));
}
