//! A summary read a second time, by another way: every number of the JSON with its path, and where it belongs.

use heapster::model::metric::Metric as M;
use heapster::model::report::{Part, Report};
use serde_json::{Number, Value};
use std::collections::BTreeMap;

/// How often each value is there: subject, part, metric (or `custom`), and what is held.
pub type Multiset = BTreeMap<(String, String, String, u64), usize>;

/// What a body's numbers should become.
#[derive(Debug, Default)]
pub struct Expected {
    /// What must be in the report.
    pub values: Multiset,
    /// What may be left out, since another place tells the same.
    pub folded: Multiset,
    /// What only the default interface tells: it must be there, be it as the interface's or as the subject's own.
    pub default_only: Multiset,
    /// How many numbers no metric can hold.
    pub broken: u64,
    /// Paths that no kubelet type defines.
    pub unknown: Vec<String>,
}

/// Every number of a JSON text, with its path.
fn numbers<'v>(value: &'v Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, &'v Number)>) {
    let mut below = |key: String, child: &'v Value| {
        path.push(key);
        numbers(child, path, found);
        path.pop();
    };
    match value {
        Value::Number(number) => found.push((path.clone(), number)),
        Value::Array(list) => list.iter().enumerate().for_each(|(at, child)| below(at.to_string(), child)),
        Value::Object(map) => map.iter().for_each(|(key, child)| below(key.clone(), child)),
        _ => {}
    }
}

fn psi(path: &[&str], some: [M; 4], full: [M; 4]) -> Option<M> {
    let [kind, leaf] = path else { return None };
    let of = if *kind == "some" {
        some
    } else if *kind == "full" {
        full
    } else {
        return None;
    };
    ["total", "avg10", "avg60", "avg300"].iter().position(|name| name == leaf).map(|at| of[at])
}

fn core(path: &[&str]) -> Option<M> {
    Some(match path {
        ["cpu", "usageNanoCores"] => M::CpuUsageNanocores,
        ["cpu", "usageCoreNanoSeconds"] => M::CpuUsage,
        ["memory", "availableBytes"] => M::MemoryAvailable,
        ["memory", "usageBytes"] => M::MemoryUsage,
        ["memory", "workingSetBytes"] => M::MemoryWorkingSet,
        ["memory", "rssBytes"] => M::MemoryRss,
        ["memory", "pageFaults"] => M::MemoryPageFaults,
        ["memory", "majorPageFaults"] => M::MemoryMajorPageFaults,
        ["swap", "swapUsageBytes"] => M::SwapUsage,
        ["swap", "swapAvailableBytes"] => M::SwapAvailable,
        ["cpu", "psi", rest @ ..] => psi(
            rest,
            [
                M::CpuPressureSomeTotal,
                M::CpuPressureSomeAvg10,
                M::CpuPressureSomeAvg60,
                M::CpuPressureSomeAvg300,
            ],
            [
                M::CpuPressureFullTotal,
                M::CpuPressureFullAvg10,
                M::CpuPressureFullAvg60,
                M::CpuPressureFullAvg300,
            ],
        )?,
        ["memory", "psi", rest @ ..] => psi(
            rest,
            [
                M::MemoryPressureSomeTotal,
                M::MemoryPressureSomeAvg10,
                M::MemoryPressureSomeAvg60,
                M::MemoryPressureSomeAvg300,
            ],
            [
                M::MemoryPressureFullTotal,
                M::MemoryPressureFullAvg10,
                M::MemoryPressureFullAvg60,
                M::MemoryPressureFullAvg300,
            ],
        )?,
        ["io", "psi", rest @ ..] => psi(
            rest,
            [M::IoPressureSomeTotal, M::IoPressureSomeAvg10, M::IoPressureSomeAvg60, M::IoPressureSomeAvg300],
            [M::IoPressureFullTotal, M::IoPressureFullAvg10, M::IoPressureFullAvg60, M::IoPressureFullAvg300],
        )?,
        _ => return None,
    })
}

fn filesystem(leaf: &str) -> Option<M> {
    Some(match leaf {
        "availableBytes" => M::FilesystemAvailable,
        "capacityBytes" => M::FilesystemLimit,
        "usedBytes" => M::FilesystemUsage,
        "inodesFree" => M::FilesystemInodesFree,
        "inodes" => M::FilesystemInodes,
        "inodesUsed" => M::FilesystemInodesUsed,
        _ => return None,
    })
}

fn traffic(leaf: &str) -> Option<M> {
    Some(match leaf {
        "rxBytes" => M::NetworkRx,
        "rxErrors" => M::NetworkRxErrors,
        "txBytes" => M::NetworkTx,
        "txErrors" => M::NetworkTxErrors,
        _ => return None,
    })
}

/// What a number belongs to.
enum Place {
    Metric {
        subject: String,
        part: String,
        metric: M,
    },
    Custom {
        subject: String,
        name: String,
    },
    /// Nobody's: an entity without a name.
    Nameless,
}

