//! Are keys spread evenly, and do few of them move when endpoints come, go or change weight?
#![cfg(feature = "hash")]

mod common;

use common::splitmix;
use lb_select::hash::{
    BoundedHash, BoundedRing, HashTable, IpHash, Jump, Katran, KatranVersion, Ketama, Maglev, NginxHash, Rendezvous,
    RestyChash, RingHash, RingSettings, TraefikHrw, total_slots, xxh64,
};
use lb_select::{Pick, Policy, Pool, Reason};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

fn key(number: usize) -> String {
    format!("10.{}.{}.{}:8080", number >> 16, number >> 8 & 255, number & 255)
}

/// Endpoints by number and weight.
fn pool(members: impl IntoIterator<Item = (usize, u32)>) -> Pool<usize> {
    let members = members.into_iter();
    members.fold(Pool::builder(), |pool, (number, weight)| pool.weighted(key(number), weight, number)).build().unwrap()
}

fn equal(n: usize) -> Pool<usize> {
    pool((1..=n).map(|number| (number, 1)))
}

/// Weights of 1 to 4.
fn weighted(n: usize) -> Vec<(usize, u32)> {
    (1..=n).map(|number| (number, 1 + xxh64(&number.to_le_bytes(), 7) as u32 % 4)).collect()
}

/// Who has each of so many random hashes, by number.
fn owners(table: &dyn HashTable, pool: &Pool<usize>, hashes: usize) -> Vec<usize> {
    let mut words = splitmix(1);
    (0..hashes).map(|_| pool[table.lookup(words()).unwrap()]).collect()
}

/// The part of hashes that moved although their endpoint is there as before: neither left, came nor changed.
fn moved_needlessly(before: &[usize], after: &[usize], changed: usize) -> f64 {
    let needless = before.iter().zip(after).filter(|(old, new)| old != new && **old != changed && **new != changed);
    needless.count() as f64 / before.len() as f64
}

type Build = fn(&Pool<usize>) -> Box<dyn HashTable>;

/// A prime at least a hundred times the number of endpoints.
fn maglev_size(n: usize) -> u32 {
    if n <= 600 { Maglev::TABLE_SIZE } else { 1_000_003 }
}

/// Each table, and the greatest part of keys that may move needlessly when one of ten, and of a hundred or more, leaves,
/// comes or changes weight.
const TABLES: [(&str, Build, [f64; 2]); 7] = [
    ("ring", |pool| Box::new(ring(pool, 200 * pool.len() as u32)), [0.12, 0.03]),
    ("maglev", |pool| Box::new(Maglev::new(pool, maglev_size(pool.len())).unwrap()), [0.05, 0.03]),
    (
        "katran",
        |pool| {
            let number = |index: usize| xxh64(&pool[index].to_le_bytes(), 0);
            Box::new(Katran::new(pool, KatranVersion::V2, maglev_size(pool.len()), number).unwrap())
        },
        [0.05, 0.03],
    ),
    ("ketama", |pool| Box::new(Ketama::with_points(pool, 40).unwrap()), [0.0, 0.0]),
    ("resty", |pool| Box::new(RestyChash::new(pool).unwrap()), [0.0, 0.0]),
    ("rendezvous", |pool| Box::new(Rendezvous::new(pool)), [0.0, 0.0]),
    ("traefik", |pool| Box::new(TraefikHrw::new(pool)), [0.0, 0.0]),
];

fn ring(pool: &Pool<usize>, size: u32) -> RingHash {
    RingHash::new(pool, &RingSettings::default().min_ring_size(size)).unwrap()
}

/// Looking at every endpoint for every key takes long, so those are asked about fewer.
fn hashes(name: &str, n: usize) -> usize {
    match name {
        "rendezvous" | "traefik" => 2_000_000 / n,
        _ => 50_000,
    }
}

