//! What does a request say? Hash policies and cookies.

use super::{Answer, Input};
use lb_select::cookie::{ingress_nginx_backend_key, ingress_nginx_key, traefik_key, traefik_legacy_keys};
use lb_select::{HashPolicy, HashRequest, request_hash};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) fn answer(op: &str, input: Input<'_>) -> Answer {
    Some(match op {
        "hash-policy" => hash_policy(input),
        "cookie" => cookie(input),
        _ => return None,
    })
}

struct Request<'a> {
    input: Input<'a>,
    remote: Option<SocketAddr>,
    local: Option<SocketAddr>,
}

impl Request<'_> {
    /// The text of a member, or of the first element if it is a list.
    fn member(&self, of: &str, name: &str, same: impl Fn(&str, &str) -> bool) -> Option<Cow<'_, [u8]>> {
        let members = self.input.field(of).as_object()?;
        let value = members.iter().find(|(known, _)| same(known, name))?.1;
        let value = value.as_array().map_or(Some(value), |list| list.first())?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(text.into_bytes().into())
    }
}

impl HashRequest for Request<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.member("headers", name, str::eq_ignore_ascii_case)
    }

    fn query(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.member("query", name, |a, b| a == b)
    }

    fn cookie(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.member("cookies", name, |a, b| a == b)
    }

    fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    fn local(&self) -> Option<SocketAddr> {
        self.local
    }
}

fn hash_policy(input: Input<'_>) -> Result<Value, String> {
    let policy = |line: Input<'_>| {
        let built = if !line.field("header").is_null() {
            HashPolicy::header(line.text("header")?)
        } else if !line.field("cookie").is_null() {
            let ttl = if line.field("ttl_s").is_null() { None } else { Some(Duration::from_secs(line.int("ttl_s")?)) };
            HashPolicy::cookie(line.text("cookie")?, ttl)
        } else if !line.field("query").is_null() {
            HashPolicy::query(line.text("query")?)
        } else if line.flag_or("source_ip", false)? {
            HashPolicy::source_ip()
        } else {
            return Err(format!("policies: unknown: {}", line.0));
        };
        Ok(built.terminal(line.flag_or("terminal", false)?))
    };
    let policies = input.list("policies")?.into_iter().map(policy).collect::<Result<Vec<_>, String>>()?;
    let request = input.input("request");
    let addr = |name| match request.field(name).as_str() {
        Some(text) => text.parse().map(Some).map_err(|error| format!("{name}: {text}: {error}")),
        None => Ok(None),
    };
    let request = Request { input: request, remote: addr("remote")?, local: addr("local")? };
    let mut set_cookie = Value::Null;
    let hash = request_hash(&policies, &request, |cookie| {
        let ttl = cookie.max_age.unwrap_or_default().as_secs();
        set_cookie = json!({"name": cookie.name, "value": cookie.value, "ttl_s": ttl});
    });
    Ok(json!({"hash": hash, "set_cookie": set_cookie}))
}

fn cookie(input: Input<'_>) -> Result<Value, String> {
    let endpoints = input.list("endpoints")?.into_iter().map(Input::id).collect::<Result<Vec<_>, _>>()?;
    match input.text("style")? {
        "ingress-nginx-persistent" => {
            let backend = input.text("backend")?;
            let values: Vec<String> = endpoints.iter().map(|key| ingress_nginx_key(backend, key.as_bytes())).collect();
            Ok(json!({"values": values, "backend_key": ingress_nginx_backend_key(backend)}))
        }
        "traefik" => {
            let values: Vec<String> = endpoints.iter().map(|url| traefik_key(url.as_bytes())).collect();
            let legacy: Vec<[String; 3]> = endpoints.iter().map(|url| traefik_legacy_keys(url)).collect();
            Ok(json!({"values": values, "legacy": legacy}))
        }
        other => Err(format!("style: unknown: {other}")),
    }
}
