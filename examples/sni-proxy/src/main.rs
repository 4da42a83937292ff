//! `sni-proxy --listen 127.0.0.1:8443 --pair site.crt,site.key --pass db.example=127.0.0.1:5433`

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use sni_proxy::Proxy;
use tls_sni::resolver::{Resolver, load};
use tls_sni::{CertName, CertStore, KeyPair, NameMap, Policy};

/// Ends TLS with the certificate for the server name, or passes the connection through, on one port.
#[derive(Parser)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// A certificate bundle and its private key, in PEM: BUNDLE,KEY. The first pair is the default.
    #[arg(long = "pair", value_name = "BUNDLE,KEY")]
    pairs: Vec<String>,
    /// A name, or a wildcard for one label, whose connections go on undecrypted: NAME=ADDRESS:PORT.
    #[arg(long = "pass", value_name = "NAME=ADDR")]
    passes: Vec<String>,
    /// Refuse names that no certificate covers, instead of serving the default.
    #[arg(long)]
    strict: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sni-proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let provider = rustls::crypto::ring::default_provider();
    let mut store = CertStore::builder();
    for (i, pair) in arguments.pairs.iter().enumerate() {
        let (bundle, key) = pair.split_once(',').ok_or_else(|| format!("--pair {pair}: no comma"))?;
        let read = |path: &str| std::fs::read(PathBuf::from(path)).map_err(|error| format!("{path}: {error}"));
        let pair = KeyPair::from_pem(&read(bundle)?, &read(key)?).map_err(|error| format!("{bundle}: {error}"))?;
        let id = store.add(pair.facts.clone(), load(&pair, &provider).map_err(|error| format!("{key}: {error}"))?);
        if i == 0 {
            store.serve_by_default(id);
        }
    }
    let mut policy = Policy::default();
    policy.strict = arguments.strict;
    store.policy(policy);

    let mut targets = Vec::new();
    for pass in &arguments.passes {
        let (name, target) = pass.split_once('=').ok_or_else(|| format!("--pass {pass}: no ="))?;
        let name = CertName::new(name.as_bytes());
        if name.is_inert() {
            return Err(format!("--pass {pass}: no host name"));
        }
        targets.push((name, target.parse().map_err(|error| format!("--pass {pass}: {error}"))?));
    }

    let resolver = Arc::new(Resolver::new(store.build(), now));
    let proxy = Proxy::new(NameMap::new(0, targets), resolver).map_err(|error| error.to_string())?;
    let listener = TcpListener::bind(arguments.listen).map_err(|error| format!("{}: {error}", arguments.listen))?;
    Arc::new(proxy).run(&listener);
    Ok(())
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
