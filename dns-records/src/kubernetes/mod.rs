//! What does the DNS of a Kubernetes cluster answer, and what do its Pods ask?
//!
//! [`Server::of`] reads a [`Cluster`](svc_model::Cluster): the Corefile of its CoreDNS, the kubelet's configuration, and the
//! objects that have names. [`Server::answer`] asks it. [`Server::update`] follows the cluster, at the
//! cost of what changed. Behind the plugins of the Corefile lies a [`Zone`], which can be had alone ([`Zone::new`]) by those who have
//! no Corefile.
//!
//! [`resolv_conf`] and [`hosts_file`] are what the kubelet writes into a Pod; a [`Resolver`] walks whole look-ups of a program in
//! that Pod, and knows what would be cheaper. [`check`] tells what is wrong.

mod answer;
mod autopath;
mod build;
mod capture;
mod check;
mod corefile;
mod fold;
mod hosts;
mod lookup;
mod out;
mod place;
mod plugins;
mod pod_files;
mod pods;
mod pointers;
mod reason;
mod reverse;
mod server;
mod server_reason;
mod service;
mod settings;
mod srv;
mod table;
mod trie;
mod update;
mod zone;

pub use check::check;
pub use corefile::{Corefile, CorefileError, Fault, Plugin, ServerBlock};
pub use lookup::{Capture, Cheaper, Lookup, Resolver};
pub use pod_files::{hosts_file, resolv_conf};
pub use reason::{Missing, Namespaces, Owner, Reason, ServiceKind};
pub use server::{Server, ServerOptions};
pub use server_reason::{PluginReason, ServerReason};
pub use settings::{DEFAULT_DOMAIN, PodMode, ZoneSettings, cluster_dns, cluster_domain};
pub use zone::Zone;
