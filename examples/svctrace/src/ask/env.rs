//! Which variables tell a Pod of Services?

use serde::Deserialize;
use serde_json::{Map, Value};
use svc_model::api::Service;
use svc_model::{Resource, service_environment};

use crate::answer::Answer;
use crate::world::{Unusable, World};

/// The Pod whose variables are asked for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Env {
    /// The Pod, or a workload: then its first Pod.
    pub pod: String,
}

impl Env {
    /// Lists them.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let pod = world.pod(&self.pod, "default")?;
        let env = service_environment(&world.cluster, pod);
        let mut answer = Answer::new(format!("{}: {} variables", pod.reference(), env.len()));
        for (name, value) in &env {
            answer.step(format!("{name}={value}"));
        }
        let object: Map<String, Value> = env.into_iter().map(|(name, value)| (name, value.into())).collect();
        answer.set("env", object);
        let links = match pod.spec.enable_service_links {
            Some(false) => "enableServiceLinks is false, so only default/kubernetes counts".to_owned(),
            _ => {
                format!("the Services of namespace {} that have a cluster IP, and default/kubernetes", pod.namespace())
            }
        };
        let assumed: Vec<String> = world
            .cluster
            .list_in::<Service>(pod.namespace())
            .filter(|service| world.cluster.has_assumed_cluster_ips(&service.key()))
            .map(|service| service.name().to_owned())
            .collect();
        let assumed = match assumed.as_slice() {
            [] => String::new(),
            names => format!(" (assumed cluster IPs: {})", names.join(", ")),
        };
        answer.set("reason", format!("{links}{assumed}"));
        Ok(answer)
    }
}
