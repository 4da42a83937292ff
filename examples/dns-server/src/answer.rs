//! What is sent back for one message?

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use arc_swap::cache::Cache;
use dns_records::kubernetes::Server;
use dns_records::wire::{self, Query, Refusal, Reply, Transport};
use dns_records::{NoUpstream, Question, Rcode, Sink, Upstream, Verdict};

use crate::counters::Counters;
use crate::forward::Slot;
use crate::server::Shared;

/// Answers messages from the newest snapshot of the cluster. Each thread has one.
pub(crate) struct Answerer {
    shared: Arc<Shared>,
    cluster: Cache<Arc<ArcSwapOption<Server>>, Option<Arc<Server>>>,
    counters: Arc<Counters>,
    /// Moves on with each answer, and with it the address that comes first.
    rotation: u32,
}

/// What to do about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Send so many octets of the buffer.
    Send(usize),
    /// Say nothing.
    Nothing,
    /// The answer needs other servers: ask again with a [`Slot`].
    Wait,
    /// Go on with [`Answerer::transfer`].
    Transfer,
}

/// Buffers for replies are made with [`Shared::max_udp_reply`] octets, or more.
const BUFFER: &str = "a buffer holds the shortest reply";

impl Answerer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let cluster = Cache::new(Arc::clone(&shared.cluster));
        let counters = shared.new_counters();
        // Threads that begin alike would send all their first clients to one address.
        let rotation = if shared.settings.no_rotation { 0 } else { getrandom::u32().unwrap_or(0) };
        Self { shared, cluster, counters, rotation }
    }

    /// Writes the reply to a message into `out`. Only with a slot are other servers asked, which takes time.
    pub(crate) fn answer(
        &mut self,
        message: &[u8],
        client: SocketAddr,
        transport: Transport,
        slot: Option<&Slot>,
        out: &mut [u8],
    ) -> Outcome {
        let (shared, counters) = (&*self.shared, &*self.counters);
        let query = match Query::read(message, transport) {
            Ok(query) => query,
            Err(refusal) => return refuse(shared, counters, &refusal, client, transport, out),
        };
        let Some(cluster) = self.cluster.load() else {
            return fail(shared, counters, &query, client, "no manifests were read yet", out);
        };
        if query.question().record_type.is_transfer() {
            return Outcome::Transfer;
        }
        if !shared.settings.no_rotation {
            self.rotation = self.rotation.wrapping_add(1);
        }
        let mut beyond = Beyond { slot, asked: false, heard: None };
        let reply = wire::reply(&query, &shared.wire, out, |question, writer| {
            let mut verdict = cluster.answer_rotated(question, Some(client.ip()), self.rotation, &mut beyond, writer);
            if verdict.rcode == Rcode::Refused
                && let Some(heard) = beyond.heard
            {
                // Others were asked for the name that the cluster's rules made of this one, and know of no record.
                verdict.rcode = heard;
            }
            verdict
        });
        let reply = reply.expect(BUFFER);
        let is_elsewhere = reply.verdict.rcode == Rcode::Refused;
        match slot {
            _ if !shared.forwards() || !(is_elsewhere || beyond.asked) => {}
            None => return Outcome::Wait,
            Some(_) if beyond.asked && beyond.heard.is_none() => {
                return fail(shared, counters, &query, client, "no other server answers for the target", out);
            }
            Some(slot) if is_elsewhere => return relay(shared, counters, &query, client, slot, out),
            Some(_) => {}
        }
        counters.reply(reply.verdict.rcode as u16, reply.truncated);
        log(shared, &query, client, &reply);
        Outcome::Send(reply.length)
    }

    /// Says that the answer to a message cannot be had now.
    pub(crate) fn fail(
        &self,
        message: &[u8],
        client: SocketAddr,
        transport: Transport,
        why: &str,
        out: &mut [u8],
    ) -> Outcome {
        match Query::read(message, transport) {
            Ok(query) => fail(&self.shared, &self.counters, &query, client, why, out),
            Err(refusal) => refuse(&self.shared, &self.counters, &refusal, client, transport, out),
        }
    }

    /// Hands a whole zone out over TCP, if the settings of the cluster's DNS allow that.
    pub(crate) fn transfer(&mut self, message: &[u8], client: SocketAddr, out: &mut [u8], send: impl FnMut(&[u8])) {
        let (Some(cluster), Ok(query)) = (self.cluster.load(), Query::read(message, Transport::Tcp)) else {
            return; // `answer` read the same message, and found a cluster; there is one from then on.
        };
        let answer =
            |question, sink: &mut dyn Sink| cluster.answer_into(question, Some(client.ip()), &mut NoUpstream, sink);
        let done = wire::transfer(&query, &self.shared.wire, out, answer, send).expect(BUFFER);
        self.counters.reply(done.verdict.rcode as u16, false);
        if done.verdict.rcode == Rcode::NoError {
            self.counters.transfer();
        }
        self.shared.log.line(
            client,
            Transport::Tcp,
            &query.question(),
            format_args!("{}, {} messages: {}", done.verdict.rcode, done.messages, done.verdict.reason),
        );
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// Sends the question to others, and what they say back.
fn relay(
    shared: &Shared,
    counters: &Counters,
    query: &Query<'_>,
    client: SocketAddr,
    slot: &Slot,
    out: &mut [u8],
) -> Outcome {
    counters.forwarded();
    let Some(relayed) = slot.relay(query, &shared.wire) else {
        return fail(shared, counters, query, client, "no other server answers", out);
    };
    let length = relayed.message.len();
    out[..length].copy_from_slice(&relayed.message);
    counters.reply(relayed.rcode.to_int().into(), relayed.truncated);
    shared.log.line(
        client,
        query.transport(),
        &query.question(),
        format_args!("{}, {length} octets: forwarded to {}", relayed.rcode, relayed.server),
    );
    Outcome::Send(length)
}

fn fail(
    shared: &Shared,
    counters: &Counters,
    query: &Query<'_>,
    client: SocketAddr,
    why: &str,
    out: &mut [u8],
) -> Outcome {
    let reply = wire::reply(query, &shared.wire, out, |_, _| Verdict {
        rcode: Rcode::ServFail,
        authoritative: false,
        reason: why,
    });
    let reply = reply.expect(BUFFER);
    counters.reply(reply.verdict.rcode as u16, false);
    log(shared, query, client, &reply);
    Outcome::Send(reply.length)
}

fn refuse(
    shared: &Shared,
    counters: &Counters,
    refusal: &Refusal<'_>,
    client: SocketAddr,
    transport: Transport,
    out: &mut [u8],
) -> Outcome {
    match (refusal.reply(&shared.wire, out).expect(BUFFER), refusal.fault().rcode()) {
        (Some(length), Some(rcode)) => {
            counters.reply(rcode as u16, false);
            shared.log.line(client, transport, &"no query", format_args!("{rcode}, {length} octets: {refusal}"));
            Outcome::Send(length)
        }
        _ => {
            counters.silent();
            shared.log.line(client, transport, &"no query", format_args!("no reply: {refusal}"));
            Outcome::Nothing
        }
    }
}

fn log<R: std::fmt::Display>(shared: &Shared, query: &Query<'_>, client: SocketAddr, reply: &Reply<R>) {
    let Reply { length, truncated, verdict } = reply;
    let cut = if *truncated { ", truncated" } else { "" };
    shared.log.line(
        client,
        query.transport(),
        &query.question(),
        format_args!("{}{cut}, {length} octets: {}", verdict.rcode, verdict.reason),
    );
}

/// What lies beyond the zones: notes that an alias leads there, and follows it if there is a slot.
struct Beyond<'a> {
    slot: Option<&'a Slot>,
    asked: bool,
    /// What a server said, if one did.
    heard: Option<Rcode>,
}

impl Upstream for Beyond<'_> {
    fn resolve(&mut self, question: Question<'_>, sink: &mut dyn Sink) {
        self.asked = true;
        self.heard = self.slot.and_then(|slot| slot.resolve(question, sink));
    }
}
