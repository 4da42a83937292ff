//! Where does a whole request go? Name, sidecar, address, node, proxy, TLS, route, Service, endpoint: one line a step.
//!
//! The walk shows one way of several, the same every time: where a balancer chooses, it goes on with one candidate for
//! example and says how many there are.

mod client;
mod gateway;
mod istio;
mod packet;
mod proxy;

use std::net::IpAddr;

use route_match::Authority;
use serde_json::{Map, Value};
use svc_model::ObjectRef;

use crate::answer::Answer;
use crate::ask::ParsedRequest;
use crate::world::{Unusable, World, unusable};

/// A request and who sends it.
#[derive(Clone, Debug, Default)]
pub struct Curl {
    /// `http://`, `https://` or `tcp://HOST:PORT`.
    pub url: String,
    /// A Pod, a workload or an address; outside of the cluster when absent.
    pub from: Option<String>,
    /// Namespace of a Pod that is named without one.
    pub namespace: String,
    /// `HOST:PORT:ADDRESS` for names that the cluster does not know.
    pub resolve: Vec<String>,
    /// The method.
    pub method: String,
    /// Headers.
    pub headers: Map<String, Value>,
}

/// How far a walk comes.
enum End {
    /// A Pod, or an address beyond the manifests, takes the connection.
    Reached(String),
    /// It ends before.
    Stopped(String),
}

impl Curl {
    /// Walks it.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let mut steps = Vec::new();
        let end = Walk { world, curl: self, steps: &mut steps, sender: None }.run()?;
        let (reached, words) = match end {
            End::Reached(words) => (true, words),
            End::Stopped(words) => (false, words),
        };
        let mut answer = Answer::new(format!("{}: {words}", self.url));
        answer.set("url", self.url.clone());
        answer.set("reached", reached);
        answer.set("steps", steps.clone());
        answer.set("reason", words);
        answer.steps = steps;
        Ok(answer)
    }

    fn destination(&self) -> Result<Destination<'_>, Unusable> {
        if let Some(rest) = self.url.strip_prefix("tcp://") {
            let authority = Authority::parse(rest.trim_end_matches('/'))
                .map_err(|error| unusable(format!("url: {:?} has no usable host: {error}", self.url)))?;
            let port = authority.port().ok_or_else(|| unusable("url: tcp:// needs a port: tcp://HOST:PORT"))?;
            return Ok(Destination { authority, port, request: None });
        }
        let method = Some(self.method.as_str()).filter(|method| !method.is_empty());
        let request = ParsedRequest::new(&self.url, method, &self.headers, None)?;
        Ok(Destination { authority: request.authority.clone(), port: request.port, request: Some(request) })
    }
}

/// A walk under way.
struct Walk<'w, 'a> {
    world: &'w World,
    curl: &'a Curl,
    steps: &'a mut Vec<String>,
    /// The address that whoever takes the connection sees as the client's; `None` while, and where, it is not known.
    sender: Option<IpAddr>,
}

/// Where a walk goes: the host and port of its URL, and the request if it is HTTP.
struct Destination<'r> {
    authority: Authority,
    port: u16,
    request: Option<ParsedRequest<'r>>,
}

impl Walk<'_, '_> {
    fn run(mut self) -> Result<End, Unusable> {
        let destination = self.curl.destination()?;
        let client = self.client()?;
        let sidecar = self.sidecar_of(&client);
        let steps = self.steps.len();
        match (self.address(&client, &destination)?, sidecar) {
            (Ok(addr), None) => self.connect(&client, addr, &destination),
            (Ok(addr), Some(sidecar)) => self.through_sidecar(sidecar, &client, Some(addr), &destination),
            (Err(End::Stopped(why)), Some(sidecar)) if destination.request.is_some() => {
                // A request has its Host with it, whatever its address.
                self.steps.truncate(steps);
                let host = destination.authority.host().to_string();
                self.step(
                    "name",
                    &format!("{host} has no address here"),
                    &format!("{why}; the sidecar goes by the Host"),
                );
                self.through_sidecar(sidecar, &client, None, &destination)
            }
            (Err(end), _) => Ok(end),
        }
    }

    fn step(&mut self, what: &str, result: &str, why: &str) {
        self.steps.push(format!("{what}: {result} — {why}"));
    }

    /// A step that rests on a field of an object, with its place in the manifests.
    fn step_by(&mut self, what: &str, result: &str, why: &str, object: &ObjectRef, field: &str) {
        let place = self.world.place_words(object, field);
        self.step(what, result, &format!("{why}{place}"));
    }
}
