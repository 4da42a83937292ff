//! Texts where addresses are expected: the laws that the fuzz targets `addresses` and `source_ranges` check too.

#[path = "laws/addresses.rs"]
mod addresses;
#[path = "laws/source_ranges.rs"]
mod source_ranges;

use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;

/// Texts that are addresses, nearly are, or are not.
fn address() -> impl Strategy<Value = String> {
    let octet = prop_oneof![4 => "0{0,2}[0-9]{1,3}", 1 => "[0-9a-f]{0,3}"];
    prop_oneof![
        4 => any::<IpAddr>().prop_map(|addr| addr.to_string()),
        2 => any::<[u8; 4]>().prop_map(|octets| Ipv6Addr::from(u128::from(u32::from_be_bytes(octets)) | 0xffff << 32).to_string()),
        3 => prop::collection::vec(octet, 3..6).prop_map(|octets| octets.join(".")),
        2 => prop::sample::select(vec![
            "", "127.0.0.1", "169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1", "ff02::1",
            "10.96.0.1", "010.096.000.001", "::ffff:010.0.0.1", "fe80::1%eth0", "192.168.0.1", "172.30.0.1", "203.0.113.7",
            "None", "db.example.com", "10.0.0.1\n",
        ]).prop_map(str::to_owned),
        1 => "[0-9a-f.:]{0,20}",
        1 => "\\PC{0,12}",
    ]
}

fn range() -> impl Strategy<Value = String> {
    let length =
        prop_oneof![6 => (0u8..=128).prop_map(|length| length.to_string()), 1 => "0{0,3}[0-9]{0,4}", 1 => "\\PC{0,3}"];
    let blank = prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\t\n")];
    (blank, address(), length).prop_map(|(blank, addr, length)| format!("{blank}{addr}/{length}{blank}"))
}

fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn addresses_mean_the_same_wherever_they_stand(texts in prop::collection::vec(prop_oneof![4 => address(), 1 => range()], 0..8)) {
        addresses::hold(&refs(&texts));
    }

    #[test]
    fn source_ranges_let_in_whom_they_name(texts in prop::collection::vec(prop_oneof![4 => range(), 1 => address()], 0..5)) {
        source_ranges::hold(&refs(&texts));
    }
}
