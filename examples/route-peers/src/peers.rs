//! Other crates' routers, each set up as its documentation says for hosts, exact paths and prefixes by element.

use std::collections::{BTreeMap, HashMap};

use crate::floors::MapAndScan;
use crate::workloads::{PathKind, Route};

pub(crate) trait Peer {
    fn build(table: &[Route]) -> Self;
    fn find(&self, host: &str, path: &str) -> Option<u32>;
}

impl Peer for MapAndScan {
    fn build(table: &[Route]) -> Self {
        Self::new(table)
    }

    fn find(&self, host: &str, path: &str) -> Option<u32> {
        Self::find(self, host, path)
    }
}

type Map<R> = HashMap<String, R, foldhash::fast::FixedState>;

/// A path router for each host, behind two maps: exact hosts and suffixes of wildcards.
pub(crate) struct PerHost<R> {
    exact: Map<R>,
    wild: Map<R>,
}

pub(crate) trait PathRouter {
    fn make(rules: &[&Route]) -> Self;
    fn at(&self, path: &str) -> Option<u32>;
}

impl<R: PathRouter> Peer for PerHost<R> {
    fn build(table: &[Route]) -> Self {
        let mut hosts: BTreeMap<&str, Vec<&Route>> = BTreeMap::new();
        for route in table {
            hosts.entry(&route.host).or_default().push(route);
        }
        let mut peer = Self { exact: Map::default(), wild: Map::default() };
        for (host, rules) in hosts {
            match host.strip_prefix("*.") {
                Some(suffix) => peer.wild.insert(suffix.to_owned(), R::make(&rules)),
                None => peer.exact.insert(host.to_owned(), R::make(&rules)),
            };
        }
        peer
    }

    fn find(&self, host: &str, path: &str) -> Option<u32> {
        self.exact.get(host).or_else(|| self.wild.get(host.split_once('.')?.1))?.at(path)
    }
}

impl PathRouter for matchit::Router<u32> {
    fn make(rules: &[&Route]) -> Self {
        let mut router = Self::new();
        for rule in rules {
            router.insert(rule.path.clone(), rule.id).expect("paths are distinct");
            if rule.kind == PathKind::Prefix {
                router.insert(format!("{}/{{*rest}}", rule.path), rule.id).expect("paths are distinct");
            }
        }
        router
    }

    fn at(&self, path: &str) -> Option<u32> {
        Self::at(self, path).ok().map(|found| *found.value)
    }
}

impl PathRouter for path_tree::PathTree<u32> {
    fn make(rules: &[&Route]) -> Self {
        let mut tree = Self::new();
        for rule in rules {
            _ = tree.insert(&rule.path, rule.id);
            if rule.kind == PathKind::Prefix {
                _ = tree.insert(&format!("{}/:rest*", rule.path), rule.id);
            }
        }
        tree
    }

    fn at(&self, path: &str) -> Option<u32> {
        self.find(path).map(|found| *found.0)
    }
}

pub(crate) struct Wayfind(wayfind::Router<u32>);

impl PathRouter for Wayfind {
    fn make(rules: &[&Route]) -> Self {
        let mut builder = wayfind::RouterBuilder::new();
        for rule in rules {
            builder.insert(&rule.path, rule.id).expect("paths are distinct");
            if rule.kind == PathKind::Prefix {
                builder.insert(&format!("{}/<*rest>", rule.path), rule.id).expect("paths are distinct");
            }
        }
        Self(builder.build())
    }

    fn at(&self, path: &str) -> Option<u32> {
        self.0.search(path).map(|found| *found.data())
    }
}

/// A trie of host labels, and a scan over the rules of a host. Its prefixes are by byte; the workload has no request
/// on which that differs.
#[cfg(feature = "sozu")]
pub(crate) struct Sozu(sozu_lib::router::Router);

#[cfg(feature = "sozu")]
impl Peer for Sozu {
    fn build(table: &[Route]) -> Self {
        use sozu_lib::router::{MethodRule, PathRule, Route as To, Router};
        let mut router = Router::new();
        for route in table {
            let path = match route.kind {
                PathKind::Exact => PathRule::Equals(route.path.clone()),
                PathKind::Prefix => PathRule::Prefix(route.path.clone()),
            };
            let to = To::ClusterId(route.id.to_string().into());
            assert!(router.add_tree_rule(route.host.as_bytes(), &path, &MethodRule::new(None), &to));
        }
        Self(router)
    }

    fn find(&self, host: &str, path: &str) -> Option<u32> {
        use sozu_lib::protocol::kawa_h1::parser::Method;
        let found = self.0.lookup(host, path, &Method::Get).ok()?;
        // Its clusters are named by strings; reading one back is a few nanoseconds.
        found.cluster_id?.parse().ok()
    }
}
