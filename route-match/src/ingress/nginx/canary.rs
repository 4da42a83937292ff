//! Does the canary take the request? The `canary-by-*` and `canary-weight` annotations.

use crate::condition::{Condition, ValuePattern};
use crate::regex::{Anchor, Regex};
use crate::request::Request;

use super::annotations::Values;
use super::cookie::cookie;

/// What a canary Ingress says of the requests it takes. A header decides first, then a cookie, then the weight.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CanaryRule {
    header: Option<HeaderRule>,
    cookie: Option<Box<str>>,
    /// The canary's part of what header and cookie leave: this many of [`total`](Self::total).
    pub weight: u32,
    /// The weight of main backend and canary together, at least 100.
    pub total: u32,
}

/// How a header decides.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HeaderRule {
    /// By `always` and `never`.
    Words { always: Condition, never: Condition },
    /// The canary is meant when this holds, and nobody in particular when not.
    Is(Condition),
    /// By a pattern that cannot be read: while the header is there, the main backend takes the request.
    Unreadable(Condition),
}

/// What made up the mind about a request that a canary may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CanaryCause {
    /// The header of `canary-by-header`.
    Header,
    /// The cookie of `canary-by-cookie`.
    Cookie,
    /// Neither header nor cookie, so the weight does.
    Weight,
}

/// Whom the requests are for that a canary may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingress) enum Taker {
    Canary,
    Main,
    /// Both, by weight.
    Both,
}

impl CanaryRule {
    /// Reads the annotations of a canary Ingress.
    pub(super) fn of(values: &Values<'_>) -> Self {
        // The controller raises smaller totals to 100.
        let total = values.integer("canary-weight-total").map_or(100, saturate).max(100);
        let weight = values.integer("canary-weight").map_or(0, saturate).min(total);
        let header = values.text("canary-by-header").map(|name| {
            // nginx knows headers as variables, in which `-` is `_`.
            let name = name.replace('_', "-");
            let is = |value| Condition::header(&name, value);
            if let Some(value) = values.text("canary-by-header-value") {
                return HeaderRule::Is(is(ValuePattern::exact(value)));
            }
            match values.text("canary-by-header-pattern").map(|pattern| Regex::new(pattern, Anchor::None)) {
                Some(Ok(pattern)) => HeaderRule::Is(is(ValuePattern::Regex(pattern))),
                Some(Err(_)) => HeaderRule::Unreadable(is(ValuePattern::Present)),
                None => HeaderRule::Words {
                    always: is(ValuePattern::exact("always")),
                    never: is(ValuePattern::exact("never")),
                },
            }
        });
        Self { header, cookie: values.text("canary-by-cookie").map(Into::into), weight, total }
    }

    /// Who takes a request, and by what. Allocates only to join a repeated header for an expression.
    pub(in crate::ingress) fn decide(&self, request: &Request<'_>) -> (Taker, CanaryCause) {
        let by_header = self.header.as_ref().and_then(|rule| match rule {
            HeaderRule::Words { always, .. } if always.holds(request) => Some(Taker::Canary),
            HeaderRule::Words { never, .. } if never.holds(request) => Some(Taker::Main),
            HeaderRule::Is(condition) if condition.holds(request) => Some(Taker::Canary),
            HeaderRule::Unreadable(there) if there.holds(request) => Some(Taker::Main),
            _ => None,
        });
        let by_cookie = || {
            let value = cookie(request.headers, self.cookie.as_deref()?, |value| match value {
                b"always" => Some(Taker::Canary),
                b"never" => Some(Taker::Main),
                _ => None,
            });
            value.flatten()
        };
        if let Some(taker) = by_header {
            (taker, CanaryCause::Header)
        } else if let Some(taker) = by_cookie() {
            (taker, CanaryCause::Cookie)
        } else if self.weight == 0 {
            (Taker::Main, CanaryCause::Weight)
        } else if self.weight == self.total {
            (Taker::Canary, CanaryCause::Weight)
        } else {
            (Taker::Both, CanaryCause::Weight)
        }
    }
}

/// As a weight: nothing below 0.
fn saturate(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}
