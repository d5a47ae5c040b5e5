//! `kubernetes`: each kubelet's `POST /stats/container/`, which Kubernetes 1.18 took away. A kubelet that answers 404 is
//! asked for its summary instead.

use super::{Format, Undecodable, summary_api};
use crate::client::kubelet::Question;
use crate::model::report::Report;
use crate::model::time::Window;
use crate::telemetry::chain;
use crate::wire::kubelet_stats;
use std::sync::Arc;

struct StatsApi;

/// The format.
pub fn format() -> Arc<dyn Format> {
    Arc::new(StatsApi)
}

impl Format for StatsApi {
    fn question(&self, window: Window) -> Question {
        Question { path: "/stats/container/", json: Some(kubelet_stats::request(window)) }
    }

    fn otherwise(&self) -> Option<Arc<dyn Format>> {
        Some(summary_api::format())
    }

    fn read(&self, body: &[u8], then: &mut dyn FnMut(&Report<'_>)) -> Result<(), Undecodable> {
        kubelet_stats::read(body, then)
            .map_err(|error| Undecodable { why: chain(&error), cut_off: error.is_cut_off() })
    }
}
