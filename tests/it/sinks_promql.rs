//! What real servers have of what was written to them, asked in PromQL and compared with the model API: a Prometheus that
//! speaks 1.0 alone, and a VictoriaMetrics.

use crate::databases::Database;
use crate::fake_sink::{FakeSink, Manner};
use crate::programs::Prometheus;
use crate::scraped::assert_same;
use crate::sinks_influxdb::{delivered, simulator};
use crate::support::{Collector, until};
use heapster::simulator::Kind;
use heapster::simulator::api_server::ApiServer;
use heapster::simulator::kubelet::{KubeletAnswer, KubeletRequest, Kubelets};
use heapster::wire::remote_write::messages::one;
use prost::Message;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A configuration without anything to scrape.
const NOTHING: &str = "global: {}\n";

/// Runs a collector that writes to this server for some windows, and holds what is there to the model.
async fn write_and_compare(server: &Prometheus, flush: impl AsyncFn()) {
    let simulator = simulator();
    let source = format!("--source={}", simulator.source_uri());
    let sink = format!("--sink=prometheus:{}?cluster=test&concurrency=3&batch=700", server.base);
    let collector = Collector::start(&[&source, &sink]).await;
    delivered(&collector, "prometheus:", 5.0).await;
    flush().await;
    // Rates begin once a kubelet has measured twice.
    assert_same(server, &collector, "{cluster=\"test\"}", 3).await;
    let lost = collector.counted(&["heapster_sink_points_dropped_total"]).await;
    assert_eq!(lost, 0.0, "nothing was refused");
    // Every series of the newest window is there: as many as the exposition tells.
    let told = collector.get("/api/v1/export/prometheus").await.body;
    let lines = told.lines().filter(|line| !line.starts_with('#')).count() as f64;
    until("as many series as there are", async || {
        flush().await;
        let found = server.now("count({__name__=~\"heapster_.+\",cluster=\"test\"})").await;
        found.first().filter(|(_, count)| *count >= lines).map(|_| ())
    })
    .await;
    collector.running.stop().await;
    simulator.stop().await;
}

#[actix_web::test]
async fn a_prometheus_that_is_written_to_has_what_the_model_has() {
    let Some(server) = Prometheus::start(NOTHING).await else { return };
    write_and_compare(&server, async || {}).await;
}

#[actix_web::test]
async fn a_victoria_metrics_that_is_written_to_has_what_the_model_has() {
    let Some(database) = Database::victoria_metrics().await else { return };
    let server = Prometheus::at_url(&database.base);
    write_and_compare(&server, async || {
        database.ask("/internal/force_flush", &[]).await;
    })
    .await;
}

#[actix_web::test]
async fn a_pod_that_is_deleted_ends_at_once() {
    let Some(server) = Prometheus::start(NOTHING).await else { return };
    let api = ApiServer::start().unwrap();
    let gone = Arc::new(AtomicBool::new(false));
    let (seen, address) = (gone.clone(), [127, 79, 0, 61]);
    let summary = move |_: &KubeletRequest| {
        let pod =
            |name: &str| json!({"podRef": {"namespace": "shop", "name": name}, "memory": {"usageBytes": 7}});
        let mut pods = vec![pod("stays")];
        if !seen.load(Ordering::SeqCst) {
            pods.push(pod("goes"));
        }
        KubeletAnswer::json(json!({"node": {"memory": {"usageBytes": 9}}, "pods": pods}).to_string())
    };
    let kubelets = Kubelets::start(&[address.into()], Arc::new(summary)).unwrap();
    let node = json!({
        "metadata": {"name": "n", "uid": "n"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.79.0.61"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    });
    api.apply(Kind::Node, node);
    let source = format!(
        "--source=kubernetes.summary_api:{}?inClusterConfig=false&kubeletPort={}",
        api.url(),
        kubelets.port()
    );
    let collector = Collector::start(&[&source, &format!("--sink=prometheus:{}", server.base)]).await;
    let pods = async || {
        let found = server.now("heapster_pod_memory_usage_bytes").await;
        found.iter().map(|(labels, _)| labels["pod"].clone()).collect::<Vec<_>>()
    };
    until("both pods", async || (pods().await == ["goes", "stays"]).then_some(())).await;
    gone.store(true, Ordering::SeqCst);
    // Without the mark it would be shown for five minutes, which is more than is waited for here.
    until("one pod alone", async || (pods().await == ["stays"]).then_some(())).await;
    collector.running.stop().await;
    kubelets.stop().await;
    api.stop().await;
}

/// The other way round: what a real Prometheus writes is read by the messages that we write with, to the last byte.
#[actix_web::test]
async fn what_prometheus_itself_writes_is_made_of_the_same_messages() {
    let server = FakeSink::start(|_, _| Manner::status(204, ""));
    let own = "scrape_configs:\n- job_name: own\n  scrape_interval: 300ms\n  scrape_timeout: 300ms\n  static_configs: [{targets: ['TARGET']}]\n";
    let collector = Collector::start(&[crate::support::NOWHERE]).await;
    let target = collector.base.strip_prefix("http://").unwrap();
    let write = format!(
        "remote_write:\n- url: {}/api/v1/write\n  metadata_config: {{send: false}}\n  queue_config: {{batch_send_deadline: 300ms}}\n",
        server.base()
    );
    let Some(_prometheus) = Prometheus::start(&(own.replace("TARGET", target) + &write)).await else {
        return;
    };
    let named = |series: &one::TimeSeries| {
        series
            .labels
            .iter()
            .any(|label| *label.name == *b"__name__" && *label.value == *b"heapster_build_info")
    };
    let (body, request) = until("a write of what the collector says of itself", async || {
        let asked = server.asked().into_iter();
        let bodies = asked.map(|asked| snap::raw::Decoder::new().decompress_vec(&asked.raw).unwrap());
        let mut requests = bodies.map(|body| (one::WriteRequest::decode(&*body).unwrap(), body));
        requests
            .find(|(request, _)| request.timeseries.iter().any(named))
            .map(|(request, body)| (body, request))
    })
    .await;
    assert_eq!(request.encode_to_vec(), body);
    let series = request.timeseries.iter().find(|series| named(series)).unwrap();
    assert_eq!(series.samples[0].value, 1.0);
    let names: Vec<_> = series.labels.iter().map(|label| label.name.clone()).collect();
    assert!(names.is_sorted());
    collector.running.stop().await;
}
