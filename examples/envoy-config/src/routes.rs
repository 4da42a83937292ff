//! What happens to the requests that a rule takes? The rules of any dialect, as Envoy's routes.

use std::collections::BTreeMap;
use std::time::Duration;

use route_match::action::{
    AbortStatus, Action, Backends, DirectResponse, Disposition, Fault, Filters, Fraction, Mirror, PathRewrite,
    WeightedBackend,
};
use route_match::{Condition, PathKind, PathPattern};

use crate::config::{
    ClusterNotFoundResponseCode, ClusterSpecifier, ClusterWeight, CorsPolicy, DataSource, Denominator,
    DirectResponseAction, FaultAbort, FaultDelay, FaultStatus, FractionalPercent, HeaderEditList, HeaderMatcher,
    HttpFault, PathChange, PathSpecifier, PerRoute, RequestMirrorPolicy, RetryBackOff, RetryPolicy, Route, RouteAction,
    RouteKind, RouteMatch, RuntimeFractionalPercent, Seconds, StringMatcher, StringPattern, ValueMatch,
    WeightedCluster,
};
use crate::headers::{self, Edits};
use crate::matches::route_match;
use crate::remarks::Remarks;
use crate::rewrite::{self, Place};

/// A rule as a router has it.
pub(crate) struct Rule<'r, B> {
    /// Which one it is, for people.
    pub(crate) name: String,
    pub(crate) path: &'r PathPattern,
    pub(crate) conditions: &'r [Condition],
    pub(crate) action: &'r Action<B>,
    /// The status of every request, if it can serve none.
    pub(crate) failure: Option<u16>,
    /// Whether CORS answers preflights even where the rule redirects.
    pub(crate) answers_preflights: bool,
}

/// Names the cluster of a backend.
pub(crate) type NameOf<'n, B> = &'n mut dyn FnMut(&B, &mut Remarks) -> String;

