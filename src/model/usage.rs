//! What nodes and pods use now, as those who scale and schedule by it are told. Working it out is left to `rollup`,
//! writing it to `wire`.

use super::entity::Name;
use super::time::{Timestamp, Window};

/// Cpu and memory in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Millicores.
    pub cpu: u64,
    /// Bytes of the working set.
    pub memory: u64,
}

/// When something was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The window whose end stamps it.
    pub window: Window,
    /// When the kubelet read its cpu figures; of several the earliest.
    pub sampled: Timestamp,
}

/// What a node uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUsage {
    /// The node.
    pub name: Name,
    /// When.
    pub measured: Measured,
    /// How much.
    pub usage: Usage,
}

/// What a pod uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodUsage {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// When.
    pub measured: Measured,
    /// How much each of its containers, in the order of its spec.
    pub containers: Vec<(Name, Usage)>,
}
