//! When whom is asked, for which window, and when a window is closed. Waiting is left to `actors`.

use crate::model::time::{Resolution, Timestamp, Window};
use std::time::Duration;

/// Turns begin at multiples of this after a window's end.
const BEAT: Duration = Duration::from_millis(100);
/// The longest over which the first scrapes after a start are spread.
const LONGEST_START: Duration = Duration::from_secs(2);

/// The timetable of one resolution.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    resolution: Resolution,
}

impl Schedule {
    /// The longest that one scrape may take.
    pub const LONGEST_SCRAPE: Duration = Duration::from_secs(10);

    /// The timetable of this resolution.
    pub const fn new(resolution: Resolution) -> Self {
        Self { resolution }
    }

    /// The resolution.
    pub const fn resolution(self) -> Resolution {
        self.resolution
    }

    /// How long after a window's end a node is asked: the same after every restart, and spread evenly over the first
    /// half of the next window, ten times a second: a few answers taken together cost less than each on its own.
    pub fn offset(self, source: &str, node: &str) -> Duration {
        let beats = self.half().as_millis() / BEAT.as_millis();
        let beat = (u128::from(stable_hash(source, node)) * beats) >> 64;
        BEAT * u32::try_from(beat).unwrap_or(0)
    }

    /// How long after it was found a node is asked for the first time: at most two seconds.
    pub fn first_delay(self, source: &str, node: &str) -> Duration {
        self.offset(source, node).mul_f64(self.first_spread().as_secs_f64() / self.half().as_secs_f64())
    }

    /// How long after a start every node has answered for the first time or failed.
    pub fn first_scrapes_within(self) -> Duration {
        self.first_spread() + self.deadline() + self.margin() / 2
    }

    fn first_spread(self) -> Duration {
        LONGEST_START.min(self.half() / 2)
    }

    /// How long one scrape may take in all, body included.
    pub fn deadline(self) -> Duration {
        Self::LONGEST_SCRAPE.min(self.half().saturating_sub(self.margin()))
    }

    /// The instant at which a window is closed although not every node has answered.
    pub fn closes_at(self, window: Window) -> Timestamp {
        window.end().after(self.half() + self.deadline() + self.margin() / 2)
    }

    /// The next turn of a node after `now`: the first window later than `last` whose turn is still to come, and how
    /// long until then. A clock that stepped back begins anew rather than waiting for `last` to come again.
    pub fn next_turn(self, now: Timestamp, offset: Duration, last: Window) -> (Window, Duration) {
        let behind = Timestamp::from_nanos(now.nanos().saturating_sub(nanos(offset)));
        let mut window = self.resolution.last_ended(behind).step(1);
        if window == last {
            window = window.step(1);
        }
        let wait = window.end().after(offset).since(now);
        (window, Duration::from_nanos(u64::try_from(wait).unwrap_or(0)))
    }

    fn half(self) -> Duration {
        self.resolution.duration() / 2
    }

    /// What is left free so that one window's last answers are in before the next one's first are due.
    fn margin(self) -> Duration {
        (self.resolution.duration() / 10).min(Duration::from_secs(1))
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// FNV-1a over both names, then mixed so that names that differ in their last letter land far apart.
fn stable_hash(source: &str, node: &str) -> u64 {
    let bytes = source.bytes().chain([0]).chain(node.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}
