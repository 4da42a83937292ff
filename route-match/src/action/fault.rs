//! Which requests are made to fail on purpose?

use std::time::Duration;

use super::Fraction;

/// Faults for tests: a delay, an abort, each for a part of the requests and independent of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// This part waits for so long first.
    pub delay: Option<(Fraction, Duration)>,
    /// This part is answered at once.
    pub abort: Option<(Fraction, AbortStatus)>,
}

/// The answer to a request that is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AbortStatus {
    /// A status of HTTP, 200 to 599.
    Http(u16),
    /// A status of gRPC, 0 to 16, in an answer of status 200.
    Grpc(u8),
}

impl AbortStatus {
    /// The status of HTTP.
    pub fn http(self) -> u16 {
        match self {
            Self::Http(status) => status,
            Self::Grpc(_) => 200,
        }
    }
}
