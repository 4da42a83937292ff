//! Many datagrams with one call of the system: under load that is a good part of what a query costs.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

/// Datagrams a call.
const BATCH: usize = 32;

/// Buffers for queries and their replies.
#[derive(Debug)]
pub(crate) struct Batch {
    received: MultiHeaders<SockaddrStorage>,
    sent: MultiHeaders<SockaddrStorage>,
    queries: Box<[u8]>,
    replies: Box<[u8]>,
    query_size: usize,
    reply_size: usize,
    /// Length of each query, who sent it, and the length of the reply to it, if there is one.
    envelopes: Vec<(usize, Option<SockaddrStorage>, usize)>,
}

impl Batch {
    /// Buffers for queries and replies of so many octets.
    pub(crate) fn new(query_size: usize, reply_size: usize) -> Self {
        Self {
            received: MultiHeaders::preallocate(BATCH, None),
            sent: MultiHeaders::preallocate(BATCH, None),
            queries: vec![0; BATCH * query_size].into(),
            replies: vec![0; BATCH * reply_size].into(),
            query_size,
            reply_size,
            envelopes: Vec::with_capacity(BATCH),
        }
    }

    /// Waits for a datagram, and takes all that have come.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.envelopes.clear();
        let mut buffers: Vec<_> =
            self.queries.chunks_mut(self.query_size).map(|query| [IoSliceMut::new(query)]).collect();
        let results =
            recvmmsg(socket.as_raw_fd(), &mut self.received, buffers.iter_mut(), MsgFlags::MSG_WAITFORONE, None)?;
        self.envelopes.extend(results.map(|message| (message.bytes, message.address, 0)));
        Ok(())
    }

    /// Hands each query, its sender and the buffer for its reply out, and sends the replies that were made: `answer` gives
    /// their lengths.
    pub(crate) fn answer(
        &mut self,
        socket: &UdpSocket,
        mut answer: impl FnMut(&[u8], SocketAddr, &mut [u8]) -> Option<usize>,
    ) {
        let queries = self.queries.chunks(self.query_size);
        let replies = self.replies.chunks_mut(self.reply_size);
        for ((query, reply), (length, client, reply_length)) in queries.zip(replies).zip(&mut self.envelopes) {
            let client = client.as_ref().and_then(socket_address);
            *reply_length = client.and_then(|client| answer(&query[..*length], client, reply)).unwrap_or(0);
        }
        let made = self.replies.chunks(self.reply_size).zip(&self.envelopes).filter(|(_, (.., length))| *length > 0);
        let (slices, clients): (Vec<_>, Vec<_>) =
            made.map(|(reply, (_, client, length))| ([IoSlice::new(&reply[..*length])], *client)).unzip();
        let mut at = 0;
        while at < slices.len() {
            let sent =
                sendmmsg(socket.as_raw_fd(), &mut self.sent, &slices[at..], &clients[at..], [], MsgFlags::empty());
            // The first that cannot be sent ends the call, and is what the error is about: its client asks again or gives up.
            at += sent.map_or(1, |sent| sent.count().max(1));
        }
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|&address| SocketAddr::from(address));
    v4.or_else(|| address.as_sockaddr_in6().map(|&address| SocketAddr::from(address)))
}
