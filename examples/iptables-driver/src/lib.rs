//! A node's Services as rules of iptables, as kube-proxy writes them.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`render`] | Service ports of a view to a [`Ruleset`], in today's layout or in the [classic](Profile::Classic) one |
//! | [`parse`] | what `iptables-save` printed to [`Saved`]: our chains as rules, the rest as it is |
//! | [`diff`] | from one to the other: a [`Patch`] of atomic batches, each the input of `iptables-restore --noflush` |
//! | [`IptablesDriver`] | the [`Backend`](svc_model::backend::Backend) of these three, over [`Tables`] |
//! | [`Programs`] | tables by way of the programs; the only part that touches anything |
//!
//! ```
//! use iptables_driver::{Options, render};
//! use svc_model::addr::IpFamily;
//! use svc_model::api::{Service, ServicePort};
//! use svc_model::{Cluster, NodeSettings, NodeView};
//!
//! let mut service = Service::default();
//! service.metadata.name = "cart".into();
//! service.spec.cluster_ip = "10.96.0.41".into();
//! service.spec.ports.push(ServicePort { port: 80, ..ServicePort::default() });
//! let cluster = Cluster::from_iter([service]);
//! let view = NodeView::new(&cluster, NodeSettings::of(&cluster, None)?);
//! let ports: Vec<_> = view.service_ports().map(|port| &**port).collect();
//! let rules = render(&view, &ports, IpFamily::V4, &Options::default()).to_string();
//! assert!(rules.contains(
//!     "-A KUBE-SERVICES -m comment --comment \"default/cart has no endpoints\" -m tcp -p tcp -d 10.96.0.41 --dport 80 -j REJECT"
//! ));
//! # Ok::<(), svc_model::AmbiguousNode>(())
//! ```
//!
//! # Where it differs from kube-proxy
//!
//! - Services come in order of namespace, name and port name, so the same cluster gives the same rules.
//! - One who claims another's address gets no rule for it; a node port never takes what a Service's address refused.
//! - A process of the node that asks an external address without endpoints is refused, not left waiting: one more jump, from OUTPUT.
//! - Refusals of node ports stand at the addresses that take node ports, not at all of the node.
//! - Jumps from built-in chains are put first again when somebody put something before them (CVE-2019-9946).
//! - The filter table is written before nat where it refuses more, and after it where it refuses less.
//!
//! # Ownership
//!
//! Ours are the chains of the names that kube-proxy uses, and the rules of built-in chains that lead to the first of them. Everything else
//! is left as it is, byte for byte; whatever names and comments of objects hold, they stay within their field.
#![forbid(unsafe_code)]

mod classic;
mod diff;
mod driver;
mod made;
mod modern;
mod names;
mod parse;
mod print;
mod programs;
mod render;
mod rule;
mod ruleset;

pub use diff::{Batch, Patch, cleanup, diff};
pub use driver::{DriverError, IptablesDriver, OwnedTables, Tables};
pub use names::ChainName;
pub use parse::{RuleError, SaveError, Saved, SavedTable, parse};
pub use print::Style;
pub use programs::{Programs, Variant};
pub use render::{Options, Profile, render};
pub use rule::{Comment, Counter, Interface, Mark, Not, Probability, Recent, RecentAction, Rule, States, Target};
pub use ruleset::{Chains, Ruleset, Table};
