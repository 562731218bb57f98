use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use federated_core::time::Timestamp;

/// How far the system's clock may run from the time that really passes before it is taken to have been set.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The system's clock without its jumps: somebody who sets it must not end a round.
///
/// It follows the system's clock as long as that goes about as fast as time passes. When it jumps, this goes on from
/// where it was.
#[derive(Debug)]
pub(super) struct Clock {
    shown: Timestamp,
    read: Reading,
}

/// Both clocks of the system at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    wall: Timestamp,
    monotonic: Instant,
}

impl Reading {
    fn take() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX));
        Self { wall, monotonic: Instant::now() }
    }
}

impl Clock {
    pub(super) fn start() -> Self {
        let read = Reading::take();
        Self { shown: read.wall, read }
    }

    pub(super) fn now(&mut self) -> Timestamp {
        self.follow(Reading::take())
    }

    fn follow(&mut self, reading: Reading) -> Timestamp {
        let passed = reading.monotonic.saturating_duration_since(self.read.monotonic);
        let expected = self.read.wall.after(passed);
        let jump = reading.wall.since(expected).max(expected.since(reading.wall));
        let step = if jump > TOLERANCE { passed } else { reading.wall.since(self.read.wall) };
        if jump > TOLERANCE {
            tracing::warn!(?jump, "the system's clock was set; time-outs go on as if it had not been");
        }
        self.shown = self.shown.after(step);
        self.read = reading;
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_small_corrections_and_no_jumps() {
        let start = Instant::now();
        let reading = |wall: u64, passed: u64| Reading {
            wall: Timestamp::from_millis(wall),
            monotonic: start + Duration::from_millis(passed),
        };
        let read = reading(1_000_000, 0);
        let mut clock = Clock { shown: read.wall, read };
        let mut shows = |wall, passed| clock.follow(reading(wall, passed)).as_millis();
        assert_eq!(shows(1_000_900, 1_000), 1_000_900, "the system's clock is slowed down a little");
        assert_eq!(shows(9_000_000, 2_000), 1_001_900, "it is set forward");
        assert_eq!(shows(9_000_500, 2_500), 1_002_400, "and goes on from there");
        assert_eq!(shows(500_000, 3_500), 1_003_400, "it is set back");
        assert_eq!(shows(499_900, 3_500), 1_003_400, "it never shows an earlier moment");
    }
}
