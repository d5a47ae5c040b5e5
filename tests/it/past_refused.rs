//! What the historical API refuses, and what it says where its database fails: texts as Heapster's tests had them
//! (`historical_handlers_test.go`), limits, and no word of a secret or of where the database is.

use crate::fake_sink::{FakeSink, Manner};
use crate::support::{Collector, NOWHERE, resolved};
use heapster::sinks;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const START: &str = "start=2026-11-21T19:20:00Z";
const END: &str = "end=2026-11-21T20:20:00Z";

/// A collector of nothing that asks this database.
async fn asking(uri: &str) -> Collector {
    Collector::start(&[NOWHERE, &format!("--historical_source={uri}")]).await
}

#[actix_web::test]
async fn without_a_source_there_is_no_such_path() {
    let collector = Collector::start(&[NOWHERE]).await;
    for path in ["nodes", "metrics/cpu/usage_rate", ""] {
        let reply = collector.get(&format!("/api/v1/historical/{path}")).await;
        assert_eq!((reply.status, reply.body.as_str()), (404, "404 page not found\n"));
    }
    assert!(!collector.get("/openapi.json").await.body.contains("/api/v1/historical"));
    assert!(!collector.get("/").await.body.contains("/api/v1/historical"));
    collector.running.stop().await;
    let collector = asking("influxdb:http://127.0.0.1:1").await;
    let reply = collector.get("/api/v1/historical/nope").await;
    assert_eq!((reply.status, reply.body.as_str()), (404, "404: Page Not Found"));
    assert!(collector.get("/").await.body.contains("/api/v1/historical/pod-id-list/"));
    collector.running.stop().await;
}

