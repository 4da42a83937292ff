//! Messages as octets: what is read, what is written, and whether others read the same.

mod decode;
mod encode;
mod mutations;
mod peers;
mod query;
mod reply;
mod security;
mod transfer;
#[cfg(feature = "kubernetes")]
#[path = "../world/mod.rs"]
mod world;
#[cfg(feature = "kubernetes")]
mod zone;
