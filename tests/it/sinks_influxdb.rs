//! What an InfluxDB has got of a simulated cluster, asked in its own language and compared with the model API.

use crate::databases::{Database, Series};
use crate::support::{Collector, until};
use heapster::clock::Clock;
use heapster::simulator::{Shape, Simulator};
use serde_json::Value;
use std::collections::BTreeMap;

/// A small cluster.
fn simulator() -> Simulator {
    let shape = Shape { nodes: 3, pods: 4, containers: 2, namespaces: 2, ..Shape::default() };
    Simulator::start(shape, Clock::system()).unwrap()
}

/// A series of an answer as stamps and numbers.
fn points(series: &Series) -> BTreeMap<i64, f64> {
    let value = |row: &Vec<Value>| Some((row[0].as_i64().unwrap(), row[1].as_f64()?));
    series.values.iter().filter_map(value).collect()
}

/// A series of the model by stamp in nanoseconds.
async fn model(collector: &Collector, path: &str) -> BTreeMap<i64, f64> {
    let series = collector.series(path).await;
    let point = |(stamp, value, float): (String, u64, Option<f64>)| {
        let stamp = chrono::DateTime::parse_from_rfc3339(&stamp).unwrap().timestamp_nanos_opt().unwrap();
        (stamp, float.unwrap_or(value as f64))
    };
    series.into_iter().map(point).collect()
}

/// Waits until the sink has got so many windows, and nothing waits.
async fn delivered(collector: &Collector, windows: f64) {
    until("windows delivered", async || {
        let ok = collector.counted(&["heapster_exports_total", "influxdb", "ok"]).await;
        let queued = collector.counted(&["heapster_sink_points_queued", "influxdb"]).await;
        (ok >= windows && queued == 0.0).then_some(())
    })
    .await;
}

#[actix_web::test]
async fn an_influxdb_has_what_the_model_has() {
    let Some(database) = Database::influxdb().await else { return };
    let simulator = simulator();
    let source = format!("--source={}", simulator.source_uri());
    let sink = format!("--sink=influxdb:{}", database.base);
    let collector = Collector::start(&[&source, &sink]).await;
    delivered(&collector, 3.0).await;
    let all = database
        .influxql("k8s", "SELECT value FROM \"memory/usage\" WHERE type = 'node' GROUP BY nodename")
        .await;
    assert_eq!(all.len(), 3);
    for series in &all {
        let path = format!("nodes/{}/metrics/memory/usage", series.tags["nodename"]);
        let (theirs, ours) = (points(series), model(&collector, &path).await);
        assert!(
            theirs.len() >= 3 && theirs.iter().all(|(stamp, value)| ours[stamp] == *value),
            "{theirs:?} {ours:?}"
        );
    }
    collector.running.stop().await;
    simulator.stop().await;
}
