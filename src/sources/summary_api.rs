//! `kubernetes.summary_api`: each kubelet's `GET /stats/summary/`, with the slash that Heapster asked with.

use super::{Format, Undecodable};
use crate::client::kubelet::Question;
use crate::model::report::Report;
use crate::model::time::Window;
use crate::telemetry::chain;
use crate::wire::kubelet_summary;
use std::sync::Arc;

struct SummaryApi;

/// The format.
pub fn format() -> Arc<dyn Format> {
    Arc::new(SummaryApi)
}

impl Format for SummaryApi {
    fn question(&self, _: Window) -> Question {
        Question { path: "/stats/summary/", json: None }
    }

    fn read(&self, body: &[u8], then: &mut dyn FnMut(&Report<'_>)) -> Result<(), Undecodable> {
        kubelet_summary::read(body, then)
            .map_err(|error| Undecodable { why: chain(&error), cut_off: error.is_cut_off() })
    }
}
