//! Which policy? A page of advice, without code.
//!
//! # In short
//!
//! * Requests take about the same time, endpoints are alike: [`RoundRobin`], or a [`Rotation`] for each worker.
//! * Endpoints differ in size: [`SmoothWeighted`]; with slow start [`WeightedEdf`].
//! * Requests differ, or endpoints do in ways nobody configured: [`P2c`], and with unequal weights [`WeightedP2c`].
//! * Latency matters more than balance, or endpoints are far from each other: `PeakEwma`.
//! * The same key should meet the same endpoint (caches, sessions without cookies): Maglev in module `hash`, or a ring if as few
//!   keys as possible may move; with a hot key, bounded loads around either.
//! * A proxy is being replaced, and no key or turn may move: the policy named after it.
//!
//! # Sequences and chance
//!
//! *Evenness* is how far any window of picks is from the shares that weights ask for; *disruption* is what changes when the pool
//! does. n is the number of endpoints, k that of distinct weights.
//!
//! | policy | needs | cost of a pick | evenness | disruption | namesake |
//! | --- | --- | --- | --- | --- | --- |
//! | [`RoundRobin`] | one shared counter | O(1) | each once a cycle; no weights | goes on after the last one | all |
//! | [`Rotation`] | a copy a worker | O(1) | as above, for each worker | goes on | none |
//! | [`SmoothWeighted`] | a lock, or a copy a worker | O(n) to 64, then O(log² k + log n) | off by 2 at most | currents are kept | nginx |
//! | [`WeightedEdf`] | as above | O(log n) | off by 3 at most | deadlines are kept | Envoy |
//! | [`IpvsWrr`] | as above | O(1) on average, O(n) at worst | heavy ones in runs | threshold is kept | IPVS `wrr` |
//! | [`BlockWeighted`] | as above | O(1) | all turns of one in a row | starts anew | pingora |
//! | [`Random`] | a word | O(1) | log n / log log n in flight at n a time; no weights | none | all |
//! | [`WeightedRandom`] | a word | O(1) on average | as chance has it | none | all |
//!
//! # By load
//!
//! Loads are what [`Pool::start`](crate::Pool::start) counts. They belong to endpoints, so an update of the pool disturbs nothing.
//!
//! | policy | needs | cost of a pick | evenness | namesake |
//! | --- | --- | --- | --- | --- |
//! | [`P2c`] | guards, 2 words | O(1) | log log n in flight at n a time; no weights | linkerd, tower |
//! | [`ChoiceOfSome`] | guards, a word a choice | O(choices) | about as above | Envoy LEAST_REQUEST |
//! | [`WeightedP2c`] | guards, 2 words | O(1) on average | shares by weight when busy, the heavier when idle | none |
//! | `LeastRequestEdf` | guards | O(log n) | shares by weight when idle, by its root when busy | Envoy LEAST_REQUEST, weighted |
//! | [`LeastLoad`] with [`LeastRequest`](crate::LoadRule::LeastRequest) | guards, a word a tie | O(n) | exact | Envoy FULL_SCAN |
//! | ... [`LeastConnection`](crate::LoadRule::LeastConnection), [`WeightedLeastConnection`](crate::LoadRule::WeightedLeastConnection) | guards | O(n) | exact; the first when idle | IPVS `lc`, `wlc` |
//! | ... [`ShortestExpectedDelay`](crate::LoadRule::ShortestExpectedDelay), [`NeverQueue`](crate::LoadRule::NeverQueue) | guards | O(n) | exact, by weight | IPVS `sed`, `nq` |
//! | ... [`Failover`](crate::LoadRule::Failover), [`Overflow`](crate::LoadRule::Overflow), [`First`](crate::LoadRule::First) | guards, limits | O(n) | none, on purpose | IPVS `fo`, `ovf`; HAProxy `first` |
//! | [`IpvsTwos`] | guards, 2 words | O(1) on average | as weighted P2C | IPVS `twos` |
//! | `ByDestination` | guards, a table | O(1), O(n) for a new destination | gives it up for locality | IPVS `lblc`, `lblcr` |
//!
//! # By latency and report
//!
//! | policy | needs | cost of a pick | where it goes | namesake |
//! | --- | --- | --- | --- | --- |
//! | `PeakEwma` | guards, samples of latency, 2 words | O(1) | the faster of two | linkerd, Finagle, Envoy, ingress-nginx |
//! | `LeastTime` | guards, samples | O(n) | the fastest for its load | Traefik |
//! | `Prequal` | probes | O(probes) | the fastest that is not hot | Prequal (NSDI 2024) |
//! | `ReportedWeights` | reports of load | O(log n) | by what endpoints say they can take | Envoy, gRPC client-side WRR |
//!
//! # By hash
//!
//! Disruption is the share of keys that move although their endpoint stayed, when one of 100 leaves. Evenness is the fullest
//! endpoint next to the mean, for 100 equal ones.
//!
//! | policy (module `hash`) | memory | cost of a pick | evenness | disruption | namesake |
//! | --- | --- | --- | --- | --- | --- |
//! | `Maglev` 65537 | 2 or 4 bytes a slot | O(1) | 1.00 | 0.6 % | Envoy MAGLEV |
//! | `Katran`, `IpvsMh` | as above | O(1) | 1.00; `IpvsMh` coarser | as above | katran, IPVS `mh` |
//! | `RingHash` | 16 bytes a point | O(1) expected | 1.77 at 1024 points, 1.10 at 65536 | 0, up to 1 % at the minimum size | Envoy RING_HASH |
//! | `Ketama`, `RestyChash` | 160 points a weight | O(1) expected | 1.28 | 0 | nginx, pingora; ingress-nginx |
//! | `Rendezvous`, `TraefikHrw` | none | O(n) | as chance has it | 0 | none; Traefik |
//! | `Jump` | none | O(log n) | as chance has it | 0 if the last leaves, else nearly all | the paper |
//! | `NginxHash`, `IpHash`, `IpvsSh` | small | O(log n), O(1) | as chance has it | nearly all | nginx, IPVS `sh` |
//! | `BoundedRing`, `BoundedHash` | the inner one's, guards | the inner one's, longer when full | at most the bound | keys of full ones move | HAProxy, Envoy |
//!
//! # Around them
//!
//! A layer narrows who may be chosen, and asks the policy of that part: [`BySubset`], then [`ByPriority`], then [`ByZone`] or
//! [`ByLocality`], and outermost what remembers clients: `ClientIpAffinity`, or in module `cookie` what a cookie names.
//! `Balancer` makes them from settings. What peers cannot do together (slow start on a hash, zones under a hash) is refused when it is
//! built, not ignored.
//!
//! Two cautions. Least load and a new endpoint: it is idle, so it gets everything at once; [`P2c`] spreads that, slow start
//! ramps it. And failures: an endpoint that fails fast looks idle and fast; give its failures as samples, and close it.

#[allow(unused_imports, reason = "for the links above")]
use crate::{
    BlockWeighted, ByLocality, ByPriority, BySubset, ByZone, ChoiceOfSome, IpvsTwos, IpvsWrr, LeastLoad, P2c, Random,
    Rotation, RoundRobin, SmoothWeighted, WeightedEdf, WeightedP2c, WeightedRandom,
};
