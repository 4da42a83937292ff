//! What stands in a Pod's resolv.conf?

use dns_records::kubernetes::resolv_conf;
use dns_records::resolv::ResolvConf;
use serde::Deserialize;
use svc_model::Resource;
use svc_model::api::Pod;

use crate::answer::Answer;
use crate::world::{Unusable, World};

/// The Pod whose resolv.conf is asked for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Resolv {
    /// The Pod, or a workload: then its first Pod.
    pub pod: String,
}

impl Resolv {
    /// Shows it; for people as a file that could be used as it is.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let pod = world.pod(&self.pod, "default")?;
        let conf = conf(world, pod);
        let reason = policy(pod);
        let mut answer = Answer::new(format!("resolv.conf of {}", pod.reference()));
        answer.set("nameservers", conf.nameservers.clone());
        answer.set("searches", conf.searches.clone());
        answer.set("options", conf.options.iter().map(ToString::to_string).collect::<Vec<_>>());
        answer.text = Some(format!("# {}: {reason}\n{conf}", pod.reference()));
        answer.set("reason", reason);
        Ok(answer)
    }
}

/// The resolv.conf of a Pod. The node's own file is none of the manifests, and counts as empty.
pub(super) fn conf(world: &World, pod: &Pod) -> ResolvConf {
    resolv_conf(&world.cluster, pod, &ResolvConf::default())
}

fn policy(pod: &Pod) -> String {
    let written = match pod.spec.dns_policy.as_str() {
        "" => "dnsPolicy is not set, which means ClusterFirst".to_owned(),
        policy => format!("dnsPolicy is {policy}"),
    };
    let network = match (pod.spec.host_network, pod.spec.dns_policy.as_str()) {
        (true, "" | "ClusterFirst") => ", but on the host's network that means the node's own file",
        _ => "",
    };
    let more = if pod.spec.dns_config.is_some() { "; spec.dnsConfig is merged" } else { "" };
    format!("{written}{network}{more}")
}
