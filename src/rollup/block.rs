//! One node's answer (or one window's sums) as one immutable packed block: the message, and the newest that is kept.
//! What goes in is left to [`super::node`] and [`super::sum`], how long it stays to [`super::history`].

use super::pack::Column;
use super::packer::{Packer, is_steady};
use crate::model::entity::{Entity, EntityRef, Labels};
use crate::model::inventory::NodeInventory;
use crate::model::metric::{Metric, MetricKey};
use crate::model::time::{Timestamp, Window};
use std::ops::Range;
use std::sync::Arc;

/// Position of a row in [`Rows`].
pub type Row = usize;

/// Whose values a block holds: entities, and the labelled parts of some of them. Shared by every block that holds the
/// same, which is most of one node's.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub(super) entities: Box<[Entity]>,
    pub(super) labels: Box<[Labels]>,
    /// Entity, and one more than the labels' position or 0 for the entity as a whole. Sorted.
    pub(super) rows: Box<[(u32, u32)]>,
}

impl Rows {
    /// The rows of these keys, sorted; doubles fall together.
    pub fn new<'k>(keys: impl Iterator<Item = (&'k Entity, Option<&'k Labels>)> + Clone) -> Self {
        let mut entities: Vec<&Entity> = keys.clone().map(|(entity, _)| entity).collect();
        entities.sort_unstable();
        entities.dedup();
        let mut labels: Vec<&Labels> = keys.clone().filter_map(|(_, labels)| labels).collect();
        labels.sort_unstable();
        labels.dedup();
        let index = |found: Result<usize, usize>| u32::try_from(found.unwrap_or(0)).unwrap_or(u32::MAX);
        let mut rows: Vec<(u32, u32)> = keys
            .map(|(entity, label)| {
                let label = label.map_or(0, |l| index(labels.binary_search(&l)).saturating_add(1));
                (index(entities.binary_search(&entity)), label)
            })
            .collect();
        rows.sort_unstable();
        rows.dedup();
        Self {
            entities: entities.into_iter().cloned().collect(),
            labels: labels.into_iter().cloned().collect(),
            rows: rows.into(),
        }
    }

    /// The row of an entity, or of a labelled part of it.
    pub fn find(&self, entity: &Entity, labels: Option<&Labels>) -> Option<Row> {
        let entity = u32::try_from(self.entities.binary_search(entity).ok()?).ok()?;
        let label = match labels {
            None => 0,
            Some(labels) => u32::try_from(self.labels.binary_search(labels).ok()?).ok()?.checked_add(1)?,
        };
        self.rows.binary_search(&(entity, label)).ok()
    }

    /// The rows of an entity: itself and its parts.
    pub fn span(&self, entity: EntityRef<'_>) -> Range<Row> {
        let found = self.entities.binary_search_by(|held| held.borrowed().cmp(&entity));
        let Some(at) = found.ok().and_then(|at| u32::try_from(at).ok()) else { return 0..0 };
        let first = self.rows.partition_point(|(entity, _)| *entity < at);
        let count = self.rows.iter().skip(first).take_while(|(entity, _)| *entity == at).count();
        first..first + count
    }

    /// Whom a row is of.
    pub fn key(&self, row: Row) -> Option<(&Entity, Option<&Labels>)> {
        let (entity, label) = *self.rows.get(row)?;
        let labels = label.checked_sub(1).and_then(|at| self.labels.get(usize::try_from(at).ok()?));
        Some((self.entities.get(usize::try_from(entity).ok()?)?, labels))
    }

    /// Every row's key, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Entity, Option<&Labels>)> {
        (0..self.rows.len()).filter_map(|row| self.key(row))
    }

    /// The first row whose entity is so, where no row behind one that is so is not; else how many there are.
    pub fn first_that(&self, is_so: impl Fn(&Entity) -> bool) -> Row {
        let entity = |at: u32| self.entities.get(usize::try_from(at).ok()?);
        self.rows.partition_point(|(at, _)| !entity(*at).is_some_and(&is_so))
    }

    /// Every entity, sorted.
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// About how many bytes of memory they take, names included.
    pub fn bytes(&self) -> usize {
        let fixed = size_of_val(&*self.entities) + size_of_val(&*self.labels) + size_of_val(&*self.rows);
        // Of an entity only the last name is its own, the others are shared with its neighbours.
        let own = |entity: &Entity| match entity {
            Entity::Cluster => 0,
            Entity::Namespace(name) | Entity::Node(name) => name.len(),
            Entity::FreeContainer { container, .. } | Entity::PodContainer { container, .. } => {
                container.len()
            }
            Entity::Pod { pod, .. } => pod.len(),
        };
        let labels = self.labels.iter().flat_map(Labels::iter).map(|(key, value)| key.len() + value.len());
        fixed + self.entities.iter().map(own).sum::<usize>() + labels.sum::<usize>()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// A set of rows that can tell how many of it come before a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSet {
    pub(super) words: Box<[u64]>,
    count: usize,
}

impl RowSet {
    /// The rows whose bit is set in `words`, 64 a word, lowest first.
    pub fn from_words(words: &[u64]) -> Self {
        let count = words.iter().map(|word| usize::try_from(word.count_ones()).unwrap_or(0)).sum();
        Self { words: words.into(), count }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many members come before `row`. None where it is no member.
    fn rank(&self, row: Row) -> Option<usize> {
        let (at, bit) = (row / 64, row % 64);
        let word = *self.words.get(at)?;
        if word >> bit & 1 == 0 {
            return None;
        }
        let before = self.words.get(..at)?.iter().map(|word| word.count_ones()).sum::<u32>();
        usize::try_from(before + (word & ((1 << bit) - 1)).count_ones()).ok()
    }

    /// Whether `row` is a member.
    pub fn has(&self, row: Row) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// The members, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = Row> {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = usize::try_from(left.trailing_zeros()).ok().filter(|bit| *bit < 64)?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

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
        self.columns.iter().position(|(key, _)| key == metric)
    }

    /// How many values a block of this layout has.
    pub fn points(&self) -> usize {
        self.columns.iter().map(|(_, present)| present.count).sum()
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
            let (column, rest) = Column::split(bytes, present.count)?;
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
        self.columns().nth(at)?.2.get(rank)
    }

    fn uptime(&self, start: u64) -> Option<u64> {
        uptime(self.scraped_at, start)
    }

    /// Where the columns of some metrics are. None where no row has a value.
    pub(super) fn located<const N: usize>(&self, metrics: [Metric; N]) -> [Option<Located<'_>>; N] {
        let mut located = [None; N];
        for (key, present, column) in self.columns() {
            let at = metrics.iter().position(|metric| *key == MetricKey::Known(*metric));
            if let Some(slot) = at.and_then(|at| located.get_mut(at)) {
                *slot = Some(Located { present, column });
            }
        }
        located
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
        let at = self.layout.position(metric)?;
        let (_, present, column) = self.columns().nth(at)?;
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
