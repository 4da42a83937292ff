//! When does a session end? Gateway API's session persistence, and a signed value that remembers its times.

use super::{hex, mac, same};
use crate::Key;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// What carries a session: `sessionPersistence.type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SessionType {
    /// A cookie.
    #[default]
    Cookie,
    /// A header, which must have a name.
    Header,
}

/// How long a cookie lives: `sessionPersistence.cookieConfig.lifetimeType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LifetimeType {
    /// As long as the browser's session.
    #[default]
    Session,
    /// As long as the absolute timeout says.
    Permanent,
}

/// Gateway API's `sessionPersistence` (GEP-1619).
///
/// Persistence goes before weights, even weight 0, which only place new sessions; see [`Named`](super::Named).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct SessionPersistence {
    /// The name of the cookie or header; `None` for one that the implementation chooses.
    pub session_name: Option<String>,
    /// Cookie or header.
    #[cfg_attr(feature = "serde", serde(rename = "type"))]
    pub session_type: SessionType,
    /// A session ends so long after it began.
    pub absolute_timeout: Option<Duration>,
    /// A session ends so long after its last request.
    pub idle_timeout: Option<Duration>,
    /// How long a cookie lives.
    pub lifetime_type: LifetimeType,
}

impl SessionPersistence {
    /// The path of a cookie, if nothing else is said.
    pub const DEFAULT_PATH: &'static str = "/";

    /// The same with this [`session_name`](Self#structfield.session_name).
    #[must_use]
    pub fn session_name(self, name: impl Into<String>) -> Self {
        Self { session_name: Some(name.into()), ..self }
    }

    /// The same with this [`session_type`](Self#structfield.session_type).
    #[must_use]
    pub fn session_type(self, session_type: SessionType) -> Self {
        Self { session_type, ..self }
    }

    /// The same with this [`absolute_timeout`](Self#structfield.absolute_timeout).
    #[must_use]
    pub fn absolute_timeout(self, timeout: Duration) -> Self {
        Self { absolute_timeout: Some(timeout), ..self }
    }

    /// The same with this [`idle_timeout`](Self#structfield.idle_timeout).
    #[must_use]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        Self { idle_timeout: Some(timeout), ..self }
    }

    /// The same with this [`lifetime_type`](Self#structfield.lifetime_type).
    #[must_use]
    pub fn lifetime_type(self, lifetime_type: LifetimeType) -> Self {
        Self { lifetime_type, ..self }
    }

    /// What is valid for a request: the route rule's, or else the backend policy's, never a mixture.
    pub fn effective<'a>(route: Option<&'a Self>, backend: Option<&'a Self>) -> Option<&'a Self> {
        route.or(backend)
    }

    /// Whether the settings can be meant.
    ///
    /// # Errors
    /// Fails for a header without a name, and for a permanent cookie without an absolute timeout.
    pub fn validate(&self) -> Result<(), SessionError> {
        match self {
            Self { session_type: SessionType::Header, session_name: None, .. } => Err(SessionError::HeaderWithoutName),
            Self { lifetime_type: LifetimeType::Permanent, absolute_timeout: None, .. } => {
                Err(SessionError::PermanentWithoutTimeout)
            }
            _ => Ok(()),
        }
    }

    /// What `Max-Age` a cookie has: the absolute timeout, if it is permanent.
    pub fn max_age(&self) -> Option<Duration> {
        self.absolute_timeout.filter(|_| self.lifetime_type == LifetimeType::Permanent)
    }
}

/// Why a session is not, or cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionError {
    /// A header carries the session, but has no name.
    HeaderWithoutName,
    /// The cookie is permanent, but there is no absolute timeout.
    PermanentWithoutTimeout,
    /// The value is not one that [`Session::encode`] writes.
    Malformed,
    /// The value was made with another secret, or changed.
    Forged,
    /// The session began too long ago.
    Expired,
    /// The session's last request was too long ago.
    Idle,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HeaderWithoutName => "session persistence by header needs a session name",
            Self::PermanentWithoutTimeout => "a permanent session cookie needs an absolute timeout",
            Self::Malformed => "the value is not that of a session",
            Self::Forged => "the signature of the session is wrong",
            Self::Expired => "the session is older than its absolute timeout",
            Self::Idle => "the session was idle for longer than its idle timeout",
        })
    }
}

impl core::error::Error for SessionError {}

/// A session that remembers its times in its own value, so that nobody else has to.
///
/// Times are those of one clock that all who read the value share, counted from the same start.
///
/// ```
/// use lb_select::cookie::{Session, SessionError, SessionPersistence};
/// use std::time::Duration;
///
/// let settings = SessionPersistence::default().idle_timeout(Duration::from_secs(60));
/// let value = Session::new("10.0.0.1:80", Duration::from_secs(5)).encode(b"secret");
/// let session = Session::resume(value.as_bytes(), b"secret", Duration::from_secs(50), &settings)?;
/// let value = session.encode(b"secret"); // sent again: the idle timeout slides
/// assert!(Session::resume(value.as_bytes(), b"secret", Duration::from_secs(100), &settings).is_ok());
/// # Ok::<(), SessionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// The key of its endpoint.
    pub key: Key,
    /// When it began. Milliseconds are kept.
    pub started: Duration,
    /// When its last request came. Milliseconds are kept.
    pub seen: Duration,
}

