//! What the inventory adds to one node's answer, and the sums: requests and limits of containers, containers into pods,
//! pods into namespaces and the node. How sums add up is left to [`super::sum`].

use super::block::{Row, Rows};
use super::node::{MAX_OTHER_METRICS, Tally};
use super::sheet::Sheet;
use super::sum::{NamespaceSums, additive};
use crate::model::entity::{Entity, Name};
use crate::model::inventory::{ContainerFacts, NodeInventory, PodFacts, Resources};
use crate::model::metric::{Form, Metric, MetricKey, to_f64};
use std::sync::Arc;

fn set_resources(sheet: &mut Sheet, row: Row, requests: &Resources, limits: &Resources) {
    // Heapster wrote 0 where nothing is requested (`processors/pod_based_enricher.go`).
    sheet.set(row, Metric::CpuRequest, requests.cpu.get().unwrap_or(0));
    sheet.set(row, Metric::MemoryRequest, requests.memory.get().unwrap_or(0));
    sheet.set(row, Metric::EphemeralStorageRequest, requests.ephemeral_storage.get().unwrap_or(0));
    sheet.set(row, Metric::CpuLimit, limits.cpu.get().unwrap_or(0));
    sheet.set(row, Metric::MemoryLimit, limits.memory.get().unwrap_or(0));
    sheet.set(row, Metric::EphemeralStorageLimit, limits.ephemeral_storage.get().unwrap_or(0));
}

/// Requests, limits and restarts into containers; sums of containers into pods; sums of pods by namespace.
pub(super) fn set_sums(
    sheet: &mut Sheet,
    inventory: &NodeInventory,
    pods_are_pause: bool,
    tally: &mut Tally,
) -> NamespaceSums {
    let rows = sheet.rows().clone();
    let pods = pods_in(&rows, inventory);
    for pod in &pods {
        for (row, facts) in &pod.containers {
            if let Some(facts) = facts {
                set_facts(sheet, *row, facts, tally);
            }
        }
    }
    for metric in additive() {
        if !sheet.has(metric) {
            continue;
        }
        let is_traffic = is_traffic(metric);
        for pod in &pods {
            let containers = pod.containers.iter().filter_map(|(row, _)| sheet.get(*row, metric));
            let held = match (sheet.get(pod.row, metric), containers.reduce(u64::saturating_add)) {
                (Some(pause), Some(summed)) if pods_are_pause && !is_traffic => pause.saturating_add(summed),
                (Some(own), _) => own,
                (None, Some(summed)) => summed,
                (None, None) => continue,
            };
            sheet.set(pod.row, metric, held);
        }
    }
    let others: Vec<MetricKey> = sheet.other_metrics().cloned().collect();
    for (pod, metric) in pods.iter().flat_map(|pod| others.iter().map(move |metric| (pod, metric))) {
        if let Some(held) = pod.of_other(sheet, metric) {
            sheet.set_other(pod.row, metric, held, MAX_OTHER_METRICS);
        }
    }
    namespaces_of(sheet, &pods)
}

