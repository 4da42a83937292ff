//! How is a service called? The `trafficPolicy` of a DestinationRule in the words of `lb-select`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use lb_select::hash::RingSettings;
use lb_select::{
    BalancerSettings, ByPrioritySettings, CircuitLimits, Distribute, Failover, FailoverLabel, HashPolicy, IstioHashKey,
    Locality, LocalityWeights, Member, OutlierSettings, PolicySettings, PrioritySettings, SlowStart,
    distribute_weights, failover_label_priorities, failover_priorities,
};
use svc_model::api::{self, LocalityLbSetting, MeshConfig, StringMap};
use svc_model::check::duration;

/// How long connecting may take where nothing is said.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How a service, or a subset of it, is called on a port: the settings of a `trafficPolicy` with Istio's defaults, as Istio hands them to Envoy.
///
/// ```
/// use lb_select::PolicySettings;
/// use route_match::istio::TrafficPolicy;
/// use svc_model::api::{self, MeshConfig};
///
/// let written: api::TrafficPolicy = serde_json::from_str(
///     r#"{"loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}},
///         "outlierDetection": {"consecutive5xxErrors": 3}}"#,
/// )?;
/// let policy = TrafficPolicy::read(&written, &MeshConfig::default())?;
/// assert!(matches!(policy.balancing, Some(PolicySettings::RingHash { .. })));
/// assert_eq!(policy.outlier.map(|outlier| outlier.consecutive_5xx), Some(3));
/// assert_eq!(policy.limits.max_requests, u32::MAX);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TrafficPolicy {
    /// Which endpoint is chosen; `None` for the one that the client meant (`PASSTHROUGH`).
    pub balancing: Option<PolicySettings>,
    /// What of a request is hashed, where `balancing` goes by that.
    pub hash: Option<HashPolicy>,
    /// Which endpoints go first.
    pub locality: LocalityPolicy,
    /// Which endpoints are left out for a while; `None`: none are.
    pub outlier: Option<OutlierSettings>,
    /// Percent of endpoints that must be healthy, or else all are used. With outlier detection Istio's default is 0, never; without it Envoy's
    /// stands, 50.
    pub panic_threshold: u32,
    /// How much may be under way at once; without limit where nothing is said.
    pub limits: CircuitLimits,
    /// Most requests of one connection; 0 for no limit.
    pub max_requests_per_connection: u32,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a connection may be idle; `None` leaves it to the proxy, whose limit is an hour.
    pub idle_timeout: Option<Duration>,
    /// Whether TLS is spoken to the endpoints; `None` leaves it to the mesh, which does where both ends can.
    pub tls: Option<ClientTls>,
}

/// Which endpoints go first, by where they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalityPolicy {
    /// All are alike.
    #[default]
    None,
    /// Each place gets a fixed part.
    Distribute(Vec<Distribute>),
    /// The nearest ones, until they fail. Only where outlier detection would notice that.
    #[non_exhaustive]
    Failover {
        /// Labels that are compared with the caller's instead of places, the most important first; may be empty.
        labels: Vec<FailoverLabel>,
        /// The region that stands in for another.
        regions: Vec<Failover>,
    },
}

/// TLS to the endpoints (`tls.mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientTls {
    /// None.
    Disable,
    /// The server is authenticated.
    Simple,
    /// Both sides are, by certificates of one's own.
    Mutual,
    /// Both sides are, by certificates of the mesh.
    IstioMutual,
}

/// A setting that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value} is {expected}")]
pub struct PolicyFault {
    /// Its path below `trafficPolicy`.
    pub field: &'static str,
    /// The value.
    pub value: String,
    /// What it is not.
    pub expected: &'static str,
}

impl PolicyFault {
    fn new(field: &'static str, value: impl fmt::Debug, expected: &'static str) -> Self {
        Self { field, value: format!("{value:?}"), expected }
    }
}

