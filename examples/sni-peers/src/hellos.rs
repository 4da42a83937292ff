//! Who reads the name out of a ClientHello?

use std::hint::black_box;

use tls_parser::{TlsExtension, TlsMessage, TlsMessageHandshake, parse_tls_extensions, parse_tls_plaintext};
use tls_sni::peek;

use crate::group::Group;
use crate::walk::walk;
use crate::workloads::{Hello, client_hello};

const NAME: &str = "h123.z26.example.com";
/// Hellos a measurement.
const COUNT: usize = 4_096;

pub(crate) fn run() {
    for (label, shape) in [("small hello", Hello::Small), ("browser's hello", Hello::Browser)] {
        let hello = client_hello(NAME, shape);
        let name = Some(NAME.as_bytes());
        assert_eq!(walk(&hello), name);
        assert_eq!(peek(&hello).expect("a hello").server_name_bytes(), name);
        assert_eq!(by_tls_parser(&hello), name);
        assert_eq!(by_acceptor(&hello).as_deref(), Some(NAME));
        let hello = hello.as_slice();
        let mut group = Group::new(label, COUNT);
        group.add("floor: walk over the lengths", || {
            for _ in 0..COUNT {
                black_box(walk(black_box(hello)));
            }
        });
        group.add("tls-sni peek, every check", || {
            for _ in 0..COUNT {
                black_box(peek(black_box(hello)).map(|hello| hello.server_name_bytes().map(<[u8]>::len)).ok());
            }
        });
        group.add("tls-parser", || {
            for _ in 0..COUNT {
                black_box(by_tls_parser(black_box(hello)));
            }
        });
        group.add("rustls Acceptor", || {
            for _ in 0..COUNT {
                black_box(by_acceptor(black_box(hello)));
            }
        });
        group.print();
    }
}

fn by_tls_parser(bytes: &[u8]) -> Option<&[u8]> {
    let (_, record) = parse_tls_plaintext(bytes).ok()?;
    let TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello)) = record.msg.first()? else {
        return None;
    };
    let (_, extensions) = parse_tls_extensions(hello.ext?).ok()?;
    extensions.iter().find_map(|extension| match extension {
        TlsExtension::SNI(names) => names.first().map(|name| name.1),
        _ => None,
    })
}

fn by_acceptor(mut bytes: &[u8]) -> Option<String> {
    let mut acceptor = rustls::server::Acceptor::default();
    acceptor.read_tls(&mut bytes).ok()?;
    let accepted = acceptor.accept().ok()??;
    accepted.client_hello().server_name().map(str::to_owned)
}
