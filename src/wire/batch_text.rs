//! A window as the text that Heapster's log sink printed (`metrics/sinks/log/log_sink.go`). Writing only.

use super::{entity_labels, rfc3339};
use crate::model::entity::{Entity, Labels};
use crate::model::label_copier::LabelCopier;
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
    labelled: Vec<(MetricKey, Labels, Value)>,
}

/// The text: entities sorted by key, and within each labels and metrics sorted by name; labelled metrics part by part in
/// the catalogue's order, which is that in which Heapster met them.
pub fn encode(batch: &Batch, copier: &LabelCopier) -> String {
    let mut sets: BTreeMap<String, Set> = BTreeMap::new();
    let blocks = batch.nodes.iter().chain(&batch.sums);
    for block in blocks {
        collect(block, copier, &mut sets);
    }
    // Sums are of no node, but every node knows the uids of all namespaces.
    let uids = batch.nodes.iter().find_map(|block| Some(&block.facts.as_ref()?.namespaces));
    for (name, uid) in uids.into_iter().flat_map(|uids| uids.iter()) {
        if let Some(set) = sets.get_mut(&Entity::Namespace(name.clone()).to_string()) {
            set.labels.insert("namespace_id".to_owned(), uid.to_string());
        }
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
            line(format_args!("      {} = {}", metric.name(), number(*value)));
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
            set.labels = entity_labels::of(entity, block.facts.as_deref(), copier);
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
                set.labelled.push((metric.clone(), part.clone(), metric.form().show(held)));
            }
            _ => {}
        }
    });
    for set in sets.values_mut() {
        set.labelled.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    }
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
