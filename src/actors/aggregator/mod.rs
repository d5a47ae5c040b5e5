//! The aggregator: takes in what scrapers bring, closes windows, sends them to the sinks, answers questions. Every
//! decision is [`Rollup`]'s.

mod handling;
mod nodes;

use crate::clock::Clock;
use crate::messages::{
    Ask, AskNodes, AskState, ClusterState, Drain, Export, InventoryChanged, NodeState, Scraped, Undiscovered,
};
use crate::model::entity::Name;
use crate::model::time::Window;
use crate::rollup::Rollup;
use crate::rollup::cluster::Batch;
use crate::telemetry::{Telemetry, gauge};
use actix::prelude::*;
use handling::{Handling, Message as Held};
use nodes::Nodes;
use std::sync::Arc;
use std::time::Duration;

/// How often it looks whether a window's time is up.
const LOOK: Duration = Duration::from_millis(250);
/// How many messages may wait, beside one for each sender.
const MAILBOX: usize = 1_024;

/// What is remembered of one cluster beside its history.
#[derive(Clone, Debug, Default)]
struct Standing {
    discovered: bool,
    undiscovered: Option<String>,
    unusable: usize,
    of_other_shards: usize,
    answered: usize,
    last: Option<(Window, Duration)>,
    uid: Option<Name>,
    /// The position of the cluster that it is under another name.
    same_as: Option<usize>,
}

/// The aggregator.
pub struct Aggregator {
    rollup: Rollup,
    names: Vec<Name>,
    standing: Vec<Standing>,
    nodes: Nodes,
    handling: Handling,
    exporters: Vec<(String, Recipient<Export>)>,
    clock: Clock,
    telemetry: Telemetry,
}

#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
struct Look;

#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
struct CloseNext;

impl Aggregator {
    /// An aggregator of these clusters that feeds these exporters, each with its sink's name.
    pub fn new(
        rollup: Rollup,
        names: Vec<Name>,
        exporters: Vec<(String, Recipient<Export>)>,
        clock: Clock,
        telemetry: Telemetry,
    ) -> Self {
        let standing = vec![Standing::default(); names.len()];
        let handling = Handling::new(clock.clone(), &telemetry);
        Self { rollup, names, standing, nodes: Nodes::default(), handling, exporters, clock, telemetry }
    }

    /// Finds out whether a cluster is collected under another name already: its points would be there twice.
    fn compare(&mut self, at: usize, uid: Option<Name>) {
        let same = self.standing.iter().take(at).position(|other| other.uid.is_some() && other.uid == uid);
        let Some(standing) = self.standing.get_mut(at) else { return };
        let known = std::mem::replace(&mut standing.same_as, same) == same;
        standing.uid = uid;
        let names = [Some(at), same].map(|at| at.and_then(|at| self.names.get(at)));
        if let ([Some(this), Some(other)], false) = (names, known) {
            log::error!(
                "{this} is the same cluster as {other}: kube-system has the same uid; its answers are not taken, leave one \
                 source out"
            );
        }
    }

    /// Whether a window was due and is closed. The next one has a message of its own, so that questions come in between.
    fn close_next(&mut self, context: &mut Context<Self>) -> bool {
        let batch = self.rollup.close_next(self.clock.now(), self.clock.uptime());
        let any = batch.is_some();
        if let Some(batch) = batch {
            self.closed(Arc::new(batch));
            context.notify(CloseNext);
        }
        any
    }

    fn closed(&mut self, batch: Arc<Batch>) {
        let cluster: &str = &batch.cluster;
        self.telemetry.windows.of([cluster]).inc();
        self.telemetry.carried.of([cluster]).set(gauge(batch.carried));
        self.telemetry.missing.of([cluster]).set(gauge(batch.missing));
        let at = self.names.iter().position(|name| *name == batch.cluster);
        if let Some(standing) = at.and_then(|at| self.standing.get_mut(at)) {
            standing.answered = batch.nodes.len();
            if !batch.nodes.is_empty() {
                standing.last = Some((batch.window, self.clock.uptime()));
                self.telemetry.last_window.of([cluster]).set(batch.window.end().seconds());
            }
        }
        for (name, held, _) in self.rollup.held() {
            self.telemetry.entities.of([name]).set(gauge(held.entities));
            self.telemetry.points.of([name]).set(gauge(held.points));
            self.telemetry.blocks.of([name]).set(gauge(held.blocks));
            self.telemetry.history_bytes.of([name]).set(gauge(held.bytes));
        }
        if batch.sums.is_none() {
            return;
        }
        for (sink, exporter) in &self.exporters {
            if exporter.try_send(Export(batch.clone())).is_err() {
                self.telemetry.exports.of([sink, "dropped_exporter_busy"]).inc();
            }
        }
    }
}

impl Actor for Aggregator {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(MAILBOX);
        context.notify_later(Look, LOOK);
    }
}

impl Handler<Look> for Aggregator {
    type Result = ();

