//! Results go in, ejections and their ends come out.

use super::settings::OutlierSettings;
use super::success_rate::success_rates;
use crate::{Key, Pool};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

/// How a request to an endpoint ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// With an answer of this HTTP status; for other protocols 200 for success and 500 for failure.
    Status(u16),
    /// No connection could be made.
    ConnectFailed,
    /// No answer came in time.
    TimedOut,
}

/// What a detector has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutlierAction {
    /// The endpoint is ejected from now on.
    Eject,
    /// The endpoint would be ejected, but too many are.
    Overflow,
    /// The endpoint is an outlier by a rule that is not enforced.
    Detected,
    /// The endpoint's ejection has ended.
    Uneject,
}

/// By which rule an endpoint is an outlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutlierCause {
    /// Server errors in a row.
    Consecutive5xx,
    /// Gateway errors in a row.
    ConsecutiveGateway,
    /// Failures without an answer in a row.
    ConsecutiveLocal,
    /// A success rate far below the others'.
    SuccessRate,
    /// Too many failures.
    FailurePercentage,
}

/// Something a detector has done to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct OutlierEvent {
    /// The endpoint's index in the pool the detector was last told of.
    pub index: usize,
    /// What was done.
    pub action: OutlierAction,
    /// By which rule; `None` for the end of an ejection.
    pub cause: Option<OutlierCause>,
}

/// Envoy's passive outlier detection over the endpoints of a pool.
///
/// The caller reports how each request ended, and [sweeps](Self::sweep) at an interval; ejections end in sweeps only.
/// What follows comes out as events, for the caller to [close](crate::Load::close) the endpoint or to rebuild the pool.
/// Ejections and counts belong to the endpoint's key and stay when the pool [changes](Self::update).
///
/// A report is O(1); a sweep is O(n).
///
/// ```
/// use lb_select::{Outcome, OutlierAction, OutlierDetector, OutlierSettings, Pool};
/// use std::time::Duration;
///
/// let pool = Pool::builder().endpoint("a", ()).endpoint("b", ()).build()?;
/// let settings = OutlierSettings::default().max_ejection_percent(50);
/// let mut detector = OutlierDetector::new(&pool, settings);
/// let mut words = || 0;
/// for _ in 0..5 {
///     detector.report(0, Outcome::Status(500), Duration::from_secs(1), &mut words, |event| {
///         assert_eq!((event.index, event.action), (0, OutlierAction::Eject));
///         pool.load(event.index).close();
///     });
/// }
/// detector.sweep(Duration::from_secs(40), &mut words, |event| pool.load(event.index).open());
/// assert!(!detector.is_ejected(0));
/// # Ok::<(), lb_select::PoolError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct OutlierDetector {
    settings: OutlierSettings,
    hosts: Vec<Host>,
    ejected: usize,
    latest: Duration,
}

#[derive(Debug, Clone, PartialEq)]
struct Host {
    key: Key,
    /// Since when, and for how much longer than its length, if the host is ejected.
    ejected: Option<(Duration, Duration)>,
    /// When it last came back.
    returned: Option<Duration>,
    /// The `k` of the next length.
    backoff: u32,
    in_a_row: InARow,
    answers: Interval,
    local: Interval,
}

/// Failures since the last success.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct InARow {
    server: u32,
    gateway: u32,
    local: u32,
}

/// What has happened since the last sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Interval {
    total: u32,
    successes: u32,
}

impl Interval {
    fn count(&mut self, success: bool) {
        self.total = self.total.saturating_add(1);
        self.successes = self.successes.saturating_add(success.into());
    }

    /// Percent of successes, if there are enough requests to tell.
    fn rate(&self, volume: u32) -> Option<f64> {
        (self.total > 0 && self.total >= volume).then(|| f64::from(self.successes) * 100.0 / f64::from(self.total))
    }
}

impl Host {
    fn new(key: Key) -> Self {
        let (in_a_row, answers, local) = Default::default();
        Self { key, ejected: None, returned: None, backoff: 0, in_a_row, answers, local }
    }
}

impl OutlierDetector {
    /// A detector for the endpoints of a pool, none of them ejected.
    pub fn new<E>(pool: &Pool<E>, settings: OutlierSettings) -> Self {
        let hosts = pool.iter().map(|endpoint| Host::new(endpoint.key.clone())).collect();
        Self { settings, hosts, ejected: 0, latest: Duration::ZERO }
    }

