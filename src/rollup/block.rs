//! One node's answer (or one window's sums) as one immutable packed block: the message, and the newest that is kept.
//! What goes in is left to [`super::node`] and [`super::sum`], how long it stays to [`super::history`].

use super::pack::Column;
use super::packer::{Packer, is_steady};
pub use super::rows::{Row, RowSet, Rows};
use crate::model::inventory::NodeInventory;
use crate::model::metric::{Metric, MetricKey};
use crate::model::time::{Timestamp, Window};
use std::sync::Arc;

/// Which rows have a value of which metric. Shared like [`Rows`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The rows.
    pub rows: Arc<Rows>,
    pub(super) columns: Box<[(MetricKey, Arc<RowSet>)]>,
    /// How many of the columns, the first ones, hardly ever change.
    pub(super) steady: usize,
}

impl Layout {
    /// The metrics that a row has a value of, those included that are worked out when read.
    pub fn metrics_of(&self, row: Row) -> impl Iterator<Item = MetricKey> {
        let stored = self.columns.iter().filter(move |(_, set)| set.has(row)).map(|(metric, _)| metric);
        let started = stored.clone().any(|metric| *metric == MetricKey::Known(Metric::StartTime));
        stored.cloned().chain(started.then_some(MetricKey::Known(Metric::Uptime)))
    }

    /// Every metric that is stored, and the rows that have a value of it.
    pub fn columns(&self) -> impl Iterator<Item = (&MetricKey, &RowSet)> {
        self.columns.iter().map(|(metric, rows)| (metric, &**rows))
    }

    /// Where a row's value of a metric is: the column's position, and the value's in it.
    pub(super) fn place(&self, row: Row, metric: &MetricKey) -> Option<(usize, usize)> {
        let at = self.position(metric)?;
        Some((at, self.columns.get(at)?.1.rank(row)?))
    }

    fn position(&self, metric: &MetricKey) -> Option<usize> {
        let (part, first) = match is_steady(metric) {
            true => (self.columns.get(..self.steady)?, 0),
            false => (self.columns.get(self.steady..)?, self.steady),
        };
        Some(first + part.binary_search_by(|(key, _)| key.cmp(metric)).ok()?)
    }

    /// Where each column begins in a block's bytes. None where they end before the last does.
    pub(super) fn starts(&self, steady: &[u8], moving: &[u8]) -> Option<Box<[u32]>> {
        let (mut whole, mut rest) = (steady, steady);
        let starts = self.columns.iter().enumerate().map(|(at, (_, present))| {
            if at == self.steady {
                (whole, rest) = (moving, moving);
            }
            let start = u32::try_from(whole.len() - rest.len()).ok()?;
            rest = Column::split(rest, present.len())?.1;
            Some(start)
        });
        starts.collect()
    }

    /// How many values a block of this layout has.
    pub fn points(&self) -> usize {
        self.columns.iter().map(|(_, present)| present.len()).sum()
    }

    /// The metric of this name that some row has.
    pub fn metric_named(&self, name: &str) -> Option<MetricKey> {
        if name == Metric::Uptime.descriptor().name {
            return Some(MetricKey::Known(Metric::Uptime));
        }
        self.columns.iter().map(|(key, _)| key).find(|key| key.name() == name).cloned()
    }
}

/// One metric's column of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located<'a> {
    present: &'a RowSet,
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
    pub present: RowSet,
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
    pub(super) starts: Box<[u32]>,
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
        for column in &columns {
            packer.add(&column.metric, &column.present.words, column.values);
        }
        packer.finish(window, scraped_at, facts)
    }

    /// Every column with its rows, in the layout's order.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&MetricKey, &RowSet, Column<'_>)> {
        let mut bytes: &[u8] = &self.steady;
        self.layout.columns.iter().enumerate().map_while(move |(at, (metric, present))| {
            if at == self.layout.steady {
                bytes = &self.moving;
            }
            let (column, rest) = Column::split(bytes, present.len())?;
            bytes = rest;
            Some((metric, &**present, column))
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
    ) -> Option<(&RowSet, Column<'_>)> {
        let same = Arc::ptr_eq(&self.layout, layout);
        let at = if same { position } else { self.layout.position(key)? };
        self.column_at(at).map(|Located { present, column }| (present, column))
    }

    /// The column at a position of the layout.
    fn column_at(&self, at: usize) -> Option<Located<'_>> {
        let present: &RowSet = &self.layout.columns.get(at)?.1;
        let bytes: &[u8] = if at < self.layout.steady { &self.steady } else { &self.moving };
        let start = usize::try_from(*self.starts.get(at)?).ok()?;
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
