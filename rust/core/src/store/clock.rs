//! What time it is: a monotonic clock for service, a manual one for tests and for replaying logged traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A source of nanoseconds since an arbitrary start; it never runs backwards.
///
/// Wall time is not offered: a clock that is set back would keep dead entries alive.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's monotonic clock, counted from the moment given.
    Monotonic(Instant),
    /// A clock that moves only when told to.
    Manual(ManualClock),
}

impl Clock {
    /// The system's monotonic clock, starting at zero now.
    #[must_use]
    pub fn monotonic() -> Self {
        Self::Monotonic(Instant::now())
    }

    /// Nanoseconds since the clock's start. A monotonic clock would pass `u64::MAX` after 584 years.
    #[must_use]
    #[inline]
    pub fn now(&self) -> u64 {
        match self {
            Self::Monotonic(start) => nanoseconds(start.elapsed()),
            Self::Manual(clock) => clock.now(),
        }
    }
}

/// A clock that moves only when told to; clones share one time.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Nanoseconds since the clock's start.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Move forward to `now` nanoseconds; a time in the past is ignored, as the clock never runs backwards.
    ///
    /// Returns whether the clock obeyed.
    #[must_use]
    pub fn set(&self, now: u64) -> bool {
        self.0.fetch_max(now, Ordering::AcqRel) <= now
    }

    /// Move forward by `step` nanoseconds.
    pub fn advance(&self, step: u64) {
        let add = |now: u64| Some(now.saturating_add(step));
        // The closure always gives a value, so the update cannot be refused.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
    }
}

/// A span in whole nanoseconds, at most `u64::MAX`.
#[must_use]
pub fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_is_shared_and_never_runs_backwards() {
        let clock = ManualClock::default();
        let store_side = Clock::Manual(clock.clone());
        clock.advance(5);
        assert_eq!(store_side.now(), 5);
        assert!(clock.set(9));
        assert!(!clock.set(3), "setting back must be refused");
        assert_eq!(store_side.now(), 9);
        clock.advance(u64::MAX);
        assert_eq!(store_side.now(), u64::MAX, "the end of time is not a wrap-around");
    }

    #[test]
    fn a_monotonic_clock_moves() {
        let clock = Clock::monotonic();
        let before = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.now() >= before + 1_000_000);
    }
}
