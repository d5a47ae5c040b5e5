//! The historical API: the model's questions, asked of the database behind a sink (Heapster
//! `metrics/api/v1/historical_handlers.go`). How that is asked is left to `sinks`, how answers look to `wire`.

use super::Api;
use super::archive::{Archive, Asked};
use super::error::ApiError;
use super::model::{labels, span};
use super::reply::{self, Reply, cluster, first};
use crate::model::Map;
use crate::model::entity::{Entity, Labels, Name};
use crate::model::metric::modern_name;
use crate::model::past::{Aggregation, Sought, Subject, Wanted, What};
use crate::model::time::{NANOS_PER_SECOND, Timestamp};
use crate::model::uid::Uid;
use crate::rollup::latest::Scope;
use crate::sinks::asked::Failed;
use crate::wire::{model_api, past_api};
use actix_web::{HttpRequest, web};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The most pods of one list.
pub const PODS: usize = 100;
/// The most buckets of one series: Prometheus tells no more than 11,000.
pub const BUCKETS: i64 = 10_000;
/// From so many points on an answer is written on a thread of its own.
const MANY: usize = 5_000;
/// How far ahead of this clock points may be.
const AHEAD: Duration = Duration::from_secs(86_400);

/// What stands in a path between the slashes.
#[derive(Deserialize)]
pub struct Named {
    node: Option<String>,
    namespace: Option<String>,
    pod: Option<String>,
    pods: Option<String>,
    pod_id: Option<String>,
    pod_ids: Option<String>,
    container: Option<String>,
    aggregations: Option<String>,
    metric: Option<String>,
}

type Parts = web::Path<Named>;

/// A question about series, checked.
struct Series {
    /// Each once.
    of: Vec<Subject>,
    /// Which of them are told, in the order in which they were asked for.
    order: Vec<usize>,
    metric: String,
    labels: Option<Labels>,
    start: Timestamp,
    end: Timestamp,
    clusters: Vec<Asked>,
    /// Where pods are whose uids are known: cluster, names, and since when.
    known: BTreeMap<Name, (usize, Entity, Timestamp)>,
}

/// How points are put together.
struct Grouped {
    how: Vec<Aggregation>,
    every: Option<i64>,
}

impl Series {
    /// Times first, then buckets and aggregations, then labels, then names, as Heapster had it.
    async fn of(api: &Api, request: &HttpRequest, parts: &Named) -> Result<(Self, Grouped), ApiError> {
        let query = request.query_string();
        let (start, end) = times(api, query)?;
        let grouped = match &parts.aggregations {
            None => Grouped { how: Vec::new(), every: None },
            Some(names) => {
                let every = first(query, "bucket").map(|text| past_api::bucket(&text)).transpose()?;
                let how = past_api::aggregations(names).map_err(ApiError::UnknownAggregation)?;
                let count = every.map_or(0, |every| end.since(start).max(0) / 1_000_000 / every);
                if count > BUCKETS {
                    return Err(ApiError::TooManyBuckets(BUCKETS));
                }
                Grouped { how, every }
            }
        };
        let labels = labels(query)?;
        let clusters = clusters(api, request)?;
        let (mut of, mut order): (Vec<Subject>, Vec<usize>) = Default::default();
        for subject in subjects(parts)? {
            let place = of.iter().position(|known| *known == subject).unwrap_or(of.len());
            order.push(place);
            if place == of.len() {
                of.push(subject);
            }
        }
        let metric = modern_name(parts.metric.as_deref().unwrap_or_default()).to_owned();
        named("metric name", &metric, is_long_name)?;
        for (label, value) in labels.iter().flat_map(Labels::iter) {
            named("label name", label, is_long_name)?;
            named("label value", value, is_label_value)?;
        }
        let known = known(api, &of).await?;
        Ok((Self { of, order, metric, labels, start, end, clusters, known }, grouped))
    }

