//! Values: what is known of whom. No IO, no clock, no wire format, no actor.

pub mod address;
pub mod amount;
pub mod entity;
pub mod inventory;
pub mod label_copier;
pub mod labels;
pub mod list;
pub mod metric;
pub mod past;
pub mod pods;
pub mod pool;
pub mod report;
pub mod resources;
pub mod selector;
pub mod shard;
pub mod share;
mod table;
pub mod time;
pub mod uid;
pub mod unusable;
pub mod usage;

/// A hash map with the hasher that the whole project uses: fast, and seeded anew in every process.
pub type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::RandomState>;
/// A hash set with the same hasher.
pub type Set<K> = hashbrown::HashSet<K, foldhash::fast::RandomState>;
