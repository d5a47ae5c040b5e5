//! The only place that asks the time. It tells wall time that runs as evenly as the monotonic clock; what is done with
//! it is left to whoever asks.

use crate::model::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// How far the machine's wall clock may stray from ours before we step after it.
const TOLERANCE: Duration = Duration::from_millis(500);

/// A clock that all parts of one process share. Cloning is cheap.
///
/// It is anchored to the machine's wall clock once and then advanced by the monotonic clock, so a stepped wall clock
/// makes no burst and no hole; [`Clock::follow`] is asked now and then to take over a step on purpose. Under a paused
/// tokio clock it moves with the pause.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    anchor: Arc<AtomicI64>,
    follows: bool,
}

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self { started: Instant::now(), anchor: Arc::new(AtomicI64::new(machine_nanos())), follows: true }
    }

    /// A clock that says `now` at this moment and never looks at the machine's wall clock.
    pub fn starting_at(now: Timestamp) -> Self {
        Self { started: Instant::now(), anchor: Arc::new(AtomicI64::new(now.nanos())), follows: false }
    }

    /// The wall time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.anchor.load(Ordering::Relaxed)).after(self.uptime())
    }

    /// Time since this clock was made, by the monotonic clock.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Looks at the machine's wall clock and steps after it when it has strayed by more than half a second.
    /// Returns the step in nanoseconds when one was made.
    pub fn follow(&self) -> Option<i64> {
        if !self.follows {
            return None;
        }
        let step = machine_nanos().saturating_sub(self.now().nanos());
        if step.unsigned_abs() <= TOLERANCE.as_nanos().try_into().unwrap_or(u64::MAX) {
            return None;
        }
        self.anchor.fetch_add(step, Ordering::Relaxed);
        Some(step)
    }
}

/// Nanoseconds since the Unix epoch by the machine's wall clock; zero before 1970, the type's end after 2262.
#[allow(clippy::disallowed_methods)]
fn machine_nanos() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
