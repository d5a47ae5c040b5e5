//! The legacy source over real sockets: what kubelets are asked, what the model says then, and kubelets that no longer
//! know the question.

use crate::support::{Collector, until};
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use heapster::clock::Clock;
use heapster::simulator::Kind;
use heapster::simulator::api_server::ApiServer;
use heapster::simulator::kubelet::{KubeletAnswer, KubeletRequest, Kubelets};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

const BORN: &str = "2026-01-01T00:00:00Z";
const STATS: &str = "/stats/container/";
const SUMMARY: &str = "/stats/summary/";

/// A kubelet's address of this file.
fn address(last: u8) -> IpAddr {
    [127, 80, 0, last].into()
}

fn node(name: &str, last: u8) -> Value {
    let addresses = json!([{"type": "InternalIP", "address": address(last).to_string()}]);
    json!({"metadata": {"name": name, "uid": name}, "status": {"addresses": addresses}})
}

fn source(api: &ApiServer, port: u16) -> String {
    format!("--source=kubernetes:{}?inClusterConfig=false&kubeletPort={port}", api.url())
}

fn present() -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(Clock::system().now().nanos())
}

/// The second that it is, as kubelets write it, and what a counter of so much a second has come to by then.
fn now() -> (String, impl Fn(u64) -> u64) {
    let now = present();
    let age = now.timestamp() - instant(BORN).timestamp();
    (now.to_rfc3339_opts(SecondsFormat::Secs, true), move |rate| rate * age as u64)
}

/// What a legacy kubelet answers: itself, a daemon, and the pod `shop/<pod>` of a pause container and two others.
fn stats(pod: &str) -> KubeletAnswer {
    let (time, count) = now();
    let info = |name: &str, container: &str, millicores: u64, memory: u64| {
        let labels = json!({
            "io.kubernetes.container.name": container, "io.kubernetes.pod.name": pod, "io.kubernetes.pod.namespace": "shop",
        });
        json!({
            "name": name,
            "spec": {
                "creation_time": BORN, "has_cpu": true, "has_memory": true, "has_filesystem": true, "has_diskio": true,
                "has_network": (container.is_empty() || container == "POD"), "has_custom_metrics": true,
                "labels": if container.is_empty() { json!({}) } else { labels },
                "custom_metrics": [{"name": "qps", "type": "gauge", "format": "float"}],
            },
            "stats": [{
                "timestamp": time,
                "cpu": {"usage": {"total": count(millicores * 1_000_000)}, "load_average": 7},
                "memory": {"usage": memory, "cache": 3, "container_data": {"pgfault": count(5), "pgmajfault": 0}},
                "network": {"interfaces": [{"name": "eth0", "rx_bytes": count(600)}, {"name": "eth1", "rx_bytes": count(400)}]},
                "filesystem": [{"device": "/dev/sda1", "capacity": 100, "usage": 40, "available": 60}],
                "diskio": {"io_service_bytes": [{"major": 8, "minor": 0, "stats": {"Read": count(4_096)}}]},
                "accelerators": [{"make": "nvidia", "model": "tesla-p100", "id": "GPU-1", "memory_used": 5}],
                "custom_metrics": {"qps": [{"timestamp": time, "float_value": 1.5}]},
            }],
        })
    };
    let body = json!({
        "/": info("/", "", 900, 1_000_000),
        "/docker-daemon": info("/docker-daemon", "", 70, 90_000),
        "/docker/1": info("/docker/1", "POD", 3, 100),
        "/docker/2": info("/docker/2", "c1", 250, 2_000),
        "/docker/3": info("/docker/3", "c2", 40, 30_000),
    });
    KubeletAnswer::json(body.to_string())
}

/// What a newer kubelet answers: itself and the pod `shop/<pod>` of one container.
fn summary(pod: &str) -> KubeletAnswer {
    let (time, count) = now();
    let usage = |millicores: u64, memory: u64| {
        json!({
            "startTime": BORN,
            "cpu": {"time": time, "usageCoreNanoSeconds": count(millicores * 1_000_000)},
            "memory": {"time": time, "usageBytes": memory},
        })
    };
    let (mut of_pod, mut of_container) = (usage(410, 5_500), usage(400, 5_000));
    of_container["name"] = "app".into();
    of_pod["podRef"] = json!({"namespace": "shop", "name": pod});
    of_pod["containers"] = json!([of_container]);
    KubeletAnswer::json(json!({"node": usage(800, 2_000_000), "pods": [of_pod]}).to_string())
}

