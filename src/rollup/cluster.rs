//! One cluster's history: a ring a node, a ring of sums, an index of pods, and the windows that are still open. What a
//! question means is left to [`super::query`].

use super::block::{Block, Rows};
use super::bundle::{PIECE, bundle};
use super::carried;
use super::history::{Form, Ring};
use super::homes::Homes;
use super::schedule::Schedule;
use super::sum::NamespaceSums;
use crate::model::entity::{EntityRef, Name};
use crate::model::time::{Timestamp, Window};
use crate::model::{Map, Set};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How many nodes, and how many pods to forget, one sweep looks at most at: it holds the aggregator's thread.
const SWEPT_NODES: usize = 256;
const SWEPT_PODS: usize = 1_000;

/// The points of one window, all of one cluster: what sinks are given.
#[derive(Debug)]
pub struct Batch {
    /// The cluster's name.
    pub cluster: Name,
    /// The window.
    pub window: Window,
    /// One block for each node that answered.
    pub nodes: Vec<Arc<Block>>,
    /// The namespaces and the cluster; None where no node had anything to add.
    pub sums: Option<Arc<Block>>,
    /// Nodes that did not answer and count with their values of the window before.
    pub carried: usize,
    /// Nodes that did not answer and do not count.
    pub missing: usize,
}

#[derive(Debug, Default)]
struct Node {
    ring: Ring,
}

#[derive(Debug, Default)]
struct Open {
    answered: Set<Name>,
    took: Set<Name>,
    sums: NamespaceSums,
}

/// Counts that only grow, and what is held now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Blocks kept.
    pub blocks: usize,
    /// Points kept.
    pub points: usize,
    /// Bytes of packed values kept.
    pub bytes: usize,
    /// Entities that have a point, labelled parts not counted.
    pub entities: usize,
    /// Pods that can be asked for.
    pub pods: usize,
    /// Answers that came after their window was closed: kept, but in no sum.
    pub late: u64,
}

/// One cluster's history.
#[derive(Debug)]
pub struct Cluster {
    name: Name,
    schedule: Schedule,
    retention: Duration,
    nodes: BTreeMap<Name, Node>,
    homes: Homes,
    sums: Ring,
    expected: Map<Name, i64>,
    /// From this window on all of them are waited for.
    newest_first: i64,
    /// The namespaces that are listed, since somebody asked and as long as nothing came or went.
    listed: OnceLock<Arc<[Name]>>,
    open: BTreeMap<i64, Open>,
    next_to_close: Option<i64>,
    /// Until when the first window waits for the first scrapes, which begin at any moment of a window.
    first_until: Timestamp,
    /// The node that was swept last.
    swept: Option<Name>,
    /// Answers that came after their window was closed.
    late: u64,
}

impl Cluster {
    /// An empty history.
    pub fn new(name: Name, schedule: Schedule, retention: Duration) -> Self {
        Self {
            name,
            schedule,
            retention,
            nodes: BTreeMap::new(),
            homes: Homes::default(),
            sums: Ring::default(),
            expected: Map::default(),
            newest_first: i64::MIN,
            listed: OnceLock::new(),
            open: BTreeMap::new(),
            next_to_close: None,
            first_until: Timestamp::default(),
            swept: None,
            late: 0,
        }
    }

    /// The cluster's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Says which nodes are scraped from now on: each for the window that has just ended and all that follow.
    pub fn expect(&mut self, nodes: impl IntoIterator<Item = Name>, now: Timestamp) {
        let first = self.schedule.resolution().last_ended(now).index();
        let before = std::mem::take(&mut self.expected);
        self.expected = nodes
            .into_iter()
            .map(|node| (node.clone(), before.get(&node).copied().unwrap_or(first)))
            .collect();
        self.newest_first = self.expected.values().copied().max().unwrap_or(i64::MIN);
        if self.next_to_close.is_none() && !self.expected.is_empty() {
            self.next_to_close = Some(first);
            self.listed.take();
            self.first_until = now.after(self.schedule.first_scrapes_within());
        }
    }

    /// How many nodes are scraped.
    pub fn expected(&self) -> usize {
        self.expected.len()
    }

    /// Takes in a node's answer, which came at `uptime`, and drops what of the node is past its retention.
    pub fn took(&mut self, node: &Name, block: Arc<Block>, sums: Arc<NamespaceSums>, uptime: Duration) {
        let window = block.window.index();
        self.rewind(window);
        if self.next_to_close.is_some_and(|next| window < next) {
            self.late += 1;
        } else {
            let open = self.open.entry(window).or_default();
            if open.took.insert(node.clone()) {
                open.sums.add_all(&sums);
            }
            open.answered.insert(node.clone());
        }
        let entry = self.nodes.entry(node.clone()).or_default();
        let (rows, latest) = (&block.layout.rows, entry.ring.latest());
        let is_same = latest.is_some_and(|latest| Arc::ptr_eq(&latest.layout.rows, rows));
        if !is_same || latest.is_some_and(|latest| !is_recent(self.next_to_close, latest.window)) {
            self.listed.take();
        }
        if !is_same {
            for (namespace, pod) in rows.pods() {
                self.homes.add(namespace, pod, node);
            }
        }
        entry.ring.push(block, uptime);
        self.prune(node, uptime);
    }

