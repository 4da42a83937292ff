//! Consistent hashing: which endpoint has a key, and how are keys spread?

use super::{Answer, Input};
use lb_select::hash::{
    BoundedRing, HashTable, IpHash, IpvsMh, IpvsMhSettings, IpvsSh, IpvsShSettings, Jump, Katran, KatranVersion,
    Ketama, Maglev, NginxHash, Rendezvous, RestyChash, RingFunction, RingHash, RingSettings, SubsetGroups, TraefikHrw,
    capacity, crc32, fnv1a, jump, least_overloaded, total_slots,
};
use lb_select::{Locality, Member, Pool};
use serde_json::{Map, Value, json};
use std::net::{IpAddr, SocketAddr};

pub(crate) fn answer(op: &str, input: Input<'_>) -> Answer {
    Some(match op {
        "maglev" => maglev(input),
        "maglev-churn" => maglev_churn(input),
        "katran" => katran(input),
        "ring" => ring(input),
        "ketama" => ketama(input),
        "resty-chash" => resty_chash(input),
        "nginx-hash" => nginx_hash(input),
        "ip-hash" => ip_hash(input),
        "jump" => jumps(input),
        "rendezvous" => rendezvous(input),
        "traefik-hrw" => traefik_hrw(input),
        "ipvs-sh" => ipvs_sh(input),
        "ipvs-mh" => ipvs_mh(input),
        "bounded-cap" => bounded_cap(input),
        "bounded-envoy" => bounded_envoy(input),
        "bounded-ring" => bounded_ring(input),
        "chash-subset" => chash_subset(input),
        _ => return None,
    })
}

/// An endpoint list, or one of `localities`; each locality is then named by its number, and has that weight.
fn pool(input: Input<'_>) -> Result<(Pool<String>, Vec<u32>), String> {
    let localities = input.list("localities")?;
    if localities.is_empty() {
        return Ok((input.pool("endpoints")?, Vec::new()));
    }
    let (mut builder, mut weights) = (Pool::builder(), Vec::new());
    for (number, locality) in localities.into_iter().enumerate() {
        weights.push(locality.u32_or("weight", 1)?);
        for endpoint in locality.list("endpoints")? {
            let (id, weight) = (endpoint.id()?, endpoint.u32_or("weight", 1)?);
            let place = number.to_string();
            builder = builder.member(Member::new(id.as_str(), id.clone()).weight(weight).locality(place.as_str()));
        }
    }
    Ok((builder.build().map_err(|error| error.to_string())?, weights))
}

fn weight_of(weights: &[u32], locality: &Locality) -> u32 {
    locality.to_string().parse().ok().and_then(|number: usize| weights.get(number)).copied().unwrap_or(0)
}

fn name(pool: &Pool<String>, index: Option<usize>) -> Value {
    index.map_or(Value::Null, |index| json!(pool[index]))
}

/// How often each endpoint owns something, by id; 0 included.
fn counts(pool: &Pool<String>, owners: impl Iterator<Item = usize>) -> Map<String, Value> {
    let mut counts = vec![0_u64; pool.len()];
    for owner in owners {
        counts[owner] += 1;
    }
    pool.iter().zip(counts).map(|(endpoint, count)| (endpoint.value.clone(), json!(count))).collect()
}

/// The choices for `hashes`, and those of `retry`: again, at most `max_attempts` more times, while refused.
fn picks(
    pool: &Pool<String>,
    table: &impl HashTable,
    input: Input<'_>,
    got: &mut Map<String, Value>,
) -> Result<(), String> {
    let picks: Vec<Value> = input.ints("hashes")?.iter().map(|&hash| name(pool, table.lookup(hash))).collect();
    let retries = input.list("retry")?.into_iter().map(|retry| {
        let (hash, last) = (retry.int("hash")?, retry.u32_or("max_attempts", 0)?);
        let all = retry.field("reject") == "all";
        let rejected = if all { Vec::new() } else { retry.texts("reject")? };
        let refused = |index: &Option<usize>| index.is_some_and(|index| all || rejected.contains(&pool[index]));
        let choices = (0..=last).map(|attempt| table.attempt(hash, attempt));
        let stands = choices.clone().find(|choice| !refused(choice)).or_else(|| choices.last()).flatten();
        Ok::<_, String>(name(pool, stands))
    });
    got.insert("retry_picks".to_owned(), retries.collect::<Result<Vec<Value>, _>>()?.into());
    got.insert("picks".to_owned(), picks.into());
    Ok(())
}

