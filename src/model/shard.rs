//! How several collectors share one cluster: which of them takes on a node. What each does about the nodes of the others
//! is left to [`super::share`].
//!
//! It must come out the same in every process and every release, so nothing of it may ever change: the name's FNV-1a
//! (64 bits) is combined with the number of each shard and scrambled, and the shard with the highest result takes the node
//! (rendezvous hashing). When a shard is added, the only nodes that move are those that it takes.

use super::entity::EntityRef;
use std::fmt;
use std::str::FromStr;

/// The most shards: far more than the largest cluster needs.
pub const MOST: u16 = 1_000;
/// The label that tells sums of one shard from those of another.
pub const LABEL: &str = "shard";

/// One of several collectors of the same clusters, numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    index: u16,
    of: u16,
}

/// Why a text names no shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadShard {
    /// It is not two numbers with a slash between them.
    #[error("is no shard: give I/N, such as 1/3 for the first of three collectors")]
    Form,
    /// There is no such number of shards.
    #[error("is no shard: there can be 1 to {MOST}")]
    Count,
    /// The number is not one of them.
    #[error("is no shard: they are numbered from 1, the last of {0} is {0}/{0}")]
    Index(u16),
}

impl Shard {
    /// Shard `index`, from 1, of so many.
    ///
    /// # Errors
    /// When there is no such shard.
    pub fn new(index: u16, of: u16) -> Result<Self, BadShard> {
        match (index, of) {
            (_, 0) => Err(BadShard::Count),
            (_, of) if of > MOST => Err(BadShard::Count),
            (index, of) if index == 0 || index > of => Err(BadShard::Index(of)),
            (index, of) => Ok(Self { index, of }),
        }
    }

    /// Whether there are others.
    pub fn is_partial(self) -> bool {
        self.of > 1
    }

    /// Whether the node of this name is one of this shard.
    pub fn owns(self, node: &str) -> bool {
        owner(node, self.of) == self.index
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = BadShard;

    fn from_str(text: &str) -> Result<Self, BadShard> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            // Of one shard there is one spelling: two collectors must not believe that they are two.
            let is_plain = text == "0" || !text.starts_with('0');
            if digits && is_plain { Ok(text.parse().unwrap_or(u16::MAX)) } else { Err(BadShard::Form) }
        };
        let (index, of) = text.split_once('/').ok_or(BadShard::Form)?;
        Self::new(number(index)?, number(of)?)
    }
}

/// The label of a point that is of one shard alone: the sums of namespaces and of the cluster, of which every shard has
/// its own part.
pub fn label<'s>(shard: Option<&'s str>, entity: EntityRef<'_>) -> Option<(&'static str, &'s str)> {
    match entity {
        EntityRef::Cluster | EntityRef::Namespace(_) => shard.map(|shard| (LABEL, shard)),
        _ => None,
    }
}

/// The number, from 1, of the shard that takes a node.
pub fn owner(node: &str, shards: u16) -> u16 {
    let name = fnv1a(node.as_bytes());
    let score = |index: &u16| scrambled(name ^ scrambled(u64::from(*index)));
    (1..=shards).max_by_key(|index| (score(index), *index)).unwrap_or(1)
}

/// FNV-1a with 64 bits.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The finalizer of SplitMix64.
const fn scrambled(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
