//! Whom a metric is of. Structured keys, never joined strings; how they look on a wire is left to `wire`.

pub use super::labels::Labels;
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
