//! One scrape: ask, decode, make the block. When, and who is told of it, is left to the actor.

use super::{PATIENCE, Shared};
use crate::client::kubelet::{Fetch, FetchError, Fetched, Target};
use crate::messages::{Missed, Took, WhichAreForeign};
use crate::model::Set;
use crate::model::inventory::{NodeInventory, PodName};
use crate::model::time::{Timestamp, Window};
use crate::rollup::block::Block;
use crate::rollup::node::{Answer, Assembled, assemble, unknown_pods};
use crate::sources::Format;
use crate::telemetry::guarded;
use actix::Recipient;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What one scrape works with, off the actor.
pub(super) struct Job {
    pub shared: Shared,
    pub format: Arc<dyn Format>,
    pub fetch: Rc<dyn Fetch>,
    pub target: Target,
    pub deadline: Duration,
    pub discovery: Recipient<WhichAreForeign>,
    pub inventory: Arc<NodeInventory>,
    pub previous: Option<Arc<Block>>,
    pub window: Window,
}

/// What a scrape came to: the format that the kubelet understood, and what it brought.
pub(super) struct Done {
    pub format: Arc<dyn Format>,
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
                self.make(&body, scraped_at, duration).await.map(|took| Took { date, ..took })
            }
            Err(error) => Err((error.missed(), error.advice())),
        };
        Done { format: self.format, outcome }
    }

    /// Gets the answer. A kubelet that does not know the question is asked the other one within the same turn.
    async fn ask(&mut self, asked: Duration) -> Result<Fetched, FetchError> {
        let deadline = self.deadline;
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

    async fn make(&self, body: &[u8], scraped_at: Timestamp, duration: Duration) -> Result<Took, Failure> {
        let read = |foreign: Option<&Set<PodName>>| {
            let mut made = Err(Vec::new());
            let result = guarded(|| {
                self.format.read(body, &mut |report| {
                    let unknown = unknown_pods(report, &self.inventory);
                    made = match foreign {
                        None if !unknown.is_empty() => Err(unknown),
                        foreign => Ok(assemble(&Answer {
                            report,
                            inventory: &self.inventory,
                            foreign: foreign.unwrap_or(&Set::default()),
                            previous: self.previous.as_deref(),
                            window: self.window,
                            scraped_at,
                        })),
                    };
                })
            });
            match result {
                None => {
                    Err((Missed::Panicked, "decoding the answer panicked; please report this".to_owned()))
                }
                Some(Err(error)) => {
                    let missed = if error.cut_off { Missed::CutOff } else { Missed::Undecodable };
                    Err((missed, error.advice(body)))
                }
                Some(Ok(())) => Ok(made),
            }
        };
        let made = match read(None)? {
            Ok(made) => made,
            Err(unknown) => {
                let node = self.inventory.node.name.clone();
                let ask = self.discovery.send(WhichAreForeign { node, pods: unknown });
                // Where discovery does not answer, the pods count: better a pod too many than a node too few.
                let foreign =
                    tokio::time::timeout(PATIENCE, ask).await.ok().and_then(Result::ok).unwrap_or_default();
                let foreign: Set<PodName> = foreign.into_iter().collect();
                let made = read(Some(&foreign))?;
                made.map_err(|_| (Missed::Undecodable, "the answer could not be read twice".to_owned()))?
            }
        };
        let Assembled { block, sums, tally } = made;
        Ok(Took {
            block: Arc::new(block),
            sums: Arc::new(sums),
            tally,
            duration,
            bytes: body.len(),
            date: None,
        })
    }
}
