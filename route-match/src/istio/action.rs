//! What does an `http` rule do? Its actions as the shared data of [`action`](crate::action).

use std::time::Duration;

use svc_model::api::{
    IstioCorsPolicy, IstioHeaderEdits, IstioHeaders, IstioHttpFault, IstioHttpRedirect, IstioHttpRetry,
    IstioHttpRewrite, IstioHttpRoute, IstioPercent, SecretBytes, StringMap,
};
use svc_model::check::duration;

use super::destination::{Destination, Hosts, ImpliedPort, read as read_destination};
use super::matching::Matched;
use crate::action::{
    AbortStatus, Action, Backends, Cors, DirectResponse, Fault, Filters, Fraction, HeaderEdits, HeaderError, Mirror,
    OriginPattern, PathRewrite, QueryRule, Redirect, RedirectParts, RedirectPort, Retry, UnmatchedPreflights,
    WeightedBackend,
};
use crate::question::Scheme;
use crate::regex::{Anchor, Regex, RegexError};

/// When a request is tried again where nobody says anything (Istio's default policy).
const RETRY_CONDITIONS: [&str; 5] =
    ["connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"];
/// How often.
const RETRY_ATTEMPTS: u32 = 2;

/// Why a rule cannot be applied. It then is left out: admission refuses it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleFault {
    /// It has no action that can be applied.
    #[error("has neither a usable route, nor a redirect, nor a direct response")]
    NoAction,
    /// The status is none that this action can have.
    #[error("the status {0} is not one that it can have")]
    Status(i64),
    /// The port is none.
    #[error("the port {0} is none")]
    Port(i64),
    /// An expression cannot be read.
    #[error(transparent)]
    Regex(#[from] RegexError),
    /// An edit of a header is none.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// What the rules of a VirtualService are compiled with.
#[derive(Clone, Copy)]
pub(crate) struct ActionContext<'a> {
    /// The namespace of the VirtualService.
    pub(crate) namespace: &'a str,
    pub(crate) hosts: &'a dyn Hosts,
    /// The port of the listener.
    pub(crate) port: u16,
    /// What is spoken there.
    pub(crate) scheme: Scheme,
    pub(crate) implied_port: ImpliedPort,
}

/// Whether the action of a rule differs from match to match, since it replaces what is matched.
pub(crate) fn depends_on_match(rule: &IstioHttpRoute) -> bool {
    rule.rewrite.as_ref().is_some_and(|rewrite| !rewrite.uri.is_empty() && rewrite.uri_regex_rewrite.is_none())
        || rule.redirect.as_ref().is_some_and(|redirect| !redirect.prefix_rewrite.is_empty())
}

/// The action of a rule for requests of which a match took so much.
pub(crate) fn action(
    rule: &IstioHttpRoute,
    matched: Matched<'_>,
    context: ActionContext<'_>,
) -> Result<Action<Destination>, RuleFault> {
    let edits = Edits::read(rule.headers.as_ref())?;
    let mut action = match (&rule.redirect, &rule.direct_response) {
        (Some(settings), _) => Action::redirect(redirect(settings, matched, context)?),
        (None, Some(response)) => {
            let status = u16::try_from(response.status).ok().filter(|status| (200..=599).contains(status));
            let mut direct = DirectResponse::new(status.ok_or(RuleFault::Status(response.status))?);
            if let Some(body) = &response.body {
                let bytes = body.bytes.as_deref().map(SecretBytes::from_base64);
                let bytes = bytes.as_ref().and_then(SecretBytes::bytes);
                direct.body = body.string.as_deref().map(str::as_bytes).or(bytes).unwrap_or_default().into();
            }
            Action::direct(direct)
        }
        (None, None) => forward(rule, matched, &edits, context)?,
    };
    action.cors = rule.cors_policy.as_ref().map(cors).transpose()?;
    action.filters.request_headers = edits.request;
    action.filters.response_headers = edits.response;
    Ok(action)
}

