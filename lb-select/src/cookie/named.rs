//! The layer that sends a request where its cookie or header says.

use super::{Meaning, NameCookie};
use crate::candidates::Admission;
use crate::{Candidates, Choice, Health, Pick, Policy, Pool, Reason, Unavailable};
use alloc::boxed::Box;

/// What happens to a request whose named endpoint may not be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
pub enum NamedMode {
    /// The policy inside chooses (Envoy's override host, `preferred`).
    #[default]
    Preferred,
    /// It is refused (Envoy's override host, `strict`). A request that names nobody is still the policy's.
    Strict,
}

/// When a named endpoint is used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase", default))]
pub struct NamedSettings {
    /// What happens if it may not be.
    pub mode: NamedMode,
    /// Whether a draining endpoint, or one of weight 0, still serves those who name it. The default is yes, as with IPVS,
    /// HAProxy, Traefik and Gateway API: weights only place new sessions.
    pub keep_sessions: bool,
    /// Whether a degraded endpoint does. The default is yes.
    pub degraded: bool,
    /// Whether an unhealthy one does (HAProxy's `option persist`). The default is no.
    pub unhealthy: bool,
}

impl NamedSettings {
    /// The same settings with this [`mode`](Self#structfield.mode).
    #[must_use]
    pub fn mode(self, mode: NamedMode) -> Self {
        Self { mode, ..self }
    }

    /// The same settings with this [`keep_sessions`](Self#structfield.keep_sessions).
    #[must_use]
    pub fn keep_sessions(self, keep_sessions: bool) -> Self {
        Self { keep_sessions, ..self }
    }

    /// The same settings with this [`degraded`](Self#structfield.degraded).
    #[must_use]
    pub fn degraded(self, degraded: bool) -> Self {
        Self { degraded, ..self }
    }

    /// The same settings with this [`unhealthy`](Self#structfield.unhealthy).
    #[must_use]
    pub fn unhealthy(self, unhealthy: bool) -> Self {
        Self { unhealthy, ..self }
    }

    fn allows(&self, health: Health, weight: u32) -> bool {
        let state = match health {
            Health::Healthy => true,
            Health::Degraded => self.degraded,
            Health::Draining => self.keep_sessions,
            Health::Unhealthy | Health::Excluded => self.unhealthy,
        };
        state && (weight > 0 || self.keep_sessions)
    }
}

impl Default for NamedSettings {
    fn default() -> Self {
        Self { mode: NamedMode::Preferred, keep_sessions: true, degraded: true, unhealthy: false }
    }
}

/// A layer that obeys names: the value of a cookie or header decides if its endpoint may be used, else the policy inside.
///
/// The name goes before everything the policy weighs, even weight 0. An endpoint that is [closed](crate::Load::close), full
/// or excluded by the pick is not used. As a policy without a name the layer is the policy inside.
///
/// ```
/// use lb_select::{Pick, Pool, Reason, RoundRobin, cookie::{NameCookie, Named, NamedSettings}};
/// use std::time::Duration;
///
/// let pool = Pool::builder().endpoint("a", ()).endpoint("b", ()).build()?;
/// let names = NameCookie::opaque(&pool, b"a secret of 32 bytes or more, kept");
/// let sticky = Named::new(&pool, names, RoundRobin::new(&pool), NamedSettings::default());
///
/// let mut words = || 0;
/// let mut pick = Pick::new(Duration::ZERO, &mut words);
/// let first = sticky.pick_named(None, &mut pick)?;
/// let cookie = sticky.value(first.index).unwrap().to_owned(); // sent to the client, which brings it again
/// let again = sticky.pick_named(Some(cookie.as_bytes()), &mut pick)?;
/// assert_eq!((again.index, again.reason), (first.index, Reason::Named));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Named<P> {
    names: NameCookie,
    inner: P,
    settings: NamedSettings,
    admission: Admission,
    /// Whether the endpoint at an index may be used by name, as far as the pool says.
    allowed: Box<[bool]>,
}

impl<P> Named<P> {
    /// The layer before `inner`, which was built from the same pool.
    pub fn new<E>(pool: &Pool<E>, names: NameCookie, inner: P, settings: NamedSettings) -> Self {
        let admission = Candidates::of(pool).admission().clone();
        let allowed = pool.iter().map(|endpoint| settings.allows(endpoint.health, endpoint.weight)).collect();
        Self { names, inner, settings, admission, allowed }
    }

