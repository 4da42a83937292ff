//! Sockets and threads: how the server starts, and how it stops.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use dns_records::{kubernetes, wire};
use socket2::{Domain, Socket, Type};

use crate::counters::{Counters, Counts};
use crate::forward::{Forwarder, Slot};
use crate::log::Log;
use crate::manifests::{self, Manifests};
use crate::settings::Settings;
use crate::{tcp, udp};

/// What the kernel is asked to keep of datagrams that nobody has fetched yet, in octets; it may allow less.
const RECEIVE_BUFFER: usize = 4 << 20;
/// How many TCP connections wait to be accepted.
const BACKLOG: i32 = 1024;
/// How often another port is tried where UDP and TCP cannot have the same.
const PORTS: usize = 16;
/// How long connections and questions to other servers may take to end.
const LAST_CALL: Duration = Duration::from_secs(5);

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) wire: wire::Settings,
    /// `None` until manifests were read.
    pub(crate) cluster: Arc<ArcSwapOption<kubernetes::Server>>,
    pub(crate) connections: tcp::Connections,
    pub(crate) log: Log,
    forwarder: Option<Arc<Forwarder>>,
    counters: Mutex<AllCounters>,
    started: Instant,
    stopping: AtomicBool,
}

/// The counters of the threads that run, and the sum of those that have ended.
#[derive(Debug, Default)]
struct AllCounters {
    running: Vec<Arc<Counters>>,
    ended: Counts,
}

impl Server {
    /// Takes the addresses and begins to answer: SERVFAIL, until the manifests are read.
    ///
    /// # Errors
    /// An address cannot be had.
    pub fn start(settings: Settings) -> io::Result<Server> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let workers = settings.threads.map_or(processors, usize::from);
        let sockets: Vec<Sockets> = settings
            .listen
            .iter()
            .map(|address| {
                Sockets::bind(*address, workers)
                    .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
            })
            .collect::<Result<_, _>>()?;
        let hash_seed = getrandom::u64().map_err(io::Error::other)?;
        let manifests = Manifests::new(&settings.filename, hash_seed);
        let shared = Arc::new(Shared::new(settings));
        let mut server = Server { shared, addresses: Vec::new(), threads: Vec::new() };
        for Sockets { address, tcp, udp } in sockets {
            server.addresses.push(address);
            server.thread("accept", |shared| tcp::serve(tcp, shared))?;
            for socket in udp {
                server.thread("udp", |shared| udp::serve(socket, shared))?;
            }
        }
        server.thread("manifests", |shared| {
            manifests::follow(manifests, shared);
            Ok(())
        })?;
        if server.shared.settings.stats.is_some() {
            server.thread("stats", |shared| {
                shared.print_counts();
                Ok(())
            })?;
        }
        Ok(server)
    }

    /// Where it listens; a port 0 of the settings has become a real one.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What was asked so far.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Stops: takes no more queries, ends those in hand, and says what was asked in all.
    pub fn stop(self) -> Counts {
        let shared = &self.shared;
        shared.stopping.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.thread().unpark();
            // A thread that panicked has said so, and has nothing in hand.
            let _ = thread.join();
        }
        shared.connections.close();
        let deadline = Instant::now() + LAST_CALL;
        while (shared.connections.len() > 0 || shared.waiting() > 0) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        shared.counts()
    }

    fn thread(
        &mut self,
        name: &str,
        run: impl FnOnce(Arc<Shared>) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let run = move || {
            if let Err(error) = run(shared) {
                eprintln!("error: {error}");
            }
        };
        self.threads.push(thread::Builder::new().name(name.into()).spawn(run)?);
        Ok(())
    }
}

impl Shared {
    fn new(settings: Settings) -> Self {
        let forwarder = || {
            let (servers, limit) = (settings.forward.clone(), settings.max_forwards.into());
            Arc::new(Forwarder::new(servers, settings.forward_timeout, limit))
        };
        Self {
            wire: settings.wire(),
            cluster: Arc::default(),
            connections: tcp::Connections::default(),
            log: Log { wanted: settings.log },
            forwarder: (!settings.forward.is_empty()).then(forwarder),
            counters: Mutex::default(),
            started: Instant::now(),
            stopping: AtomicBool::new(false),
            settings,
        }
    }

    /// Whether there are other servers.
    pub(crate) fn forwards(&self) -> bool {
        self.forwarder.is_some()
    }

    /// Leave to ask other servers, if it can be had now.
    pub(crate) fn slot(&self) -> Option<Slot> {
        self.forwarder.as_ref()?.slot()
    }

    fn waiting(&self) -> usize {
        self.forwarder.as_ref().map_or(0, |forwarder| forwarder.waiting())
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Milliseconds since the start.
    pub(crate) fn age(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Length of a buffer for a UDP reply.
    pub(crate) fn max_udp_reply(&self) -> usize {
        usize::from(self.wire.max_udp).max(wire::MIN_MESSAGE)
    }

    /// Counters for one more thread.
    pub(crate) fn new_counters(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        let mut all = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        // Whose thread has ended, is held by nobody else.
        let AllCounters { running, ended } = &mut *all;
        running.retain(|counters| {
            let runs = Arc::strong_count(counters) > 1;
            if !runs {
                *ended += counters.counts();
            }
            runs
        });
        running.push(Arc::clone(&counters));
        counters
    }

    fn counts(&self) -> Counts {
        let all = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = all.ended;
        all.running.iter().for_each(|counters| sum += counters.counts());
        sum
    }

    fn print_counts(&self) {
        let Some(every) = self.settings.stats else { return };
        let mut next = Instant::now() + every;
        while !self.is_stopping() {
            thread::park_timeout(next.saturating_duration_since(Instant::now()));
            if Instant::now() >= next {
                eprintln!("{}", self.counts());
                next += every;
            }
        }
    }
}

/// The sockets of one address.
struct Sockets {
    address: SocketAddr,
    tcp: TcpListener,
    udp: Vec<UdpSocket>,
}

impl Sockets {
    fn bind(address: SocketAddr, workers: usize) -> io::Result<Self> {
        let tries = if address.port() == 0 { PORTS } else { 1 };
        let mut tried = Self::bind_once(address, workers);
        for _ in 1..tries {
            if tried.is_ok() {
                break;
            }
            tried = Self::bind_once(address, workers);
        }
        tried
    }

    /// TCP first: it takes the address alone, so that a second server does not slip in beside this one.
    fn bind_once(address: SocketAddr, workers: usize) -> io::Result<Self> {
        let tcp = socket(address, Type::STREAM)?;
        tcp.set_reuse_address(true)?;
        tcp.bind(&address.into())?;
        tcp.listen(BACKLOG)?;
        let tcp = TcpListener::from(tcp);
        let address = tcp.local_addr()?;
        let udp = (0..workers).map(|_| udp_socket(address)).collect::<Result<_, _>>()?;
        Ok(Self { address, tcp, udp })
    }
}

/// A socket that shares its address with those of the other threads; the kernel deals clients out among them.
fn udp_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM)?;
    socket.set_reuse_port(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        // So that `[::]` and `0.0.0.0` can be had side by side.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
