//! Which rows of a node's table are its pods' and their containers', and what the inventory tells of each: found by names
//! once for a table and an inventory. Remembering it is left to [`super::known`], summing to `totals`.

use super::block::{Row, Rows};
use super::narrow::Narrow;
use crate::model::amount::Amount;
use crate::model::entity::EntityRef;
use crate::model::inventory::{ContainerFacts, NodeInventory, PodFacts};
use std::ops::Range;
use std::sync::Arc;

/// The rows of a node, of its pods and of their containers, as numbers: every node has them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Kin {
    node: Option<Row>,
    /// How many pods there are.
    count: usize,
    /// Of each pod, by namespace and name, what [`At`] has and how many containers it has; then of each container what
    /// [`At`] has.
    numbers: Narrow,
}

/// A row, and where the inventory tells of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    row: Row,
    facts: Option<usize>,
}

impl At {
    /// The row.
    pub fn row(self) -> Row {
        self.row
    }

    /// What is known of a pod.
    pub fn pod(self, inventory: &NodeInventory) -> Option<&Arc<PodFacts>> {
        inventory.pods.all().get(self.facts?)
    }

    /// What is known of a container.
    pub fn container(self, pod: &PodFacts) -> Option<&ContainerFacts> {
        pod.containers.get(self.facts?)
    }

    /// How often a container was restarted.
    pub fn restarts(self, pod: &PodFacts) -> Amount {
        self.facts.and_then(|at| pod.restarts.get(at)).copied().unwrap_or_default()
    }

    /// The next one of those that are kept.
    fn told(numbers: &mut impl Iterator<Item = usize>) -> Option<Self> {
        let (row, facts) = (numbers.next()?, numbers.next()?);
        Some(Self { row, facts: facts.checked_sub(1) })
    }

    /// As it is kept: the row, and one more than where the inventory tells of it, or 0.
    fn numbers(self) -> [u32; 2] {
        // Nothing of what there can be in memory is so many.
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        [small(self.row), self.facts.map_or(0, |at| small(at.saturating_add(1)))]
    }
}

/// The same, opened for one answer.
#[derive(Debug)]
pub(super) struct Relatives {
    pods: Vec<(At, Range<usize>)>,
    containers: Vec<At>,
}

impl Relatives {
    /// Every pod and its containers, by namespace and name.
    pub fn pods(&self) -> impl Iterator<Item = (At, &[At])> {
        let own = |range: &Range<usize>| self.containers.get(range.clone()).unwrap_or_default();
        self.pods.iter().map(move |(pod, range)| (*pod, own(range)))
    }
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
                    pods.push((At { row, facts }, name, Vec::new()));
                }
                EntityRef::PodContainer(namespace, pod, container) if labels.is_none() => {
                    containers.push((row, (namespace, pod), container));
                }
                _ => {}
            }
        }
        let mut at = 0;
        for (row, name, container) in containers {
            let step = pods.iter().skip(at).position(|(_, pod, _)| *pod == name);
            at += step.unwrap_or(0);
            let Some((pod, _, own)) = pods.get_mut(at).filter(|_| step.is_some()) else { continue };
            let facts = pod.pod(inventory);
            let facts =
                facts.and_then(|pod| pod.containers.iter().position(|facts| *facts.name == *container));
            own.push(At { row, facts });
        }
        let mut numbers = Vec::new();
        for (pod, _, own) in &pods {
            numbers.extend(pod.numbers());
            numbers.push(u32::try_from(own.len()).unwrap_or(u32::MAX));
        }
        numbers.extend(pods.iter().flat_map(|(_, _, own)| own).flat_map(|at| at.numbers()));
        let node = rows.find(EntityRef::Node(&inventory.node.name), None);
        Self { node, count: pods.len(), numbers: Narrow::of(&numbers) }
    }

    /// The node's row.
    pub(super) fn node(&self) -> Option<Row> {
        self.node
    }

    /// To be looked through more than once.
    pub(super) fn opened(&self) -> Relatives {
        let mut numbers = (0..).map_while(|at| self.numbers.get(at));
        let (mut pods, mut end) = (Vec::with_capacity(self.count), 0);
        for _ in 0..self.count {
            let Some((pod, count)) = At::told(&mut numbers).zip(numbers.next()) else { break };
            pods.push((pod, end..end + count));
            end += count;
        }
        let mut containers = Vec::with_capacity(end);
        containers.extend(std::iter::from_fn(|| At::told(&mut numbers)));
        Relatives { pods, containers }
    }
}
