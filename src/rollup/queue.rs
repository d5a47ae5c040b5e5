//! What waits for one sink: bounded in memory and on disk, oldest dropped first, every point accounted for. Pure: what
//! is to be done to files is handed back, sending is left to the exporter actor.

use crate::model::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// The most bytes that may wait. What is in hand is not counted: it is one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In memory.
    pub memory: usize,
    /// In files.
    pub disk: usize,
}

/// Why a point was dropped, as `/metrics` counts it.
pub type Reason = &'static str;
/// The windows that wait would take more memory than they may.
pub const QUEUE_FULL: Reason = "queue_full";
/// The windows that wait would take more disk than they may.
pub const SPOOL_FULL: Reason = "spool_full";
/// A single point is more than the sink takes at once.
pub const TOO_LARGE: Reason = "too_large";

/// Where every point went: `made + recovered = delivered + queued + dropped`, always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Points of windows that were closed while this process ran.
    pub made: u64,
    /// Points that an earlier process left in files.
    pub recovered: u64,
    /// Points that the sink took.
    pub delivered: u64,
    /// Points that wait or are under way.
    pub queued: u64,
    /// Points that were dropped, by reason.
    pub dropped: BTreeMap<Reason, u64>,
}

impl Ledger {
    /// Points that were dropped, whatever the reason.
    pub fn lost(&self) -> u64 {
        self.dropped.values().sum()
    }

    fn drop(&mut self, reason: Reason, points: u64) {
        if points > 0 {
            self.queued -= points;
            *self.dropped.entry(reason).or_default() += points;
        }
    }
}

/// One window that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<T> {
    /// Its number, which is that of its file.
    pub id: u64,
    /// The end of the window.
    pub end: Timestamp,
    /// The window; None where it is only in its file.
    pub value: Option<T>,
    /// What the window takes of memory.
    pub memory: usize,
    /// What its file takes of the disk; 0 where there is none.
    pub disk: usize,
    /// Whether it is of an earlier process and was not read yet, so that how many points it has is only what that one said.
    pub hearsay: bool,
    /// The numbers of the points that the sink has not got yet.
    pub todo: Vec<Range<usize>>,
}

impl<T> Item<T> {
    /// How many points the sink has not got yet.
    pub fn points(&self) -> u64 {
        self.todo.iter().map(|range| u64::try_from(range.len()).unwrap_or(0)).sum()
    }
}

/// The queue in front of one sink.
#[derive(Debug)]
pub struct Queue<T> {
    limits: Limits,
    waiting: VecDeque<Item<T>>,
    /// Points of the window in hand that have met no fate yet.
    in_hand: Option<u64>,
    ledger: Ledger,
}

impl<T> Queue<T> {
    /// An empty queue.
    pub fn new(limits: Limits) -> Self {
        Self { limits, waiting: VecDeque::new(), in_hand: None, ledger: Ledger::default() }
    }

    /// Puts a window last. Gives the numbers of the files that are no longer needed.
    pub fn push(&mut self, item: Item<T>) -> Vec<u64> {
        self.ledger.made += item.points();
        self.ledger.queued += item.points();
        self.waiting.push_back(item);
        self.make_room()
    }

    /// Puts a window last that an earlier process left in a file. Gives the numbers of the files that are no longer
    /// needed.
    pub fn recover(&mut self, item: Item<T>) -> Vec<u64> {
        self.ledger.recovered += item.points();
        self.ledger.queued += item.points();
        self.waiting.push_back(item);
        self.make_room()
    }

    /// Counts points that were found to be lost before they could wait.
    pub fn recovered_broken(&mut self, points: u64, reason: Reason) {
        self.ledger.recovered += points;
        self.ledger.queued += points;
        self.ledger.drop(reason, points);
    }

    /// Takes the oldest window in hand. None where there is none, or one is in hand already.
    pub fn take(&mut self) -> Option<Item<T>> {
        if self.in_hand.is_some() {
            return None;
        }
        let item = self.waiting.pop_front()?;
        self.in_hand = Some(item.points());
        Some(item)
    }

