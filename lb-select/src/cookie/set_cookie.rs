//! How is a cookie sent?

use alloc::borrow::Cow;
use core::fmt;
use core::time::Duration;

/// Whether a cookie goes along with requests from other sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SameSite {
    /// Always; browsers then ask for [`SetCookie::secure`].
    None,
    /// Only when a link is followed.
    Lax,
    /// Never.
    Strict,
}

/// A cookie to be sent with a response; its display is the value of the `Set-Cookie` header (RFC 6265, section 4.1).
///
/// Bytes that would end the cookie or the header (`;`, line ends and other controls) are left out of names, values, paths
/// and domains.
///
/// ```
/// use lb_select::cookie::SetCookie;
/// use std::time::Duration;
///
/// let cookie = SetCookie::new("lb", "d08").max_age(Duration::from_secs(60)).path("/").http_only(true);
/// assert_eq!(cookie.to_string(), "lb=d08; Max-Age=60; Path=/; HttpOnly");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetCookie<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its value.
    pub value: Cow<'a, str>,
    /// How long it lives; `None` for as long as the browser's session. Parts of seconds are cut.
    pub max_age: Option<Duration>,
    /// The path below which it is sent; empty for the one of the request.
    pub path: Cow<'a, str>,
    /// The domain to which it is sent; empty for the host that set it.
    pub domain: Cow<'a, str>,
    /// Whether scripts cannot read it.
    pub http_only: bool,
    /// Whether it is sent over TLS only.
    pub secure: bool,
    /// Whether it goes along with requests from other sites; `None` for the browser's default.
    pub same_site: Option<SameSite>,
}

impl<'a> SetCookie<'a> {
    /// A cookie for the browser's session without further attributes.
    pub fn new(name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            max_age: None,
            path: Cow::Borrowed(""),
            domain: Cow::Borrowed(""),
            http_only: false,
            secure: false,
            same_site: None,
        }
    }

    /// The same cookie with this [`max_age`](Self#structfield.max_age).
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age: Some(max_age), ..self }
    }

    /// The same cookie with this [`path`](Self#structfield.path).
    #[must_use]
    pub fn path(self, path: impl Into<Cow<'a, str>>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// The same cookie with this [`domain`](Self#structfield.domain).
    #[must_use]
    pub fn domain(self, domain: impl Into<Cow<'a, str>>) -> Self {
        Self { domain: domain.into(), ..self }
    }

    /// The same cookie with this [`http_only`](Self#structfield.http_only).
    #[must_use]
    pub fn http_only(self, http_only: bool) -> Self {
        Self { http_only, ..self }
    }

    /// The same cookie with this [`secure`](Self#structfield.secure).
    #[must_use]
    pub fn secure(self, secure: bool) -> Self {
        Self { secure, ..self }
    }

    /// The same cookie with this [`same_site`](Self#structfield.same_site).
    #[must_use]
    pub fn same_site(self, same_site: SameSite) -> Self {
        Self { same_site: Some(same_site), ..self }
    }
}

impl fmt::Display for SetCookie<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", Harmless(&self.name), Harmless(&self.value))?;
        if let Some(max_age) = self.max_age {
            write!(f, "; Max-Age={}", max_age.as_secs())?;
        }
        for (attribute, value) in [("Path", &self.path), ("Domain", &self.domain)] {
            if !value.is_empty() {
                write!(f, "; {attribute}={}", Harmless(value))?;
            }
        }
        if self.http_only {
            f.write_str("; HttpOnly")?;
        }
        if self.secure {
            f.write_str("; Secure")?;
        }
        f.write_str(match self.same_site {
            None => "",
            Some(SameSite::None) => "; SameSite=None",
            Some(SameSite::Lax) => "; SameSite=Lax",
            Some(SameSite::Strict) => "; SameSite=Strict",
        })
    }
}

/// A text without what would end a cookie or a header.
struct Harmless<'a>(&'a str);

impl fmt::Display for Harmless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.split(|c: char| c == ';' || c.is_control()).try_for_each(|part| f.write_str(part))
    }
}

#[cfg(test)]
mod tests {
    use super::super::cookies;
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn all_attributes_are_written() {
        let cookie = SetCookie::new("a", "1").domain("x.example").secure(true).same_site(SameSite::Lax);
        assert_eq!(cookie.to_string(), "a=1; Domain=x.example; Secure; SameSite=Lax");
    }

    proptest! {
        #[test]
        fn no_text_can_add_an_attribute_or_a_header(name in "\\PC{0,9}", value in any::<String>(), path in any::<String>()) {
            let text = SetCookie::new(name.as_str(), value.as_str()).path(path.as_str()).to_string();
            prop_assert!(!text.contains(['\r', '\n', '\0']));
            prop_assert!(text.matches(';').count() <= 1);
        }

        #[test]
        fn what_is_sent_is_read_again(name in "[a-z]{1,9}", value in "[!#-+--:<-\\[\\]-~]{0,20}") {
            let text = SetCookie::new(name.as_str(), value.as_str()).to_string();
            prop_assert_eq!(cookies(text.as_bytes()).next(), Some((name.as_bytes(), value.as_bytes())));
        }
    }

    use alloc::string::String;
}