/// Sums of pods by namespace. Pods of one stand together.
fn namespaces_of(sheet: &Sheet, pods: &[PodSums<'_>]) -> NamespaceSums {
    let present: Vec<(Metric, bool)> =
        additive().filter(|metric| sheet.has(*metric)).map(|metric| (metric, is_traffic(metric))).collect();
    let mut namespaces = NamespaceSums::default();
    for pods in pods.chunk_by(|pod, next| pod.namespace == next.namespace) {
        let Some(sums) = pods.first().map(|pod| namespaces.of(pod.namespace)) else { continue };
        for (metric, is_traffic) in &present {
            for pod in pods {
                let host_network = pod.facts.is_some_and(|facts| facts.host_network);
                if let Some(held) = sheet.get(pod.row, *metric).filter(|_| !(host_network && *is_traffic)) {
                    sums.add(*metric, held);
                }
            }
        }
    }
    namespaces
}

/// What the inventory knows of a container.
fn set_facts(sheet: &mut Sheet, row: Row, facts: &ContainerFacts, tally: &mut Tally) {
    set_resources(sheet, row, &facts.requests, &facts.limits);
    if let Some(restarts) = facts.restarts.get() {
        sheet.set(row, Metric::RestartCount, restarts);
    }
    for (resource, amount) in &facts.other_requests {
        let metric = MetricKey::Resource(format!("{resource}/request").into());
        if !sheet.set_other(row, &metric, *amount, MAX_OTHER_METRICS) {
            tally.metrics_over_limit += 1;
        }
    }
}

/// A pod's row and its containers'.
struct PodSums<'a> {
    namespace: &'a Name,
    pod: &'a Name,
    row: Row,
    facts: Option<&'a Arc<PodFacts>>,
    containers: Vec<(Row, Option<&'a ContainerFacts>)>,
}

/// Every pod that has a row; every container's has, reported or not. Both the rows and what is known are sorted by namespace and pod, so
/// that each is found beside the one before.
fn pods_in<'a>(rows: &'a Rows, inventory: &'a NodeInventory) -> Vec<PodSums<'a>> {
    let mut facts = inventory.pods.iter().peekable();
    let mut pods: Vec<PodSums<'a>> = Vec::with_capacity(inventory.pods.len());
    let mut containers = Vec::new();
    for (row, (entity, labels)) in rows.iter().enumerate() {
        match entity {
            Entity::Pod { namespace, pod } if labels.is_none() => {
                let is_before = |facts: &&Arc<PodFacts>| {
                    (&facts.namespace, &facts.name) != (namespace, pod)
                        && (&facts.namespace, &facts.name) < (namespace, pod)
                };
                while facts.next_if(is_before).is_some() {}
                let facts = facts.next_if(|facts| (&facts.namespace, &facts.name) == (namespace, pod));
                pods.push(PodSums { namespace, pod, row, facts, containers: Vec::new() });
            }
            Entity::PodContainer { namespace, pod, container } if labels.is_none() => {
                containers.push((row, namespace, pod, container));
            }
            _ => {}
        }
    }
    let mut at = 0;
    for (row, namespace, pod, container) in containers {
        let step = pods.iter().skip(at).position(|sums| sums.is_of(namespace, pod));
        at += step.unwrap_or(0);
        let Some(sums) = pods.get_mut(at).filter(|_| step.is_some()) else { continue };
        let facts = sums.facts.and_then(|pod| pod.containers.iter().find(|facts| facts.name == *container));
        sums.containers.push((row, facts));
    }
    pods
}

impl PodSums<'_> {
    fn is_of(&self, namespace: &Name, pod: &Name) -> bool {
        self.pod == pod && self.namespace == namespace
    }

    fn of_other(&self, sheet: &Sheet, metric: &MetricKey) -> Option<u64> {
        let values = self.containers.iter().filter_map(|(row, _)| sheet.get_other(*row, metric));
        match metric.form() {
            Form::Double => {
                let sum = values.map(f64::from_bits).reduce(|a, b| a + b)?;
                sum.is_finite().then(|| sum.to_bits())
            }
            _ => values.reduce(u64::saturating_add),
        }
    }
}

/// Whether a metric tells of the network interfaces, which a host-network pod shares with its node.
pub(super) fn is_traffic(metric: Metric) -> bool {
    metric.descriptor().name.starts_with("network/")
}

/// Requests and limits of the node's pods, what the node has, and the shares of it.
pub(super) fn set_node(sheet: &mut Sheet, inventory: &NodeInventory) {
    use Metric as M;
    let node = &inventory.node;
    let rows = sheet.rows().clone();
    let Some(row) = rows.find(&Entity::Node(node.name.clone()), None) else { return };
    let pods = rows
        .iter()
        .enumerate()
        .filter(|(_, (entity, labels))| matches!(entity, Entity::Pod { .. }) && labels.is_none());
    let pods: Vec<Row> = pods.map(|(row, _)| row).collect();
    let summed = [
        M::CpuRequest,
        M::CpuLimit,
        M::MemoryRequest,
        M::MemoryLimit,
        M::EphemeralStorageRequest,
        M::EphemeralStorageLimit,
    ];
    for metric in summed {
        let sum = pods.iter().filter_map(|row| sheet.get(*row, metric)).fold(0, u64::saturating_add);
        sheet.set(row, metric, sum);
    }
    let resources = [
        (
            (node.capacity.cpu, node.allocatable.cpu),
            (M::CpuUsageRate, M::CpuRequest),
            [M::CpuNodeCapacity, M::CpuNodeAllocatable, M::CpuNodeUtilization, M::CpuNodeReservation],
        ),
        (
            (node.capacity.memory, node.allocatable.memory),
            (M::MemoryUsage, M::MemoryRequest),
            [
                M::MemoryNodeCapacity,
                M::MemoryNodeAllocatable,
                M::MemoryNodeUtilization,
                M::MemoryNodeReservation,
            ],
        ),
        (
            (node.capacity.ephemeral_storage, node.allocatable.ephemeral_storage),
            (M::EphemeralStorageUsage, M::EphemeralStorageRequest),
            [
                M::EphemeralStorageNodeCapacity,
                M::EphemeralStorageNodeAllocatable,
                M::EphemeralStorageNodeUtilization,
                M::EphemeralStorageNodeReservation,
            ],
        ),
    ];
    for ((capacity, allocatable), (used, requested), [m_capacity, m_allocatable, utilization, reservation]) in
        resources
    {
        if let Some(capacity) = capacity.get() {
            sheet.set(row, m_capacity, capacity);
        }
        let Some(allocatable) = allocatable.get() else { continue };
        sheet.set(row, m_allocatable, allocatable);
        for (part, share) in [(used, utilization), (requested, reservation)] {
            let part = sheet.get(row, part).filter(|_| allocatable > 0);
            if let Some(held) = part.and_then(|part| Form::Micro.hold(to_f64(part) / to_f64(allocatable))) {
                sheet.set(row, share, held);
            }
        }
    }
}
