//! The whole over real sockets where things go wrong: nodes that come and go, kubelets that misbehave, credentials,
//! health.

use crate::support::{Collector, until};
use heapster::simulator::api_server::ApiServer;
use heapster::simulator::kubelet::{KubeletAnswer, KubeletRequest, Kubelets, Manner};
use heapster::simulator::{Kind, Shape, Simulator};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

fn node(name: &str, address: &str, ready: &str) -> Value {
    json!({
        "metadata": {"name": name, "uid": name},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": ready}],
            "allocatable": {"cpu": "4", "memory": "8Gi"},
        },
    })
}

/// A summary that says at which address it was asked.
fn summary(ask: &KubeletRequest) -> KubeletAnswer {
    let IpAddr::V4(address) = ask.address else { unreachable!("only IPv4 is bound here") };
    let usage = u64::from(address.octets()[3]);
    let pod = json!({"podRef": {"namespace": "shop", "name": format!("pod-{usage}")}, "memory": {"usageBytes": usage}});
    let body = json!({"node": {"memory": {"usageBytes": 1_000 + usage}}, "pods": [pod]});
    KubeletAnswer::json(body.to_string())
}

fn addresses(last: &[u8]) -> Vec<IpAddr> {
    last.iter().map(|last| IpAddr::from([127, 79, 0, *last])).collect()
}

fn source(api: &ApiServer, kubelets: &Kubelets) -> String {
    let (url, port) = (api.url(), kubelets.port());
    format!("--source=kubernetes.summary_api:{url}?inClusterConfig=false&kubeletPort={port}")
}

#[actix_web::test]
async fn nodes_that_come_go_move_and_fail_are_followed() {
    let api = ApiServer::start().unwrap();
    let kubelets = Kubelets::start(&addresses(&[1, 2, 3]), Arc::new(summary)).unwrap();
    api.apply(Kind::Node, node("a", "127.79.0.1", "True"));
    api.apply(Kind::Node, node("b", "127.79.0.2", "False"));
    let collector = Collector::start(&[&source(&api, &kubelets)]).await;
    let usage = async |node: &str| {
        collector
            .series(&format!("nodes/{node}/metrics/memory/usage"))
            .await
            .last()
            .map(|(_, value, _)| *value)
    };
    until("a alone", async || (collector.list("nodes").await == ["a"]).then_some(())).await;
    assert_eq!(usage("a").await, Some(1_001));
    assert_eq!(kubelets.requests([127, 79, 0, 2].into()), 0, "a node that is not ready was asked");
    // b gets ready, and is scraped within seconds without waiting for a round.
    api.apply(Kind::Node, node("b", "127.79.0.2", "True"));
    until("b", async || usage("b").await).await;
    assert_eq!(collector.list("nodes").await, ["a", "b"]);
    // a changes its address.
    api.apply(Kind::Node, node("a", "127.79.0.3", "True"));
    until("a at its new address", async || usage("a").await.filter(|usage| *usage == 1_003)).await;
    // a is deleted: it leaves the lists and the sums, its history stays.
    api.delete(Kind::Node, None, "a");
    until("b alone", async || (collector.list("nodes").await == ["b"]).then_some(())).await;
    until("a out of the sums", async || {
        let last = collector.series("metrics/memory/usage").await.last().map(|(_, value, _)| *value);
        last.filter(|sum| *sum == 2)
    })
    .await;
    assert_eq!(usage("a").await, Some(1_003));
    assert_eq!(collector.list("namespaces/shop/pods").await, ["pod-2"]);
    assert_eq!(collector.counted(&["heapster_nodes{", "scraped"]).await, 1.0);
    collector.running.stop().await;
    kubelets.stop().await;
    api.stop().await;
}

