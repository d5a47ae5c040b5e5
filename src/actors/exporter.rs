//! One sink's exporter: a bounded queue in front of it, so that a slow sink delays nobody. How a window is put there is
//! left to the sink.

use crate::messages::{Drain, Export};
use crate::rollup::cluster::Batch;
use crate::sinks::{Sink, SinkError};
use crate::telemetry::{Telemetry, gauge};
use actix::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How many windows wait for a sink before the oldest makes room.
pub const QUEUE: usize = 16;

/// One sink's exporter.
pub struct Exporter {
    name: String,
    sink: Option<Box<dyn Sink>>,
    queue: VecDeque<Arc<Batch>>,
    telemetry: Telemetry,
    failing: bool,
    drained: Vec<oneshot::Sender<()>>,
    within: Duration,
}

impl Exporter {
    /// An exporter in front of `sink`, whose name is shown in logs and counters; it waits for it without end.
    pub fn new(name: String, sink: Box<dyn Sink>, telemetry: Telemetry) -> Self {
        Self {
            name,
            sink: Some(sink),
            queue: VecDeque::new(),
            telemetry,
            failing: false,
            drained: Vec::new(),
            within: Duration::MAX,
        }
    }

    /// The same one, giving up a window that takes its sink longer than this.
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// Gives the sink the oldest window, unless it is still busy.
    fn next(&mut self, context: &mut Context<Self>) {
        self.telemetry.export_queue.of([&self.name]).set(gauge(self.queue.len()));
        if self.sink.is_none() {
            return;
        }
        let Some(batch) = self.queue.pop_front() else {
            for waiting in self.drained.drain(..) {
                // Whoever waited may have lost patience.
                let _ = waiting.send(());
            }
            return;
        };
        let Some(mut sink) = self.sink.take() else { return };
        let within = self.within;
        let export = async move {
            let result = tokio::time::timeout(within, sink.export(batch)).await.unwrap_or_else(|_| {
                Err(SinkError(format!("not done within {}", humantime::format_duration(within))))
            });
            (sink, result)
        };
        context.spawn(export.into_actor(self).map(|(sink, result), exporter, context| {
            exporter.sink = Some(sink);
            exporter.note(result);
            exporter.next(context);
        }));
    }

    fn note(&mut self, result: Result<(), SinkError>) {
        let outcome = if result.is_ok() { "ok" } else { "failed" };
        self.telemetry.exports.of([&self.name, outcome]).inc();
        match (result, self.failing) {
            (Err(error), false) => log::warn!("sink {}: {error}", self.name),
            (Ok(()), true) => log::info!("sink {}: works again", self.name),
            _ => {}
        }
        self.failing = outcome != "ok";
    }
}

impl Actor for Exporter {
    type Context = Context<Self>;
}

impl Handler<Export> for Exporter {
    type Result = ();

    fn handle(&mut self, Export(batch): Export, context: &mut Context<Self>) {
        if self.queue.len() >= QUEUE {
            self.queue.pop_front();
            self.telemetry.exports.of([&self.name, "dropped_queue_full"]).inc();
        }
        self.queue.push_back(batch);
        self.next(context);
    }
}

impl Handler<Drain> for Exporter {
    type Result = ResponseFuture<()>;

    /// Answered once the queue is empty and the sink is idle.
    fn handle(&mut self, _: Drain, context: &mut Context<Self>) -> Self::Result {
        let (done, waiting) = oneshot::channel();
        self.drained.push(done);
        self.next(context);
        Box::pin(async move {
            // The sender is dropped only with the exporter: then there is nothing left to wait for.
            let _ = waiting.await;
        })
    }
}
