//! What is a configuration of Envoy? The part of its v3 API that is written here, each message a struct, each `oneof` an enum.
//!
//! Field names are Envoy's own; what they mean stands in its API reference under the message's name. Fields that are not
//! set are left out.

mod bootstrap;
mod cluster;
mod listener;
mod matcher;
mod route;
mod tls;

pub use bootstrap::{Bootstrap, LayeredRuntime, RuntimeLayer, RuntimeValue, StaticResources};
pub use cluster::{
    Cluster, ClusterLoadAssignment, DiscoveryType, Endpoint, ExplicitHttpConfig, Http2ProtocolOptions, LbEndpoint,
    LocalityLbEndpoints, ProtocolOptions,
};
pub use listener::{
    Address, Extension, FilterChain, FilterChainMatch, HttpConnectionManager, HttpFilter, Listener, ListenerFilter,
    NetworkFilter, SocketAddress, SocketProtocol, UdpAction, UdpListenerConfig, UdpMatcher, UdpOnNoMatch,
    UpgradeConfig,
};
pub use matcher::{HeaderMatcher, QueryParameterMatcher, RegexMatcher, StringMatcher, StringPattern, ValueMatch};
pub use route::{
    ClusterNotFoundResponseCode, ClusterSpecifier, ClusterWeight, CorsPolicy, DataSource, Denominator,
    DirectResponseAction, FaultAbort, FaultDelay, FaultStatus, FractionalPercent, HeaderAppendAction, HeaderEditList,
    HeaderValue, HeaderValueOption, HttpFault, PathChange, PathRedirect, PathSpecifier, PerRoute, RedirectAction,
    RedirectResponseCode, RegexMatchAndSubstitute, RequestMirrorPolicy, RequireTls, RetryBackOff, RetryPolicy, Route,
    RouteAction, RouteConfiguration, RouteKind, RouteMatch, RuntimeFractionalPercent, VirtualHost, WeightedCluster,
};
pub use tls::{
    CertificateValidationContext, CommonTlsContext, SubjectAltNameMatcher, TlsCertificate, TlsContext, TransportSocket,
};

use std::time::Duration;

use serde::{Serialize, Serializer};

/// A span of time, written as protobuf's JSON has it: seconds with `s` behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (seconds, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        let fraction = format!("{nanos:09}");
        match fraction.trim_end_matches('0') {
            "" => serializer.collect_str(&format_args!("{seconds}s")),
            fraction => serializer.collect_str(&format_args!("{seconds}.{fraction}s")),
        }
    }
}

/// Whether a flag is not set, which is how it is written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_off(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_seconds_with_their_fraction() {
        for (millis, text) in [(0, "0s"), (1500, "1.5s"), (60_000, "60s"), (1, "0.001s")] {
            let written = serde_json::to_value(Seconds(Duration::from_millis(millis))).unwrap();
            assert_eq!(written, text);
        }
    }
}
