//! The one list of host names, read as this crate reads them; `route-match` keeps the list and reads it too.

use tls_sni::ServerName;

#[test]
fn every_name_of_the_list_is_what_the_list_says() {
    let mut count = 0;
    for line in include_str!("../../route-match/tests/hosts.txt").lines().filter(|line| !line.starts_with('#')) {
        let (text, expected) = line.split_once(" => ").unwrap();
        let text = text.replace("\\0", "\0").replace("\\s", " ");
        match text.parse::<ServerName>() {
            Ok(name) => assert_eq!(name.as_str(), expected, "{text:?}"),
            // An address is no server name (RFC 6066, 3).
            Err(_) => assert!(matches!(expected, "refused" | "address"), "{text:?}"),
        }
        count += 1;
    }
    assert!(count > 40);
}
