//! The last minutes of one node, or of the sums: blocks in the order in which they came, and what is read from them.

use super::block::{Block, Layout, Row, Rows};
use crate::model::entity::{Entity, Labels};
use crate::model::metric::{MetricKey, Value};
use crate::model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Instants from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub start: Timestamp,
    /// The last.
    pub end: Timestamp,
}

impl Span {
    /// All instants there are.
    pub const ALL: Span =
        Span { start: Timestamp::from_nanos(i64::MIN), end: Timestamp::from_nanos(i64::MAX) };

    fn has(self, at: Timestamp) -> bool {
        (self.start..=self.end).contains(&at)
    }
}

/// What a series is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesKey {
    /// The entity.
    pub entity: Entity,
    /// The metric's whole name.
    pub metric: String,
    /// The part of the entity; None for the entity as a whole.
    pub labels: Option<Labels>,
}

/// A series by the stamps of its points.
pub type Points = BTreeMap<Timestamp, Value>;

#[derive(Debug)]
struct Kept {
    block: Arc<Block>,
    /// By the monotonic clock, so that a stepped wall clock loses nothing.
    received: Duration,
}

/// One node's blocks, or the sums', oldest first.
#[derive(Debug, Default)]
pub struct Ring {
    kept: VecDeque<Kept>,
}

impl Ring {
    /// Adds a block that came at `uptime`.
    pub fn push(&mut self, block: Arc<Block>, uptime: Duration) {
        self.kept.push_back(Kept { block, received: uptime });
    }

    /// Takes out the blocks that came more than `retention` before `uptime`.
    pub fn prune(&mut self, uptime: Duration, retention: Duration) -> Vec<Arc<Block>> {
        let old = self.kept.partition_point(|kept| kept.received + retention < uptime);
        self.kept.drain(..old).map(|kept| kept.block).collect()
    }

    /// The block that came last.
    pub fn latest(&self) -> Option<&Arc<Block>> {
        self.kept.back().map(|kept| &kept.block)
    }

    /// Every block, in the order in which they came.
    pub fn blocks(&self) -> impl DoubleEndedIterator<Item = &Arc<Block>> {
        self.kept.iter().map(|kept| &kept.block)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The blocks' rows, without those that are the same as the block's before.
    pub fn distinct_rows(&self) -> impl Iterator<Item = &Arc<Rows>> {
        let mut last: Option<&Arc<Rows>> = None;
        self.blocks().map(|block| &block.layout.rows).filter(move |rows| {
            let new = last.is_none_or(|last| !Arc::ptr_eq(last, rows));
            last = Some(rows);
            new
        })
    }

    /// Adds the points of a series within `span`. Of two with one stamp the one that came later counts.
    pub fn read(&self, key: &SeriesKey, span: Span, points: &mut Points) {
        let mut place = Place::default();
        for block in self.blocks().filter(|block| span.has(block.window.end())) {
            if let Some((row, metric)) = place.find(block, key)
                && let Some(held) = block.value(row, metric)
            {
                points.insert(block.window.end(), metric.form().show(held));
            }
        }
    }

    /// Adds the names of the metrics that the entity, or a part of it, has a point of.
    pub fn names(&self, entity: &Entity, labels: Option<&Labels>, names: &mut BTreeSet<String>) {
        let mut last: Option<&Arc<Layout>> = None;
        for block in self.blocks() {
            if last.is_some_and(|last| Arc::ptr_eq(last, &block.layout)) {
                continue;
            }
            last = Some(&block.layout);
            let Some(row) = block.layout.rows.find(entity, labels) else { continue };
            let public = block.layout.metrics_of(row).filter(MetricKey::is_public);
            names.extend(public.map(|metric| metric.name().to_owned()));
        }
    }
}

/// Where a series is in one layout; looked up again only where the layout changes.
#[derive(Default)]
struct Place {
    layout: Option<Arc<Layout>>,
    at: Option<(Row, MetricKey)>,
}

impl Place {
    fn find(&mut self, block: &Block, key: &SeriesKey) -> Option<(Row, &MetricKey)> {
        if !self.layout.as_ref().is_some_and(|layout| Arc::ptr_eq(layout, &block.layout)) {
            let row = block.layout.rows.find(&key.entity, key.labels.as_ref());
            let metric = block.layout.metric_named(&key.metric).filter(MetricKey::is_public);
            self.at = row.zip(metric);
            self.layout = Some(block.layout.clone());
        }
        self.at.as_ref().map(|(row, metric)| (*row, metric))
    }
}
