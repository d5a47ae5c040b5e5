//! What an InfluxDB has got of a simulated cluster, asked in its own language as dashboards ask, and compared with the
//! model API.

use crate::databases::{Database, Series};
use crate::fake_sink::{FakeSink, Manner};
use crate::support::{Collector, until};
use heapster::clock::Clock;
use heapster::simulator::{Shape, Simulator};
use serde_json::Value;
use std::collections::BTreeMap;

/// A small cluster.
pub fn simulator() -> Simulator {
    let shape = Shape { nodes: 3, pods: 4, containers: 2, namespaces: 2, ..Shape::default() };
    Simulator::start(shape, Clock::system()).unwrap()
}

/// The points of one series by stamp in nanoseconds.
pub type Points = BTreeMap<i64, f64>;

/// A series of an answer.
fn points(series: &Series) -> Points {
    let value = |row: &Vec<Value>| Some((row[0].as_i64().unwrap(), row[1].as_f64()?));
    series.values.iter().filter_map(value).collect()
}

/// A series of the model.
pub async fn model(collector: &Collector, path: &str) -> Points {
    let series = collector.series(path).await;
    let point = |(stamp, value, float): (String, u64, Option<f64>)| {
        let stamp = chrono::DateTime::parse_from_rfc3339(&stamp).unwrap().timestamp_nanos_opt().unwrap();
        (stamp, float.unwrap_or(value as f64))
    };
    series.into_iter().map(point).collect()
}

/// Waits until a sink has got so many windows.
pub async fn delivered(collector: &Collector, sink: &str, windows: f64) {
    until("windows delivered", async || {
        let ok = collector.counted(&["heapster_exports_total", sink, "\"ok\""]).await;
        (ok >= windows).then_some(())
    })
    .await;
}

/// Theirs are ours, as many at least as are asked for.
pub fn assert_same(what: &str, theirs: &Points, ours: &Points, least: usize) {
    assert!(theirs.len() >= least, "{what}: {theirs:?}");
    for (stamp, value) in theirs {
        assert_eq!(ours.get(stamp), Some(value), "{what} at {stamp}");
    }
}

/// The sums of several series, at the stamps that all of them have.
fn summed(all: &[Points]) -> Points {
    let (first, rest) = all.split_first().unwrap();
    let sum = |(stamp, value): (&i64, &f64)| {
        let others: Option<Vec<f64>> = rest.iter().map(|series| series.get(stamp).copied()).collect();
        Some((*stamp, value + others?.into_iter().sum::<f64>()))
    };
    first.iter().filter_map(sum).collect()
}

