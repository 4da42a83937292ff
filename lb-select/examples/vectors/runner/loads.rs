//! Policies that look at load: what is picked, and what is in flight afterwards?

use super::sequences::name;
use super::{Answer, Input};
use lb_select::{
    Bias, ByDestination, ChoiceOfSome, ClientIpAffinity, ClientIpSettings, EwmaSettings, IpvsTwos, LeastLoad,
    LeastTime, Load, LoadRule, P2c, Pick, Policy, Pool, Probe, Random, WeightedRandom, hot_cold, in_flight_quantile,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

type Hasher = BuildHasherDefault<DefaultHasher>;

pub(crate) fn answer(op: &str, input: Input<'_>) -> Answer {
    match op {
        "sequence-load" => Some(sequence_load(input)),
        "lblc" => Some(lblc(input)),
        "pick" => Some(pick(input)),
        "client-ip" => Some(client_ip(input)),
        _ => None,
    }
}

/// Requests in flight as a vector counts them, reported to the endpoints.
struct Active(BTreeMap<String, u32>);

impl Active {
    fn of(input: Input<'_>) -> Result<Self, String> {
        let endpoints = input.list("endpoints")?;
        endpoints.into_iter().map(|e| Ok((e.id()?, e.u32_or("active", 0)?))).collect::<Result<_, _>>().map(Self)
    }

    fn set(&mut self, pool: &Pool<String>, id: &str, active: u32) {
        if let Some(index) = pool.position(&id.into()) {
            pool.load(index).report(active, pool.load(index).inactive());
            self.0.insert(id.to_owned(), active);
        }
    }

    fn change(&mut self, pool: &Pool<String>, id: &str, by: i32) {
        let active = self.0.get(id).copied().unwrap_or(0);
        self.set(pool, id, active.saturating_add_signed(by));
    }
}

fn sequence_load(input: Input<'_>) -> Result<Value, String> {
    let pool = input.pool("endpoints")?;
    let rule = match input.text("policy")? {
        "ipvs-lc" => LoadRule::LeastConnection,
        "ipvs-wlc" => LoadRule::WeightedLeastConnection,
        "ipvs-sed" => LoadRule::ShortestExpectedDelay,
        "ipvs-nq" => LoadRule::NeverQueue,
        "ipvs-fo" => LoadRule::Failover,
        "ipvs-ovf" => LoadRule::Overflow,
        "first" => LoadRule::First,
        _ => return Err("unsupported".to_owned()),
    };
    let policy = LeastLoad::new(&pool, rule);
    let mut active = Active::of(input)?;
    let releases = input.list("release")?;
    let mut picks = Vec::new();
    for number in 0..input.int("picks")? {
        for release in &releases {
            if release.int("before")? == number {
                active.change(&pool, &release.id()?, -1);
            }
        }
        let mut no_words = || 0;
        let choice = policy.pick(&mut Pick::new(Duration::ZERO, &mut no_words));
        if let Ok(choice) = choice {
            active.change(&pool, &pool[choice.index], 1);
        }
        picks.push(name(&pool, choice));
    }
    Ok(json!({"picks": picks, "active": active.0}))
}

fn lblc(input: Input<'_>) -> Result<Value, String> {
    let mut pool = input.pool("endpoints")?;
    let mut policy = ByDestination::new(&pool, Hasher::default());
    let mut active = Active::of(input)?;
    let mut picks = Vec::new();
    for step in input.list("steps")? {
        for (id, change) in step.entries("set")? {
            let index = pool.position(&id.into()).ok_or_else(|| format!("set: no endpoint {id}"))?;
            let weight = pool.get(index).map_or(0, |endpoint| endpoint.weight);
            let weight = change.u32_or("weight", weight)?;
            pool = pool.with_weights(|endpoint| if endpoint.value == id { weight } else { endpoint.weight });
            let load = pool.load(index);
            load.report(load.active(), change.u32_or("inactive", load.inactive())?);
            active.set(&pool, id, change.u32_or("active", load.active())?);
            match change.flag_or("overload", load.is_closed())? {
                true => load.close(),
                false => load.open(),
            }
            policy = policy.over(&pool);
        }
        let mut no_words = || 0;
        let mut pick = Pick::new(Duration::ZERO, &mut no_words);
        pick = pick.for_destination(destination(step.text("dst")?));
        let choice = policy.pick(&mut pick);
        if let Ok(choice) = choice
            && step.flag_or("hold", true)?
        {
            active.change(&pool, &pool[choice.index], 1);
        }
        picks.push(name(&pool, choice));
    }
    Ok(json!({"picks": picks}))
}

fn pick(input: Input<'_>) -> Result<Value, String> {
    let pool = input.pool("endpoints")?;
    let endpoints = input.list("endpoints")?;
    let policy: Box<dyn Policy> = match input.text("policy")? {
        "random" => Box::new(Random::new(&pool)),
        "weighted-random" => Box::new(WeightedRandom::new(&pool)),
        "p2c-with-replacement" => Box::new(ChoiceOfSome::among(&pool, input.u32_or("choices", 2)?)),
        "p2c" => {
            let costs: Result<Vec<Option<f64>>, String> = endpoints
                .iter()
                .map(|e| Ok(Some(e.real_or("cost", f64::NAN)?).filter(|cost| !cost.is_nan())))
                .collect();
            let costs = costs?;
            let cost = move |index: usize, load: &Load, _| costs[index].unwrap_or(load.active().into());
            Box::new(P2c::by(&pool, cost))
        }
        "least-request-scan" => Box::new(LeastLoad::new(&pool, LoadRule::LeastRequest)),
        "ipvs-twos" => Box::new(IpvsTwos::new(&pool)),
        "least-request-weight" => {
            let bias = Bias::new(input.real_or("bias", 1.0)?).ok_or("bias: expected a number from 0")?;
            let weight = |(index, endpoint): (usize, lb_select::Endpoint<'_, String>)| {
                (endpoint.value.clone(), json!(bias.weight(endpoint.weight, pool.load(index).active())))
            };
            return Ok(json!({"weights": pool.iter().enumerate().map(weight).collect::<Map<_, _>>()}));
        }
        "least-time" => {
            for (index, endpoint) in endpoints.iter().enumerate() {
                pool.load(index).assume(endpoint.real_or("avg_ms", 0.0)? / 1000.0, Duration::ZERO);
            }
            Box::new(LeastTime::new(&pool, EwmaSettings::default()))
        }
        "hot-cold" => return hot_cold_pick(input, &pool),
        _ => return Err("unsupported".to_owned()),
    };
    let draws = input.ints("draws")?;
    let mut used = 0;
    let mut words = || {
        used += 1;
        draws.get(used - 1).copied().unwrap_or(0)
    };
    let choice = policy.pick(&mut Pick::new(Duration::ZERO, &mut words));
    let scores = pool.iter().enumerate().map(|(index, endpoint)| {
        (endpoint.value.clone(), json!(LeastTime::score(pool.load(index), endpoint.weight) * 1000.0))
    });
    let scores = scores.collect::<Map<_, _>>();
    Ok(json!({"pick": name(&pool, choice), "used": used, "scores": scores}))
}

fn hot_cold_pick(input: Input<'_>, pool: &Pool<String>) -> Result<Value, String> {
    let mut recent: Vec<u32> =
        input.ints("recent")?.into_iter().map(|n| u32::try_from(n).unwrap_or(u32::MAX)).collect();
    let threshold = match in_flight_quantile(&mut recent, input.real_or("quantile", 0.84)?) {
        Some(threshold) if input.field("threshold").is_null() => threshold,
        _ => input.u32_or("threshold", 0)?,
    };
    let probe = |endpoint: Input<'_>| {
        let latency = Duration::from_secs_f64(endpoint.real_or("latency_ms", 0.0)?.max(0.0) / 1000.0);
        Ok(Probe { in_flight: endpoint.u32_or("rif", 0)?, latency })
    };
    let probes: Vec<Probe> = input.list("endpoints")?.into_iter().map(probe).collect::<Result<_, String>>()?;
    let ids: Vec<&String> = pool.iter().map(|endpoint| endpoint.value).collect();
    let choice = hot_cold(probes.iter().copied(), threshold);
    let cold = probes.iter().zip(&ids).filter(|(probe, _)| probe.in_flight <= threshold);
    let cold: Vec<_> = cold.map(|(_, id)| id).collect();
    Ok(json!({"pick": choice.map(|choice| ids[choice.index]), "used": 0, "threshold": threshold, "cold": cold}))
}

