//! What do the filters of a rule or backend do? Their list, turned into an action's data.

use svc_model::api::{
    HttpCorsFilter, HttpPathModifier, HttpRequestMirrorFilter, HttpRequestRedirectFilter, HttpRouteFilter,
    RouteBackendRef, RouteSessionPersistence,
};

use lb_select::cookie::{LifetimeType, SessionPersistence, SessionType};

use super::backend::Backend;
use super::read::{PathChange, duration, header_edits};
use crate::action::{Cors, Filters, Fraction, OriginPattern, PathRewrite, Redirect, RedirectParts, RedirectPort};

/// A list of filters and where it stands.
pub(super) struct FilterList<'a> {
    pub(super) filters: &'a [HttpRouteFilter],
    /// The path of the list.
    pub(super) field: String,
    /// The prefix that the rule matches, if it matches one alone.
    pub(super) prefix: Option<&'a str>,
}

/// A filter that cannot be applied. Requests then fail, since to leave a filter out could let through what it holds back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilterFault {
    /// Where it stands; empty for the rule.
    pub(super) field: String,
    pub(super) why: Box<str>,
}

/// What a list of filters does.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    pub(super) filters: Filters<Backend>,
    pub(super) redirect: Option<Redirect>,
    pub(super) cors: Option<Cors>,
    /// Mirrors by their index, not resolved yet.
    pub(super) mirrors: Vec<(usize, MirrorFilter<'a>)>,
}

/// A mirror, not resolved yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct MirrorFilter<'a> {
    pub(super) reference: &'a RouteBackendRef,
    pub(super) share: Fraction,
}

impl<'a> FilterList<'a> {
    /// Reads the list, in its order.
    pub(super) fn parse(&self, is_grpc: bool) -> Result<Parsed<'a>, FilterFault> {
        let mut parsed = Parsed { filters: Filters::default(), redirect: None, cors: None, mirrors: Vec::new() };
        for (index, filter) in self.filters.iter().enumerate() {
            let at = format!("{}[{index}]", self.field);
            let fault = |why: String| FilterFault { field: at.clone(), why: why.into() };
            let unknown = || fault(format!("filter type {:?} is not known here", filter.type_));
            if is_grpc
                && !matches!(
                    filter.type_.as_str(),
                    "RequestHeaderModifier" | "ResponseHeaderModifier" | "RequestMirror"
                )
            {
                return Err(unknown());
            }
            let without = || fault(format!("a {} filter needs its settings", filter.type_));
            match filter.type_.as_str() {
                "RequestHeaderModifier" => {
                    let settings = filter.request_header_modifier.as_ref().ok_or_else(without)?;
                    let edits = header_edits(settings).map_err(|error| fault(error.to_string()))?;
                    parsed.filters.request_headers.extend(edits);
                }
                "ResponseHeaderModifier" => {
                    let settings = filter.response_header_modifier.as_ref().ok_or_else(without)?;
                    let edits = header_edits(settings).map_err(|error| fault(error.to_string()))?;
                    parsed.filters.response_headers.extend(edits);
                }
                "RequestMirror" => {
                    let settings = filter.request_mirror.as_ref().ok_or_else(without)?;
                    let share = share(settings).ok_or_else(|| fault("a mirror's part is at most all".to_owned()))?;
                    if !share.is_none() {
                        parsed.mirrors.push((index, MirrorFilter { reference: &settings.backend_ref, share }));
                    }
                }
                "RequestRedirect" => {
                    let settings = filter.request_redirect.as_ref().ok_or_else(without)?;
                    parsed.redirect = Some(self.redirect(settings).map_err(fault)?);
                }
                "URLRewrite" => {
                    let settings = filter.url_rewrite.as_ref().ok_or_else(without)?;
                    if let Some(hostname) = settings.hostname.as_deref() {
                        parsed.filters.host = Some(hostname.into());
                    }
                    if let Some(path) = &settings.path {
                        parsed.filters.path = Some(self.rewrite(path).map_err(fault)?);
                    }
                }
                "CORS" => parsed.cors = Some(cors(filter.cors.as_ref().ok_or_else(without)?)),
                _ => return Err(unknown()),
            }
        }
        Ok(parsed)
    }

    fn redirect(&self, settings: &HttpRequestRedirectFilter) -> Result<Redirect, String> {
        let code = settings.status_code.unwrap_or(302);
        let code = u16::try_from(code).ok().filter(|code| matches!(code, 301..=303 | 307 | 308));
        let code = code.ok_or("a redirect's status is 301, 302, 303, 307 or 308")?;
        if let Some(scheme) = settings.scheme.as_deref()
            && !matches!(scheme, "http" | "https")
        {
            return Err("a redirect's scheme is http or https".to_owned());
        }
        let port = match settings.port {
            None => RedirectPort::Derived,
            Some(port) => RedirectPort::Number(u16::try_from(port).map_err(|_| "a redirect's port is 1 to 65535")?),
        };
        let path = settings.path.as_ref().map(|path| self.rewrite(path)).transpose()?;
        Ok(Redirect::to(
            code,
            RedirectParts {
                scheme: settings.scheme.as_deref().map(Into::into),
                host: settings.hostname.as_deref().map(Into::into),
                port,
                path,
                ..RedirectParts::default()
            },
        ))
    }

    fn rewrite(&self, path: &HttpPathModifier) -> Result<PathRewrite, String> {
        match (PathChange::read(path).map_err(|fault| fault.message)?, self.prefix) {
            (PathChange::Full(full), _) => Ok(PathRewrite::full(full)),
            (PathChange::Prefix(replacement), Some(prefix)) => Ok(PathRewrite::prefix(prefix, replacement)),
            (PathChange::Prefix(_), None) => {
                Err("ReplacePrefixMatch needs exactly one match, of type PathPrefix".to_owned())
            }
        }
    }
}