#[actix_web::test]
async fn kubelets_that_misbehave_hurt_only_themselves() {
    let api = ApiServer::start().unwrap();
    let misbehave = |ask: &KubeletRequest| {
        let good = summary(ask);
        let IpAddr::V4(address) = ask.address else { unreachable!("only IPv4 is bound here") };
        match address.octets()[3] {
            12 => KubeletAnswer::status(500, "internal error: failed to get imageFs stats"),
            13 => {
                KubeletAnswer::status(403, "Forbidden (user=x, verb=get, resource=nodes, subresource=stats)")
            }
            14 => good.given(Manner::HangBeforeHeaders),
            15 => good.given(Manner::HangInBody(10)),
            16 => good.given(Manner::CutAfter(20)),
            17 => KubeletAnswer::json("<html>not me</html>".to_owned()),
            18 => KubeletAnswer::json(vec![b' '; (16 << 20) + 1]),
            19 => good.given(Manner::CloseConnection),
            20 => good.given(Manner::Drip(7, Duration::from_millis(1))),
            _ => good,
        }
    };
    let all: Vec<u8> = (11..=20).collect();
    let kubelets = Kubelets::start(&addresses(&all), Arc::new(misbehave)).unwrap();
    for last in &all {
        api.apply(Kind::Node, node(&format!("n{last}"), &format!("127.79.0.{last}"), "True"));
    }
    // One that nobody listens for.
    api.apply(Kind::Node, node("n99", "127.79.0.99", "True"));
    let collector = Collector::start(&[&source(&api, &kubelets)]).await;
    until("three windows of the healthy", async || {
        (collector.series("nodes/n11/metrics/memory/usage").await.len() >= 3).then_some(())
    })
    .await;
    assert_eq!(collector.list("nodes").await, ["n11", "n20"]);
    assert_eq!(collector.list("namespaces/shop/pods").await, ["pod-11", "pod-20"]);
    let outcomes = [
        ("status", 1.0),
        ("unauthorized", 1.0),
        ("timeout", 2.0),
        ("cut_off", 2.0),
        ("undecodable", 1.0),
        ("too_large", 1.0),
        ("unreachable", 1.0),
        ("ok", 2.0),
    ];
    for (outcome, nodes) in outcomes {
        let label = format!("outcome=\"{outcome}\"");
        until(outcome, async || {
            let counted = collector.counted(&["heapster_scrapes_total{", &label]).await;
            (counted >= nodes * 2.0).then_some(())
        })
        .await;
    }
    for (_, sum, _) in collector.series("metrics/memory/usage").await {
        assert_eq!(sum, 31, "a sum without one of the healthy, or with one of the others");
    }
    assert_eq!(collector.get("/healthz").await.body, "ok");
    collector.running.stop().await;
    kubelets.stop().await;
    api.stop().await;
}

#[actix_web::test]
async fn a_kubeconfig_logs_in_and_no_token_goes_over_plain_http() {
    let api = ApiServer::start().unwrap();
    api.require_token(Some("the-token"));
    let kubelets = Kubelets::start(&addresses(&[31]), Arc::new(summary)).unwrap();
    api.apply(Kind::Node, node("a", "127.79.0.31", "True"));
    let folder = tempfile::tempdir().unwrap();
    let (path, token) = (folder.path().join("kubeconfig"), folder.path().join("token"));
    // As an editor leaves it.
    std::fs::write(&token, "the-token\n").unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": api.url()}}],
        "users": [{"name": "me", "user": {"tokenFile": token}}],
    });
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    let (path, port) = (path.display(), kubelets.port());
    let source =
        format!("--source=kubernetes.summary_api:?inClusterConfig=false&auth={path}&kubeletPort={port}");
    let collector = Collector::start(&[&source]).await;
    until("the node", async || (collector.list("nodes").await == ["a"]).then_some(())).await;
    assert!(api.requests().iter().all(|seen| seen.header("authorization") == Some("Bearer the-token")));
    let sent = kubelets.last_headers([127, 79, 0, 31].into());
    assert!(sent.iter().all(|(name, _)| !name.eq_ignore_ascii_case("authorization")), "{sent:?}");
    assert!(
        sent.iter().any(|(name, value)| name == "user-agent" && value.starts_with("heapster/")),
        "{sent:?}"
    );
    collector.running.stop().await;
    kubelets.stop().await;
    api.stop().await;
}

