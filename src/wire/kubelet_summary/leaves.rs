//! Which leaf of a summary is which metric, object by object. What becomes of the figures is left to `figures`.

use super::Piece;
use super::figures::{Draft, name, number};
use crate::model::metric::Metric as M;
use crate::model::time::Timestamp;
use crate::wire::lenient::Leaf;
use crate::wire::members::{Elements, List, Members, Object, skip};
use crate::wire::telling::Text;
use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess};

/// The names of an object's members; `Other` is whatever nobody reads.
macro_rules! keys {
    ($name:ident { $($(#[$spelt:meta])? $key:ident)* }) => {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "camelCase")]
        pub(super) enum $name { $($(#[$spelt])? $key,)* #[serde(other)] Other }
    };
}
pub(super) use keys;

keys!(CpuKey { Time UsageNanoCores UsageCoreNanoSeconds Psi });
keys!(MemoryKey { Time AvailableBytes UsageBytes WorkingSetBytes RssBytes PageFaults MajorPageFaults Psi });
keys!(IoKey { Psi });
keys!(SwapKey { SwapAvailableBytes SwapUsageBytes });
keys!(PsiKey { Some Full });
keys!(PressureKey { Total Avg10 Avg60 Avg300 });
keys!(FsKey { Name AvailableBytes CapacityBytes UsedBytes InodesFree Inodes InodesUsed });
keys!(NetworkKey { Time Name RxBytes RxErrors TxBytes TxErrors Interfaces });
keys!(AcceleratorKey { Make Model Id MemoryTotal MemoryUsed DutyCycle });
keys!(UserMetricKey { Name Value });

pub(super) struct Cpu<'d, 'a>(pub &'d mut Draft<'a>);

impl<'a> Members<'a> for Cpu<'_, 'a> {
    type Key = CpuKey;

    fn take<A: MapAccess<'a>>(&mut self, key: CpuKey, map: &mut A) -> Result<(), A::Error> {
        let metric = match key {
            CpuKey::Time => {
                self.0.cpu_time = map.next_value()?;
                return Ok(());
            }
            CpuKey::UsageNanoCores => M::CpuUsageNanocores,
            CpuKey::UsageCoreNanoSeconds => M::CpuUsage,
            CpuKey::Psi => {
                let some = [
                    M::CpuPressureSomeTotal,
                    M::CpuPressureSomeAvg10,
                    M::CpuPressureSomeAvg60,
                    M::CpuPressureSomeAvg300,
                ];
                let full = [
                    M::CpuPressureFullTotal,
                    M::CpuPressureFullAvg10,
                    M::CpuPressureFullAvg60,
                    M::CpuPressureFullAvg300,
                ];
                return self.0.psi(some, full, map);
            }
            CpuKey::Other => return skip(map),
        };
        self.0.value(metric, map)
    }
}

pub(super) struct Memory<'d, 'a>(pub &'d mut Draft<'a>);

impl<'a> Members<'a> for Memory<'_, 'a> {
    type Key = MemoryKey;

    fn take<A: MapAccess<'a>>(&mut self, key: MemoryKey, map: &mut A) -> Result<(), A::Error> {
        let metric = match key {
            MemoryKey::Time => {
                self.0.memory_time = map.next_value()?;
                return Ok(());
            }
            MemoryKey::AvailableBytes => M::MemoryAvailable,
            MemoryKey::UsageBytes => M::MemoryUsage,
            MemoryKey::WorkingSetBytes => M::MemoryWorkingSet,
            MemoryKey::RssBytes => M::MemoryRss,
            MemoryKey::PageFaults => M::MemoryPageFaults,
            MemoryKey::MajorPageFaults => M::MemoryMajorPageFaults,
            MemoryKey::Psi => {
                let some = [
                    M::MemoryPressureSomeTotal,
                    M::MemoryPressureSomeAvg10,
                    M::MemoryPressureSomeAvg60,
                    M::MemoryPressureSomeAvg300,
                ];
                let full = [
                    M::MemoryPressureFullTotal,
                    M::MemoryPressureFullAvg10,
                    M::MemoryPressureFullAvg60,
                    M::MemoryPressureFullAvg300,
                ];
                return self.0.psi(some, full, map);
            }
            MemoryKey::Other => return skip(map),
        };
        self.0.value(metric, map)
    }
}

pub(super) struct Io<'d, 'a>(pub &'d mut Draft<'a>);

impl<'a> Members<'a> for Io<'_, 'a> {
    type Key = IoKey;

    fn take<A: MapAccess<'a>>(&mut self, key: IoKey, map: &mut A) -> Result<(), A::Error> {
        let IoKey::Psi = key else { return skip(map) };
        let some =
            [M::IoPressureSomeTotal, M::IoPressureSomeAvg10, M::IoPressureSomeAvg60, M::IoPressureSomeAvg300];
        let full =
            [M::IoPressureFullTotal, M::IoPressureFullAvg10, M::IoPressureFullAvg60, M::IoPressureFullAvg300];
        self.0.psi(some, full, map)
    }
}

pub(super) struct Swap<'d, 'a>(pub &'d mut Draft<'a>);

impl<'a> Members<'a> for Swap<'_, 'a> {
    type Key = SwapKey;

    fn take<A: MapAccess<'a>>(&mut self, key: SwapKey, map: &mut A) -> Result<(), A::Error> {
        match key {
            SwapKey::SwapUsageBytes => self.0.value(M::SwapUsage, map),
            SwapKey::SwapAvailableBytes => self.0.value(M::SwapAvailable, map),
            SwapKey::Other => skip(map),
        }
    }
}

/// Pressure: of a total and three averages the metrics.
pub(super) struct Psi<'d, 'a> {
    pub draft: &'d mut Draft<'a>,
    pub some: [M; 4],
    pub full: [M; 4],
}

impl<'a> Members<'a> for Psi<'_, 'a> {
    type Key = PsiKey;

    fn take<A: MapAccess<'a>>(&mut self, key: PsiKey, map: &mut A) -> Result<(), A::Error> {
        let metrics = match key {
            PsiKey::Some => self.some,
            PsiKey::Full => self.full,
            PsiKey::Other => return skip(map),
        };
        let found = map.next_value_seed(Object(&mut Pressure { draft: self.draft, metrics }))?;
        self.draft.count(found);
        Ok(())
    }
}

struct Pressure<'d, 'a> {
    draft: &'d mut Draft<'a>,
    metrics: [M; 4],
}

impl<'a> Members<'a> for Pressure<'_, 'a> {
    type Key = PressureKey;

    fn take<A: MapAccess<'a>>(&mut self, key: PressureKey, map: &mut A) -> Result<(), A::Error> {
        let [total, avg10, avg60, avg300] = self.metrics;
        let metric = match key {
            PressureKey::Total => return self.draft.value(total, map),
            PressureKey::Avg10 => avg10,
            PressureKey::Avg60 => avg60,
            PressureKey::Avg300 => avg300,
            PressureKey::Other => return skip(map),
        };
        let leaf: Leaf<f64> = map.next_value()?;
        if let Some(number) = leaf.or_count(&mut self.draft.broken) {
            match metric.descriptor().form.hold(*number) {
                Some(held) => self.draft.whole.push((metric, held)),
                None => self.draft.broken += 1,
            }
        }
        Ok(())
    }
}