    fn handle(&mut self, look: Look, context: &mut Context<Self>) {
        let began = self.handling.begin();
        if let Some(step) = self.clock.follow() {
            self.telemetry.clock_steps.inc();
            log::warn!("the machine's clock stepped by {} ms; following it", step / 1_000_000);
        }
        let closed = self.close_next(context);
        self.handling.done(if closed { Held::Closing } else { Held::Look }, began);
        context.notify_later(look, LOOK);
    }
}

impl Handler<CloseNext> for Aggregator {
    type Result = ();

    fn handle(&mut self, _: CloseNext, context: &mut Context<Self>) {
        let began = self.handling.begin();
        let closed = self.close_next(context);
        self.handling.done(if closed { Held::Closing } else { Held::Look }, began);
    }
}

impl Handler<InventoryChanged> for Aggregator {
    type Result = ();

    fn handle(&mut self, changed: InventoryChanged, _: &mut Context<Self>) {
        let began = self.handling.begin();
        let now = self.clock.now();
        if let Some(standing) = self.standing.get_mut(usize::from(changed.cluster.0)) {
            standing.discovered = true;
            standing.undiscovered = None;
            standing.unusable = changed.unusable.len();
            standing.of_other_shards = changed.of_other_shards;
        }
        self.compare(usize::from(changed.cluster.0), changed.uid);
        if let Some(name) = self.names.get(usize::from(changed.cluster.0)) {
            self.nodes.expect(changed.cluster, name, &changed.scraped, &changed.unusable);
        }
        self.rollup.expect(changed.cluster, changed.scraped, now);
        self.handling.done(Held::Inventory, began);
    }
}

impl Handler<Undiscovered> for Aggregator {
    type Result = ();

    fn handle(&mut self, undiscovered: Undiscovered, _: &mut Context<Self>) {
        let standing = self.standing.get_mut(usize::from(undiscovered.cluster.0));
        if let Some(standing) = standing.filter(|standing| !standing.discovered) {
            standing.undiscovered = Some(undiscovered.why);
        }
    }
}

impl Handler<Scraped> for Aggregator {
    type Result = ();

    fn handle(&mut self, scraped: Scraped, context: &mut Context<Self>) {
        let began = self.handling.begin();
        self.telemetry.mailbox.of(["aggregator"]).dec();
        let cluster = self.names.get(usize::from(scraped.cluster.0)).cloned().unwrap_or_default();
        self.nodes.scraped(&cluster, &scraped, began);
        let same_as = self.standing.get(usize::from(scraped.cluster.0)).and_then(|standing| standing.same_as);
        let outcome = match scraped.outcome {
            Ok(_) if same_as.is_some() => {
                self.rollup.missed(scraped.cluster, &scraped.node, scraped.window);
                "same_cluster"
            }
            Ok(took) => {
                self.telemetry.tally(&took.tally);
                self.rollup.took(scraped.cluster, &scraped.node, took.block, took.sums, began);
                "ok"
            }
            Err(missed) => {
                self.rollup.missed(scraped.cluster, &scraped.node, scraped.window);
                missed.as_label()
            }
        };
        self.telemetry.scrapes.of([&cluster, outcome]).inc();
        let closed = self.rollup.all_answered(scraped.cluster, scraped.window) && self.close_next(context);
        self.handling.done(if closed { Held::Closing } else { Held::Scraped }, began);
    }
}

impl Handler<Ask> for Aggregator {
    type Result = MessageResult<Ask>;

    fn handle(&mut self, ask: Ask, _: &mut Context<Self>) -> Self::Result {
        let began = self.handling.begin();
        let answer = self.rollup.answer(ask.cluster, &ask.query);
        self.handling.done(Held::of(&ask.query), began);
        MessageResult(answer)
    }
}

impl Handler<AskState> for Aggregator {
    type Result = MessageResult<AskState>;

    fn handle(&mut self, _: AskState, _: &mut Context<Self>) -> Self::Result {
        let now = self.handling.begin();
        let states =
            self.rollup.held().zip(&self.standing).map(|((name, held, scraped), standing)| ClusterState {
                name: name.clone(),
                same_as: standing.same_as.and_then(|at| self.names.get(at)).cloned(),
                discovered: standing.discovered,
                undiscovered: standing.undiscovered.clone(),
                scraped,
                unusable: standing.unusable,
                of_other_shards: standing.of_other_shards,
                answered: standing.answered,
                last_window: standing.last.map(|(window, _)| window),
                age: standing.last.map(|(_, at)| now.saturating_sub(at)),
                held,
            });
        let states = states.collect();
        self.handling.done(Held::State, now);
        MessageResult(states)
    }
}

impl Handler<AskNodes> for Aggregator {
    type Result = MessageResult<AskNodes>;

    fn handle(&mut self, _: AskNodes, _: &mut Context<Self>) -> Self::Result {
        let now = self.handling.begin();
        let states: Vec<NodeState> = self.nodes.states(now);
        self.handling.done(Held::State, now);
        MessageResult(states)
    }
}

impl Handler<Drain> for Aggregator {
    type Result = ();

    /// Closes what is due; questions are answered until the end.
    fn handle(&mut self, _: Drain, _: &mut Context<Self>) {
        for batch in self.rollup.close_due(self.clock.now(), self.clock.uptime()) {
            self.closed(Arc::new(batch));
        }
    }
}
