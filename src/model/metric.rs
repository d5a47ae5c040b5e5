//! THE catalogue: every metric there is, one line each. A new metric is one new line; who measures, rolls up, keeps and
//! shows it reads the line and needs no other.

use super::entity::Name;

/// How a metric behaves over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the entity lives.
    Cumulative,
    /// Goes up and down.
    Gauge,
}

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things: faults, errors, inodes, processes.
    Count,
    /// Bytes.
    Bytes,
    /// Bytes in a second.
    BytesPerSecond,
    /// Things in a second.
    PerSecond,
    /// Milliseconds.
    Milliseconds,
    /// Nanoseconds.
    Nanoseconds,
    /// Thousandths of a core.
    Millicores,
    /// Billionths of a core.
    Nanocores,
    /// A share of a whole: 1 is all of it.
    Share,
    /// Hundredths of a whole: 100 is all of it.
    Percent,
}

impl Unit {
    /// The unit's name as Heapster's export schema writes it; empty for counts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "bytes/s",
            Self::PerSecond => "1/s",
            Self::Milliseconds => "ms",
            Self::Nanoseconds => "ns",
            Self::Millicores => "millicores",
            Self::Nanocores => "nanocores",
            Self::Share => "share",
            Self::Percent => "percent",
        }
    }
}

/// How a value is held: always as 64 unsigned bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A whole number, shown as one.
    Integer,
    /// A whole number that Heapster typed as a fraction.
    Whole,
    /// Thousandths.
    Milli,
    /// Millionths.
    Micro,
    /// The bits of an IEEE double, for what applications measure.
    Double,
}

/// A value as people read it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number, never negative.
    Integer(u64),
    /// A number with a fraction.
    Float(f64),
}

impl Form {
    /// What `held` stands for.
    pub fn show(self, held: u64) -> Value {
        match self {
            Self::Integer => Value::Integer(held),
            Self::Whole => Value::Float(to_f64(held)),
            Self::Milli => Value::Float(to_f64(held) / 1e3),
            Self::Micro => Value::Float(to_f64(held) / 1e6),
            Self::Double => Value::Float(f64::from_bits(held)),
        }
    }

    /// How `value` is held, rounded to the nearest that the form can hold.
    /// None where it is no number, or negative or too large for the form.
    pub fn hold(self, value: f64) -> Option<u64> {
        match self {
            Self::Integer | Self::Whole => to_u64(value.round()),
            Self::Milli => to_u64((value * 1e3).round()),
            Self::Micro => to_u64((value * 1e6).round()),
            Self::Double => value.is_finite().then(|| value.to_bits()),
        }
    }
}

/// The nearest double.
#[allow(clippy::as_conversions)]
pub fn to_f64(value: u64) -> f64 {
    value as f64
}

/// The whole number that `value` is once its fraction is cut off. None where it is negative, no number or above u64.
#[allow(clippy::as_conversions)]
pub fn to_u64(value: f64) -> Option<u64> {
    // 2^64 is the first double that a u64 cannot hold.
    (0.0..18_446_744_073_709_551_616.0).contains(&value).then_some(value as u64)
}

/// A level of the model, as a bit.
pub type Levels = u8;
/// Containers of pods.
pub const CONTAINER: Levels = 1;
/// Pods.
pub const POD: Levels = 2;
/// Free containers.
pub const FREE: Levels = 4;
/// Nodes.
pub const NODE: Levels = 8;
/// Namespaces.
pub const NAMESPACE: Levels = 16;
/// The cluster.
pub const CLUSTER: Levels = 32;
/// Whatever runs: containers, pods, free containers, nodes.
const RUNS: Levels = CONTAINER | POD | FREE | NODE;
/// Whatever is summed from pods.
const SUMS: Levels = NAMESPACE | CLUSTER;

/// Which labels tell several values of one metric apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labelled {
    /// None: one value an entity.
    No,
    /// `resource_id`: a device, `/`, `logs`, `Volume:<name>`, `imagefs`, `containerfs`, `ephemeral-storage`.
    Resource,
    /// None for the default interface, `interface` for each.
    Interface,
    /// `make`, `model`, `accelerator_id`.
    Accelerator,
}

