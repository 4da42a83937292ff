//! Which client or destination is this? An address as one number, by its first bits if those are all that counts.

use core::net::{IpAddr, Ipv6Addr};

/// An IPv4 address and its IPv4-mapped IPv6 form, which a dual-stack socket reports, have the same bits.
pub(crate) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address that has these bits, IPv4 for mapped ones.
pub(crate) fn from_bits(bits: u128) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_bits(bits)).to_canonical()
}

/// The bits with all after the prefix 0: of so many bits for IPv4, mapped or not, and so many for IPv6. A prefix longer
/// than the address is the whole address.
pub(crate) fn masked(address: IpAddr, ipv4_prefix: u8, ipv6_prefix: u8) -> u128 {
    let prefix = match address.to_canonical() {
        IpAddr::V4(_) => 96 + u32::from(ipv4_prefix.min(32)),
        IpAddr::V6(_) => u32::from(ipv6_prefix.min(128)),
    };
    bits(address) & u128::MAX.checked_shl(128 - prefix).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(address: &str, ipv4_prefix: u8, ipv6_prefix: u8) -> u128 {
        masked(address.parse().unwrap(), ipv4_prefix, ipv6_prefix)
    }

    #[test]
    fn a_prefix_makes_one_client_of_a_network_and_families_stay_apart() {
        assert_eq!(mask("192.0.2.1", 24, 128), mask("192.0.2.200", 24, 0));
        assert_eq!(mask("192.0.2.1", 24, 128), mask("::ffff:192.0.2.200", 24, 0));
        assert_ne!(mask("192.0.2.1", 24, 128), mask("192.0.3.1", 24, 128));
        assert_ne!(mask("192.0.2.1", 0, 0), mask("2001:db8::1", 0, 0));
        assert_eq!(mask("2001:db8::1", 0, 64), mask("2001:db8::2", 0, 64));
        assert_ne!(mask("2001:db8::1", 0, 255), mask("2001:db8::2", 0, 255));
    }
}
