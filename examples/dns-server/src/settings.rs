//! What is the server told? Its command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use dns_records::wire;

/// Port of DNS where an address comes without one.
const DNS_PORT: u16 = 53;

const EXAMPLES: &str = "Examples:
  dns-server -f examples/manifests/shop
  dns-server -f manifests --listen 127.0.0.1:5353 --listen [::1]:5353 --forward 9.9.9.9 --log
  dig @127.0.0.1 -p 5353 cart.shop.svc.cluster.local
  dig @127.0.0.1 -p 5353 _http._tcp.cart.shop.svc.cluster.local SRV
  dig @127.0.0.1 -p 5353 -x 10.96.0.10

Signals: USR1 prints the counters, INT and TERM end the program when what it has in hand is done.";

/// Answers DNS for the Services of a Kubernetes cluster, from manifests
#[derive(Clone, Debug, Parser)]
#[command(name = "dns-server", version, after_help = EXAMPLES, args_override_self = true)]
pub struct Settings {
    /// Manifests: a file, or a directory with all below it. They are read again when they change
    #[arg(short, long = "filename", value_name = "FILE|DIR", required = true)]
    pub filename: Vec<PathBuf>,

    /// Where to listen, for UDP and TCP
    #[arg(short, long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5353")]
    pub listen: Vec<SocketAddr>,

    /// A server for names outside the cluster; the next is asked where one does not answer. Without any such names are refused
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = server_address)]
    pub forward: Vec<SocketAddr>,

    /// Print a line for each query
    #[arg(long)]
    pub log: bool,

    /// Print the counters every so often
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub stats: Option<Duration>,

    /// Longest UDP reply, in octets
    #[arg(long, value_name = "OCTETS", default_value_t = wire::Settings::default().max_udp, value_parser = clap::value_parser!(u16).range(512..))]
    pub max_udp: u16,

    /// Keep the addresses of an answer in one order [default: each reply starts with another]
    #[arg(long)]
    pub no_rotation: bool,

    /// Threads for UDP on each address [default: as many as there are processors]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// How often to look whether manifests have changed
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    pub poll: Duration,

    /// TCP connections open at one time; one more takes the place of the one that was silent for longest
    #[arg(long, value_name = "NUMBER", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_connections: u16,

    /// How long a TCP connection may take for its next query, or to take a reply
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub idle_timeout: Duration,

    /// Questions that wait for other servers at one time; what is beyond fails
    #[arg(long, value_name = "NUMBER", default_value_t = 256)]
    pub max_forwards: u16,

    /// How long another server may take to answer
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub forward_timeout: Duration,
}

impl Settings {
    /// What replies have in common.
    pub(crate) fn wire(&self) -> wire::Settings {
        wire::Settings { max_udp: self.max_udp, recursion_available: !self.forward.is_empty() }
    }
}

fn server_address(text: &str) -> Result<SocketAddr, String> {
    let bare = |_| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    text.parse::<SocketAddr>()
        .or_else(|error| bare(error).map(|ip| SocketAddr::new(ip, DNS_PORT)))
        .map_err(|_| "not an IP address, with or without a port".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    // Sockets know no time-out of nothing.
    let shortest = 0.001;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if (shortest..=86_400.0).contains(&seconds) => Ok(duration),
        _ => Err(format!("must be between {shortest} and 86400")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Settings::command().debug_assert();
    }

    #[test]
    fn a_server_is_an_address_with_or_without_a_port() {
        for (text, address) in [
            ("9.9.9.9", "9.9.9.9:53"),
            ("9.9.9.9:5300", "9.9.9.9:5300"),
            ("2620:fe::fe", "[2620:fe::fe]:53"),
            ("[2620:fe::fe]", "[2620:fe::fe]:53"),
            ("[2620:fe::fe]:1", "[2620:fe::fe]:1"),
        ] {
            assert_eq!(server_address(text), Ok(address.parse().unwrap()));
        }
        for text in ["", "dns.example", "9.9.9.9:", "9.9.9.9:70000"] {
            assert!(server_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_bounded() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["", "0", "-1", "nan", "inf", "1e9", "x"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
