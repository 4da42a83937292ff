//! What ingress-nginx decides, written down as configuration of plain nginx.
//!
//! ```
//! use nginx_config::{Settings, render};
//! use svc_model::Cluster;
//! use svc_model::api::{Ingress, IngressRule};
//!
//! let mut ingress = Ingress::default();
//! ingress.metadata.name = "shop".into();
//! ingress.spec.rules.push(IngressRule { host: "shop.example".into(), http: None });
//! let cluster: Cluster = [ingress].into_iter().collect();
//! let rendered = render(&cluster, "nginx", &Settings::default())?;
//! assert!(rendered.to_string().contains("server_name shop.example;"));
//! # Ok::<(), route_match::ingress::UnknownClass>(())
//! ```
//!
//! The servers and locations are those that [`IngressController`] answers from: the same Ingresses, the same
//! order, the same redirects. Nothing is pasted: a [`Directive`] has a name of this program and arguments that are [`Token`]s,
//! and a token ends nothing, whatever text it was made of (CVE-2021-25745 and its successors).
//!
//! # What plain nginx cannot do
//!
//! ingress-nginx runs code inside nginx. What depends on it is told in [`Rendered::unexpressed`], and the location then has the nearest
//! thing that lets nobody through who should not be: canaries (all stays with the main backend), cookie affinity and `ewma`
//! (round robin), groups of `upstream-hash-by` (no groups; and nginx's ring is another one), passed-through TLS, external names, and
//! text with a dollar sign where nginx reads variables (503).
//!
//! [`Profile::Classic`] is the layout of controllers from before all this: `least_conn` over the Pods, one plain prefix a path.
#![forbid(unsafe_code)]

mod classic;
mod locations;
mod servers;
mod token;
mod tree;
mod upstreams;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use route_match::ingress::{IngressController, UnknownClass};
use svc_model::Cluster;

pub use token::{Token, Unquotable};
pub use tree::Directive;

/// How the configuration is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// As today's controller decides.
    #[default]
    Modern,
    /// As controllers before 0.10 wrote it: `least_conn`, and one location a path, a prefix of the text. Annotations do not count.
    Classic,
}

/// How to render.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The layout.
    pub profile: Profile,
    /// Where plain HTTP is listened for.
    pub http: SocketAddr,
    /// Where HTTPS is listened for; `None` for nowhere.
    pub https: Option<Https>,
}

/// Where HTTPS is listened for, with one certificate for all: choosing is `tls-sni`'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Https {
    /// The address.
    pub addr: SocketAddr,
    /// The file with the certificate.
    pub certificate: Token,
    /// The file with its key.
    pub key: Token,
}

impl Default for Settings {
    fn default() -> Self {
        Self { profile: Profile::default(), http: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 80), https: None }
    }
}

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rendered {
    /// The directives of its `http` block.
    pub http: Vec<Directive>,
    /// What it does not say.
    pub unexpressed: Vec<Unexpressed>,
}

/// Something that plain nginx cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Unexpressed {
    /// The host.
    pub host: String,
    /// The path, as the pattern is shown.
    pub path: String,
    /// What is missing, and why.
    pub what: String,
}

impl fmt::Display for Unexpressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {}, {}: {}", self.host, self.path, self.what)
    }
}

impl fmt::Display for Rendered {
    /// The whole file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Directive::block("events", [], Vec::new()))?;
        write!(f, "{}", Directive::block("http", [], self.http.clone()))
    }
}

/// Renders the controller of a class. O(n log n) in its locations.
///
/// # Errors
/// When the cluster knows no such class.
pub fn render(cluster: &Cluster, class: &str, settings: &Settings) -> Result<Rendered, UnknownClass> {
    let controller = IngressController::compile(cluster, class)?;
    Ok(match settings.profile {
        Profile::Modern => servers::render(cluster, &controller, settings),
        Profile::Classic => classic::render(cluster, &controller, settings),
    })
}
