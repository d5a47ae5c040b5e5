//! The pods bound to one node, found by name, and what many pods have in common. What a pod is is left to
//! [`super::inventory`].

use super::amount::Amount;
use super::entity::{Labels, Name};
use super::inventory::{ContainerFacts, NodeFacts, PodFacts};
use super::list::List;
use super::pool::Pool;
use std::sync::Arc;

/// Pods, sorted by namespace and name: a hash table of thirty takes ten times the memory. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pods(List<Arc<PodFacts>>);

fn name(pod: &PodFacts) -> (&str, &str) {
    (&pod.namespace, &pod.name)
}

impl Pods {
    /// The pod of this namespace and name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<PodFacts>> {
        self.0.get(self.place((namespace, name)).ok()?)
    }

    fn place(&self, of: (&str, &str)) -> Result<usize, usize> {
        self.0.binary_search_by(|pod| name(pod).cmp(&of))
    }

    /// These and another one, in the place of one of its name.
    #[must_use]
    pub fn with(&self, pod: Arc<PodFacts>) -> Self {
        let (before, behind) = match self.place(name(&pod)) {
            Ok(at) => (at, at + 1),
            Err(at) => (at, at),
        };
        let others = self.0.iter().cloned();
        Self(others.clone().take(before).chain([pod]).chain(others.skip(behind)).collect())
    }

    /// These without one.
    #[must_use]
    pub fn without(&self, pod: &Arc<PodFacts>) -> Self {
        Self(self.0.iter().filter(|held| !Arc::ptr_eq(held, pod)).cloned().collect())
    }

    /// Every pod, by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<PodFacts>> {
        self.0.iter()
    }

    /// The same as a slice.
    pub fn all(&self) -> &[Arc<PodFacts>] {
        &self.0
    }

    /// Those of a namespace, by name.
    pub fn of(&self, namespace: &str) -> &[Arc<PodFacts>] {
        let from = self.0.partition_point(|pod| *pod.namespace < *namespace);
        let rest = self.0.get(from..).unwrap_or_default();
        // They are few of the node's.
        let count = rest.iter().take_while(|pod| *pod.namespace == *namespace).count();
        rest.get(..count).unwrap_or_default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Arc<PodFacts>> for Pods {
    /// Of several of one name the last.
    fn from_iter<I: IntoIterator<Item = Arc<PodFacts>>>(pods: I) -> Self {
        let mut pods: Vec<Arc<PodFacts>> = pods.into_iter().collect();
        pods.reverse();
        pods.sort_by(|a, b| name(a).cmp(&name(b)));
        pods.dedup_by(|a, b| name(a) == name(b));
        Self(pods.into())
    }
}

/// What many pods have in common: nearly every name, how seldom they restart, and of a workload's replicas also labels
/// and containers.
#[derive(Debug, Default)]
pub(super) struct Shared {
    names: Pool<Name>,
    labels: Pool<Labels>,
    containers: Pool<List<ContainerFacts>>,
    restarts: Pool<List<Amount>>,
}

impl Shared {
    /// The same node with what others have too: nearly every label, and most nodes' hostname is their name.
    pub fn share_node(&mut self, node: NodeFacts) -> NodeFacts {
        let names = &mut self.names;
        NodeFacts {
            name: names.share(&node.name),
            hostname: names.share(&node.hostname),
            host_id: names.share(&node.host_id),
            labels: self.labels.share(&node.labels),
            ..node
        }
    }

    /// The same pod with what others have too, and with its own names as `before` has them, which was the same pod: rows
    /// and blocks hold those.
    pub fn share(&mut self, pod: PodFacts, before: Option<&PodFacts>) -> PodFacts {
        let names = &mut self.names;
        let container = |facts: &ContainerFacts| ContainerFacts {
            name: names.share(&facts.name),
            image: names.share(&facts.image),
            ..facts.clone()
        };
        let containers = pod.containers.iter().map(container).collect();
        PodFacts {
            namespace: names.share(&pod.namespace),
            node: pod.node.map(|node| names.share(&node)),
            labels: self.labels.share(&pod.labels),
            containers: self.containers.share(&containers),
            restarts: self.restarts.share(&pod.restarts),
            name: before.map_or(pod.name, |before| before.name.clone()),
            uid: before.map(|before| &before.uid).filter(|uid| **uid == pod.uid).cloned().unwrap_or(pod.uid),
            ..pod
        }
    }
}
