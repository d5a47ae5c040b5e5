//! `metric-export` and its schema (Heapster `metrics/api/v1/api.go`): the newest points of nodes, pods and containers for
//! whoever collects from here. Writing only.

use super::chunks::Frame;
use super::entity_labels;
use super::go_json::{number, pretty, quoted};
use super::lenient::GO_ZERO_TIME;
use super::rfc3339;
use crate::model::entity::{EntityRef, Labels, Name};
use crate::model::label_copier::LabelCopier;
use crate::model::metric::{Form, Kind, Labelled, Metric, Unit, Value};
use crate::model::time::Timestamp;
use crate::rollup::block::{Block, Row};
use serde::Serialize;
use std::fmt::Write;
use std::sync::Arc;

/// What is exported, in the order of Heapster's schema.
const EXPORTED: [Metric; 28] = [
    Metric::Uptime,
    Metric::CpuUsage,
    Metric::CpuLoad,
    Metric::EphemeralStorageUsage,
    Metric::MemoryUsage,
    Metric::MemoryRss,
    Metric::MemoryCache,
    Metric::MemoryWorkingSet,
    Metric::MemoryPageFaults,
    Metric::MemoryMajorPageFaults,
    Metric::NetworkRx,
    Metric::NetworkRxErrors,
    Metric::NetworkTx,
    Metric::NetworkTxErrors,
    Metric::CpuLimit,
    Metric::MemoryLimit,
    Metric::DiskReadBytes,
    Metric::DiskReadBytesRate,
    Metric::DiskWriteBytes,
    Metric::DiskWriteBytesRate,
    Metric::FilesystemUsage,
    Metric::FilesystemLimit,
    Metric::FilesystemAvailable,
    Metric::FilesystemInodes,
    Metric::FilesystemInodesFree,
    Metric::AcceleratorMemoryTotal,
    Metric::AcceleratorMemoryUsed,
    Metric::AcceleratorDutyCycle,
];

/// Labels that every exported entity may have, with their meanings.
const COMMON_LABELS: [(&str, &str); 5] = [
    ("nodename", "Name of the node"),
    ("hostname", "Host name of the node"),
    ("host_id", "What the cloud or the user calls the node's machine"),
    ("container_name", "Name of the container; machine for a node, /pod for a pod"),
    ("container_base_image", "Image of the container as its pod's spec names it"),
];

/// Labels that pods and their containers have beside those.
const POD_LABELS: [(&str, &str); 4] = [
    ("pod_name", "Name of the pod"),
    ("pod_id", "UID of the pod"),
    ("namespace_id", "UID of the pod's namespace"),
    ("labels", "Labels of the object, as label:value parted by commas"),
];

/// Whether a metric is exported of the labelled parts of an entity rather than of the entity as a whole.
const fn is_of_parts(metric: Metric) -> bool {
    matches!(metric.descriptor().labelled, Labelled::Resource | Labelled::Accelerator)
}

/// The newest block of each node in pieces, of which none is larger than one block needs. Without any it is `null`, as
/// Go wrote a list that was never made.
pub fn export(blocks: Vec<(Option<Name>, Arc<Block>)>, copier: LabelCopier) -> impl Iterator<Item = String> {
    let list = Frame { opens: "[", parts: ",", closes: "]\n", empty: "null\n" };
    let mut metrics = EXPORTED;
    metrics.sort_by_key(|metric| metric.descriptor().name);
    list.around(
        blocks
            .into_iter()
            .flat_map(move |(cluster, block)| entities(&block, cluster.as_ref(), &metrics, &copier)),
    )
}

/// The label that tells clusters apart where several are collected.
const CLUSTER: &str = "cluster_name";

/// What is written where nothing may be exported.
pub const DISABLED: &str = "[]\n";

fn entities(block: &Block, cluster: Option<&Name>, metrics: &[Metric], copier: &LabelCopier) -> Vec<String> {
    let rows = &block.layout.rows;
    let columns: Vec<(Metric, Vec<Option<u64>>)> =
        metrics.iter().filter_map(|metric| Some((*metric, block.column(*metric)?))).collect();
    let starts = block.column(Metric::StartTime).unwrap_or_default();
    let mut written = Vec::with_capacity(rows.entity_count());
    let mut first = 0;
    while let Some((entity, _)) = rows.key(first) {
        let mut end = first + 1;
        while rows.key(end).is_some_and(|(other, _)| other == entity) {
            end += 1;
        }
        let start = rows.find(entity, None).and_then(|row| *starts.get(row)?);
        let labels = || labels(block, cluster, entity, copier);
        written.extend(element(block, labels, first..end, &columns, start));
        first = end;
    }
    written
}