    /// What is asked of one cluster. A pod whose uid is known is asked for by name since it started: no other had its name
    /// meanwhile.
    fn wanted(&self, (place, _): &Asked) -> Wanted {
        let sought = |subject: &Subject| {
            let (uid, container) = match subject {
                Subject::Entity(_) => return Sought { subject: subject.clone(), start: self.start },
                Subject::PodId(uid) => (uid, None),
                Subject::ContainerOf { uid, container } => (uid, Some(container)),
            };
            let found = self.known.get(uid).filter(|(cluster, ..)| cluster == place);
            match (found, container) {
                (Some((_, Entity::Pod { namespace, pod }, since)), Some(container)) => {
                    let (namespace, pod, container) = (namespace.clone(), pod.clone(), container.clone());
                    let entity = Entity::PodContainer { namespace, pod, container };
                    Sought { subject: Subject::Entity(entity), start: self.start.max(*since) }
                }
                (Some((_, pod, since)), None) => {
                    Sought { subject: Subject::Entity(pod.clone()), start: self.start.max(*since) }
                }
                _ => Sought { subject: subject.clone(), start: self.start },
            }
        };
        Wanted {
            of: self.of.iter().map(sought).collect(),
            metric: self.metric.clone(),
            labels: self.labels.clone(),
            end: self.end,
        }
    }

    /// What was told of each in the order in which they were asked for, if there is something of each.
    fn all<T: Clone>(&self, told: Vec<Vec<T>>) -> Result<Vec<Vec<T>>, ApiError> {
        let missing = self.of.iter().enumerate().find(|(at, _)| told.get(*at).is_none_or(Vec::is_empty));
        match missing {
            None => Ok(self.order.iter().filter_map(|place| told.get(*place).cloned()).collect()),
            Some((_, subject)) => {
                let (metric, subject) = (self.metric.clone(), subject.to_string());
                Err(ApiError::Past(Failed::Nothing { metric, subject }))
            }
        }
    }
}

/// One metric of one, or of several pods.
pub async fn series(
    api: web::Data<Api>,
    archive: web::Data<Archive>,
    request: HttpRequest,
    parts: Parts,
) -> Reply {
    let (series, _) = Series::of(&api, &request, &parts).await?;
    let points = archive.points(&api, &series.clusters, |cluster| series.wanted(cluster)).await?;
    let points = series.all(points)?;
    let (count, list) = (points.iter().map(Vec::len).sum(), is_list(&parts));
    let (opens, closes) = model_api::SEVERAL;
    written(count, move || match points.as_slice() {
        [points] if !list => model_api::series(points),
        several => format!("{opens}{}{closes}", model_api::several(several)),
    })
    .await
}

/// An answer of so many points. To write many would hold up whoever else is answered on this thread.
async fn written(points: usize, write: impl FnOnce() -> String + Send + 'static) -> Reply {
    Ok(reply::json(match points {
        ..MANY => write(),
        _ => web::block(write).await.map_err(|_| ApiError::Ended)?,
    }))
}

/// One metric of one, or of several pods, its points put together.
pub async fn aggregated(
    api: web::Data<Api>,
    archive: web::Data<Archive>,
    request: HttpRequest,
    parts: Parts,
) -> Reply {
    let (series, Grouped { how, every }) = Series::of(&api, &request, &parts).await?;
    let wanted = |cluster: &Asked| series.wanted(cluster);
    let buckets = archive.buckets(&api, &series.clusters, wanted, &how, every).await?;
    let buckets = series.all(buckets)?;
    let nanos = every.map_or(series.end.since(series.start), |millis| millis.saturating_mul(1_000_000));
    let (count, list) = (buckets.iter().map(Vec::len).sum(), is_list(&parts));
    let (opens, closes) = model_api::SEVERAL;
    written(count, move || match buckets.as_slice() {
        [buckets] if !list => past_api::buckets(buckets, nanos),
        several => format!("{opens}{}{closes}", past_api::several(several, nanos)),
    })
    .await
}

