//! `influxdb`: InfluxDB's two write APIs, with the options of Heapster's sink (`common/influxdb/influxdb.go`) and a few
//! more. How a line looks is left to `wire`, asking again to the exporter actor.

mod asked;
mod options;
mod server;

pub use asked::past;
pub use options::OPTIONS;

use super::{Built, ProblemError, Refused, Sink, Slice, Surroundings};
use crate::client::post::gzip;
use crate::config::uri::Uri;
use crate::model::Map;
use crate::model::label_copier::LabelCopier;
use crate::model::metric::{MetricKey, RATED};
use crate::rollup::points::{Takes, public};
use crate::wire::line_protocol::{line, names, set_apart, tags};
use futures_util::future::LocalBoxFuture;
use options::Options;
use server::Server;
use std::rc::Rc;

/// The most points of one request, as Heapster sent (`maxSendBatchSize`).
const MOST: usize = 10_000;
/// The reason of values that line protocol has no number for.
const NO_NUMBER: &str = "no_such_number";

/// A sink that writes to an InfluxDB.
///
/// # Errors
/// When an option has a value that it cannot have, or TLS cannot be spoken.
pub fn build(uri: &Uri, labels: &LabelCopier) -> Result<Built, ProblemError> {
    let labels = labels.clone();
    let options = Options::parse(uri)?;
    let tls = if options.is_secure() { Some(options.trust.tls(&options.base)?) } else { None };
    let name = options.name();
    let make = move |surroundings: &Surroundings| -> Box<dyn Sink> {
        let lines = Lines {
            labels,
            with_fields: options.with_fields,
            pod_id: options.pod_id,
            // One name for the points of several clusters would have them fall together.
            cluster_name: if surroundings.several_clusters {
                None
            } else {
                Some(options.cluster_name.clone())
            },
            shard: surroundings.shard.map(|shard| shard.to_string()),
        };
        let (takes, concurrency) = (options.takes(), options.concurrency);
        let server = Rc::new(Server::new(options, tls, surroundings.within, surroundings.clock.clone()));
        Box::new(Influx { lines: Rc::new(lines), takes, concurrency, server })
    };
    Ok(Built { name, waits: true, make: Box::new(make) })
}

struct Influx {
    lines: Rc<Lines>,
    takes: Takes,
    concurrency: usize,
    server: Rc<Server>,
}

impl Sink for Influx {
    fn takes(&self) -> Takes {
        self.takes
    }

    fn most(&self) -> usize {
        MOST
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn put(&self, slice: Slice) -> LocalBoxFuture<'static, Result<(), Refused>> {
        let (lines, server) = (self.lines.clone(), self.server.clone());
        Box::pin(async move {
            server.prepare().await.map_err(Refused::for_now)?;
            let (text, unwritten) = lines.body(&slice);
            let body = if server.compresses() { gzip(&text) } else { text };
            match server.write(body, slice.range.len() - unwritten).await {
                Ok(()) if unwritten == 0 => Ok(()),
                Ok(()) => Err(unwritable(unwritten, "")),
                Err(Refused::Never { dropped, why, .. }) if unwritten > 0 => {
                    Err(unwritable(unwritten + dropped, &why))
                }
                Err(other) => Err(other),
            }
        })
    }
}

fn unwritable(dropped: usize, also: &str) -> Refused {
    let why = format!("some values are above the largest whole number of line protocol, 2^63 - 1 {also}");
    Refused::Never { reason: NO_NUMBER, dropped, why }
}

/// Takes every metric but counters that have a rate.
fn public_without_counters(metric: &MetricKey) -> bool {
    let rated = |metric: &MetricKey| RATED.iter().any(|rated| MetricKey::Known(rated.counter) == *metric);
    public(metric) && !rated(metric)
}

/// How points become lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// How objects' labels are told.
    pub labels: LabelCopier,
    /// Whether a metric's name is parted into measurement and field.
    pub with_fields: bool,
    /// Whether pods and containers have the tag `pod_id`.
    pub pod_id: bool,
    /// The tag `cluster_name`; None for the cluster's own.
    pub cluster_name: Option<String>,
    /// The tag `shard` of sums; None where the whole cluster is collected.
    pub shard: Option<String>,
}

impl Lines {
    /// The lines of these points, and how many of them have none.
    pub fn body(&self, slice: &Slice) -> (Vec<u8>, usize) {
        let (window, range) = (&slice.window, slice.range.clone());
        let mut out = Vec::with_capacity(range.len().saturating_mul(256));
        let mut written = 0;
        let stamp = window.batch.window.end();
        let cluster = self.cluster_name.as_deref().unwrap_or(&window.batch.cluster);
        let shard = self.shard.as_deref();
        let mut named: Map<(MetricKey, Option<&str>), (String, String)> = Map::default();
        for (block, part) in window.slices(range.clone()) {
            let rows = &block.layout.rows;
            // Most rows have many points: their tags are put together once.
            let mut tagged: Vec<Option<String>> = vec![None; rows.len()];
            window.for_each(block, part, |row, metric, held| {
                let (Some((entity, part)), Some(tagged)) = (rows.key(row), tagged.get_mut(row)) else {
                    return;
                };
                let facts = block.facts.as_deref();
                let tags = tagged.get_or_insert_with(|| {
                    tags(cluster, shard, entity, part, facts, &self.labels, self.pod_id)
                });
                let key = (metric.clone(), set_apart(part));
                let names = named
                    .entry(key)
                    .or_insert_with_key(|(metric, apart)| names(metric.name(), *apart, self.with_fields));
                written += usize::from(line(&mut out, names, tags, metric.form().show(held), stamp));
            });
        }
        (out, range.len().saturating_sub(written))
    }
}
