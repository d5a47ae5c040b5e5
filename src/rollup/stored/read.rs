//! Reading a window back. Whatever the bytes are, this ends, and takes no more memory than they have.

use super::{MAGIC, entity, metric};
use crate::model::entity::{Entity, Labels, Name};
use crate::model::inventory::{ContainerFacts, NodeFacts, NodeInventory, PodFacts, Resources, Unusable};
use crate::model::list::List;
use crate::model::metric::{Metric, MetricKey};
use crate::model::resources::Packed;
use crate::model::time::{Resolution, Timestamp, Window};
use crate::rollup::block::{Block, RowSet, Rows};
use crate::rollup::cluster::Batch;
use crate::rollup::layout::Columns;
use crate::rollup::pack::read_varint;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Why bytes are no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// They begin otherwise.
    #[error("not a window of this release's form")]
    Foreign,
    /// They do not say what they ought to.
    #[error("not a whole window")]
    Damaged,
}

/// The window that these bytes say. What is not kept of the inventory is empty.
///
/// # Errors
/// When they say none.
pub fn read(bytes: &[u8]) -> Result<Batch, Broken> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Broken::Foreign)?;
    let mut reader = Reader { rest, texts: Vec::new(), labels: Vec::new(), namespaces: Vec::new() };
    reader.batch().filter(|_| reader.rest.is_empty()).ok_or(Broken::Damaged)
}

struct Reader<'a> {
    rest: &'a [u8],
    texts: Vec<Name>,
    labels: Vec<Labels>,
    namespaces: Vec<Arc<BTreeMap<Name, Name>>>,
}

