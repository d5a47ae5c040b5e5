//! The whole on a real cluster's recorded answers, over real sockets: every route is held to numbers worked out here from
//! the very bytes that were served.

use crate::support::{Collector, until};
use crate::walk::{Expected, Walk};
use heapster::simulator::Kind;
use heapster::simulator::api_server::ApiServer;
use heapster::simulator::kubelet::{KubeletAnswer, KubeletRequest, Kubelets};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

const NODES: [(&str, &str, &str); 2] =
    [("node-a", "10.77.0.1", "127.78.0.1"), ("node-b", "10.77.0.2", "127.78.0.2")];
const BODIES: usize = 3;

fn data(name: &str) -> String {
    let path = format!("{}/tests/data/two-nodes/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The recorded API server, its nodes moved to loopback.
fn api_server() -> ApiServer {
    let mut nodes = data("nodes.json");
    for (_, recorded, here) in NODES {
        nodes = nodes.replace(recorded, here);
    }
    let api = ApiServer::start().unwrap();
    api.load_list(Kind::Node, nodes.as_bytes()).unwrap();
    api.load_list(Kind::Pod, data("pods.json").as_bytes()).unwrap();
    api.load_list(Kind::Namespace, data("namespaces.json").as_bytes()).unwrap();
    api
}

/// The recorded kubelets: each gives its answers one after the other, then the last for ever.
fn kubelets() -> Kubelets {
    let addresses: Vec<IpAddr> = NODES.iter().map(|(_, _, here)| here.parse().unwrap()).collect();
    let answers = |ask: &KubeletRequest| {
        if !ask.path.starts_with("/stats/summary") {
            return KubeletAnswer::status(404, "404 page not found");
        }
        let (node, ..) = NODES.iter().find(|(_, _, here)| ask.address.to_string() == *here).unwrap();
        let at = usize::try_from(ask.count).unwrap().min(BODIES - 1) + 1;
        KubeletAnswer::json(data(&format!("{node}/{at}.json")))
    };
    Kubelets::start(&addresses, Arc::new(answers)).unwrap()
}

/// What one node's answers must have become, point by point.
fn expected(node: &str, lists: &Walk) -> Vec<Expected> {
    let bodies: Vec<Value> =
        (1..=BODIES).map(|at| serde_json::from_str(&data(&format!("{node}/{at}.json"))).unwrap()).collect();
    let mut expected: Vec<Expected> = Vec::new();
    for body in &bodies {
        expected.push(lists.expect(node, body, expected.last()));
    }
    expected
}

#[actix_web::test]
async fn every_route_tells_what_the_recorded_bytes_say() {
    let (api, kubelets) = (api_server(), kubelets());
    let source = format!(
        "--source=kubernetes.summary_api:{}?inClusterConfig=false&kubeletPort={}",
        api.url(),
        kubelets.port()
    );
    let collector = Collector::start(&[&source]).await;
    until("one window more than there are recorded answers", async || {
        (collector.series("metrics/cpu/request").await.len() > BODIES).then_some(())
    })
    .await;

    let lists = Walk::new(&data("nodes.json"), &data("pods.json"));
    let mut stamps: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut checked = 0;
    let mut all: BTreeMap<&str, Vec<Expected>> = BTreeMap::new();
    for (node, ..) in NODES {
        let expected = expected(node, &lists);
        let points = collector.series(&format!("nodes/{node}/metrics/memory/usage")).await;
        stamps.insert(node, points.into_iter().map(|(stamp, ..)| stamp).collect());
        let keys = expected.iter().flat_map(|one| one.keys().cloned());
        let keys: BTreeSet<_> = keys.filter(|(_, _, metric)| !metric.starts_with('@')).collect();
        for key in keys {
            checked += check_series(&collector, &key, &expected, &stamps[node]).await;
        }
        all.insert(node, expected);
    }
    assert!(checked > 3_000, "only {checked} points were checked");
    check_sums(&collector, &lists, &stamps, &all).await;
    check_lists(&collector, &all).await;
    check_ranges(&collector).await;
    assert!(collector.running.stop().await);
    kubelets.stop().await;
    api.stop().await;
}

type Key = (String, String, String);

/// One series against what each answer said. Returns how many points were compared.
async fn check_series(collector: &Collector, key: &Key, expected: &[Expected], stamps: &[String]) -> usize {
    let (entity, labels, metric) = key;
    let query = if labels.is_empty() { String::new() } else { format!("?labels={labels}") };
    let path = format!("{entity}/metrics/{metric}{query}");
    let points: BTreeMap<String, (u64, Option<f64>)> = collector
        .series(&path)
        .await
        .into_iter()
        .map(|(stamp, value, float)| (stamp, (value, float)))
        .collect();
    for (stamp, expected) in stamps.iter().zip(expected) {
        match (expected.get(key), points.get(stamp)) {
            (Some(expected), Some((value, float))) => match (expected.as_u64(), float) {
                (Some(whole), None) => assert_eq!(*value, whole, "{path} at {stamp}"),
                (_, Some(float)) => {
                    let expected = expected.as_f64().unwrap();
                    assert!(
                        (float - expected).abs() <= 0.000_501,
                        "{path} at {stamp}: {float} is not {expected}"
                    );
                    assert_eq!(*value, float.trunc() as u64, "{path} at {stamp}");
                }
                (None, None) => panic!("{path} at {stamp}: {value} is not {expected}"),
            },
            (expected, found) => assert_eq!(
                (expected.is_some(), found.is_some()),
                (false, false),
                "{path} at {stamp}: {expected:?} and {found:?}"
            ),
        }
    }
    stamps.len().min(expected.len())
}

/// Namespaces and cluster: every additive metric is the sum over the pods that answered in the window.
async fn check_sums(
    collector: &Collector,
    lists: &Walk,
    stamps: &BTreeMap<&str, Vec<String>>,
    all: &BTreeMap<&str, Vec<Expected>>,
) {
    let mut compared = 0;
    for at in 0..BODIES {
        let stamp = &stamps["node-a"][at];
        let Some(other) =
            stamps["node-b"].iter().position(|other| other == stamp).filter(|other| *other < BODIES)
        else {
            continue;
        };
        let answers = [&all["node-a"][at], &all["node-b"][other]];
        let mut sums: BTreeMap<(String, String), f64> = BTreeMap::new();
        for ((entity, labels, metric), value) in answers.into_iter().flatten() {
            let parts: Vec<&str> = entity.split('/').collect();
            let ["namespaces", namespace, "pods", pod] = parts[..] else { continue };
            let twice = metric.starts_with("network/") && lists.is_host_network(namespace, pod);
            if labels.is_empty() && !twice && !metric.starts_with('@') {
                for level in [format!("namespaces/{namespace}/"), String::new()] {
                    *sums.entry((level, metric.clone())).or_default() += value.as_f64().unwrap();
                }
            }
        }
        let additive = collector.list("metrics").await;
        for ((level, metric), sum) in sums.iter().filter(|((_, metric), _)| additive.contains(metric)) {
            let points = collector.series(&format!("{level}metrics/{metric}")).await;
            let point = points.iter().find(|(each, ..)| each == stamp);
            let (_, value, float) = point
                .unwrap_or_else(|| panic!("{level}metrics/{metric} has no point at {stamp}: {points:?}"));
            let found = float.unwrap_or(*value as f64);
            assert!((found - sum).abs() <= 0.05, "{level}metrics/{metric} at {stamp}: {found} is not {sum}");
            compared += 1;
        }
    }
    assert!(compared > 100, "only {compared} sums were compared");
}

/// Lists, names of metrics, and every spelling of a route.
async fn check_lists(collector: &Collector, all: &BTreeMap<&str, Vec<Expected>>) {
    let last: Vec<&Expected> = all.values().filter_map(|answers| answers.last()).collect();
    let mut children: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (entity, labels, metric) in all.values().flatten().flat_map(BTreeMap::keys) {
        if labels.is_empty() && (!metric.starts_with('@') || metric == "@start") {
            let name = if metric == "@start" { "uptime" } else { metric };
            names.entry(entity.clone()).or_default().insert(name.to_owned());
        }
    }
    for (entity, ..) in last.into_iter().flat_map(BTreeMap::keys) {
        let parts: Vec<&str> = entity.split('/').collect();
        for pair in 0..parts.len() / 2 {
            let list = parts[..=pair * 2].join("/");
            children.entry(list).or_default().insert(parts[pair * 2 + 1].to_owned());
        }
    }
    assert!(children.keys().any(|list| list.ends_with("freecontainers")) && children.len() > 10);
    for (list, names) in &children {
        let expected: Vec<String> = names.iter().cloned().collect();
        for spelling in [list.clone(), format!("{list}/")] {
            assert_eq!(collector.list(&spelling).await, expected, "{spelling}");
        }
    }
    for (entity, expected) in names {
        let expected: Vec<String> = expected.into_iter().collect();
        for spelling in [format!("{entity}/metrics"), format!("{entity}/metrics/")] {
            assert_eq!(collector.list(&spelling).await, expected, "{spelling}");
        }
    }
}

/// Bounds of time, old names, encoded slashes, and what is not there.
async fn check_ranges(collector: &Collector) {
    let path = "nodes/node-a/metrics/memory/usage";
    let all = collector.series(path).await;
    let (second, third) = (&all[1].0, &all[2].0);
    assert_eq!(collector.series(&format!("{path}?start={second}&end={third}")).await, all[1..=2]);
    assert_eq!(collector.series(&format!("{path}/?end={second}")).await, all[..=1]);
    let fraction = second.replace('Z', ".000000001Z");
    assert_eq!(collector.series(&format!("{path}?start={fraction}")).await, all[2..]);
    let offset = second.replace('Z', "%2B00:00");
    assert_eq!(collector.series(&format!("{path}?start={offset}&end=")).await, all[1..]);
    assert_eq!(collector.series(&format!("{path}?start={third}&end={second}")).await, []);
    let zero = format!("{path}?start=0001-01-01T00:00:00Z&end=9999-12-31T23:59:59Z");
    assert_eq!(collector.series(&zero).await, all);
    for encoded in [
        "nodes/node-a/metrics/memory%2Fusage",
        "nodes/node-a/metrics/memory-usage",
        "nodes//node-a/metrics/memory/usage/",
    ] {
        assert_eq!(collector.series(encoded).await, all, "{encoded}");
    }
    for nothing in [
        "nodes/nobody/metrics/memory/usage",
        "nodes/node-a/metrics/no/such",
        "namespaces/x/pods/y/metrics/uptime",
    ] {
        assert_eq!(collector.series(nothing).await, [], "{nothing}");
    }
    for nothing in ["namespaces/x/pods/", "nodes/nobody/metrics/", "nodes/nobody/freecontainers/"] {
        assert_eq!(collector.list(nothing).await, Vec::<String>::new(), "{nothing}");
    }
    for (query, words) in [
        ("start=yesterday", ["start", "yesterday"]),
        ("end=12", ["end", "12"]),
        ("labels=a:", ["labels", "a:"]),
    ] {
        let reply = collector.get(&format!("/api/v1/model/{path}?{query}")).await;
        assert_eq!((reply.status, reply.kind.as_str()), (400, "text/plain; charset=utf-8"));
        assert!(words.iter().all(|word| reply.body.contains(word)), "{}", reply.body);
    }
    assert_eq!(collector.get("/api/v1/model/nope").await.status, 404);
}
