//! What becomes of a request, whether a rule has taken it or none has?

use crate::action::{Cors, CorsRequest, HeaderEdits, WeightedBackend};
use crate::question::HttpQuestion;

/// What happens to a request; `B` is what the dialect forwards to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpOutcome<'t, B> {
    /// It goes to the backends of the rule's action, save the parts that fail or that a fault aborts.
    #[non_exhaustive]
    Forward {
        /// The only backend that has a part, if there is only one: its filters are known to act.
        only: Option<&'t WeightedBackend<B>>,
        /// The path that the backend sees, if the rule or the only backend rewrites it.
        path: Option<String>,
        /// The Host that the backend sees, if one of the two rewrites it.
        host: Option<&'t str>,
        /// What CORS sets on the response.
        cors: HeaderEdits,
    },
    /// The client is sent elsewhere.
    Redirect {
        /// The status.
        code: u16,
        /// The whole value of the Location header.
        location: String,
    },
    /// The proxy answers itself.
    #[non_exhaustive]
    Respond {
        /// What the rule says; 204 (Gateway API) or 200 (Istio) for a CORS preflight; 400 for what is no request, 404 where no rule is,
        /// 421 on another listener's connection, 500 and 503 where no backend can be used.
        status: u16,
        /// What CORS sets on the response.
        cors: HeaderEdits,
    },
    /// There is no HTTP answer: the connection's handshake is refused, or its bytes are not for HTTP.
    NoHttp,
}

impl<B> HttpOutcome<'_, B> {
    /// An answer with this status, and nothing of CORS on it.
    pub(crate) fn status(status: u16) -> Self {
        Self::Respond { status, cors: HeaderEdits::new() }
    }
}

/// What CORS sets on the response to this request, and whether the proxy gives that response itself.
pub(crate) fn cross_origin(settings: Option<&Cors>, question: &HttpQuestion<'_>) -> (HeaderEdits, bool) {
    match settings.and_then(|cors| Some((cors, CorsRequest::new(question.method, question.headers)?))) {
        // An origin that no header can hold is allowed nothing.
        Some((cors, request)) => (cors.response(&request).ok().flatten().unwrap_or_default(), cors.answers(&request)),
        None => (HeaderEdits::new(), false),
    }
}