    /// Takes in that a node did not answer for a window.
    pub fn missed(&mut self, node: &Name, window: Window) {
        self.rewind(window.index());
        if self.next_to_close.is_none_or(|next| window.index() >= next) {
            self.open.entry(window.index()).or_default().answered.insert(node.clone());
        }
    }

    /// An answer for a window long closed means that the clock was set back: windows are counted from there again.
    fn rewind(&mut self, window: i64) {
        if self.next_to_close.is_some_and(|next| window < next - 2) {
            self.next_to_close = Some(window);
            self.listed.take();
            self.open.clear();
            for first in self.expected.values_mut() {
                *first = window.min(*first);
            }
        }
    }

    /// Closes the next window if every node has answered for it or its time is up. Where none is due it sweeps on: what is
    /// past its retention of nodes that answer no more is dropped piece by piece.
    pub fn close_next(&mut self, now: Timestamp, uptime: Duration) -> Option<Batch> {
        let last_ended = self.schedule.resolution().last_ended(now);
        let kept = self.retention.as_nanos() / self.schedule.resolution().duration().as_nanos();
        if let Some(next) = self.next_to_close.filter(|next| *next <= last_ended.index()) {
            // A clock set forward by days must not be followed window by window.
            let oldest = last_ended.index().saturating_sub(i64::try_from(kept).unwrap_or(i64::MAX));
            let window = last_ended.step(next.max(oldest) - last_ended.index());
            let time_is_up = now >= self.schedule.closes_at(window).max(self.first_until);
            if self.is_answered(window.index()) || time_is_up {
                let batch = self.close(window, now, uptime);
                self.next_to_close = Some(window.index() + 1);
                self.listed.take();
                return Some(batch);
            }
        }
        self.sweep(uptime);
        None
    }

    /// Whether as many nodes have answered for a window as are scraped. A count, not a comparison: it is asked after
    /// every answer.
    pub fn all_answered(&self, window: Window) -> bool {
        self.open.get(&window.index()).is_some_and(|open| open.answered.len() >= self.expected.len())
    }

    fn is_answered(&self, window: i64) -> bool {
        let answered = self.open.get(&window).map(|open| &open.answered);
        // Looked at four times a second: nearly always the counts tell that some have not.
        if window >= self.newest_first && answered.map_or(0, Set::len) < self.expected.len() {
            return false;
        }
        let mut due = self.expected.iter().filter(|(_, first)| **first <= window);
        due.all(|(node, _)| answered.is_some_and(|answered| answered.contains(node)))
    }

    fn close(&mut self, window: Window, now: Timestamp, uptime: Duration) -> Batch {
        let Open { took, mut sums, .. } = self.open.remove(&window.index()).unwrap_or_default();
        self.open.retain(|index, _| *index > window.index());
        let (mut carried, mut missing) = (0, 0);
        for node in self.expected.keys().filter(|node| !took.contains(*node)) {
            match self.nodes.get(node).and_then(|node| node.ring.latest()) {
                Some(last) if last.window.index() == window.index() - 1 => {
                    carried::add(last, &mut sums);
                    carried += 1;
                }
                _ => missing += 1,
            }
        }
        let block = (!took.is_empty() || carried > 0).then(|| {
            let block = Arc::new(sums.pack(window, now, self.sums.latest().map(|block| &**block)));
            self.sums.push(block.clone(), uptime);
            block
        });
        let answered = self.nodes.iter().filter(|(name, _)| took.contains(*name));
        let nodes = answered.filter_map(|(_, node)| node.ring.of_window(window)).collect();
        Batch { cluster: self.name.clone(), window, nodes, sums: block, carried, missing }
    }

    /// Drops what of the sums and of some nodes is past its retention, forgets nodes that have no point left, and puts older
    /// blocks together.
    fn sweep(&mut self, uptime: Duration) {
        self.sums.prune(uptime, self.retention);
        let from = self.swept.take().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.nodes.range::<Name, _>((from, Bound::Unbounded)).map(|(name, _)| name.clone());
        let some: Vec<Name> = next.take(SWEPT_NODES).collect();
        if let (Some(first), Some(last)) = (some.first(), some.last()) {
            let nodes = self.nodes.range_mut::<Name, _>((Bound::Included(first), Bound::Included(last)));
            bundle(nodes.map(|(_, node)| &mut node.ring), PIECE);
        }
        let mut pods = 0;
        for name in some {
            if pods >= SWEPT_PODS {
                return;
            }
            pods += self.prune(&name, uptime);
            let is_empty = self.nodes.get(&name).is_some_and(|node| node.ring.is_empty());
            if is_empty && !self.expected.contains_key(&name) {
                self.nodes.remove(&name);
            }
            self.swept = Some(name);
        }
        let last = self.nodes.keys().next_back();
        if self.swept.as_ref() >= last {
            self.swept = None;
        }
    }

