//! The historical API over real databases that a simulated cluster was written to: the same bodies as the model API's for the
//! same times, and buckets as plain arithmetic over the model's points makes them.

use crate::databases::Database;
use crate::programs::Prometheus;
use crate::sinks_influxdb::{delivered, model, simulator};
use crate::support::{Collector, NOWHERE, until};
use serde_json::Value;
use std::collections::BTreeMap;

/// How a store tells a percentile of several points.
#[derive(Clone, Copy, PartialEq)]
enum Percentile {
    /// The nearest that is there.
    Nearest,
    /// Between the two nearest.
    Between,
}

/// Compares everything that a collector with this sink, which it asks as well, tells of the past with its model.
async fn compare(uri: &str, percentile: Percentile, flush: impl AsyncFn()) {
    let simulator = simulator();
    let source = format!("--source={}", simulator.source_uri());
    let (sink, asked) = (format!("--sink={uri}"), format!("--historical_source={uri}"));
    let collector = Collector::start(&[&source, &sink, &asked]).await;
    delivered(&collector, "", 6.0).await;
    flush().await;
    let pod = simulator.cluster().nodes()[0].pods.iter().find(|pod| !pod.host_network).unwrap().clone();
    let (namespace, name, uid) = (&pod.namespace, &pod.name, &pod.uid);
    let container = &pod.containers[0].name;
    let of_pod = format!("namespaces/{namespace}/pods/{name}");
    let of_container = format!("{of_pod}/containers/{container}");
    same_lists(&collector, namespace, &of_pod).await;

    // The windows that were written when they were looked at.
    let seen: Vec<i64> = model(&collector, "metrics/cpu/usage_rate").await.into_keys().collect();
    let [start, .., end, _] = seen[..] else { panic!("{seen:?}") };
    let span = format!("start={}&end={}", rfc3339(start), rfc3339(end));
    until("the last of these windows in the database", async || {
        flush().await;
        let reply = collector.get(&format!("/api/v1/historical/metrics/cpu/usage_rate?{span}")).await;
        reply.body.contains(&rfc3339(end)).then_some(())
    })
    .await;
    let others = collector.list(&format!("namespaces/{namespace}/pods")).await.join(",");
    let series = [
        "metrics/cpu/usage_rate".to_owned(),
        "metrics/network/tx_rate".to_owned(),
        "metrics/cpu-usage".to_owned(),
        format!("namespaces/{namespace}/metrics/memory/working_set"),
        "nodes/node-2/metrics/memory/usage".to_owned(),
        "nodes/node-2/metrics/cpu/node_utilization".to_owned(),
        "nodes/node-2/metrics/network/rx".to_owned(),
        "nodes/node-2/metrics/memory/node_capacity".to_owned(),
        "nodes/node-2/metrics/filesystem/usage?labels=resource_id:/".to_owned(),
        "nodes/node-2/metrics/filesystem/usage?labels=resource_id:imagefs".to_owned(),
        "nodes/node-2/metrics/network/rx?labels=interface:eth0".to_owned(),
        "nodes/node-1/freecontainers/kubelet/metrics/memory/rss".to_owned(),
        format!("{of_pod}/metrics/memory/usage"),
        format!("{of_pod}/metrics/cpu/usage"),
        format!("{of_pod}/metrics/uptime"),
        format!("{of_pod}/metrics/network/tx_rate"),
        format!("{of_container}/metrics/memory/page_faults_rate"),
        format!("{of_container}/metrics/cpu/limit"),
        format!("namespaces/{namespace}/pod-list/{others},{name}/metrics/memory/usage"),
    ];
    for path in &series {
        let path = format!("{path}{}{span}", if path.contains('?') { '&' } else { '?' });
        let ours = collector.get(&format!("/api/v1/model/{path}")).await.body;
        let theirs = collector.get(&format!("/api/v1/historical/{path}")).await;
        assert!(ours.contains("\"value\""), "{path} has nothing to compare");
        assert_eq!((theirs.status, theirs.body), (200, ours), "{path}");
    }
    // By its uid a pod is the same.
    let pairs = [
        (format!("pod-id/{uid}/metrics/memory/usage"), format!("{of_pod}/metrics/memory/usage")),
        (
            format!("pod-id/{uid}/containers/{container}/metrics/memory/rss"),
            format!("{of_container}/metrics/memory/rss"),
        ),
        (
            format!("pod-id-list/{uid},{uid}/metrics/memory/usage"),
            format!("namespaces/{namespace}/pod-list/{name},{name}/metrics/memory/usage"),
        ),
    ];
    for (by_uid, by_name) in pairs {
        let ours = collector.get(&format!("/api/v1/model/{by_name}?{span}")).await.body;
        let theirs = collector.get(&format!("/api/v1/historical/{by_uid}?{span}")).await;
        assert_eq!((theirs.status, theirs.body), (200, ours), "{by_uid}");
    }
    let aggregated = [
        ("metrics", "cpu/usage_rate", "metrics", true),
        ("nodes/node-2/metrics", "cpu/node_utilization", "nodes/node-2/metrics", false),
        (&format!("{of_pod}/metrics"), "memory/usage", &format!("pod-id/{uid}/metrics"), true),
        (
            &format!("{of_container}/metrics"),
            "memory/page_faults_rate",
            &format!("{of_container}/metrics"),
            false,
        ),
    ];
    for (ours, metric, theirs, whole) in aggregated {
        let points = model(&collector, &format!("{ours}/{metric}?{span}")).await;
        for bucket in [None, Some(10_000), Some(7_000), Some(60_000)] {
            let expected = Expected { points: &points, start, bucket, percentile, whole };
            let query = bucket.map_or_else(String::new, |millis| format!("&bucket={millis}ms"));
            let path = format!(
                "{theirs}-aggregated/average,max,min,median,count,50-perc,95-perc,99-perc/{metric}?{span}{query}"
            );
            let reply = collector.get(&format!("/api/v1/historical/{path}")).await;
            assert_eq!(
                (reply.status, reply.kind.as_str()),
                (200, "application/json"),
                "{path}: {}",
                reply.body
            );
            let told: Value = serde_json::from_str(&reply.body).unwrap();
            let size = bucket.map_or(end - start, |millis| millis * 1_000_000);
            assert_eq!(told["bucketSize"], size, "{path}");
            expected.assert(&path, told["buckets"].as_array().unwrap());
        }
    }
    let list = format!("namespaces/{namespace}/pod-list/{others}/metrics-aggregated/max/memory/usage?{span}");
    let told: Value =
        serde_json::from_str(&collector.get(&format!("/api/v1/historical/{list}")).await.body).unwrap();
    for (pod, item) in others.split(',').zip(told["items"].as_array().unwrap()) {
        let points =
            model(&collector, &format!("namespaces/{namespace}/pods/{pod}/metrics/memory/usage?{span}"))
                .await;
        let most = points.values().copied().fold(0.0, f64::max);
        assert_eq!(item["buckets"][0]["maximum"]["intValue"].as_f64(), Some(most), "{pod}");
        assert!(item["buckets"][0].get("count").is_none(), "nobody asked for it");
    }
    shapes(&collector, &of_pod, uid, container, &span).await;
    assert!(collector.counted(&["heapster_historical_questions_total", "\"ok\""]).await > 30.0);
    collector.running.stop().await;
    simulator.stop().await;

    // Somebody else, who knows of no pod.
    let stranger = Collector::start(&[NOWHERE, &asked]).await;
    let reply = stranger.get(&format!("/api/v1/historical/pod-id/{uid}/metrics/memory/usage?{span}")).await;
    if uri.contains("pod_id=true") {
        assert!(reply.status == 200 && reply.body.contains(&rfc3339(end)), "{}", reply.body);
        let path = format!(
            "/api/v1/historical/pod-id/{uid}/containers/{container}/metrics-aggregated/count/memory/rss"
        );
        let told: Value = serde_json::from_str(&stranger.get(&format!("{path}?{span}")).await.body).unwrap();
        assert!(told["buckets"][0]["count"].as_u64().unwrap() >= 3, "{told}");
    } else {
        let said = format!("No results for metric \"memory/usage\" describing \"pod-id:{uid}\"");
        assert_eq!((reply.status, reply.body), (500, said));
    }
    stranger.running.stop().await;
}

