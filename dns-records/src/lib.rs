//! Which records does a name have, and which names does a resolver ask for?
//!
//! The decisions of cluster DNS without a server: give it objects, ask it questions, get records and the reason.
//!
//! ```
//! # #[cfg(feature = "kubernetes")] {
//! use dns_records::kubernetes::Zone;
//! use dns_records::{Name, Question, RecordType};
//! use svc_model::{Cluster, api::Service};
//!
//! let mut cart = Service::default();
//! cart.metadata.name = "cart".into();
//! cart.metadata.namespace = "shop".into();
//! cart.spec.cluster_ips.push("10.0.0.1".into());
//! let mut cluster = Cluster::new();
//! cluster.apply(cart);
//!
//! let zone = Zone::of(&cluster);
//! let name: Name = "cart.shop.svc.cluster.local".parse()?;
//! let answer = zone.answer(Question::new(&name, RecordType::A));
//! assert_eq!(answer.answer[0].to_string(), "cart.shop.svc.cluster.local. 5 IN A 10.0.0.1");
//! assert_eq!(answer.reason.to_string(), "Service/shop/cart has a cluster IP");
//! # }
//! # Ok::<(), dns_records::NameError>(())
//! ```
//!
//! # Concepts
//!
//! * A [`Name`] is absolute, keeps its spelling and compares without case. [`NameRef`] borrows one, from a table or from a
//!   message; [`JoinedName`] is one in two pieces, so that records need no copy of the zone's name.
//! * A [`Question`] is answered with an [`Rcode`], records for three [`Section`]s, and a reason: as a whole [`Answer`], or
//!   record by record into a [`Sink`] with a [`Verdict`] at the end. Answers come in the order of the objects; `Zone::answer_rotated`
//!   and [`Answer::shuffle`] spread clients, an [`Upstream`] continues aliases that leave the zones.
//! * [`resolv`], [`hosts`] and [`search`] are the asker's side: the files of a machine, and the names that the resolvers of
//!   glibc, musl and Go make of one name.
//! * `kubernetes` reads a cluster: `Zone` answers as CoreDNS does, `resolv_conf` and `hosts_file` write what the kubelet
//!   writes, `lookup` joins both sides, `check` tells what will not work.
//!
//! # Which rule decides
//!
//! 1. The longest zone that the name lies in; in none, the question is not ours (`REFUSED`, or a forwarder's).
//! 2. The name: it exists if it, or a name below it, has records, and otherwise is `NXDOMAIN`, whatever the type.
//!    Headless Services exist while they have a ready endpoint, others always.
//! 3. The type: no record of it is `NOERROR` with an empty answer. Both kinds of no carry the zone's SOA.
//! 4. An alias (ExternalName) is followed within the zones, at most eleven times, and never twice.
//!
//! Records are those of the [Kubernetes DNS specification] 1.1.0 as CoreDNS serves them; where CoreDNS departs from the RFCs,
//! the RFCs are followed: names that others hang on exist (RFC 8020), an alias whose target is missing is still shown (RFC
//! 2308 section 2.1), every type but SRV and PTR asked at an alias gets the alias.
//!
//! # Costs
//!
//! A question is one look-up for its Service, another where there is none to say why, and a binary search among the names of
//! that Service's endpoints or ports; no scan, and no allocation when answered into a sink. What does not exist costs no more than what
//! does. Only a transfer allocates, to put the Services in order. Building costs the number of Services and endpoints; Pods are
//! read only where the settings need them. A Service takes some 360 octets, each endpoint some 80 more.
//!
//! A zone follows its cluster with `Zone::update`, which costs the records of the Services that were touched, however large the
//! zone. A clone is a handful of reference counts: readers keep one while the writer goes on, and its answers stay as they were. Whether
//! an answer can differ is what the update returns: then, and only then, the serial has to move.
//!
//! ```
//! # #[cfg(feature = "kubernetes")] {
//! # use dns_records::kubernetes::Zone;
//! # use svc_model::{Cluster, Touched, api::Service};
//! # let mut cluster = Cluster::new();
//! # let changes: Vec<Service> = vec![Default::default()];
//! # let unix_time = 1_700_000_000;
//! let mut zone = Zone::of(&cluster);
//! // For each batch of changes from a watch:
//! let mut touched = Touched::default();
//! for object in changes {
//!     touched.extend(cluster.apply(object).touched);
//! }
//! if zone.update(&cluster, &touched) {
//!     zone.set_serial(unix_time);
//! }
//! let for_readers = zone.clone(); // to be swapped in
//! # drop(for_readers);
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | brings |
//! | --- | --- | --- |
//! | `kubernetes` | yes | the module `kubernetes` and the dependency on `svc-model` |
//! | `wire` | no | the module `wire`: messages as octets; no dependency |
//!
//! # Not here
//!
//! Sockets, files, clocks and caches: the caller has them. The wire format and the `rewrite` and `hosts` plugins of CoreDNS are
//! not here yet (`check` warns of the plugins); `labels`, `namespace_labels` and `multicluster` of the `kubernetes` plugin are not
//! followed. DNSSEC and recursion are not planned.
//!
//! [Kubernetes DNS specification]: https://github.com/kubernetes/dns/blob/master/docs/specification.md
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
pub mod hosts;
mod joined;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
mod name;
mod record;
pub mod resolv;
#[cfg(feature = "rewrite")]
pub mod rewrite;
pub mod search;
#[cfg(feature = "wire")]
pub mod wire;

pub use answer::{Answer, NoUpstream, Question, Rcode, Section, Sink, Upstream, Verdict};
pub use joined::JoinedName;
pub use name::{Label, Labels, MAX_LABEL, MAX_WIRE, Name, NameError, NameRef};
pub use record::{Record, RecordData, RecordRef, RecordType, UnknownRecordType};
