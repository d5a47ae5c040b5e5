//! A decoded summary told row by row: which leaf is which metric. Reading the JSON is left to the module above.

use super::{Container, Cpu, Fs, Interface, Io, Memory, Network, Node, Pod, Psi, Summary, Swap};
use crate::model::metric::Metric;
use crate::model::report::{Part, Report, Subject};
use crate::wire::lenient::{Leaf, Object};
use crate::wire::telling::{Child, child, elements, instant, text, value};

impl Summary<'_> {
    /// What the summary says, row by row. System containers get the names that Heapster gave them
    /// (`metrics/sources/summary/summary.go`): `runtime` is `docker-daemon`, `misc` is `system`.
    pub fn report(&self) -> Report<'_> {
        let mut report = Report::default();
        if let Some(Object(node)) = self.node.or_count(&mut report.broken_leaves) {
            node.tell(&mut report);
        }
        for Object(pod) in elements(&self.pods, &mut report) {
            pod.tell(&mut report);
        }
        report
    }
}

impl Node<'_> {
    fn tell<'s>(&'s self, report: &mut Report<'s>) {
        report.claimed_node = text(&self.node_name, report);
        report.begin(Subject::Node, Part::Whole);
        instant(report, Metric::StartTime, &self.start_time);
        tell_core(report, &self.cpu, &self.memory, &self.io, &self.swap);
        if let Some(Object(limits)) = child(&self.rlimit, report) {
            value(report, Metric::ProcessLimit, &limits.maxpid);
            value(report, Metric::ProcessCount, &limits.curproc);
        }
        tell_used(report, &[&self.fs]);
        tell_network(report, Subject::Node, &self.network);
        tell_fs(report, Subject::Node, "/", &self.fs);
        if let Some(Object(runtime)) = child(&self.runtime, report) {
            tell_fs(report, Subject::Node, "imagefs", &runtime.image_fs);
            tell_fs(report, Subject::Node, "containerfs", &runtime.container_fs);
        }
        for Object(container) in elements(&self.system_containers, report) {
            let Some(name) = text(&container.name, report) else { continue };
            let name = match name {
                "runtime" => "docker-daemon",
                "misc" => "system",
                other => other,
            };
            container.tell(report, Subject::Free(name));
        }
    }
}

impl Pod<'_> {
    fn tell<'s>(&'s self, report: &mut Report<'s>) {
        let Some(Object(reference)) = child(&self.pod_ref, report) else { return };
        let (Some(namespace), Some(name)) =
            (text(&reference.namespace, report), text(&reference.name, report))
        else {
            return;
        };
        let subject = Subject::Pod(namespace, name);
        report.begin(subject, Part::Whole);
        instant(report, Metric::StartTime, &self.start_time);
        tell_core(report, &self.cpu, &self.memory, &self.io, &self.swap);
        if let Some(Object(processes)) = child(&self.process_stats, report) {
            value(report, Metric::ProcessCount, &processes.process_count);
        }
        tell_used(report, &[&self.ephemeral_storage]);
        tell_network(report, subject, &self.network);
        tell_fs(report, subject, "ephemeral-storage", &self.ephemeral_storage);
        for Object(volume) in elements(&self.volume, report) {
            let Some(volume_name) = text(&volume.name, report) else { continue };
            report.begin(subject, Part::Resource("Volume:", volume_name));
            value(report, Metric::FilesystemAvailable, &volume.available_bytes);
            value(report, Metric::FilesystemLimit, &volume.capacity_bytes);
            value(report, Metric::FilesystemUsage, &volume.used_bytes);
            value(report, Metric::FilesystemInodesFree, &volume.inodes_free);
            value(report, Metric::FilesystemInodes, &volume.inodes);
            value(report, Metric::FilesystemInodesUsed, &volume.inodes_used);
        }
        for Object(container) in elements(&self.containers, report) {
            let Some(container_name) = text(&container.name, report) else { continue };
            container.tell(report, Subject::Container(namespace, name, container_name));
        }
    }
}

impl Container<'_> {
    fn tell<'s>(&'s self, report: &mut Report<'s>, subject: Subject<'s>) {
        report.begin(subject, Part::Whole);
        instant(report, Metric::StartTime, &self.start_time);
        tell_core(report, &self.cpu, &self.memory, &self.io, &self.swap);
        tell_used(report, &[&self.rootfs, &self.logs]);
        for Object(metric) in elements(&self.user_defined_metrics, report) {
            let Some(name) = text(&metric.name, report) else { continue };
            if let Some(value) = metric.value.or_count(&mut report.broken_leaves) {
                report.push_custom(name, *value);
            }
        }
        tell_fs(report, subject, "/", &self.rootfs);
        tell_fs(report, subject, "logs", &self.logs);
        for Object(accelerator) in elements(&self.accelerators, report) {
            let make = text(&accelerator.make, report).unwrap_or_default();
            let model = text(&accelerator.model, report).unwrap_or_default();
            let id = text(&accelerator.id, report).unwrap_or_default();
            report.begin(subject, Part::Accelerator(make, model, id));
            value(report, Metric::AcceleratorMemoryTotal, &accelerator.memory_total);
            value(report, Metric::AcceleratorMemoryUsed, &accelerator.memory_used);
            value(report, Metric::AcceleratorDutyCycle, &accelerator.duty_cycle);
        }
    }
}

fn fraction(report: &mut Report<'_>, metric: Metric, leaf: &Leaf<f64>) {
    let Some(number) = leaf.or_count(&mut report.broken_leaves) else { return };
    match metric.descriptor().form.hold(*number) {
        Some(held) => report.push(metric, held),
        None => report.broken_leaves += 1,
    }
}