impl<B> Rule<'_, B> {
    /// Whether it takes every request, so that none comes to the rules behind it.
    pub(crate) fn takes_everything(&self) -> bool {
        self.conditions.is_empty() && self.path.kind() == PathKind::Prefix("")
    }

    /// The route, and one before it where Envoy needs two; none if its match cannot be written.
    pub(crate) fn routes(&self, place: Place<'_>, name_of: NameOf<'_, B>, remarks: &mut Remarks) -> Vec<Route> {
        let matches = match route_match(self.path, self.conditions) {
            Ok(matches) => matches,
            Err(why) => {
                remarks.add(&self.name, format!("a match is left out: {why}"));
                return Vec::new();
            }
        };
        self.written(&matches, place, name_of, remarks).unwrap_or_else(|why| {
            remarks.add(&self.name, format!("{why}; it answers 500"));
            vec![self.bare(matches, respond(500, None))]
        })
    }

    fn bare(&self, matches: RouteMatch, action: RouteKind) -> Route {
        Route {
            name: self.name.clone(),
            matches,
            action,
            headers: HeaderEditList::default(),
            typed_per_filter_config: BTreeMap::new(),
        }
    }

    fn written(
        &self,
        matches: &RouteMatch,
        place: Place<'_>,
        name_of: NameOf<'_, B>,
        remarks: &mut Remarks,
    ) -> Result<Vec<Route>, String> {
        let mut route = self.bare(matches.clone(), respond(500, None));
        let cors = self.action.cors.as_ref();
        let mut preflight = None;
        match (&self.action.disposition, self.failure) {
            // Envoy's CORS is for what goes to clusters.
            (_, Some(status)) if cors.is_some() => route.action = fail(status)?,
            (_, Some(status)) => route.action = respond(status, None),
            (Disposition::Respond(response), _) => {
                route.action = respond(response.status, Some(response));
                route.headers = response_only(self.edits(None, remarks).list);
            }
            (Disposition::Redirect(redirect), _) => {
                let (action, fault) = rewrite::redirect(redirect, self.path, place)?;
                fault.into_iter().for_each(|fault| remarks.add(&self.name, fault));
                route.action = RouteKind::Redirect(action);
                route.headers = response_only(self.edits(None, remarks).list);
                if cors.is_some() && self.answers_preflights {
                    preflight = Some(self.bare(preflights(matches), fail(500)?));
                }
            }
            (Disposition::Forward(backends), None) => {
                let (action, headers) = self.forward(backends, name_of, remarks)?;
                route.action = RouteKind::Route(Box::new(action));
                route.headers = headers;
            }
            _ => return Err("there is no word for what it does".to_owned()),
        }
        if let Some(fault) = self.action.fault {
            route.typed_per_filter_config.insert(HttpFault::FILTER, PerRoute::Fault(http_fault(fault)));
        }
        let mut routes: Vec<Route> = preflight.into_iter().chain([route]).collect();
        if let Some(cors) = cors {
            let (policy, faults) = headers::cors(cors)?;
            faults.into_iter().for_each(|fault| remarks.add(&self.name, fault));
            routes[0].typed_per_filter_config.insert(CorsPolicy::FILTER, PerRoute::Cors(policy));
        }
        Ok(routes)
    }

    fn edits(&self, backend: Option<&WeightedBackend<B>>, remarks: &mut Remarks) -> Edits {
        let filters: Vec<&Filters<B>> = self.action.filters_for(backend).collect();
        let edits = Edits::of(filters.into_iter());
        edits.faults.iter().for_each(|fault| remarks.add(&self.name, *fault));
        edits
    }

    fn forward(
        &self,
        backends: &Backends<B>,
        name_of: NameOf<'_, B>,
        remarks: &mut Remarks,
    ) -> Result<(RouteAction, HeaderEditList), String> {
        let entries: Vec<&WeightedBackend<B>> = backends.shares().map(|(entry, _)| entry).collect();
        let only = match entries.as_slice() {
            [only] => Some(*only),
            _ => None,
        };
        let mut headers = HeaderEditList::default();
        let mut host = None;
        let to = match only {
            Some(entry) => {
                let edits = self.edits(Some(entry), remarks);
                headers = edits.list;
                host = edits.host.or_else(|| self.host(Some(entry)));
                ClusterSpecifier::Cluster(name_of(&entry.backend, remarks))
            }
            None => {
                // Envoy edits by the cluster first and by the route afterwards; all edits at the clusters keep their order.
                let clusters = entries.iter().map(|entry| {
                    if let Some(filters) = &entry.filters
                        && (filters.path.is_some() || !filters.mirrors.is_empty())
                    {
                        remarks.add(&self.name, "of several backends none has a path or mirrors of its own");
                    }
                    let edits = self.edits(Some(entry), remarks);
                    ClusterWeight {
                        name: name_of(&entry.backend, remarks),
                        weight: entry.weight,
                        headers: edits.list,
                        host_rewrite_literal: edits.host.or_else(|| self.host(Some(entry))),
                    }
                });
                ClusterSpecifier::WeightedClusters(WeightedCluster { clusters: clusters.collect() })
            }
        };
        let filters: Vec<&Filters<B>> = self.action.filters_for(only).collect();
        let path = filters.iter().rev().find_map(|filters| filters.path.as_ref());
        let mirrors = filters.iter().flat_map(|filters| &filters.mirrors);
        let action = RouteAction {
            to,
            cluster_not_found_response_code: not_found(&entries)?,
            path: path.map(|path| self.path_change(path)).transpose()?.flatten(),
            host_rewrite_literal: host,
            timeout: Seconds(self.action.timeouts.request.unwrap_or(Duration::ZERO)),
            retry_policy: self.retry_policy(),
            request_mirror_policies: mirrors.map(|found| self.mirror(found, name_of, remarks)).collect(),
        };
        if self.action.session.is_some() {
            remarks
                .add(&self.name, "session persistence needs a filter of its own; clients are not kept with a backend");
        }
        Ok((action, headers))
    }

    fn path_change(&self, rewrite: &PathRewrite) -> Result<Option<PathChange>, String> {
        rewrite::path_change(rewrite, self.path)
    }

    /// The Host that a backend sees by a rewrite.
    fn host(&self, backend: Option<&WeightedBackend<B>>) -> Option<String> {
        let hosts = self.action.filters_for(backend).filter_map(|filters| filters.host.as_deref());
        hosts.last().map(ToOwned::to_owned)
    }

    fn mirror(&self, mirror: &Mirror<B>, name_of: NameOf<'_, B>, remarks: &mut Remarks) -> RequestMirrorPolicy {
        let (default_value, is_exact) = fractional_percent(mirror.share);
        if !is_exact {
            remarks.add(&self.name, format!("a mirror of {} is rounded to millionths", mirror.share));
        }
        let runtime_fraction = RuntimeFractionalPercent { default_value };
        RequestMirrorPolicy { cluster: name_of(&mirror.backend, remarks), runtime_fraction }
    }

    fn retry_policy(&self) -> Option<RetryPolicy> {
        let per_try_timeout = self.action.timeouts.backend_request.map(Seconds);
        let Some(retry) = &self.action.retry else {
            return per_try_timeout
                .map(|timeout| RetryPolicy { per_try_timeout: Some(timeout), ..RetryPolicy::default() });
        };
        let mut conditions: Vec<&str> = retry.conditions.iter().map(|condition| &**condition).collect();
        if conditions.is_empty() {
            // What goes wrong on the way to the backend always counts (Gateway API, HTTPRouteRetry).
            conditions.extend(["connect-failure", "refused-stream", "reset"]);
        }
        if !retry.statuses.is_empty() && !conditions.contains(&"retriable-status-codes") {
            conditions.push("retriable-status-codes");
        }
        Some(RetryPolicy {
            retry_on: conditions.join(","),
            num_retries: retry.attempts,
            per_try_timeout,
            retriable_status_codes: retry.statuses.clone(),
            retry_back_off: retry.backoff.map(|backoff| RetryBackOff { base_interval: Seconds(backoff) }),
        })
    }
}

