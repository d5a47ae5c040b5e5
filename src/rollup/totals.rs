//! What the inventory adds to one node's answer, and the sums: requests and limits of containers, containers into pods,
//! pods into namespaces and the node. How sums add up is left to [`super::sum`].

use super::block::Row;
use super::cells::View;
use super::kin::{At, Kin};
use super::node::{MAX_OTHER_METRICS, Tally};
use super::sheet::Sheet;
use super::sum::{NamespaceSums, Sums, additive};
use crate::model::amount::Amount;
use crate::model::entity::Name;
use crate::model::inventory::{NodeInventory, PodFacts, Resources};
use crate::model::metric::{Form, Metric, MetricKey, to_f64};

/// A pod's row and its containers'.
struct Pod<'a> {
    row: Row,
    namespace: &'a Name,
    host_network: bool,
    containers: &'a [At],
}

/// Requests, limits and restarts into containers; sums of containers into pods; sums of pods by namespace.
pub(super) fn set_sums(
    sheet: &mut Sheet,
    kin: &Kin,
    inventory: &NodeInventory,
    pods_are_pause: bool,
    tally: &mut Tally,
) -> NamespaceSums {
    let rows = sheet.rows().clone();
    let (mut pods, mut known) = (Vec::new(), Vec::new());
    let kin = kin.opened();
    for (pod, containers) in kin.pods() {
        let entity = rows.pair(pod.row()).map(|(entity, _)| rows.names(entity));
        let Some([Some(namespace), ..]) = entity else { continue };
        let facts = pod.pod(inventory);
        let host_network = facts.is_some_and(|facts| facts.host_network);
        pods.push(Pod { row: pod.row(), namespace, host_network, containers });
        let Some(facts) = facts else { continue };
        known.extend(containers.iter().filter_map(|at| Told::of(*at, facts)));
    }
    set_facts(sheet, &known, tally);
    let namespaces = set_additive(sheet, &pods, pods_are_pause);
    let others: Vec<MetricKey> = sheet.other_metrics().cloned().collect();
    for (pod, metric) in pods.iter().flat_map(|pod| others.iter().map(move |metric| (pod, metric))) {
        if let Some(held) = pod.of_other(sheet, metric) {
            sheet.set_other(pod.row, metric, held, MAX_OTHER_METRICS);
        }
    }
    namespaces
}

/// What a pod's containers and a namespace's pods add up to. Pods of one namespace stand together.
fn set_additive(sheet: &mut Sheet, pods: &[Pod<'_>], pods_are_pause: bool) -> NamespaceSums {
    let by_namespace = || pods.chunk_by(|pod, next| pod.namespace == next.namespace);
    let names = by_namespace().filter_map(|pods| pods.first());
    let mut sums: Vec<(Name, Box<Sums>)> = names.map(|pod| (pod.namespace.clone(), Box::default())).collect();
    for metric in additive() {
        let Some(cells) = sheet.column_mut(metric) else { continue };
        let is_traffic = is_traffic(metric);
        for (pods, (_, sums)) in by_namespace().zip(&mut sums) {
            let mut sum: Option<u64> = None;
            for pod in pods {
                let own = cells.get(pod.row);
                let summed = || {
                    let containers = pod.containers.iter().filter_map(|at| cells.get(at.row()));
                    containers.reduce(u64::saturating_add)
                };
                let held = match own {
                    Some(pause) if pods_are_pause && !is_traffic => {
                        pause.saturating_add(summed().unwrap_or(0))
                    }
                    Some(own) => own,
                    None => match summed() {
                        Some(summed) => summed,
                        None => continue,
                    },
                };
                if own != Some(held) {
                    cells.set(pod.row, held);
                }
                if !(is_traffic && pod.host_network) {
                    sum = Some(sum.unwrap_or(0).saturating_add(held));
                }
            }
            if let Some(sum) = sum {
                sums.add(metric, sum);
            }
        }
    }
    sums.into_iter().collect()
}

/// What the inventory knows of a container, and its row.
struct Told<'a> {
    row: Row,
    requests: Resources,
    limits: Resources,
    restarts: Amount,
    others: &'a [(Name, u64)],
}

impl<'a> Told<'a> {
    fn of(at: At, pod: &'a PodFacts) -> Option<Self> {
        let facts = at.container(pod)?;
        let (requests, limits) = (facts.requests.get(), facts.limits.get());
        let (restarts, others) = (at.restarts(pod), facts.requests.others());
        Some(Self { row: at.row(), requests, limits, restarts, others })
    }
}

/// What the inventory knows of containers.
fn set_facts(sheet: &mut Sheet, known: &[Told<'_>], tally: &mut Tally) {
    use Metric as M;
    type Of = fn(&Told<'_>) -> Option<u64>;
    // Heapster wrote 0 where nothing is requested (`processors/pod_based_enricher.go`).
    let columns: [(Metric, Of); 7] = [
        (M::CpuRequest, |told| Some(told.requests.cpu.get().unwrap_or(0))),
        (M::MemoryRequest, |told| Some(told.requests.memory.get().unwrap_or(0))),
        (M::EphemeralStorageRequest, |told| Some(told.requests.ephemeral_storage.get().unwrap_or(0))),
        (M::CpuLimit, |told| Some(told.limits.cpu.get().unwrap_or(0))),
        (M::MemoryLimit, |told| Some(told.limits.memory.get().unwrap_or(0))),
        (M::EphemeralStorageLimit, |told| Some(told.limits.ephemeral_storage.get().unwrap_or(0))),
        (M::RestartCount, |told| told.restarts.get()),
    ];
    for (metric, of) in columns {
        sheet.fill(metric, known.iter().filter_map(|told| Some((told.row, of(told)?))));
    }
    for (row, resource, amount) in
        known.iter().flat_map(|told| told.others.iter().map(|(name, n)| (told.row, name, *n)))
    {
        let metric = MetricKey::Resource(format!("{resource}/request").into());
        if !sheet.set_other(row, &metric, amount, MAX_OTHER_METRICS) {
            tally.metrics_over_limit += 1;
        }
    }
}

impl Pod<'_> {
    fn of_other(&self, sheet: &Sheet, metric: &MetricKey) -> Option<u64> {
        let values = self.containers.iter().filter_map(|at| sheet.get_other(at.row(), metric));
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
pub(super) fn set_node(sheet: &mut Sheet, kin: &Kin, inventory: &NodeInventory) {
    use Metric as M;
    let node = &inventory.node;
    let Some(row) = kin.node() else { return };
    let summed = [
        M::CpuRequest,
        M::CpuLimit,
        M::MemoryRequest,
        M::MemoryLimit,
        M::EphemeralStorageRequest,
        M::EphemeralStorageLimit,
    ];
    let kin = kin.opened();
    for metric in summed {
        let of_pod = |column: View<'_>| {
            kin.pods().filter_map(|(pod, _)| column.get(pod.row())).fold(0, u64::saturating_add)
        };
        let sum = sheet.column(metric).map_or(0, of_pod);
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
