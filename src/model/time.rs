//! Instants and windows: the only two notions of time that the model knows. Asking the time is left to `clock`.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// An instant: nanoseconds since the Unix epoch, UTC. Reaches from 1677 to 2262; None of one takes no memory of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

/// What 1970 is held as: the middle, so that the order is that of the numbers held.
const EPOCH: u64 = 1 << 63;

impl Timestamp {
    /// The instant `nanos` nanoseconds after the Unix epoch; `i64::MIN` is taken as the one after.
    pub const fn from_nanos(nanos: i64) -> Self {
        match NonZeroU64::new(nanos.cast_unsigned() ^ EPOCH) {
            Some(held) => Self(held),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// The instant `seconds` after the Unix epoch; beyond the range of the type it is its end.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_nanos(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn nanos(self) -> i64 {
        (self.0.get() ^ EPOCH).cast_signed()
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.nanos().div_euclid(NANOS_PER_SECOND)
    }

    /// Nanoseconds from `earlier` to `self`; negative when `self` is the earlier one.
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.nanos().saturating_sub(earlier.nanos())
    }

    /// The instant `by` later.
    pub fn after(self, by: Duration) -> Self {
        Self::from_nanos(self.nanos().saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Default for Timestamp {
    /// The Unix epoch.
    fn default() -> Self {
        Self::from_nanos(0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timestamp").field(&self.nanos()).finish()
    }
}

/// The length of a window: at least [`Resolution::SHORTEST`], at most [`Resolution::LONGEST`], whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resolution(i64);

/// Why a duration is no resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is no resolution: give 5s to 1h in whole milliseconds, such as 30s",
    humantime::format_duration(*.0)
)]
pub struct BadResolution(pub Duration);

impl Resolution {
    /// Heapster refused less than 5 s (`metrics/heapster.go`); kubelets measure every 10 to 15 s.
    pub const SHORTEST: Duration = Duration::from_secs(5);
    /// An hour: four points would not fit into the default retention, so more is surely a slip.
    pub const LONGEST: Duration = Duration::from_secs(3600);

    /// A resolution of `length`.
    ///
    /// # Errors
    /// When it is shorter than 5 s, longer than an hour or not a whole number of milliseconds.
    pub fn new(length: Duration) -> Result<Self, BadResolution> {
        let whole = length.subsec_nanos().is_multiple_of(1_000_000);
        match i64::try_from(length.as_nanos()) {
            Ok(nanos) if whole && (Self::SHORTEST..=Self::LONGEST).contains(&length) => Ok(Self(nanos)),
            _ => Err(BadResolution(length)),
        }
    }

    /// The length in nanoseconds, always positive.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The length as a duration.
    pub fn duration(self) -> Duration {
        Duration::from_nanos(self.0.unsigned_abs())
    }

    /// The last window that has ended at `now`.
    pub const fn last_ended(self, now: Timestamp) -> Window {
        Window { index: now.nanos().div_euclid(self.0), resolution: self }
    }
}

/// A window of the grid: number k ends at k·R after the Unix epoch and begins R earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    index: i64,
    resolution: Resolution,
}

impl Window {
    /// The window's number on the grid.
    pub const fn index(self) -> i64 {
        self.index
    }

    /// The window `n` later, or earlier where `n` is negative.
    pub const fn step(self, n: i64) -> Self {
        Self { index: self.index.saturating_add(n), resolution: self.resolution }
    }

    /// The instant that stamps every point of the window.
    pub const fn end(self) -> Timestamp {
        Timestamp::from_nanos(self.index.saturating_mul(self.resolution.nanos()))
    }

    /// The grid that the window lies on.
    pub const fn resolution(self) -> Resolution {
        self.resolution
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "window {} ending at {}.{:03}s",
            self.index,
            self.end().seconds(),
            self.end().nanos().rem_euclid(NANOS_PER_SECOND) / 1_000_000
        )
    }
}
