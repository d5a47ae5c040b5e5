//! What only Heapster 0.18 and 0.19 answered: what lies below a path, and figures over the last minute, hour and day.

use super::Api;
use super::reply::{self, Reply, cluster};
use crate::model::entity::{Entity, Name};
use crate::model::metric::{Metric, OLD_NAMES, Value};
use crate::model::time::{NANOS_PER_SECOND, Timestamp};
use crate::rollup::history::{SeriesKey, Span};
use crate::wire::{model_api, model_stats};
use actix_web::{HttpRequest, HttpResponse, web};

macro_rules! listings {
    ($($(#[$about:meta])* $name:ident => $($part:literal)*;)*) => {
        $($(#[$about])*
        pub async fn $name() -> HttpResponse {
            reply::json(model_api::names(&[$($part.to_owned(),)*]))
        })*
    };
}

listings! {
    /// Below the model.
    root => "metrics/" "stats/" "namespaces/" "nodes/";
    /// Below a node.
    node => "freecontainers/" "pods/" "metrics/" "stats/";
    /// Below a namespace.
    namespace => "pods/" "metrics/" "stats/";
    /// Below a pod.
    pod => "containers/" "metrics/" "stats/";
    /// Below a container.
    container => "metrics/" "stats/";
}

/// Asks for the old metrics of an entity and for its uptime, and tells the figures.
async fn stats(api: &Api, request: &HttpRequest, entity: Entity) -> Reply {
    let uptime = Metric::Uptime.descriptor().name;
    let names = OLD_NAMES.iter().map(|(_, new)| *new).chain([uptime]);
    let key = |metric: &str| SeriesKey { entity: entity.clone(), metric: metric.to_owned(), labels: None };
    let mut series = api.several(cluster(api, request)?, names.map(key).collect(), Span::ALL).await?;
    let uptime = series.pop().and_then(|points| points.last().copied());
    let uptime = match uptime {
        Some((_, Value::Integer(millis))) => millis / 1_000,
        // What does not run itself has been there for as long as it is known.
        _ => series.iter().map(|points| length(points)).max().unwrap_or(0),
    };
    let named: Vec<_> = OLD_NAMES.iter().map(|(old, _)| *old).zip(series).collect();
    Ok(reply::json(model_stats::stats(uptime, &named)))
}

/// Seconds from the first point to the last.
fn length(points: &[(Timestamp, Value)]) -> u64 {
    let ends = points.first().zip(points.last());
    let nanos = ends.map_or(0, |((first, _), (last, _))| last.since(*first));
    u64::try_from(nanos / NANOS_PER_SECOND).unwrap_or(0)
}

macro_rules! figures {
    ($($(#[$about:meta])* $name:ident($($part:ident),*) => $entity:expr;)*) => {
        $($(#[$about])*
        pub async fn $name(
            api: web::Data<Api>,
            request: HttpRequest,
            path: web::Path<($(figures!(@text $part),)*)>,
        ) -> Reply {
            let ($($part,)*) = path.into_inner();
            $(let $part = Name::from($part);)*
            stats(&api, &request, $entity).await
        })*
    };
    (@text $part:ident) => { String };
}

figures! {
    /// Figures of the cluster.
    cluster_stats() => Entity::Cluster;
    /// Figures of a node.
    node_stats(node) => Entity::Node(node);
    /// Figures of a free container.
    free_container_stats(node, container) => Entity::FreeContainer { node, container };
    /// Figures of a namespace.
    namespace_stats(namespace) => Entity::Namespace(namespace);
    /// Figures of a pod.
    pod_stats(namespace, pod) => Entity::Pod { namespace, pod };
    /// Figures of a container of a pod.
    container_stats(namespace, pod, container) => Entity::PodContainer { namespace, pod, container };
}
