//! How does a view follow its cluster? By working out anew what was touched, and nothing else.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use super::NodeView;
use super::claims::{Claim, Destination};
use super::decide::FrontendKind;
use super::delta::Delta;
use super::flows::FlowChange;
use super::service_port::ServicePort;
use super::settings::NodeSettings;
use crate::api::Service;
use crate::cluster::Cluster;
use crate::kind::{NamespacedName, Resource};
use crate::protocol::Protocol;
use crate::touched::Touched;

impl NodeView {
    /// Brings the view up to date with its cluster, of which these were touched since, and says what differs.
    ///
    /// Costs O(touched Services and their endpoints), plus O(log n) to find each, unless the node's own zone or the
    /// cluster's ranges changed, which concern every Service. Touching too much costs time and changes nothing; nothing
    /// touched costs nothing and allocates nothing.
    ///
    /// ```
    /// use svc_model::api::Service;
    /// use svc_model::{Cluster, NodeSettings, NodeView};
    ///
    /// let mut cluster = Cluster::new();
    /// let mut view = NodeView::new(&cluster, NodeSettings::of(&cluster, Some("node-1"))?);
    /// let service: Service = serde_json::from_str(r#"{
    ///     "metadata": {"name": "cart", "namespace": "shop"},
    ///     "spec": {"clusterIP": "10.96.0.41", "ports": [{"name": "http", "port": 80}]}
    /// }"#)?;
    /// let change = cluster.apply(service);
    /// let delta = view.update(&cluster, &change.touched);
    /// assert_eq!(delta.ports[0].to_string(), "added shop/cart:http TCP IPv4");
    ///
    /// let change = cluster.remove(&change.object);
    /// let delta = view.update(&cluster, &change.touched);
    /// assert_eq!(delta.ports[0].to_string(), "removed shop/cart:http TCP IPv4");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(&mut self, cluster: &Cluster, touched: &Touched) -> Delta {
        let mut delta = Delta::default();
        let all = touched.all_services | self.update_settings(cluster, touched, &mut delta);
        if all {
            // Services that are gone are touched as well as those that are there.
            let mut known: Vec<Arc<NamespacedName>> = self.service_ports().map(|port| port.service.clone()).collect();
            known.dedup();
            let gone = known.iter().filter(|name| cluster.get::<Service>(&name.namespace, &name.name).is_none());
            gone.for_each(|name| self.update_service(cluster, name, &mut delta));
            cluster.list::<Service>().for_each(|service| self.update_service(cluster, &service.key(), &mut delta));
            delta.ports.sort_by(|a, b| a.id().cmp(&b.id()));
        } else {
            touched.services.iter().for_each(|name| self.update_service(cluster, name, &mut delta));
        }
        for pod in &touched.pods {
            self.host_ports.update(cluster, &self.settings.node, pod, &mut delta);
        }
        self.settle_flows(&mut delta.flows);
        delta
    }

    /// Fills a view that is empty.
    pub(super) fn fill(&mut self, cluster: &Cluster) {
        let mut delta = Delta::default();
        for service in cluster.list::<Service>() {
            let ports = ServicePort::of(cluster, service, &self.settings, &mut delta.work);
            if !ports.is_empty() {
                self.enter(ports.into_iter().map(Arc::new).collect());
            }
        }
        let node = self.settings.node.clone();
        for pod in cluster.pods_on(&node) {
            self.host_ports.update(cluster, &node, &pod.key(), &mut delta);
        }
    }

    /// Reads the settings again if need be; whether every Service must be worked out anew.
    fn update_settings(&mut self, cluster: &Cluster, touched: &Touched, delta: &mut Delta) -> bool {
        let by_pods = self.settings.detector.knows_pods() && !touched.pods.is_empty();
        if !(touched.configuration || touched.nodes.contains(&self.settings.node) || by_pods) {
            return false;
        }
        let settings = self.settings.read_again(cluster);
        if settings == self.settings {
            return false;
        }
        delta.settings = true;
        let before = mem::replace(&mut self.settings, settings);
        !before.chooses_like(&self.settings)
    }

    fn update_service(&mut self, cluster: &Cluster, name: &NamespacedName, delta: &mut Delta) {
        delta.work.services += 1;
        let rows: Vec<u32> = self.rows_of(name).to_vec();
        let before: Vec<Arc<ServicePort>> = rows.iter().map(|row| self.rows[*row].port.clone()).collect();
        let service = cluster.get::<Service>(&name.namespace, &name.name);
        let after = service.map(|service| ServicePort::of(cluster, service, &self.settings, &mut delta.work));
        let after: Vec<Arc<ServicePort>> = after.unwrap_or_default().into_iter().map(Arc::new).collect();
        if delta.record(&before, &after) {
            self.note_flows(before.iter().chain(&after), &mut delta.flows);
        }
        if leads_alike(&before, &after) {
            // Also where nothing differs: the objects that the ports lean on may be new, and the old ones should go.
            rows.iter().zip(after).for_each(|(row, port)| self.rows.replace(*row, port));
            return;
        }
        delta.work.frontends += self.withdraw(name, &rows);
        if !after.is_empty() {
            delta.work.frontends += self.enter(after);
        }
    }

    /// Adds the ports of one Service, which is not there; how many claims that makes.
    fn enter(&mut self, ports: Vec<Arc<ServicePort>>) -> u64 {
        let Some(name) = ports.first().map(|port| port.service.clone()) else { return 0 };
        let rows: Box<[u32]> = ports.into_iter().map(|port| self.rows.insert(port)).collect();
        let claims = self.claims_of(&rows);
        let NodeView { rows: table, addresses, node_ports, owners, health_check_ports, .. } = self;
        let rank = |claim| table.rank(claim);
        for &(key, claim) in &claims {
            match key {
                ClaimKey::Address(key) => addresses.add(key, claim, rank),
                ClaimKey::NodePort(key) => node_ports.add(key, claim, rank),
                ClaimKey::Owner(key) => owners.add(key, claim, rank),
                ClaimKey::HealthCheck(key) => health_check_ports.add(key, claim, rank),
            }
        }
        self.services.entry(name.namespace.clone()).or_default().insert(name.name.clone(), rows);
        claims.len() as u64
    }

    /// Removes a Service, which has these rows; how many claims that gives up.
    fn withdraw(&mut self, name: &NamespacedName, rows: &[u32]) -> u64 {
        if let Some(names) = self.services.get_mut(&name.namespace) {
            names.remove(&name.name);
            if names.is_empty() {
                self.services.remove(&name.namespace);
            }
        }
        let claims = self.claims_of(rows);
        let NodeView { rows: table, addresses, node_ports, owners, health_check_ports, .. } = self;
        let rank = |claim| table.rank(claim);
        for &(key, claim) in &claims {
            match key {
                ClaimKey::Address(key) => addresses.remove(key, claim, rank),
                ClaimKey::NodePort(key) => node_ports.remove(key, claim, rank),
                ClaimKey::Owner(key) => owners.remove(key, claim, rank),
                ClaimKey::HealthCheck(key) => health_check_ports.remove(key, claim, rank),
            }
        }
        rows.iter().for_each(|row| self.rows.remove(*row));
        claims.len() as u64
    }

    /// What the ports of one Service claim, each for itself and for the Service as a whole.
    fn claims_of(&self, rows: &[u32]) -> Vec<(ClaimKey, Claim)> {
        let mut claims = Vec::with_capacity(2 * rows.len());
        let mut speakers = Vec::with_capacity(2);
        for &row in rows {
            let port = &self.rows[row].port;
            claims.extend(port.frontends().map(|(kind, key)| {
                let key = if kind == FrontendKind::NodePort { ClaimKey::NodePort(key) } else { ClaimKey::Address(key) };
                (key, Claim { row, kind })
            }));
            // All ports of a Service in one family have the same addresses; the first speaks for it.
            if !speakers.contains(&port.family) {
                speakers.push(port.family);
                claims.extend(port.addresses().map(|(kind, addr)| (ClaimKey::Owner(addr), Claim { row, kind })));
                let health_check = port.health_check_node_port.map(ClaimKey::HealthCheck);
                claims.extend(health_check.map(|key| (key, Claim { row, kind: FrontendKind::NodePort })));
            }
        }
        claims
    }

    /// Remembers who had the datagram frontends of these ports, unless an earlier change of the same update did.
    fn note_flows<'p>(
        &self,
        ports: impl Iterator<Item = &'p Arc<ServicePort>>,
        flows: &mut BTreeMap<Destination, FlowChange>,
    ) {
        for port in ports.filter(|port| port.protocol != Protocol::Tcp) {
            for (_, destination) in port.frontends() {
                let before = || self.server_of(&destination).cloned();
                flows.entry(destination).or_insert_with(|| FlowChange { before: before(), after: None });
            }
        }
    }

    /// Adds who has them now, and keeps those where a flow may be stale.
    fn settle_flows(&self, flows: &mut BTreeMap<Destination, FlowChange>) {
        flows.retain(|destination, change| {
            change.after = self.server_of(destination).cloned();
            change.matters()
        });
    }
}

/// What can be claimed.
#[derive(Clone, Copy)]
enum ClaimKey {
    Address(Destination),
    NodePort(Destination),
    Owner(std::net::IpAddr),
    HealthCheck(u16),
}

/// Whether the same ports have the same frontends, so that no claim changes.
fn leads_alike(before: &[Arc<ServicePort>], after: &[Arc<ServicePort>]) -> bool {
    before.len() == after.len()
        && before.iter().zip(after).all(|(before, after)| {
            before.id() == after.id()
                && before.frontends().eq(after.frontends())
                && before.health_check_node_port == after.health_check_node_port
        })
}

impl NodeSettings {
    /// Whether a node with these settings chooses the same frontends and endpoints of a Service.
    fn chooses_like(&self, other: &NodeSettings) -> bool {
        self.node == other.node && self.zone == other.zone && self.external_ips == other.external_ips
    }
}
