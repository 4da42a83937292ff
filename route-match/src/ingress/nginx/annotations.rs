//! What do the annotations of an Ingress say to ingress-nginx? Invalid values fall back to defaults.

use svc_model::api::Ingress;

use crate::ingress::flags::parse_bool;
use crate::ingress::location::{HttpsRedirect, Redirect};

/// Annotations that change the answer to a request for their Ingress and are not modelled.
const UNMODELLED: [&str; 6] = [
    "whitelist-source-range",
    "allowlist-source-range",
    "denylist-source-range",
    "custom-headers",
    "upstream-vhost",
    "enable-cors",
];

/// The annotations of one Ingress, read.
#[derive(Clone, Debug)]
pub(super) struct Annotations<'c> {
    pub(super) canary: bool,
    pub(super) use_regex: bool,
    pub(super) rewrite_target: Option<&'c str>,
    pub(super) app_root: Option<&'c str>,
    pub(super) redirect: Option<Redirect>,
    pub(super) https: HttpsRedirect,
    pub(super) preserve_trailing_slash: bool,
    pub(super) from_to_www: bool,
    pub(super) aliases: Vec<&'c str>,
    pub(super) default_backend: Option<&'c str>,
    pub(super) service_upstream: bool,
    pub(super) ssl_passthrough: bool,
    pub(super) unmodelled: Option<&'static str>,
}

impl<'c> Annotations<'c> {
    pub(super) fn of(ingress: &'c Ingress, prefix: &str) -> Self {
        let text = |key: &str| annotation(ingress, prefix, key);
        let boolean = |key| text(key).and_then(parse_bool);
        let is_true = |key| boolean(key) == Some(true);
        let rewrite_target = text("rewrite-target").filter(|target| is_path_with_groups(target));
        Self {
            canary: is_true("canary"),
            use_regex: is_true("use-regex"),
            rewrite_target,
            app_root: text("app-root").filter(|root| root.starts_with('/') && is_path_with_groups(root)),
            redirect: redirect(&text),
            https: match (is_true("force-ssl-redirect"), boolean("ssl-redirect")) {
                (true, _) => HttpsRedirect::Always,
                (false, Some(false)) => HttpsRedirect::Never,
                (false, _) => HttpsRedirect::WithCertificate,
            },
            preserve_trailing_slash: is_true("preserve-trailing-slash"),
            from_to_www: is_true("from-to-www-redirect"),
            aliases: text("server-alias").map_or_else(Vec::new, |list| {
                list.split(',').map(str::trim).filter(|alias| !alias.is_empty()).collect()
            }),
            default_backend: text("default-backend"),
            service_upstream: is_true("service-upstream"),
            ssl_passthrough: is_true("ssl-passthrough"),
            unmodelled: unmodelled(&text, rewrite_target),
        }
    }
}

/// The value of the annotation `PREFIX/KEY`; an empty one counts as absent.
pub(in crate::ingress) fn annotation<'c>(ingress: &'c Ingress, prefix: &str, key: &str) -> Option<&'c str> {
    let mut annotations = ingress.metadata.annotations.iter();
    let is_key = |name: &str| name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')) == Some(key);
    let (_, value) = annotations.find(|(name, _)| is_key(name))?;
    (!value.is_empty()).then_some(value)
}

/// The unconditional redirect; the temporal one goes first. Only URLs of HTTP count.
fn redirect<'c>(text: &impl Fn(&str) -> Option<&'c str>) -> Option<Redirect> {
    [
        ("temporal-redirect", "temporal-redirect-code", 302, 300..=307),
        ("permanent-redirect", "permanent-redirect-code", 301, 300..=308),
    ]
    .into_iter()
    .find_map(|(annotation, code_key, default, accepted)| {
        let location = text(annotation).filter(|url| url.starts_with("http://") || url.starts_with("https://"))?;
        let code = text(code_key).and_then(|code| code.parse().ok()).filter(|code| accepted.contains(code));
        Some(Redirect { annotation, code: code.unwrap_or(default), location: location.into() })
    })
}

fn unmodelled<'c>(text: &impl Fn(&str) -> Option<&'c str>, rewrite_target: Option<&str>) -> Option<&'static str> {
    let named = UNMODELLED.into_iter().find(|key| match *key {
        "enable-cors" => text(key).and_then(parse_bool) == Some(true),
        key => text(key).is_some(),
    });
    named.or_else(|| {
        let target = rewrite_target?;
        if text("x-forwarded-prefix").is_some() {
            Some("x-forwarded-prefix")
        } else if !target.starts_with('/') && !target.starts_with('$') || has_variable(target) {
            // nginx variables, and absolute targets, which nginx makes a redirect of.
            Some("rewrite-target")
        } else {
            None
        }
    })
}

/// The characters that ingress-nginx allows in paths that may name groups of an expression.
fn is_path_with_groups(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/:$".contains(&b))
}

/// The redirect whose URL holds a character that ingress-nginx does not allow there; it then drops the whole Ingress
/// (CVE-2023-5044).
pub(in crate::ingress) fn malformed_redirect<'c>(ingress: &'c Ingress, prefix: &str) -> Option<&'c str> {
    let redirects = ingress.metadata.annotations.iter().filter(|(name, _)| {
        let key = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
        matches!(key, Some("temporal-redirect" | "permanent-redirect"))
    });
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:,?&=".contains(&b);
    redirects.into_iter().find(|(_, url)| !url.bytes().all(allowed)).map(|(name, _)| name.as_str())
}

/// Whether a text names an nginx variable (`$host`), not a group (`$1`).
fn has_variable(text: &str) -> bool {
    text.as_bytes().windows(2).any(|pair| pair[0] == b'$' && (pair[1].is_ascii_alphabetic() || pair[1] == b'_'))
}

/// The keys of annotations that bear on answers and are not modelled.
pub(in crate::ingress) fn unmodelled_annotations() -> impl Iterator<Item = &'static str> {
    UNMODELLED.into_iter().chain(["canary", "x-forwarded-prefix", "mirror-target"])
}

/// Whether a key is that of raw nginx configuration (CVE-2021-25742), which is not modelled.
pub(in crate::ingress) fn has_snippet_suffix(key: &str) -> bool {
    key.ends_with("-snippet")
}

/// Whether the Ingress makes regular expressions of its paths.
pub(in crate::ingress) fn uses_regex(ingress: &Ingress, prefix: &str) -> bool {
    let annotations = Annotations::of(ingress, prefix);
    annotations.use_regex || annotations.rewrite_target.is_some()
}