    /// Counts points of the window in hand that the sink took.
    pub fn delivered(&mut self, points: usize) {
        let points = self.settle(points);
        self.ledger.queued -= points;
        self.ledger.delivered += points;
    }

    /// Counts points of the window in hand that no sink will ever get.
    pub fn dropped(&mut self, reason: Reason, points: usize) {
        let points = self.settle(points);
        self.ledger.drop(reason, points);
    }

    fn settle(&mut self, points: usize) -> u64 {
        let left = self.in_hand.unwrap_or(0);
        let points = u64::try_from(points).unwrap_or(u64::MAX).min(left);
        self.in_hand = self.in_hand.map(|left| left - points);
        points
    }

    /// Says how many points the window in hand, which an earlier process left, really has: the sink's options may have
    /// been others then.
    pub fn recount(&mut self, points: usize) {
        let (points, before) = (u64::try_from(points).unwrap_or(u64::MAX), self.in_hand.unwrap_or(0));
        self.ledger.recovered = self.ledger.recovered - before + points;
        self.ledger.queued = self.ledger.queued - before + points;
        self.in_hand = Some(points);
    }

    /// Puts the window in hand back, first. Gives the numbers of the files that are no longer needed.
    pub fn requeue(&mut self, item: Item<T>) -> Vec<u64> {
        self.in_hand = None;
        self.waiting.push_front(item);
        self.make_room()
    }

    /// Is done with the window in hand; what met no other fate was dropped for `reason`.
    pub fn done(&mut self, reason: Reason) {
        let left = self.in_hand.take().unwrap_or(0);
        self.ledger.drop(reason, left);
    }

    /// Brings what waits below the limits, the oldest first: files go, memory is given back by those that have a file, and
    /// then by dropping. So what is only in memory is never older than what is only in a file, unless no file could be
    /// written.
    fn make_room(&mut self) -> Vec<u64> {
        let mut unneeded = Vec::new();
        while self.disk() > self.limits.disk {
            let Some(at) = self.waiting.iter().position(|item| item.disk > 0) else { break };
            let Some(item) = self.waiting.get_mut(at) else { break };
            item.disk = 0;
            unneeded.push(item.id);
            if item.value.is_none() {
                self.drop_at(at, SPOOL_FULL);
            }
        }
        while self.memory() > self.limits.memory {
            let in_file = |item: &&mut Item<T>| item.value.is_some() && item.disk > 0;
            if let Some(item) = self.waiting.iter_mut().find(in_file) {
                item.value = None;
                item.memory = 0;
                continue;
            }
            let Some(at) = self.waiting.iter().position(|item| item.value.is_some()) else { break };
            self.drop_at(at, QUEUE_FULL);
        }
        unneeded
    }

    fn drop_at(&mut self, at: usize, reason: Reason) {
        if let Some(item) = self.waiting.remove(at) {
            self.ledger.drop(reason, item.points());
        }
    }

    /// Bytes of memory that wait.
    pub fn memory(&self) -> usize {
        self.waiting.iter().map(|item| item.memory).sum()
    }

    /// Bytes of files that wait.
    pub fn disk(&self) -> usize {
        self.waiting.iter().map(|item| item.disk).sum()
    }

    /// Windows that wait or are in hand.
    pub fn windows(&self) -> usize {
        self.waiting.len() + usize::from(self.in_hand.is_some())
    }

    /// Points of the window in hand that have met no fate yet, those under way among them; 0 where there is none.
    pub fn in_hand(&self) -> u64 {
        self.in_hand.unwrap_or(0)
    }

    /// The windows that wait, oldest first.
    pub fn waiting(&self) -> impl DoubleEndedIterator<Item = &Item<T>> {
        self.waiting.iter()
    }

    /// Where every point went.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}
