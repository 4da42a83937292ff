//! Streams of messages in, streams of messages out (RFC 7766).
//!
//! Each connection has a thread, so that one that is slow, or waits for another server, holds up nobody else. A connection answers its
//! queries in their order, as many at a time as have come.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dns_records::wire::{MAX_MESSAGE, Transport};

use crate::answer::{Answerer, Outcome};
use crate::server::Shared;

/// How often the accepting thread looks whether the server is to stop, and how long it rests when the system has no more files.
const LOOK_UP: Duration = Duration::from_millis(100);
/// Octets of length before each message.
const PREFIX: usize = 2;

/// The connections that are open.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    client: SocketAddr,
    /// When the last whole query came, in milliseconds since the server started.
    heard: AtomicU64,
}

impl Connections {
    /// Takes a connection in. If there are too many, the one that has been silent for longest has to go (RFC 7766 section 6.2.3
    /// leaves that to the server).
    fn admit(&self, connection: Arc<Connection>, limit: usize) -> u64 {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= limit {
            let silent = open.iter().min_by_key(|(_, connection)| connection.heard.load(Ordering::Relaxed));
            if let Some((&id, silent)) = silent {
                let _ = silent.stream.shutdown(Shutdown::Both);
                open.remove(&id);
            }
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        open.insert(id, connection);
        id
    }

    fn leave(&self, id: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Tells all connections that no more queries are taken: each ends when it has answered what it has.
    pub(crate) fn close(&self) {
        for connection in self.open.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let _ = connection.stream.shutdown(Shutdown::Read);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Accepts connections until the server stops.
pub(crate) fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    // On Linux that holds for accept(2) too.
    socket2::SockRef::from(&listener).set_read_timeout(Some(LOOK_UP))?;
    while !shared.is_stopping() {
        match listener.accept() {
            Ok((stream, client)) => drop(start(stream, client, &shared)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => thread::sleep(LOOK_UP),
        }
    }
    Ok(())
}

/// Gives a connection its thread. Where that fails, the connection is closed.
fn start(stream: TcpStream, client: SocketAddr, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(shared.settings.idle_timeout))?;
    let connection = Arc::new(Connection { stream, client, heard: AtomicU64::new(shared.age()) });
    let id = shared.connections.admit(Arc::clone(&connection), shared.settings.max_connections.into());
    let of_thread = Arc::clone(shared);
    let run = move || {
        // An error ends the connection, and that is all there is to say about it.
        let _ = Conversation::new(&connection, Arc::clone(&of_thread)).run();
        of_thread.connections.leave(id);
    };
    let started = thread::Builder::new().name("tcp".into()).spawn(run);
    if started.is_err() {
        shared.connections.leave(id);
    }
    started.map(drop)
}

/// The queries of one connection.
struct Conversation<'a> {
    connection: &'a Connection,
    shared: Arc<Shared>,
    answerer: Answerer,
    /// Replies that were not sent yet, and room for one more.
    replies: Vec<u8>,
    end: usize,
}

impl<'a> Conversation<'a> {
    fn new(connection: &'a Connection, shared: Arc<Shared>) -> Self {
        let answerer = Answerer::new(Arc::clone(&shared));
        Self { connection, shared, answerer, replies: vec![0; 2 * (PREFIX + MAX_MESSAGE)], end: 0 }
    }

    fn run(mut self) -> io::Result<()> {
        let mut stream = &self.connection.stream;
        let mut inbox: Vec<u8> = Vec::new();
        let mut chunk = [0; 4096];
        let mut deadline = Instant::now() + self.shared.settings.idle_timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut chunk)? {
                0 => return Ok(()),
                length => inbox.extend_from_slice(&chunk[..length]),
            }
            let mut at = 0;
            while let Some(message) = first_message(&inbox[at..]) {
                at += PREFIX + message.len();
                if !self.answer(message)? {
                    return self.flush();
                }
            }
            self.flush()?;
            if at > 0 {
                inbox.drain(..at);
                deadline = Instant::now() + self.shared.settings.idle_timeout;
            }
        }
    }

    /// Answers one query; whether more can be expected. Whoever sends what is no query has lost the thread, or never had it.
    fn answer(&mut self, message: &[u8]) -> io::Result<bool> {
        let client = self.connection.client;
        self.connection.heard.store(self.shared.age(), Ordering::Relaxed);
        if self.replies.len() - self.end < PREFIX + MAX_MESSAGE {
            self.flush()?;
        }
        self.answerer.counters().message(Transport::Tcp);
        let start = self.end + PREFIX;
        let out = &mut self.replies[start..start + MAX_MESSAGE];
        let mut outcome = self.answerer.answer(message, client, Transport::Tcp, None, out);
        if outcome == Outcome::Wait {
            outcome = match self.shared.slot() {
                Some(slot) => self.answerer.answer(message, client, Transport::Tcp, Some(&slot), out),
                None => {
                    let why = "too many queries wait for other servers";
                    self.answerer.fail(message, client, Transport::Tcp, why, out)
                }
            };
        }
        match outcome {
            Outcome::Send(length) => {
                self.replies[self.end..start].copy_from_slice(&(length as u16).to_be_bytes());
                self.end = start + length;
                Ok(true)
            }
            Outcome::Transfer => self.transfer(message).map(|()| true),
            Outcome::Nothing | Outcome::Wait => Ok(false),
        }
    }

    fn transfer(&mut self, message: &[u8]) -> io::Result<()> {
        self.flush()?;
        let (mut stream, client) = (&self.connection.stream, self.connection.client);
        let (out, framed) = self.replies.split_at_mut(MAX_MESSAGE);
        let mut sent = Ok(());
        self.answerer.transfer(message, client, out, |message| {
            // The zone is walked to its end even if the client has gone.
            if sent.is_ok() {
                let framed = &mut framed[..PREFIX + message.len()];
                framed[..PREFIX].copy_from_slice(&(message.len() as u16).to_be_bytes());
                framed[PREFIX..].copy_from_slice(message);
                sent = stream.write_all(framed);
            }
        });
        sent
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut stream = &self.connection.stream;
        stream.write_all(&self.replies[..self.end])?;
        self.end = 0;
        Ok(())
    }
}

/// The message at the front of a stream, if all of it is there.
fn first_message(stream: &[u8]) -> Option<&[u8]> {
    let (length, rest) = stream.split_first_chunk()?;
    rest.get(..u16::from_be_bytes(*length).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_when_it_is_whole() {
        for cut in [&b""[..], b"\0", b"\0\x02", b"\0\x02a"] {
            assert_eq!(first_message(cut), None);
        }
        assert_eq!(first_message(b"\0\x02abc"), Some(&b"ab"[..]));
        assert_eq!(first_message(b"\0\0abc"), Some(&b""[..]));
    }
}
