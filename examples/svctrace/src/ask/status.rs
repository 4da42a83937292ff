//! What would the controllers report of Gateways and routes? Their conditions, derived offline.

use std::rc::Rc;

use route_match::gateway::{Condition, GatewayStatus, RouteStatus, gateways_of, route_status};
use serde::Deserialize;
use serde_json::{Value, json};
use svc_model::{Cluster, Kind, Object, ObjectRef};
use tls_sni::gateway::GatewayTls;

use crate::answer::Answer;
use crate::suggest::{did_you_mean, shorten};
use crate::world::{Unusable, World, unusable};

/// What has a status, in the order of its telling.
const KINDS: [Kind; 6] =
    [Kind::Gateway, Kind::HttpRoute, Kind::GrpcRoute, Kind::TlsRoute, Kind::TcpRoute, Kind::UdpRoute];

/// The status of one object, or of all.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Status {
    /// `Gateway/NAMESPACE/NAME` or a route likewise; all of them when absent.
    #[serde(default)]
    pub object: Option<String>,
}

impl Status {
    /// Derives it.
    pub fn answer(&self, world: &World) -> Result<Answer, Unusable> {
        let cluster = &world.cluster;
        let objects: Vec<ObjectRef> = match &self.object {
            Some(text) => vec![find(cluster, text)?],
            None => all(cluster).collect(),
        };
        let mut answer = Answer::new(match (&self.object, objects.len()) {
            (Some(object), _) => object.clone(),
            (None, 0) => "no Gateway and no route".to_owned(),
            (None, n) => format!("{n} Gateways and routes"),
        });
        let mut values = Vec::new();
        for object in &objects {
            values.push(match object.kind {
                Kind::Gateway => {
                    let gateway = world.gateway(&object.key())?;
                    gateway_value(&mut answer, &gateway.table().status(cluster))
                }
                _ => {
                    let gateways: Result<Vec<Rc<GatewayTls>>, Unusable> =
                        gateways_of(cluster, object).iter().map(|name| world.gateway(name)).collect();
                    let gateways = gateways?;
                    let status = route_status(cluster, object, gateways.iter().map(|gateway| &**gateway.table()));
                    let other = || unusable(format!("object: no Gateway's controller reports of {object}"));
                    route_value(&mut answer, &status.ok_or_else(other)?)
                }
            });
        }
        answer.set("objects", values);
        // Each condition has its own; this is where all of them are from.
        answer.set("reason", "derived from the manifests, as a Gateway's controller would");
        Ok(answer)
    }
}

/// All that has a status.
fn all(cluster: &Cluster) -> impl Iterator<Item = ObjectRef> {
    let references = || cluster.objects().map(Object::reference);
    KINDS.into_iter().flat_map(move |kind| references().filter(move |object| object.kind == kind))
}

/// The object that a question names, its kind in any case as for kubectl.
fn find(cluster: &Cluster, text: &str) -> Result<ObjectRef, Unusable> {
    let (word, rest) = text.split_once('/').unwrap_or((text, ""));
    let kind = KINDS.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word));
    let Some((kind, (namespace, name))) = kind.zip(rest.split_once('/')) else {
        let (text, kinds) = (shorten(text), KINDS.map(Kind::as_str).join(", "));
        return Err(unusable(format!("object: {text:?} is not of the form KIND/NAMESPACE/NAME, KIND one of {kinds}")));
    };
    let object = ObjectRef::new(kind, namespace, name);
    if cluster.object(&object).is_some() {
        return Ok(object);
    }
    let known: Vec<String> = all(cluster).map(|object| object.to_string()).collect();
    let near = did_you_mean(&object.to_string(), known.iter().map(String::as_str));
    Err(unusable(format!("object: there is no {}{near}", shorten(&object.to_string()))))
}

fn gateway_value(answer: &mut Answer, status: &GatewayStatus) -> Value {
    answer.step(format!("{}: {}", status.gateway, words(&status.conditions)));
    let mut listeners = Vec::new();
    for listener in &status.listeners {
        let kinds: Vec<&str> = listener.supported_kinds.iter().map(|kind| kind.as_str()).collect();
        answer.step(format!(
            "  listener {} ({}): {} attached; {}",
            listener.name,
            listener.owner,
            listener.attached_routes,
            words(&listener.conditions),
        ));
        listeners.push(json!({
            "name": listener.name,
            "owner": listener.owner.to_string(),
            "supportedKinds": kinds,
            "attachedRoutes": listener.attached_routes,
            "conditions": conditions(&listener.conditions),
        }));
    }
    let sets: Vec<Value> = status
        .listener_sets
        .iter()
        .map(|(set, admitted)| json!({ "object": set.to_string(), "admitted": admitted }))
        .collect();
    json!({
        "object": status.gateway.to_string(),
        "conditions": conditions(&status.conditions),
        "listeners": listeners,
        "listenerSets": sets,
    })
}

fn route_value(answer: &mut Answer, status: &RouteStatus) -> Value {
    answer.step(format!("{}:", status.route));
    let mut parents = Vec::new();
    for parent in &status.parents {
        let section = parent.section.as_ref().map(|section| format!(" listener {section}")).unwrap_or_default();
        let port = parent.port.map(|port| format!(" port {port}")).unwrap_or_default();
        answer.step(format!("  {}{section}{port}: {}", parent.parent, words(&parent.conditions)));
        parents.push(json!({
            "parent": parent.parent.to_string(),
            "index": parent.index,
            "sectionName": parent.section,
            "port": parent.port,
            "attached": parent.attached,
            "conditions": conditions(&parent.conditions),
        }));
    }
    for (index, object) in &status.orphans {
        let object = object.as_ref().map_or("a kind that is none of a Gateway's".to_owned(), ToString::to_string);
        answer.step(format!("  spec.parentRefs[{index}] ({object}): nobody answers for it"));
    }
    json!({ "object": status.route.to_string(), "parents": parents })
}

fn words(conditions: &[Condition]) -> String {
    conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn conditions(conditions: &[Condition]) -> Vec<Value> {
    let value = |condition: &Condition| {
        json!({
            "type": condition.kind,
            "status": condition.status.to_string(),
            "reason": condition.reason,
            "message": condition.message,
        })
    };
    conditions.iter().map(value).collect()
}
