//! Container infos read a second time, by another way: every number of the JSON that is asked for, and whose it is.

use crate::summaries_walk::Multiset;
use heapster::model::metric::Metric as M;
use heapster::model::report::{Part, Subject};
use serde_json::Value;

const TRAFFIC: [(&str, M); 4] = [
    ("rx_bytes", M::NetworkRx),
    ("rx_errors", M::NetworkRxErrors),
    ("tx_bytes", M::NetworkTx),
    ("tx_errors", M::NetworkTxErrors),
];
/// What one flag says there is: the objects on the way, and the numbers in them.
const GROUPS: [(&str, &[&str], &[(&str, M)]); 2] = [
    (
        "has_cpu",
        &["/cpu", "/cpu/usage"],
        &[("/cpu/usage/total", M::CpuUsage), ("/cpu/load_average", M::CpuLoad)],
    ),
    (
        "has_memory",
        &["/memory", "/memory/container_data"],
        &[
            ("/memory/usage", M::MemoryUsage),
            ("/memory/cache", M::MemoryCache),
            ("/memory/rss", M::MemoryRss),
            ("/memory/working_set", M::MemoryWorkingSet),
            ("/memory/swap", M::SwapUsage),
            ("/memory/container_data/pgfault", M::MemoryPageFaults),
            ("/memory/container_data/pgmajfault", M::MemoryMajorPageFaults),
        ],
    ),
];

/// Whose an info is, by the rules of Heapster's `metrics/sources/kubelet/kubelet.go`.
pub fn subject(info: &Value) -> Option<Subject<'_>> {
    let name = info["aliases"][0].as_str().or(info["name"].as_str())?;
    if name == "/" {
        return Some(Subject::Node);
    }
    let label = |key: &str| info["spec"]["labels"][format!("io.kubernetes.{key}")].as_str().unwrap_or("");
    let (mut namespace, mut pod) = (label("pod.namespace"), label("pod.name"));
    let mut container = label("container.name");
    if let (true, Some(slash)) = (namespace.is_empty(), pod.find('/')) {
        (namespace, pod) = (&pod[..slash], &pod[slash + 1..]);
    }
    if let (true, Some(dot @ 4..)) = (container.is_empty(), name.find('.')) {
        container = name.get(4..dot).unwrap_or("");
    }
    if [namespace, pod, container].contains(&"") {
        let bare = name.strip_prefix('/').unwrap_or(name);
        return Some(Subject::Free(bare)).filter(|_| !bare.is_empty());
    }
    Some(match container {
        "POD" => Subject::Pod(namespace, pod),
        container => Subject::Container(namespace, pod, container),
    })
}

/// What a body must become.
#[derive(Debug, Default)]
pub struct Walk {
    /// How often each value must be told, as `summaries_walk::told` writes it.
    pub values: Multiset,
    /// How many members are there and not what they should be.
    pub broken: u64,
    /// Whether any container has a sample.
    pub sampled: bool,
}

impl Walk {
    pub fn of(body: &Value) -> Self {
        let mut walk = Self::default();
        for info in body.as_object().unwrap().values() {
            walk.object(info);
            walk.sampled |= info["stats"].as_array().is_some_and(|all| all.iter().any(Value::is_object));
            if let Some(subject) = subject(info) {
                walk.info(info, subject);
            }
        }
        walk
    }

    fn object(&mut self, value: &Value) -> bool {
        self.broken += u64::from(!value.is_object() && !value.is_null());
        value.is_object()
    }

