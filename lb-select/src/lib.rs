//! Which endpoint? Load-balancing policies without I/O, clocks or global randomness.
//!
//! ```
//! use std::{net::SocketAddr, time::Duration};
//! use lb_select::{Pick, Policy, Pool, Random, Reason, RoundRobin};
//!
//! let pool: Pool<SocketAddr> = Pool::of(["10.0.0.1:80".parse()?, "10.0.0.2:80".parse()?])?;
//! let policy = RoundRobin::new(&pool);
//!
//! let mut words = || 7; // your random generator
//! let mut pick = Pick::new(Duration::ZERO, &mut words); // your clock
//! let choice = policy.pick(&mut pick)?;
//! assert_eq!(pool[choice.index].to_string(), "10.0.0.1:80");
//! assert_eq!(choice.reason, Reason::RoundRobin);
//!
//! // Policies are exchangeable: as a type parameter, or boxed when a configuration decides.
//! let configured: Box<dyn Policy> = Box::new(Random::new(&pool));
//! let choice = configured.pick(&mut pick)?;
//! assert_eq!(pool[choice.index].to_string(), "10.0.0.2:80"); // 7 mod 2 = 1
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Concepts
//!
//! * A [`Pool`] holds the endpoints: values of your own type, in your order, each with a [`Key`] that names it across
//!   updates, a weight and, as a [`Member`], a state of health, a priority, a locality, a limit and labels. It does not
//!   change; an update is a new pool.
//! * A [`Policy`] is compiled from a pool and its settings, answers through `&self`, and can be shared by all threads.
//!   It returns the *index* of an endpoint, so it knows nothing of your endpoint type. A [`Sequence`] is a policy whose
//!   next answer depends on its last one: in a `Mutex` it is shared, in a `RefCell` it is a worker's own.
//! * A [`Pick`] is everything a policy may look at: the time, a source of random words and, where known, the client, the
//!   request's hash, labels it asks for, and who was tried already. The same pool, times, words and order of calls give the same
//!   answers everywhere.
//! * A [`Choice`] says which endpoint and *why* ([`Reason`], [`Tier`]); [`Unavailable`] says why there is none.
//! * A [`Load`] is what is known of an endpoint from moment to moment: in flight, latency, closed. It belongs to the key and
//!   goes on in the next pool.
//! * [`Candidates`] are a part of a pool. A *layer* chooses a part and asks the policy of that part; parts keep the numbers of
//!   the pool, so layers nest like the types they are.
//!
//! An index is only meaningful for the pool the policy was built from: keep both in one value and replace them together.
//!
//! Which of the policies to take is a page of its own: [`which_policy`].
//!
//! # A proxy in four steps
//!
//! Requests that are counted, an endpoint that fails, a retry, an update:
//!
//! ```
//! use lb_select::{Member, P2c, Pick, Policy, Pool, Unavailable};
//! use std::time::Duration;
//!
//! let pool = Pool::builder()
//!     .member(Member::new("10.0.0.1:80", "blue").max_active(100))
//!     .member(Member::new("10.0.0.2:80", "green").max_active(100))
//!     .build()?;
//! let policy = P2c::new(&pool);
//! let mut state = 1_u64;
//! let mut words = || {
//!     state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
//!     state >> 16
//! };
//!
//! // 1. A request counts as in flight for as long as its guard lives.
//! let now = Duration::ZERO;
//! let choice = policy.pick(&mut Pick::new(now, &mut words))?;
//! let in_flight = pool.start(choice.index);
//!
//! // 2. It failed: the next attempt goes elsewhere, and while the endpoint is closed, so does everyone.
//! let tried = [choice.index];
//! let retry = policy.pick(&mut Pick::new(now, &mut words).excluding(&tried))?;
//! assert_ne!(retry.index, choice.index);
//! pool.load(choice.index).close();
//! drop(in_flight);
//!
//! // 3. The answer may be that there is nobody, and why.
//! let others = [retry.index];
//! assert_eq!(policy.pick(&mut Pick::new(now, &mut words).excluding(&others)), Err(Unavailable::NoneHealthy));
//!
//! // 4. An update is a new pool that goes on with what is known, and a new policy.
//! let next = Pool::builder()
//!     .carry_over(&pool)
//!     .endpoint("10.0.0.1:80", "blue")
//!     .endpoint("10.0.0.2:80", "green")
//!     .endpoint("10.0.0.3:80", "new")
//!     .build()?;
//! assert!(next.load(choice.index).is_closed());
//! let policy = P2c::new(&next);
//! # let _ = policy;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layers
//!
//! Known at compile time, layers are types around types, and nothing is boxed:
//!
//! ```
//! use lb_select::{ByPriority, ByPrioritySettings, Health, Member, P2c, Pick, Policy, Pool, TierState};
//! use std::time::Duration;
//!
//! let pool = Pool::builder()
//!     .member(Member::new("a", ()).health(Health::Unhealthy))
//!     .member(Member::new("b", ()).health(Health::Unhealthy))
//!     .member(Member::new("c", ()))
//!     .build()?;
//! let policy = ByPriority::new(&pool, ByPrioritySettings::default(), |part, _| P2c::new(part));
//! let mut words = || 3;
//! let choice = policy.pick(&mut Pick::new(Duration::ZERO, &mut words))?;
//! assert_eq!(choice.tier.state, TierState::Panic); // one of three is not enough to be trusted
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Known at run time, `Balancer` makes them from `BalancerSettings`, which `serde` reads, and carries everything over to the next
//! pool.
//!
//! | layer | chooses |
//! | --- | --- |
//! | [`ByPriority`] | priority and health, with spill-over and panic |
//! | [`ByLocality`], [`ByZone`] | locality by weight, or the caller's zone |
//! | [`BySubset`] | endpoints with the labels asked for |
//! | `ClientIpAffinity`, `cookie::Named` | the client's endpoint |
//! | [`retry`], [`Pick::excluding`] | not those that were tried |
//!
//! # Rules that hold for every policy
//!
//! 1. An endpoint of weight 0 gets no new traffic; only affinity may still send it clients it already had. The same holds for one
//!    that is draining.
//! 2. A binding of affinity goes before everything the inner policy weighs.
//! 3. Nobody who is closed, at its limit, excluded by the pick or in the wrong state is chosen while anybody else is there.
//! 4. Without an eligible endpoint the answer is an error. It is never a panic, and never "the first anyhow".
//! 5. A choice among `n` is `word mod n`: uniform for random words, up to a bias below 2⁻³² for `n` < 2³².
//! 6. What belongs to an endpoint goes on in the next pool ([`PoolBuilder::carry_over`]); what belongs to a policy, by its
//!    method `over`.
//!
//! # Costs
//!
//! Building is O(n log n) for a pool and for most policies. No pick allocates, except where a table that remembers destinations
//! grows to its bound. What a pick takes on one machine, next to the floor of that machine, is printed by
//! `cargo bench -p lb-select`; what sharing costs, by its example `threads`.
//!
//! # Features
//!
//! | feature | default | brings |
//! | --- | --- | --- |
//! | `std` | yes | what needs a lock or real functions; without it the crate is `no_std` + `alloc` |
//! | `hash` | yes | consistent hashing: rings, Maglev and their kin, bounded loads, hash policies |
//! | `cookie` | yes | cookies that name an endpoint |
//! | `serde` | no | reading and writing of settings |
//! | `rand` | no | `words`, which takes random words from any `rand_core` 0.10 generator |
//!
//! Without features the crate has no dependencies. No feature changes an answer.
//!
//! # Not here
//!
//! Connections, health *checks*, timers and queues: the embedder has those.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

