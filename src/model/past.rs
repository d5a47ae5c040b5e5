//! Questions about the past and their answers, as values. Who is asked is left to `sinks`, in which words to `wire`.

use super::entity::{Entity, Labels, Name};
use super::metric::{Labelled, Metric, MetricKey, Value, to_f64};
use super::time::Timestamp;
use std::fmt;

/// Whom a series is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An entity by its names.
    Entity(Entity),
    /// A pod by its uid.
    PodId(Name),
    /// A container by its pod's uid and its own name.
    ContainerOf {
        /// The pod's uid.
        uid: Name,
        /// The container.
        container: Name,
    },
}

impl fmt::Display for Subject {
    /// The key as Heapster's errors had it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entity(entity) => entity.fmt(f),
            Self::PodId(uid) => write!(f, "pod-id:{uid}"),
            Self::ContainerOf { uid, container } => write!(f, "pod-id:{uid}/container:{container}"),
        }
    }
}

/// Somebody, and from when on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// Whom.
    pub subject: Subject,
    /// The first instant.
    pub start: Timestamp,
}

/// One metric of some of one level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of whom.
    pub of: Vec<Sought>,
    /// The metric's whole name.
    pub metric: String,
    /// The part of them; None for each as a whole.
    pub labels: Option<Labels>,
    /// The last instant.
    pub end: Timestamp,
}

/// What is told of the points of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Their mean.
    Average,
    /// The largest.
    Maximum,
    /// The smallest.
    Minimum,
    /// The one in the middle.
    Median,
    /// How many there are.
    Count,
    /// So many hundredths of them are not above it.
    Percentile(u8),
}

/// Every aggregation under its name in a path (Heapster `metrics/core/historical_types.go`).
pub const AGGREGATIONS: [(&str, Aggregation); 8] = [
    ("average", Aggregation::Average),
    ("max", Aggregation::Maximum),
    ("min", Aggregation::Minimum),
    ("median", Aggregation::Median),
    ("count", Aggregation::Count),
    ("50-perc", Aggregation::Percentile(50)),
    ("95-perc", Aggregation::Percentile(95)),
    ("99-perc", Aggregation::Percentile(99)),
];

/// Points of a stretch of time, put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// When it begins.
    pub at: Timestamp,
    /// What was asked of it.
    pub values: Vec<(Aggregation, Value)>,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The points themselves.
    Points(Wanted),
    /// Points put together: how, and in buckets of so many milliseconds, which begin at multiples of that. None for one
    /// bucket from start to end.
    Buckets(Wanted, Vec<Aggregation>, Option<i64>),
    /// The nodes.
    Nodes,
    /// The namespaces.
    Namespaces,
    /// The pods of a namespace.
    Pods(Name),
    /// The containers of a pod: namespace and pod.
    Containers(Name, Name),
    /// The free containers of a node.
    FreeContainers(Name),
    /// The metrics that an entity has as a whole.
    Metrics(Entity),
}

/// A question about one cluster, or about the only one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The cluster's name; None where one alone is collected.
    pub cluster: Option<Name>,
    /// What is asked.
    pub what: What,
}

/// Points, oldest first.
pub type Series = Vec<(Timestamp, Value)>;

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The points of each that were asked for, in that order; none where there is none.
    Points(Vec<Series>),
    /// The buckets of each, those without a point left out.
    Buckets(Vec<Vec<Bucket>>),
    /// Names, sorted.
    Names(Vec<String>),
}

/// Puts points together as a store does that interpolates between the two points nearest to a percentile, which Prometheus
/// does. `start` is the beginning of the one bucket where `every` gives no length.
pub fn buckets(points: &Series, how: &[Aggregation], every: Option<i64>, start: Timestamp) -> Vec<Bucket> {
    const NANOS: i64 = 1_000_000;
    let begin =
        |at: Timestamp| match every.and_then(|millis| millis.checked_mul(NANOS)).filter(|every| *every > 0) {
            Some(every) => Timestamp::from_nanos(at.nanos().div_euclid(every).saturating_mul(every)),
            None => start,
        };
    let same = |a: &(Timestamp, Value), b: &(Timestamp, Value)| begin(a.0) == begin(b.0);
    let bucket = |points: &[(Timestamp, Value)]| {
        let (first, _) = points.first()?;
        let mut sorted: Vec<Value> = points.iter().map(|(_, value)| *value).collect();
        sorted.sort_by(|a, b| number(*a).total_cmp(&number(*b)));
        let value = |how: &Aggregation| Some((*how, value_of(&sorted, *how)?));
        Some(Bucket { at: begin(*first), values: how.iter().filter_map(value).collect() })
    };
    points.chunk_by(same).filter_map(bucket).collect()
}

/// A value as a double.
pub fn number(value: Value) -> f64 {
    match value {
        Value::Integer(whole) => to_f64(whole),
        Value::Float(float) => float,
    }
}

fn value_of(sorted: &[Value], how: Aggregation) -> Option<Value> {
    let count = u64::try_from(sorted.len()).ok()?;
    Some(match how {
        Aggregation::Count => Value::Integer(count),
        Aggregation::Maximum => *sorted.last()?,
        Aggregation::Minimum => *sorted.first()?,
        Aggregation::Average => {
            Value::Float(sorted.iter().map(|value| number(*value)).sum::<f64>() / to_f64(count))
        }
        Aggregation::Median => between(sorted, 50)?,
        Aggregation::Percentile(percent) => between(sorted, percent)?,
    })
}

fn between(sorted: &[Value], percent: u8) -> Option<Value> {
    let hundredths = sorted.len().checked_sub(1)? * usize::from(percent);
    let (at, rest) = (hundredths / 100, hundredths % 100);
    let below = number(*sorted.get(at)?);
    let above = sorted.get(at + 1).map_or(below, |value| number(*value));
    Some(Value::Float(below + (above - below) * to_f64(u64::try_from(rest).ok()?) / 100.0))
}

/// The metric of a whole name; None where nothing here is called so.
pub fn metric_named(name: &str) -> Option<MetricKey> {
    if let Some(known) = Metric::ALL.iter().find(|metric| metric.descriptor().name == name) {
        return Some(MetricKey::Known(*known)).filter(MetricKey::is_public);
    }
    match name {
        _ if name.starts_with("custom/") => Some(MetricKey::Custom(name.into())),
        _ if name.ends_with("/request") => Some(MetricKey::Resource(name.into())),
        _ => None,
    }
}

/// The labels that tell parts of a metric apart.
pub fn labels_of_parts(metric: Option<&MetricKey>) -> &'static [&'static str] {
    let Some(MetricKey::Known(metric)) = metric else { return &[] };
    match metric.descriptor().labelled {
        Labelled::No => &[],
        Labelled::Resource => &["resource_id"],
        Labelled::Interface => &["interface"],
        Labelled::Accelerator => &["make", "model", "accelerator_id"],
    }
}
