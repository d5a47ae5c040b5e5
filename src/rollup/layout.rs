//! Which rows of a block have a value of which metric. Whose the rows are is left to [`super::rows`], the values to
//! [`super::block`].

use super::narrow::Narrow;
use super::pack::Column;
use super::packer::is_steady;
use super::rows::{Row, Rows};
use crate::model::metric::{Metric, MetricKey};
use std::sync::Arc;

/// A set of rows that can tell how many of it come before a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowSet<'a> {
    pub(super) words: &'a [u64],
    count: usize,
}

impl<'a> RowSet<'a> {
    /// The rows whose bit is set in `words`, 64 a word, lowest first.
    pub fn from_words(words: &'a [u64]) -> Self {
        Self { words, count: members(words) }
    }

    /// How many members there are.
    pub const fn len(self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// How many members come before `row`. None where it is no member.
    pub(super) fn rank(self, row: Row) -> Option<usize> {
        let (at, bit) = (row / 64, row % 64);
        let word = *self.words.get(at)?;
        if word >> bit & 1 == 0 {
            return None;
        }
        let before = self.words.get(..at).map_or(0, members);
        Some(before + members(&[word & ((1 << bit) - 1)]))
    }

    /// Whether `row` is a member.
    pub fn has(self, row: Row) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// The members, lowest first.
    pub fn iter(self) -> impl Iterator<Item = Row> + use<'a> {
        let (first, rest) =
            self.words.split_first().map_or((0, Default::default()), |(word, rest)| (*word, rest));
        Members { left: first, first: 0, rest: rest.iter() }
    }
}

/// The members of a set that are still to come: those of one word, whose first row is known, and of the words behind it.
struct Members<'a> {
    left: u64,
    first: Row,
    rest: std::slice::Iter<'a, u64>,
}

impl Iterator for Members<'_> {
    type Item = Row;

    #[inline]
    fn next(&mut self) -> Option<Row> {
        while self.left == 0 {
            self.left = *self.rest.next()?;
            self.first += 64;
        }
        let bit = usize::try_from(self.left.trailing_zeros()).ok()?;
        self.left &= self.left - 1;
        Some(self.first + bit)
    }
}

fn members(words: &[u64]) -> usize {
    words.iter().map(|word| usize::try_from(word.count_ones()).unwrap_or(0)).sum()
}

/// A column: its metric's place in the catalogue, or behind it the place among the others, and which of the sets its rows
/// are.
type Place = (u16, u16);

/// Which rows have a value of which metric. Shared like [`Rows`], and like them in few pieces of memory.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The rows.
    pub rows: Arc<Rows>,
    columns: Box<[Place]>,
    /// The metrics that are not in the catalogue, sorted.
    others: Box<[MetricKey]>,
    /// Each set that some column has, once: how many members there are, then as many words as there are rows for.
    sets: Box<[u64]>,
    /// How many of the columns, the first ones, hardly ever change.
    pub(super) steady: usize,
}

impl Layout {
    /// The metrics that a row has a value of, those included that are worked out when read.
    pub fn metrics_of(&self, row: Row) -> impl Iterator<Item = MetricKey> {
        let stored = self.columns().filter(move |(_, set)| set.has(row)).map(|(metric, _)| metric);
        let started = self.place(row, &MetricKey::Known(Metric::StartTime)).is_some();
        stored.cloned().chain(started.then_some(MetricKey::Known(Metric::Uptime)))
    }