fn forward(
    rule: &IstioHttpRoute,
    matched: Matched<'_>,
    edits: &Edits,
    context: ActionContext<'_>,
) -> Result<Action<Destination>, RuleFault> {
    let read = |destination: &svc_model::api::IstioDestination| {
        read_destination(destination, context.namespace, context.hosts, context.implied_port)
    };
    let rewrite = rule.rewrite.as_ref();
    let authority = rewrite.map(|rewrite| &*rewrite.authority).filter(|authority| !authority.is_empty());
    let host: Option<Box<str>> = authority.or(edits.authority.as_deref()).map(Into::into);
    let mut entries = Vec::new();
    for entry in &rule.route {
        // A single destination takes everything, whatever its weight.
        let weight = if rule.route.len() == 1 { Some(1) } else { u32::try_from(entry.weight).ok() };
        let (Some(weight), Some(to)) = (weight.filter(|weight| *weight > 0), entry.destination.as_ref().and_then(read))
        else {
            continue;
        };
        let mut backend = WeightedBackend::new(weight, to);
        let own = Edits::read(entry.headers.as_ref())?;
        let filters = Filters {
            request_headers: own.request,
            response_headers: own.response,
            // What the rule says of the authority goes first.
            host: own.authority.filter(|_| host.is_none()),
            ..Filters::default()
        };
        backend.filters = Some(Box::new(filters)).filter(|filters| !filters.is_empty());
        entries.push(backend);
    }
    if entries.is_empty() {
        return Err(RuleFault::NoAction);
    }
    let mut action = Action::forward(Backends::new(entries));
    action.filters.path = rewrite.map(|rewrite| path_rewrite(rewrite, matched)).transpose()?.flatten();
    action.filters.host = host;
    if let Some(share) = rule_mirror_share(rule)
        && let Some(backend) = rule.mirror.as_ref().and_then(read)
    {
        action.filters.mirrors.push(Mirror { backend, share });
    }
    for mirror in &rule.mirrors {
        if let Some(share) = mirror_share(mirror.percentage.as_ref())
            && let Some(backend) = mirror.destination.as_ref().and_then(read)
        {
            action.filters.mirrors.push(Mirror { backend, share });
        }
    }
    action.timeouts.request = rule.timeout.as_deref().and_then(limit);
    let retries = rule.retries.as_ref();
    action.timeouts.backend_request = retries.and_then(|retries| retries.per_try_timeout.as_deref()).and_then(limit);
    action.retry = retry(retries);
    action.fault = rule.fault.as_ref().and_then(fault);
    Ok(action)
}

fn path_rewrite(rewrite: &IstioHttpRewrite, matched: Matched<'_>) -> Result<Option<PathRewrite>, RuleFault> {
    if let Some(regex) = &rewrite.uri_regex_rewrite {
        let expression = Regex::new(&regex.match_, Anchor::None)?;
        return Ok(Some(PathRewrite::ReplaceAll(expression, regex.rewrite.as_str().into())));
    }
    Ok(replacement(&rewrite.uri, matched))
}

/// What takes the place of what a match took, if anything does.
fn replacement(text: &str, matched: Matched<'_>) -> Option<PathRewrite> {
    if text.is_empty() {
        return None;
    }
    Some(match matched {
        Matched::Prefix(prefix) => PathRewrite::text(prefix, text),
        Matched::Whole => PathRewrite::full(text),
    })
}

