//! One sink's exporter: a bounded queue in front of it, in memory and in files, so that a slow or dead sink delays nobody
//! and what it cannot take now it gets later. How points are put there is left to the sink, which of them go when there
//! is no room to `rollup::queue`.

mod standing;

use crate::clock::Clock;
use crate::messages::{Drain, Export, SinkState};
use crate::rollup::cluster::Batch;
use crate::rollup::pause;
use crate::rollup::points::Numbered;
use crate::rollup::queue::{Item, Limits, Queue, Reason, TOO_LARGE};
use crate::rollup::stored;
use crate::sinks::{Refused, Sink, Slice};
use crate::spool::{Left, Spool};
use crate::telemetry::Telemetry;
use actix::prelude::*;
use standing::Standing;
use std::hash::BuildHasher;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// The longest pause once everything is to end.
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// A file that cannot be read back.
const UNREADABLE: Reason = "unreadable";
/// A file that was not written to its end.
const TORN: Reason = "torn";
/// The fewest points of a request that is made smaller for all that follow: less fits everywhere, and where it does not,
/// single points are what is too large.
const SMALLEST: usize = 100;
/// Points that a sink neither took nor refused. There are none.
const UNSETTLED: Reason = "unsettled";

/// What an exporter is made with.
pub struct Setup {
    /// The sink's name in logs and counters.
    pub name: String,
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// How much may wait.
    pub limits: Limits,
    /// Where it waits beside memory, and what was left there.
    pub spool: Option<(Spool, Left)>,
    /// The clock.
    pub clock: Clock,
    /// Where it counts.
    pub telemetry: Telemetry,
    /// Where it says how it does.
    pub state: watch::Sender<SinkState>,
}

/// One sink's exporter.
pub struct Exporter {
    sink: Box<dyn Sink>,
    queue: Queue<Arc<Batch>>,
    spool: Option<Spool>,
    /// The number of the next window where there is no spool.
    next_id: u64,
    /// The window that came last: the next shares with it what has not changed.
    newest: Weak<Batch>,
    hand: Option<Hand>,
    /// The most points of one request that the sink was found to take.
    most: usize,
    failures: u32,
    pausing: Option<SpawnHandle>,
    chance: foldhash::fast::RandomState,
    drained: Vec<oneshot::Sender<()>>,
    standing: Standing,
}

/// The window that is being put.
struct Hand {
    item: Item<Arc<Batch>>,
    /// Points that had been dropped when it was taken in hand.
    lost: u64,
    window: Rc<Numbered>,
    /// Requests under way.
    flying: usize,
    /// Whether the sink took or refused anything of it this time.
    moved: bool,
    /// Whether points of it were refused for good.
    refused: bool,
    /// Whether points of it were too many at once.
    halved: bool,
    /// Set once the rest must wait: for how long, where the sink said so.
    broken: Option<Option<Duration>>,
}

impl Exporter {
    /// An exporter in front of a sink.
    pub fn new(setup: Setup) -> Self {
        let most = setup.sink.most();
        let mut queue = Queue::new(setup.limits);
        let (spool, left) = setup.spool.unzip();
        let standing = Standing::new(setup.name, spool.is_some(), setup.clock, setup.telemetry, setup.state);
        let mut exporter = Self {
            sink: setup.sink,
            spool,
            next_id: 1,
            newest: Weak::new(),
            hand: None,
            most,
            failures: 0,
            pausing: None,
            chance: foldhash::fast::RandomState::default(),
            drained: Vec::new(),
            standing,
            queue: Queue::new(setup.limits),
        };
        if let Some(left) = left {
            exporter.standing.found(&left, exporter.spool.as_ref().map(Spool::folder));
            queue.recovered_broken(u64::try_from(left.torn_points).unwrap_or(u64::MAX), TORN);
            for found in left.whole {
                let item = Item {
                    id: found.id,
                    end: found.end,
                    value: None,
                    memory: 0,
                    disk: found.size,
                    hearsay: true,
                    todo: std::iter::once(0..found.points).collect(),
                };
                let unneeded = queue.recover(item);
                exporter.remove(unneeded);
            }
        }
        exporter.queue = queue;
        exporter
    }

