//! A table being filled: rows fixed, a column for each metric that turns up. It becomes a [`Block`] and is gone.

use super::block::{Block, Row, Rows};
use super::cells::{Cells, View};
use super::packer::{Packer, is_steady};
use crate::model::inventory::NodeInventory;
use crate::model::metric::{Metric, MetricKey};
use crate::model::time::{Timestamp, Window};
use std::sync::Arc;

/// A table being filled.
#[derive(Debug)]
pub struct Sheet {
    rows: Arc<Rows>,
    known: Vec<Option<Cells>>,
    other: Vec<(MetricKey, Cells)>,
}

impl Sheet {
    /// An empty table of these rows.
    pub fn new(rows: Arc<Rows>) -> Self {
        let mut known = Vec::new();
        known.resize_with(Metric::ALL.len(), || None);
        Self { rows, known, other: Vec::new() }
    }

    /// The rows.
    pub fn rows(&self) -> &Arc<Rows> {
        &self.rows
    }

    /// Puts in a value, as the metric's form holds it, over any that was there.
    pub fn set(&mut self, row: Row, metric: Metric, held: u64) {
        let rows = self.rows.len();
        if let Some(cells) = self.known.get_mut(metric.index()) {
            cells.get_or_insert_with(|| Cells::new(rows)).set(row, held);
        }
    }

    /// Puts in a value of a metric outside the catalogue. False where there are already `limit` such metrics.
    pub fn set_other(&mut self, row: Row, metric: &MetricKey, held: u64, limit: usize) -> bool {
        if let Some((_, cells)) = self.other.iter_mut().find(|(key, _)| key == metric) {
            cells.set(row, held);
            return true;
        }
        if self.other.len() >= limit {
            return false;
        }
        let mut cells = Cells::new(self.rows.len());
        cells.set(row, held);
        self.other.push((metric.clone(), cells));
        true
    }

    /// Puts in many values of one metric.
    pub(super) fn fill(&mut self, metric: Metric, held: impl Iterator<Item = (Row, u64)>) {
        let mut held = held.peekable();
        if held.peek().is_none() {
            return;
        }
        let rows = self.rows.len();
        if let Some(cells) = self.known.get_mut(metric.index()) {
            let cells = cells.get_or_insert_with(|| Cells::new(rows));
            held.for_each(|(row, held)| cells.set(row, held));
        }
    }

    /// The value that was put in.
    pub fn get(&self, row: Row, metric: Metric) -> Option<u64> {
        self.column(metric)?.get(row)
    }

    /// A metric's values. None where no row has any.
    pub(super) fn column(&self, metric: Metric) -> Option<View<'_>> {
        self.known.get(metric.index())?.as_ref().map(Cells::view)
    }

    /// The same, to be changed.
    pub(super) fn column_mut(&mut self, metric: Metric) -> Option<&mut Cells> {
        self.known.get_mut(metric.index())?.as_mut()
    }

    /// The metrics outside the catalogue that turned up.
    pub fn other_metrics(&self) -> impl Iterator<Item = &MetricKey> {
        self.other.iter().map(|(key, _)| key)
    }

    /// The value that was put in for a metric outside the catalogue.
    pub fn get_other(&self, row: Row, metric: &MetricKey) -> Option<u64> {
        self.other.iter().find(|(key, _)| key == metric)?.1.get(row)
    }

    /// The table as a block.
    pub fn pack(
        self,
        window: Window,
        scraped_at: Timestamp,
        facts: Option<Arc<NodeInventory>>,
        previous: Option<&Block>,
    ) -> Block {
        let mut others = self.other;
        others.sort_by(|(a, _), (b, _)| a.cmp(b));
        let known =
            |metric: &Metric| Some((MetricKey::Known(*metric), self.known.get(metric.index())?.as_ref()?));
        let known = Metric::ALL.iter().filter_map(known);
        let all: Vec<(MetricKey, &Cells)> =
            known.chain(others.iter().map(|(key, cells)| (key.clone(), cells))).collect();
        let (steady, moving): (Vec<_>, Vec<_>) = all.into_iter().partition(|(metric, _)| is_steady(metric));
        let mut packer = Packer::new(self.rows, previous);
        let mut values = Vec::new();
        for (metric, cells) in steady.iter().chain(&moving) {
            values.clear();
            let cells = cells.view();
            cells.collect(&mut values);
            packer.add(metric, cells.present, &values);
        }
        packer.finish(window, scraped_at, facts)
    }
}
