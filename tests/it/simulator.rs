//! The simulated cluster over real sockets: its API server and its kubelets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use actix_web::web::Bytes;
use awc::Client;
use futures_util::StreamExt;
use heapster::clock::Clock;
use heapster::model::time::Timestamp;
use heapster::simulator::{
    ApiServer, Fault, Kind, KubeletAnswer, KubeletRequest, Kubelets, Manner, Shape, Simulator,
};

use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// 2026-11-21T19:21:26Z
pub const NOW: Timestamp = Timestamp::from_seconds(1_795_288_886);

fn pod(name: &str, node: &str, app: &str) -> Value {
    json!({
        "metadata": { "name": name, "namespace": "shop", "labels": { "app": app } },
        "spec": { "nodeName": node },
        "status": { "phase": "Running" },
    })
}

fn server_with_pods(count: usize) -> ApiServer {
    let api = ApiServer::start().unwrap();
    for n in 0..count {
        api.apply(Kind::Pod, pod(&format!("web-{n}"), &format!("node-{}", n % 2), "web"));
    }
    api
}

fn client() -> Client {
    Client::builder().timeout(Duration::from_secs(5)).finish()
}

async fn get(url: &str) -> (u16, Value) {
    let mut response = client().get(url).send().await.unwrap();
    let body = response.body().limit(50_000_000).await.unwrap();
    (response.status().as_u16(), serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

/// A watch, read line by line.
struct Lines {
    body: std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, awc::error::PayloadError>>>>,
    rest: Vec<u8>,
}

impl Lines {
    async fn open(url: &str) -> Self {
        let response = client().get(url).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        Self { body: Box::pin(response), rest: Vec::new() }
    }

    /// The next event; none at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let more = tokio::time::timeout(Duration::from_secs(5), self.body.next()).await.unwrap();
            match more {
                Some(Ok(bytes)) => self.rest.extend_from_slice(&bytes),
                _ => return None,
            }
        }
    }

    async fn next_type(&mut self) -> Option<(String, String)> {
        let event = self.next().await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Some((text(&event["type"]), text(&event["object"]["metadata"]["name"])))
    }

    async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(100), self.body.next()).await.is_err()
    }
}