fn tell_core(
    report: &mut Report<'_>,
    cpu: &Child<Cpu>,
    memory: &Child<Memory>,
    io: &Child<Io>,
    swap: &Child<Swap>,
) {
    use Metric as M;
    let mut cpu_time = None;
    if let Some(Object(cpu)) = child(cpu, report) {
        cpu_time = cpu.time.get();
        instant(report, M::CpuTime, &cpu.time);
        value(report, M::CpuUsage, &cpu.usage_core_nano_seconds);
        value(report, M::CpuUsageNanocores, &cpu.usage_nano_cores);
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
        tell_psi(report, &cpu.psi, some, full);
    }
    if let Some(Object(memory)) = child(memory, report) {
        if memory.time.get() != cpu_time {
            instant(report, M::MemoryTime, &memory.time);
        }
        value(report, M::MemoryAvailable, &memory.available_bytes);
        value(report, M::MemoryUsage, &memory.usage_bytes);
        value(report, M::MemoryWorkingSet, &memory.working_set_bytes);
        value(report, M::MemoryRss, &memory.rss_bytes);
        value(report, M::MemoryPageFaults, &memory.page_faults);
        value(report, M::MemoryMajorPageFaults, &memory.major_page_faults);
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
        tell_psi(report, &memory.psi, some, full);
    }
    if let Some(Object(io)) = child(io, report) {
        let some =
            [M::IoPressureSomeTotal, M::IoPressureSomeAvg10, M::IoPressureSomeAvg60, M::IoPressureSomeAvg300];
        let full =
            [M::IoPressureFullTotal, M::IoPressureFullAvg10, M::IoPressureFullAvg60, M::IoPressureFullAvg300];
        tell_psi(report, &io.psi, some, full);
    }
    if let Some(Object(swap)) = child(swap, report) {
        value(report, M::SwapUsage, &swap.swap_usage_bytes);
        value(report, M::SwapAvailable, &swap.swap_available_bytes);
    }
}

fn tell_psi(report: &mut Report<'_>, psi: &Child<Psi>, some: [Metric; 4], full: [Metric; 4]) {
    let Some(Object(psi)) = child(psi, report) else { return };
    for (pressure, [total, avg10, avg60, avg300]) in [(&psi.some, some), (&psi.full, full)] {
        if let Some(Object(pressure)) = child(pressure, report) {
            value(report, total, &pressure.total);
            fraction(report, avg10, &pressure.avg10);
            fraction(report, avg60, &pressure.avg60);
            fraction(report, avg300, &pressure.avg300);
        }
    }
}

/// Bytes of local storage: the sum of those file systems that tell theirs.
fn tell_used(report: &mut Report<'_>, parts: &[&Child<Fs>]) {
    let used = parts.iter().filter_map(|fs| fs.get()?.0.used_bytes.get());
    if let Some(sum) = used.copied().reduce(u64::saturating_add) {
        report.push(Metric::EphemeralStorageUsage, sum);
    }
}

fn tell_fs<'s>(report: &mut Report<'s>, subject: Subject<'s>, resource: &'static str, fs: &Child<Fs>) {
    let Some(Object(fs)) = child(fs, report) else { return };
    report.begin(subject, Part::Resource("", resource));
    value(report, Metric::FilesystemAvailable, &fs.available_bytes);
    value(report, Metric::FilesystemLimit, &fs.capacity_bytes);
    value(report, Metric::FilesystemUsage, &fs.used_bytes);
    value(report, Metric::FilesystemInodesFree, &fs.inodes_free);
    value(report, Metric::FilesystemInodes, &fs.inodes);
    value(report, Metric::FilesystemInodesUsed, &fs.inodes_used);
}

const COUNTERS: [Metric; 4] =
    [Metric::NetworkRx, Metric::NetworkRxErrors, Metric::NetworkTx, Metric::NetworkTxErrors];

/// The default interface is the subject's traffic. Where the kubelet names none (Windows, some clouds) it is the sum
/// of all. Each interface is told beside it, unless it is the only one, the default, and says the same.
fn tell_network<'s>(report: &mut Report<'s>, subject: Subject<'s>, network: &'s Child<Network<'_>>) {
    let Some(Object(network)) = child(network, report) else { return };
    instant(report, Metric::NetworkTime, &network.time);
    let inline = [&network.rx_bytes, &network.rx_errors, &network.tx_bytes, &network.tx_errors];
    let interfaces = elements(&network.interfaces, report);
    if inline.iter().all(|leaf| **leaf == Leaf::Absent) {
        for (at, metric) in COUNTERS.into_iter().enumerate() {
            let parts =
                interfaces.iter().filter_map(|interface| interface.0.counters().get(at)?.get().copied());
            if let Some(sum) = parts.reduce(u64::saturating_add) {
                report.push(metric, sum);
            }
        }
    } else {
        for (metric, leaf) in COUNTERS.into_iter().zip(inline) {
            value(report, metric, leaf);
        }
    }
    let default = text(&network.name, report);
    let alone = interfaces.len() == 1;
    for Object(interface) in interfaces {
        let Some(name) = text(&interface.name, report) else { continue };
        if alone && default == Some(name) && interface.counters() == inline {
            continue;
        }
        report.begin(subject, Part::Interface(name));
        instant(report, Metric::NetworkTime, &network.time);
        for (metric, leaf) in COUNTERS.into_iter().zip(interface.counters()) {
            value(report, metric, leaf);
        }
    }
}

impl Interface<'_> {
    fn counters(&self) -> [&Leaf<u64>; 4] {
        [&self.rx_bytes, &self.rx_errors, &self.tx_bytes, &self.tx_errors]
    }
}
