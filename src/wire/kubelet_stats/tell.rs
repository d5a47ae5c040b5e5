//! Decoded container infos told row by row: which container is whose, which leaf is which metric. Reading the JSON is
//! left to the module above.

use super::{CustomValue, Info, Interface, Network, Sample, Spec, Stats};
use crate::model::metric::Metric;
use crate::model::report::{Part, Report, Subject};
use crate::wire::lenient::{Leaf, Object};
use crate::wire::telling::{Child, elements, instant, value};

/// The container of a pod that only holds its network.
const PAUSE: &str = "POD";
/// What Kubernetes 1.0 put before the container's name in Docker's: `k8s_web.1f2…`.
const DOCKER_PREFIX_LENGTH: usize = 4;

impl Stats<'_> {
    /// What the infos say. A pod's own row is its pause container's, which only adds to its containers' figures: see
    /// [`Report::pods_are_pause`].
    pub fn report(&self) -> Report<'_> {
        let mut report = Report::default();
        report.pods_are_pause = true;
        for info in &self.0 {
            if let Some(Object(info)) = info.or_count(&mut report.broken_leaves) {
                info.tell(&mut report);
            }
        }
        report
    }
}

impl Info<'_> {
    /// Whose it is, by labels, by Docker's name, or by cgroup (Heapster `metrics/sources/kubelet/kubelet.go`).
    fn subject(&self) -> Option<Subject<'_>> {
        let alias = self.aliases.get().and_then(|aliases| aliases.first()?.get());
        let name: &str = alias.or_else(|| self.name.get())?;
        if name == "/" {
            return Some(Subject::Node);
        }
        let label = |key: &str| {
            let labels = self.spec.get()?.0.labels.get()?;
            labels.0.iter().find(|(label, _)| label == key).map(|(_, value)| &**value)
        };
        let pod = label("io.kubernetes.pod.name").unwrap_or_default();
        let namespace = label("io.kubernetes.pod.namespace").unwrap_or_default();
        let (namespace, pod) = match pod.split_once('/') {
            Some(both) if namespace.is_empty() => both,
            _ => (namespace, pod),
        };
        let of_docker = || name.split_once('.').and_then(|(before, _)| before.get(DOCKER_PREFIX_LENGTH..));
        let container =
            label("io.kubernetes.container.name").filter(|text| !text.is_empty()).or_else(of_docker);
        match container.unwrap_or_default() {
            container if namespace.is_empty() || pod.is_empty() || container.is_empty() => {
                let bare = name.strip_prefix('/').unwrap_or(name);
                (!bare.is_empty()).then_some(Subject::Free(bare))
            }
            PAUSE => Some(Subject::Pod(namespace, pod)),
            container => Some(Subject::Container(namespace, pod, container)),
        }
    }

    fn tell<'s>(&'s self, report: &mut Report<'s>) {
        let Some(subject) = self.subject() else { return };
        let Some(sample) = self.sample(&mut report.broken_leaves) else { return };
        let spec = self.spec.or_count(&mut report.broken_leaves).map(|Object(spec)| spec);
        // Old bodies that do not say what they have are taken at their word for what is in them.
        let has = |flag: fn(&Spec<'_>) -> Option<bool>| spec.and_then(flag) != Some(false);
        report.begin(subject, Part::Whole);
        if let Some(spec) = spec {
            instant(report, Metric::StartTime, &spec.creation_time);
        }
        instant(report, Metric::CpuTime, &sample.timestamp);
        if has(|spec| spec.has_cpu.get().copied())
            && let Some(Object(cpu)) = sample.cpu.or_count(&mut report.broken_leaves)
        {
            if let Some(Object(usage)) = cpu.usage.or_count(&mut report.broken_leaves) {
                value(report, Metric::CpuUsage, &usage.total);
            }
            value(report, Metric::CpuLoad, &cpu.load_average);
        }
        if has(|spec| spec.has_memory.get().copied()) {
            sample.tell_memory(report);
        }
        if has(|spec| spec.has_network.get().copied()) {
            tell_traffic(report, &sample.network);
        }
        if let Some(spec) = spec.filter(|spec| spec.has_custom_metrics.get() != Some(&false)) {
            sample.tell_custom(report, spec);
        }
        if has(|spec| spec.has_network.get().copied()) {
            sample.tell_interfaces(report, subject);
        }
        if has(|spec| spec.has_filesystem.get().copied()) {
            sample.tell_filesystems(report, subject);
        }
        if has(|spec| spec.has_diskio.get().copied()) {
            sample.tell_disks(report, subject);
        }
        sample.tell_accelerators(report, subject);
    }
}

