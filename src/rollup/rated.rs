//! Rates of one node's counters, against the block of its last answer. What a rate is is left to [`super::rate`].

use super::block::{Block, Row, Rows};
use super::node::{Answer, Tally};
use super::opened::Opened;
use super::rate::{NoRate, Sample, rate};
use super::sheet::Sheet;
use super::totals::is_traffic;
use crate::model::entity::Entity;
use crate::model::metric::{Metric, RATED, Rated};
use crate::model::time::Timestamp;
use std::sync::Arc;

/// Instants of one row's samples: from the block before, or from the sheet.
struct Instants<G> {
    get: G,
    scraped_at: Timestamp,
}

impl<G: Fn(Metric) -> Option<u64>> Instants<G> {
    fn sample(&self, rated: &Rated) -> Option<Sample> {
        let value = (self.get)(rated.counter)?;
        let times = [rated.time, Metric::CpuTime, Metric::MemoryTime, Metric::NetworkTime];
        let stamp = |held: u64| i64::try_from(held).ok().map(Timestamp::from_nanos);
        let at = times
            .into_iter()
            .find_map(|metric| (self.get)(metric))
            .and_then(stamp)
            .unwrap_or(self.scraped_at);
        Some(Sample { value, at, start: (self.get)(Metric::StartTime).and_then(stamp) })
    }
}

/// Puts a rate beside every counter that can be rated, and counts why the others cannot.
pub(super) fn set_rates(sheet: &mut Sheet, answer: &Answer<'_>, tally: &mut Tally) {
    let previous = answer.previous.map(Before::new);
    let rows = sheet.rows().clone();
    let resolution = answer.window.resolution();
    let same_rows = previous.as_ref().is_some_and(|before| Arc::ptr_eq(&before.block.layout.rows, &rows));
    for rated in RATED {
        for row in sheet.rows_with(rated.counter) {
            let here = |metric| sheet.get(row, metric);
            let Some(next) = (Instants { get: here, scraped_at: answer.scraped_at }).sample(rated) else {
                continue;
            };
            let before = previous
                .as_ref()
                .and_then(|before| Some((before, if same_rows { row } else { before.row(&rows, row)? })));
            let last = before.and_then(|(before, row)| {
                let get = |metric| before.get(row, metric);
                Instants { get, scraped_at: before.block.scraped_at }.sample(rated)
            });
            match rate(last, next, resolution) {
                Ok(rate) => sheet.set(row, rated.rate, rate.held_as(rated.rate.descriptor().unit)),
                Err(reason) => {
                    let at = NoRate::ALL.iter().position(|each| *each == reason);
                    if let Some(count) = at.and_then(|at| tally.no_rate.get_mut(at)) {
                        *count += 1;
                    }
                    // A pause container's last rate is not kept: the pod's is that of all its containers.
                    let summed =
                        answer.report.pods_are_pause && !is_traffic(rated.rate) && is_pod(&rows, row);
                    let held =
                        before.filter(|_| !summed).and_then(|(before, row)| before.get(row, rated.rate));
                    if let (NoRate::SameInstant, Some(held)) = (reason, held) {
                        sheet.set(row, rated.rate, held);
                    }
                }
            }
        }
    }
    // Windows and some runtimes tell the kubelet's own rate but no counter.
    for row in sheet.rows_with(Metric::CpuUsageNanocores) {
        if let (None, Some(nanocores)) =
            (sheet.get(row, Metric::CpuUsage), sheet.get(row, Metric::CpuUsageNanocores))
        {
            sheet.set(row, Metric::CpuUsageRate, nanocores / 1_000_000);
        }
    }
}

fn is_pod(rows: &Rows, row: Row) -> bool {
    matches!(rows.key(row), Some((Entity::Pod { .. }, None)))
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

    fn get(&self, row: Row, metric: Metric) -> Option<u64> {
        self.columns.get(metric, row)
    }
}
