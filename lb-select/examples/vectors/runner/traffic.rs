//! Where may traffic go? Priorities, localities, zones, subsets and slow start.

use super::{Answer, Input};
use lb_select::{
    Availability, Distribute, EdfQueue, Failover, FailoverLabel, Level, LevelHealth, Locality, LocalityHealth,
    PriorityLoads, PrioritySettings, Share, SlowStart, SubsetFallback, SubsetSelector, SubsetSettings, Subsets,
    ZoneAware, ZoneChoice, ZoneState, distribute_weights, failover_label_priorities, failover_priorities,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) fn answer(op: &str, input: Input<'_>) -> Answer {
    Some(match op {
        "priority-load" => priority_load(input),
        "choose-priority" => choose_priority(input),
        "locality-weights" => locality_weights(input),
        "zone-aware" => zone_aware(input),
        "subset" => subset(input),
        "slow-start" => slow_start(input),
        "istio-failover" => istio_failover(input),
        "istio-failover-priority" => istio_failover_priority(input),
        "istio-distribute" => istio_distribute(input),
        _ => return None,
    })
}

fn health(input: Input<'_>, total: &str) -> Result<LevelHealth, String> {
    let count = |name| input.int_or(name, 0);
    let (healthy, degraded, excluded) = (count("healthy")?, count("degraded")?, count("excluded")?);
    Ok(LevelHealth { total: count(total)?, healthy, degraded, excluded })
}

fn priority_load(input: Input<'_>) -> Result<Value, String> {
    let settings = PrioritySettings::default()
        .overprovisioning(input.u32_or("overprovisioning", 140)?)
        .panic_threshold(input.u32_or("panic_threshold", 50)?);
    let level = |level: Input<'_>| {
        let mut built = Level::new(health(level, "hosts")?);
        if !level.field("weights").is_null() {
            built = built.weights(health(level.input("weights"), "total")?);
        }
        Ok::<_, String>(match level.field("overprovisioning").is_null() {
            true => built,
            false => built.overprovisioning(level.u32_or("overprovisioning", 140)?),
        })
    };
    let levels = input.list("priorities")?.into_iter().map(level).collect::<Result<Vec<_>, _>>()?;
    let loads = PriorityLoads::new(&levels, &settings);
    Ok(json!({
        "normalized": loads.normalized_total(),
        "healthy_load": loads.healthy(),
        "degraded_load": loads.degraded(),
        "panic": loads.panics(),
        "total_panic": loads.total_panic(),
    }))
}

/// The loads are given, so levels are made that have them: of a hundred endpoints that all work.
fn choose_priority(input: Input<'_>) -> Result<Value, String> {
    let (healthy, degraded) = (input.ints("healthy_load")?, input.ints("degraded_load")?);
    let levels: Vec<Level> = (0..healthy.len().max(degraded.len()))
        .map(|i| {
            let of = |loads: &[u64]| loads.get(i).copied().unwrap_or(0);
            let counts = LevelHealth { total: 100, healthy: of(&healthy), degraded: of(&degraded), excluded: 0 };
            Level::new(counts)
        })
        .collect();
    let settings = PrioritySettings::default().overprovisioning(100).panic_threshold(0);
    let loads = PriorityLoads::new(&levels, &settings);
    let choices: Vec<Value> = input
        .ints("hashes")?
        .into_iter()
        .map(|hash| match loads.choose(hash) {
            Some((level, Availability::Healthy)) => json!([level, "healthy"]),
            Some((level, Availability::Degraded)) => json!([level, "degraded"]),
            None => Value::Null,
        })
        .collect();
    Ok(json!({"choices": choices}))
}