    fn objects<'v>(&mut self, list: &'v Value) -> Vec<&'v Value> {
        self.broken += u64::from(!list.is_array() && !list.is_null());
        list.as_array().into_iter().flatten().filter(|element| self.object(element)).collect()
    }

    fn number(&mut self, value: &Value) -> Option<u64> {
        let fraction = value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..2_f64.powi(64)).contains(n));
        let number = value.as_u64().or(fraction.map(|n| n as u64));
        self.broken += u64::from(number.is_none() && !value.is_null());
        number
    }

    fn put(&mut self, subject: Subject<'_>, part: Part<'_>, metric: M, held: Option<u64>) {
        if let Some(held) = held {
            let key = (format!("{subject:?}"), format!("{part:?}"), format!("{metric:?}"), held);
            *self.values.entry(key).or_default() += 1;
        }
    }

    fn numbers(&mut self, subject: Subject<'_>, part: Part<'_>, holder: &Value, leaves: &[(&str, M)]) {
        for (leaf, metric) in leaves {
            let held = self.number(&holder[*leaf]);
            self.put(subject, part, *metric, held);
        }
    }

    fn info(&mut self, info: &Value, subject: Subject<'_>) {
        let list = &info["stats"];
        self.broken += u64::from(!list.is_array() && !list.is_null());
        let Some(sample) = list.as_array().into_iter().flatten().rev().find(|sample| self.object(sample))
        else {
            return;
        };
        self.object(&info["spec"]);
        for instant in [&info["spec"]["creation_time"], &sample["timestamp"]] {
            let sound =
                instant.as_str().is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_ok());
            self.broken += u64::from(!sound && !instant.is_null());
        }
        let has = |flag: &str| info["spec"][flag] != false;
        for (_, objects, numbers) in GROUPS.iter().filter(|(flag, ..)| has(flag)) {
            let at = |pointer: &str| sample.pointer(pointer).unwrap_or(&Value::Null);
            for pointer in *objects {
                self.object(at(pointer));
            }
            for (pointer, metric) in *numbers {
                let held = self.number(at(pointer));
                self.put(subject, Part::Whole, *metric, held);
            }
        }
        if has("has_network") {
            self.network(subject, &sample["network"]);
        }
        if has("has_filesystem") {
            for fs in self.objects(&sample["filesystem"]) {
                let Some(device) = fs["device"].as_str() else { continue };
                let part = Part::Resource("", device);
                let bytes = [
                    ("usage", M::FilesystemUsage),
                    ("capacity", M::FilesystemLimit),
                    ("available", M::FilesystemAvailable),
                ];
                self.numbers(subject, part, fs, &bytes);
                if fs["has_inodes"] == true {
                    let inodes = [("inodes", M::FilesystemInodes), ("inodes_free", M::FilesystemInodesFree)];
                    self.numbers(subject, part, fs, &inodes);
                }
            }
        }
        if has("has_diskio") {
            self.object(&sample["diskio"]);
            for disk in self.objects(&sample["diskio"]["io_service_bytes"]) {
                let whole = |key: &str| Walk::default().number(&disk[key]);
                let numbers =
                    whole("major").zip(whole("minor")).map(|(major, minor)| format!("{major}:{minor}"));
                let named = disk["device"].as_str().filter(|name| !name.is_empty());
                let Some(device) = named.map(str::to_owned).or(numbers) else { continue };
                self.object(&disk["stats"]);
                let bytes = [("Read", M::DiskReadBytes), ("Write", M::DiskWriteBytes)];
                self.numbers(subject, Part::Resource("", &device), &disk["stats"], &bytes);
            }
        }
        for accelerator in self.objects(&sample["accelerators"]) {
            let [make, model, id] =
                ["make", "model", "id"].map(|key| accelerator[key].as_str().unwrap_or(""));
            let leaves = [
                ("memory_total", M::AcceleratorMemoryTotal),
                ("memory_used", M::AcceleratorMemoryUsed),
                ("duty_cycle", M::AcceleratorDutyCycle),
            ];
            self.numbers(subject, Part::Accelerator(make, model, id), accelerator, &leaves);
        }
        if has("has_custom_metrics") {
            self.custom(subject, &info["spec"]["custom_metrics"], &sample["custom_metrics"]);
        }
    }

    /// All interfaces are summed; where none says anything, the network's own numbers are taken.
    fn network(&mut self, subject: Subject<'_>, network: &Value) {
        self.object(network);
        let interfaces = self.objects(&network["interfaces"]);
        for (leaf, metric) in TRAFFIC {
            let each: Vec<u64> =
                interfaces.iter().filter_map(|interface| self.number(&interface[leaf])).collect();
            let held = if each.is_empty() {
                self.number(&network[leaf])
            } else {
                Some(each.into_iter().fold(0, u64::saturating_add))
            };
            self.put(subject, Part::Whole, metric, held);
        }
        for interface in interfaces.iter().filter(|_| interfaces.len() > 1) {
            let Some(name) = interface["name"].as_str().filter(|name| !name.is_empty()) else { continue };
            for (leaf, metric) in TRAFFIC {
                self.put(subject, Part::Interface(name), metric, Walk::default().number(&interface[leaf]));
            }
        }
    }

    /// The newest value of each declared metric, of two as old the first.
    fn custom(&mut self, subject: Subject<'_>, declared: &Value, values: &Value) {
        for metric in declared.as_array().into_iter().flatten() {
            let (Some(name), Some(format)) = (metric["name"].as_str(), metric["format"].as_str()) else {
                continue;
            };
            let mut newest = None;
            for value in values[name].as_array().into_iter().flatten().filter(|value| value.is_object()) {
                let at = value["timestamp"]
                    .as_str()
                    .and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
                if newest.is_none_or(|(newest, _)| at > newest) {
                    newest = Some((at, value));
                }
            }
            let Some(value) = newest.map(|(_, value)| &value[format!("{format}_value")]) else { continue };
            if !["int", "float"].contains(&format) {
                continue;
            }
            self.broken += u64::from(!value.is_number() && !value.is_null());
            if let Some(number) = value.as_f64() {
                let key = (format!("{subject:?}"), name.to_owned(), "custom".to_owned(), number.to_bits());
                *self.values.entry(key).or_default() += 1;
            }
        }
    }
}
