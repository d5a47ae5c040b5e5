//! The figures of one entity as they come, drafted until it is known whose they are: that is left to `entities`, which
//! leaf is which metric to `leaves`.

use super::Piece;
use super::leaves::{Accelerators, Cpu, Fs, Interface, Io, Memory, Network, Psi, Swap, UserMetrics, Volumes};
use crate::model::metric::Metric;
use crate::model::time::Timestamp;
use crate::wire::lenient::Leaf;
use crate::wire::members::{List, Object};
use crate::wire::telling::Text;
use serde::de::MapAccess;
use std::borrow::Cow;
use std::ops::Range;

/// What an entity's object has told so far: whose it is may come last.
#[derive(Debug, Default)]
pub(super) struct Draft<'a> {
    /// The entity's own values.
    pub whole: Vec<(Metric, u64)>,
    /// Its parts, and where among `values` theirs are.
    pub parts: Vec<(Piece<'a>, Range<usize>)>,
    pub values: Vec<(Metric, u64)>,
    pub custom: Vec<(Cow<'a, str>, f64)>,
    /// Leaves that are of no use.
    pub broken: u64,
    /// Parts without a name.
    pub nameless: u64,
    pub interfaces: Vec<Interface<'a>>,
    pub cpu_time: Leaf<Timestamp>,
    pub memory_time: Leaf<Timestamp>,
    /// Bytes of local storage: the sum of those file systems that tell theirs.
    used: Option<u64>,
}

/// A name. An empty one is as good as none: nothing could ask for it.
pub(super) fn name<'a>(leaf: Text<'a>, broken: &mut u64) -> Option<Cow<'a, str>> {
    leaf.or_count(broken);
    leaf.into_option().filter(|name| !name.is_empty())
}

/// Sets a number, if it is there.
pub(super) fn number(values: &mut Vec<(Metric, u64)>, broken: &mut u64, metric: Metric, leaf: &Leaf<u64>) {
    values.extend(leaf.or_count(broken).map(|held| (metric, *held)));
}

/// Sets an instant, if somebody set it.
fn instant(values: &mut Vec<(Metric, u64)>, broken: &mut u64, metric: Metric, leaf: &Leaf<Timestamp>) {
    let at = leaf.or_count(broken).and_then(|at| u64::try_from(at.nanos()).ok());
    values.extend(at.filter(|nanos| *nanos > 0).map(|nanos| (metric, nanos)));
}

