//! The whole collector where the API server goes away or refuses: scraping never stops.

use crate::support::{Collector, until};
use crate::watches::{api_server, change, recorded};
use heapster::simulator::{ApiServer, Fault, Kind, KubeletAnswer, KubeletRequest, Kubelets};
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A summary that says at which address it was asked.
fn summary(ask: &KubeletRequest) -> KubeletAnswer {
    let IpAddr::V4(address) = ask.address else { unreachable!("only IPv4 is bound here") };
    let usage = address.octets()[3];
    let pod = json!({"podRef": {"namespace": "shop", "name": format!("of-{usage}")}, "memory": {"usageBytes": usage}});
    KubeletAnswer::json(json!({"node": {"memory": {"usageBytes": usage}}, "pods": [pod]}).to_string())
}

fn addresses() -> [IpAddr; 4] {
    [1, 2, 3, 4].map(|last| [127, 80, 0, last].into())
}

/// A collector that scrapes nodes a, b and c of an API server that may refuse to tell of pods.
pub async fn scraping(pods: usize, refusal: Fault) -> (ApiServer, Kubelets, Collector) {
    let api = api_server(pods);
    api.set_fault(Kind::Pod, refusal);
    let kubelets = Kubelets::start(&addresses(), Arc::new(summary)).unwrap();
    let (url, port) = (api.url(), kubelets.port());
    let source = format!("--source=kubernetes.summary_api:{url}?inClusterConfig=false&kubeletPort={port}");
    let collector = Collector::start(&[&source]).await;
    let asked = until("every kubelet asked", async || {
        addresses()[..3].iter().all(|address| kubelets.requests(*address) > 0).then_some(())
    });
    // Pods are waited for five seconds, the first answers are spread over two, the rest is slack.
    tokio::time::timeout(Duration::from_secs(9), asked).await.unwrap();
    until("all of them", async || (collector.list("nodes").await == ["a", "b", "c"]).then_some(())).await;
    (api, kubelets, collector)
}

/// The nodes that each window of 5 s has, as the sum of what their pods use.
async fn sums(collector: &Collector) -> Vec<u64> {
    let points = collector.series("metrics/memory/usage").await;
    let second = |stamp: &str| chrono::DateTime::parse_from_rfc3339(stamp).unwrap().timestamp();
    let whole = points.windows(2).all(|pair| second(&pair[1].0) - second(&pair[0].0) == 5);
    assert!(whole, "a window is missing: {points:?}");
    points.into_iter().map(|(_, sum, _)| sum).collect()
}

#[actix_web::test]
pub async fn scraping_goes_on_while_the_server_is_away() {
    let (api, kubelets, collector) = scraping(3, Fault::None).await;
    let requests = || addresses().map(|address| kubelets.requests(address));
    api.stop().await;
    change(&api);
    api.compact(Kind::Node);
    let before = requests();
    until("two rounds more", async || {
        assert_eq!(collector.list("nodes").await, ["a", "b", "c"]);
        assert_eq!(collector.list("namespaces/shop/pods").await, ["of-1", "of-2", "of-3"]);
        assert_eq!(collector.counted(&["heapster_nodes{", "scraped"]).await, 3.0);
        (0..3).all(|at| requests()[at] >= before[at] + 2).then_some(())
    })
    .await;
    assert_eq!(sums(&collector).await.iter().filter(|sum| **sum != 1 + 2 + 3).count(), 0);
    assert!(collector.counted(&["heapster_watch_failures_total{", "nodes"]).await >= 1.0);
    assert_eq!(requests()[3], 0, "nobody can know of d");
    api.start_at(api.port()).unwrap();
    until("d instead of b", async || (collector.list("nodes").await == ["a", "c", "d"]).then_some(())).await;
    until("their sum", async || sums(&collector).await.ends_with(&[1 + 3 + 4]).then_some(())).await;
    // b may still be in the window in which it went, d already in that one: a and c are in every one.
    let windows = sums(&collector).await;
    assert!(windows.iter().all(|sum| [4, 6, 8, 10].contains(sum)), "{windows:?}");
}

async fn pods_are_refused(status: u16, body: &str) {
    let (api, _kubelets, collector) = scraping(7, Fault::Status(status, recorded(body))).await;
    assert_eq!(collector.list("namespaces/shop/pods").await, ["of-1", "of-2", "of-3"]);
    let failures = async |label| collector.counted(&["heapster_watch_failures_total{", label]).await;
    assert!(failures("kind=\"pods\"").await >= 1.0);
    assert_eq!(failures("kind=\"pods\"").await, failures("").await, "another kind failed too");
    api.set_fault(Kind::Pod, Fault::None);
    until("the pods", async || (collector.counted(&["heapster_pods{"]).await == 7.0).then_some(())).await;
}

#[actix_web::test]
async fn nodes_are_scraped_where_pods_are_refused() {
    let broken = pods_are_refused(500, "500_bad_watch_resourceVersion.json");
    tokio::join!(pods_are_refused(403, "403_sa_nobody_list_pods.json"), broken);
}
