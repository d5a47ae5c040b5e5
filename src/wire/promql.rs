//! PromQL, as much of it as is needed to ask about the past: queries over what the sink wrote or the exposition told, and
//! what is answered to them (Prometheus' HTTP API). Who is asked, and how often, is left to the sink.
//!
//! Whatever comes from a client stands between quotes and is escaped, though names are checked before.

use super::line_protocol::set_apart;
use super::prometheus_names::{Family, Level, in_own_unit, own_label, part_label, shown};
use crate::model::entity::{Entity, Labels};
use crate::model::metric::{Metric, MetricKey, Value, to_u64};
use crate::model::past::{Aggregation, Subject, labels_of_parts};
use crate::model::shard;
use crate::model::time::{NANOS_PER_SECOND, Timestamp};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Nanoseconds in a millisecond, the finest that these stores know.
const NANOS: i64 = NANOS_PER_SECOND / 1_000;
/// The label that tells the parts of one query apart.
const PART: &str = "heapster_part";

/// An instant in milliseconds: the first that is not before it.
pub const fn millis_from(at: Timestamp) -> i64 {
    let whole = at.nanos().div_euclid(NANOS);
    if at.nanos().rem_euclid(NANOS) == 0 { whole } else { whole + 1 }
}

/// An instant in milliseconds: the last that is not behind it.
pub const fn millis_until(at: Timestamp) -> i64 {
    at.nanos().div_euclid(NANOS)
}

/// Milliseconds as an instant.
pub const fn instant(millis: i64) -> Timestamp {
    Timestamp::from_nanos(millis.saturating_mul(NANOS))
}

/// Milliseconds as the API takes them: seconds with a fraction.
pub fn seconds(millis: i64) -> String {
    format!("{}.{:03}", millis.div_euclid(1_000), millis.rem_euclid(1_000))
}

/// What series say of where they are from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own<'a> {
    /// The label `cluster`; None for any.
    pub cluster: Option<&'a str>,
    /// The label `shard` of sums; empty for those of the whole cluster.
    pub shard: &'a str,
}

impl<'a> Own<'a> {
    /// One shard's sums are not another's, nor the whole.
    fn shard_of(self, level: Level) -> Option<&'a str> {
        matches!(level, Level::Cluster | Level::Namespace).then_some(self.shard)
    }
}

/// One metric of some of one level, as a selector of series.
///
/// They differ in the pod's name, or its uid, alone.
pub fn selector(own: Own<'_>, of: &[&Subject], key: &MetricKey, labels: Option<&Labels>) -> String {
    let level = of.first().map_or(Level::Cluster, |subject| level(subject));
    let family = Family::new(key, level, set_apart(labels));
    let mut matchers = whom(own, of);
    let given = |label: &str| labels.is_some_and(|labels| labels.get(label).is_some());
    for (label, value) in labels.into_iter().flat_map(|labels| labels.iter()) {
        matchers.push(equal(part_label(label), value));
    }
    let others = labels_of_parts(Some(key)).iter().filter(|label| !given(label));
    matchers.extend(others.map(|label| equal(part_label(label), "")));
    matchers.extend(own_label(key).map(|(label, value)| equal(label, value)));
    format!("{}{{{}}}", family.series(), matchers.join(","))
}

/// Every series of those of a level who have these labels.
pub fn listed(own: Own<'_>, level: Level, also: &[(&str, &str)]) -> String {
    let cluster = own.cluster.map(|cluster| ("cluster", cluster));
    let shard = own.shard_of(level).map(|shard| (shard::LABEL, shard));
    let also = cluster.iter().chain(&shard).chain(also).map(|(label, value)| equal(label, value));
    let all: Vec<String> = std::iter::once(of_level(level)).chain(also).collect();
    format!("{{{}}}", all.join(","))
}

/// Every series of an entity as a whole.
pub fn all_of(own: Own<'_>, entity: &Entity) -> String {
    let parts = ["device", "interface", "accelerator_id"].map(|label| equal(label, ""));
    let whom = whom(own, &[&Subject::Entity(entity.clone())]);
    let all: Vec<String> = std::iter::once(of_level(Level::of(entity))).chain(whom).chain(parts).collect();
    format!("{{{}}}", all.join(","))
}

fn of_level(level: Level) -> String {
    format!("__name__=~\"heapster_{}_.+\"", level.word())
}

