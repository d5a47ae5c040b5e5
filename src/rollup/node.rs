//! One node's answer becomes one block: which rows count and whose they are. Rates are left to `rated`, requests and
//! sums to `totals`, asking the kubelet to `actors`.

use super::block::{Block, Row, Rows};
use super::rate::NoRate;
use super::rated::set_rates;
use super::sheet::Sheet;
use super::sum::NamespaceSums;
use super::totals::{set_node, set_sums};
use crate::model::entity::{Entity, Labels, Name};
use crate::model::inventory::{ContainerFacts, NodeInventory, PodFacts, PodName};
use crate::model::metric::{Form, Metric, MetricKey};
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
    let sums = set_sums(&mut sheet, answer.inventory, answer.report.pods_are_pause, &mut tally);
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
    let pods: Set<(&str, &str)> = newest
        .keys()
        .filter_map(|subject| match *subject {
            Subject::Pod(namespace, name) | Subject::Container(namespace, name, _) => Some((namespace, name)),
            Subject::Node | Subject::Free(_) => None,
        })
        .filter(|pod| !answer.foreign.contains(pod))
        .collect();
    for (namespace, name) in pods {
        let pod = Subject::Pod(namespace, name);
        if !newest.contains_key(&pod) {
            chosen.push((entity_of(pod, inventory), None, None));
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
