//! lb-select's policies behind pingora's [`BackendSelection`], with a memory that outlives updates.
//!
//! pingora asks a *selection* for the backends of a request, builds a new one whenever the set of backends changes, and
//! gives it nothing of the old one but its configuration; nor does it say when a request is over. That is why pingora has
//! no least connections ([#144]) and a selection of one's own no state ([#269]). Here both belong to the backend's address:
//!
//! * [`Selection<P>`] is the selection by a policy `P`: [`RoundRobin`](lb_select::RoundRobin),
//!   `Mutex<`[`SmoothWeighted`](lb_select::SmoothWeighted)`>`, [`P2c`](lb_select::P2c), [`Ketama`](lb_select::hash::Ketama),
//!   whatever implements [`Rebuild`], or [`Balancer`](lb_select::Balancer), which a configuration chooses.
//! * [`Upstreams<P>`] is its configuration, and remembers the pool and policy that the next set of backends goes on from.
//!   It also observes health checks, so that a backend that fails its check is not picked from that moment.
//! * [`load`] is what is known about a selected backend: a guard from [`Load::start`](lb_select::Load::start), kept as long
//!   as the request runs, is all that least connections need.
//!
//! ```
//! use lb_select::P2c;
//! use lb_select_pingora::{Selection, Upstreams, load};
//! use pingora_load_balancing::{Backends, LoadBalancer, discovery::Static};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let backends = Backends::new(Static::try_from_iter(["10.0.0.1:80", "10.0.0.2:80"])?);
//! let upstreams = Upstreams::<P2c>::default();
//! let balancer = LoadBalancer::<Selection<P2c>>::from_backends_with_config(backends, Some(upstreams.clone()));
//! balancer.update().await?;
//!
//! let first = balancer.select(b"key of the request", usize::MAX).expect("there are backends");
//! let in_flight = load(&first).map(|load| load.start()); // into the CTX of the request
//! let second = balancer.select(b"key of the request", usize::MAX).expect("there are backends");
//! assert_ne!(first, second);
//! drop(in_flight); // with the CTX
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Proxy`] is a reverse proxy around them: it keeps the guard, measures latency, and tries another backend where a
//! connection fails. The program of this crate runs it.
//!
//! # Rules
//!
//! 1. The key of an endpoint is its address. Backends of one address in one set are one endpoint, the heaviest of them.
//! 2. The weight is the backend's, at most `u32::MAX`. A backend of weight 0 gets nothing, where pingora's own
//!    selections still fall back to it.
//! 3. For one request each backend is offered once at most, in the order of the policy's preference.
//! 4. The key of a request becomes its hash, by [`Rebuild::hash`]. Only hash policies look at it.
//! 5. Where a policy cannot be built over a new set, the error is logged, and the old set stays in use.
//!
//! [`BackendSelection`]: pingora_load_balancing::selection::BackendSelection
//! [#144]: https://github.com/cloudflare/pingora/issues/144
//! [#269]: https://github.com/cloudflare/pingora/pull/269

mod algorithm;
mod proxy;
mod rebuild;
mod request_key;
mod selection;
mod upstreams;

pub use algorithm::Algorithm;
pub use proxy::{Exchange, Proxy};
pub use rebuild::Rebuild;
pub use request_key::{RequestKey, RequestKeyError};
pub use selection::{Attempts, Selection};
pub use upstreams::{Upstreams, load};
