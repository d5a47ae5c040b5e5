//! Questions about the history and their answers, as values. How they are asked over HTTP is left to `api`.

use super::block::Rows;
use super::cluster::Cluster;
use super::history::{Points, Ring, SeriesKey, Span};
use super::latest::{Latest, Scope};
use crate::model::entity::{Entity, EntityRef, Labels, Name};
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
    /// Names of each cluster, to be listed by whoever asked: [`Answer::settled`].
    Listed(Vec<Name>),
    /// Rows in which what a list asks for is to be looked for by whoever asked: [`Answer::settled`].
    Rows(Query, Vec<Arc<Rows>>),
}

impl Answer {
    /// Does what is left to whoever asked, so that it holds up nobody else: lists become names.
    pub fn settled(self) -> Self {
        let mut names: Vec<String> = match &self {
            Self::Listed(names) => names.iter().map(|name| name.to_string()).collect(),
            Self::Rows(list, rows) => rows.iter().flat_map(|rows| listed(rows, list)).collect(),
            _ => return self,
        };
        names.sort_unstable();
        names.dedup();
        Self::Names(names)
    }
}

/// What a list asks for, as far as these rows have it.
fn listed(rows: &Rows, list: &Query) -> Vec<String> {
    if let Query::Pods(namespace) = list {
        return rows.pods_of(namespace).map(str::to_owned).collect();
    }
    let name = |entity: EntityRef<'_>| match (list, entity) {
        (Query::FreeContainers(_), EntityRef::FreeContainer(_, container)) => Some(container.to_owned()),
        (Query::NodePods(_), EntityRef::Pod(namespace, pod)) => Some(format!("{namespace}/{pod}")),
        (Query::Containers(namespace, pod), EntityRef::PodContainer(n, p, container))
            if *n == **namespace && *p == **pod =>
        {
            Some(container.to_owned())
        }
        _ => None,
    };
    rows.entities().filter_map(name).collect()
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
        Query::Nodes => {
            let listed = |cluster: &&Cluster| {
                let nodes = cluster
                    .nodes()
                    .filter(|(_, ring)| ring.latest().is_some_and(|b| cluster.is_listed(b.window)));
                nodes.map(|(name, _)| name.clone()).collect::<Vec<_>>()
            };
            Answer::Listed(clusters.iter().flat_map(listed).collect())
        }
        Query::Namespaces => {
            let listed = clusters.iter().flat_map(|cluster| cluster.namespaces().iter().cloned());
            Answer::Listed(listed.collect())
        }
        list => {
            let forms = clusters.iter().flat_map(|cluster| {
                rings_with(cluster, list).into_iter().flat_map(|ring| cluster.recent(ring))
            });
            let mut rows: Vec<Arc<Rows>> = Vec::new();
            for form in forms {
                if !rows.last().is_some_and(|last| Arc::ptr_eq(last, &form.layout().rows)) {
                    rows.push(form.layout().rows.clone());
                }
            }
            Answer::Rows(list.clone(), rows)
        }
    }
}

/// The rings in which there may be what a list asks for.
fn rings_with<'c>(cluster: &'c Cluster, list: &Query) -> Vec<&'c Ring> {
    match list {
        Query::Pods(namespace) => cluster.rings_of(namespace),
        Query::Containers(namespace, pod) => cluster.homes(namespace, pod).collect(),
        Query::FreeContainers(node) | Query::NodePods(node) => {
            cluster.node(node).into_iter().map(|(_, ring)| ring).collect()
        }
        _ => Vec::new(),
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

/// The label sets under which an entity has parts, over the whole history.
pub fn parts(cluster: &Cluster, entity: &Entity) -> BTreeSet<Labels> {
    let entity = own_name(cluster, entity);
    let layouts = rings_of(cluster, &entity).flat_map(|ring| ring.layouts());
    let keys = layouts.flat_map(|layout| layout.rows.iter());
    keys.filter(|(of, _)| *of == entity.borrowed()).filter_map(|(_, labels)| labels.cloned()).collect()
}