/// The policy for new clients is given: each event names an endpoint, and an unknown one stands for the first.
fn client_ip(input: Input<'_>) -> Result<Value, String> {
    let mut pool = input.pool("endpoints")?;
    let prefix = input.int_or("prefix", 32)?.min(128) as u8;
    let settings = ClientIpSettings::default().timeout_seconds(input.u32_or("timeout_s", 10_800)?);
    let settings = settings.prefixes(prefix, prefix);
    let layer = ClientIpAffinity::new(&pool, Random::new(&pool), settings, Hasher::default());
    let mut layer = layer.map_err(|error| error.to_string())?;
    let mut picks = Vec::new();
    for event in input.list("events")? {
        if !event.field("up").is_null() {
            pool = event.pool("up")?;
            layer = layer.over(&pool, Random::new(&pool));
            layer.retain(|key| pool.position(key).is_some());
        }
        if event.field("src").is_null() {
            continue;
        }
        let fallback = event.text("fallback").ok().and_then(|id| pool.position(&id.into())).unwrap_or(0);
        let now = Duration::from_secs_f64(event.real_or("at_s", 0.0)?.max(0.0));
        let mut word = || fallback as u64;
        let choice = layer.pick(&mut Pick::new(now, &mut word).for_client(address(event.text("src")?)?));
        picks.push(name(&pool, choice));
    }
    Ok(json!({"picks": picks}))
}

/// The address, or for another name one of its own.
fn destination(text: &str) -> IpAddr {
    let fnv = |hash: u128, byte| (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    text.parse().unwrap_or_else(|_| Ipv6Addr::from_bits(text.bytes().fold(1 << 127, fnv)).into())
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("expected an address, got {text}"))
}
