//! A window as bytes and back: what a spool's file holds. Values stay packed as they are; names are written once. Where
//! the bytes are kept is left to `spool`.
//!
//! Layout: all numbers in LEB128. A text, a label set or a set of namespaces is 0 and then itself the first time, and
//! later its number. Of the inventory only what labels points is kept: amounts of resources are points themselves.

mod read;
mod write;

pub use read::{Broken, read};
pub use write::write;

/// What the bytes begin with. Another layout gets another one.
const MAGIC: &[u8] = b"heapster window 1\n";

/// What a metric's name stands for.
mod metric {
    /// In the catalogue.
    pub(super) const KNOWN: u64 = 0;
    /// A resource's request.
    pub(super) const RESOURCE: u64 = 1;
    /// An application's own.
    pub(super) const CUSTOM: u64 = 2;
}

/// What an entity is.
mod entity {
    /// The cluster.
    pub(super) const CLUSTER: u64 = 0;
    /// A namespace.
    pub(super) const NAMESPACE: u64 = 1;
    /// A node.
    pub(super) const NODE: u64 = 2;
    /// A container of no pod.
    pub(super) const FREE: u64 = 3;
    /// A pod.
    pub(super) const POD: u64 = 4;
    /// A pod's container.
    pub(super) const CONTAINER: u64 = 5;
}
