//! The model API: lists of entities, names of metrics, series (Heapster `metrics/api/v1/model_handlers.go`).

use super::Api;
use super::error::ApiError;
use crate::model::entity::{Entity, Labels, Name};
use crate::model::metric::modern_name;
use crate::model::time::Timestamp;
use crate::rollup::history::{SeriesKey, Span};
use crate::rollup::query::{Answer, Query};
use crate::wire::{model_api, rfc3339};
use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};

type Reply = Result<HttpResponse, ApiError>;

/// Answers a question about the cluster that `?cluster=` names, or about all.
async fn reply(api: &Api, request: &HttpRequest, query: Query) -> Reply {
    let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
    let named = pairs.into_iter().find(|(key, value)| key == "cluster" && !value.is_empty());
    let cluster = named.map(|(_, name)| api.cluster(&name)).transpose()?;
    let body = match api.ask(cluster, query).await? {
        Answer::Names(names) => model_api::names(&names),
        Answer::Series(points) => model_api::series(&points),
    };
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(body))
}

async fn series(api: &Api, request: &HttpRequest, entity: Entity, metric: &str) -> Reply {
    let (span, labels) = parameters(request.query_string())?;
    let key = SeriesKey { entity, metric: modern_name(metric).to_owned(), labels };
    reply(api, request, Query::Series(key, span)).await
}

/// `start`, `end` and `labels`: of one given twice the first counts, an empty one is not given.
fn parameters(query: &str) -> Result<(Span, Option<Labels>), ApiError> {
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let first = |name: &str| {
        let value = pairs.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
        value.filter(|value| !value.is_empty())
    };
    let time = |parameter: &'static str, default: Timestamp| match first(parameter) {
        None => Ok(default),
        // A plus sign that was not encoded has become a blank.
        Some(value) => rfc3339::parse_nearest(value)
            .or_else(|| rfc3339::parse_nearest(&value.replace(' ', "+")))
            .ok_or_else(|| ApiError::BadTime { parameter, value: value.to_owned() }),
    };
    let span = Span { start: time("start", Span::ALL.start)?, end: time("end", Span::ALL.end)? };
    let pair = |text: &str| match text.split_once(':') {
        Some((label, value)) if !label.is_empty() && !value.is_empty() => {
            Ok((label.to_owned(), value.to_owned()))
        }
        _ => Err(ApiError::BadLabels(text.to_owned())),
    };
    let labels =
        first("labels").map(|text| text.split(',').map(pair).collect::<Result<Vec<_>, _>>()).transpose()?;
    Ok((span, labels.map(Labels::new)))
}

macro_rules! handlers {
    ($($(#[$about:meta])* $name:ident($($part:ident),*) => $query:expr;)*) => {
        $($(#[$about])*
        pub async fn $name(
            api: web::Data<Api>,
            request: HttpRequest,
            path: web::Path<handlers!(@tuple $($part)*)>,
        ) -> Reply {
            let ($($part,)*) = path.into_inner();
            $(let $part = Name::from($part);)*
            reply(&api, &request, $query).await
        })*
    };
    (@tuple $($part:ident)*) => { ($(handlers!(@text $part),)*) };
    (@text $part:ident) => { String };
}

handlers! {
    /// The nodes.
    nodes() => Query::Nodes;
    /// The free containers of a node.
    free_containers(node) => Query::FreeContainers(node);
    /// The namespaces.
    namespaces() => Query::Namespaces;
    /// The pods of a namespace.
    pods(namespace) => Query::Pods(namespace);
    /// The containers of a pod.
    containers(namespace, pod) => Query::Containers(namespace, pod);
    /// The metrics of the cluster.
    cluster_metrics() => Query::Metrics(Entity::Cluster);
    /// The metrics of a node.
    node_metrics(node) => Query::Metrics(Entity::Node(node));
    /// The metrics of a free container.
    free_container_metrics(node, container) => Query::Metrics(Entity::FreeContainer { node, container });
    /// The metrics of a namespace.
    namespace_metrics(namespace) => Query::Metrics(Entity::Namespace(namespace));
    /// The metrics of a pod.
    pod_metrics(namespace, pod) => Query::Metrics(Entity::Pod { namespace, pod });
    /// The metrics of a container of a pod.
    container_metrics(namespace, pod, container) => Query::Metrics(Entity::PodContainer { namespace, pod, container });
}

macro_rules! series_handlers {
    ($($(#[$about:meta])* $name:ident($($part:ident),*) => $entity:expr;)*) => {
        $($(#[$about])*
        pub async fn $name(
            api: web::Data<Api>,
            request: HttpRequest,
            path: web::Path<($(handlers!(@text $part),)* String,)>,
        ) -> Reply {
            let ($($part,)* metric,) = path.into_inner();
            $(let $part = Name::from($part);)*
            series(&api, &request, $entity, &metric).await
        })*
    };
}

series_handlers! {
    /// One metric of the cluster.
    cluster_series() => Entity::Cluster;
    /// One metric of a node.
    node_series(node) => Entity::Node(node);
    /// One metric of a free container.
    free_container_series(node, container) => Entity::FreeContainer { node, container };
    /// One metric of a namespace.
    namespace_series(namespace) => Entity::Namespace(namespace);
    /// One metric of a pod.
    pod_series(namespace, pod) => Entity::Pod { namespace, pod };
    /// One metric of a container of a pod.
    container_series(namespace, pod, container) => Entity::PodContainer { namespace, pod, container };
}
