//! What our model must hold after the tape, worked out from the recorded bytes without the project's decoder and rollup:
//! each answer by the walk, the sums added up here.

use crate::tape::{RESOLUTION, Tape, instant};
use crate::walk::{Expected, Walk};
use heapster::model::metric::{Metric, MetricKey};
use heapster::model::time::{Resolution, Timestamp, Window};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One answer of a kubelet, or one that did not come.
pub struct Answer {
    pub node: &'static str,
    pub at: Timestamp,
    /// When it was in.
    pub done: Timestamp,
    pub window: Window,
    /// What came of it; None where nothing came.
    pub told: Option<Told>,
}

/// What came of an answer.
pub struct Told {
    pub expected: Expected,
    /// The paths of the pods whose network is the host's.
    pub host_network: BTreeSet<String>,
}

/// Path, labels and metric.
type Key = (String, String, String);

/// A series by its stamps.
pub type Series = BTreeMap<Timestamp, f64>;

/// Everything that the tape must have become.
pub struct Oracle {
    pub answers: Vec<Answer>,
}

/// The API server's objects as the tape tells of them, at one instant after the other.
struct Lists {
    objects: BTreeMap<(&'static str, String), Value>,
    coming: Vec<(Timestamp, &'static str, Value)>,
}

fn key(object: &Value) -> String {
    let meta = &object["metadata"];
    format!("{}/{}", meta["namespace"].as_str().unwrap_or_default(), meta["name"].as_str().unwrap())
}

impl Lists {
    fn open() -> Self {
        let (tape, mut objects, mut coming) = (Tape::open(), BTreeMap::new(), Vec::new());
        for kind in ["nodes", "pods"] {
            for item in tape.json(&format!("apiserver-json/{kind}_list.json"))["items"].as_array().unwrap() {
                objects.insert((kind, key(item)), item.clone());
            }
            for line in tape.lines(&format!("apiserver-json/{kind}_watch.jsonl")) {
                let told = serde_json::from_str(line["line"].as_str().unwrap()).unwrap();
                coming.push((instant(&line["at"]), kind, told));
            }
        }
        coming.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        Self { objects, coming }
    }

    fn at(&mut self, now: Timestamp) -> Walk {
        while self.coming.last().is_some_and(|(at, ..)| *at < now) {
            let (_, kind, told) = self.coming.pop().unwrap();
            match told["type"].as_str().unwrap() {
                "BOOKMARK" => {}
                "DELETED" => {
                    self.objects.remove(&(kind, key(&told["object"])));
                }
                _ => {
                    self.objects.insert((kind, key(&told["object"])), told["object"].clone());
                }
            }
        }
        let of = |kind: &str| {
            let of_kind = self.objects.iter().filter(|((of, _), _)| *of == kind);
            of_kind.map(|(_, object)| object.clone()).collect()
        };
        Walk::of(of("nodes"), of("pods"))
    }
}

impl Oracle {
    pub fn new() -> Self {
        let (tape, mut lists) = (Tape::open(), Lists::open());
        let mut entries: Vec<_> = ["node-a", "node-b"]
            .into_iter()
            .flat_map(|node| tape.asked(&format!("kubelet-{node}")).into_iter().map(move |e| (node, e)))
            .collect();
        entries.sort_by_key(|(_, entry)| entry.at);
        let mut answers: Vec<Answer> = Vec::new();
        for (node, entry) in entries {
            let walk = lists.at(entry.at);
            let window = Resolution::new(RESOLUTION).unwrap().last_ended(entry.at);
            let told = entry.file.map(|file| {
                let body = tape.json(&file);
                let before = answers.iter().rev().find(|answer| answer.node == node && answer.told.is_some());
                let before = before.and_then(|answer| Some(&answer.told.as_ref()?.expected));
                let expected = walk.expect(node, &body, before);
                let pods = body["pods"].as_array().unwrap().iter().map(|pod| &pod["podRef"]);
                let pods =
                    pods.map(|pod| (pod["namespace"].as_str().unwrap(), pod["name"].as_str().unwrap()));
                let host_network = pods
                    .filter(|(namespace, name)| walk.is_host_network(namespace, name))
                    .map(|(namespace, name)| format!("namespaces/{namespace}/pods/{name}"))
                    .collect();
                Told { expected, host_network }
            });
            answers.push(Answer { node, at: entry.at, done: entry.done.unwrap_or(entry.at), window, told });
        }
        Self { answers }
    }

    /// The answers that came, oldest first.
    pub fn told(&self) -> impl Iterator<Item = (&Answer, &Told)> {
        self.answers.iter().filter_map(|answer| Some((answer, answer.told.as_ref()?)))
    }

    /// A series as it is at an instant: the entity's path below `model/`, the metric's name, the labels as the API takes
    /// them.
    pub fn series(&self, entity: &str, metric: &str, labels: &str, seen: Timestamp) -> Series {
        let open = |window: &Window| {
            self.answers.iter().any(|answer| answer.window == *window && answer.done > seen)
        };
        let mut series =
            if is_sum(entity) { self.sums(entity, metric, labels) } else { self.own(entity, metric, labels) };
        let unseen = self.answers.iter().map(|answer| answer.window).filter(open);
        unseen.for_each(|window| {
            series.remove(&window.end());
        });
        series
    }

    fn own(&self, entity: &str, metric: &str, labels: &str) -> Series {
        let mut series = Series::new();
        for (answer, told) in self.told() {
            if let Some(value) = value(answer, told, entity, metric, labels) {
                series.insert(answer.window.end(), value);
            }
        }
        series
    }

    /// One value of a node, a container or a pod.
    pub fn value(&self, stamp: Timestamp, entity: &str, metric: &str, labels: &str) -> Option<f64> {
        let mut told = self.told().filter(|(answer, _)| answer.window.end() == stamp);
        told.find_map(|(answer, told)| value(answer, told, entity, metric, labels))
    }

    /// A namespace, or the cluster where `entity` is empty: the sum of the pods that answered, those of a node that
    /// misses one window counting once more.
    fn sums(&self, entity: &str, metric: &str, labels: &str) -> Series {
        let additive = |each: &&Metric| each.descriptor().is_additive() && each.descriptor().name == metric;
        let mut series = Series::new();
        if !labels.is_empty() || !Metric::ALL.iter().any(|each| additive(&each)) {
            return series;
        }
        for answer in &self.answers {
            let told = match &answer.told {
                Some(told) => Some(told),
                None => {
                    let before = self.told().find(|(before, _)| {
                        before.node == answer.node && before.window == answer.window.step(-1)
                    });
                    before.map(|(_, told)| told)
                }
            };
            let retried = self.answers.iter().take_while(|other| !std::ptr::eq(*other, answer));
            if retried.into_iter().any(|other| (other.node, other.window) == (answer.node, answer.window)) {
                continue;
            }
            for ((path, labels, name), value) in
                told.into_iter().flat_map(|told| below(told, &pods_of(entity)))
            {
                let twice = metric.starts_with("network/") && told.unwrap().host_network.contains(path);
                if name == metric && labels.is_empty() && is_pod(path) && !twice {
                    *series.entry(answer.window.end()).or_default() += value.as_f64().unwrap();
                }
            }
        }
        series
    }

    /// The names of an entity's metrics.
    pub fn names(&self, entity: &str) -> BTreeSet<String> {
        let start = if is_sum(entity) { pods_of(entity) } else { entity.to_owned() };
        let own = self.told().flat_map(|(_, told)| below(told, &start)).map(|(key, _)| key);
        if is_sum(entity) {
            let additive: BTreeSet<&str> = Metric::ALL
                .iter()
                .filter(|metric| metric.descriptor().is_additive())
                .map(|metric| metric.descriptor().name)
                .collect();
            let names = own.filter(|(path, labels, _)| is_pod(path) && labels.is_empty());
            return names.map(|(.., name)| name.clone()).filter(|name| additive.contains(&**name)).collect();
        }
        let names = own.filter(|(path, labels, _)| path == entity && labels.is_empty());
        let names = names.map(|(.., name)| if name == "@start" { "uptime".to_owned() } else { name.clone() });
        names.filter(|name| !name.starts_with('@')).collect()
    }
}

fn value(answer: &Answer, told: &Told, entity: &str, metric: &str, labels: &str) -> Option<f64> {
    let get = |name: &str| told.expected.get(&(entity.into(), labels.into(), name.into()));
    if metric != "uptime" {
        return get(metric)?.as_f64();
    }
    let start = chrono::DateTime::parse_from_rfc3339(get("@start")?.as_str()?).unwrap();
    Some(((answer.at.nanos() - start.timestamp() * 1_000_000_000) / 1_000_000) as f64)
}

/// What is told of whoever's path begins so.
fn below<'t>(told: &'t Told, start: &str) -> impl Iterator<Item = (&'t Key, &'t Value)> + use<'t> {
    let from = told.expected.range((start.to_owned(), String::new(), String::new())..);
    let start = start.to_owned();
    from.take_while(move |((path, ..), _)| path.starts_with(&start))
}

/// How the paths of a namespace's pods begin, or of all pods.
fn pods_of(entity: &str) -> String {
    if entity.is_empty() { "namespaces/".to_owned() } else { format!("{entity}/pods/") }
}

/// Whether this is the path of a pod.
pub fn is_pod(entity: &str) -> bool {
    entity.starts_with("namespaces/") && entity.split('/').count() == 4
}

/// Whether this is the path of a namespace, or that of the cluster, which is empty.
pub fn is_sum(entity: &str) -> bool {
    entity.split('/').count() <= 2 && !entity.starts_with("nodes/")
}

/// How far a value of ours may be from its expectation: what the form it is held in rounds off, once for each summand.
pub fn tolerance(metric: &str, entity: &str) -> f64 {
    use heapster::model::metric::Form;
    let known = Metric::ALL.iter().find(|each| each.descriptor().name == metric);
    let form = known.map_or(Form::Integer, |known| MetricKey::Known(*known).form());
    let own = match form {
        Form::Milli => 0.000_501,
        Form::Micro => 0.000_000_501,
        _ => 0.0,
    };
    let summands = if entity.contains("/containers/") || entity.starts_with("nodes/") { 1.0 } else { 30.0 };
    own * summands
}