impl Session {
    /// A session that begins now.
    pub fn new(key: impl Into<Key>, now: Duration) -> Self {
        let now = Duration::from_millis(millis(now));
        Self { key: key.into(), started: now, seen: now }
    }

    /// The session of a request with this value, seen now.
    ///
    /// # Errors
    /// Fails if the value was not made by [`encode`](Self::encode) with the same secret, or if a timeout has passed: the
    /// session is then over and the policy chooses anew. O(length).
    pub fn resume(
        value: &[u8],
        secret: &[u8],
        now: Duration,
        settings: &SessionPersistence,
    ) -> Result<Self, SessionError> {
        let mut parts = value.rsplitn(2, |&byte| byte == b'.');
        let (signature, text) = parts.next().zip(parts.next()).ok_or(SessionError::Malformed)?;
        if !same(signature, signature_of(text, secret).as_bytes()) {
            return Err(SessionError::Forged);
        }
        let mut parts = text.splitn(3, |&byte| byte == b'.');
        let mut next = || parts.next().ok_or(SessionError::Malformed);
        let (started, seen, key) = (time(next()?)?, time(next()?)?, unhex(next()?)?);
        let now = now.max(seen);
        if settings.absolute_timeout.is_some_and(|timeout| now.saturating_sub(started) >= timeout) {
            return Err(SessionError::Expired);
        }
        if settings.idle_timeout.is_some_and(|timeout| now.saturating_sub(seen) >= timeout) {
            return Err(SessionError::Idle);
        }
        Ok(Self { key: key.as_slice().into(), started, seen: Duration::from_millis(millis(now)) })
    }

    /// The value that carries the session: times in milliseconds, the key in hexadecimal digits, and an HMAC-SHA-256.
    /// Digits and dots only.
    pub fn encode(&self, secret: &[u8]) -> String {
        let text = format!("{}.{}.{}", millis(self.started), millis(self.seen), hex(self.key.as_bytes()));
        let signature = signature_of(text.as_bytes(), secret);
        format!("{text}.{signature}")
    }
}

fn signature_of(text: &[u8], secret: &[u8]) -> String {
    hex(&mac(secret, &[b"session\0", text])[..16])
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn time(digits: &[u8]) -> Result<Duration, SessionError> {
    let text = core::str::from_utf8(digits).map_err(|_| SessionError::Malformed)?;
    text.parse().map(Duration::from_millis).map_err(|_| SessionError::Malformed)
}

fn unhex(digits: &[u8]) -> Result<Vec<u8>, SessionError> {
    let digit = |byte: &u8| (*byte as char).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    bytes.filter(|_| rest.is_empty()).ok_or(SessionError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn timeouts_end_a_session() {
        let settings = SessionPersistence::default().absolute_timeout(secs(100)).idle_timeout(secs(10));
        let resume = |value: &str, at| Session::resume(value.as_bytes(), b"s", secs(at), &settings);
        let mut value = Session::new("a", secs(0)).encode(b"s");
        assert_eq!(resume(&value, 10), Err(SessionError::Idle));
        for at in (9..99).step_by(9) {
            value = resume(&value, at).unwrap().encode(b"s");
        }
        assert_eq!(resume(&value, 100), Err(SessionError::Expired));
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let header = SessionPersistence::default().session_type(SessionType::Header);
        assert_eq!(header.validate(), Err(SessionError::HeaderWithoutName));
        assert_eq!(header.session_name("x-session").validate(), Ok(()));
        let permanent = SessionPersistence::default().lifetime_type(LifetimeType::Permanent);
        assert_eq!(permanent.validate(), Err(SessionError::PermanentWithoutTimeout));
        let permanent = permanent.absolute_timeout(secs(9));
        assert_eq!((permanent.validate(), permanent.max_age()), (Ok(()), Some(secs(9))));
    }

    proptest! {
        #[test]
        fn a_session_is_read_as_it_was_written(key in proptest::collection::vec(any::<u8>(), 0..40), now in any::<u64>()) {
            let session = Session::new(key.as_slice(), Duration::from_millis(now));
            let value = session.encode(b"s");
            let settings = SessionPersistence::default();
            prop_assert_eq!(Session::resume(value.as_bytes(), b"s", Duration::ZERO, &settings), Ok(session));
        }

        #[test]
        fn a_changed_value_is_refused(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            let mut value = Session::new("10.0.0.1:80", secs(7)).encode(b"s").into_bytes();
            let at = at.index(value.len());
            prop_assume!(value[at] != byte);
            value[at] = byte;
            prop_assert!(Session::resume(&value, b"s", secs(7), &SessionPersistence::default()).is_err());
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(Session::resume(&value, b"s", secs(7), &SessionPersistence::default()).is_err());
        }
    }
}
