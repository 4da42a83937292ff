//! What goes on from one set of backends to the next?

use crate::Rebuild;
use async_trait::async_trait;
use lb_select::{Key, Load, Pool};
use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::HealthObserve;
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The configuration of a [`Selection`](crate::Selection): settings of its policy, and the memory that the selection over the next
/// set of backends goes on from.
///
/// Clones are the same memory. One balancer needs one of its own.
///
/// As the observer of a health check it keeps backends that fail from being picked at all; without it, pingora refuses
/// them after they were picked, and the next in the policy's order gets all of their share.
///
/// ```
/// use lb_select::RoundRobin;
/// use lb_select_pingora::Upstreams;
/// use pingora_load_balancing::health_check::TcpHealthCheck;
///
/// let upstreams = Upstreams::<RoundRobin>::default();
/// let mut check = TcpHealthCheck::new();
/// check.health_changed_callback = Some(Box::new(upstreams.clone()));
/// ```
pub struct Upstreams<P: Rebuild>(Arc<Memory<P>>);

struct Memory<P: Rebuild> {
    settings: P::Settings,
    start: Instant,
    current: Mutex<Option<Arc<Version<P>>>>,
}

/// A pool, its backends in the same order, and the policy over them.
pub(crate) struct Version<P> {
    pool: Pool<()>,
    pub(crate) backends: Box<[Backend]>,
    pub(crate) policy: P,
}

/// What is known from moment to moment about a backend that a [`Selection`](crate::Selection) gave: requests in flight, latency,
/// open or closed. `None` for any other backend.
pub fn load(backend: &Backend) -> Option<&Arc<Load>> {
    backend.ext.get()
}

impl<P: Rebuild> Upstreams<P> {
    /// The memory of a balancer with these settings, without backends.
    ///
    /// # Errors
    /// Fails if the settings cannot be used, whatever the backends.
    pub fn new(settings: P::Settings) -> Result<Self, P::Error> {
        // Without endpoints no two have the same key, nor are there too many.
        let nobody = Pool::builder().build().expect("an empty pool");
        P::build(&nobody, &settings)?;
        Ok(Self::unchecked(settings))
    }

    fn unchecked(settings: P::Settings) -> Self {
        Self(Arc::new(Memory { settings, start: Instant::now(), current: Mutex::default() }))
    }

    /// The time that the policy goes by, for [`Load::record`].
    pub fn now(&self) -> Duration {
        self.0.start.elapsed()
    }

    pub(crate) fn start(&self) -> Instant {
        self.0.start
    }

    /// The version over these backends, or the one before it where there can be none.
    pub(crate) fn advance(&self, backends: &BTreeSet<Backend>) -> Option<Arc<Version<P>>> {
        let mut current = self.lock();
        match Version::after(current.as_deref(), backends, &self.0.settings, self.now()) {
            Ok(version) => *current = Some(Arc::new(version)),
            Err(error) => log::error!("a new set of {} backends is left out: {error}", backends.len()),
        }
        current.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Version<P>>>> {
        // What is behind the lock is replaced at once or not at all.
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Rebuild> Version<P> {
    fn after(
        before: Option<&Self>,
        backends: &BTreeSet<Backend>,
        settings: &P::Settings,
        now: Duration,
    ) -> Result<Self, Box<dyn Error>> {
        let mut backends: Vec<Backend> = backends.iter().cloned().collect();
        // The set is in the order of addresses, then weights.
        backends.dedup_by(|heavier, lighter| {
            let same = heavier.addr == lighter.addr;
            if same {
                std::mem::swap(heavier, lighter);
            }
            same
        });
        let mut builder = Pool::builder();
        if let Some(before) = before {
            builder = builder.carry_over(&before.pool);
        }
        let weight = |backend: &Backend| u32::try_from(backend.weight).unwrap_or(u32::MAX);
        let pool = backends.iter().fold(builder, |pool, backend| pool.weighted(key(backend), weight(backend), ()));
        let pool = pool.build()?;
        let policy = match before {
            // A balancer is built over nobody before it discovers its first backends; they are no update.
            Some(before) if !before.pool.is_empty() => before.policy.rebuild(&pool, settings, now)?,
            _ => P::build(&pool, settings)?,
        };
        for (index, backend) in backends.iter_mut().enumerate() {
            let load = pool.load(index);
            // To pingora the same address with another weight is another backend, which is healthy until it fails.
            if before.is_some_and(|before| before.position(backend).is_none()) {
                load.open();
            }
            backend.ext.insert(Arc::clone(load));
        }
        Ok(Self { pool, backends: backends.into(), policy })
    }

    /// Where exactly this backend is, weight included.
    fn position(&self, backend: &Backend) -> Option<usize> {
        self.pool.position(&key(backend)).filter(|&index| self.backends.get(index) == Some(backend))
    }
}

fn key(backend: &Backend) -> Key {
    backend.addr.to_string().into()
}

#[async_trait]
impl<P: Rebuild> HealthObserve for Upstreams<P> {
    async fn observe(&self, target: &Backend, healthy: bool) {
        let current = self.lock().clone();
        let Some(version) = current else { return };
        let Some(index) = version.position(target) else { return };
        if healthy {
            version.pool.load(index).open();
        } else {
            version.pool.load(index).close();
        }
    }
}

impl<P: Rebuild> Default for Upstreams<P> {
    fn default() -> Self {
        Self::unchecked(P::Settings::default())
    }
}

impl<P: Rebuild> Clone for Upstreams<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Rebuild> fmt::Debug for Upstreams<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.lock().clone();
        let pool = current.as_ref().map(|version| &version.pool);
        f.debug_struct("Upstreams").field("pool", &pool).finish_non_exhaustive()
    }
}
