//! Routes that tell of many at once, over real sockets: each value is held to the series that tells of one.

use crate::support::{Collector, until};
use heapster::clock::Clock;
use heapster::model::metric::OLD_NAMES;
use heapster::simulator::{Kind, Shape, Simulator};
use heapster::wire::quantity;
use serde_json::Value;
use std::collections::BTreeSet;

const PREFIXES: [&str; 2] = ["/apis/metrics/v1alpha1", "/apis/metrics.k8s.io/v1alpha1"];

async fn json(collector: &Collector, path: &str) -> Value {
    let reply = collector.get(path).await;
    assert_eq!((reply.status, reply.kind.as_str()), (200, "application/json"), "{path}: {}", reply.body);
    serde_json::from_str(&reply.body).unwrap()
}

/// A collector of a simulated cluster in which every pod has its rates. Its first node has another host name.
async fn running(shape: Shape) -> (Simulator, Collector) {
    let simulator = Simulator::start(shape, Clock::system()).unwrap();
    let listed = crate::support::get(&format!("{}/api/v1/nodes", simulator.api_url())).await;
    let listed: Value = serde_json::from_str(&listed.body).unwrap();
    let mut node = listed["items"][0].clone();
    for address in node["status"]["addresses"].as_array_mut().unwrap() {
        if address["type"] == "Hostname" {
            address["address"] = "first.example".into();
        }
    }
    simulator.api().apply(Kind::Node, node);
    let collector = Collector::start(&[&format!("--source={}", simulator.source_uri())]).await;
    let pods: usize = simulator.cluster().nodes().iter().map(|node| node.pods.len()).sum();
    until("every pod's rates", async || {
        let list = json(&collector, "/apis/metrics/v1alpha1/pods").await;
        (list["items"].as_array().is_some_and(|items| items.len() == pods)).then_some(())
    })
    .await;
    let nodes = simulator.cluster().nodes().len();
    until("every node's rates", async || {
        let list = json(&collector, "/apis/metrics/v1alpha1/nodes").await;
        (list["items"].as_array().is_some_and(|items| items.len() == nodes)).then_some(())
    })
    .await;
    (simulator, collector)
}

/// The value that a series has at a stamp.
async fn value_at(collector: &Collector, path: &str, stamp: &Value) -> u64 {
    let series = collector.series(path).await;
    let found = series.iter().find(|(at, ..)| stamp == at);
    found.unwrap_or_else(|| panic!("{path} has no point at {stamp}")).1
}

async fn assert_usage(collector: &Collector, entity: &str, stamp: &Value, usage: &Value) {
    let cpu = value_at(collector, &format!("{entity}/metrics/cpu/usage_rate"), stamp).await;
    let memory = value_at(collector, &format!("{entity}/metrics/memory/working_set"), stamp).await;
    assert_eq!(usage["cpu"], quantity::of_millis(cpu), "{entity}");
    assert_eq!(usage["memory"], quantity::of_bytes(memory), "{entity}");
}

#[actix_web::test]
async fn resource_metrics_are_those_of_the_series() {
    let (simulator, collector) =
        running(Shape { nodes: 2, pods: 6, containers: 2, ..Shape::default() }).await;
    let names = |list: &Value| -> BTreeSet<String> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    for prefix in PREFIXES {
        let nodes = json(&collector, &format!("{prefix}/nodes")).await;
        assert_eq!(names(&nodes).into_iter().collect::<Vec<_>>(), collector.list("nodes").await);
        for node in nodes["items"].as_array().unwrap() {
            let name = node["metadata"]["name"].as_str().unwrap();
            assert_eq!(node["window"], "5s");
            assert_usage(&collector, &format!("nodes/{name}"), &node["timestamp"], &node["usage"]).await;
            let one = json(&collector, &format!("{prefix}/nodes/{name}")).await;
            assert_eq!(one["metadata"]["name"], name);
        }
        let pods = json(&collector, &format!("{prefix}/pods/")).await;
        for pod in pods["items"].as_array().unwrap() {
            let text = |member: &str| pod["metadata"][member].as_str().unwrap();
            let entity = format!("namespaces/{}/pods/{}", text("namespace"), text("name"));
            let listed = collector.list(&format!("{entity}/containers")).await;
            let told = pod["containers"].as_array().unwrap();
            let told: Vec<&str> = told.iter().map(|each| each["name"].as_str().unwrap()).collect();
            assert_eq!(told, listed);
            for container in pod["containers"].as_array().unwrap() {
                let container_entity = format!("{entity}/containers/{}", container["name"].as_str().unwrap());
                assert_usage(&collector, &container_entity, &pod["timestamp"], &container["usage"]).await;
            }
            let one = json(&collector, &format!("{prefix}/{entity}")).await;
            assert_eq!(one["metadata"]["name"], pod["metadata"]["name"]);
        }
        // A namespace alone, and what a selector takes of it, by what the API server says of the pods.
        let namespace = &simulator.cluster().nodes()[0].pods[0].namespace;
        let of = json(&collector, &format!("{prefix}/namespaces/{namespace}/pods")).await;
        let listed = collector.list(&format!("namespaces/{namespace}/pods")).await;
        assert_eq!(names(&of), listed.into_iter().collect());
        let app = simulator.cluster().nodes()[0].pods[0].app;
        let all = simulator.cluster().nodes().iter().flat_map(|node| &node.pods);
        let expected: BTreeSet<String> = all
            .filter(|pod| pod.app == app && pod.namespace == *namespace)
            .map(|pod| pod.name.clone())
            .collect();
        let key = "app";
        for selector in [format!("{key}%3D{app}"), format!("{key}%20in%20({app},nope)")] {
            let chosen = format!("{prefix}/namespaces/{namespace}/pods?labelSelector={selector}");
            assert_eq!(names(&json(&collector, &chosen).await), expected, "{selector}");
        }
        let none = json(&collector, &format!("{prefix}/pods?labelSelector={key}%3Dnope")).await;
        assert_eq!(none["items"], Value::Null);
    }
    collector.running.stop().await;
    simulator.stop().await;
}

