//! The newest points of all at once, for whoever collects from here: `metric-export` and its schema, and the exposition
//! for Prometheus.

use super::Api;
use super::error::ApiError;
use super::reply::{self, Reply, cluster, first, switch};
use crate::model::entity::Name;
use crate::rollup::latest::Scope;
use crate::wire::exposition::{Asked, Format, exposition};
use crate::wire::metric_export;
use crate::wire::prometheus_names::Level;
use actix_web::http::header::{ACCEPT, VARY};
use actix_web::{HttpRequest, HttpResponse, web};

/// The newest points of nodes, pods and containers.
pub async fn metrics(api: web::Data<Api>, request: HttpRequest) -> Reply {
    let cluster = cluster(&api, &request)?;
    if api.settings.disable_export {
        return Ok(reply::json(metric_export::DISABLED.to_owned()));
    }
    let latest = api.latest(cluster, Scope::All).await?;
    // Of several clusters each entity says which it is of; of one alone the form is Heapster's.
    let several = latest.len() > 1;
    let (names, labels) = (api.clusters.clone(), api.settings.labels.clone());
    let pieces = move || {
        let named = latest.into_iter().zip(names.iter()).flat_map(|(latest, name)| {
            let name = several.then(|| name.clone());
            latest.nodes.into_iter().map(move |recent| (name.clone(), recent.newest))
        });
        metric_export::export(named.collect(), labels)
    };
    reply::long_json(pieces).await
}

/// What those points are.
pub async fn schema() -> HttpResponse {
    reply::json(metric_export::schema())
}

/// The newest point of every series, in the format that the client prefers.
pub async fn prometheus(api: web::Data<Api>, request: HttpRequest) -> Reply {
    let query = request.query_string();
    let accepts = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    let format = Format::preferred(&accepts.collect::<Vec<_>>().join(","));
    let asked = Asked {
        format,
        levels: levels(first(query, "level").as_deref())?,
        timestamps: switch(query, "timestamps", true)?,
        created: switch(query, "created", false)?,
        shard: api.settings.shard,
    };
    let cluster = cluster(&api, &request)?;
    let mut clusters = Vec::new();
    if !api.settings.disable_export {
        let latest = api.latest(cluster, Scope::All).await?;
        // They come in the order of the names, unless one alone was asked for.
        let of = |at: usize| api.clusters.get(cluster.map_or(at, |id| usize::from(id.0))).cloned();
        let named = |at: usize| -> Option<Name> { of(at).filter(|_| api.clusters.len() > 1) };
        clusters = latest.into_iter().enumerate().map(|(at, latest)| (named(at), latest)).collect();
    }
    let mut response = reply::long(format.content_type(), move || exposition(clusters, asked)).await?;
    response.headers_mut().insert(VARY, ACCEPT.into());
    Ok(response)
}

/// The levels of these words, parted by commas; all where none is given.
fn levels(words: Option<&str>) -> Result<Vec<Level>, ApiError> {
    let level = |word: &str| {
        Level::ALL.into_iter().find(|level| level.word() == word).ok_or_else(|| ApiError::BadLevel {
            value: word.to_owned(),
            known: Level::ALL.map(Level::word).join(", "),
        })
    };
    words.map_or_else(|| Ok(Level::ALL.to_vec()), |words| words.split(',').map(level).collect())
}
