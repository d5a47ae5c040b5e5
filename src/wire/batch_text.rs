//! A window as the text that Heapster's log sink printed (`metrics/sinks/log/log_sink.go`). Writing only.

use super::rfc3339;
use crate::model::entity::{Entity, Labels, Name};
use crate::model::inventory::{NodeInventory, PodFacts};
use crate::model::label_copier::{JOINED, LabelCopier};
use crate::model::metric::{Metric, MetricKey, Value};
use crate::model::time::Timestamp;
use crate::rollup::block::Block;
use crate::rollup::cluster::Batch;
use std::collections::BTreeMap;
use std::fmt::Write;

/// One entity's part of a window.
#[derive(Default)]
struct Set {
    scraped: Option<u64>,
    created: Option<u64>,
    labels: BTreeMap<String, String>,
    metrics: BTreeMap<String, Value>,
    labelled: Vec<(String, Labels, Value)>,
}

/// The text: entities sorted by key, and within each labels and metrics sorted by name.
pub fn encode(batch: &Batch, copier: &LabelCopier) -> String {
    let mut sets: BTreeMap<String, Set> = BTreeMap::new();
    let blocks = batch.nodes.iter().chain(&batch.sums);
    for block in blocks {
        collect(block, copier, &mut sets);
    }
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = out.write_fmt(format_args!("{text}\n"));
    };
    line(format_args!("DataBatch     Timestamp: {}\n", instant(batch.window.end())));
    for (key, set) in &sets {
        line(format_args!("MetricSet: {key}"));
        line(format_args!("   Scrape time: {}", stamped(set.scraped)));
        line(format_args!("   Create time: {}", stamped(set.created)));
        line(format_args!("   Labels:"));
        for (label, value) in &set.labels {
            line(format_args!("      {label} = {value}"));
        }
        line(format_args!("   Metrics:"));
        for (metric, value) in &set.metrics {
            line(format_args!("      {metric} = {}", number(*value)));
        }
        line(format_args!("   Labeled Metrics:"));
        for (metric, labels, value) in &set.labelled {
            line(format_args!("      {metric} = {}", number(*value)));
            for (label, value) in labels.iter() {
                line(format_args!("         {label} = {value}"));
            }
        }
        line(format_args!(""));
    }
    out
}

fn collect(block: &Block, copier: &LabelCopier, sets: &mut BTreeMap<String, Set>) {
    let rows = &block.layout.rows;
    let keys: Vec<String> = rows.iter().map(|(entity, _)| entity.to_string()).collect();
    for (entity, _) in rows.iter() {
        let set = sets.entry(entity.to_string()).or_default();
        if set.labels.is_empty() {
            set.labels = labels(entity, block.facts.as_deref(), copier);
        }
    }
    block.for_each(|row, metric, held| {
        let (Some(key), Some((_, part))) = (keys.get(row), rows.key(row)) else { return };
        let Some(set) = sets.get_mut(key) else { return };
        match (metric, part) {
            (MetricKey::Known(Metric::StartTime), None) => set.created = Some(held),
            (MetricKey::Known(Metric::CpuTime), None) => set.scraped = Some(held),
            (MetricKey::Known(Metric::NetworkTime | Metric::MemoryTime), None) => {
                set.scraped.get_or_insert(held);
            }
            (metric, None) if metric.is_public() => {
                set.metrics.insert(metric.name().to_owned(), metric.form().show(held));
            }
            (metric, Some(part)) if metric.is_public() => {
                set.labelled.push((metric.name().to_owned(), part.clone(), metric.form().show(held)));
            }
            _ => {}
        }
    });
    for set in sets.values_mut() {
        set.labelled.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    }
}

/// The labels that Heapster gave an entity (`metrics/core/labels.go`).
fn labels(entity: &Entity, facts: Option<&NodeInventory>, copier: &LabelCopier) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([("type", entity.type_label().to_owned())]);
    let mut of_object = None;
    if let Some(node) = facts.map(|facts| &facts.node) {
        labels.insert("nodename", node.name.to_string());
        labels.insert("hostname", node.hostname.to_string());
        labels.insert("host_id", node.host_id.to_string());
    }
    let mut of_pod = |labels: &mut BTreeMap<_, _>, namespace: &Name, pod: &Name| {
        labels.insert("namespace_name", namespace.to_string());
        labels.insert("pod_name", pod.to_string());
        if let Some(uid) = facts.and_then(|facts| facts.namespaces.get(namespace)) {
            labels.insert("namespace_id", uid.to_string());
        }
        let pod = facts.and_then(|facts| facts.pod(namespace, pod)).cloned();
        if let Some(pod) = &pod {
            labels.insert("pod_id", pod.uid.to_string());
            of_object = Some(pod.labels.clone());
        }
        pod
    };
    match entity {
        Entity::Cluster => {}
        Entity::Namespace(namespace) => {
            labels.insert("namespace_name", namespace.to_string());
        }
        Entity::Node(_) => {
            if let Some(facts) = facts {
                of_object = Some(facts.node.labels.clone());
            }
        }
        Entity::FreeContainer { container, .. } => {
            labels.insert("container_name", container.to_string());
        }
        Entity::Pod { namespace, pod } => {
            of_pod(&mut labels, namespace, pod);
        }
        Entity::PodContainer { namespace, pod, container } => {
            let pod = of_pod(&mut labels, namespace, pod);
            labels.insert("container_name", container.to_string());
            if let Some(image) = pod.as_deref().and_then(|pod| image_of(pod, container)) {
                labels.insert("container_base_image", image);
            }
        }
    }
    if let Some(object) = &of_object {
        labels.insert(JOINED, copier.joined(object));
    }
    let mut labels: BTreeMap<String, String> =
        labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    for (name, value) in of_object.iter().flat_map(|object| copier.stored(object)) {
        labels.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    labels
}

fn image_of(pod: &PodFacts, container: &Name) -> Option<String> {
    pod.containers.iter().find(|facts| facts.name == *container).map(|facts| facts.image.to_string())
}

fn number(value: Value) -> String {
    match value {
        Value::Integer(whole) => whole.to_string(),
        Value::Float(float) => format!("{float:.6}"),
    }
}

/// An instant as Go prints it.
fn instant(at: Timestamp) -> String {
    let text = rfc3339::format(at);
    format!("{} +0000 UTC", text.trim_end_matches('Z').replace('T', " "))
}

fn stamped(nanos: Option<u64>) -> String {
    let at = nanos.and_then(|nanos| i64::try_from(nanos).ok());
    at.map_or_else(
        || "0001-01-01 00:00:00 +0000 UTC -6795364578871345152".to_owned(),
        |nanos| format!("{} {nanos}", instant(Timestamp::from_nanos(nanos))),
    )
}