    /// Puts a window into the queue, and into a file where there is room for one.
    fn enqueue(&mut self, batch: Arc<Batch>) {
        let points = Numbered::new(batch.clone(), self.sink.takes()).len();
        if points == 0 {
            return;
        }
        let (end, memory) = (batch.window.end(), batch.own_bytes(self.newest.upgrade().as_deref()));
        self.newest = Arc::downgrade(&batch);
        self.next_id += 1;
        let (mut id, mut disk) = (self.next_id, 0);
        if let Some(spool) = &mut self.spool {
            id = spool.next_id();
            let written = spool.put(id, end, points, &stored::write(&batch));
            self.standing.spooled(&written);
            disk = written.unwrap_or(0);
        }
        let todo = std::iter::once(0..points).collect();
        let unneeded =
            self.queue.push(Item { id, end, value: Some(batch), memory, disk, hearsay: false, todo });
        self.remove(unneeded);
    }

    fn remove(&mut self, files: impl IntoIterator<Item = u64>) {
        let Some(spool) = &mut self.spool else { return };
        for file in files {
            if let Err(error) = spool.remove(file) {
                self.standing.not_removed(&error);
            }
        }
    }

    /// Takes the oldest window in hand, unless there is one or it is not yet time.
    fn next(&mut self, context: &mut Context<Self>) {
        while self.hand.is_none() && self.pausing.is_none() {
            let Some(mut item) = self.queue.take() else { break };
            let batch = match item.value.clone().map_or_else(|| self.load(&item), Ok) {
                Ok(batch) => batch,
                Err(reason) => {
                    self.queue.done(reason);
                    self.remove([item.id]);
                    continue;
                }
            };
            let window = Rc::new(Numbered::new(batch.clone(), self.sink.takes()));
            if item.value.is_none() {
                item.memory = batch.own_bytes(None);
                item.value = Some(batch);
                if std::mem::take(&mut item.hearsay) {
                    item.todo = std::iter::once(0..window.len()).collect();
                    self.queue.recount(window.len());
                }
            }
            self.hand = Some(Hand {
                item,
                lost: self.queue.ledger().lost(),
                window,
                flying: 0,
                moved: false,
                refused: false,
                halved: false,
                broken: None,
            });
            self.go_on(context);
        }
        self.tell();
        self.answer_drained();
    }

