//! InfluxDB's query language, as much of it as is needed to ask about the past: statements over what the sink wrote, and what
//! is answered to them (InfluxDB 1.x, `/query` with `epoch=ns`). Who is asked is left to the sink.
//!
//! Whatever comes from a client stands between quotes and is escaped, though names are checked before.

use super::influx_query::quoted;
use super::line_protocol::{parted, pictured, set_apart};
use crate::model::entity::Entity;
use crate::model::metric::{Form, MetricKey, Value, to_u64};
use crate::model::past::{
    Aggregation, Bucket, Series, Sought, Subject, Wanted, labels_of_parts, metric_named, number,
};
use crate::model::shard;
use crate::model::time::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How the sink wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Whether a metric's name is parted into measurement and field.
    pub with_fields: bool,
    /// The tag `cluster_name` of every point.
    pub cluster_name: String,
    /// The tag `shard` of sums; empty for those of the whole cluster.
    pub shard: String,
    /// The retention policy that is read; None for the database's own default.
    pub policy: Option<String>,
}

/// Metrics of which whoever is listed has one.
const LISTED: [&str; 5] = ["memory/usage", "memory/working_set", "cpu/usage_rate", "cpu/request", "uptime"];

impl Layout {
    /// Asks for the points of each, one statement after the other.
    pub fn points(&self, wanted: &Wanted) -> String {
        let (from, field) = self.place(wanted);
        let field = quoted(&field);
        self.statements(wanted, |sought| {
            format!("SELECT {field} FROM {from} WHERE {}", self.during(wanted, sought))
        })
    }

    /// Asks for points put together.
    pub fn buckets(&self, wanted: &Wanted, how: &[Aggregation], every: Option<i64>) -> String {
        let (from, field) = self.place(wanted);
        let field = quoted(&field);
        let call = |how: &Aggregation| match how {
            Aggregation::Average => format!("MEAN({field})"),
            Aggregation::Maximum => format!("MAX({field})"),
            Aggregation::Minimum => format!("MIN({field})"),
            Aggregation::Median => format!("MEDIAN({field})"),
            Aggregation::Count => format!("COUNT({field})"),
            Aggregation::Percentile(percent) => format!("PERCENTILE({field}, {percent})"),
        };
        let calls = how.iter().map(call).collect::<Vec<_>>().join(", ");
        let group = every.map_or_else(String::new, |millis| format!(" GROUP BY time({millis}ms) fill(none)"));
        self.statements(wanted, |sought| {
            format!("SELECT {calls} FROM {from} WHERE {}{group}", self.during(wanted, sought))
        })
    }

    /// Asks for the values of a tag of some.
    fn values(&self, tag: &str, kind: &str, also: &[(&str, &str)]) -> String {
        let from: BTreeSet<String> =
            LISTED.iter().map(|metric| quoted(&parted(metric, None, self.with_fields).0)).collect();
        let from = from.into_iter().collect::<Vec<_>>().join(", ");
        let of = self.of(kind, also);
        format!("SHOW TAG VALUES FROM {from} WITH KEY = {} WHERE {of}", quoted(tag))
    }

    /// Asks for the nodes.
    pub fn nodes(&self) -> String {
        self.values("nodename", "node", &[])
    }

    /// Asks for the namespaces.
    pub fn namespaces(&self) -> String {
        self.values("namespace_name", "ns", &[])
    }

    /// Asks for the pods of a namespace.
    pub fn pods(&self, namespace: &str) -> String {
        self.values("pod_name", "pod", &[("namespace_name", namespace)])
    }

    /// Asks for the containers of a pod.
    pub fn containers(&self, namespace: &str, pod: &str) -> String {
        let also = [("namespace_name", namespace), ("pod_name", pod)];
        self.values("container_name", "pod_container", &also)
    }

    /// Asks for the free containers of a node.
    pub fn free_containers(&self, node: &str) -> String {
        self.values("container_name", "sys_container", &[("nodename", node)])
    }

    /// Asks for the last of every metric of an entity as a whole. What there is of measurements is no answer to which of them
    /// one entity has: tags are looked for in each measurement, not in each series.
    pub fn metrics(&self, entity: &Entity) -> String {
        let policy = self.policy.as_ref().map_or_else(String::new, |policy| format!("{}.", quoted(policy)));
        let of = self.selector(&Subject::Entity(entity.clone()));
        let parts =
            ["resource_id", "interface", "accelerator_id"].map(|part| format!("{} = ''", quoted(part)));
        format!("SELECT LAST(*) FROM {policy}/.*/ WHERE {of} AND {}", parts.join(" AND "))
    }

    fn statements(&self, wanted: &Wanted, statement: impl Fn(&Sought) -> String) -> String {
        wanted.of.iter().map(statement).collect::<Vec<_>>().join("; ")
    }