/// The action of `redirect`. The usual port of a scheme is not written; where none is, one that the Host names stays (Istio's
/// `ApplyRedirect`, Envoy's `RedirectAction`).
fn redirect(
    settings: &IstioHttpRedirect,
    matched: Matched<'_>,
    context: ActionContext<'_>,
) -> Result<Redirect, RuleFault> {
    let code = match settings.redirect_code {
        0 => 301,
        code @ (301..=303 | 307 | 308) => code as u16,
        code => return Err(RuleFault::Status(code)),
    };
    let named = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Box::from);
    let scheme = named(&settings.scheme.to_ascii_lowercase());
    let number = match (settings.port, settings.derive_port.as_deref()) {
        (Some(port), _) => Some(u16::try_from(port).ok().filter(|number| *number != 0).ok_or(RuleFault::Port(port))?),
        (None, Some("FROM_REQUEST_PORT")) => Some(context.port),
        (None, _) => None,
    };
    let usual = match scheme.as_deref().unwrap_or(context.scheme.as_str()) {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    let mut parts = RedirectParts {
        scheme,
        host: named(&settings.authority),
        port: match number {
            Some(number) if Some(number) != usual => RedirectPort::Number(number),
            _ => RedirectPort::OfHostUnlessUsual,
        },
        ..RedirectParts::default()
    };
    if settings.uri.is_empty() {
        parts.path = replacement(&settings.prefix_rewrite, matched);
    } else {
        let (path, query) =
            settings.uri.split_once('?').map_or((&*settings.uri, None), |(path, query)| (path, Some(query)));
        parts.path = Some(PathRewrite::full(path));
        parts.query = query.map_or(QueryRule::Keep, |query| QueryRule::Replace(query.into()));
    }
    Ok(Redirect::to(code, parts))
}

/// What headers say: the edits, and a new authority, which is none of them.
#[derive(Debug, Default)]
struct Edits {
    request: HeaderEdits,
    response: HeaderEdits,
    authority: Option<Box<str>>,
}

impl Edits {
    fn read(headers: Option<&IstioHeaders>) -> Result<Self, RuleFault> {
        let mut edits = Self::default();
        let Some(headers) = headers else { return Ok(edits) };
        if let Some(request) = &headers.request {
            edits.request = header_edits(request)?;
            edits.authority = authority(&request.set).or_else(|| authority(&request.add)).map(Into::into);
        }
        if let Some(response) = &headers.response {
            edits.response = header_edits(response)?;
        }
        Ok(edits)
    }
}

fn authority(headers: &StringMap) -> Option<&str> {
    let is_authority = |name: &str| name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority");
    headers.iter().rfind(|(name, _)| is_authority(name)).map(|(_, value)| &**value)
}

/// Headers that are not edited as such: the parts of the request line.
fn is_internal(name: &str) -> bool {
    name.starts_with(':') || name.eq_ignore_ascii_case("host")
}

/// Envoy removes first, then sets and adds.
fn header_edits(edits: &IstioHeaderEdits) -> Result<HeaderEdits, HeaderError> {
    let mut out = HeaderEdits::new();
    for name in edits.remove.iter().filter(|name| !is_internal(name)) {
        out = out.remove(name)?;
    }
    for (name, value) in edits.set.iter().filter(|(name, _)| !is_internal(name)) {
        out = out.set(name, value)?;
    }
    for (name, value) in edits.add.iter().filter(|(name, _)| !is_internal(name)) {
        out = out.add(name, value)?;
    }
    Ok(out)
}

/// A limit that is one: of zero, and of a text that is no duration, there is none.
fn limit(text: &str) -> Option<Duration> {
    positive(text).filter(|duration| !duration.is_zero())
}

fn positive(text: &str) -> Option<Duration> {
    duration::nanoseconds(text).and_then(|nanoseconds| u64::try_from(nanoseconds).ok()).map(Duration::from_nanos)
}

/// A part in percent, exact to a ten-thousandth of one as in Envoy; `None` for nothing.
fn share(percent: f64) -> Option<Fraction> {
    const MILLION: u32 = 1_000_000;
    // Above 100 and below 0 admission refuses; a cast of floats saturates.
    let numerator = ((percent * 10_000.0) as u32).min(MILLION);
    Fraction::new(numerator, MILLION).filter(|share| !share.is_none())
}

fn mirror_share(percentage: Option<&IstioPercent>) -> Option<Fraction> {
    percentage.map_or(Some(Fraction::ALL), |percent| share(percent.value.as_f64()))
}

