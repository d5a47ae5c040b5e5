//! What metrics and labels are called where Prometheus reads them: base units, `_total`, and cAdvisor's words where it has
//! one. How they are written is left to `exposition` and `remote_write`.
//!
//! A family holds the series of one level alone, and none of a part that is in another, so that a sum over a family
//! counts nothing twice.

use super::line_protocol::set_apart;
use crate::model::entity::{EntityRef, Labels};
use crate::model::inventory::NodeInventory;
use crate::model::metric::{
    self, Form, Kind, Labelled, Levels, Metric, MetricKey, Unit, Value, to_f64, to_u64,
};
use crate::model::shard;

/// A level: whose series are in one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The cluster.
    Cluster,
    /// Namespaces.
    Namespace,
    /// Nodes.
    Node,
    /// Containers of nodes that are of no pod: `kubelet`, `runtime`, `pods`.
    SystemContainer,
    /// Pods.
    Pod,
    /// Containers of pods.
    Container,
}

impl Level {
    /// Every level, in the order of [`EntityRef`].
    pub const ALL: [Self; 6] =
        [Self::Cluster, Self::Namespace, Self::Node, Self::SystemContainer, Self::Pod, Self::Container];

    /// The level of an entity.
    pub fn of<'e>(entity: impl Into<EntityRef<'e>>) -> Self {
        match entity.into() {
            EntityRef::Cluster => Self::Cluster,
            EntityRef::Namespace(_) => Self::Namespace,
            EntityRef::Node(_) => Self::Node,
            EntityRef::FreeContainer(..) => Self::SystemContainer,
            EntityRef::Pod(..) => Self::Pod,
            EntityRef::PodContainer(..) => Self::Container,
        }
    }

    /// The word for it in a family's name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Namespace => "namespace",
            Self::Node => "node",
            Self::SystemContainer => "system_container",
            Self::Pod => "pod",
            Self::Container => "container",
        }
    }

    /// The level as the catalogue has it.
    pub const fn bit(self) -> Levels {
        match self {
            Self::Cluster => metric::CLUSTER,
            Self::Namespace => metric::NAMESPACE,
            Self::Node => metric::NODE,
            Self::SystemContainer => metric::FREE,
            Self::Pod => metric::POD,
            Self::Container => metric::CONTAINER,
        }
    }

    /// The labels that tell its entities apart, but for that of the cluster.
    pub const fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Cluster => &[],
            Self::Namespace => &["namespace"],
            Self::Node => &["node"],
            Self::SystemContainer => &["container", "node"],
            Self::Pod => &["namespace", "node", "pod"],
            Self::Container => &["container", "namespace", "node", "pod"],
        }
    }
}

/// What a family's values are to Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Nobody knows.
    Unknown,
}

/// A family: what has one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Family {
    /// Its name, without the `_total` of counters.
    pub name: String,
    /// What its values are.
    pub kind: Type,
    /// What they are counted in, the end of its name; empty where that is things.
    pub unit: &'static str,
    /// What it means.
    pub help: &'static str,
}

impl Family {
    /// The family of a metric at a level, or of parts that are set apart from the others.
    pub fn new(key: &MetricKey, level: Level, apart: Option<&str>) -> Self {
        let level = level.word();
        let MetricKey::Known(metric) = key else {
            let (stem, kind, help) = match key {
                MetricKey::Resource(_) => ("resource_request", Type::Gauge, "Amount of a resource requested"),
                _ => ("custom", Type::Unknown, "What an application measures of itself"),
            };
            return Self { name: format!("heapster_{level}_{stem}"), kind, unit: "", help };
        };
        let line = metric.descriptor();
        let (unit, _) = base(line.unit);
        let stem = stem(*metric, apart);
        let under = if unit.is_empty() { "" } else { "_" };
        let kind = match line.kind {
            // Time that passes by itself is no work that was done.
            Kind::Cumulative if *metric != Metric::Uptime => Type::Counter,
            _ => Type::Gauge,
        };
        Self { name: format!("heapster_{level}_{stem}{under}{unit}"), kind, unit, help: line.about }
    }