impl<'a> Draft<'a> {
    /// Reads a number of the entity's own.
    pub fn value<A: MapAccess<'a>>(&mut self, metric: Metric, map: &mut A) -> Result<(), A::Error> {
        number(&mut self.whole, &mut self.broken, metric, &map.next_value()?);
        Ok(())
    }

    pub fn start<A: MapAccess<'a>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        instant(&mut self.whole, &mut self.broken, Metric::StartTime, &map.next_value()?);
        Ok(())
    }

    /// Counts what should have been an object and is none.
    pub fn count(&mut self, found: Leaf<()>) {
        found.or_count(&mut self.broken);
    }

    pub fn cpu<A: MapAccess<'a>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let found = map.next_value_seed(Object(&mut Cpu(self)))?;
        self.count(found);
        Ok(())
    }

    pub fn memory<A: MapAccess<'a>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let found = map.next_value_seed(Object(&mut Memory(self)))?;
        self.count(found);
        Ok(())
    }

    pub fn io<A: MapAccess<'a>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let found = map.next_value_seed(Object(&mut Io(self)))?;
        self.count(found);
        Ok(())
    }

    pub fn swap<A: MapAccess<'a>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let found = map.next_value_seed(Object(&mut Swap(self)))?;
        self.count(found);
        Ok(())
    }

    pub fn psi<A: MapAccess<'a>>(
        &mut self,
        some: [Metric; 4],
        full: [Metric; 4],
        map: &mut A,
    ) -> Result<(), A::Error> {
        let found = map.next_value_seed(Object(&mut Psi { draft: self, some, full }))?;
        self.count(found);
        Ok(())
    }

    /// Reads a file system. What it says is used counts as the entity's where `is_local`.
    pub fn fs<A: MapAccess<'a>>(
        &mut self,
        resource: &'static str,
        is_local: bool,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let first = self.values.len();
        let mut fs = Fs { draft: self, name: Leaf::Absent, used: Leaf::Absent };
        let found = map.next_value_seed(Object(&mut fs))?;
        let used = fs.used.into_option().filter(|_| is_local);
        self.used = self.used.into_iter().chain(used).reduce(u64::saturating_add);
        self.count(found);
        if found == Leaf::Is(()) {
            self.parts.push((Piece::Resource(resource), first..self.values.len()));
        }
        Ok(())
    }

    pub fn volumes<A: MapAccess<'a>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let broken = map.next_value_seed(List(&mut Volumes(self)))?;
        self.broken += broken.unwrap_or(0);
        Ok(())
    }

    /// Reads the traffic. The default interface is the entity's. Where the kubelet names none (Windows, some clouds) it
    /// is the sum of all. Each interface is told beside it, unless it is the only one, the default, and says the same.
    pub fn network<A: MapAccess<'a>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let mut network = Network { draft: self, time: Leaf::Absent, default: Interface::default() };
        let found = map.next_value_seed(Object(&mut network))?;
        let (time, Interface { name: default, counters: inline }) = (network.time, network.default);
        self.count(found);
        let mut interfaces = std::mem::take(&mut self.interfaces);
        instant(&mut self.whole, &mut self.broken, Metric::NetworkTime, &time);
        let all_absent = inline.iter().all(|leaf| *leaf == Leaf::Absent);
        for (at, metric) in COUNTERS.into_iter().enumerate() {
            let parts = interfaces.iter().filter_map(|interface| interface.counters.get(at)?.get().copied());
            let sum = if all_absent { parts.reduce(u64::saturating_add) } else { None };
            let own = inline.get(at).and_then(|leaf| leaf.or_count(&mut self.broken)).copied();
            self.whole.extend(own.or(sum).map(|held| (metric, held)));
        }
        let default = name(default, &mut self.broken);
        let alone = interfaces.len() == 1;
        for interface in interfaces.drain(..) {
            let Some(name) = name(interface.name, &mut self.broken) else { continue };
            if alone && default.as_ref() == Some(&name) && interface.counters == inline {
                continue;
            }
            let first = self.values.len();
            instant(&mut self.values, &mut self.broken, Metric::NetworkTime, &time);
            for (metric, leaf) in COUNTERS.into_iter().zip(&interface.counters) {
                number(&mut self.values, &mut self.broken, metric, leaf);
            }
            self.parts.push((Piece::Interface(name), first..self.values.len()));
        }
        self.interfaces = interfaces;
        Ok(())
    }

    pub fn accelerators<A: MapAccess<'a>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let broken = map.next_value_seed(List(&mut Accelerators(self)))?;
        self.broken += broken.unwrap_or(0);
        Ok(())
    }

    pub fn user_metrics<A: MapAccess<'a>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let broken = map.next_value_seed(List(&mut UserMetrics(self)))?;
        self.broken += broken.unwrap_or(0);
        Ok(())
    }

    /// Sets what could not be told before the whole object was read.
    pub fn close(&mut self) {
        let (whole, broken) = (&mut self.whole, &mut self.broken);
        instant(whole, broken, Metric::CpuTime, &self.cpu_time);
        if self.memory_time.get() != self.cpu_time.get() {
            instant(whole, broken, Metric::MemoryTime, &self.memory_time);
        }
        whole.extend(self.used.map(|used| (Metric::EphemeralStorageUsage, used)));
    }

    /// Makes it as good as new.
    pub fn clear(&mut self) {
        self.whole.clear();
        self.parts.clear();
        self.values.clear();
        self.custom.clear();
        (self.cpu_time, self.memory_time) = (Leaf::Absent, Leaf::Absent);
        (self.used, self.broken, self.nameless) = (None, 0, 0);
    }
}

const COUNTERS: [Metric; 4] =
    [Metric::NetworkRx, Metric::NetworkRxErrors, Metric::NetworkTx, Metric::NetworkTxErrors];
