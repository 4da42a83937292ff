//! What does the DNS server of a cluster answer, all its plugins together?

use std::net::IpAddr;
use std::sync::Arc;

use svc_model::{Cluster, Touched};

use super::plugins::Plugins;
use super::reason::Reason;
use super::server_reason::{By, PluginReason, ServerReason};
use super::settings::{ZoneSettings, cluster_dns, cluster_domain, corefile_text};
use super::zone::Zone;
use crate::answer::{Answer, NoUpstream, Question, Rcode, Section, Sink, Upstream, Verdict};
use crate::hosts::Told;
use crate::name::Name;
use crate::record::RecordRef;

/// The server block of a cluster's CoreDNS that holds `kubernetes`: a [`Zone`], and before it the plugins that the Corefile
/// names beside it. They act in CoreDNS's own order: `rewrite`, `autopath`, `transfer`, `hosts`, `kubernetes`.
///
/// There is one name a question, that which `rewrite` and `autopath` have made: zones, exposed namespaces and leave to transfer
/// are judged by it ([`ServerReason::name`] tells it to those who add rules of their own).
///
/// Without such plugins a question costs what it costs the zone. Cloning is cheap in the plugins, and as cheap as the zone's in
/// the zone.
///
/// ```
/// use dns_records::kubernetes::Server;
/// use dns_records::{Name, Question, RecordType};
/// use svc_model::{Cluster, api::{ConfigMap, Service}};
///
/// let mut cart = Service::default();
/// cart.metadata.name = "cart".into();
/// cart.metadata.namespace = "shop".into();
/// cart.spec.cluster_ips.push("10.0.0.1".into());
/// let mut config = ConfigMap::default();
/// config.metadata.name = "coredns".into();
/// config.metadata.namespace = "kube-system".into();
/// let corefile = ".:53 {\n  rewrite name cart.example.com cart.shop.svc.cluster.local\n  kubernetes cluster.local\n}\n";
/// config.data.insert("Corefile".into(), corefile.into());
/// let mut cluster = Cluster::new();
/// cluster.apply(cart);
/// cluster.apply(config);
///
/// let server = Server::of(&cluster);
/// let name: Name = "Cart.example.com".parse()?;
/// let answer = server.answer(Question::new(&name, RecordType::A), None);
/// assert_eq!(answer.answer[0].to_string(), "Cart.example.com. 5 IN A 10.0.0.1");
/// assert_eq!(
///     answer.reason.to_string(),
///     "rewritten to cart.shop.svc.cluster.local. (Corefile line 2); Service/shop/cart has a cluster IP"
/// );
/// # Ok::<(), dns_records::NameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    pub(super) zone: Zone,
    /// `None` where they could change nothing.
    pub(super) plugins: Option<Arc<Plugins>>,
    pub(super) options: Arc<ServerOptions>,
    /// What the settings were read from.
    source: Arc<Source>,
}

/// What a server is told besides what the cluster holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Search paths of the server itself, which `autopath` tries before the name as it is: those of CoreDNS's own
    /// resolv.conf.
    pub search: Vec<Name>,
    /// Seed of the hash tables ([`ZoneSettings::hash_seed`]).
    pub hash_seed: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Source {
    corefile: Option<String>,
    domain: String,
    addresses: Vec<IpAddr>,
}

impl Source {
    fn of(cluster: &Cluster) -> Self {
        Self {
            corefile: corefile_text(cluster).map(str::to_owned),
            domain: cluster_domain(cluster).to_owned(),
            addresses: cluster_dns(cluster),
        }
    }
}

impl Server {
    /// The server of a cluster, as its Corefile and its kubelet's configuration say.
    pub fn of(cluster: &Cluster) -> Self {
        Self::new(cluster, ServerOptions::default())
    }

    /// The same with options.
    pub fn new(cluster: &Cluster, options: ServerOptions) -> Self {
        let (mut settings, plugins, _) = ZoneSettings::read(cluster);
        settings.hash_seed = options.hash_seed;
        Self {
            zone: Zone::new(cluster, settings),
            plugins: (!plugins.are_idle()).then(|| Arc::new(plugins)),
            options: Arc::new(options),
            source: Arc::new(Source::of(cluster)),
        }
    }

    /// Follows its cluster: call it after changes, with what they touched. Whether an answer can differ now; then move the
    /// serial. A new Corefile, or another domain or address of the DNS service, builds the server anew.
    pub fn update(&mut self, cluster: &Cluster, touched: &Touched) -> bool {
        if Source::of(cluster) == *self.source {
            return self.zone.update(cluster, touched);
        }
        let serial = self.zone.settings().serial;
        *self = Self::new(cluster, ServerOptions::clone(&self.options));
        self.set_serial(serial);
        true
    }

    /// Sets the serial of the zones' SOA records.
    pub fn set_serial(&mut self, serial: u32) {
        self.zone.set_serial(serial);
    }

    /// The zone behind the plugins.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Answers a question; names that leave the zones stand alone. `client` is the asker's address, by which `autopath` knows a
    /// Pod's search list and `transfer` who may have a zone. Allocates for the records.
    pub fn answer<'a>(&'a self, question: Question<'a>, client: Option<IpAddr>) -> Answer<ServerReason<'a>> {
        Answer::collect(|sink| self.answer_into(question, client, &mut NoUpstream, sink))
    }

