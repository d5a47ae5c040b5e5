//! `prometheus`: remote write 2.0, or 1.0 where that alone is taken, to Prometheus, VictoriaMetrics, Mimir, Thanos and
//! whatever else takes it. How series look is left to `wire`, asking again to the exporter actor.

mod asked;
mod options;
mod server;

pub use asked::past;
pub use options::OPTIONS;

use super::{Built, ProblemError, Refused, Sink, Slice, Surroundings};
use crate::config::uri::Uri;
use crate::model::Map;
use crate::model::entity::{EntityRef, Name};
use crate::model::inventory::NodeInventory;
use crate::model::label_copier::LabelCopier;
use crate::model::metric::{Metric, MetricKey};
use crate::model::time::Timestamp;
use crate::rollup::block::{Layout, Row};
use crate::rollup::ended::{Ended, Followed};
use crate::rollup::points::Takes;
use crate::wire::prometheus_names::{self, Family, Level, Type, apart, labels, own_label, takes, value};
use crate::wire::remote_write::{LabelSet, Named, STALE, Sample, Version, Writer};
use futures_util::future::LocalBoxFuture;
use options::Options;
use server::Server;
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

/// A sink that writes to a Prometheus.
///
/// # Errors
/// When an option has a value that it cannot have, or TLS cannot be spoken.
pub fn build(uri: &Uri, _: &LabelCopier) -> Result<Built, ProblemError> {
    let options = Options::parse(uri)?;
    let tls = if options.is_secure() { Some(options.trust.tls(&options.url)?) } else { None };
    let name = options.name();
    let make = move |surroundings: &Surroundings| -> Box<dyn Sink> {
        // One name for the series of several clusters would have them fall together.
        let cluster = match surroundings.several_clusters {
            true => Cluster::Own,
            false => options.cluster.clone().map_or(Cluster::None, Cluster::Given),
        };
        let (batch, concurrency, pod_id) = (options.batch, options.concurrency, options.pod_id);
        let server = Server::new(options, tls, surroundings.within, surroundings.clock.clone());
        let shard = surroundings.shard.map(|shard| shard.to_string());
        let whose = Whose { cluster, shard, pod_id };
        let put = Put { whose, batch, server, followed: RefCell::default() };
        Box::new(Prometheus { batch, concurrency, put: Rc::new(put) })
    };
    Ok(Built { name, waits: true, make: Box::new(make) })
}

struct Prometheus {
    batch: usize,
    concurrency: usize,
    put: Rc<Put>,
}

impl Sink for Prometheus {
    fn takes(&self) -> Takes {
        takes
    }

    fn most(&self) -> usize {
        self.batch
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn put(&self, slice: Slice) -> LocalBoxFuture<'static, Result<(), Refused>> {
        let put = self.put.clone();
        Box::pin(async move {
            if slice.range.start == 0 {
                put.end(&slice).await?;
            }
            put.server.write(|version| points(version, &put.whose, &slice), slice.range.len()).await
        })
    }
}

struct Put {
    whose: Whose,
    batch: usize,
    server: Server,
    /// What each cluster had in the window that was written last.
    followed: RefCell<Map<Name, Followed>>,
}

impl Put {
    /// Marks the series that had a point in an earlier window and have none in this one. What the server will not take
    /// is told in the log: it is no point, and the series ends all the same, five minutes later.
    async fn end(&self, slice: &Slice) -> Result<(), Refused> {
        let batch = &slice.window.batch;
        let ended = self.followed.borrow().get(&batch.cluster).map(|followed| followed.ended(batch));
        let at = batch.window.end();
        for part in ended.iter().flatten().flat_map(|ended| parts(ended, self.batch)) {
            let body = |version| markers(version, &self.whose, &batch.cluster, &part, at);
            match self.server.write(body, part.series.len()).await {
                Err(later @ Refused::Later { .. }) => return Err(later),
                Err(Refused::Never { why, .. } | Refused::TooLarge { why }) => {
                    log::warn!("{} series that have ended could not be marked: {why}", part.series.len());
                }
                Ok(()) => {}
            }
        }
        self.followed.borrow_mut().entry(batch.cluster.clone()).or_default().follow(batch);
        Ok(())
    }
}

/// Those of the series that are told, at most so many at once.
fn parts(ended: &Ended, most: usize) -> Vec<Ended> {
    let told: Vec<(Row, MetricKey)> = ended.series.iter().filter(|(_, key)| takes(key)).cloned().collect();
    let part = |series: &[(Row, MetricKey)]| Ended {
        layout: ended.layout.clone(),
        facts: ended.facts.clone(),
        series: series.to_vec(),
    };
    told.chunks(most.max(1)).map(part).collect()
}

/// What the label `cluster` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// There is none.
    None,
    /// This.
    Given(String),
    /// The cluster's own name.
    Own,
}

