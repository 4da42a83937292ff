//! Which rule? One router with explicit precedence, and Ingress, the Gateway API and Istio on top of it.
//!
//! ```
//! use route_match::{Authority, Condition, HostPattern, PathNormalisation, PathPattern, Request, RouterBuilder, Rule, ValuePattern};
//!
//! let shop: HostPattern = "*.shop.example".parse()?;
//! let mut builder = RouterBuilder::new();
//! builder
//!     .rule(shop.clone(), Rule::new(2, PathPattern::prefix("/"), "storefront"))
//!     .rule(shop.clone(), Rule::new(1, PathPattern::prefix("/cart"), "cart"))
//!     .rule(
//!         shop,
//!         Rule::new(0, PathPattern::prefix("/cart"), "canary")
//!             .when(Condition::header("x-canary", ValuePattern::exact("always"))),
//!     );
//! let router = builder.build();
//!
//! let authority = Authority::parse("EU.Shop.Example.:8080")?;
//! let path = PathNormalisation::Base.apply("/legal/../cart/items")?;
//! let request = Request::new(Some(authority.host()), &path);
//! let found = router.find(&request).unwrap();
//! assert_eq!(*found.value(), "cart");
//! assert_eq!(found.to_string(), "host *.shop.example, prefix /cart");
//!
//! let headers = [("X-Canary", "always")];
//! let request = request.headers(&headers);
//! assert_eq!(router.candidates(&request).map(|c| *c.value()).collect::<Vec<_>>(), ["canary", "cart", "storefront"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every proxy holds the same decision: given host, path, method and headers, which rule is this request's? Kubernetes Ingress,
//! ingress-nginx, the Gateway API and Istio differ in what goes first, not in kind. Here the decision stands alone, without
//! sockets, clocks or files: rules in, an immutable table, answers with their reason.
//!
//! # Concepts
//!
//! * A [`Host`] is a name or address in its one canonical form; an [`Authority`] is a host and port as a request names
//!   them. There is no other way to make a host, so no two stages can read one differently.
//! * A [`HostPattern`] stands for hosts: exact, `*.x` (one label), `**.x` (one or more), any. A [`HostTable`] finds the patterns
//!   of a host from most to least specific, for whatever values.
//! * A [`Rule`] has a [`PathPattern`] (exact, prefix by element, prefix by text, regular expression), [`Condition`]s on method,
//!   authority, headers, query and claims, all of which must hold, a key, and the value it selects.
//! * A [`RouterBuilder`] compiles rules into a [`Router`]; a [`Request`] is the borrowed view that it is asked with.
//! * [`action`] is what a match does, as data: redirect, rewrite, header edits, mirrors, weights, CORS.
//! * [`PathNormalisation`] brings a path into the one form that is both matched and forwarded; [`RequestTarget`] takes
//!   the request line apart before, and an [`EscapePolicy`] refuses escapes that a back end may read as structure.
//!
//! # Which rule wins
//!
//! 1. The hosts: the patterns that stand for the request's host are asked from most to least specific. With
//!    [`HostSearch::Final`] (the default) the first decides, even if none of its rules matches; with [`HostSearch::Widen`] the next is tried.
//! 2. The rules of a host are sorted once, by their keys, when the router is built; equal keys keep their order of insertion.
//!    **The answer is the first in that order that matches.** A key is any `K: Ord` that depends on the rule alone: a
//!    derived `Ord` over (path kind, falling length, age, name), say, or `()` for the order of insertion.
//!
//! [`Router::candidates`] lists everything that matches, by a plain scan: the winner and what it was preferred to. The tests hold the
//! index to that scan for arbitrary routers and requests.
//!
//! # Costs
//!
//! A look-up allocates nothing (but for expressions, whose working memory grows to its bound on paths unlike those that the
//! thread has seen). It probes one hash table for the host. In the host's own index it probes for beginnings of the path, longest first, at those lengths at which
//! some rule's text ends, until one is there; from it the shorter ones are reached without probing, and the climb ends where
//! no rule above ranks lower than what was found. So most look-ups read one node, and a rule itself is asked only if it
//! has conditions or is an expression.
//!
//! An expression that says no more than its literal beginning, as `(?i)^/shop(/|$)(.*)` does, is not asked at all. One automaton over
//! the others of a host finds the first that matches, in one pass over the path, whatever their number. Of more than
//! 1,024, or where the automaton would need more memory than it has, those are asked whose literal beginning the path has,
//! or a text that they need elsewhere, where too many begin alike. All run in time linear in the path, and
//! are bounded in size. Of more than 16 rules of one path, those that ask for an exact method, authority, header or query
//! parameter are filed by that value.
//!
//! A route of 15 bytes takes less than 80 bytes in all. Building is O(n log n). Clones share everything, and
//! [`Router::replace_host`] costs that host and the square root of the number of hosts. `cargo bench` compares with a floor and
//! with the obvious hash map, `examples/route-peers` with other crates.
//!
//! # Kubernetes
//!
//! The module `ingress` compiles the Ingresses of a `svc_model::Cluster` onto the router and decides as their controller
//! does: plain Ingress, or the dialect of ingress-nginx. The module `gateway` does the same for a Gateway of the Gateway API: listeners,
//! routes of all kinds, their status, and updates that cost what a change touches. The module `istio` does it for the proxies of Istio.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `kubernetes` | yes | modules `ingress`, `gateway` and `istio`, on top of `svc-model` |
//! | `http` | no | [`Request`] views of `http::Request`, and actions applied to its parts |
//!
//! # Not here
//!
//! Choosing an endpoint (`lb-select`), certificates (`tls-sni`), IDNA conversion, cookies, bodies, and the connection itself.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod action;
mod authority;
mod condition;
mod escapes;
mod excerpt;
mod expression_index;
mod filed;
mod hash;
mod host;
mod host_pattern;
mod host_table;
mod index;
mod literals;
mod name;
mod normalise;
#[cfg(feature = "kubernetes")]
mod outcome;
mod path_index;
mod path_pattern;
#[cfg(feature = "kubernetes")]
mod question;
mod regex;
mod regex_filter;
mod regex_union;
#[cfg(feature = "kubernetes")]
mod report;
mod request;
mod router;
mod rule;
#[cfg(feature = "kubernetes")]
mod service_backend;
mod several;
mod slots;
mod target;

#[cfg(feature = "kubernetes")]
#[cfg_attr(docsrs, doc(cfg(feature = "kubernetes")))]
pub mod gateway;
#[cfg(feature = "kubernetes")]
#[cfg_attr(docsrs, doc(cfg(feature = "kubernetes")))]
pub mod ingress;
#[cfg(feature = "kubernetes")]
#[cfg_attr(docsrs, doc(cfg(feature = "kubernetes")))]
pub mod istio;

pub use authority::{Authority, AuthorityError};
pub use condition::{Condition, ValuePattern};
pub use escapes::{EscapePolicy, ReservedEscape};
pub use excerpt::Excerpt;
pub use host::{Host, HostError, HostFault, HostKind};
pub use host_pattern::{HostPattern, Wildcard, WildcardDepth};
pub use host_table::{HostMatches, HostTable};
pub use normalise::{PathError, PathFault, PathNormalisation};
pub use path_pattern::{PathKind, PathPattern};
pub use regex::{Anchor, Captures, Regex, RegexError};
pub use request::{Claims, Headers, Request};
pub use router::{HostChange, HostSearch, Match, Router, RouterBuilder};
pub use rule::Rule;
pub use target::RequestTarget;