    /// The value that names the endpoint at this index, to be sent to the client.
    pub fn value(&self, index: usize) -> Option<&str> {
        self.names.value(index)
    }

    /// What a value says, whether its endpoint may be used or not.
    pub fn read(&self, value: &[u8]) -> Option<Meaning> {
        self.names.read(value)
    }

    /// The policy inside.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// The settings given at construction.
    pub fn settings(&self) -> &NamedSettings {
        &self.settings
    }
}

impl<P: Policy> Named<P> {
    /// The choice for a request with this value of the cookie or header.
    ///
    /// # Errors
    /// Those of the policy inside; [`Unavailable::NamedUnavailable`] in the mode [`NamedMode::Strict`] if the value names no
    /// endpoint that may be used.
    pub fn pick_named(&self, value: Option<&[u8]>, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        let Some(value) = value else { return self.inner.pick(pick) };
        let usable = |index: usize| self.allowed[index] && self.admission.admits(pick, index);
        match self.names.read(value).map(|meaning| meaning.index).filter(|&index| usable(index)) {
            Some(index) => Ok(Choice::new(index, Reason::Named)),
            None if self.settings.mode == NamedMode::Strict => Err(Unavailable::NamedUnavailable),
            None => self.inner.pick(pick),
        }
    }
}

impl<P: Policy> Policy for Named<P> {
    fn pick(&self, pick: &mut Pick<'_>) -> Result<Choice, Unavailable> {
        self.inner.pick(pick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Member, RoundRobin};
    use core::time::Duration;

    fn pool() -> Pool<()> {
        let member = |key: &str, weight, health| Member::new(key, ()).weight(weight).health(health);
        let pool = Pool::builder()
            .member(member("new", 1, Health::Healthy))
            .member(member("fenced", 0, Health::Healthy))
            .member(member("leaving", 1, Health::Draining))
            .member(member("broken", 1, Health::Unhealthy));
        pool.build().unwrap()
    }

    fn ask(settings: NamedSettings, value: &str) -> Result<usize, Unavailable> {
        let pool = pool();
        let layer = Named::new(&pool, NameCookie::plain(&pool), RoundRobin::new(&pool), settings);
        let mut words = || 0;
        let mut pick = Pick::new(Duration::ZERO, &mut words);
        layer.pick_named(Some(value.as_bytes()), &mut pick).map(|choice| choice.index)
    }

    #[test]
    fn persistence_wins_over_weight_0_and_draining_unless_told_otherwise() {
        let keep = NamedSettings::default();
        assert_eq!(
            ["fenced", "leaving", "broken", "unknown"].map(|name| ask(keep.clone(), name).unwrap()),
            [1, 2, 0, 0]
        );
        let drop = NamedSettings::default().keep_sessions(false);
        assert_eq!(["fenced", "leaving", "new"].map(|name| ask(drop.clone(), name).unwrap()), [0, 0, 0]);
        assert_eq!(ask(NamedSettings::default().unhealthy(true), "broken"), Ok(3));
    }

    #[test]
    fn strict_refuses_what_preferred_gives_to_the_policy() {
        let strict = NamedSettings::default().mode(NamedMode::Strict);
        assert_eq!(ask(strict.clone(), "broken"), Err(Unavailable::NamedUnavailable));
        assert_eq!(ask(strict.clone(), "gone"), Err(Unavailable::NamedUnavailable));
        assert_eq!(ask(strict, "new"), Ok(0));
    }

    #[test]
    fn a_closed_or_excluded_endpoint_is_not_used_by_name() {
        let pool = pool();
        let layer = Named::new(&pool, NameCookie::plain(&pool), RoundRobin::new(&pool), NamedSettings::default());
        let mut words = || 0;
        let mut pick = Pick::new(Duration::ZERO, &mut words).excluding(&[1]);
        assert_eq!(layer.pick_named(Some(b"fenced"), &mut pick).map(|choice| choice.index), Ok(0));
        pool.load(2).close();
        assert_eq!(layer.pick_named(Some(b"leaving"), &mut pick).map(|choice| choice.index), Ok(0));
    }
}
