//! Where does a request to an ingress controller go? The compiled controller and its decision.

use std::fmt;

use svc_model::api::ConfigMap;
use svc_model::{Cluster, ObjectRef};

use crate::authority::Authority;
use crate::host::Host;
use crate::host_pattern::HostPattern;
use crate::host_table::HostTable;
use crate::normalise::PathNormalisation;
use crate::path_pattern::PathPattern;
use crate::request::Request;
use crate::router::{Match, Router};

use super::class::{Dialect, UnknownClass, served};
use super::decision::{Cause, Decision, HttpQuestion, Outcome, Reason, Scheme};
use super::flags::{ControllerFlags, parse_bool};
use super::location::{Detour, HttpsRedirect, Location, Target};
use super::{nginx, plain};

/// The decisions of the controller that implements one ingress class, compiled from a cluster.
///
/// Immutable: compile it again when the cluster changes. A decision costs a look-up in a [`Router`]; it allocates for a
/// Host header (its canonical form), for a path that has to be normalised, and for redirects and rewrites.
#[derive(Clone, Debug)]
pub struct IngressController {
    dialect: Dialect,
    flags: ControllerFlags,
    router: Router<Location>,
    /// The hosts with a certificate.
    certified: HostTable<()>,
    use_forwarded_headers: bool,
}

/// Something that takes a request: a path of a rule, or a default backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate<'t> {
    /// The Ingress it comes from; `None` for the controller's own default backend.
    pub route: Option<&'t ObjectRef>,
    /// The index in the Ingress's `spec.rules`; `None` for a default backend.
    pub rule: Option<usize>,
    /// The hosts it is for.
    pub host: &'t HostPattern,
    /// The paths it is for.
    pub path: &'t PathPattern,
}

impl fmt::Display for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.route, self.rule) {
            (Some(route), Some(rule)) => write!(f, "{route} rule {rule}")?,
            (Some(route), None) => write!(f, "{route} default backend")?,
            (None, _) => f.write_str("the controller")?,
        }
        write!(f, " (host {}, path {})", self.host, self.path)
    }
}

impl IngressController {
    /// Compiles what the controller of `class` serves; see [`served`] for which Ingresses those are.
    ///
    /// O(n log n) in the number of paths of the Ingresses served; for ingress-nginx plus the endpoints of the Services they
    /// name, each of which is read once, however many paths lead to it.
    pub fn compile(cluster: &Cluster, class: &str) -> Result<Self, UnknownClass> {
        let served = served(cluster, class)?;
        let (router, certified) = match served.dialect {
            Dialect::Plain => (plain::compile(cluster, &served), HostTable::new([])),
            Dialect::Nginx => {
                let nginx::Tables { router, certified } = nginx::compile(cluster, &served);
                (router, certified)
            }
        };
        let settings = served.flags.configmap.as_ref();
        let settings = settings.and_then(|name| cluster.get::<ConfigMap>(&name.namespace, &name.name));
        let forwarded = settings.and_then(|map| parse_bool(map.data.get("use-forwarded-headers")?));
        Ok(Self {
            dialect: served.dialect,
            flags: served.flags,
            router,
            certified,
            use_forwarded_headers: forwarded.unwrap_or(false),
        })
    }

    /// How the controller reads its Ingresses.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The flags the controller runs with.
    pub fn flags(&self) -> &ControllerFlags {
        &self.flags
    }

    /// Where this request goes, and why.
    pub fn decide(&self, question: &HttpQuestion<'_>) -> Decision<'_> {
        let refuse = |cause| Decision {
            outcome: Outcome::Respond { status: 400 },
            route: None,
            rule: None,
            reason: Reason { host: None, path: None, cause },
        };
        let authority = match Authority::parse(question.host) {
            Ok(authority) => authority,
            Err(error) => return refuse(Cause::BadHost(error)),
        };
        let path = match self.normalisation().apply(question.path) {
            Ok(path) => path,
            Err(error) => return refuse(Cause::BadPath(error)),
        };
        let request = request(question, &authority, &path);
        match self.router.find(&request) {
            Some(found) => self.follow(&found, question, authority.host(), &path),
            None => Decision {
                outcome: Outcome::Respond { status: 404 },
                route: None,
                rule: None,
                reason: Reason { host: self.router.host(Some(authority.host())), path: None, cause: Cause::NoRule },
            },
        }
    }

    /// Everything that takes this request, the best first: what [`decide`](Self::decide) chose, then what it was
    /// preferred to. Empty for a request that is refused. Linear in the size of the table.
    pub fn candidates<'t>(&'t self, question: &HttpQuestion<'_>) -> Vec<Candidate<'t>> {
        let (Ok(authority), Ok(path)) = (Authority::parse(question.host), self.normalisation().apply(question.path))
        else {
            return Vec::new();
        };
        let request = request(question, &authority, &path);
        let candidate = |found: Match<'t, Location>| Candidate {
            route: found.value().route.as_ref(),
            rule: found.value().rule,
            host: found.host(),
            path: found.path(),
        };
        self.router.candidates(&request).map(candidate).collect()
    }