/// The points themselves of a stretch of so many milliseconds. An instant that lies at its beginning belongs to it from
/// Prometheus 3 on alone, so a millisecond more is asked for, and what is too much is left out when it is read.
pub fn points(selector: &str, millis: i64) -> String {
    format!("{selector}[{}ms]", millis.saturating_add(1))
}

/// Points of such a stretch, put together: one series for each way and each series.
pub fn aggregated(selector: &str, how: &[Aggregation], millis: i64) -> String {
    let range = points(selector, millis);
    let call = |how: &Aggregation| match how {
        Aggregation::Average => format!("avg_over_time({range})"),
        Aggregation::Maximum => format!("max_over_time({range})"),
        Aggregation::Minimum => format!("min_over_time({range})"),
        Aggregation::Count => format!("count_over_time({range})"),
        Aggregation::Median => format!("quantile_over_time(0.5, {range})"),
        Aggregation::Percentile(percent) => format!("quantile_over_time(0.{percent:02}, {range})"),
    };
    let parts = (0_usize..).zip(how);
    let parts =
        parts.map(|(at, how)| format!("label_replace({}, \"{PART}\", \"{at}\", \"\", \"\")", call(how)));
    parts.collect::<Vec<_>>().join(" or ")
}

fn level(subject: &Subject) -> Level {
    match subject {
        Subject::Entity(entity) => Level::of(entity),
        Subject::PodId(_) => Level::Pod,
        Subject::ContainerOf { .. } => Level::Container,
    }
}

/// Matchers of some who differ in the pod's name, or its uid, alone.
fn whom(own: Own<'_>, of: &[&Subject]) -> Vec<String> {
    let cluster = own.cluster.map(|cluster| equal("cluster", cluster));
    let mut matchers: Vec<String> = cluster.into_iter().collect();
    let Some(first) = of.first() else { return matchers };
    matchers.extend(own.shard_of(level(first)).map(|shard| equal(shard::LABEL, shard)));
    match first {
        Subject::PodId(_) => {}
        Subject::ContainerOf { container, .. } => matchers.push(equal("container", container)),
        Subject::Entity(entity) => match entity {
            Entity::Cluster => {}
            Entity::Namespace(namespace) | Entity::Pod { namespace, .. } => {
                matchers.push(equal("namespace", namespace));
            }
            Entity::Node(node) => matchers.push(equal("node", node)),
            Entity::FreeContainer { node, container } => {
                matchers.extend([equal("node", node), equal("container", container)]);
            }
            Entity::PodContainer { namespace, container, .. } => {
                matchers.extend([equal("namespace", namespace), equal("container", container)]);
            }
        },
    }
    let told: Vec<(&str, &str)> = of.iter().filter_map(|subject| told_apart(subject)).collect();
    match told.as_slice() {
        [] => {}
        [(label, value)] => matchers.push(equal(label, value)),
        [(label, _), ..] => {
            let any = told.iter().map(|(_, value)| literally(value)).collect::<Vec<_>>().join("|");
            matchers.push(format!("{label}=~{}", quoted(&any)));
        }
    }
    matchers
}

/// The label by which some of one question are told apart.
fn told_apart(subject: &Subject) -> Option<(&'static str, &str)> {
    match subject {
        Subject::Entity(Entity::Pod { pod, .. } | Entity::PodContainer { pod, .. }) => Some(("pod", pod)),
        Subject::Entity(_) => None,
        Subject::PodId(uid) | Subject::ContainerOf { uid, .. } => Some(("uid", uid)),
    }
}

fn equal(label: &str, value: &str) -> String {
    format!("{label}={}", quoted(value))
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// A text as a regular expression that matches nothing else.
fn literally(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for each in text.chars() {
        if !each.is_alphanumeric() && each != '_' && each != '-' {
            out.push('\\');
        }
        out.push(each);
    }
    out
}

/// Why an answer tells nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untold {
    /// In the server's words.
    Said(String),
    /// It is none of a store that knows PromQL.
    Foreign,
}

#[derive(Deserialize)]
struct Told<T> {
    #[serde(default)]
    status: String,
    data: Option<T>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    result: Vec<One<'a>>,
}

