//! A TLS 1.2 client that leaves once it has seen the certificate, which TLS 1.2 does not encrypt.

use std::io::{Read, Write};

use crate::Verifies;

/// A ClientHello with any bytes as server name.
pub(crate) fn hello(name: Option<&[u8]>, verifies: Verifies) -> Vec<u8> {
    let (ecdsa, rsa) = ([0xc0, 0x2b], [0xc0, 0x2f]); // ECDHE with AES-128-GCM
    let (ecdsa_schemes, rsa_schemes) = ([4, 3], [8, 4, 4, 1]);
    let (suites, schemes) = match verifies {
        Verifies::Both => ([ecdsa, rsa].concat(), [&ecdsa_schemes[..], &rsa_schemes].concat()),
        Verifies::Ecdsa => (ecdsa.to_vec(), ecdsa_schemes.to_vec()),
        Verifies::Rsa => (rsa.to_vec(), rsa_schemes.to_vec()),
    };
    let mut extensions = Vec::new();
    if let Some(name) = name {
        let entry = [&[0], &long(name)[..]].concat();
        extensions.extend(extension(0, &long(&entry)));
    }
    extensions.extend(extension(10, &long(&[0, 0x1d, 0, 0x17]))); // X25519, P-256
    extensions.extend(extension(11, &[1, 0]));
    extensions.extend(extension(13, &long(&schemes)));
    extensions.extend(extension(23, &[]));
    extensions.extend(extension(0xff01, &[0]));
    let body = [&[3, 3][..], &[7; 32], &[0], &long(&suites), &[1, 0], &long(&extensions)].concat();
    let message = [&[1, 0], &long(&body)[..]].concat();
    [&[22, 3, 1], &long(&message)[..]].concat()
}

fn extension(kind: u16, contents: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &long(contents)].concat()
}

/// With its length in two bytes.
fn long(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

/// The DER of the server's certificate; `None` if it refuses.
pub(crate) fn certificate(stream: &mut (impl Read + Write), hello: &[u8]) -> Option<Vec<u8>> {
    const HANDSHAKE: u8 = 22;
    const CERTIFICATE: u8 = 11;
    stream.write_all(hello).ok()?;
    let mut messages = Vec::new();
    loop {
        while let [kind, a, b, c, rest @ ..] = messages.as_slice() {
            let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let Some(body) = rest.get(..len) else { break };
            if *kind == CERTIFICATE {
                // The length of the list, then the length of the first certificate.
                let first = body.get(3..)?;
                let len = u32::from_be_bytes([0, first[0], first[1], first[2]]) as usize;
                return first.get(3..3 + len).map(<[u8]>::to_vec);
            }
            messages.drain(..4 + len);
        }
        let mut header = [0; 5];
        stream.read_exact(&mut header).ok()?;
        let mut record = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        stream.read_exact(&mut record).ok()?;
        if header[0] != HANDSHAKE {
            return None; // an alert
        }
        messages.extend(record);
    }
}
