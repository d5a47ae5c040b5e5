//! How an exporter does: in the log once for each thing that changes, in counters, and for `/api/v1/status`. Acting on it
//! is left to the exporter.

use crate::clock::Clock;
use crate::messages::SinkState;
use crate::model::time::Timestamp;
use crate::rollup::loss::{self, Losses, Word};
use crate::rollup::queue::{Item, Queue, Reason};
use crate::sinks::Refused;
use crate::spool::Left;
use crate::telemetry::{Telemetry, gauge};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use tokio::sync::watch;

/// What is said and counted of one exporter.
pub(super) struct Standing {
    clock: Clock,
    telemetry: Telemetry,
    state: watch::Sender<SinkState>,
    /// What was said and has not ended since.
    said: BTreeSet<Reason>,
    losses: Losses,
    current: SinkState,
    spool_fails: bool,
}

impl Standing {
    pub(super) fn new(
        name: String,
        spooled: bool,
        clock: Clock,
        telemetry: Telemetry,
        state: watch::Sender<SinkState>,
    ) -> Self {
        let current = SinkState { name, spooled, ..SinkState::default() };
        Self {
            clock,
            telemetry,
            state,
            said: BTreeSet::new(),
            losses: Losses::default(),
            current,
            spool_fails: false,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Files of an earlier process were found.
    pub(super) fn found(&self, left: &Left, folder: Option<&Path>) {
        let name = &self.current.name;
        if !left.whole.is_empty() {
            log::info!("sink {name}: {} windows wait that were left in its spool", left.whole.len());
        }
        if left.torn > 0 {
            log::warn!(
                "sink {name}: {} windows in its spool were not written to their end and are lost",
                left.torn
            );
        }
        if left.foreign > 0 {
            log::warn!(
                "sink {name}: {} files in its spool {:?} are no windows and are left alone; remove those that nobody needs",
                left.foreign,
                folder.unwrap_or(Path::new(""))
            );
        }
    }

    /// A window was written to a file, or could not be.
    pub(super) fn spooled(&mut self, written: &io::Result<usize>) {
        let name = &self.current.name;
        match written {
            Ok(_) if self.spool_fails => log::info!("sink {name}: its spool can be written again"),
            Err(error) if !self.spool_fails => {
                log::warn!("sink {name}: its spool cannot be written, windows wait in memory alone: {error}");
            }
            _ => {}
        }
        self.spool_fails = written.is_err();
        if written.is_err() {
            self.telemetry.sink_spool_failures.of([name, "write"]).inc();
        }
    }

    pub(super) fn not_removed(&self, error: &io::Error) {
        let name = &self.current.name;
        log::warn!(
            "sink {name}: a file of its spool cannot be removed, so it is sent again after a restart: {error}"
        );
        self.telemetry.sink_spool_failures.of([name, "remove"]).inc();
    }

    pub(super) fn unreadable(&self, id: u64, problem: &str) {
        let name = &self.current.name;
        log::warn!("sink {name}: file {id} of its spool cannot be read and is lost: {problem}");
        self.telemetry.sink_spool_failures.of([name, "read"]).inc();
    }

    /// A request was answered, or was not.
    pub(super) fn answered(&mut self, result: &Result<(), Refused>) {
        let name = self.current.name.clone();
        let (reason, why) = match result {
            Ok(()) => {
                self.telemetry.sink_requests.of([&name, "ok"]).inc();
                return;
            }
            Err(Refused::Later { reason, why, .. } | Refused::Never { reason, why, .. }) => (*reason, why),
            Err(Refused::TooLarge { why }) => ("too_large", why),
        };
        self.telemetry.sink_requests.of([&name, reason]).inc();
        if self.said.insert(reason) {
            match result {
                Err(Refused::Never { dropped, .. }) => {
                    log::warn!("sink {name}: {dropped} points were refused for good ({reason}): {why}");
                }
                Err(Refused::TooLarge { .. }) => {
                    log::info!("sink {name}: a request was too large, sending half as much at once: {why}");
                }
                _ => log::warn!("sink {name}: points wait ({reason}): {why}"),
            }
        }
        self.current.last_error = Some(format!("{reason}: {why}"));
        self.current.last_error_at = Some(self.clock.now());
    }

    /// A window is over and done with; `lost` is how many points had been dropped when it was taken in hand, `dropped` how
    /// many have been now.
    pub(super) fn finished(&mut self, refused: bool, lost: u64, dropped: u64) {
        self.current.dropping = dropped > lost;
        let name = &self.current.name;
        self.telemetry.exports.of([name, if refused { "refused" } else { "ok" }]).inc();
        if !refused && !self.said.is_empty() {
            if self.current.failures > 0 {
                log::info!("sink {name}: works again");
            }
            self.said.clear();
        }
    }

    /// Says what was dropped for want of room, now and then.
    fn say_losses(&mut self) {
        let name = &self.current.name;
        for (reason, word) in self.losses.look(&self.current.ledger, self.clock.now()) {
            let why = loss::advice(reason).unwrap_or_default();
            let every = humantime::format_duration(loss::EVERY);
            match word {
                Word::Began(points) => {
                    log::warn!("sink {name}: {points} points were dropped ({reason}): {why}")
                }
                Word::More(points) => log::warn!(
                    "sink {name}: {points} more points were dropped ({reason}) since that was last said: {why}"
                ),
                Word::Over(points) => log::info!(
                    "sink {name}: no points were dropped ({reason}) for {every}, after {points} that were"
                ),
            }
        }
    }

    /// Says how the queue stands.
    pub(super) fn tell<T>(&mut self, queue: &Queue<T>, hand: Option<&Item<T>>, failures: u32) {
        let oldest = hand.or_else(|| queue.waiting().next()).map(|item| item.end);
        let in_hand = hand.map_or((0, 0), |item| (item.memory, item.disk));
        let current = &mut self.current;
        current.dropping |= queue.ledger().lost() > current.ledger.lost();
        current.ledger = queue.ledger().clone();
        current.windows = queue.windows();
        current.memory_bytes = queue.memory() + in_hand.0;
        current.disk_bytes = queue.disk() + in_hand.1;
        current.oldest = oldest;
        current.failures = failures;
        let unspooled: u64 = queue.waiting().filter(|item| item.disk == 0).map(Item::points).sum();
        // What is under way of the window in hand is no longer to do, and may yet be lost.
        let in_hand = hand.filter(|item| item.disk == 0).map_or(0, |_| queue.in_hand());
        current.only_in_memory = unspooled + in_hand;
        self.state.send_replace(current.clone());
        self.say_losses();
        let current = &self.current;
        let (name, telemetry) = (&current.name, &self.telemetry);
        telemetry.export_queue.of([name]).set(gauge(current.windows));
        telemetry.sink_queue_bytes.of([name, "memory"]).set(gauge(current.memory_bytes));
        telemetry.sink_queue_bytes.of([name, "disk"]).set(gauge(current.disk_bytes));
        telemetry.sink_oldest.of([name]).set(oldest.map_or(0, Timestamp::seconds));
        let ledger = &current.ledger;
        telemetry.sink_queued.of([name]).set(i64::try_from(ledger.queued).unwrap_or(i64::MAX));
        let fates = [("made", ledger.made), ("recovered", ledger.recovered), ("delivered", ledger.delivered)];
        for (fate, total) in fates {
            let counter = telemetry.sink_points.of([name, fate]);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        for (reason, total) in &ledger.dropped {
            let counter = telemetry.sink_dropped.of([name, reason]);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }
}
