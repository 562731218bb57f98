use std::time::Duration;

use ring::rand::{SystemRandom, generate};

/// How long to wait between attempts: a random part ("full jitter") of a ceiling that doubles with each failure.
///
/// The randomness spreads the participants of a coordinator that restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The ceiling of the first wait; half a second by default.
    pub min: Duration,
    /// The highest ceiling; 30 seconds by default.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { min: Duration::from_millis(500), max: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The wait after `failures` failures in a row, from 1; `random` is spread evenly over all 64-bit numbers.
    #[must_use]
    pub fn wait(&self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let ceiling = self.min.saturating_mul(1 << doublings).min(self.max);
        let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        // The high half of a product is a number below `nanos`.
        let part = (u128::from(nanos) * u128::from(random)) >> 64;
        Duration::from_nanos(u64::try_from(part).unwrap_or(nanos))
    }
}

/// Counts failures in a row.
#[derive(Debug)]
pub(super) struct Attempts {
    backoff: Backoff,
    failures: u32,
    random: SystemRandom,
}

impl Attempts {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { backoff, failures: 0, random: SystemRandom::new() }
    }

    /// Counts a failure and says how long to wait.
    pub(super) fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        // Without randomness the full ceiling is a safe wait.
        let random =
            generate::<[u8; 8]>(&self.random).map_or(u64::MAX, |bytes| u64::from_le_bytes(bytes.expose()));
        self.backoff.wait(self.failures, random)
    }

    pub(super) const fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_below_a_ceiling_that_doubles_up_to_the_highest() {
        let backoff = Backoff::default();
        let ceilings = [(1, 500), (2, 1_000), (3, 2_000), (7, 30_000), (1_000, 30_000), (u32::MAX, 30_000)];
        for (failures, ceiling) in ceilings {
            let ceiling = Duration::from_millis(ceiling);
            let longest = backoff.wait(failures, u64::MAX);
            assert!(
                longest <= ceiling && longest + Duration::from_nanos(1) >= ceiling,
                "{failures}: {longest:?}"
            );
            assert_eq!(backoff.wait(failures, 0), Duration::ZERO);
            assert_eq!(backoff.wait(failures, 1 << 63), ceiling / 2);
        }
    }

    #[test]
    fn success_starts_again_at_the_first_ceiling() {
        let backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) };
        let mut attempts = Attempts::new(backoff);
        let before = (0..5).map(|_| attempts.failed()).max().unwrap();
        assert!(before <= Duration::from_secs(16));
        attempts.succeeded();
        assert!(attempts.failed() <= Duration::from_secs(1));
    }
}
