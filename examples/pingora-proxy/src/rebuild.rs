//! How does a policy come from a set of backends, and from the one before it?

use lb_select::hash::{Ketama, Maglev, NginxHash, TableSizeError, TooManyPoints, crc32, xxh64};
use lb_select::{
    Balancer, BalancerError, BalancerSettings, P2c, Policy, PolicySettings, Pool, Random, RoundRobin, SmoothWeighted,
    WeightedP2c, WeightedRandom,
};
use std::convert::Infallible;
use std::error::Error;
use std::hash::RandomState;
use std::net::IpAddr;
use std::str;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A policy that can be built from a pool, and again from the next one.
///
/// What belongs to endpoints, such as requests in flight, is carried over with the pool; this is about what belongs to
/// the policy, such as whose turn it is.
pub trait Rebuild: Policy + Send + Sync + Sized + 'static {
    /// What there is to set.
    type Settings: Default + Send + Sync + 'static;

    /// Why it cannot be built.
    type Error: Error + 'static;

    /// The policy over its first backends.
    ///
    /// # Errors
    /// Says why the settings, or these backends with them, cannot be used.
    fn build(pool: &Pool<()>, settings: &Self::Settings) -> Result<Self, Self::Error>;

    /// The policy over the next set of backends, at the time `now`. By default it starts afresh.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    fn rebuild(&self, pool: &Pool<()>, settings: &Self::Settings, now: Duration) -> Result<Self, Self::Error> {
        let _ = now;
        Self::build(pool, settings)
    }

    /// The hash of a request's key. By default it is xxHash64; a policy that has a namesake should use that one's.
    fn hash(&self, key: &[u8]) -> u64 {
        xxh64(key, 0)
    }

    /// The client that a request's key stands for, if the policy asks for one. By default it does not.
    fn client(&self, key: &[u8]) -> Option<IpAddr> {
        let _ = key;
        None
    }
}

macro_rules! without_memory {
    ($($policy:ty),*) => {$(
        impl Rebuild for $policy {
            type Settings = ();
            type Error = Infallible;

            fn build(pool: &Pool<()>, (): &()) -> Result<Self, Infallible> {
                Ok(Self::new(pool))
            }
        }
    )*};
}
without_memory!(Random, WeightedRandom, P2c, WeightedP2c);

impl Rebuild for RoundRobin {
    type Settings = ();
    type Error = Infallible;

    fn build(pool: &Pool<()>, (): &()) -> Result<Self, Infallible> {
        Ok(Self::new(pool))
    }

    fn rebuild(&self, pool: &Pool<()>, (): &(), _: Duration) -> Result<Self, Infallible> {
        Ok(self.over(pool))
    }
}

impl Rebuild for Mutex<SmoothWeighted> {
    type Settings = ();
    type Error = Infallible;

    fn build(pool: &Pool<()>, (): &()) -> Result<Self, Infallible> {
        Ok(SmoothWeighted::new(pool).into())
    }

    fn rebuild(&self, pool: &Pool<()>, (): &(), _: Duration) -> Result<Self, Infallible> {
        // No step of the sequence is torn by a panic.
        Ok(self.lock().unwrap_or_else(PoisonError::into_inner).over(pool).into())
    }
}

/// Key for key as pingora's `Consistent` over IPv4 addresses.
impl Rebuild for Ketama {
    type Settings = ();
    type Error = TooManyPoints;

    fn build(pool: &Pool<()>, (): &()) -> Result<Self, TooManyPoints> {
        Self::new(pool)
    }

    fn hash(&self, key: &[u8]) -> u64 {
        crc32(key).into()
    }
}

impl Rebuild for Maglev {
    type Settings = ();
    type Error = TableSizeError;

    fn build(pool: &Pool<()>, (): &()) -> Result<Self, TableSizeError> {
        Self::new(pool, Self::TABLE_SIZE)
    }
}

/// Whatever a configuration asks for. A key that is the text of an address is the client's.
impl Rebuild for Balancer<RandomState> {
    type Settings = BalancerSettings;
    type Error = BalancerError;

    fn build(pool: &Pool<()>, settings: &BalancerSettings) -> Result<Self, BalancerError> {
        Self::new(pool, settings.clone(), RandomState::new(), 0)
    }

    fn rebuild(&self, pool: &Pool<()>, _: &BalancerSettings, now: Duration) -> Result<Self, BalancerError> {
        self.over(pool, now)
    }

    fn hash(&self, key: &[u8]) -> u64 {
        match self.settings().policy {
            PolicySettings::Ketama | PolicySettings::BoundedRing { .. } | PolicySettings::RestyChash => {
                crc32(key).into()
            }
            PolicySettings::NginxHash => NginxHash::hash(key),
            _ => xxh64(key, 0),
        }
    }

    fn client(&self, key: &[u8]) -> Option<IpAddr> {
        str::from_utf8(key).ok()?.parse().ok()
    }
}
