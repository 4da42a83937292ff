//! How does ingress-nginx choose among the endpoints of a Service? `affinity`, `upstream-hash-by`, `load-balance`.

use std::time::Duration;

use lb_select::cookie::{SameSite, SetCookie};
use lb_select::hash::SubsetGroups;
use lb_select::{BalancerSettings, EwmaSettings, PolicySettings, UnknownLatency};

use super::annotations::Values;
use super::template::Template;

/// How an endpoint of a backend is chosen. Cookie affinity goes before a hash, a hash before `load-balance`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Balancing {
    /// By turns.
    #[default]
    RoundRobin,
    /// The one of two that has answered faster of late.
    Ewma,
    /// By the hash of a key.
    HashBy(HashBy),
    /// By a cookie.
    Cookie(Box<CookieAffinity>),
}

/// `upstream-hash-by`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HashBy {
    /// The key: [`Template::key`] says what it is of a request.
    pub key: Template,
    /// Endpoints are cut into groups of this size, the key chooses a group, and chance an endpoint of it
    /// ([`SubsetGroups`]); `None` for no groups.
    pub subset_size: Option<u32>,
}

/// `affinity: cookie`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CookieAffinity {
    /// The cookie's name.
    pub name: Box<str>,
    /// What it names.
    pub mode: AffinityMode,
    /// How long it lives, in seconds: `session-cookie-max-age`; `None` for as long as the browser's session.
    pub max_age: Option<i64>,
    /// When it expires, in seconds from now, for clients that know no Max-Age: `session-cookie-expires`.
    pub expires: Option<i64>,
    /// The path below which it is sent; empty for that of the location.
    pub path: Box<str>,
    /// The domain to which it is sent; empty for the host that set it.
    pub domain: Box<str>,
    /// Whether it is sent over TLS only, even if it was set without.
    pub secure: bool,
    /// Whether it goes along with requests from other sites; `None` for the browser's default.
    pub same_site: Option<SameSite>,
    /// `SameSite=None` is left out for browsers that misread it.
    pub conditional_same_site_none: bool,
    /// Whether a client whose endpoint failed is bound to another one.
    pub change_on_failure: bool,
    /// Whether a client stays with the canary, or with the main backend, that served it first; else every request is decided anew.
    pub sticky_canary: bool,
}

/// What a cookie of [`CookieAffinity`] names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AffinityMode {
    /// A place on lua-resty's ring, so that scaling moves some of the sessions.
    #[default]
    Balanced,
    /// The endpoint itself ([`NameCookie::ingress_nginx`](lb_select::cookie::NameCookie::ingress_nginx)).
    Persistent,
}

impl Balancing {
    /// Reads the annotations of an Ingress; `ewma` is what the controller does by default.
    pub(super) fn of(values: &Values<'_>, ewma: bool) -> Self {
        if values.text("affinity").is_some() {
            return Self::Cookie(Box::new(CookieAffinity::of(values)));
        }
        // A key of variables that are not known is none that could be hashed here.
        if let Some(key) = values.text("upstream-hash-by").and_then(|key| Template::parse(key).ok()) {
            let subset = values.boolean("upstream-hash-by-subset") == Some(true);
            let size = values.integer("upstream-hash-by-subset-size").and_then(|size| u32::try_from(size).ok());
            let size = size.filter(|size| *size > 0).unwrap_or(SubsetGroups::SIZE as u32);
            return Self::HashBy(HashBy { key, subset_size: subset.then_some(size) });
        }
        let ewma = values.text("load-balance").map_or(ewma, |policy| policy == "ewma");
        if ewma { Self::Ewma } else { Self::RoundRobin }
    }

    /// The settings of a balancer that chooses so. Of cookie affinity, of those without a cookie; for what a cookie names see
    /// [`AffinityMode`]. For a hash with groups the endpoints of the ring are the groups.
    pub fn settings(&self) -> BalancerSettings {
        BalancerSettings::new(match self {
            Self::RoundRobin => PolicySettings::RoundRobin,
            // The controller's `ewma` has linkerd's decay and starts new endpoints at the mean (`PeakEwma::assume_mean`).
            Self::Ewma => PolicySettings::PeakEwma {
                ewma: EwmaSettings::default(),
                unknown: UnknownLatency::Assumed(Duration::ZERO),
            },
            Self::HashBy(_) => PolicySettings::RestyChash,
            Self::Cookie(affinity) => match affinity.mode {
                AffinityMode::Balanced => PolicySettings::RestyChash,
                AffinityMode::Persistent => PolicySettings::Random,
            },
        })
    }
}

impl CookieAffinity {
    fn of(values: &Values<'_>) -> Self {
        let text = |key| values.text(key).unwrap_or_default().into();
        let is_true = |key| values.boolean(key) == Some(true);
        let same_site = values.text("session-cookie-samesite").map(|value| match value.to_ascii_lowercase().as_str() {
            "none" => SameSite::None,
            "lax" => SameSite::Lax,
            _ => SameSite::Strict,
        });
        Self {
            name: values.text("session-cookie-name").unwrap_or("INGRESSCOOKIE").into(),
            mode: match values.text("affinity-mode") {
                Some("persistent") => AffinityMode::Persistent,
                _ => AffinityMode::Balanced,
            },
            max_age: values.integer("session-cookie-max-age"),
            expires: values.integer("session-cookie-expires"),
            path: text("session-cookie-path"),
            domain: text("session-cookie-domain"),
            secure: is_true("session-cookie-secure"),
            same_site,
            conditional_same_site_none: is_true("session-cookie-conditional-samesite-none"),
            change_on_failure: is_true("session-cookie-change-on-failure"),
            sticky_canary: values.text("affinity-canary-behavior") != Some("legacy"),
        }
    }

    /// The cookie with this value, as it is set on a response over `https` or not, for a location of this path.
    /// `session-cookie-expires`, which takes a clock, is left to the caller.
    pub fn set_cookie<'a>(&'a self, value: &'a str, https: bool, location_path: &'a str) -> SetCookie<'a> {
        let path = if self.path.is_empty() { location_path } else { &*self.path };
        let mut cookie = SetCookie::new(&*self.name, value).path(path).domain(&*self.domain).http_only(true);
        cookie = cookie.secure(self.secure || https);
        // A Max-Age of zero or less ends the cookie at once (RFC 6265, 5.2.2).
        cookie.max_age = self.max_age.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        cookie.same_site = self.same_site;
        cookie
    }
}
