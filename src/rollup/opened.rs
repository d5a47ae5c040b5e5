//! Some columns of a block by row, where one row's values of several metrics are looked at together. Which ones is left
//! to who asks.

use super::block::{Block, Row, RowSet};
use super::cells::View;
use crate::model::metric::{Metric, MetricKey};

/// Columns by row, each at its metric's place in the catalogue.
pub(super) struct Opened<'b>([Option<Column<'b>>; Metric::ALL.len()]);

struct Column<'b> {
    present: RowSet<'b>,
    /// One for each row, whatever stands in those that are not present.
    values: Vec<u64>,
}

impl<'b> Opened<'b> {
    /// None opened.
    pub fn none() -> Self {
        Self([const { None }; Metric::ALL.len()])
    }

    /// Those of a block that are wanted.
    pub fn of(block: &'b Block, is_wanted: impl Fn(Metric) -> bool) -> Self {
        let mut opened = Self::none();
        for (key, present, column) in block.columns() {
            if let MetricKey::Known(metric) = key
                && is_wanted(*metric)
            {
                opened.put(*metric, block.layout.rows.len(), present, column.iter());
            }
        }
        opened
    }

    /// Puts in a column of so many rows: which of them have a value, and the values.
    pub fn put(&mut self, metric: Metric, rows: usize, present: RowSet<'b>, held: impl Iterator<Item = u64>) {
        let mut values = vec![0; rows];
        for (row, held) in present.iter().zip(held) {
            if let Some(slot) = values.get_mut(row) {
                *slot = held;
            }
        }
        if let Some(slot) = self.0.get_mut(metric.index()) {
            *slot = Some(Column { present, values });
        }
    }

    /// A row's value of a metric.
    pub fn get(&self, metric: Metric, row: Row) -> Option<u64> {
        self.column(metric)?.get(row)
    }

    /// A metric's column, where it was opened.
    pub fn column(&self, metric: Metric) -> Option<View<'_>> {
        let Column { present, values } = self.0.get(metric.index())?.as_ref()?;
        Some(View { values, present: present.words })
    }
}
