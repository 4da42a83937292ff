//! Do Gateways and delegates that VirtualServices name exist, and do they take them?

use std::collections::BTreeSet;

use svc_model::api::{IstioGateway, VirtualService};
use svc_model::check::Finding;
use svc_model::{Cluster, NamespacedName, Resource};

use super::Warnings;
use crate::istio::delegate::delegate_of;
use crate::istio::names::NameSet;
use crate::istio::{ExportTo, GatewayName, ServerHost, full_host};

pub(super) fn check(cluster: &Cluster, findings: &mut Vec<Finding>) {
    let mut handed_over_to = BTreeSet::new();
    for object in cluster.list::<VirtualService>() {
        let mut warnings = Warnings::about(object, findings);
        for (i, text) in object.spec.gateways.iter().enumerate() {
            if let GatewayName::Named(name) = GatewayName::read(text, object.namespace()) {
                gateway(cluster, object, &name, format!("spec.gateways[{i}]"), &mut warnings);
            }
        }
        for (i, rule) in object.spec.http.iter().enumerate() {
            if let Some(name) = delegate_of(object, rule) {
                delegate(cluster, object, &name, format!("spec.http[{i}].delegate"), &mut warnings);
                handed_over_to.insert(name);
            }
        }
    }
    for object in cluster.list::<VirtualService>().filter(|object| object.spec.hosts.is_empty()) {
        if !handed_over_to.contains(&object.key()) {
            let message = "missing, and no VirtualService delegates to this one, so that nothing reaches its rules";
            Warnings::about(object, findings).warn("spec.hosts", message);
        }
    }
}

fn gateway(
    cluster: &Cluster,
    object: &VirtualService,
    name: &NamespacedName,
    field: String,
    warnings: &mut Warnings<'_>,
) {
    let Some(gateway) = cluster.get::<IstioGateway>(&name.namespace, &name.name) else {
        let elsewhere = cluster.list::<IstioGateway>().find(|other| other.name() == &*name.name);
        let hint = elsewhere.map(|other| format!("; there is {}", other.key())).unwrap_or_default();
        return warnings.warn(field, format!("there is no Gateway {name} of Istio's{hint}"));
    };
    let namespace = object.namespace();
    let servers = gateway.spec.servers.iter().flat_map(|server| ServerHost::read(&server.hosts, gateway.namespace()));
    let admitted: Vec<ServerHost> = servers.filter(|host| host.admits(namespace)).collect();
    let served: NameSet<'_> = admitted.iter().map(|host| &*host.host).collect();
    let full: Vec<_> = object.spec.hosts.iter().map(|host| full_host(host, namespace)).collect();
    let own: NameSet<'_> = full.iter().map(AsRef::as_ref).collect();
    if !object.spec.hosts.is_empty() && served.intersection(&own).is_empty() {
        warnings.warn(field, format!("no server of Gateway {name} has any of these hosts"));
    }
}

fn delegate(
    cluster: &Cluster,
    root: &VirtualService,
    name: &NamespacedName,
    field: String,
    warnings: &mut Warnings<'_>,
) {
    let message = match cluster.get::<VirtualService>(&name.namespace, &name.name) {
        None => format!("there is no VirtualService {name}, so that this rule disappears"),
        Some(delegate) if !delegate.spec.hosts.is_empty() => {
            format!("VirtualService {name} has hosts of its own, so that this rule disappears")
        }
        Some(delegate) => {
            if ExportTo::read(&delegate.spec.export_to, delegate.namespace()).reaches(root.namespace()) {
                return;
            }
            format!("VirtualService {name} is not exported to {}, so that this rule disappears", root.namespace())
        }
    };
    warnings.warn(field, message);
}
