//! One node's answer (or one window's sums) as one immutable packed block: the message, and the newest that is kept.
//! What goes in is left to [`super::node`] and [`super::sum`], how long it stays to [`super::history`].

use super::layout::words_for;
pub use super::layout::{Layout, RowSet};
use super::narrow::Narrow;
use super::pack::Column;
use super::packer::{Packer, is_steady};
pub use super::rows::{Row, Rows};
use crate::model::inventory::NodeInventory;
use crate::model::metric::{Metric, MetricKey};
use crate::model::time::{Timestamp, Window};
use std::sync::Arc;

/// One metric's column of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located<'a> {
    present: RowSet<'a>,
    column: Column<'a>,
}

impl Located<'_> {
    /// The value of a row.
    pub fn get(&self, row: Row) -> Option<u64> {
        self.column.get(self.present.rank(row)?)
    }
}

/// A column that a block is made of: the rows that have a value, and the values in the same order.
pub struct Filled<'a> {
    /// Of which metric.
    pub metric: MetricKey,
    /// Of which rows.
    pub present: RowSet<'a>,
    /// The values.
    pub values: &'a [u64],
}

/// One node's answer or one window's sums, packed. Never changed once made.
#[derive(Debug, PartialEq)]
pub struct Block {
    /// The window whose end stamps every point.
    pub window: Window,
    /// When the answer was asked for.
    pub scraped_at: Timestamp,
    /// What is in it.
    pub layout: Arc<Layout>,
    /// What was known of the node and its pods; None for sums.
    pub facts: Option<Arc<NodeInventory>>,
    pub(super) steady: Arc<[u8]>,
    pub(super) moving: Box<[u8]>,
    /// Where each column begins, in `steady` the first ones, in `moving` those behind: whoever reads a few values need
    /// not go through all the columns before.
    pub(super) starts: Narrow,
}

/// Milliseconds from a start to the scrape, as Heapster told them. None for a start after it.
pub(super) fn uptime(scraped_at: Timestamp, start: u64) -> Option<u64> {
    u64::try_from(scraped_at.nanos()).ok()?.checked_sub(start).map(|nanos| nanos / 1_000_000)
}

impl Block {
    /// Packs a block. What equals its like in `previous` is shared with it.
    pub fn new(
        window: Window,
        scraped_at: Timestamp,
        rows: Arc<Rows>,
        mut columns: Vec<Filled<'_>>,
        facts: Option<Arc<NodeInventory>>,
        previous: Option<&Block>,
    ) -> Self {
        columns.retain(|column| !column.values.is_empty());
        columns.sort_by(|a, b| (!is_steady(&a.metric), &a.metric).cmp(&(!is_steady(&b.metric), &b.metric)));
        let mut packer = Packer::new(rows, previous);
        let mut words = vec![0; words_for(packer.rows())];
        for column in &columns {
            // As many words as there are rows for.
            words.fill(0);
            words.iter_mut().zip(column.present.words).for_each(|(slot, word)| *slot = *word);
            packer.add(&column.metric, &words, column.values);
        }
        packer.finish(window, scraped_at, facts)
    }

    /// Every column with its rows, in the layout's order.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&MetricKey, RowSet<'_>, Column<'_>)> {
        let mut bytes: &[u8] = &self.steady;
        self.layout.columns().enumerate().map_while(move |(at, (metric, present))| {
            if at == self.layout.steady {
                bytes = &self.moving;
            }
            let (column, rest) = Column::split(bytes, present.len())?;
            bytes = rest;
            Some((metric, present, column))
        })
    }

    /// The value of a metric of a row, as the metric's form holds it.
    pub fn value(&self, row: Row, metric: &MetricKey) -> Option<u64> {
        if *metric == MetricKey::Known(Metric::Uptime) {
            return self.uptime(self.value(row, &MetricKey::Known(Metric::StartTime))?);
        }
        let (at, rank) = self.layout.place(row, metric)?;
        self.column_at(at)?.column.get(rank)
    }

    /// The column that stands at a position of another block's layout, which may be this one's.
    pub(super) fn column_like(
        &self,
        layout: &Arc<Layout>,
        position: usize,
        key: &MetricKey,
    ) -> Option<(RowSet<'_>, Column<'_>)> {
        let same = Arc::ptr_eq(&self.layout, layout);
        let at = if same { position } else { self.layout.position(key)? };
        self.column_at(at).map(|Located { present, column }| (present, column))
    }

    /// The column at a position of the layout.
    fn column_at(&self, at: usize) -> Option<Located<'_>> {
        let (_, present) = self.layout.column(at)?;
        let bytes: &[u8] = if at < self.layout.steady { &self.steady } else { &self.moving };
        let start = self.starts.get(at)?;
        let (column, _) = Column::split(bytes.get(start..)?, present.len())?;
        Some(Located { present, column })
    }

    fn uptime(&self, start: u64) -> Option<u64> {
        uptime(self.scraped_at, start)
    }

    /// Where the columns of some metrics are. None where no row has a value.
    pub(super) fn located<const N: usize>(&self, metrics: [Metric; N]) -> [Option<Located<'_>>; N] {
        metrics.map(|metric| self.column_at(self.layout.position(&MetricKey::Known(metric))?))
    }

    /// One whole column by row; None where a row has no value.
    pub fn column(&self, metric: Metric) -> Option<Vec<Option<u64>>> {
        self.column_of(&MetricKey::Known(metric))
    }

    /// The same of a metric that may not be in the catalogue.
    pub fn column_of(&self, metric: &MetricKey) -> Option<Vec<Option<u64>>> {
        if *metric == MetricKey::Known(Metric::Uptime) {
            let starts = self.column(Metric::StartTime)?;
            return Some(starts.into_iter().map(|start| self.uptime(start?)).collect());
        }
        let Located { present, column } = self.column_at(self.layout.position(metric)?)?;
        let mut values = vec![None; self.layout.rows.len()];
        for (row, value) in present.iter().zip(column.iter()) {
            if let Some(slot) = values.get_mut(row) {
                *slot = Some(value);
            }
        }
        Some(values)
    }

    /// Calls `each` for every value, metric by metric, rows ascending; uptimes behind start times.
    pub fn for_each(&self, mut each: impl FnMut(Row, &MetricKey, u64)) {
        for (metric, present, column) in self.columns() {
            for (row, value) in present.iter().zip(column.iter()) {
                each(row, metric, value);
            }
            if *metric == MetricKey::Known(Metric::StartTime) {
                for (row, start) in present.iter().zip(column.iter()) {
                    if let Some(uptime) = self.uptime(start) {
                        each(row, &MetricKey::Known(Metric::Uptime), uptime);
                    }
                }
            }
        }
    }

    /// How many values are held.
    pub fn points(&self) -> usize {
        self.layout.points()
    }

    /// Bytes of packed values that this block does not share with `previous`.
    pub fn own_bytes(&self, previous: Option<&Block>) -> usize {
        let shared = previous.is_some_and(|previous| Arc::ptr_eq(&previous.steady, &self.steady));
        self.moving.len() + if shared { 0 } else { self.steady.len() }
    }
}
