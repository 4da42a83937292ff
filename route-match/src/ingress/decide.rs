//! What happens to a request, step by step?

use std::borrow::Cow;

use crate::action::HeaderEdits;
use crate::authority::{Authority, AuthorityError};
use crate::host::Host;
use crate::host_pattern::HostPattern;
use crate::normalise::PathNormalisation;
use crate::request::Request;
use crate::router::Match;

use super::class::Dialect;
use super::controller::{Candidate, IngressController};
use super::decision::{CanaryReason, Cause, Decision, ForwardedRequest, Outcome, Reason};
use super::location::{Canary, Detour, HttpsRedirect, Location, Target};
use super::nginx::{Access, Taker, Variables, cors_response};
use crate::question::{HttpQuestion, Scheme};

impl IngressController {
    /// Where this request goes, and why. Over HTTPS, the server name of its connection is the host that it asks for.
    pub fn decide(&self, question: &HttpQuestion<'_>) -> Decision<'_> {
        let authority = Authority::parse(question.host);
        let server_name = authority.as_ref().ok().map(Authority::host);
        self.passed_on(question, server_name).unwrap_or_else(|| self.answer(question, authority))
    }

    /// The same over a connection with this server name (`None`: without a usable one), which need not be the host that the request asks
    /// for: TLS that is passed on is so by the server name alone. It is not looked at over HTTP.
    pub fn decide_over(&self, question: &HttpQuestion<'_>, server_name: Option<&Host>) -> Decision<'_> {
        let decision = self.passed_on(question, server_name);
        decision.unwrap_or_else(|| self.answer(question, Authority::parse(question.host)))
    }

    /// Where the bytes of the connection go, if the controller passes them on without a look at the request.
    fn passed_on(&self, question: &HttpQuestion<'_>, server_name: Option<&Host>) -> Option<Decision<'_>> {
        let name = server_name.filter(|_| question.scheme == Scheme::Https && self.flags().enable_ssl_passthrough)?;
        // Every server has a location for `/`.
        let found = self.router.find(&Request::new(Some(name), "/"))?;
        let to = found.value().server.passthrough.as_ref().filter(|to| to.host == *name)?;
        let outcome = Outcome::Forward { backends: &to.backends, request: ForwardedRequest::default() };
        let reason =
            Reason { host: Some(found.host()), path: Some(found.path()), cause: Cause::Passthrough, canary: None };
        Some(Decision::new(outcome, to.route.as_ref(), to.rule, reason))
    }

    /// What happens to a request that the controller gets to see.
    fn answer(&self, question: &HttpQuestion<'_>, authority: Result<Authority, AuthorityError>) -> Decision<'_> {
        let refuse = |cause| {
            let reason = Reason { host: None, path: None, cause, canary: None };
            Decision::new(Outcome::Respond { status: 400 }, None, None, reason)
        };
        let authority = match authority {
            Ok(authority) => authority,
            Err(error) => return refuse(Cause::BadHost(error)),
        };
        let path = match self.normalisation().apply(question.path) {
            Ok(path) => path,
            Err(error) => return refuse(Cause::BadPath(error)),
        };
        let request = request(question, &authority, &path);
        match self.router.find(&request) {
            Some(found) => self.follow(&found, question, authority.host(), &request),
            None => {
                let host = self.router.host(Some(authority.host()));
                let reason = Reason { host, path: None, cause: Cause::NoRule, canary: None };
                Decision::new(Outcome::Respond { status: 404 }, None, None, reason)
            }
        }
    }

    /// Everything that takes this request, the best first: what [`decide`](Self::decide) chose, then what it was
    /// preferred to. Empty for a request that is refused. Linear in the size of the table.
    pub fn candidates<'t>(&'t self, question: &HttpQuestion<'_>) -> Vec<Candidate<'t>> {
        let (Ok(authority), Ok(path)) = (Authority::parse(question.host), self.normalisation().apply(question.path))
        else {
            return Vec::new();
        };
        let request = request(question, &authority, &path);
        let candidate = |found: Match<'t, Location>| Candidate {
            route: found.value().route.as_ref(),
            rule: found.value().rule,
            host: found.host(),
            path: found.path(),
        };
        self.router.candidates(&request).map(candidate).collect()
    }

    fn normalisation(&self) -> PathNormalisation {
        match self.selection.dialect {
            Dialect::Plain => PathNormalisation::None,
            Dialect::Nginx => PathNormalisation::Nginx,
        }
    }

    /// What happens in the location, in nginx's order.
    fn follow<'t>(
        &'t self,
        found: &Match<'t, Location>,
        question: &HttpQuestion<'_>,
        host: &Host,
        request: &Request<'_>,
    ) -> Decision<'t> {
        let location = found.value();
        let Location { server, policy, .. } = location;
        let decide = |outcome, cause| {
            let reason = Reason { host: Some(found.host()), path: Some(found.path()), cause, canary: None };
            Decision::new(outcome, location.route.as_ref(), location.rule, reason)
        };
        let redirect = |code, location, cause| decide(Outcome::Redirect { code, location }, cause);
        let variables = Variables { question, host, path: request.path };

        // Before nginx looks at the location.
        if let Some(root) = server.app_root.as_ref().filter(|_| request.path == b"/") {
            let root = text(root.expand(&variables, |_, _| {}));
            let location = format!("{}://{}{root}", question.scheme, question.host.trim());
            return redirect(302, location, Cause::Annotation("app-root"));
        }
        match &location.detour {
            Some(Detour::TrailingSlash(with_slash)) => {
                let query = question.query.filter(|query| !query.is_empty());
                let query = query.map_or_else(String::new, |query| format!("?{query}"));
                let location = format!("{}://{host}{with_slash}{query}", question.scheme);
                return redirect(301, location, Cause::TrailingSlash);
            }
            Some(Detour::Www(other)) => {
                let uri = question.uri();
                let uri = uri.strip_suffix('/').unwrap_or(&uri);
                let location = format!("{}://{other}:{}{uri}", question.scheme, question.port);
                return redirect(308, location, Cause::WwwTwin);
            }
            None => {}
        }
        if let Some(annotation) = policy.denied {
            return decide(Outcome::Respond { status: 503 }, Cause::Denied(annotation));
        }
        if let Some(annotation) = policy.unmodelled {
            return decide(Outcome::Unmodelled { annotation }, Cause::Annotation(annotation));
        }

        // From here on, whatever happens, its response has the headers of the location.
        let mut response_headers = Cow::Borrowed(&policy.response_headers);
        let cors = policy.cors.as_ref().and_then(|cors| cors_response(cors, question.method, question.headers));
        let preflight = cors.as_ref().is_some_and(|(_, preflight)| *preflight);
        if let Some((edits, _)) = cors {
            response_headers.to_mut().extend(edits);
        }
        let decision = if preflight {
            decide(Outcome::Respond { status: 204 }, Cause::Preflight)
        } else if let Some((code, to, cause)) = self.redirection(found, &variables) {
            redirect(code, to, cause)
        } else if let Target::Unavailable(why) = &location.target {
            decide(Outcome::Respond { status: 503 }, Cause::Unavailable(why))
        } else if let Some(decided) = admission(&policy.access, question) {
            match decided {
                Ok(annotation) => decide(Outcome::Respond { status: 403 }, Cause::Refused(annotation)),
                Err(annotation) => decide(Outcome::NeedsClient { annotation }, Cause::Annotation(annotation)),
            }
        } else {
            self.forward(found, &variables, request)
        };
        Decision { response_headers, ..decision }
    }

    /// The redirect of a location: by annotation, to a rewritten URL, or to HTTPS.
    fn redirection<'t>(
        &self,
        found: &Match<'t, Location>,
        variables: &Variables<'_>,
    ) -> Option<(u16, String, Cause<'t>)> {
        let Location { policy, rewrite, is_challenge, .. } = found.value();
        let Variables { question, host, path } = variables;
        if let Some(to) = &policy.redirect {
            return Some((to.code, to.location.to_string(), Cause::Annotation(to.annotation)));
        }
        if let Some(rewrite) = rewrite.as_ref().filter(|rewrite| rewrite.target.is_absolute())
            && let Some(groups) = rewrite.search.captures(path)
        {
            let to = rewrite.target.expand(variables, |group, out| {
                out.extend(escape(groups.group(group).unwrap_or_default(), in_redirect).bytes());
            });
            let query = question.query.filter(|query| !query.is_empty());
            let query = query.map_or_else(String::new, |query| format!("?{query}"));
            return Some((302, text(to) + &query, Cause::Annotation("rewrite-target")));
        }
        let cause = match policy.https {
            _ if *is_challenge => None,
            HttpsRedirect::Never => None,
            // The catch-all server has no certificate of its own, whatever host a request names there.
            HttpsRedirect::WithCertificate => {
                let listed = || self.certified.matches(Some(host)).next().is_some();
                (*found.host() != HostPattern::Any && listed()).then_some(Cause::Certified)
            }
            HttpsRedirect::Always => Some(Cause::Annotation("force-ssl-redirect")),
        };
        let cause = cause.filter(|_| self.scheme(question) == Scheme::Http)?;
        let uri = question.uri();
        let kept = if policy.preserve_trailing_slash { None } else { uri.strip_suffix('/') };
        Some((self.selection.settings.redirect_code, format!("https://{host}{}", kept.unwrap_or(&uri)), cause))
    }

