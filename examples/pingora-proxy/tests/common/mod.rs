//! Small HTTP servers, a proxy before them, and a client: all on loopback, all gone with their values.

use async_trait::async_trait;
use lb_select_pingora::{Proxy, Rebuild, RequestKey, Selection, Upstreams, load};
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use pingora_load_balancing::discovery::ServiceDiscovery;
use pingora_load_balancing::health_check::TcpHealthCheck;
use pingora_load_balancing::{Backend, Backends, LoadBalancer};
use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that answers each request with its name, except that it holds those to `/hold` until it is told.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    held: Arc<Mutex<Vec<TcpStream>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    name: String,
}

impl Upstream {
    pub(crate) fn start_at(name: &str, address: SocketAddr) -> Self {
        Self::start(name, TcpListener::bind(address).unwrap())
    }

    pub(crate) fn start(name: &str, listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let (held, stop): (Arc<Mutex<Vec<_>>>, Arc<AtomicBool>) = Default::default();
        let thread = {
            let (held, stop, name) = (Arc::clone(&held), Arc::clone(&stop), name.to_owned());
            thread::spawn(move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let mut stream = stream.unwrap();
                    match read_head(&mut stream) {
                        Some(head) if head.starts_with("GET /hold ") => held.lock().unwrap().push(stream),
                        Some(_) => answer(&mut stream, &name),
                        None => {} // a health check
                    }
                }
            })
        };
        Self { address, held, stop, thread: Some(thread), name: name.into() }
    }

    pub(crate) fn backend(&self, weight: usize) -> Backend {
        Backend::new_with_weight(&self.address.to_string(), weight).unwrap()
    }

    /// How many requests it holds.
    pub(crate) fn held(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    /// Answers the requests that it holds.
    pub(crate) fn release(&self) {
        for mut stream in self.held.lock().unwrap().drain(..) {
            answer(&mut stream, &self.name);
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.release();
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread, so that it sees the end.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

/// Upstreams with these names, in the order of their ports, which is that of pingora's sets.
pub(crate) fn upstreams<const N: usize>(names: [&str; N]) -> [Upstream; N] {
    let mut listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.sort_by_key(|listener| listener.local_addr().unwrap());
    let mut names = names.into_iter();
    listeners.map(|listener| Upstream::start(names.next().unwrap(), listener))
}

fn read_head(stream: &mut TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// One request a connection, so that what a policy decides for one request has no part in the next.
fn answer(stream: &mut TcpStream, body: &str) {
    let length = body.len();
    // Whoever asked may have gone.
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
}

/// The set of backends, which a test changes.
#[derive(Clone, Default)]
struct Discovery(Arc<Mutex<BTreeSet<Backend>>>);

#[async_trait]
impl ServiceDiscovery for Discovery {
    async fn discover(&self) -> pingora_core::Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        Ok((self.0.lock().unwrap().clone(), HashMap::new()))
    }
}

/// A running proxy.
pub(crate) struct Running<P: Rebuild> {
    pub(crate) balancer: Arc<LoadBalancer<Selection<P>>>,
    address: SocketAddr,
    discovery: Discovery,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<P: Rebuild> Running<P> {
    pub(crate) fn start(settings: P::Settings, backends: impl IntoIterator<Item = Backend>) -> Self {
        let upstreams = Upstreams::<P>::new(settings).unwrap();
        let discovery = Discovery::default();
        let mut balancer = LoadBalancer::<Selection<P>>::from_backends_with_config(
            Backends::new(Box::new(discovery.clone())),
            Some(upstreams.clone()),
        );
        let mut check = TcpHealthCheck::new();
        check.health_changed_callback = Some(Box::new(upstreams.clone()));
        balancer.set_health_check(check);
        let balancer = Arc::new(balancer);

        // A port that was free a moment ago. pingora takes no listener that is already there.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let proxy = Proxy::new(Arc::clone(&balancer), upstreams, RequestKey::Path);
            let until = Until(Arc::clone(&stop));
            thread::spawn(move || {
                let mut server = Server::new_with_opt_and_conf(None, ServerConf::default());
                server.bootstrap();
                let mut service = pingora_proxy::http_proxy_service(&server.configuration, proxy);
                service.add_tcp(&address.to_string());
                server.add_service(service);
                server.run(RunArgs { shutdown_signal: Box::new(until) });
            })
        };
        wait_for("the proxy to listen", || TcpStream::connect(address).is_ok());
        let running = Self { balancer, address, discovery, stop, thread: Some(thread) };
        running.update(backends);
        running
    }

    /// Replaces the set of backends.
    pub(crate) fn update(&self, backends: impl IntoIterator<Item = Backend>) {
        *self.discovery.0.lock().unwrap() = backends.into_iter().collect();
        block_on(self.balancer.update()).unwrap();
    }

    /// Checks once whether the backends accept connections.
    pub(crate) fn check_health(&self) {
        block_on(self.balancer.backends().run_health_check(false));
    }

    /// How many requests this upstream has in flight, as far as the policy knows.
    pub(crate) fn active(&self, upstream: &Upstream) -> u32 {
        let address = upstream.address.to_string();
        let backend = self.balancer.select_with(b"", usize::MAX, |backend, _| backend.addr.to_string() == address);
        load(&backend.unwrap()).unwrap().active()
    }

    /// Starts a request, which is answered when the returned value is read.
    pub(crate) fn send(&self, path: &str) -> Pending {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        Pending(stream)
    }

    /// The status and body of the answer to a request.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.send(path).answer()
    }

    /// The names of the upstreams that answer `count` requests, in order.
    pub(crate) fn names(&self, count: usize) -> String {
        (0..count).map(|number| self.name(&format!("/{number}"))).collect()
    }

    /// The name of the upstream that answers.
    pub(crate) fn name(&self, path: &str) -> String {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{body}");
        body
    }
}

impl<P: Rebuild> Drop for Running<P> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A request that is on its way.
pub(crate) struct Pending(TcpStream);

impl Pending {
    pub(crate) fn answer(mut self) -> (u16, String) {
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        (status.parse().unwrap(), body.into())
    }
}

/// Shuts pingora down when a test is over.
struct Until(Arc<AtomicBool>);

#[async_trait]
impl ShutdownSignalWatch for Until {
    async fn recv(&self) -> ShutdownSignal {
        while !self.0.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ShutdownSignal::FastShutdown
    }
}

pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
