//! What does the DNS of a Kubernetes cluster answer, and what do its Pods ask?
//!
//! [`ZoneSettings::of`] reads the Corefile and the kubelet's configuration, [`Zone::new`] compiles a
//! [`Cluster`](svc_model::Cluster) into tables, [`Zone::answer`] asks them, [`Zone::update`] follows the cluster. [`resolv_conf`] and [`hosts_file`]
//! are what the kubelet writes into a Pod, [`lookup`] walks a whole look-up of a program in that Pod, [`check`] tells
//! what is wrong.

mod answer;
mod autopath;
mod build;
mod capture;
mod check;
mod corefile;
mod fold;
mod hosts;
mod lookup;
mod place;
mod pod_files;
mod pods;
mod pointers;
mod reason;
mod reverse;
mod service;
mod settings;
mod table;
mod trie;
mod update;
mod zone;

pub use check::check;
pub use corefile::{Corefile, CorefileError, Plugin, ServerBlock};
pub use lookup::{Lookup, lookup};
pub use pod_files::{hosts_file, resolv_conf};
pub use reason::{Missing, Owner, Reason, ServiceKind};
pub use settings::{DEFAULT_DOMAIN, PodMode, ZoneSettings, cluster_dns, cluster_domain};
pub use zone::Zone;
