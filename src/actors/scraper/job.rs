//! One scrape: ask, decode, make the block. When, and who is told of it, is left to the actor.

use super::{PATIENCE, Shared};
use crate::client::kubelet::{Asked, Fetch, FetchError, Fetched, Target};
use crate::messages::{Missed, Took, WhichAreForeign};
use crate::model::Set;
use crate::model::inventory::{NodeInventory, PodName};
use crate::model::time::{Timestamp, Window};
use crate::rollup::block::Block;
use crate::rollup::known::Known;
use crate::rollup::node::{Answer, Assembled, assemble_at, unknown_pods};
use crate::rollup::oddity::{Oddity, oddities, skew};
use crate::rollup::strangers::Strangers;
use crate::sources::Format;
use crate::telemetry::guarded;
use actix::Recipient;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What one scrape works with, off the actor.
pub(super) struct Job {
    pub shared: Arc<Shared>,
    pub format: Arc<dyn Format>,
    pub fetch: Rc<dyn Fetch>,
    pub target: Target,
    pub discovery: Recipient<WhichAreForeign>,
    pub inventory: Arc<NodeInventory>,
    pub previous: Option<Arc<Block>>,
    pub window: Window,
    pub strangers: Strangers,
    pub known: Known,
}

/// What a scrape came to: the format that the kubelet understood, whom nobody else knows, where the rows stand, and what
/// it brought.
pub(super) struct Done {
    pub format: Arc<dyn Format>,
    pub strangers: Strangers,
    pub known: Known,
    pub outcome: Result<Took, (Missed, String)>,
}

/// Why there is no block: what is counted, and what is told.
type Failure = (Missed, String);

impl Job {
    /// Asks and makes the block.
    pub async fn run(mut self) -> Done {
        let (scraped_at, asked) = (self.shared.clock.now(), self.shared.clock.uptime());
        let outcome = match self.ask(asked).await {
            Ok(Fetched { body, date }) => {
                let duration = self.shared.clock.uptime().saturating_sub(asked);
                self.shared.telemetry.scrape_seconds.observe(duration);
                self.shared.telemetry.scrape_bytes.inc_by(u64::try_from(body.len()).unwrap_or(0));
                let skew = date.map(|date| skew(date, self.shared.clock.now()));
                self.make(&body, scraped_at, duration, skew).await
            }
            Err(error) => {
                let (options, deadline) = (&*self.shared.kubelets, self.shared.deadline);
                let asked = Asked { options, port: self.target.port, deadline };
                Err((error.missed(), error.advice(&asked)))
            }
        };
        Done { format: self.format, strangers: self.strangers, known: self.known, outcome }
    }

    /// Gets the answer. A kubelet that does not know the question is asked the other one within the same turn.
    async fn ask(&mut self, asked: Duration) -> Result<Fetched, FetchError> {
        let deadline = self.shared.deadline.time;
        let answer = self.fetch.fetch(&self.target, &self.format.question(self.window), deadline).await;
        match (answer, self.format.otherwise()) {
            (Err(error), Some(otherwise)) if error.is_unknown() => {
                let (first, second) =
                    (self.format.question(self.window).path, otherwise.question(self.window).path);
                log::info!("node {}: {first} is not known (404), asking {second}", self.inventory.node.name);
                self.format = otherwise;
                let left = deadline.saturating_sub(self.shared.clock.uptime().saturating_sub(asked));
                self.fetch.fetch(&self.target, &self.format.question(self.window), left).await
            }
            (answer, _) => answer,
        }
    }

    async fn make(
        &mut self,
        body: &[u8],
        scraped_at: Timestamp,
        duration: Duration,
        skew: Option<i64>,
    ) -> Result<Took, Failure> {
        let made = match self.read(body, scraped_at, skew, None)? {
            Ok(made) => {
                self.strangers.forget();
                made
            }
            Err(unknown) => {
                let left_out = self.judge(unknown).await;
                let made = self.read(body, scraped_at, skew, Some(&left_out))?;
                made.map_err(|_| (Missed::Undecodable, "the answer could not be read twice".to_owned()))?
            }
        };
        let (Assembled { block, sums, tally }, oddities) = made;
        let (block, sums) = (Arc::new(block), Arc::new(sums));
        Ok(Took { block, sums, tally, duration, bytes: body.len(), skew, oddities })
    }

    /// Makes the answer a block, or tells which pods in it nobody has judged yet.
    fn read(
        &mut self,
        body: &[u8],
        scraped_at: Timestamp,
        skew: Option<i64>,
        left_out: Option<&LeftOut>,
    ) -> Result<Read, Failure> {
        let none = LeftOut::default();
        let mut made = Err(Vec::new());
        let before = self.previous.as_ref().map(|previous| &previous.layout.rows);
        let known = &mut self.known;
        let result = guarded(|| {
            self.format.read(body, &mut |report| {
                let found = known.find(report, &self.inventory, before).filter(|_| left_out.is_none());
                let unknown =
                    if found.is_some() { Vec::new() } else { unknown_pods(report, &self.inventory) };
                if left_out.is_none() && !unknown.is_empty() {
                    made = Err(unknown);
                    return;
                }
                let LeftOut { foreign, strangers } = left_out.unwrap_or(&none);
                let answer = Answer {
                    report,
                    inventory: &self.inventory,
                    foreign,
                    strangers,
                    previous: self.previous.as_deref(),
                    window: self.window,
                    scraped_at,
                };
                let is_new = found.is_none();
                let (assembled, placed) = assemble_at(&answer, found);
                if is_new && unknown.is_empty() {
                    known.remember(&answer, &placed, &assembled);
                }
                let oddities = oddities(&answer, &assembled.tally, skew);
                made = Ok((assembled, oddities));
            })
        });
        match result {
            None => Err((Missed::Panicked, "decoding the answer panicked; please report this".to_owned())),
            Some(Err(error)) => {
                let missed = if error.cut_off { Missed::CutOff } else { Missed::Undecodable };
                Err((missed, error.advice(body)))
            }
            Some(Ok(())) => Ok(made),
        }
    }

    /// Which of these pods do not count. Where discovery does not answer, or knows no better, they do: better a pod too
    /// many than a node too few.
    async fn judge(&mut self, mut unknown: Vec<PodName>) -> LeftOut {
        let node = self.inventory.node.name.clone();
        let ask = self.discovery.send(WhichAreForeign { node, pods: unknown.clone() });
        let answer = tokio::time::timeout(PATIENCE, ask).await.ok().and_then(Result::ok).unwrap_or_default();
        let foreign: Set<PodName> = answer.pods.into_iter().collect();
        if !answer.others_unknown {
            self.strangers.forget();
            return LeftOut { foreign, strangers: Set::default() };
        }
        unknown.retain(|pod| !foreign.contains(pod));
        LeftOut { foreign, strangers: self.strangers.judge(&unknown, self.shared.clock.uptime()) }
    }
}

/// Pods that do not count: those of other nodes, and those that the API server has not known for too long.
#[derive(Default)]
struct LeftOut {
    foreign: Set<PodName>,
    strangers: Set<PodName>,
}

/// A block and what is odd about its answer; or the pods of which it is not known whether they count.
type Read = Result<(Assembled, Vec<Oddity>), Vec<PodName>>;
