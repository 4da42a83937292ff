//! Which path does the backend see, and where is a client sent?

use route_match::action::{PathRewrite, QueryRule, Redirect, RedirectPort};
use route_match::{HostPattern, PathKind, PathPattern};

use crate::config::{
    PathChange, PathRedirect, RedirectAction, RedirectResponseCode, RegexMatchAndSubstitute, RegexMatcher,
};
use crate::re2;

/// Where a route stands: what its redirects are told of a request before there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'p> {
    pub(crate) scheme: &'static str,
    pub(crate) port: u16,
    /// The hosts of its virtual host.
    pub(crate) host: &'p HostPattern,
}

/// The change of a path that was matched by `pattern`; `None` for none.
pub(crate) fn path_change(rewrite: &PathRewrite, pattern: &PathPattern) -> Result<Option<PathChange>, String> {
    let regex = |pattern: String, substitution: String| {
        let pattern = RegexMatcher { regex: pattern };
        Ok(Some(PathChange::RegexRewrite(RegexMatchAndSubstitute { pattern, substitution })))
    };
    match rewrite {
        PathRewrite::Full(full) => regex("(?s)^.*$".to_owned(), re2::substitution(or_slash(full))),
        PathRewrite::Prefix { prefix, replacement, .. } => match (&**prefix, &**replacement) {
            ("", "") => Ok(None),
            // The slash that follows is what the rest begins with, and all there is if there is no rest.
            (prefix, "") => regex(format!("^{}/?", re2::quoted(prefix)), "/".to_owned()),
            // Envoy replaces the one slash that it matched.
            ("", replacement) => Ok(Some(PathChange::PrefixRewrite(format!("{replacement}/")))),
            (prefix, replacement) if pattern.kind() == PathKind::Prefix(prefix) => {
                Ok(Some(PathChange::PrefixRewrite(replacement.to_owned())))
            }
            (prefix, replacement) => {
                regex(format!("^{}(/|$)", re2::quoted(prefix)), format!("{}\\1", re2::substitution(replacement)))
            }
        },
        PathRewrite::Text { replacement, .. } => Ok(Some(PathChange::PrefixRewrite(replacement.to_string()))),
        PathRewrite::ReplaceAll(expression, template) => regex(re2::searched(expression)?, template.to_string()),
        _ => Err("there is no word for the rewrite of its path".to_owned()),
    }
}

fn or_slash(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

/// A redirect, and what of it cannot be said.
pub(crate) fn redirect(
    redirect: &Redirect,
    pattern: &PathPattern,
    place: Place<'_>,
) -> Result<(RedirectAction, Option<&'static str>), String> {
    let parts = redirect.parts().ok_or("there is no word for a Location that is given as a whole")?;
    let mut path = match &parts.path {
        None => None,
        Some(PathRewrite::Full(full)) => Some(PathRedirect::PathRedirect(or_slash(full).to_owned())),
        Some(rewrite) => path_change(rewrite, pattern)?.map(|change| match change {
            PathChange::PrefixRewrite(prefix) => PathRedirect::PrefixRewrite(prefix),
            PathChange::RegexRewrite(regex) => PathRedirect::RegexRewrite(regex),
        }),
    };
    let mut strip_query = false;
    match (&parts.query, &mut path) {
        (QueryRule::Keep, _) => {}
        (QueryRule::Drop, _) => strip_query = true,
        (QueryRule::Replace(query), Some(PathRedirect::PathRedirect(path))) => {
            path.push('?');
            path.push_str(query);
        }
        _ => return Err("there is no word for a new query beside the old path".to_owned()),
    }
    if parts.trim_slash {
        return Err("there is no word for taking off a slash at the end".to_owned());
    }
    // What Envoy does when it is told nothing.
    let keeps_port = parts.port == RedirectPort::OfHostUnlessUsual;
    let port_redirect = parts.written_port(place.scheme, place.port, None);
    let of_place = match place.host {
        HostPattern::Exact(host) if !keeps_port => Some(host.as_str()),
        _ => None,
    };
    let host_redirect = parts.host.as_deref().or(of_place).map(ToOwned::to_owned);
    let fault = (host_redirect.is_none() && port_redirect.is_none() && !keeps_port)
        .then_some("a port in the Host of a request stays in its redirect, where no host is known to take its place");
    let action = RedirectAction {
        scheme_redirect: parts.scheme.as_deref().map(ToOwned::to_owned),
        host_redirect,
        port_redirect,
        path,
        response_code: response_code(redirect.code)?,
        strip_query,
    };
    Ok((action, fault))
}

fn response_code(code: u16) -> Result<RedirectResponseCode, String> {
    Ok(match code {
        301 => RedirectResponseCode::MovedPermanently,
        302 => RedirectResponseCode::Found,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        code => return Err(format!("Envoy redirects by 301, 302, 303, 307 and 308, not by {code}")),
    })
}
