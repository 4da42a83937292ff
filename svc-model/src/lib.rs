//! Where may this packet go, and why? Kubernetes Services as a pure model.
//!
//! ```
//! use svc_model::api::{EndpointSlice, Service};
//! use svc_model::{Cluster, NodeSettings, NodeView, Packet, Picked, Protocol, Verdict};
//!
//! // Objects come from wherever you have them: a watch, a file, a test. Any serde format will do.
//! let service: Service = serde_json::from_str(r#"{
//!     "metadata": {"name": "cart", "namespace": "shop"},
//!     "spec": {"clusterIP": "10.96.0.41", "ports": [{"name": "http", "port": 80}]}
//! }"#)?;
//! let slice: EndpointSlice = serde_json::from_str(r#"{
//!     "metadata": {"name": "cart-x7k", "namespace": "shop", "labels": {"kubernetes.io/service-name": "cart"}},
//!     "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}],
//!     "endpoints": [{"addresses": ["10.244.1.5"]}, {"addresses": ["10.244.2.9"]}]
//! }"#)?;
//! let mut cluster = Cluster::new();
//! cluster.apply(service);
//! cluster.apply(slice);
//!
//! // What one node makes of them, and where a packet goes there.
//! let view = NodeView::new(&cluster, NodeSettings::of(&cluster, None)?);
//! let packet = Packet::new("10.244.1.7".parse()?, "10.96.0.41:80".parse()?, Protocol::Tcp);
//! let decision = view.decide(&packet);
//! assert_eq!(decision.verdict, Verdict::Dnat);
//! assert_eq!(decision.endpoints.candidates()[0].addr.to_string(), "10.244.1.5:8080");
//! assert_eq!(
//!     view.explain(&decision).to_string(),
//!     "cluster IP of Service/shop/cart port http: 2 ready endpoints",
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The way through
//!
//! 1. [`api`] mirrors the objects as they are written: Services, slices, Pods, Nodes, workloads, configurations.
//! 2. [`Cluster`] holds them, indexed; [`Cluster::apply`] and [`Cluster::remove`] say whose answers a [`Change`] touches.
//! 3. [`complete`] fills in what manifests leave open (Pods of Deployments, cluster IPs, node ports) for those who have files
//!    and no API server. The cluster remembers what was assumed.
//! 4. [`endpoints::of`] gives the endpoints of a Service from slices, Endpoints or Pods, in one form.
//! 5. [`NodeView`] is what one node does with all of it: a table that [`decide`](NodeView::decide)s packets, [`pick`](NodeView::pick)s an
//!    endpoint for a connection, and [`update`](NodeView::update)s itself by what was touched, which yields a [`Delta`].
//! 6. [`backend`] is how a dataplane follows a view: the trait that drivers implement, plans, and the reconciler between.
//! 7. [`check`] judges objects as the API server would, and finds what is accepted and then does not work.
//!
//! Beside these: [`service_environment`] (the variables of `REDIS_SERVICE_HOST`), [`port_forward`] (which Pod `kubectl
//! port-forward` means), [`addr`] (addresses as lenient as kube-proxy reads them), [`schema`] (field tables for readers), and with the
//! feature `testkit` the module `testkit` (generated worlds, changes and packets; ten laws for back ends).
//!
//! # Three users
//!
//! **A proxy in user space** feeds a cluster from a watch, keeps a view, and asks for each connection; what it remembers of clients is
//! a [`ClientTable`], bounded and beside the view:
//!
//! ```
//! # use std::time::Duration;
//! # use svc_model::{ClientTable, Cluster, NodeSettings, NodeView, Packet, Protocol, Touched, Verdict};
//! # let mut cluster = Cluster::new();
//! # let changes: Vec<svc_model::api::Service> = vec![Default::default()];
//! let mut view = NodeView::new(&cluster, NodeSettings::of(&cluster, Some("node-1"))?);
//! let mut clients = ClientTable::new(65_536);
//!
//! // For each batch of changes:
//! let mut touched = Touched::default();
//! for object in changes {
//!     touched.extend(cluster.apply(object).touched);
//! }
//! clients.follow(&view.update(&cluster, &touched));
//!
//! // For each connection, with your clock and your random 64-bit words:
//! # let (now, mut random) = (Duration::ZERO, || 4_u64);
//! let packet = Packet::new("10.244.1.7".parse()?, "10.96.0.41:80".parse()?, Protocol::Tcp);
//! match view.pick(&packet, now, &mut random, &mut clients) {
//!     (_, Some(picked)) => println!("connect to {}", picked.endpoint.addr), // your own address is the source in any case
//!     (decision, None) if decision.verdict == Verdict::Accept => println!("not ours"),
//!     (decision, None) => println!("{}: {}", decision.verdict, view.explain(&decision)),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **A driver** implements [`backend::Backend`]; the page of that module has the loop around it. **Its tests** take the feature `testkit`,
//! a way to ask what the driver's rules do with a packet, and twenty lines: the page of `testkit` has them.
//!
//! To balance otherwise than kube-proxy, build a pool from [`Endpoints::candidates`] and give its policy the affinity of
//! [`Decision::affinity_seconds`]; what must outlive a change (counters, client memory) belongs to the [`ServicePortKey`]. Mirrors are tolerant:
//! whoever reads objects from strangers asks [`check::object`] about them too.
//!
//! # Precedence
//!
//! The order in which a packet meets its owner is kube-proxy's:
//!
//! | | destination | owner |
//! | --- | --- | --- |
//! | 1 | cluster IP, then external IP, then load balancer address, with port and protocol | Service |
//! | 2 | accepted address of the node, node port | Service |
//! | 3 | address of the node, host port | Pod |
//! | 4 | anything else | nobody: accepted unchanged (nftables and IPVS modes refuse some, see [`Reason`]) |
//!
//! Among Services that claim the same, the first by (namespace, name, port name) has it; [`NodeView::conflicts`] names the
//! others. What then happens depends on the traffic policy, the source and the endpoints; [`Reason`] has a variant for each
//! line of that table.
//!
//! # Costs
//!
//! A decision is a few hash look-ups, however many Services and endpoints there are, and allocates nothing (a test
//! counts): one for an address of a Service, two for a node port, three for a host port, up to five for a miss. What it goes
//! through one by one is short: the Pods with one host port, the source ranges of the Service, the ranges of Pods, and for a
//! miss in nftables mode those of Services.
//!
//! Building a view costs O(Service ports + endpoints): a Pod counts for each Service that selects it, and for each distinct
//! target port of that. An update costs what was touched, however large the cluster, and nothing without a change; [`Delta::work`]
//! counts it. Beside the objects, which the cluster keeps and the view shares, an endpoint takes some 150 bytes of both. Hostile manifests can ask for many: [`complete`] bounds the Pods ([`MAX_ASSUMED_PODS`]), you bound the
//! manifests. Objects are kept and shared by clones of a cluster.
//!
//! # Purity
//!
//! No clock, file, socket, thread, environment or randomness is touched, and no answer depends on hash order or on the order
//! of changes. `unsafe` is forbidden.
//!
//! # Features
//!
//! | feature | default | brings |
//! | --- | --- | --- |
//! | `testkit` | no | the module `testkit`, and `proptest` |
//!
//! # Not here
//!
//! Drivers of kernels (they are examples of this repository), network policies, service meshes, and what CNI plugins do beside host
//! ports. A view has one writer: readers that must not wait keep a clone, or two views that take turns.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod addr;
pub mod api;
pub mod backend;
pub mod check;
mod client_table;
mod cluster;
mod complete;
pub mod endpoints;
mod environment;
mod external_ips;
mod families;
mod kind;
mod label_index;
mod port_forward;
mod protocol;
pub mod schema;
#[cfg(feature = "testkit")]
pub mod testkit;
mod touched;
mod view;

pub use client_table::ClientTable;
pub use cluster::Cluster;
pub use complete::{MAX_ASSUMED_PODS, complete};
pub use environment::service_environment;
pub use external_ips::ExternalIpPolicy;
pub use kind::{
    ApiVersion, Kind, NamespacedName, NamespacedNameError, Object, ObjectRef, ObjectRefError, Resource, Retired, Scope,
    UnknownKind,
};
pub use port_forward::{Forward, ForwardError, ForwardPort, ForwardTarget, port_forward};
pub use protocol::{Protocol, UnknownProtocol};
pub use touched::{Change, ChangeKind, Touched};
pub use view::{
    AffinityTable, AmbiguousNode, Aspects, Candidate, Candidates, Choice, Client, Conflict, Decision, Delta,
    Destination, Endpoints, Explanation, Flow, Frontend, FrontendKind, HostPort, HostPortChange, Mode, NodeSettings,
    NodeView, Packet, Picked, PodDevice, PortChange, Reason, ServicePort, ServicePortId, ServicePortKey, StaleFlow,
    TrafficPolicy, UnknownFrontendKind, UnknownMode, Verdict, Work,
};
