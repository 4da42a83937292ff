//! One listener for TLS that ends here and TLS that goes on: the hello is read before anybody decides.
//!
//! A connection whose server name has a target goes there, byte for byte, with the hello first. Any other is handed to
//! rustls, which reads the same hello again and asks the certificates of a [`Resolver`]; a line then says what was served.

mod prefixed;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use prefixed::Prefixed;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tls_sni::resolver::Resolver;
use tls_sni::{HelloReader, NameMap, PeekError, Sni};

/// No client has a reason to say more before it is answered; Envoy draws the line at the same place.
const MAX_HELLO: usize = 16 * 1024;
/// How long a client may take to say hello, and a peer to say anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to do with connections.
#[derive(Debug)]
pub struct Proxy {
    targets: NameMap<SocketAddr>,
    config: Arc<ServerConfig>,
}

impl Proxy {
    /// Passes the names of `targets` through, and ends all other connections with the certificates of `resolver`.
    ///
    /// # Errors
    /// None with rustls' own defaults; they are rustls' to promise.
    pub fn new(targets: NameMap<SocketAddr>, resolver: Arc<Resolver>) -> Result<Proxy, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Proxy { targets, config: Arc::new(config) })
    }

    /// Serves each connection in a thread of its own, for as long as there are connections.
    pub fn run(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().flatten() {
            let proxy = Arc::clone(&self);
            thread::spawn(move || {
                if let Err(error) = proxy.serve(client) {
                    eprintln!("sni-proxy: {error}");
                }
            });
        }
    }

    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_nodelay(true)?;
        let (sni, said) = hello(&mut client)?;
        match sni.name().and_then(|name| self.targets.get(name)) {
            Some((_, target)) => pass(client, TcpStream::connect(target)?, &said),
            None => self.end(Prefixed::new(said, client)),
        }
    }

    /// Ends TLS here, and answers one request with what was asked for.
    fn end(&self, client: Prefixed<TcpStream>) -> io::Result<()> {
        let connection = ServerConnection::new(Arc::clone(&self.config)).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, client);
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") && request.len() < MAX_HELLO {
            let mut byte = [0];
            if stream.read(&mut byte)? == 0 {
                break;
            }
            request.extend(byte);
        }
        let body = format!("ended here: {}\n", stream.conn.server_name().unwrap_or("no server name"));
        write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        stream.conn.send_close_notify();
        stream.flush()
    }
}

/// The server name, and the bytes that were read to find it.
fn hello(client: &mut TcpStream) -> io::Result<(Sni, Vec<u8>)> {
    let mut reader = HelloReader::within(MAX_HELLO);
    let mut said = Vec::new();
    loop {
        match reader.read(&said) {
            Ok(hello) => {
                let sni = hello.sni();
                return Ok((sni, said));
            }
            Err(PeekError::NeedMore(_)) => {}
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
        let mut chunk = [0; 4096];
        match client.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => said.extend_from_slice(&chunk[..len]),
        }
    }
}

/// Copies both ways until both are done, what the client has said already first.
fn pass(client: TcpStream, server: TcpStream, said: &[u8]) -> io::Result<()> {
    (&server).write_all(said)?;
    client.set_read_timeout(None)?;
    thread::scope(|scope| {
        let back = scope.spawn(|| {
            let copied = io::copy(&mut &server, &mut &client);
            let _ = client.shutdown(Shutdown::Write);
            copied
        });
        let copied = io::copy(&mut &client, &mut &server);
        let _ = server.shutdown(Shutdown::Write);
        let answered = back.join().unwrap_or_else(|_| Err(io::Error::other("the copy back panicked")));
        copied.and(answered).map(drop)
    })
}