    /// Every metric that is stored, and the rows that have a value of it.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = (&MetricKey, RowSet<'_>)> {
        self.columns.iter().map(|column| (self.metric(*column), self.set(*column)))
    }

    /// The column at a position.
    pub(super) fn column(&self, at: usize) -> Option<(&MetricKey, RowSet<'_>)> {
        self.columns.get(at).map(|column| (self.metric(*column), self.set(*column)))
    }

    fn metric(&self, (metric, _): Place) -> &MetricKey {
        const UNKNOWN: &MetricKey = &MetricKey::Known(Metric::Uptime);
        let at = usize::from(metric);
        let other = || self.others.get(at.checked_sub(Metric::KEYS.len())?);
        // Each has one: only what has is made a column.
        Metric::KEYS.get(at).or_else(other).unwrap_or(UNKNOWN)
    }

    fn set(&self, (_, set): Place) -> RowSet<'_> {
        let size = set_size(&self.rows);
        let start = usize::from(set) * size;
        match self.sets.get(start..start + size).and_then(<[u64]>::split_first) {
            Some((count, words)) => RowSet { words, count: usize::try_from(*count).unwrap_or(0) },
            None => RowSet::default(),
        }
    }

    /// Where a row's value of a metric is: the column's position, and the value's in it.
    pub(super) fn place(&self, row: Row, metric: &MetricKey) -> Option<(usize, usize)> {
        let at = self.position(metric)?;
        Some((at, self.set(*self.columns.get(at)?).rank(row)?))
    }

    /// The position of a metric's column.
    pub(super) fn position(&self, metric: &MetricKey) -> Option<usize> {
        let (part, first) = match is_steady(metric) {
            true => (self.columns.get(..self.steady)?, 0),
            false => (self.columns.get(self.steady..)?, self.steady),
        };
        let number = match metric {
            MetricKey::Known(metric) => metric.index(),
            other => Metric::KEYS.len() + self.others.binary_search(other).ok()?,
        };
        Some(first + part.binary_search_by(|(held, _)| usize::from(*held).cmp(&number)).ok()?)
    }

    /// Where each column begins in a block's bytes. None where they end before the last does.
    pub(super) fn starts(&self, steady: &[u8], moving: &[u8]) -> Option<Narrow> {
        let (mut whole, mut rest) = (steady, steady);
        let starts = self.columns().enumerate().map(|(at, (_, present))| {
            if at == self.steady {
                (whole, rest) = (moving, moving);
            }
            let start = u32::try_from(whole.len() - rest.len()).ok()?;
            rest = Column::split(rest, present.len())?.1;
            Some(start)
        });
        Some(Narrow::of(&starts.collect::<Option<Vec<u32>>>()?))
    }

    /// How many values a block of this layout has.
    pub fn points(&self) -> usize {
        self.columns().map(|(_, present)| present.len()).sum()
    }

    /// The metric of this name that some row has.
    pub fn metric_named(&self, name: &str) -> Option<MetricKey> {
        if name == Metric::Uptime.descriptor().name {
            return Some(MetricKey::Known(Metric::Uptime));
        }
        self.columns().map(|(key, _)| key).find(|key| key.name() == name).cloned()
    }

    /// About how many bytes of memory it takes, the rows left out.
    pub fn bytes(&self) -> usize {
        let others = self.others.iter().map(|key| size_of_val(key) + key.name().len());
        size_of_val(&*self.columns) + size_of_val(&*self.sets) + others.sum::<usize>()
    }
}

/// How many words a set of rows of this table has.
pub(super) fn words_for(rows: &Rows) -> usize {
    rows.len().div_ceil(64)
}

fn set_size(rows: &Rows) -> usize {
    words_for(rows) + 1
}

/// A layout being made, column by column.
#[derive(Debug, Default)]
pub(super) struct Columns {
    columns: Vec<Place>,
    others: Vec<MetricKey>,
    sets: Vec<u64>,
}

impl Columns {
    /// The first so many columns of a layout.
    pub fn first_of(layout: &Layout, count: usize) -> Self {
        let mut columns = Self::default();
        for (metric, set) in layout.columns().take(count) {
            columns.add(&layout.rows, metric, set.words);
        }
        columns
    }

    /// Adds a column: steady metrics first, then the others, each sorted. None, and nothing is added, where the words are
    /// not as many as those of the rows, or there are some 65,000 columns already: a node's have a limit far below.
    pub fn add(&mut self, rows: &Rows, metric: &MetricKey, words: &[u64]) -> Option<()> {
        if words.len() != words_for(rows) {
            return None;
        }
        let number = match metric {
            MetricKey::Known(metric) => metric.index(),
            _ => Metric::KEYS.len() + self.others.len(),
        };
        let size = set_size(rows);
        // Most often it is one of the last.
        let mut sets = self.sets.chunks_exact(size).enumerate().rev();
        let like = sets.find(|(_, set)| set.get(1..) == Some(words)).map(|(at, _)| at);
        let set = like.unwrap_or(self.sets.len() / size);
        let place = (u16::try_from(number).ok()?, u16::try_from(set).ok()?);
        if like.is_none() {
            self.sets.push(u64::try_from(members(words)).ok()?);
            self.sets.extend_from_slice(words);
        }
        if !matches!(metric, MetricKey::Known(_)) {
            self.others.push(metric.clone());
        }
        self.columns.push(place);
        Some(())
    }

    /// The layout, of which so many columns are steady.
    pub fn finish(self, rows: Arc<Rows>, steady: usize) -> Layout {
        // Copied, not shrunk: an allocator may leave what shrinks as large as it was.
        let (columns, sets) = (self.columns.as_slice().into(), self.sets.as_slice().into());
        Layout { rows, columns, others: self.others.as_slice().into(), sets, steady }
    }
}
