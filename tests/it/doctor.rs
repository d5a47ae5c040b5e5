//! `heapster doctor` and `/api/v1/status` against clusters with one thing wrong at a time: each is told in one line with
//! what would mend it, and nothing else is.

use crate::ailments::AILMENTS;
use crate::support::{Collector, until};
use actix_web::web;
use heapster::clock::Clock;
use heapster::config::uri::Uri;
use heapster::model::time::Resolution;
use heapster::rollup::schedule::Schedule;
use heapster::simulator::{
    ApiServer, Fault, Kind, KubeletAnswer, KubeletRequest, Kubelets, Manner, Shape, Simulator,
};
use heapster::{doctor, sources};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub fn node(name: &str, address: &str, ready: &str) -> Value {
    let addresses = json!([{"type": "InternalIP", "address": address}]);
    let conditions = json!([{"type": "Ready", "status": ready}]);
    json!({"metadata": {"name": name}, "status": {"addresses": addresses, "conditions": conditions}})
}

/// The whole answer of a well kubelet, which can only be rated once it has been read twice. Its figures never grow old.
pub const SUMMARY: &str = r#"{"node":{"startTime":"2020-01-01T00:00:00Z","cpu":{"time":"2100-01-01T00:00:00Z",
"usageNanoCores":1000,"usageCoreNanoSeconds":5000}},"pods":[]}"#;

/// What the kubelet at `127.83.0.<last>` answers.
fn answer(ask: &KubeletRequest) -> KubeletAnswer {
    let IpAddr::V4(address) = ask.address else { unreachable!("only IPv4 is bound here") };
    let well = KubeletAnswer::json(SUMMARY);
    match address.octets()[3] {
        2 => KubeletAnswer::status(401, "Unauthorized"),
        3 => KubeletAnswer::status(403, "Forbidden (user=x, verb=get, resource=nodes, subresource=stats)"),
        4 => KubeletAnswer::status(404, "404 page not found\n"),
        5 => KubeletAnswer::status(200, "<html>welcome</html>"),
        6 => well.given(Manner::HangBeforeHeaders),
        7 => KubeletAnswer::json(vec![b' '; 1_025]),
        8 => KubeletAnswer::status(400, "Client sent an HTTP request to an HTTPS server.\n"),
        9 => KubeletAnswer::status(500, "internal error: failed to get imageFs stats"),
        10 if ask.path.starts_with("/stats/container") => KubeletAnswer::status(404, "404 page not found\n"),
        11 => {
            let ahead = chrono::DateTime::from_timestamp(Clock::system().now().seconds() + 3_600, 0).unwrap();
            let date = ahead.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            KubeletAnswer { headers: vec![("Date".to_owned(), date)], ..well }
        }
        12 => KubeletAnswer::json(r#"{"node":{"cpu":{"usageNanoCores":"many"}},"pods":[]}"#),
        13 => well.given(Manner::CutAfter(20)),
        _ => well,
    }
}

/// An API server and kubelets.
struct Cluster {
    api: ApiServer,
    kubelets: Kubelets,
}

impl Cluster {
    /// One with the nodes `n<last>` at `127.83.0.<last>`.
    fn of(last: &[u8]) -> Self {
        let all: Vec<IpAddr> = (1..=13).map(|last| IpAddr::from([127, 83, 0, last])).collect();
        let cluster = Self {
            api: ApiServer::start().unwrap(),
            kubelets: Kubelets::start(&all, Arc::new(answer)).unwrap(),
        };
        for last in last {
            cluster.api.apply(Kind::Node, node(&format!("n{last}"), &format!("127.83.0.{last}"), "True"));
        }
        cluster
    }

    /// Its source of this kind with more options.
    fn source(&self, kind: &str, more: &str) -> String {
        let (url, port) = (self.api.url(), self.kubelets.port());
        format!("{kind}:{url}?inClusterConfig=false&clusterName=it&kubeletPort={port}{more}")
    }

    async fn examined(&self, more: &str) -> (usize, Vec<String>) {
        examined(&self.source("kubernetes.summary_api", more)).await
    }

    /// Where the kubelet of a node listens.
    fn at(&self, last: u8) -> String {
        format!("127.83.0.{last}:{}", self.kubelets.port())
    }

    async fn stop(self) {
        self.kubelets.stop().await;
        self.api.stop().await;
    }
}

/// How many things are wrong with a source, and every line that was said.
pub async fn examined(source: &str) -> (usize, Vec<String>) {
    let sources = sources::build(&[Uri::parse(source, &|_| None).unwrap()]).unwrap();
    let schedule = Schedule::new(Resolution::new(Duration::from_secs(30)).unwrap());
    let mut lines = Vec::new();
    let wrong =
        doctor::examine(sources, schedule, Clock::system(), &mut |line| lines.push(line.to_owned())).await;
    assert!(lines.iter().all(|line| !line.contains('\n')), "{lines:?}");
    (wrong, lines)
}

/// Holds that these and only these things are said to be wrong.
#[track_caller]
pub fn assert_wrong((wrong, lines): &(usize, Vec<String>), expected: &[&str]) {
    let said: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("WRONG  ")).collect();
    assert_eq!(said, expected, "in all:\n{}", lines.join("\n"));
    let end = match expected.len() {
        0 => "nothing is wrong".to_owned(),
        1 => "1 thing is wrong".to_owned(),
        more => format!("{more} things are wrong"),
    };
    assert_eq!((*wrong, lines.last()), (expected.len(), Some(&end)));
}

