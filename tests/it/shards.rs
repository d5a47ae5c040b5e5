//! Several collectors of one cluster: who takes which node, what each keeps, and that together they tell all of it once.

use crate::support::{Collector, until};
use heapster::clock::Clock;
use heapster::model::entity::{Labels, Name};
use heapster::model::inventory::{Change, NodeFacts, PodFacts, PodName, Resources};
use heapster::model::list::List;
use heapster::model::shard::{BadShard, Shard, fnv1a, owner};
use heapster::model::share::Share;
use heapster::simulator::{Shape, Simulator};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

#[test]
fn who_takes_a_node_never_changes() {
    // The published vectors of FNV-1a.
    assert_eq!(
        ["", "a", "foobar"].map(|text| fnv1a(text.as_bytes())),
        [0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8]
    );
    // Worked out by another program from the rule in `model::shard`.
    let names = [
        "node-1",
        "node-2",
        "node-3",
        "node-4",
        "node-5",
        "gke-prod-pool-1-0a1b",
        "ip-10-0-0-1.ec2.internal",
        "a",
    ];
    for (shards, owners) in [
        (1, [1; 8]),
        (2, [1, 1, 2, 2, 1, 1, 1, 2]),
        (3, [3, 1, 2, 2, 3, 1, 3, 3]),
        (5, [4, 5, 4, 2, 3, 1, 3, 5]),
    ] {
        assert_eq!(names.map(|name| owner(name, shards)), owners, "{shards} shards");
    }
}

#[test]
fn texts_are_shards_or_say_why_not() {
    let parsed = |text: &str| text.parse::<Shard>();
    for text in ["1/1", "1/3", "3/3", "1000/1000"] {
        assert_eq!(parsed(text).unwrap().to_string(), text);
    }
    for text in ["", "1", "x", "a/b", "1/", "/3", "1/3/5", "-1/3", "+1/3", " 1/3", "1/ 3", "1.0/3"] {
        assert_eq!(parsed(text), Err(BadShard::Form), "{text:?}");
    }
    for text in ["1/0", "0/0", "1/1001", "1/99999999999999999999"] {
        assert_eq!(parsed(text), Err(BadShard::Count), "{text:?}");
    }
    for text in ["0/3", "4/3", "99999999/3"] {
        assert_eq!(parsed(text), Err(BadShard::Index(3)), "{text:?}");
    }
}

proptest! {
    #[test]
    fn each_node_has_one_shard_and_moves_only_to_a_new_one(name in "[a-z0-9.-]{1,40}", shards in 1_u16..50) {
        let takes = |of: u16| (1..=of).filter(|index| Shard::new(*index, of).unwrap().owns(&name)).count();
        prop_assert_eq!(takes(shards), 1);
        let (before, after) = (owner(&name, shards), owner(&name, shards + 1));
        prop_assert!(after == before || after == shards + 1);
    }
}

#[test]
fn shards_are_about_alike() {
    for shards in [2_u16, 3, 7] {
        let mut nodes: BTreeMap<u16, u32> = BTreeMap::new();
        (0..5_000).for_each(|n| *nodes.entry(owner(&format!("node-{n}"), shards)).or_default() += 1);
        let fair = 5_000 / u32::from(shards);
        assert!(nodes.values().all(|count| count.abs_diff(fair) * 10 < fair), "{nodes:?}");
    }
}

fn node(name: &str) -> NodeFacts {
    NodeFacts {
        name: name.into(),
        hostname: name.into(),
        host_id: "".into(),
        address: Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        port: None,
        labels: Labels::new::<&str, &str>([]),
        schedulable: true,
        capacity: Resources::default(),
        allocatable: Resources::default(),
    }
}

fn pod(name: &str, node: Option<&str>) -> PodFacts {
    PodFacts {
        namespace: "shop".into(),
        name: name.into(),
        uid: name.into(),
        node: node.map(Name::from),
        host_network: false,
        labels: Labels::new::<&str, &str>([]),
        started: None,
        containers: List::default(),
        restarts: List::default(),
    }
}

