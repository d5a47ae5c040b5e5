//! The resource metrics API that Heapster had before there was a metrics server (`metrics/apis/metrics/handlers.go`), for
//! `kubectl top` and autoscalers of Kubernetes up to 1.10, under both of its paths.

use super::Api;
use super::error::ApiError;
use super::reply::{self, Reply, cluster, first};
use crate::model::entity::Name;
use crate::model::selector::Selector;
use crate::rollup::latest::Scope;
use crate::rollup::usage;
use crate::wire::metrics_api;
use actix_web::{HttpRequest, web};

fn selector(request: &HttpRequest) -> Result<Selector, ApiError> {
    let text = first(request.query_string(), "labelSelector").unwrap_or_default();
    text.parse().map_err(|why| ApiError::BadSelector { value: text, why })
}

/// The nodes that `labelSelector` takes.
pub async fn nodes(api: web::Data<Api>, request: HttpRequest) -> Reply {
    let selector = selector(&request)?;
    let latest = api.latest(cluster(&api, &request)?, Scope::All).await?;
    let now = api.now();
    reply::long_json(move || metrics_api::nodes(usage::nodes(&latest, &selector), now)).await
}

/// One node, by name or hostname.
pub async fn node(api: web::Data<Api>, request: HttpRequest, path: web::Path<String>) -> Reply {
    let name = path.into_inner();
    let scope = Scope::Node(name.as_str().into());
    let latest = api.latest(cluster(&api, &request)?, scope).await?;
    let nodes = usage::nodes(&latest, &Selector::default());
    let node = nodes.first().ok_or(ApiError::NoNodeMetrics(name))?;
    Ok(reply::json(metrics_api::node(node, api.now())))
}

/// The pods that `labelSelector` takes.
pub async fn pods(api: web::Data<Api>, request: HttpRequest) -> Reply {
    listed(&api, &request, None).await
}

/// The pods of a namespace that `labelSelector` takes.
pub async fn pods_of(api: web::Data<Api>, request: HttpRequest, namespace: web::Path<String>) -> Reply {
    listed(&api, &request, Some(&namespace)).await
}

async fn listed(api: &Api, request: &HttpRequest, namespace: Option<&str>) -> Reply {
    let selector = selector(request)?;
    let scope = namespace.map_or(Scope::All, |namespace| Scope::Namespace(namespace.into()));
    let latest = api.latest(cluster(api, request)?, scope).await?;
    let (namespace, now) = (namespace.map(str::to_owned), api.now());
    reply::long_json(move || metrics_api::pods(usage::pods(&latest, namespace.as_deref(), &selector), now))
        .await
}

/// One pod.
pub async fn pod(api: web::Data<Api>, request: HttpRequest, path: web::Path<(String, String)>) -> Reply {
    let (namespace, pod) = path.into_inner();
    let (namespace, pod) = (Name::from(namespace), Name::from(pod));
    let scope = Scope::Pod(namespace.clone(), pod.clone());
    let latest = api.latest(cluster(&api, &request)?, scope).await?;
    match usage::pod(&latest, &namespace, &pod) {
        Some(Some(usage)) => Ok(reply::json(metrics_api::pod(&usage, api.now()))),
        Some(None) => Err(ApiError::NoPodMetrics(namespace, pod)),
        None => Err(ApiError::NoPod(pod)),
    }
}
