//! One cluster's discovery: follows what the API server's watches tell and keeps one scraper for each usable node. How
//! a scraper is made is left to `topology`.

use crate::client::kubernetes::{Told, Trouble};
use crate::clock::Clock;
use crate::messages::{Assigned, Drain, Foreign, InventoryChanged, Retired, Undiscovered, WhichAreForeign};
use crate::model::Map;
use crate::model::entity::{ClusterId, Name};
use crate::model::inventory::{Change, Inventory, NodeFacts, NodeInventory, PodFacts, PodName, Unusable};
use crate::model::shard::Shard;
use crate::model::share::Share;
use crate::telemetry::{Telemetry, gauge};
use actix::prelude::*;
use futures_util::stream::BoxStream;
use std::sync::Arc;
use std::time::Duration;

/// How long changes are gathered before scrapers hear of them: a rolling update makes dozens a second.
const GATHER: Duration = Duration::from_millis(100);
/// How long scraping waits for the list of pods once the nodes are known.
const WAIT_FOR_PODS: Duration = Duration::from_secs(5);
/// How often a drain looks whether the scrapers are done.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The addresses of one scraper.
#[derive(Clone, Debug)]
pub struct ScraperHandle {
    /// Told what to scrape by.
    pub assigned: Recipient<Assigned>,
    /// Told to end.
    pub retired: Recipient<Retired>,
    /// Told to finish.
    pub drain: Recipient<Drain>,
}

/// Makes a scraper for a node.
pub type MakeScraper = Box<dyn Fn(Arc<NodeInventory>, Recipient<WhichAreForeign>) -> ScraperHandle>;

/// One cluster's discovery.
pub struct Discovery {
    cluster: ClusterId,
    name: Name,
    told: Option<BoxStream<'static, Told>>,
    make_scraper: MakeScraper,
    aggregator: Recipient<InventoryChanged>,
    undiscovered: Option<Recipient<Undiscovered>>,
    clock: Clock,
    telemetry: Telemetry,
    inventory: Inventory,
    /// What of the cluster is ours; None for all of it.
    share: Option<Share>,
    scrapers: Map<Name, ScraperHandle>,
    unusable: Map<Name, Unusable>,
    /// What was said of each watch that fails, so that each reason is said once.
    failing: Map<&'static str, Vec<Trouble>>,
    nodes_since: Option<Duration>,
    gathering: bool,
    /// Whether the aggregator does not know yet which nodes are scraped.
    nodes_changed: bool,
    /// The cluster's uid as the aggregator was told it.
    uid: Option<Name>,
    /// How many nodes other shards have, as the aggregator was told it.
    left: usize,
    draining: bool,
}

/// Time to act on what was gathered.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
struct Flush;

impl Discovery {
    /// A discovery that follows `told`.
    pub fn new(
        cluster: ClusterId,
        name: Name,
        told: BoxStream<'static, Told>,
        make_scraper: MakeScraper,
        aggregator: Recipient<InventoryChanged>,
        clock: Clock,
        telemetry: Telemetry,
    ) -> Self {
        Self {
            cluster,
            name,
            told: Some(told),
            make_scraper,
            aggregator,
            undiscovered: None,
            clock,
            telemetry,
            inventory: Inventory::default(),
            share: None,
            scrapers: Map::default(),
            unusable: Map::default(),
            failing: Map::default(),
            nodes_since: None,
            gathering: false,
            nodes_changed: true,
            uid: None,
            left: 0,
            draining: false,
        }
    }

    /// Has this recipient hear why there is nothing to scrape yet.
    pub fn telling(mut self, undiscovered: Recipient<Undiscovered>) -> Self {
        self.undiscovered = Some(undiscovered);
        self
    }

    /// Has it leave the nodes of other shards to them.
    pub fn of_shard(mut self, shard: Option<Shard>) -> Self {
        self.share = shard.map(Share::new);
        self
    }

