//! The one list of host names, read as this crate reads them; `tls-sni` reads the same list.

use route_match::{Authority, Host, HostPattern, Request, RouterBuilder, Rule};

#[test]
fn every_name_of_the_list_is_what_the_list_says() {
    let mut count = 0;
    for line in include_str!("hosts.txt").lines().filter(|line| !line.starts_with('#')) {
        let (text, expected) = line.split_once(" => ").unwrap();
        let text = text.replace("\\0", "\0").replace("\\s", " ");
        match (text.parse::<Host>(), expected) {
            (Ok(host), "address") => assert!(!host.is_name(), "{text:?}"),
            (Ok(host), _) => assert_eq!((host.as_str(), host.is_name()), (expected, true), "{text:?}"),
            (Err(_), _) => assert_eq!(expected, "refused", "{text:?}"),
        }
        // An authority trims blanks, as header values are trimmed; nothing else makes it differ.
        if text.trim() == text && !text.contains(':') {
            let same = Authority::parse(&text).ok().map(Authority::into_host) == text.parse::<Host>().ok();
            assert!(same, "{text:?}");
        }
        count += 1;
    }
    assert!(count > 40);
}

#[test]
fn names_have_at_most_253_bytes() {
    let longest = format!("{}a", "a.".repeat(126));
    assert_eq!(longest.len(), 253);
    assert!(longest.parse::<Host>().is_ok() && format!("{longest}.").parse::<Host>().is_ok());
    assert!(format!("{longest}b").parse::<Host>().is_err());
}

#[test]
fn cve_2022_23632_and_2021_39155_spellings_of_a_host_meet_the_same_rules() {
    let mut builder = RouterBuilder::new();
    let pattern: HostPattern = "Secure.Example.".parse().unwrap();
    builder.rule(pattern, Rule::new((), route_match::PathPattern::any(), "secure"));
    let router = builder.build();
    for spelling in ["secure.example", "SECURE.example.", "secure.example:443"] {
        let authority = Authority::parse(spelling).unwrap();
        let request = Request::new(Some(authority.host()), "/");
        assert_eq!(router.find(&request).map(|found| *found.value()), Some("secure"), "{spelling}");
    }
}
