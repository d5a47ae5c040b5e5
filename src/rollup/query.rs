//! Questions about the history and their answers, as values. How they are asked over HTTP is left to `api`.

use super::block::Rows;
use super::cluster::Cluster;
use super::history::{Points, Ring, SeriesKey, Span};
use super::latest::{Latest, Scope};
use crate::model::entity::{Entity, Labels, Name};
use crate::model::metric::Value;
use crate::model::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The nodes.
    Nodes,
    /// The free containers of a node, given by name or hostname.
    FreeContainers(Name),
    /// The namespaces.
    Namespaces,
    /// The pods of a namespace.
    Pods(Name),
    /// The containers of a pod: namespace and pod.
    Containers(Name, Name),
    /// The metrics of an entity.
    Metrics(Entity),
    /// The points of one series.
    Series(SeriesKey, Span),
    /// The points of several series.
    Several(Vec<SeriesKey>, Span),
    /// The pods that a node, given by name or hostname, ran lately: `namespace/pod`.
    NodePods(Name),
    /// The newest points of many entities at once.
    Latest(Scope),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Names, sorted.
    Names(Vec<String>),
    /// Points, oldest first.
    Series(Vec<(Timestamp, Value)>),
    /// The points of each series, in the order in which they were asked for.
    Several(Vec<Vec<(Timestamp, Value)>>),
    /// The newest blocks of each cluster, to be read by whoever asked.
    Latest(Vec<Latest>),
    /// The pods of a namespace, to be listed by whoever asked: [`Answer::settled`].
    Pods(Name, Vec<Arc<Rows>>),
}

impl Answer {
    /// Does what is left to whoever asked: a long list becomes names.
    pub fn settled(self) -> Self {
        let Self::Pods(namespace, rows) = self else { return self };
        let mut pods: Vec<&str> = rows.iter().flat_map(|rows| rows.pods_of(&namespace)).collect();
        pods.sort_unstable();
        pods.dedup();
        Self::Names(pods.into_iter().map(str::to_owned).collect())
    }
}

/// Answers a question from these clusters. What several of them hold under one key is told of the first that has it,
/// but for the cluster itself: that is the sum.
pub fn answer(clusters: &[&Cluster], query: &Query) -> Answer {
    match query {
        Query::Series(key, span) => Answer::Series(series(clusters, key, *span)),
        Query::Several(keys, span) => {
            Answer::Several(keys.iter().map(|key| series(clusters, key, *span)).collect())
        }
        Query::Latest(scope) => {
            Answer::Latest(clusters.iter().map(|cluster| Latest::of(cluster, scope)).collect())
        }
        Query::Metrics(entity) => {
            let mut names = BTreeSet::new();
            for cluster in clusters {
                let entity = own_name(cluster, entity);
                rings_of(cluster, &entity).for_each(|ring| ring.names(&entity, None, &mut names));
            }
            Answer::Names(names.into_iter().collect())
        }
        Query::Pods(namespace) => {
            let rings = clusters.iter().flat_map(|cluster| {
                cluster.rings_of(namespace).into_iter().flat_map(|ring| cluster.recent(ring))
            });
            let mut rows: Vec<Arc<Rows>> = Vec::new();
            for form in rings {
                if !rows.last().is_some_and(|last| Arc::ptr_eq(last, &form.layout().rows)) {
                    rows.push(form.layout().rows.clone());
                }
            }
            Answer::Pods(namespace.clone(), rows)
        }
        list => {
            let names: BTreeSet<String> = clusters.iter().flat_map(|cluster| listed(cluster, list)).collect();
            Answer::Names(names.into_iter().collect())
        }
    }
}

fn series(clusters: &[&Cluster], key: &SeriesKey, span: Span) -> Vec<(Timestamp, Value)> {
    let mut all = clusters.iter().map(|cluster| {
        let mut points = Points::new();
        let key = SeriesKey { entity: own_name(cluster, &key.entity), ..key.clone() };
        rings_of(cluster, &key.entity).for_each(|ring| ring.read(&key, span, &mut points));
        points
    });
    let points = match key.entity {
        Entity::Cluster => all.fold(Points::new(), add),
        _ => all.find(|points| !points.is_empty()).unwrap_or_default(),
    };
    points.into_iter().collect()
}