fn maglev(input: Input<'_>) -> Result<Value, String> {
    let (pool, weights) = pool(input)?;
    let size = input.u32_or("table_size", Maglev::TABLE_SIZE)?;
    let table = match weights.is_empty() {
        true => Maglev::new(&pool, size),
        false => Maglev::with_locality_weights(&pool, |locality| weight_of(&weights, locality), size),
    }
    .map_err(|error| error.to_string())?;
    let mut got = Map::new();
    if size <= 101 {
        got.insert("table".to_owned(), table.slots().map(|owner| json!(pool[owner])).collect());
    }
    got.insert("counts".to_owned(), counts(&pool, table.slots()).into());
    picks(&pool, &table, input, &mut got)?;
    Ok(got.into())
}

fn maglev_churn(input: Input<'_>) -> Result<Value, String> {
    let (first, count) = (input.int_or("first", 0)?, input.int("count")?);
    let (format, size) = (input.text("key_format")?, input.u32_or("table_size", Maglev::TABLE_SIZE)?);
    let removed = input.ints("remove")?;
    let table = |without: &[u64]| {
        let keys = (0..count).filter(|number| !without.contains(number));
        let keys: Vec<String> = keys.map(|number| format.replacen("{}", &(first + number).to_string(), 1)).collect();
        let pool = Pool::of(keys.iter().map(String::as_str)).map_err(|error| error.to_string())?;
        let table = Maglev::new(&pool, size).map_err(|error| error.to_string())?;
        Ok::<_, String>((table.slots().map(|owner| keys[owner].clone()).collect::<Vec<_>>(), keys))
    };
    let ((before, keys), (after, _)) = (table(&[])?, table(&removed)?);
    let gone = |key: &String| removed.iter().any(|&number| keys.get(number as usize) == Some(key));
    let slots = |key: &String| before.iter().filter(|owner| *owner == key).count();
    let per_key: Vec<usize> = keys.iter().map(slots).collect();
    Ok(json!({
        "min": per_key.iter().min(),
        "max": per_key.iter().max(),
        "moved_needlessly": before.iter().zip(&after).filter(|(old, new)| old != new && !gone(old)).count(),
        "slots_of_removed": before.iter().filter(|owner| gone(owner)).count(),
    }))
}

fn katran(input: Input<'_>) -> Result<Value, String> {
    let (mut endpoints, weight) = (Vec::new(), input.u32_or("weight", 1)?);
    for number in 0..input.int_or("count", 0)? {
        endpoints.push((number, weight, number));
    }
    for (position, endpoint) in input.list("endpoints")?.into_iter().enumerate() {
        let number = endpoint.int_or("num", position as u64)?;
        endpoints.push((number, endpoint.u32_or("weight", 1)?, endpoint.int_or("hash", number)?));
    }
    let members = endpoints.iter().enumerate();
    let builder = members.fold(Pool::builder(), |builder, (position, &(number, weight, hash))| {
        builder.weighted(position.to_string(), weight, (number, hash))
    });
    let pool = builder.build().map_err(|error| error.to_string())?;
    let version = match input.int_or("version", 2)? {
        1 => KatranVersion::V1,
        2 => KatranVersion::V2,
        other => return Err(format!("version: expected 1 or 2, got {other}")),
    };
    let size = input.u32_or("table_size", Maglev::TABLE_SIZE)?;
    let table = Katran::new(&pool, version, size, |index| pool[index].1).map_err(|error| error.to_string())?;
    let mut counts = vec![0_u64; pool.len()];
    for owner in table.slots() {
        counts[owner] += 1;
    }
    let (min, max) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
    let mut got = json!({"counts": counts, "min": min, "max": max, "spread": max - min});
    if size <= 101 {
        got["table"] = table.slots().map(|owner| json!(pool[owner].0)).collect();
    }
    Ok(got)
}