/// An endpoint, as far as a policy looks at it.
pub trait PolicyEndpoint {
    /// Where it is.
    fn locality(&self) -> Locality;
    /// Its weight; 1 where nothing is said.
    fn weight(&self) -> u32;
    /// The value of one of its labels.
    fn label(&self, name: &str) -> Option<&str>;
    /// A name that no other endpoint has.
    fn key(&self) -> String;
}

impl TrafficPolicy {
    /// Reads a policy, with the defaults of the mesh for what it leaves open.
    ///
    /// # Errors
    /// The first setting that cannot be meant: a text that is no duration, a number out of its range, an unknown word.
    pub fn read(policy: &api::TrafficPolicy, mesh: &MeshConfig) -> Result<Self, PolicyFault> {
        let balancer = policy.load_balancer.as_deref();
        let (balancing, hash) = balancing(balancer)?;
        let outlier = policy.outlier_detection.as_ref().map(outlier).transpose()?;
        let setting = balancer.and_then(|balancer| balancer.locality_lb_setting.as_ref());
        let locality = locality(setting.or(mesh.locality_lb_setting.as_ref()), outlier.is_some())?;
        let panic_threshold = match &policy.outlier_detection {
            None => PrioritySettings::default().panic_threshold,
            Some(written) => number("outlierDetection.minHealthPercent", written.min_health_percent)?.min(100),
        };
        let pool = policy.connection_pool.as_ref();
        let tcp = pool.and_then(|pool| pool.tcp.as_ref());
        let http = pool.and_then(|pool| pool.http.as_ref());
        let limit = |field, written: Option<i64>| match number(field, written.unwrap_or(0))? {
            0 => Ok(u32::MAX),
            limit => Ok(limit),
        };
        let mut limits = CircuitLimits::default()
            .max_connections(limit("connectionPool.tcp.maxConnections", tcp.map(|tcp| tcp.max_connections))?)
            .max_pending_requests(limit(
                "connectionPool.http.http1MaxPendingRequests",
                http.map(|http| http.http1_max_pending_requests),
            )?)
            .max_requests(limit("connectionPool.http.http2MaxRequests", http.map(|http| http.http2_max_requests))?)
            .max_retries(limit("connectionPool.http.maxRetries", http.map(|http| http.max_retries))?);
        if let Some(budget) = &policy.retry_budget {
            let percent = budget.percent.map_or(20.0, api::Number::as_f64);
            let least = number("retryBudget.minRetryConcurrency", budget.min_retry_concurrency)?;
            let default = lb_select::RetryBudget::default();
            let least = if least == 0 { default.min_concurrency } else { least };
            limits = limits.retry_budget(default.percent(percent).min_concurrency(least));
        }
        let idle = http.and_then(|http| http.idle_timeout.as_ref()).or(tcp.and_then(|tcp| tcp.idle_timeout.as_ref()));
        Ok(Self {
            balancing,
            hash,
            locality,
            outlier,
            panic_threshold,
            limits,
            max_requests_per_connection: number(
                "connectionPool.http.maxRequestsPerConnection",
                http.map_or(0, |http| http.max_requests_per_connection),
            )?,
            connect_timeout: time(
                "connectionPool.tcp.connectTimeout",
                tcp.and_then(|tcp| tcp.connect_timeout.as_ref()),
            )?
            .unwrap_or(CONNECT_TIMEOUT),
            idle_timeout: time("connectionPool.http.idleTimeout", idle)?,
            tls: policy.tls.as_ref().map(|tls| client_tls(&tls.mode)).transpose()?,
        })
    }

