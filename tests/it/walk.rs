//! What the model must say of a kubelet's answer, worked out from the JSON without the project's own decoder: a second
//! opinion, written for clarity and not for speed.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Entity's path in the model API, labels as the API takes them, metric → number. Names that begin with @ are the walk's
/// own notes.
pub type Expected = BTreeMap<(String, String, String), Value>;

const RATES: [(&str, &str); 7] = [
    ("cpu/usage", "cpu/usage_rate"),
    ("memory/page_faults", "memory/page_faults_rate"),
    ("memory/major_page_faults", "memory/major_page_faults_rate"),
    ("network/rx", "network/rx_rate"),
    ("network/rx_errors", "network/rx_errors_rate"),
    ("network/tx", "network/tx_rate"),
    ("network/tx_errors", "network/tx_errors_rate"),
];
const FS: [(&str, &str); 6] = [
    ("usedBytes", "usage"),
    ("capacityBytes", "limit"),
    ("availableBytes", "available"),
    ("inodes", "inodes"),
    ("inodesFree", "inodes_free"),
    ("inodesUsed", "inodes_used"),
];
const NETWORK: [(&str, &str); 4] =
    [("rxBytes", "rx"), ("rxErrors", "rx_errors"), ("txBytes", "tx"), ("txErrors", "tx_errors")];

/// What the API server listed.
pub struct Walk {
    nodes: Vec<Value>,
    pods: Vec<Value>,
}

/// One answer on its way to what is expected of it.
struct Answer<'w> {
    out: Expected,
    times: BTreeMap<(String, String), i64>,
    walk: &'w Walk,
}

impl Walk {
    pub fn new(nodes: &str, pods: &str) -> Self {
        let items =
            |text: &str| serde_json::from_str::<Value>(text).unwrap()["items"].as_array().unwrap().clone();
        Self::of(items(nodes), items(pods))
    }

    pub fn of(nodes: Vec<Value>, pods: Vec<Value>) -> Self {
        Self { nodes, pods }
    }

    /// A pod as the API server tells of it. None for one that is gone while its kubelet still reports it.
    fn pod(&self, namespace: &str, name: &str) -> Option<&Value> {
        let mut pods = self.pods.iter();
        pods.find(|pod| pod["metadata"]["namespace"] == namespace && pod["metadata"]["name"] == name)
    }

    pub fn is_host_network(&self, namespace: &str, name: &str) -> bool {
        self.pod(namespace, name).is_some_and(|pod| pod["spec"]["hostNetwork"] == true)
    }

    /// What `body`, an answer of `node`, must become after the answer that became `before`.
    pub fn expect(&self, node: &str, body: &Value, before: Option<&Expected>) -> Expected {
        let mut answer = Answer { out: Expected::new(), times: BTreeMap::new(), walk: self };
        let entity = format!("nodes/{node}");
        let told = &body["node"];
        answer.core(&entity, told);
        answer.put(&entity, "", "process/limit", &told["rlimit"]["maxpid"]);
        answer.put(&entity, "", "process/count", &told["rlimit"]["curproc"]);
        answer.put(&entity, "", "ephemeral_storage/usage", &told["fs"]["usedBytes"]);
        answer.network(&entity, &told["network"], true);
        answer.fs(&entity, "/", &told["fs"]);
        answer.fs(&entity, "imagefs", &told["runtime"]["imageFs"]);
        answer.fs(&entity, "containerfs", &told["runtime"]["containerFs"]);
        for container in told["systemContainers"].as_array().unwrap() {
            let name = match container["name"].as_str().unwrap() {
                "runtime" => "docker-daemon",
                "misc" => "system",
                other => other,
            };
            answer.core(&format!("{entity}/freecontainers/{name}"), container);
        }
        for pod in body["pods"].as_array().unwrap() {
            answer.pod(pod);
        }
        answer.rates(before);
        answer.totals(node);
        answer.out
    }
}