fn key(name: &str) -> PodName {
    PodName { namespace: "shop".into(), name: name.into() }
}

#[test]
fn a_shard_keeps_its_nodes_their_pods_and_pods_that_wait() {
    // By the vectors above node-1 is of shard 1 of 2 and node-3 of shard 2.
    let mut share = Share::new(Shard::new(1, 2).unwrap());
    assert!(matches!(share.node(Change::Listed(node("node-1"))), Some(Change::Listed(_))));
    assert!(share.node(Change::Listed(node("node-3"))).is_none());
    assert_eq!(share.nodes_of_others(), 1);
    for (at, kept) in [(Some("node-1"), true), (Some("node-3"), false), (None, true)] {
        assert_eq!(share.pod(Change::Listed(pod("web", at))).is_some(), kept, "{at:?}");
        assert_eq!(share.is_of_others(&key("web")), !kept, "{at:?}");
    }
    // A pod of this name is bound to another's node: for us it is gone; then it is deleted.
    assert!(matches!(share.pod(Change::Applied(pod("web", Some("node-3")))), Some(Change::Gone(_))));
    assert!(share.is_of_others(&key("web")));
    share.pod(Change::Gone(pod("web", Some("node-3"))));
    assert!(!share.is_of_others(&key("web")));
    share.node(Change::Gone(node("node-3")));
    assert_eq!(share.nodes_of_others(), 0);
}

#[test]
fn a_list_sweeps_what_it_does_not_name() {
    let mut share = Share::new(Shard::new(1, 2).unwrap());
    for at in ["node-3", "node-4"] {
        share.node(Change::Applied(node(at)));
        share.pod(Change::Applied(pod(at, Some(at))));
    }
    share.node(Change::ListBegins);
    share.pod(Change::ListBegins);
    share.node(Change::Listed(node("node-4")));
    share.pod(Change::Listed(pod("node-4", Some("node-4"))));
    // Until it is done, nobody is taken for gone.
    assert!(share.nodes_of_others() == 2 && share.is_of_others(&key("node-3")));
    share.node(Change::ListDone);
    share.pod(Change::ListDone);
    assert_eq!(share.nodes_of_others(), 1);
    assert!(share.is_of_others(&key("node-4")) && !share.is_of_others(&key("node-3")));
}

/// The last value of a series.
async fn last(collector: &Collector, path: &str) -> Option<u64> {
    collector.series(path).await.last().map(|(_, value, _)| *value)
}

