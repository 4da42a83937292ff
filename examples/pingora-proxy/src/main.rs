//! A reverse proxy that balances over the upstreams of its command line by the policy named there.

use clap::Parser;
use lb_select::{Balancer, BalancerSettings, ClientIpSettings};
use lb_select_pingora::{Algorithm, Proxy, RequestKey, Selection, Upstreams};
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::services::background::background_service;
use pingora_load_balancing::discovery::Static;
use pingora_load_balancing::health_check::TcpHealthCheck;
use pingora_load_balancing::{Backend, Backends, LoadBalancer};
use std::hash::RandomState;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

/// Balances HTTP requests over upstreams
#[derive(Debug, Parser)]
struct Arguments {
    /// The upstreams; a weight is 1 unless it is given
    #[arg(required = true, value_name = "IP:PORT[=WEIGHT]", value_parser = backend)]
    upstreams: Vec<Backend>,

    /// Where to listen
    #[arg(short, long, value_name = "IP:PORT", default_value = "127.0.0.1:6188")]
    listen: SocketAddr,

    /// Who is chosen
    #[arg(short, long, value_enum, default_value_t)]
    policy: Algorithm,

    /// What hash policies go by: client, path or header:NAME
    #[arg(short, long, default_value_t)]
    key: RequestKey,

    /// Send a client back to its last upstream for so long after its last request
    #[arg(short, long, value_name = "SECONDS")]
    sticky: Option<u32>,

    /// How often to check that upstreams accept connections
    #[arg(short, long, value_name = "SECONDS", default_value = "1")]
    check_every: NonZeroU64,

    /// How many threads serve requests
    #[arg(short, long, default_value_t = 2)]
    threads: usize,
}

fn backend(text: &str) -> Result<Backend, String> {
    let (address, weight) = text.split_once('=').unwrap_or((text, "1"));
    let weight: u32 = weight.parse().map_err(|error| format!("weight {weight:?}: {error}"))?;
    Backend::new_with_weight(address, weight as usize).map_err(|_| format!("{address:?} is not IP:PORT"))
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let arguments = Arguments::parse();
    let mut settings = BalancerSettings::new(arguments.policy.policy());
    if let Some(seconds) = arguments.sticky {
        if arguments.key != RequestKey::Client {
            eprintln!("error: --sticky goes by clients, and --key {} is something else", arguments.key);
            return ExitCode::FAILURE;
        }
        settings = settings.client_ip(ClientIpSettings::default().timeout_seconds(seconds));
    }
    let upstreams = match Upstreams::<Balancer<RandomState>>::new(settings) {
        Ok(upstreams) => upstreams,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };

    let mut check = TcpHealthCheck::new();
    check.health_changed_callback = Some(Box::new(upstreams.clone()));
    let backends = Backends::new(Static::new(arguments.upstreams.into_iter().collect()));
    let mut balancer =
        LoadBalancer::<Selection<Balancer<RandomState>>>::from_backends_with_config(backends, Some(upstreams.clone()));
    balancer.set_health_check(check);
    balancer.health_check_frequency = Some(Duration::from_secs(arguments.check_every.get()));
    let balancer = background_service("balancer", balancer);

    let conf = ServerConf { threads: arguments.threads, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let proxy = Proxy::new(balancer.task(), upstreams, arguments.key);
    let mut service = pingora_proxy::http_proxy_service(&server.configuration, proxy);
    service.add_tcp(&arguments.listen.to_string());
    // No request is taken before the balancer has discovered its backends.
    let service = server.add_service(service);
    let balancer = server.add_service(balancer);
    service.add_dependency(balancer);
    server.run_forever()
}