    /// Where a request goes that nothing has answered yet.
    fn forward<'t>(
        &'t self,
        found: &Match<'t, Location>,
        variables: &Variables<'_>,
        request: &Request<'_>,
    ) -> Decision<'t> {
        let Location { route, rule, target, policy, rewrite, .. } = found.value();
        let mut reason =
            Reason { host: Some(found.host()), path: Some(found.path()), cause: Cause::NoRule, canary: None };
        let Target::Service(main, canary) = target else {
            return Decision::new(Outcome::Respond { status: 404 }, route.as_ref(), *rule, reason);
        };
        reason.cause = match (route, rule) {
            (Some(_), Some(_)) => Cause::Rule,
            (Some(_), None) => Cause::DefaultBackend,
            (None, _) => Cause::ControllerDefault,
        };
        let mut backends = main;
        if let Some(canary) = canary {
            let Canary { route, rule, backends: prepared } = &**canary;
            let (taker, cause) = rule.decide(request);
            let weight = (rule.weight, rule.total);
            reason.canary = Some(CanaryReason { route, cause, weight, unavailable: prepared.as_ref().err() });
            if let Ok(prepared) = prepared {
                backends = match taker {
                    Taker::Main => main,
                    Taker::Canary => &prepared.canary,
                    Taker::Both => &prepared.both,
                };
            }
        }
        let mut request = ForwardedRequest::default();
        if let Some(rewrite) = rewrite.as_ref()
            && let Some(groups) = rewrite.search.captures(variables.path)
        {
            let group = |group, out: &mut Vec<u8>| {
                out.extend_from_slice(groups.group(group).unwrap_or_default());
            };
            request.path = Some(escape(&rewrite.target.expand(variables, group), in_path));
            if let Some(prefix) = &policy.forwarded_prefix {
                let prefix = text(prefix.expand(variables, group));
                // A value that no header can hold, out of an escape in the path, is left out.
                request.headers = HeaderEdits::new().set("x-forwarded-prefix", &prefix).unwrap_or_default();
            }
        }
        request.host = policy.upstream_vhost.as_ref().map(|host| text(host.expand(variables, |_, _| {})));
        Decision::new(Outcome::Forward { backends, request }, route.as_ref(), *rule, reason)
    }

    /// The scheme that the HTTPS redirect goes by.
    fn scheme(&self, question: &HttpQuestion<'_>) -> Scheme {
        let mut forwarded = None;
        if self.selection.settings.use_forwarded_headers {
            question.headers.each("x-forwarded-proto", &mut |value| {
                forwarded.get_or_insert(if value.eq_ignore_ascii_case(b"https") {
                    Scheme::Https
                } else {
                    Scheme::Http
                });
            });
        }
        forwarded.unwrap_or(question.scheme)
    }
}

fn request<'a>(question: &HttpQuestion<'a>, authority: &'a Authority, path: &'a [u8]) -> Request<'a> {
    Request::new(Some(authority.host()), path)
        .method(question.method)
        .query(question.query.unwrap_or_default())
        .headers(question.headers)
}

/// The access list that keeps a client out, or, where the client is not known, the one that would have to be asked.
fn admission(access: &Access, question: &HttpQuestion<'_>) -> Option<Result<&'static str, &'static str>> {
    match question.client {
        _ if access.is_open() => None,
        Some(client) => access.refusal(client).map(|refusal| Ok(refusal.annotation())),
        None => Some(Err(access.annotation())),
    }
}

/// Text that was made of a request.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Escapes what may not stand where the text goes.
fn escape(text: &[u8], may_stand: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text {
        if may_stand(*byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What nginx writes as it is into a decoded path for the backend.
fn in_path(byte: u8) -> bool {
    (b'!'..=b'~').contains(&byte) && !b"\"#%<>?\\^`{|}".contains(&byte)
}

/// What nginx writes as it is when a group of a decoded path becomes part of a Location.
fn in_redirect(byte: u8) -> bool {
    (b'!'..=b'~').contains(&byte) && !b"#%".contains(&byte)
}