/// One entity. None where nothing of it is exported.
fn element(
    block: &Block,
    labels: impl FnOnce() -> String,
    rows: std::ops::Range<Row>,
    columns: &[(Metric, Vec<Option<u64>>)],
    start: Option<u64>,
) -> Option<String> {
    let end = rfc3339::format(block.window.end());
    let start = start.and_then(|nanos| i64::try_from(nanos).ok()).map(Timestamp::from_nanos);
    let start = start.map_or_else(|| GO_ZERO_TIME.to_owned(), rfc3339::format);
    let mut metrics = String::new();
    for (metric, values) in columns {
        let descriptor = metric.descriptor();
        let mut points = String::new();
        for row in rows.clone() {
            let (Some(Some(held)), Some((_, part))) = (values.get(row), block.layout.rows.key(row)) else {
                continue;
            };
            if part.is_some() != is_of_parts(*metric) {
                continue;
            }
            let from = if descriptor.kind == Kind::Cumulative { &start } else { &end };
            let comma = if points.is_empty() { "" } else { "," };
            let value = match descriptor.form.show(*held) {
                Value::Integer(whole) => whole.to_string(),
                Value::Float(float) => number(float),
            };
            // Writing to a string cannot fail.
            let _ = write!(
                points,
                "{comma}{{\"start\":\"{from}\",\"end\":\"{end}\",{}\"value\":{value}}}",
                told(part)
            );
        }
        if !points.is_empty() {
            let comma = if metrics.is_empty() { "" } else { "," };
            let _ = write!(metrics, "{comma}{}:[{points}]", quoted(descriptor.name));
        }
    }
    (!metrics.is_empty()).then(|| format!("{{\"metrics\":{{{metrics}}},\"labels\":{}}}", labels()))
}

/// The labels of a part.
fn told(part: Option<&Labels>) -> String {
    let Some(part) = part else { return String::new() };
    let pairs: Vec<String> =
        part.iter().map(|(label, value)| format!("{}:{}", quoted(label), quoted(value))).collect();
    format!("\"labels\":{{{}}},", pairs.join(","))
}

/// The labels of an entity, sorted. Nodes and pods have the names of containers that cAdvisor gave them once.
fn labels(block: &Block, cluster: Option<&Name>, entity: EntityRef<'_>, copier: &LabelCopier) -> String {
    let mut labels = entity_labels::of(entity, block.facts.as_deref(), copier);
    match entity {
        EntityRef::Node(_) => labels.insert("container_name".to_owned(), "machine".to_owned()),
        EntityRef::Pod(..) => labels.insert("container_name".to_owned(), "/pod".to_owned()),
        _ => None,
    };
    let shown = |label: &str| COMMON_LABELS.iter().chain(&POD_LABELS).any(|(name, _)| *name == label);
    let pairs = labels.iter().filter(|(label, _)| shown(label));
    let pair = |label: &str, value: &str| format!("{}:{}", quoted(label), quoted(value));
    let pairs = pairs.map(|(label, value)| pair(label, value));
    let pairs: Vec<String> = cluster.map(|name| pair(CLUSTER, name)).into_iter().chain(pairs).collect();
    format!("{{{}}}", pairs.join(","))
}

#[derive(Serialize)]
struct Schema {
    metrics: Vec<Line>,
    common_labels: Vec<Label>,
    pod_labels: Vec<Label>,
}

#[derive(Serialize)]
struct Label {
    key: &'static str,
    description: &'static str,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    description: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<Label>,
    #[serde(rename = "type")]
    kind: &'static str,
    value_type: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    units: &'static str,
}

/// The schema of [`export`], in the pretty form.
pub fn schema() -> String {
    let label = |(key, description): &(&'static str, &'static str)| Label { key, description };
    let schema = Schema {
        metrics: EXPORTED.iter().map(|metric| line(*metric)).collect(),
        common_labels: COMMON_LABELS.iter().map(label).collect(),
        pod_labels: POD_LABELS.iter().map(label).collect(),
    };
    // Texts and lists of them cannot fail to be JSON.
    pretty(&schema, 0).unwrap_or_default()
}

fn line(metric: Metric) -> Line {
    let descriptor = metric.descriptor();
    let labels: &[(&str, &str)] = match descriptor.labelled {
        Labelled::Resource => &[("resource_id", "Which device, file system or volume")],
        Labelled::Accelerator => &[
            ("make", "Maker of the accelerator"),
            ("model", "Model of the accelerator"),
            ("accelerator_id", "Which accelerator"),
        ],
        Labelled::No | Labelled::Interface => &[],
    };
    Line {
        name: descriptor.name,
        description: descriptor.about,
        labels: labels.iter().map(|(key, description)| Label { key, description }).collect(),
        kind: match descriptor.kind {
            Kind::Cumulative => "cumulative",
            Kind::Gauge => "gauge",
        },
        value_type: if descriptor.form == Form::Integer { "int64" } else { "double" },
        // Heapster knew no other units here.
        units: match descriptor.unit {
            unit @ (Unit::Bytes | Unit::Milliseconds | Unit::Nanoseconds) => unit.name(),
            _ => "",
        },
    }
}
