//! What do the manifests say? Serde mirrors of the Kubernetes objects, as tolerant as the API is.
//!
//! A mirror holds an object as it was written, valid or not: unknown fields are ignored, an absent field and an
//! explicit `null` are the default, both `clusterIP` and `clusterIPs` are there, numbers are wide enough for wrong
//! ones. Nothing here is checked beyond its JSON type; [`crate::check`] judges, and the domain types of the other
//! modules are valid by construction.
//!
//! Field names and meanings are those of the [Kubernetes API reference]; the docs here add only what a reader of
//! this crate needs.
//!
//! [Kubernetes API reference]: https://kubernetes.io/docs/reference/kubernetes-api/

mod bytes;
mod configuration;
mod destination_rule;
mod discovery;
mod gateway;
mod int_or_string;
mod istio;
mod meta;
mod networking;
mod number;
mod pod;
mod route;
mod service;
mod time;
mod virtual_service;
mod workload;

pub use bytes::SecretBytes;
pub use configuration::*;
pub use destination_rule::*;
pub use discovery::*;
pub use gateway::*;
pub use int_or_string::IntOrString;
pub use istio::*;
pub use meta::*;
pub use networking::*;
pub use number::{NotFinite, Number};
pub use pod::*;
pub use route::*;
pub use service::*;
pub use time::{Time, TimeError};
pub use virtual_service::*;
pub use workload::*;

/// Declares mirrors: every field public, in camel case on the wire, absent or `null` as its default, and left out
/// of what is written when it holds that default.
macro_rules! mirrors {
    ($($(#[$struct_attr:meta])* pub struct $Name:ident { $($(#[$attr:meta])* pub $field:ident : $ty:ty,)* })*) => {$(
        $(#[$struct_attr])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $Name {
            $(
                $(#[$attr])*
                #[serde(default, deserialize_with = "crate::api::or_default", skip_serializing_if = "crate::api::is_default")]
                pub $field: $ty,
            )*
        }
    )*};
}
use mirrors;

/// Reads a value, taking `null` for the default (the API server does the same).
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + serde::Deserialize<'de>,
{
    Ok(<Option<T> as serde::Deserialize>::deserialize(deserializer)?.unwrap_or_default())
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