// Pools, policies and layers.
#[cfg(feature = "std")]
mod address;
#[cfg(feature = "std")]
mod affinity;
#[cfg(feature = "std")]
mod balancer;
mod block;
mod by_locality;
mod by_priority;
mod by_subset;
mod candidates;
mod choice;
mod currents;
#[cfg(feature = "std")]
mod destination;
mod edf;
mod gate;
mod ipvs_wrr;
mod key;
#[cfg(feature = "std")]
mod latency;
#[cfg(feature = "std")]
mod latency_cost;
mod least_load;
#[cfg(feature = "std")]
mod least_request_edf;
mod load;
mod member;
mod p2c;
mod policy;
mod pool;
#[cfg(feature = "std")]
mod prequal;
mod random;
#[cfg(feature = "std")]
mod recency;
#[cfg(feature = "std")]
mod reported_weights;
mod retry;
mod round_robin;
#[cfg(feature = "std")]
mod settings;
mod share;
mod smooth;
mod tournament;
mod weighted_random;
pub mod which_policy;

// What they are made of, and what is of use without them: arithmetic of the peers, hashes, cookies.
mod circuit;
#[cfg(feature = "cookie")]
pub mod cookie;
#[cfg(feature = "std")]
mod ewma;
#[cfg(feature = "hash")]
pub mod hash;
#[cfg(feature = "cookie")]
mod hash_policy;
mod hot_cold;
mod istio;
mod locality_weight;
#[cfg(feature = "std")]
mod outlier;
mod priority;
mod reported_weight;
#[cfg(feature = "std")]
mod slow_start;
mod subset;
mod zone_aware;