    fn node(&mut self, change: Change<NodeFacts>) {
        let ours = match &mut self.share {
            Some(share) => share.node(change),
            None => Some(change),
        };
        if let Some(change) = ours {
            self.inventory.node(change);
        }
    }

    fn pod(&mut self, change: Change<PodFacts>) {
        let ours = match &mut self.share {
            Some(share) => share.pod(change),
            None => Some(change),
        };
        if let Some(change) = ours {
            self.inventory.pod(change);
        }
    }

    /// How many nodes are left to other shards.
    fn left_to_others(&self) -> usize {
        self.share.as_ref().map_or(0, Share::nodes_of_others)
    }

    fn gather(&mut self, context: &mut Context<Self>) {
        if !self.gathering {
            self.gathering = true;
            context.notify_later(Flush, GATHER);
        }
    }

    /// Says that a watch fails, once for each reason.
    fn fails(&mut self, kind: &'static str, trouble: Trouble) {
        if let Some(aggregator) = self.undiscovered.as_ref().filter(|_| !self.inventory.nodes_known()) {
            // One that is busy is told by the next failure.
            let _ = aggregator.try_send(Undiscovered { cluster: self.cluster, why: trouble.to_string() });
        }
        let said = self.failing.entry(kind).or_default();
        if said.iter().any(|before| before.is_like(&trouble)) {
            return;
        }
        match said.is_empty() {
            true => log::warn!("{}: watching {kind} fails, trying again: {trouble}", self.name),
            false => log::warn!("{}: watching {kind} fails otherwise now: {trouble}", self.name),
        }
        said.push(trouble);
    }

    /// Says once that a watch works again.
    fn works(&mut self, kind: &'static str) {
        if self.failing.remove(kind).is_some() {
            log::info!("{}: watching {kind} works again", self.name);
        }
    }

    /// Whether enough is known to scrape: nodes and pods, or nodes for a while.
    fn is_ready(&mut self) -> bool {
        if !self.inventory.nodes_known() {
            return false;
        }
        let now = self.clock.uptime();
        let since = *self.nodes_since.get_or_insert(now);
        self.inventory.is_complete() || now.saturating_sub(since) >= WAIT_FOR_PODS
    }

    /// Brings the scrapers in line with one node. False where one could not be told.
    fn follow(&mut self, node: &Name, context: &mut Context<Self>) -> bool {
        let inventory = self.inventory.of_node(node);
        let unusable = inventory.as_ref().and_then(|inventory| inventory.node.address.err());
        match (unusable, self.unusable.get(node)) {
            (Some(reason), before) if before != Some(&reason) => {
                log::warn!("{}: node {node} is not scraped: {}", self.name, reason.advice());
                self.unusable.insert(node.clone(), reason);
                self.nodes_changed = true;
            }
            (None, Some(_)) => {
                if inventory.is_some() {
                    log::info!("{}: node {node} is scraped again", self.name);
                }
                self.unusable.remove(node);
                self.nodes_changed = true;
            }
            _ => {}
        }
        match (inventory.filter(|_| unusable.is_none()), self.scrapers.get(node)) {
            (Some(inventory), Some(scraper)) => {
                scraper.assigned.try_send(Assigned(Arc::new(inventory))).is_ok()
            }
            (Some(inventory), None) => {
                let scraper = (self.make_scraper)(Arc::new(inventory), context.address().recipient());
                self.scrapers.insert(node.clone(), scraper);
                self.nodes_changed = true;
                true
            }
            (None, Some(scraper)) => {
                let told = scraper.retired.try_send(Retired).is_ok();
                if told {
                    self.scrapers.remove(node);
                    self.nodes_changed = true;
                }
                told
            }
            (None, None) => true,
        }
    }

