//! What a VictoriaMetrics has got of a simulated cluster over both of InfluxDB's write APIs, asked in PromQL and compared
//! with the model API.

use crate::databases::Database;
use crate::sinks_influxdb::{Points, assert_same, delivered, model, simulator};
use crate::support::Collector;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a query gives over the last quarter of an hour, by the labels of each series.
async fn promql(database: &Database, query: &str) -> Vec<(BTreeMap<String, String>, Points)> {
    // As it was written: stamps are the windows' own.
    let reply = database.ask("/api/v1/query", &[("query", &format!("{query}[15m]"))]).await;
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(answer["status"], "success", "{query}: {}", reply.body);
    let series = answer["data"]["result"].as_array().unwrap().iter();
    let point = |pair: &Value| {
        let stamp = (pair[0].as_f64().unwrap() * 1e3).round() as i64 * 1_000_000;
        (stamp, pair[1].as_str().unwrap().parse::<f64>().unwrap())
    };
    series
        .map(|series| {
            let labels = serde_json::from_value(series["metric"].clone()).unwrap();
            (labels, series["values"].as_array().unwrap().iter().map(point).collect())
        })
        .collect()
}

#[actix_web::test]
async fn a_victoria_metrics_has_what_the_model_has() {
    let Some(database) = Database::victoria_metrics().await else { return };
    let simulator = simulator();
    let source = format!("--source={}", simulator.source_uri());
    let first = format!("--sink=influxdb:{}?cluster_name=one", database.base);
    let second = format!("--sink=influxdb:{}?org=o&bucket=b&withfields=true&cluster_name=two", database.base);
    let collector = Collector::start(&[&source, &first, &second]).await;
    delivered(&collector, "/k8s", 5.0).await;
    delivered(&collector, "/o/b", 5.0).await;
    database.ask("/internal/force_flush", &[]).await;
    let namespaces = collector.list("namespaces").await;
    for (metric, slash) in [
        ("cpu/usage_rate", "cpu_usage_rate"),
        ("memory/usage", "memory_usage"),
        ("network/tx_rate", "network_tx_rate"),
    ] {
        let names = [(format!("{metric}_value"), "one"), (slash.to_owned(), "two")];
        for (name, cluster) in names {
            let of =
                |kind: &str| format!("{{__name__=\"{name}\",cluster_name=\"{cluster}\",type=\"{kind}\"}}");
            let by_node = promql(&database, &of("node")).await;
            assert_eq!(by_node.len(), 3, "{name}");
            for (labels, theirs) in &by_node {
                let node = &labels["nodename"];
                let ours = model(&collector, &format!("nodes/{node}/metrics/{metric}")).await;
                assert_same(node, theirs, &ours, 2);
            }
            let by_pod = promql(&database, &of("pod")).await;
            assert_eq!(by_pod.len(), 12, "{name}");
            let mut sums: BTreeMap<String, Points> = BTreeMap::new();
            for (labels, theirs) in &by_pod {
                let (namespace, pod) = (&labels["namespace_name"], &labels["pod_name"]);
                let path = format!("namespaces/{namespace}/pods/{pod}/metrics/{metric}");
                assert_same(pod, theirs, &model(&collector, &path).await, 2);
                for (stamp, value) in theirs {
                    *sums.entry(namespace.clone()).or_default().entry(*stamp).or_default() += value;
                }
            }
            let by_namespace = promql(&database, &of("ns")).await;
            assert_eq!((by_namespace.len(), sums.len()), (namespaces.len(), namespaces.len()));
            // The traffic of pods on their host's network is their host's.
            let whole = by_namespace.iter().filter(|_| !metric.starts_with("network"));
            for (labels, theirs) in whole {
                let ours = &sums[&labels["namespace_name"]];
                for (stamp, value) in theirs {
                    assert!((ours[stamp] - value).abs() < 1e-2, "{name}: pods sum up to their namespace");
                }
            }
        }
    }
    collector.running.stop().await;
    simulator.stop().await;
}