/// The one of this number, counted from 1.
fn met<T: Clone>(seen: &[T], number: usize) -> Option<T> {
    seen.get(number.checked_sub(1)?).cloned()
}

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = read_varint(self.rest)?;
        self.rest = rest;
        Some(number)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        let half = i64::try_from(number >> 1).ok()?;
        Some(if number & 1 == 1 { -half - 1 } else { half })
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    /// So many of the same. Each takes a byte at least, so no count can promise more than there is.
    fn many<T>(&mut self, each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.count().filter(|count| *count <= self.rest.len())?;
        self.so_many(count, each)
    }

    fn so_many<T>(&mut self, count: usize, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..count).map(|_| each(self)).collect()
    }

    fn text(&mut self) -> Option<Name> {
        match self.count()? {
            0 => {
                let text: Name = std::str::from_utf8(self.bytes()?).ok()?.into();
                self.texts.push(text.clone());
                Some(text)
            }
            number => met(&self.texts, number),
        }
    }

    fn labels(&mut self) -> Option<Labels> {
        match self.count()? {
            0 => {
                let labels = Labels::new(self.many(|reader| Some((reader.text()?, reader.text()?)))?);
                self.labels.push(labels.clone());
                Some(labels)
            }
            number => met(&self.labels, number),
        }
    }

    fn namespaces(&mut self) -> Option<Arc<BTreeMap<Name, Name>>> {
        match self.count()? {
            0 => {
                let pairs = self.many(|reader| Some((reader.text()?, reader.text()?)))?;
                let namespaces = Arc::new(pairs.into_iter().collect());
                self.namespaces.push(Arc::clone(&namespaces));
                Some(namespaces)
            }
            number => met(&self.namespaces, number),
        }
    }

    fn batch(&mut self) -> Option<Batch> {
        let cluster = self.text()?;
        let resolution = Duration::from_nanos(u64::try_from(self.signed()?).ok()?);
        let window = Resolution::new(resolution).ok()?.last_ended(Timestamp::from_nanos(self.signed()?));
        let (carried, missing) = (self.count()?, self.count()?);
        let (nodes, sums) = (self.count().filter(|count| *count <= self.rest.len())?, self.count()?);
        let nodes = self.so_many(nodes, |reader| reader.block(window).map(Arc::new))?;
        let sums = self.so_many(sums.min(1), |reader| reader.block(window).map(Arc::new))?.pop();
        Some(Batch { cluster, window, nodes, sums, carried, missing })
    }

    fn block(&mut self, window: Window) -> Option<Block> {
        let scraped_at = Timestamp::from_nanos(self.signed()?);
        let rows = Arc::new(self.rows()?);
        let steady = self.count()?;
        let mut columns = Columns::default();
        self.many(|reader| {
            let (key, words) = reader.column(rows.len())?;
            columns.add(&rows, &key, &words)
        })?;
        let layout = Arc::new(columns.finish(rows, steady));
        let (steady, moving): (Arc<[u8]>, Box<[u8]>) = (self.bytes()?.into(), self.bytes()?.into());
        let facts = if self.count()? == 0 { None } else { Some(Arc::new(self.facts()?)) };
        // A column that is cut short would end the block without a word.
        let starts = layout.starts(&steady, &moving)?;
        Some(Block { window, scraped_at, layout, facts, steady, moving, starts })
    }

    fn rows(&mut self) -> Option<Rows> {
        let entities = self.many(Self::entity)?;
        let labels = self.many(Self::labels)?;
        let is_sorted = entities.is_sorted_by(|a, b| a < b) && labels.is_sorted_by(|a, b| a < b);
        let (mut at, whole) = (0_u32, (entities.len(), labels.len()));
        let rows = self.many(|reader| {
            at = at.checked_add(u32::try_from(reader.number()?).ok()?)?;
            let label = u32::try_from(reader.number()?).ok()?;
            let known = usize::try_from(at).ok()? < whole.0 && usize::try_from(label).ok()? <= whole.1;
            known.then_some((at, label))
        })?;
        let entities: Vec<&Entity> = entities.iter().collect();
        // What is not in order could not be found.
        let is_sorted = is_sorted && rows.is_sorted_by(|a, b| a < b);
        is_sorted.then(|| Rows::of(&entities, labels.into(), &rows))
    }

    fn entity(&mut self) -> Option<Entity> {
        Some(match self.number()? {
            entity::CLUSTER => Entity::Cluster,
            entity::NAMESPACE => Entity::Namespace(self.text()?),
            entity::NODE => Entity::Node(self.text()?),
            entity::FREE => Entity::FreeContainer { node: self.text()?, container: self.text()? },
            entity::POD => Entity::Pod { namespace: self.text()?, pod: self.text()? },
            entity::CONTAINER => {
                Entity::PodContainer { namespace: self.text()?, pod: self.text()?, container: self.text()? }
            }
            _ => return None,
        })
    }

    fn column(&mut self, rows: usize) -> Option<(MetricKey, Vec<u64>)> {
        let (kind, name) = (self.number()?, self.text()?);
        let key = match kind {
            metric::KNOWN => {
                MetricKey::Known(*Metric::ALL.iter().find(|known| *known.descriptor().name == *name)?)
            }
            metric::RESOURCE => MetricKey::Resource(name),
            metric::CUSTOM => MetricKey::Custom(name),
            _ => return None,
        };
        let words = self.many(|reader| {
            let (word, rest) = reader.rest.split_first_chunk()?;
            reader.rest = rest;
            Some(u64::from_le_bytes(*word))
        })?;
        let known = RowSet::from_words(&words).iter().last().is_none_or(|last| last < rows);
        known.then_some((key, words))
    }

    fn facts(&mut self) -> Option<NodeInventory> {
        let namespaces = self.namespaces()?;
        let node = NodeFacts {
            name: self.text()?,
            hostname: self.text()?,
            host_id: self.text()?,
            address: Err(Unusable::NoAddress),
            port: None,
            labels: self.labels()?,
            schedulable: self.count()? > 0,
            capacity: Resources::default(),
            allocatable: Resources::default(),
        };
        let pods = self.many(|reader| reader.pod(&node.name))?;
        let pods = pods.into_iter().map(Arc::new).collect();
        Some(NodeInventory { node: Arc::new(node), pods, namespaces })
    }

    fn pod(&mut self, node: &Name) -> Option<PodFacts> {
        Some(PodFacts {
            namespace: self.text()?,
            name: self.text()?,
            uid: self.text()?.into(),
            node: Some(node.clone()),
            labels: self.labels()?,
            host_network: self.count()? > 0,
            started: None,
            containers: self.many(Self::container)?.into(),
            restarts: List::default(),
        })
    }

    fn container(&mut self) -> Option<ContainerFacts> {
        Some(ContainerFacts {
            name: self.text()?,
            image: self.text()?,
            requests: Packed::default(),
            limits: Packed::default(),
        })
    }
}
