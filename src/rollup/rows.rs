//! Whose values a block holds, and which of them have a value of a metric. The values are left to [`super::block`].

use crate::model::entity::{Entity, EntityRef, Labels};
use std::ops::Range;

/// Position of a row in [`Rows`].
pub type Row = usize;

/// Whose values a block holds: entities, and the labelled parts of some of them. Shared by every block that holds the
/// same, which is most of one node's.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub(super) entities: Box<[Entity]>,
    pub(super) labels: Box<[Labels]>,
    /// Entity, and one more than the labels' position or 0 for the entity as a whole. Sorted.
    pub(super) rows: Box<[(u32, u32)]>,
}

impl Rows {
    /// The rows of these keys, sorted; doubles fall together.
    pub fn new<'k>(keys: impl Iterator<Item = (&'k Entity, Option<&'k Labels>)> + Clone) -> Self {
        let mut entities: Vec<&Entity> = keys.clone().map(|(entity, _)| entity).collect();
        entities.sort_unstable();
        entities.dedup();
        let mut labels: Vec<&Labels> = keys.clone().filter_map(|(_, labels)| labels).collect();
        labels.sort_unstable();
        labels.dedup();
        let index = |found: Result<usize, usize>| u32::try_from(found.unwrap_or(0)).unwrap_or(u32::MAX);
        let mut rows: Vec<(u32, u32)> = keys
            .map(|(entity, label)| {
                let label = label.map_or(0, |l| index(labels.binary_search(&l)).saturating_add(1));
                (index(entities.binary_search(&entity)), label)
            })
            .collect();
        rows.sort_unstable();
        rows.dedup();
        Self {
            entities: entities.into_iter().cloned().collect(),
            labels: labels.into_iter().cloned().collect(),
            rows: rows.into(),
        }
    }

    /// The row of an entity, or of a labelled part of it.
    pub fn find(&self, entity: &Entity, labels: Option<&Labels>) -> Option<Row> {
        let entity = u32::try_from(self.entities.binary_search(entity).ok()?).ok()?;
        let label = match labels {
            None => 0,
            Some(labels) => u32::try_from(self.labels.binary_search(labels).ok()?).ok()?.checked_add(1)?,
        };
        self.rows.binary_search(&(entity, label)).ok()
    }

    /// The position of an entity in [`Rows::entities`]. Where it is the one at `guess` nothing is searched.
    pub(super) fn position(&self, entity: EntityRef<'_>, guess: usize) -> Option<usize> {
        if self.entities.get(guess).is_some_and(|held| held.borrowed() == entity) {
            return Some(guess);
        }
        self.entities.binary_search_by(|held| held.borrowed().cmp(&entity)).ok()
    }

    /// The row of the entity at a position, as a whole.
    pub(super) fn whole(&self, position: usize) -> Option<Row> {
        self.rows.binary_search(&(u32::try_from(position).ok()?, 0)).ok()
    }

    /// The rows of an entity: itself and its parts.
    pub fn span(&self, entity: EntityRef<'_>) -> Range<Row> {
        let Some(at) = self.position(entity, 0).and_then(|at| u32::try_from(at).ok()) else { return 0..0 };
        let first = self.rows.partition_point(|(entity, _)| *entity < at);
        let count = self.rows.iter().skip(first).take_while(|(entity, _)| *entity == at).count();
        first..first + count
    }

    /// Whom a row is of.
    pub fn key(&self, row: Row) -> Option<(&Entity, Option<&Labels>)> {
        let (entity, label) = *self.rows.get(row)?;
        let labels = label.checked_sub(1).and_then(|at| self.labels.get(usize::try_from(at).ok()?));
        Some((self.entities.get(usize::try_from(entity).ok()?)?, labels))
    }

    /// The pods of a namespace, sorted.
    pub fn pods_of<'r>(&'r self, namespace: &str) -> impl Iterator<Item = &'r str> {
        let pod = |entity: &'r Entity| match entity.borrowed() {
            EntityRef::Pod(of, pod) => Some((of, pod)),
            _ => None,
        };
        let from = self.entities.partition_point(|entity| entity.borrowed() < EntityRef::Pod(namespace, ""));
        let rest = self.entities.iter().skip(from).map_while(pod);
        rest.take_while(move |(of, _)| *of == namespace).map(|(_, pod)| pod)
    }

    /// Every row's key, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Entity, Option<&Labels>)> {
        (0..self.rows.len()).filter_map(|row| self.key(row))
    }

    /// The first row whose entity is so, where no row behind one that is so is not; else how many there are.
    pub fn first_that(&self, is_so: impl Fn(&Entity) -> bool) -> Row {
        let entity = |at: u32| self.entities.get(usize::try_from(at).ok()?);
        self.rows.partition_point(|(at, _)| !entity(*at).is_some_and(&is_so))
    }

    /// Every entity, sorted.
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// About how many bytes of memory they take, names included.
    pub fn bytes(&self) -> usize {
        let fixed = size_of_val(&*self.entities) + size_of_val(&*self.labels) + size_of_val(&*self.rows);
        // Of an entity only the last name is its own, the others are shared with its neighbours.
        let own = |entity: &Entity| match entity {
            Entity::Cluster => 0,
            Entity::Namespace(name) | Entity::Node(name) => name.len(),
            Entity::FreeContainer { container, .. } | Entity::PodContainer { container, .. } => {
                container.len()
            }
            Entity::Pod { pod, .. } => pod.len(),
        };
        let labels = self.labels.iter().flat_map(Labels::iter).map(|(key, value)| key.len() + value.len());
        fixed + self.entities.iter().map(own).sum::<usize>() + labels.sum::<usize>()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// A set of rows that can tell how many of it come before a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSet {
    pub(super) words: Box<[u64]>,
    count: usize,
}

impl RowSet {
    /// The rows whose bit is set in `words`, 64 a word, lowest first.
    pub fn from_words(words: &[u64]) -> Self {
        let count = words.iter().map(|word| usize::try_from(word.count_ones()).unwrap_or(0)).sum();
        Self { words: words.into(), count }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many members come before `row`. None where it is no member.
    pub(super) fn rank(&self, row: Row) -> Option<usize> {
        let (at, bit) = (row / 64, row % 64);
        let word = *self.words.get(at)?;
        if word >> bit & 1 == 0 {
            return None;
        }
        let before = self.words.get(..at)?.iter().map(|word| word.count_ones()).sum::<u32>();
        usize::try_from(before + (word & ((1 << bit) - 1)).count_ones()).ok()
    }

    /// Whether `row` is a member.
    pub fn has(&self, row: Row) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// The members, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = Row> {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = usize::try_from(left.trailing_zeros()).ok().filter(|bit| *bit < 64)?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }
}
