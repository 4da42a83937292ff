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
//!   updates and a weight. It does not change; an update is a new pool.
//! * A [`Policy`] is compiled from a pool and its settings, answers through `&self`, and can be shared by all threads.
//!   It returns the *index* of an endpoint, so it knows nothing of your endpoint type.
//! * A [`Pick`] is everything a policy may look at: the time, a source of random words and, where known, the client.
//!   The same pool, times, words and order of calls give the same answers everywhere.
//! * A [`Choice`] says which endpoint and *why* ([`Reason`]); [`Unavailable`] says why there is none.
//! * A *layer* is a policy around another one. `ClientIpAffinity` is the first: it sends a known client back to its
//!   endpoint and asks the inner policy about everyone else.
//!
//! An index is only meaningful for the pool the policy was built from: keep both in one value and replace them together.
//!
//! | policy | chooses | random words | cost |
//! | --- | --- | --- | --- |
//! | [`RoundRobin`] | the next in order | none | one shared counter |
//! | [`Random`] | any, with equal chance | one (none for a single endpoint) | one division |
//! | `ClientIpAffinity` | the client's last endpoint, else as its inner policy | as its inner policy | a lock and a keyed hash |
//!
//! # Rules that hold for every policy
//!
//! 1. An endpoint of weight 0 gets no new traffic; only affinity may still send it clients it already had.
//! 2. A binding of affinity goes before everything the inner policy weighs.
//! 3. Without an eligible endpoint the answer is an error. It is never a panic, and never "the first anyhow".
//! 4. A choice among `n` is `word mod n`: uniform for random words, up to a bias below 2⁻³² for `n` < 2³².
//!
//! # Costs
//!
//! Building is O(n log n) for a pool and O(n) for the policies here. No pick allocates. What a pick takes on one
//! machine, next to the floor of that machine, is printed by `cargo bench -p lb-select`.
//!
//! # Features
//!
//! | feature | default | brings |
//! | --- | --- | --- |
//! | `std` | yes | `ClientIpAffinity`, which needs a lock; without it the crate is `no_std` + `alloc` |
//! | `serde` | no | reading and writing of settings |
//! | `rand` | no | `words`, which takes random words from any `rand_core` 0.10 generator |
//!
//! Without features the crate has no dependencies. No feature changes an answer.
//!
//! # Not here
//!
//! Connections, health *checks*, timers and queues: the embedder has those. Weighted and load-aware sequences,
//! consistent hashing, health, priority and locality are not here yet; their place is beside the policies above.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
mod affinity;
mod eligible;
mod key;
mod policy;
mod pool;
mod random;
#[cfg(feature = "std")]
mod recency;
mod round_robin;

#[cfg(feature = "std")]
pub use affinity::{CapacityError, ClientIpAffinity, ClientIpSettings};
pub use key::Key;
pub use policy::{Choice, Pick, Policy, Reason, Unavailable};
pub use pool::{Endpoint, Pool, PoolBuilder, PoolError};
pub use random::Random;
#[cfg(feature = "rand")]
pub use random::words;
pub use round_robin::RoundRobin;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