#[actix_web::test]
async fn what_is_well_is_said_so() {
    let cluster = Cluster::of(&[1, 10]);
    let found = cluster.examined("").await;
    assert_wrong(&found, &[]);
    let lines = &found.1;
    let url = cluster.api.url();
    assert_eq!(lines[..2], ["source it".to_owned(), format!("ok     API server {url}/ answers: v1.36.2")]);
    let rights = ["nodes", "pods", "namespaces"]
        .into_iter()
        .flat_map(|kind| ["list", "watch"].map(|verb| format!("ok     right to {verb} {kind}")));
    assert_eq!(lines[2..8], rights.collect::<Vec<_>>());
    let nodes: Vec<&str> =
        lines[8..lines.len() - 1].iter().map(|line| line.split(", in ").next().unwrap()).collect();
    let node = |last: u8| {
        format!("ok     node n{last}: {} answers {} bytes, 1 rows", cluster.at(last), SUMMARY.len())
    };
    assert_eq!(nodes, [node(1), node(10)]);
    cluster.stop().await;
}

#[actix_web::test]
async fn an_api_server_that_lets_nobody_in_is_told() {
    let cluster = Cluster::of(&[1]);
    cluster.api.require_token(Some("secret"));
    let url = cluster.api.url();
    assert_wrong(
        &cluster.examined("").await,
        &[&format!(
            "API server {url}/: status 401: Unauthorized; no credentials are sent: give auth=KUBECONFIG, or in a pod leave \
             inClusterConfig out"
        )],
    );
    cluster.api.require_token(None);

    let message = "nodes is forbidden: User \"system:serviceaccount:a:b\" cannot list resource \"nodes\"";
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": "Forbidden", "code": 403,
    });
    cluster.api.set_fault(Kind::Node, Fault::Status(403, status.to_string()));
    assert_wrong(
        &cluster.examined("").await,
        &[&format!(
            "nodes: status 403: {message}; the account may not do this: bind it to the ClusterRole of manifests/rbac.yaml"
        )],
    );
    cluster.stop().await;
}

#[actix_web::test]
async fn an_api_server_that_is_gone_or_denies_a_right_is_told() {
    let cluster = Cluster::of(&[1]);
    let url = cluster.api.url();
    cluster.api.deny("watch pods");
    cluster.api.deny("list namespaces");
    let denied = cluster.examined("").await;
    let rule = |verb: &str, of: &str| {
        format!(
            "no right to {verb} {of}; add to the ClusterRole {{apiGroups: [\"\"], resources: [{of}], verbs: [{verb}]}}"
        )
    };
    assert_wrong(&denied, &[&rule("watch", "pods"), &rule("list", "namespaces")]);

    cluster.api.stop().await;
    let why = "Connection refused (os error 111); nothing listens there: look at the URL of --source";
    let gone = format!("API server {url}/: no connection: {why}");
    assert_wrong(&cluster.examined("").await, &[&gone]);
    cluster.stop().await;
}