#[actix_web::test]
async fn three_shards_tell_together_what_one_collector_tells() {
    let shape = Shape { nodes: 7, pods: 4, containers: 2, namespaces: 3, ..Shape::default() };
    let simulator = Simulator::start(shape, Clock::system()).unwrap();
    let source = format!("--source={}", simulator.source_uri());
    let whole = Collector::start(&[&source]).await;
    let mut shards = Vec::new();
    for index in 1..=3 {
        shards.push(Collector::start(&[&source, &format!("--shard={index}/3")]).await);
    }
    let of_shards = |path: String| {
        let shards = &shards;
        async move {
            let mut sum = 0;
            for shard in shards {
                sum += last(shard, &path).await?;
            }
            Some(sum)
        }
    };
    // What is requested does not move: the sums are the same once every node is in them.
    let namespaces = until("all namespaces", async || {
        Some(whole.list("namespaces").await).filter(|names| names.len() == 3)
    })
    .await;
    for metric in ["cpu/request", "memory/request", "memory/limit"] {
        let paths = namespaces.iter().map(|space| format!("namespaces/{space}/metrics/{metric}"));
        for path in paths.chain([format!("metrics/{metric}")]) {
            until(&format!("the same sum of {path}"), async || {
                let (ours, theirs) = (last(&whole, &path).await?, of_shards(path.clone()).await?);
                (ours > 0 && ours == theirs).then_some(())
            })
            .await;
        }
    }
    let mut nodes = Vec::new();
    for (shard, index) in shards.iter().zip(1..) {
        let own = shard.list("nodes").await;
        assert!(own.iter().all(|node| owner(node, 3) == index), "{own:?} in shard {index}");
        let status: Value = serde_json::from_str(&shard.get("/api/v1/status").await.body).unwrap();
        assert_eq!(status["shard"], format!("{index}/3"));
        let cluster = &status["clusters"][0];
        assert_eq!(cluster["nodesOfOtherShards"].as_u64(), Some(7 - own.len() as u64));
        assert_eq!(cluster["nodes"].as_array().unwrap().len(), own.len());
        let pods = shard.counted(&["heapster_pods{"]).await;
        assert_eq!(pods, 4.0 * own.len() as f64, "pods of others are kept");
        assert_eq!(shard.counted(&["heapster_nodes{", "of_other_shards"]).await, 7.0 - own.len() as f64);
        let other = simulator.cluster().nodes().iter().find(|node| !own.contains(&node.name)).unwrap();
        let foreign = shard.list(&format!("nodes/{}/pods", other.name)).await;
        assert!(foreign.is_empty(), "{foreign:?}");
        assert_eq!(shard.get(&format!("/apis/metrics/v1alpha1/nodes/{}", other.name)).await.status, 404);
        let page = shard.get("/").await.body;
        assert!(page.contains(&format!("Shard {index}/3")), "{page}");
        nodes.extend(own);
    }
    nodes.sort_unstable();
    assert_eq!(nodes, whole.list("nodes").await, "every node once");
    named(&shards[1], &whole).await;
}

#[actix_web::test]
async fn a_shard_that_has_no_node_is_ready_and_healthy() {
    let simulator =
        Simulator::start(Shape { nodes: 1, pods: 1, ..Shape::default() }, Clock::system()).unwrap();
    let without = 3 - owner(&simulator.cluster().nodes()[0].name, 2);
    let source = format!("--source={}", simulator.source_uri());
    let shard = Collector::start(&[&source, &format!("--shard={without}/2")]).await;
    for path in ["/readyz", "/healthz", "/healthz/healthz"] {
        until(path, async || (shard.get(path).await.status == 200).then_some(())).await;
    }
    assert_eq!(shard.list("nodes").await, Vec::<String>::new());
    assert!(shard.get("/").await.body.contains("every node is another shard"));
    shard.running.stop().await;
    simulator.stop().await;
}

/// What is partial says so: answers about the cluster in a header, sums for Prometheus in a label.
async fn named(shard: &Collector, whole: &Collector) {
    let header = async |collector: &Collector, path: &str| {
        let reply = awc::Client::default().get(format!("{}{path}", collector.base)).send().await.unwrap();
        reply.headers().get("x-heapster-shard").map(|value| value.to_str().unwrap().to_owned())
    };
    for path in ["/api/v1/model/namespaces", "/api/v1/metric-export", "/apis/metrics/v1alpha1/pods"] {
        assert_eq!(header(shard, path).await.as_deref(), Some("2/3"), "{path}");
        assert_eq!(header(whole, path).await, None, "{path}");
    }
    assert_eq!(header(shard, "/healthz").await, None);
    let told = shard.get("/api/v1/export/prometheus").await.body;
    let samples = || told.lines().filter(|line| !line.starts_with('#'));
    let (sums, others): (Vec<&str>, Vec<&str>) = samples()
        .partition(|line| line.starts_with("heapster_cluster_") || line.starts_with("heapster_namespace_"));
    assert!(!sums.is_empty() && sums.iter().all(|line| line.contains("shard=\"2/3\"")), "{sums:?}");
    assert!(!others.is_empty() && !others.iter().any(|line| line.contains("shard=")), "{others:?}");
    assert!(!whole.get("/api/v1/export/prometheus").await.body.contains("shard="));
    let status: Value = serde_json::from_str(&whole.get("/api/v1/status").await.body).unwrap();
    assert!(status.get("shard").is_none() && status["clusters"][0].get("nodesOfOtherShards").is_none());
}
