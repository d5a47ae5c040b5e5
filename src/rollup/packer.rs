//! A block being packed, column by column: what equals its like in the block before is shared with it. What a block is is
//! left to [`super::block`], how few bytes a column takes to [`super::pack`].

use super::block::{Block, Rows};
use super::layout::Columns;
use super::narrow::Narrow;
use super::pack::pack;
use crate::model::inventory::NodeInventory;
use crate::model::metric::{Metric, MetricKey};
use crate::model::time::{Timestamp, Window};
use std::sync::Arc;

/// A block being packed, column by column in the order of its layout.
pub(super) struct Packer<'p> {
    rows: Arc<Rows>,
    previous: Option<&'p Block>,
    /// Whether every column so far stands in the layout before at the same place.
    same: bool,
    /// Those so far, once one of them does not.
    columns: Columns,
    count: usize,
    first_moving: usize,
    steady: Vec<u8>,
    moving: Vec<u8>,
    starts: Vec<u32>,
}

impl<'p> Packer<'p> {
    /// Begins a block of these rows. What equals its like in `previous` will be shared with it.
    pub fn new(rows: Arc<Rows>, previous: Option<&'p Block>) -> Self {
        let same = previous.is_some_and(|previous| {
            Arc::ptr_eq(&previous.layout.rows, &rows) || previous.layout.rows == rows
        });
        let (columns, steady) = (Columns::default(), Vec::new());
        let moving = Vec::with_capacity(previous.map_or(1_024, |previous| previous.moving.len() + 256));
        let starts = Vec::with_capacity(previous.map_or(64, |previous| previous.layout.columns().len() + 4));
        Self { rows, previous, same, columns, count: 0, first_moving: 0, steady, moving, starts }
    }

    /// The rows.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Adds a column: the rows that have a value, as in [`super::block::RowSet::from_words`] and with a bit for every row,
    /// and the values. Steady metrics first, then the others, each sorted.
    pub fn add(&mut self, metric: &MetricKey, words: &[u64], values: &[u64]) {
        let before = self.previous.and_then(|previous| previous.layout.column(self.count));
        let is_same = before.is_some_and(|(key, set)| key == metric && *set.words == *words);
        if self.same && !is_same {
            // Up to here it was the layout before.
            let layout = self.previous.map(|previous| Columns::first_of(&previous.layout, self.count));
            self.columns = layout.unwrap_or_default();
            self.same = false;
        }
        if !self.same && self.columns.add(&self.rows, metric, words).is_none() {
            return;
        }
        let bytes = if is_steady(metric) { &mut self.steady } else { &mut self.moving };
        // A block of 4 GiB is none: such a column is not found by its place.
        self.starts.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        pack(values, bytes);
        self.first_moving += usize::from(is_steady(metric));
        self.count += 1;
    }

    /// The block.
    pub fn finish(self, window: Window, scraped_at: Timestamp, facts: Option<Arc<NodeInventory>>) -> Block {
        let (rows, previous) = (self.rows, self.previous);
        let layout = match previous {
            Some(previous) if self.same && previous.layout.columns().len() == self.count => {
                previous.layout.clone()
            }
            Some(previous) if self.same => {
                Arc::new(Columns::first_of(&previous.layout, self.count).finish(rows, self.first_moving))
            }
            _ => Arc::new(self.columns.finish(rows, self.first_moving)),
        };
        let steady = match previous {
            Some(previous) if *previous.steady == *self.steady => previous.steady.clone(),
            _ => self.steady.into(),
        };
        let (moving, starts) = (self.moving.into(), Narrow::of(&self.starts));
        Block { window, scraped_at, layout, facts, steady, moving, starts }
    }
}

/// Whether a metric hardly ever changes, so that its column is shared with the block before.
pub(super) fn is_steady(metric: &MetricKey) -> bool {
    use Metric as M;
    match metric {
        MetricKey::Resource(_) => true,
        MetricKey::Custom(_) => false,
        MetricKey::Known(metric) => matches!(
            metric,
            M::StartTime
                | M::CpuRequest
                | M::CpuLimit
                | M::CpuNodeCapacity
                | M::CpuNodeAllocatable
                | M::CpuNodeReservation
                | M::MemoryRequest
                | M::MemoryLimit
                | M::MemoryNodeCapacity
                | M::MemoryNodeAllocatable
                | M::MemoryNodeReservation
                | M::EphemeralStorageRequest
                | M::EphemeralStorageLimit
                | M::EphemeralStorageNodeCapacity
                | M::EphemeralStorageNodeAllocatable
                | M::EphemeralStorageNodeReservation
                | M::FilesystemLimit
                | M::FilesystemInodes
                | M::ProcessLimit
                | M::AcceleratorMemoryTotal
                | M::RestartCount
        ),
    }
}
