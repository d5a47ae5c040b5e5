//! One node's answer becomes one block: which rows count, rates against the block before, requests and limits from the
//! inventory, and the sums that the node adds to its namespaces. Asking the kubelet is left to `actors`.

use super::block::{Block, Row, Rows};
use super::rate::{NoRate, Sample, rate};
use super::sheet::Sheet;
use super::sum::{NamespaceSums, Sums};
use crate::model::entity::{Entity, Labels, Name};
use crate::model::inventory::{ContainerFacts, NodeInventory, PodFacts, PodName, Resources};
use crate::model::metric::{Form, Metric, MetricKey, RATED, Rated, to_f64};
use crate::model::report::{Part, Report, Subject};
use crate::model::time::{Timestamp, Window};
use crate::model::{Map, Set};
use std::sync::Arc;

/// The most rows that one node may fill: 110 pods of 5 containers fill some 3,000.
pub const MAX_ROWS: usize = 50_000;
/// The most metrics outside the catalogue that one node may bring.
pub const MAX_OTHER_METRICS: usize = 256;

/// Everything that one block is made of.
pub struct Answer<'a> {
    /// What the kubelet said.
    pub report: &'a Report<'a>,
    /// What is known of the node and the pods bound to it.
    pub inventory: &'a Arc<NodeInventory>,
    /// Pods that are bound to other nodes, of those that [`unknown_pods`] named.
    pub foreign: &'a Set<PodName>,
    /// The block of the last answer, which rates are made against.
    pub previous: Option<&'a Block>,
    /// The window that the answer is for.
    pub window: Window,
    /// When it was asked for.
    pub scraped_at: Timestamp,
}

/// What was left out of a block, by reason, and why rates are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Leaves that were no number, or none that a metric can hold.
    pub broken_leaves: u64,
    /// Rows of pods bound to another node.
    pub foreign_rows: u64,
    /// Rows of an older run of an entity that was reported twice.
    pub superseded_rows: u64,
    /// Rows above [`MAX_ROWS`].
    pub rows_over_limit: u64,
    /// Values of metrics above [`MAX_OTHER_METRICS`].
    pub metrics_over_limit: u64,
    /// Answers that named another node than the one that was asked.
    pub other_node_claimed: u64,
    /// Rates withheld, in the order of [`NoRate::ALL`].
    pub no_rate: [u64; NoRate::ALL.len()],
}

/// A block, what its node adds to each namespace, and what was left out.
#[derive(Debug)]
pub struct Assembled {
    /// The node's points.
    pub block: Block,
    /// What it adds to its namespaces.
    pub sums: NamespaceSums,
    /// What was left out.
    pub tally: Tally,
}

/// Pods in the report that the inventory does not bind to the node. They count unless another node has them: the
/// watch lags behind the kubelet.
pub fn unknown_pods(report: &Report<'_>, inventory: &NodeInventory) -> Vec<PodName> {
    let mut unknown: Vec<PodName> = report
        .rows()
        .iter()
        .filter_map(|row| match row.subject {
            Subject::Pod(namespace, name) | Subject::Container(namespace, name, _) => Some((namespace, name)),
            Subject::Node | Subject::Free(_) => None,
        })
        .filter(|(namespace, name)| inventory.pod(namespace, name).is_none())
        .map(|(namespace, name)| PodName { namespace: namespace.into(), name: name.into() })
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    unknown
}

/// Makes the block.
pub fn assemble(answer: &Answer<'_>) -> Assembled {
    let mut tally = Tally { broken_leaves: answer.report.broken_leaves, ..Tally::default() };
    if answer.report.claimed_node.is_some_and(|claimed| *claimed != *answer.inventory.node.name) {
        tally.other_node_claimed = 1;
    }
    let chosen = choose(answer, &mut tally);
    let keys = chosen.iter().map(|(entity, labels, _)| (entity, labels.as_ref()));
    let rows = Rows::new(keys);
    let rows = match answer.previous {
        Some(previous) if *previous.layout.rows == rows => previous.layout.rows.clone(),
        _ => Arc::new(rows),
    };
    let mut sheet = Sheet::new(rows.clone());
    let mut by_report = Map::<usize, Row>::default();
    for (entity, labels, source) in &chosen {
        let (Some(row), Some(source)) = (rows.find(entity, labels.as_ref()), *source) else { continue };
        by_report.insert(source, row);
        for (metric, held) in
            answer.report.rows().get(source).into_iter().flat_map(|r| answer.report.values(r))
        {
            sheet.set(row, *metric, *held);
        }
    }
    for (source, name, value) in answer.report.custom() {
        let (Some(row), Some(held)) = (by_report.get(source), Form::Double.hold(*value)) else { continue };
        let metric = MetricKey::Custom(format!("custom/{name}").into());
        if !sheet.set_other(*row, &metric, held, MAX_OTHER_METRICS) {
            tally.metrics_over_limit += 1;
        }
    }
    set_rates(&mut sheet, answer, &mut tally);
    let sums = set_sums(&mut sheet, answer.inventory, &mut tally);
    set_node(&mut sheet, answer.inventory);
    let facts = Some(answer.inventory.clone());
    let block = sheet.pack(answer.window, answer.scraped_at, facts, answer.previous);
    Assembled { block, sums, tally }
}

