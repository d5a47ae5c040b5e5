//! A table being filled: rows fixed, a column for each metric that turns up. It becomes a [`Block`] and is gone.

use super::block::{Block, Filled, Row, RowSet, Rows};
use crate::model::inventory::NodeInventory;
use crate::model::metric::{Metric, MetricKey};
use crate::model::time::{Timestamp, Window};
use std::sync::Arc;

#[derive(Debug)]
struct Cells {
    values: Vec<u64>,
    present: Vec<u64>,
}

impl Cells {
    fn new(rows: usize) -> Self {
        Self { values: vec![0; rows], present: vec![0; rows.div_ceil(64)] }
    }

    fn set(&mut self, row: Row, held: u64) {
        if let (Some(value), Some(word)) = (self.values.get_mut(row), self.present.get_mut(row / 64)) {
            *value = held;
            *word |= 1 << (row % 64);
        }
    }

    fn get(&self, row: Row) -> Option<u64> {
        let word = self.present.get(row / 64)?;
        (word >> (row % 64) & 1 == 1).then(|| self.values.get(row).copied())?
    }
}

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

    /// The value that was put in.
    pub fn get(&self, row: Row, metric: Metric) -> Option<u64> {
        self.known.get(metric.index())?.as_ref()?.get(row)
    }

    /// Whether any row has a value of the metric.
    pub fn has(&self, metric: Metric) -> bool {
        self.known.get(metric.index()).is_some_and(Option::is_some)
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
        let known = Metric::ALL.iter().zip(self.known);
        let known = known.filter_map(|(metric, cells)| Some((MetricKey::Known(*metric), cells?)));
        let dense: Vec<(MetricKey, RowSet, Vec<u64>)> = known
            .chain(self.other)
            .map(|(metric, cells)| {
                let present = RowSet::from_words(&cells.present);
                let values = present.iter().filter_map(|row| cells.values.get(row).copied()).collect();
                (metric, present, values)
            })
            .collect();
        let columns = dense
            .iter()
            .map(|(metric, present, values)| Filled {
                metric: metric.clone(),
                present: present.clone(),
                values,
            })
            .collect();
        Block::new(window, scraped_at, self.rows, columns, facts, previous)
    }
}
