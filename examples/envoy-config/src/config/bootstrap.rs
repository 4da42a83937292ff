//! What does Envoy start with? Everything here is static: no server is asked for more.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Cluster, Listener};

/// `envoy.config.bootstrap.v3.Bootstrap`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bootstrap {
    /// Settings of Envoy itself.
    pub layered_runtime: LayeredRuntime,
    /// Listeners and clusters.
    pub static_resources: StaticResources,
}

/// `envoy.config.bootstrap.v3.LayeredRuntime`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayeredRuntime {
    /// The layers, later ones before earlier ones.
    pub layers: Vec<RuntimeLayer>,
}

/// `envoy.config.bootstrap.v3.RuntimeLayer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuntimeLayer {
    /// Its name.
    pub name: &'static str,
    /// Its settings.
    pub static_layer: BTreeMap<&'static str, RuntimeValue>,
}

/// A setting of Envoy itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum RuntimeValue {
    /// A number.
    Number(u32),
    /// A switch.
    Flag(bool),
}

/// `envoy.config.bootstrap.v3.Bootstrap.StaticResources`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StaticResources {
    /// Where is listened.
    pub listeners: Vec<Listener>,
    /// Where requests go.
    pub clusters: Vec<Cluster>,
}

impl Bootstrap {
    /// These listeners and clusters.
    pub fn new(listeners: Vec<Listener>, clusters: Vec<Cluster>) -> Self {
        let static_layer = BTreeMap::from([
            // Envoy refuses expressions of more than 100 instructions unless told otherwise; this is what Istio tells it.
            ("re2.max_program_size.error_level", RuntimeValue::Number(32_768)),
            // A header that is repeated has one value, all of them joined by commas (CVE-2020-25017).
            ("envoy.reloadable_features.match_headers_individually", RuntimeValue::Flag(false)),
        ]);
        Self {
            layered_runtime: LayeredRuntime { layers: vec![RuntimeLayer { name: "static", static_layer }] },
            static_resources: StaticResources { listeners, clusters },
        }
    }
}