    /// Drops what of a node is past its retention. How many pods lost their last point on it.
    fn prune(&mut self, name: &Name, uptime: Duration) -> usize {
        let Some(node) = self.nodes.get_mut(name) else { return 0 };
        let dropped = node.ring.prune(uptime, self.retention);
        let mut gone: Vec<&Arc<Rows>> = dropped.iter().map(|layout| &layout.rows).collect();
        gone.dedup_by(|a, b| Arc::ptr_eq(a, b));
        if !gone.is_empty() {
            self.listed.take();
        }
        gone.retain(|rows| !node.ring.layouts().any(|kept| Arc::ptr_eq(&kept.rows, rows)));
        let mut pods = 0;
        for (namespace, pod) in gone.into_iter().flat_map(|rows| rows.pods()) {
            let entity = EntityRef::Pod(namespace, pod);
            if !node.ring.layouts().any(|kept| kept.rows.find(entity, None).is_some()) {
                self.homes.forget(namespace, pod, name);
                pods += 1;
            }
        }
        pods
    }

    /// What is held and what was counted.
    pub fn held(&self) -> Held {
        let mut held = Held { late: self.late, pods: self.homes.len(), ..Held::default() };
        for ring in self.nodes.values().map(|node| &node.ring).chain([&self.sums]) {
            let (blocks, points, bytes) = ring.size();
            held.blocks += blocks;
            held.points += points;
            held.bytes += bytes;
            held.entities += ring.latest().map_or(0, |block| block.layout.rows.entity_count());
        }
        held
    }

    /// The sums' ring.
    pub(super) fn sums(&self) -> &Ring {
        &self.sums
    }

    /// The ring of the node of this name, or else of this hostname.
    pub(super) fn node<'c>(&'c self, name: &str) -> Option<(&'c Name, &'c Ring)> {
        let named = self.nodes.get_key_value(name);
        let by_hostname = || {
            self.nodes.iter().find(|(_, node)| {
                let facts = node.ring.latest().and_then(|block| block.facts.as_ref());
                facts.is_some_and(|facts| *facts.node.hostname == *name)
            })
        };
        named.or_else(by_hostname).map(|(name, node)| (name, &node.ring))
    }

    /// Every node with its ring, sorted by name.
    pub(super) fn nodes(&self) -> impl ExactSizeIterator<Item = (&Name, &Ring)> {
        self.nodes.iter().map(|(name, node)| (name, &node.ring))
    }

    /// The rings in which a pod has points.
    pub(super) fn homes<'c>(
        &'c self,
        namespace: &str,
        pod: &str,
    ) -> impl Iterator<Item = &'c Ring> + use<'c> {
        self.homes.of(namespace, pod).filter_map(|node| self.nodes.get(node)).map(|node| &node.ring)
    }

    /// The rings that have points of pods of a namespace, sorted by node; all of them where it has so many pods that
    /// finding out whose costs more.
    pub(super) fn rings_of(&self, namespace: &str) -> Vec<&Ring> {
        if self.homes.pods_of(namespace) >= self.nodes.len() {
            return self.nodes.values().map(|node| &node.ring).collect();
        }
        let mut homes: Vec<&Name> = self.homes.of_all(namespace).collect();
        homes.sort_unstable();
        homes.dedup();
        homes.into_iter().filter_map(|node| self.nodes.get(node)).map(|node| &node.ring).collect()
    }

    /// The blocks whose entities are listed, newest first.
    pub(super) fn recent<'c>(&'c self, ring: &'c Ring) -> impl Iterator<Item = &'c Form> + use<'c> {
        ring.forms().take_while(|form| self.is_listed(form.window()))
    }

    /// Whether a window is recent enough for its entities to be listed: the last one closed, the one before it, or a
    /// later one.
    pub(super) fn is_listed(&self, window: Window) -> bool {
        is_recent(self.next_to_close, window)
    }

    /// The namespaces that have a pod that is listed, sorted.
    pub(super) fn namespaces(&self) -> &Arc<[Name]> {
        self.listed.get_or_init(|| {
            let is_listed = |namespace: &Name, pod: &Name| {
                let entity = EntityRef::Pod(namespace, pod);
                let mut recent = self.homes(namespace, pod).flat_map(|ring| self.recent(ring));
                recent.any(|form| form.layout().rows.find(entity, None).is_some())
            };
            let has_pod = |namespace: &&Name| self.homes.pods(namespace).any(|pod| is_listed(namespace, pod));
            self.homes.namespaces().filter(has_pod).cloned().collect()
        })
    }
}

/// Whether a window is the last one closed, the one before it, or a later one.
fn is_recent(next_to_close: Option<i64>, window: Window) -> bool {
    next_to_close.is_none_or(|next| window.index() >= next - 2)
}