    /// The name of its series.
    pub fn series(&self) -> String {
        match self.kind {
            Type::Counter => format!("{}_total", self.name),
            Type::Gauge | Type::Unknown => self.name.clone(),
        }
    }
}

/// The base unit, and how many of the unit make one of it.
const fn base(unit: Unit) -> (&'static str, u64) {
    match unit {
        Unit::Count => ("", 1),
        Unit::Bytes => ("bytes", 1),
        Unit::BytesPerSecond => ("bytes_per_second", 1),
        Unit::PerSecond => ("per_second", 1),
        Unit::Milliseconds => ("seconds", 1_000),
        Unit::Nanoseconds => ("seconds", 1_000_000_000),
        Unit::Millicores => ("cores", 1_000),
        Unit::Nanocores => ("cores", 1_000_000_000),
        Unit::Share => ("ratio", 1),
        Unit::Percent => ("ratio", 100),
    }
}

/// Metrics whose names do not follow from the catalogue's.
const STEMS: [(Metric, &str); 8] = [
    (Metric::CpuLoad, "cpu_load_average"),
    (Metric::CpuUsageNanocores, "cpu_usage_reported"),
    (Metric::DiskReadBytes, "fs_reads"),
    (Metric::DiskReadBytesRate, "fs_reads"),
    (Metric::DiskWriteBytes, "fs_writes"),
    (Metric::DiskWriteBytesRate, "fs_writes"),
    (Metric::ProcessCount, "processes"),
    (Metric::RestartCount, "restarts"),
];

/// What stands between level and unit: the catalogue's name, in cAdvisor's words where it has one.
fn stem(metric: Metric, apart: Option<&str>) -> String {
    if let Some((_, stem)) = STEMS.iter().find(|(other, _)| *other == metric) {
        return (*stem).to_owned();
    }
    let line = metric.descriptor();
    let Some((group, rest)) = line.name.split_once('/') else { return line.name.to_owned() };
    // What the unit says need not be said twice.
    let rest = rest.strip_suffix("_rate").unwrap_or(rest);
    for (theirs, ours) in [("pressure_some", "waiting"), ("pressure_full", "stalled")] {
        if let Some(span) = rest.strip_prefix(theirs) {
            return format!("pressure_{group}_{ours}{}", span.strip_suffix("_total").unwrap_or(span));
        }
    }
    let rest = rest.strip_prefix("node_").unwrap_or(rest);
    let (group, rest) = match group {
        "filesystem" => ("fs", rest.to_owned()),
        "network" => (group, rest.replacen("rx", "receive", 1).replacen("tx", "transmit", 1)),
        _ => (group, rest.to_owned()),
    };
    match apart {
        Some(apart) => format!("{group}_{}_{rest}", apart.replace('-', "_")),
        None => format!("{group}_{rest}"),
    }
}

/// What sets a part apart from the others of a metric, because it is in one of them; see [`set_apart`].
pub fn apart(key: &MetricKey, part: Option<&Labels>) -> Option<&'static str> {
    let MetricKey::Known(metric) = key else { return None };
    set_apart(part).filter(|apart| kinds_of_parts(*metric).contains(&Some(apart)))
}

/// What may set parts of a metric apart, None for those that are not.
pub const fn kinds_of_parts(metric: Metric) -> &'static [Option<&'static str>] {
    match metric {
        Metric::DiskReadBytes
        | Metric::DiskReadBytesRate
        | Metric::DiskWriteBytes
        | Metric::DiskWriteBytesRate => &[None],
        _ => match metric.descriptor().labelled {
            Labelled::No | Labelled::Accelerator => &[None],
            Labelled::Interface => &[None, Some("interface")],
            Labelled::Resource => &[None, Some("imagefs"), Some("containerfs"), Some("ephemeral-storage")],
        },
    }
}

/// Whether a metric is told to Prometheus: those that the API names, and when things started.
pub fn takes(key: &MetricKey) -> bool {
    key.is_public() || *key == MetricKey::Known(Metric::StartTime)
}

