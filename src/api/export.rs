//! `metric-export` and its schema: the newest points of everything that runs, for whoever collects from here.

use super::Api;
use super::reply::{self, Reply, cluster};
use crate::rollup::latest::Scope;
use crate::wire::metric_export;
use actix_web::{HttpRequest, HttpResponse, web};

/// The newest points of nodes, pods and containers.
pub async fn metrics(api: web::Data<Api>, request: HttpRequest) -> Reply {
    let cluster = cluster(&api, &request)?;
    if api.settings.disable_export {
        return Ok(reply::json(metric_export::DISABLED.to_owned()));
    }
    let latest = api.latest(cluster, Scope::All).await?;
    let nodes = latest.into_iter().flat_map(|latest| latest.nodes);
    Ok(reply::long_json(metric_export::export(
        nodes.map(|recent| recent.newest).collect(),
        api.settings.labels.clone(),
    )))
}

/// What those points are.
pub async fn schema() -> HttpResponse {
    reply::json(metric_export::schema())
}
