//! The API's HTTP: decode the request, ask the aggregator, encode the answer. What is answered is left to `rollup`, how
//! it looks to `wire`.

mod accept;
pub mod archive;
pub mod certificates;
mod connection;
pub mod error;
pub mod export;
pub mod health;
pub mod limits;
pub mod listings;
pub mod manners;
pub mod model;
pub mod openapi;
pub mod page;
pub mod past;
mod reply;
pub mod resource_metrics;
pub mod routes;
pub mod server;
pub mod status;

use crate::clock::Clock;
use crate::messages::{Ask, AskNodes, AskState, ClusterState, NodeState, SinkState};
use crate::model::entity::{ClusterId, Name};
use crate::model::label_copier::LabelCopier;
use crate::model::metric::Value;
use crate::model::shard::Shard;
use crate::model::time::Timestamp;
use crate::rollup::history::{SeriesKey, Span};
use crate::rollup::latest::{Latest, Scope};
use crate::rollup::query::{Answer, Query};
use crate::sinks::asked::Connect;
use crate::telemetry::Telemetry;
use actix::Recipient;
use actix_web::web;
use error::ApiError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How many questions may wait for the aggregator at once.
pub const IN_FLIGHT: usize = 512;

/// What can be set about the answers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Data older than this is not healthy.
    pub stale_after: Duration,
    /// Whether what exports everything at once is left empty.
    pub disable_export: bool,
    /// How objects' labels are told there.
    pub labels: LabelCopier,
    /// Which part of the clusters is collected; None for all of them.
    pub shard: Option<Shard>,
    /// What the sinks are called.
    pub sinks: Vec<String>,
}

/// What every handler needs. Cloning is cheap.
#[derive(Clone)]
pub struct Api {
    aggregator: Recipient<Ask>,
    states: Recipient<AskState>,
    nodes: Recipient<AskNodes>,
    clusters: Arc<[Name]>,
    sinks: Arc<[watch::Receiver<SinkState>]>,
    places: Arc<Semaphore>,
    /// How the historical source is connected to, where there is one.
    archive: Option<Connect>,
    archive_places: Arc<Semaphore>,
    draining: Arc<AtomicBool>,
    settings: Settings,
    clock: Clock,
    telemetry: Telemetry,
}

impl Api {
    /// An API that asks this aggregator of these clusters.
    pub fn new(
        aggregator: Recipient<Ask>,
        states: Recipient<AskState>,
        nodes: Recipient<AskNodes>,
        clusters: Vec<Name>,
        settings: Settings,
        clock: Clock,
        telemetry: Telemetry,
    ) -> Self {
        let places = Arc::new(Semaphore::new(IN_FLIGHT));
        Self {
            aggregator,
            states,
            nodes,
            clusters: clusters.into(),
            sinks: Arc::default(),
            places,
            archive: None,
            archive_places: Arc::new(Semaphore::new(archive::AT_ONCE)),
            draining: Arc::new(AtomicBool::new(false)),
            settings,
            clock,
            telemetry,
        }
    }

    /// The same, with sinks whose state it tells.
    pub fn with_sinks(self, sinks: Vec<watch::Receiver<SinkState>>) -> Self {
        Self { sinks: sinks.into(), ..self }
    }

    /// The same, with a historical source that it asks.
    pub fn with_archive(self, archive: Option<Connect>) -> Self {
        Self { archive, ..self }
    }

    /// The time at which a request is answered.
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Says that this process is about to end: it is not ready from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// The cluster of this name.
    ///
    /// # Errors
    /// When there is none.
    fn cluster(&self, name: &str) -> Result<ClusterId, ApiError> {
        let at = self.clusters.iter().position(|cluster| **cluster == *name);
        at.and_then(|at| u16::try_from(at).ok())
            .map(ClusterId)
            .ok_or_else(|| ApiError::BadCluster(name.to_owned()))
    }

    /// Asks a question about one cluster, or about all.
    ///
    /// # Errors
    /// When too many wait, or the answer does not come in time.
    async fn ask(&self, cluster: Option<ClusterId>, query: Query) -> Result<Answer, ApiError> {
        let result = match self.ask_in_time(cluster, query).await {
            Ok(Answer::Rows(list, rows)) => {
                aside(rows.len(), move || Answer::Rows(list, rows).settled()).await
            }
            answer => answer.map(Answer::settled),
        };
        let outcome = result.as_ref().map_or_else(ApiError::as_label, |_| "ok");
        self.telemetry.questions.of([outcome]).inc();
        result
    }

    /// Asks for several series.
    ///
    /// # Errors
    /// As [`Api::ask`].
    async fn several(
        &self,
        cluster: Option<ClusterId>,
        keys: Vec<SeriesKey>,
        span: Span,
    ) -> Result<Vec<Vec<(Timestamp, Value)>>, ApiError> {
        match self.ask(cluster, Query::Several(keys, span)).await? {
            Answer::Several(series) => Ok(series),
            _ => Err(ApiError::Ended),
        }
    }

    /// Asks for the newest blocks.
    ///
    /// # Errors
    /// As [`Api::ask`].
    async fn latest(&self, cluster: Option<ClusterId>, scope: Scope) -> Result<Vec<Latest>, ApiError> {
        match self.ask(cluster, Query::Latest(scope)).await? {
            Answer::Latest(latest) => Ok(latest),
            _ => Err(ApiError::Ended),
        }
    }

    async fn ask_in_time(&self, cluster: Option<ClusterId>, query: Query) -> Result<Answer, ApiError> {
        let _place = self.places.try_acquire().map_err(|_| ApiError::Busy)?;
        in_time(self.aggregator.send(Ask { cluster, query })).await
    }

    /// Asks how every cluster stands.
    async fn states(&self) -> Result<Vec<ClusterState>, ApiError> {
        in_time(self.states.send(AskState)).await
    }

    /// Asks how every node does.
    async fn nodes(&self) -> Result<Vec<NodeState>, ApiError> {
        in_time(self.nodes.send(AskNodes)).await
    }
}

/// Nodes whose values are read at once; more take some milliseconds, in which a thread that answers would answer nobody
/// else.
const AT_ONCE: usize = 16;

/// Does some work on the values of so many nodes, elsewhere where they are many.
///
/// # Errors
/// When the server is ending.
async fn aside<T: Send + 'static>(
    nodes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    if nodes <= AT_ONCE {
        return Ok(work());
    }
    web::block(work).await.map_err(|_| ApiError::Ended)
}

/// An answer within the deadline.
async fn in_time<T>(answer: impl Future<Output = Result<T, actix::MailboxError>>) -> Result<T, ApiError> {
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(ApiError::Ended),
        Err(_) => Err(ApiError::Late),
    }
}
