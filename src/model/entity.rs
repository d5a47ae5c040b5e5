//! Whom a metric is of. Structured keys, never joined strings; how they look on a wire is left to `wire`.

use super::list::List;
use super::pool::Pool;
use std::fmt;

/// A name that many keys share: node, namespace, pod, container. Cloning is cheap, and a holder takes 8 bytes: the length
/// stands with the text.
pub type Name = arcstr::ArcStr;

/// One `--source`: the position of its cluster in the command line. Part of every key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u16);

/// An entity of one cluster. The order is that of every list that the API gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// The whole cluster.
    Cluster,
    /// A namespace.
    Namespace(Name),
    /// A node.
    Node(Name),
    /// A container of a node that belongs to no pod: `kubelet`, `docker-daemon`, `pods`, `system`.
    FreeContainer {
        /// The node.
        node: Name,
        /// The container's own name.
        container: Name,
    },
    /// A pod.
    Pod {
        /// Its namespace.
        namespace: Name,
        /// Its name within the namespace.
        pod: Name,
    },
    /// A container of a pod.
    PodContainer {
        /// The pod's namespace.
        namespace: Name,
        /// The pod.
        pod: Name,
        /// The container's name within the pod.
        container: Name,
    },
}

/// An entity whose names are somebody else's. The order is that of [`Entity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityRef<'a> {
    /// The whole cluster.
    Cluster,
    /// A namespace.
    Namespace(&'a str),
    /// A node.
    Node(&'a str),
    /// A container of a node: node and container.
    FreeContainer(&'a str, &'a str),
    /// A pod: namespace and name.
    Pod(&'a str, &'a str),
    /// A container of a pod: namespace, pod and container.
    PodContainer(&'a str, &'a str, &'a str),
}

impl Entity {
    /// The same with borrowed names.
    pub fn borrowed(&self) -> EntityRef<'_> {
        match self {
            Self::Cluster => EntityRef::Cluster,
            Self::Namespace(namespace) => EntityRef::Namespace(namespace),
            Self::Node(node) => EntityRef::Node(node),
            Self::FreeContainer { node, container } => EntityRef::FreeContainer(node, container),
            Self::Pod { namespace, pod } => EntityRef::Pod(namespace, pod),
            Self::PodContainer { namespace, pod, container } => {
                EntityRef::PodContainer(namespace, pod, container)
            }
        }
    }

    /// The `type` label that Heapster gave such an entity (`metrics/core/labels.go`).
    pub fn type_label(&self) -> &'static str {
        self.borrowed().type_label()
    }
}

impl EntityRef<'_> {
    /// The `type` label that Heapster gave such an entity (`metrics/core/labels.go`).
    pub const fn type_label(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Namespace(_) => "ns",
            Self::Node(_) => "node",
            Self::FreeContainer(..) => "sys_container",
            Self::Pod(..) => "pod",
            Self::PodContainer(..) => "pod_container",
        }
    }
}

impl<'a> From<&'a Entity> for EntityRef<'a> {
    fn from(entity: &'a Entity) -> Self {
        entity.borrowed()
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.borrowed().fmt(f)
    }
}

impl fmt::Display for EntityRef<'_> {
    /// Heapster's key of the entity (`metrics/core/ms_keys.go`), for logs and the log sink.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("cluster"),
            Self::Namespace(namespace) => write!(f, "namespace:{namespace}"),
            Self::Node(node) => write!(f, "node:{node}"),
            Self::FreeContainer(node, container) => write!(f, "node:{node}/container:{container}"),
            Self::Pod(namespace, pod) => write!(f, "namespace:{namespace}/pod:{pod}"),
            Self::PodContainer(namespace, pod, container) => {
                write!(f, "namespace:{namespace}/pod:{pod}/container:{container}")
            }
        }
    }
}

/// A label and its value.
pub type Pair = (Name, Name);

/// What tells several values of one metric of one entity apart: sorted pairs of label and value. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(List<Pair>);

impl Labels {
    /// The set of these pairs, whatever their order.
    pub fn new<K: Into<Name>, V: Into<Name>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut pairs: Vec<(Name, Name)> = pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        pairs.sort();
        Self(pairs.into())
    }

    /// The same set, shared with whoever has it or a part of it.
    pub fn shared(self, names: &mut Pool<Name>, sets: &mut Pool<List<Pair>>) -> Self {
        let pairs = self.0.iter().map(|(label, value)| (names.share(label), names.share(value)));
        Self(sets.share(&pairs.collect()))
    }

    /// Whether it is the very same set, not only an equal one.
    pub fn is(&self, other: &Self) -> bool {
        self.0.is(&other.0)
    }

    /// Has the pools know the set and its names, so that what is shared by them later is shared with this.
    pub fn lend(&self, names: &mut Pool<Name>, sets: &mut Pool<List<Pair>>) {
        for (label, value) in self.0.iter() {
            names.share(label);
            names.share(value);
        }
        sets.share(&self.0);
    }

    /// The value of a label.
    pub fn get(&self, label: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(key, _)| (**key).cmp(label)).ok()?;
        self.0.get(at).map(|(_, value)| &**value)
    }

    /// The pairs, sorted by label.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (&**k, &**v))
    }
}
