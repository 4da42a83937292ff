//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::print::Format;
use crate::read::Input;
use crate::report::FailOn;

const EXAMPLES: &str = "\
Examples:
  svctrace -f manifests/ curl http://cart.shop/items --from shop/web
  svctrace -f manifests/ curl https://shop.example.com/ --resolve shop.example.com:443:203.0.113.10
  svctrace -f manifests/ connect shop/web 10.96.1.0:80
  svctrace -f manifests/ lookup redis.data --from shop/web
  svctrace -f manifests/ dns _http._tcp.cart.shop.svc.cluster.local SRV
  kubectl get svc,endpointslices,pods,nodes -A -o yaml | svctrace connect 10.244.1.5 10.96.0.10:53 --protocol UDP
  svctrace -f manifests/ http https://shop.example.com/ --to IstioGateway/istio-system/edge
  svctrace -f manifests/ http http://cart/items --to mesh --from shop/web
  svctrace -f manifests/ check

Exit status:
  0  answered, or nothing found
  1  check found errors, or a test failed
  2  the command line or an input could not be used; what could be read is still answered

Limits: 256 MiB an input, 64 MiB and 5,000,000 values a document, 64 levels; 1,000 assumed Pods a
workload and 10,000 in all; 1 MiB a question of a batch.";

