//! Whose values a block holds. Which of them have a value of which metric is left to [`super::layout`].

use super::narrow::Narrow;
use crate::model::Map;
use crate::model::entity::{Entity, EntityRef, Labels, Name};
use std::cmp::Ordering;
use std::ops::Range;

/// Position of a row in [`Rows`].
pub type Row = usize;

/// Numbers of an entity: where its names are, the outermost first. Those that it has none of are 0.
const OF_ENTITY: usize = 3;
/// Numbers of a row: its entity, and one more than its labels' position or 0 for the entity as a whole.
const OF_ROW: usize = 2;

/// Whose values a block holds: entities, and the labelled parts of some of them. Shared by every block that holds the
/// same, which is most of one node's. Every node has one, so it is three pieces of memory, and names are in it once.
#[derive(Debug, Default)]
pub struct Rows {
    /// In the order in which entities need them. Whoever else has a name shares it.
    names: Box<[Name]>,
    labels: Box<[Labels]>,
    /// Of each entity, sorted, then of each row, sorted.
    numbers: Narrow,
    /// How many entities there are up to the last of each kind, in the order of [`Entity`].
    ends: [u32; 6],
    /// How many rows there are.
    count: usize,
}

impl Rows {
    /// The rows of these keys, sorted; doubles fall together.
    pub fn new<'k>(keys: impl Iterator<Item = (&'k Entity, Option<&'k Labels>)> + Clone) -> Self {
        Self::placed(keys).0
    }

    /// The same, and where each of the keys is.
    pub(super) fn placed<'k>(
        keys: impl Iterator<Item = (&'k Entity, Option<&'k Labels>)> + Clone,
    ) -> (Self, Vec<Option<Row>>) {
        let mut entities: Vec<&Entity> = keys.clone().map(|(entity, _)| entity).collect();
        entities.sort_unstable();
        entities.dedup();
        let mut labels: Vec<&Labels> = keys.clone().filter_map(|(_, labels)| labels).collect();
        labels.sort_unstable();
        labels.dedup();
        let index = |found: Result<usize, usize>| found.map_or(u32::MAX, small);
        let given: Vec<(u32, u32)> = keys
            .map(|(entity, label)| {
                let label = label.map_or(0, |l| index(labels.binary_search(&l)).saturating_add(1));
                (index(entities.binary_search(&entity)), label)
            })
            .collect();
        let mut rows = given.clone();
        rows.sort_unstable();
        rows.dedup();
        let places = given.iter().map(|pair| rows.binary_search(pair).ok()).collect();
        (Self::of(&entities, labels.into_iter().cloned().collect(), &rows), places)
    }

    /// The table of these, which are sorted and each there once. A row is an entity's position, and one more than its
    /// labels' or 0.
    pub(super) fn of(entities: &[&Entity], labels: Box<[Labels]>, rows: &[(u32, u32)]) -> Self {
        let mut names: Vec<&Name> = Vec::with_capacity(entities.len());
        let mut places = Map::<usize, u32>::default();
        let mut numbers = Vec::with_capacity(entities.len() * OF_ENTITY + rows.len() * OF_ROW);
        let mut ends = [0; 6];
        for (entity, behind) in entities.iter().zip(1..) {
            let own: [Option<&Name>; OF_ENTITY] = match entity {
                Entity::Cluster => [None; 3],
                Entity::Namespace(name) | Entity::Node(name) => [Some(name), None, None],
                Entity::FreeContainer { node, container } => [Some(node), Some(container), None],
                Entity::Pod { namespace, pod } => [Some(namespace), Some(pod), None],
                Entity::PodContainer { namespace, pod, container } => {
                    [Some(namespace), Some(pod), Some(container)]
                }
            };
            // By address: two equal names stay two where they are held by different others.
            numbers.extend(own.map(|name| {
                name.map_or(0, |name| {
                    *places.entry(name.as_ptr().addr()).or_insert_with(|| {
                        names.push(name);
                        small(names.len() - 1)
                    })
                })
            }));
            ends.iter_mut().skip(parts(entity.borrowed()).0).for_each(|end| *end = behind);
        }
        numbers.extend(rows.iter().flat_map(|(entity, label)| [*entity, *label]));
        Self {
            names: names.into_iter().cloned().collect(),
            labels,
            numbers: Narrow::of(&numbers),
            ends,
            count: rows.len(),
        }
    }

    /// The row of an entity, or of a labelled part of it.
    pub fn find<'e>(&self, entity: impl Into<EntityRef<'e>>, labels: Option<&Labels>) -> Option<Row> {
        let entity = self.position(entity.into(), usize::MAX)?;
        let label = match labels {
            None => 0,
            Some(labels) => self.labels.binary_search(labels).ok()? + 1,
        };
        self.row(entity, label)
    }

    /// The position of an entity among [`Rows::entities`]. Where it is the one at `guess` nothing is searched.
    pub(super) fn position(&self, entity: EntityRef<'_>, guess: usize) -> Option<usize> {
        let (kind, names) = parts(entity);
        let own = self.kind(kind);
        let is_at = |at: usize| own.contains(&at) && self.compare(at, names) == Ordering::Equal;
        if is_at(guess) {
            return Some(guess);
        }
        let found = first_not(own.clone(), |at| self.compare(at, names) == Ordering::Less);
        is_at(found).then_some(found)
    }

    /// How the entity at a position stands to one of the same kind that has these names.
    fn compare(&self, position: usize, names: [Option<&str>; OF_ENTITY]) -> Ordering {
        let name = |nth: usize| Some(&**self.names.get(self.numbers.get(position * OF_ENTITY + nth)?)?);
        for (nth, wanted) in names.into_iter().enumerate() {
            let Some(wanted) = wanted else { break };
            match name(nth).map_or(Ordering::Greater, |held| held.cmp(wanted)) {
                Ordering::Equal => {}
                other => return other,
            }
        }
        Ordering::Equal
    }

    /// The positions of the entities of a kind.
    fn kind(&self, kind: usize) -> Range<usize> {
        let end = |kind: usize| self.ends.get(kind).map_or(0, |end| large(*end));
        kind.checked_sub(1).map_or(0, end)..end(kind)
    }

    /// The row of the entity at a position, as a whole.
    pub(super) fn whole(&self, position: usize) -> Option<Row> {
        self.row(position, 0)
    }

    fn row(&self, position: usize, label: usize) -> Option<Row> {
        let row = first_not(0..self.len(), |row| self.pair(row).is_some_and(|pair| pair < (position, label)));
        (self.pair(row) == Some((position, label))).then_some(row)
    }

    /// The rows of an entity: itself and its parts.
    pub fn span(&self, entity: EntityRef<'_>) -> Range<Row> {
        let Some(at) = self.position(entity, usize::MAX) else { return 0..0 };
        let first = first_not(0..self.len(), |row| self.pair(row).is_some_and(|(entity, _)| entity < at));
        let own =
            (first..self.len()).take_while(|row| self.pair(*row).is_some_and(|(entity, _)| entity == at));
        first..first + own.count()
    }

    /// Whom a row is of.
    pub fn key(&self, row: Row) -> Option<(EntityRef<'_>, Option<&Labels>)> {
        let (entity, label) = self.pair(row)?;
        Some((self.entity(entity)?, label.checked_sub(1).and_then(|at| self.labels.get(at))))
    }

    /// A row's entity, and one more than its labels' position or 0.
    pub(super) fn pair(&self, row: Row) -> Option<(usize, usize)> {
        let at = self.entity_count() * OF_ENTITY + row * OF_ROW;
        Some((self.numbers.get(at)?, self.numbers.get(at + 1)?))
    }

    /// How many entities there are.
    pub fn entity_count(&self) -> usize {
        let [.., all] = self.ends;
        large(all)
    }

    /// The names of the entity at a position, the outermost first: as many as its kind has. They are shared with whoever
    /// the table has them from.
    pub fn names(&self, position: usize) -> [Option<&Name>; 3] {
        let [cluster, _, nodes, _, pods, all] = self.ends.map(large);
        let count = match position {
            at if at < cluster || at >= all => 0,
            at if at < nodes => 1,
            at if at < pods => 2,
            _ => OF_ENTITY,
        };
        let name = |nth: usize| {
            self.numbers
                .get(position * OF_ENTITY + nth)
                .filter(|_| nth < count)
                .and_then(|at| self.names.get(at))
        };
        [name(0), name(1), name(2)]
    }

    /// The entity at a position.
    pub fn entity(&self, position: usize) -> Option<EntityRef<'_>> {
        let name = |nth: usize| Some(&**self.names.get(self.numbers.get(position * OF_ENTITY + nth)?)?);
        let [cluster, namespaces, nodes, free, pods, all] = self.ends.map(large);
        Some(match position {
            at if at >= all => return None,
            at if at >= pods => EntityRef::PodContainer(name(0)?, name(1)?, name(2)?),
            at if at >= free => EntityRef::Pod(name(0)?, name(1)?),
            at if at >= nodes => EntityRef::FreeContainer(name(0)?, name(1)?),
            at if at >= namespaces => EntityRef::Node(name(0)?),
            at if at >= cluster => EntityRef::Namespace(name(0)?),
            _ => EntityRef::Cluster,
        })
    }

    /// The entity at a position with its names, which stay shared.
    pub fn owned(&self, position: usize) -> Option<Entity> {
        let [first, second, third] = self.names(position).map(Option::<&Name>::cloned);
        Some(match self.entity(position)? {
            EntityRef::Cluster => Entity::Cluster,
            EntityRef::Namespace(_) => Entity::Namespace(first?),
            EntityRef::Node(_) => Entity::Node(first?),
            EntityRef::FreeContainer(..) => Entity::FreeContainer { node: first?, container: second? },
            EntityRef::Pod(..) => Entity::Pod { namespace: first?, pod: second? },
            EntityRef::PodContainer(..) => {
                Entity::PodContainer { namespace: first?, pod: second?, container: third? }
            }
        })
    }

    /// Every entity, sorted.
    pub fn entities(&self) -> impl Iterator<Item = EntityRef<'_>> {
        (0..self.entity_count()).filter_map(|at| self.entity(at))
    }

    /// Every pod, sorted: namespace and name.
    pub fn pods(&self) -> impl Iterator<Item = (&Name, &Name)> {
        self.kind(POD).filter_map(|at| match self.names(at) {
            [Some(namespace), Some(pod), _] => Some((namespace, pod)),
            _ => None,
        })
    }

    /// The pods of a namespace, sorted.
    pub fn pods_of<'r>(&'r self, namespace: &str) -> impl Iterator<Item = &'r str> {
        let pods = self.kind(POD);
        let names = [Some(namespace), None, None];
        let from = first_not(pods.clone(), |at| self.compare(at, names) == Ordering::Less);
        let of = (from..pods.end).map_while(|at| self.entity(at));
        of.map_while(move |entity| match entity {
            EntityRef::Pod(of, pod) if of == namespace => Some(pod),
            _ => None,
        })
    }

    /// Every row's key, in order.
    pub fn iter(&self) -> impl Iterator<Item = (EntityRef<'_>, Option<&Labels>)> {
        (0..self.len()).filter_map(|row| self.key(row))
    }

    /// The first row whose entity is so, where no row behind one that is so is not; else how many there are.
    pub fn first_that(&self, is_so: impl Fn(EntityRef<'_>) -> bool) -> Row {
        let entity = |row: Row| self.entity(self.pair(row)?.0);
        first_not(0..self.len(), |row| !entity(row).is_some_and(&is_so))
    }

    /// Every set of labels that a part has, sorted.
    pub(super) fn labels(&self) -> &[Labels] {
        &self.labels
    }

    /// About how many bytes of memory they take, names included.
    pub fn bytes(&self) -> usize {
        let fixed = size_of_val(&*self.names) + size_of_val(&*self.labels) + self.numbers.bytes();
        let names = self.names.iter().map(|name| name.len());
        let labels = self.labels.iter().map(Labels::bytes);
        fixed + names.sum::<usize>() + labels.sum::<usize>()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl PartialEq for Rows {
    /// Whether they tell of the same, whoever has the names.
    fn eq(&self, other: &Self) -> bool {
        self.ends == other.ends
            && self.len() == other.len()
            && self.entities().eq(other.entities())
            && self.labels == other.labels
            && (0..self.len()).all(|row| self.pair(row) == other.pair(row))
    }
}

impl Eq for Rows {}

/// The kind of a pod, as in [`parts`].
const POD: usize = 4;

/// The kind of an entity, counted from 0 in the order of [`Entity`], and its names.
fn parts(entity: EntityRef<'_>) -> (usize, [Option<&str>; OF_ENTITY]) {
    match entity {
        EntityRef::Cluster => (0, [None; 3]),
        EntityRef::Namespace(name) => (1, [Some(name), None, None]),
        EntityRef::Node(name) => (2, [Some(name), None, None]),
        EntityRef::FreeContainer(node, container) => (3, [Some(node), Some(container), None]),
        EntityRef::Pod(namespace, pod) => (POD, [Some(namespace), Some(pod), None]),
        EntityRef::PodContainer(namespace, pod, container) => {
            (5, [Some(namespace), Some(pod), Some(container)])
        }
    }
}

fn small(number: usize) -> u32 {
    // Nothing of what there can be in memory is so many.
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn large(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The first number in the range that is not so, where none behind it is; else the range's end.
fn first_not(range: Range<usize>, is_so: impl Fn(usize) -> bool) -> usize {
    let Range { start: mut from, end: mut to } = range;
    while from < to {
        let middle = usize::midpoint(from, to);
        if is_so(middle) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    from
}
