//! Which endpoints may get new traffic? Those of weight above 0.

use crate::{Pool, Unavailable};
use alloc::boxed::Box;
use core::num::NonZeroU64;

/// The indices of the endpoints with a weight above 0, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Eligible {
    /// All of so many: the usual case, which needs no list.
    All(NonZeroU64),
    /// Some of them; never an empty list.
    Some(Box<[usize]>),
    None(Unavailable),
}

impl Eligible {
    pub(crate) fn new<E>(pool: &Pool<E>) -> Self {
        let Some(all) = NonZeroU64::new(pool.len() as u64) else {
            return Self::None(Unavailable::Empty);
        };
        let list: Box<[usize]> = pool.iter().enumerate().filter(|(_, e)| e.weight > 0).map(|(i, _)| i).collect();
        match list.len() {
            0 => Self::None(Unavailable::AllDrained),
            some if some == pool.len() => Self::All(all),
            _ => Self::Some(list),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::All(all) => all.get(),
            Self::Some(list) => list.len() as u64,
            Self::None(_) => 0,
        }
    }

    /// The eligible endpoint number `n mod len`.
    #[inline]
    pub(crate) fn nth(&self, n: u64) -> Result<usize, Unavailable> {
        match self {
            Self::All(all) => Ok((n % *all) as usize),
            Self::Some(list) => Ok(list[(n % list.len() as u64) as usize]),
            Self::None(why) => Err(*why),
        }
    }
}