fn ring(input: Input<'_>) -> Result<Value, String> {
    let (pool, weights) = pool(input)?;
    let defaults = RingSettings::default();
    let function = match input.text_or("hash_function", "xxhash")? {
        "murmur2" | "murmur_hash_2" => RingFunction::MurmurHash2,
        "xxhash" | "xx_hash" | "xxh64" => RingFunction::XxHash,
        other => return Err(format!("hash_function: unknown: {other}")),
    };
    let settings = defaults
        .min_ring_size(input.u32_or("min_ring_size", 1024)?)
        .max_ring_size(input.u32_or("max_ring_size", RingSettings::MAX_RING_SIZE)?)
        .hash_function(function);
    let ring = match weights.is_empty() {
        true => RingHash::new(&pool, &settings),
        false => RingHash::with_locality_weights(&pool, |locality| weight_of(&weights, locality), &settings),
    }
    .map_err(|error| error.to_string())?;
    let mut got = Map::new();
    got.insert("size".to_owned(), json!(ring.len()));
    got.insert("per_endpoint".to_owned(), counts(&pool, ring.points().map(|(_, owner)| owner)).into());
    if ring.len() <= 16 {
        got.insert("ring".to_owned(), ring.points().map(|(hash, owner)| json!([hash, pool[owner]])).collect());
    }
    let sweep = input.int_or("sweep", 0)?;
    if let Some(step) = u64::MAX.checked_div(sweep) {
        let owners = (0..sweep).filter_map(|i| ring.lookup(i * step));
        got.insert("sweep_counts".to_owned(), counts(&pool, owners).into());
    }
    picks(&pool, &ring, input, &mut got)?;
    Ok(got.into())
}

fn ketama(input: Input<'_>) -> Result<Value, String> {
    let pool = input.pool("endpoints")?;
    let ring =
        Ketama::with_points(&pool, input.u32_or("points_per_weight", 160)?).map_err(|error| error.to_string())?;
    let keys = input.texts("keys")?;
    let picks: Vec<Value> = keys.iter().map(|key| name(&pool, ring.lookup_key(key.as_bytes()))).collect();
    let mut got = json!({"points": ring.len(), "picks": picks});
    let iterate = input.input("iterate");
    if !iterate.0.is_null() {
        let (hash, n) = (crc32(iterate.text("key")?.as_bytes()), iterate.int_or("n", 1)?);
        let owners = ring.walk(hash).collect::<Vec<_>>().into_iter().cycle();
        got["order"] = owners.take(n as usize).map(|owner| json!(pool[owner])).collect();
    }
    Ok(got)
}

fn resty_chash(input: Input<'_>) -> Result<Value, String> {
    let pool = input.pool("endpoints")?;
    let ring = RestyChash::new(&pool).map_err(|error| error.to_string())?;
    let keys = input.texts("keys")?;
    let picks: Vec<Value> = keys.iter().map(|key| name(&pool, ring.lookup_key(key.as_bytes()))).collect();
    let mut got = json!({"points": ring.len(), "picks": picks});
    if let [from, to] = input.ints("count_keys")?[..] {
        let owners = (from..=to).filter_map(|number| ring.lookup_key(number.to_string().as_bytes()));
        got["counts"] = counts(&pool, owners).into();
    }
    Ok(got)
}

/// Refused are so many tries, or endpoints by name.
fn nginx_hash(input: Input<'_>) -> Result<Value, String> {
    let pool = input.pool("endpoints")?;
    let table = NginxHash::new(&pool);
    let picks = input.list("keys")?.into_iter().map(|key| {
        let text = key.0.as_str().map_or_else(|| key.text("key"), Ok)?;
        let tries = key.field("refused").as_u64().unwrap_or(0);
        let refused = if key.field("refused").is_array() { key.texts("refused")? } else { Vec::new() };
        let asked = std::cell::Cell::new(0);
        let usable = |index: usize| {
            asked.set(asked.get() + 1);
            asked.get() > tries && !refused.contains(&pool[index])
        };
        Ok::<_, String>(name(&pool, table.lookup_key(text.as_bytes(), usable)))
    });
    Ok(json!({"picks": picks.collect::<Result<Vec<_>, _>>()?}))
}