/// Names of whatever the path ends with.
async fn listed(api: &Api, archive: &Archive, request: &HttpRequest, what: What, unlisted: String) -> Reply {
    let clusters = clusters(api, request)?;
    match archive.names(api, &clusters, &what).await {
        Ok(names) if !names.is_empty() => Ok(reply::json(model_api::names(&names))),
        Ok(_) => Err(ApiError::Unlisted { what: unlisted, why: None }),
        Err(ApiError::Past(why)) => Err(ApiError::Unlisted { what: unlisted, why: Some(why) }),
        Err(other) => Err(other),
    }
}

macro_rules! lists {
    ($($(#[$about:meta])* $name:ident($parts:ident: $($part:ident $what:literal),*) => $asked:expr, $unlisted:expr;)*) => {
        $($(#[$about])*
        pub async fn $name(
            api: web::Data<Api>,
            archive: web::Data<Archive>,
            request: HttpRequest,
            $parts: Parts,
        ) -> Reply {
            $(let $part = name(&$parts.$part, $what)?.unwrap_or_default();)*
            let unlisted = $unlisted;
            listed(&api, &archive, &request, $asked, unlisted).await
        })*
    };
}

lists! {
    /// The nodes.
    nodes(_parts:) => What::Nodes, "Unable to list all nodes".to_owned();
    /// The namespaces.
    namespaces(_parts:) => What::Namespaces, "Unable to list all namespaces".to_owned();
    /// The pods of a namespace.
    pods(parts: namespace "namespace name") =>
        What::Pods(namespace), format!("Unable to list pods in namespace {namespace:?}");
    /// The containers of a pod.
    containers(parts: namespace "namespace name", pod "pod name") =>
        What::Containers(namespace, pod), format!("Unable to list containers of pod {pod:?}");
    /// The free containers of a node.
    free_containers(parts: node "node name") =>
        What::FreeContainers(node), format!("Unable to list system containers on node {node:?}");
}

/// The metrics of one.
pub async fn metrics(
    api: web::Data<Api>,
    archive: web::Data<Archive>,
    request: HttpRequest,
    parts: Parts,
) -> Reply {
    let what = What::Metrics(entity(&parts)?);
    listed(&api, &archive, &request, what, "Unable to list available metrics".to_owned()).await
}

/// The first instant and the last. `start` must be given; without `end` it is now.
fn times(api: &Api, query: &str) -> Result<(Timestamp, Timestamp), ApiError> {
    let asked = span(query)?;
    // What lies before the type's range is zero as much as Go's own zero, the year 1.
    if asked.start == Timestamp::from_nanos(i64::MIN) {
        return Err(ApiError::NoStart);
    }
    let now = api.now();
    let end = if first(query, "end").is_some() { asked.end.min(now.after(AHEAD)) } else { now };
    Ok((asked.start.max(Timestamp::from_seconds(0)), end))
}

/// The clusters that are meant, in the order of the sources.
fn clusters(api: &Api, request: &HttpRequest) -> Result<Vec<Asked>, ApiError> {
    let given = cluster(api, request)?.map(|id| usize::from(id.0));
    let several = api.clusters.len() > 1;
    let all = api.clusters.iter().enumerate();
    let meant = all.filter(|(at, _)| given.is_none_or(|given| given == *at));
    Ok(meant.map(|(at, name)| (at, several.then(|| name.clone()))).collect())
}

/// Whether a path names a list, whose answer is one however short it is.
fn is_list(parts: &Named) -> bool {
    parts.pods.is_some() || parts.pod_ids.is_some()
}

/// Everybody that a path names.
fn subjects(parts: &Named) -> Result<Vec<Subject>, ApiError> {
    let list = |names: &Option<String>| {
        names.as_ref().map(|names| names.split(',').map(str::to_owned).collect::<Vec<_>>())
    };
    let (pods, uids) = (list(&parts.pods), list(&parts.pod_ids));
    if pods.iter().chain(&uids).any(|list| list.len() > PODS) {
        return Err(ApiError::TooManyPods(PODS));
    }
    if let Some(pods) = pods {
        let namespace = name(&parts.namespace, "namespace name")?.unwrap_or_default();
        let pod = |pod: String| {
            named("pod name", &pod, is_name)?;
            Ok(Subject::Entity(Entity::Pod { namespace: namespace.clone(), pod: pod.into() }))
        };
        return pods.into_iter().map(pod).collect();
    }
    if let Some(uids) = uids {
        let uid = |uid: String| named("pod id", &uid, is_name).map(|()| Subject::PodId(uid.into()));
        return uids.into_iter().map(uid).collect();
    }
    let container = name(&parts.container, "container name")?;
    Ok(vec![match (name(&parts.pod_id, "pod id")?, container) {
        (Some(uid), None) => Subject::PodId(uid),
        (Some(uid), Some(container)) => Subject::ContainerOf { uid, container },
        (None, _) => Subject::Entity(entity(parts)?),
    }])
}

/// The entity that a path names.
fn entity(parts: &Named) -> Result<Entity, ApiError> {
    let (node, namespace) = (name(&parts.node, "node name")?, name(&parts.namespace, "namespace name")?);
    let (pod, container) = (name(&parts.pod, "pod name")?, name(&parts.container, "container name")?);
    Ok(match (node, namespace, pod, container) {
        (Some(node), _, _, Some(container)) => Entity::FreeContainer { node, container },
        (Some(node), ..) => Entity::Node(node),
        (_, Some(namespace), Some(pod), Some(container)) => {
            Entity::PodContainer { namespace, pod, container }
        }
        (_, Some(namespace), Some(pod), _) => Entity::Pod { namespace, pod },
        (_, Some(namespace), ..) => Entity::Namespace(namespace),
        _ => Entity::Cluster,
    })
}

/// A part of the path, checked.
fn name(part: &Option<String>, what: &'static str) -> Result<Option<Name>, ApiError> {
    let Some(value) = part else { return Ok(None) };
    named(what, value, is_name)?;
    Ok(Some(value.as_str().into()))
}

fn named(what: &'static str, value: &str, is: fn(char) -> bool) -> Result<(), ApiError> {
    match !value.is_empty() && value.chars().all(is) {
        true => Ok(()),
        false => Err(ApiError::BadName { what, value: value.to_owned() }),
    }
}

fn is_name(each: char) -> bool {
    each.is_ascii_alphanumeric() || matches!(each, '_' | '.' | '-')
}

fn is_long_name(each: char) -> bool {
    is_name(each) || matches!(each, '/' | ':')
}

fn is_label_value(each: char) -> bool {
    !each.is_control() && !matches!(each, '\'' | '"' | '`' | ';')
}

/// Which of the uids that are asked for are of pods that run.
async fn known(api: &Api, of: &[Subject]) -> Result<BTreeMap<Name, (usize, Entity, Timestamp)>, ApiError> {
    let uid = |subject: &Subject| match subject {
        Subject::Entity(_) => None,
        Subject::PodId(uid) | Subject::ContainerOf { uid, .. } => Some(uid.clone()),
    };
    let asked: Map<Uid, Name> = of.iter().filter_map(uid).map(|uid| (uid.clone().into(), uid)).collect();
    let mut known = BTreeMap::new();
    if asked.is_empty() {
        return Ok(known);
    }
    for (place, latest) in api.latest(None, Scope::All).await?.iter().enumerate() {
        let facts = latest.nodes.iter().filter_map(|recent| recent.newest.facts.as_ref());
        for pod in facts.flat_map(|facts| facts.pods.iter()) {
            let Some(uid) = asked.get(&pod.uid) else { continue };
            let entity = Entity::Pod { namespace: pod.namespace.clone(), pod: pod.name.clone() };
            let since = pod.started.unwrap_or(Timestamp::from_nanos(i64::MIN));
            // Clocks differ: a point may be stamped a moment before.
            let since = Timestamp::from_nanos(since.nanos().saturating_sub(NANOS_PER_SECOND));
            known.insert(uid.clone(), (place, entity, since));
        }
    }
    Ok(known)
}