    /// Goes on with another pool: endpoints that stay keep their state, those that left lose theirs. O(n log n).
    pub fn update<E>(&mut self, pool: &Pool<E>) {
        let mut known: BTreeMap<Key, Host> = self.hosts.drain(..).map(|host| (host.key.clone(), host)).collect();
        let host = |key: &Key| known.remove(key).unwrap_or_else(|| Host::new(key.clone()));
        self.hosts = pool.iter().map(|endpoint| endpoint.key).map(host).collect();
        self.ejected = self.hosts.iter().filter(|host| host.ejected.is_some()).count();
    }

    /// The settings given at construction.
    pub fn settings(&self) -> &OutlierSettings {
        &self.settings
    }

    /// Whether the endpoint at this index is ejected.
    pub fn is_ejected(&self, index: usize) -> bool {
        self.hosts.get(index).is_some_and(|host| host.ejected.is_some())
    }

    /// How many base lengths the endpoint's last ejection took, less what it has been forgiven since.
    pub fn backoff(&self, index: usize) -> u32 {
        self.hosts.get(index).map_or(0, |host| host.backoff)
    }

    /// How many endpoints are ejected.
    pub fn ejected(&self) -> usize {
        self.ejected
    }

    /// Takes the result of a request. An unknown index is ignored. Takes one word for a detection that is enforced in part,
    /// and one for an ejection if there is a jitter.
    pub fn report(
        &mut self,
        index: usize,
        outcome: Outcome,
        now: Duration,
        mut words: impl FnMut() -> u64,
        mut event: impl FnMut(OutlierEvent),
    ) {
        let now = self.tick(now);
        let split = self.settings.split_local_errors;
        let Some(host) = self.hosts.get_mut(index) else { return };
        let status = match outcome {
            Outcome::Status(status) => status,
            Outcome::ConnectFailed | Outcome::TimedOut if split => {
                host.local.count(false);
                host.in_a_row.local = host.in_a_row.local.saturating_add(1);
                if host.in_a_row.local == self.settings.consecutive_local {
                    self.outlier_in_a_row(index, OutlierCause::ConsecutiveLocal, now, &mut words, &mut event);
                }
                return;
            }
            Outcome::ConnectFailed => 503,
            Outcome::TimedOut => 504,
        };
        if split {
            host.local.count(true);
            host.in_a_row.local = 0;
        }
        let (server, gateway) = ((500..600).contains(&status), (502..=504).contains(&status));
        host.answers.count(!server);
        host.in_a_row.server = if server { host.in_a_row.server.saturating_add(1) } else { 0 };
        host.in_a_row.gateway = if gateway { host.in_a_row.gateway.saturating_add(1) } else { 0 };
        let InARow { server: in_a_row, gateway: gateways, .. } = host.in_a_row;
        if gateway && gateways == self.settings.consecutive_gateway {
            self.outlier_in_a_row(index, OutlierCause::ConsecutiveGateway, now, &mut words, &mut event);
        }
        if server && in_a_row == self.settings.consecutive_5xx {
            self.outlier_in_a_row(index, OutlierCause::Consecutive5xx, now, &mut words, &mut event);
        }
    }

    /// What is due at an interval: ends ejections, compares success rates and failure percentages of the interval, and
    /// forgives those who have been well since they came back. Takes words as [`report`](Self::report).
    pub fn sweep(&mut self, now: Duration, mut words: impl FnMut() -> u64, mut event: impl FnMut(OutlierEvent)) {
        let now = self.tick(now);
        for index in 0..self.hosts.len() {
            let Host { ejected, backoff, .. } = self.hosts[index];
            if let Some((since, jitter)) = ejected
                && now.saturating_sub(since) >= self.length(backoff).saturating_add(jitter)
            {
                self.uneject(index, now, &mut event);
            }
        }
        self.compare(|host| host.answers, now, &mut words, &mut event);
        if self.settings.split_local_errors {
            self.compare(|host| host.local, now, &mut words, &mut event);
        }
        for host in &mut self.hosts {
            (host.answers, host.local) = Default::default();
            let well_since = |returned| now.saturating_sub(returned) >= self.settings.interval;
            if host.ejected.is_none() && host.returned.is_some_and(well_since) {
                host.backoff = host.backoff.saturating_sub(1);
            }
        }
    }

    /// Takes note of a successful health check, which ends an ejection if the settings say so.
    pub fn healthy_check(&mut self, index: usize, now: Duration, mut event: impl FnMut(OutlierEvent)) {
        let now = self.tick(now);
        if self.settings.uneject_on_healthy_check && self.is_ejected(index) {
            self.uneject(index, now, &mut event);
        }
    }

