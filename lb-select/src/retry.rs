//! Where does a request go that must not go where it went before?

use crate::{Choice, Pick, Policy, Reason, Unavailable};

/// Chooses again, up to `max_attempts` more times, while `refuse` does not like the endpoint; the last choice stands even
/// so, with [`Reason::TriedBefore`]. This is the *previous hosts* predicate of Envoy's retry policy.
///
/// Between attempts each policy goes on in its own way: a rotation moves on, random words are drawn anew, hash policies
/// go one further from the hash's own endpoint for each attempt. Attempts count from the pick's
/// [own number](Pick::attempt), which is restored.
///
/// To choose strictly among endpoints not tried yet, which nginx does, use [`Pick::excluding`] instead; so too for the
/// second copy of a hedged request.
///
/// ```
/// use lb_select::{Pick, Pool, Reason, RoundRobin, retry};
/// use std::time::Duration;
///
/// let pool = Pool::builder().endpoint("a", ()).endpoint("b", ()).build()?;
/// let policy = RoundRobin::new(&pool);
/// let mut words = || 0;
/// let mut pick = Pick::new(Duration::ZERO, &mut words);
/// assert_eq!(retry(&policy, &mut pick, 2, |index| index == 0)?.index, 1);
/// assert_eq!(retry(&policy, &mut pick, 2, |_| true)?.reason, Reason::TriedBefore);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of the policy, as soon as an attempt meets one.
pub fn retry(
    policy: &(impl Policy + ?Sized),
    pick: &mut Pick<'_>,
    max_attempts: u32,
    mut refuse: impl FnMut(usize) -> bool,
) -> Result<Choice, Unavailable> {
    let first = pick.attempt();
    let mut made = 0;
    let answer = loop {
        pick.set_attempt(first.saturating_add(made));
        match policy.pick(pick) {
            Ok(choice) if refuse(choice.index) => {
                if made == max_attempts {
                    break Ok(Choice { reason: Reason::TriedBefore, ..choice });
                }
                made += 1;
            }
            answer => break answer,
        }
    };
    pick.set_attempt(first);
    answer
}
