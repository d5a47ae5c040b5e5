//! Writing a window. Reading it back is left to [`super::read`].

use super::{MAGIC, entity, metric};
use crate::model::Map;
use crate::model::entity::{EntityRef, Labels, Name};
use crate::model::inventory::NodeInventory;
use crate::model::metric::MetricKey;
use crate::rollup::block::{Block, Layout, Rows};
use crate::rollup::cluster::Batch;
use crate::rollup::pack::write_varint;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The bytes of a window.
pub fn write(batch: &Batch) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.out.extend_from_slice(MAGIC);
    writer.text(&batch.cluster);
    writer.signed(batch.window.resolution().nanos());
    writer.signed(batch.window.end().nanos());
    writer.count(batch.carried);
    writer.count(batch.missing);
    writer.count(batch.nodes.len());
    writer.count(usize::from(batch.sums.is_some()));
    for block in batch.blocks() {
        writer.block(block);
    }
    writer.out
}

#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    texts: Map<Name, u64>,
    labels: Map<Labels, u64>,
    /// By address: they are shared by all nodes of a cluster.
    namespaces: Map<usize, u64>,
}

/// The number of something met before; None the first time, when it is given the next one.
fn met<K: Clone + Eq + std::hash::Hash>(seen: &mut Map<K, u64>, key: &K) -> Option<u64> {
    let next = u64::try_from(seen.len()).unwrap_or(u64::MAX).saturating_add(1);
    let found = seen.get(key).copied();
    if found.is_none() {
        seen.insert(key.clone(), next);
    }
    found
}

fn kind(entity: EntityRef<'_>) -> u64 {
    match entity {
        EntityRef::Cluster => entity::CLUSTER,
        EntityRef::Namespace(_) => entity::NAMESPACE,
        EntityRef::Node(_) => entity::NODE,
        EntityRef::FreeContainer(..) => entity::FREE,
        EntityRef::Pod(..) => entity::POD,
        EntityRef::PodContainer(..) => entity::CONTAINER,
    }
}

impl Writer {
    fn number(&mut self, value: u64) {
        write_varint(value, &mut self.out);
    }

    fn count(&mut self, count: usize) {
        self.number(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Small numbers of either sign take few bytes.
    fn signed(&mut self, value: i64) {
        let doubled = value.unsigned_abs().wrapping_shl(1);
        self.number(if value < 0 { doubled.wrapping_sub(1) } else { doubled });
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &Name) {
        match met(&mut self.texts, text) {
            Some(number) => self.number(number),
            None => {
                self.number(0);
                self.bytes(text.as_bytes());
            }
        }
    }

    fn labels(&mut self, labels: &Labels) {
        match met(&mut self.labels, labels) {
            Some(number) => self.number(number),
            None => {
                self.number(0);
                self.count(labels.iter().count());
                for (key, value) in labels.iter() {
                    self.text(&key.into());
                    self.text(&value.into());
                }
            }
        }
    }

    fn namespaces(&mut self, namespaces: &Arc<BTreeMap<Name, Name>>) {
        match met(&mut self.namespaces, &Arc::as_ptr(namespaces).addr()) {
            Some(number) => self.number(number),
            None => {
                self.number(0);
                self.count(namespaces.len());
                for (name, uid) in namespaces.iter() {
                    self.text(name);
                    self.text(uid);
                }
            }
        }
    }

    fn block(&mut self, block: &Block) {
        self.signed(block.scraped_at.nanos());
        self.rows(&block.layout.rows);
        self.columns(&block.layout);
        self.bytes(&block.steady);
        self.bytes(&block.moving);
        self.count(usize::from(block.facts.is_some()));
        if let Some(facts) = &block.facts {
            self.facts(facts);
        }
    }

    fn rows(&mut self, rows: &Rows) {
        self.count(rows.entity_count());
        for (at, entity) in rows.entities().enumerate() {
            self.number(kind(entity));
            rows.names(at).into_iter().flatten().for_each(|name| self.text(name));
        }
        self.count(rows.labels().len());
        for labels in rows.labels() {
            self.labels(labels);
        }
        self.count(rows.len());
        let mut before = 0;
        for (entity, labels) in (0..rows.len()).filter_map(|row| rows.pair(row)) {
            // Sorted by entity, so that the step to the next is small.
            self.count(entity.wrapping_sub(before));
            self.count(labels);
            before = entity;
        }
    }

    fn columns(&mut self, layout: &Layout) {
        self.count(layout.steady);
        self.count(layout.columns().len());
        for (key, present) in layout.columns() {
            let (kind, name) = match key {
                MetricKey::Known(known) => (metric::KNOWN, &known.descriptor().name.into()),
                MetricKey::Resource(name) => (metric::RESOURCE, name),
                MetricKey::Custom(name) => (metric::CUSTOM, name),
            };
            self.number(kind);
            self.text(name);
            self.count(present.words.len());
            for word in present.words {
                self.out.extend_from_slice(&word.to_le_bytes());
            }
        }
    }

    fn facts(&mut self, facts: &NodeInventory) {
        self.namespaces(&facts.namespaces);
        let node = &facts.node;
        for text in [&node.name, &node.hostname, &node.host_id] {
            self.text(text);
        }
        self.labels(&node.labels);
        self.count(usize::from(node.schedulable));
        self.count(facts.pods.len());
        for pod in facts.pods.iter() {
            let uid = pod.uid.to_string().into();
            for text in [&pod.namespace, &pod.name, &uid] {
                self.text(text);
            }
            self.labels(&pod.labels);
            self.count(usize::from(pod.host_network));
            self.count(pod.containers.len());
            for container in pod.containers.iter() {
                self.text(&container.name);
                self.text(&container.image);
            }
        }
    }
}
