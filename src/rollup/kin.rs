//! Which rows of a node's table are its pods' and their containers', and what the inventory tells of each: found by names
//! once for a table and an inventory. Remembering it is left to [`super::known`], summing to `totals`.

use super::block::{Row, Rows};
use crate::model::amount::Amount;
use crate::model::entity::EntityRef;
use crate::model::inventory::{ContainerFacts, NodeInventory, PodFacts};
use std::sync::Arc;

/// The rows of a node, of its pods and of their containers. Eight to twelve bytes for each: every node has one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Kin {
    node: Option<u32>,
    /// By namespace and name.
    pods: Box<[PodAt]>,
    containers: Box<[At]>,
}

/// A row, and where the inventory tells of it; [`NOWHERE`] where it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    row: u32,
    facts: u32,
}

const NOWHERE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PodAt {
    at: At,
    /// Its containers are those from the pod's before up to here.
    containers_end: u32,
}

impl At {
    fn new(row: Row, facts: Option<usize>) -> Self {
        let small = |number: usize| u32::try_from(number).unwrap_or(NOWHERE);
        Self { row: small(row), facts: facts.map_or(NOWHERE, small) }
    }

    /// The row.
    pub fn row(self) -> Row {
        large(self.row)
    }

    fn among<T>(self, all: &[T]) -> Option<&T> {
        all.get(large(self.facts))
    }

    /// What is known of a pod.
    pub fn pod(self, inventory: &NodeInventory) -> Option<&Arc<PodFacts>> {
        self.among(inventory.pods.all())
    }

    /// What is known of a container.
    pub fn container(self, pod: &PodFacts) -> Option<&ContainerFacts> {
        self.among(&pod.containers)
    }

    /// How often a container was restarted.
    pub fn restarts(self, pod: &PodFacts) -> Amount {
        self.among(&pod.restarts).copied().unwrap_or_default()
    }
}

fn large(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Kin {
    /// Every pod that has a row; every container's has, reported or not. Both the rows and what is known are sorted by
    /// namespace and pod, so that each is found beside the one before.
    pub fn of(rows: &Rows, inventory: &NodeInventory) -> Self {
        let known = inventory.pods.all();
        let mut next = 0;
        let mut pods: Vec<(At, (&str, &str), Vec<At>)> = Vec::with_capacity(known.len());
        let mut containers = Vec::new();
        for (row, (entity, labels)) in rows.iter().enumerate() {
            match entity {
                EntityRef::Pod(namespace, pod) if labels.is_none() => {
                    let name = (namespace, pod);
                    let named = |at: usize| known.get(at).map(|facts| (&*facts.namespace, &*facts.name));
                    while named(next).is_some_and(|other| other != name && other < name) {
                        next += 1;
                    }
                    let facts = (named(next) == Some(name)).then_some(next);
                    next += usize::from(facts.is_some());
                    pods.push((At::new(row, facts), name, Vec::new()));
                }
                EntityRef::PodContainer(namespace, pod, container) if labels.is_none() => {
                    containers.push((row, (namespace, pod), container));
                }
                _ => {}
            }
        }
        let (mut at, mut count) = (0, 0);
        for (row, name, container) in containers {
            let step = pods.iter().skip(at).position(|(_, pod, _)| *pod == name);
            at += step.unwrap_or(0);
            let Some((pod, _, own)) = pods.get_mut(at).filter(|_| step.is_some()) else { continue };
            let facts = pod.pod(inventory);
            let facts =
                facts.and_then(|pod| pod.containers.iter().position(|facts| *facts.name == *container));
            own.push(At::new(row, facts));
            count += 1;
        }
        let node = rows.find(EntityRef::Node(&inventory.node.name), None);
        let mut containers = Vec::with_capacity(count);
        let pods = pods.into_iter().map(|(at, _, own)| {
            containers.extend(own);
            PodAt { at, containers_end: u32::try_from(containers.len()).unwrap_or(u32::MAX) }
        });
        let pods = pods.collect();
        Self { node: node.and_then(|row| u32::try_from(row).ok()), pods, containers: containers.into() }
    }

    /// The node's row.
    pub(super) fn node(&self) -> Option<Row> {
        self.node.map(large)
    }

    /// Every pod and its containers, by namespace and name.
    pub(super) fn pods(&self) -> impl Iterator<Item = (At, &[At])> {
        let mut start = 0;
        self.pods.iter().map(move |pod| {
            let end = large(pod.containers_end);
            let own = self.containers.get(start..end).unwrap_or_default();
            start = end;
            (pod.at, own)
        })
    }
}
