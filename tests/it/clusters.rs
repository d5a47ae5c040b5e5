//! Several clusters in one collector: each by its own name, all of them together, none taken for another.

use crate::support::{Collector, until};
use heapster::clock::Clock;
use heapster::config::uri::Uri;
use heapster::simulator::{Shape, Simulator};
use heapster::sources;
use std::collections::BTreeSet;

fn uri(text: &str) -> Uri {
    Uri::parse(text, &|_| None).unwrap()
}

#[actix_web::test]
async fn each_cluster_answers_for_itself_and_all_of_them_together() {
    let shape = |nodes, pods| Shape { nodes, pods, ..Shape::default() };
    let east = Simulator::start(shape(1, 3), Clock::system()).unwrap();
    let west = Simulator::start(shape(2, 5), Clock::system()).unwrap();
    let east_source = format!("--source={}&clusterName=east", east.source_uri());
    let west_source = format!("--source={}&clusterName=west", west.source_uri());
    let collector = Collector::start(&[&east_source, &west_source]).await;
    let last = async |path: &str| collector.series(path).await.last().cloned();
    until("both clusters", async || {
        let (east, west) =
            (last("metrics/cpu/request?cluster=east").await, last("metrics/cpu/request?cluster=west").await);
        (east.is_some() && west.is_some()).then_some(())
    })
    .await;
    // Requests do not move, so that any window will do.
    let of = async |path: &str| last(path).await.map(|(_, value, _)| value).unwrap();
    let [one, other] =
        [of("metrics/cpu/request?cluster=east").await, of("metrics/cpu/request?cluster=west").await];
    assert!(one > 0 && other > one, "{one} and {other}");
    let both = collector.series("metrics/cpu/request").await;
    assert!(both.iter().any(|(_, value, _)| *value == one + other), "{both:?} is never {one} + {other}");
    assert_eq!(collector.list("nodes?cluster=east").await, ["node-1"]);
    assert_eq!(collector.list("nodes/?cluster=west").await, ["node-1", "node-2"]);
    assert_eq!(collector.list("nodes").await, ["node-1", "node-2"]);
    let pods = async |cluster: &str| -> BTreeSet<String> {
        let mut pods = BTreeSet::new();
        for namespace in collector.list(&format!("namespaces?cluster={cluster}")).await {
            pods.extend(collector.list(&format!("namespaces/{namespace}/pods?cluster={cluster}")).await);
        }
        pods
    };
    assert_eq!((pods("east").await.len(), pods("west").await.len()), (3, 10));
    let reply = collector.get("/api/v1/model/nodes?cluster=north").await;
    assert_eq!(reply.status, 400);
    assert!(["north", "east", "west"].iter().all(|word| reply.body.contains(word)), "{}", reply.body);
    let ready = collector.get("/readyz?verbose").await.body;
    assert!(ready.contains("inventory of east ok") && ready.contains("window of west ok"), "{ready}");
    collector.running.stop().await;
    east.stop().await;
    west.stop().await;
}

#[test]
fn one_cluster_is_not_collected_twice() {
    let twice = [
        [
            "kubernetes:http://a:1?inClusterConfig=false",
            "kubernetes.summary_api:http://a:1?inClusterConfig=false&kubeletPort=7",
        ],
        [
            "kubernetes:http://a:1?inClusterConfig=false&clusterName=x",
            "kubernetes:http://b:1?inClusterConfig=false&clusterName=x",
        ],
        ["kubernetes", "kubernetes.summary_api:''"],
    ];
    for [one, other] in twice {
        let error = sources::build(&[uri(one), uri(other)])
            .err()
            .unwrap_or_else(|| panic!("{one} and {other}"))
            .to_string();
        assert!(error.contains("given twice") && error.lines().count() == 1, "{error}");
    }
    let two = ["kubernetes:http://a:1?inClusterConfig=false", "kubernetes:http://b:1?inClusterConfig=false"];
    assert_eq!(sources::build(&two.map(uri)).unwrap().len(), 2);
}
