//! Datagrams in, datagrams out.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dns_records::wire::Transport;

use crate::answer::{Answerer, Outcome};
use crate::batch::Batch;
use crate::server::Shared;

/// Longest query that is taken over UDP, in octets: far more than one question and its options take.
const MAX_QUERY: usize = 4096;
/// How often a thread without work looks whether the server is to stop.
const LOOK_UP: Duration = Duration::from_millis(100);

/// Serves a socket until the server stops.
pub(crate) fn serve(socket: UdpSocket, shared: Arc<Shared>) -> io::Result<()> {
    socket.set_read_timeout(Some(LOOK_UP))?;
    let socket = Arc::new(socket);
    let mut answerer = Answerer::new(Arc::clone(&shared));
    let mut batch = Batch::new(MAX_QUERY, shared.max_udp_reply());
    let mut last_call = None;
    while last_call.is_none_or(|end| Instant::now() < end) {
        match batch.receive(&socket) {
            Ok(()) => batch
                .answer(&socket, |message, client, out| respond(&socket, &shared, &mut answerer, message, client, out)),
            Err(_) if last_call.is_some() => break,
            // Nothing came, or word that somebody is no longer there to take a reply.
            Err(_) => {}
        }
        if last_call.is_none() && shared.is_stopping() {
            // What has come already is answered, as far as that can be done soon.
            socket.set_nonblocking(true)?;
            last_call = Some(Instant::now() + LOOK_UP);
        }
    }
    Ok(())
}

/// The length of the reply to a message; `None` if there is none, or not yet.
fn respond(
    socket: &Arc<UdpSocket>,
    shared: &Arc<Shared>,
    answerer: &mut Answerer,
    message: &[u8],
    client: SocketAddr,
    out: &mut [u8],
) -> Option<usize> {
    answerer.counters().message(Transport::Udp);
    let outcome = match answerer.answer(message, client, Transport::Udp, None, out) {
        Outcome::Wait => match wait(socket, shared, message, client) {
            Ok(()) => return None,
            Err(why) => answerer.fail(message, client, Transport::Udp, why, out),
        },
        outcome => outcome,
    };
    match outcome {
        Outcome::Send(length) => Some(length),
        Outcome::Nothing | Outcome::Wait | Outcome::Transfer => None,
    }
}

/// Lets a thread ask other servers, so that this one can go on.
fn wait(socket: &Arc<UdpSocket>, shared: &Arc<Shared>, message: &[u8], client: SocketAddr) -> Result<(), &'static str> {
    let slot = shared.slot().ok_or("too many queries wait for other servers")?;
    let (socket, shared, message) = (Arc::clone(socket), Arc::clone(shared), message.to_vec());
    let wait = move || {
        let mut out = vec![0; shared.max_udp_reply()];
        let mut answerer = Answerer::new(shared);
        if let Outcome::Send(length) = answerer.answer(&message, client, Transport::Udp, Some(&slot), &mut out) {
            let _ = socket.send_to(&out[..length], client);
        }
    };
    thread::Builder::new().name("forward".into()).spawn(wait).map_err(|_| "no thread to be had").map(drop)
}
