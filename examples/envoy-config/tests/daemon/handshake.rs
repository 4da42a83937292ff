//! How does a server begin a TLS connection? The first words of TLS 1.2, in which certificates can be read.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// What a ClientHello is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// TLS ends here, with this certificate (DER).
    Certificate(Vec<u8>),
    /// The bytes reached this backend.
    Backend(String),
    /// The connection was closed, with an alert or without.
    Closed,
}

/// What the server behind a cluster says to bytes that begin a handshake, before the name of the cluster.
pub(crate) const REACHED: &str = "reached ";

/// Begins a handshake on a port.
pub(crate) fn greet(port: u16, server_name: Option<&str>, alpn: &[&str]) -> Result<Greeting, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(text)?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(text)?;
    stream.write_all(&client_hello(server_name, alpn)).map_err(text)?;
    let mut handshake = Vec::new();
    loop {
        let mut head = [0; 5];
        if stream.read_exact(&mut head).is_err() {
            return Ok(Greeting::Closed);
        }
        if head[0] != 22 {
            if REACHED.as_bytes().starts_with(&head) {
                let mut rest = String::new();
                stream.read_to_string(&mut rest).map_err(text)?;
                let whole = String::from_utf8_lossy(&head).into_owned() + &rest;
                return Ok(Greeting::Backend(whole[REACHED.len()..].to_owned()));
            }
            // An alert.
            return Ok(Greeting::Closed);
        }
        let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        stream.read_exact(&mut body).map_err(text)?;
        handshake.extend(body);
        if let Some(certificate) = certificate(&handshake) {
            return Ok(Greeting::Certificate(certificate));
        }
    }
}

/// The first certificate in some messages of a handshake, once it is there.
fn certificate(mut messages: &[u8]) -> Option<Vec<u8>> {
    loop {
        let (head, rest) = messages.split_at_checked(4)?;
        let (body, next) = rest.split_at_checked(length(&head[1..]))?;
        if head[0] == 11 {
            let (_, list) = body.split_at_checked(3)?;
            let (size, rest) = list.split_at_checked(3)?;
            return rest.get(..length(size)).map(<[u8]>::to_vec);
        }
        messages = next;
    }
}

fn length(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

/// A vector with its length in so many bytes before it.
fn vector(size: usize, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    [&length[length.len() - size..], content].concat()
}

fn client_hello(server_name: Option<&str>, alpn: &[&str]) -> Vec<u8> {
    let extension = |number: u16, content: Vec<u8>| [number.to_be_bytes().to_vec(), vector(2, &content)].concat();
    let mut extensions = Vec::new();
    if let Some(name) = server_name {
        let entry = [vec![0], vector(2, name.as_bytes())].concat();
        extensions.extend(extension(0, vector(2, &entry)));
    }
    // x25519 and P-256; signatures of ECDSA and RSA.
    extensions.extend(extension(10, vector(2, &[0, 29, 0, 23])));
    extensions.extend(extension(11, vector(1, &[0])));
    extensions.extend(extension(13, vector(2, &[4, 3, 8, 4, 4, 1, 5, 3, 5, 1])));
    if !alpn.is_empty() {
        let names: Vec<u8> = alpn.iter().flat_map(|name| vector(1, name.as_bytes())).collect();
        extensions.extend(extension(16, vector(2, &names)));
    }
    // ECDHE with AES-GCM, for both kinds of key.
    let ciphers = vector(2, &[0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30]);
    let body = [&[3, 3][..], &[7; 32], &vector(1, &[]), &ciphers, &vector(1, &[0]), &vector(2, &extensions)].concat();
    let message = [vec![1], vector(3, &body)].concat();
    [vec![22, 3, 1], vector(2, &message)].concat()
}