fn ip_hash(input: Input<'_>) -> Result<Value, String> {
    let pool = input.pool("endpoints")?;
    let table = IpHash::new(&pool);
    let picks = input
        .texts("clients")?
        .into_iter()
        .map(|client| Ok::<_, String>(name(&pool, table.lookup(ip(&client)?, |_| true))));
    Ok(json!({"picks": picks.collect::<Result<Vec<_>, _>>()?}))
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

fn jumps(input: Input<'_>) -> Result<Value, String> {
    let pairs = input.list("pairs")?.into_iter().map(|pair| match pair.0.as_array().map(Vec::as_slice) {
        Some([key, buckets]) => Some(json!(jump(key.as_u64()?, buckets.as_u64()?))),
        _ => None,
    });
    let buckets: Option<Vec<Value>> = pairs.collect();
    Ok(json!({"buckets": buckets.ok_or("pairs: expected pairs of integers")?}))
}

fn rendezvous(input: Input<'_>) -> Result<Value, String> {
    let pool = input.pool("endpoints")?;
    let table = Rendezvous::new(&pool);
    let picks: Vec<Value> = input.ints("hashes")?.iter().map(|&hash| name(&pool, table.lookup(hash))).collect();
    Ok(json!({"picks": picks}))
}

fn traefik_hrw(input: Input<'_>) -> Result<Value, String> {
    let pool = input.pool("endpoints")?;
    let table = TraefikHrw::new(&pool);
    let sources = input.texts("sources")?;
    let picks: Vec<Value> = sources.iter().map(|source| name(&pool, table.lookup(fnv1a(source.as_bytes())))).collect();
    Ok(json!({"picks": picks}))
}

/// The clients of an input, as address and port; the port is 0 unless it counts.
fn clients(input: Input<'_>) -> Result<Vec<(IpAddr, u16)>, String> {
    let with_port = input.flag_or("port", false)?;
    let client = |client: Input<'_>| {
        let text = client.0.as_str().map_or_else(|| client.text("ip"), Ok)?;
        let port = u16::try_from(client.int_or("port", 0)?).map_err(|error| format!("port: {error}"))?;
        Ok((ip(text)?, if with_port { port } else { 0 }))
    };
    input.list("clients")?.into_iter().map(client).collect()
}

fn ipvs_sh(input: Input<'_>) -> Result<Value, String> {
    let pool = input.pool("endpoints")?;
    let table = IpvsSh::new(&pool, IpvsShSettings::default().fallback(input.flag_or("fallback", false)?));
    let usable = usable(&pool);
    let picks: Vec<Value> =
        clients(input)?.into_iter().map(|(ip, port)| name(&pool, table.lookup(ip, port, &usable))).collect();
    Ok(json!({"picks": picks, "buckets": counts(&pool, table.buckets())}))
}

/// Not overloaded, and with a weight.
fn usable(pool: &Pool<String>) -> impl Fn(usize) -> bool {
    |index| !pool.load(index).is_closed() && pool.get(index).is_some_and(|endpoint| endpoint.weight > 0)
}

fn ipvs_mh(input: Input<'_>) -> Result<Value, String> {
    let pool = input.pool("endpoints")?;
    let addr = |endpoint: Input<'_>| {
        let text = if endpoint.field("addr").is_null() { endpoint.id()? } else { endpoint.text("addr")?.to_owned() };
        text.parse::<SocketAddr>().map_err(|error| format!("{text}: {error}"))
    };
    let addrs: Vec<SocketAddr> = input.list("endpoints")?.into_iter().map(addr).collect::<Result<_, _>>()?;
    let settings = IpvsMhSettings::default()
        .table_size(input.u32_or("table_size", 4093)?)
        .fallback(input.flag_or("fallback", false)?);
    let table = IpvsMh::new(&pool, settings, |index| addrs[index]).map_err(|error| error.to_string())?;
    let usable = usable(&pool);
    let picks: Vec<Value> =
        clients(input)?.into_iter().map(|(ip, port)| name(&pool, table.lookup(ip, port, &usable))).collect();
    Ok(json!({"picks": picks, "buckets": counts(&pool, table.slots())}))
}