/// The lists and the names of metrics are the model's.
async fn same_lists(collector: &Collector, namespace: &str, of_pod: &str) {
    let lists = [
        "nodes/".to_owned(),
        "namespaces".to_owned(),
        "metrics/".to_owned(),
        "nodes/node-1/metrics".to_owned(),
        "nodes/node-1/freecontainers/".to_owned(),
        "nodes/node-1/freecontainers/kubelet/metrics".to_owned(),
        format!("namespaces/{namespace}/metrics"),
        format!("namespaces/{namespace}/pods"),
        format!("{of_pod}/metrics/"),
        format!("{of_pod}/containers/"),
        format!("{of_pod}/containers/{}/metrics", collector.list(&format!("{of_pod}/containers")).await[0]),
    ];
    for path in lists {
        let ours = collector.get(&format!("/api/v1/model/{path}")).await;
        let theirs = collector.get(&format!("/api/v1/historical/{path}")).await;
        assert_eq!((theirs.status, theirs.kind, theirs.body), (200, ours.kind, ours.body), "{path}");
    }
    for (path, said) in [
        ("nodes/nope/freecontainers", "Unable to list system containers on node \"nope\""),
        ("namespaces/nope/pods", "Unable to list pods in namespace \"nope\""),
        ("nodes/nope/metrics", "Unable to list available metrics"),
    ] {
        let reply = collector.get(&format!("/api/v1/historical/{path}")).await;
        assert_eq!((reply.status, reply.body.as_str()), (500, said), "{path}");
    }
}

