//! What the API server says there is: nodes, pods and namespaces as small flat records, and which of them changed.
//! Watching is left to `client`, acting on changes to `actors`.

use super::amount::Amount;
use super::entity::{Labels, Name};
use super::list::List;
use super::pods::{Pods, Shared};
use super::resources::Packed;
pub use super::resources::Resources;
pub use super::table::{Change, Record, Table};
use super::time::Timestamp;
use super::uid::Uid;
pub use super::unusable::Unusable;
use super::{Map, Set};
use hashbrown::Equivalent;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// The name of the Node object: the only name that counts.
    pub name: Name,
    /// Its address of type Hostname, else its name.
    pub hostname: Name,
    /// `spec.externalID`, empty on every Kubernetes since 1.11.
    pub host_id: Name,
    /// Where its kubelet is, or why it is not scraped.
    pub address: Result<IpAddr, Unusable>,
    /// The port of its kubelet, where its own status is asked for that.
    pub port: Option<u16>,
    /// Its labels.
    pub labels: Labels,
    /// Whether new pods may be put on it.
    pub schedulable: bool,
    /// What it has.
    pub capacity: Resources,
    /// What pods may request of it.
    pub allocatable: Resources,
}

/// A container as its pod's spec tells of it: the same for every replica of a workload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerFacts {
    /// Its name.
    pub name: Name,
    /// Its image as the spec names it.
    pub image: Name,
    /// What it requests, other resources than those that the model knows by name among it.
    pub requests: Packed,
    /// Its limits.
    pub limits: Packed,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFacts {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// Its uid.
    pub uid: Uid,
    /// The node that it is bound to; None while it waits for one.
    pub node: Option<Name>,
    /// Whether it shares the node's network, so that its traffic is the node's.
    pub host_network: bool,
    /// Its labels.
    pub labels: Labels,
    /// When the kubelet took it up.
    pub started: Option<Timestamp>,
    /// Its containers and restartable init containers; plain init containers are left out.
    pub containers: List<ContainerFacts>,
    /// How often each of them was restarted, in their order; None before it was started once, and behind the end.
    pub restarts: List<Amount>,
}

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// Its name.
    pub name: Name,
    /// Its uid.
    pub uid: Name,
}

/// Namespace and name of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodName {
    /// The namespace.
    pub namespace: Name,
    /// The name.
    pub name: Name,
}

/// What is known of one node and of the pods bound to it: what its scraper scrapes by, and what labels its points.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeInventory {
    /// The node.
    pub node: Arc<NodeFacts>,
    /// The pods bound to it.
    pub pods: Pods,
    /// The uid of every namespace.
    pub namespaces: Arc<BTreeMap<Name, Name>>,
}

impl NodeInventory {
    /// A pod of this node.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Arc<PodFacts>> {
        self.pods.get(namespace, name)
    }
}

impl Equivalent<PodName> for (&str, &str) {
    fn equivalent(&self, key: &PodName) -> bool {
        self.0 == &*key.namespace && self.1 == &*key.name
    }
}

impl Record for NodeFacts {
    type Key = Name;
    fn key(&self) -> Name {
        self.name.clone()
    }
}

