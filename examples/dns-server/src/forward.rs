//! What do other servers say about names that are not the cluster's?
//!
//! Each question goes out from a socket of its own, so from a port that the kernel draws, with an id that is drawn too: whoever wants
//! to answer in the server's place has to guess both (RFC 5452). What comes back is read and written anew, record by record, so that
//! no client gets octets that nobody here understood.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dns_records::wire::{self, Query, Transport};
use dns_records::{JoinedName, NameRef, Question, Record, RecordData, Section, Sink};
use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::message::RecordSection;
use domain::base::message_builder::RecordSectionBuilder;
use domain::base::name::{Name, ParsedName, ToName};
use domain::base::wire::{Composer, ParseError};
use domain::base::{Message, MessageBuilder, StaticCompressor};
use domain::rdata::AllRecordData;

/// What we say we can take over UDP, in octets; the buffer is larger, for servers that do not care.
const UDP_SIZE: u16 = 1232;
const UDP_BUFFER: usize = 4096;
/// Length of an OPT record without options, in octets.
const OPT: usize = 11;

/// The other servers, and how many questions may wait for them.
#[derive(Debug)]
pub(crate) struct Forwarder {
    servers: Vec<SocketAddr>,
    timeout: Duration,
    limit: usize,
    waiting: AtomicUsize,
}

/// Leave to ask one question. Gives itself back.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Forwarder>);

/// What another server said, in words for a client of ours.
pub(crate) struct Relayed {
    pub(crate) message: Vec<u8>,
    pub(crate) rcode: Rcode,
    pub(crate) truncated: bool,
    pub(crate) server: SocketAddr,
}

impl Forwarder {
    pub(crate) fn new(servers: Vec<SocketAddr>, timeout: Duration, limit: usize) -> Self {
        Self { servers, timeout, limit, waiting: AtomicUsize::new(0) }
    }

    /// A slot, unless too many are taken.
    pub(crate) fn slot(self: &Arc<Self>) -> Option<Slot> {
        let take = |waiting| (waiting < self.limit).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Slot(Arc::clone(self)))
    }

    /// How many slots are taken.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Slot {
    /// Asks the question of a client, and makes a reply to it of what comes back. `None` if no server answers.
    ///
    /// A client that asked over UDP and can have only a part is told so, and comes back over TCP.
    pub(crate) fn relay(&self, query: &Query<'_>, settings: &wire::Settings) -> Option<Relayed> {
        let asked = Asked {
            question: query.question(),
            recursion_desired: query.recursion_desired(),
            checking_disabled: query.checking_disabled(),
            dnssec_ok: query.edns().is_some_and(|edns| edns.dnssec_ok),
        };
        let (reply, server) = self.exchange(&asked, query.transport() == Transport::Tcp)?;
        rewrite(query, settings, &reply, server)
    }

    /// Follows an alias: puts what the question answers elsewhere into the sink, and says whether there is such a name. `None` if no
    /// server can tell.
    ///
    /// Records of types that a sink does not know stay away; the asker has the alias and can follow it.
    pub(crate) fn resolve(&self, question: Question<'_>, sink: &mut dyn Sink) -> Option<dns_records::Rcode> {
        let asked = Asked { question, recursion_desired: true, checking_disabled: false, dnssec_ok: false };
        let (reply, _) = self.exchange(&asked, true)?;
        let heard = match reply.header().rcode() {
            Rcode::NOERROR => dns_records::Rcode::NoError,
            Rcode::NXDOMAIN => dns_records::Rcode::NxDomain,
            _ => return None,
        };
        for record in reply.answer().ok()?.into_records::<AllRecordData<_, _>>() {
            let record = record.ok()?;
            let ttl = record.ttl().as_secs();
            let owner = wire_form(record.owner());
            let owner = borrowed(&owner)?;
            let target;
            let data = match record.data() {
                AllRecordData::A(data) => RecordData::A(data.addr()),
                AllRecordData::Aaaa(data) => RecordData::Aaaa(data.addr()),
                AllRecordData::Cname(data) => {
                    target = wire_form(data.cname());
                    RecordData::Cname(borrowed(&target)?)
                }
                AllRecordData::Ptr(data) => {
                    target = wire_form(data.ptrdname());
                    RecordData::Ptr(borrowed(&target)?)
                }
                AllRecordData::Srv(data) => {
                    target = wire_form(data.target());
                    let (priority, weight, port) = (data.priority(), data.weight(), data.port());
                    RecordData::Srv { priority, weight, port, target: borrowed(&target)? }
                }
                _ => continue,
            };
            sink.record(Section::Answer, &Record { owner, ttl, data });
        }
        Some(heard)
    }

    /// The first reply of a server. With `whole`, one that was cut is fetched over TCP.
    fn exchange(&self, asked: &Asked<'_>, whole: bool) -> Option<(Message<Vec<u8>>, SocketAddr)> {
        self.0.servers.iter().find_map(|&server| {
            let deadline = Instant::now() + self.0.timeout;
            let mut reply = asked.over_udp(server, deadline).ok()?;
            if whole && reply.header().tc() {
                reply = asked.over_tcp(server, deadline).ok()?;
            }
            Some((reply, server))
        })
    }
}

