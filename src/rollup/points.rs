//! The points of a window that a sink takes, in an order that is always the same, so that they can be counted, cut into
//! requests and sent again from where it stopped. How a point looks is left to `wire`.

use super::block::{Block, Row};
use super::cluster::Batch;
use crate::model::inventory::{ContainerFacts, NodeInventory, PodFacts};
use crate::model::metric::MetricKey;
use std::ops::Range;
use std::sync::Arc;

/// Which metrics a sink takes.
pub type Takes = fn(&MetricKey) -> bool;

/// Takes every metric that the API names.
pub fn public(metric: &MetricKey) -> bool {
    metric.is_public()
}

/// A window whose points are numbered: block by block, metric by metric, rows ascending.
#[derive(Debug)]
pub struct Numbered {
    /// The window.
    pub batch: Arc<Batch>,
    takes: Takes,
    /// For each block the number of the first point behind it.
    ends: Vec<usize>,
}

impl Numbered {
    /// Numbers the points of a window that `takes` takes.
    pub fn new(batch: Arc<Batch>, takes: Takes) -> Self {
        let mut end = 0;
        let mut ends = Vec::with_capacity(batch.nodes.len() + 1);
        for block in batch.blocks() {
            block.for_each(|_, metric, _| end += usize::from(takes(metric)));
            ends.push(end);
        }
        Self { batch, takes, ends }
    }

    /// How many points there are.
    pub fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The blocks that hold the points of these numbers, each with the part of the range that it holds, counted from
    /// its own first point.
    pub fn slices(&self, range: Range<usize>) -> impl Iterator<Item = (&Arc<Block>, Range<usize>)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        self.batch.blocks().zip(starts.zip(&self.ends)).filter_map(move |(block, (start, end))| {
            let (from, to) = (range.start.max(start), range.end.min(*end));
            (from < to).then(|| (block, from - start..to - start))
        })
    }

    /// Calls `each` for the points of these numbers of one block.
    pub fn for_each(&self, block: &Block, range: Range<usize>, mut each: impl FnMut(Row, &MetricKey, u64)) {
        let mut number = 0;
        block.for_each(|row, metric, held| {
            if (self.takes)(metric) {
                if range.contains(&number) {
                    each(row, metric, held);
                }
                number += 1;
            }
        });
    }
}

impl Batch {
    /// Every block: nodes first, the sums last.
    pub fn blocks(&self) -> impl Iterator<Item = &Arc<Block>> {
        self.nodes.iter().chain(&self.sums)
    }

    /// About how many bytes of memory the window takes beside `previous`, the one before it, with which it shares what
    /// has not changed.
    pub fn own_bytes(&self, previous: Option<&Batch>) -> usize {
        // Blocks are sorted by node and most nodes answer every time, so the likes stand at the same place or nearby.
        let mut before = previous.into_iter().flat_map(Batch::blocks).peekable();
        let name = |block: &Block| block.facts.as_ref().map(|facts| facts.node.name.clone());
        let mut bytes = 0;
        for block in self.blocks() {
            let own = name(block);
            while before
                .next_if(|other| own.is_some() && name(other).is_none_or(|name| Some(name) < own))
                .is_some()
            {}
            let like = match own {
                Some(_) => before.next_if(|other| name(other) == own),
                None => before.by_ref().find(|other| other.facts.is_none()),
            };
            bytes += block.own_bytes(like.map(|like| &**like));
            let shares = like.is_some_and(|like| Arc::ptr_eq(&like.layout.rows, &block.layout.rows));
            bytes += if shares { 0 } else { block.layout.rows.bytes() };
            let shares = like.is_some_and(|like| match (&like.facts, &block.facts) {
                (Some(like), Some(own)) => Arc::ptr_eq(like, own),
                _ => false,
            });
            bytes += block.facts.as_ref().filter(|_| !shares).map_or(0, |facts| facts_bytes(facts));
        }
        bytes
    }
}

/// About how many bytes of memory the facts of a node's pods take; what is shared with other nodes is left out.
fn facts_bytes(facts: &NodeInventory) -> usize {
    let container = |facts: &ContainerFacts| size_of_val(facts) + facts.name.len() + facts.image.len();
    let pod = |facts: &PodFacts| {
        let containers = facts.containers.iter().map(container).sum::<usize>();
        size_of_val(facts) + facts.name.len() + facts.uid.more_bytes() + facts.labels.bytes() + containers
    };
    size_of_val(facts) + facts.node.labels.bytes() + facts.pods.iter().map(|facts| pod(facts)).sum::<usize>()
}
