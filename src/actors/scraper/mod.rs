//! One node's scraper: asks its kubelet once a window, makes the answer a block, sends it on. When the turn comes is
//! left to [`Schedule`], what a block is to `rollup`.

mod job;

use crate::client::kubelet::{Deadline, Fetch, KubeletOptions, Target};
use crate::clock::Clock;
use crate::messages::{Assigned, Drain, Missed, Retired, Scraped, Took, WhichAreForeign};
use crate::model::entity::{ClusterId, Name};
use crate::model::inventory::NodeInventory;
use crate::model::time::Window;
use crate::rollup::block::Block;
use crate::rollup::known::Known;
use crate::rollup::oddity::Oddity;
use crate::rollup::schedule::Schedule;
use crate::rollup::strangers::Strangers;
use crate::sources::Format;
use crate::telemetry::Telemetry;
use actix::prelude::*;
use job::{Done, Job};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long the aggregator may have no room for a message, and discovery may take to answer one.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait before the aggregator is tried once more.
const PAUSE: Duration = Duration::from_millis(20);

/// What every scraper of one source needs.
#[derive(Clone)]
pub struct Shared {
    /// Whose nodes.
    pub cluster: ClusterId,
    /// The cluster's name.
    pub cluster_name: Name,
    /// What kubelets are asked and how they are understood.
    pub format: Arc<dyn Format>,
    /// How they are reached.
    pub kubelets: Arc<KubeletOptions>,
    /// The timetable.
    pub schedule: Schedule,
    /// How long one answer may take.
    pub deadline: Deadline,
    /// The time.
    pub clock: Clock,
    /// The counters.
    pub telemetry: Telemetry,
    /// Where blocks go.
    pub aggregator: Recipient<Scraped>,
}

/// One node's scraper.
pub struct Scraper {
    shared: Arc<Shared>,
    format: Arc<dyn Format>,
    fetch: Rc<dyn Fetch>,
    discovery: Recipient<WhichAreForeign>,
    inventory: Arc<NodeInventory>,
    offset: Duration,
    last: Option<Window>,
    previous: Option<Arc<Block>>,
    in_flight: Option<SpawnHandle>,
    ailing: Option<Missed>,
    /// What was odd about the last answer, and what of it was said.
    odd: Vec<Oddity>,
    said: Vec<Oddity>,
    strangers: Strangers,
    known: Known,
    draining: bool,
}

/// Its turn for a window.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
struct Turn(Window);

impl Scraper {
    /// A scraper for the node of this inventory.
    pub fn new(
        shared: impl Into<Arc<Shared>>,
        fetch: Rc<dyn Fetch>,
        discovery: Recipient<WhichAreForeign>,
        inventory: Arc<NodeInventory>,
    ) -> Self {
        let shared = shared.into();
        let offset = shared.schedule.offset(&shared.cluster_name, &inventory.node.name);
        Self {
            format: shared.format.clone(),
            shared,
            fetch,
            discovery,
            inventory,
            offset,
            last: None,
            previous: None,
            in_flight: None,
            ailing: None,
            odd: Vec::new(),
            said: Vec::new(),
            strangers: Strangers::default(),
            known: Known::default(),
            draining: false,
        }
    }

    fn wait_for_turn(&self, last: Window, context: &mut Context<Self>) {
        let (window, wait) = self.shared.schedule.next_turn(self.shared.clock.now(), self.offset, last);
        context.notify_later(Turn(window), wait);
    }

    /// Where its kubelet is asked.
    fn socket(&self) -> Option<SocketAddr> {
        let node = &self.inventory.node;
        let port = node.port.unwrap_or(self.shared.kubelets.port);
        node.address.ok().map(|address| SocketAddr::new(address, port))
    }

    fn shown(&self) -> String {
        self.socket().map_or_else(|| "no address".to_owned(), |address| address.to_string())
    }

    /// Tells the aggregator, which answers nothing: an answer would wake this thread again.
    fn report(
        &self,
        window: Window,
        outcome: Result<Took, Missed>,
        why: Option<String>,
    ) -> impl Future<Output = ()> + use<> {
        let node = &self.inventory.node;
        let (cluster, node, address) = (self.shared.cluster, node.name.clone(), self.socket());
        let mut message = Scraped { cluster, node, window, address, outcome, why };
        let shared = self.shared.clone();
        async move {
            let (telemetry, until) = (&shared.telemetry, shared.clock.uptime() + PATIENCE);
            // The aggregator counts it off.
            telemetry.mailbox.of(["aggregator"]).inc();
            loop {
                match shared.aggregator.try_send(message) {
                    Ok(()) => return,
                    Err(SendError::Full(back)) if shared.clock.uptime() < until => message = back,
                    Err(_) => break,
                }
                tokio::time::sleep(PAUSE).await;
            }
            telemetry.mailbox.of(["aggregator"]).dec();
            telemetry.dropped.of(["scrape", "aggregator_busy"]).inc();
        }
    }

