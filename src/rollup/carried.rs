//! What a node last added to its namespaces, packed: it counts once more where the node does not answer, and until then
//! it only takes memory. Adding up is left to [`super::sum`].

use super::pack::{read_varint, write_varint};
use super::sum::{NamespaceSums, additive};
use crate::model::entity::Name;
use crate::model::metric::Metric;

/// One node's sums by namespace. A tenth of the size of [`NamespaceSums`].
#[derive(Debug)]
pub(super) struct Carried {
    namespaces: Box<[Name]>,
    /// Of each namespace how many sums there are, then of each its place among the additive metrics and the sum, in
    /// LEB128.
    bytes: Box<[u8]>,
}

impl Carried {
    /// Packs a node's sums.
    pub fn of(sums: &NamespaceSums) -> Self {
        let mut places = [0_u8; Metric::ALL.len()];
        for (place, metric) in (0..).zip(additive()) {
            if let Some(slot) = places.get_mut(metric.index()) {
                *slot = place;
            }
        }
        let mut bytes = Vec::with_capacity(4_096);
        for (_, own) in sums.iter() {
            write_varint(u64::try_from(own.iter().count()).unwrap_or(0), &mut bytes);
            for (metric, held) in own.iter() {
                bytes.push(places.get(metric.index()).copied().unwrap_or(u8::MAX));
                write_varint(held, &mut bytes);
            }
        }
        // Copied, not shrunk: an allocator may leave a block that shrinks as large as it was.
        Self {
            namespaces: sums.iter().map(|(name, _)| name.clone()).collect(),
            bytes: bytes.as_slice().into(),
        }
    }

    /// Adds them to `sums`.
    pub fn add_to(&self, sums: &mut NamespaceSums) {
        let metrics: Vec<Metric> = additive().collect();
        let mut rest: &[u8] = &self.bytes;
        for namespace in &self.namespaces {
            let own = sums.of(namespace);
            let Some((count, behind)) = read_varint(rest) else { return };
            rest = behind;
            for _ in 0..count {
                let Some((place, behind)) = rest.split_first() else { return };
                let Some((held, behind)) = read_varint(behind) else { return };
                rest = behind;
                if let Some(metric) = metrics.get(usize::from(*place)) {
                    own.add(*metric, held);
                }
            }
        }
    }
}
