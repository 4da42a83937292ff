//! Who is asked? The `to` of a question.

use crate::world::{Unusable, unusable};

/// A proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// The controller that implements an ingress class.
    IngressClass(&'a str),
}

impl<'a> Target<'a> {
    /// Reads `IngressClass/NAME`. The other proxies that Kubernetes knows are not modelled yet, which the error says.
    pub(crate) fn parse(text: &'a str) -> Result<Target<'a>, Unusable> {
        match text.split('/').collect::<Vec<_>>().as_slice() {
            ["IngressClass" | "ingressclass", class] if !class.is_empty() => Ok(Target::IngressClass(class)),
            ["Gateway", _, _] => Err(unusable("to: Gateway API routes are not modelled yet; IngressClass/NAME is")),
            ["IstioGateway", _, _] | ["mesh"] => {
                Err(unusable("to: Istio's routes are not modelled yet; IngressClass/NAME is"))
            }
            // A bare name, for people.
            [class] if !class.is_empty() => Ok(Target::IngressClass(class)),
            _ => Err(unusable(format!("to: {text:?} is not of the form IngressClass/NAME"))),
        }
    }
}
