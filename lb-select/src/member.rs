//! What is said about one endpoint when it is put into a pool?

use crate::Key;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

/// One endpoint to be put into a [`Pool`](crate::Pool): its key, the caller's value, and what policies and layers go by.
///
/// ```
/// use lb_select::{Health, Member, Pool};
///
/// let pool = Pool::builder()
///     .member(Member::new("10.0.0.1:80", "blue").weight(3).locality("eu/eu-1"))
///     .member(Member::new("10.0.0.2:80", "green").priority(1).health(Health::Degraded).label("version", "v2"))
///     .build()?;
/// assert_eq!(pool.get(1).map(|endpoint| endpoint.health), Some(Health::Degraded));
/// # Ok::<(), lb_select::PoolError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<E> {
    pub(crate) key: Key,
    pub(crate) value: E,
    pub(crate) traits: Traits,
}

/// All that is said about an endpoint but its key and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) weight: u32,
    pub(crate) health: Health,
    pub(crate) priority: u32,
    pub(crate) max_active: u32,
    pub(crate) locality: Locality,
    pub(crate) labels: Option<Arc<BTreeMap<String, String>>>,
}

impl<E> Member<E> {
    /// A healthy endpoint of weight 1 and priority 0, without limit, locality or labels.
    pub fn new(key: impl Into<Key>, value: E) -> Self {
        let (health, locality) = (Health::Healthy, Locality::default());
        let traits = Traits { weight: 1, health, priority: 0, max_active: u32::MAX, locality, labels: None };
        Self { key: key.into(), value, traits }
    }

    /// Its share of new traffic relative to the others; 0 for no new traffic.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.traits.weight = weight;
        self
    }

    /// Its state as far as the caller knows.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        self.traits.health = health;
        self
    }

    /// Its priority: 0 is used first, higher ones when those before are not enough.
    #[must_use]
    pub fn priority(mut self, priority: u32) -> Self {
        self.traits.priority = priority;
        self
    }

    /// Where it is.
    #[must_use]
    pub fn locality(mut self, locality: impl Into<Locality>) -> Self {
        self.traits.locality = locality.into();
        self
    }

    /// How many requests it may have [in flight](crate::Load::active); an endpoint that has so many is not chosen.
    #[must_use]
    pub fn max_active(mut self, max_active: u32) -> Self {
        self.traits.max_active = max_active;
        self
    }

    /// Something else about it, which subsets go by. A second value of one name replaces the first.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let labels = self.traits.labels.get_or_insert_default();
        Arc::make_mut(labels).insert(name.into(), value.into());
        self
    }
}

/// The state of an endpoint, as health checks, discovery or an outlier detector know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
pub enum Health {
    /// Works.
    #[default]
    Healthy,
    /// Works, but is to be used last.
    Degraded,
    /// Failed its check, or was ejected.
    Unhealthy,
    /// Serves what it has, and gets nothing new but what affinity sends.
    Draining,
    /// Not yet known: waits for its first check. Does not count when shares of healthy endpoints are computed.
    Excluded,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Excluded => "excluded",
        })
    }
}

/// Where an endpoint is: region, zone and sub-zone, written `region/zone/sub-zone`. Later parts may be missing.
///
/// ```
/// use lb_select::Locality;
///
/// let locality = Locality::from("eu-west/eu-west-1");
/// assert_eq!((locality.region(), locality.zone(), locality.sub_zone()), ("eu-west", "eu-west-1", ""));
/// assert_eq!(locality.to_string(), "eu-west/eu-west-1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Locality(Option<Arc<str>>);

impl Locality {
    /// The region, or an empty text for an unknown one.
    pub fn region(&self) -> &str {
        self.part(0)
    }

    /// The zone, or an empty text for an unknown one.
    pub fn zone(&self) -> &str {
        self.part(1)
    }

    /// The sub-zone, or an empty text for an unknown one. It may contain further slashes.
    pub fn sub_zone(&self) -> &str {
        self.part(2)
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        self.0.is_none()
    }

    fn part(&self, index: usize) -> &str {
        self.0.as_deref().and_then(|text| text.splitn(3, '/').nth(index)).unwrap_or_default()
    }
}

impl From<&str> for Locality {
    /// Trailing slashes say nothing and are left out.
    fn from(text: &str) -> Self {
        let text = text.trim_end_matches('/');
        Self((!text.is_empty()).then(|| text.into()))
    }
}

impl FromStr for Locality {
    type Err = core::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.into())
    }
}

impl fmt::Display for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
