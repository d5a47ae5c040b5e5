//! A real Prometheus that scrapes a collector of a simulated cluster, asked in PromQL and compared with the model API.

use crate::programs::Prometheus;
use crate::support::{Collector, until};
use heapster::clock::Clock;
use heapster::simulator::{Shape, Simulator};
use std::collections::BTreeMap;

/// The points of a series of the model by their stamps in milliseconds, in base units.
pub async fn model(collector: &Collector, path: &str, in_one: f64) -> BTreeMap<i64, f64> {
    let points = collector.series(path).await;
    let point = |(stamp, whole, float): (String, u64, Option<f64>)| {
        let stamp = chrono::DateTime::parse_from_rfc3339(&stamp).unwrap().timestamp_millis();
        (stamp, float.unwrap_or(whole as f64) / in_one)
    };
    points.into_iter().map(point).collect()
}

/// Metrics of the model at some level, what they are called, and how many of their unit make one of Prometheus'.
pub const METRICS: [(&str, &str, f64); 4] = [
    ("cpu/usage_rate", "cpu_usage_cores", 1e3),
    ("memory/working_set", "memory_working_set_bytes", 1.0),
    ("network/tx_rate", "network_transmit_bytes_per_second", 1.0),
    ("memory/page_faults_rate", "memory_page_faults_per_second", 1.0),
];

/// Holds what a Prometheus has of these metrics to the model: single series, and sums over them.
pub async fn assert_same(prometheus: &Prometheus, collector: &Collector, more: &str, windows: usize) {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
    for (metric, name, in_one) in METRICS {
        let range = |level: &str| format!("heapster_{level}_{name}{more}[10m]");
        for level in ["cluster", "namespace", "node", "pod"] {
            for (labels, theirs) in prometheus.series(&range(level)).await {
                let path = match level {
                    "cluster" => format!("metrics/{metric}"),
                    "namespace" => format!("namespaces/{}/metrics/{metric}", labels["namespace"]),
                    "node" => format!("nodes/{}/metrics/{metric}", labels["node"]),
                    _ => {
                        format!("namespaces/{}/pods/{}/metrics/{metric}", labels["namespace"], labels["pod"])
                    }
                };
                let ours = model(collector, &path, in_one).await;
                assert!(theirs.len() >= windows, "{path}: {} points", theirs.len());
                for (stamp, value) in &theirs {
                    let own = ours.get(stamp).unwrap_or_else(|| panic!("{path} has nothing at {stamp}"));
                    assert!(near(*own, *value), "{path} at {stamp}: {value} there, {own} here");
                }
            }
        }
        // Of the last window that every series has, sums of one level are the next level's.
        let cluster = prometheus.series(&range("cluster")).await.remove(0).1;
        let at = *cluster.keys().rev().nth(1).unwrap();
        let sum = async |query: String| {
            let found = prometheus.at(&query, at).await;
            let [(_, value)] = &found[..] else { panic!("{query}: {found:?}") };
            *value
        };
        let whole = cluster[&at];
        // Pods on their node's network tell its traffic: it is theirs, and in no sum a second time.
        let levels: &[&str] =
            if metric.starts_with("network") { &["namespace"] } else { &["namespace", "pod"] };
        for level in levels {
            let sum = sum(format!("sum(heapster_{level}_{name}{more})")).await;
            // What is kept of each to a thousandth is off by half of one at most.
            assert!((sum - whole).abs() <= 0.02, "{level} of {name}: {sum}, not {whole}");
        }
        if !levels.contains(&"pod") {
            continue;
        }
        for (labels, by_namespace) in
            prometheus.at(&format!("sum by (namespace) (heapster_pod_{name}{more})"), at).await
        {
            let namespace = &labels["namespace"];
            let own =
                model(collector, &format!("namespaces/{namespace}/metrics/{metric}"), in_one).await[&at];
            assert!((by_namespace - own).abs() <= 0.02, "pods of {namespace}: {by_namespace}, not {own}");
        }
    }
}

#[actix_web::test]
async fn a_prometheus_that_scrapes_has_what_the_model_has() {
    let simulator =
        Simulator::start(Shape { nodes: 2, pods: 4, containers: 2, ..Shape::default() }, Clock::system())
            .unwrap();
    let collector = Collector::start(&[&format!("--source={}", simulator.source_uri())]).await;
    let target = collector.base.strip_prefix("http://").unwrap();
    let config = format!(
        "scrape_configs:\n- job_name: heapster\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\n  honor_labels: true\n  \
         metrics_path: /api/v1/export/prometheus\n  static_configs: [{{targets: ['{target}']}}]\n"
    );
    let Some(prometheus) = Prometheus::start(&config).await else { return };
    until("four windows of pods", async || {
        let found = prometheus.series("heapster_pod_cpu_usage_cores[10m]").await;
        (found.len() == 8 && found.iter().all(|(_, points)| points.len() >= 4)).then_some(())
    })
    .await;
    assert_same(&prometheus, &collector, "", 3).await;
    // Everything that is told is taken: no line is refused, none is left out.
    let told = collector.get("/api/v1/export/prometheus").await.body;
    let lines = told.lines().filter(|line| !line.starts_with('#')).count();
    let [(_, count)] = &prometheus.now("count({__name__=~\"heapster_.+\"})").await[..] else {
        panic!("a count")
    };
    assert_eq!(*count, lines as f64);
    let kinds: serde_json::Value = prometheus.ask("/api/v1/metadata", &[]).await;
    let kind = |family: &str| kinds["data"][family][0]["type"].as_str().map(str::to_owned);
    let unit = |family: &str| kinds["data"][family][0]["unit"].as_str().map(str::to_owned);
    // As OpenMetrics, which Prometheus prefers, names a counter.
    assert_eq!(kind("heapster_container_cpu_usage_seconds").as_deref(), Some("counter"));
    assert_eq!(unit("heapster_container_cpu_usage_seconds").as_deref(), Some("seconds"));
    assert_eq!(kind("heapster_pod_memory_usage_bytes").as_deref(), Some("gauge"));
    // What people ask first: a rate of the counter is the cpu in use.
    let rates = prometheus.now("rate(heapster_node_cpu_usage_seconds_total[1m])").await;
    assert!(rates.len() == 2 && rates.iter().all(|(_, rate)| *rate > 0.0), "{rates:?}");
    collector.running.stop().await;
    simulator.stop().await;
}