impl Cluster {
    fn label<'a>(&'a self, own: &'a str) -> Option<&'a str> {
        match self {
            Self::None => None,
            Self::Given(name) => Some(name),
            Self::Own => Some(own),
        }
    }
}

/// What points say of where they are from, beside their entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The label `cluster`.
    pub cluster: Cluster,
    /// The label `shard` of sums; None where the whole cluster is collected.
    pub shard: Option<String>,
    /// Whether pods and containers have the label `uid`.
    pub pod_id: bool,
}

impl Whose {
    fn labels<'a>(&'a self, own: &'a str) -> prometheus_names::Whose<'a> {
        prometheus_names::Whose { cluster: self.cluster.label(own), shard: self.shard.as_deref() }
    }
}

/// The request that has these points.
pub fn points(version: Version, whose: &Whose, slice: &Slice) -> Vec<u8> {
    let window = &slice.window;
    let at = window.batch.window.end();
    let mut request = Request::new(version, whose, &window.batch.cluster);
    for (block, range) in window.slices(slice.range.clone()) {
        let mut series = request.of(&block.layout, block.facts.as_deref());
        let starts = block.column(Metric::StartTime).unwrap_or_default();
        window.for_each(block, range, |row, metric, held| {
            series.push(row, metric, at, value(metric, held), |entity| {
                let held = *starts.get(block.layout.rows.find(entity, None)?)?;
                held.and_then(|nanos| i64::try_from(nanos).ok()).map(Timestamp::from_nanos)
            });
        });
    }
    request.writer.finish()
}

/// The request that says that these series have ended.
fn markers(version: Version, whose: &Whose, own: &str, ended: &Ended, at: Timestamp) -> Vec<u8> {
    let mut request = Request::new(version, whose, own);
    let mut series = request.of(&ended.layout, ended.facts.as_deref());
    for (row, metric) in &ended.series {
        series.push(*row, metric, at, STALE, |_| None);
    }
    request.writer.finish()
}

/// A pod's uid.
fn uid(entity: EntityRef<'_>, facts: &NodeInventory) -> Option<String> {
    let (EntityRef::Pod(namespace, pod) | EntityRef::PodContainer(namespace, pod, _)) = entity else {
        return None;
    };
    facts.pod(namespace, pod).filter(|facts| !facts.uid.is_empty()).map(|facts| facts.uid.to_string())
}

/// A request being written.
struct Request<'a> {
    writer: Writer,
    whose: prometheus_names::Whose<'a>,
    pod_id: bool,
    families: Map<(MetricKey, Level, Option<&'static str>), (Named, Type)>,
}

impl<'a> Request<'a> {
    fn new(version: Version, whose: &'a Whose, own: &'a str) -> Self {
        let (whose, pod_id) = (whose.labels(own), whose.pod_id);
        Self { writer: Writer::new(version), whose, pod_id, families: Map::default() }
    }

    fn of<'r>(&'r mut self, layout: &'r Layout, facts: Option<&'r NodeInventory>) -> Series<'r, 'a> {
        // Most rows have many points: their labels are put together once.
        Series { request: self, layout, facts, labelled: vec![None; layout.rows.len()] }
    }
}

/// The series of one block, being written.
struct Series<'r, 'a> {
    request: &'r mut Request<'a>,
    layout: &'r Layout,
    facts: Option<&'r NodeInventory>,
    labelled: Vec<Option<LabelSet>>,
}

impl Series<'_, '_> {
    fn push(
        &mut self,
        row: Row,
        key: &MetricKey,
        at: Timestamp,
        value: f64,
        start: impl FnOnce(EntityRef<'_>) -> Option<Timestamp>,
    ) {
        let Request { writer, whose, pod_id, families } = &mut *self.request;
        let Some((entity, part)) = self.layout.rows.key(row) else { return };
        let (level, apart) = (Level::of(entity), apart(key, part));
        // Metrics that are not in the catalogue share a family, and bear a label of their own.
        let (named, kind) = families.entry((key.clone(), level, apart)).or_insert_with(|| {
            let family = Family::new(key, level, apart);
            (writer.family(&family), family.kind)
        });
        let start = if *kind == Type::Counter { start(entity) } else { None };
        let sample = Sample { value, at, start };
        let pods = OnceCell::new();
        let of_entity = || {
            let mut labels = labels(*whose, entity, part, self.facts);
            let uid = pods.get_or_init(|| uid(entity, self.facts.filter(|_| *pod_id)?));
            labels.extend(uid.as_deref().map(|uid| ("uid", uid)));
            labels.sort_unstable();
            labels
        };
        if let Some(own) = own_label(key) {
            let mut labels = of_entity();
            labels.push(own);
            labels.sort_unstable();
            let labels = writer.labels(&labels);
            writer.push(named, &labels, sample);
        } else if let Some(labelled) = self.labelled.get_mut(row) {
            let labels = labelled.get_or_insert_with(|| writer.labels(&of_entity()));
            writer.push(named, labels, sample);
        }
    }
}