    /// Measurement and field.
    fn place(&self, wanted: &Wanted) -> (String, String) {
        let apart = set_apart(wanted.labels.as_ref());
        let (measurement, field) = parted(&wanted.metric, apart, self.with_fields);
        let policy = self.policy.as_ref().map_or_else(String::new, |policy| format!("{}.", quoted(policy)));
        (format!("{policy}{}", quoted(&pictured(&measurement))), pictured(&field))
    }

    /// The series of somebody, and when.
    fn during(&self, wanted: &Wanted, sought: &Sought) -> String {
        let key = metric_named(&wanted.metric);
        let mut all = vec![self.selector(&sought.subject)];
        for (label, value) in wanted.labels.iter().flat_map(|labels| labels.iter()) {
            all.push(equal(label, value));
        }
        let given = |label: &str| wanted.labels.as_ref().is_some_and(|labels| labels.get(label).is_some());
        let others = labels_of_parts(key.as_ref()).iter().filter(|label| !given(label));
        all.extend(others.map(|label| equal(label, "")));
        let (start, end) = (sought.start.nanos(), wanted.end.nanos());
        format!("{} AND time >= {start} AND time <= {end}", all.join(" AND "))
    }

    fn selector(&self, subject: &Subject) -> String {
        match subject {
            Subject::PodId(uid) => self.of("pod", &[("pod_id", uid)]),
            Subject::ContainerOf { uid, container } => {
                self.of("pod_container", &[("pod_id", uid), ("container_name", container)])
            }
            Subject::Entity(entity) => {
                let kind = entity.type_label();
                match entity {
                    Entity::Cluster => self.of(kind, &[]),
                    Entity::Namespace(namespace) => self.of(kind, &[("namespace_name", namespace)]),
                    Entity::Node(node) => self.of(kind, &[("nodename", node)]),
                    Entity::FreeContainer { node, container } => {
                        self.of(kind, &[("nodename", node), ("container_name", container)])
                    }
                    Entity::Pod { namespace, pod } => {
                        self.of(kind, &[("namespace_name", namespace), ("pod_name", pod)])
                    }
                    Entity::PodContainer { namespace, pod, container } => self.of(
                        kind,
                        &[("namespace_name", namespace), ("pod_name", pod), ("container_name", container)],
                    ),
                }
            }
        }
    }

    fn of(&self, kind: &str, also: &[(&str, &str)]) -> String {
        let own = [("type", kind), ("cluster_name", &*self.cluster_name)];
        // One shard's sums are not another's, nor the whole.
        let shard = matches!(kind, "cluster" | "ns").then_some((shard::LABEL, &*self.shard));
        let all = own.iter().chain(&shard).chain(also).map(|(tag, value)| equal(tag, value));
        all.collect::<Vec<_>>().join(" AND ")
    }
}

fn equal(tag: &str, value: &str) -> String {
    let value = pictured(value).replace('\\', "\\\\").replace('\'', "\\'");
    format!("{} = '{value}'", quoted(&pictured(tag)))
}

