//! What does a cookie call an endpoint?

use super::{hex, mac, same};
use crate::hash::{fnv1, xxh64};
use crate::{Key, Pool};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use md5::Digest as _;

/// Traefik's name of a server: the first 16 hexadecimal digits of SHA-256 of its URL (or name).
pub fn traefik_key(url: &[u8]) -> String {
    hex(&sha2::Sha256::digest(url)[..8])
}

/// The forms in which older versions of Traefik named a server, and which it still accepts: the URL itself, its FNV-1 in
/// hexadecimal, and the FNV-1 of that.
pub fn traefik_legacy_keys(url: &str) -> [String; 3] {
    let fnv = |text: &str| format!("{:x}", fnv1(text.as_bytes()));
    let once = fnv(url);
    let twice = fnv(&once);
    [url.into(), once, twice]
}

/// ingress-nginx's name of an endpoint with `affinity-mode: persistent`: MD5 of the backend's name followed by `ip:port`.
pub fn ingress_nginx_key(backend: &str, endpoint: &[u8]) -> String {
    hex(&md5::Md5::new().chain_update(backend).chain_update(endpoint).finalize())
}

/// What ingress-nginx puts into a cookie after a `|`, so that it is not valid for another backend: MD5 of the MD5 of the
/// backend's name (in hexadecimal) followed by the name.
pub fn ingress_nginx_backend_key(backend: &str) -> String {
    hex(&md5::Md5::new().chain_update(hex(&md5::Md5::digest(backend))).chain_update(backend).finalize())
}

/// What a value says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Meaning {
    /// The index of the endpoint it names.
    pub index: usize,
    /// Whether it does so in an older form, and should be sent anew.
    pub rewrite: bool,
}

/// The names of a pool's endpoints in a cookie or header, both ways.
///
/// ```
/// use lb_select::{Pool, cookie::NameCookie};
///
/// let pool = Pool::builder().endpoint("first", ()).endpoint("second", ()).build()?;
/// let names = NameCookie::traefik(&pool);
/// assert_eq!(names.value(1), Some("16367aacb67a4a01"));
/// assert_eq!(names.read(b"16367aacb67a4a01").map(|meaning| meaning.index), Some(1));
/// assert_eq!(names.read(b"second").map(|meaning| meaning.rewrite), Some(true)); // an older form
/// # Ok::<(), lb_select::PoolError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct NameCookie {
    /// By endpoint.
    values: Box<[String]>,
    /// Every value and older form, sorted.
    meanings: Box<[Form]>,
}

/// A value, the endpoint it names, and whether it is an older form.
type Form = (Box<[u8]>, u32, bool);

impl core::fmt::Debug for NameCookie {
    /// Values stay unseen: they let a client choose its endpoint.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("NameCookie").field("endpoints", &self.values.len()).finish_non_exhaustive()
    }
}

impl NameCookie {
    /// The key of the endpoint as it is. Bytes that are not text are escaped as in `\xff`.
    pub fn plain<E>(pool: &Pool<E>) -> Self {
        Self::of(pool, |key| (format!("{key}"), Vec::new()))
    }

    /// Traefik's names. Older forms are read, and are to be rewritten.
    pub fn traefik<E>(pool: &Pool<E>) -> Self {
        Self::of(pool, |key| (traefik_key(key.as_bytes()), traefik_legacy_keys(&format!("{key}")).into()))
    }

    /// ingress-nginx's names in the mode `persistent`, with the mark of the backend.
    pub fn ingress_nginx<E>(pool: &Pool<E>, backend: &str) -> Self {
        let mark = ingress_nginx_backend_key(backend);
        Self::of(pool, |key| (format!("{}|{mark}", ingress_nginx_key(backend, key.as_bytes())), Vec::new()))
    }

    /// The key and a mark that only the holder of the secret can make: `key.` and 32 hexadecimal digits of HMAC-SHA-256.
    /// Shows the key to the client.
    pub fn signed<E>(pool: &Pool<E>, secret: &[u8]) -> Self {
        Self::of(pool, |key| (format!("{key}.{}", hex(&mac(secret, &[b"signed\0", key.as_bytes()])[..16])), Vec::new()))
    }

    /// 32 hexadecimal digits of HMAC-SHA-256 of the key: tells a client nothing, and cannot be guessed without the secret.
    pub fn opaque<E>(pool: &Pool<E>, secret: &[u8]) -> Self {
        Self::of(pool, |key| (hex(&mac(secret, &[b"opaque\0", key.as_bytes()])[..16]), Vec::new()))
    }