    fn normalisation(&self) -> PathNormalisation {
        match self.dialect {
            Dialect::Plain => PathNormalisation::None,
            Dialect::Nginx => PathNormalisation::Nginx,
        }
    }

    /// What happens in the location, in nginx's order.
    fn follow<'t>(
        &'t self,
        found: &Match<'t, Location>,
        question: &HttpQuestion<'_>,
        host: &Host,
        path: &[u8],
    ) -> Decision<'t> {
        let Location { route, rule, target, policy } = found.value();
        let decide = |outcome, cause| Decision {
            outcome,
            route: route.as_ref(),
            rule: *rule,
            reason: Reason { host: Some(found.host()), path: Some(found.path()), cause },
        };
        let redirect = |code, location, cause| decide(Outcome::Redirect { code, location }, cause);

        if policy.ssl_passthrough.as_ref() == Some(host) && question.scheme == Scheme::Https {
            let annotation = "ssl-passthrough";
            return decide(Outcome::Unmodelled { annotation }, Cause::Annotation(annotation));
        }
        if let Some(root) = policy.app_root.as_deref().filter(|_| path == b"/") {
            let location = format!("{}://{}{root}", question.scheme, question.host.trim());
            return redirect(302, location, Cause::Annotation("app-root"));
        }
        match &policy.detour {
            Some(Detour::TrailingSlash(with_slash)) => {
                let query = question.query.map_or_else(String::new, |query| format!("?{query}"));
                let location = format!("{}://{host}{with_slash}{query}", question.scheme);
                return redirect(301, location, Cause::TrailingSlash);
            }
            Some(Detour::Www(other)) => {
                let uri = without_slash(raw_uri(question));
                let location = format!("{}://{other}:{}{uri}", question.scheme, question.port);
                return redirect(308, location, Cause::WwwTwin);
            }
            None => {}
        }
        if let Some(annotation) = policy.unmodelled {
            return decide(Outcome::Unmodelled { annotation }, Cause::Annotation(annotation));
        }
        if let Some(to) = &policy.redirect {
            return redirect(to.code, to.location.to_string(), Cause::Annotation(to.annotation));
        }
        let to_https = match policy.https {
            HttpsRedirect::Never => None,
            // The catch-all server has no certificate of its own, whatever host a request names there.
            HttpsRedirect::WithCertificate => {
                let listed = || self.certified.matches(Some(host)).next().is_some();
                (*found.host() != HostPattern::Any && listed()).then_some(Cause::Certified)
            }
            HttpsRedirect::Always => Some(Cause::Annotation("force-ssl-redirect")),
        };
        if let Some(cause) = to_https.filter(|_| self.scheme(question) == Scheme::Http) {
            let uri = raw_uri(question);
            let uri = if policy.preserve_trailing_slash { uri } else { without_slash(uri) };
            return redirect(308, format!("https://{host}{uri}"), cause);
        }
        match target {
            Target::Service(backends) => {
                let rewrite = policy.rewrite.as_ref();
                let rewrite = rewrite.and_then(|rewrite| rewrite.search.expand(path, &rewrite.target));
                let rewrite = rewrite.map(|path| escape(&path));
                let cause = match (route, rule) {
                    (Some(_), Some(_)) => Cause::Rule,
                    (Some(_), None) => Cause::DefaultBackend,
                    (None, _) => Cause::ControllerDefault,
                };
                decide(Outcome::Forward { backends, rewrite }, cause)
            }
            Target::Unavailable(why) => decide(Outcome::Respond { status: 503 }, Cause::Unavailable(why)),
            Target::NotFound => decide(Outcome::Respond { status: 404 }, Cause::NoRule),
        }
    }

    /// The scheme that the HTTPS redirect goes by.
    fn scheme(&self, question: &HttpQuestion<'_>) -> Scheme {
        let mut forwarded = None;
        if self.use_forwarded_headers {
            question.headers.each("x-forwarded-proto", &mut |value| {
                forwarded.get_or_insert(if value.eq_ignore_ascii_case(b"https") {
                    Scheme::Https
                } else {
                    Scheme::Http
                });
            });
        }
        forwarded.unwrap_or(question.scheme)
    }
}

fn request<'a>(question: &HttpQuestion<'a>, authority: &'a Authority, path: &'a [u8]) -> Request<'a> {
    Request::new(Some(authority.host()), path)
        .method(question.method)
        .query(question.query.unwrap_or_default())
        .headers(question.headers)
}

/// Path and query as sent.
fn raw_uri(question: &HttpQuestion<'_>) -> String {
    let path = if question.path.is_empty() { "/" } else { question.path };
    match question.query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

fn without_slash(uri: String) -> String {
    match uri.strip_suffix('/') {
        Some(shorter) => shorter.to_owned(),
        None => uri,
    }
}

/// A decoded path as nginx writes it to the backend.
fn escape(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path {
        match byte {
            b'"' | b'#' | b'%' | b'<' | b'>' | b'?' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0..=b' ' | 0x7f.. => {
                out.push_str(&format!("%{byte:02X}"));
            }
            byte => out.push(char::from(*byte)),
        }
    }
    out
}