fn locality_weights(input: Input<'_>) -> Result<Value, String> {
    let factor = input.u32_or("overprovisioning", 140)?;
    let locality = |locality: Input<'_>| {
        let (weight, total) = (locality.u32_or("weight", 1)?, locality.u32_or("hosts", 0)?);
        let (healthy, excluded) = (locality.u32_or("healthy", 0)?, locality.u32_or("excluded", 0)?);
        Ok(LocalityHealth { weight, total, healthy, excluded })
    };
    let localities = input.list("localities")?.into_iter().map(locality).collect::<Result<Vec<_>, String>>()?;
    let effective: Vec<f64> = localities.iter().map(|locality| locality.effective_weight(factor)).collect();
    let sum: f64 = effective.iter().sum();
    let share: Vec<f64> = effective.iter().map(|weight| if sum > 0.0 { weight / sum } else { 0.0 }).collect();
    let mut got = json!({"effective": effective, "share": share});
    let picks = input.int_or("picks", 0)?;
    if picks > 0 {
        let shares: Vec<Option<Share>> = localities.iter().map(|locality| locality.share(factor)).collect();
        let mut queue = EdfQueue::new(shares.iter().copied());
        let sequence: Vec<Option<usize>> = (0..picks).map(|_| queue.next(|lane| shares[lane])).collect();
        let count = |position| sequence.iter().filter(|picked| **picked == Some(position)).count();
        got["counts"] = (0..localities.len()).map(count).collect();
        got["sequence"] = json!(sequence);
    }
    Ok(got)
}

fn zone_aware(input: Input<'_>) -> Result<Value, String> {
    let counts = |name| {
        let count = |(zone, count): (_, Input<'_>)| {
            let count = count.0.as_u64().and_then(|count| u32::try_from(count).ok());
            Ok::<_, String>((zone, count.ok_or_else(|| format!("{name}: expected counts"))?))
        };
        input.entries(name)?.into_iter().map(count).collect::<Result<Vec<(&str, u32)>, _>>()
    };
    let (here, min) = (input.text("here")?, input.int_or("min_cluster_size", ZoneAware::MIN_CLUSTER_SIZE)?);
    let (local, mut upstream) = (counts("local")?, counts("upstream")?);
    let order = input.texts("order")?;
    let zones = if order.is_empty() {
        ZoneAware::new(here, local, upstream, min)
    } else {
        upstream.sort_by_key(|(zone, _)| (*zone != here, order.iter().position(|named| named == zone)));
        ZoneAware::in_order(here, local, upstream, min)
    };
    let draws = input.list("draws")?.into_iter().map(|draw| {
        let words: Option<Vec<u64>> = draw.0.as_array().and_then(|words| words.iter().map(Value::as_u64).collect());
        let mut words = words.ok_or("draws: expected pairs of words")?.into_iter();
        Ok::<_, String>(match zones.choose(|| words.next().unwrap_or(0)) {
            ZoneChoice::Any => Value::Null,
            ZoneChoice::Zone(zone) => json!(zones.zones()[zone]),
        })
    });
    let picks = draws.collect::<Result<Vec<_>, _>>()?;
    let (state, local_percent) = match zones.state() {
        ZoneState::Off => ("off", None),
        ZoneState::Direct => ("direct", None),
        ZoneState::Residual { local_percent } => ("residual", Some(local_percent)),
        other => return Err(format!("a state that is not known: {other:?}")),
    };
    let (names, residual) = (zones.zones(), zones.residual());
    Ok(json!({"state": state, "local_percent": local_percent, "zones": names, "residual": residual, "picks": picks}))
}

fn text_map(input: Input<'_>, name: &str) -> Result<BTreeMap<String, String>, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(input.entries(name)?.into_iter().map(|(key, value)| (key.to_owned(), text(value.0))).collect())
}

fn subset(input: Input<'_>) -> Result<Value, String> {
    let hosts = input.list("hosts")?;
    let ids = hosts.iter().map(|host| host.id()).collect::<Result<Vec<_>, _>>()?;
    let metadata = hosts.iter().map(|host| text_map(*host, "meta")).collect::<Result<Vec<_>, _>>()?;
    let fallback = |input: Input<'_>| match input.text_or("fallback", "none")? {
        "none" => Ok(SubsetFallback::None),
        "any" => Ok(SubsetFallback::Any),
        "default" => Ok(SubsetFallback::Default),
        "keys" => Ok(SubsetFallback::Keys(input.texts("fallback_keys")?.into_iter().collect())),
        other => Err(format!("fallback: unknown: {other}")),
    };
    let default_subset = text_map(input, "default_subset")?;
    let mut settings = SubsetSettings::default().fallback(fallback(input)?).default_subset(default_subset);
    for selector in input.list("selectors")? {
        let mut built = SubsetSelector::new(selector.texts("keys")?);
        if !selector.field("fallback").is_null() {
            built = built.fallback(fallback(selector)?);
        }
        settings = settings.selector(built);
    }
    let subsets = Subsets::new(&metadata, settings).map_err(|error| error.to_string())?;
    let answers = input.list("criteria")?.into_iter().map(|criteria| {
        let wrapped = json!({"criteria": criteria.0});
        let criteria = text_map(Input(&wrapped), "criteria")?;
        let criteria: Vec<(&str, &str)> = criteria.iter().map(|(key, value)| (&**key, &**value)).collect();
        Ok::<_, String>(subsets.lookup(&criteria).iter().map(|&index| ids[index].clone()).collect::<Vec<_>>())
    });
    Ok(json!({"hosts": answers.collect::<Result<Vec<_>, _>>()?}))
}