    /// 16 hexadecimal digits of xxHash64 of the key: short, but anyone can make one.
    pub fn hashed<E>(pool: &Pool<E>) -> Self {
        Self::of(pool, |key| (format!("{:016x}", xxh64(key.as_bytes(), 0)), Vec::new()))
    }

    /// Values and older forms that the caller makes from keys. If two endpoints have the same, the first is meant; a
    /// present form goes before an older one. O(n log n).
    pub fn of<E>(pool: &Pool<E>, mut forms: impl FnMut(&Key) -> (String, Vec<String>)) -> Self {
        let mut values = Vec::with_capacity(pool.len());
        let mut meanings: Vec<Form> = Vec::new();
        for (index, endpoint) in pool.iter().enumerate() {
            let (value, older) = forms(endpoint.key);
            let index = index as u32; // a pool has fewer than 2^32 endpoints
            meanings.push((Box::from(value.as_bytes()), index, false));
            meanings.extend(older.iter().map(|form| (Box::from(form.as_bytes()), index, true)));
            values.push(value);
        }
        meanings.sort_by(|(a, i, old), (b, j, older)| a.cmp(b).then(old.cmp(older)).then(i.cmp(j)));
        meanings.dedup_by(|(later, ..), (earlier, ..)| later == earlier);
        Self { values: values.into(), meanings: meanings.into() }
    }

    /// The value that names the endpoint at this index. O(1).
    pub fn value(&self, index: usize) -> Option<&str> {
        self.values.get(index).map(String::as_str)
    }

    /// What a value of a cookie or header says; `None` if it names no endpoint of the pool. O(log n), no allocation.
    ///
    /// The search tells by its time how far a guess agrees with some value; the last comparison does not. Values of 128 bits
    /// are out of reach either way.
    pub fn read(&self, value: &[u8]) -> Option<Meaning> {
        let at = self.meanings.partition_point(|(known, ..)| **known < *value);
        let (known, index, rewrite) = self.meanings.get(at)?;
        same(known, value).then_some(Meaning { index: *index as usize, rewrite: *rewrite })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn pool(keys: &[&str]) -> Pool<()> {
        keys.iter().fold(Pool::builder(), |pool, &key| pool.endpoint(key, ())).build().unwrap()
    }

    #[test]
    fn a_mark_of_another_backend_or_secret_is_not_valid() {
        let pool = pool(&["10.0.0.1:80", "10.0.0.2:80"]);
        for (good, bad) in [
            (NameCookie::ingress_nginx(&pool, "a"), NameCookie::ingress_nginx(&pool, "b")),
            (NameCookie::signed(&pool, b"s"), NameCookie::signed(&pool, b"t")),
            (NameCookie::opaque(&pool, b"s"), NameCookie::opaque(&pool, b"t")),
        ] {
            let value = good.value(1).unwrap();
            assert_eq!(good.read(value.as_bytes()), Some(Meaning { index: 1, rewrite: false }));
            assert_eq!(bad.read(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn an_older_form_never_goes_before_a_present_one() {
        // The second endpoint is called what the first is called now.
        let now = traefik_key(b"first");
        let names = NameCookie::traefik(&pool(&["first", &now]));
        assert_eq!(names.read(now.as_bytes()), Some(Meaning { index: 0, rewrite: false }));
    }

    #[test]
    fn values_are_not_shown_by_debug() {
        let names = NameCookie::opaque(&pool(&["a"]), b"secret");
        assert!(!format!("{names:?}").contains(names.value(0).unwrap()));
    }

    proptest! {
        #[test]
        fn a_value_names_its_endpoint_and_nothing_else_does(
            keys in proptest::collection::btree_set("[a-z:.0-9]{1,9}", 1..8),
            other in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let pool = pool(&keys);
            for names in [
                NameCookie::plain(&pool), NameCookie::traefik(&pool), NameCookie::ingress_nginx(&pool, "b"),
                NameCookie::signed(&pool, b"s"), NameCookie::opaque(&pool, b"s"), NameCookie::hashed(&pool),
            ] {
                let values: Vec<String> = (0..pool.len()).map(|index| names.value(index).unwrap().to_string()).collect();
                for (index, value) in values.iter().enumerate() {
                    prop_assert_eq!(names.read(value.as_bytes()), Some(Meaning { index, rewrite: false }));
                    let mut longer = value.clone().into_bytes();
                    longer.push(0);
                    prop_assert_eq!(names.read(&longer), None);
                }
                if let Some(Meaning { index, rewrite: false }) = names.read(&other) {
                    prop_assert_eq!(values[index].as_bytes(), &other[..]);
                }
            }
        }
    }
}