    /// Says once what is odd about a node's answers, and once that it is no more.
    fn remark(&mut self, odd: &[Oddity]) {
        let (node, address) = (&self.inventory.node.name, self.shown());
        let among = |all: &[Oddity], one: &Oddity| all.iter().any(|other| other.is_like(one));
        for over in self.said.iter().filter(|said| !among(odd, said)) {
            log::info!("node {node} ({address}): no longer so: {over}");
        }
        let lasts = |new: &&Oddity| !new.may_pass() || among(&self.odd, new);
        for new in odd.iter().filter(|new| !among(&self.said, new)).filter(lasts) {
            log::warn!("node {node} ({address}): {}", new.advice());
        }
        self.said = odd.iter().filter(|new| among(&self.said, new) || lasts(new)).cloned().collect();
        self.odd = odd.to_vec();
    }

    /// Says once that a node fails and once that it answers again.
    fn note(&mut self, outcome: Result<(), (Missed, String)>) {
        let (node, address) = (&self.inventory.node.name, self.shown());
        match outcome {
            Ok(()) => {
                if self.ailing.take().is_some() {
                    log::info!("node {node} ({address}): answers again");
                }
            }
            Err((missed, why)) => {
                if self.ailing.replace(missed) != Some(missed) {
                    log::warn!("node {node} ({address}): {why}");
                }
            }
        }
    }
}

impl Actor for Scraper {
    type Context = Context<Self>;

    /// The first turn comes at once, for the window that has just ended, so that there is something to see.
    fn started(&mut self, context: &mut Context<Self>) {
        let node = &self.inventory.node.name;
        let delay = self.shared.schedule.first_delay(&self.shared.cluster_name, node);
        let window = self.shared.schedule.resolution().last_ended(self.shared.clock.now());
        context.notify_later(Turn(window), delay);
    }
}

impl Handler<Turn> for Scraper {
    type Result = ();

    fn handle(&mut self, Turn(window): Turn, context: &mut Context<Self>) {
        if self.draining {
            return;
        }
        self.last = Some(window);
        self.wait_for_turn(window, context);
        if self.in_flight.is_some() {
            context.spawn(
                self.report(
                    window,
                    Err(Missed::Overrun),
                    Some("the scrape before it was still running".to_owned()),
                )
                .into_actor(self),
            );
            return;
        }
        let node = &self.inventory.node;
        let Ok(address) = node.address else { return };
        let target = Target { name: node.name.clone(), address, port: node.port };
        let job = Job {
            shared: self.shared.clone(),
            format: self.format.clone(),
            fetch: self.fetch.clone(),
            target,
            discovery: self.discovery.clone(),
            inventory: self.inventory.clone(),
            previous: self.previous.clone(),
            window,
            strangers: std::mem::take(&mut self.strangers),
            known: std::mem::take(&mut self.known),
        };
        let done = job.run().into_actor(self).then(move |done, scraper, _| {
            let Done { format, strangers, known, outcome } = done;
            (scraper.format, scraper.strangers, scraper.known) = (format, strangers, known);
            let (outcome, why) = match outcome {
                Ok(took) => {
                    scraper.previous = Some(took.block.clone());
                    scraper.note(Ok(()));
                    scraper.remark(&took.oddities);
                    (Ok(took), None)
                }
                Err((missed, why)) => {
                    scraper.note(Err((missed, why.clone())));
                    (Err(missed), Some(why))
                }
            };
            scraper.report(window, outcome, why).into_actor(scraper)
        });
        self.in_flight = Some(context.spawn(done.map(|(), scraper, context| {
            scraper.in_flight = None;
            if scraper.draining {
                context.stop();
            }
        })));
    }
}

impl Handler<Assigned> for Scraper {
    type Result = ();

    fn handle(&mut self, Assigned(inventory): Assigned, _: &mut Context<Self>) {
        self.inventory = inventory;
    }
}

impl Handler<Retired> for Scraper {
    type Result = ();

    fn handle(&mut self, _: Retired, context: &mut Context<Self>) {
        context.stop();
    }
}

impl Handler<Drain> for Scraper {
    type Result = ();

    /// What is under way is finished, nothing more is begun.
    fn handle(&mut self, _: Drain, context: &mut Context<Self>) {
        self.draining = true;
        if self.in_flight.is_none() {
            context.stop();
        }
    }
}
