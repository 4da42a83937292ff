//! A node's Services as objects of nftables, as kube-proxy writes them.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`render`] | Service ports of a view to the [`Table`] of a family |
//! | [`parse`] | what `nft list table` printed to the same |
//! | [`diff`] | from one to the other: a [`Transaction`] for `nft -f` |
//! | [`NftablesDriver`] | the [`Backend`](svc_model::backend::Backend) of these three, over [`Tables`] |
//! | [`Programs`] | tables by way of the programs; the only part that touches anything |
//!
//! ```
//! use nftables_driver::{Layout, render};
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
//! let table = render(&view, &ports, IpFamily::V4, Layout::Modern).to_string();
//! assert!(table.contains(
//!     "add element ip kube-proxy no-endpoint-services { 10.96.0.41 . tcp . 80 comment \"default/cart\" : goto reject-chain }"
//! ));
//! # Ok::<(), svc_model::AmbiguousNode>(())
//! ```
//!
//! # Two layouts
//!
//! [`Layout::Modern`] is kube-proxy's: chains for each Service port and each endpoint, and an anonymous map in each, which takes a kernel
//! time that grows with the square of their number. [`Layout::Fast`] has an element for each endpoint in a map of all, numbered, and a few
//! chains that choose a number; only Services with session affinity keep chains of their own. The verdicts are the same.
//!
//! # Where it differs from kube-proxy
//!
//! - Services come in order of namespace, name and port name, so the same cluster gives the same objects.
//! - One who claims another's address gets no element for it; an address within a Service range that a Service has as an external one is not
//!   dropped.
//! - What goes, goes in the same transaction, which takes Linux 6.2 or later. Older kernels hold on to a chain for a while after the last
//!   rule that leads to it has gone, and refuse a transaction that deletes both; kube-proxy empties a chain first and deletes it a second
//!   later or more. Do not use this driver there.
//!
//! # Ownership
//!
//! Ours is the table `kube-proxy` in the families ip and ip6. Everything else is left as it is; whatever names and comments of objects
//! hold, they stay within their field. What others put into our table goes with the next full plan: rules, chains and sets like ours one
//! by one; if there is an object of another kind, the table is made anew, in one transaction, and clients are forgotten.
#![forbid(unsafe_code)]

mod diff;
mod driver;
mod fragment;
mod names;
mod parse;
mod print;
mod programs;
mod render;
mod table;

pub use diff::{Transaction, cleanup, diff};
pub use driver::{DriverError, NftablesDriver, Tables};
pub use names::Name;
pub use parse::{ListError, Listed, parse};
pub use programs::Programs;
pub use render::{Layout, render};
pub use table::{
    Among, Chain, Comment, Element, Hook, HookPoint, Interface, Key, Map, MapKind, Rule, Set, Side, Slot, Slots,
    Statement, TABLE, Table, Verdict,
};
