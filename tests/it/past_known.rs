//! The historical API over points that are known: a pod that was moved, an end of a series, several clusters.

use crate::databases::Database;
use crate::past::rfc3339;
use crate::programs::Prometheus;
use crate::sinks_influxdb::{delivered, model, simulator};
use crate::support::{Collector, NOWHERE, until};
use heapster::clock::Clock;
use heapster::model::metric::{Metric, MetricKey};
use heapster::model::time::Timestamp;
use heapster::wire::prometheus_names::{Family, Level};
use heapster::wire::remote_write::{STALE, Sample, Version, Writer};
use serde_json::{Value, json};

/// Writes samples of the memory of a pod on some node: seconds and value.
async fn write(server: &Prometheus, node: &str, begin: i64, samples: &[(i64, f64)]) {
    for (seconds, value) in samples {
        let mut writer = Writer::new(Version::One);
        let family = Family::new(&MetricKey::Known(Metric::MemoryUsage), Level::Pod, None);
        let family = writer.family(&family);
        let labels = writer.labels(&[("namespace", "shop"), ("node", node), ("pod", "db-0")]);
        let at = Timestamp::from_seconds(begin + seconds);
        writer.push(&family, &labels, Sample { value: *value, at, start: None });
        let client = awc::Client::default();
        let asked = client
            .post(format!("{}/api/v1/write", server.base))
            .insert_header(("content-type", Version::One.content_type()))
            .insert_header(("content-encoding", "snappy"))
            .insert_header(("x-prometheus-remote-write-version", Version::One.header()));
        let mut reply = asked.send_body(writer.finish()).await.unwrap();
        assert!(reply.status().is_success(), "{:?}", reply.body().await);
    }
}