#[actix_web::test]
async fn lists_come_in_pages() {
    let api = server_with_pods(7);
    let url = format!("{}/api/v1/pods?limit=3", api.url());
    let (status, first) = get(&url).await;
    assert_eq!((status, &first["kind"], &first["apiVersion"]), (200, &json!("PodList"), &json!("v1")));
    assert_eq!(names(&first), ["web-0", "web-1", "web-2"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 4);
    assert!(first["items"][0].get("kind").is_none());
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (_, second) = get(&format!("{url}&continue={token}")).await;
    assert_eq!(names(&second), ["web-3", "web-4", "web-5"]);
    let token = second["metadata"]["continue"].as_str().unwrap();
    let (_, third) = get(&format!("{url}&continue={token}")).await;
    assert_eq!(names(&third), ["web-6"]);
    assert!(third["metadata"].get("continue").is_none());
    assert_eq!(third["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    api.compact(Kind::Pod);
    api.apply(Kind::Pod, pod("late", "node-1", "web"));
    api.compact(Kind::Pod);
    let (status, expired) = get(&format!("{url}&continue={token}")).await;
    assert_eq!((status, &expired["reason"]), (410, &json!("Expired")));
    api.stop().await;
}

#[actix_web::test]
async fn lists_are_selected() {
    let api = server_with_pods(4);
    api.apply(Kind::Pod, pod("db", "node-0", "db"));
    let list = |query: &'static str| {
        let url = format!("{}/api/v1/{query}", api.url());
        async move { get(&url).await }
    };
    assert_eq!(names(&list("pods?fieldSelector=spec.nodeName%3Dnode-0").await.1), ["db", "web-0", "web-2"]);
    assert_eq!(names(&list("pods?labelSelector=app%3Ddb").await.1), ["db"]);
    assert_eq!(names(&list("namespaces/shop/pods?fieldSelector=metadata.name=db").await.1), ["db"]);
    assert!(names(&list("namespaces/other/pods").await.1).is_empty());
    assert_eq!(list("namespaces/shop/pods/db").await.1["kind"], "Pod");
    assert_eq!(list("nodes/nope").await.1["message"], "nodes \"nope\" not found");
    assert_eq!(list("pods?resourceVersion=xyz").await.0, 400);
    assert_eq!(list("pods?resourceVersion=99999").await.0, 504);
    assert_eq!(list("secrets").await.0, 404);
    api.stop().await;
}

#[actix_web::test]
async fn watches_see_what_happens() {
    let api = server_with_pods(1);
    let version = api.resource_version();
    let mut watch =
        Lines::open(&format!("{}/api/v1/pods?watch=true&resourceVersion={version}", api.url())).await;
    assert!(watch.is_silent().await);
    api.apply(Kind::Pod, pod("new", "node-1", "web"));
    api.apply(Kind::Node, json!({ "metadata": { "name": "node-1" } }));
    api.apply(Kind::Pod, pod("new", "node-2", "web"));
    api.delete(Kind::Pod, Some("shop"), "web-0");
    let mut seen = Vec::new();
    let mut versions = Vec::new();
    for _ in 0..3 {
        let event = watch.next().await.unwrap();
        assert_eq!((&event["object"]["kind"], &event["object"]["apiVersion"]), (&json!("Pod"), &json!("v1")));
        versions
            .push(event["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap());
        seen.push((event["type"].clone(), event["object"]["metadata"]["name"].clone()));
    }
    assert_eq!(
        seen,
        [("ADDED", "new"), ("MODIFIED", "new"), ("DELETED", "web-0")].map(|(a, b)| (json!(a), json!(b)))
    );
    assert!(versions[0] > version && versions.is_sorted());
    api.set_fault(Kind::Pod, Fault::CutStreams);
    assert_eq!(watch.next().await, None);
    let mut again =
        Lines::open(&format!("{}/api/v1/pods?watch=1&resourceVersion={}", api.url(), versions[1])).await;
    assert_eq!(again.next_type().await.unwrap(), ("DELETED".into(), "web-0".into()));
    api.stop().await;
}

#[actix_web::test]
async fn watches_tell_the_beginning_and_bookmarks() {
    let api = server_with_pods(2);
    let query =
        "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let mut watch = Lines::open(&format!("{}/api/v1/pods?{query}", api.url())).await;
    assert_eq!(watch.next_type().await.unwrap(), ("ADDED".into(), "web-0".into()));
    assert_eq!(watch.next_type().await.unwrap(), ("ADDED".into(), "web-1".into()));
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let version = api.apply(Kind::Node, json!({ "metadata": { "name": "node-1" } }));
    api.send_bookmarks();
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["object"]["metadata"], json!({ "resourceVersion": version.to_string() }));
    let short = format!("{}/api/v1/pods?watch=true&resourceVersion={version}&timeoutSeconds=1", api.url());
    assert_eq!(Lines::open(&short).await.next().await, None);
    api.stop().await;
}

#[actix_web::test]
async fn old_watches_have_expired() {
    let api = server_with_pods(3);
    api.compact(Kind::Pod);
    let url = format!("{}/api/v1/pods?watch=true&resourceVersion=1", api.url());
    let mut watch = Lines::open(&url).await;
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(event["object"]["message"], "too old resource version: 1 (3)");
    assert_eq!(watch.next().await, None);
    api.set_fault(Kind::Pod, Fault::ExpireAsStatus);
    assert_eq!(get(&url).await.0, 410);
    api.set_fault_for_all(Fault::None);
    let mut open = Lines::open(&format!("{}/api/v1/pods?watch=true&resourceVersion=3", api.url())).await;
    assert!(open.is_silent().await);
    api.set_fault(Kind::Pod, Fault::ExpireInStream);
    assert_eq!(open.next().await.unwrap()["object"]["reason"], "Expired");
    assert_eq!(open.next().await, None);
    api.stop().await;
}

#[actix_web::test]
async fn faults_and_tokens_are_obeyed() {
    let api = server_with_pods(3);
    let url = format!("{}/api/v1/pods", api.url());
    api.set_fault(Kind::Pod, Fault::Status(503, r#"{"code":503}"#.into()));
    assert_eq!(get(&url).await, (503, json!({ "code": 503 })));
    assert_eq!(get(&format!("{}/api/v1/nodes", api.url())).await.0, 200);
    api.set_fault(Kind::Pod, Fault::HangHeaders);
    let hurried = Client::builder().timeout(Duration::from_millis(200)).finish();
    assert!(hurried.get(&url).send().await.is_err());
    api.set_fault(Kind::Pod, Fault::HangStream);
    let mut response = client().get(&url).send().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(200), response.body()).await.is_err());
    api.set_fault(Kind::Pod, Fault::None);
    api.require_token(Some("secret"));
    assert_eq!(get(&url).await.0, 401);
    let admitted = client().get(&url).insert_header(("Authorization", "Bearer secret")).send().await.unwrap();
    assert_eq!(admitted.status().as_u16(), 200);
    let last = api.requests().pop().unwrap();
    assert_eq!((last.method.as_str(), last.path.as_str()), ("GET", "/api/v1/pods"));
    assert_eq!(last.header("authorization"), Some("Bearer secret"));
    api.stop().await;
}

#[actix_web::test]
async fn a_stopped_server_comes_back() {
    let api = server_with_pods(3);
    let url = format!("{}/api/v1/pods", api.url());
    let mut watch = Lines::open(&format!("{url}?watch=true&resourceVersion=3")).await;
    api.stop().await;
    assert_eq!(watch.next().await, None);
    assert!(client().get(&url).send().await.is_err());
    api.start_at(api.port()).unwrap();
    assert!(api.start_at(0).is_err());
    assert_eq!(names(&get(&url).await.1).len(), 3);
    api.stop().await;
}

#[actix_web::test]
async fn recorded_lists_are_loaded() {
    let api = ApiServer::start().unwrap();
    let recorded = json!({
        "kind": "PodList", "apiVersion": "v1", "metadata": { "resourceVersion": "817" },
        "items": [{ "metadata": { "name": "crasher", "namespace": "batch", "resourceVersion": "769" } }],
    });
    api.load_list(Kind::Pod, recorded.to_string().as_bytes()).unwrap();
    assert_eq!(get(&format!("{}/api/v1/pods", api.url())).await.1, recorded);
    assert!(api.load_list(Kind::Pod, b"{}").is_err());
    assert!(api.apply(Kind::Pod, pod("next", "node-1", "web")) > 817);
    api.stop().await;
}

#[actix_web::test]
async fn kubelets_break_off_as_told() {
    let addresses: Vec<IpAddr> = ["127.78.0.1", "127.78.0.2"].map(|text| text.parse().unwrap()).into();
    let answers = |ask: &KubeletRequest| {
        let answer = KubeletAnswer::json(vec![b' '; 10_000]);
        match ask.path.as_str() {
            "/after" => answer.given(Manner::After(Duration::from_millis(50))),
            "/silent" => answer.given(Manner::HangBeforeHeaders),
            "/hang" => answer.given(Manner::HangInBody(100)),
            "/cut" => answer.given(Manner::CutAfter(100)),
            "/drip" => answer.given(Manner::Drip(4_000, Duration::from_millis(10))),
            "/close" => answer.given(Manner::CloseConnection),
            _ => KubeletAnswer::status(403, &format!("{} {}", ask.address, ask.count)),
        }
    };
    let kubelets = Kubelets::start(&addresses, Arc::new(answers)).unwrap();
    let url = |path: &str| format!("http://127.78.0.1:{}{path}", kubelets.port());
    for path in ["/after", "/drip"] {
        assert_eq!(client().get(url(path)).send().await.unwrap().body().await.unwrap().len(), 10_000);
    }
    let mut cut = client().get(url("/cut")).send().await.unwrap();
    assert_eq!(cut.next().await.unwrap().unwrap().len(), 100);
    assert!(!matches!(cut.next().await, Some(Ok(_))));
    let mut hung = client().get(url("/hang")).send().await.unwrap();
    assert_eq!(hung.next().await.unwrap().unwrap().len(), 100);
    assert!(tokio::time::timeout(Duration::from_millis(100), hung.next()).await.is_err());
    assert!(
        tokio::time::timeout(Duration::from_millis(100), client().get(url("/silent")).send()).await.is_err()
    );
    assert!(client().get(url("/close")).send().await.is_err());
    let mut refused = client().get(url("/other")).insert_header(("X-Who", "me")).send().await.unwrap();
    let expected = format!("127.78.0.1 {}", kubelets.requests(addresses[0]) - 1);
    assert_eq!((refused.status().as_u16(), refused.body().await.unwrap()), (403, Bytes::from(expected)));
    assert!(kubelets.last_headers(addresses[0]).contains(&("x-who".into(), "me".into())));
    assert_eq!(kubelets.requests(addresses[1]), 0);
    kubelets.stop().await;
}

#[actix_web::test]
async fn each_kubelet_answers_for_its_node() {
    let simulator = Simulator::start(Shape::default(), Clock::starting_at(NOW)).unwrap();
    let (_, nodes) = get(&format!("{}/api/v1/nodes", simulator.api_url())).await;
    assert_eq!(names(&nodes), ["node-1", "node-2", "node-3"]);
    let (_, pods) = get(&format!("{}/api/v1/pods", simulator.api_url())).await;
    for node in nodes["items"].as_array().unwrap() {
        let name = node["metadata"]["name"].as_str().unwrap();
        let address = node["status"]["addresses"][0]["address"].as_str().unwrap();
        for path in ["/stats/summary", "/stats/summary/"] {
            let url = format!("http://{address}:{}{path}", simulator.kubelet_port());
            let (status, body) = get(&url).await;
            assert_eq!((status, body["node"]["nodeName"].as_str()), (200, Some(name)));
            let bound =
                pods["items"].as_array().unwrap().iter().filter(|pod| pod["spec"]["nodeName"] == name);
            let mut bound: Vec<_> = bound.map(|pod| pod["metadata"]["uid"].clone()).collect();
            let told = body["pods"].as_array().unwrap().iter();
            let mut told: Vec<_> = told.map(|pod| pod["podRef"]["uid"].clone()).collect();
            bound.sort_by_key(Value::to_string);
            told.sort_by_key(Value::to_string);
            assert_eq!(bound, told);
        }
    }
    let restarts = pods["items"].as_array().unwrap().iter();
    let restarts = restarts.filter(|pod| pod["status"]["containerStatuses"][0]["restartCount"] != 0);
    assert_eq!(restarts.count(), 1);
    let port = simulator.kubelet_port();
    let url = simulator.api_url();
    let uri = format!("kubernetes.summary_api:{url}?inClusterConfig=false&kubeletPort={port}");
    assert_eq!(simulator.source_uri(), uri);
    simulator.stop().await;
}