    /// The endpoints with the priorities and weights that a caller at this place and with these labels gives them, and the settings of a
    /// balancer for them. With [`balancing`](Self#structfield.balancing) `None` there is nothing to choose and no balancer.
    ///
    /// O(endpoints × rules).
    pub fn balance<E: PolicyEndpoint>(
        &self,
        place: &Locality,
        labels: &StringMap,
        endpoints: impl IntoIterator<Item = E>,
    ) -> Option<(BalancerSettings, Vec<Member<E>>)> {
        let balancing = self.balancing.clone()?;
        let endpoints: Vec<E> = endpoints.into_iter().collect();
        let by_hash = self.hash.is_some();
        let loads = PrioritySettings::default().panic_threshold(self.panic_threshold);
        let mut settings =
            BalancerSettings::new(balancing).priority(ByPrioritySettings::default().loads(loads).by_hash(by_hash));
        let priorities = match &self.locality {
            LocalityPolicy::None => vec![0; endpoints.len()],
            LocalityPolicy::Failover { labels: wanted, regions } => {
                failover(wanted, regions, place, labels, &endpoints)
            }
            LocalityPolicy::Distribute(rules) => {
                let mut groups: BTreeMap<Locality, u32> = BTreeMap::new();
                for endpoint in &endpoints {
                    let weight = groups.entry(endpoint.locality()).or_default();
                    *weight = weight.saturating_add(endpoint.weight());
                }
                let groups: Vec<(Locality, u32)> = groups.into_iter().collect();
                if let Some(weights) = distribute_weights(place, &groups, rules) {
                    let named = groups.iter().map(|(locality, _)| locality.to_string()).zip(weights);
                    settings = settings.locality(LocalityWeights::new(named.collect()));
                }
                vec![0; endpoints.len()]
            }
        };
        let members = endpoints.into_iter().zip(priorities).map(|(endpoint, priority)| {
            let (key, weight, locality) = (endpoint.key(), endpoint.weight(), endpoint.locality());
            Member::new(key, endpoint).weight(weight).locality(locality).priority(priority)
        });
        Some((settings, members.collect()))
    }
}

/// The priorities of endpoints: by labels where some are given, then by region among those that these leave alike (`ApplyLocalityLoadBalancer`).
fn failover<'a, E: PolicyEndpoint>(
    wanted: &[FailoverLabel],
    regions: &[Failover],
    place: &Locality,
    labels: &'a StringMap,
    endpoints: &'a [E],
) -> Vec<u32> {
    let own = |name: &str| labels.get(name).map(String::as_str);
    let by_label = || {
        let lookups = endpoints.iter().map(|endpoint| move |name: &str| endpoint.label(name));
        failover_label_priorities(wanted, own, lookups)
    };
    let localities: Vec<Locality> = endpoints.iter().map(E::locality).collect();
    let by_place = || failover_priorities(place, &localities, regions);
    match (wanted.is_empty(), regions.is_empty()) {
        (true, _) => by_place(),
        (false, true) => by_label(),
        (false, false) => {
            let pairs: Vec<(u32, u32)> = by_label().into_iter().zip(by_place()).collect();
            let mut order = pairs.clone();
            order.sort_unstable();
            order.dedup();
            // Every pair is among its kind, of which there are fewer than 2^32.
            pairs.iter().map(|pair| order.partition_point(|known| known < pair) as u32).collect()
        }
    }
}