fn rule_mirror_share(rule: &IstioHttpRoute) -> Option<Fraction> {
    match (&rule.mirror_percentage, rule.mirror_percent) {
        (None, Some(percent)) => share(percent as f64),
        (percentage, _) => mirror_share(percentage.as_ref()),
    }
}

pub(crate) fn retry(settings: Option<&IstioHttpRetry>) -> Option<Retry> {
    let mut retry = Retry {
        attempts: Some(RETRY_ATTEMPTS),
        conditions: RETRY_CONDITIONS.map(Into::into).into(),
        ..Retry::default()
    };
    let Some(settings) = settings else { return Some(retry) };
    retry.attempts = Some(u32::try_from(settings.attempts).ok().filter(|attempts| *attempts > 0)?);
    retry.backoff = settings.backoff.as_deref().and_then(limit);
    if !settings.retry_on.is_empty() {
        retry.conditions.clear();
        for word in settings.retry_on.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.parse::<u16>().ok().filter(|code| (100..=599).contains(code)) {
                Some(code) => retry.statuses.push(code),
                None => retry.conditions.push(word.into()),
            }
        }
    }
    Some(retry)
}

/// Faults. A part that is not written is none: Istio's `TranslateFault` takes the older, whole number of percent, which is 0 then.
fn fault(settings: &IstioHttpFault) -> Option<Fault> {
    let mut fault = Fault::default();
    if let Some(delay) = &settings.delay {
        let percent = delay.percentage.as_ref().map_or(delay.percent as f64, |percent| percent.value.as_f64());
        fault.delay = share(percent).zip(delay.fixed_delay.as_deref().and_then(limit));
    }
    if let Some(abort) = &settings.abort {
        let http = abort.http_status.and_then(|status| u16::try_from(status).ok());
        let http = http.filter(|status| (200..=599).contains(status)).map(AbortStatus::Http);
        let status = http.or_else(|| abort.grpc_status.as_deref().and_then(grpc_status).map(AbortStatus::Grpc));
        fault.abort = abort.percentage.as_ref().and_then(|percent| share(percent.value.as_f64())).zip(status);
    }
    Some(fault).filter(|fault| fault.delay.is_some() || fault.abort.is_some())
}

/// The number of a status of gRPC by its name, as its specification lists them.
fn grpc_status(name: &str) -> Option<u8> {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let number = || name.parse::<u8>().ok().filter(|number| usize::from(*number) < NAMES.len());
    NAMES.iter().position(|known| *known == name).map(|at| at as u8).or_else(number)
}

fn cors(policy: &IstioCorsPolicy) -> Result<Cors, RegexError> {
    let boxed = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
    let mut cors = Cors::new();
    let exact = |text: &str| if text == "*" { OriginPattern::Any } else { OriginPattern::Exact(text.into()) };
    for origin in &policy.allow_origins {
        cors.allow_origins.push(match (&origin.exact, &origin.prefix, &origin.regex) {
            (Some(text), ..) => exact(text),
            (None, Some(text), _) => OriginPattern::Prefix(text.as_str().into()),
            (None, None, Some(regex)) => OriginPattern::Regex(Regex::new(regex, Anchor::Whole)?),
            (None, None, None) => continue,
        });
    }
    if policy.allow_origins.is_empty() {
        cors.allow_origins = policy.allow_origin.iter().map(|text| exact(text)).collect();
    }
    cors.allow_methods = boxed(&policy.allow_methods);
    cors.allow_headers = boxed(&policy.allow_headers);
    cors.expose_headers = boxed(&policy.expose_headers);
    cors.max_age = policy.max_age.as_deref().and_then(positive).map(|age| age.as_secs());
    cors.allow_credentials = policy.allow_credentials.unwrap_or_default();
    cors.unmatched_preflights = match policy.unmatched_preflights.as_str() {
        "IGNORE" => UnmatchedPreflights::Answer,
        _ => UnmatchedPreflights::Forward,
    };
    Ok(cors)
}
