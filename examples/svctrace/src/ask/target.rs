//! Who is asked? The `to` of a question.

use svc_model::NamespacedName;

use crate::world::{Unusable, unusable};

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// The controller that implements an ingress class.
    IngressClass(&'a str),
    /// A Gateway of the Gateway API.
    Gateway(NamespacedName),
}

impl<'a> Target<'a> {
    /// Reads `IngressClass/NAME` or `Gateway/NAMESPACE/NAME`. The other proxies that Kubernetes knows are not modelled yet, which the error says.
    pub(crate) fn parse(text: &'a str) -> Result<Target<'a>, Unusable> {
        match text.split('/').collect::<Vec<_>>().as_slice() {
            ["IngressClass" | "ingressclass", class] if !class.is_empty() => Ok(Target::IngressClass(class)),
            ["Gateway" | "gateway", namespace, name] if !namespace.is_empty() && !name.is_empty() => {
                Ok(Target::Gateway(NamespacedName::new(*namespace, *name)))
            }
            ["IstioGateway", _, _] | ["mesh"] => Err(unusable(
                "to: Istio's routes are not modelled yet; IngressClass/NAME and Gateway/NAMESPACE/NAME are",
            )),
            // A bare name, for people.
            [class] if !class.is_empty() => Ok(Target::IngressClass(class)),
            _ => Err(unusable(format!("to: {text:?} is not of the form IngressClass/NAME or Gateway/NAMESPACE/NAME"))),
        }
    }
}