/// Nodes that are not asked: outcome and reason.
const UNUSABLE: &[(&str, &str, &str)] = &[
    ("a", "not_ready", "its condition Ready is not True; look at kubectl describe node"),
    (
        "b",
        "refused_address",
        "its address 169.254.169.254 is never asked, for it is link-local; give the node another one, or name another type \
         by kubeletAddressTypes",
    ),
    (
        "c",
        "no_address",
        "none of its addresses is an IP of a type in kubeletAddressTypes; name one that it has",
    ),
];

#[actix_web::test]
async fn nodes_that_are_not_asked_are_told_with_the_reason() {
    let cluster = Cluster::of(&[1]);
    assert_wrong(
        &cluster.examined("&nodeSelector=zone%3Dnone").await,
        &["nodes: there is none; look at nodeSelector"],
    );
    cluster.api.apply(Kind::Node, node("a", "127.83.0.2", "False"));
    cluster.api.apply(Kind::Node, node("b", "169.254.169.254", "True"));
    cluster.api.apply(Kind::Node, node("c", "here.example", "True"));
    let unusable: Vec<String> = UNUSABLE.iter().map(|(name, _, why)| format!("node {name}: {why}")).collect();
    let unusable: Vec<&str> = unusable.iter().map(String::as_str).collect();
    // A node that is not ready is nobody's fault, as long as another one is left.
    let found = cluster.examined("").await;
    assert_wrong(&found, &unusable[1..]);
    assert!(found.1.contains(&format!("note   {}", unusable[0])), "{found:?}");
    cluster.api.delete(Kind::Node, None, "n1");
    assert_wrong(&cluster.examined("").await, &unusable);
    for name in ["a", "b", "c"] {
        cluster.api.delete(Kind::Node, None, name);
    }
    let none = "nodes: there is none; look whether this is the API server that was meant";
    assert_wrong(&cluster.examined("").await, &[none]);
    assert_eq!(cluster.kubelets.requests([127, 83, 0, 2].into()), 0, "a node that is not ready was asked");
    cluster.stop().await;
}

const AILING: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 99];
const TIGHT: &str = "&kubeletTimeout=200ms&kubeletMaxBody=1Ki";

#[actix_web::test]
async fn every_ailment_of_a_kubelet_is_told_with_its_cure() {
    let cluster = Cluster::of(AILING);
    let mut ailments = AILMENTS.to_vec();
    ailments.sort_by_key(|(last, ..)| last.to_string());
    let expected: Vec<String> = ailments
        .iter()
        .map(|(last, _, what)| format!("node n{last}: {}: {what}", cluster.at(*last)))
        .collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    assert_wrong(&cluster.examined(TIGHT).await, &expected);
    cluster.stop().await;

    let cluster = Cluster::of(&[12]);
    let broken = format!(
        "node n12: {}: numbers in its answer are broken: 1; the others count: look at the kubelet's version, or for a \
         proxy in between",
        cluster.at(12)
    );
    assert_wrong(&cluster.examined("").await, &[&broken]);
    // Asked over TLS, a plain port breaks the handshake.
    let plain = format!(
        "node n12: {}: no connection: received corrupt message of type InvalidContentType; the port does not speak TLS: give kubeletHttps=false, or the kubelet's TLS port by kubeletPort",
        cluster.at(12)
    );
    assert_wrong(&cluster.examined("&kubeletHttps=true").await, &[&plain]);
    cluster.stop().await;
}

#[actix_web::test]
async fn the_legacy_source_falls_back_to_the_summary() {
    let cluster = Cluster::of(&[10]);
    let found = examined(&cluster.source("kubernetes", "")).await;
    assert_wrong(&found, &[]);
    let ok = format!("ok     node n10: {} answers {} bytes, 1 rows, in ", cluster.at(10), SUMMARY.len());
    assert!(found.1.iter().any(|line| line.starts_with(&ok)), "{:?}", found.1);
    assert_eq!(cluster.kubelets.requests([127, 83, 0, 10].into()), 2);
    cluster.stop().await;
}