/// Why an answer tells nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untold {
    /// In the server's words.
    Said(String),
    /// It is none of an InfluxDB.
    Foreign,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    results: Vec<Outcome>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    series: Vec<Table>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Table {
    #[serde(default)]
    name: String,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    values: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Nothing,
    Whole(i64),
    Float(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Cell;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a text or nothing")
            }
            fn visit_unit<E: Error>(self) -> Result<Cell, E> {
                Ok(Cell::Nothing)
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<Cell, E> {
                Ok(Cell::Nothing)
            }
            fn visit_i64<E: Error>(self, whole: i64) -> Result<Cell, E> {
                Ok(Cell::Whole(whole))
            }
            fn visit_u64<E: Error>(self, whole: u64) -> Result<Cell, E> {
                Ok(i64::try_from(whole).map_or(Cell::Nothing, Cell::Whole))
            }
            fn visit_f64<E: Error>(self, float: f64) -> Result<Cell, E> {
                Ok(Cell::Float(float))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Cell, E> {
                Ok(Cell::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Cell {
    /// As a value of a metric, or of one that nobody here knows: whole as long as it is told so.
    fn value(&self, whole: Option<bool>) -> Option<Value> {
        let float = |float: f64| float.is_finite().then_some(Value::Float(float));
        match (self, whole) {
            (Self::Whole(number), Some(true) | None) => u64::try_from(*number)
                .map_or_else(|_| float(self.number()?), |number| Some(Value::Integer(number))),
            (Self::Float(number), Some(true)) => to_u64(number.round()).map(Value::Integer),
            _ => float(self.number()?),
        }
    }

    /// As a double.
    fn number(&self) -> Option<f64> {
        match self {
            Self::Whole(whole) => whole.to_string().parse().ok(),
            Self::Float(float) => Some(*float),
            Self::Nothing | Self::Text(_) => None,
        }
    }
}

fn told(body: &[u8]) -> Result<Vec<Outcome>, Untold> {
    let told: Told = serde_json::from_slice(body).map_err(|_| Untold::Foreign)?;
    let errors = told.results.iter().map(|outcome| &outcome.error).chain([&told.error]);
    let error = errors.flatten().next().cloned();
    match error {
        Some(error) => Err(Untold::Said(error)),
        None if told.results.is_empty() => Err(Untold::Foreign),
        None => Ok(told.results),
    }
}

/// Whether the values of a metric are whole numbers; None where nobody here knows.
fn is_whole(metric: &str) -> Option<bool> {
    metric_named(metric).as_ref().map(MetricKey::form).map(|form| form == Form::Integer)
}

/// The points of each statement's answer.
///
/// # Errors
/// When there is no answer of an InfluxDB.
pub fn read_points(body: &[u8], metric: &str) -> Result<Vec<Series>, Untold> {
    let whole = is_whole(metric);
    let series = |outcome: Outcome| {
        let rows = outcome.series.into_iter().flat_map(|table| table.values);
        let point = |row: Vec<Cell>| match row.as_slice() {
            [Cell::Whole(at), value, ..] => Some((Timestamp::from_nanos(*at), value.value(whole)?)),
            _ => None,
        };
        // Of two with one stamp, of series that differ in a tag that nobody asked for, the first counts.
        let mut points: BTreeMap<Timestamp, Value> = BTreeMap::new();
        for (at, value) in rows.filter_map(point) {
            points.entry(at).or_insert(value);
        }
        let mut points: Series = points.into_iter().collect();
        if whole.is_none() && points.iter().any(|(_, value)| matches!(value, Value::Float(_))) {
            for (_, value) in &mut points {
                *value = Value::Float(number(*value));
            }
        }
        points
    };
    Ok(told(body)?.into_iter().map(series).collect())
}

/// The buckets of each statement's answer. `starts` has the beginning of each one bucket, where there is one alone.
///
/// # Errors
/// When there is no answer of an InfluxDB.
pub fn read_buckets(
    body: &[u8],
    metric: &str,
    how: &[Aggregation],
    starts: Option<&[Timestamp]>,
) -> Result<Vec<Vec<Bucket>>, Untold> {
    let whole = is_whole(metric);
    let buckets = |(number, outcome): (usize, Outcome)| {
        let rows = outcome.series.into_iter().flat_map(|table| table.values);
        let bucket = |row: Vec<Cell>| {
            let (Some(Cell::Whole(at)), cells) = (row.first(), row.get(1..)?) else { return None };
            let at = match starts {
                Some(starts) => *starts.get(number)?,
                None => Timestamp::from_nanos(*at),
            };
            let value = |(how, cell): (&Aggregation, &Cell)| {
                let whole = match how {
                    Aggregation::Average | Aggregation::Median => Some(false),
                    Aggregation::Count => Some(true),
                    _ => whole,
                };
                Some((*how, cell.value(whole)?))
            };
            let values: Vec<_> = how.iter().zip(cells).filter_map(value).collect();
            (!values.is_empty()).then_some(Bucket { at, values })
        };
        rows.filter_map(bucket).collect()
    };
    Ok(told(body)?.into_iter().enumerate().map(buckets).collect())
}

/// The values of a tag, sorted.
///
/// # Errors
/// When there is no answer of an InfluxDB.
pub fn read_values(body: &[u8]) -> Result<Vec<String>, Untold> {
    let mut names = BTreeSet::new();
    for table in told(body)?.into_iter().flat_map(|outcome| outcome.series) {
        // Old releases have no column for the tag's name.
        let at = table.columns.iter().position(|column| column == "value").unwrap_or(0);
        names.extend(table.values.into_iter().filter_map(|row| match row.into_iter().nth(at) {
            Some(Cell::Text(name)) => Some(name),
            _ => None,
        }));
    }
    Ok(names.into_iter().collect())
}

/// The names of the metrics of which there is a last point, sorted.
///
/// # Errors
/// When there is no answer of an InfluxDB.
pub fn read_metrics(body: &[u8]) -> Result<Vec<String>, Untold> {
    let mut names = BTreeSet::new();
    for table in told(body)?.into_iter().flat_map(|outcome| outcome.series) {
        for (at, column) in table.columns.iter().enumerate() {
            let Some(field) = column.strip_prefix("last_") else { continue };
            let has = |row: &Vec<Cell>| row.get(at).is_some_and(|cell| cell.number().is_some());
            if table.values.iter().any(has) {
                names.insert(match field {
                    "value" => table.name.clone(),
                    field => format!("{}/{field}", table.name),
                });
            }
        }
    }
    Ok(names.into_iter().collect())
}
