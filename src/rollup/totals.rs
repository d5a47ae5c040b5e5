//! What the inventory adds to one node's answer, and the sums: requests and limits of containers, containers into pods,
//! pods into namespaces and the node. How sums add up is left to [`super::sum`].

use super::block::Row;
use super::node::{MAX_OTHER_METRICS, Tally};
use super::sheet::Sheet;
use super::sum::{NamespaceSums, Sums};
use crate::model::Map;
use crate::model::entity::Entity;
use crate::model::inventory::{NodeInventory, PodName, Resources};
use crate::model::metric::{Form, Metric, MetricKey, to_f64};

fn set_resources(sheet: &mut Sheet, row: Row, requests: &Resources, limits: &Resources) {
    // Heapster wrote 0 where nothing is requested (`processors/pod_based_enricher.go`).
    sheet.set(row, Metric::CpuRequest, requests.cpu.unwrap_or(0));
    sheet.set(row, Metric::MemoryRequest, requests.memory.unwrap_or(0));
    sheet.set(row, Metric::EphemeralStorageRequest, requests.ephemeral_storage.unwrap_or(0));
    sheet.set(row, Metric::CpuLimit, limits.cpu.unwrap_or(0));
    sheet.set(row, Metric::MemoryLimit, limits.memory.unwrap_or(0));
    sheet.set(row, Metric::EphemeralStorageLimit, limits.ephemeral_storage.unwrap_or(0));
}

/// Requests, limits and restarts into containers; sums of containers into pods; sums of pods by namespace.
pub(super) fn set_sums(
    sheet: &mut Sheet,
    inventory: &NodeInventory,
    pods_are_pause: bool,
    tally: &mut Tally,
) -> NamespaceSums {
    let rows = sheet.rows().clone();
    let additive: Vec<Metric> =
        Metric::ALL.iter().copied().filter(|m| m.descriptor().is_additive()).collect();
    let mut pods: Map<PodName, PodSums> = Map::default();
    for (row, (entity, _)) in rows.iter().enumerate().filter(|(_, (_, labels))| labels.is_none()) {
        let Entity::PodContainer { namespace, pod, container } = entity else { continue };
        let facts = inventory.pod(namespace, pod);
        let facts = facts.and_then(|pod| pod.containers.iter().find(|facts| facts.name == *container));
        if let Some(facts) = facts {
            set_resources(sheet, row, &facts.requests, &facts.limits);
            if let Some(restarts) = facts.restarts {
                sheet.set(row, Metric::RestartCount, restarts);
            }
            for (resource, amount) in &facts.other_requests {
                let metric = MetricKey::Resource(format!("{resource}/request").into());
                if !sheet.set_other(row, &metric, *amount, MAX_OTHER_METRICS) {
                    tally.metrics_over_limit += 1;
                }
            }
        }
        let key = PodName { namespace: namespace.clone(), name: pod.clone() };
        let sums = pods.entry(key).or_default();
        for metric in &additive {
            if let Some(held) = sheet.get(row, *metric) {
                sums.known.add(*metric, held);
            }
        }
        sums.containers.push(row);
    }
    let others: Vec<MetricKey> = sheet.other_metrics().cloned().collect();
    let mut namespaces = NamespaceSums::default();
    for (row, (entity, _)) in rows.iter().enumerate().filter(|(_, (_, labels))| labels.is_none()) {
        let Entity::Pod { namespace, pod } = entity else { continue };
        if let Some(sums) = pods.get(&(&**namespace, &**pod)) {
            for (metric, held) in sums.known.iter() {
                match sheet.get(row, metric) {
                    None => sheet.set(row, metric, held),
                    Some(pause) if pods_are_pause && !is_traffic(metric) => {
                        sheet.set(row, metric, pause.saturating_add(held));
                    }
                    Some(_) => {}
                }
            }
            for metric in &others {
                if let Some(held) = sums.of_other(sheet, metric) {
                    sheet.set_other(row, metric, held, MAX_OTHER_METRICS);
                }
            }
        }
        let host_network = inventory.pod(namespace, pod).is_some_and(|facts| facts.host_network);
        let sums = namespaces.of(namespace);
        for metric in &additive {
            let twice = host_network && is_traffic(*metric);
            if let (Some(held), false) = (sheet.get(row, *metric), twice) {
                sums.add(*metric, held);
            }
        }
    }
    namespaces
}

/// Whether a metric tells of the network interfaces, which a host-network pod shares with its node.
pub(super) fn is_traffic(metric: Metric) -> bool {
    metric.descriptor().name.starts_with("network/")
}

#[derive(Default)]
struct PodSums {
    known: Sums,
    containers: Vec<Row>,
}

impl PodSums {
    fn of_other(&self, sheet: &Sheet, metric: &MetricKey) -> Option<u64> {
        let values = self.containers.iter().filter_map(|row| sheet.get_other(*row, metric));
        match metric.form() {
            Form::Double => {
                let sum = values.map(f64::from_bits).reduce(|a, b| a + b)?;
                sum.is_finite().then(|| sum.to_bits())
            }
            _ => values.reduce(u64::saturating_add),
        }
    }
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
        if let Some(capacity) = capacity {
            sheet.set(row, m_capacity, capacity);
        }
        let Some(allocatable) = allocatable else { continue };
        sheet.set(row, m_allocatable, allocatable);
        for (part, share) in [(used, utilization), (requested, reservation)] {
            let part = sheet.get(row, part).filter(|_| allocatable > 0);
            if let Some(held) = part.and_then(|part| Form::Micro.hold(to_f64(part) / to_f64(allocatable))) {
                sheet.set(row, share, held);
            }
        }
    }
}