type Chosen = (Entity, Option<Labels>, Option<usize>);

/// The rows that count, with their keys. Of two runs of one entity the one that started later counts, of equal ones
/// the later in the body (heapster#1838). Containers that a reported pod declares but that do not run get a row too,
/// and so does a pod of which only containers were reported.
fn choose(answer: &Answer<'_>, tally: &mut Tally) -> Vec<Chosen> {
    let (report, inventory) = (answer.report, answer.inventory);
    let mut run = 0;
    let mut runs = Vec::with_capacity(report.rows().len());
    let mut newest = Map::<Subject<'_>, (Option<u64>, usize)>::default();
    for row in report.rows() {
        if row.part == Part::Whole {
            run += 1;
            let start = report.value(row, Metric::StartTime);
            let best = newest.entry(row.subject).or_insert((start, run));
            if start >= best.0 {
                *best = (start, run);
            }
        }
        runs.push(run);
    }
    let mut chosen: Vec<Chosen> = Vec::with_capacity(report.rows().len());
    for (source, (row, run)) in report.rows().iter().zip(runs).enumerate() {
        if let Subject::Pod(namespace, name) | Subject::Container(namespace, name, _) = row.subject
            && answer.foreign.contains(&(namespace, name))
        {
            tally.foreign_rows += 1;
        } else if newest.get(&row.subject).is_some_and(|(_, best)| *best != run) {
            tally.superseded_rows += 1;
        } else if chosen.len() >= MAX_ROWS {
            tally.rows_over_limit += 1;
        } else {
            chosen.push((entity_of(row.subject, inventory), labels_of(row.part), Some(source)));
        }
    }
    for subject in newest.keys() {
        let (Subject::Pod(namespace, name) | Subject::Container(namespace, name, _)) = *subject else {
            continue;
        };
        if answer.foreign.contains(&(namespace, name)) {
            continue;
        }
        if let Subject::Container(..) = subject {
            let pod = Subject::Pod(namespace, name);
            if !newest.contains_key(&pod) {
                chosen.push((entity_of(pod, inventory), None, None));
            }
            continue;
        }
        let Some(facts) = inventory.pod(namespace, name) else { continue };
        for container in &facts.containers {
            if !newest.contains_key(&Subject::Container(namespace, name, &container.name)) {
                chosen.push((container_entity(facts, container), None, None));
            }
        }
    }
    chosen
}

fn container_entity(pod: &PodFacts, container: &ContainerFacts) -> Entity {
    Entity::PodContainer {
        namespace: pod.namespace.clone(),
        pod: pod.name.clone(),
        container: container.name.clone(),
    }
}

/// The subject's entity, with the inventory's own names where it knows them so that they are shared.
fn entity_of(subject: Subject<'_>, inventory: &NodeInventory) -> Entity {
    let pod_names = |namespace: &str, name: &str| match inventory.pod(namespace, name) {
        Some(facts) => (facts.namespace.clone(), facts.name.clone()),
        None => (Name::from(namespace), Name::from(name)),
    };
    let node = || inventory.node.name.clone();
    match subject {
        Subject::Node => Entity::Node(node()),
        Subject::Free(container) => Entity::FreeContainer { node: node(), container: container.into() },
        Subject::Pod(namespace, name) => {
            let (namespace, pod) = pod_names(namespace, name);
            Entity::Pod { namespace, pod }
        }
        Subject::Container(namespace, name, container) => {
            let known = inventory.pod(namespace, name);
            let known = known.and_then(|pod| pod.containers.iter().find(|c| *c.name == *container));
            let container = known.map_or_else(|| container.into(), |facts| facts.name.clone());
            let (namespace, pod) = pod_names(namespace, name);
            Entity::PodContainer { namespace, pod, container }
        }
    }
}

