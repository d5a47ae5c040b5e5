//! Which nodes every pod has points on: the index by which pods are found and listed. Whether a point is recent enough to
//! be listed is left to the cluster.

use crate::model::entity::Name;
use std::collections::BTreeMap;

/// The nodes of one pod: nearly always one, which takes no memory of its own.
#[derive(Debug)]
struct Home {
    node: Name,
    others: Vec<Name>,
}

/// Pods by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Homes {
    pods: BTreeMap<Name, BTreeMap<Name, Home>>,
    count: usize,
}

impl Homes {
    /// Takes in that a pod has points on a node.
    pub fn add(&mut self, namespace: &Name, pod: &Name, node: &Name) {
        let of_namespace = match self.pods.get_mut(namespace) {
            Some(pods) => pods,
            None => self.pods.entry(namespace.clone()).or_default(),
        };
        let Some(home) = of_namespace.get_mut(pod) else {
            self.count += 1;
            of_namespace.insert(pod.clone(), Home { node: node.clone(), others: Vec::new() });
            return;
        };
        if home.node != *node && !home.others.contains(node) {
            home.others.push(node.clone());
        }
    }

    /// Takes in that a pod has no point on a node any more.
    pub fn forget(&mut self, namespace: &Name, pod: &Name, node: &Name) {
        let Some(of_namespace) = self.pods.get_mut(namespace) else { return };
        if let Some(home) = of_namespace.get_mut(pod) {
            home.others.retain(|other| other != node);
            if home.node == *node {
                match home.others.pop() {
                    Some(other) => home.node = other,
                    None => {
                        of_namespace.remove(pod);
                        self.count -= 1;
                    }
                }
            }
        }
        if of_namespace.is_empty() {
            self.pods.remove(namespace);
        }
    }

    /// The nodes on which a pod has points.
    pub fn of<'h>(&'h self, namespace: &str, pod: &str) -> impl Iterator<Item = &'h Name> + use<'h> {
        let home = self.pods.get(namespace).and_then(|pods| pods.get(pod));
        home.into_iter().flat_map(|home| std::iter::once(&home.node).chain(&home.others))
    }

    /// The nodes of every pod of a namespace, each as often as it has one.
    pub fn of_all<'h>(&'h self, namespace: &str) -> impl Iterator<Item = &'h Name> + use<'h> {
        let homes = self.pods.get(namespace).into_iter().flat_map(BTreeMap::values);
        homes.flat_map(|home| std::iter::once(&home.node).chain(&home.others))
    }

    /// Every namespace that has a pod.
    pub fn namespaces(&self) -> impl Iterator<Item = &Name> {
        self.pods.keys()
    }

    /// Every pod of a namespace.
    pub fn pods<'h>(&'h self, namespace: &str) -> impl Iterator<Item = &'h Name> + use<'h> {
        self.pods.get(namespace).into_iter().flat_map(BTreeMap::keys)
    }

    /// How many pods a namespace has.
    pub fn pods_of(&self, namespace: &str) -> usize {
        self.pods.get(namespace).map_or(0, BTreeMap::len)
    }

    /// How many pods there are.
    pub fn len(&self) -> usize {
        self.count
    }
}
