//! What is odd about an answer that can be read, in words with what would mend it: the same for the log, the status and
//! the doctor. What is left out of a block is left to [`super::node`].

use super::node::{Answer, Tally};
use crate::model::metric::Metric;
use crate::model::report::{Part, Report};
use crate::model::time::{NANOS_PER_SECOND, Timestamp};
use std::fmt;
use std::time::Duration;

/// How many seconds a kubelet's clock may be off, or its newest figures old, before it is odd.
pub const CLOCK_OFF: u64 = 60;
/// The same of the age of its newest figures: kubelets measure every 10 to 15 s.
pub const OLD: u64 = 120;
/// The longest name that a kubelet gives itself and that is shown.
const SHOWN: usize = 253;

/// Something odd about an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// The kubelet's clock is so many seconds ahead of ours; negative where it is behind.
    Clock(i64),
    /// Its newest figures are so many seconds old.
    Old(u64),
    /// It gives itself this name instead of its node's.
    OtherNode(String),
    /// It tells of so many pods of other nodes.
    ForeignPods(usize),
    /// It has told for a while of so many pods that the API server does not know.
    UnknownPods(usize),
    /// So many leaves of it are no number that a metric can hold.
    Broken(u64),
}

impl Oddity {
    /// Whether it is of the same kind as another.
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Whether once says nothing: the kubelet of a pod that moved to another node tells of it for some seconds.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::ForeignPods(_))
    }

    /// What to do about it.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::Clock(_) => "set the clock of that node, or of the machine that Heapster runs on",
            Self::Old(_) => "look at the kubelet's log, and at that of the node's container runtime",
            Self::OtherNode(_) => "look whether two nodes have the same address, or the kubelet was renamed",
            Self::ForeignPods(_) => "they do not count: look whether two nodes have the same address",
            Self::UnknownPods(_) => "they do not count: look at the kubelet's log and its static pods",
            Self::Broken(_) => "the others count: look at the kubelet's version, or for a proxy in between",
        }
    }
}

/// What it is, without what to do about it.
impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |seconds: u64| humantime::format_duration(Duration::from_secs(seconds));
        match self {
            Self::Clock(ahead) => {
                let side = if *ahead < 0 { "behind" } else { "ahead of" };
                write!(f, "its clock is {} {side} ours", shown(ahead.unsigned_abs()))
            }
            Self::Old(age) => write!(f, "its newest figures are {} old", shown(*age)),
            Self::OtherNode(name) => write!(f, "it calls itself {name:?}"),
            Self::ForeignPods(count) => write!(f, "pods of other nodes in its answer: {count}"),
            Self::UnknownPods(count) => {
                write!(f, "pods in its answer that the API server does not know: {count}")
            }
            Self::Broken(count) => write!(f, "numbers in its answer are broken: {count}"),
        }
    }
}

impl Oddity {
    /// What it is and what to do about it.
    pub fn advice(&self) -> String {
        format!("{self}; {}", self.fix())
    }
}

/// By how many seconds a clock that told whole seconds is ahead; 0 where that is within what such a telling and a slow
/// answer come to.
pub fn skew(told: Timestamp, now: Timestamp) -> i64 {
    let ahead = told.since(now).saturating_add(NANOS_PER_SECOND / 2);
    if ahead.unsigned_abs() <= 1_500_000_000 {
        0
    } else {
        (ahead + NANOS_PER_SECOND / 2).div_euclid(NANOS_PER_SECOND)
    }
}

/// A name as far as it may be one of a node (RFC 1123): whatever else a kubelet was sent is not repeated.
fn shown(name: &str) -> &str {
    let may_be = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if name.len() <= SHOWN && name.bytes().all(may_be) { name } else { "…" }
}

/// When the newest figures of a report were measured, by the kubelet's clock.
fn newest(report: &Report<'_>) -> Option<Timestamp> {
    let whole = report.rows().iter().filter(|row| row.part == Part::Whole);
    let values = whole.flat_map(|row| report.values(row));
    let times = values
        .filter(|(metric, _)| matches!(metric, Metric::CpuTime | Metric::MemoryTime | Metric::NetworkTime));
    times.filter_map(|(_, held)| i64::try_from(*held).ok()).max().map(Timestamp::from_nanos)
}

/// What is odd about an answer that left `tally` out of its block. `skew` is by how many seconds the kubelet's clock is
/// ahead, where it told.
pub fn oddities(answer: &Answer<'_>, tally: &Tally, skew: Option<i64>) -> Vec<Oddity> {
    let mut found = Vec::new();
    if let Some(ahead) = skew.filter(|ahead| ahead.unsigned_abs() > CLOCK_OFF) {
        found.push(Oddity::Clock(ahead));
    }
    // The legacy source asks for what was before the window's end.
    let end = answer.window.end().nanos().saturating_add(skew.unwrap_or(0).saturating_mul(NANOS_PER_SECOND));
    let age = newest(answer.report).map(|newest| Timestamp::from_nanos(end).since(newest) / NANOS_PER_SECOND);
    if let Some(age) = age.and_then(|age| u64::try_from(age).ok()).filter(|age| *age > OLD) {
        found.push(Oddity::Old(age));
    }
    if let Some(claimed) = answer.report.claimed_node.filter(|_| tally.other_node_claimed > 0) {
        found.push(Oddity::OtherNode(shown(claimed).to_owned()));
    }
    let counts = [
        (answer.foreign.len(), Oddity::ForeignPods(answer.foreign.len())),
        (answer.strangers.len(), Oddity::UnknownPods(answer.strangers.len())),
        (usize::from(tally.broken_leaves > 0), Oddity::Broken(tally.broken_leaves)),
    ];
    found.extend(counts.into_iter().filter(|(count, _)| *count > 0).map(|(_, oddity)| oddity));
    found
}
