//! A server in a process of its own, manifests that change, and a small client.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use domain::base::iana::{Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name, ParsedRecord};
use domain::rdata::AllRecordData;

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A directory of its own, gone with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dns-server-test-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    /// A folder with one manifest.
    pub fn with(manifest: &str) -> Folder {
        let folder = Folder::new();
        folder.write("world.yaml", manifest);
        folder
    }

    /// Puts a whole file there at one moment.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let (draft, path) = (self.0.join("draft"), self.0.join(name));
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, &path).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The lines of a stream so far.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> (Lines, JoinHandle<()>) {
        let lines = Lines::default();
        let into = lines.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                into.0.lock().unwrap().push(line);
            }
        });
        (lines, reader)
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits for a line with this text, among those from `start` on, and gives it.
    pub fn wait(&self, start: usize, text: &str) -> String {
        let since = Instant::now();
        loop {
            if let Some(line) = self.all().into_iter().skip(start).find(|line| line.contains(text)) {
                return line;
            }
            assert!(since.elapsed() < PATIENCE, "no line with {text:?} in {:#?}", self.all());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A server that runs.
pub struct Running {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    pub address: SocketAddr,
    /// Standard output: the queries.
    pub log: Lines,
    /// Standard error: all else.
    pub notes: Lines,
}

impl Running {
    /// Starts a server on a free port of 127.0.0.1, and waits until it has read its manifests.
    pub fn start(manifests: &Folder, arguments: &[&str]) -> Running {
        let running = Running::launch(&manifests.0, &[&["--listen", "127.0.0.1:0"], arguments].concat());
        running.notes.wait(0, "serial");
        running
    }

    /// Starts a server, and waits until it listens.
    pub fn launch(manifests: &Path, arguments: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dns-server"));
        command.arg("-f").arg(manifests).args(["--poll", "0.05"]).args(arguments);
        Running::spawn(command)
    }

    pub fn spawn(mut command: Command) -> Running {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (log, log_reader) = Lines::of(child.stdout.take().unwrap());
        let (notes, notes_reader) = Lines::of(child.stderr.take().unwrap());
        let line = notes.wait(0, "listening on ");
        let address = line.strip_prefix("listening on ").unwrap().parse().unwrap();
        Running { child, readers: vec![log_reader, notes_reader], address, log, notes }
    }

    /// Where it listens, each address.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.notes.all().iter().filter_map(|line| line.strip_prefix("listening on ")?.parse().ok()).collect()
    }

    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Ends the server, and gives its status, the queries, and the notes.
    pub fn stop(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        self.signal("TERM");
        self.end()
    }

    /// Waits for the end.
    pub fn end(&mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        let since = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(since.elapsed() < PATIENCE, "the server does not end");
            thread::sleep(Duration::from_millis(5));
        };
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        (status, self.log.all(), self.notes.all())
    }

    pub fn udp(&self) -> Client {
        Client::new(self.address)
    }

    pub fn tcp(&self) -> TcpStream {
        connect(self.address)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub type Reply = Message<Vec<u8>>;

/// A query: RD, id, and with a size an OPT record.
pub fn query(id: u16, name: &str, rtype: Rtype, edns: Option<u16>) -> Vec<u8> {
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_id(id);
    message.header_mut().set_rd(true);
    let mut message = message.question();
    message.push((name.parse::<Name<Vec<u8>>>().unwrap(), rtype)).unwrap();
    let mut message = message.additional();
    if let Some(size) = edns {
        message
            .opt(|opt| {
                opt.set_udp_payload_size(size);
                Ok(())
            })
            .unwrap();
    }
    message.finish()
}

/// A client over UDP.
pub struct Client {
    socket: UdpSocket,
    next: u16,
}

impl Client {
    pub fn new(server: SocketAddr) -> Client {
        let any = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { socket, next: 1 }
    }

    pub fn send(&self, message: &[u8]) {
        self.socket.send(message).unwrap();
    }

    pub fn receive(&self) -> Reply {
        let mut buffer = [0; 65_535];
        let length = self.socket.recv(&mut buffer).expect("a reply in time");
        Message::from_octets(buffer[..length].to_vec()).unwrap()
    }

    /// Whether nothing comes for a while.
    pub fn is_silent(&self) -> bool {
        self.socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let silent = self.socket.recv(&mut [0; 512]).is_err();
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        silent
    }

    pub fn ask_with(&mut self, name: &str, rtype: Rtype, edns: Option<u16>) -> Reply {
        self.next = self.next.wrapping_add(1);
        self.send(&query(self.next, name, rtype, edns));
        let reply = self.receive();
        assert_eq!(reply.header().id(), self.next);
        reply
    }

    pub fn ask(&mut self, name: &str, rtype: Rtype) -> Reply {
        self.ask_with(name, rtype, Some(1232))
    }
}

pub fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A message with its length before it.
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

/// The next message of a stream; `None` at its end.
pub fn next_message(stream: &mut impl Read) -> Option<Reply> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).expect("a whole message");
    Some(Message::from_octets(message).unwrap())
}