async fn nodes_of(collector: &Collector) -> Vec<Value> {
    let reply = collector.get("/api/v1/status").await;
    assert_eq!((reply.status, reply.kind.as_str()), (200, "application/json"));
    let status: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(status["clusters"][0]["name"], "it");
    status["clusters"][0]["nodes"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn the_status_tells_the_same_of_every_node() {
    let cluster = Cluster::of(AILING);
    cluster.api.apply(Kind::Node, node("a", "127.83.0.1", "False"));
    cluster.api.apply(Kind::Node, node("b", "169.254.169.254", "True"));
    cluster.api.apply(Kind::Node, node("c", "here.example", "True"));
    cluster.api.apply(Kind::Node, node("n11", "127.83.0.11", "True"));
    let source = cluster.source("kubernetes.summary_api", TIGHT);
    let collector = Collector::start(&[&format!("--source={source}")]).await;
    let nodes = until("a turn of every node", async || {
        let nodes = nodes_of(&collector).await;
        (nodes.len() == 15 && nodes.iter().all(|node| node["outcome"] != "waiting")).then_some(nodes)
    })
    .await;
    let named = |name: &str| nodes.iter().find(|node| node["name"] == name).unwrap();
    for (last, outcome, why) in AILMENTS {
        let node = named(&format!("n{last}"));
        assert_eq!((&node["outcome"], &node["why"]), (&json!(outcome), &json!(why)));
        assert_eq!(node["address"], cluster.at(*last));
        for never in ["lastAnswerAgeSeconds", "durationSeconds", "bytes", "clockSkewSeconds"] {
            assert_eq!(node[never], Value::Null, "{node}");
        }
    }
    for (name, outcome, why) in UNUSABLE {
        let node = named(name);
        assert_eq!((&node["outcome"], &node["why"]), (&json!(outcome), &json!(why)));
        assert_eq!(node["address"], Value::Null);
    }
    for (name, last, skew) in [("n1", 1, 0.0..=0.0), ("n11", 11, 3_598.0..=3_602.0)] {
        let node = named(name);
        assert_eq!((&node["outcome"], &node["why"]), (&json!("ok"), &Value::Null));
        assert_eq!((&node["address"], &node["bytes"]), (&json!(cluster.at(last)), &json!(SUMMARY.len())));
        let number = |member: &str| node[member].as_f64().unwrap();
        assert!((0.0..60.0).contains(&number("lastAnswerAgeSeconds")), "{node}");
        assert!((0.0..=0.2).contains(&number("durationSeconds")), "{node}");
        assert!(skew.contains(&number("clockSkewSeconds")), "{node}");
        assert_eq!(node["ratesWithheld"], json!({"first": 1}), "{node}");
    }
    // The kubelet's reading stays the same: from the second turn on, that is why there is no rate.
    until("another reason", async || {
        let nodes = nodes_of(&collector).await;
        let node = nodes.iter().find(|node| node["name"] == "n1").unwrap();
        (node["ratesWithheld"] == json!({"same_instant": 1})).then_some(())
    })
    .await;
    collector.running.stop().await;
    cluster.stop().await;
}

async fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heapster"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEAPSTER_")) {
        command.env_remove(name);
    }
    web::block(move || command.output().unwrap()).await.unwrap()
}

#[actix_web::test]
async fn the_command_says_a_line_for_each_thing_and_ends_with_its_code() {
    let simulator = Simulator::start(Shape::default(), Clock::system()).unwrap();
    let source = format!("--source={}", simulator.source_uri());
    // Sources and flags are those of collecting, with nothing else beside the lines.
    let output = run(&["doctor", &source, "--model_resolution=1m"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    // The source, the API server, six rights, three nodes, the sum.
    assert_eq!((lines.len(), lines[11]), (12, "nothing is wrong"), "{said}");
    assert!(lines[1..11].iter().all(|line| line.starts_with("ok     ")), "{said}");

    simulator.api().apply(Kind::Node, node("node-2", "127.83.0.99", "True"));
    let output = run(&["doctor", &source]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(1), 0), "{said}");
    let wrong: Vec<&str> = said.lines().filter(|line| line.starts_with("WRONG  ")).collect();
    assert!(matches!(wrong[..], [line] if line.starts_with("WRONG  node node-2: 127.83.0.99:")), "{said}");
    assert_eq!((said.lines().count(), said.lines().last()), (12, Some("1 thing is wrong")), "{said}");
    simulator.stop().await;

    let mistakes: [(&[&str], &str); 3] = [
        (&["doctor"], "--source: none given"),
        (&["doctor", "--source=kubernetes.summary_api:''?kubletPort=1"], "kubeletPort"),
        (&["doctor", "--sauce=x"], "--source"),
    ];
    for (args, word) in mistakes {
        let output = run(args).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{args:?}: {said}");
        assert!(said.lines().count() == 1 && said.contains(word), "{args:?}: {said}");
    }
}
