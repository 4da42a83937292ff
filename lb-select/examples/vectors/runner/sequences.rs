//! Sequences: what is picked, one after the other, without a look at load or key?

use super::{Answer, Input};
use lb_select::{
    BlockWeighted, Choice, IpvsWrr, Pick, Pool, Rotation, RoundRobin, Sequence, SmoothWeighted, Unavailable,
    WeightedEdf, retry,
};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) fn answer(op: &str, input: Input<'_>) -> Answer {
    match op {
        "sequence" => Some(sequence(input)),
        "rr-retry" => Some(rr_retry(input)),
        _ => None,
    }
}

/// A sequence over the current version of a pool whose weights change.
enum Running {
    RoundRobin(Rotation),
    Smooth(SmoothWeighted),
    Edf(WeightedEdf),
    Ipvs(IpvsWrr),
    Block(BlockWeighted),
}

impl Running {
    fn over(&self, pool: &Pool<String>) -> Self {
        match self {
            Self::RoundRobin(sequence) => Self::RoundRobin(sequence.over(pool)),
            Self::Smooth(sequence) => Self::Smooth(sequence.over(pool)),
            Self::Edf(sequence) => Self::Edf(sequence.over(pool)),
            Self::Ipvs(sequence) => Self::Ipvs(sequence.over(pool)),
            Self::Block(_) => Self::Block(BlockWeighted::new(pool)),
        }
    }

    fn next(&mut self) -> Result<Choice, Unavailable> {
        let mut no_words = || 0;
        let mut pick = Pick::new(Duration::ZERO, &mut no_words);
        match self {
            Self::RoundRobin(sequence) => sequence.next(&mut pick),
            Self::Smooth(sequence) => sequence.next(&mut pick),
            Self::Edf(sequence) => sequence.next(&mut pick),
            Self::Ipvs(sequence) => sequence.next(&mut pick),
            Self::Block(sequence) => sequence.next(&mut pick),
        }
    }
}

fn sequence(input: Input<'_>) -> Result<Value, String> {
    let mut pool = input.pool("endpoints")?;
    let updates = input.list("updates")?;
    let mut running = match input.text("policy")? {
        "rr" => Running::RoundRobin(Rotation::new(&pool)),
        "wrr-smooth" => Running::Smooth(SmoothWeighted::new(&pool)),
        "wrr-edf" => Running::Edf(WeightedEdf::skipping(&pool, input.int_or("skip", 0)?)),
        "ipvs-wrr" => Running::Ipvs(IpvsWrr::new(&pool)),
        "wrr-block" => Running::Block(BlockWeighted::new(&pool)),
        _ => return Err("unsupported".to_owned()),
    };
    let mut picks = Vec::new();
    for number in 0..input.int("picks")? {
        for update in &updates {
            if update.int("at")? == number {
                let (id, weight) = (update.id()?, update.u32_or("weight", 1)?);
                pool = pool.with_weights(|endpoint| if *endpoint.value == id { weight } else { endpoint.weight });
                running = running.over(&pool);
            }
        }
        picks.push(name(&pool, running.next()));
    }
    Ok(json!({"picks": picks}))
}

fn rr_retry(input: Input<'_>) -> Result<Value, String> {
    let pool = input.pool("endpoints")?;
    let policy = RoundRobin::new(&pool);
    let picks: Result<Vec<Value>, String> = input
        .list("calls")?
        .into_iter()
        .map(|call| {
            let rejected = call.texts("reject")?;
            let mut no_words = || 0;
            let mut pick = Pick::new(Duration::ZERO, &mut no_words);
            let choice =
                retry(&policy, &mut pick, call.u32_or("max_attempts", 0)?, |index| rejected.contains(&pool[index]));
            Ok(name(&pool, choice))
        })
        .collect();
    Ok(json!({"picks": picks?}))
}

/// The name of a choice; null for none.
pub(crate) fn name(pool: &Pool<String>, choice: Result<Choice, Unavailable>) -> Value {
    choice.map_or(Value::Null, |choice| json!(pool[choice.index]))
}