#[actix_web::test]
async fn dashboards_find_what_the_model_says() {
    let Some(database) = Database::influxdb().await else { return };
    let simulator = simulator();
    let source = format!("--source={}", simulator.source_uri());
    let plain = format!("--sink=influxdb:{}?db=plain&concurrency=4", database.base);
    let fields = format!("--sink=influxdb:{}?db=fields&withfields=true&cluster_name=prod", database.base);
    let collector = Collector::start(&[&source, &plain, &fields]).await;
    delivered(&collector, "/plain", 5.0).await;
    delivered(&collector, "/fields", 5.0).await;
    let nodes = collector.list("nodes").await;
    let namespaces = collector.list("namespaces").await;
    for (db, cluster) in [("plain", "default"), ("fields", "prod")] {
        for metric in ["cpu/usage_rate", "memory/usage", "network/tx_rate"] {
            let (from, field) = match db {
                "plain" => (metric, "value"),
                _ => metric.split_once('/').unwrap(),
            };
            let ask = async |what: &str, of: &str, by: &str| {
                let statement = format!(
                    "SELECT {what}(\"{field}\") FROM \"{from}\" WHERE \"type\" = '{of}' AND \"cluster_name\" = '{cluster}' AND \
                     time > now() - 15m GROUP BY time(5s), {by} fill(none)"
                );
                database.influxql(db, &statement).await
            };
            let what = |name: &str| format!("{metric} of {name} in {db}");
            // Rates begin once a kubelet has measured twice.
            let mut all = Vec::new();
            let by_node = ask("mean", "node", "\"nodename\"").await;
            assert_eq!(
                by_node.iter().map(|series| series.tags["nodename"].clone()).collect::<Vec<_>>(),
                nodes
            );
            for series in &by_node {
                let node = &series.tags["nodename"];
                let ours = model(&collector, &format!("nodes/{node}/metrics/{metric}")).await;
                assert_same(&what(node), &points(series), &ours, 2);
                all.push(points(series));
            }
            let whole = ask("sum", "node", "\"type\"").await;
            let (theirs, ours) = (points(&whole[0]), summed(&all));
            for (stamp, sum) in &ours {
                assert!((theirs[stamp] - sum).abs() < 1e-6, "{} at {stamp}", what("all nodes"));
            }
            let by_namespace = ask("sum", "ns", "\"namespace_name\"").await;
            assert_eq!(by_namespace.len(), namespaces.len());
            for series in &by_namespace {
                let namespace = &series.tags["namespace_name"];
                let ours = model(&collector, &format!("namespaces/{namespace}/metrics/{metric}")).await;
                assert_same(&what(namespace), &points(series), &ours, 2);
            }
            let by_pod = ask("sum", "pod", "\"namespace_name\", \"pod_name\"").await;
            assert_eq!(by_pod.len(), 12);
            for series in &by_pod {
                let (namespace, pod) = (&series.tags["namespace_name"], &series.tags["pod_name"]);
                let path = format!("namespaces/{namespace}/pods/{pod}/metrics/{metric}");
                assert_same(&what(pod), &points(series), &model(&collector, &path).await, 2);
            }
            let cluster = ask("sum", "cluster", "\"cluster_name\"").await;
            assert_same(
                &what("the cluster"),
                &points(&cluster[0]),
                &model(&collector, &format!("metrics/{metric}")).await,
                3,
            );
        }
        let (from, field) =
            if db == "plain" { ("filesystem/usage", "value") } else { ("filesystem", "usage") };
        let statement = format!(
            "SELECT \"{field}\" FROM \"{from}\" WHERE \"type\" = 'node' AND \"resource_id\" = '/' GROUP BY \"nodename\""
        );
        let disks = database.influxql(db, &statement).await;
        assert_eq!(disks.len(), 3);
        for series in &disks {
            let node = &series.tags["nodename"];
            let ours =
                model(&collector, &format!("nodes/{node}/metrics/filesystem/usage?labels=resource_id:/"))
                    .await;
            assert_same(node, &points(series), &ours, 4);
        }
        assert_types(&database, db).await;
    }
    // No more tags than the original had.
    let tags = database.influxql("plain", "SHOW TAG KEYS FROM \"cpu/usage_rate\"").await;
    let tags: Vec<&str> = tags[0].values.iter().map(|row| row[0].as_str().unwrap()).collect();
    let expected = [
        "cluster_name",
        "container_base_image",
        "container_name",
        "labels",
        "namespace_name",
        "nodename",
        "pod_name",
        "type",
    ];
    assert_eq!(tags, expected);
    collector.running.stop().await;
    simulator.stop().await;
}

