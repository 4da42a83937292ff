//! Other people's servers on loopback, and what certificate each answers a ClientHello with.

mod config;
mod wire;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::World;
use crate::common::{free_ports, program};

pub(crate) use wire::hello;

/// What a server answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// The certificate at this place of the world.
    Certificate(usize),
    /// An alert, or the end of the connection.
    Refused,
}

/// Writes the configuration for worlds at ports into a directory; says the arguments to start with.
type Configure = fn(&Path, &[(u16, &World)]) -> Vec<String>;

/// A program and how it is configured.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: PathBuf,
    configure: Configure,
}

pub(crate) fn nginx() -> Result<Peer, String> {
    peer("nginx", "NGINX", config::nginx)
}

pub(crate) fn haproxy() -> Result<Peer, String> {
    peer("haproxy", "HAPROXY", config::haproxy)
}

pub(crate) fn envoy() -> Result<Peer, String> {
    peer("envoy", "ENVOY", config::envoy)
}

fn peer(name: &'static str, variable: &str, configure: Configure) -> Result<Peer, String> {
    let program = program(variable, name).ok_or_else(|| format!("there is no {name}"))?;
    Ok(Peer { name, program, configure })
}

impl Peer {
    /// Starts the program with a listener for each world.
    pub(crate) fn start(&self, worlds: &[World]) -> Running {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let directory = format!("sni-proxy-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(directory);
        std::fs::create_dir_all(directory.join("logs")).unwrap();
        for (i, world) in worlds.iter().enumerate() {
            for (j, certificate) in world.0.iter().enumerate() {
                let made = &certificate.made;
                let write =
                    |end: &str, text: &str| std::fs::write(directory.join(format!("{i}-{j}.{end}")), text).unwrap();
                write("crt", &made.cert);
                write("key", &made.key);
                write("pem", &format!("{}{}", made.cert, made.key));
            }
        }
        let ports = free_ports(worlds.len());
        let listeners: Vec<(u16, &World)> = ports.iter().copied().zip(worlds).collect();
        let arguments = (self.configure)(&directory, &listeners);
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let child = Command::new(&self.program)
            .args(arguments)
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut running = Running { child, directory, ports };
        running.wait();
        running
    }
}

/// A program that runs until this is dropped.
pub(crate) struct Running {
    child: Child,
    directory: PathBuf,
    ports: Vec<u16>,
}

impl Running {
    /// Until every listener has served a certificate: Envoy accepts connections before, and closes them.
    fn wait(&mut self) {
        let patience = Instant::now() + Duration::from_secs(60);
        for port in self.ports.clone() {
            let is_ready = || {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
                stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
                wire::certificate(&mut stream, &hello(None, crate::Verifies::Both))
            };
            while is_ready().is_none() {
                if self.child.try_wait().unwrap().is_some() || Instant::now() > patience {
                    let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                    panic!("it does not start: {log}");
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// What the listener of a world answers to a hello.
    pub(crate) fn ask(&self, world_at: usize, hello: &[u8], world: &World) -> Served {
        let addr = SocketAddr::from(([127, 0, 0, 1], self.ports[world_at]));
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        match wire::certificate(&mut stream, hello) {
            Some(der) => {
                let at = world.0.iter().position(|certificate| certificate.made.der == der);
                Served::Certificate(at.expect("a certificate of this world"))
            }
            None => {
                let _ = stream.read(&mut [0]);
                Served::Refused
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
