//! How does a request come to a backend and back?

use crate::{Rebuild, RequestKey, Selection, Upstreams, load};
use async_trait::async_trait;
use lb_select::{EwmaSettings, InFlight};
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_load_balancing::{Backend, LoadBalancer};
use pingora_proxy::{ProxyHttp, Session};
use std::fmt;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A reverse proxy for plain HTTP that balances by the policy `P`.
///
/// It counts a request as in flight until the last byte of its answer is sent or given up, takes its latency, and goes to
/// another backend where a connection fails. Without a backend the answer is 503.
pub struct Proxy<P: Rebuild> {
    balancer: Arc<LoadBalancer<Selection<P>>>,
    upstreams: Upstreams<P>,
    key: RequestKey,
}

impl<P: Rebuild> Proxy<P> {
    /// A proxy that asks this balancer, whose configuration `upstreams` is.
    pub fn new(balancer: Arc<LoadBalancer<Selection<P>>>, upstreams: Upstreams<P>, key: RequestKey) -> Self {
        Self { balancer, upstreams, key }
    }
}

/// What the proxy knows about one request.
#[derive(Debug, Default)]
pub struct Exchange {
    attempt: Option<Attempt>,
    unreachable: Vec<Backend>,
}

#[derive(Debug)]
struct Attempt {
    backend: Backend,
    in_flight: Option<InFlight>,
    since: Instant,
}

fn peer(backend: &Backend) -> Result<HttpPeer> {
    match &backend.addr {
        SocketAddr::Inet(address) => Ok(HttpPeer::new(address, false, String::new())),
        #[cfg(unix)]
        SocketAddr::Unix(address) => {
            let path = address.as_pathname().and_then(Path::to_str);
            let path = path.ok_or_else(|| Error::explain(ErrorType::InternalError, "a socket without a path"))?;
            HttpPeer::new_uds(path, false, String::new())
        }
    }
}

/// How long a backend may take to accept a connection, and what a failure to connect counts as in latency.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

#[async_trait]
impl<P: Rebuild> ProxyHttp for Proxy<P> {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::default()
    }

    async fn upstream_peer(&self, session: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        // pingora comes here again for each retry; the attempt before is no longer in flight.
        exchange.attempt = None;
        let usable = |backend: &Backend, ready: bool| ready && !exchange.unreachable.contains(backend);
        let backend = self
            .balancer
            .select_with(&self.key.of(session), usize::MAX, usable)
            .ok_or_else(|| Error::explain(ErrorType::HTTPStatus(503), "no backend can be used"))?;
        let mut peer = peer(&backend)?;
        peer.options.connection_timeout = Some(CONNECT_TIMEOUT);
        let in_flight = load(&backend).map(|load| load.start());
        exchange.attempt = Some(Attempt { backend, in_flight, since: Instant::now() });
        Ok(Box::new(peer))
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        exchange: &mut Exchange,
        mut error: Box<Error>,
    ) -> Box<Error> {
        if let Some(attempt) = exchange.attempt.take() {
            self.record(&attempt, attempt.since.elapsed().max(CONNECT_TIMEOUT));
            exchange.unreachable.push(attempt.backend);
        }
        error.set_retry(true);
        error
    }

    async fn logging(&self, _: &mut Session, _: Option<&Error>, exchange: &mut Exchange) {
        if let Some(attempt) = exchange.attempt.take() {
            self.record(&attempt, attempt.since.elapsed());
        }
    }
}

impl<P: Rebuild> Proxy<P> {
    fn record(&self, attempt: &Attempt, latency: Duration) {
        if let Some(in_flight) = &attempt.in_flight {
            in_flight.load().record(latency, self.upstreams.now(), &EwmaSettings::default());
        }
    }
}

impl<P: Rebuild> fmt::Debug for Proxy<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { upstreams, key, .. } = self;
        f.debug_struct("Proxy").field("upstreams", upstreams).field("key", key).finish_non_exhaustive()
    }
}
