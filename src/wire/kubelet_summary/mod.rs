//! The kubelet's `/stats/summary` (`k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go`), read leniently leaf by leaf.
//! Reading only: what it says is told by `tell`, and which rows count is left to `rollup`.

mod tell;

use super::lenient::{Leaf, reread};
use super::telling::{Child, List, Text};
use crate::model::report::Report;
use crate::model::time::Timestamp;
use serde::Deserialize;

/// Why a body is no summary at all.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// Not UTF-8.
    #[error("the body is not UTF-8")]
    NotText(#[source] std::str::Utf8Error),
    /// Not JSON, or cut off.
    #[error("the body is no JSON object, or was cut off")]
    NotJson(#[source] serde_json::Error),
    /// JSON, but without both `node` and `pods`.
    #[error("the body is JSON but no summary: it has neither \"node\" nor \"pods\"")]
    NotSummary,
}

impl SummaryError {
    /// Whether the body ends where it should go on.
    pub fn is_cut_off(&self) -> bool {
        matches!(self, Self::NotJson(error) if error.is_eof())
    }
}

/// A decoded body. [`Summary::report`] tells what it says.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub struct Summary<'a> {
    node: Child<Node<'a>>,
    pods: List<Pod<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
struct Node<'a> {
    node_name: Text<'a>,
    start_time: Leaf<Timestamp>,
    cpu: Child<Cpu>,
    memory: Child<Memory>,
    io: Child<Io>,
    network: Child<Network<'a>>,
    fs: Child<Fs>,
    runtime: Child<Runtime>,
    rlimit: Child<Rlimit>,
    swap: Child<Swap>,
    system_containers: List<Container<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
struct Pod<'a> {
    pod_ref: Child<PodRef<'a>>,
    start_time: Leaf<Timestamp>,
    containers: List<Container<'a>>,
    cpu: Child<Cpu>,
    memory: Child<Memory>,
    io: Child<Io>,
    network: Child<Network<'a>>,
    volume: List<Volume<'a>>,
    #[serde(rename = "ephemeral-storage")]
    ephemeral_storage: Child<Fs>,
    #[serde(rename = "process_stats")]
    process_stats: Child<Processes>,
    swap: Child<Swap>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
struct Container<'a> {
    name: Text<'a>,
    start_time: Leaf<Timestamp>,
    cpu: Child<Cpu>,
    memory: Child<Memory>,
    io: Child<Io>,
    rootfs: Child<Fs>,
    logs: Child<Fs>,
    accelerators: List<Accelerator<'a>>,
    user_defined_metrics: List<UserMetric<'a>>,
    swap: Child<Swap>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct PodRef<'a> {
    name: Text<'a>,
    namespace: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Cpu {
    time: Leaf<Timestamp>,
    usage_nano_cores: Leaf<u64>,
    usage_core_nano_seconds: Leaf<u64>,
    psi: Child<Psi>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Memory {
    time: Leaf<Timestamp>,
    available_bytes: Leaf<u64>,
    usage_bytes: Leaf<u64>,
    working_set_bytes: Leaf<u64>,
    rss_bytes: Leaf<u64>,
    page_faults: Leaf<u64>,
    major_page_faults: Leaf<u64>,
    psi: Child<Psi>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Io {
    psi: Child<Psi>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Psi {
    some: Child<Pressure>,
    full: Child<Pressure>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pressure {
    total: Leaf<u64>,
    avg10: Leaf<f64>,
    avg60: Leaf<f64>,
    avg300: Leaf<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
struct Network<'a> {
    time: Leaf<Timestamp>,
    name: Text<'a>,
    rx_bytes: Leaf<u64>,
    rx_errors: Leaf<u64>,
    tx_bytes: Leaf<u64>,
    tx_errors: Leaf<u64>,
    interfaces: List<Interface<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
struct Interface<'a> {
    name: Text<'a>,
    rx_bytes: Leaf<u64>,
    rx_errors: Leaf<u64>,
    tx_bytes: Leaf<u64>,
    tx_errors: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Fs {
    available_bytes: Leaf<u64>,
    capacity_bytes: Leaf<u64>,
    used_bytes: Leaf<u64>,
    inodes_free: Leaf<u64>,
    inodes: Leaf<u64>,
    inodes_used: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
struct Volume<'a> {
    name: Text<'a>,
    available_bytes: Leaf<u64>,
    capacity_bytes: Leaf<u64>,
    used_bytes: Leaf<u64>,
    inodes_free: Leaf<u64>,
    inodes: Leaf<u64>,
    inodes_used: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Runtime {
    image_fs: Child<Fs>,
    container_fs: Child<Fs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rlimit {
    maxpid: Leaf<u64>,
    curproc: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Processes {
    process_count: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Swap {
    swap_available_bytes: Leaf<u64>,
    swap_usage_bytes: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
struct Accelerator<'a> {
    make: Text<'a>,
    model: Text<'a>,
    id: Text<'a>,
    memory_total: Leaf<u64>,
    memory_used: Leaf<u64>,
    duty_cycle: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct UserMetric<'a> {
    name: Text<'a>,
    value: Leaf<f64>,
}

/// Decodes a body and hands what it says to `then`. Even a number that is too large for any type costs only itself.
///
/// # Errors
/// Those of [`decode`].
pub fn read(body: &[u8], mut then: impl FnMut(&Report<'_>)) -> Result<(), SummaryError> {
    let once = |body: &[u8], huge| {
        let summary = decode(body)?;
        let mut report = summary.report();
        report.broken_leaves += huge;
        then(&report);
        Ok(())
    };
    reread(body, once, |error| match error {
        SummaryError::NotJson(error) => Some(error),
        SummaryError::NotText(_) | SummaryError::NotSummary => None,
    })
}

/// Decodes a body.
///
/// # Errors
/// When it is no JSON object or nothing that a kubelet would say. A broken leaf is no error: see
/// [`broken_leaves`](crate::model::report::Report::broken_leaves).
pub fn decode(body: &[u8]) -> Result<Summary<'_>, SummaryError> {
    let text = std::str::from_utf8(body).map_err(SummaryError::NotText)?;
    let summary: Summary<'_> = serde_json::from_str(text).map_err(SummaryError::NotJson)?;
    match (&summary.node, &summary.pods) {
        (Leaf::Absent, Leaf::Absent) => Err(SummaryError::NotSummary),
        _ => Ok(summary),
    }
}