fn http_fault(fault: Fault) -> HttpFault {
    HttpFault {
        delay: fault
            .delay
            .map(|(share, time)| FaultDelay { fixed_delay: Seconds(time), percentage: fractional_percent(share).0 }),
        abort: fault.abort.map(|(share, status)| FaultAbort {
            status: match status {
                AbortStatus::Grpc(status) => FaultStatus::GrpcStatus(status),
                status => FaultStatus::HttpStatus(status.http()),
            },
            percentage: fractional_percent(share).0,
        }),
    }
}

/// The answer for those entries whose cluster does not exist.
fn not_found<B>(entries: &[&WeightedBackend<B>]) -> Result<Option<ClusterNotFoundResponseCode>, String> {
    // A cluster without endpoints is 503 too.
    let status = entries.iter().filter_map(|entry| entry.failure).find(|status| *status != 503);
    status.map(not_found_code).transpose()
}

fn not_found_code(status: u16) -> Result<ClusterNotFoundResponseCode, String> {
    match status {
        500 => Ok(ClusterNotFoundResponseCode::InternalServerError),
        503 => Ok(ClusterNotFoundResponseCode::ServiceUnavailable),
        404 => Ok(ClusterNotFoundResponseCode::NotFound),
        status => Err(format!("Envoy fails requests on their way with 404, 500 or 503, not with {status}")),
    }
}

/// To a cluster that does not exist.
fn fail(status: u16) -> Result<RouteKind, String> {
    Ok(RouteKind::Route(Box::new(RouteAction {
        to: ClusterSpecifier::Cluster(format!("none: {status}")),
        cluster_not_found_response_code: Some(not_found_code(status)?),
        path: None,
        host_rewrite_literal: None,
        timeout: Seconds(Duration::ZERO),
        retry_policy: None,
        request_mirror_policies: Vec::new(),
    })))
}

/// Of the requests that a match takes, the preflights (the Fetch standard, 3.3.2).
fn preflights(matches: &RouteMatch) -> RouteMatch {
    let header = |name: &str, matches| HeaderMatcher {
        name: name.to_owned(),
        matches,
        invert_match: false,
        treat_missing_header_as_empty: false,
    };
    let options = StringMatcher::from(StringPattern::Exact("OPTIONS".to_owned()));
    let mut matches = matches.clone();
    matches.headers.extend([
        header(":method", ValueMatch::StringMatch(options)),
        header("origin", ValueMatch::PresentMatch(true)),
        header("access-control-request-method", ValueMatch::PresentMatch(true)),
    ]);
    matches
}

/// A route that answers everything with a status.
pub(crate) fn answer(name: String, status: u16) -> Route {
    let path = PathSpecifier::Prefix("/".to_owned());
    Route {
        name,
        matches: RouteMatch { path, case_sensitive: None, headers: Vec::new(), query_parameters: Vec::new() },
        action: respond(status, None),
        headers: HeaderEditList::default(),
        typed_per_filter_config: BTreeMap::new(),
    }
}

fn respond(status: u16, response: Option<&DirectResponse>) -> RouteKind {
    let body = response.filter(|response| !response.body.is_empty());
    let body = body.map(|response| DataSource::InlineString(String::from_utf8_lossy(&response.body).into_owned()));
    RouteKind::DirectResponse(DirectResponseAction { status, body })
}

/// Nothing of the request goes anywhere.
fn response_only(edits: HeaderEditList) -> HeaderEditList {
    HeaderEditList { request_headers_to_add: Vec::new(), request_headers_to_remove: Vec::new(), ..edits }
}

/// The part in one of Envoy's denominators, and whether it is exact.
fn fractional_percent(share: Fraction) -> (FractionalPercent, bool) {
    let denominators = [(Denominator::Hundred, 100.0), (Denominator::TenThousand, 1e4), (Denominator::Million, 1e6)];
    let mut nearest = None;
    for (denominator, parts) in denominators {
        let scaled = share.as_f64() * parts;
        let numerator = scaled.round() as u32;
        let is_exact = (scaled - f64::from(numerator)).abs() < 1e-9;
        nearest = Some((FractionalPercent { numerator, denominator }, is_exact));
        if is_exact {
            break;
        }
    }
    // There are three denominators.
    nearest.unwrap_or((FractionalPercent { numerator: 0, denominator: Denominator::Hundred }, false))
}
