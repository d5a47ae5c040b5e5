//! The aggregator without its actor: every cluster's history, fed with answers, asked questions. No clock, no socket,
//! no actor: whoever calls says what time it is.

pub mod block;
pub mod bundle;
pub mod carried;
mod cells;
mod chosen;
pub mod cluster;
pub mod ended;
pub mod history;
mod homes;
pub mod kin;
pub mod known;
pub mod latest;
pub mod layout;
pub mod loss;
mod narrow;
pub mod node;
pub mod oddity;
mod opened;
pub mod pack;
mod packer;
pub mod part;
pub mod past;
pub mod pause;
pub mod points;
pub mod query;
pub mod queue;
pub mod rate;
mod rated;
pub mod rice;
pub mod rows;
pub mod schedule;
pub mod sheet;
mod still;
pub mod stored;
pub mod strangers;
pub mod sum;
mod totals;
pub mod usage;

use crate::model::entity::{ClusterId, Name};
use crate::model::time::{Timestamp, Window};
use block::Block;
use cluster::{Batch, Cluster, Held};
use query::{Answer, Query};
use schedule::Schedule;
use std::sync::Arc;
use std::time::Duration;
use sum::NamespaceSums;

/// Every cluster's history.
#[derive(Debug)]
pub struct Rollup {
    clusters: Vec<Cluster>,
}

impl Rollup {
    /// Empty histories of these clusters, in the order of their ids.
    pub fn new(names: impl IntoIterator<Item = Name>, schedule: Schedule, retention: Duration) -> Self {
        Self { clusters: names.into_iter().map(|name| Cluster::new(name, schedule, retention)).collect() }
    }

    fn cluster(&mut self, id: ClusterId) -> Option<&mut Cluster> {
        self.clusters.get_mut(usize::from(id.0))
    }

    /// Says which nodes of a cluster are scraped from now on.
    pub fn expect(&mut self, id: ClusterId, nodes: impl IntoIterator<Item = Name>, now: Timestamp) {
        if let Some(cluster) = self.cluster(id) {
            cluster.expect(nodes, now);
        }
    }

    /// Takes in a node's answer, which came at `uptime`.
    pub fn took(
        &mut self,
        id: ClusterId,
        node: &Name,
        block: Arc<Block>,
        sums: Arc<NamespaceSums>,
        uptime: Duration,
    ) {
        if let Some(cluster) = self.cluster(id) {
            cluster.took(node, block, sums, uptime);
        }
    }

    /// Takes in that a node did not answer for a window.
    pub fn missed(&mut self, id: ClusterId, node: &Name, window: Window) {
        if let Some(cluster) = self.cluster(id) {
            cluster.missed(node, window);
        }
    }

    /// Whether as many nodes have answered for a window as are scraped: then it may be due before its time is up.
    pub fn all_answered(&self, id: ClusterId, window: Window) -> bool {
        self.clusters.get(usize::from(id.0)).is_some_and(|cluster| cluster.all_answered(window))
    }

    /// Closes one window that is due; what came of it goes to the sinks. Where none is due, what is past its retention is
    /// dropped piece by piece.
    pub fn close_next(&mut self, now: Timestamp, uptime: Duration) -> Option<Batch> {
        self.clusters.iter_mut().find_map(|cluster| cluster.close_next(now, uptime))
    }

    /// Closes every window that is due.
    pub fn close_due(&mut self, now: Timestamp, uptime: Duration) -> Vec<Batch> {
        std::iter::from_fn(|| self.close_next(now, uptime)).collect()
    }

    /// Answers a question about one cluster, or about all.
    pub fn answer(&self, id: Option<ClusterId>, query: &Query) -> Answer {
        let asked = |at: usize| id.is_none_or(|id| usize::from(id.0) == at);
        let clusters: Vec<&Cluster> = self
            .clusters
            .iter()
            .enumerate()
            .filter(|(at, _)| asked(*at))
            .map(|(_, cluster)| cluster)
            .collect();
        query::answer(&clusters, query)
    }

    /// What is held of each cluster.
    pub fn held(&self) -> impl Iterator<Item = (&Name, Held, usize)> {
        self.clusters.iter().map(|cluster| (cluster.name(), cluster.held(), cluster.expected()))
    }
}
