//! What time it is: a monotonic clock for service, a manual one for tests and for replaying logged traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Nanoseconds by which [`Clock::rough`] may lag behind. The kernel moves its coarse clock every 1 to 10 milliseconds;
/// the rest is for a machine that was paused.
const LAG: u64 = 1_000_000_000;

/// The last moment there is: the deadline of what never expires lies after it.
const END: u64 = u64::MAX - 1;

/// A source of nanoseconds since an arbitrary start; it never runs backwards.
///
/// Wall time is not offered: a clock that is set back would keep dead entries alive.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's monotonic clock.
    Monotonic(System),
    /// A clock that moves only when told to.
    Manual(ManualClock),
}

impl Clock {
    /// The system's monotonic clock.
    #[must_use]
    pub fn monotonic() -> Self {
        Self::Monotonic(System::start())
    }

    /// Nanoseconds since the clock's start. A monotonic clock would pass `u64::MAX` after 584 years.
    #[must_use]
    #[inline]
    pub fn now(&self) -> u64 {
        match self {
            Self::Monotonic(system) => system.now(),
            Self::Manual(clock) => clock.now(),
        }
    }

    /// A time not after now and less than [`LAG`] before it, for a fifth of the price.
    #[inline]
    fn rough(&self) -> u64 {
        match self {
            Self::Monotonic(system) => system.rough(),
            Self::Manual(clock) => clock.now(),
        }
    }

    /// The present, to compare deadlines with.
    #[inline]
    pub(crate) fn moment(&self) -> Moment<'_> {
        self.moment_at(self.rough())
    }

    /// The present, of which `rough` is known to have come.
    #[inline]
    pub(crate) fn moment_at(&self, rough: u64) -> Moment<'_> {
        Moment { rough, clock: self }
    }
}

/// A present that asks for the exact time only when a deadline is so near that it matters.
///
/// Asking costs as much as the rest of a lookup in a warm table, because it keeps the processor from working ahead.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    rough: u64,
    clock: &'a Clock,
}

impl Moment<'_> {
    /// A time that has come for certain.
    #[inline]
    pub(crate) fn rough(self) -> u64 {
        self.rough
    }

    /// Whether `deadline` has come.
    #[inline]
    pub(crate) fn has_reached(self, deadline: u64) -> bool {
        deadline <= self.rough.saturating_add(LAG) && deadline <= self.clock.now()
    }
}

#[cfg(target_os = "linux")]
pub use linux::System;
#[cfg(not(target_os = "linux"))]
pub use other::System;

#[cfg(target_os = "linux")]
mod linux {
    use rustix::time::{ClockId, clock_gettime};

    /// `CLOCK_MONOTONIC`, and `CLOCK_MONOTONIC_COARSE` for the rough time, since the clock was made.
    #[derive(Debug, Clone, Copy)]
    pub struct System {
        start: u64,
    }

    impl System {
        pub(super) fn start() -> Self {
            // The coarse reading, as no later rough reading may lie before the start.
            Self {
                start: read(ClockId::MonotonicCoarse),
            }
        }

        #[inline]
        pub(super) fn now(self) -> u64 {
            read(ClockId::Monotonic) - self.start
        }

        #[inline]
        pub(super) fn rough(self) -> u64 {
            read(ClockId::MonotonicCoarse) - self.start
        }
    }

    #[inline]
    #[expect(clippy::cast_sign_loss, reason = "time since boot is not negative")]
    fn read(clock: ClockId) -> u64 {
        let time = clock_gettime(clock);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::time::Instant;

    /// The standard library's monotonic clock, which has no rough reading.
    #[derive(Debug, Clone, Copy)]
    pub struct System(Instant);

    impl System {
        pub(super) fn start() -> Self {
            Self(Instant::now())
        }

        #[inline]
        pub(super) fn now(self) -> u64 {
            super::nanoseconds(self.0.elapsed())
        }

        #[inline]
        pub(super) fn rough(self) -> u64 {
            self.now()
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
        let now = now.min(END);
        self.0.fetch_max(now, Ordering::AcqRel) <= now
    }

    /// Move forward by `step` nanoseconds, at most to the end of time.
    pub fn advance(&self, step: u64) {
        let add = |now: u64| Some(now.saturating_add(step).min(END));
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
        assert_eq!(store_side.now(), END, "the end of time is not a wrap-around");
        assert!(
            !store_side.moment().has_reached(u64::MAX),
            "never is after the end of time"
        );
    }

    #[test]
    fn a_monotonic_clock_moves() {
        let clock = Clock::monotonic();
        let before = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.now() >= before + 1_000_000);
    }

    #[test]
    fn the_rough_time_lags_a_little_and_never_leads() {
        let clock = Clock::monotonic();
        for _ in 0..1000 {
            let rough = clock.rough();
            let now = clock.now();
            assert!(rough <= now && now - rough < LAG);
        }
    }

    #[test]
    fn a_moment_is_exact_about_near_deadlines() {
        let clock = ManualClock::default();
        clock.advance(LAG);
        let store_side = Clock::Manual(clock.clone());
        let moment = store_side.moment();
        assert!(moment.has_reached(LAG));
        assert!(!moment.has_reached(LAG + 1));
        clock.advance(1);
        assert!(
            moment.has_reached(LAG + 1),
            "the exact time is asked for now, not when the moment was taken"
        );
        assert!(!moment.has_reached(u64::MAX));
    }
}