/// Whole numbers are integers, rates and shares floats: the type of a field never changes again.
async fn assert_types(database: &Database, db: &str) {
    use heapster::model::metric::{Form, Metric};
    let mut seen = 0;
    for metric in Metric::ALL.iter().map(|metric| metric.descriptor()).filter(|line| line.is_public()) {
        let (from, field) = match metric.name.split_once('/') {
            Some(parts) if db == "fields" => parts,
            _ => (metric.name, "value"),
        };
        let keys = database.influxql(db, &format!("SHOW FIELD KEYS FROM \"{from}\"")).await;
        let rows = keys.iter().flat_map(|series| &series.values);
        for row in rows.filter(|row| row[0] == field) {
            let expected = if metric.form == Form::Integer { "integer" } else { "float" };
            assert_eq!(row[1], expected, "{db}: {}", metric.name);
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} fields");
}

/// The policies of a database: name, how long, whether it is the default.
async fn policies(database: &Database, db: &str) -> Vec<(String, String, bool)> {
    let answer = database.influxql(db, &format!("SHOW RETENTION POLICIES ON \"{db}\"")).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    answer[0].values.iter().map(|row| (text(&row[0]), text(&row[1]), row[4].as_bool().unwrap())).collect()
}

#[actix_web::test]
async fn a_sink_that_hangs_and_one_that_is_dead_harm_nobody() {
    let Some(database) = Database::influxdb().await else { return };
    let hung = FakeSink::start(|_, _| Manner::Hang);
    let simulator = simulator();
    let source = format!("--source={}", simulator.source_uri());
    let sinks = [
        format!("--sink=influxdb:{}?timeout=2s", hung.base()),
        format!("--sink=influxdb:http://127.0.0.1:{}?db=dead", crate::databases::free_port()),
        format!("--sink=influxdb:{}?db=good", database.base),
    ];
    let collector =
        Collector::start(&[&source, &sinks[0], &sinks[1], &sinks[2], "--shutdown_grace=2s"]).await;
    delivered(&collector, "/good", 4.0).await;
    assert!(collector.counted(&["heapster_windows_closed_total"]).await >= 4.0);
    assert_eq!(collector.counted(&["heapster_window_nodes_missing"]).await, 0.0);
    assert_eq!(collector.counted(&["dropped_exporter_busy"]).await, 0.0);
    let status: Value = serde_json::from_str(&collector.get("/api/v1/status").await.body).unwrap();
    let sinks = status["sinks"].as_array().unwrap();
    let state =
        |at: usize| (sinks[at]["state"].as_str().unwrap(), sinks[at]["queuedWindows"].as_u64().unwrap());
    assert!(state(0).0 == "failing" && state(0).1 >= 3, "{status}");
    assert!(state(1).0 == "failing" && state(1).1 >= 3, "{status}");
    assert!(state(2).0 == "ok" && state(2).1 <= 1, "{status}");
    assert!(sinks[1]["lastError"].as_str().unwrap().starts_with("unreachable: "));
    assert!(sinks[0]["oldestWindow"].is_string() && sinks[0]["queuedBytes"].as_u64().unwrap() > 0);
    let made = sinks[2]["pointsMade"].as_u64().unwrap();
    let (delivered, queued) = (&sinks[2]["pointsDelivered"], &sinks[2]["queuedPoints"]);
    assert_eq!(made, delivered.as_u64().unwrap() + queued.as_u64().unwrap());
    assert!(!collector.running.stop().await, "what hangs is cut off");
    simulator.stop().await;
}

#[actix_web::test]
async fn retention_takes_effect_and_policies_that_are_there_are_used() {
    use crate::exporting::{ROOM, Watched, lines};
    let Some(mut database) = Database::influxdb().await else { return };
    let export = async |options: &str, n: i64| {
        let mut watched = Watched::start(&format!("influxdb:{}?{options}", database.base), ROOM, None);
        watched.export(n).await;
        let state = watched.settled().await;
        assert_eq!((state.ledger.delivered, state.ledger.lost()), (state.ledger.made, 0), "{options}");
        watched.kill();
    };
    let count = async |db: &str, from: &str| {
        let rows = database.influxql(db, &format!("SELECT value FROM {from}")).await;
        rows.iter().map(|series| series.values.len()).sum::<usize>()
    };
    let one = lines(0..1).iter().filter(|line| line.starts_with("memory/usage,")).count();
    let policy = |name: &str, keeps: &str, default| (name.to_owned(), keeps.to_owned(), default);
    // The database is made with the policy that Heapster wrote to; the windows of these tests are of the future.
    export("db=new", 0).await;
    assert_eq!(policies(&database, "new").await, [policy("default", "0s", true)]);
    assert_eq!(count("new", "\"memory/usage\"").await, one);
    export("db=month&retention=30d", 0).await;
    assert_eq!(policies(&database, "month").await, [policy("default", "720h0m0s", true)]);
    export("db=month&retention=8w", 1).await;
    assert_eq!(policies(&database, "month").await, [policy("default", "1344h0m0s", true)]);
    export("db=month", 2).await;
    assert_eq!(
        policies(&database, "month").await,
        [policy("default", "1344h0m0s", true)],
        "not given, not altered"
    );
    assert_eq!(count("month", "\"memory/usage\"").await, 3 * one);
    // Made by somebody else: used as it is, or what is asked for is made in it.
    database.influxql("", "CREATE DATABASE theirs WITH DURATION 7d").await;
    export("db=theirs", 0).await;
    assert_eq!(policies(&database, "theirs").await, [policy("autogen", "168h0m0s", true)]);
    assert_eq!(count("theirs", "\"memory/usage\"").await, one);
    export("db=theirs&policy=long&retention=52w", 1).await;
    // Questions that name no policy, as dashboards', go on finding what they found.
    let both = [policy("autogen", "168h0m0s", true), policy("long", "8736h0m0s", false)];
    assert_eq!(policies(&database, "theirs").await, both);
    assert_eq!(count("theirs", "theirs.long.\"memory/usage\"").await, one);
    export("db=theirs&policy=autogen", 2).await;
    assert_eq!(count("theirs", "theirs.autogen.\"memory/usage\"").await, 2 * one);
    // Dropped and restarted while the sink goes on.
    let mut watched = Watched::start(&format!("influxdb:{}?db=new&timeout=2s", database.base), ROOM, None);
    watched.export(1).await;
    watched.settled().await;
    database.influxql("", "DROP DATABASE new").await;
    watched.export(2).await;
    let state = watched.settled().await;
    assert_eq!((state.ledger.lost(), state.ledger.delivered), (0, state.ledger.made));
    assert_eq!(count("new", "\"memory/usage\"").await, one);
    database.kill();
    watched.export(3).await;
    watched.waits_for("a failure", |state| state.failures > 0).await;
    database.restart("/ping").await;
    assert_eq!(watched.settled().await.ledger.lost(), 0);
    let rows = database.influxql("new", "SELECT value FROM \"memory/usage\"").await;
    assert_eq!(rows[0].values.len(), 2 * one, "what it had and what it missed");
}
