//! What are the settings of Istio's mesh? The document that Istio keeps in a ConfigMap.

use serde_json::Value;
use svc_model::Cluster;
use svc_model::api::{ConfigMap, MeshConfig};

use crate::read;
use crate::world::{Unusable, unusable};

/// The namespace that Istio is installed in, whose objects hold for all unless the settings name another.
const ROOT_NAMESPACE: &str = "istio-system";

/// The settings: key `mesh` of ConfigMap `istio` in the root namespace; those of a mesh without any if it is not there.
pub fn config(cluster: &Cluster) -> Result<MeshConfig, Unusable> {
    let text = cluster.get::<ConfigMap>(ROOT_NAMESPACE, "istio").and_then(|map| map.data.get("mesh"));
    let bad = |why: &dyn std::fmt::Display| unusable(format!("ConfigMap/{ROOT_NAMESPACE}/istio data[mesh]: {why}"));
    let value = text.map_or(Ok(Value::Null), |text| read::yaml(text)).map_err(|error| bad(&error))?;
    let config: Option<MeshConfig> = serde_json::from_value(value).map_err(|error| bad(&error))?;
    let mut config = config.unwrap_or_default();
    if config.root_namespace.is_empty() {
        ROOT_NAMESPACE.clone_into(&mut config.root_namespace);
    }
    Ok(config)
}