#[actix_web::test]
async fn node_routes_take_the_host_name() {
    let (simulator, collector) =
        running(Shape { nodes: 2, pods: 2, containers: 1, ..Shape::default() }).await;
    let name = &simulator.cluster().nodes()[0].name;
    let below = [
        "metrics",
        "metrics/memory/usage",
        "pods",
        "freecontainers",
        "freecontainers/kubelet/metrics",
        "freecontainers/kubelet/metrics/memory/usage",
        "stats",
        "freecontainers/kubelet/stats",
    ];
    for path in below {
        until("both names to tell the same", async || {
            let by_name = collector.model(&format!("nodes/{name}/{path}")).await;
            let by_host = collector.model(&format!("nodes/first.example/{path}")).await;
            assert!(by_name.as_array().is_none_or(|list| !list.is_empty()), "{path}: {by_name}");
            assert_ne!(by_name["stats"], serde_json::json!({}), "{path}");
            (by_name == by_host).then_some(())
        })
        .await;
    }
    let by_host = json(&collector, "/apis/metrics/v1alpha1/nodes/first.example").await;
    assert_eq!(by_host["metadata"]["name"], **name);
    collector.running.stop().await;
    simulator.stop().await;
}

#[actix_web::test]
async fn the_export_is_made_of_the_series() {
    let (simulator, collector) =
        running(Shape { nodes: 2, pods: 3, containers: 1, ..Shape::default() }).await;
    let export = json(&collector, "/api/v1/metric-export").await;
    let cluster = simulator.cluster();
    let namespace_of = |pod: &str| {
        let mut pods = cluster.nodes().iter().flat_map(|node| &node.pods);
        pods.find(|each| each.name == pod).unwrap().namespace.clone()
    };
    let (mut told, mut parts) = (0, 0);
    for element in export.as_array().unwrap() {
        let label = |name: &str| element["labels"][name].as_str().unwrap_or_default();
        let entity = match (label("pod_name"), label("container_name")) {
            ("", "machine") => format!("nodes/{}", label("nodename")),
            ("", free) => format!("nodes/{}/freecontainers/{free}", label("nodename")),
            (pod, "/pod") => format!("namespaces/{}/pods/{pod}", namespace_of(pod)),
            (pod, container) => {
                format!("namespaces/{}/pods/{pod}/containers/{container}", namespace_of(pod))
            }
        };
        let host =
            if label("nodename") == cluster.nodes()[0].name { "first.example" } else { label("nodename") };
        assert_eq!(label("hostname"), host);
        for (metric, points) in element["metrics"].as_object().unwrap() {
            for point in points.as_array().unwrap() {
                let labels = point.get("labels").map(|labels| {
                    parts += 1;
                    let pairs = labels.as_object().unwrap().iter();
                    pairs
                        .map(|(label, value)| format!("{label}:{}", value.as_str().unwrap()))
                        .collect::<Vec<_>>()
                });
                let labels = labels.map_or(String::new(), |pairs| format!("?labels={}", pairs.join(",")));
                let path = format!("{entity}/metrics/{metric}{labels}");
                assert_eq!(point["value"], value_at(&collector, &path, &point["end"]).await, "{path}");
                told += 1;
            }
        }
    }
    assert!(told > 300 && parts > 50, "{told} values, {parts} of them of parts");
    // All keys are those of the export beside namespaces and the cluster.
    let keys: Vec<String> =
        serde_json::from_value(json(&collector, "/api/v1/model/debug/allkeys").await).unwrap();
    let sums = collector.list("namespaces").await.len() + 1;
    assert_eq!(keys.len(), export.as_array().unwrap().len() + sums);
    let schema = json(&collector, "/api/v1/metric-export-schema").await;
    let known: BTreeSet<&str> =
        schema["metrics"].as_array().unwrap().iter().map(|line| line["name"].as_str().unwrap()).collect();
    let all =
        export.as_array().unwrap().iter().flat_map(|element| element["metrics"].as_object().unwrap().keys());
    assert!(all.into_iter().all(|name| known.contains(&**name)));
    collector.running.stop().await;
    simulator.stop().await;
}

