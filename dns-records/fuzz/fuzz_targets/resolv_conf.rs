//! Any resolv.conf and any name: the search ends, and asks no more than the list allows.
#![no_main]

use dns_records::resolv::ResolvConf;
use dns_records::search::{Heard, ResolverKind, Search};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (name, text) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(mut conf) = text.parse::<ResolvConf>() else { return };
    conf.limit();
    assert_eq!(conf.to_string().parse().as_ref(), Ok(&conf));
    for kind in [ResolverKind::Glibc, ResolverKind::Musl, ResolverKind::Go] {
        if let Ok(search) = Search::new(name, &conf, kind) {
            assert!(search.walk(|_| Heard::NoName).names.len() <= conf.searches.len() + 1);
        }
    }
});
