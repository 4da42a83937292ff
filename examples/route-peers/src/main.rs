//! How does route-match fare beside other routing crates? The same tables and requests for all, in turns, in one run:
//!
//! `cargo run --release --manifest-path examples/route-peers/Cargo.toml [--features sozu]`
//!
//! Prints nanoseconds a request (a route, for builds), the median of rounds in which all candidates take turns, and the
//! ratio to the first line of the group. Before anything is measured, every candidate gives every answer that the
//! workload expects.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros, reason = "a program")]

#[path = "../../../route-match/benches/router/expressions.rs"]
mod expressions;
#[path = "../../../route-match/benches/router/floors.rs"]
mod floors;
mod group;
mod peers;
#[path = "../../../route-match/benches/router/tables.rs"]
mod tables;
#[path = "../../../route-match/benches/router/workloads.rs"]
mod workloads;

use std::hint::black_box;

use route_match::{Host, Request as View};

use expressions::{EXPRESSION_SIZES, Expressions};
use floors::{Fingerprints, MapAndScan};
use group::Group;
use peers::{Peer, PerHost, Wayfind};
use tables::router;
use workloads::{REQUESTS, ROUTE_SIZES, Request, Route, hits, misses, routes};

fn main() {
    // An argument picks a part: `routes` or `expressions`.
    let part = std::env::args().nth(1).unwrap_or_default();
    for (n, hosts, paths) in ROUTE_SIZES.into_iter().filter(|_| part != "expressions") {
        println!("{n} routes, ns a request");
        let table = routes(hosts, paths);
        look_ups(&table);
        builds(&table);
    }
    for n in EXPRESSION_SIZES.into_iter().filter(|_| part != "routes") {
        println!("{n} expressions on one host, ns a request");
        regexes(n);
    }
}

fn look_ups(table: &[Route]) {
    let (hit, miss) = (hits(table, REQUESTS), misses(table, REQUESTS));
    let floor = Fingerprints::new(table);
    let router = router(table);
    let scan = MapAndScan::new(table);
    let matchit = PerHost::<matchit::Router<u32>>::build(table);
    let wayfind = PerHost::<Wayfind>::build(table);
    let tree = PerHost::<path_tree::PathTree<u32>>::build(table);
    #[cfg(feature = "sozu")]
    let sozu = peers::Sozu::build(table);
    for (name, requests) in [("hit", &hit), ("miss", &miss)] {
        let hosts: Vec<Host> = requests.iter().map(|request| request.host.parse().expect("a host")).collect();
        let views: Vec<View<'_>> =
            hosts.iter().zip(requests).map(|(host, request)| View::new(Some(host), &request.path)).collect();
        for (view, request) in views.iter().zip(requests) {
            assert_eq!(router.find(view).map(|found| *found.value()), request.expect);
        }
        let mut group = Group::new(name, requests.len());
        // The floor knows beforehand what wins, so a miss has none: that of the hits stands for it.
        group.add("floor: fingerprints", || {
            for request in &hit {
                black_box(floor.find(request));
            }
        });
        group.add("route-match Router", || {
            for view in &views {
                black_box(router.find(view).map(|found| *found.value()));
            }
        });
        peer(&mut group, "std HashMap + sorted scan", &scan, requests);
        peer(&mut group, "matchit a host", &matchit, requests);
        peer(&mut group, "wayfind a host", &wayfind, requests);
        peer(&mut group, "path-tree a host", &tree, requests);
        #[cfg(feature = "sozu")]
        peer(&mut group, "sozu-lib router", &sozu, requests);
        group.print();
    }
}

fn peer<'a, P: Peer>(group: &mut Group<'a>, name: &'static str, peer: &'a P, requests: &'a [Request]) {
    for request in requests {
        assert_eq!(peer.find(&request.host, &request.path), request.expect, "{name}: {request:?}");
    }
    group.add(name, move || {
        for request in requests {
            black_box(peer.find(&request.host, &request.path));
        }
    });
}

fn builds(table: &[Route]) {
    let mut group = Group::new("build", table.len());
    group.add("std HashMap + sorted scan", || _ = black_box(MapAndScan::new(table)));
    group.add("route-match Router", || _ = black_box(router(table)));
    group.add("matchit a host", || _ = black_box(PerHost::<matchit::Router<u32>>::build(table)));
    group.add("wayfind a host", || _ = black_box(PerHost::<Wayfind>::build(table)));
    group.add("path-tree a host", || _ = black_box(PerHost::<path_tree::PathTree<u32>>::build(table)));
    #[cfg(feature = "sozu")]
    group.add("sozu-lib router", || _ = black_box(peers::Sozu::build(table)));
    group.print();
}

fn regexes(n: usize) {
    for kind in Expressions::ALL {
        let router = kind.router(n);
        let paths = kind.paths(n);
        let views: Vec<View<'_>> = paths.iter().map(|path| View::new(None, path)).collect();
        let single: Vec<_> = (0..n).map(|i| regex(&kind.expression(i)).build().expect("an expression")).collect();
        let set = (n <= 1_000).then(|| {
            let expressions = (0..n).map(|i| kind.expression(i));
            regex::bytes::RegexSetBuilder::new(expressions)
                .case_insensitive(true)
                .unicode(false)
                // By default its states would not fit, and be made anew all the time.
                .size_limit(1 << 30)
                .dfa_size_limit(1 << 30)
                .build()
                .expect("expressions")
        });
        let mut group = Group::new(kind.name(), views.len());
        // The floor knows which expression matches, and asks that one.
        group.add("floor: the expression that matches", || {
            for (i, path) in paths.iter().enumerate() {
                black_box(single[kind.winner(i, n)].is_match(path.as_bytes()));
            }
        });
        for (i, view) in views.iter().enumerate() {
            assert_eq!(router.find(view).map(|found| *found.value()), Some(kind.winner(i, n)));
        }
        group.add("route-match Router", || {
            for view in &views {
                black_box(router.find(view).map(|found| *found.value()));
            }
        });
        if let Some(set) = &set {
            group.add("regex RegexSet", || {
                for path in &paths {
                    black_box(set.matches(path.as_bytes()).iter().next());
                }
            });
        }
        group.print();
    }
}

fn regex(expression: &str) -> regex::bytes::RegexBuilder {
    let mut builder = regex::bytes::RegexBuilder::new(expression);
    builder.case_insensitive(true).unicode(false);
    builder
}