    /// Answers a question into a sink. `upstream` says what follows where an alias, or another name that the plugins made, leaves
    /// the zones. A question that is answered as it was asked costs no allocation.
    ///
    /// `REFUSED` means that the question is for others. Where [`ServerReason::rewritten`] tells of another name, that is the one
    /// to forward.
    pub fn answer_into<'a>(
        &'a self,
        question: Question<'a>,
        client: Option<IpAddr>,
        upstream: &mut dyn Upstream,
        sink: &mut dyn Sink,
    ) -> Verdict<ServerReason<'a>> {
        self.answer_rotated(question, client, 0, upstream, sink)
    }

    /// The same with the addresses of each name in another order ([`Zone::answer_rotated`]).
    pub fn answer_rotated<'a>(
        &'a self,
        question: Question<'a>,
        client: Option<IpAddr>,
        rotation: u32,
        upstream: &mut dyn Upstream,
        sink: &mut dyn Sink,
    ) -> Verdict<ServerReason<'a>> {
        let Some(plugins) = self.plugins.as_deref() else {
            return self.zone.answer_rotated(question, rotation, upstream, sink).map(ServerReason::of_zone);
        };
        let refused = |rcode, reason| Verdict { rcode, authoritative: false, reason: ServerReason::of_plugin(reason) };
        if let Some(line) = plugins.elsewhere(question.name) {
            return refused(Rcode::Refused, PluginReason::Elsewhere { line });
        }
        let chain = Chain { server: self, plugins, client, rotation };
        match plugins.rewrite.apply(question.name) {
            Ok(None) => {
                let (verdict, completed) = chain.complete(question, upstream, sink);
                verdict.map(|by| ServerReason::new(self, question.record_type, None, completed, by))
            }
            Ok(Some(rewritten)) => {
                let renamed = Question { name: rewritten.name(), ..question };
                let (verdict, completed) = chain.complete(renamed, upstream, &mut rewritten.sink(sink));
                let verdict = chain.forward(renamed, verdict, upstream, &mut rewritten.sink(sink)).map(By::detached);
                verdict.map(|by| ServerReason::new(self, question.record_type, Some(rewritten), completed, by))
            }
            Err(illegal) => refused(
                Rcode::ServFail,
                PluginReason::IllegalName {
                    line: plugins.rewrite_lines.get(illegal.rule).copied().unwrap_or_default(),
                },
            ),
        }
    }
}

/// The plugins behind `rewrite`, for one question.
pub(super) struct Chain<'s> {
    pub(super) server: &'s Server,
    pub(super) plugins: &'s Plugins,
    pub(super) client: Option<IpAddr>,
    pub(super) rotation: u32,
}

impl<'s> Chain<'s> {
    /// `transfer`, `hosts` and `kubernetes`.
    pub(super) fn serve<'q>(
        &self,
        question: Question<'q>,
        upstream: &mut dyn Upstream,
        sink: &mut dyn Sink,
    ) -> Verdict<By<'q>>
    where
        's: 'q,
    {
        let plugin = |rcode, authoritative, reason| Verdict { rcode, authoritative, reason: By::Plugin(reason) };
        if question.record_type.is_transfer()
            && let Some(transfer) = &self.plugins.transfer
            && !transfer.allows(question.name, self.client)
        {
            return plugin(Rcode::Refused, false, PluginReason::NoTransfer { line: transfer.line });
        }
        if let Some(hosts) = &self.plugins.hosts {
            let reason = |told| PluginReason::Hosts { line: hosts.line, told };
            match hosts.records.answer_into(question, sink) {
                Told::Nothing => {}
                told @ Told::Missing => return plugin(Rcode::ServFail, false, reason(told)),
                told => return plugin(Rcode::NoError, true, reason(told)),
            }
        }
        self.server.zone.answer_rotated(question, self.rotation, upstream, sink).map(By::Zone)
    }

    /// What comes of a name, without its records.
    pub(super) fn probe(&self, question: Question<'_>) -> Rcode {
        self.serve(question, &mut NoUpstream, &mut |_: Section, _: &RecordRef<'_>| {}).rcode
    }

    /// Asks upstream for a renamed question that is for others: nobody else knows its name.
    fn forward<'q>(
        &self,
        question: Question<'q>,
        verdict: Verdict<By<'q>>,
        upstream: &mut dyn Upstream,
        sink: &mut dyn Sink,
    ) -> Verdict<By<'q>> {
        if !matches!(verdict.reason, By::Zone(Reason::NotOurs | Reason::FallsThrough(_))) {
            return verdict;
        }
        let mut any = false;
        upstream.resolve(question, &mut |section: Section, record: &RecordRef<'_>| {
            any = true;
            sink.record(section, record);
        });
        match any {
            true => Verdict { rcode: Rcode::NoError, authoritative: false, reason: By::Plugin(PluginReason::Outside) },
            false => verdict,
        }
    }
}
