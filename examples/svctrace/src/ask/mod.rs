//! The questions: read from JSON or the command line, answered from a [`World`].

mod connect;
mod dns;
mod env;
pub(crate) mod gateway;
mod http;
pub(crate) mod istio;
mod lookup;
mod outcome;
mod port_forward;
mod resolv;
mod status;
mod target;
mod tcp;
mod tls;

pub(crate) use connect::{packet_answer, percent, port_list, source};
pub(crate) use dns::Dns;
pub(crate) use http::{Controller, ParsedRequest, unknown};
pub(crate) use istio::caller;
pub(crate) use lookup::{Walk, walk};
pub(crate) use port_forward::is_forwarded;
pub(crate) use target::Target;
pub(crate) use tls::{now, outcome};

use serde::Deserialize;
use serde_json::{Value, json};

pub use connect::Connect;
pub use dns::DnsQuestion;
pub use env::Env;
pub use http::Http;
pub use lookup::Lookup;
pub use port_forward::{Port, PortForward};
pub use resolv::Resolv;
pub use status::Status;
pub use tcp::Tcp;
pub use tls::Tls;

use crate::answer::Answer;
use crate::world::{Unusable, World, unusable};

/// One question.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Ask {
    /// Where does a packet go?
    Connect(Connect),
    /// What does the cluster's DNS answer?
    Dns(DnsQuestion),
    /// What stands in a Pod's resolv.conf?
    Resolv(Resolv),
    /// Which names does a Pod's resolver ask?
    Lookup(Lookup),
    /// Which variables tell a Pod of Services?
    Env(Env),
    /// Where would `kubectl port-forward` connect to?
    PortForward(PortForward),
    /// Which rule takes a request?
    Http(Http),
    /// Which certificate, or passed through where?
    Tls(Tls),
    /// Where does a TCP or UDP connection to a proxy go?
    Tcp(Tcp),
    /// What would controllers report of Gateways and routes?
    Status(Status),
}

impl Ask {
    /// The answer in this world.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        match self {
            Ask::Connect(ask) => ask.answer(world),
            Ask::Dns(ask) => ask.answer(world),
            Ask::Resolv(ask) => ask.answer(world),
            Ask::Lookup(ask) => ask.answer(world),
            Ask::Env(ask) => ask.answer(world),
            Ask::PortForward(ask) => ask.answer(world),
            Ask::Http(ask) => ask.answer(world),
            Ask::Tls(ask) => ask.answer(world),
            Ask::Tcp(ask) => ask.answer(world),
            Ask::Status(ask) => ask.answer(world),
        }
    }
}

/// Answers one line of a batch. A question that cannot be used is answered by its error.
pub fn answer_line(line: &[u8], world: &World) -> Value {
    match serde_json::from_slice(line) {
        Ok(question) => answer_value(&question, world),
        Err(error) => json!({ "error": question_error(&error) }),
    }
}

/// The same for a question that is JSON already. Keys that no question of its kind has are named under `ignored`.
pub fn answer_value(question: &Value, world: &World) -> Value {
    let ask: Result<Ask, Unusable> = Ask::deserialize(question).map_err(|error| unusable(question_error(&error)));
    match ask.and_then(|ask| ask.answer(world)) {
        Ok(mut answer) => {
            let ignored = unknown_keys(question);
            if !ignored.is_empty() {
                answer.set("ignored", ignored);
            }
            Value::Object(answer.json)
        }
        Err(unusable) => json!({ "error": unusable.0 }),
    }
}

/// The keys of a question that have no meaning in it.
fn unknown_keys(question: &Value) -> Vec<String> {
    let known: &[&str] = match question["kind"].as_str().unwrap_or_default() {
        "connect" => &["src", "dst", "protocol"],
        "dns" => &["name", "type", "from"],
        "resolv" | "env" => &["pod"],
        "lookup" => &["pod", "name", "resolver"],
        "port-forward" => &["to", "port"],
        "http" => &["url", "method", "headers", "to", "src", "from"],
        "tls" => &["sni", "port", "alpn", "sigalgs", "versions", "now", "hello", "authority", "to", "from"],
        "status" => &["object"],
        "tcp" => &["dst", "port", "protocol", "to", "from"],
        _ => return Vec::new(),
    };
    let keys = question.as_object().into_iter().flat_map(|question| question.keys());
    keys.filter(|key| !known.contains(&key.as_str()) && !matches!(key.as_str(), "kind" | "node")).cloned().collect()
}

fn question_error(error: &serde_json::Error) -> String {
    format!("not a question: {error}")
}
