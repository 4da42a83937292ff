//! Deterministic workloads: names of certificates, server names to ask for, ClientHellos.

/// Seed of every generator unless the caller says otherwise.
pub const SEED: u64 = 0x5eed_0001;
/// How many names are drawn over a table.
pub const REQUESTS: usize = 16_384;

/// SplitMix64: one 64-bit add, two multiplies, three xor-shifts; passes BigCrush.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }
    #[inline]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Uniform in `0..n` by the multiply-shift reduction (bias below 2^-40 for the sizes used here).
    #[inline]
    pub fn below(&mut self, n: usize) -> usize {
        ((self.next() as u128 * n as u128) >> 64) as usize
    }
}

/// `n` certificate names: 95 % exact `hI.zJ.example.com` (97 zones), 5 % `*.wI.example.org`.
pub fn sni_names(n: usize) -> Vec<String> {
    (0..n)
        .map(|i| if i % 20 == 19 { format!("*.w{i}.example.org") } else { format!("h{i}.z{}.example.com", i % 97) })
        .collect()
}

/// `m` server names to ask for: (name, index of the certificate). `kind` 0 = exact hit,
/// 1 = served by a wildcard, 2 = a miss in a zone that exists.
pub fn sni_queries(names: &[String], m: usize, kind: u8) -> Vec<(String, Option<u32>)> {
    let mut r = Rng::new(SEED ^ 5 ^ ((kind as u64) << 32));
    let pick: Vec<usize> = (0..names.len()).filter(|i| names[*i].starts_with("*.") == (kind == 1)).collect();
    (0..m)
        .map(|_| {
            let i = pick[r.below(pick.len())];
            match kind {
                0 => (names[i].clone(), Some(i as u32)),
                1 => (format!("t{}{}", r.below(1000), &names[i][1..]), Some(i as u32)),
                _ => (format!("q{}.z{}.example.com", r.below(1_000_000), i % 97), None),
            }
        })
        .collect()
}

/// The two shapes of ClientHello that arrive: a service client's (five suites, eight extensions,
/// one X25519 share, roughly 230 bytes) and a browser's with GREASE, a hybrid post-quantum key
/// share of 1216 + 32 bytes, an ECH placeholder and a session ticket (roughly 2 KiB).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hello {
    Small,
    Browser,
}

/// One TLS record holding a whole ClientHello for `sni` with ALPN h2, http/1.1.
pub fn client_hello(sni: &str, shape: Hello) -> Vec<u8> {
    fn ext(out: &mut Vec<u8>, ty: u16, body: &[u8]) {
        out.extend_from_slice(&ty.to_be_bytes());
        out.extend_from_slice(&(body.len() as u16).to_be_bytes());
        out.extend_from_slice(body);
    }
    fn fill(r: &mut Rng, n: usize) -> Vec<u8> {
        (0..n).map(|_| r.next() as u8).collect()
    }
    let mut r = Rng::new(SEED ^ 6);
    let browser = shape == Hello::Browser;

    let mut name = Vec::new();
    name.extend_from_slice(&((sni.len() + 3) as u16).to_be_bytes());
    name.push(0);
    name.extend_from_slice(&(sni.len() as u16).to_be_bytes());
    name.extend_from_slice(sni.as_bytes());
    let alpn = b"\x00\x0c\x02h2\x08http/1.1";

    let mut e = Vec::new();
    if browser {
        ext(&mut e, 0x1a1a, &[]); // GREASE first
        // browsers permute the rest; the name comes in the middle here
        ext(&mut e, 23, &[]);
        ext(&mut e, 65281, &[0]);
        ext(&mut e, 18, &[]);
        ext(&mut e, 5, &[1, 0, 0, 0, 0]);
        let mut ks = Vec::new();
        ks.extend_from_slice(&[0x2a, 0x2a, 0, 1, 0]);
        ks.extend_from_slice(&[0x11, 0xec, 0x04, 0xc0]);
        ks.extend_from_slice(&fill(&mut r, 1216));
        ks.extend_from_slice(&[0, 0x1d, 0, 32]);
        ks.extend_from_slice(&fill(&mut r, 32));
        let mut body = (ks.len() as u16).to_be_bytes().to_vec();
        body.extend_from_slice(&ks);
        ext(&mut e, 51, &body);
        ext(&mut e, 0, &name);
        ext(&mut e, 10, &[0, 10, 0x2a, 0x2a, 0x11, 0xec, 0, 0x1d, 0, 0x17, 0, 0x18]);
        ext(&mut e, 16, alpn);
        ext(&mut e, 13, &[0, 16, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1]);
        ext(&mut e, 11, &[1, 0]);
        ext(&mut e, 43, &[6, 0x3a, 0x3a, 3, 4, 3, 3]);
        ext(&mut e, 45, &[1, 1]);
        ext(&mut e, 27, &[2, 0, 2]);
        ext(&mut e, 35, &fill(&mut r, 192)); // session ticket
        ext(&mut e, 17613, &[0, 3, 2, b'h', b'2']);
        let mut ech = vec![0, 0, 1, 0, 1, 7, 0, 32];
        ech.extend_from_slice(&fill(&mut r, 32));
        ech.extend_from_slice(&[0, 208]);
        ech.extend_from_slice(&fill(&mut r, 208));
        ext(&mut e, 0xfe0d, &ech);
        ext(&mut e, 0x3a3a, &[0]);
    } else {
        ext(&mut e, 43, &[4, 3, 4, 3, 3]);
        ext(&mut e, 10, &[0, 6, 0, 0x1d, 0, 0x17, 0, 0x18]);
        ext(&mut e, 11, &[1, 0]);
        ext(&mut e, 13, &[0, 16, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1]);
        ext(&mut e, 23, &[]);
        ext(&mut e, 0, &name);
        let mut ks = vec![0, 36, 0, 0x1d, 0, 32];
        ks.extend_from_slice(&fill(&mut r, 32));
        ext(&mut e, 51, &ks);
        ext(&mut e, 45, &[1, 1]);
        ext(&mut e, 16, alpn);
    }

    let suites: &[u8] = if browser {
        &[
            0x4a, 0x4a, 0x13, 1, 0x13, 2, 0x13, 3, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0xcc, 0xa9, 0xcc,
            0xa8, 0xc0, 0x13, 0xc0, 0x14, 0, 0x9c, 0, 0x9d, 0, 0x2f, 0, 0x35,
        ]
    } else {
        &[0x13, 2, 0x13, 1, 0x13, 3, 0xc0, 0x2c, 0xc0, 0x2b]
    };
    let mut b = vec![3, 3];
    b.extend_from_slice(&fill(&mut r, 32));
    b.push(32);
    b.extend_from_slice(&fill(&mut r, 32));
    b.extend_from_slice(&(suites.len() as u16).to_be_bytes());
    b.extend_from_slice(suites);
    b.extend_from_slice(&[1, 0]);
    b.extend_from_slice(&(e.len() as u16).to_be_bytes());
    b.extend_from_slice(&e);

    let mut rec = vec![22, 3, 1];
    rec.extend_from_slice(&((b.len() + 4) as u16).to_be_bytes());
    rec.push(1);
    rec.extend_from_slice(&(b.len() as u32).to_be_bytes()[1..]);
    rec.extend_from_slice(&b);
    rec
}
