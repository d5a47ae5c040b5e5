//! The legacy kubelet's `POST /stats/container/`: cAdvisor's container infos, v1 (Heapster
//! `metrics/sources/kubelet/kubelet.go`, cAdvisor `info/v1/container.go`), read leniently leaf by leaf. What it says is
//! told by `tell`.

mod tell;

use super::lenient::{Leaf, Map, Object, reread};
use super::rfc3339;
use super::telling::{Child, List, Text};
use crate::model::report::Report;
use crate::model::time::{Timestamp, Window};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Why a body holds no container infos.
#[derive(Debug, thiserror::Error)]
pub enum StatsError {
    /// Not UTF-8.
    #[error("the body is not UTF-8")]
    NotText(#[source] std::str::Utf8Error),
    /// Not a JSON object, or cut off.
    #[error("the body is no JSON object of containers, or was cut off")]
    NotJson(#[source] serde_json::Error),
    /// A JSON object in which nothing is a container.
    #[error("the body is a JSON object, but no container has any statistics in it")]
    NotStats,
}

impl StatsError {
    /// Whether the body ends where it should go on.
    pub fn is_cut_off(&self) -> bool {
        matches!(self, Self::NotJson(error) if error.is_eof())
    }
}

/// A decoded body. [`Stats::report`] tells what it says.
#[derive(Debug, Default)]
pub struct Stats<'a>(Vec<Child<Info<'a>>>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Info<'a> {
    name: Text<'a>,
    aliases: Leaf<Vec<Text<'a>>>,
    spec: Child<Spec<'a>>,
    stats: List<Sample<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Spec<'a> {
    creation_time: Leaf<Timestamp>,
    has_cpu: Leaf<bool>,
    has_memory: Leaf<bool>,
    has_network: Leaf<bool>,
    has_filesystem: Leaf<bool>,
    has_diskio: Leaf<bool>,
    has_custom_metrics: Leaf<bool>,
    labels: Leaf<Map<Cow<'a, str>>>,
    custom_metrics: List<CustomSpec<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct CustomSpec<'a> {
    name: Text<'a>,
    format: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Sample<'a> {
    timestamp: Leaf<Timestamp>,
    cpu: Child<Cpu>,
    memory: Child<Memory>,
    network: Child<Network<'a>>,
    filesystem: List<Filesystem<'a>>,
    diskio: Child<DiskIo<'a>>,
    accelerators: List<Accelerator<'a>>,
    custom_metrics: Leaf<Map<Vec<Leaf<Object<CustomValue>>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cpu {
    usage: Child<CpuUsage>,
    load_average: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CpuUsage {
    total: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Memory {
    usage: Leaf<u64>,
    cache: Leaf<u64>,
    rss: Leaf<u64>,
    swap: Leaf<u64>,
    working_set: Leaf<u64>,
    container_data: Child<Faults>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Faults {
    pgfault: Leaf<u64>,
    pgmajfault: Leaf<u64>,
}

/// The traffic of one interface, or that of the container's only one in bodies of Kubernetes 1.1 and before.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Interface<'a> {
    name: Text<'a>,
    rx_bytes: Leaf<u64>,
    rx_errors: Leaf<u64>,
    tx_bytes: Leaf<u64>,
    tx_errors: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Network<'a> {
    interfaces: List<Interface<'a>>,
    rx_bytes: Leaf<u64>,
    rx_errors: Leaf<u64>,
    tx_bytes: Leaf<u64>,
    tx_errors: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Filesystem<'a> {
    device: Text<'a>,
    capacity: Leaf<u64>,
    usage: Leaf<u64>,
    available: Leaf<u64>,
    has_inodes: Leaf<bool>,
    inodes: Leaf<u64>,
    inodes_free: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct DiskIo<'a> {
    io_service_bytes: List<Disk<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Disk<'a> {
    device: Text<'a>,
    major: Leaf<u64>,
    minor: Leaf<u64>,
    stats: Child<DiskBytes>,
    /// `major:minor`, filled in after reading where there is no name.
    #[serde(skip)]
    numbers: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DiskBytes {
    #[serde(rename = "Read")]
    read: Leaf<u64>,
    #[serde(rename = "Write")]
    write: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Accelerator<'a> {
    make: Text<'a>,
    model: Text<'a>,
    id: Text<'a>,
    memory_total: Leaf<u64>,
    memory_used: Leaf<u64>,
    duty_cycle: Leaf<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CustomValue {
    timestamp: Leaf<Timestamp>,
    int_value: Leaf<f64>,
    float_value: Leaf<f64>,
}

/// The request's body: everything from the root on, one sample each, within the window.
pub fn request(window: Window) -> String {
    let (start, end) = (rfc3339::format(window.step(-1).end()), rfc3339::format(window.end()));
    format!(r#"{{"containerName":"/","num_stats":1,"start":"{start}","end":"{end}","subcontainers":true}}"#)
}

/// Decodes a body and hands what it says to `then`. Even a number that is too large for any type costs only itself.
///
/// # Errors
/// Those of [`decode`].
pub fn read(body: &[u8], mut then: impl FnMut(&Report<'_>)) -> Result<(), StatsError> {
    let once = |body: &[u8], huge| {
        let stats = decode(body)?;
        let mut report = stats.report();
        report.broken_leaves += huge;
        then(&report);
        Ok(())
    };
    reread(body, once, |error| match error {
        StatsError::NotJson(error) => Some(error),
        StatsError::NotText(_) | StatsError::NotStats => None,
    })
}

/// Decodes a body.
///
/// # Errors
/// When it is no JSON object with a container in it. A broken leaf is no error: see
/// [`broken_leaves`](crate::model::report::Report::broken_leaves).
pub fn decode(body: &[u8]) -> Result<Stats<'_>, StatsError> {
    let text = std::str::from_utf8(body).map_err(StatsError::NotText)?;
    let mut stats: Stats<'_> = serde_json::from_str(text).map_err(StatsError::NotJson)?;
    for info in stats.0.iter_mut().filter_map(Leaf::get_mut) {
        info.0.name_disks();
    }
    let told = stats.0.iter().filter_map(Leaf::get).any(|Object(info)| info.sample(&mut 0).is_some());
    if told { Ok(stats) } else { Err(StatsError::NotStats) }
}

impl<'a> Info<'a> {
    /// The newest sample: the last, as Heapster took it. Counts those in `broken` that are of no use.
    fn sample(&self, broken: &mut u64) -> Option<&Sample<'a>> {
        let samples = self.stats.or_count(broken)?;
        samples.iter().rev().find_map(|sample| sample.or_count(broken)).map(|Object(sample)| sample)
    }

    fn name_disks(&mut self) {
        let samples = self.stats.get_mut().into_iter().flatten().filter_map(Leaf::get_mut);
        let disks =
            samples.filter_map(|sample| sample.0.diskio.get_mut()?.0.io_service_bytes.get_mut()).flatten();
        for Object(disk) in disks.filter_map(Leaf::get_mut) {
            if let (Some(major), Some(minor)) = (disk.major.get(), disk.minor.get()) {
                disk.numbers = format!("{major}:{minor}");
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Stats<'a> {
    /// The keys say nothing that the infos do not say themselves.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Infos;
        impl<'de> Visitor<'de> for Infos {
            type Value = Stats<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of container infos")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut infos = Vec::new();
                while let Some((_, info)) = map.next_entry::<serde::de::IgnoredAny, Child<Info<'de>>>()? {
                    infos.push(info);
                }
                Ok(Stats(infos))
            }
        }
        deserializer.deserialize_map(Infos)
    }
}
