//! What keeps trouble away? Outlier detection, circuit limits, moving averages and reported loads.

use super::{Answer, Input};
use lb_select::{
    CircuitLimits, Demand, Ewma, EwmaSettings, InUse, LoadReport, Outcome, OutlierAction, OutlierCause,
    OutlierDetector, OutlierEvent, OutlierSettings, Pool, RetryBudget, default_weight, success_rates,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

pub(crate) fn answer(op: &str, input: Input<'_>) -> Answer {
    Some(match op {
        "ewma" => ewma(input),
        "report-weight" => report_weight(input),
        "success-rate" => success_rate(input),
        "outlier" => outlier(input),
        "circuit" => circuit(input),
        _ => return None,
    })
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn ewma(input: Input<'_>) -> Result<Value, String> {
    let decay = seconds(input.real_or("decay_s", 10.0)?);
    let settings = EwmaSettings::default().decay(decay).peak(input.flag_or("peak", true)?);
    let mut ewma = Ewma::new(input.real_or("initial", 0.0)?, seconds(input.real_or("start_s", 0.0)?));
    let mut values = Vec::new();
    for step in input.list("steps")? {
        let at = seconds(step.real("at_s")?);
        values.push(if step.field("sample_s").is_null() {
            ewma.read(at, &settings) * (step.real_or("pending", 0.0)? + 1.0)
        } else {
            ewma.record(step.real("sample_s")?, at, &settings);
            ewma.value()
        });
    }
    Ok(json!({"values": values}))
}

fn report_weight(input: Input<'_>) -> Result<Value, String> {
    let penalty = input.real_or("error_penalty", 0.0)?;
    let weight = |report: Input<'_>| {
        let metric = |name| report.real_or(name, 0.0);
        let built = LoadReport::new(metric("qps")?).eps(metric("eps")?).named(metric("named")?);
        Ok::<_, String>(built.application(metric("application")?).cpu(metric("cpu")?).weight(penalty))
    };
    let weights = input.list("reports")?.into_iter().map(weight).collect::<Result<Vec<Option<u32>>, _>>()?;
    let default = default_weight(weights.iter().copied().flatten());
    let effective: Vec<u32> = weights.iter().map(|weight| weight.unwrap_or(default)).collect();
    Ok(json!({"weights": weights, "default": default, "effective": effective}))
}

fn success_rate(input: Input<'_>) -> Result<Value, String> {
    let rates = input.list("success_rates")?.into_iter().map(|rate| rate.0.as_f64().ok_or("expected rates"));
    let rates = rates.collect::<Result<Vec<f64>, _>>()?;
    let Some(found) = success_rates(&rates, input.u32_or("stdev_factor", 1900)?) else {
        return Ok(json!({"mean": null, "stdev": null, "threshold": null, "outliers": []}));
    };
    let outliers: Vec<usize> = (0..rates.len()).filter(|&i| rates[i] < found.threshold).collect();
    Ok(json!({"mean": found.mean, "stdev": found.stdev, "threshold": found.threshold, "outliers": outliers}))
}

fn outlier_settings(config: Input<'_>) -> Result<OutlierSettings, String> {
    let d = OutlierSettings::default();
    let length = |name: &str, default: Duration| Ok::<_, String>(seconds(config.real_or(name, default.as_secs_f64())?));
    // Yes and no stand for all and none.
    let percent = |names: [&str; 2], default: u32| {
        let given = names.into_iter().map(|name| config.field(name)).find(|value| !value.is_null());
        match given {
            None => Ok(default),
            Some(Value::Bool(all)) => Ok(if *all { 100 } else { 0 }),
            Some(other) => {
                other.as_u64().and_then(|p| u32::try_from(p).ok()).ok_or(format!("{}: expected percent", names[0]))
            }
        }
    };
    let base = length("base_ejection_s", d.base_ejection)?;
    Ok(d.clone()
        .interval(length("interval_s", d.interval)?)
        .base_ejection(base)
        .max_ejection(length("max_ejection_s", d.max_ejection)?)
        .max_ejection_percent(config.u32_or("max_ejection_percent", d.max_ejection_percent)?)
        .always_eject_one(config.flag_or("always_eject_one", d.always_eject_one)?)
        .consecutive_5xx(config.u32_or("consecutive_5xx", d.consecutive_5xx)?)
        .consecutive_gateway(config.u32_or("consecutive_gateway", d.consecutive_gateway)?)
        .enforce_5xx(percent(["enforce_5xx", "enforce_consecutive_5xx"], d.enforce_5xx)?)
        .enforce_gateway(percent(["enforce_gateway", "enforce_consecutive_gateway"], d.enforce_gateway)?)
        .enforce_success_rate(percent(["enforce_success_rate"; 2], d.enforce_success_rate)?)
        .enforce_failure_percentage(percent(["enforce_failure_percentage"; 2], d.enforce_failure_percentage)?)
        .success_rate_min_hosts(config.u32_or("success_rate_min_hosts", d.success_rate_min_hosts)?)
        .success_rate_volume(config.u32_or("success_rate_volume", d.success_rate_volume)?)
        .success_rate_stdev_factor(config.u32_or("stdev_factor", d.success_rate_stdev_factor)?)
        .failure_percentage_threshold(config.u32_or("failure_percentage_threshold", d.failure_percentage_threshold)?)
        .failure_percentage_min_hosts(config.u32_or("failure_percentage_min_hosts", d.failure_percentage_min_hosts)?)
        .failure_percentage_volume(config.u32_or("failure_percentage_volume", d.failure_percentage_volume)?))
}

fn outlier(input: Input<'_>) -> Result<Value, String> {
    let hosts = input.texts("hosts")?;
    let pool = Pool::of(hosts.iter().map(String::as_str)).map_err(|error| error.to_string())?;
    let settings = outlier_settings(input.input("config"))?;
    let interval = settings.interval.max(Duration::from_millis(1));
    let mut detector = OutlierDetector::new(&pool, settings);
    let (mut log, mut next_sweep) = (Vec::new(), interval);
    let mut sweeps = |detector: &mut OutlierDetector, until: Duration, log: &mut Vec<Value>| {
        while next_sweep <= until {
            detector.sweep(next_sweep, || 0, |event| log.push(line(next_sweep, &hosts, event)));
            next_sweep += interval;
        }
    };
    for event in input.list("events")? {
        let at = seconds(event.real("at")?);
        sweeps(&mut detector, at, &mut log);
        let host = event.text("host")?;
        let index = hosts.iter().position(|known| known == host).ok_or_else(|| format!("host: unknown: {host}"))?;
        for codes in event.list("codes")? {
            let pair = codes.0.as_array().map(|pair| pair.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>());
            let Some(Some(pair)) = pair else { return Err("codes: expected pairs of integers".to_owned()) };
            let [status, times] = pair[..] else { return Err("codes: expected pairs".to_owned()) };
            let outcome = Outcome::Status(u16::try_from(status).map_err(|error| error.to_string())?);
            for _ in 0..times {
                detector.report(index, outcome, at, || 0, |event| log.push(line(at, &hosts, event)));
            }
        }
    }
    sweeps(&mut detector, seconds(input.real_or("until_s", 0.0)?), &mut log);
    let ejected: Vec<&String> = (0..hosts.len()).filter(|&i| detector.is_ejected(i)).map(|i| &hosts[i]).collect();
    let backoff: Map<String, Value> =
        hosts.iter().enumerate().map(|(index, host)| (host.clone(), json!(detector.backoff(index)))).collect();
    Ok(json!({"log": log, "ejected": ejected, "backoff": backoff}))
}

/// Time, host, what was done and why. Whole seconds are written without a fraction.
fn line(at: Duration, hosts: &[String], event: OutlierEvent) -> Value {
    let action = match event.action {
        OutlierAction::Eject => "eject",
        OutlierAction::Overflow => "overflow",
        OutlierAction::Detected => "detected",
        _ => "uneject",
    };
    let cause = match event.cause {
        Some(OutlierCause::Consecutive5xx) => "5xx",
        Some(OutlierCause::ConsecutiveGateway) => "gateway",
        Some(OutlierCause::SuccessRate) => "success-rate",
        Some(OutlierCause::FailurePercentage) => "failure-percentage",
        _ => "",
    };
    let at = if at.subsec_nanos() == 0 { json!(at.as_secs()) } else { json!(at.as_secs_f64()) };
    json!([at, hosts[event.index], action, cause])
}

fn circuit(input: Input<'_>) -> Result<Value, String> {
    let given = input.input("limits");
    // By Envoy's names or by the short ones.
    let limit = |name: &str, short: &str, default| given.u32_or(name, given.u32_or(short, default)?);
    let mut limits = CircuitLimits::default()
        .max_connections(limit("max_connections", "connections", 1024)?)
        .max_pending_requests(limit("max_pending_requests", "pending", given.u32_or("max_pending", 1024)?)?)
        .max_requests(limit("max_requests", "requests", 1024)?)
        .max_retries(limit("max_retries", "retries", 3)?);
    let budget = input.input("retry_budget");
    if !budget.0.is_null() {
        let percent = budget.real_or("percent", 20.0)?;
        limits = limits.retry_budget(
            RetryBudget::default().percent(percent).min_concurrency(budget.u32_or("min_concurrency", 3)?),
        );
    }
    let answer = |ask: Input<'_>| {
        let used = ask.input("in_use");
        let (connections, pending) = (used.u32_or("connections", 0)?, used.u32_or("pending", 0)?);
        let (requests, retries) = (used.u32_or("requests", 0)?, used.u32_or("retries", 0)?);
        let demand = match ask.text("kind")? {
            "connection" | "connections" => Demand::Connection,
            "pending" => Demand::Pending,
            "request" | "requests" => Demand::Request,
            "retry" | "retries" => Demand::Retry,
            other => return Err(format!("kind: unknown: {other}")),
        };
        let answer = limits.admit(demand, &InUse { connections, pending, requests, retries });
        Ok::<_, String>(answer.map_or_else(|open| open.name(), |()| "admit"))
    };
    Ok(json!({"answers": input.list("asks")?.into_iter().map(answer).collect::<Result<Vec<_>, _>>()?}))
}
