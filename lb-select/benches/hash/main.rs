//! What does consistent hashing cost: a look-up, and a table?
//!
//! The `floor/...` lines balance nothing: they hash a key and load from a table, or scatter stores. The `reference/...`
//! lines are the plain good form of an algorithm. Look-ups are timed for [`KEYS`] keys.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

mod workloads;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lb_select::hash::{
    HashTable, IpvsMh, IpvsMhSettings, Jump, Ketama, Maglev, NginxHash, Rendezvous, RestyChash, RingHash, RingSettings,
    crc32, xxh64,
};
use lb_select::{Pick, Policy, Pool};
use std::hash::BuildHasher;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;
use workloads::{KEYS, MAGLEV_M, backends, flow_keys, weights};

const SIZES: [u32; 3] = [10, 100, 10_000];

fn pool(n: u32) -> Pool<SocketAddr> {
    Pool::of(backends(n)).unwrap()
}

fn weighted(n: u32) -> Pool<SocketAddr> {
    let members = backends(n).into_iter().zip(weights(n));
    members.fold(Pool::builder(), |pool, (addr, weight)| pool.weighted(addr, weight, addr)).build().unwrap()
}

/// So many points on a ring for each of `n` endpoints of equal weight.
fn ring(n: u32, points: u32) -> RingHash {
    let settings = RingSettings::default().min_ring_size(n * points);
    RingHash::new(&pool(n), &settings).unwrap()
}

fn look_ups(c: &mut Criterion) {
    let mut group = c.benchmark_group("hash");
    group.throughput(Throughput::Elements(KEYS as u64));
    let keys = flow_keys();
    let hasher = foldhash::fast::FixedState::with_seed(1);
    let fast = |key: &[u8; 16]| hasher.hash_one(u128::from_le_bytes(*key));
    let hashes: Vec<u64> = keys.iter().map(fast).collect();

    let table: Vec<u32> = (0..MAGLEV_M).map(|slot| (u64::from(slot) * 0x9e37_79b9 % 10_000) as u32).collect();
    group.bench_function("floor/foldhash-and-index", |b| {
        b.iter(|| {
            for key in &keys {
                let slot = (u128::from(fast(key)) * u128::from(MAGLEV_M)) >> 64;
                black_box(table[slot as usize]);
            }
        });
    });

    for n in SIZES {
        let maglev = Maglev::new(&pool(n), MAGLEV_M).unwrap();
        let scaled = maglev.clone().scaled();
        group.bench_function(BenchmarkId::new("maglev-scaled/foldhash", n), |b| {
            b.iter(|| keys.iter().for_each(|key| _ = black_box(scaled.lookup(fast(key)))));
        });
        group.bench_function(BenchmarkId::new("maglev/foldhash", n), |b| {
            b.iter(|| keys.iter().for_each(|key| _ = black_box(maglev.lookup(fast(key)))));
        });
        group.bench_function(BenchmarkId::new("maglev/xxh64", n), |b| {
            b.iter(|| keys.iter().for_each(|key| _ = black_box(maglev.lookup(xxh64(key, 0)))));
        });
        given(&mut group, "maglev-scaled", n, &hashes, &scaled);
        given(&mut group, "maglev", n, &hashes, &maglev);
        policy(&mut group, "maglev-scaled-policy", n, &hashes, &scaled);

        let reference = Reference::new(&ring(n, 160));
        group.bench_function(BenchmarkId::new("reference/ring-160-by-top-bits", n), |b| {
            b.iter(|| hashes.iter().for_each(|&hash| _ = black_box(reference.lookup(hash))));
        });
        let ring = ring(n, 160);
        given(&mut group, "ring-160", n, &hashes, &ring);
        policy(&mut group, "ring-160-policy", n, &hashes, &ring);
        let ketama = Ketama::new(&pool(n)).unwrap();
        given(&mut group, "ketama-160", n, &hashes, &ketama);
        group.bench_function(BenchmarkId::new("ketama-160/crc32", n), |b| {
            b.iter(|| keys.iter().for_each(|key| _ = black_box(ketama.lookup(crc32(key)))));
        });
        given(&mut group, "jump", n, &hashes, &Jump::new(&pool(n)));
        given(&mut group, "nginx-hash", n, &hashes, &NginxHash::new(&pool(n)));
    }
    given(
        &mut group,
        "ring-65536",
        1000,
        &hashes,
        &RingHash::new(&pool(1000), &RingSettings::default().min_ring_size(65_536)).unwrap(),
    );
    group.throughput(Throughput::Elements(64));
    given(&mut group, "rendezvous", 1000, &hashes[..64], &Rendezvous::new(&pool(1000)));
    given(&mut group, "rendezvous-weighted", 1000, &hashes[..64], &Rendezvous::new(&weighted(1000)));
    group.finish();
}

/// A look-up from a hash that is known.
fn given(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, n: u32, hashes: &[u64], table: &impl HashTable) {
    group.bench_function(BenchmarkId::new(format!("{name}/given"), n), |b| {
        b.iter(|| hashes.iter().for_each(|&hash| _ = black_box(table.lookup(hash))));
    });
}

/// The same as a policy, health included.
fn policy(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, n: u32, hashes: &[u64], policy: &impl Policy) {
    group.bench_function(BenchmarkId::new(name, n), |b| {
        let mut words = || 0;
        b.iter(|| {
            for &hash in hashes {
                let mut pick = Pick::new(Duration::ZERO, &mut words).for_hash(hash);
                _ = black_box(policy.pick(&mut pick));
            }
        });
    });
}

