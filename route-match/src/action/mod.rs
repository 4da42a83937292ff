//! What does a match do? Redirects, rewrites, header edits, mirrors and backends as data, with the functions that apply them.
//!
//! The dialects fill an [`Action`], a proxy carries it out. Nothing is allocated before a function is asked for its result.
//!
//! ```
//! use route_match::action::{Action, Backends, HeaderEdits, PathRewrite, WeightedBackend};
//!
//! let backends = Backends::new([
//!     WeightedBackend::new(9, "cart-v1"),
//!     WeightedBackend::new(1, "cart-v2"),
//! ]);
//! let mut action = Action::forward(backends);
//! action.filters.path = Some(PathRewrite::prefix("/shop", "/"));
//! action.filters.request_headers = HeaderEdits::new().set("x-shop", "1")?;
//!
//! assert_eq!(&*action.filters.path.as_ref().unwrap().apply(b"/shop/cart"), b"/cart");
//! let mut headers = vec![("X-Shop".to_owned(), "0".to_owned())];
//! action.filters.request_headers.apply(&mut headers);
//! assert_eq!(headers, [("x-shop".to_owned(), "1".to_owned())]);
//!
//! let backends = action.backends().unwrap();
//! assert_eq!(backends.pick(u64::MAX).map(|chosen| chosen.backend), Some("cart-v2"));
//! assert_eq!(backends.shares().map(|(_, p)| p).collect::<Vec<_>>(), [0.9, 0.1]);
//! # Ok::<(), route_match::action::HeaderError>(())
//! ```
//!
//! # In which order
//!
//! [`Fault`] (delay, then abort), [`Cors`] (which may answer a preflight), then the [`Disposition`]: a redirect and a direct response
//! end the matter; forwarding picks a backend, applies the filters of the rule and then those of the backend, and copies the
//! request to the mirrors. The edits of the response are applied in the same order, rule first.

mod backends;
mod cors;
mod fault;
mod fraction;
mod headers;
#[cfg(feature = "http")]
mod http;
mod redirect;
mod rewrite;
mod timeouts;

pub use backends::{Backends, WeightedBackend};
pub use cors::{AnyOrigin, Cors, CorsRequest, OriginPattern, UnmatchedPreflights};
pub use fault::{AbortStatus, Fault};
pub use fraction::Fraction;
pub use headers::{HeaderEdit, HeaderEdits, HeaderError, HeaderFields};
pub use redirect::{QueryRule, Redirect, RedirectParts, RedirectPort, RequestUri};
pub use rewrite::PathRewrite;
pub use timeouts::{Retry, Timeouts};

/// What a match does to a request and its response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Action<B> {
    /// Faults that are put in before all else.
    pub fault: Option<Fault>,
    /// Who may read the response in a browser.
    pub cors: Option<Cors>,
    /// What happens to every request that is forwarded, whichever backend it goes to.
    pub filters: Filters<B>,
    /// How long the backend may take.
    pub timeouts: Timeouts,
    /// When the request is sent again.
    pub retry: Option<Retry>,
    /// What keeps a client with its backend; goes before weights.
    #[cfg(feature = "kubernetes")]
    pub session: Option<lb_select::cookie::SessionPersistence>,
    /// Where the request ends.
    pub disposition: Disposition<B>,
}

/// Where a request ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition<B> {
    /// At one of these.
    Forward(Backends<B>),
    /// With the client, who is sent elsewhere.
    Redirect(Redirect),
    /// Here.
    Respond(DirectResponse),
}

/// What happens to a request on its way, and to its response on the way back: of a whole rule, or of one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filters<B> {
    /// Edits of the request's headers.
    pub request_headers: HeaderEdits,
    /// Edits of the response's headers.
    pub response_headers: HeaderEdits,
    /// A new path for the backend; the query is always kept.
    pub path: Option<PathRewrite>,
    /// A new Host header for the backend.
    pub host: Option<Box<str>>,
    /// Who gets copies.
    pub mirrors: Vec<Mirror<B>>,
}

/// Who gets a copy of which part of the requests; its response is thrown away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror<B> {
    /// Where copies go.
    pub backend: B,
    /// Of how many requests.
    pub share: Fraction,
}

/// A response that the proxy gives itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectResponse {
    /// The status, 200 to 599.
    pub status: u16,
    /// The body; empty for none.
    pub body: Box<[u8]>,
}

impl<B> Action<B> {
    /// To forward to one of these, without filters.
    pub fn forward(backends: Backends<B>) -> Self {
        Self::new(Disposition::Forward(backends))
    }

    /// To redirect.
    pub fn redirect(redirect: Redirect) -> Self {
        Self::new(Disposition::Redirect(redirect))
    }

    /// To answer with a status and no body.
    pub fn respond(status: u16) -> Self {
        Self::direct(DirectResponse::new(status))
    }

    /// To answer with this.
    pub fn direct(response: DirectResponse) -> Self {
        Self::new(Disposition::Respond(response))
    }

    fn new(disposition: Disposition<B>) -> Self {
        Self {
            fault: None,
            cors: None,
            filters: Filters::default(),
            timeouts: Timeouts::default(),
            retry: None,
            #[cfg(feature = "kubernetes")]
            session: None,
            disposition,
        }
    }

    /// The backends, if the request is forwarded.
    pub fn backends(&self) -> Option<&Backends<B>> {
        match &self.disposition {
            Disposition::Forward(backends) => Some(backends),
            Disposition::Redirect(_) | Disposition::Respond(_) => None,
        }
    }

    /// The filters of a request that goes to `backend`: the rule's, then the backend's.
    pub fn filters_for<'a>(&'a self, backend: Option<&'a WeightedBackend<B>>) -> impl Iterator<Item = &'a Filters<B>> {
        std::iter::once(&self.filters).chain(backend.and_then(|backend| backend.filters.as_deref()))
    }

    /// The path and host that `backend` sees; `None` for what stays as it is. The last filter that has a rewrite decides,
    /// and rewrites the path as it was matched.
    pub fn rewritten<'a>(
        &'a self,
        backend: Option<&'a WeightedBackend<B>>,
        path: &[u8],
    ) -> (Option<Vec<u8>>, Option<&'a str>) {
        let (mut rewrite, mut host) = (None, None);
        for filters in self.filters_for(backend) {
            rewrite = filters.path.as_ref().or(rewrite);
            host = filters.host.as_deref().or(host);
        }
        (rewrite.map(|rewrite| rewrite.apply(path).into_owned()), host)
    }
}

impl<B> Filters<B> {
    /// Whether nothing happens.
    pub fn is_empty(&self) -> bool {
        let Self { request_headers, response_headers, path, host, mirrors } = self;
        request_headers.is_empty()
            && response_headers.is_empty()
            && path.is_none()
            && host.is_none()
            && mirrors.is_empty()
    }
}

impl<B> Default for Filters<B> {
    fn default() -> Self {
        Self {
            request_headers: HeaderEdits::new(),
            response_headers: HeaderEdits::new(),
            path: None,
            host: None,
            mirrors: Vec::new(),
        }
    }
}

impl DirectResponse {
    /// A response without body.
    pub fn new(status: u16) -> Self {
        Self { status, body: Box::default() }
    }
}