fn bounded_cap(input: Input<'_>) -> Result<Value, String> {
    let pool = input.pool("endpoints")?;
    let (factor, in_flight) = (input.u32_or("factor_percent", 125)?, input.int_or("in_flight", 0)?);
    let slots = total_slots(in_flight, factor);
    let sum: u64 = pool.iter().map(|endpoint| u64::from(endpoint.weight)).sum();
    let envoy = match input.text("rule")? {
        "envoy" => {
            let inner = Jump::new(&pool);
            Some(lb_select::hash::BoundedHash::new(&pool, inner, factor).map_err(|error| error.to_string())?)
        }
        "haproxy" => None,
        other => return Err(format!("rule: unknown: {other}")),
    };
    let mut before = 0;
    let mut capacities = Map::new();
    for (index, endpoint) in pool.iter().enumerate() {
        let capacity = match &envoy {
            Some(bounded) => bounded.capacity(index, in_flight),
            None => capacity(endpoint.weight, before, sum, slots),
        };
        before += u64::from(endpoint.weight);
        capacities.insert(endpoint.value.clone(), json!(capacity));
    }
    Ok(json!({"total_slots": slots, "capacity": capacities}))
}

fn bounded_envoy(input: Input<'_>) -> Result<Value, String> {
    let endpoints = input.list("endpoints")?;
    let ids: Vec<String> = endpoints.iter().map(|endpoint| endpoint.id()).collect::<Result<_, _>>()?;
    let overload: Vec<f64> =
        endpoints.iter().map(|endpoint| endpoint.real_or("overload_factor", 0.0)).collect::<Result<_, _>>()?;
    let picks = input.list("lookups")?.into_iter().map(|lookup| {
        let first = lookup.text("first")?;
        let first = ids.iter().position(|id| id == first).ok_or_else(|| format!("first: unknown: {first}"))?;
        Ok::<_, String>(
            ids[least_overloaded(lookup.int("hash")?, first, ids.len() as u32, |index| overload[index])].clone(),
        )
    });
    Ok(json!({"picks": picks.collect::<Result<Vec<_>, _>>()?}))
}

fn bounded_ring(input: Input<'_>) -> Result<Value, String> {
    let pool = input.pool("endpoints")?;
    let ring = BoundedRing::new(&pool, input.u32_or("factor_percent", 125)?).map_err(|error| error.to_string())?;
    let mut load = vec![0_u32; pool.len()];
    let mut picks = Vec::new();
    for (in_flight, key) in input.texts("keys")?.iter().enumerate() {
        let chosen = ring.lookup_key(key.as_bytes(), in_flight as u64, |index| load[index]);
        picks.push(name(&pool, chosen));
        if let Some(index) = chosen {
            load[index] += 1;
        }
    }
    let load: Map<String, Value> = pool.iter().zip(load).map(|(e, load)| (e.value.clone(), json!(load))).collect();
    Ok(json!({"picks": picks, "load": load}))
}

fn chash_subset(input: Input<'_>) -> Result<Value, String> {
    let ids: Vec<String> = input.list("endpoints")?.into_iter().map(Input::id).collect::<Result<_, _>>()?;
    let size = input.int_or("subset_size", SubsetGroups::SIZE as u64)?;
    let groups = SubsetGroups::new(ids.len(), size as usize);
    let subsets: Vec<Vec<&String>> =
        (0..groups.len()).map(|group| groups.endpoints(group).map(|index| &ids[index]).collect()).collect();
    Ok(json!({"subsets": subsets}))
}
