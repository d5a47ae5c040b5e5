//! Rates of one node's counters, against the block of its last answer. What a rate is is left to [`super::rate`].

use super::block::{Block, Row, Rows};
use super::cells::View;
use super::node::{Answer, Tally};
use super::opened::Opened;
use super::rate::{NoRate, Sample, rate};
use super::sheet::Sheet;
use super::totals::is_traffic;
use crate::model::Set;
use crate::model::entity::EntityRef;
use crate::model::inventory::PodFacts;
use crate::model::metric::{Metric, RATED, Rated};
use crate::model::time::Timestamp;
use std::sync::Arc;

/// What the samples of one counter are made of: columns of the block before, or of the sheet.
struct Samples<'c> {
    counter: Option<View<'c>>,
    /// The first one that has a value tells when the counter was read.
    times: [Option<View<'c>>; 4],
    start: Option<View<'c>>,
    scraped_at: Timestamp,
}

impl<'c> Samples<'c> {
    fn of(rated: &Rated, column: impl Fn(Metric) -> Option<View<'c>>, scraped_at: Timestamp) -> Self {
        let times = [rated.time, Metric::CpuTime, Metric::MemoryTime, Metric::NetworkTime].map(&column);
        Self { counter: column(rated.counter), times, start: column(Metric::StartTime), scraped_at }
    }

    fn get(&self, row: Row) -> Option<Sample> {
        let value = self.counter?.get(row)?;
        let stamp = |held: u64| i64::try_from(held).ok().map(Timestamp::from_nanos);
        let at = self.times.iter().flatten().find_map(|time| time.get(row));
        let at = at.and_then(stamp).unwrap_or(self.scraped_at);
        Some(Sample { value, at, start: self.start.and_then(|start| start.get(row)).and_then(stamp) })
    }
}

/// Puts a rate beside every counter that can be rated, and counts why the others cannot.
pub(super) fn set_rates(sheet: &mut Sheet, answer: &Answer<'_>, tally: &mut Tally) {
    let previous = answer.previous.map(Before::new);
    let rows = sheet.rows().clone();
    let resolution = answer.window.resolution();
    let same_rows = previous.as_ref().is_some_and(|before| Arc::ptr_eq(&before.block.layout.rows, &rows));
    let replaced = replaced(&rows, answer);
    let mut rates = Vec::new();
    for rated in RATED {
        let Some(counter) = sheet.column(rated.counter) else { continue };
        let here = Samples::of(rated, |metric| sheet.column(metric), answer.scraped_at);
        let there = previous.as_ref().map(|before| {
            let column = |metric| before.columns.column(metric);
            (before, Samples::of(rated, column, before.block.scraped_at), column(rated.rate))
        });
        let unit = rated.rate.descriptor().unit;
        counter.for_each(|row, _| {
            let Some(next) = here.get(row) else { return };
            let before = there.as_ref().and_then(|(before, samples, rates)| {
                Some((samples, rates, if same_rows { row } else { before.row(&rows, row)? }))
            });
            let before = before.filter(|_| !replaced.contains(&row));
            match rate(before.and_then(|(samples, _, row)| samples.get(row)), next, resolution) {
                Ok(rate) => rates.push((row, rate.held_as(unit))),
                Err(reason) => {
                    let at = NoRate::ALL.iter().position(|each| *each == reason);
                    if let Some(count) = at.and_then(|at| tally.no_rate.get_mut(at)) {
                        *count += 1;
                    }
                    // A pause container's last rate is not kept: the pod's is that of all its containers.
                    let summed =
                        answer.report.pods_are_pause && !is_traffic(rated.rate) && is_pod(&rows, row);
                    let held = before.filter(|_| !summed).and_then(|(_, rates, row)| (*rates)?.get(row));
                    if let (NoRate::SameInstant, Some(held)) = (reason, held) {
                        rates.push((row, held));
                    }
                }
            }
        });
        sheet.fill(rated.rate, rates.drain(..));
    }
    // Windows and some runtimes tell the kubelet's own rate but no counter.
    let Some(nanocores) = sheet.column(Metric::CpuUsageNanocores) else { return };
    let counter = sheet.column(Metric::CpuUsage);
    nanocores.for_each(|row, nanocores| {
        if counter.and_then(|counter| counter.get(row)).is_none() {
            rates.push((row, nanocores / 1_000_000));
        }
    });
    sheet.fill(Metric::CpuUsageRate, rates.drain(..));
}

/// The rows of pods that only have the name of one in the block before: another pod's counters say nothing of theirs.
fn replaced(rows: &Rows, answer: &Answer<'_>) -> Set<Row> {
    let before = answer.previous.and_then(|previous| previous.facts.as_ref());
    let Some(before) = before.filter(|before| !Arc::ptr_eq(before, answer.inventory)) else {
        return Set::default();
    };
    let is_other = |pod: &&Arc<PodFacts>| {
        let old = before.pod(&pod.namespace, &pod.name);
        old.is_some_and(|old| old.uid != pod.uid && !old.uid.is_empty() && !pod.uid.is_empty())
    };
    let others = answer.inventory.pods.iter().filter(is_other);
    let others: Set<(&str, &str)> = others.map(|pod| (&*pod.namespace, &*pod.name)).collect();
    let is_theirs = |entity: EntityRef<'_>| match entity {
        EntityRef::Pod(namespace, pod) | EntityRef::PodContainer(namespace, pod, _) => {
            others.contains(&(namespace, pod))
        }
        _ => false,
    };
    if others.is_empty() {
        return Set::default();
    }
    rows.iter().enumerate().filter(|(_, (entity, _))| is_theirs(*entity)).map(|(row, _)| row).collect()
}

fn is_pod(rows: &Rows, row: Row) -> bool {
    matches!(rows.key(row), Some((EntityRef::Pod(..), None)))
}

/// The block before, opened where rates need it.
struct Before<'a> {
    block: &'a Block,
    columns: Opened<'a>,
}

impl<'a> Before<'a> {
    fn new(block: &'a Block) -> Self {
        let is_needed = |metric: Metric| {
            let is_of = |rated: &Rated| [rated.counter, rated.rate, rated.time].contains(&metric);
            metric == Metric::StartTime || RATED.iter().any(is_of)
        };
        Self { block, columns: Opened::of(block, is_needed) }
    }

    fn row(&self, rows: &Rows, row: Row) -> Option<Row> {
        let (entity, labels) = rows.key(row)?;
        self.block.layout.rows.find(entity, labels)
    }
}
