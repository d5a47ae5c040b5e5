//! One node's answer becomes one block. Which rows count is left to `chosen`, rates to `rated`, requests and sums to
//! `totals`, asking the kubelet to `actors`.

use super::block::{Block, Row};
use super::chosen::{choose, table};
use super::kin::Kin;
use super::rate::NoRate;
use super::rated::set_rates;
use super::sheet::Sheet;
use super::sum::NamespaceSums;
use super::totals::{set_node, set_sums};
use crate::model::Set;
use crate::model::inventory::{NodeInventory, PodName};
use crate::model::metric::{Form, MetricKey};
use crate::model::report::Report;
use crate::model::time::{Timestamp, Window};
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
    /// Pods that the API server does not know, of the same, and that do not count any more.
    pub strangers: &'a Set<PodName>,
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
    /// Entities and parts without a name.
    pub nameless: u64,
    /// Rows of pods bound to another node.
    pub foreign_rows: u64,
    /// Rows of pods that the API server does not know.
    pub unknown_rows: u64,
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

/// Pods in the report that the inventory does not bind to the node. They count unless another node has them, for a while:
/// the watch lags behind the kubelet.
pub fn unknown_pods(report: &Report<'_>, inventory: &NodeInventory) -> Vec<PodName> {
    // The parts of a subject follow it.
    let mut pods: Vec<(&str, &str)> = report.rows().iter().filter_map(|row| row.subject.pod()).collect();
    pods.dedup();
    let mut unknown: Vec<PodName> = pods
        .into_iter()
        .filter(|(namespace, name)| inventory.pod(namespace, name).is_none())
        .map(|(namespace, name)| PodName { namespace: namespace.into(), name: name.into() })
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    unknown
}

/// Makes the block.
pub fn assemble(answer: &Answer<'_>) -> Assembled {
    assemble_at(answer, None).0
}

/// Where the rows of an answer stand in the block's table, in the order of the report, and whose they are.
#[derive(Debug)]
pub struct Placed {
    /// None where a row does not count.
    pub row_of: Vec<Option<Row>>,
    /// Of the table and the inventory.
    pub kin: Arc<Kin>,
}

/// Makes the block, where `found` is where its rows stand in the table of the block before, if that is known. With it
/// comes where they stand.
pub fn assemble_at(answer: &Answer<'_>, found: Option<Placed>) -> (Assembled, Placed) {
    let Report { broken_leaves, nameless, .. } = *answer.report;
    let mut tally = Tally { broken_leaves, nameless, ..Tally::default() };
    if answer.report.claimed_node.is_some_and(|claimed| *claimed != *answer.inventory.node.name) {
        tally.other_node_claimed = 1;
    }
    let before = answer.previous.map(|previous| previous.layout.rows.clone());
    let (rows, placed) = match before.zip(found) {
        Some(found) => found,
        None => {
            let (rows, row_of) = table(&choose(answer, &mut tally), answer);
            let kin = Arc::new(Kin::of(&rows, answer.inventory));
            (rows, Placed { row_of, kin })
        }
    };
    let Placed { row_of, kin } = &placed;
    let mut sheet = Sheet::new(rows);
    for (reported, row) in answer.report.rows().iter().zip(row_of) {
        let Some(row) = *row else { continue };
        for (metric, held) in answer.report.values(reported) {
            sheet.set(row, *metric, *held);
        }
    }
    for (source, name, value) in answer.report.custom() {
        let row = row_of.get(*source).copied().flatten();
        let (Some(row), Some(held)) = (row, Form::Double.hold(*value)) else { continue };
        let metric = MetricKey::Custom(format!("custom/{name}").into());
        if !sheet.set_other(row, &metric, held, MAX_OTHER_METRICS) {
            tally.metrics_over_limit += 1;
        }
    }
    set_rates(&mut sheet, answer, &mut tally);
    let sums = set_sums(&mut sheet, kin, answer.inventory, answer.report.pods_are_pause, &mut tally);
    set_node(&mut sheet, kin, answer.inventory);
    let facts = Some(answer.inventory.clone());
    let block = sheet.pack(answer.window, answer.scraped_at, facts, answer.previous);
    (Assembled { block, sums, tally }, placed)
}
