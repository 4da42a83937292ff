//! An Envoy of one's own on loopback: configured by what is rendered, with its clusters led to servers that say what reaches them.

mod asked;
mod expected;
mod handshake;
mod tally;

pub(crate) use asked::{Asked, question, server_name};
pub(crate) use expected::{End, Expected, edited, set};
pub(crate) use handshake::{Greeting, greet};
pub(crate) use tally::Tally;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use envoy_config::config::{
    Address, Bootstrap, ClusterLoadAssignment, ClusterSpecifier, DiscoveryType, HeaderAppendAction, HeaderValue,
    HeaderValueOption, HttpConnectionManager, NetworkFilter, RouteKind, SocketProtocol, VirtualHost,
};
use svctrace::read::{Purpose, Reader};
use svctrace::world::World;

/// An instant at which the certificates of the cases are valid.
pub(crate) const NOW: i64 = 1_790_000_000;

pub(crate) fn world(text: &str) -> World {
    let mut reader = Reader::new(Purpose::Answer);
    reader.text("world", text);
    World::new(reader.finish(), None)
}

/// The program: named by `ENVOY`, or on the path.
pub(crate) fn envoy() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("ENVOY") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join("envoy")).find(|program| program.is_file())
}

/// The name of the route that answered.
pub(crate) const ROUTE: &str = "x-proof-route";

/// What a request is answered with: `status`, `location`, `header NAME`, and from a backend `backend`, `uri`, `request NAME`. Headers that
/// came several times are joined by commas.
pub(crate) type Answered = BTreeMap<String, String>;

/// A request over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) headers: &'a [(String, String)],
    /// Over TLS: the server name.
    pub(crate) server_name: Option<&'a str>,
}

/// Some configurations, put together for one Envoy.
pub(crate) struct Fleet {
    bootstrap: Bootstrap,
    echo: Echo,
    clusters: BTreeSet<String>,
    /// Bound beside Envoy, which shares them, so that nobody else gets the ports.
    held: Vec<Socket>,
    pub(crate) directory: PathBuf,
}

/// From the ports of a configuration to those that Envoy listens on.
pub(crate) type Ports = BTreeMap<u16, u16>;