    /// A time before one seen already counts as that.
    fn tick(&mut self, now: Duration) -> Duration {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn length(&self, backoff: u32) -> Duration {
        self.settings.base_ejection.saturating_mul(backoff).min(self.settings.longest())
    }

    fn outlier_in_a_row(
        &mut self,
        index: usize,
        cause: OutlierCause,
        now: Duration,
        words: &mut impl FnMut() -> u64,
        event: &mut impl FnMut(OutlierEvent),
    ) {
        if self.is_ejected(index) {
            return;
        }
        self.outlier(index, cause, now, words, event);
        let in_a_row = &mut self.hosts[index].in_a_row;
        match cause {
            OutlierCause::ConsecutiveGateway => in_a_row.gateway = 0,
            OutlierCause::ConsecutiveLocal => in_a_row.local = 0,
            _ => in_a_row.server = 0,
        }
    }

    /// Rates of all hosts that are not ejected and have enough requests, against each other and against the limit.
    fn compare(
        &mut self,
        interval: impl Fn(&Host) -> Interval,
        now: Duration,
        words: &mut impl FnMut() -> u64,
        event: &mut impl FnMut(OutlierEvent),
    ) {
        let rates = |volume: u32| -> (Vec<usize>, Vec<f64>) {
            let present = self.hosts.iter().enumerate().filter(|(_, host)| host.ejected.is_none());
            present.filter_map(|(index, host)| Some((index, interval(host).rate(volume)?))).unzip()
        };
        let settings = &self.settings;
        let mut outliers = Vec::new();
        let mut find = |(hosts, rates): (Vec<usize>, Vec<f64>), cause, is_outlier: &dyn Fn(f64) -> bool| {
            let found = hosts.into_iter().zip(rates).filter(|&(_, rate)| is_outlier(rate));
            outliers.extend(found.map(|(index, _)| (index, cause)));
        };
        let compared = rates(settings.success_rate_volume);
        if compared.0.len() >= settings.success_rate_min_hosts as usize
            && let Some(statistics) = success_rates(&compared.1, settings.success_rate_stdev_factor)
        {
            find(compared, OutlierCause::SuccessRate, &|rate| rate < statistics.threshold);
        }
        let limited = rates(settings.failure_percentage_volume);
        if limited.0.len() >= settings.failure_percentage_min_hosts as usize {
            let limit = f64::from(settings.failure_percentage_threshold);
            find(limited, OutlierCause::FailurePercentage, &|rate| 100.0 - rate >= limit);
        }
        for (index, cause) in outliers {
            self.outlier(index, cause, now, words, event);
        }
    }

    /// An outlier is found: eject it, if that is allowed and enforced.
    fn outlier(
        &mut self,
        index: usize,
        cause: OutlierCause,
        now: Duration,
        words: &mut impl FnMut() -> u64,
        event: &mut impl FnMut(OutlierEvent),
    ) {
        let action = if !self.may_eject() {
            OutlierAction::Overflow
        } else if !self.enforced(cause, words) {
            OutlierAction::Detected
        } else if self.is_ejected(index) {
            return; // by another rule of the same sweep
        } else {
            self.eject(index, now, words);
            OutlierAction::Eject
        };
        event(OutlierEvent { index, action, cause: Some(cause) });
    }

    /// Whether one more would still be within the share that may be ejected.
    fn may_eject(&self) -> bool {
        let after = (self.ejected as u128 + 1) * 100;
        let allowed = self.hosts.len() as u128 * u128::from(self.settings.max_ejection_percent.min(100));
        after <= allowed || (self.settings.always_eject_one && self.ejected == 0)
    }

    fn enforced(&self, cause: OutlierCause, words: &mut impl FnMut() -> u64) -> bool {
        let percent = match cause {
            OutlierCause::Consecutive5xx => self.settings.enforce_5xx,
            OutlierCause::ConsecutiveGateway => self.settings.enforce_gateway,
            OutlierCause::ConsecutiveLocal => self.settings.enforce_local,
            OutlierCause::SuccessRate => self.settings.enforce_success_rate,
            OutlierCause::FailurePercentage => self.settings.enforce_failure_percentage,
        };
        match percent {
            0 => false,
            1..100 => words() % 100 < u64::from(percent),
            _ => true,
        }
    }

    fn eject(&mut self, index: usize, now: Duration, words: &mut impl FnMut() -> u64) {
        let jitter = match u64::try_from(self.settings.max_ejection_jitter.as_millis()).unwrap_or(u64::MAX) {
            0 => 0,
            most => words() % most.saturating_add(1),
        };
        let (base, longest) = (self.settings.base_ejection, self.settings.longest());
        let host = &mut self.hosts[index];
        host.ejected = Some((now, Duration::from_millis(jitter)));
        // Up to the first length that reaches the greatest, and one more, as Envoy counts.
        if base.saturating_mul(host.backoff) < longest.saturating_add(base) {
            host.backoff = host.backoff.saturating_add(1);
        }
        self.ejected += 1;
    }

    fn uneject(&mut self, index: usize, now: Duration, event: &mut impl FnMut(OutlierEvent)) {
        let host = &mut self.hosts[index];
        (host.ejected, host.returned, host.in_a_row) = (None, Some(now), InARow::default());
        self.ejected -= 1;
        event(OutlierEvent { index, action: OutlierAction::Uneject, cause: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(n: usize) -> Pool<()> {
        (0..n).fold(Pool::builder(), |pool, i| pool.endpoint([i as u8].as_slice(), ())).build().unwrap()
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn an_ejection_stays_with_the_key_when_the_pool_changes() {
        let settings = OutlierSettings::default().max_ejection_percent(100).consecutive_5xx(1);
        let mut detector = OutlierDetector::new(&pool(2), settings);
        detector.report(1, Outcome::ConnectFailed, secs(1), || 0, |_| ());
        assert!(detector.is_ejected(1));
        let other =
            Pool::builder().endpoint([9].as_slice(), ()).endpoint([7].as_slice(), ()).endpoint([1].as_slice(), ());
        detector.update(&other.build().unwrap());
        assert_eq!([0, 1, 2].map(|index| detector.is_ejected(index)), [false, false, true]);
        detector.update(&pool(1));
        assert_eq!(detector.ejected(), 0);
    }

    #[test]
    fn local_failures_count_apart_if_split() {
        let settings =
            OutlierSettings::default().max_ejection_percent(100).split_local_errors(true).consecutive_local(2);
        let mut detector = OutlierDetector::new(&pool(1), settings);
        let mut events = Vec::new();
        for outcome in [Outcome::TimedOut, Outcome::Status(500), Outcome::ConnectFailed, Outcome::TimedOut] {
            detector.report(0, outcome, secs(1), || 0, |event| events.push((event.action, event.cause)));
        }
        assert_eq!(events, [(OutlierAction::Eject, Some(OutlierCause::ConsecutiveLocal))]);
    }

    #[test]
    fn a_healthy_check_ends_an_ejection() {
        let settings = OutlierSettings::default().max_ejection_percent(100).consecutive_5xx(1);
        let mut detector = OutlierDetector::new(&pool(1), settings);
        detector.report(0, Outcome::Status(500), secs(1), || 0, |_| ());
        detector.healthy_check(0, secs(2), |event| assert_eq!(event.action, OutlierAction::Uneject));
        assert!(!detector.is_ejected(0));
    }

    #[test]
    fn enforcement_in_part_takes_a_word() {
        let settings = OutlierSettings::default().max_ejection_percent(100).consecutive_5xx(1).enforce_5xx(30);
        for (word, action) in [(129, OutlierAction::Eject), (130, OutlierAction::Detected)] {
            let mut detector = OutlierDetector::new(&pool(1), settings.clone());
            detector.report(0, Outcome::Status(500), secs(1), || word, |event| assert_eq!(event.action, action));
        }
    }

    proptest! {
        #[test]
        fn never_more_are_ejected_than_allowed_and_all_come_back(
            n in 1..12_usize,
            percent in 0..120_u32,
            steps in proptest::collection::vec((any::<proptest::sample::Index>(), 0..600_u16, 0..40_u64, any::<u64>()), 0..200),
        ) {
            let settings = OutlierSettings::default().max_ejection_percent(percent).consecutive_5xx(2).enforce_gateway(50);
            let mut detector = OutlierDetector::new(&pool(n), settings);
            let mut now = 0;
            let mut balance = 0_i32;
            let mut count = |event: OutlierEvent| match event.action {
                OutlierAction::Eject => balance += 1,
                OutlierAction::Uneject => balance -= 1,
                _ => {}
            };
            for (index, status, later, word) in steps {
                now += later;
                if status < 20 {
                    detector.sweep(secs(now), || word, &mut count);
                } else {
                    detector.report(index.index(n), Outcome::Status(status), secs(now), || word, &mut count);
                }
                let ejected = (0..n).filter(|&index| detector.is_ejected(index)).count();
                prop_assert_eq!(ejected, detector.ejected());
                prop_assert!(ejected * 100 <= n * percent.min(100) as usize);
            }
            detector.sweep(secs(now + 1000), || 0, &mut count);
            prop_assert_eq!((detector.ejected(), balance), (0, 0));
        }
    }
}