/// A file system or volume, told among the parts' values.
pub(super) struct Fs<'d, 'a> {
    pub draft: &'d mut Draft<'a>,
    pub name: Text<'a>,
    pub used: Leaf<u64>,
}

impl<'a> Members<'a> for Fs<'_, 'a> {
    type Key = FsKey;

    fn take<A: MapAccess<'a>>(&mut self, key: FsKey, map: &mut A) -> Result<(), A::Error> {
        let metric = match key {
            FsKey::Name => {
                self.name = map.next_value()?;
                return Ok(());
            }
            FsKey::AvailableBytes => M::FilesystemAvailable,
            FsKey::CapacityBytes => M::FilesystemLimit,
            FsKey::UsedBytes => M::FilesystemUsage,
            FsKey::InodesFree => M::FilesystemInodesFree,
            FsKey::Inodes => M::FilesystemInodes,
            FsKey::InodesUsed => M::FilesystemInodesUsed,
            FsKey::Other => return skip(map),
        };
        let leaf = map.next_value()?;
        if metric == M::FilesystemUsage {
            self.used = leaf;
        }
        number(&mut self.draft.values, &mut self.draft.broken, metric, &leaf);
        Ok(())
    }
}

pub(super) struct Volumes<'d, 'a>(pub &'d mut Draft<'a>);

impl<'a> Elements<'a> for Volumes<'_, 'a> {
    fn next<A: SeqAccess<'a>>(&mut self, list: &mut A) -> Result<Option<Leaf<()>>, A::Error> {
        let (first, broken) = (self.0.values.len(), self.0.broken);
        let mut volume = Fs { draft: self.0, name: Leaf::Absent, used: Leaf::Absent };
        let found = list.next_element_seed(Object(&mut volume))?;
        let told = volume.name;
        let mut nameless = broken;
        match name(told, &mut nameless) {
            Some(name) => self.0.parts.push((Piece::Volume(name), first..self.0.values.len())),
            None => {
                self.0.broken = nameless;
                self.0.nameless += u64::from(found == Some(Leaf::Is(())));
            }
        }
        Ok(found)
    }
}

/// What an interface, or the network of itself, tells.
#[derive(Debug, Default)]
pub(super) struct Interface<'a> {
    pub name: Text<'a>,
    /// Bytes and errors received, bytes and errors sent.
    pub counters: [Leaf<u64>; 4],
}

