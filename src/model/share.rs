//! What of a cluster one shard keeps: its nodes, their pods, and pods that wait for a node. Of the others' nodes the names
//! are kept, and of their pods a fingerprint, so that no kubelet passes one off as its own.

use super::Set;
use super::entity::Name;
use super::inventory::{Change, NodeFacts, PodFacts, PodName};
use super::shard::{Shard, fnv1a};
use std::hash::Hash;

/// What is known of the others, followed through every relist as [`super::inventory::Table`] does.
#[derive(Debug)]
struct Others<K> {
    there: Set<K>,
    listing: Option<Set<K>>,
}

impl<K: Hash + Eq + Clone> Others<K> {
    fn new() -> Self {
        Self { there: Set::default(), listing: None }
    }

    /// Takes in a change of an object that is another's, or is not.
    fn follow<R>(&mut self, change: &Change<R>, theirs: impl Fn(&R) -> bool, key: impl Fn(&R) -> K) {
        match change {
            Change::ListBegins => self.listing = Some(Set::default()),
            Change::ListDone => {
                if let Some(seen) = self.listing.take() {
                    self.there = seen;
                }
            }
            Change::Listed(record) | Change::Applied(record) if theirs(record) => {
                if let Some(seen) = &mut self.listing {
                    seen.insert(key(record));
                }
                self.there.insert(key(record));
            }
            Change::Listed(record) | Change::Applied(record) | Change::Gone(record) => {
                if let Some(seen) = &mut self.listing {
                    seen.remove(&key(record));
                }
                self.there.remove(&key(record));
            }
        }
    }
}

/// One shard's part of a cluster.
#[derive(Debug)]
pub struct Share {
    shard: Shard,
    nodes: Others<Name>,
    pods: Others<u64>,
}

impl Share {
    /// What this shard keeps; nothing known yet.
    pub fn new(shard: Shard) -> Self {
        Self { shard, nodes: Others::new(), pods: Others::new() }
    }

    /// What the inventory is told where this was told of a node. None for nothing.
    pub fn node(&mut self, change: Change<NodeFacts>) -> Option<Change<NodeFacts>> {
        let shard = self.shard;
        let theirs = |node: &NodeFacts| !shard.owns(&node.name);
        self.nodes.follow(&change, theirs, |node| node.name.clone());
        kept(change, theirs)
    }

    /// The same of a pod. One that goes to a node of another shard is gone.
    pub fn pod(&mut self, change: Change<PodFacts>) -> Option<Change<PodFacts>> {
        let shard = self.shard;
        let theirs = |pod: &PodFacts| pod.node.as_ref().is_some_and(|node| !shard.owns(node));
        self.pods.follow(&change, theirs, |pod| fingerprint(&pod.namespace, &pod.name));
        kept(change, theirs)
    }

    /// How many nodes other shards have.
    pub fn nodes_of_others(&self) -> usize {
        self.nodes.there.len()
    }

    /// Whether a pod is bound to a node of another shard.
    pub fn is_of_others(&self, pod: &PodName) -> bool {
        self.pods.there.contains(&fingerprint(&pod.namespace, &pod.name))
    }
}

/// What is left of a change: of another's object, that it is gone, in case that it was ours.
fn kept<R>(change: Change<R>, theirs: impl Fn(&R) -> bool) -> Option<Change<R>> {
    match change {
        Change::Listed(record) if theirs(&record) => None,
        Change::Applied(record) if theirs(&record) => Some(Change::Gone(record)),
        change => Some(change),
    }
}

/// Names hold no slash.
fn fingerprint(namespace: &str, name: &str) -> u64 {
    fnv1a(format!("{namespace}/{name}").as_bytes())
}
