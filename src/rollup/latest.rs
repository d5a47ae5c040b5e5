//! The newest points of many entities at once: handed out as blocks, which cost the aggregator nothing to share, and read
//! by whoever asked. How they are written is left to `wire`.

use super::block::{Block, Layout, Rows};
use super::cluster::Cluster;
use super::history::{Form, Ring, opened};
use crate::model::entity::{Entity, Name};
use std::sync::Arc;

/// Whose newest points are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's.
    All,
    /// Those of one node, given by name or hostname.
    Node(Name),
    /// Those of the nodes that pods of one namespace have points on.
    Namespace(Name),
    /// Those of the nodes that one pod is bound to: namespace and pod.
    Pod(Name, Name),
}

/// The blocks of one node that are listed: of the last window closed, the one before it, and of later ones. A node that
/// missed one window is still there.
#[derive(Clone, Debug, PartialEq)]
pub struct Recent {
    /// The newest.
    pub newest: Arc<Block>,
    /// The others, newest first.
    pub older: Vec<Form>,
}

/// The newest points of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Latest {
    /// One for each node that has any, sorted by name.
    pub nodes: Vec<Recent>,
    /// The sums; None where there are none yet, or not everybody was asked for.
    pub sums: Option<Recent>,
}

impl Recent {
    fn of(cluster: &Cluster, ring: &Ring) -> Option<Self> {
        let newest = ring.latest().filter(|newest| cluster.is_listed(newest.window))?.clone();
        Some(Self { newest, older: cluster.recent(ring).skip(1).cloned().collect() })
    }

    /// Every block, newest first. An older one is opened when it is reached.
    pub fn blocks(&self) -> impl Iterator<Item = Arc<Block>> {
        opened(Some(self.newest.clone()), self.older.iter())
    }

    /// Whose points the blocks have, newest first.
    pub fn layouts(&self) -> impl Iterator<Item = &Arc<Layout>> {
        std::iter::once(&self.newest.layout).chain(self.older.iter().map(Form::layout))
    }
}

impl Latest {
    /// What of a cluster is in the scope.
    pub(super) fn of(cluster: &Cluster, scope: &Scope) -> Self {
        let recent = |(_, ring): (&Name, &Ring)| Recent::of(cluster, ring);
        let knows = |recent: &Recent, namespace: &Name, pod: &Name| {
            recent.newest.facts.as_ref().is_some_and(|facts| facts.pod(namespace, pod).is_some())
        };
        match scope {
            Scope::All => Self {
                nodes: cluster.nodes().filter_map(recent).collect(),
                sums: Recent::of(cluster, cluster.sums()),
            },
            Scope::Namespace(namespace) => {
                let own = |ring| Recent::of(cluster, ring);
                Self { nodes: cluster.rings_of(namespace).into_iter().filter_map(own).collect(), sums: None }
            }
            Scope::Node(node) => {
                Self { nodes: cluster.node(node).and_then(recent).into_iter().collect(), sums: None }
            }
            Scope::Pod(namespace, pod) => {
                let own =
                    |ring: &Ring| Recent::of(cluster, ring).filter(|recent| knows(recent, namespace, pod));
                let mut nodes: Vec<Recent> = cluster.homes(namespace, pod).filter_map(own).collect();
                if nodes.is_empty() {
                    // It has no point yet, or none any more.
                    let knowing = cluster.nodes().filter(|(_, ring)| {
                        let facts = ring.latest().and_then(|block| block.facts.as_ref());
                        facts.is_some_and(|facts| facts.pod(namespace, pod).is_some())
                    });
                    nodes = knowing.filter_map(recent).collect();
                }
                Self { nodes, sums: None }
            }
        }
    }
}

/// The entities of blocks, each once and sorted.
#[derive(Debug)]
pub struct Keys {
    rows: Vec<Arc<Rows>>,
    /// Which rows, and which entity of them.
    order: std::vec::IntoIter<(usize, usize)>,
}

impl Keys {
    /// The entities that these clusters list.
    pub fn new(clusters: &[Latest]) -> Self {
        let recent = clusters.iter().flat_map(|latest| latest.sums.iter().chain(&latest.nodes));
        let mut rows: Vec<Arc<Rows>> = Vec::new();
        for layout in recent.flat_map(Recent::layouts) {
            if !rows.last().is_some_and(|last| Arc::ptr_eq(last, &layout.rows)) {
                rows.push(layout.rows.clone());
            }
        }
        let all =
            rows.iter().enumerate().flat_map(|(at, rows)| (0..rows.entity_count()).map(move |e| (at, e)));
        let mut order: Vec<(usize, usize)> = all.collect();
        let entity = |place: &(usize, usize)| rows.get(place.0).and_then(|rows| rows.entity(place.1));
        order.sort_unstable_by(|a, b| entity(a).cmp(&entity(b)));
        order.dedup_by(|a, b| entity(a) == entity(b));
        Self { order: order.into_iter(), rows }
    }
}

impl Iterator for Keys {
    type Item = Entity;

    fn next(&mut self) -> Option<Entity> {
        let (rows, entity) = self.order.next()?;
        self.rows.get(rows)?.owned(entity)
    }
}