/// Every route of the historical API is told in the document, and has an answer of the shape that is told there.
async fn shapes(collector: &Collector, of_pod: &str, uid: &str, container: &str, span: &str) {
    use heapster::api::routes::HISTORICAL;
    let (_, rest) = of_pod.split_once('/').unwrap();
    let (namespace, pod) = rest.split_once("/pods/").unwrap();
    let names = [
        ("/freecontainers/{container}", "/freecontainers/kubelet"),
        ("{node}", "node-1"),
        ("{namespace}", namespace),
        ("{pods}", pod),
        ("{pod_ids}", uid),
        ("{pod_id}", uid),
        ("{pod}", pod),
        ("{container}", container),
        ("{aggregations}", "max,99-perc"),
        ("{metric}", "memory/usage"),
    ];
    let document: Value = serde_json::from_str(&collector.get("/openapi.json").await.body).unwrap();
    for route in HISTORICAL {
        let path = names.iter().fold(route.shown(), |path, (part, name)| path.replace(part, name));
        let reply = collector.get(&format!("{path}?{span}")).await;
        assert_eq!((reply.status, reply.kind.as_str()), (200, "application/json"), "{path}: {}", reply.body);
        let told =
            &document["paths"][&route.shown()]["get"]["responses"]["200"]["content"][&reply.kind]["schema"];
        let value: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(crate::openapi::wrong(&document, told, &value, &path), [""; 0]);
    }
}

/// An instant in nanoseconds as the API writes it.
pub fn rfc3339(nanos: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(nanos).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// What buckets should be.
struct Expected<'a> {
    points: &'a BTreeMap<i64, f64>,
    start: i64,
    bucket: Option<i64>,
    percentile: Percentile,
    /// Whether the metric has whole numbers.
    whole: bool,
}

impl Expected<'_> {
    fn assert(&self, what: &str, told: &[Value]) {
        let mut by_bucket: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for (at, value) in self.points {
            let begin = self.bucket.map_or(self.start, |millis| at - at.rem_euclid(millis * 1_000_000));
            by_bucket.entry(begin).or_default().push(*value);
        }
        assert_eq!(told.len(), by_bucket.len(), "{what}: {told:?}");
        for (bucket, (begin, mut values)) in told.iter().zip(by_bucket) {
            assert_eq!(bucket["timestamp"], rfc3339(begin), "{what}");
            values.sort_by(f64::total_cmp);
            let count = values.len();
            assert_eq!(bucket["count"], count, "{what}");
            let near = |name: &str, told: &Value, expected: f64, whole: bool| {
                let member = if whole { "intValue" } else { "floatValue" };
                let number =
                    told[member].as_f64().unwrap_or_else(|| panic!("{what}: no {member} in {name}: {told}"));
                assert!(
                    (number - expected).abs() <= 1e-9 * expected.abs(),
                    "{what}: {name} {number}, not {expected}"
                );
            };
            near("average", &bucket["average"], values.iter().sum::<f64>() / count as f64, false);
            near("maximum", &bucket["maximum"], values[count - 1], self.whole);
            near("minimum", &bucket["minimum"], values[0], self.whole);
            near("median", &bucket["median"], (values[(count - 1) / 2] + values[count / 2]) / 2.0, false);
            for percent in [50, 95, 99] {
                let told = &bucket["percentiles"][percent.to_string()];
                match self.percentile {
                    Percentile::Nearest => {
                        let rank = (count as f64 * f64::from(percent) / 100.0 + 0.5).floor() as usize;
                        near("percentile", told, values[rank.max(1) - 1], self.whole);
                    }
                    Percentile::Between => {
                        let rank = (count - 1) as f64 * f64::from(percent) / 100.0;
                        let (below, rest) = (rank.floor() as usize, rank.fract());
                        let above = values[(below + 1).min(count - 1)];
                        near("percentile", told, values[below] + (above - values[below]) * rest, false);
                    }
                }
            }
        }
    }
}

#[actix_web::test]
async fn an_influxdb_tells_what_the_model_told() {
    let Some(database) = Database::influxdb().await else { return };
    compare(&format!("influxdb:{}", database.base), Percentile::Nearest, async || {}).await;
}

#[actix_web::test]
async fn an_influxdb_with_fields_tells_what_the_model_told() {
    let Some(database) = Database::influxdb().await else { return };
    let uri = format!("influxdb:{}?db=f&withfields=true&cluster_name=x&policy=p&pod_id=true", database.base);
    compare(&uri, Percentile::Nearest, async || {}).await;
}

#[actix_web::test]
async fn a_prometheus_tells_what_the_model_told() {
    let Some(server) = Prometheus::start("global: {}\n").await else { return };
    compare(&format!("prometheus:{}?cluster=east", server.base), Percentile::Between, async || {}).await;
}

#[actix_web::test]
async fn a_victoria_metrics_tells_what_the_model_told() {
    let Some(database) = Database::victoria_metrics().await else { return };
    let uri = format!("prometheus:{}/api/v1/write?pod_id=true", database.base);
    compare(&uri, Percentile::Between, async || {
        database.ask("/internal/force_flush", &[]).await;
    })
    .await;
}
