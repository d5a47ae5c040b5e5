//! Several clusters in one collector: each by its own name, all of them together, none taken for another.

use crate::support::{Collector, until};
use heapster::clock::Clock;
use heapster::config::uri::Uri;
use heapster::simulator::{ApiServer, Kind, Shape, Simulator, objects};
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
    let status = collector.get("/api/v1/status?cluster=west").await;
    let status: serde_json::Value = serde_json::from_str(&status.body).unwrap();
    assert_eq!(
        (status["clusters"].as_array().unwrap().len(), &status["clusters"][0]["name"]),
        (1, &"west".into())
    );
    assert_eq!(collector.get("/api/v1/status?cluster=north").await.status, 400);
    let exported = |body: &str| -> BTreeSet<String> {
        let entities: Vec<serde_json::Value> = serde_json::from_str(body).unwrap();
        entities
            .iter()
            .map(|entity| entity["labels"]["cluster_name"].as_str().unwrap_or("-").to_owned())
            .collect()
    };
    let all = exported(&collector.get("/api/v1/metric-export").await.body);
    assert_eq!(all.into_iter().collect::<Vec<_>>(), ["east", "west"]);
    let one = exported(&collector.get("/api/v1/metric-export?cluster=east").await.body);
    assert_eq!(one.into_iter().collect::<Vec<_>>(), ["-"]);
    // To Prometheus every series says of which it is, even where one is asked for: jobs may ask for one each.
    let told = |body: &str| -> std::collections::BTreeSet<String> {
        let series = body.lines().filter(|line| !line.starts_with('#'));
        let cluster = |line: &str| line.split_once("{cluster=\"")?.1.split('"').next().map(str::to_owned);
        series.map(|line| cluster(line).unwrap_or_else(|| "-".to_owned())).collect()
    };
    let levels = "/api/v1/export/prometheus?level=cluster,namespace,node";
    let all = told(&collector.get(levels).await.body);
    assert_eq!(all.into_iter().collect::<Vec<_>>(), ["east", "west"]);
    let one = told(&collector.get(&format!("{levels}&cluster=west")).await.body);
    assert_eq!(one.into_iter().collect::<Vec<_>>(), ["west"]);
    let reply = collector.get("/api/v1/model/nodes?cluster=north").await;
    assert_eq!(reply.status, 400);
    assert!(["north", "/api/v1/status"].iter().all(|word| reply.body.contains(word)), "{}", reply.body);
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
        ["kubernetes", "kubernetes.summary_api:''"],
    ];
    for [one, other] in twice {
        let error = sources::build(&[uri(one), uri(other)])
            .err()
            .unwrap_or_else(|| panic!("{one} and {other}"))
            .to_string();
        assert!(error.contains("given twice") && error.lines().count() == 1, "{error}");
    }
    let named =
        ["http://a:1?inClusterConfig=false&clusterName=x", "http://b:1?inClusterConfig=false&clusterName=x"];
    let error = sources::build(&named.map(|rest| uri(&format!("kubernetes:{rest}")))).err().unwrap();
    assert!(error.to_string().contains("a name of its own by clusterName"), "{error}");
    let files = ["auth=/a", "auth=/b", "auth=/b&clusterName=third"];
    let files = files.map(|auth| uri(&format!("kubernetes.summary_api:?inClusterConfig=false&{auth}")));
    let names =
        |sources: Vec<sources::Source>| sources.into_iter().map(|s| s.name.to_string()).collect::<Vec<_>>();
    assert_eq!(
        names(sources::build(&files[..2]).unwrap()),
        ["kubernetes.summary_api:/a", "kubernetes.summary_api:/b"]
    );
    assert!(sources::build(&files).err().unwrap().to_string().contains("given twice"));
    let two = ["kubernetes:http://a:1?inClusterConfig=false", "kubernetes:http://b:1?inClusterConfig=false"];
    assert_eq!(sources::build(&two.map(uri)).unwrap().len(), 2);
}

#[actix_web::test]
async fn two_uris_of_one_server_are_seen_at_start() {
    let api = ApiServer::start().unwrap();
    let other = api.url().replace("127.0.0.1", "localhost");
    let uri = |server: &str| format!("--source=kubernetes.summary_api:{server}?inClusterConfig=false");
    let error = Collector::refused(&[&uri(&api.url()), &uri(&other)]).await;
    assert!(error.contains("another source has the same API server"), "{error}");
    api.stop().await;
}

#[actix_web::test]
async fn one_cluster_behind_two_servers_counts_once() {
    // A second server of the same cluster: the same namespaces with the same uids.
    let simulator =
        Simulator::start(Shape { nodes: 1, pods: 3, ..Shape::default() }, Clock::system()).unwrap();
    let other = ApiServer::start().unwrap();
    let (cluster, port) = (simulator.cluster(), simulator.api().port());
    other.fill(
        Kind::Namespace,
        cluster.namespaces().iter().map(|name| objects::namespace(cluster, name, port)),
    );
    other.fill(Kind::Node, cluster.nodes().iter().map(|node| objects::node(node, simulator.kubelet_port())));
    let pods =
        cluster.nodes().iter().flat_map(|node| node.pods.iter().map(move |pod| objects::pod(node, pod)));
    other.fill(Kind::Pod, pods);
    let first = format!("--source={}&clusterName=first", simulator.source_uri());
    let second = first.replace(&simulator.api_url(), &other.url()).replace("=first", "=second");
    let collector = Collector::start(&[&first, &second]).await;
    let clusters = until("the second to be known", async || {
        let status: serde_json::Value =
            serde_json::from_str(&collector.get("/api/v1/status").await.body).unwrap();
        status["clusters"][1].get("sameAs").is_some().then(|| status["clusters"].clone())
    })
    .await;
    assert_eq!((&clusters[1]["sameAs"], clusters[0].get("sameAs")), (&"first".into(), None));
    until("its answers not taken", async || {
        (collector.counted(&["heapster_scrapes_total{", "second", "same_cluster"]).await >= 1.0).then_some(())
    })
    .await;
    collector.running.stop().await;
    simulator.stop().await;
    other.stop().await;
}