pub use circuit::{CircuitLimits, CircuitOpen, Demand, InUse, RetryBudget};
#[cfg(feature = "std")]
pub use ewma::{Ewma, EwmaSettings};
#[cfg(feature = "cookie")]
pub use hash_policy::{HashPolicy, HashRequest, HashSource, IstioHashKey, query_parameter, request_hash};
pub use hot_cold::{HotCold, Probe, hot_cold, in_flight_quantile};
pub use istio::{
    Distribute, Failover, FailoverLabel, distribute_weights, failover_label_priorities, failover_priorities,
};
pub use locality_weight::LocalityHealth;
#[cfg(feature = "std")]
pub use outlier::{
    Outcome, OutlierAction, OutlierCause, OutlierDetector, OutlierEvent, OutlierSettings, SuccessRates, success_rates,
};
pub use priority::{Availability, Level, LevelHealth, PriorityLoads, PrioritySettings};
pub use reported_weight::{LoadReport, default_weight};
#[cfg(feature = "std")]
pub use slow_start::SlowStart;
pub use subset::{SubsetError, SubsetFallback, SubsetSelector, SubsetSettings, Subsets};
pub use zone_aware::{ZoneAware, ZoneChoice, ZoneState};

#[cfg(feature = "std")]
pub use affinity::{CapacityError, ClientIpAffinity, ClientIpSettings, Rebalance};
#[cfg(feature = "std")]
pub use balancer::Balancer;
pub use block::BlockWeighted;
pub use by_locality::{ByLocality, ByZone, ByZoneSettings};
pub use by_priority::{ByPriority, ByPrioritySettings};
pub use by_subset::BySubset;
pub use candidates::{Candidates, ToCandidates};
pub use choice::{Choice, Reason, Tier, TierState, Unavailable};
#[cfg(feature = "std")]
pub use destination::ByDestination;
pub use edf::{EdfQueue, WeightedEdf};
pub use ipvs_wrr::IpvsWrr;
pub use key::Key;
#[cfg(feature = "std")]
pub use latency_cost::{LatencyCost, LeastTime, PeakEwma, UnknownLatency};
pub use least_load::{LeastLoad, LoadRule};
#[cfg(feature = "std")]
pub use least_request_edf::{Bias, LeastRequestEdf};
pub use load::{InFlight, Load};
pub use member::{Health, Locality, Member};
pub use p2c::{ActiveRequests, ChoiceOfSome, Cost, IpvsTwos, P2c, WeightedP2c};
pub use policy::{Pick, Policy, Sequence};
pub use pool::{Endpoint, Pool, PoolBuilder, PoolError};
#[cfg(feature = "std")]
pub use prequal::{Prequal, PrequalSettings};
pub use random::Random;
#[cfg(feature = "rand")]
pub use random::words;
#[cfg(feature = "std")]
pub use reported_weights::{ReportedWeights, ReportedWeightsSettings};
pub use retry::retry;
pub use round_robin::{Rotation, RoundRobin};
#[cfg(feature = "std")]
pub use settings::{BalancerError, BalancerSettings, LocalityWeights, PolicySettings};
pub use share::Share;
pub use smooth::SmoothWeighted;
pub use weighted_random::WeightedRandom;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
