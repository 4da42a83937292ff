//! Deterministic workloads: route tables of three sizes, requests that hit and requests that miss.

/// Seed of every generator.
const SEED: u64 = 0x5eed_0001;
/// How many requests are drawn over a route table.
pub(crate) const REQUESTS: usize = 16_384;

/// SplitMix64: one 64-bit add, two multiplies, three xor-shifts; passes BigCrush.
#[derive(Clone, Debug)]
struct Rng(u64);

impl Rng {
    fn new(seed: u64) -> Self {
        Rng(seed)
    }
    #[inline]
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Uniform in `0..n` by the multiply-shift reduction (bias below 2^-40 for the sizes used here).
    #[inline]
    fn below(&mut self, n: usize) -> usize {
        ((self.next() as u128 * n as u128) >> 64) as usize
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PathKind {
    /// The whole path must be equal.
    Exact,
    /// Segment-wise prefix: `/a` matches `/a`, `/a/` and `/a/b`, not `/ab`.
    Prefix,
}

#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Exact host, or `*.suffix`, which stands for exactly one more label.
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) kind: PathKind,
    pub(crate) id: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) host: String,
    pub(crate) path: String,
    /// The route that must win: exact host before wildcard host, exact path before the longest prefix.
    pub(crate) expect: Option<u32>,
    /// How many bytes of `path` the winning rule's path covers (0 for a miss).
    pub(crate) matched_len: usize,
    /// The request host's wildcard form when the winning host is a wildcard (`suffix` after the first dot).
    pub(crate) by_wildcard: bool,
}

/// The three table sizes used everywhere: (routes, hosts, paths per host).
pub(crate) const ROUTE_SIZES: [(usize, usize, usize); 3] = [(10, 2, 5), (1_000, 50, 20), (100_000, 1_000, 100)];

const WORDS: [&str; 10] = ["orders", "users", "carts", "items", "search", "admin", "static", "auth", "pay", "ship"];

fn word(j: usize) -> String {
    if j < 10 { WORDS[j].to_string() } else { format!("{}{}", WORDS[j % 10], j / 10) }
}

/// Host `i` of `hosts`: every 20th (i % 20 == 19, hence 5 %) is a wildcard in a zone of its own,
/// the others are spread over 50 teams so that they share long suffixes.
fn host_name(i: usize) -> String {
    if i % 20 == 19 { format!("*.w{i}.apps.example.org") } else { format!("svc{i}.team{}.example.com", i % 50) }
}

/// Path `j` of a host. In every group of four: a prefix `/api/vN/W`, a deeper prefix below it
/// `/api/vN/W/X`, an exact `/W/health`, and the prefix `/W` that the exact one overlaps.
/// 25 % exact, 75 % prefix; on average two candidates share the first segments of a request.
fn path_rule(j: usize) -> (String, PathKind) {
    let g = j / 4 * 4;
    let v = 1 + (j / 4) % 3;
    match j % 4 {
        0 => (format!("/api/v{v}/{}", word(g)), PathKind::Prefix),
        1 => (format!("/api/v{v}/{}/{}", word(g), word(g + 1)), PathKind::Prefix),
        2 => (format!("/{}/health", word(g)), PathKind::Exact),
        _ => (format!("/{}", word(g)), PathKind::Prefix),
    }
}

pub(crate) fn routes(hosts: usize, paths: usize) -> Vec<Route> {
    let mut out = Vec::with_capacity(hosts * paths);
    for i in 0..hosts {
        for j in 0..paths {
            let (path, kind) = path_rule(j);
            out.push(Route { host: host_name(i), path, kind, id: out.len() as u32 });
        }
    }
    out
}

fn concrete_host(pattern: &str, r: &mut Rng) -> String {
    match pattern.strip_prefix("*.") {
        Some(s) => format!("t{}.{s}", r.below(1000)),
        None => pattern.to_string(),
    }
}

/// `m` requests that all match: a uniformly drawn route; an exact rule is asked for literally, a
/// prefix rule with 0, 1 or 2 further segments `sNN`, which no rule of the table contains.
pub(crate) fn hits(table: &[Route], m: usize) -> Vec<Request> {
    let mut r = Rng::new(SEED ^ 3);
    (0..m)
        .map(|_| {
            let t = &table[r.below(table.len())];
            let host = concrete_host(&t.host, &mut r);
            let mut path = t.path.clone();
            if t.kind == PathKind::Prefix {
                for _ in 0..r.below(3) {
                    path.push_str(&format!("/s{}", r.below(100)));
                }
            }
            Request { host, path, expect: Some(t.id), matched_len: t.path.len(), by_wildcard: t.host.starts_with("*.") }
        })
        .collect()
}

/// `m` requests that match nothing: half an unknown host, half a known host with an unknown path
/// (`/zzNN/q` at the root, or `/api/v9/...` below a prefix that all share).
pub(crate) fn misses(table: &[Route], m: usize) -> Vec<Request> {
    let mut r = Rng::new(SEED ^ 4);
    (0..m)
        .map(|k| {
            let t = &table[r.below(table.len())];
            let (host, path) = if k % 2 == 0 {
                (format!("nohost{}.team{}.example.com", r.below(100_000), r.below(50)), t.path.clone())
            } else if k % 4 == 1 {
                (concrete_host(&t.host, &mut r), format!("/zz{}/q", r.below(100)))
            } else {
                (concrete_host(&t.host, &mut r), format!("/api/v9/{}", word(r.below(100))))
            };
            Request { host, path, expect: None, matched_len: 0, by_wildcard: false }
        })
        .collect()
}
