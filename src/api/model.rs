//! The model API: lists of entities, names of metrics, series (Heapster `metrics/api/v1/model_handlers.go`).

use super::Api;
use super::error::ApiError;
use super::reply::{self, Reply, cluster, first};
use crate::model::entity::{ClusterId, Entity, Labels, Name};
use crate::model::metric::modern_name;
use crate::model::time::Timestamp;
use crate::rollup::history::{SeriesKey, Span};
use crate::rollup::latest::{Keys, Scope};
use crate::rollup::query::{Answer, Query};
use crate::wire::{model_api, rfc3339};
use actix_web::{HttpRequest, web};
use futures_util::{StreamExt, stream};

/// Pods of a list that are asked for with one message, so that a long list holds nobody up.
const AT_ONCE: usize = 64;

/// Answers a question about the cluster that `?cluster=` names, or about all.
async fn reply(api: &Api, request: &HttpRequest, query: Query) -> Reply {
    Ok(reply::json(match api.ask(cluster(api, request)?, query).await? {
        Answer::Names(names) => model_api::names(&names),
        Answer::Series(points) => model_api::series(&points),
        Answer::Several(_) | Answer::Latest(_) | Answer::Listed(_) | Answer::Rows(..) => {
            return Err(ApiError::Ended);
        }
    }))
}

async fn series(api: &Api, request: &HttpRequest, entity: Entity, metric: &str) -> Reply {
    let (span, labels) = parameters(request.query_string())?;
    let key = SeriesKey { entity, metric: modern_name(metric).to_owned(), labels };
    reply(api, request, Query::Series(key, span)).await
}

/// One metric of several pods: a series for each name, in the order of the names.
pub async fn pod_list(
    api: web::Data<Api>,
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
) -> Reply {
    let (namespace, pods, metric) = path.into_inner();
    let (span, labels) = parameters(request.query_string())?;
    let cluster = cluster(&api, &request)?;
    let key = |pod: &str| SeriesKey {
        entity: Entity::Pod { namespace: namespace.as_str().into(), pod: pod.into() },
        metric: modern_name(&metric).to_owned(),
        labels: labels.clone(),
    };
    let keys: Vec<SeriesKey> = pods.split(',').map(key).collect();
    let mut batches: Vec<Vec<SeriesKey>> = keys.chunks(AT_ONCE).map(<[_]>::to_vec).collect();
    let rest = batches.split_off(batches.len().min(1));
    let (opens, closes) = model_api::SEVERAL;
    let begins =
        format!("{opens}{}", several(api.clone(), cluster, batches.pop().unwrap_or_default(), span).await?);
    if rest.is_empty() {
        return Ok(reply::json(begins + closes));
    }
    let rest = stream::iter(rest).then(move |keys| {
        let asked = several(api.clone(), cluster, keys, span);
        async move { Ok::<_, ApiError>(format!(",{}", asked.await?)) }
    });
    let whole = stream::iter([Ok(begins)]).chain(rest).chain(stream::iter([Ok(closes.to_owned())]));
    Ok(reply::by_and_by(whole))
}

async fn several(
    api: web::Data<Api>,
    cluster: Option<ClusterId>,
    keys: Vec<SeriesKey>,
    span: Span,
) -> Result<String, ApiError> {
    // A name given again costs the aggregator nothing.
    let mut asked: Vec<SeriesKey> = Vec::new();
    let mut places = Vec::with_capacity(keys.len());
    for key in keys {
        let known = asked.iter().position(|other| *other == key);
        places.push(known.unwrap_or(asked.len()));
        if known.is_none() {
            asked.push(key);
        }
    }
    let series = api.several(cluster, asked, span).await?;
    let in_order: Vec<_> = places.iter().filter_map(|at| series.get(*at).cloned()).collect();
    Ok(model_api::several(&in_order))
}

/// The keys of all entities, as Heapster wrote them.
pub async fn all_keys(api: web::Data<Api>, request: HttpRequest) -> Reply {
    let latest = api.latest(cluster(&api, &request)?, Scope::All).await?;
    reply::long_json(move || model_api::long_names(Keys::new(&latest).map(|key| key.to_string()))).await
}

/// `start`, `end` and `labels`: of one given twice the first counts, an empty one is not given.
fn parameters(query: &str) -> Result<(Span, Option<Labels>), ApiError> {
    Ok((span(query)?, labels(query)?))
}

/// `start` and `end`; without them, all there is.
pub(super) fn span(query: &str) -> Result<Span, ApiError> {
    let time = |parameter: &'static str, default: Timestamp| match first(query, parameter) {
        None => Ok(default),
        // A plus sign that was not encoded has become a blank.
        Some(value) => rfc3339::parse_nearest(&value)
            .or_else(|| rfc3339::parse_nearest(&value.replace(' ', "+")))
            .ok_or(ApiError::BadTime { parameter, value }),
    };
    Ok(Span { start: time("start", Span::ALL.start)?, end: time("end", Span::ALL.end)? })
}

/// `labels`.
pub(super) fn labels(query: &str) -> Result<Option<Labels>, ApiError> {
    let pair = |text: &str| match text.split_once(':') {
        Some((label, value)) if !label.is_empty() && !value.is_empty() => {
            Ok((label.to_owned(), value.to_owned()))
        }
        _ => Err(ApiError::BadLabels(text.to_owned())),
    };
    let labels = first(query, "labels")
        .map(|text| text.split(',').map(pair).collect::<Result<Vec<_>, _>>())
        .transpose()?;
    Ok(labels.map(Labels::new))
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
    /// The pods of a node.
    node_pods(node) => Query::NodePods(node);
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