impl Parsed<'_> {
    /// The list of a backend, whose filters act once it is chosen. What answers in its place acts only for one that is `alone`: beside
    /// others, who is chosen would decide whether a client is answered or forwarded.
    pub(super) fn of_backend(self, list: &FilterList<'_>, alone: bool) -> Result<Self, FilterFault> {
        let fault = |why: &str| FilterFault { field: list.field.clone(), why: why.into() };
        if self.redirect.is_some() && !alone {
            return Err(fault("a backend beside others cannot redirect"));
        }
        if self.cors.is_some() && !alone {
            return Err(fault("a backend beside others cannot have CORS, which is answered before one is chosen"));
        }
        Ok(self)
    }
}

/// The part of the requests that a mirror gets.
fn share(mirror: &HttpRequestMirrorFilter) -> Option<Fraction> {
    let number = |number: i64| u32::try_from(number).ok();
    match (mirror.percent, &mirror.fraction) {
        (Some(percent), None) => Fraction::percent(number(percent)?),
        (None, Some(fraction)) => {
            Fraction::new(number(fraction.numerator)?, number(fraction.denominator.unwrap_or(100))?)
        }
        (None, None) => Some(Fraction::ALL),
        (Some(_), Some(_)) => None,
    }
}

fn cors(settings: &HttpCorsFilter) -> Cors {
    let boxed = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
    let mut cors = Cors::new();
    cors.allow_origins = settings.allow_origins.iter().map(|origin| OriginPattern::wildcard(origin)).collect();
    cors.allow_methods = boxed(&settings.allow_methods);
    cors.allow_headers = boxed(&settings.allow_headers);
    cors.expose_headers = boxed(&settings.expose_headers);
    cors.max_age = Some(settings.max_age.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(5));
    cors.allow_credentials = settings.allow_credentials;
    cors
}

/// The settings of a session, under the names of any release; `None` if they cannot be meant.
pub(super) fn session(settings: &RouteSessionPersistence) -> Option<SessionPersistence> {
    let cookie = settings.cookie.as_ref().or(settings.cookie_config.as_ref());
    let is_header = settings.type_.as_deref() == Some("Header");
    let name = if is_header {
        settings.header.as_ref().map(|header| header.name.as_str())
    } else {
        cookie.and_then(|cookie| cookie.name.as_deref())
    };
    let mut session = SessionPersistence::default();
    session.session_name = name.or(settings.session_name.as_deref()).map(Into::into);
    session.session_type = if is_header { SessionType::Header } else { SessionType::Cookie };
    session.absolute_timeout = settings.absolute_timeout.as_deref().and_then(|text| duration(text).ok());
    session.idle_timeout = settings.idle_timeout.as_deref().and_then(|text| duration(text).ok());
    if cookie.and_then(|cookie| cookie.lifetime_type.as_deref()) == Some("Permanent") {
        session.lifetime_type = LifetimeType::Permanent;
    }
    session.validate().ok()?;
    Some(session)
}
