//! What do the annotations of an Ingress say to ingress-nginx? Invalid values fall back to defaults.

mod known;
mod values;

use std::sync::Arc;

use ipnet::IpNet;
use svc_model::Cluster;
use svc_model::api::Ingress;

use crate::action::HeaderEdits;
use crate::ingress::flags::ControllerFlags;
use crate::ingress::location::{HttpsRedirect, Policy, Redirect};
use crate::ingress::settings::ControllerSettings;

use super::access::Access;
use super::balancing::Balancing;
use super::canary::CanaryRule;
use super::cors::cors;
use super::custom_headers::custom_headers;
use super::template::Template;

pub(in crate::ingress) use known::{Format, Risk, source_range};
pub(in crate::ingress) use values::{Values, annotations, takes};

/// The annotations of one Ingress, read.
#[derive(Debug)]
pub(super) struct Annotations<'c> {
    pub(super) canary: Option<CanaryRule>,
    pub(super) use_regex: bool,
    pub(super) rewrite_target: Option<&'c str>,
    pub(super) app_root: Option<Template>,
    pub(super) from_to_www: bool,
    pub(super) aliases: Vec<&'c str>,
    pub(super) default_backend: Option<&'c str>,
    pub(super) service_upstream: bool,
    pub(super) ssl_passthrough: bool,
    pub(super) balancing: Balancing,
    /// Whether clients stay with the canary that served them, as cookie affinity of the main backend has it.
    pub(super) sticky_canary: bool,
    /// What they make of the requests of every location.
    pub(super) policy: Arc<Policy>,
}

/// What annotations are read by: the objects they name, the controller's prefix, and its settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'r> {
    pub(super) cluster: &'r Cluster,
    pub(super) flags: &'r ControllerFlags,
    pub(super) settings: &'r ControllerSettings,
}

impl Reader<'_> {
    pub(super) fn read<'c>(&self, ingress: &'c Ingress) -> Annotations<'c> {
        let settings = self.settings;
        let values = Values::of(ingress, &self.flags.annotations_prefix);
        let is_true = |key| values.boolean(key) == Some(true);
        Annotations {
            canary: is_true("canary").then(|| CanaryRule::of(&values)),
            use_regex: is_true("use-regex"),
            rewrite_target: values.text("rewrite-target"),
            app_root: template(&values, "app-root").filter(|root| root.as_str().starts_with('/')),
            from_to_www: is_true("from-to-www-redirect"),
            aliases: values.text("server-alias").map_or_else(Vec::new, |list| {
                list.split(',').map(str::trim).filter(|alias| !alias.is_empty()).collect()
            }),
            default_backend: values.text("default-backend"),
            service_upstream: values.boolean("service-upstream").unwrap_or(settings.service_upstream),
            ssl_passthrough: is_true("ssl-passthrough"),
            balancing: Balancing::of(&values, settings.ewma),
            sticky_canary: values.text("affinity-canary-behavior") != Some("legacy"),
            policy: Arc::new(self.policy(&values)),
        }
    }

    fn policy(&self, values: &Values<'_>) -> Policy {
        let settings = self.settings;
        let mut denied = None;
        let mut ranges = |keys: &[&'static str], default: &Vec<IpNet>| {
            if let Some(key) = keys.iter().find(|key| values.is_refused(key)) {
                denied.get_or_insert(*key);
            }
            match keys.iter().find_map(|key| values.text(key)) {
                Some(list) => list.split(',').filter_map(source_range).collect(),
                None => default.clone(),
            }
        };
        // The older name is an alias, which counts when the newer has no value.
        let allow = ranges(&["allowlist-source-range", "whitelist-source-range"], &settings.allow);
        let deny = ranges(&["denylist-source-range"], &settings.deny);
        let headers = match values.text("custom-headers") {
            Some(name) => custom_headers(self.cluster, name, &settings.allowed_response_headers),
            None => (!values.is_refused("custom-headers")).then(HeaderEdits::new),
        };
        if headers.is_none() {
            denied.get_or_insert("custom-headers");
        }
        Policy {
            denied,
            unmodelled: TEMPLATES
                .into_iter()
                .find(|key| values.text(key).is_some_and(|text| Template::parse(text).is_err())),
            cors: cors(values),
            response_headers: headers.unwrap_or_default(),
            redirect: redirect(values),
            https: match (
                values.boolean("force-ssl-redirect").unwrap_or(settings.force_ssl_redirect),
                values.boolean("ssl-redirect").unwrap_or(settings.ssl_redirect),
            ) {
                (true, _) => HttpsRedirect::Always,
                (false, true) => HttpsRedirect::WithCertificate,
                (false, false) => HttpsRedirect::Never,
            },
            preserve_trailing_slash: values
                .boolean("preserve-trailing-slash")
                .unwrap_or(settings.preserve_trailing_slash),
            access: Access::new(deny, allow),
            upstream_vhost: template(values, "upstream-vhost"),
            forwarded_prefix: template(values, "x-forwarded-prefix"),
        }
    }
}