/// A question to another server.
struct Asked<'a> {
    question: Question<'a>,
    recursion_desired: bool,
    checking_disabled: bool,
    dnssec_ok: bool,
}

impl Asked<'_> {
    fn over_udp(&self, server: SocketAddr, deadline: Instant) -> io::Result<Message<Vec<u8>>> {
        let any_port: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any_port)?;
        // From now on only datagrams of that server come in.
        socket.connect(server)?;
        let id = random_id()?;
        socket.send(&self.message(id)?)?;
        let mut buffer = [0; UDP_BUFFER];
        loop {
            socket.set_read_timeout(Some(left(deadline)?))?;
            let length = socket.recv(&mut buffer)?;
            if let Some(reply) = self.reply(id, &buffer[..length]) {
                return Ok(reply);
            }
        }
    }

    fn over_tcp(&self, server: SocketAddr, deadline: Instant) -> io::Result<Message<Vec<u8>>> {
        let mut stream = TcpStream::connect_timeout(&server, left(deadline)?)?;
        stream.set_write_timeout(Some(left(deadline)?))?;
        let id = random_id()?;
        let message = self.message(id)?;
        let length = (message.len() as u16).to_be_bytes();
        stream.write_all(&[&length, message.as_slice()].concat())?;
        let mut length = [0; 2];
        read_exact(&mut stream, &mut length, deadline)?;
        let mut buffer = vec![0; u16::from_be_bytes(length).into()];
        read_exact(&mut stream, &mut buffer, deadline)?;
        self.reply(id, &buffer).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn message(&self, id: u16) -> io::Result<Vec<u8>> {
        let (name, rtype) = self.parts().ok_or(io::ErrorKind::InvalidInput)?;
        let mut message = MessageBuilder::new_vec();
        message.header_mut().set_id(id);
        message.header_mut().set_rd(self.recursion_desired);
        message.header_mut().set_cd(self.checking_disabled);
        let mut message = message.question();
        message.push((name, rtype)).map_err(io::Error::other)?;
        let mut message = message.additional();
        let opt = message.opt(|opt| {
            opt.set_udp_payload_size(UDP_SIZE);
            opt.set_dnssec_ok(self.dnssec_ok);
            Ok(())
        });
        opt.map_err(io::Error::other)?;
        Ok(message.finish())
    }

    /// The octets as a message, if they are a reply to this question with this id.
    fn reply(&self, id: u16, octets: &[u8]) -> Option<Message<Vec<u8>>> {
        let reply = Message::from_octets(octets.to_vec()).ok()?;
        let header = reply.header();
        if header.id() != id || !header.qr() || header.opcode() != Opcode::QUERY {
            return None;
        }
        let question = reply.sole_question().ok()?;
        let (name, rtype) = self.parts()?;
        let is_ours = question.qname().name_eq(&name) && question.qtype() == rtype && question.qclass() == Class::IN;
        is_ours.then_some(reply)
    }

    fn parts(&self) -> Option<(Name<&[u8]>, Rtype)> {
        parts(self.question)
    }
}