pub fn ask_over(stream: &mut TcpStream, name: &str, rtype: Rtype) -> Reply {
    stream.write_all(&framed(&query(7, name, rtype, None))).unwrap();
    next_message(stream).expect("a reply")
}

/// The data of the answer section, in the order of the message, as in zone files.
pub fn answers(reply: &Reply) -> Vec<String> {
    data(reply.answer().unwrap().map(Result::unwrap))
}

pub fn data<'a>(records: impl Iterator<Item = ParsedRecord<'a, Vec<u8>>>) -> Vec<String> {
    records
        .map(|record| record.to_any_record::<AllRecordData<_, _>>().unwrap().data().to_string())
        .map(|text| text.trim_end_matches('.').to_owned())
        .collect()
}

pub fn rcode(reply: &Reply) -> Rcode {
    reply.header().rcode()
}

/// The serial of the cluster's zone.
pub fn serial(client: &mut Client) -> u32 {
    let reply = client.ask("cluster.local.", Rtype::SOA);
    answers(&reply)[0].split(' ').nth(2).unwrap().parse().unwrap()
}

/// A Service with a cluster IP and a port.
pub fn service(namespace: &str, name: &str, ip: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: {namespace}}}, \
         spec: {{clusterIP: '{ip}', clusterIPs: ['{ip}'], ports: [{{name: http, port: 80}}]}}}}\n"
    )
}

/// A headless Service with endpoints from 10.1.0.0 on.
pub fn headless(namespace: &str, name: &str, endpoints: usize) -> String {
    let mut text = format!(
        "---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: {namespace}}}, \
         spec: {{clusterIP: None, ports: [{{name: http, port: 80}}]}}}}\n"
    );
    for (slice, first) in (0..endpoints).step_by(100).enumerate() {
        let addresses = (first..endpoints.min(first + 100))
            .map(|i| format!("{{addresses: [10.1.{}.{}]}}", i / 256, i % 256))
            .collect::<Vec<_>>()
            .join(", ");
        text += &format!(
            "---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: {name}-{slice}, namespace: \
             {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}, addressType: IPv4, ports: [{{name: http, \
             port: 80, protocol: TCP}}], endpoints: [{addresses}]}}\n"
        );
    }
    text
}

pub fn external(namespace: &str, name: &str, target: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: {namespace}}}, \
         spec: {{type: ExternalName, externalName: {target}}}}}\n"
    )
}

/// The Corefile of the cluster, with lines for the `kubernetes` block and the server block.
pub fn corefile(kubernetes: &str, server: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: coredns, namespace: kube-system}}, data: {{Corefile: \
         \".:53 {{\\n kubernetes cluster.local in-addr.arpa ip6.arpa {{\\n ttl 30\\n {kubernetes}\\n }}\\n {server}\\n}}\\n\"}}}}\n"
    )
}

pub const TRANSFER: &str = "transfer {\\n to *\\n }";