fn balancing(
    settings: Option<&api::LoadBalancerSettings>,
) -> Result<(Option<PolicySettings>, Option<HashPolicy>), PolicyFault> {
    let Some(settings) = settings else { return Ok((Some(least_request(SlowStart::default())), None)) };
    if let Some(hash) = &settings.consistent_hash {
        let policy = hash_policy(hash)?;
        let table = match (&hash.maglev, &hash.ring_hash) {
            (Some(maglev), _) => PolicySettings::Maglev {
                table_size: match number("loadBalancer.consistentHash.maglev.tableSize", maglev.table_size)? {
                    0 => 65_537,
                    size => size,
                },
                bound: None,
            },
            (None, ring) => {
                let size = ring.as_ref().map_or(hash.minimum_ring_size, |ring| ring.minimum_ring_size);
                let ring = match number("loadBalancer.consistentHash.ringHash.minimumRingSize", size)? {
                    0 => RingSettings::default(),
                    size => RingSettings::default().min_ring_size(size),
                };
                PolicySettings::RingHash { ring, bound: None }
            }
        };
        return Ok((Some(table), Some(policy)));
    }
    let slow_start = slow_start(settings)?;
    let simple = settings.simple.as_deref().unwrap_or_default();
    let policy = match simple {
        "" | "UNSPECIFIED" | "LEAST_CONN" | "LEAST_REQUEST" => Some(least_request(slow_start)),
        "RANDOM" => Some(PolicySettings::WeightedRandom),
        "ROUND_ROBIN" if slow_start.window.is_zero() => Some(PolicySettings::WeightedEdf),
        "ROUND_ROBIN" => Some(PolicySettings::RampedEdf { slow_start }),
        "PASSTHROUGH" => None,
        other => {
            let expected = "none of LEAST_REQUEST, RANDOM, ROUND_ROBIN and PASSTHROUGH";
            return Err(PolicyFault::new("loadBalancer.simple", other, expected));
        }
    };
    Ok((policy, None))
}

fn least_request(slow_start: SlowStart) -> PolicySettings {
    PolicySettings::LeastRequest { choices: 2, bias: Default::default(), slow_start }
}

fn slow_start(settings: &api::LoadBalancerSettings) -> Result<SlowStart, PolicyFault> {
    let Some(warmup) = &settings.warmup else {
        let window = time("loadBalancer.warmupDurationSecs", settings.warmup_duration_secs.as_ref())?;
        return Ok(window.map(SlowStart::new).unwrap_or_default());
    };
    let window = time("loadBalancer.warmup.duration", warmup.duration.as_ref())?.unwrap_or_default();
    // A cast keeps a percentage within its range, and drops a fraction as Envoy's integer does.
    let least = warmup.minimum_percent.map_or(10, |percent| percent.as_f64() as u32);
    let aggression = warmup.aggression.map_or(1.0, api::Number::as_f64);
    Ok(SlowStart::new(window).min_weight_percent(least).aggression(aggression))
}

fn hash_policy(hash: &api::ConsistentHashLb) -> Result<HashPolicy, PolicyFault> {
    let cookie = hash.http_cookie.as_ref();
    let key = match (&hash.http_header_name, cookie, hash.use_source_ip, &hash.http_query_parameter_name) {
        (Some(name), ..) => IstioHashKey::HttpHeaderName(name.clone()),
        (None, Some(cookie), ..) => IstioHashKey::HttpCookie {
            name: cookie.name.clone(),
            path: cookie.path.clone(),
            ttl: time("loadBalancer.consistentHash.httpCookie.ttl", cookie.ttl.as_ref())?,
        },
        (None, None, _, Some(name)) => IstioHashKey::HttpQueryParameterName(name.clone()),
        (None, None, Some(true), None) => IstioHashKey::UseSourceIp,
        (None, None, ..) => {
            return Err(PolicyFault::new("loadBalancer.consistentHash", "", "no property of a request to hash"));
        }
    };
    Ok(key.into())
}