#[actix_web::test]
async fn lists_of_pods_and_figures_are_made_of_the_series() {
    let (simulator, collector) =
        running(Shape { nodes: 1, pods: 4, containers: 1, ..Shape::default() }).await;
    let pod = simulator.cluster().nodes()[0].pods[0].clone();
    // More names than are asked for with one message, in their order, doubles and unknown ones among them.
    let asked: Vec<&str> = (0..200).map(|n| if n % 3 == 0 { "nobody" } else { &*pod.name }).collect();
    let series = format!("namespaces/{}/pods/{}/metrics/memory/usage", pod.namespace, pod.name);
    let newest = collector.series(&series).await.last().unwrap().0.clone();
    let range = format!("?end={newest}");
    let one = collector.model(&format!("{series}{range}")).await;
    let list =
        format!("namespaces/{}/pod-list/{}/metrics/memory-usage{range}", pod.namespace, asked.join(","));
    let list = collector.model(&list).await;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), asked.len());
    for (name, item) in asked.iter().zip(items) {
        if *name == "nobody" {
            assert_eq!(
                (&item["metrics"], &item["latestTimestamp"]),
                (&serde_json::json!([]), &"0001-01-01T00:00:00Z".into())
            );
        } else {
            assert_eq!(*item, one);
        }
    }
    // Figures of the last minute: all that there is yet, so minute, hour and day are the same.
    let node = format!("nodes/{}", simulator.cluster().nodes()[0].name);
    for entity in ["".to_owned(), format!("{node}/"), format!("namespaces/{}/", pod.namespace)] {
        until("figures and series of one moment", async || {
            let before = collector.series(&format!("{entity}metrics/memory/usage")).await;
            let stats = collector.model(&format!("{entity}stats/")).await;
            let after = collector.series(&format!("{entity}metrics/memory/usage")).await;
            if before != after || before.len() > 11 {
                return None;
            }
            let figures = &stats["stats"]["memory-usage"];
            let mut values: Vec<u64> = after.iter().map(|(_, value, _)| *value).collect();
            values.sort_unstable();
            assert_eq!(figures["minute"]["max"], *values.last().unwrap());
            // Of fewer than twenty points the 95th percentile is the largest.
            assert_eq!(figures["minute"]["percentile"], figures["minute"]["max"]);
            let sum: u128 = values.iter().map(|value| u128::from(*value)).sum();
            let average = figures["minute"]["average"].as_u64().unwrap();
            let off = (u128::from(average) * values.len() as u128).abs_diff(sum);
            assert!(off <= values.len() as u128, "{average} of {values:?}");
            assert!(figures["hour"] == figures["minute"] && figures["day"] == figures["minute"]);
            let told: BTreeSet<&str> = stats["stats"].as_object().unwrap().keys().map(|key| &**key).collect();
            assert!(told.iter().all(|name| OLD_NAMES.iter().any(|(old, _)| old == name)), "{told:?}");
            Some(())
        })
        .await;
    }
    let uptime = collector.series(&format!("{node}/metrics/uptime")).await.last().unwrap().1 / 1_000;
    let told = collector.model(&format!("{node}/stats")).await["uptime"].as_u64().unwrap();
    assert!((uptime..=uptime + 10).contains(&told), "{told} after {uptime}");
    let nothing = serde_json::json!({"uptime": 0, "stats": {}});
    assert_eq!(collector.model("nodes/nobody/stats").await, nothing);
    collector.running.stop().await;
    simulator.stop().await;
}