    /// Tells the aggregator which nodes are scraped, where that has changed. False where it could not be told.
    fn tell_aggregator(&mut self) -> bool {
        let (nodes, pods, namespaces) = self.inventory.counts();
        let name: &str = &self.name;
        let count = |label| gauge(self.unusable.values().filter(|each| each.as_label() == label).count());
        self.telemetry.nodes.of([name, "scraped"]).set(gauge(self.scrapers.len()));
        self.telemetry.nodes.of([name, "known"]).set(gauge(nodes));
        let left = self.left_to_others();
        if self.share.is_some() {
            self.telemetry.nodes.of([name, "of_other_shards"]).set(gauge(left));
        }
        for reason in Unusable::LABELS {
            self.telemetry.nodes.of([name, reason]).set(count(reason));
        }
        self.telemetry.pods.of([name]).set(gauge(pods));
        self.telemetry.namespaces.of([name]).set(gauge(namespaces));
        let uid = self.inventory.cluster_uid();
        if !self.nodes_changed && uid == self.uid.as_ref() && left == self.left {
            return true;
        }
        self.uid = uid.cloned();
        self.left = left;
        let changed = InventoryChanged {
            cluster: self.cluster,
            scraped: self.scrapers.keys().cloned().collect(),
            unusable: self.unusable.iter().map(|(name, reason)| (name.clone(), *reason)).collect(),
            pods,
            namespaces,
            of_other_shards: left,
            uid: self.uid.clone(),
        };
        self.nodes_changed = self.aggregator.try_send(changed).is_err();
        !self.nodes_changed
    }
}

impl Actor for Discovery {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        if let Some(told) = self.told.take() {
            context.add_stream(told);
        }
    }
}

impl StreamHandler<Told> for Discovery {
    fn handle(&mut self, told: Told, context: &mut Context<Self>) {
        match told {
            Told::Node(change) => self.node(change),
            Told::Pod(change) => self.pod(change),
            Told::Namespace(change) => self.inventory.namespace(change),
            Told::Failed(kind, trouble) => {
                self.telemetry.watch_failures.of([&self.name, kind]).inc();
                self.fails(kind, trouble);
            }
            Told::Waits(kind, trouble) => self.fails(kind, trouble),
            Told::Works(kind) => self.works(kind),
        }
        self.gather(context);
    }

    /// The watches never end by themselves; where a test's do, what was found stays.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<Flush> for Discovery {
    type Result = ();

    fn handle(&mut self, _: Flush, context: &mut Context<Self>) {
        self.gathering = false;
        if self.draining {
            return;
        }
        if !self.is_ready() {
            if self.nodes_since.is_some() {
                self.gather(context);
            }
            return;
        }
        let touched = self.inventory.take_touched();
        let mut again = Vec::new();
        for node in touched {
            if !self.follow(&node, context) {
                again.push(node);
            }
        }
        let told = self.tell_aggregator();
        if !told || !again.is_empty() {
            self.inventory.touch(again);
            self.gather(context);
        }
    }
}

impl Handler<WhichAreForeign> for Discovery {
    type Result = MessageResult<WhichAreForeign>;

    fn handle(&mut self, ask: WhichAreForeign, _: &mut Context<Self>) -> Self::Result {
        let theirs = |pod: &PodName| self.share.as_ref().is_some_and(|share| share.is_of_others(pod));
        let foreign =
            |pod: &PodName| self.inventory.node_of(pod).map_or_else(|| theirs(pod), |node| *node != ask.node);
        let others_unknown = self.inventory.pods_known() && !self.failing.contains_key("pods");
        MessageResult(Foreign { pods: ask.pods.into_iter().filter(foreign).collect(), others_unknown })
    }
}

impl Handler<Drain> for Discovery {
    type Result = ResponseFuture<()>;

    /// Answered once every scraper has finished what it had begun.
    fn handle(&mut self, drain: Drain, _: &mut Context<Self>) -> Self::Result {
        self.draining = true;
        let scrapers: Vec<ScraperHandle> = self.scrapers.drain().map(|(_, scraper)| scraper).collect();
        // One that cannot be told now is ended with its thread.
        let told: Vec<_> =
            scrapers.into_iter().filter(|scraper| scraper.drain.try_send(drain).is_ok()).collect();
        Box::pin(async move {
            while told.iter().any(|scraper| scraper.drain.connected()) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
    }
}