/// One of so many weighted endpoints leaves, comes (which is leaving, read the other way round) or changes weight.
fn few_keys_move(n: usize, points: u32, asked: usize, names: &[&str]) {
    let mut failures = Vec::new();
    for (name, build, [few, many]) in TABLES.into_iter().filter(|(name, ..)| names.contains(name)) {
        let (members, asked) = (weighted(n), asked.min(hashes(name, n)));
        let all = |members: &[(usize, u32)]| {
            let pool = pool(members.iter().copied());
            let table = if name == "ring" { Box::new(ring(&pool, points * n as u32)) } else { build(&pool) };
            owners(&*table, &pool, asked)
        };
        let middle = n / 2;
        let mut without = members.clone();
        let (changed, weight) = without.remove(middle);
        let mut heavier = members.clone();
        heavier[middle].1 = weight + 1;
        let before = all(&members);
        if n == 10_000 {
            failures.extend(uneven(name, &members, &before));
        }
        let bound = if n < 100 { few } else { many };
        for (change, after) in [("leaves", all(&without)), ("changes", all(&heavier))] {
            let moved = moved_needlessly(&before, &after, changed);
            if moved > bound {
                failures.push(format!("{name}, one of {n} {change}: {moved} moved"));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Whether ten groups of many weighted endpoints get other shares than theirs: by groups, so that few keys tell.
fn uneven(name: &str, members: &[(usize, u32)], owners: &[usize]) -> Option<String> {
    let group = |number: usize| (number - 1) * 10 / members.len();
    let sum: u32 = members.iter().map(|(_, weight)| weight).sum();
    let (mut fair, mut counts) = ([0.0; 10], [0.0; 10]);
    members.iter().for_each(|&(number, w)| fair[group(number)] += f64::from(w) / f64::from(sum) * owners.len() as f64);
    owners.iter().for_each(|&number| counts[group(number)] += 1.0);
    let chi: f64 = counts.iter().zip(fair).map(|(count, fair): (&f64, f64)| (count - fair).powi(2) / fair).sum();
    (chi >= NINE_DEGREES).then(|| format!("{name}: {chi}, {counts:?}"))
}

const ALL: [&str; 7] = ["ring", "maglev", "katran", "ketama", "resty", "rendezvous", "traefik"];

#[test]
fn few_keys_move_among_10_100_and_1000_endpoints() {
    for n in [10, 100, 1_000] {
        few_keys_move(n, 200, 50_000, &ALL);
    }
}

#[test]
fn few_keys_move_among_10_000_endpoints_of_tables() {
    few_keys_move(10_000, 40, 20_000, &["ring", "maglev", "katran", "rendezvous", "traefik"]);
}

#[test]
fn few_keys_move_among_10_000_endpoints_of_rings_by_weight() {
    few_keys_move(10_000, 0, 20_000, &["ketama", "resty"]);
}

#[test]
fn every_weighted_endpoint_gets_its_share() {
    let mut failures = Vec::new();
    for (name, build, _) in TABLES {
        for n in [10, 100, 1_000] {
            let pool = pool(weighted(n));
            let asked = hashes(name, n).max(20 * n);
            let sum: u32 = weighted(n).iter().map(|(_, weight)| weight).sum();
            let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
            for owner in owners(&*build(&pool), &pool, asked) {
                *counts.entry(owner).or_default() += 1;
            }
            // By chance a share scatters; rings of few points scatter much more, and FNV mixes short names badly.
            let loose = match name {
                "ring" | "ketama" | "resty" => 0.7,
                "traefik" => 0.5,
                _ => 0.02,
            };
            for (number, weight) in weighted(n) {
                let fair = asked as f64 * f64::from(weight) / f64::from(sum);
                let count = counts.get(&number).copied().unwrap_or(0) as f64;
                let allowed = 5.0 * fair.sqrt() + fair * loose;
                if (count - fair).abs() > allowed {
                    failures.push(format!("{name}, {n}: {number} has {count}, not {fair}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} {:#?}", failures.len(), &failures[..failures.len().min(5)]);
}

/// Each endpoint's own share of the table, which is what it gets in the long run.
#[test]
fn each_of_10_000_weighted_endpoints_has_its_share_of_a_table() {
    let members = weighted(10_000);
    let pool = pool(members.iter().copied());
    let sum: u32 = members.iter().map(|(_, weight)| weight).sum();
    let maglev = Maglev::new(&pool, 1_000_003).unwrap();
    let mut counts = vec![0.0; members.len()];
    maglev.slots().for_each(|owner| counts[owner] += 1.0);
    for (count, (number, weight)) in counts.into_iter().zip(members) {
        let fair = 1_000_003.0 * f64::from(weight) / f64::from(sum);
        let off: f64 = count - fair;
        assert!(off.abs() <= 2.0, "{number} has {count} slots, not {fair}");
    }
}

#[test]
fn maglev_slots_differ_by_one_and_removing_one_moves_at_most_2_percent() {
    for n in [3, 10, 50, 100, 500, 1000] {
        let pool = equal(n);
        let table = Maglev::new(&pool, Maglev::TABLE_SIZE).unwrap();
        let mut counts = vec![0; n];
        table.slots().for_each(|owner| counts[owner] += 1);
        assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{n}");

        let gone = n / 2;
        let smaller = self::pool((1..=n).filter(|number| *number != gone).map(|number| (number, 1)));
        let after = Maglev::new(&smaller, Maglev::TABLE_SIZE).unwrap();
        let old: Vec<usize> = table.slots().map(|owner| pool[owner]).collect();
        let new: Vec<usize> = after.slots().map(|owner| smaller[owner]).collect();
        let moved = moved_needlessly(&old, &new, gone);
        assert!(moved <= 0.02, "{moved} at {n}");
    }
}

#[test]
fn maglev_weights_are_kept_to_a_fifth_of_a_percent() {
    let pool = pool((1..=10).map(|number| (number, number as u32)));
    let table = Maglev::new(&pool, Maglev::TABLE_SIZE).unwrap();
    let mut counts = [0_u32; 10];
    table.slots().for_each(|owner| counts[owner] += 1);
    for (index, count) in counts.into_iter().enumerate() {
        let fair = f64::from(Maglev::TABLE_SIZE) * (index + 1) as f64 / 55.0;
        assert!((f64::from(count) / fair - 1.0).abs() <= 0.002, "{index}: {count}, not {fair}");
    }
}

/// The greatest share of the circle as a multiple of the mean.
fn fullest(points: impl Iterator<Item = (u64, usize)>, n: usize, circle: f64) -> f64 {
    let points: Vec<(u64, usize)> = points.collect();
    let mut shares = vec![0.0; n];
    let mut before = points.last().map_or(0.0, |(hash, _)| *hash as f64 - circle);
    for &(hash, owner) in &points {
        shares[owner] += hash as f64 - before;
        before = hash as f64;
    }
    shares.into_iter().fold(0.0, f64::max) / circle * n as f64
}

#[test]
fn rings_are_as_even_as_their_number_of_points_makes_them() {
    for (size, n, bound) in [
        (1024, 10, 1.25),
        (1024, 100, 2.0),
        (65_536, 10, 1.03),
        (65_536, 100, 1.15),
        (262_144, 10, 1.02),
        (262_144, 100, 1.08),
    ] {
        let fullest = fullest(ring(&equal(n), size).points(), n, 2_f64.powi(64));
        assert!(fullest <= bound, "{size} points, {n} endpoints: {fullest}");
    }
    for (n, bound) in [(3, 1.25), (10, 1.25), (100, 1.4)] {
        let ketama = Ketama::new(&equal(n)).unwrap();
        let points = ketama.points().map(|(hash, owner)| (u64::from(hash), owner));
        let fullest = fullest(points, n, 2_f64.powi(32));
        assert!(fullest <= bound, "ketama, {n} endpoints: {fullest}");
    }
}

#[test]
fn an_endpoint_that_leaves_a_ring_moves_little_more_than_its_own_keys() {
    for (size, n, bound) in [
        (1024, 3, 0.12),
        (1024, 10, 0.12),
        (1024, 50, 0.0),
        (1024, 100, 0.01),
        (65_536, 10, 0.12),
        (65_536, 50, 0.03),
        (65_536, 100, 0.02),
    ] {
        let (pool, smaller) = (equal(n), pool((2..=n).map(|number| (number, 1))));
        let before = owners(&ring(&pool, size), &pool, 100_000);
        let after = owners(&ring(&smaller, size), &smaller, 100_000);
        let moved = moved_needlessly(&before, &after, 1);
        assert!(moved <= bound, "{size} points, {n} endpoints: {moved}");
    }
}

fn chi_square(counts: &[u32]) -> f64 {
    let fair = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    counts.iter().map(|&count| (f64::from(count) - fair).powi(2) / fair).sum()
}

/// The critical value of 9 degrees of freedom for p = 0.001.
const NINE_DEGREES: f64 = 27.877;

#[test]
fn rendezvous_and_jump_are_uniform_and_give_a_newcomer_its_share() {
    let tables: [Build; 2] = [|pool| Box::new(Rendezvous::new(pool)), |pool| Box::new(Jump::new(pool))];
    for build in tables {
        let (ten, eleven) = (equal(10), equal(11));
        let before = owners(&*build(&ten), &ten, 100_000);
        let mut counts = [0; 10];
        before.iter().for_each(|owner| counts[owner - 1] += 1);
        assert!(chi_square(&counts) < NINE_DEGREES, "{counts:?}");

        let after = owners(&*build(&eleven), &eleven, 100_000);
        assert_eq!(moved_needlessly(&before, &after, 11), 0.0);
        let got = after.iter().filter(|&&owner| owner == 11).count() as f64;
        let (mean, deviation) = (100_000.0 / 11.0, (100_000.0 * 10.0 / 121.0_f64).sqrt());
        assert!((got - mean).abs() < 3.0 * deviation, "{got}");
    }
}

#[test]
fn rendezvous_shares_follow_weights() {
    let weights = [1, 2, 3, 4];
    let pool = pool(weights.iter().enumerate().map(|(i, &weight)| (i, weight)));
    let mut counts = [0.0; 4];
    owners(&Rendezvous::new(&pool), &pool, 100_000).into_iter().for_each(|owner| counts[owner] += 1.0);
    let chi: f64 =
        weights.iter().zip(counts).map(|(&w, c)| (c - 1e4 * f64::from(w)).powi(2) / (1e4 * f64::from(w))).sum();
    assert!(chi < 16.266, "{counts:?}"); // three degrees of freedom, p = 0.001
}

proptest! {
    /// HAProxy's bound, as the paper has it, and nobody is refused while factors are not below 100.
    #[test]
    fn nobody_holds_more_than_its_bound(
        weights in proptest::collection::vec(0..5_u32, 1..8),
        factor in 100..200_u32,
        keys in proptest::collection::vec(any::<u32>(), 1..120),
    ) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        let sum: u32 = weights.iter().sum();
        let pool = pool(weights.iter().copied().enumerate());
        let ring = BoundedRing::new(&pool, factor).unwrap();
        let mut load = vec![0_u32; weights.len()];
        for (in_flight, &key) in keys.iter().enumerate() {
            let index = ring.lookup(key, in_flight as u64, |index| load[index]).expect("nothing is refused");
            load[index] += 1;
            let slots = total_slots(in_flight as u64, factor);
            for (&held, &weight) in load.iter().zip(&weights) {
                let bound = (slots * u64::from(weight)).div_ceil(u64::from(sum)).max(u64::from(weight > 0));
                prop_assert!(u64::from(held) <= bound, "{held} of {bound}");
            }
        }
    }

    /// The same through the pool's own counts of requests in flight, by either rule.
    #[test]
    fn policies_spill_by_what_is_in_flight(n in 2..6_usize, hash in any::<u64>()) {
        let pool = equal(n);
        let (haproxy, envoy) = (
            BoundedRing::new(&pool, 125).unwrap(),
            BoundedHash::new(&pool, Maglev::new(&pool, 251).unwrap(), 125).unwrap(),
        );
        let policies: [&dyn Policy; 2] = [&haproxy, &envoy];
        for policy in policies {
            let mut guards = Vec::new();
            let mut words = || 0;
            for _ in 0..10 * n {
                let choice = policy.pick(&mut Pick::new(Duration::ZERO, &mut words).for_hash(hash)).unwrap();
                guards.push(pool.start(choice.index));
            }
            // One more than the bound for Envoy, whose endpoint is full only above it.
            let bound = (12.5_f64).ceil() as u32 + 2;
            for index in 0..n {
                prop_assert!(pool.load(index).active() <= bound, "{}", pool.load(index).active());
            }
        }
    }

    /// The order in which endpoints are listed does not matter, and coming and going leaves no trace.
    #[test]
    fn a_map_depends_on_the_set_alone(
        members in proptest::collection::btree_map(1..500_usize, 1..5_u32, 1..12),
        rotate in any::<proptest::sample::Index>(),
        hashes in proptest::collection::vec(any::<u64>(), 20),
    ) {
        let members: Vec<(usize, u32)> = members.into_iter().collect();
        let mut other = members.clone();
        other.rotate_left(rotate.index(members.len()));
        let (pool, rotated) = (pool(members.clone()), self::pool(other));
        for (name, build, _) in TABLES {
            // Turns of katran go by order, and so do the odd points of a ring and Traefik's equal scores.
            if matches!(name, "katran" | "ring") {
                continue;
            }
            let (a, b) = (build(&pool), build(&rotated));
            for &hash in &hashes {
                prop_assert_eq!(pool[a.lookup(hash).unwrap()], rotated[b.lookup(hash).unwrap()], "{}", name);
            }
        }
    }

    /// No weights make a table panic, endless or large, and what it answers is in the pool and has weight.
    #[test]
    fn any_weights_give_an_endpoint_with_weight_or_none(
        weights in proptest::collection::vec(prop_oneof![Just(0), 0..4_u32, Just(u32::MAX)], 0..7),
        hash in any::<u64>(),
        attempt in prop_oneof![0..5_u32, any::<u32>()],
        client in any::<std::net::IpAddr>(),
    ) {
        let pool = pool(weights.iter().copied().enumerate());
        let mut tables: Vec<Box<dyn HashTable>> = vec![
            Box::new(RingHash::new(&pool, &RingSettings::default().max_ring_size(4096)).unwrap()),
            Box::new(Maglev::new(&pool, 251).unwrap()),
            Box::new(Maglev::new(&pool, 251).unwrap().scaled()),
            Box::new(Katran::new(&pool, KatranVersion::V1, 251, |i| i as u64).unwrap()),
            Box::new(Katran::new(&pool, KatranVersion::V2, 251, |i| i as u64).unwrap()),
            Box::new(NginxHash::new(&pool)),
            Box::new(Jump::new(&pool)),
            Box::new(Rendezvous::new(&pool)),
            Box::new(TraefikHrw::new(&pool)),
        ];
        tables.extend(Ketama::new(&pool).ok().map(|table| Box::new(table) as Box<dyn HashTable>));
        tables.extend(RestyChash::new(&pool).ok().map(|table| Box::new(table) as Box<dyn HashTable>));
        let eligible = weights.iter().any(|&weight| weight > 0);
        for table in tables {
            let owner = table.attempt(hash, attempt);
            prop_assert_eq!(owner.is_some(), eligible);
            prop_assert!(owner.is_none_or(|owner| weights[owner] > 0));
        }
        let owner = IpHash::new(&pool).lookup(client, |_| true);
        prop_assert!(owner.is_none_or(|owner| weights[owner] > 0) && owner.is_some() == eligible);
    }

    /// Where the hash's own endpoint may not be used, another one is found as long as there is one.
    #[test]
    fn a_usable_endpoint_is_found_if_there_is_one(closed in proptest::collection::vec(any::<bool>(), 1..12), hash in any::<u64>()) {
        let pool = equal(closed.len());
        for (index, _) in closed.iter().enumerate().filter(|(_, closed)| **closed) {
            pool.load(index).close();
        }
        let bounded = BoundedHash::new(&pool, Jump::new(&pool), 150).unwrap();
        let policies: [&dyn Policy; 11] = [
            &ring(&pool, 64), &Maglev::new(&pool, 251).unwrap(), &Maglev::new(&pool, 251).unwrap().scaled(),
            &Ketama::new(&pool).unwrap(), &RestyChash::new(&pool).unwrap(), &NginxHash::new(&pool), &IpHash::new(&pool),
            &Jump::new(&pool), &Rendezvous::new(&pool), &BoundedRing::new(&pool, 150).unwrap(), &bounded,
        ];
        for policy in policies {
            let mut words = || hash;
            let mut pick = Pick::new(Duration::ZERO, &mut words).for_hash(hash);
            match policy.pick(&mut pick) {
                Ok(choice) => {
                    prop_assert!(!closed[choice.index]);
                    prop_assert!(matches!(choice.reason, Reason::Hash | Reason::HashFallback | Reason::HashSpilled));
                }
                Err(_) => prop_assert!(closed.iter().all(|&closed| closed)),
            }
        }
    }
}

/// nginx, pingora and lua-resty go on from point to point, and so do Envoy's further attempts; a heavy endpoint that is
/// closed has long runs of points, which must not end in one neighbour for all.
#[test]
fn rings_fail_over_clockwise_however_long_the_run_of_a_closed_endpoint() {
    let pool = pool([(1, 60), (2, 1), (3, 1)]);
    pool.load(0).close();
    let wide = |(hash, owner): (u32, usize)| (u64::from(hash), owner);
    let ketama = Ketama::new(&pool).unwrap();
    fails_over_clockwise(&ketama, &ketama.points().map(wide).collect::<Vec<_>>(), 32, false);
    let resty = RestyChash::new(&pool).unwrap();
    fails_over_clockwise(&resty, &resty.points().map(wide).collect::<Vec<_>>(), 32, true);
    let ring = ring(&pool, 62 * 160);
    fails_over_clockwise(&ring, &ring.points().collect::<Vec<_>>(), 64, false);
}

/// The first of three endpoints is closed. A hash of so many bits belongs to the next point or, if `below`, to the last
/// one not above it.
fn fails_over_clockwise(policy: &dyn Policy, points: &[(u64, usize)], bits: u32, below: bool) {
    let (mut words, mut taken) = (splitmix(9), [0; 3]);
    for _ in 0..10_000 {
        let hash = words() >> (64 - bits);
        let from = match below {
            true => points.partition_point(|&(point, _)| point <= hash).saturating_sub(1),
            false => points.partition_point(|&(point, _)| point < hash),
        };
        let mut clockwise = points.iter().cycle().skip(from).take(points.len()).map(|&(_, owner)| owner);
        let choice = policy.pick(&mut Pick::new(Duration::ZERO, &mut || 0).for_hash(hash)).unwrap();
        assert_eq!(Some(choice.index), clockwise.find(|&owner| owner != 0));
        taken[choice.index] += 1;
    }
    assert!(taken[1].min(taken[2]) > 3_000, "{taken:?}");
}

/// Tables without an order of their own share the keys of closed endpoints among all others.
#[test]
fn tables_share_out_the_keys_of_a_heavy_endpoint_that_is_closed() {
    let pool = pool([(1, 10_000), (2, 1), (3, 1)]);
    pool.load(0).close();
    let policies: [&dyn Policy; 4] =
        [&Maglev::new(&pool, 65_537).unwrap(), &Jump::new(&pool), &NginxHash::new(&pool), &IpHash::new(&pool)];
    for (number, policy) in policies.into_iter().enumerate() {
        let (mut words, mut taken) = (splitmix(9), [0; 3]);
        for _ in 0..10_000 {
            // As wide as a CRC-32.
            let hash = words() >> 32;
            let client = std::net::Ipv4Addr::from(hash as u32).into();
            let choice = policy.pick(&mut Pick::new(Duration::ZERO, &mut || 0).for_hash(hash).for_client(client));
            taken[choice.unwrap().index] += 1;
        }
        assert!(taken[1].min(taken[2]) > 3_000, "{number}: {taken:?}");
    }
}

/// The digest was recorded once; it must be the same in every build and on every machine.
#[test]
fn ten_thousand_mixed_look_ups_have_the_same_digest_everywhere() {
    let pool = pool(weighted(50));
    let tables: Vec<Box<dyn HashTable>> = TABLES.iter().map(|(_, build, _)| build(&pool)).collect();
    let mut words = splitmix(3);
    let digest = (0..10_000).fold(0xcbf2_9ce4_8422_2325_u64, |digest, _| {
        let table = &tables[(words() % tables.len() as u64) as usize];
        let (hash, attempt) = (words(), (words() % 4) as u32);
        (digest ^ table.attempt(hash, attempt).unwrap() as u64).wrapping_mul(0x0100_0000_01b3)
    });
    assert_eq!(digest, 0x3d319e2aae4490a3);
}

#[test]
fn no_look_up_and_no_pick_allocates() {
    let pool = pool(weighted(100));
    let bounded = BoundedHash::new(&pool, Maglev::new(&pool, 1021).unwrap(), 125).unwrap();
    let ring_of_bounds = BoundedRing::new(&pool, 125).unwrap();
    let tables: Vec<Box<dyn HashTable>> = TABLES.iter().map(|(_, build, _)| build(&pool)).collect();
    let policies: [&dyn Policy; 5] =
        [&bounded, &ring_of_bounds, &IpHash::new(&pool), &Rendezvous::new(&pool), &Maglev::new(&pool, 1021).unwrap()];
    // Some are busy and one is closed, so that the long ways are taken too.
    let _guards: Vec<_> = (0..500).map(|i| pool.start(i % 40)).collect();
    pool.load(3).close();
    let mut words = splitmix(5);
    let mut hashes = splitmix(6);
    let allocated = allocation_counter::measure(|| {
        for table in &tables {
            for attempt in 0..50 {
                table.attempt(hashes(), attempt % 3).unwrap();
            }
        }
        for policy in policies {
            for _ in 0..200 {
                policy.pick(&mut Pick::new(Duration::ZERO, &mut words).for_hash(hashes())).unwrap();
            }
        }
    });
    assert_eq!(allocated.count_total, 0);
}