fn not_found() -> KubeletAnswer {
    KubeletAnswer::status(404, "404 page not found\n")
}

/// The last value of a series, or None where there is no point yet.
async fn last(collector: &Collector, path: &str) -> Option<u64> {
    collector.series(path).await.last().map(|(_, value, _)| *value)
}

#[actix_web::test]
async fn the_model_tells_what_a_legacy_kubelet_answers() {
    let api = ApiServer::start().unwrap();
    let answers = |ask: &KubeletRequest| match (ask.method.as_str(), ask.path.as_str(), ask.query.as_str()) {
        ("POST", STATS, "") => stats("web"),
        _ => not_found(),
    };
    let kubelets = Kubelets::start(&[address(1)], Arc::new(answers)).unwrap();
    api.apply(Kind::Node, node("old", 1));
    let declared: Value = ["c1", "c2", "late"].map(|name| json!({"name": name})).into_iter().collect();
    api.apply(
        Kind::Pod,
        json!({"metadata": {"namespace": "shop", "name": "web"}, "spec": {"nodeName": "old", "containers": declared}}),
    );
    let collector = Collector::start(&[&source(&api, kubelets.port())]).await;
    until("a rate of the cluster", async || last(&collector, "metrics/cpu/usage_rate").await).await;
    assert_eq!(collector.list("nodes").await, ["old"]);
    assert_eq!(collector.list("nodes/old/freecontainers").await, ["docker-daemon"]);
    assert_eq!(collector.list("namespaces/shop/pods/web/containers").await, ["c1", "c2", "late"]);
    let pod = "namespaces/shop/pods/web";
    let values = [
        ("nodes/old/metrics/cpu/usage_rate", 900),
        ("nodes/old/metrics/cpu/load", 7),
        ("nodes/old/metrics/memory/usage", 1_000_000),
        ("nodes/old/metrics/network/rx_rate", 1_000),
        ("nodes/old/metrics/network/rx_rate?labels=interface:eth1", 400),
        ("nodes/old/metrics/filesystem/usage?labels=resource_id:/dev/sda1", 40),
        ("nodes/old/metrics/disk/io_read_bytes_rate?labels=resource_id:8%3A0", 4_096),
        ("nodes/old/freecontainers/docker-daemon/metrics/memory/usage", 90_000),
        ("namespaces/shop/pods/web/containers/c1/metrics/cpu/usage_rate", 250),
        ("namespaces/shop/pods/web/containers/late/metrics/memory/limit", 0),
        ("namespaces/shop/metrics/cpu/usage_rate", 293),
        ("namespaces/shop/metrics/memory/usage", 32_100),
        ("metrics/cpu/usage_rate", 293),
        ("metrics/memory/usage", 32_100),
    ];
    let of_pod = [
        ("cpu/usage_rate", 293),
        ("memory/usage", 32_100),
        ("memory/cache", 9),
        ("network/rx_rate", 1_000),
        ("memory/page_faults_rate", 15),
    ];
    let of_pod = of_pod.map(|(metric, value)| (format!("{pod}/metrics/{metric}"), value));
    for (path, value) in values.into_iter().map(|(path, value)| (path.to_owned(), value)).chain(of_pod) {
        assert_eq!(last(&collector, &path).await, Some(value), "{path}");
    }
    let accelerator = "labels=make:nvidia,model:tesla-p100,accelerator_id:GPU-1";
    let container = format!("{pod}/containers/c2/metrics");
    assert_eq!(
        last(&collector, &format!("{container}/accelerator/memory_used?{accelerator}")).await,
        Some(5)
    );
    let qps = collector.series(&format!("{container}/custom/qps")).await;
    assert_eq!(qps.last().map(|(_, _, float)| *float), Some(Some(1.5)));
    assert_eq!(collector.counted(&["heapster_scrapes_total{", "outcome=\"status\""]).await, 0.0);
    let headers = kubelets.last_headers(address(1));
    assert!(headers.contains(&("content-type".to_owned(), "application/json".to_owned())), "{headers:?}");
    collector.running.stop().await;
    kubelets.stop().await;
    api.stop().await;
}