fn name_of(value: &Value) -> Option<&str> {
    value["name"].as_str().filter(|name| !name.is_empty())
}

const WHOLE: &str = "Whole";

fn resource(prefix: &str, name: &str) -> String {
    format!("{:?}", Part::Resource(prefix, name))
}

fn in_container(path: &[&str], value: &Value, subject: String) -> Option<Place> {
    let of = |part: String, metric| Place::Metric { subject: subject.clone(), part, metric };
    Some(match path {
        ["rootfs", leaf] => of(resource("", "/"), filesystem(leaf)?),
        ["logs", leaf] => of(resource("", "logs"), filesystem(leaf)?),
        ["accelerators", at, leaf] => {
            let accelerator = &value["accelerators"][at.parse::<usize>().ok()?];
            let text = |key: &str| accelerator[key].as_str().unwrap_or_default();
            let metric = match *leaf {
                "memoryTotal" => M::AcceleratorMemoryTotal,
                "memoryUsed" => M::AcceleratorMemoryUsed,
                "dutyCycle" => M::AcceleratorDutyCycle,
                _ => return None,
            };
            of(format!("{:?}", Part::Accelerator(text("make"), text("model"), text("id"))), metric)
        }
        ["userDefinedMetrics", at, "value"] => {
            match name_of(&value["userDefinedMetrics"][at.parse::<usize>().ok()?]) {
                Some(name) => Place::Custom { subject, name: name.to_owned() },
                None => Place::Nameless,
            }
        }
        rest => of(WHOLE.to_owned(), core(rest)?),
    })
}

fn in_network(path: &[&str], network: &Value, subject: String) -> Option<Place> {
    let of = |part: String, metric| Place::Metric { subject: subject.clone(), part, metric };
    match path {
        ["interfaces", at, leaf] => {
            let metric = traffic(leaf)?;
            let interface = &network["interfaces"][at.parse::<usize>().ok()?];
            Some(
                name_of(interface)
                    .map_or(Place::Nameless, |name| of(format!("{:?}", Part::Interface(name)), metric)),
            )
        }
        [leaf] => Some(of(WHOLE.to_owned(), traffic(leaf)?)),
        _ => None,
    }
}

fn place(body: &Value, path: &[&str]) -> Option<Place> {
    match path {
        ["node", rest @ ..] => {
            let subject = "Node".to_owned();
            let of = |part: String, metric| Place::Metric { subject: subject.clone(), part, metric };
            Some(match rest {
                ["systemContainers", at, rest @ ..] => {
                    let container = &body["node"]["systemContainers"][at.parse::<usize>().ok()?];
                    let name = match name_of(container) {
                        None => return Some(Place::Nameless),
                        Some("runtime") => "docker-daemon",
                        Some("misc") => "system",
                        Some(name) => name,
                    };
                    in_container(rest, container, format!("Free({name:?})"))?
                }
                ["network", rest @ ..] => in_network(rest, &body["node"]["network"], subject)?,
                ["fs", leaf] => of(resource("", "/"), filesystem(leaf)?),
                ["runtime", "imageFs", leaf] => of(resource("", "imagefs"), filesystem(leaf)?),
                ["runtime", "containerFs", leaf] => of(resource("", "containerfs"), filesystem(leaf)?),
                ["rlimit", "maxpid"] => of(WHOLE.to_owned(), M::ProcessLimit),
                ["rlimit", "curproc"] => of(WHOLE.to_owned(), M::ProcessCount),
                rest => of(WHOLE.to_owned(), core(rest)?),
            })
        }
        ["pods", at, rest @ ..] => {
            let pod = &body["pods"][at.parse::<usize>().ok()?];
            let text = |key: &str| pod["podRef"][key].as_str().filter(|text| !text.is_empty());
            let (Some(namespace), Some(name)) = (text("namespace"), text("name")) else {
                return Some(Place::Nameless);
            };
            let subject = format!("Pod({namespace:?}, {name:?})");
            let of = |part: String, metric| Place::Metric { subject: subject.clone(), part, metric };
            Some(match rest {
                ["containers", at, rest @ ..] => {
                    let container = &pod["containers"][at.parse::<usize>().ok()?];
                    let Some(own) = name_of(container) else { return Some(Place::Nameless) };
                    in_container(rest, container, format!("Container({namespace:?}, {name:?}, {own:?})"))?
                }
                ["network", rest @ ..] => in_network(rest, &pod["network"], subject)?,
                ["ephemeral-storage", leaf] => of(resource("", "ephemeral-storage"), filesystem(leaf)?),
                ["process_stats", "process_count"] => of(WHOLE.to_owned(), M::ProcessCount),
                ["volume", at, leaf] => {
                    let metric = filesystem(leaf)?;
                    let volume = &pod["volume"][at.parse::<usize>().ok()?];
                    name_of(volume).map_or(Place::Nameless, |volume| of(resource("Volume:", volume), metric))
                }
                rest => of(WHOLE.to_owned(), core(rest)?),
            })
        }
        _ => None,
    }
}