impl Sample<'_> {
    /// The newest value of each metric that the application declares.
    fn tell_custom<'s>(&self, report: &mut Report<'s>, spec: &'s Spec<'_>) {
        for Object(declared) in spec.custom_metrics.get().into_iter().flatten().filter_map(Leaf::get) {
            let Some(name) = declared.name.get() else { continue };
            let values = self.custom_metrics.get().and_then(|all| all.0.iter().find(|(key, _)| key == name));
            let values = values.into_iter().flat_map(|(_, values)| values).filter_map(Leaf::get);
            let at = |value: &Object<CustomValue>| value.0.timestamp.get().copied();
            // Of several as new the first, as Heapster took it.
            let newest = values.reduce(|best, value| if at(value) > at(best) { value } else { best });
            let Some(Object(newest)) = newest else { continue };
            let number = match declared.format.get().map(|format| &**format) {
                Some("int") => &newest.int_value,
                Some("float") => &newest.float_value,
                _ => continue,
            };
            if let Some(number) = number.or_count(&mut report.broken_leaves) {
                report.push_custom(name, *number);
            }
        }
    }

    fn tell_memory(&self, report: &mut Report<'_>) {
        let Some(Object(memory)) = self.memory.or_count(&mut report.broken_leaves) else { return };
        value(report, Metric::MemoryUsage, &memory.usage);
        value(report, Metric::MemoryCache, &memory.cache);
        value(report, Metric::MemoryRss, &memory.rss);
        value(report, Metric::MemoryWorkingSet, &memory.working_set);
        value(report, Metric::SwapUsage, &memory.swap);
        if let Some(Object(faults)) = memory.container_data.or_count(&mut report.broken_leaves) {
            value(report, Metric::MemoryPageFaults, &faults.pgfault);
            value(report, Metric::MemoryMajorPageFaults, &faults.pgmajfault);
        }
    }

    fn tell_filesystems<'s>(&'s self, report: &mut Report<'s>, subject: Subject<'s>) {
        for Object(fs) in elements(&self.filesystem, report) {
            let Some(device) = fs.device.get() else { continue };
            report.begin(subject, Part::Resource("", device));
            value(report, Metric::FilesystemUsage, &fs.usage);
            value(report, Metric::FilesystemLimit, &fs.capacity);
            value(report, Metric::FilesystemAvailable, &fs.available);
            if fs.has_inodes.get() == Some(&true) {
                value(report, Metric::FilesystemInodes, &fs.inodes);
                value(report, Metric::FilesystemInodesFree, &fs.inodes_free);
            }
        }
    }

    fn tell_disks<'s>(&'s self, report: &mut Report<'s>, subject: Subject<'s>) {
        let Some(Object(io)) = self.diskio.or_count(&mut report.broken_leaves) else { return };
        for Object(disk) in elements(&io.io_service_bytes, report) {
            let named = disk.device.get().map(|device| &**device).filter(|device| !device.is_empty());
            let device = named.unwrap_or(&disk.numbers);
            if device.is_empty() {
                continue;
            }
            let Some(Object(bytes)) = disk.stats.or_count(&mut report.broken_leaves) else { continue };
            report.begin(subject, Part::Resource("", device));
            self.tell_instant(report);
            value(report, Metric::DiskReadBytes, &bytes.read);
            value(report, Metric::DiskWriteBytes, &bytes.write);
        }
    }

    /// Each interface where there are several. What of them is broken was counted with their sum.
    fn tell_interfaces<'s>(&'s self, report: &mut Report<'s>, subject: Subject<'s>) {
        let interfaces = self.network.get().and_then(|Object(network)| network.interfaces.get());
        let interfaces: Vec<_> = interfaces.into_iter().flatten().filter_map(Leaf::get).collect();
        for Object(interface) in interfaces.iter().filter(|_| interfaces.len() > 1) {
            let Some(name) = interface.name.get().filter(|name| !name.is_empty()) else { continue };
            report.begin(subject, Part::Interface(name));
            self.tell_instant(report);
            for (metric, leaf) in COUNTERS.into_iter().zip(interface.counters()) {
                if let Some(held) = leaf.get() {
                    report.push(metric, *held);
                }
            }
        }
    }

    /// The sample's instant once more, for a row that is rated on its own.
    fn tell_instant(&self, report: &mut Report<'_>) {
        let at = self.timestamp.get().and_then(|at| u64::try_from(at.nanos()).ok());
        if let Some(held) = at.filter(|nanos| *nanos > 0) {
            report.push(Metric::CpuTime, held);
        }
    }

    fn tell_accelerators<'s>(&'s self, report: &mut Report<'s>, subject: Subject<'s>) {
        for Object(accelerator) in elements(&self.accelerators, report) {
            let [make, model, id] = [&accelerator.make, &accelerator.model, &accelerator.id]
                .map(|text| text.get().map(|text| &**text).unwrap_or_default());
            report.begin(subject, Part::Accelerator(make, model, id));
            value(report, Metric::AcceleratorMemoryTotal, &accelerator.memory_total);
            value(report, Metric::AcceleratorMemoryUsed, &accelerator.memory_used);
            value(report, Metric::AcceleratorDutyCycle, &accelerator.duty_cycle);
        }
    }
}

const COUNTERS: [Metric; 4] =
    [Metric::NetworkRx, Metric::NetworkRxErrors, Metric::NetworkTx, Metric::NetworkTxErrors];

impl Interface<'_> {
    fn counters(&self) -> [&Leaf<u64>; 4] {
        [&self.rx_bytes, &self.rx_errors, &self.tx_bytes, &self.tx_errors]
    }
}

/// The sum over all interfaces, as Heapster told it; where none is listed, the inline figures of old bodies.
fn tell_traffic(report: &mut Report<'_>, network: &Child<Network<'_>>) {
    let Some(Object(network)) = network.or_count(&mut report.broken_leaves) else { return };
    let inline = [&network.rx_bytes, &network.rx_errors, &network.tx_bytes, &network.tx_errors];
    let interfaces = elements(&network.interfaces, report);
    for (at, (metric, inline)) in COUNTERS.into_iter().zip(inline).enumerate() {
        let broken = &mut report.broken_leaves;
        let each =
            interfaces.iter().filter_map(|Object(interface)| interface.counters().get(at)?.or_count(broken));
        match each.copied().reduce(u64::saturating_add) {
            Some(sum) => report.push(metric, sum),
            None => value(report, metric, inline),
        }
    }
}
