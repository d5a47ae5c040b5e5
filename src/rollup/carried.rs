//! What a node added to its namespaces, worked out once more from its block: it counts again where the node does not
//! answer. Kept it would take memory for every node, and hardly ever be read. Adding up is left to [`super::sum`].

use super::block::{Block, Row};
use super::sum::NamespaceSums;
use super::totals::is_traffic;
use crate::model::entity::{EntityRef, Name};
use crate::model::metric::MetricKey;

struct Pod<'b> {
    row: Row,
    namespace: &'b Name,
    host_network: bool,
}

/// Adds to `sums` what the node of this block added when the block was made.
pub fn add(block: &Block, sums: &mut NamespaceSums) {
    let columns = block.columns().filter_map(|(key, present, column)| match key {
        MetricKey::Known(metric) if metric.descriptor().is_additive() => Some((*metric, present, column)),
        _ => None,
    });
    let columns: Vec<_> = columns.collect();
    let pods = pods(block);
    for pods in pods.chunk_by(|pod, next| pod.namespace == next.namespace) {
        let Some(first) = pods.first() else { continue };
        let own = sums.of(first.namespace);
        for (metric, present, column) in &columns {
            // That is the node's.
            let is_traffic = is_traffic(*metric);
            let counted = pods.iter().filter(|pod| !(is_traffic && pod.host_network));
            for held in counted.filter_map(|pod| column.get(present.rank(pod.row)?)) {
                own.add(*metric, held);
            }
        }
    }
}

fn pods(block: &Block) -> Vec<Pod<'_>> {
    let rows = &block.layout.rows;
    let is_pods = |entity: EntityRef<'_>| matches!(entity, EntityRef::Pod(..) | EntityRef::PodContainer(..));
    let first = rows.first_that(is_pods);
    let behind = rows.first_that(|entity| matches!(entity, EntityRef::PodContainer(..)));
    let pod = |row| {
        let (entity, label) = rows.pair(row)?;
        // Its interfaces and volumes have rows of their own.
        let ([Some(namespace), Some(pod), _], 0) = (rows.names(entity), label) else { return None };
        let facts = block.facts.as_ref().and_then(|facts| facts.pod(namespace, pod));
        Some(Pod { row, namespace, host_network: facts.is_some_and(|facts| facts.host_network) })
    };
    (first..behind).filter_map(pod).collect()
}