/// Whether a path is that of a whole number which some metric takes.
pub fn is_whole_number(body: &Value, path: &[&str]) -> bool {
    let average = path.last().is_some_and(|leaf| leaf.starts_with("avg"));
    matches!(place(body, path), Some(Place::Metric { .. })) && !average
}

/// Whether a path leads into the only interface of a network, the default one, of which the network itself tells.
pub fn is_folded(body: &Value, path: &[&str]) -> bool {
    network_of(body, path).is_some_and(|network| {
        let list = network["interfaces"].as_array().into_iter().flatten();
        let names: Vec<&Value> =
            list.filter(|interface| interface.is_object()).map(|of| &of["name"]).collect();
        names == [&network["name"]]
    })
}

/// Whether a number of an interface only repeats what the network says of itself, in a sound number of its own.
fn is_repeated(body: &Value, path: &[&str]) -> bool {
    let leaf = path[path.len() - 1];
    let told = |network: &Value| matches!(&network[leaf], Value::Number(number) if whole(number).is_some());
    is_folded(body, path) && network_of(body, path).is_some_and(told)
}

/// The network that has the interface which a path leads into.
fn network_of<'v>(body: &'v Value, path: &[&str]) -> Option<&'v Value> {
    let at = path.iter().position(|step| *step == "interfaces")?;
    let step = |value: &'v Value, step: &&str| match step.parse::<usize>() {
        Ok(index) => &value[index],
        Err(_) => &value[*step],
    };
    Some(path[..at].iter().fold(body, step))
}

/// Where every number of a body belongs.
pub fn expected(body: &Value) -> Expected {
    let (mut found, mut expected) = (Vec::new(), Expected::default());
    numbers(body, &mut Vec::new(), &mut found);
    for (path, number) in found {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        match place(body, &steps) {
            None => expected.unknown.push(format!("{} = {number}", path.join("."))),
            Some(Place::Nameless) => {}
            Some(Place::Custom { subject, name }) => {
                let bits = number.as_f64().unwrap().to_bits();
                *expected.values.entry((subject, name, "custom".to_owned(), bits)).or_default() += 1;
            }
            Some(Place::Metric { subject, part, metric }) => {
                let average = path.last().is_some_and(|leaf| leaf.starts_with("avg"));
                let Some(held) = (if average { thousandths(number) } else { whole(number) }) else {
                    expected.broken += 1;
                    continue;
                };
                let of = match (is_folded(body, &steps), is_repeated(body, &steps)) {
                    (true, true) => &mut expected.folded,
                    (true, false) => &mut expected.default_only,
                    (false, _) => &mut expected.values,
                };
                *of.entry((subject, part, format!("{metric:?}"), held)).or_default() += 1;
            }
        }
    }
    expected
}

impl Expected {
    /// What of it a report does not tell.
    pub fn lost(&self, told: &Multiset) -> Vec<String> {
        let own = |(subject, _, metric, held): &(String, String, String, u64)| {
            told.contains_key(&(subject.clone(), WHOLE.to_owned(), metric.clone(), *held))
        };
        let default_only = self.default_only.iter().filter(|(key, _)| !told.contains_key(*key) && !own(key));
        let default_only =
            default_only.map(|(key, _)| format!("{key:?}, told by the default interface only"));
        lacking(&self.values, told).into_iter().chain(default_only).collect()
    }
}

/// The number, if it is a whole one that 64 bits hold without a sign.
fn whole(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
        (0.0..2_f64.powi(64)).contains(&float).then_some(float as u64)
    })
}

fn thousandths(number: &Number) -> Option<u64> {
    let float = number.as_f64().filter(|float| *float >= 0.0 && *float < 1e15)?;
    Some((float * 1_000.0).round() as u64)
}

/// Metrics that are worked out of others, or out of texts.
fn is_derived(metric: M) -> bool {
    matches!(metric, M::StartTime | M::CpuTime | M::MemoryTime | M::NetworkTime | M::EphemeralStorageUsage)
}

/// What a report says, but for what is worked out.
pub fn told(report: &Report<'_>) -> Multiset {
    let mut told = Multiset::new();
    for row in report.rows() {
        for (metric, held) in report.values(row).iter().filter(|(metric, _)| !is_derived(*metric)) {
            let key = (format!("{:?}", row.subject), format!("{:?}", row.part), format!("{metric:?}"), *held);
            *told.entry(key).or_default() += 1;
        }
    }
    for (row, name, value) in report.custom() {
        let subject = format!("{:?}", report.rows()[*row].subject);
        *told.entry((subject, (*name).to_owned(), "custom".to_owned(), value.to_bits())).or_default() += 1;
    }
    told
}

/// What of `wanted` is not in `told`.
pub fn lacking(wanted: &Multiset, told: &Multiset) -> Vec<String> {
    let short = wanted.iter().filter(|(key, count)| told.get(*key).unwrap_or(&0) < *count);
    short.map(|(key, count)| format!("{count} × {key:?}")).collect()
}