/// One line of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// The name in every route, sink and document.
    pub name: &'static str,
    /// How it behaves over time.
    pub kind: Kind,
    /// What it counts.
    pub unit: Unit,
    /// How it is held.
    pub form: Form,
    /// Where it is found.
    pub levels: Levels,
    /// What tells several values apart.
    pub labelled: Labelled,
    /// What it means, in a few words.
    pub about: &'static str,
}

impl Descriptor {
    /// Whether pods are sums of containers, namespaces of pods and the cluster of namespaces.
    pub const fn is_additive(&self) -> bool {
        self.levels & NAMESPACE != 0
    }

    /// Whether the API names it; what is not named serves the collector itself.
    pub const fn is_public(&self) -> bool {
        self.levels != 0
    }
}

macro_rules! catalogue {
    ($($variant:ident $name:literal $kind:ident $unit:ident $form:ident $levels:expr, $labelled:ident, $about:literal;)*) => {
        /// A metric of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Metric { $(#[doc = $about] $variant,)* }

        impl Metric {
            /// Every metric, in the catalogue's order.
            pub const ALL: &'static [Metric] = &[$(Metric::$variant,)*];

            /// The key of every metric, in the same order.
            pub const KEYS: &'static [MetricKey] = &[$(MetricKey::Known(Metric::$variant),)*];

            /// The metric's line.
            pub const fn descriptor(self) -> &'static Descriptor {
                match self {
                    $(Metric::$variant => const { &Descriptor {
                        name: $name, kind: Kind::$kind, unit: Unit::$unit, form: Form::$form,
                        levels: $levels, labelled: Labelled::$labelled, about: $about,
                    } },)*
                }
            }

            /// The metric's position in the catalogue.
            #[allow(clippy::as_conversions)]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

catalogue! {
    StartTime   "start_time"   Gauge Nanoseconds Integer 0, No, "Start of the entity, since the Unix epoch";
    CpuTime     "cpu_time"     Gauge Nanoseconds Integer 0, No, "Instant at which the kubelet read the cpu figures";
    MemoryTime  "memory_time"  Gauge Nanoseconds Integer 0, No, "Instant of the memory figures where it is not that of the cpu figures";
    NetworkTime "network_time" Gauge Nanoseconds Integer 0, No, "Instant at which the kubelet read the network figures";

    Uptime "uptime" Cumulative Milliseconds Integer RUNS, No, "Time since the entity started";

    CpuUsage           "cpu/usage"            Cumulative Nanoseconds Integer RUNS, No, "CPU time used, over all cores";
    CpuLoad            "cpu/load"             Gauge Count      Integer RUNS, No, "Load average in thousandths (legacy source)";
    CpuUsageRate       "cpu/usage_rate"       Gauge Millicores Integer RUNS | SUMS, No, "CPU in use";
    CpuUsageNanocores  "cpu/usage_nanocores"  Gauge Nanocores  Integer RUNS | SUMS, No, "CPU in use by the kubelet's own reckoning";
    CpuRequest         "cpu/request"          Gauge Millicores Integer CONTAINER | POD | NODE | SUMS, No, "CPU requested";
    CpuLimit           "cpu/limit"            Gauge Millicores Integer CONTAINER | POD | NODE | SUMS, No, "CPU limit; 0 where there is none";
    CpuNodeCapacity    "cpu/node_capacity"    Gauge Millicores Whole NODE, No, "CPU of the node";
    CpuNodeAllocatable "cpu/node_allocatable" Gauge Millicores Whole NODE, No, "CPU that pods may request";
    CpuNodeUtilization "cpu/node_utilization" Gauge Share Micro NODE, No, "CPU in use, of the allocatable";
    CpuNodeReservation "cpu/node_reservation" Gauge Share Micro NODE, No, "CPU requested, of the allocatable";

    MemoryUsage               "memory/usage"                  Gauge Bytes Integer RUNS | SUMS, No, "Memory in use, caches included";
    MemoryWorkingSet          "memory/working_set"            Gauge Bytes Integer RUNS | SUMS, No, "Memory in use that the kernel cannot easily take back";
    MemoryRss                 "memory/rss"                    Gauge Bytes Integer RUNS | SUMS, No, "Anonymous memory in use";
    MemoryCache               "memory/cache"                  Gauge Bytes Integer RUNS | SUMS, No, "Page cache (legacy source)";
    MemoryAvailable           "memory/available"              Gauge Bytes Integer RUNS, No, "Memory left below the limit";
    MemoryPageFaults          "memory/page_faults"            Cumulative Count Integer RUNS, No, "Page faults";
    MemoryPageFaultsRate      "memory/page_faults_rate"       Gauge PerSecond Milli RUNS | SUMS, No, "Page faults in a second";
    MemoryMajorPageFaults     "memory/major_page_faults"      Cumulative Count Integer RUNS, No, "Page faults that had to read a disk";
    MemoryMajorPageFaultsRate "memory/major_page_faults_rate" Gauge PerSecond Milli RUNS | SUMS, No, "Major page faults in a second";
    MemoryRequest             "memory/request"                Gauge Bytes Integer CONTAINER | POD | NODE | SUMS, No, "Memory requested";
    MemoryLimit               "memory/limit"                  Gauge Bytes Integer CONTAINER | POD | NODE | SUMS, No, "Memory limit; 0 where there is none";
    MemoryNodeCapacity        "memory/node_capacity"          Gauge Bytes Whole NODE, No, "Memory of the node";
    MemoryNodeAllocatable     "memory/node_allocatable"       Gauge Bytes Whole NODE, No, "Memory that pods may request";
    MemoryNodeUtilization     "memory/node_utilization"       Gauge Share Micro NODE, No, "Memory in use, of the allocatable";
    MemoryNodeReservation     "memory/node_reservation"       Gauge Share Micro NODE, No, "Memory requested, of the allocatable";

    SwapUsage     "swap/usage"     Gauge Bytes Integer RUNS | SUMS, No, "Swap in use";
    SwapAvailable "swap/available" Gauge Bytes Integer RUNS, No, "Swap left";

    NetworkRx           "network/rx"             Cumulative Bytes Integer RUNS, Interface, "Bytes received";
    NetworkRxRate       "network/rx_rate"        Gauge BytesPerSecond Milli RUNS | SUMS, Interface, "Bytes received in a second";
    NetworkRxErrors     "network/rx_errors"      Cumulative Count Integer RUNS, Interface, "Errors while receiving";
    NetworkRxErrorsRate "network/rx_errors_rate" Gauge PerSecond Milli RUNS | SUMS, Interface, "Errors while receiving in a second";
    NetworkTx           "network/tx"             Cumulative Bytes Integer RUNS, Interface, "Bytes sent";
    NetworkTxRate       "network/tx_rate"        Gauge BytesPerSecond Milli RUNS | SUMS, Interface, "Bytes sent in a second";
    NetworkTxErrors     "network/tx_errors"      Cumulative Count Integer RUNS, Interface, "Errors while sending";
    NetworkTxErrorsRate "network/tx_errors_rate" Gauge PerSecond Milli RUNS | SUMS, Interface, "Errors while sending in a second";

    EphemeralStorageUsage           "ephemeral_storage/usage"            Gauge Bytes Integer CONTAINER | POD | NODE | SUMS, No, "Local storage in use";
    EphemeralStorageRequest         "ephemeral_storage/request"          Gauge Bytes Integer CONTAINER | POD | NODE | SUMS, No, "Local storage requested";
    EphemeralStorageLimit           "ephemeral_storage/limit"            Gauge Bytes Integer CONTAINER | POD | NODE | SUMS, No, "Local storage limit; 0 where there is none";
    EphemeralStorageNodeCapacity    "ephemeral_storage/node_capacity"    Gauge Bytes Whole NODE, No, "Local storage of the node";
    EphemeralStorageNodeAllocatable "ephemeral_storage/node_allocatable" Gauge Bytes Whole NODE, No, "Local storage that pods may request";
    EphemeralStorageNodeUtilization "ephemeral_storage/node_utilization" Gauge Share Micro NODE, No, "Local storage in use, of the allocatable";
    EphemeralStorageNodeReservation "ephemeral_storage/node_reservation" Gauge Share Micro NODE, No, "Local storage requested, of the allocatable";

    FilesystemUsage      "filesystem/usage"       Gauge Bytes Integer RUNS, Resource, "Bytes in use on the file system";
    FilesystemLimit      "filesystem/limit"       Gauge Bytes Integer RUNS, Resource, "Size of the file system";
    FilesystemAvailable  "filesystem/available"   Gauge Bytes Integer RUNS, Resource, "Bytes left on the file system";
    FilesystemInodes     "filesystem/inodes"      Gauge Count Integer RUNS, Resource, "Inodes of the file system";
    FilesystemInodesFree "filesystem/inodes_free" Gauge Count Integer RUNS, Resource, "Inodes left on the file system";
    FilesystemInodesUsed "filesystem/inodes_used" Gauge Count Integer RUNS, Resource, "Inodes in use on the file system";

    DiskReadBytes      "disk/io_read_bytes"       Cumulative Bytes Integer RUNS, Resource, "Bytes read (legacy source)";
    DiskReadBytesRate  "disk/io_read_bytes_rate"  Gauge BytesPerSecond Milli RUNS, Resource, "Bytes read in a second (legacy source)";
    DiskWriteBytes     "disk/io_write_bytes"      Cumulative Bytes Integer RUNS, Resource, "Bytes written (legacy source)";
    DiskWriteBytesRate "disk/io_write_bytes_rate" Gauge BytesPerSecond Milli RUNS, Resource, "Bytes written in a second (legacy source)";

    AcceleratorMemoryTotal "accelerator/memory_total" Gauge Bytes   Integer CONTAINER, Accelerator, "Memory of the accelerator";
    AcceleratorMemoryUsed  "accelerator/memory_used"  Gauge Bytes   Integer CONTAINER, Accelerator, "Memory of the accelerator in use";
    AcceleratorDutyCycle   "accelerator/duty_cycle"   Gauge Percent Integer CONTAINER, Accelerator, "Share of time in which the accelerator worked";

    CpuPressureSomeTotal     "cpu/pressure_some_total"     Cumulative Nanoseconds Integer RUNS, No, "Time in which some tasks waited for a cpu";
    CpuPressureSomeAvg10     "cpu/pressure_some_avg10"     Gauge Percent Milli RUNS, No, "The same as a share of the last 10 s";
    CpuPressureSomeAvg60     "cpu/pressure_some_avg60"     Gauge Percent Milli RUNS, No, "The same as a share of the last 60 s";
    CpuPressureSomeAvg300    "cpu/pressure_some_avg300"    Gauge Percent Milli RUNS, No, "The same as a share of the last 300 s";
    CpuPressureFullTotal     "cpu/pressure_full_total"     Cumulative Nanoseconds Integer RUNS, No, "Time in which all tasks waited for a cpu";
    CpuPressureFullAvg10     "cpu/pressure_full_avg10"     Gauge Percent Milli RUNS, No, "The same as a share of the last 10 s";
    CpuPressureFullAvg60     "cpu/pressure_full_avg60"     Gauge Percent Milli RUNS, No, "The same as a share of the last 60 s";
    CpuPressureFullAvg300    "cpu/pressure_full_avg300"    Gauge Percent Milli RUNS, No, "The same as a share of the last 300 s";
    MemoryPressureSomeTotal  "memory/pressure_some_total"  Cumulative Nanoseconds Integer RUNS, No, "Time in which some tasks waited for memory";
    MemoryPressureSomeAvg10  "memory/pressure_some_avg10"  Gauge Percent Milli RUNS, No, "The same as a share of the last 10 s";
    MemoryPressureSomeAvg60  "memory/pressure_some_avg60"  Gauge Percent Milli RUNS, No, "The same as a share of the last 60 s";
    MemoryPressureSomeAvg300 "memory/pressure_some_avg300" Gauge Percent Milli RUNS, No, "The same as a share of the last 300 s";
    MemoryPressureFullTotal  "memory/pressure_full_total"  Cumulative Nanoseconds Integer RUNS, No, "Time in which all tasks waited for memory";
    MemoryPressureFullAvg10  "memory/pressure_full_avg10"  Gauge Percent Milli RUNS, No, "The same as a share of the last 10 s";
    MemoryPressureFullAvg60  "memory/pressure_full_avg60"  Gauge Percent Milli RUNS, No, "The same as a share of the last 60 s";
    MemoryPressureFullAvg300 "memory/pressure_full_avg300" Gauge Percent Milli RUNS, No, "The same as a share of the last 300 s";
    IoPressureSomeTotal      "io/pressure_some_total"      Cumulative Nanoseconds Integer RUNS, No, "Time in which some tasks waited for a disk";
    IoPressureSomeAvg10      "io/pressure_some_avg10"      Gauge Percent Milli RUNS, No, "The same as a share of the last 10 s";
    IoPressureSomeAvg60      "io/pressure_some_avg60"      Gauge Percent Milli RUNS, No, "The same as a share of the last 60 s";
    IoPressureSomeAvg300     "io/pressure_some_avg300"     Gauge Percent Milli RUNS, No, "The same as a share of the last 300 s";
    IoPressureFullTotal      "io/pressure_full_total"      Cumulative Nanoseconds Integer RUNS, No, "Time in which all tasks waited for a disk";
    IoPressureFullAvg10      "io/pressure_full_avg10"      Gauge Percent Milli RUNS, No, "The same as a share of the last 10 s";
    IoPressureFullAvg60      "io/pressure_full_avg60"      Gauge Percent Milli RUNS, No, "The same as a share of the last 60 s";
    IoPressureFullAvg300     "io/pressure_full_avg300"     Gauge Percent Milli RUNS, No, "The same as a share of the last 300 s";

    ProcessCount "process/count" Gauge Count Integer POD | NODE | SUMS, No, "Processes running";
    ProcessLimit "process/limit" Gauge Count Integer NODE, No, "Processes that may run";
    RestartCount "restart_count" Gauge Count Integer CONTAINER | POD | SUMS, No, "Restarts of the containers";
}

/// A counter, the rate made of it, and the instants that its samples were read at.
#[derive(Clone, Copy, Debug)]
pub struct Rated {
    /// The cumulative metric.
    pub counter: Metric,
    /// Its rate.
    pub rate: Metric,
    /// The instant's metric.
    pub time: Metric,
}

/// Every rate that is made here rather than by the kubelet.
pub const RATED: &[Rated] = &[
    Rated { counter: Metric::CpuUsage, rate: Metric::CpuUsageRate, time: Metric::CpuTime },
    Rated { counter: Metric::MemoryPageFaults, rate: Metric::MemoryPageFaultsRate, time: Metric::MemoryTime },
    Rated {
        counter: Metric::MemoryMajorPageFaults,
        rate: Metric::MemoryMajorPageFaultsRate,
        time: Metric::MemoryTime,
    },
    Rated { counter: Metric::NetworkRx, rate: Metric::NetworkRxRate, time: Metric::NetworkTime },
    Rated { counter: Metric::NetworkRxErrors, rate: Metric::NetworkRxErrorsRate, time: Metric::NetworkTime },
    Rated { counter: Metric::NetworkTx, rate: Metric::NetworkTxRate, time: Metric::NetworkTime },
    Rated { counter: Metric::NetworkTxErrors, rate: Metric::NetworkTxErrorsRate, time: Metric::NetworkTime },
    Rated { counter: Metric::DiskReadBytes, rate: Metric::DiskReadBytesRate, time: Metric::CpuTime },
    Rated { counter: Metric::DiskWriteBytes, rate: Metric::DiskWriteBytesRate, time: Metric::CpuTime },
];

/// A metric of the catalogue, or one that only a cluster knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricKey {
    /// In the catalogue.
    Known(Metric),
    /// The request for a resource that is not in the catalogue, whole name: `nvidia.com/gpu/request`.
    Resource(Name),
    /// What an application measures of itself, whole name: `custom/queries`.
    Custom(Name),
}

impl MetricKey {
    /// The whole name.
    pub fn name(&self) -> &str {
        match self {
            Self::Known(metric) => metric.descriptor().name,
            Self::Resource(name) | Self::Custom(name) => name,
        }
    }

    /// How its values are held.
    pub fn form(&self) -> Form {
        match self {
            Self::Known(metric) => metric.descriptor().form,
            Self::Resource(_) => Form::Integer,
            Self::Custom(_) => Form::Double,
        }
    }

    /// Whether the API names it.
    pub fn is_public(&self) -> bool {
        !matches!(self, Self::Known(metric) if !metric.descriptor().is_public())
    }
}

/// What Heapster v0.18 called some metrics, and what they are called since (`metrics/api/v1/model_handlers.go`).
pub const OLD_NAMES: [(&str, &str); 5] = [
    ("cpu-usage", "cpu/usage_rate"),
    ("cpu-limit", "cpu/limit"),
    ("memory-usage", "memory/usage"),
    ("memory-working", "memory/working_set"),
    ("memory-limit", "memory/limit"),
];

/// The new name of a metric that Heapster v0.18 called otherwise; any other name as it is.
pub fn modern_name(name: &str) -> &str {
    OLD_NAMES.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new)
}
