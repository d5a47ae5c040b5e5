//! A part of the tape over real sockets from end to end: the minute in which one kubelet stood still, played by the
//! simulator to a whole collector, faster than it was recorded.

use crate::support::{Collector, until};
use crate::tape::{Tape, instant};
use actix_web::web::Bytes;
use heapster::clock::Clock;
use heapster::model::time::Timestamp;
use heapster::simulator::playback::{Change, Given, Playback};
use heapster::simulator::{ApiServer, Kind, Kubelets};
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const NODES: [(&str, &str, &str); 2] =
    [("node-a", "10.77.0.1", "127.81.0.1"), ("node-b", "10.77.0.2", "127.81.0.2")];
/// So that two windows of the shortest resolution fall into the minute, and all is over soon.
const SPEED: u32 = 6;

/// What one kubelet gave, and when.
fn given(node: &str) -> Given {
    let entries = Tape::open().asked(&format!("kubelet-{node}")).into_iter();
    let body = |file: String| Bytes::from_static(Tape::open().bytes(&file));
    entries.map(|entry| (entry.at, entry.file.map(body))).collect()
}

/// What happened to nodes, pods and namespaces, the lists first. The nodes are moved to loopback.
fn changes() -> Vec<(Timestamp, Change)> {
    let tape = Tape::open();
    let start = Timestamp::default();
    let mut changes = Vec::new();
    for kind in Kind::ALL {
        let plural = kind.plural();
        for item in tape.json(&format!("apiserver-json/{plural}_list.json"))["items"].as_array().unwrap() {
            changes.push((start, Change::Applied(kind, here(item))));
        }
        for line in tape.lines(&format!("apiserver-json/{plural}_watch.jsonl")) {
            let told: Value = serde_json::from_str(line["line"].as_str().unwrap()).unwrap();
            let object = &told["object"];
            let text = |member: &str| object["metadata"][member].as_str().map(str::to_owned);
            let change = match told["type"].as_str().unwrap() {
                "BOOKMARK" => continue,
                "DELETED" => Change::Deleted(kind, text("namespace"), text("name").unwrap()),
                _ => Change::Applied(kind, here(object)),
            };
            changes.push((instant(&line["at"]), change));
        }
    }
    changes.sort_by_key(|(at, _)| *at);
    changes
}

fn here(object: &Value) -> Value {
    let moved = NODES.iter().fold(object.to_string(), |text, (_, there, here)| text.replace(there, here));
    serde_json::from_str(&moved).unwrap()
}

/// What a node's answers say of its memory, in the order of the tape.
fn recorded(node: &str, after: Timestamp) -> Vec<u64> {
    let entries =
        Tape::open().asked(&format!("kubelet-{node}")).into_iter().filter(|entry| entry.at >= after);
    let usage = |file: String| Tape::open().json(&file)["node"]["memory"]["usageBytes"].as_u64().unwrap();
    entries.filter_map(|entry| entry.file).map(usage).collect()
}

#[actix_web::test]
async fn a_kubelet_that_stood_still_is_missed_and_found_again() {
    let tape = Tape::open();
    let happened = |what: &str| {
        let mut lines = tape.lines("timeline.jsonl");
        instant(&lines.find(|line| line["what"].as_str().unwrap().starts_with(what)).unwrap()["at"])
    };
    let (stopped, started) = (happened("stop kubelet on node-b"), happened("start kubelet on node-b"));
    let from = Timestamp::from_nanos(stopped.nanos() - Duration::from_secs(15).as_nanos() as i64);
    let addresses: Vec<IpAddr> = NODES.iter().map(|(_, _, here)| here.parse().unwrap()).collect();
    let kubelets = addresses.iter().copied().zip(NODES).map(|(address, (node, ..))| (address, given(node)));
    let playback = Arc::new(Playback::new(Clock::system(), from, SPEED, kubelets.collect()));
    let api = ApiServer::start().unwrap();
    let kubelets = Kubelets::start(&addresses, playback.clone()).unwrap();
    let (player, server) = (playback.clone(), api.clone());
    let playing = actix_web::rt::spawn(async move { player.go_through(&server, changes()).await });
    let source = format!(
        "--source=kubernetes.summary_api:{}?inClusterConfig=false&kubeletPort={}",
        api.url(),
        kubelets.port()
    );
    let collector = Collector::start(&[&source]).await;
    let nodes = async |expected: &[&str]| (collector.list("nodes").await == expected).then_some(());
    until("both nodes", async || nodes(&["node-a", "node-b"]).await).await;
    until("node-b missed twice", async || nodes(&["node-a"]).await).await;
    assert!((stopped..).contains(&playback.now()), "node-b was missed before it stood still");
    until("both nodes again", async || nodes(&["node-a", "node-b"]).await).await;
    assert!((started..).contains(&playback.now()), "node-b was found before it was started");
    for (node, after) in [("node-a", from), ("node-b", started)] {
        let points = collector.series(&format!("nodes/{node}/metrics/memory/usage")).await;
        let mut points: Vec<u64> = points.iter().map(|(_, usage, _)| *usage).collect();
        // On a busy machine two turns may see one answer.
        points.dedup();
        let mut answers = recorded(node, Timestamp::default()).into_iter();
        let told = points.iter().all(|usage| answers.any(|recorded| recorded == *usage));
        assert!(told && points.len() >= 2, "{node}: {points:?} were not recorded in this order");
        let last = points.last().unwrap();
        assert!(recorded(node, after).contains(last), "{node}: {last} is of before");
    }
    playing.abort();
    assert!(collector.running.stop().await);
    kubelets.stop().await;
    api.stop().await;
}