#[test]
fn what_cannot_be_asked_is_refused_at_start_with_what_can() {
    let refused = |uri: &str| {
        let config = resolved(&[NOWHERE, &format!("--historical_source={uri}")]);
        let error = sinks::asked::build(config.historical_source.as_ref().unwrap()).err();
        heapster::telemetry::chain(&error.unwrap_or_else(|| panic!("{uri} was taken")))
    };
    for (uri, words) in [
        ("log", ["\"log\"", "cannot be asked about the past", "influxdb or prometheus"]),
        ("metric", ["\"metric\"", "cannot be asked about the past", "influxdb or prometheus"]),
        ("opentsdb:http://x", ["\"opentsdb\"", "cannot be asked about the past", "influxdb or prometheus"]),
        ("influx:http://x", ["\"influx\"", "nothing that can be asked", "did you mean \"influxdb\"?"]),
        ("nonsense", ["\"nonsense\"", "nothing that can be asked", "known: influxdb, prometheus"]),
        ("influxdb:http://x?dbb=k8s", ["\"dbb\"", "no such option", "did you mean \"db\"?"]),
        ("influxdb:http://x?withfields=maybe", ["\"maybe\"", "withfields", "true or false"]),
        ("prometheus:http://x?user=a", ["user", "pw", "both"]),
        ("prometheus:http://x:8480/insert/0/prometheus/api/v1/write", ["vminsert", "vmselect", "/select/0/"]),
    ] {
        let said = refused(uri);
        assert!(said.starts_with("--historical_source: "), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{uri}: {said}");
    }
}

#[actix_web::test]
async fn questions_are_held_to_their_grammar_before_anybody_is_asked() {
    let server = FakeSink::answering(|_, _| Manner::status(500, "asked"));
    let collector = asking(&format!("influxdb:{}", server.base())).await;
    let pods = |count: usize| vec!["p"; count].join(",");
    let rows = [
        (400, "metrics/cpu/usage_rate".to_owned(), "no start time (or a start time of zero) provided"),
        (
            400,
            "metrics/cpu/usage_rate?start=0001-01-01T00:00:00Z".to_owned(),
            "no start time (or a start time of zero) provided",
        ),
        (
            400,
            "metrics/cpu/usage_rate?start=yesterday".to_owned(),
            "timestamp argument cannot be parsed: parsing time \"yesterday\"",
        ),
        (
            400,
            format!("metrics/cpu/usage_rate?{START}&end=noon"),
            "timestamp argument cannot be parsed: parsing time \"noon\"",
        ),
        // Times come first, then buckets, aggregations and labels; names last.
        (400, "metrics-aggregated/sum/a'b?bucket=5&labels=x".to_owned(), "no start time"),
        (
            400,
            format!("metrics-aggregated/sum/a'b?{START}&bucket=5&labels=x"),
            "unable to parse bucket size: \"5\" is too short to be a duration",
        ),
        (
            400,
            format!("metrics-aggregated/sum/a'b?{START}&labels=x"),
            "Unknown aggregation \"sum\"; known: average, max,",
        ),
        (400, format!("metrics-aggregated/max/a'b?{START}&labels=x"), "invalid label pair \"x\""),
        (500, format!("metrics-aggregated/max/a'b?{START}"), "Invalid metric name \"a'b\""),
        (
            400,
            format!("metrics-aggregated/max/uptime?{START}&{END}&bucket=1ms"),
            "more than 10000 buckets; give a longer bucket",
        ),
        (500, format!("nodes/a%20b/metrics/uptime?{START}"), "Invalid node name \"a b\""),
        (500, "nodes/a;b/freecontainers".to_owned(), "Invalid node name \"a;b\""),
        (500, format!("namespaces/a'b/metrics/uptime?{START}"), "Invalid namespace name \"a'b\""),
        (500, format!("namespaces/a/pods/b%22/metrics/uptime?{START}"), "Invalid pod name \"b\\\"\""),
        (500, format!("namespaces/a/pods/b/containers/%0a/metrics/uptime?{START}"), "Invalid container name"),
        (500, format!("namespaces/a/pod-list/b,,c/metrics/uptime?{START}"), "Invalid pod name \"\""),
        (500, format!("pod-id/%5C/metrics/uptime?{START}"), "Invalid pod id"),
        (500, format!("pod-id-list/a,b'/metrics-aggregated/max/uptime?{START}"), "Invalid pod id \"b'\""),
        (500, format!("metrics/uptime?{START}&labels=a%20b:c"), "Invalid label name \"a b\""),
        (
            500,
            format!("metrics/uptime?{START}&labels=a:c'%20OR%20''='"),
            "Invalid label value \"c' OR ''='\"",
        ),
        (400, format!("namespaces/a/pod-list/{}/metrics/uptime?{START}", pods(101)), "more than 100 pods"),
    ];
    for (status, path, beginning) in rows {
        let reply = collector.get(&format!("/api/v1/historical/{path}")).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        assert!(reply.body.starts_with(beginning), "{path}: {}", reply.body);
    }
    assert!(server.asked().is_empty(), "{:?}", server.asked());
    collector.running.stop().await;
}

/// What is answered with a database that does so, each for a metric and for a list.
async fn answers(uri: &str) -> [String; 2] {
    let collector = asking(uri).await;
    let series = collector.get(&format!("/api/v1/historical/metrics/uptime?{START}&{END}")).await;
    let list = collector.get("/api/v1/historical/nodes").await;
    assert_eq!((series.kind.as_str(), list.status), ("text/plain; charset=utf-8", 500));
    assert!(matches!(series.status, 400 | 500), "{}", series.body);
    collector.running.stop().await;
    [series.body, list.body]
}

#[actix_web::test]
async fn a_database_that_fails_is_told_without_secrets_or_places() {
    let long = "x".repeat(17 << 20);
    let manners: [(&str, fn(&str) -> Manner, &str, &str); 7] = [
        ("cut", |_| Manner::Cut, "unable to run query: the answer was cut off", "cut_off"),
        (
            "hang",
            |_| Manner::Hang,
            "unable to run query: no answer within 300ms; ask for less time",
            "timeout",
        ),
        ("half", |_| Manner::HalfBody(200), "unable to run query: the answer was cut off", "cut_off"),
        (
            "error",
            |_| Manner::status(503, "<b>upstream</b> http://inner:99/x hunter2-of-mine is away"),
            "unable to run query: status 503: <b>upstream</b> … … is away",
            "refused",
        ),
        (
            "page",
            |_| Manner::status(200, "<html>login"),
            "unable to run query: status 200: <html>login",
            "refused",
        ),
        (
            "own",
            |_| Manner::status(400, "{\"status\":\"error\",\"error\":\"bad hunter2-of-mine here\"}"),
            "bad … here",
            "error",
        ),
        (
            "long",
            |long| Manner::status(200, long),
            "the answer has more than 16 MiB; ask for less time",
            "too_long",
        ),
    ];
    for (name, manner, expected, outcome) in manners {
        let long = long.clone();
        let server = FakeSink::answering(move |_, _| manner(&long));
        for kind in ["influxdb", "prometheus"] {
            let timeout = if name == "long" { "20s" } else { "300ms" };
            let uri = format!("{kind}:{}?user=u&pw=hunter2-of-mine&timeout={timeout}", server.base());
            let collector = asking(&uri).await;
            let path = format!("/api/v1/historical/metrics/uptime?{START}&{END}");
            let reply = collector.get(&path).await;
            assert_eq!(reply.status, if name == "long" { 400 } else { 500 }, "{name}: {}", reply.body);
            assert!(reply.body.starts_with(expected), "{kind}, {name}: {}", reply.body);
            let list = collector.get("/api/v1/historical/nodes").await;
            assert_eq!(list.status, 500);
            assert!(list.body.starts_with(&format!("Unable to list all nodes: {expected}")), "{}", list.body);
            let counted =
                collector.counted(&["heapster_historical_questions_total", &format!("{outcome:?}")]).await;
            assert_eq!(counted, 2.0, "{kind}, {name}");
            collector.running.stop().await;
        }
    }
    let nobody = format!("http://127.0.0.1:{}", crate::databases::free_port());
    for kind in ["influxdb", "prometheus"] {
        let [series, list] = answers(&format!("{kind}:{nobody}")).await;
        assert_eq!(series, "unable to run query: unable to connect to database");
        assert_eq!(list, "Unable to list all nodes: unable to run query: unable to connect to database");
    }
}

#[actix_web::test]
async fn no_more_are_asked_at_once_than_the_database_can_bear() {
    let open = Arc::new(AtomicBool::new(false));
    let seen = open.clone();
    let server = FakeSink::answering(move |_, _| match seen.load(Ordering::SeqCst) {
        true => Manner::status(200, "{\"status\":\"success\",\"data\":[\"n\"]}"),
        false => Manner::Hang,
    });
    let collector = asking(&format!("prometheus:{}?timeout=3s", server.base())).await;
    let most = heapster::api::archive::AT_ONCE;
    let url = format!("{}/api/v1/historical/nodes", collector.base);
    let waiting: Vec<_> =
        (0..most).map(|_| actix_web::rt::spawn(awc::Client::default().get(&url).send())).collect();
    crate::support::until("all of them asking", async || (server.asked().len() >= most).then_some(())).await;
    let reply = awc::Client::default().get(&url).send().await.unwrap();
    assert_eq!(
        (reply.status().as_u16(), reply.headers().get("retry-after").unwrap().to_str().unwrap()),
        (503, "1")
    );
    assert_eq!(collector.counted(&["heapster_historical_questions_total", "\"busy\""]).await, 1.0);
    waiting.into_iter().for_each(|task| task.abort());
    open.store(true, Ordering::SeqCst);
    crate::support::until("room for another one", async || {
        (collector.get("/api/v1/historical/nodes").await.status == 200).then_some(())
    })
    .await;
    collector.running.stop().await;
}

#[actix_web::test]
async fn whoever_is_asked_is_shown_what_the_uri_says() {
    let server = FakeSink::answering(|_, asked| match asked.path.contains("/values") {
        true => Manner::status(200, "{\"status\":\"success\",\"data\":[\"n\"]}"),
        false => Manner::status(200, "{\"results\":[{}]}"),
    });
    let base = server.base();
    let rows = [
        (
            format!("prometheus:{base}/api/v1/write?token=t0p-secret&tenant=team+a"),
            "/api/v1/label/node/values?",
            "Bearer t0p-secret",
        ),
        (
            format!("prometheus:{base}/api/v1/push?token=t0p-secret"),
            "/prometheus/api/v1/label/node/values?",
            "Bearer t0p-secret",
        ),
        (
            format!("prometheus:{base}/select/0/prometheus?token=t0p-secret"),
            "/select/0/prometheus/api/v1/label/node/values?",
            "Bearer t0p-secret",
        ),
        (format!("influxdb:{base}?org=o&bucket=b&token=t0p-secret"), "/query?org=o", "Token t0p-secret"),
        (
            format!("influxdb:{base}/below?db=d&policy=p&user=u&pw=s3cret"),
            "/below/query",
            "Basic dTpzM2NyZXQ=",
        ),
    ];
    for (uri, path, credentials) in rows {
        let collector = asking(&uri).await;
        collector.get("/api/v1/historical/nodes").await;
        let asked = server.asked().pop().unwrap();
        assert!(asked.path.starts_with(path), "{uri}: {}", asked.path);
        assert_eq!(asked.headers["authorization"], credentials);
        assert_eq!(
            asked.headers.get("x-scope-orgid").map(String::as_str),
            uri.contains("tenant").then_some("team a")
        );
        if uri.starts_with("influxdb") {
            let form: Vec<(String, String)> =
                url::form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect();
            let database = if uri.contains("bucket") { "b" } else { "d" };
            assert_eq!(
                form[..2],
                [("db".to_owned(), database.to_owned()), ("epoch".to_owned(), "ns".to_owned())]
            );
            assert!(form[2].1.starts_with("SHOW TAG VALUES FROM "), "{form:?}");
        }
        collector.running.stop().await;
    }
}