/// A question in the types of `domain`.
fn parts(question: Question<'_>) -> Option<(Name<&[u8]>, Rtype)> {
    Some((Name::from_octets(question.name.as_wire()).ok()?, Rtype::from_int(question.record_type.0)))
}

fn wire_form(name: &ParsedName<&[u8]>) -> Name<Vec<u8>> {
    name.to_vec()
}

fn borrowed(name: &Name<Vec<u8>>) -> Option<JoinedName<'_>> {
    NameRef::from_wire(name.as_slice()).ok().map(JoinedName::from)
}

/// Makes a reply for our client of another server's: its question as the client spelled it, its id and its limits.
fn rewrite(
    query: &Query<'_>,
    settings: &wire::Settings,
    reply: &Message<Vec<u8>>,
    server: SocketAddr,
) -> Option<Relayed> {
    let (name, rtype) = parts(query.question())?;
    let from = reply.header();
    let mut builder = MessageBuilder::from_target(StaticCompressor::new(Vec::with_capacity(UDP_SIZE.into()))).ok()?;
    builder.set_push_limit(query.limit(settings) - query.edns().map_or(0, |_| OPT));
    let header = builder.header_mut();
    header.set_id(query.id());
    header.set_qr(true);
    header.set_aa(from.aa());
    header.set_rd(query.recursion_desired());
    header.set_ra(true);
    header.set_cd(query.checking_disabled());
    header.set_rcode(from.rcode());
    let mut builder = builder.question();
    builder.push((name, rtype)).ok()?;
    let section = reply.answer().ok()?;
    let mut builder = builder.answer();
    let answer_fits = copy(section, &mut builder).ok()?;
    let section = reply.authority().ok()?;
    let mut builder = builder.authority();
    let authority_fits = answer_fits && copy(section, &mut builder).ok()?;
    let section = reply.additional().ok()?;
    let mut builder = builder.additional();
    if authority_fits {
        // What is missing here, nobody misses (RFC 2181 section 9).
        copy(section, &mut builder).ok()?;
    }
    let truncated = from.tc() || !authority_fits;
    builder.as_builder_mut().header_mut().set_tc(truncated);
    builder.as_builder_mut().clear_push_limit();
    if let Some(edns) = query.edns() {
        let opt = builder.opt(|opt| {
            opt.set_udp_payload_size(settings.max_udp);
            opt.set_dnssec_ok(edns.dnssec_ok);
            Ok(())
        });
        opt.ok()?;
    }
    let message = builder.finish().into_target();
    Some(Relayed { message, rcode: from.rcode(), truncated, server })
}

/// Copies the records of a section while they fit; whether all did. OPT and TSIG are between neighbours and stay.
fn copy<'a, T: Composer>(
    section: RecordSection<'a, Vec<u8>>,
    to: &mut impl RecordSectionBuilder<T>,
) -> Result<bool, ParseError> {
    for record in section.into_records::<AllRecordData<_, _>>() {
        let record = record?;
        if !matches!(record.rtype(), Rtype::OPT | Rtype::TSIG) && to.push(record).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn random_id() -> io::Result<u16> {
    getrandom::u32().map(|number| number as u16).map_err(io::Error::other)
}

/// The time until a deadline, unless it has passed.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn read_exact(stream: &mut TcpStream, mut buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => buffer = &mut buffer[length..],
        }
    }
    Ok(())
}
