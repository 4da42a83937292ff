//! Any bytes as a cookie header, a query, the name of an endpoint and a session.
#![no_main]

use lb_select::cookie::{Meaning, NameCookie, Session, SessionPersistence, cookies};
use lb_select::{Pool, query_parameter};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|raw: &[u8]| {
    for (name, value) in cookies(raw) {
        assert!(name.len() + value.len() < raw.len());
        assert!(!name.contains(&b'=') && !value.contains(&b';'));
    }
    if let Some(value) = query_parameter(raw, b"a") {
        assert!(value.len() < raw.len() && !value.contains(&b'&'));
    }
    let pool = Pool::builder().endpoint("10.0.0.1:80", ()).endpoint(raw, ()).build();
    if let Ok(pool) = pool {
        for names in [NameCookie::plain(&pool), NameCookie::traefik(&pool), NameCookie::opaque(&pool, b"secret")] {
            let value = names.value(1).expect("there are two");
            assert_eq!(names.read(value.as_bytes()).map(|Meaning { index, .. }| index), Some(1));
            let _ = names.read(raw);
        }
        let session = Session::new(raw, Duration::from_secs(1));
        let settings = SessionPersistence::default();
        assert_eq!(Session::resume(session.encode(b"s").as_bytes(), b"s", Duration::ZERO, &settings), Ok(session));
    }
    assert!(Session::resume(raw, b"another secret", Duration::ZERO, &SessionPersistence::default()).is_err());
});
