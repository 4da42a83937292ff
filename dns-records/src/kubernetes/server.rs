//! What does the DNS server of a cluster answer, all its plugins together?

use std::net::IpAddr;
use std::sync::Arc;

use svc_model::{Cluster, Touched};

use super::plugins::Plugins;
use super::reason::Reason;
use super::server_reason::{By, PluginReason, ServerReason};
use super::settings::{ZoneSettings, corefile_text};
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
/// Without such plugins a question costs what it costs the zone. A clone shares everything, as the zone's do.
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
    /// What the plugins were read from.
    corefile: Option<Arc<str>>,
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

impl Server {
    /// The server of a cluster, as its Corefile and its kubelet's configuration say.
    pub fn of(cluster: &Cluster) -> Self {
        Self::new(cluster, ServerOptions::default())
    }

    /// The same with options.
    pub fn new(cluster: &Cluster, options: ServerOptions) -> Self {
        let zone = Zone::seeded(cluster, options.hash_seed);
        let mut server = Self { zone, plugins: None, options: Arc::new(options), corefile: None };
        server.follow_corefile(cluster);
        server
    }

    /// A server before the first load of the world: it answers `SERVFAIL` within the zones of a cluster that is told nothing,
    /// for nothing is known to be missing. Put that of the cluster in its place when the objects are there.
    pub fn loading() -> Self {
        let zone = Zone::loading(ZoneSettings::default());
        Self { zone, plugins: None, options: Arc::default(), corefile: None }
    }

    /// Follows its cluster: call it after changes, with what they touched. Whether an answer can differ now: then the serial has
    /// to move ([`set_serial`](Server::set_serial)). Costs what it costs the zone ([`Zone::update`]), and a comparison of the
    /// Corefile; clones made before keep their answers.
    pub fn update(&mut self, cluster: &Cluster, touched: &Touched) -> bool {
        self.zone.update(cluster, touched) | self.follow_corefile(cluster)
    }

    /// Reads the plugins again if the Corefile is another; whether it is.
    fn follow_corefile(&mut self, cluster: &Cluster) -> bool {
        let corefile = corefile_text(cluster);
        if corefile == self.corefile.as_deref() {
            return false;
        }
        let (_, plugins, _) = ZoneSettings::read(cluster);
        self.plugins = (!plugins.are_idle()).then(|| Arc::new(plugins));
        self.corefile = corefile.map(Into::into);
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

    /// As [`answer_into`](Server::answer_into), with the addresses of each name starting at another one
    /// ([`Zone::answer_rotated`]).
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
    rotation: u32,
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
            match hosts.records.answer_rotated(question, self.rotation, sink) {
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