/// The levels at which a metric is told.
pub const fn levels(metric: Metric) -> Levels {
    match metric {
        Metric::StartTime => Metric::Uptime.descriptor().levels,
        _ => metric.descriptor().levels,
    }
}

/// A value in the base unit, of what a metric's form holds.
pub fn value(key: &MetricKey, held: u64) -> f64 {
    match scale(key.form()) {
        // One division alone, so that the result is the double nearest to the decimal number.
        Some(form) => to_f64(held) / to_f64(form * in_base(key)),
        None => f64::from_bits(held),
    }
}

/// A value in the metric's own unit and form, of one in the base unit: what [`value`] was given, up to 2^53. None where it
/// is no number, or none that the form holds.
pub fn shown(key: &MetricKey, value: f64) -> Option<Value> {
    let own = match scale(key.form()) {
        Some(form) => to_u64((value * to_f64(form * in_base(key))).round())?,
        None => key.form().hold(value)?,
    };
    Some(key.form().show(own))
}

/// A number of the base unit in the metric's own unit.
pub fn in_own_unit(key: &MetricKey, value: f64) -> f64 {
    value * to_f64(in_base(key))
}

/// How many of what a form holds are one of the unit; None where it holds the number itself.
const fn scale(form: Form) -> Option<u64> {
    match form {
        Form::Integer | Form::Whole => Some(1),
        Form::Milli => Some(1_000),
        Form::Micro => Some(1_000_000),
        Form::Double => None,
    }
}

/// How many of a metric's unit are one of the base unit.
const fn in_base(key: &MetricKey) -> u64 {
    match key {
        // Linux tells load averages in thousandths.
        MetricKey::Known(Metric::CpuLoad) => 1_000,
        MetricKey::Known(metric) => base(metric.descriptor().unit).1,
        _ => 1,
    }
}

/// A label and its value.
pub type Label<'a> = (&'a str, &'a str);

/// Whose points are told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whose<'a> {
    /// The label `cluster`.
    pub cluster: Option<&'a str>,
    /// The label `shard` of sums.
    pub shard: Option<&'a str>,
}

/// The labels of an entity, or of a labelled part of it, sorted. Without empty ones, which Prometheus takes for none.
pub fn labels<'a>(
    whose: Whose<'a>,
    entity: EntityRef<'a>,
    part: Option<&'a Labels>,
    facts: Option<&'a NodeInventory>,
) -> Vec<Label<'a>> {
    let mut labels: Vec<Label<'a>> = Vec::with_capacity(8);
    labels.extend(whose.cluster.map(|cluster| ("cluster", cluster)));
    labels.extend(shard::label(whose.shard, entity));
    let node = facts.map(|facts| ("node", &*facts.node.name));
    match entity {
        EntityRef::Cluster => {}
        EntityRef::Namespace(namespace) => labels.push(("namespace", namespace)),
        EntityRef::Node(node) => labels.push(("node", node)),
        EntityRef::FreeContainer(node, container) => {
            labels.extend([("container", container), ("node", node)]);
        }
        EntityRef::Pod(namespace, pod) => {
            labels.extend([("namespace", namespace), ("pod", pod)]);
            labels.extend(node);
        }
        EntityRef::PodContainer(namespace, pod, container) => {
            labels.extend([("container", container), ("namespace", namespace), ("pod", pod)]);
            labels.extend(node);
        }
    }
    labels.extend(part.into_iter().flat_map(Labels::iter).map(|(label, value)| (part_label(label), value)));
    labels.retain(|(_, value)| !value.is_empty());
    labels.sort_unstable();
    labels
}

/// What a label of a part is called.
pub fn part_label(label: &str) -> &str {
    if label == "resource_id" { "device" } else { label }
}

/// The label that a metric adds to those of its entity.
pub fn own_label(key: &MetricKey) -> Option<Label<'_>> {
    match key {
        MetricKey::Known(_) => None,
        MetricKey::Resource(name) => Some(("resource", name.strip_suffix("/request").unwrap_or(name))),
        MetricKey::Custom(name) => Some(("metric", name.strip_prefix("custom/").unwrap_or(name))),
    }
}
