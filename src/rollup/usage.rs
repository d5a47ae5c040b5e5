//! What nodes and pods use now, worked out of their newest blocks. Whoever lacks a value is left out, as in Heapster: half
//! a pod would make an autoscaler scale the wrong way.

use super::block::{Block, Located};
use super::latest::{Latest, Recent};
use crate::model::entity::{EntityRef, Labels, Name};
use crate::model::inventory::{NodeInventory, PodFacts};
use crate::model::metric::Metric;
use crate::model::selector::Selector;
use crate::model::time::Timestamp;
use crate::model::usage::{Measured, NodeUsage, PodUsage, Usage};
use std::sync::Arc;

/// A block with the columns that are read: where they are is found out once, a value then costs next to nothing.
struct Open<'b> {
    block: &'b Block,
    cpu: Option<Located<'b>>,
    memory: Option<Located<'b>>,
    time: Option<Located<'b>>,
    /// Behind the entity that was found last: the next one asked for is often the next one there is.
    next: usize,
}

impl<'b> Open<'b> {
    fn new(block: &'b Block) -> Self {
        let metrics = [Metric::CpuUsageRate, Metric::MemoryWorkingSet, Metric::CpuTime];
        let [cpu, memory, time] = block.located(metrics);
        Self { block, cpu, memory, time, next: 0 }
    }

    /// Cpu and memory of an entity, and when they were read.
    fn usage(&mut self, entity: EntityRef<'_>) -> Option<(Usage, Timestamp)> {
        let rows = &self.block.layout.rows;
        let at = rows.position(entity, self.next)?;
        self.next = at + 1;
        let row = rows.whole(at)?;
        let cpu = self.cpu?.get(row)?;
        let memory = self.memory?.get(row)?;
        let time = self.time.and_then(|time| time.get(row));
        let read = time.and_then(|nanos| i64::try_from(nanos).ok()).map(Timestamp::from_nanos);
        Some((Usage { cpu, memory }, read.unwrap_or(self.block.scraped_at)))
    }

    fn node(&mut self, facts: &NodeInventory) -> Option<NodeUsage> {
        let name = facts.node.name.clone();
        let (usage, sampled) = self.usage(EntityRef::Node(&name))?;
        Some(NodeUsage { name, measured: Measured { window: self.block.window, sampled }, usage })
    }

    /// What a pod uses, if this block knows it under the same uid and has every one of its containers.
    fn pod(&mut self, pod: &PodFacts) -> Option<PodUsage> {
        let known = self.block.facts.as_ref()?.pod(&pod.namespace, &pod.name)?;
        if known.uid == pod.uid { self.own_pod(pod) } else { None }
    }

    /// What a pod of the block's own facts uses, if every one of its containers is there.
    fn own_pod(&mut self, pod: &PodFacts) -> Option<PodUsage> {
        let mut sampled: Option<Timestamp> = None;
        let mut containers = Vec::with_capacity(pod.containers.len());
        for container in pod.containers.iter() {
            let entity = EntityRef::PodContainer(&pod.namespace, &pod.name, &container.name);
            let (usage, read) = self.usage(entity)?;
            sampled = Some(sampled.map_or(read, |earliest| earliest.min(read)));
            containers.push((container.name.clone(), usage));
        }
        Some(PodUsage {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            measured: Measured { window: self.block.window, sampled: sampled? },
            containers,
        })
    }
}

fn takes(selector: &Selector, labels: &Labels) -> bool {
    selector.is_everything() || selector.takes(|key| labels.get(key))
}

/// What each node uses that the selector takes, sorted by name; of several clusters' nodes of one name the first's.
pub fn nodes(clusters: &[Latest], selector: &Selector) -> Vec<NodeUsage> {
    let recent = clusters.iter().flat_map(|latest| &latest.nodes);
    let mut found: Vec<NodeUsage> = recent
        .filter_map(|recent| {
            let facts = recent.newest.facts.as_ref()?;
            let taken = takes(selector, &facts.node.labels);
            taken.then(|| recent.blocks().find_map(|block| Open::new(&block).node(facts)))?
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    found
}

/// What each pod uses that the selector takes, of one namespace or of all, sorted by namespace and name. What a pod is of
/// is told by the newest block of its node; where that lacks a value, the block before it is asked.
pub fn pods(clusters: &[Latest], namespace: Option<&str>, selector: &Selector) -> Vec<PodUsage> {
    let mut found = Vec::new();
    for latest in clusters {
        let mut of_cluster = Vec::new();
        for recent in &latest.nodes {
            let Some(facts) = &recent.newest.facts else { continue };
            let held = match namespace {
                Some(namespace) => facts.pods.of(namespace),
                None => facts.pods.all(),
            };
            let mut wanted = held.iter().filter(|pod| takes(selector, &pod.labels)).peekable();
            if wanted.peek().is_none() {
                continue;
            }
            let mut newest = Open::new(&recent.newest);
            let usage = |pod: &Arc<PodFacts>| newest.own_pod(pod).or_else(|| older(recent, pod));
            of_cluster.extend(wanted.filter_map(usage));
        }
        // A pod that moved is told where it was seen last.
        of_cluster.sort_by_key(|pod: &PodUsage| std::cmp::Reverse(pod.measured.window.end()));
        found.append(&mut of_cluster);
    }
    found.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    found.dedup_by(|a, b| (&a.namespace, &a.name) == (&b.namespace, &b.name));
    found
}

/// What one pod uses; None in the inner place where it is known but lacks a value.
pub fn pod(clusters: &[Latest], namespace: &Name, name: &Name) -> Option<Option<PodUsage>> {
    let all = clusters.iter().flat_map(|latest| &latest.nodes);
    let mut known: Vec<(&Recent, &Arc<PodFacts>)> = all
        .filter_map(|recent| Some((recent, recent.newest.facts.as_ref()?.pod(namespace, name)?)))
        .collect();
    known.sort_by_key(|(recent, _)| std::cmp::Reverse(recent.newest.window.end()));
    let usage = |(recent, pod): &(&Recent, &Arc<PodFacts>)| {
        recent.blocks().find_map(|block| Open::new(&block).pod(pod))
    };
    (!known.is_empty()).then(|| known.iter().find_map(usage))
}

fn older(recent: &Recent, pod: &PodFacts) -> Option<PodUsage> {
    recent.blocks().skip(1).find_map(|block| Open::new(&block).pod(pod))
}
