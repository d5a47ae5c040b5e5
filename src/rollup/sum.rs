//! Sums of every additive metric: of a pod's containers, a namespace's pods, the cluster's namespaces. Which pods count
//! is left to [`super::node`], which nodes to [`super::Rollup`].

use super::block::{Block, Rows};
use super::sheet::Sheet;
use crate::model::entity::{Entity, Name};
use crate::model::metric::Metric;
use crate::model::time::{Timestamp, Window};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many metrics are additive.
const ADDITIVE: usize = places().1;
/// Where among the additive metrics each is; behind them all where it is none of them.
const PLACES: [usize; Metric::ALL.len()] = places().0;

#[allow(clippy::indexing_slicing, reason = "only run while it is compiled")]
const fn places() -> ([usize; Metric::ALL.len()], usize) {
    let (mut places, mut at, mut count) = ([usize::MAX; Metric::ALL.len()], 0, 0);
    while at < Metric::ALL.len() {
        if Metric::ALL[at].descriptor().is_additive() {
            places[at] = count;
            count += 1;
        }
        at += 1;
    }
    (places, count)
}

/// The additive metrics, in the catalogue's order.
pub fn additive() -> impl Iterator<Item = Metric> {
    Metric::ALL.iter().copied().filter(|metric| metric.descriptor().is_additive())
}

/// One sum of each additive metric that any summand had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums([Option<u64>; ADDITIVE]);

impl Sums {
    /// Adds one value; stays at the largest number where the sum would not fit.
    pub fn add(&mut self, metric: Metric, held: u64) {
        let place = PLACES.get(metric.index()).and_then(|place| self.0.get_mut(*place));
        if let Some(sum) = place {
            *sum = Some(sum.unwrap_or(0).saturating_add(held));
        }
    }

    /// Adds every sum of `other`.
    pub fn add_all(&mut self, other: &Sums) {
        for (metric, held) in other.iter() {
            self.add(metric, held);
        }
    }

    /// The sums there are.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, u64)> {
        additive().zip(&self.0).filter_map(|(metric, sum)| Some((metric, (*sum)?)))
    }
}

/// Sums by namespace: what one node adds, or what all of them add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceSums(BTreeMap<Name, Box<Sums>>);

impl FromIterator<(Name, Box<Sums>)> for NamespaceSums {
    fn from_iter<I: IntoIterator<Item = (Name, Box<Sums>)>>(sums: I) -> Self {
        Self(sums.into_iter().collect())
    }
}

impl NamespaceSums {
    /// The sums of a namespace, there from now on.
    pub fn of(&mut self, namespace: &Name) -> &mut Sums {
        self.0.entry(namespace.clone()).or_default()
    }

    /// Every namespace and its sums, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Sums)> {
        self.0.iter().map(|(namespace, sums)| (namespace, &**sums))
    }

    /// Adds every namespace of `other`.
    pub fn add_all(&mut self, other: &NamespaceSums) {
        for (namespace, sums) in &other.0 {
            self.of(namespace).add_all(sums);
        }
    }

    /// The points of the namespaces and of the cluster for one window, as a block.
    pub fn pack(&self, window: Window, at: Timestamp, previous: Option<&Block>) -> Block {
        let entities: Vec<Entity> = std::iter::once(Entity::Cluster)
            .chain(self.0.keys().map(|namespace| Entity::Namespace(namespace.clone())))
            .collect();
        let rows = Rows::new(entities.iter().map(|entity| (entity, None)));
        let rows = match previous {
            Some(previous) if *previous.layout.rows == rows => previous.layout.rows.clone(),
            _ => Arc::new(rows),
        };
        let mut sheet = Sheet::new(rows.clone());
        let mut cluster = Sums::default();
        for (namespace, sums) in &self.0 {
            cluster.add_all(sums);
            write(&mut sheet, rows.find(&Entity::Namespace(namespace.clone()), None), sums);
        }
        write(&mut sheet, rows.find(&Entity::Cluster, None), &cluster);
        sheet.pack(window, at, None, previous)
    }
}

fn write(sheet: &mut Sheet, row: Option<usize>, sums: &Sums) {
    if let Some(row) = row {
        for (metric, held) in sums.iter() {
            sheet.set(row, metric, held);
        }
    }
}