#[derive(Deserialize)]
struct One<'a> {
    metric: BTreeMap<String, String>,
    #[serde(borrow, default)]
    values: Vec<(f64, &'a str)>,
    #[serde(borrow)]
    value: Option<(f64, &'a str)>,
}

fn told<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Untold> {
    match serde_json::from_slice::<Told<T>>(body) {
        Ok(Told { status, data: Some(data), .. }) if status == "success" => Ok(data),
        Ok(Told { error: Some(error), .. }) => Err(Untold::Said(error)),
        // Of an error there may be no data that can be read.
        _ => match serde_json::from_slice::<Told<serde::de::IgnoredAny>>(body) {
            Ok(Told { error: Some(error), .. }) => Err(Untold::Said(error)),
            _ => Err(Untold::Foreign),
        },
    }
}

/// A series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Whose it is: its place among those that were asked for.
    pub whose: usize,
    /// Which part of the query it answers.
    pub part: usize,
    /// What tells it apart from the others of that part.
    pub labels: BTreeMap<String, String>,
    /// Its points in milliseconds, oldest first. No end of a series is among them.
    pub points: Vec<(i64, f64)>,
}

/// The series of an answer to a question about `of`.
///
/// # Errors
/// When there is no answer of such a store.
pub fn read(body: &[u8], of: &[&Subject]) -> Result<Vec<Found>, Untold> {
    let data: Data<'_> = told(body)?;
    let places: BTreeMap<&str, usize> =
        of.iter().enumerate().filter_map(|(at, subject)| Some((told_apart(subject)?.1, at))).collect();
    let label = of.first().and_then(|subject| told_apart(subject)).map(|(label, _)| label);
    let found = |mut one: One<'_>| {
        let whose = match label {
            Some(label) => *places.get(one.metric.get(label)?.as_str())?,
            None => 0,
        };
        let part = one.metric.remove(PART).map_or(Some(0), |part| part.parse().ok())?;
        // Some functions keep the name, others do not.
        one.metric.remove("__name__");
        let point = |(at, text): &(f64, &str)| {
            let value = text.parse::<f64>().ok().filter(|value| value.is_finite())?;
            Some((i64::try_from(to_u64((at * 1e3).round())?).ok()?, value))
        };
        let points = one.values.iter().chain(&one.value).filter_map(point).collect();
        Some(Found { whose, part, labels: one.metric, points })
    };
    Ok(data.result.into_iter().filter_map(found).collect())
}

/// The values of a label, sorted.
///
/// # Errors
/// When there is no answer of such a store.
pub fn read_values(body: &[u8]) -> Result<Vec<String>, Untold> {
    let names: BTreeSet<String> =
        told::<Vec<String>>(body)?.into_iter().filter(|name| !name.is_empty()).collect();
    Ok(names.into_iter().collect())
}

/// A number of an answer as a value of a metric, as the API tells it. None where it is none that the metric can have.
pub fn value(key: &MetricKey, how: Option<Aggregation>, number: f64) -> Option<Value> {
    match how {
        None | Some(Aggregation::Maximum | Aggregation::Minimum) => shown(key, number),
        Some(Aggregation::Count) => to_u64(number.round()).map(Value::Integer),
        Some(Aggregation::Average | Aggregation::Median | Aggregation::Percentile(_)) => {
            Some(Value::Float(in_own_unit(key, number)))
        }
    }
}

/// The metrics of a level whose series are of these names, sorted; and whether there are any that only a cluster knows: of
/// resources, and of applications.
pub fn metrics(level: Level, series: &[String]) -> (Vec<String>, bool, bool) {
    let has = |key: &MetricKey| {
        let name = Family::new(key, level, None).series();
        series.binary_search(&name).is_ok()
    };
    let known = Metric::ALL.iter().map(|metric| MetricKey::Known(*metric));
    let at_level = |key: &MetricKey| match key {
        MetricKey::Known(metric) => metric.descriptor().levels & level.bit() != 0,
        _ => true,
    };
    let names: BTreeSet<String> =
        known.filter(|key| at_level(key) && has(key)).map(|key| key.name().to_owned()).collect();
    let others = [MetricKey::Resource("/request".into()), MetricKey::Custom("custom/".into())];
    let [resources, custom] = others.map(|key| has(&key));
    (names.into_iter().collect(), resources, custom)
}

/// The mean of several parts of one bucket: each its mean, and how many points it has.
pub fn mean(parts: &[(f64, f64)]) -> Option<f64> {
    match parts {
        [] => None,
        [(mean, _)] => Some(*mean),
        several => {
            let count: f64 = several.iter().map(|(_, count)| count).sum();
            (count > 0.0).then(|| several.iter().map(|(mean, count)| mean * count).sum::<f64>() / count)
        }
    }
}
