//! Kubernetes Ingress: which Ingresses a controller serves, where it sends a request and why, and what is wrong with them.
//!
//! ```
//! use route_match::ingress::{HttpQuestion, IngressController, Outcome, Scheme};
//! use svc_model::Cluster;
//! use svc_model::api::{Ingress, IngressRule};
//!
//! let mut ingress = Ingress::default();
//! ingress.metadata.name = "shop".into();
//! ingress.spec.rules.push(IngressRule { host: "shop.example".into(), http: None });
//! let mut cluster = Cluster::new();
//! cluster.apply(ingress);
//!
//! let controller = IngressController::compile(&cluster, "edge")?;
//! let decision = controller.decide(&HttpQuestion::new(Scheme::Http, "shop.example", "/cart"));
//! assert_eq!(decision.outcome, Outcome::Respond { status: 404 });
//! assert_eq!(
//!     decision.to_string(),
//!     "host shop.example, no path of this host matches, and there is no default backend",
//! );
//! # Ok::<(), route_match::ingress::UnknownClass>(())
//! ```
//!
//! [`IngressController::compile`] compiles the Ingresses of a class onto a [`Router`](crate::Router);
//! [`decide`](IngressController::decide) answers, [`candidates`](IngressController::candidates) tells what the answer was
//! preferred to. [`served`] is the common ground with certificates: the Ingresses of a class, in order; their hosts and
//! backends are read by [`rule_hosts`] and [`service_backend`]. [`check`] finds faults.
//!
//! # Two dialects
//!
//! **Plain** ([`Dialect::Plain`]) is the Ingress API's own words. The most specific host that any rule names decides (exact,
//! `*.` of one label, none), also when none of its paths matches. Among its paths, over all Ingresses: `Exact`, then the longest
//! `Prefix` by element (`ImplementationSpecific` is one), then the older Ingress, then the smaller `namespace/name`. What
//! matches none goes to the default backend of the Ingress that owns the host (the oldest that names it), else to that of the oldest
//! Ingress without rules, else it is 404. A missing Service or port is 503; a `resource` backend counts as absent. Paths are
//! matched as received.
//!
//! **ingress-nginx** ([`Dialect::Nginx`]) follows that controller and nginx: servers with an implicit `/` that carries the
//! annotations of the Ingress which creates them; a catch-all server; normalised paths; the 301 to a location's trailing slash; one
//! `use-regex` or `rewrite-target` that makes expressions of every path of its host; plain HTTP redirected to HTTPS for hosts
//! that any of its Ingresses lists in `spec.tls`, itself or by a wildcard; no ready endpoint is 503.
//!
//! TCP and UDP ports that lead to Services by the ConfigMaps of `--tcp-services-configmap` and `--udp-services-configmap` are
//! answered by [`stream`].
//!
//! Modelled annotations: `affinity` and `session-cookie-*`, `allowlist-source-range`, `app-root`, `canary` and `canary-*`,
//! `custom-headers`, `default-backend`, `denylist-source-range`, `enable-cors` and `cors-*`, `force-ssl-redirect`,
//! `from-to-www-redirect`, `load-balance`, `permanent-redirect` and `temporal-redirect` with their codes,
//! `preserve-trailing-slash`, `rewrite-target`, `server-alias`, `service-upstream`, `ssl-passthrough`, `ssl-redirect`,
//! `upstream-hash-by` and `upstream-hash-by-*`, `upstream-vhost`, `use-regex`, `whitelist-source-range`, `x-forwarded-prefix`.
//! Of the controller's ConfigMap: what holds where these say nothing, `annotations-risk-level`,
//! `global-allowed-response-headers`, `http-redirect-code` and `use-forwarded-headers`.
//!
//! # Not modelled
//!
//! Snippets, external authentication, limits, mirrors and error pages have no part in the decision; [`check`] points at
//! snippets and mirrors. An nginx variable that is not known here ([`Template`]) makes the outcome of its location
//! [`Outcome::Unmodelled`], never a guess. Where an access list decides and the question does not say who the client is, the
//! outcome is [`Outcome::NeedsClient`].
//!
//! A canary that shares a client by weight is told as weights; that affinity keeps a client who comes with a cookie where it was
//! is left to the proxy, which knows the endpoints ([`CookieAffinity`]).
//!
//! Elements that the API server would refuse (a host that is an address, a relative path, ...) are left out; the rest
//! of their Ingress stands.

mod backend;
pub mod check;
mod class;
mod controller;
mod decide;
mod decision;
mod flags;
pub mod location;
mod names;
mod nginx;
mod parts;
mod plain;
mod read;
mod settings;
mod stream;

pub use crate::question::{HttpQuestion, Scheme};
pub use crate::service_backend::ServiceBackend;
pub use backend::service_backend;
pub use class::{Dialect, ServedIngresses, UnknownClass, served};
pub use controller::{Candidate, IngressController};
pub use decision::{CanaryReason, Cause, Decision, ForwardedRequest, Outcome, Reason, Unavailable, Upstream};
pub use flags::ControllerFlags;
pub use nginx::{Access, AffinityMode, Balancing, CanaryCause, CanaryRule, CookieAffinity, HashBy, Template};
pub use read::rule_hosts;
pub use stream::{NoStream, SkippedEntry, StreamRoute, stream};