fn add(mut sums: Points, points: Points) -> Points {
    for (at, value) in points {
        let sum = sums.entry(at).or_insert(Value::Integer(0));
        *sum = match (*sum, value) {
            (Value::Integer(a), Value::Integer(b)) => Value::Integer(a.saturating_add(b)),
            (Value::Integer(0), Value::Float(b)) => Value::Float(b),
            (Value::Float(a), Value::Float(b)) => Value::Float(a + b),
            (sum, _) => sum,
        };
    }
    sums
}

/// The entity under the node's own name where it was asked for by hostname.
fn own_name(cluster: &Cluster, entity: &Entity) -> Entity {
    let name = |asked: &Name| cluster.node(asked).map_or_else(|| asked.clone(), |(name, _)| name.clone());
    match entity {
        Entity::Node(node) => Entity::Node(name(node)),
        Entity::FreeContainer { node, container } => {
            Entity::FreeContainer { node: name(node), container: container.clone() }
        }
        other => other.clone(),
    }
}

fn rings_of<'c>(cluster: &'c Cluster, entity: &Entity) -> Box<dyn Iterator<Item = &'c Ring> + 'c> {
    match entity {
        Entity::Cluster | Entity::Namespace(_) => Box::new(std::iter::once(cluster.sums())),
        Entity::Node(node) | Entity::FreeContainer { node, .. } => {
            Box::new(cluster.node(node).into_iter().map(|(_, ring)| ring))
        }
        Entity::Pod { namespace, pod } | Entity::PodContainer { namespace, pod, .. } => {
            Box::new(cluster.homes(namespace, pod))
        }
    }
}

fn listed(cluster: &Cluster, list: &Query) -> Vec<String> {
    match list {
        Query::Nodes => {
            let nodes = cluster
                .nodes()
                .filter(|(_, ring)| ring.latest().is_some_and(|b| cluster.is_listed(b.window)));
            nodes.map(|(name, _)| name.to_string()).collect()
        }
        Query::Namespaces => {
            let has_pod =
                |namespace: &&Name| cluster.pods(namespace).any(|pod| is_pod_listed(cluster, namespace, pod));
            cluster.namespaces().filter(has_pod).map(Name::to_string).collect()
        }
        Query::Containers(namespace, pod) => {
            let of_pod = |entity: &Entity| match entity {
                Entity::PodContainer { namespace: n, pod: p, container } if n == namespace && p == pod => {
                    Some(container.to_string())
                }
                _ => None,
            };
            names(cluster, cluster.homes(namespace, pod), of_pod)
        }
        Query::FreeContainers(node) => {
            let free = |entity: &Entity| match entity {
                Entity::FreeContainer { container, .. } => Some(container.to_string()),
                _ => None,
            };
            names(cluster, cluster.node(node).into_iter().map(|(_, ring)| ring), free)
        }
        Query::NodePods(node) => {
            let pod = |entity: &Entity| match entity {
                Entity::Pod { namespace, pod } => Some(format!("{namespace}/{pod}")),
                _ => None,
            };
            names(cluster, cluster.node(node).into_iter().map(|(_, ring)| ring), pod)
        }
        Query::Pods(_) | Query::Metrics(_) | Query::Series(..) | Query::Several(..) | Query::Latest(_) => {
            Vec::new()
        }
    }
}

fn is_pod_listed(cluster: &Cluster, namespace: &Name, pod: &Name) -> bool {
    let entity = Entity::Pod { namespace: namespace.clone(), pod: pod.clone() };
    let mut recent = cluster.homes(namespace, pod).flat_map(|ring| cluster.recent(ring));
    recent.any(|form| form.layout().rows.find(&entity, None).is_some())
}

fn names<'c>(
    cluster: &'c Cluster,
    rings: impl Iterator<Item = &'c Ring>,
    name: impl Fn(&Entity) -> Option<String>,
) -> Vec<String> {
    let recent = rings.flat_map(|ring| cluster.recent(ring));
    recent.flat_map(|form| form.layout().rows.entities()).filter_map(name).collect()
}

/// The label sets under which an entity has parts, over the whole history.
pub fn parts(cluster: &Cluster, entity: &Entity) -> BTreeSet<Labels> {
    let entity = own_name(cluster, entity);
    let layouts = rings_of(cluster, &entity).flat_map(|ring| ring.layouts());
    let keys = layouts.flat_map(|layout| layout.rows.iter());
    keys.filter(|(of, _)| **of == entity).filter_map(|(_, labels)| labels.cloned()).collect()
}