fn slow_start(input: Input<'_>) -> Result<Value, String> {
    let ramp = SlowStart::new(Duration::from_millis(input.int("window_ms")?))
        .min_weight_percent(input.u32_or("min_weight_percent", 10)?)
        .aggression(input.real_or("aggression", 1.0)?);
    let weight = input.real_or("weight", 1.0)?;
    let elapsed = input.list("elapsed_ms")?.into_iter().map(|at| at.0.as_f64().ok_or("elapsed_ms: expected numbers"));
    let elapsed = elapsed.collect::<Result<Vec<f64>, _>>()?;
    let weights = elapsed.into_iter().map(|at| weight * ramp.factor(Duration::from_secs_f64(at.max(0.0) / 1000.0)));
    Ok(json!({"weights": weights.collect::<Vec<f64>>()}))
}

fn locality(value: &Value) -> Locality {
    value.as_str().unwrap_or_default().into()
}

fn istio_failover(input: Input<'_>) -> Result<Value, String> {
    let groups: Vec<Locality> = input.list("localities")?.into_iter().map(|group| locality(group.0)).collect();
    let rule = |rule: Input<'_>| {
        let (from, to) = (rule.text("from")?.to_owned(), rule.text("to")?.to_owned());
        Ok(Failover { from, to })
    };
    let failover = input.list("failover")?.into_iter().map(rule).collect::<Result<Vec<_>, String>>()?;
    Ok(json!({"priorities": failover_priorities(&locality(input.field("proxy")), &groups, &failover)}))
}

fn istio_failover_priority(input: Input<'_>) -> Result<Value, String> {
    // Reading a label never fails.
    let labels: Vec<FailoverLabel> = input.texts("labels")?.iter().flat_map(|label| label.parse()).collect();
    let proxy = text_map(input, "proxy")?;
    let endpoints = input.list("endpoints")?.into_iter().map(|endpoint| {
        let wrapped = json!({"labels": endpoint.0});
        text_map(Input(&wrapped), "labels")
    });
    let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
    let lookups = endpoints.iter().map(|labels| move |name: &str| labels.get(name).map(String::as_str));
    Ok(json!({"priorities": failover_label_priorities(&labels, |name| proxy.get(name).map(String::as_str), lookups)}))
}

fn istio_distribute(input: Input<'_>) -> Result<Value, String> {
    let group = |group: Input<'_>| Ok((locality(group.field("locality")), group.u32_or("weight", 1)?));
    let groups = input.list("localities")?.into_iter().map(group).collect::<Result<Vec<_>, String>>()?;
    let rule = |rule: Input<'_>| {
        let percent = |(to, percent): (&str, Input<'_>)| {
            let percent = percent.0.as_u64().and_then(|percent| u32::try_from(percent).ok());
            Ok((to.to_owned(), percent.ok_or("to: expected percentages")?))
        };
        let to = rule.entries("to")?.into_iter().map(percent).collect::<Result<Vec<_>, String>>()?;
        Ok(Distribute { from: rule.text("from")?.to_owned(), to })
    };
    let rules = input.list("distribute")?.into_iter().map(rule).collect::<Result<Vec<_>, String>>()?;
    let unchanged = || groups.iter().map(|(_, weight)| *weight).collect();
    let proxy = locality(input.field("proxy"));
    Ok(json!({"weights": distribute_weights(&proxy, &groups, &rules).unwrap_or_else(unchanged)}))
}
