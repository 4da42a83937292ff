//! How much of its weight does a locality keep when some of its endpoints fail?

use crate::Share;

/// A locality: its weight, and its endpoints by health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct LocalityHealth {
    /// The weight given to it. With 0 it gets nothing, even if it alone is healthy.
    pub weight: u32,
    /// Its endpoints, excluded ones too.
    pub total: u32,
    /// Those of them that may be chosen.
    pub healthy: u32,
    /// Those of them whose health is not known yet.
    pub excluded: u32,
}

impl LocalityHealth {
    /// The weight times what its health allows (Envoy, `effectiveLocalityWeight`): with an overprovisioning of 140
    /// percent all of it down to 72 % of healthy endpoints. A choice among localities is made by these weights; hash
    /// policies do not use them.
    ///
    /// ```
    /// use lb_select::LocalityHealth;
    ///
    /// let locality = LocalityHealth { weight: 1, total: 100, healthy: 50, excluded: 0 };
    /// assert_eq!(locality.effective_weight(140), 0.7);
    /// ```
    pub fn effective_weight(&self, overprovisioning: u32) -> f64 {
        let known = self.total.saturating_sub(self.excluded);
        if known == 0 {
            return 0.0;
        }
        let ratio = f64::from(self.healthy) / f64::from(known);
        f64::from(self.weight) * (f64::from(overprovisioning) / 100.0 * ratio).min(1.0)
    }

    /// The same as a share of turns, exact unless it has more digits than a [`Share`]. `None` for 0.
    pub fn share(&self, overprovisioning: u32) -> Option<Share> {
        let known = u128::from(self.total.saturating_sub(self.excluded)) * 100;
        let available = (u128::from(overprovisioning) * u128::from(self.healthy)).min(known);
        // At most 96 and 39 bits: what does not fit in 64 is dropped from both.
        let numerator = u128::from(self.weight) * available;
        let excess = (u128::BITS - numerator.leading_zeros()).saturating_sub(u64::BITS);
        Share::new((numerator >> excess) as u64, (known >> excess) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_not_known_yet_do_not_count() {
        let locality = |excluded| LocalityHealth { weight: 2, total: 3, healthy: 1, excluded };
        assert_eq!(locality(2).effective_weight(140), 2.0);
        assert_eq!(locality(3).effective_weight(140), 0.0);
        assert_eq!(locality(9).effective_weight(140), 0.0);
    }
}