fn labels_of(part: Part<'_>) -> Option<Labels> {
    match part {
        Part::Whole => None,
        Part::Resource(prefix, name) => Some(Labels::new([("resource_id", format!("{prefix}{name}"))])),
        Part::Interface(name) => Some(Labels::new([("interface", name)])),
        Part::Accelerator(make, model, id) => {
            Some(Labels::new([("make", make), ("model", model), ("accelerator_id", id)]))
        }
    }
}

/// Instants of one row's samples: from the block before, or from the sheet.
struct Instants<'a> {
    get: &'a dyn Fn(Metric) -> Option<u64>,
    scraped_at: Timestamp,
}

impl Instants<'_> {
    fn sample(&self, rated: &Rated) -> Option<Sample> {
        let value = (self.get)(rated.counter)?;
        let times = [rated.time, Metric::CpuTime, Metric::MemoryTime, Metric::NetworkTime];
        let stamp = |held: u64| i64::try_from(held).ok().map(Timestamp::from_nanos);
        let at = times.into_iter().find_map(&self.get).and_then(stamp).unwrap_or(self.scraped_at);
        Some(Sample { value, at, start: (self.get)(Metric::StartTime).and_then(stamp) })
    }
}

fn set_rates(sheet: &mut Sheet, answer: &Answer<'_>, tally: &mut Tally) {
    let previous = answer.previous.map(Before::new);
    let rows = sheet.rows().clone();
    let resolution = answer.window.resolution();
    for rated in RATED {
        if !sheet.has(rated.counter) {
            continue;
        }
        for row in 0..rows.len() {
            let here = |metric| sheet.get(row, metric);
            let Some(next) = (Instants { get: &here, scraped_at: answer.scraped_at }).sample(rated) else {
                continue;
            };
            let before = previous.as_ref().and_then(|before| Some((before, before.row(&rows, row)?)));
            let last = before.and_then(|(before, row)| {
                let get = |metric| before.get(row, metric);
                Instants { get: &get, scraped_at: before.block.scraped_at }.sample(rated)
            });
            match rate(last, next, resolution) {
                Ok(rate) => sheet.set(row, rated.rate, rate.held_as(rated.rate.descriptor().unit)),
                Err(reason) => {
                    let at = NoRate::ALL.iter().position(|each| *each == reason);
                    if let Some(count) = at.and_then(|at| tally.no_rate.get_mut(at)) {
                        *count += 1;
                    }
                    let held = before.and_then(|(before, row)| before.get(row, rated.rate));
                    if let (NoRate::SameInstant, Some(held)) = (reason, held) {
                        sheet.set(row, rated.rate, held);
                    }
                }
            }
        }
    }
    // Windows and some runtimes tell the kubelet's own rate but no counter.
    for row in 0..rows.len() {
        if let (None, Some(nanocores)) =
            (sheet.get(row, Metric::CpuUsage), sheet.get(row, Metric::CpuUsageNanocores))
        {
            sheet.set(row, Metric::CpuUsageRate, nanocores / 1_000_000);
        }
    }
}

/// The block before, opened where rates need it.
struct Before<'a> {
    block: &'a Block,
    columns: Map<Metric, Vec<Option<u64>>>,
}

impl<'a> Before<'a> {
    fn new(block: &'a Block) -> Self {
        let rated = RATED.iter().flat_map(|rated| [rated.counter, rated.rate, rated.time]);
        let needed = rated.chain([Metric::StartTime]);
        let mut columns = Map::default();
        for metric in needed {
            if !columns.contains_key(&metric)
                && let Some(column) = block.column(metric)
            {
                columns.insert(metric, column);
            }
        }
        Self { block, columns }
    }

    fn row(&self, rows: &Arc<Rows>, row: Row) -> Option<Row> {
        if Arc::ptr_eq(&self.block.layout.rows, rows) {
            return Some(row);
        }
        let (entity, labels) = rows.key(row)?;
        self.block.layout.rows.find(entity, labels)
    }

    fn get(&self, row: Row, metric: Metric) -> Option<u64> {
        *self.columns.get(&metric)?.get(row)?
    }
}

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
fn set_sums(sheet: &mut Sheet, inventory: &NodeInventory, tally: &mut Tally) -> NamespaceSums {
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
                if sheet.get(row, metric).is_none() {
                    sheet.set(row, metric, held);
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
fn is_traffic(metric: Metric) -> bool {
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
fn set_node(sheet: &mut Sheet, inventory: &NodeInventory) {
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
