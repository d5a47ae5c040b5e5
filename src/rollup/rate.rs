//! One rate from two samples of a counter, or the reason why there is none. Where the samples are kept is left to
//! [`super::node`].

use crate::model::metric::{Unit, to_u64};
use crate::model::time::{Resolution, Timestamp};
use std::time::Duration;

/// The youngest age at which an entity is rated from its start: less is mostly start-up
/// (metrics-server `freshContainerMinMetricsResolution`).
pub const FRESH: Duration = Duration::from_secs(10);

/// One reading of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What it stood at.
    pub value: u64,
    /// When the kubelet read it.
    pub at: Timestamp,
    /// When its entity started, if that is known.
    pub start: Option<Timestamp>,
}

/// How much in how long. Never negative, never infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    delta: u64,
    nanos: u64,
}

/// Why there is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoRate {
    /// The first sample of an entity that is no longer fresh.
    First,
    /// The entity started since the last sample and is not old enough to be rated from its start.
    Restarted,
    /// The same sample as before: the last rate holds.
    SameInstant,
    /// Older than the sample before it.
    Backwards,
    /// The counter went down although the entity did not start anew.
    Reset,
}

impl NoRate {
    /// Every reason, in the order in which they are counted.
    pub const ALL: [NoRate; 5] =
        [Self::First, Self::Restarted, Self::SameInstant, Self::Backwards, Self::Reset];

    /// The reason as a label of `/metrics`.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Restarted => "restarted",
            Self::SameInstant => "same_instant",
            Self::Backwards => "backwards",
            Self::Reset => "reset",
        }
    }
}

impl Rate {
    /// The rate as a metric of this unit holds it: whole millicores cut off as Heapster did, anything else in
    /// thousandths a second, rounded. The largest number where it would not fit.
    pub fn held_as(self, unit: Unit) -> u64 {
        let (factor, rounding) = match unit {
            Unit::Millicores => (1_000, 0),
            _ => (1_000_000_000_000, self.nanos / 2),
        };
        // Nearly always 64 bits will do, and then it costs a tenth.
        if let Some(held) = self.delta.checked_mul(factor).and_then(|part| part.checked_add(rounding)) {
            return held / self.nanos;
        }
        let held =
            (u128::from(self.delta) * u128::from(factor) + u128::from(rounding)) / u128::from(self.nanos);
        u64::try_from(held).unwrap_or(u64::MAX)
    }
}

/// The rate from `previous` to `next`, in a grid of windows of `resolution`.
///
/// An entity that has started since `previous` is rated from its start once it is [`FRESH`] and as long as it is
/// younger than a window. Start times that move without a restart (heapster#1846) do no harm.
///
/// ```
/// use heapster::model::{metric::Unit, time::{Resolution, Timestamp}};
/// use heapster::rollup::rate::{rate, Sample};
/// let resolution = Resolution::new(std::time::Duration::from_secs(60)).unwrap();
/// let sample = |value, second| Sample { value, at: Timestamp::from_seconds(second), start: None };
/// let before = sample(947_130_377_781, 0);
/// let after = sample(948_071_062_732, 60);
/// assert_eq!(rate(Some(before), after, resolution).unwrap().held_as(Unit::Millicores), 15);
/// ```
///
/// # Errors
/// The reason why no rate can be told.
pub fn rate(previous: Option<Sample>, next: Sample, resolution: Resolution) -> Result<Rate, NoRate> {
    let Some(previous) = previous else {
        return from_start(next, resolution).ok_or(NoRate::First);
    };
    // A kubelet's first sample of a pod may bear a time before its start: the same start is the same run.
    let anew = next.start != previous.start && next.start.is_some_and(|start| start > previous.at);
    if anew {
        return from_start(next, resolution).ok_or(NoRate::Restarted);
    }
    match u64::try_from(next.at.since(previous.at)) {
        Err(_) => Err(NoRate::Backwards),
        Ok(0) => Err(NoRate::SameInstant),
        Ok(nanos) => match next.value.checked_sub(previous.value) {
            Some(delta) => Ok(Rate { delta, nanos }),
            None => Err(NoRate::Reset),
        },
    }
}

fn from_start(next: Sample, resolution: Resolution) -> Option<Rate> {
    let age = u64::try_from(next.at.since(next.start?)).ok()?;
    let oldest = u64::try_from(resolution.nanos()).ok()?;
    let fresh = to_u64(FRESH.as_secs_f64() * 1e9)?;
    (fresh <= age && age < oldest).then_some(Rate { delta: next.value, nanos: age })
}
