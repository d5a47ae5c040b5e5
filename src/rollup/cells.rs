//! One metric's values by row, and which rows have one. Of which metric is left to who holds them.

use super::block::Row;

/// A column that can be filled.
#[derive(Debug)]
pub(super) struct Cells {
    rows: usize,
    /// One value for each row, then which of them are present.
    all: Vec<u64>,
}

/// A column to be read: whatever stands in the rows that are not present.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// One for each row.
    pub values: &'a [u64],
    /// As in [`super::block::RowSet::from_words`].
    pub present: &'a [u64],
}

impl Cells {
    /// A column of so many rows, all empty.
    pub fn new(rows: usize) -> Self {
        Self { rows, all: vec![0; rows + rows.div_ceil(64)] }
    }

    /// Puts in a value, over any that was there.
    pub fn set(&mut self, row: Row, held: u64) {
        if let Some((values, present)) = self.all.split_at_mut_checked(self.rows)
            && let (Some(value), Some(word)) = (values.get_mut(row), present.get_mut(row / 64))
        {
            *value = held;
            *word |= 1 << (row % 64);
        }
    }

    /// The column as it is now.
    pub fn view(&self) -> View<'_> {
        let (values, present) = self.all.split_at_checked(self.rows).unwrap_or_default();
        View { values, present }
    }

    /// The value of a row.
    pub fn get(&self, row: Row) -> Option<u64> {
        self.view().get(row)
    }
}

impl View<'_> {
    /// The value of a row.
    pub fn get(self, row: Row) -> Option<u64> {
        let word = self.present.get(row / 64)?;
        if word >> (row % 64) & 1 == 1 { self.values.get(row).copied() } else { None }
    }

    /// Calls `each` with every row that has a value, and the value.
    pub fn for_each(self, mut each: impl FnMut(Row, u64)) {
        for (at, (word, chunk)) in self.present.iter().zip(self.values.chunks(64)).enumerate() {
            let mut left = *word;
            while left != 0 {
                let bit = usize::try_from(left.trailing_zeros()).unwrap_or(0);
                if let Some(held) = chunk.get(bit) {
                    each(at * 64 + bit, *held);
                }
                left &= left - 1;
            }
        }
    }

    /// Appends the values there are.
    pub fn collect(self, values: &mut Vec<u64>) {
        for (word, chunk) in self.present.iter().zip(self.values.chunks(64)) {
            if *word == u64::MAX {
                values.extend_from_slice(chunk);
            } else {
                let mut left = *word;
                while left != 0 {
                    let at = usize::try_from(left.trailing_zeros()).unwrap_or(0);
                    if let Some(held) = chunk.get(at) {
                        values.push(*held);
                    }
                    left &= left - 1;
                }
            }
        }
    }
}
