//! An nginx of one's own on loopback: configured by what is rendered, with its upstreams led to a server that says what reaches it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nginx_config::{Directive, Https, Settings, Token, render};
use route_match::ingress::Scheme;
use svc_model::Cluster;

/// The program, if it is there.
pub(crate) fn nginx() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    directories.map(|directory| directory.join("nginx")).find(|program| program.is_file())
}

/// Whether TLS can be spoken: a certificate made, and requests sent.
pub(crate) fn has_tls() -> bool {
    let runs = |program: &str| {
        Command::new(program).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    runs("curl") && runs("openssl")
}

/// A request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) headers: Vec<(String, String)>,
    /// The address that nginx is told the client has.
    pub(crate) client: IpAddr,
}

pub(crate) struct Daemon {
    child: Child,
    directory: PathBuf,
    http: u16,
    https: u16,
    connection: Option<BufReader<TcpStream>>,
}

type Answered = BTreeMap<String, String>;

/// A port that was free a moment ago, handed out once. It lies below those that the kernel hands out by itself, so that no connection
/// takes it before nginx has started.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = std::process::id().wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + (n % 12_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Daemon {
    pub(crate) fn start(cluster: &Cluster, class: &str, tls: bool) -> Result<Daemon, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("nginx-config-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(directory.join("logs")).map_err(|error| error.to_string())?;
        let at = |file: &str| directory.join(file).display().to_string();
        let token = |text: &str| Token::script(text).expect("no control character");

        let (http, https, echo) = (free_port(), free_port(), free_port());
        let addr = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut settings = Settings::default();
        settings.http = addr(http);
        if tls {
            let made = Command::new("openssl")
                .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"])
                .args(["-keyout", &at("key.pem"), "-out", &at("cert.pem")])
                .stderr(Stdio::null())
                .status();
            made.map_err(|error| error.to_string())?;
            settings.https =
                Some(Https { addr: addr(https), certificate: token(&at("cert.pem")), key: token(&at("key.pem")) });
        }
        let mut rendered = render(cluster, class, &settings).map_err(|error| error.to_string())?;
        for directive in &mut rendered.http {
            lead_to(directive, &token(&addr(echo).to_string()));
        }
        let says = "upstream=$http_x_upstream\norigin=$http_x_origin\nuri=$request_uri\nhost=$http_host\nprefix=$http_x_forwarded_prefix\n";
        let says = says.replace('\n', "|");
        let answer = Directive::new("return", [token("200"), token(&says)]);
        let echo = vec![
            Directive::new("listen", [token(&addr(echo).to_string())]),
            Directive::block("location", [token("/")], vec![answer]),
        ];
        let one = |name, value: &str| Directive::new(name, [token(value)]);
        let mut http_block = vec![
            one("access_log", "off"),
            one("client_body_temp_path", &at("body")),
            one("proxy_temp_path", &at("proxy")),
            one("fastcgi_temp_path", &at("fastcgi")),
            one("uwsgi_temp_path", &at("uwsgi")),
            one("scgi_temp_path", &at("scgi")),
            one("server_names_hash_bucket_size", "256"),
            one("server_names_hash_max_size", "65536"),
            one("map_hash_bucket_size", "256"),
            one("variables_hash_max_size", "8192"),
            one("keepalive_requests", "1000000"),
            one("set_real_ip_from", "127.0.0.1"),
            one("real_ip_header", "X-Test-Client"),
        ];
        http_block.append(&mut rendered.http);
        http_block.push(Directive::block("server", [], echo));
        rendered.http = http_block;
        std::fs::write(at("nginx.conf"), rendered.to_string()).map_err(|error| error.to_string())?;

        let program = nginx().ok_or("there is no nginx")?;
        let globals = format!("daemon off; master_process off; pid {}; error_log {} crit;", at("pid"), at("error.log"));
        let mut child = Command::new(program)
            .args(["-p", &directory.display().to_string(), "-c", &at("nginx.conf"), "-g", &globals])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let patience = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(addr(http)).is_err() {
            let ended = child.try_wait().map_err(|error| error.to_string())?.is_some();
            if ended || Instant::now() > patience {
                let _ = child.kill();
                let mut complaint = String::new();
                let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut complaint));
                let log = std::fs::read_to_string(at("error.log")).unwrap_or_default();
                return Err(format!("nginx does not start: {complaint}{log} ({})", at("nginx.conf")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Daemon { child, directory, http, https, connection: None })
    }

    pub(crate) fn port(&self, scheme: Scheme) -> u16 {
        match scheme {
            Scheme::Http => self.http,
            Scheme::Https => self.https,
        }
    }

    /// What nginx answers: the status, the headers, and what reached the backend.
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Result<Answered, String> {
        match request.scheme {
            Scheme::Http => {
                // A connection that was kept may have been closed.
                let kept = self.connection.is_some();
                match self.over_connection(request) {
                    Err(_) if kept => self.over_connection(request),
                    other => other,
                }
            }
            Scheme::Https => self.by_curl(request),
        }
    }

    fn over_connection(&mut self, request: &Request<'_>) -> Result<Answered, String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(("127.0.0.1", self.http)).map_err(|error| error.to_string())?;
                stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|error| error.to_string())?;
                stream.set_nodelay(true).map_err(|error| error.to_string())?;
                BufReader::new(stream)
            }
        };
        let Request { method, uri, host, client, .. } = request;
        let mut head = format!("{method} {uri} HTTP/1.1\r\nHost: {host}\r\nX-Test-Client: {client}\r\n");
        for (name, value) in &request.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if *method == "POST" {
            head += "Content-Length: 0\r\n";
        }
        connection.get_mut().write_all((head + "\r\n").as_bytes()).map_err(|error| error.to_string())?;
        let mut answered = read_head(&mut connection)?;
        let length = answered.get("header content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        connection.read_exact(&mut body).map_err(|error| error.to_string())?;
        told(&String::from_utf8_lossy(&body), &mut answered);
        let closes = answered.get("header connection").is_some_and(|value| value == "close");
        // A body without length goes on to the end of the connection or in chunks, and is not looked at.
        if !closes && (answered.contains_key("header content-length") || answered["status"] == "204") {
            self.connection = Some(connection);
        }
        Ok(answered)
    }

    fn by_curl(&self, request: &Request<'_>) -> Result<Answered, String> {
        let name = request.host.split(':').next().unwrap_or_default();
        let mut command = Command::new("curl");
        command.args(["-sk", "-i", "--globoff", "--path-as-is", "--max-time", "10", "-X", request.method]);
        command.args([
            "--connect-to",
            &format!("::127.0.0.1:{}", self.https),
            "-H",
            &format!("Host: {}", request.host),
        ]);
        command.args(["-H", &format!("X-Test-Client: {}", request.client), "--http1.1"]);
        for (name, value) in &request.headers {
            command.args(["-H", &format!("{name}: {value}")]);
        }
        let output =
            command.arg(format!("https://{name}{}", request.uri)).output().map_err(|error| error.to_string())?;
        let mut reader = BufReader::new(&*output.stdout);
        let mut answered = read_head(&mut reader)?;
        let mut body = String::new();
        reader.read_to_string(&mut body).map_err(|error| error.to_string())?;
        told(&body, &mut answered);
        Ok(answered)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Leads upstreams to the server that says what reaches it, and locations to tell it who they are.
fn lead_to(directive: &mut Directive, echo: &Token) {
    if directive.name == "upstream" {
        for server in directive.block.iter_mut().flatten().filter(|directive| directive.name == "server") {
            server.args[0] = echo.clone();
        }
        return;
    }
    let Some(block) = &mut directive.block else { return };
    if directive.name == "location" && block.iter().any(|directive| directive.name == "proxy_pass") {
        for (name, value) in [("X-Upstream", "$proxy_upstream_name"), ("X-Origin", "$origin")] {
            let args = [name, value].map(|text| Token::script(text).expect("no control character"));
            block.push(Directive::new("proxy_set_header", args));
        }
    }
    block.iter_mut().for_each(|directive| lead_to(directive, echo));
}

fn read_head(reader: &mut impl BufRead) -> Result<Answered, String> {
    let mut answered = BTreeMap::new();
    let mut line = String::new();
    reader.read_line(&mut line).map_err(|error| error.to_string())?;
    let status = line.split(' ').nth(1).ok_or_else(|| format!("no status line: {line:?}"))?;
    answered.insert("status".to_owned(), status.trim().to_owned());
    loop {
        line.clear();
        reader.read_line(&mut line).map_err(|error| error.to_string())?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let name = name.to_ascii_lowercase();
        if name == "location" {
            answered.insert(name, value.trim().to_owned());
        } else {
            answered.insert(format!("header {name}"), value.trim().to_owned());
        }
    }
    Ok(answered)
}

/// What the server behind the upstreams says.
fn told(body: &str, answered: &mut Answered) {
    if body.starts_with("upstream=") {
        for part in body.split('|').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            if !(key == "prefix" && value.is_empty()) {
                answered.insert(key.to_owned(), value.to_owned());
            }
        }
    }
}
