//! Which nodes every pod has points on: the index by which pods are found and listed. Whether a point is recent enough to
//! be listed is left to the cluster.

use crate::model::Map;
use crate::model::entity::Name;
use crate::model::inventory::PodName;
use std::collections::BTreeMap;

/// Pods by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Homes {
    /// The first node of each.
    pods: BTreeMap<Name, BTreeMap<Name, Name>>,
    /// The further nodes of the few pods that have several.
    others: Map<PodName, Vec<Name>>,
    count: usize,
}

impl Homes {
    /// Takes in that a pod has points on a node.
    pub fn add(&mut self, namespace: &Name, pod: &Name, node: &Name) {
        let of_namespace = match self.pods.get_mut(namespace) {
            Some(pods) => pods,
            None => self.pods.entry(namespace.clone()).or_default(),
        };
        let Some((name, home)) = of_namespace.get_key_value(pod) else {
            self.count += 1;
            of_namespace.insert(pod.clone(), node.clone());
            return;
        };
        if home != node {
            let key = PodName { namespace: namespace.clone(), name: pod.clone() };
            let others = self.others.entry(key).or_default();
            if !others.contains(node) {
                others.push(node.clone());
            }
        }
        // Whoever else holds the pod's name holds the newest: an older one would be there for this alone.
        if !Name::ptr_eq(name, pod)
            && let Some(home) = of_namespace.remove(pod)
        {
            of_namespace.insert(pod.clone(), home);
        }
    }

    /// Takes in that a pod has no point on a node any more.
    pub fn forget(&mut self, namespace: &Name, pod: &Name, node: &Name) {
        let Some(of_namespace) = self.pods.get_mut(namespace) else { return };
        let Some(home) = of_namespace.get_mut(pod) else { return };
        let key = (&**namespace, &**pod);
        let mut next = None;
        if let Some(others) = self.others.get_mut(&key) {
            others.retain(|other| other != node);
            if home == node {
                next = others.pop();
            }
            if others.is_empty() {
                self.others.remove(&key);
            }
        }
        if let Some(next) = next {
            *home = next;
        } else if home == node {
            of_namespace.remove(pod);
            self.count -= 1;
        }
        if of_namespace.is_empty() {
            self.pods.remove(namespace);
        }
    }

    /// The nodes on which a pod has points.
    pub fn of<'h>(&'h self, namespace: &str, pod: &str) -> impl Iterator<Item = &'h Name> + use<'h> {
        let home = self.pods.get(namespace).and_then(|pods| pods.get(pod));
        home.into_iter().chain(self.others_of(namespace, pod))
    }

    /// The nodes of every pod of a namespace, each as often as it has one.
    pub fn of_all<'h>(&'h self, namespace: &str) -> impl Iterator<Item = &'h Name> + use<'h> {
        let of_namespace = self.pods.get_key_value(namespace).into_iter();
        let pods = of_namespace.flat_map(|(namespace, pods)| pods.iter().map(move |pod| (namespace, pod)));
        pods.flat_map(|(namespace, (pod, home))| std::iter::once(home).chain(self.others_of(namespace, pod)))
    }

    fn others_of<'h>(&'h self, namespace: &str, pod: &str) -> impl Iterator<Item = &'h Name> + use<'h> {
        self.others.get(&(namespace, pod)).into_iter().flatten()
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
