//! `kubernetes.summary_api`: each kubelet's `GET /stats/summary/`, with the slash that Heapster asked with.

use super::{Format, Undecodable};
use crate::model::report::Report;
use crate::telemetry::chain;
use crate::wire::kubelet_summary;
use std::sync::Arc;

struct SummaryApi;

/// The format.
pub fn format() -> Arc<dyn Format> {
    Arc::new(SummaryApi)
}

impl Format for SummaryApi {
    fn path(&self) -> &'static str {
        "/stats/summary/"
    }

    fn read(&self, body: &[u8], then: &mut dyn FnMut(&Report<'_>)) -> Result<(), Undecodable> {
        let summary = kubelet_summary::decode(body)
            .map_err(|error| Undecodable { why: chain(&error), cut_off: error.is_cut_off() })?;
        then(&summary.report());
        Ok(())
    }
}