/// Annotations with nginx variables in their values. One that is not known here makes all answers of the location unknown, as in
/// nginx it is an error of the whole configuration.
const TEMPLATES: [&str; 4] = ["rewrite-target", "upstream-vhost", "x-forwarded-prefix", "app-root"];

fn template(values: &Values<'_>, key: &str) -> Option<Template> {
    values.text(key).and_then(|text| Template::parse(text).ok())
}

/// The value of the annotation `PREFIX/KEY`, whatever it is; an empty one counts as absent.
pub(in crate::ingress) fn annotation<'c>(ingress: &'c Ingress, prefix: &str, key: &str) -> Option<&'c str> {
    let mut annotations = ingress.metadata.annotations.iter();
    let is_key = |name: &str| name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')) == Some(key);
    let (_, value) = annotations.find(|(name, _)| is_key(name))?;
    (!value.is_empty()).then_some(value)
}

/// The unconditional redirect; the temporal one goes first. Only URLs of HTTP count.
fn redirect(values: &Values<'_>) -> Option<Redirect> {
    [
        ("temporal-redirect", "temporal-redirect-code", 302, 300..=307),
        ("permanent-redirect", "permanent-redirect-code", 301, 300..=308),
    ]
    .into_iter()
    .find_map(|(annotation, code_key, default, accepted)| {
        let location = values.text(annotation).filter(|url| is_http(url))?;
        let code = values.text(code_key).and_then(|code| code.parse().ok()).filter(|code| accepted.contains(code));
        Some(Redirect { annotation, code: code.unwrap_or(default), location: location.into() })
    })
}

/// Whether the scheme of a URL is one of HTTP's, in any case: of a scheme the controller looks at the beginning alone.
fn is_http(url: &str) -> bool {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    scheme.and_then(|scheme| scheme.get(..4)).is_some_and(|start| start.eq_ignore_ascii_case("http"))
}

/// Why the controller drops an Ingress whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ingress) struct Drop<'c> {
    /// The whole name of the annotation.
    pub(in crate::ingress) annotation: &'c str,
    pub(in crate::ingress) why: DropCause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingress) enum DropCause {
    /// A redirect whose URL holds a character that is not allowed there (CVE-2023-5044).
    MalformedUrl,
    /// The annotation is riskier than the controller's setting `annotations-risk-level` has it.
    TooRisky(Risk),
}

/// Why the controller drops this Ingress whole, if it does.
pub(in crate::ingress) fn dropped<'c>(
    ingress: &'c Ingress,
    prefix: &str,
    settings: &ControllerSettings,
) -> Option<Drop<'c>> {
    annotations(ingress, prefix).find_map(|(known, annotation, value)| {
        let redirect = matches!(known.key, "temporal-redirect" | "permanent-redirect");
        let why = if redirect && !takes(known, value) {
            DropCause::MalformedUrl
        } else {
            DropCause::TooRisky(settings.risk_level.filter(|level| known.risk > *level)?)
        };
        Some(Drop { annotation, why })
    })
}

/// Whether the Ingress makes regular expressions of its paths.
pub(in crate::ingress) fn uses_regex(ingress: &Ingress, prefix: &str) -> bool {
    let values = Values::of(ingress, prefix);
    values.boolean("use-regex") == Some(true) || values.text("rewrite-target").is_some()
}