/// A ring in its plainest fast form: points of 16 bytes, entered by the top bits.
struct Reference {
    points: Vec<(u64, u32)>,
    first: Vec<u32>,
    bits: u32,
}

impl Reference {
    fn new(ring: &RingHash) -> Self {
        let points: Vec<(u64, u32)> = ring.points().map(|(hash, owner)| (hash, owner as u32)).collect();
        let bits = points.len().next_power_of_two().trailing_zeros();
        let mut first = vec![points.len() as u32; (1 << bits) + 1];
        for (i, point) in points.iter().enumerate().rev() {
            first[(point.0 >> (64 - bits)) as usize] = i as u32;
        }
        for i in (0..1 << bits).rev() {
            first[i] = first[i].min(first[i + 1]);
        }
        Self { points, first, bits }
    }

    fn lookup(&self, hash: u64) -> u32 {
        let mut i = self.first[(hash >> (64 - self.bits)) as usize] as usize;
        while i < self.points.len() && self.points[i].0 < hash {
            i += 1;
        }
        self.points[if i == self.points.len() { 0 } else { i }].1
    }
}

fn builds(c: &mut Criterion) {
    let mut group = c.benchmark_group("hash-build");
    group.bench_function("floor/scattered-stores-65537", |b| {
        b.iter(|| {
            let (mut slots, mut at) = (vec![u32::MAX; MAGLEV_M as usize], 12_345);
            for slot in 0..MAGLEV_M {
                slots[at as usize] = slot;
                at += 40_503;
                at = if at >= MAGLEV_M { at - MAGLEV_M } else { at };
            }
            slots
        });
    });
    for n in SIZES {
        let (pool, weighted) = (pool(n), weighted(n));
        let keys: Vec<String> = backends(n).iter().map(SocketAddr::to_string).collect();
        group.bench_function(BenchmarkId::new("reference/maglev-65537", n), |b| b.iter(|| reference_maglev(&keys)));
        group.bench_function(BenchmarkId::new("maglev-65537", n), |b| {
            b.iter(|| Maglev::new(&pool, MAGLEV_M).unwrap());
        });
        group.bench_function(BenchmarkId::new("maglev-65537-weighted", n), |b| {
            b.iter(|| Maglev::new(&weighted, MAGLEV_M).unwrap());
        });
        group.bench_function(BenchmarkId::new("pool-with-keys-sorted", n), |b| {
            b.iter_batched(|| backends(n), |addrs| Pool::of(addrs).unwrap(), BatchSize::LargeInput);
        });
        let settings = RingSettings::default().min_ring_size(n * 160);
        group.bench_function(BenchmarkId::new("ring-160", n), |b| {
            b.iter(|| RingHash::new(&pool, &settings).unwrap());
        });
        group.bench_function(BenchmarkId::new("reference/ring-160", n), |b| b.iter(|| reference_ring(n)));
        group.bench_function(BenchmarkId::new("ketama-160", n), |b| {
            b.iter(|| Ketama::new(&pool).unwrap());
        });
        group.bench_function(BenchmarkId::new("resty-160", n), |b| {
            b.iter(|| RestyChash::new(&pool).unwrap());
        });
    }
    let pool = pool(1000);
    group.bench_function("maglev-65537/1000", |b| b.iter(|| Maglev::new(&pool, MAGLEV_M).unwrap()));
    group.bench_function("ipvs-mh-4093/1000", |b| {
        b.iter(|| IpvsMh::new(&pool, IpvsMhSettings::default(), |index| pool[index]).unwrap());
    });
    let settings = RingSettings::default().min_ring_size(262_144);
    group.bench_function("ring-262144/1000", |b| b.iter(|| RingHash::new(&pool, &settings).unwrap()));
    group.finish();
}

/// Maglev's own algorithm in its plainest fast form: 32-bit entries, the walk by adding and wrapping.
fn reference_maglev(keys: &[String]) -> Vec<u32> {
    let m = MAGLEV_M;
    let walk = |key: &String| {
        let (offset, skip) = (xxh64(key.as_bytes(), 0), xxh64(key.as_bytes(), 1));
        ((offset % u64::from(m)) as u32, (skip % (u64::from(m) - 1) + 1) as u32)
    };
    let mut walk: Vec<(u32, u32)> = keys.iter().map(walk).collect();
    let mut table = vec![u32::MAX; m as usize];
    let mut left = m;
    loop {
        for (i, (at, skip)) in walk.iter_mut().enumerate() {
            let slot = loop {
                let c = *at;
                *at += *skip;
                if *at >= m {
                    *at -= m;
                }
                if table[c as usize] == u32::MAX {
                    break c;
                }
            };
            table[slot as usize] = i as u32;
            left -= 1;
            if left == 0 {
                return table;
            }
        }
    }
}

/// Points of a backend and a number, sorted.
fn reference_ring(n: u32) -> Vec<(u64, u32)> {
    let point = |i: u32, number: u32| (xxh64(&(u64::from(i) << 32 | u64::from(number)).to_le_bytes(), 0), i);
    let mut points: Vec<_> = (0..n).flat_map(|i| (0..160).map(move |number| point(i, number))).collect();
    points.sort_unstable();
    points
}

criterion_group!(benches, look_ups, builds);
criterion_main!(benches);