/// The settings of outlier detection as Istio hands them to Envoy (`applyOutlierDetection`): never by success rate, and a count that is not
/// given is Envoy's own.
fn outlier(written: &api::OutlierDetection) -> Result<OutlierSettings, PolicyFault> {
    let mut settings = OutlierSettings::default().enforce_success_rate(0);
    let count = |field, written: Option<i64>| written.map(|count| number(field, count)).transpose();
    if let Some(errors) = count("outlierDetection.consecutive5xxErrors", written.consecutive_5xx_errors)? {
        settings = settings.consecutive_5xx(errors).enforce_5xx(if errors == 0 { 0 } else { 100 });
    }
    let gateway = match written.consecutive_gateway_errors {
        None if written.consecutive_errors != 0 => Some(written.consecutive_errors),
        gateway => gateway,
    };
    if let Some(errors) = count("outlierDetection.consecutiveGatewayErrors", gateway)? {
        settings = settings.consecutive_gateway(errors).enforce_gateway(if errors == 0 { 0 } else { 100 });
    }
    if written.split_external_local_origin_errors {
        settings = settings.split_local_errors(true);
        let failures =
            count("outlierDetection.consecutiveLocalOriginFailures", written.consecutive_local_origin_failures)?;
        if let Some(failures) = failures.filter(|failures| *failures > 0) {
            settings = settings.consecutive_local(failures).enforce_local(100);
        }
    }
    if let Some(interval) = time("outlierDetection.interval", written.interval.as_ref())? {
        settings = settings.interval(interval);
    }
    if let Some(base) = time("outlierDetection.baseEjectionTime", written.base_ejection_time.as_ref())? {
        settings = settings.base_ejection(base);
    }
    match number("outlierDetection.maxEjectionPercent", written.max_ejection_percent)? {
        0 => {}
        percent => settings = settings.max_ejection_percent(percent.min(100)),
    }
    Ok(settings)
}

fn locality(setting: Option<&LocalityLbSetting>, detects: bool) -> Result<LocalityPolicy, PolicyFault> {
    let none = LocalityLbSetting::default();
    let setting = setting.unwrap_or(&none);
    if setting.enabled == Some(false) {
        return Ok(LocalityPolicy::None);
    }
    if !setting.distribute.is_empty() {
        let rule = |rule: &api::LocalityDistribute| {
            let part = |(to, percent): (&String, &i64)| {
                let percent = number("loadBalancer.localityLbSetting.distribute.to", *percent)?;
                Ok((to.clone(), percent))
            };
            let to: Result<Vec<(String, u32)>, PolicyFault> = rule.to.iter().map(part).collect();
            Ok(Distribute { from: rule.from.clone(), to: to? })
        };
        let rules: Result<Vec<Distribute>, PolicyFault> = setting.distribute.iter().map(rule).collect();
        return Ok(LocalityPolicy::Distribute(rules?));
    }
    // Nobody would ever notice that the nearest ones fail.
    if !detects {
        return Ok(LocalityPolicy::None);
    }
    let regions = setting.failover.iter().map(|rule| Failover { from: rule.from.clone(), to: rule.to.clone() });
    // A label is read from any text.
    let labels = setting.failover_priority.iter().filter_map(|text| text.parse().ok());
    Ok(LocalityPolicy::Failover { labels: labels.collect(), regions: regions.collect() })
}

fn client_tls(mode: &str) -> Result<ClientTls, PolicyFault> {
    match mode {
        "" | "DISABLE" => Ok(ClientTls::Disable),
        "SIMPLE" => Ok(ClientTls::Simple),
        "MUTUAL" => Ok(ClientTls::Mutual),
        "ISTIO_MUTUAL" => Ok(ClientTls::IstioMutual),
        other => Err(PolicyFault::new("tls.mode", other, "none of DISABLE, SIMPLE, MUTUAL and ISTIO_MUTUAL")),
    }
}

fn time(field: &'static str, text: Option<&String>) -> Result<Option<Duration>, PolicyFault> {
    let Some(text) = text else { return Ok(None) };
    let nanoseconds = duration::nanoseconds(text).and_then(|nanoseconds| u64::try_from(nanoseconds).ok());
    let read = nanoseconds.map(Duration::from_nanos);
    read.map(Some).ok_or_else(|| PolicyFault::new(field, text, "no duration such as 1.5s or 1h"))
}

