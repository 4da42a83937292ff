//! Addresses as the peers take them into a hash.

use core::fmt::{self, Write as _};
use core::net::IpAddr;

/// An address in 32 bits, as IPVS folds one: an IPv6 address is the exclusive or of its four words. An IPv4 address in IPv6
/// form counts as IPv4, which is what the kernel sees of a packet.
pub(crate) fn fold(address: IpAddr) -> u32 {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(v6) => (0..4).fold(0, |fold, word| fold ^ (v6.to_bits() >> (32 * word)) as u32),
    }
}

/// An address as text, without allocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text {
    bytes: [u8; 48],
    len: usize,
}

impl Text {
    pub(crate) fn new(address: IpAddr) -> Self {
        let mut text = Self { bytes: [0; 48], len: 0 };
        // The longest address takes 45 bytes. Were it longer, its end would be missing.
        let _ = write!(text, "{address}");
        text
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.len + part.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(part.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn the_longest_address_fits() {
        for text in ["10.0.0.1", "2001:db8::5", "1111:2222:3333:4444:5555:6666:7777:8888", "::ffff:255.255.255.255"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(Text::new(address).as_bytes(), address.to_string().as_bytes());
        }
    }

    #[test]
    fn words_of_ipv6_fold_and_mapped_ipv4_is_ipv4() {
        assert_eq!(fold("1:0:2:0:4:0:8:0".parse().unwrap()), 0x000f_0000);
        assert_eq!(fold("::ffff:10.0.0.1".parse().unwrap()), 0x0a00_0001);
    }
}
