//! Cookies and headers that name an endpoint, and the layer that obeys them.
//!
//! | cookie | value | read by |
//! | --- | --- | --- |
//! | [`NameCookie::plain`] | the endpoint's key itself (HAProxy's server name, Envoy's override host) | anyone |
//! | [`NameCookie::traefik`] | 16 digits of SHA-256 of the key | Traefik; its older forms are read as well |
//! | [`NameCookie::ingress_nginx`] | MD5 of backend and key, and a mark of the backend | ingress-nginx, `persistent` |
//! | [`NameCookie::signed`] | the key and an HMAC of it | who has the secret; shows the key |
//! | [`NameCookie::opaque`] | an HMAC of the key | who has the secret; shows nothing |
//!
//! A [`NameCookie`] turns endpoints into values and values into endpoints. [`Named`] is a layer that sends a request where
//! its value says. [`cookies`] reads a `Cookie` header, [`SetCookie`] writes a `Set-Cookie` header, and [`Session`] keeps the
//! times of a session that must end.

mod header;
mod name;
mod named;
mod session;
mod set_cookie;

pub use header::cookies;
pub use name::{Meaning, NameCookie, ingress_nginx_backend_key, ingress_nginx_key, traefik_key, traefik_legacy_keys};
pub use named::{Named, NamedMode, NamedSettings};
pub use session::{LifetimeType, Session, SessionError, SessionPersistence, SessionType};
pub use set_cookie::{SameSite, SetCookie};

/// Bytes as lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> alloc::string::String {
    use core::fmt::Write as _;
    let mut text = alloc::string::String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
    }
    text
}

/// An HMAC-SHA-256 (RFC 2104) over parts one after the other.
fn mac(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    use hmac::{KeyInit as _, Mac as _};
    // An HMAC takes a key of any length.
    let Ok(mut mac) = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Whether two values are equal, in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
