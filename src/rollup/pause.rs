//! How long to wait before something that failed is tried again: growing, and never the same for two who failed
//! together. Where chance comes from is left to the caller.

use std::time::Duration;

/// The longest first pause.
pub const FIRST: Duration = Duration::from_secs(1);
/// The longest pause of all.
pub const LONGEST: Duration = Duration::from_secs(60);
/// The shortest pause: without it chance could have a dead server asked without end.
pub const SHORTEST: Duration = Duration::from_millis(100);
/// The longest that a server may ask for: what says more is mistaken.
pub const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// The pause after so many failures in a row, one at least: anything from [`SHORTEST`] to a bound that doubles each
/// time (full jitter). `chance` is any number.
pub fn pause(failures: u32, chance: u64) -> Duration {
    let bound =
        FIRST.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX)).min(LONGEST);
    let span = u64::try_from((bound - SHORTEST).as_millis()).unwrap_or(u64::MAX);
    SHORTEST + Duration::from_millis(chance % span.saturating_add(1))
}

/// The pause where a server said how long to wait.
pub fn asked(after: Duration) -> Duration {
    after.clamp(FIRST, LONGEST_ASKED)
}