impl Record for PodFacts {
    type Key = PodName;
    fn key(&self) -> PodName {
        PodName { namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

impl Record for NamespaceFacts {
    type Key = Name;
    fn key(&self) -> Name {
        self.name.clone()
    }
}

/// Everything that one API server says there is.
#[derive(Debug, Default)]
pub struct Inventory {
    nodes: Table<NodeFacts>,
    pods: Table<PodFacts>,
    namespaces: Table<NamespaceFacts>,
    bound: Map<Name, Pods>,
    namespace_uids: Arc<BTreeMap<Name, Name>>,
    touched: Set<Name>,
    shared: Shared,
}

impl Inventory {
    /// Takes in what the watch of nodes told.
    pub fn node(&mut self, change: Change<NodeFacts>) {
        let touched = &mut self.touched;
        let change = match change {
            Change::Listed(node) => Change::Listed(self.shared.share_node(node)),
            Change::Applied(node) => Change::Applied(self.shared.share_node(node)),
            other => other,
        };
        self.nodes.apply(change, |before, after| {
            touched.extend(before.or(after).map(|node| node.name.clone()));
        });
    }

    /// Takes in what the watch of pods told.
    pub fn pod(&mut self, change: Change<PodFacts>) {
        let mut share = |pod: PodFacts| {
            let before = self.pods.get(&(&*pod.namespace, &*pod.name));
            self.shared.share(pod, before.map(|before| &**before))
        };
        let change = match change {
            Change::Listed(pod) => Change::Listed(share(pod)),
            Change::Applied(pod) => Change::Applied(share(pod)),
            other => other,
        };
        let (touched, bound) = (&mut self.touched, &mut self.bound);
        self.pods.apply(change, |before, after| {
            if let Some((pod, node)) = before.and_then(|pod| Some((pod, pod.node.as_ref()?))) {
                touched.insert(node.clone());
                if let Some(pods) = bound.get_mut(node) {
                    *pods = pods.without(pod);
                    if pods.is_empty() {
                        bound.remove(node);
                    }
                }
            }
            if let Some((pod, node)) = after.and_then(|pod| Some((pod, pod.node.as_ref()?))) {
                touched.insert(node.clone());
                let pods = bound.entry(node.clone()).or_default();
                *pods = pods.with(pod.clone());
            }
        });
    }

    /// Takes in what the watch of namespaces told.
    pub fn namespace(&mut self, change: Change<NamespaceFacts>) {
        let mut any = false;
        self.namespaces.apply(change, |_, _| any = true);
        if any {
            let uids = self.namespaces.iter().map(|n| (n.name.clone(), n.uid.clone())).collect();
            self.namespace_uids = Arc::new(uids);
            self.touched.extend(self.nodes.iter().map(|node| node.name.clone()));
        }
    }

    /// What tells the cluster from another: the uid of its namespace kube-system, which lives as long as the cluster. None
    /// until the API server has told it.
    pub fn cluster_uid(&self) -> Option<&Name> {
        self.namespace_uids.get("kube-system").filter(|uid| !uid.is_empty())
    }

    /// Whether every kind was listed once.
    pub fn is_complete(&self) -> bool {
        self.nodes.is_complete() && self.pods.is_complete() && self.namespaces.is_complete()
    }

    /// Whether the nodes were listed once.
    pub fn nodes_known(&self) -> bool {
        self.nodes.is_complete()
    }

    /// Whether the pods were listed once.
    pub fn pods_known(&self) -> bool {
        self.pods.is_complete()
    }

    /// Has these nodes count as changed once more.
    pub fn touch(&mut self, nodes: impl IntoIterator<Item = Name>) {
        self.touched.extend(nodes);
    }

    /// The nodes of which something changed since this was last asked.
    pub fn take_touched(&mut self) -> Vec<Name> {
        self.touched.drain().collect()
    }

    /// Every node.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<NodeFacts>> {
        self.nodes.iter()
    }

    /// How many nodes, pods and namespaces there are.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.nodes.len(), self.pods.len(), self.namespaces.len())
    }

    /// What is known of one node and of its pods. None where there is no such node.
    pub fn of_node(&self, name: &Name) -> Option<NodeInventory> {
        let node = self.nodes.get(name)?.clone();
        let pods = self.bound.get(name).cloned().unwrap_or_default();
        Some(NodeInventory { node, pods, namespaces: self.namespace_uids.clone() })
    }

    /// The node that a pod is bound to. None where the pod is unknown or waits for a node.
    pub fn node_of(&self, pod: &PodName) -> Option<&Name> {
        self.pods.get(pod)?.node.as_ref()
    }
}