fn number(field: &'static str, number: i64) -> Result<u32, PolicyFault> {
    u32::try_from(number).map_err(|_| PolicyFault::new(field, number, "not between 0 and 4294967295"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_select::{Balancer, HashSource, Pick, Policy, Pool};

    fn read(json: &str) -> Result<TrafficPolicy, PolicyFault> {
        TrafficPolicy::read(&serde_json::from_str(json).unwrap(), &MeshConfig::default())
    }

    #[derive(Clone, Debug, PartialEq)]
    struct Place(&'static str, u32, &'static [(&'static str, &'static str)]);

    impl PolicyEndpoint for Place {
        fn locality(&self) -> Locality {
            self.0.into()
        }

        fn weight(&self) -> u32 {
            self.1
        }

        fn label(&self, name: &str) -> Option<&str> {
            self.2.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
        }

        fn key(&self) -> String {
            format!("{} {:?}", self.0, self.2)
        }
    }

    fn pool(policy: &TrafficPolicy, place: &str, endpoints: Vec<Place>) -> (BalancerSettings, Pool<Place>) {
        let labels = StringMap::from([("rack".to_owned(), "7".to_owned())]);
        let (settings, members) = policy.balance(&place.into(), &labels, endpoints).unwrap();
        (settings, members.into_iter().fold(Pool::builder(), |pool, member| pool.member(member)).build().unwrap())
    }

    fn priorities(policy: &TrafficPolicy, place: &str, endpoints: Vec<Place>) -> Vec<u32> {
        let (_, pool) = pool(policy, place, endpoints);
        (0..pool.len()).map(|index| pool.get(index).unwrap().priority).collect()
    }

    #[test]
    fn nothing_said_is_least_request_without_limits() {
        let policy = read("{}").unwrap();
        assert_eq!(policy.balancing, Some(least_request(SlowStart::default())));
        assert_eq!(
            (policy.outlier.clone(), policy.panic_threshold, &policy.locality),
            (None, 50, &LocalityPolicy::None)
        );
        assert_eq!((policy.limits.max_connections, policy.limits.max_retries), (u32::MAX, u32::MAX));
        assert_eq!((policy.connect_timeout, policy.tls), (Duration::from_secs(10), None));
    }

    #[test]
    fn the_simple_policies_have_their_namesakes() {
        let simple = |name: &str| read(&format!(r#"{{"loadBalancer": {{"simple": "{name}"}}}}"#)).map(|p| p.balancing);
        assert_eq!(simple("ROUND_ROBIN"), Ok(Some(PolicySettings::WeightedEdf)));
        assert_eq!(simple("RANDOM"), Ok(Some(PolicySettings::WeightedRandom)));
        assert_eq!(simple("LEAST_CONN"), Ok(Some(least_request(SlowStart::default()))));
        assert_eq!(simple("PASSTHROUGH"), Ok(None));
        let fault = simple("BEST").unwrap_err();
        assert_eq!(
            fault.to_string(),
            "loadBalancer.simple: \"BEST\" is none of LEAST_REQUEST, RANDOM, ROUND_ROBIN and PASSTHROUGH"
        );
    }

    #[test]
    fn a_hash_has_a_table_and_a_key() {
        let of = |json: &str| -> Result<(PolicySettings, HashSource), PolicyFault> {
            let policy = read(&format!(r#"{{"loadBalancer": {{"consistentHash": {json}}}}}"#))?;
            Ok((policy.balancing.unwrap(), policy.hash.unwrap().source))
        };
        let ring = |size| PolicySettings::RingHash { ring: RingSettings::default().min_ring_size(size), bound: None };
        assert_eq!(of(r#"{"useSourceIp": true}"#), Ok((ring(1024), HashSource::SourceIp)));
        assert_eq!(
            of(r#"{"httpQueryParameterName": "u", "minimumRingSize": 64}"#),
            Ok((ring(64), HashSource::Query("u".into())))
        );
        let cookie = HashSource::Cookie { name: "c".into(), ttl: Some(Duration::ZERO), path: "/a".into() };
        let maglev = PolicySettings::Maglev { table_size: 65_537, bound: None };
        assert_eq!(
            of(r#"{"httpCookie": {"name": "c", "path": "/a", "ttl": "0s"}, "maglev": {}}"#),
            Ok((maglev, cookie))
        );
        assert_eq!(of("{}").unwrap_err().field, "loadBalancer.consistentHash");
        let fault = of(r#"{"httpCookie": {"name": "c", "ttl": "soon"}}"#);
        assert_eq!(fault.unwrap_err().field, "loadBalancer.consistentHash.httpCookie.ttl");
    }

    #[test]
    fn outlier_detection_is_istios_and_switches_panic_off() {
        let policy = read(
            r#"{"outlierDetection": {"consecutive5xxErrors": 0, "consecutiveGatewayErrors": 2, "interval": "5s",
                "maxEjectionPercent": 100, "minHealthPercent": 30}}"#,
        )
        .unwrap();
        let outlier = policy.outlier.unwrap();
        assert_eq!((outlier.enforce_5xx, outlier.enforce_gateway, outlier.consecutive_gateway), (0, 100, 2));
        assert_eq!((outlier.enforce_success_rate, outlier.max_ejection_percent), (0, 100));
        assert_eq!((outlier.interval, outlier.base_ejection), (Duration::from_secs(5), Duration::from_secs(30)));
        assert_eq!(policy.panic_threshold, 30);
        assert_eq!(read(r#"{"outlierDetection": {}}"#).unwrap().panic_threshold, 0);
    }

    #[test]
    fn failover_needs_outlier_detection() {
        let places = || vec![Place("r1/z2", 1, &[]), Place("r2/z1", 1, &[]), Place("r1/z1", 1, &[])];
        let without = read("{}").unwrap();
        assert_eq!(priorities(&without, "r1/z1", places()), [0, 0, 0]);
        let with = read(r#"{"outlierDetection": {}}"#).unwrap();
        assert_eq!(priorities(&with, "r1/z1", places()), [1, 2, 0]);
        let off =
            read(r#"{"outlierDetection": {}, "loadBalancer": {"localityLbSetting": {"enabled": false}}}"#).unwrap();
        assert_eq!(priorities(&off, "r1/z1", places()), [0, 0, 0]);
    }

    #[test]
    fn labels_go_before_regions() {
        let policy = read(
            r#"{"outlierDetection": {}, "loadBalancer": {"localityLbSetting": {
                "failoverPriority": ["rack"], "failover": [{"from": "r1", "to": "r3"}]}}}"#,
        )
        .unwrap();
        let rack: &[(&str, &str)] = &[("rack", "7")];
        let places = vec![Place("r1", 1, &[]), Place("r3", 1, rack), Place("r2", 1, rack), Place("r3", 1, &[])];
        assert_eq!(priorities(&policy, "r1", places), [2, 0, 1, 3]);
    }

    #[test]
    fn distribution_becomes_locality_weights_that_a_balancer_takes() {
        let policy = read(
            r#"{"loadBalancer": {"simple": "ROUND_ROBIN", "localityLbSetting": {"distribute": [
                {"from": "r1/*", "to": {"r1/*": 80, "r2/*": 20}}]}}}"#,
        )
        .unwrap();
        let (settings, pool) = pool(&policy, "r1/z1", vec![Place("r1/z1", 1, &[]), Place("r2/z1", 1, &[])]);
        let weights = settings.locality.clone().unwrap().weights;
        assert_eq!(weights, BTreeMap::from([("r1/z1".to_owned(), 80), ("r2/z1".to_owned(), 20)]));
        let mut words = (0..).map(|i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut words = || words.next().unwrap();
        let balancer = Balancer::new(&pool, settings, foldhash::fast::FixedState::default(), 0).unwrap();
        let mut near = 0;
        for _ in 0..100 {
            near += usize::from(balancer.pick(&mut Pick::new(Duration::ZERO, &mut words)).unwrap().index == 0);
        }
        assert_eq!(near, 80);
    }

    #[test]
    fn a_number_out_of_range_is_named() {
        let fault = read(r#"{"connectionPool": {"tcp": {"maxConnections": -1}}}"#).unwrap_err();
        assert_eq!(fault.to_string(), "connectionPool.tcp.maxConnections: -1 is not between 0 and 4294967295");
    }
}
