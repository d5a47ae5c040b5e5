//! Watches where the API server fails in every way it can: no node is lost, none comes twice, scraping never stops. First
//! the stream of a client alone, then the whole collector.

use crate::support::{Collector, until};
use actix_web::rt;
use futures_util::StreamExt;
use heapster::client::kubernetes::{self, Login, Told};
use heapster::model::address::NodePolicy;
use heapster::model::inventory::{Change, Inventory};
use heapster::simulator::{ApiServer, Fault, Kind, KubeletAnswer, KubeletRequest, Kubelets};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What a real API server said.
fn recorded(name: &str) -> String {
    let path = format!("{}/tests/data/api-server/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A node whose kubelet is at the address that ends in `last`.
fn node(name: &str, last: u8) -> Value {
    json!({
        "metadata": {"name": name, "uid": name},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address(last).to_string()}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

fn address(last: u8) -> IpAddr {
    [127, 80, 0, last].into()
}

fn pod(at: usize) -> Value {
    let containers = json!([{"name": "main"}]);
    json!({
        "metadata": {"namespace": "shop", "name": format!("pod-{at:04}"), "uid": at.to_string()},
        "spec": {"nodeName": "a", "containers": containers},
    })
}

/// An API server with nodes a, b and c and so many pods.
fn api_server(pods: usize) -> ApiServer {
    let api = ApiServer::start().unwrap();
    api.fill(Kind::Node, [("a", 1), ("b", 2), ("c", 3)].into_iter().map(|(name, last)| node(name, last)));
    api.fill(Kind::Pod, (0..pods).map(pod));
    api
}

/// The queries with which lists, or watches, of a kind were asked for.
fn asked(api: &ApiServer, kind: &str, watch: bool) -> Vec<BTreeMap<String, String>> {
    let path = format!("/api/v1/{kind}");
    let queries = api.requests().into_iter().filter(|seen| seen.path == path);
    let queries =
        queries.map(|seen| url::form_urlencoded::parse(seen.query.as_bytes()).into_owned().collect());
    queries.filter(|query: &BTreeMap<_, _>| query.contains_key("watch") == watch).collect()
}

fn lists(api: &ApiServer, kind: &str) -> usize {
    asked(api, kind, false).len()
}

fn watches(api: &ApiServer, kind: &str) -> usize {
    asked(api, kind, true).len()
}

/// The version that the last watch of nodes began at.
fn begun_at(api: &ApiServer) -> String {
    asked(api, "nodes", true).last().map(|query| query["resourceVersion"].clone()).unwrap_or_default()
}

/// What a client was told so far.
#[derive(Default)]
struct Heard {
    inventory: Inventory,
    /// Nodes that came and went, in order: one that comes twice or is lost in between shows here.
    moves: Vec<String>,
    /// The pods of the list that is under way, and of every list that was finished.
    listing: Vec<String>,
    listed: Vec<Vec<String>>,
    /// The fewest pods known since they were first.
    fewest: Option<usize>,
    failures: Vec<(&'static str, String)>,
}

impl Heard {
    fn nodes(&self) -> BTreeSet<String> {
        self.inventory.nodes().map(|node| node.name.to_string()).collect()
    }

    fn take(&mut self, told: Told) {
        let before = self.nodes();
        match told {
            Told::Node(change) => self.inventory.node(change),
            Told::Pod(change) => {
                match &change {
                    Change::ListBegins => self.listing.clear(),
                    Change::Listed(pod) => self.listing.push(pod.name.to_string()),
                    Change::ListDone => self.listed.push(std::mem::take(&mut self.listing)),
                    _ => {}
                }
                self.inventory.pod(change);
                if !self.listed.is_empty() {
                    let pods = self.pods();
                    self.fewest = Some(self.fewest.map_or(pods, |fewest| fewest.min(pods)));
                }
            }
            Told::Namespace(change) => self.inventory.namespace(change),
            Told::Failed(kind, why) => self.failures.push((kind, why)),
        }
        let after = self.nodes();
        self.moves.extend(after.difference(&before).map(|name| format!("+{name}")));
        self.moves.extend(before.difference(&after).map(|name| format!("-{name}")));
    }

    fn pods(&self) -> usize {
        self.inventory.counts().1
    }

    fn failed(&self, kind: &str) -> usize {
        self.failures.iter().filter(|(failed, _)| *failed == kind).count()
    }
}

/// A client that follows the watches of `api`, once it knows all that is there.
async fn follow(api: &ApiServer) -> Rc<RefCell<Heard>> {
    let login = Login::Bare { server: api.url().parse().unwrap(), insecure: false, mounted_token: false };
    let mut told = kubernetes::ApiServer::new(&login).await.unwrap().watch(NodePolicy::default(), None);
    let heard = Rc::new(RefCell::new(Heard::default()));
    let hears = heard.clone();
    rt::spawn(async move {
        while let Some(told) = told.next().await {
            hears.borrow_mut().take(told);
        }
    });
    known(&heard, "everything", |heard| heard.inventory.is_complete()).await;
    until("all three watches", async || {
        ["nodes", "pods", "namespaces"].iter().all(|kind| watches(api, kind) > 0).then_some(())
    })
    .await;
    assert_eq!(heard.borrow().moves, ["+a", "+b", "+c"]);
    heard
}

async fn known(heard: &Rc<RefCell<Heard>>, what: &str, is: impl Fn(&Heard) -> bool) {
    until(what, async || is(&heard.borrow()).then_some(())).await;
}

/// Lets so many seconds pass for the client. The server keeps time on a thread of its own, so that after each a moment
/// is left for what the client asks then.
async fn pass(seconds: u64) {
    for _ in 0..seconds {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::time::resume();
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// Node b goes and node d comes while no watch tells of it; the server forgets the log.
fn change_unseen(api: &ApiServer) {
    api.delete(Kind::Node, None, "b").unwrap();
    api.apply(Kind::Node, node("d", 4));
    api.compact(Kind::Node);
}

const CHANGED: [&str; 5] = ["+a", "+b", "+c", "+d", "-b"];

#[actix_web::test]
async fn a_watch_that_expires_inside_a_200_lists_anew() {
    // An open watch, then one that begins too far back.
    for new in [false, true] {
        let api = api_server(3);
        let heard = follow(&api).await;
        api.set_fault(Kind::Node, Fault::HangStream);
        change_unseen(&api);
        if new {
            let body = recorded("410_watch_nodes_too_old.json");
            api.set_fault(Kind::Node, Fault::CutStreams);
            api.set_fault(Kind::Node, Fault::Status(200, body));
        } else {
            api.set_fault(Kind::Node, Fault::ExpireInStream);
        }
        known(&heard, "the failure", |heard| heard.failed("nodes") > 0).await;
        api.set_fault(Kind::Node, Fault::None);
        known(&heard, "what changed meanwhile", |heard| heard.moves == CHANGED).await;
        let (kind, why) = heard.borrow().failures[0].clone();
        assert!(kind == "nodes" && why.contains("too old resource version"), "{kind}: {why}");
        assert!(!new || why.contains("too old resource version: 1 (3)"), "{why}");
        assert_eq!(
            (lists(&api, "pods"), heard.borrow().failed("pods")),
            (1, 0),
            "pods had nothing to do with it"
        );
        // The watch after the list works.
        api.delete(Kind::Node, None, "d").unwrap();
        known(&heard, "d gone", |heard| heard.moves.last().unwrap() == "-d").await;
        assert_eq!(heard.borrow().moves.len(), CHANGED.len() + 1);
        api.stop().await;
    }
}

#[actix_web::test]
async fn a_watch_that_expires_as_a_status_lists_anew() {
    let api = api_server(3);
    let heard = follow(&api).await;
    let before = lists(&api, "nodes");
    api.set_fault(Kind::Node, Fault::HangStream);
    change_unseen(&api);
    api.set_fault(Kind::Node, Fault::CutStreams);
    api.set_fault(Kind::Node, Fault::ExpireAsStatus);
    // The old version stays expired: only a new list helps.
    known(&heard, "what changed meanwhile", |heard| heard.moves == CHANGED).await;
    assert!(lists(&api, "nodes") > before);
    api.set_fault(Kind::Node, Fault::None);
    api.delete(Kind::Node, None, "d").unwrap();
    known(&heard, "d gone", |heard| heard.moves.last().unwrap() == "-d").await;
    api.stop().await;
}

#[actix_web::test]
async fn lists_of_many_pages_name_everything_once() {
    let api = api_server(1_203);
    let heard = follow(&api).await;
    let pages = asked(&api, "pods", false);
    assert_eq!(pages.iter().map(|query| query["limit"].as_str()).collect::<Vec<_>>(), ["500"; 3]);
    assert_eq!(pages.iter().filter(|query| query.contains_key("continue")).count(), 2);
    let names: Vec<String> = (0..1_203).map(|at| format!("pod-{at:04}")).collect();
    assert_eq!(heard.borrow().listed, [names.clone()]);
    // Every continued page of the next list has expired, then every page, in the recorded words.
    let words = recorded("410_list_continue_expired.json");
    for (at, fault) in [Fault::ExpireAsStatus, Fault::Status(410, words)].into_iter().enumerate() {
        let failed = heard.borrow().failed("pods");
        api.set_fault(Kind::Pod, Fault::ExpireInStream);
        known(&heard, "the watch's failure", |heard| heard.failed("pods") > failed).await;
        api.set_fault(Kind::Pod, fault);
        known(&heard, "the list's failures", |heard| heard.failed("pods") > failed + 2).await;
        api.delete(Kind::Pod, Some("shop"), &names[at]).unwrap();
        assert_eq!(heard.borrow().pods(), 1_203 - at, "a list that was not finished took something away");
        assert!(heard.borrow().failures.last().unwrap().1.contains("continue parameter is too old"));
        api.set_fault(Kind::Pod, Fault::None);
        known(&heard, "the next list", |heard| heard.listed.len() == at + 2).await;
        assert_eq!(heard.borrow().listed[at + 1], names[at + 1..]);
        known(&heard, "what is left", |heard| heard.pods() == 1_202 - at).await;
    }
    assert_eq!(heard.borrow().fewest, Some(1_201));
    let collector = Collector::start(&[&source(&api, 1)]).await;
    until("the count", async || {
        let counted = collector.counted(&["heapster_pods{"]).await;
        assert!(counted == 0.0 || counted == 1_201.0, "{counted} pods");
        (counted > 0.0).then_some(())
    })
    .await;
    collector.running.stop().await;
    api.stop().await;
}

#[actix_web::test]
async fn cut_watches_go_on_where_they_were() {
    let api = api_server(3);
    let heard = follow(&api).await;
    let mut expected: Vec<String> = ["+a", "+b", "+c"].map(str::to_owned).into();
    for round in 0..5 {
        let name = format!("n{round}");
        // What is told before, in and after the cut.
        api.apply(Kind::Node, node(&name, 4));
        api.set_fault_for_all(Fault::CutStreams);
        let version = api.delete(Kind::Node, None, &name).unwrap();
        expected.extend([format!("+{name}"), format!("-{name}")]);
        known(&heard, "the change", |heard| heard.moves == expected).await;
        api.set_fault(Kind::Node, Fault::CutStreams);
        until("a watch from there", async || (begun_at(&api) == version.to_string()).then_some(())).await;
    }
    for kind in ["nodes", "pods", "namespaces"] {
        assert_eq!(lists(&api, kind), 1, "a cut watch of {kind} needs no new list");
    }
    assert_eq!(heard.borrow().failures, []);
    api.stop().await;
}

#[actix_web::test]
async fn watches_that_end_at_once_are_not_asked_for_without_a_pause() {
    let api = api_server(3);
    let heard = follow(&api).await;
    api.set_fault(Kind::Node, Fault::CutStreams);
    api.set_fault(Kind::Node, Fault::Status(200, String::new()));
    let before = watches(&api, "nodes");
    until("a watch that ended", async || (watches(&api, "nodes") > before).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let in_a_second = watches(&api, "nodes") - before;
    api.set_fault(Kind::Node, Fault::None);
    assert!(in_a_second < 20, "{in_a_second} watches in a second");
    api.apply(Kind::Node, node("d", 4));
    known(&heard, "d", |heard| heard.moves == ["+a", "+b", "+c", "+d"]).await;
    api.stop().await;
}

#[actix_web::test]
async fn bookmarks_move_a_watch_on() {
    let api = api_server(3);
    let heard = follow(&api).await;
    (3..20).for_each(|at| drop(api.apply(Kind::Pod, pod(at))));
    let version = api.resource_version().to_string();
    assert_ne!(begun_at(&api), version);
    // Whether a bookmark has come cannot be seen before the next watch: a bookmark and a cut in turns.
    let mut turn = 0;
    until("a watch from the bookmark on", async || {
        turn += 1;
        if turn % 2 == 1 {
            api.send_bookmarks()
        } else {
            api.set_fault(Kind::Node, Fault::CutStreams)
        }
        (begun_at(&api) == version).then_some(())
    })
    .await;
    // From before the bookmark this would be a new list.
    api.compact(Kind::Node);
    api.set_fault(Kind::Node, Fault::CutStreams);
    api.apply(Kind::Node, node("d", 4));
    known(&heard, "d", |heard| heard.moves == ["+a", "+b", "+c", "+d"]).await;
    assert_eq!((lists(&api, "nodes"), heard.borrow().failures.len()), (1, 0));
    // The recorded watch ends with a bookmark of version 885.
    api.set_fault(Kind::Node, Fault::CutStreams);
    api.set_fault(Kind::Node, Fault::Status(200, recorded("watch_nodes.jsonl")));
    until("a watch from the recorded bookmark on", async || (begun_at(&api) == "885").then_some(())).await;
    assert_eq!(heard.borrow().moves[4..], ["+node-a", "+node-b"]);
    assert_eq!(heard.borrow().failures, []);
    api.stop().await;
}

#[actix_web::test]
async fn a_watch_that_hangs_is_given_up_within_five_minutes() {
    let api = api_server(3);
    let heard = follow(&api).await;
    for kind in ["nodes", "pods", "namespaces"] {
        // The server ends every watch by then, so that a longer silence is a hung connection and not an idle cluster.
        let query = asked(&api, kind, true).pop().unwrap();
        let timeout: u64 = query["timeoutSeconds"].parse().unwrap();
        assert!((1..300).contains(&timeout), "{kind}: {timeout} s");
    }
    api.set_fault(Kind::Node, Fault::HangStream);
    change_unseen(&api);
    let before = watches(&api, "nodes");
    pass(300).await;
    until("another watch", async || (watches(&api, "nodes") > before).then_some(())).await;
    assert_eq!(heard.borrow().moves, ["+a", "+b", "+c"]);
    api.set_fault(Kind::Node, Fault::CutStreams);
    known(&heard, "what changed meanwhile", |heard| heard.moves == CHANGED).await;
    api.stop().await;
}

#[actix_web::test]
async fn requests_that_are_never_answered_are_given_up() {
    for (what, watch) in [("a watch", true), ("a list", false)] {
        let api = api_server(3);
        let heard = follow(&api).await;
        let count = || asked(&api, "nodes", watch).len();
        let before = count();
        change_unseen(&api);
        if watch {
            api.set_fault(Kind::Node, Fault::CutStreams);
        } else {
            api.set_fault(Kind::Node, Fault::ExpireInStream);
            known(&heard, "the failure", |heard| heard.failed("nodes") > 0).await;
        }
        api.set_fault(Kind::Node, Fault::HangHeaders);
        until(what, async || (count() > before).then_some(())).await;
        pass(600).await;
        assert!(count() > before + 1, "{what} without an answer was waited for longer than ten minutes");
        api.set_fault(Kind::Node, Fault::None);
        pass(600).await;
        known(&heard, "what changed meanwhile", |heard| heard.moves == CHANGED).await;
        api.stop().await;
    }
}

#[actix_web::test]
async fn a_server_away_for_a_minute_is_asked_with_growing_pauses() {
    let api = api_server(3);
    let heard = follow(&api).await;
    api.stop().await;
    change_unseen(&api);
    pass(60).await;
    assert_eq!((heard.borrow().moves.len(), heard.borrow().pods()), (3, 3), "something was lost");
    for kind in ["nodes", "pods", "namespaces"] {
        let failed = heard.borrow().failed(kind);
        assert!((3..=8).contains(&failed), "{kind}: {failed} attempts");
    }
    api.start_at(api.port()).unwrap();
    pass(120).await;
    known(&heard, "what changed meanwhile", |heard| heard.moves == CHANGED).await;
    assert_eq!(heard.borrow().fewest, Some(3));
    // So it is where lists fail.
    api.set_fault(Kind::Node, Fault::ExpireInStream);
    let failed = heard.borrow().failed("nodes");
    known(&heard, "the failure", |heard| heard.failed("nodes") > failed).await;
    let before = lists(&api, "nodes");
    api.set_fault(Kind::Node, Fault::Status(500, recorded("500_bad_watch_resourceVersion.json")));
    pass(120).await;
    let attempts = lists(&api, "nodes") - before;
    assert!((3..=16).contains(&attempts), "{attempts} lists that failed in two minutes");
    assert_eq!(heard.borrow().moves, CHANGED);
    api.stop().await;
}

/// A summary that says at which address it was asked.
fn summary(ask: &KubeletRequest) -> KubeletAnswer {
    let IpAddr::V4(address) = ask.address else { unreachable!("only IPv4 is bound here") };
    let usage = address.octets()[3];
    let pod = json!({"podRef": {"namespace": "shop", "name": format!("of-{usage}")}, "memory": {"usageBytes": usage}});
    KubeletAnswer::json(json!({"node": {"memory": {"usageBytes": usage}}, "pods": [pod]}).to_string())
}

fn kubelets() -> Kubelets {
    Kubelets::start(&[1, 2, 3, 4].map(address), Arc::new(summary)).unwrap()
}

fn source(api: &ApiServer, port: u16) -> String {
    format!("--source=kubernetes.summary_api:{}?inClusterConfig=false&kubeletPort={port}", api.url())
}

/// The nodes that each window of 5 s has, as the sum of what their pods use.
async fn sums(collector: &Collector) -> Vec<u64> {
    let points = collector.series("metrics/memory/usage").await;
    let seconds: Vec<i64> = points
        .iter()
        .map(|(stamp, ..)| chrono::DateTime::parse_from_rfc3339(stamp).unwrap().timestamp())
        .collect();
    assert!(seconds.windows(2).all(|pair| pair[1] - pair[0] == 5), "a window is missing: {points:?}");
    points.into_iter().map(|(_, sum, _)| sum).collect()
}

#[actix_web::test]
async fn scraping_goes_on_while_the_server_is_away() {
    let (api, kubelets) = (api_server(3), kubelets());
    let collector = Collector::start(&[&source(&api, kubelets.port())]).await;
    until("a window of all", async || (collector.list("nodes").await == ["a", "b", "c"]).then_some(())).await;
    let requests = || [1, 2, 3, 4].map(|last| kubelets.requests(address(last)));
    api.stop().await;
    change_unseen(&api);
    let before = requests();
    until("two rounds more", async || {
        assert_eq!(collector.list("nodes").await, ["a", "b", "c"]);
        assert_eq!(collector.list("namespaces/shop/pods").await, ["of-1", "of-2", "of-3"]);
        assert_eq!(collector.counted(&["heapster_nodes{", "scraped"]).await, 3.0);
        (0..3).all(|at| requests()[at] >= before[at] + 2).then_some(())
    })
    .await;
    let windows = sums(&collector).await;
    assert!(windows.len() >= 2 && windows.iter().all(|sum| *sum == 1 + 2 + 3), "{windows:?}");
    assert!(collector.counted(&["heapster_watch_failures_total{", "nodes"]).await >= 1.0);
    assert_eq!(requests()[3], 0, "nobody can know of d");
    api.start_at(api.port()).unwrap();
    until("d instead of b", async || (collector.list("nodes").await == ["a", "c", "d"]).then_some(())).await;
    until("their sum", async || sums(&collector).await.ends_with(&[1 + 3 + 4]).then_some(())).await;
    // Nobody was ever asked more than once a window, besides the first time.
    let windows = sums(&collector).await;
    let most = windows.len() as u64 + 2;
    assert!(requests().iter().all(|asked| *asked <= most), "{:?} in {most} windows", requests());
    // b may still be in the window in which it went, d already in that one: a and c are in every one.
    assert!(windows.iter().all(|sum| [4, 6, 8, 10].contains(sum)), "{windows:?}");
    collector.running.stop().await;
    kubelets.stop().await;
    api.stop().await;
}

/// Nodes are scraped where nothing can be known of pods.
async fn pods_are_refused(status: u16, body: String) {
    let (api, kubelets) = (api_server(7), kubelets());
    api.set_fault(Kind::Pod, Fault::Status(status, body));
    let collector = Collector::start(&[&source(&api, kubelets.port())]).await;
    // Pods are waited for five seconds, the first answers are spread over two, the rest is slack.
    let scraped = until("every kubelet asked", async || {
        [1, 2, 3].iter().all(|last| kubelets.requests(address(*last)) > 0).then_some(())
    });
    tokio::time::timeout(Duration::from_secs(9), scraped).await.unwrap();
    until("a window of all", async || (collector.list("nodes").await == ["a", "b", "c"]).then_some(())).await;
    assert_eq!(collector.list("namespaces/shop/pods").await, ["of-1", "of-2", "of-3"]);
    let failures = async |kind| {
        let label = format!("kind=\"{kind}\"");
        collector.counted(&["heapster_watch_failures_total{", &label]).await
    };
    assert!(failures("pods").await >= 1.0);
    assert_eq!((failures("nodes").await, failures("namespaces").await), (0.0, 0.0));
    api.set_fault(Kind::Pod, Fault::None);
    until("the pods", async || (collector.counted(&["heapster_pods{"]).await == 7.0).then_some(())).await;
    assert_eq!(sums(&collector).await.last(), Some(&6));
    collector.running.stop().await;
    kubelets.stop().await;
    api.stop().await;
}

#[actix_web::test]
async fn a_403_on_pods_does_not_keep_nodes_from_being_scraped() {
    pods_are_refused(403, recorded("403_sa_nobody_list_pods.json")).await;
}

#[actix_web::test]
async fn a_500_on_pods_does_not_keep_nodes_from_being_scraped() {
    pods_are_refused(500, recorded("500_bad_watch_resourceVersion.json")).await;
}