impl Answer<'_> {
    fn put(&mut self, entity: &str, labels: &str, metric: &str, value: &Value) {
        if !value.is_null() {
            self.out.insert((entity.into(), labels.into(), metric.into()), value.clone());
        }
    }

    fn get(&self, entity: &str, metric: &str) -> Option<u64> {
        self.out.get(&(entity.into(), String::new(), metric.into()))?.as_u64()
    }

    fn time(&mut self, entity: &str, group: &str, value: &Value) {
        if let Some(text) = value.as_str() {
            let at = chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp();
            self.times.insert((entity.into(), group.into()), at);
        }
    }

    /// The members that nodes, pods and containers have in common.
    fn core(&mut self, entity: &str, told: &Value) {
        self.time(entity, "start", &told["startTime"]);
        self.put(entity, "", "@start", &told["startTime"]);
        self.time(entity, "cpu", &told["cpu"]["time"]);
        self.time(entity, "memory", &told["memory"]["time"]);
        let leaves = [
            ("cpu", "usageCoreNanoSeconds", "cpu/usage"),
            ("cpu", "usageNanoCores", "cpu/usage_nanocores"),
            ("memory", "availableBytes", "memory/available"),
            ("memory", "usageBytes", "memory/usage"),
            ("memory", "workingSetBytes", "memory/working_set"),
            ("memory", "rssBytes", "memory/rss"),
            ("memory", "pageFaults", "memory/page_faults"),
            ("memory", "majorPageFaults", "memory/major_page_faults"),
            ("swap", "swapUsageBytes", "swap/usage"),
            ("swap", "swapAvailableBytes", "swap/available"),
        ];
        for (group, member, metric) in leaves {
            self.put(entity, "", metric, &told[group][member]);
        }
        for group in ["cpu", "memory", "io"] {
            for share in ["some", "full"] {
                for member in ["total", "avg10", "avg60", "avg300"] {
                    let value = &told[group]["psi"][share][member];
                    let value = if member == "total" || value.is_null() {
                        value.clone()
                    } else {
                        json!(value.as_f64().unwrap())
                    };
                    self.put(entity, "", &format!("{group}/pressure_{share}_{member}"), &value);
                }
            }
        }
    }

    fn network(&mut self, entity: &str, told: &Value, always: bool) {
        self.time(entity, "network", &told["time"]);
        for (member, metric) in NETWORK {
            self.put(entity, "", &format!("network/{metric}"), &told[member]);
        }
        let interfaces = told["interfaces"].as_array().cloned().unwrap_or_default();
        if interfaces.len() == 1 && interfaces[0]["name"] == told["name"] {
            return;
        }
        assert!(always || interfaces.len() != 1, "a lone interface that is not the default");
        for interface in &interfaces {
            let labels = format!("interface:{}", interface["name"].as_str().unwrap());
            for (member, metric) in NETWORK {
                self.put(entity, &labels, &format!("network/{metric}"), &interface[member]);
            }
        }
    }

    fn fs(&mut self, entity: &str, resource: &str, told: &Value) {
        for (member, metric) in FS {
            self.put(
                entity,
                &format!("resource_id:{resource}"),
                &format!("filesystem/{metric}"),
                &told[member],
            );
        }
    }

    fn pod(&mut self, told: &Value) {
        let (namespace, name) =
            (told["podRef"]["namespace"].as_str().unwrap(), told["podRef"]["name"].as_str().unwrap());
        let entity = format!("namespaces/{namespace}/pods/{name}");
        self.core(&entity, told);
        self.put(&entity, "", "process/count", &told["process_stats"]["process_count"]);
        self.put(&entity, "", "ephemeral_storage/usage", &told["ephemeral-storage"]["usedBytes"]);
        self.network(&entity, &told["network"], false);
        self.fs(&entity, "ephemeral-storage", &told["ephemeral-storage"]);
        for volume in told["volume"].as_array().into_iter().flatten() {
            self.fs(&entity, &format!("Volume:{}", volume["name"].as_str().unwrap()), volume);
        }
        for container in told["containers"].as_array().into_iter().flatten() {
            let entity = format!("{entity}/containers/{}", container["name"].as_str().unwrap());
            self.core(&entity, container);
            self.fs(&entity, "/", &container["rootfs"]);
            self.fs(&entity, "logs", &container["logs"]);
            let used = ["rootfs", "logs"].iter().filter_map(|fs| container[*fs]["usedBytes"].as_u64());
            if let Some(sum) = used.reduce(|a, b| a + b) {
                self.put(&entity, "", "ephemeral_storage/usage", &json!(sum));
            }
        }
        self.declared(&entity, namespace, name);
    }

    /// Requests, limits and restarts of the pod's containers as the API server tells them, and their sums.
    fn declared(&mut self, entity: &str, namespace: &str, name: &str) {
        let Some(pod) = self.walk.pod(namespace, name) else { return };
        let plain = pod["spec"]["containers"].as_array().unwrap().iter();
        let sidecars = pod["spec"]["initContainers"].as_array().into_iter().flatten();
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for container in plain.chain(sidecars.filter(|init| init["restartPolicy"] == "Always")) {
            let own = format!("{entity}/containers/{}", container["name"].as_str().unwrap());
            for (group, suffix) in [("requests", "request"), ("limits", "limit")] {
                for (resource, metric, scale) in [
                    ("cpu", "cpu", 1000.0),
                    ("memory", "memory", 1.0),
                    ("ephemeral-storage", "ephemeral_storage", 1.0),
                ] {
                    let amount = quantity(&container["resources"][group][resource], scale);
                    let metric = format!("{metric}/{suffix}");
                    *sums.entry(metric.clone()).or_default() += amount;
                    self.put(&own, "", &metric, &json!(amount));
                }
            }
            let statuses =
                ["containerStatuses", "initContainerStatuses"].map(|list| pod["status"][list].as_array());
            let status =
                statuses.into_iter().flatten().flatten().find(|status| status["name"] == container["name"]);
            if let Some(restarts) = status.and_then(|status| status["restartCount"].as_u64()) {
                *sums.entry("restart_count".into()).or_default() += restarts;
                self.put(&own, "", "restart_count", &json!(restarts));
            }
        }
        for (metric, sum) in sums {
            self.put(entity, "", &metric, &json!(sum));
        }
    }

    /// Rates against the answer before, which carries its instants under names that no metric has.
    fn rates(&mut self, before: Option<&Expected>) {
        let counters: Vec<_> = self.out.keys().cloned().collect();
        for (entity, labels, counter) in counters {
            let Some((_, rate)) = RATES.iter().find(|(name, _)| *name == counter) else { continue };
            let group = counter.split('/').next().unwrap();
            let time = |group: &str| self.times.get(&(entity.clone(), group.to_owned())).copied();
            let at =
                time(group).or_else(|| time("cpu")).or_else(|| time("memory")).or_else(|| time("network"));
            let Some(at) = at else { continue };
            let start = time("start").unwrap_or(0);
            let key = (entity.clone(), labels.clone(), format!("@{counter}"));
            let value = self.out[&(entity.clone(), labels.clone(), counter.clone())].as_u64().unwrap();
            if let Some(last) = before.and_then(|before| before.get(&key)) {
                let [then, value_then, start_then] = [0, 1, 2].map(|index| last[index].as_i64().unwrap());
                assert!(
                    start_then == start || start > then,
                    "a start time moved: the walk does not know that case"
                );
                let seconds = at - then;
                let rate_key = (entity.clone(), labels.clone(), (*rate).to_owned());
                if seconds == 0 {
                    if let Some(held) = before.and_then(|before| before.get(&rate_key)) {
                        self.out.insert(rate_key, held.clone());
                    }
                } else if start_then == start && seconds > 0 && value >= value_then as u64 {
                    let delta = value - value_then as u64;
                    let rate = match *rate {
                        "cpu/usage_rate" => json!(delta / 1_000_000 / seconds as u64),
                        _ => json!(delta as f64 / seconds as f64),
                    };
                    self.out.insert(rate_key, rate);
                }
            }
            self.out.insert(key, json!([at, value, start]));
        }
    }

    /// Pods that lack a figure get their containers' sum; the node gets its pods' requests and shares of what it has.
    fn totals(&mut self, node: &str) {
        let additive = [
            "cpu/usage_rate",
            "memory/page_faults_rate",
            "memory/major_page_faults_rate",
            "swap/usage",
            "memory/usage",
        ];
        let additive = additive.iter().chain(&[
            "memory/working_set",
            "memory/rss",
            "cpu/usage_nanocores",
            "ephemeral_storage/usage",
        ]);
        let additive: Vec<&str> = additive.copied().collect();
        let mut sums = Expected::new();
        for ((entity, labels, metric), value) in &self.out {
            if let Some((pod, _)) = entity.split_once("/containers/").filter(|_| labels.is_empty())
                && additive.contains(&metric.as_str())
            {
                let sum = sums.entry((pod.to_owned(), String::new(), metric.clone())).or_insert(json!(0));
                *sum = match (sum.as_u64(), value.as_u64()) {
                    (Some(a), Some(b)) => json!(a + b),
                    _ => json!(sum.as_f64().unwrap() + value.as_f64().unwrap()),
                };
            }
        }
        for (key, sum) in sums {
            self.out.entry(key).or_insert(sum);
        }
        let entity = format!("nodes/{node}");
        let pods: Vec<String> = self
            .out
            .keys()
            .map(|(entity, ..)| entity.clone())
            .filter(|e| e.starts_with("namespaces/"))
            .collect();
        let mut pods: Vec<String> =
            pods.into_iter().filter(|entity| !entity.contains("/containers/")).collect();
        pods.dedup();
        for resource in ["cpu", "memory", "ephemeral_storage"] {
            for suffix in ["request", "limit"] {
                let metric = format!("{resource}/{suffix}");
                let sum: u64 = pods.iter().filter_map(|pod| self.get(pod, &metric)).sum();
                self.put(&entity, "", &metric, &json!(sum));
            }
        }
        let told = self.walk.nodes.iter().find(|each| each["metadata"]["name"] == node).unwrap().clone();
        let resources = [
            ("cpu", "cpu", 1000.0, "usage_rate"),
            ("memory", "memory", 1.0, "usage"),
            ("ephemeral-storage", "ephemeral_storage", 1.0, "usage"),
        ];
        for (resource, metric, scale, used) in resources {
            let capacity = quantity(&told["status"]["capacity"][resource], scale) as f64;
            let allocatable = quantity(&told["status"]["allocatable"][resource], scale) as f64;
            self.put(&entity, "", &format!("{metric}/node_capacity"), &json!(capacity));
            self.put(&entity, "", &format!("{metric}/node_allocatable"), &json!(allocatable));
            for (part, share) in [(used, "utilization"), ("request", "reservation")] {
                if let Some(part) = self.get(&entity, &format!("{metric}/{part}")) {
                    self.put(
                        &entity,
                        "",
                        &format!("{metric}/node_{share}"),
                        &json!(part as f64 / allocatable),
                    );
                }
            }
        }
    }
}

/// A quantity in the forms that the recording has, in `scale` parts of a unit, rounded up.
pub fn quantity(value: &Value, scale: f64) -> u64 {
    let Some(text) = value.as_str() else { return 0 };
    let suffixes =
        [("Ki", 1024.0), ("Mi", 1024.0 * 1024.0), ("Gi", 1024.0 * 1024.0 * 1024.0), ("m", 0.001), ("", 1.0)];
    let (suffix, factor) = suffixes.into_iter().find(|(suffix, _)| text.ends_with(suffix)).unwrap();
    let number: f64 = text.strip_suffix(suffix).unwrap().parse().unwrap();
    // What the multiplication of fractions adds is nothing to be rounded up.
    (number * factor * scale - 1e-6).ceil() as u64
}
