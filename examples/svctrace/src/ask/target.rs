//! Who is asked? The `to` of a question.

use svc_model::api::{Gateway, IstioGateway};
use svc_model::{Kind, NamespacedName, ObjectRef, Resource};

use crate::suggest::{did_you_mean, shorten};
use crate::world::{Unusable, World, unusable};

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// The controller that implements an ingress class.
    IngressClass(&'a str),
    /// A Gateway of the Gateway API.
    Gateway(NamespacedName),
    /// The proxy of a Gateway of Istio.
    IstioGateway(NamespacedName),
    /// The sidecar of whoever asks.
    Mesh,
}

impl<'a> Target<'a> {
    /// Reads `IngressClass/NAME`, `Gateway/NAMESPACE/NAME`, `IstioGateway/NAMESPACE/NAME` or `mesh`.
    pub(crate) fn parse(text: &'a str) -> Result<Target<'a>, Unusable> {
        match text.split('/').collect::<Vec<_>>().as_slice() {
            ["IngressClass" | "ingressclass", class] if !class.is_empty() => Ok(Target::IngressClass(class)),
            ["Gateway" | "gateway", namespace, name] if !namespace.is_empty() && !name.is_empty() => {
                Ok(Target::Gateway(NamespacedName::new(*namespace, *name)))
            }
            ["IstioGateway" | "istiogateway", namespace, name] if !namespace.is_empty() && !name.is_empty() => {
                Ok(Target::IstioGateway(NamespacedName::new(*namespace, *name)))
            }
            ["mesh"] => Ok(Target::Mesh),
            // A bare name, for people.
            [class] if !class.is_empty() => Ok(Target::IngressClass(class)),
            _ => Err(unusable(format!(
                "to: {text:?} is not of the form IngressClass/NAME, Gateway/NAMESPACE/NAME, IstioGateway/NAMESPACE/NAME or mesh"
            ))),
        }
    }
}

/// Why a Gateway cannot be asked: there is none of the name, though perhaps one of the other project, or in another namespace.
pub(super) fn no_gateway(world: &World, kind: Kind, name: &NamespacedName) -> Unusable {
    let asked = ObjectRef::new(kind, &*name.namespace, &*name.name).to_string();
    let gateways = world.cluster.list::<Gateway>().map(Resource::reference);
    let known = gateways.chain(world.cluster.list::<IstioGateway>().map(Resource::reference));
    let known: Vec<String> = known.map(|known| known.to_string()).collect();
    let near = did_you_mean(&asked, known.iter().map(String::as_str));
    unusable(format!("to: there is no {}{near}", shorten(&asked)))
}
