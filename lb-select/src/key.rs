//! Which endpoint is this, across updates of the pool?

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::fmt;
use core::net::SocketAddr;

/// The name of an endpoint: bytes that stay the same while everything else about it may change.
///
/// The usual key is the address, `ip:port` or `[ip6]:port`, which is what a [`SocketAddr`] converts to. Keys are
/// ordered by their bytes. Cloning shares the bytes and does not allocate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<[u8]>);

impl Key {
    /// The bytes of the key, as they were given.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<SocketAddr> for Key {
    fn from(addr: SocketAddr) -> Self {
        addr.to_string().into()
    }
}

// `Borrow` promises that keys hash and compare as their bytes do, which the derived traits keep.
impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Bytes that are not printable ASCII appear escaped, as in `\xff`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn an_address_becomes_ip_port_with_brackets_for_ipv6() {
        let key = |text: &str| Key::from(text.parse::<SocketAddr>().unwrap());
        assert_eq!(key("10.0.0.1:80"), Key::from("10.0.0.1:80"));
        assert_eq!(key("[fd00:0::1]:80"), Key::from("[fd00::1]:80"));
    }

    #[test]
    fn bytes_that_are_not_text_are_shown_escaped() {
        assert_eq!(format!("{} {:?}", Key::from(&b"a\xff"[..]), Key::from("b")), "a\\xff \"b\"");
    }
}
