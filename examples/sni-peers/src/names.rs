//! Who finds the certificate for a name?

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::sync::Arc;

use tls_sni::{CertStore, CertificateFacts, NameMap, Query, ServerName, Sni};

use crate::group::Group;
use crate::workloads::{REQUESTS, sni_names, sni_queries};

type Foldhash = foldhash::fast::FixedState;
type Asked = (String, Option<u32>);

/// Candidates that take the name as text.
trait Peer {
    fn find(&self, name: &str) -> Option<u32>;
}

pub(crate) fn run(n: usize) {
    let names = sni_names(n);
    let key = |name: &str| name.strip_prefix('*').unwrap_or(name).to_owned().into_bytes();
    let floor: HashMap<Vec<u8>, u32, Foldhash> = names.iter().zip(0..).map(|(name, i)| (key(name), i)).collect();
    let map = NameMap::new(1, names.iter().zip(0u32..).map(|(name, i)| (name.parse().expect("a name"), i)));
    let mut builder = CertStore::builder();
    for (name, i) in names.iter().zip(0u32..) {
        builder.add(CertificateFacts::for_names([name.as_str()]), i);
    }
    let store = builder.build();
    let only = ExactOnly(names.iter().cloned().zip((0..).map(Arc::new)).collect());
    let std_maps = Maps::<std::hash::RandomState>::new(&names);
    let fold_maps = Maps::<Foldhash>::new(&names);
    #[cfg(feature = "sozu")]
    let sozu = Sozu::new(&names);

    for (kind, label) in ["exact", "wildcard", "miss"].into_iter().enumerate() {
        let asked = sni_queries(&names, REQUESTS, kind as u8);
        let snis: Vec<Sni> = asked.iter().map(|(name, _)| Sni::Name(name.parse().expect("a name"))).collect();
        let choose = |sni| store.choose(&Query::new(sni), 0).outcome.ok().map(|chosen| chosen.certificate());
        let look_up = |sni: &Sni| map.get(sni.name()?).map(|(_, i)| i);
        for (sni, (_, expected)) in snis.iter().zip(&asked) {
            assert_eq!((choose(sni), look_up(sni)), (expected.as_ref(), expected.as_ref()));
        }
        let mut group = Group::new(label, asked.len());
        group.add("floor: one look-up of the winning key", || {
            for name in snis.iter().filter_map(Sni::name).map(ServerName::as_bytes) {
                let dot = || name.iter().position(|byte| *byte == b'.').unwrap_or(0);
                let key = if kind == 1 { &name[dot()..] } else { name };
                black_box(floor.get(key));
            }
        });
        group.add("tls-sni NameMap", || {
            for sni in &snis {
                black_box(look_up(sni));
            }
        });
        group.add("tls-sni CertStore, whole choice", || {
            for sni in &snis {
                black_box(store.choose(&Query::new(sni), 0).outcome.ok());
            }
        });
        if kind == 0 {
            peer(&mut group, "std map, exact only (as rustls' by-name resolver)", &only, &asked);
        }
        peer(&mut group, "std maps, exact then suffix", &std_maps, &asked);
        peer(&mut group, "foldhash maps, exact then suffix", &fold_maps, &asked);
        #[cfg(feature = "sozu")]
        peer(&mut group, "sozu's trie", &sozu, &asked);
        group.print();
    }
}

fn peer<'a, P: Peer>(group: &mut Group<'a>, name: &'static str, peer: &'a P, asked: &'a [Asked]) {
    for (sni, expected) in asked {
        assert_eq!(peer.find(sni), *expected, "{name}: {sni}");
    }
    group.add(name, move || {
        for (sni, _) in asked {
            black_box(peer.find(sni));
        }
    });
}

struct ExactOnly(HashMap<String, Arc<u32>>);

impl Peer for ExactOnly {
    fn find(&self, name: &str) -> Option<u32> {
        self.0.get(name).cloned().map(|found| *found)
    }
}

struct Maps<S> {
    exact: HashMap<String, Arc<u32>, S>,
    suffix: HashMap<String, Arc<u32>, S>,
}

impl<S: BuildHasher + Default> Maps<S> {
    fn new(names: &[String]) -> Self {
        let mut maps = Maps { exact: HashMap::default(), suffix: HashMap::default() };
        for (name, i) in names.iter().zip(0..) {
            match name.strip_prefix("*.") {
                Some(zone) => maps.suffix.insert(zone.to_owned(), Arc::new(i)),
                None => maps.exact.insert(name.clone(), Arc::new(i)),
            };
        }
        maps
    }
}

impl<S: BuildHasher> Peer for Maps<S> {
    fn find(&self, name: &str) -> Option<u32> {
        let found = self.exact.get(name).or_else(|| self.suffix.get(name.split_once('.')?.1));
        found.cloned().map(|found| *found)
    }
}

#[cfg(feature = "sozu")]
struct Sozu(sozu_lib::router::pattern_trie::TrieNode<Arc<u32>>);

#[cfg(feature = "sozu")]
impl Sozu {
    fn new(names: &[String]) -> Self {
        let mut trie = sozu_lib::router::pattern_trie::TrieNode::root();
        for (name, i) in names.iter().zip(0..) {
            trie.domain_insert(name.clone().into_bytes(), Arc::new(i));
        }
        Sozu(trie)
    }
}

#[cfg(feature = "sozu")]
impl Peer for Sozu {
    fn find(&self, name: &str) -> Option<u32> {
        self.0.domain_lookup(name.as_bytes(), true).map(|found| *found.1.clone())
    }
}