const BATCH: &str = "\
Questions, one a line; each is answered by one line in the same order:
  {\"kind\":\"connect\",\"src\":\"10.244.1.5\",\"dst\":\"10.96.0.10:53\",\"protocol\":\"UDP\",\"node\":\"n1\"}
  {\"kind\":\"dns\",\"name\":\"redis.data.svc.cluster.local.\",\"type\":\"A\"}
  {\"kind\":\"resolv\",\"pod\":\"shop/web\"}
  {\"kind\":\"lookup\",\"pod\":\"shop/web\",\"name\":\"redis.data\",\"resolver\":\"musl\"}
  {\"kind\":\"env\",\"pod\":\"shop/web\"}
  {\"kind\":\"port-forward\",\"to\":\"svc/shop/web\",\"port\":80}
  {\"kind\":\"http\",\"url\":\"http://a.example/x\",\"method\":\"GET\",\"headers\":{\"x-a\":\"1\"},\"to\":\"IngressClass/nginx\"}
  {\"kind\":\"tls\",\"sni\":\"a.example\",\"port\":443,\"alpn\":[\"h2\"],\"to\":\"IngressClass/nginx\"}
  {\"kind\":\"tcp\",\"port\":9000,\"protocol\":\"TCP\",\"to\":\"Gateway/infra/edge\"}
  {\"kind\":\"http\",\"url\":\"http://cart/\",\"to\":\"mesh\",\"from\":\"shop/web\"}
  {\"kind\":\"status\",\"object\":\"HTTPRoute/shop/cart\"}
A question that cannot be used is answered by {\"error\":\"...\"}, and the run goes on with status 0.
Keys without a meaning are named in the answer under \"ignored\".";

const CASES: &str = "\
A case file is a list:
  - name: cart-is-balanced
    world: |                  # manifests
      ...
    node: n1                  # optional
    queries:                  # questions as in batch
      - ask:    {kind: connect, src: 10.244.1.5, dst: '10.96.0.41:80'}
        expect: {verdict: dnat, endpoints: [{addr: '10.244.2.9:8080'}]}
    check:                    # findings that must be among the errors, or among the warnings
      - {object: Service/default/a, field: 'spec.ports[0].port', level: warning}
    checkClean: true          # no errors
Each expected key must be in the answer; members of a list may come in any order, save tries, nameservers,
searches and a DNS answer with a CNAME. Failures are printed, then 'N passed, N failed'.";

/// Where does this connection go, and why? Answered offline, from Kubernetes manifests.
#[derive(Debug, Parser)]
#[command(name = "svctrace", version, after_help = EXAMPLES, propagate_version = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// Manifests: a file, a directory with all below it, or - for standard input (the default when that is a pipe)
    #[arg(short, long = "filename", value_name = "FILE|DIR|-", global = true)]
    pub(super) filename: Vec<Input>,
    /// The node whose view is taken [default: the KubeProxyConfiguration's hostnameOverride, the only one, or the asking Pod's; curl: the asking Pod's]
    #[arg(long, value_name = "NAME", global = true)]
    pub(super) node: Option<String>,
    /// Namespace of names that are given without one
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default", global = true)]
    pub(super) namespace: String,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, global = true)]
    pub(super) output: Format,
    /// When to colour
    #[arg(long, value_enum, default_value_t, global = true)]
    pub(super) color: Color,
    /// The verdict only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// What was passed over as well
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
    /// Directories are always read with all below them; accepted because kubectl has it
    #[arg(short = 'R', long, hide = true, global = true)]
    pub(super) recursive: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Walk the whole way of a request: search list, DNS, Service, TLS, route, endpoint
    Curl(CurlArgs),
    /// Where does a packet go?
    Connect {
        /// An address, or a Pod
        src: String,
        /// ADDRESS:PORT, or a Service: svc/NAME[.NAMESPACE]:PORT, the port by number or name
        dst: String,
        /// TCP, UDP, SCTP or ICMP
        #[arg(long, default_value = "TCP", ignore_case = true)]
        protocol: String,
    },
    /// What does the cluster's DNS answer? Asked and printed as with dig
    Dns {
        /// NAME [TYPE] or TYPE NAME; the name is absolute with or without its final dot, the type is A if it is not given
        #[arg(required_unless_present = "reverse", num_args = 1..=2, value_name = "NAME|TYPE")]
        words: Vec<String>,
        /// Ask for the name of an address
        #[arg(short = 'x', long = "reverse", value_name = "ADDRESS", conflicts_with = "words")]
        reverse: Option<String>,
        /// Print the data of the records alone
        #[arg(long)]
        short: bool,
        /// The Pod or workload that asks, or an address, for a Corefile with autopath or transfer
        #[arg(long, value_name = "POD|ADDRESS")]
        from: Option<String>,
    },
    /// What stands in a Pod's resolv.conf?
    Resolv {
        /// The Pod, or a workload: then its first Pod
        pod: String,
    },
    /// Which names does a Pod's resolver ask, and what does that cost?
    Lookup {
        /// The name, as the program gives it to its resolver
        name: String,
        /// The Pod, or a workload: then its first Pod
        #[arg(long, value_name = "POD")]
        from: String,
        /// Whose rules the program follows: glibc, musl (Alpine) or go
        #[arg(long, default_value = "glibc", ignore_case = true)]
        resolver: String,
    },
    /// Which variables tell a Pod of Services?
    Env {
        /// The Pod, or a workload: then its first Pod
        pod: String,
    },
    /// Which rule takes a request, and where to?
    Http(HttpArgs),
    /// Which certificate does a server name get, or is it passed through?
    Tls(TlsArgs),
    /// Where does a TCP or UDP connection to a proxy go?
    Tcp(TcpArgs),
    /// What would controllers report of Gateways and routes?
    Status {
        /// Gateway/NAMESPACE/NAME, HTTPRoute/NAMESPACE/NAME, ... [default: all of them]
        object: Option<String>,
    },
    /// Which Pod and port would kubectl port-forward connect to?
    PortForward {
        /// svc/NAME, pod/NAME, or a workload as deploy/NAME
        target: String,
        /// [LOCAL:]PORT, PORT by number or name
        port: String,
    },
    /// What is wrong with the manifests?
    Check {
        /// From which level on the exit status is 1
        #[arg(long, value_enum, default_value_t)]
        fail_on: FailOn,
        /// List the objects of unknown kinds too
        #[arg(long)]
        strict: bool,
    },
    /// Print what a driver would program
    Render(RenderArgs),
    /// Answer one JSON question a line from standard input
    #[command(after_help = BATCH)]
    Batch,
    /// Run case files: worlds, questions and the answers expected
    #[command(after_help = CASES)]
    Test {
        /// Case files
        #[arg(required = true, value_name = "CASES.yaml")]
        files: Vec<PathBuf>,
    },
    /// Print the completions of a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(super) struct CurlArgs {
    /// http://, https:// or tcp://HOST:PORT
    pub(super) url: String,
    /// The Pod or workload that asks, or an address; without it the client is outside the cluster
    #[arg(long, value_name = "POD|ADDRESS")]
    pub(super) from: Option<String>,
    /// Take this address for a host and port, as curl does
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    pub(super) resolve: Vec<String>,
    /// Method of the request
    #[arg(short = 'X', long = "request", value_name = "METHOD", default_value = "GET")]
    pub(super) method: String,
    /// A header of the request
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(super) headers: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct HttpArgs {
    /// The URL
    pub(super) url: String,
    /// Who is asked: IngressClass/NAME, Gateway/NAMESPACE/NAME, IstioGateway/NAMESPACE/NAME, or mesh for Istio's sidecar [default: the
    /// only one there is, the mesh aside]
    #[arg(long, value_name = "TARGET")]
    pub(super) to: Option<String>,
    /// The Pod or workload whose sidecar is asked, for the mesh
    #[arg(long, value_name = "POD")]
    pub(super) from: Option<String>,
    /// Method of the request
    #[arg(short = 'X', long = "request", value_name = "METHOD", default_value = "GET")]
    pub(super) method: String,
    /// A header of the request
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(super) headers: Vec<String>,
    /// The client's address, where access lists ask for it
    #[arg(long, value_name = "ADDRESS")]
    pub(super) src: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RenderArgs {
    /// For which program
    #[arg(value_enum)]
    pub(super) program: Program,
    /// Whose decisions: IngressClass/NAME for nginx; Gateway/NAMESPACE/NAME, IstioGateway/NAMESPACE/NAME or mesh for envoy [default:
    /// IngressClass/nginx, the only Gateway]
    #[arg(long, value_name = "TARGET")]
    pub(super) to: Option<String>,
    /// The workload whose sidecar is configured, with --to mesh
    #[arg(long, value_name = "POD")]
    pub(super) from: Option<String>,
    /// The layout
    #[arg(long, value_enum, default_value_t)]
    pub(super) profile: Profile,
}

/// What can be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Program {
    /// nginx, by its configuration file
    Nginx,
    /// Envoy, by a bootstrap file of its v3 API
    Envoy,
    /// The kernel's iptables, as kube-proxy writes them
    Iptables,
    /// The kernel's nftables, as kube-proxy writes them
    Nftables,
}

/// How it is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Profile {
    /// As today's programs do it
    #[default]
    Modern,
    /// As the oldest ones did; nftables has none
    Classic,
    /// As a kernel takes it in fastest; of nftables only
    Fast,
}

#[derive(Debug, Args)]
pub(super) struct TlsArgs {
    /// The server name [default: the client sends none]
    pub(super) sni: Option<String>,
    /// Who is asked: IngressClass/NAME, Gateway/NAMESPACE/NAME, IstioGateway/NAMESPACE/NAME, or mesh for Istio's sidecar [default: the
    /// only one there is, the mesh aside]
    #[arg(long, value_name = "TARGET")]
    pub(super) to: Option<String>,
    /// The Pod or workload whose sidecar is asked, for the mesh
    #[arg(long, value_name = "POD")]
    pub(super) from: Option<String>,
    /// The port connected to
    #[arg(long, default_value_t = 443)]
    pub(super) port: u16,
    /// A protocol the client offers, in order of preference
    #[arg(long)]
    pub(super) alpn: Vec<String>,
    /// A signature scheme the client verifies, such as rsa_pss_rsae_sha256 [default: all]
    #[arg(long, value_name = "SCHEME")]
    pub(super) sigalgs: Vec<String>,
    /// Host of a request that is sent later on the connection
    #[arg(long, value_name = "HOST")]
    pub(super) authority: Option<String>,
    /// A whole ClientHello in hexadecimal, in place of the name and what else the client says
    #[arg(long, value_name = "HEX", conflicts_with_all = ["sni", "alpn", "sigalgs"])]
    pub(super) hello: Option<String>,
    /// Instant for the dates of certificates [default: now]
    #[arg(long, value_name = "RFC3339")]
    pub(super) now: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct TcpArgs {
    /// HOST:PORT, or the port alone
    pub(super) dst: String,
    /// Who is asked: IngressClass/NAME, Gateway/NAMESPACE/NAME, IstioGateway/NAMESPACE/NAME, or mesh for Istio's sidecar [default: the
    /// only one there is, the mesh aside]
    #[arg(long, value_name = "TARGET")]
    pub(super) to: Option<String>,
    /// The Pod or workload whose sidecar is asked, for the mesh
    #[arg(long, value_name = "POD")]
    pub(super) from: Option<String>,
    /// TCP or UDP
    #[arg(long, default_value = "TCP", ignore_case = true)]
    pub(super) protocol: String,
}
