//! Where do Istio's requests go? One cluster for each host, port and subset, named as Istio names it.

use std::collections::BTreeMap;

use route_match::istio::{ClientTls, Destination, Destinations, EndpointAddress, Resolution};
use svc_model::Cluster;

use crate::clusters::bare;
use crate::config::{
    self, Address, ClusterLoadAssignment, DiscoveryType, Endpoint, LbEndpoint, LocalityLbEndpoints, Seconds,
    SocketAddress, SocketProtocol,
};
use crate::remarks::Remarks;

/// What Istio calls the cluster of what is let through.
const PASSTHROUGH: &str = "PassthroughCluster";

/// The clusters that routes name, each once.
pub(crate) struct DestinationClusters<'c> {
    cluster: &'c Cluster,
    destinations: &'c Destinations,
    by_name: BTreeMap<String, config::Cluster>,
}

impl<'c> DestinationClusters<'c> {
    pub(crate) fn new(cluster: &'c Cluster, destinations: &'c Destinations) -> Self {
        Self { cluster, destinations, by_name: BTreeMap::new() }
    }

    pub(crate) fn into_vec(self) -> Vec<config::Cluster> {
        self.by_name.into_values().collect()
    }

    /// The name of the cluster of a destination. There is none for what nobody knows, which Envoy answers with 503.
    pub(crate) fn of(&mut self, to: &Destination, remarks: &mut Remarks) -> String {
        if *to.host == *PASSTHROUGH {
            let name = PASSTHROUGH.to_owned();
            self.by_name.entry(name.clone()).or_insert_with(|| original(name.clone()));
            return name;
        }
        let name = format!("outbound|{}|{}|{}", to.port, to.subset.as_deref().unwrap_or_default(), to.host);
        if !self.by_name.contains_key(&name)
            && let Some(cluster) = self.cluster(&name, to, remarks)
        {
            self.by_name.insert(name.clone(), cluster);
        }
        name
    }

    fn cluster(&self, name: &str, to: &Destination, remarks: &mut Remarks) -> Option<config::Cluster> {
        let service = self.destinations.service(to)?;
        if matches!(service.resolution, Resolution::Original | Resolution::DynamicDns) {
            return Some(original(name.to_owned()));
        }
        let mut cluster = bare(name.to_owned(), []);
        let mut lb_endpoints = Vec::new();
        for endpoint in self.destinations.endpoints(self.cluster, to) {
            let address = match &endpoint.address {
                EndpointAddress::Ip(address) => address.to_string(),
                EndpointAddress::Name(name) => {
                    cluster.type_ = DiscoveryType::StrictDns;
                    name.to_string()
                }
                other => {
                    remarks.add(name, format!("no word is there for the endpoint {other:?}"));
                    continue;
                }
            };
            let address = SocketAddress { protocol: SocketProtocol::Tcp, address, port_value: endpoint.port };
            lb_endpoints.push(LbEndpoint {
                endpoint: Endpoint { address: Address::SocketAddress(address) },
                load_balancing_weight: Some(endpoint.weight),
            });
        }
        match self.destinations.policy(to) {
            Ok(policy) => {
                cluster.connect_timeout = Seconds(policy.connect_timeout);
                if !matches!(policy.tls, None | Some(ClientTls::Disable)) {
                    remarks.add(name, "its DestinationRule asks for TLS to the endpoints; they are dialled without");
                }
            }
            Err(fault) => remarks.add(name, format!("its DestinationRule cannot be meant: {fault}")),
        }
        if !lb_endpoints.is_empty() {
            let endpoints = vec![LocalityLbEndpoints { lb_endpoints }];
            cluster.load_assignment = Some(ClusterLoadAssignment { cluster_name: name.to_owned(), endpoints });
        }
        Some(cluster)
    }
}

/// Where the client was going.
fn original(name: String) -> config::Cluster {
    config::Cluster {
        type_: DiscoveryType::OriginalDst,
        lb_policy: Some("CLUSTER_PROVIDED"),
        load_assignment: None,
        ..bare(name, [])
    }
}