#[actix_web::test]
async fn the_request_is_the_originals_to_the_byte() {
    let api = ApiServer::start().unwrap();
    let asked = web::Data::new(Mutex::new(Vec::<(String, String, String)>::new()));
    let seen = asked.clone();
    let serve =
        async |request: HttpRequest, body: Bytes, seen: web::Data<Mutex<Vec<(String, String, String)>>>| {
            let kind = request.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
            let line = format!("{} {}", request.method(), request.uri());
            seen.lock().unwrap().push((
                line,
                kind.unwrap_or_default(),
                String::from_utf8(body.to_vec()).unwrap(),
            ));
            HttpResponse::Ok().content_type("application/json").body(r#"{"/":{"name":"/","stats":[{}]}}"#)
        };
    let app = move || App::new().app_data(seen.clone()).default_service(web::to(serve));
    let server = HttpServer::new(app).workers(1).disable_signals().bind((address(2), 0)).unwrap();
    let port = server.addrs()[0].port();
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    api.apply(Kind::Node, node("old", 2));
    let collector = Collector::start(&[&source(&api, port)]).await;
    let two = async || Some(asked.lock().unwrap().clone()).filter(|asked| asked.len() >= 2);
    for (line, kind, body) in until("two requests", two).await {
        assert_eq!((line.as_str(), kind.as_str()), ("POST /stats/container/", "application/json"));
        let said: Value = serde_json::from_str(&body).unwrap();
        let end = instant(said["end"].as_str().unwrap());
        assert_eq!(end.timestamp_millis() % 5_000, 0, "{body}: the end of a window");
        let [start, end] =
            [end - TimeDelta::seconds(5), end].map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        let expected = format!(
            r#"{{"containerName":"/","num_stats":1,"start":"{start}","end":"{end}","subcontainers":true}}"#
        );
        assert_eq!(body, expected);
    }
    collector.running.stop().await;
    handle.stop(false).await;
    api.stop().await;
}

fn instant(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// Every request, in order: when, which address, method and path.
type Asked = Arc<Mutex<Vec<(DateTime<Utc>, u8, String)>>>;

/// One legacy kubelet (11), two newer ones (12, 13), one that forbids (14) and one that knows nothing (15).
fn mixed(asked: &Asked) -> Arc<dyn Fn(&KubeletRequest) -> KubeletAnswer + Send + Sync> {
    let asked = asked.clone();
    Arc::new(move |ask| {
        let IpAddr::V4(address) = ask.address else { unreachable!("only IPv4 is bound here") };
        let last = address.octets()[3];
        let line = format!("{} {}", ask.method, ask.path);
        asked.lock().unwrap().push((present(), last, line));
        match (last, ask.method.as_str(), ask.path.as_str()) {
            (11, "POST", STATS) => stats("a"),
            (12, "GET", SUMMARY) => summary("b"),
            (13, "GET", SUMMARY) => summary("c"),
            (14, _, _) => KubeletAnswer::status(403, "Forbidden"),
            _ => not_found(),
        }
    })
}

fn lines(asked: &Asked, last: u8) -> Vec<(DateTime<Utc>, String)> {
    let asked = asked.lock().unwrap();
    asked.iter().filter(|(_, of, _)| *of == last).map(|(at, _, line)| (*at, line.clone())).collect()
}

#[actix_web::test]
async fn kubelets_that_answer_404_are_asked_for_their_summary_from_the_first_window_on() {
    let (api, asked) = (ApiServer::start().unwrap(), Asked::default());
    let mixed = mixed(&asked);
    let addresses: Vec<IpAddr> = (11..=15).map(address).collect();
    let kubelets = Kubelets::start(&addresses, Arc::new(move |ask: &KubeletRequest| mixed(ask))).unwrap();
    for last in 11..=15 {
        api.apply(Kind::Node, node(&format!("n{last}"), last));
    }
    let collector = Collector::start(&[&source(&api, kubelets.port())]).await;
    until("three windows of them all", async || {
        let windows = collector.series("metrics/cpu/usage_rate").await.len();
        let asked_all = (11..=15).all(|last| lines(&asked, last).len() >= 4);
        (windows >= 3 && asked_all).then_some(())
    })
    .await;
    assert_eq!(collector.list("nodes").await, ["n11", "n12", "n13"]);
    assert_eq!(collector.list("namespaces/shop/pods").await, ["a", "b", "c"]);
    assert_eq!(last(&collector, "metrics/cpu/usage_rate").await, Some(293 + 2 * 410));
    assert_eq!(last(&collector, "namespaces/shop/metrics/cpu/usage_rate").await, Some(293 + 2 * 410));
    for n in [12, 13, 15] {
        let lines = lines(&asked, n);
        assert_eq!(lines[0].1, format!("POST {STATS}"), "n{n}");
        assert!(lines[1..].iter().all(|(_, line)| *line == format!("GET {SUMMARY}")), "n{n}: {lines:?}");
    }
    for n in [11, 14] {
        let lines = lines(&asked, n);
        assert!(lines.iter().all(|(_, line)| *line == format!("POST {STATS}")), "n{n}: {lines:?}");
    }
    // The window of the turn in which the 404 came is there, and none after it is missing.
    let mut complete_from = DateTime::<Utc>::MIN_UTC;
    for n in [11, 12, 13] {
        let stamps = collector.series(&format!("nodes/n{n}/metrics/memory/usage")).await.into_iter();
        let stamps: Vec<_> = stamps.map(|(stamp, ..)| instant(&stamp)).collect();
        assert!(stamps[0] <= lines(&asked, n)[0].0, "n{n}: {stamps:?}");
        assert!(stamps.windows(2).all(|two| two[1] - two[0] == TimeDelta::seconds(5)), "n{n}: {stamps:?}");
        complete_from = complete_from.max(stamps[0]);
    }
    let sums = collector.series("metrics/memory/usage").await.into_iter();
    let sums: Vec<_> =
        sums.filter(|(stamp, ..)| instant(stamp) >= complete_from).map(|(_, sum, _)| sum).collect();
    assert!(sums.len() >= 2 && sums.iter().all(|sum| *sum == 32_100 + 2 * 5_500), "{sums:?}");
    assert!(collector.counted(&["heapster_scrapes_total{", "outcome=\"unauthorized\""]).await >= 3.0);
    assert!(collector.counted(&["heapster_scrapes_total{", "outcome=\"status\""]).await >= 3.0);
    collector.running.stop().await;
    kubelets.stop().await;
    api.stop().await;
}

#[actix_web::test]
async fn of_a_kubelet_that_answers_404_there_is_one_line() {
    let (api, asked) = (ApiServer::start().unwrap(), Asked::default());
    let mixed = mixed(&asked);
    let addresses: Vec<IpAddr> = (11..=13).map(address).collect();
    let kubelets = Kubelets::start(&addresses, Arc::new(move |ask: &KubeletRequest| mixed(ask))).unwrap();
    for last in 11..=13 {
        api.apply(Kind::Node, node(&format!("n{last}"), last));
    }
    let mut heapster = Command::new(env!("CARGO_BIN_EXE_heapster"));
    heapster.args([source(&api, kubelets.port()).as_str(), "--port=0", "--listen_ip=127.0.0.1"]);
    heapster.args(["--model_resolution=5s", "--log_level=info"]).stdin(Stdio::null()).stderr(Stdio::piped());
    // What the machine that runs the tests has set must not count.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEAPSTER_")) {
        heapster.env_remove(name);
    }
    let child = heapster.stdout(Stdio::piped()).spawn().unwrap();
    let id = child.id().to_string();
    until("three turns of each", async || (11..=13).all(|last| lines(&asked, last).len() >= 4).then_some(()))
        .await;
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let output = web::block(move || child.wait_with_output()).await.unwrap().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    for n in [11, 12, 13] {
        let of_node: Vec<_> =
            log.lines().filter(|line| line.contains(&format!("n{n}")) && line.contains("404")).collect();
        assert_eq!(of_node.len(), usize::from(n != 11), "n{n}: {log}");
        assert!(of_node.iter().all(|line| line.contains(STATS) && line.contains(SUMMARY)), "{log}");
    }
    kubelets.stop().await;
    api.stop().await;
}
