//! `/api/v1/status`: how each cluster and node does, as JSON. What they do is left to the aggregator.

use super::Api;
use super::error::ApiError;
use super::reply::cluster;
use crate::messages::{ClusterState, NodeState, SinkState};
use crate::model::shard::Shard;
use crate::rollup::rate::NoRate;
use crate::wire::rfc3339;
use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    version: &'static str,
    /// Which part of every cluster is collected here, as `I/N`; sums of namespaces and clusters are of this part.
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<String>,
    clusters: Vec<Cluster>,
    sinks: Vec<Sink>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    name: String,
    /// The cluster that it is under another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    same_as: Option<String>,
    discovered: bool,
    nodes_scraped: usize,
    nodes_unusable: usize,
    /// Nodes that are left to other shards.
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes_of_other_shards: Option<usize>,
    last_window: Option<String>,
    last_window_age_seconds: Option<f64>,
    nodes_in_last_window: usize,
    points: usize,
    nodes: Vec<Node>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    name: String,
    address: Option<String>,
    outcome: &'static str,
    why: Option<String>,
    last_answer_age_seconds: Option<f64>,
    duration_seconds: Option<f64>,
    bytes: Option<usize>,
    clock_skew_seconds: Option<i64>,
    notices: Vec<String>,
    rates_withheld: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sink {
    name: String,
    /// `dropping` while points are lost, `failing` while it is tried again, else `ok`.
    state: &'static str,
    queued_windows: usize,
    queued_points: u64,
    queued_bytes: usize,
    spooled_bytes: usize,
    oldest_window: Option<String>,
    last_error: Option<String>,
    last_error_at: Option<String>,
    points_made: u64,
    points_recovered: u64,
    points_delivered: u64,
    points_dropped: BTreeMap<&'static str, u64>,
}

/// `/api/v1/status`.
pub async fn status(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (mut clusters, nodes) = (api.states().await?, api.nodes().await?);
    if let Some(asked) = cluster(&api, &request)? {
        clusters = clusters.into_iter().skip(usize::from(asked.0)).take(1).collect();
    }
    let text =
        encode(api.settings.shard, &clusters, &nodes, api.sinks.iter().map(|sink| sink.borrow().clone()))
            .map_err(|_| ApiError::Ended)?;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(text))
}

fn encode(
    shard: Option<Shard>,
    clusters: &[ClusterState],
    nodes: &[NodeState],
    sinks: impl Iterator<Item = SinkState>,
) -> serde_json::Result<String> {
    let of =
        |cluster: &ClusterState| nodes.iter().filter(|node| node.cluster == cluster.name).map(node).collect();
    let clusters = clusters.iter().map(|cluster| Cluster {
        name: cluster.name.to_string(),
        same_as: cluster.same_as.as_ref().map(ToString::to_string),
        discovered: cluster.discovered,
        nodes_scraped: cluster.scraped,
        nodes_unusable: cluster.unusable,
        nodes_of_other_shards: shard.map(|_| cluster.of_other_shards),
        last_window: cluster.last_window.map(|window| rfc3339::format(window.end())),
        last_window_age_seconds: cluster.age.map(|age| age.as_secs_f64()),
        nodes_in_last_window: cluster.answered,
        points: cluster.held.points,
        nodes: of(cluster),
    });
    let version = env!("CARGO_PKG_VERSION");
    let (clusters, sinks) = (clusters.collect(), sinks.map(sink).collect());
    let shard = shard.map(|shard| shard.to_string());
    serde_json::to_string_pretty(&Status { version, shard, clusters, sinks })
}

fn sink(state: SinkState) -> Sink {
    Sink {
        name: state.name,
        state: match state.failures {
            _ if state.dropping => "dropping",
            0 => "ok",
            _ => "failing",
        },
        queued_windows: state.windows,
        queued_points: state.ledger.queued,
        queued_bytes: state.memory_bytes,
        spooled_bytes: state.disk_bytes,
        oldest_window: state.oldest.map(rfc3339::format),
        last_error: state.last_error,
        last_error_at: state.last_error_at.map(rfc3339::format),
        points_made: state.ledger.made,
        points_recovered: state.ledger.recovered,
        points_delivered: state.ledger.delivered,
        points_dropped: state.ledger.dropped,
    }
}

fn node(state: &NodeState) -> Node {
    let withheld = NoRate::ALL.iter().zip(state.withheld).filter(|(_, count)| *count > 0);
    Node {
        name: state.node.to_string(),
        address: state.address.map(|address| address.to_string()),
        outcome: state.outcome,
        why: state.why.clone(),
        last_answer_age_seconds: state.age.map(|age| age.as_secs_f64()),
        duration_seconds: state.duration.map(|duration| duration.as_secs_f64()),
        bytes: state.bytes,
        clock_skew_seconds: state.skew,
        notices: state.notices.clone(),
        rates_withheld: withheld.map(|(reason, count)| (reason.as_label(), count)).collect(),
    }
}
