//! Which settings does the controller's own ConfigMap make?

use ipnet::IpNet;
use svc_model::Cluster;
use svc_model::api::ConfigMap;

use super::flags::{ControllerFlags, parse_bool};
use super::nginx::{Risk, is_header_name, source_range};

/// The settings of ingress-nginx that bear on its decisions, from the ConfigMap of `--configmap`. Most are what holds for
/// Ingresses whose annotations say nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ControllerSettings {
    pub(super) use_forwarded_headers: bool,
    pub(super) ssl_redirect: bool,
    pub(super) force_ssl_redirect: bool,
    pub(super) preserve_trailing_slash: bool,
    pub(super) service_upstream: bool,
    pub(super) ewma: bool,
    /// The status of redirects to HTTPS.
    pub(super) redirect_code: u16,
    /// Who is let in; empty for everybody.
    pub(super) allow: Vec<IpNet>,
    pub(super) deny: Vec<IpNet>,
    /// The headers that `custom-headers` may set.
    pub(super) allowed_response_headers: Vec<Box<str>>,
    /// Ingresses with an annotation above this are dropped. Only where it is written: clusters whose manifests are read here may
    /// well run a controller from before this setting.
    pub(super) risk_level: Option<Risk>,
}

impl Default for ControllerSettings {
    fn default() -> Self {
        Self {
            use_forwarded_headers: false,
            ssl_redirect: true,
            force_ssl_redirect: false,
            preserve_trailing_slash: false,
            service_upstream: false,
            ewma: false,
            redirect_code: 308,
            allow: Vec::new(),
            deny: Vec::new(),
            allowed_response_headers: Vec::new(),
            risk_level: None,
        }
    }
}

impl ControllerSettings {
    /// Reads them; what is missing or cannot be read keeps its default.
    pub(super) fn of(cluster: &Cluster, flags: &ControllerFlags) -> Self {
        let default = Self::default();
        let name = flags.configmap.as_ref();
        let Some(map) = name.and_then(|name| cluster.get::<ConfigMap>(&name.namespace, &name.name)) else {
            return default;
        };
        let text = |key: &str| map.data.get(key).map(|value| value.trim()).filter(|value| !value.is_empty());
        let boolean = |key, default| text(key).and_then(parse_bool).unwrap_or(default);
        let list = |key| text(key).into_iter().flat_map(|list| list.split(',')).map(str::trim);
        let ranges = |key| list(key).filter_map(source_range).collect();
        let code = text("http-redirect-code").and_then(|code| code.parse().ok());
        Self {
            use_forwarded_headers: boolean("use-forwarded-headers", default.use_forwarded_headers),
            ssl_redirect: boolean("ssl-redirect", default.ssl_redirect),
            force_ssl_redirect: boolean("force-ssl-redirect", default.force_ssl_redirect),
            preserve_trailing_slash: boolean("preserve-trailing-slash", default.preserve_trailing_slash),
            service_upstream: boolean("service-upstream", default.service_upstream),
            ewma: text("load-balance") == Some("ewma"),
            redirect_code: code.filter(|code| [301, 302, 307, 308].contains(code)).unwrap_or(default.redirect_code),
            allow: ranges("whitelist-source-range"),
            deny: ranges("denylist-source-range"),
            allowed_response_headers: list("global-allowed-response-headers")
                .filter(|name| is_header_name(name))
                .map(Into::into)
                .collect(),
            risk_level: text("annotations-risk-level").map(Risk::of_setting),
        }
    }
}