    /// A window that is only in its file. Where it is lost, the reason.
    fn load(&mut self, item: &Item<Arc<Batch>>) -> Result<Arc<Batch>, Reason> {
        let bytes = self.spool.as_ref().ok_or(UNREADABLE)?.get(item.id);
        let torn = bytes.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof);
        let read = bytes.map_err(|error| error.to_string());
        let batch = read.and_then(|bytes| stored::read(&bytes).map_err(|error| error.to_string()));
        batch.map(Arc::new).map_err(|problem| {
            self.standing.unreadable(item.id, &problem);
            if torn { TORN } else { UNREADABLE }
        })
    }

    /// Sends as much of the window in hand as may be under way at once, or is done with it for now.
    fn go_on(&mut self, context: &mut Context<Self>) {
        let at_once = self.sink.concurrency();
        while let Some(hand) = &mut self.hand
            && hand.flying < at_once
            && hand.broken.is_none()
            && let Some(range) = next_piece(&mut hand.item.todo, self.most)
        {
            hand.flying += 1;
            let put = self.sink.put(Slice { window: hand.window.clone(), range: range.clone() });
            context.spawn(put.into_actor(self).map(move |result, exporter, context| {
                exporter.landed(range, result, context);
            }));
        }
        if self.hand.as_ref().is_some_and(|hand| hand.flying == 0)
            && let Some(hand) = self.hand.take()
        {
            self.put_down(hand, context);
        }
    }

    /// Takes in what became of a request.
    fn landed(&mut self, range: Range<usize>, result: Result<(), Refused>, context: &mut Context<Self>) {
        let Some(hand) = &mut self.hand else { return };
        hand.flying -= 1;
        self.standing.answered(&result);
        match result {
            Ok(()) => {
                hand.moved = true;
                self.queue.delivered(range.len());
            }
            Err(Refused::Never { reason, dropped, .. }) => {
                let dropped = dropped.min(range.len());
                (hand.moved, hand.refused) = (true, true);
                self.queue.dropped(reason, dropped);
                self.queue.delivered(range.len() - dropped);
            }
            Err(Refused::TooLarge { .. }) if range.len() <= 1 => {
                (hand.moved, hand.refused) = (true, true);
                self.queue.dropped(TOO_LARGE, range.len());
            }
            Err(Refused::TooLarge { .. }) => {
                let half = range.start + range.len() / 2;
                self.most = self.most.min((range.len() / 2).max(SMALLEST));
                hand.item.todo.insert(0, half..range.end);
                hand.item.todo.insert(0, range.start..half);
                hand.halved = true;
            }
            Err(Refused::Later { after, .. }) => {
                hand.item.todo.insert(0, range);
                hand.broken = Some(hand.broken.flatten().max(after));
            }
        }
        self.tell();
        self.go_on(context);
        self.next(context);
    }

    /// Is done with the window in hand, or puts it back until later.
    fn put_down(&mut self, hand: Hand, context: &mut Context<Self>) {
        if hand.moved {
            self.failures = 0;
        }
        let Some(after) = hand.broken else {
            self.failures = 0;
            if !hand.halved {
                // What was too large once, behind a proxy that has gone maybe, need not be for ever.
                self.most = self.most.saturating_mul(2).min(self.sink.most());
            }
            let id = hand.item.id;
            self.queue.done(UNSETTLED);
            self.remove([id]);
            self.standing.finished(hand.refused, hand.lost, self.queue.ledger().lost());
            return;
        };
        let unneeded = self.queue.requeue(hand.item);
        self.remove(unneeded);
        self.failures += 1;
        let own = pause::pause(self.failures, self.chance.hash_one(self.clock_nanos()));
        let mut wait = after.map_or(own, |after| after + own.min(LAST_PAUSE));
        if !self.drained.is_empty() {
            wait = wait.min(LAST_PAUSE);
        }
        self.pausing = Some(context.run_later(wait, |exporter, context| {
            exporter.pausing = None;
            exporter.next(context);
        }));
    }

    fn clock_nanos(&self) -> i64 {
        self.standing.now().nanos()
    }

    /// Answers whoever waits for the end: there is nothing left, or the sink is not to be had and all of it is in files.
    fn answer_drained(&mut self) {
        let safe = self.pausing.is_some() && self.queue.waiting().all(|item| item.disk > 0);
        if self.hand.is_none() && (safe || self.queue.windows() == 0) {
            for waiting in self.drained.drain(..) {
                // Whoever waited may have lost patience.
                let _ = waiting.send(());
            }
        }
    }

    /// Says how it does.
    fn tell(&mut self) {
        let hand = self.hand.as_ref().map(|hand| &hand.item);
        self.standing.tell(&self.queue, hand, self.failures);
    }
}

/// The first of the points that are left, at most so many.
fn next_piece(todo: &mut Vec<Range<usize>>, most: usize) -> Option<Range<usize>> {
    let first = todo.first_mut()?;
    let piece = first.start..first.end.min(first.start.saturating_add(most.max(1)));
    first.start = piece.end;
    if first.start >= first.end {
        todo.remove(0);
    }
    Some(piece)
}

impl Actor for Exporter {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.next(context);
    }
}

impl Handler<Export> for Exporter {
    type Result = ();

    fn handle(&mut self, Export(batch): Export, context: &mut Context<Self>) {
        self.enqueue(batch);
        self.next(context);
    }
}

impl Handler<Drain> for Exporter {
    type Result = ResponseFuture<()>;

    /// Answered once the queue is empty and the sink is idle, or the sink is not to be had and all is in files. What
    /// waits is tried once more at once.
    fn handle(&mut self, _: Drain, context: &mut Context<Self>) -> Self::Result {
        let (done, waiting) = oneshot::channel();
        self.drained.push(done);
        if let Some(pause) = self.pausing.take() {
            context.cancel_future(pause);
        }
        self.next(context);
        Box::pin(async move {
            // The sender is dropped only with the exporter: then there is nothing left to wait for.
            let _ = waiting.await;
        })
    }
}