#[actix_web::test]
async fn a_pod_that_was_moved_has_one_series_and_no_point_of_its_own_making() {
    let Some(server) = Prometheus::start("global: {}\n").await else { return };
    // The beginning of a minute that is over, in which nothing else can be.
    let begin = (Clock::system().now().seconds() / 60 - 5) * 60;
    write(&server, "a", begin, &[(0, 1.0), (10, 5.0), (20, 3.0), (21, STALE)]).await;
    write(&server, "b", begin, &[(30, 8.0), (40, 2.0), (60, 7.0), (61, STALE)]).await;
    let asked = format!("--historical_source=prometheus:{}", server.base);
    let collector = Collector::start(&[NOWHERE, &asked]).await;
    let pod = "/api/v1/historical/namespaces/shop/pods/db-0";
    let at = |seconds: i64| rfc3339((begin + seconds) * 1_000_000_000);
    let get = async |rest: &str| {
        let reply = collector.get(&format!("{pod}/{rest}")).await;
        assert_eq!(reply.status, 200, "{rest}: {}", reply.body);
        serde_json::from_str::<Value>(&reply.body).unwrap()
    };
    let told = get(&format!("metrics/memory/usage?start={}&end={}", at(0), at(60))).await;
    let expected: Vec<Value> = [(0, 1), (10, 5), (20, 3), (30, 8), (40, 2), (60, 7)]
        .map(|(seconds, value)| json!({"timestamp": at(seconds), "value": value}))
        .into();
    assert_eq!(told["metrics"], json!(expected));
    // Both ends are in it, and nothing else is.
    let told = get(&format!("metrics/memory/usage?start={}&end={}", at(10), at(30))).await;
    assert_eq!(told["metrics"], json!(expected[1..4]));
    let bucket = "average,max,min,median,count,95-perc/memory/usage";
    let told = get(&format!("metrics-aggregated/{bucket}?bucket=1m&start={}&end={}", at(0), at(60))).await;
    // 1 2 3 5 8, of two series; then 7 alone.
    let between = 5.0 + (8.0 - 5.0) * (0.95 * 4.0 - 3.0);
    let [first, second] = told["buckets"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!((&first["timestamp"], &second["timestamp"]), (&json!(at(0)), &json!(at(60))));
    assert_eq!((&first["count"], &second["count"]), (&json!(5), &json!(1)));
    assert_eq!((&first["median"]["floatValue"], &second["median"]["floatValue"]), (&json!(3.0), &json!(7.0)));
    assert!((first["percentiles"]["95"]["floatValue"].as_f64().unwrap() - between).abs() < 1e-12);
    assert_eq!((&first["maximum"], &first["minimum"]), (&json!({"intValue": 8}), &json!({"intValue": 1})));
    let average = |told: &Value| told["average"]["floatValue"].as_f64().unwrap();
    assert!((average(first) - 19.0 / 5.0).abs() < 1e-12);
    // Three points of one node and two of the other weigh as many.
    let told = get(&format!("metrics-aggregated/average/memory/usage?start={}&end={}", at(0), at(40))).await;
    assert!((average(&told["buckets"][0]) - 19.0 / 5.0).abs() < 1e-12, "{told}");
    assert!(told["buckets"][0].get("count").is_none(), "nobody asked for it");
    // Buckets that hold no point are left out, and no value holds on into one.
    let told =
        get(&format!("metrics-aggregated/max/memory/usage?bucket=5s&start={}&end={}", at(0), at(180))).await;
    let stamps: Vec<&Value> =
        told["buckets"].as_array().unwrap().iter().map(|bucket| &bucket["timestamp"]).collect();
    assert_eq!(json!(stamps), json!([0, 10, 20, 30, 40, 60].map(at)));
    for rest in ["metrics/memory/usage", "metrics-aggregated/max/memory/usage"] {
        let reply = collector.get(&format!("{pod}/{rest}?start={}&end={}", at(62), at(120))).await;
        let said = "No results for metric \"memory/usage\" describing \"namespace:shop/pod:db-0\"";
        assert_eq!((reply.status, reply.body.as_str()), (500, said), "a last value does not hold on");
    }
    collector.running.stop().await;
}

#[actix_web::test]
async fn several_clusters_are_told_apart_and_summed_by_an_influxdb() {
    let Some(database) = Database::influxdb().await else { return };
    several_clusters(&format!("influxdb:{}", database.base)).await;
}

#[actix_web::test]
async fn several_clusters_are_told_apart_and_summed_by_a_prometheus() {
    let Some(server) = Prometheus::start("global: {}\n").await else { return };
    several_clusters(&format!("prometheus:{}", server.base)).await;
}

async fn several_clusters(uri: &str) {
    let (one, two) = (simulator(), simulator());
    let sources = [
        format!("--source={}&clusterName=east", one.source_uri()),
        format!("--source={}&clusterName=west", two.source_uri()),
    ];
    let (sink, asked) = (format!("--sink={uri}"), format!("--historical_source={uri}"));
    let collector = Collector::start(&[&sources[0], &sources[1], &sink, &asked]).await;
    delivered(&collector, "", 10.0).await;
    let seen: Vec<i64> = model(&collector, "metrics/memory/usage").await.into_keys().collect();
    let (start, end) = (seen[1], seen[3]);
    let span = format!("start={}&end={}", rfc3339(start), rfc3339(end));
    let same = async |path: &str| {
        let ours = collector.get(&format!("/api/v1/model/{path}")).await.body;
        assert!(ours.contains("\"value\""), "{path} has nothing to compare");
        until("the same in the past", async || {
            let theirs = collector.get(&format!("/api/v1/historical/{path}")).await;
            (theirs.body == ours).then_some(())
        })
        .await;
    };
    for path in ["metrics/memory/usage", "nodes/node-1/metrics/memory/usage"] {
        for cluster in ["", "&cluster=east", "&cluster=west"] {
            same(&format!("{path}?{span}{cluster}")).await;
        }
    }
    let sums = model(&collector, &format!("metrics/memory/usage?{span}")).await;
    let reply =
        collector.get(&format!("/api/v1/historical/metrics-aggregated/max,count/memory/usage?{span}")).await;
    let told: Value = serde_json::from_str(&reply.body).unwrap();
    let most = sums.values().copied().fold(0.0, f64::max);
    assert_eq!(told["buckets"][0]["maximum"]["intValue"].as_f64(), Some(most), "{told}");
    assert_eq!(told["buckets"][0]["count"], sums.len());
    let reply = collector.get(&format!("/api/v1/historical/metrics/memory/usage?{span}&cluster=north")).await;
    assert!(reply.status == 400 && reply.body.contains("north"), "{}", reply.body);
    collector.running.stop().await;
    one.stop().await;
    two.stop().await;
}

/// Nobody writes to this Prometheus: it scrapes the collector, which asks it again.
#[actix_web::test]
async fn a_prometheus_that_scrapes_is_asked_as_well() {
    let port = crate::databases::free_port();
    let config = format!(
        "scrape_configs:\n- job_name: heapster\n  scrape_interval: 1s\n  metrics_path: /api/v1/export/prometheus\n  \
         honor_labels: true\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
    );
    let Some(server) = Prometheus::start(&config).await else { return };
    let simulator = simulator();
    let source = format!("--source={}", simulator.source_uri());
    let asked = format!("--historical_source=prometheus:{}", server.base);
    let collector = Collector::start(&[&source, &asked, &format!("--port={port}")]).await;
    let seen = until("windows enough", async || {
        let seen: Vec<i64> = model(&collector, "metrics/memory/usage").await.into_keys().collect();
        (seen.len() > 4).then_some(seen)
    })
    .await;
    // The first window may have been over before it was scraped.
    let span = format!("start={}&end={}", rfc3339(seen[1]), rfc3339(seen[3]));
    for path in [
        "metrics/memory/usage",
        "nodes/node-1/metrics/network/rx",
        "nodes/node-2/metrics/cpu/node_utilization",
    ] {
        let ours = collector.get(&format!("/api/v1/model/{path}?{span}")).await.body;
        assert!(ours.contains("\"value\""), "{path} has nothing to compare");
        until("the same in the past", async || {
            let theirs = collector.get(&format!("/api/v1/historical/{path}?{span}")).await;
            (theirs.body == ours).then_some(())
        })
        .await;
    }
    for list in ["nodes", "namespaces", "metrics", "nodes/node-1/metrics"] {
        let ours = collector.get(&format!("/api/v1/model/{list}")).await.body;
        assert_eq!(collector.get(&format!("/api/v1/historical/{list}")).await.body, ours, "{list}");
    }
    collector.running.stop().await;
    simulator.stop().await;
}