impl<'a> Members<'a> for Interface<'a> {
    type Key = NetworkKey;

    fn take<A: MapAccess<'a>>(&mut self, key: NetworkKey, map: &mut A) -> Result<(), A::Error> {
        let [rx, rx_errors, tx, tx_errors] = &mut self.counters;
        let counter = match key {
            NetworkKey::RxBytes => rx,
            NetworkKey::RxErrors => rx_errors,
            NetworkKey::TxBytes => tx,
            NetworkKey::TxErrors => tx_errors,
            NetworkKey::Name => {
                self.name = map.next_value()?;
                return Ok(());
            }
            NetworkKey::Time | NetworkKey::Interfaces | NetworkKey::Other => return skip(map),
        };
        *counter = map.next_value()?;
        Ok(())
    }
}

pub(super) struct Network<'d, 'a> {
    pub draft: &'d mut Draft<'a>,
    pub time: Leaf<Timestamp>,
    pub default: Interface<'a>,
}

impl<'a> Members<'a> for Network<'_, 'a> {
    type Key = NetworkKey;

    fn take<A: MapAccess<'a>>(&mut self, key: NetworkKey, map: &mut A) -> Result<(), A::Error> {
        match key {
            NetworkKey::Time => self.time = map.next_value()?,
            NetworkKey::Interfaces => {
                let broken = map.next_value_seed(List(&mut Interfaces(&mut self.draft.interfaces)))?;
                self.draft.broken += broken.unwrap_or(0);
            }
            other => self.default.take(other, map)?,
        }
        Ok(())
    }
}

struct Interfaces<'d, 'a>(&'d mut Vec<Interface<'a>>);

impl<'a> Elements<'a> for Interfaces<'_, 'a> {
    fn next<A: SeqAccess<'a>>(&mut self, list: &mut A) -> Result<Option<Leaf<()>>, A::Error> {
        let mut interface = Interface::default();
        let found = list.next_element_seed(Object(&mut interface))?;
        if found == Some(Leaf::Is(())) {
            self.0.push(interface);
        }
        Ok(found)
    }
}

pub(super) struct Accelerators<'d, 'a>(pub &'d mut Draft<'a>);

struct Accelerator<'d, 'a> {
    draft: &'d mut Draft<'a>,
    names: [Text<'a>; 3],
}

impl<'a> Members<'a> for Accelerator<'_, 'a> {
    type Key = AcceleratorKey;

    fn take<A: MapAccess<'a>>(&mut self, key: AcceleratorKey, map: &mut A) -> Result<(), A::Error> {
        let [make, model, id] = &mut self.names;
        let metric = match key {
            AcceleratorKey::Make => return map.next_value().map(|text| *make = text),
            AcceleratorKey::Model => return map.next_value().map(|text| *model = text),
            AcceleratorKey::Id => return map.next_value().map(|text| *id = text),
            AcceleratorKey::MemoryTotal => M::AcceleratorMemoryTotal,
            AcceleratorKey::MemoryUsed => M::AcceleratorMemoryUsed,
            AcceleratorKey::DutyCycle => M::AcceleratorDutyCycle,
            AcceleratorKey::Other => return skip(map),
        };
        number(&mut self.draft.values, &mut self.draft.broken, metric, &map.next_value()?);
        Ok(())
    }
}

impl<'a> Elements<'a> for Accelerators<'_, 'a> {
    fn next<A: SeqAccess<'a>>(&mut self, list: &mut A) -> Result<Option<Leaf<()>>, A::Error> {
        let first = self.0.values.len();
        let mut accelerator = Accelerator { draft: self.0, names: Default::default() };
        let found = list.next_element_seed(Object(&mut accelerator))?;
        if found == Some(Leaf::Is(())) {
            let names = accelerator.names.map(|text| name(text, &mut self.0.broken).unwrap_or_default());
            self.0.parts.push((Piece::Accelerator(Box::new(names)), first..self.0.values.len()));
        }
        Ok(found)
    }
}

pub(super) struct UserMetrics<'d, 'a>(pub &'d mut Draft<'a>);

#[derive(Default)]
struct UserMetric<'a> {
    name: Text<'a>,
    value: Leaf<f64>,
}

impl<'a> Members<'a> for UserMetric<'a> {
    type Key = UserMetricKey;

    fn take<A: MapAccess<'a>>(&mut self, key: UserMetricKey, map: &mut A) -> Result<(), A::Error> {
        match key {
            UserMetricKey::Name => self.name = map.next_value()?,
            UserMetricKey::Value => self.value = map.next_value()?,
            UserMetricKey::Other => skip(map)?,
        }
        Ok(())
    }
}

impl<'a> Elements<'a> for UserMetrics<'_, 'a> {
    fn next<A: SeqAccess<'a>>(&mut self, list: &mut A) -> Result<Option<Leaf<()>>, A::Error> {
        let mut metric = UserMetric::default();
        let found = list.next_element_seed(Object(&mut metric))?;
        if let Some(name) = name(metric.name, &mut self.0.broken)
            && let Some(value) = metric.value.or_count(&mut self.0.broken)
        {
            self.0.custom.push((name, *value));
        }
        Ok(found)
    }
}
