//! Which series have ended: had a point before and have none now. Who is told, and how, is left to the sinks.

use super::block::{Block, Layout, Row};
use super::cluster::Batch;
use crate::model::Map;
use crate::model::entity::Name;
use crate::model::inventory::NodeInventory;
use crate::model::metric::{Metric, MetricKey};
use std::sync::Arc;

/// What a node, or the sums, had last.
#[derive(Clone, Debug)]
struct Last {
    window: i64,
    layout: Arc<Layout>,
    facts: Option<Arc<NodeInventory>>,
}

/// Series of one node, or of the sums, that have ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The rows that they were of.
    pub layout: Arc<Layout>,
    /// What was known of their node; None for sums.
    pub facts: Option<Arc<NodeInventory>>,
    /// Row and metric of each.
    pub series: Vec<(Row, MetricKey)>,
}

/// The series that one cluster had in the windows that were followed. Takes next to no memory: it shares what the blocks
/// share among themselves.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// By node; the sums have no name.
    last: Map<Option<Name>, Last>,
    window: Option<i64>,
}

impl Followed {
    /// The series that have ended by this window: those that their node, which answered, tells no more, and all of a node
    /// that has not answered for two windows, as long as it is listed. None for a window before the last that was
    /// followed.
    pub fn ended(&self, batch: &Batch) -> Vec<Ended> {
        let now = batch.window.index();
        if self.window.is_none_or(|last| now <= last) {
            return Vec::new();
        }
        let blocks: Map<Option<Name>, &Arc<Block>> =
            batch.nodes.iter().chain(&batch.sums).map(|block| (name(block), block)).collect();
        let mut all = Vec::new();
        for (node, last) in &self.last {
            let series = match blocks.get(node) {
                Some(block) if Arc::ptr_eq(&block.layout, &last.layout) => continue,
                Some(block) => missing(&last.layout, &block.layout),
                None if last.window + 1 < now => every(&last.layout),
                None => continue,
            };
            if !series.is_empty() {
                all.push(Ended { layout: last.layout.clone(), facts: last.facts.clone(), series });
            }
        }
        all
    }

    /// Takes in a window: later ones are held to it.
    pub fn follow(&mut self, batch: &Batch) {
        let now = batch.window.index();
        if self.window.is_some_and(|last| now < last) {
            // The clock was set back.
            self.last.clear();
        }
        self.window = Some(now);
        self.last.retain(|_, last| last.window + 1 >= now);
        for block in batch.nodes.iter().chain(&batch.sums) {
            let last = Last { window: now, layout: block.layout.clone(), facts: block.facts.clone() };
            self.last.insert(name(block), last);
        }
    }
}

fn name(block: &Block) -> Option<Name> {
    block.facts.as_ref().map(|facts| facts.node.name.clone())
}

/// The series of `before` that are not in `after`.
fn missing(before: &Layout, after: &Layout) -> Vec<(Row, MetricKey)> {
    let same = Arc::ptr_eq(&before.rows, &after.rows);
    let find = |row| {
        let (entity, part) = before.rows.key(row)?;
        after.rows.find(entity, part)
    };
    let rows: Vec<Option<Row>> =
        (0..before.rows.len()).map(|row| if same { Some(row) } else { find(row) }).collect();
    let mut series = Vec::new();
    for (metric, present) in before.columns() {
        let now = after.columns().find(|(other, _)| *other == metric).map(|(_, present)| present);
        if same && now == Some(present) {
            continue;
        }
        let gone = |row: &Row| {
            let row = rows.get(*row).copied().flatten();
            !row.is_some_and(|row| now.is_some_and(|now| now.has(row)))
        };
        with_uptime(metric, present.iter().filter(gone), &mut series);
    }
    series
}

fn every(layout: &Layout) -> Vec<(Row, MetricKey)> {
    let mut series = Vec::new();
    for (metric, present) in layout.columns() {
        with_uptime(metric, present.iter(), &mut series);
    }
    series
}

/// Adds the series of a metric; with a start goes what is worked out from it.
fn with_uptime(metric: &MetricKey, rows: impl Iterator<Item = Row>, series: &mut Vec<(Row, MetricKey)>) {
    let started = *metric == MetricKey::Known(Metric::StartTime);
    for row in rows {
        series.push((row, metric.clone()));
        if started {
            series.push((row, MetricKey::Known(Metric::Uptime)));
        }
    }
}