#[actix_web::test]
async fn health_tells_its_reasons() {
    let api = ApiServer::start().unwrap();
    let url = api.url();
    api.stop().await;
    let source = format!("--source=kubernetes.summary_api:{url}?inClusterConfig=false");
    let collector = Collector::start(&[&source]).await;
    assert_eq!(
        (collector.get("/livez").await.status, collector.get("/livez").await.body.as_str()),
        (200, "ok")
    );
    for (path, name) in [("/readyz", "readyz"), ("/healthz", "healthz")] {
        let reply = collector.get(path).await;
        assert_eq!(reply.status, 500);
        assert!(reply.body.contains("] failed: ") || reply.body.contains(" failed: "), "{}", reply.body);
        assert!(
            reply.body.contains("API server has not listed")
                && reply.body.ends_with(&format!("{name} check failed\n"))
        );
    }
    until("the failing watch in the counters", async || {
        (collector.counted(&["heapster_watch_failures_total{", "nodes"]).await >= 1.0).then_some(())
    })
    .await;
    collector.running.stop().await;

    let simulator = Simulator::start(Shape::default(), heapster::clock::Clock::system()).unwrap();
    let collector = Collector::start(&[&format!("--source={}", simulator.source_uri())]).await;
    until("readiness", async || (collector.get("/readyz").await.status == 200).then_some(())).await;
    assert_eq!(collector.get("/healthz").await.body, "ok");
    let verbose = collector.get("/readyz?verbose").await.body;
    assert_eq!(verbose, "[+]running ok\n[+]inventory ok\n[+]window ok\nreadyz check passed\n");
    for (method, path) in
        [("POST", "/api/v1/model/nodes"), ("DELETE", "/healthz"), ("HEAD", "/api/v1/model/metrics/x")]
    {
        let client = awc::Client::default();
        let url = format!("{}{path}", collector.base);
        let reply = client.request(method.parse().unwrap(), url).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 405, "{method} {path}");
    }
    collector.running.stop().await;
    simulator.stop().await;
}

#[actix_web::test]
async fn nodes_are_chosen_and_their_kubelets_found_as_the_options_say() {
    let api = ApiServer::start().unwrap();
    let kubelets = Kubelets::start(&addresses(&[41, 42, 43]), Arc::new(summary)).unwrap();
    for (name, last, zone) in [("a", 41, "east"), ("b", 42, "east"), ("c", 43, "west")] {
        let mut object = node(name, &format!("127.79.0.{last}"), "True");
        object["metadata"]["labels"] = json!({ "zone": zone });
        object["status"]["daemonEndpoints"] = json!({"kubeletEndpoint": {"Port": kubelets.port()}});
        // b claims an address at which clouds tell secrets, of a type that is preferred below.
        if name == "b" {
            let more = json!({"type": "ExternalIP", "address": "169.254.169.254"});
            object["status"]["addresses"].as_array_mut().unwrap().push(more);
        }
        api.apply(Kind::Node, object);
    }
    let options = "kubeletPort=1&kubeletPortFromStatus=true&nodeSelector=zone%3Deast\
                   &kubeletAddressTypes=ExternalIP,InternalIP&allowedAddresses=127.79.0.0/24";
    let source = format!("--source=kubernetes.summary_api:{}?inClusterConfig=false&{options}", api.url());
    let collector = Collector::start(&[&source]).await;
    until("a alone", async || (collector.list("nodes").await == ["a"]).then_some(())).await;
    let status = collector.get("/api/v1/status").await.body;
    let status: Value = serde_json::from_str(&status).unwrap();
    let nodes = status["clusters"][0]["nodes"].as_array().unwrap();
    let outcomes: Vec<_> = nodes.iter().map(|node| (&node["name"], &node["outcome"])).collect();
    assert_eq!(outcomes, [(&json!("a"), &json!("ok")), (&json!("b"), &json!("refused_address"))]);
    assert_eq!(nodes[0]["address"], format!("127.79.0.41:{}", kubelets.port()));
    assert!([42, 43].iter().all(|last| kubelets.requests([127, 79, 0, *last].into()) == 0));
    collector.running.stop().await;
    kubelets.stop().await;
    api.stop().await;
}