impl Fleet {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("envoy-config-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a temporary directory");
        Self {
            bootstrap: Bootstrap::new(Vec::new(), Vec::new()),
            echo: Echo::default(),
            clusters: BTreeSet::new(),
            held: Vec::new(),
            directory,
        }
    }

    /// Adds a configuration. Clusters of the same prefix and name are the same.
    pub(crate) fn add(&mut self, prefix: &str, bootstrap: &Bootstrap) -> Ports {
        let mut ports = Ports::new();
        let own = |name: &str| format!("{prefix}{name}");
        for mut cluster in bootstrap.static_resources.clusters.iter().cloned() {
            cluster.name = own(&cluster.name);
            if !self.clusters.insert(cluster.name.clone()) {
                continue;
            }
            let has_endpoints = cluster.load_assignment.as_ref().is_none_or(|given| !given.endpoints.is_empty());
            let echo = has_endpoints.then(|| self.echo.listen(&cluster.name));
            cluster.load_assignment = Some(ClusterLoadAssignment::of(cluster.name.clone(), echo));
            cluster.type_ = DiscoveryType::Static;
            cluster.lb_policy = None;
            // The echo speaks plain HTTP/1.1.
            cluster.transport_socket = None;
            cluster.typed_extension_protocol_options.clear();
            self.bootstrap.static_resources.clusters.push(cluster);
        }
        for mut listener in bootstrap.static_resources.listeners.iter().cloned() {
            let Address::SocketAddress(address) = &mut listener.address;
            if address.protocol == SocketProtocol::Udp {
                continue;
            }
            let held = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            held.set_reuse_port(true).expect("an option of Linux");
            held.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
            let port = held.local_addr().ok().and_then(|addr| addr.as_socket()).expect("bound").port();
            self.held.push(held);
            ports.insert(address.port_value, port);
            address.address = Ipv4Addr::LOCALHOST.to_string();
            address.port_value = port;
            listener.name = format!("{port}");
            for chain in &mut listener.filter_chains {
                for filter in &mut chain.filters {
                    match &mut filter.typed_config {
                        NetworkFilter::HttpConnectionManager(manager) => prove(manager, &own),
                        NetworkFilter::TcpProxy { to, .. } => rename(to, &own),
                        NetworkFilter::DirectResponse { .. } => {}
                    }
                }
            }
            self.bootstrap.static_resources.listeners.push(listener);
        }
        ports
    }

    /// Starts Envoy.
    pub(crate) fn start(self) -> Result<Daemon, String> {
        let Self { bootstrap, echo, held, directory, .. } = self;
        let at = directory.join("envoy.json");
        let text = serde_json::to_string(&bootstrap).map_err(|error| error.to_string())?;
        std::fs::write(&at, text).map_err(|error| error.to_string())?;
        let log = std::fs::File::create(directory.join("log")).map_err(|error| error.to_string())?;
        let child = Command::new(envoy().ok_or("there is no envoy")?)
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"])
            .arg(&at)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut daemon = Daemon { child, directory, echo, connections: BTreeMap::new(), _held: held };
        let port = bootstrap.static_resources.listeners.last().map(|listener| match &listener.address {
            Address::SocketAddress(address) => address.port_value,
        });
        let patience = Instant::now() + Duration::from_secs(60);
        while port.is_some_and(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()) {
            let ended = daemon.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || Instant::now() > patience {
                let log = std::fs::read_to_string(daemon.directory.join("log")).unwrap_or_default();
                return Err(format!("envoy does not start: {log}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(daemon)
    }
}

/// Lets every route say its name, and renames clusters.
fn prove(manager: &mut HttpConnectionManager, own: &impl Fn(&str) -> String) {
    manager.route_config.headers.response_headers_to_add.push(HeaderValueOption {
        header: HeaderValue { key: ROUTE.to_owned(), value: "%ROUTE_NAME%".to_owned() },
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd,
        keep_empty_value: false,
    });
    for route in manager.route_config.virtual_hosts.iter_mut().flat_map(|host: &mut VirtualHost| &mut host.routes) {
        if let RouteKind::Route(action) = &mut route.action {
            rename(&mut action.to, own);
            for mirror in &mut action.request_mirror_policies {
                mirror.cluster = own(&mirror.cluster);
            }
        }
    }
}

fn rename(to: &mut ClusterSpecifier, own: &impl Fn(&str) -> String) {
    match to {
        ClusterSpecifier::Cluster(name) => *name = own(name),
        ClusterSpecifier::WeightedClusters(weighted) => {
            weighted.clusters.iter_mut().for_each(|cluster| cluster.name = own(&cluster.name));
        }
    }
}

/// A running Envoy, stopped when it is dropped.
pub(crate) struct Daemon {
    child: Child,
    directory: PathBuf,
    echo: Echo,
    connections: BTreeMap<u16, BufReader<TcpStream>>,
    _held: Vec<Socket>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Daemon {
    /// What is answered on a port; an error if the connection ends without an answer.
    pub(crate) fn ask(&mut self, port: u16, request: &Request<'_>) -> Result<Answered, String> {
        if let Some(name) = request.server_name {
            return by_curl(port, name, request);
        }
        // A connection that was kept may have been closed.
        let kept = self.connections.contains_key(&port);
        match self.over_connection(port, request) {
            Err(_) if kept => self.over_connection(port, request),
            other => other,
        }
    }

    /// How many copies of requests a backend got since this was asked last; waits a while for the first.
    fn copies(&self, backend: &str) -> usize {
        let patience = Instant::now() + Duration::from_secs(5);
        loop {
            let count = self.echo.copies.lock().expect("no thread panicked").remove(backend);
            if count.is_some() || Instant::now() > patience {
                return count.unwrap_or(0);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether a backend answers.
    pub(crate) fn serves(&self, backend: &str) -> bool {
        self.echo.backends.contains(backend)
    }

    fn over_connection(&mut self, port: u16, request: &Request<'_>) -> Result<Answered, String> {
        let mut connection = match self.connections.remove(&port) {
            Some(connection) => connection,
            None => connect(port)?,
        };
        let Request { method, uri, host, headers, .. } = request;
        let mut head = format!("{method} {uri} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in *headers {
            head += &format!("{name}: {value}\r\n");
        }
        if matches!(*method, "POST" | "PUT" | "PATCH") {
            head += "Content-Length: 0\r\n";
        }
        connection.get_mut().write_all((head + "\r\n").as_bytes()).map_err(|error| error.to_string())?;
        let mut answered = read_head(&mut connection)?;
        let length = answered.get("header content-length").and_then(|length| length.parse().ok());
        let bodiless = *method == "HEAD" || matches!(&*answered["status"], "204" | "304");
        let mut body = vec![0; if bodiless { 0 } else { length.unwrap_or(0) }];
        connection.read_exact(&mut body).map_err(|error| error.to_string())?;
        told(&String::from_utf8_lossy(&body), &mut answered);
        let closes = answered.get("header connection").is_some_and(|value| value == "close");
        if !closes && (length.is_some() || bodiless) {
            self.connections.insert(port, connection);
        }
        Ok(answered)
    }
}

fn connect(port: u16) -> Result<BufReader<TcpStream>, String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(BufReader::new(stream))
}

fn by_curl(port: u16, name: &str, request: &Request<'_>) -> Result<Answered, String> {
    let mut command = Command::new("curl");
    command.args(["-sk", "-i", "--globoff", "--path-as-is", "--max-time", "10", "--http1.1", "-X", request.method]);
    command.args(["--connect-to", &format!("::127.0.0.1:{port}"), "-H", &format!("Host: {}", request.host)]);
    for (name, value) in request.headers {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    let output = command.arg(format!("https://{name}{}", request.uri)).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("curl: {}", output.status));
    }
    let mut reader = BufReader::new(&*output.stdout);
    let mut answered = read_head(&mut reader)?;
    let mut body = String::new();
    reader.read_to_string(&mut body).map_err(|error| error.to_string())?;
    told(&body, &mut answered);
    Ok(answered)
}

fn read_head(reader: &mut impl BufRead) -> Result<Answered, String> {
    let mut answered = Answered::new();
    let mut line = String::new();
    reader.read_line(&mut line).map_err(|error| error.to_string())?;
    let status = line.split(' ').nth(1).ok_or_else(|| format!("no status line: {line:?}"))?;
    answered.insert("status".to_owned(), status.trim().to_owned());
    for (name, value) in fields(reader) {
        let key = if name == "location" { name } else { format!("header {name}") };
        join(&mut answered, key, &value);
    }
    Ok(answered)
}

/// The header fields of a message, up to its empty line.
fn fields(reader: &mut impl BufRead) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
        let Some((name, value)) = line.trim_end_matches(['\r', '\n']).split_once(':') else { break };
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        line.clear();
    }
    fields
}

fn join(answered: &mut Answered, key: String, value: &str) {
    answered.entry(key).and_modify(|old| *old = format!("{old},{value}")).or_insert_with(|| value.to_owned());
}

/// What the server behind a cluster says.
fn told(body: &str, answered: &mut Answered) {
    for line in body.lines() {
        if let Some((key, value)) = line.split_once('\t') {
            join(answered, key.to_owned(), value);
        }
    }
}

/// Servers that say what reaches them, each for one cluster.
#[derive(Default)]
struct Echo {
    backends: BTreeSet<String>,
    /// How many copies of requests came, by cluster.
    copies: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Echo {
    /// A new one; it stays as long as the process.
    fn listen(&mut self, cluster: &str) -> SocketAddr {
        self.backends.insert(cluster.to_owned());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let (cluster, copies) = (cluster.to_owned(), self.copies.clone());
        spawn(move || {
            for stream in listener.incoming().flatten() {
                let (cluster, copies) = (cluster.clone(), copies.clone());
                spawn(move || drop(serve(&stream, &cluster, &copies)));
            }
        });
        addr
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(128 << 10).spawn(run).expect("a thread");
}

fn serve(stream: &TcpStream, cluster: &str, copies: &Mutex<BTreeMap<String, usize>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    // TLS that was passed through.
    if reader.fill_buf()?.first() == Some(&22) {
        return (&mut &*stream).write_all(format!("{}{cluster}", handshake::REACHED).as_bytes());
    }
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let uri = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut says = format!("backend\t{cluster}\nuri\t{uri}\n");
        let fields = fields(&mut reader);
        // So Envoy marks the Host of a copy.
        if fields.iter().any(|(name, value)| name == "host" && value.contains("-shadow")) {
            *copies.lock().expect("no thread panicked").entry(cluster.to_owned()).or_default() += 1;
        }
        for (name, value) in &fields {
            says += &format!("request {name}\t{value}\n");
        }
        let length = fields.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
        std::io::copy(&mut reader.by_ref().take(length.unwrap_or(0)), &mut std::io::sink())?;
        let body = if line.starts_with("HEAD ") { "" } else { &*says };
        let head = format!("HTTP/1.1 200 OK\r\nx-a: echo\r\nContent-Length: {}\r\n\r\n", says.len());
        (&mut &*stream).write_all((head + body).as_bytes())?;
        line.clear();
    }
    Ok(())
}

/// Whether these programs are there.
pub(crate) fn runs(program: &str) -> bool {
    Command::new(program).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Writes a file, and the directories that it lies in.
pub(crate) fn write(at: &Path, content: &[u8]) {
    std::fs::create_dir_all(at.parent().expect("a file lies in a directory")).expect("a directory");
    std::fs::write(at, content).expect("a file");
}
