//! Watches where the API server fails in every way it can: no node is lost, none comes twice. Here the stream of a client
//! alone; the whole collector is in `watches_whole`.

use crate::support::until;
use crate::watches_whole::scraping;
use actix_web::rt;
use futures_util::StreamExt;
use heapster::client::kubernetes::{self, Login, Told};
use heapster::clock::Clock;
use heapster::model::address::NodePolicy;
use heapster::model::inventory::{Change, Inventory};
use heapster::simulator::{ApiServer, Fault, Kind};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

/// What a real API server said.
pub fn recorded(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/data/api-server/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A node whose kubelet is at the address that ends in `last`.
fn node(name: &str, last: u8) -> Value {
    let addresses = json!([{"type": "InternalIP", "address": format!("127.80.0.{last}")}]);
    json!({"metadata": {"name": name, "uid": name}, "status": {"addresses": addresses}})
}

fn pod(at: usize) -> Value {
    let meta = json!({"namespace": "shop", "name": format!("pod-{at:04}"), "uid": at.to_string()});
    json!({"metadata": meta, "spec": {"nodeName": "a", "containers": [{"name": "main"}]}})
}

/// An API server with nodes a, b and c and so many pods. It ends with the test's actix system.
pub fn api_server(pods: usize) -> ApiServer {
    let api = ApiServer::start().unwrap();
    api.fill(Kind::Node, [("a", 1), ("b", 2), ("c", 3)].into_iter().map(|(name, last)| node(name, last)));
    api.fill(Kind::Pod, (0..pods).map(pod));
    api
}

/// The queries with which lists, or watches, of a kind were asked for.
fn asked(api: &ApiServer, kind: &str, watch: bool) -> Vec<BTreeMap<String, String>> {
    let mut seen = api.requests();
    seen.retain(|seen| seen.path == format!("/api/v1/{kind}") && seen.query.contains("watch=") == watch);
    let parsed = |query: &str| url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    seen.iter().map(|seen| parsed(&seen.query)).collect()
}

fn lists(api: &ApiServer) -> [usize; 3] {
    KINDS.map(|kind| asked(api, kind, false).len())
}

/// The version that the last watch of nodes began at.
fn begun_at(api: &ApiServer) -> String {
    asked(api, "nodes", true).pop().map(|query| query["resourceVersion"].clone()).unwrap_or_default()
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
    failures: Vec<(&'static str, String)>,
    waits: Vec<(&'static str, String)>,
    works: Vec<&'static str>,
}

impl Heard {
    fn nodes(&self) -> BTreeSet<String> {
        self.inventory.nodes().map(|node| node.name.to_string()).collect()
    }

    fn take(&mut self, told: Told) {
        let before = self.nodes();
        match &told {
            Told::Pod(Change::ListBegins) => self.listing.clear(),
            Told::Pod(Change::Listed(pod)) => self.listing.push(pod.name.to_string()),
            Told::Pod(Change::ListDone) => self.listed.push(std::mem::take(&mut self.listing)),
            _ => {}
        }
        match told {
            Told::Node(change) => self.inventory.node(change),
            Told::Pod(change) => self.inventory.pod(change),
            Told::Namespace(change) => self.inventory.namespace(change),
            Told::Failed(kind, why) => self.failures.push((kind, why.to_string())),
            Told::Waits(kind, why) => self.waits.push((kind, why.to_string())),
            Told::Works(kind) => self.works.push(kind),
        }
        let after = self.nodes();
        self.moves.extend(after.difference(&before).map(|name| format!("+{name}")));
        self.moves.extend(before.difference(&after).map(|name| format!("-{name}")));
    }

    fn failed(&self, kind: &str) -> usize {
        self.failures.iter().filter(|(failed, _)| *failed == kind).count()
    }
}

/// An API server, and a client that follows its watches and knows all that is there.
async fn follow(pods: usize) -> (ApiServer, Rc<RefCell<Heard>>) {
    let api = api_server(pods);
    let login = Login::Bare { server: api.url().parse().unwrap(), insecure: false, mounted_token: false };
    let client = kubernetes::ApiServer::new(&login, &Clock::system()).await.unwrap();
    let told = client.watch(NodePolicy::default(), None);
    let heard = Rc::new(RefCell::new(Heard::default()));
    let hears = heard.clone();
    rt::spawn(told.map(move |told| hears.borrow_mut().take(told)).count());
    let watched = || KINDS.iter().all(|kind| !asked(&api, kind, true).is_empty());
    until("all", async || (heard.borrow().inventory.is_complete() && watched()).then_some(())).await;
    // The server ends every watch by then, so that a longer silence is a hung connection and not an idle cluster.
    let ends = |kind: &str| asked(&api, kind, true)[0]["timeoutSeconds"].parse::<u64>().unwrap();
    assert!(KINDS.iter().all(|kind| (1..300).contains(&ends(kind))));
    (api, heard)
}

/// Lets so many seconds pass for the client. The server keeps time on a thread of its own, so that after each a moment
/// is left for what the client asks then.
pub async fn pass(seconds: u64) {
    for _ in 0..seconds {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::time::resume();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until something is known, ten minutes at most as the client sees it.
async fn known(heard: &Rc<RefCell<Heard>>, what: &str, is: impl Fn(&Heard) -> bool) {
    let mut seconds = 0..600;
    while !is(&heard.borrow()) {
        let last = heard.borrow().failures.last().cloned();
        assert!(seconds.next().is_some(), "waited in vain for: {what}; last failure: {last:?}");
        pass(1).await;
    }
}

const KINDS: [&str; 3] = ["nodes", "pods", "namespaces"];

/// The moves of nodes once it is known that d came and b went.
const CHANGED: [&str; 5] = ["+a", "+b", "+c", "+d", "-b"];

pub fn change(api: &ApiServer) {
    api.apply(Kind::Node, node("d", 4));
    api.delete(Kind::Node, None, "b").unwrap();
}

/// Waits until the change is known: once each, and nothing else was lost meanwhile.
async fn changed(heard: &Rc<RefCell<Heard>>) {
    known(heard, "the change", |heard| heard.moves == CHANGED).await;
}

/// The watch of nodes expires while something changes; that `heals` before the change can be known, or not.
async fn expires(how: &[Fault], heals: bool) -> String {
    let (api, heard) = follow(3).await;
    api.set_fault(Kind::Node, Fault::HangStream);
    change(&api);
    api.compact(Kind::Node);
    how.iter().for_each(|fault| api.set_fault(Kind::Node, fault.clone()));
    if heals {
        known(&heard, "the failure", |heard| heard.failed("nodes") > 0).await;
        api.set_fault(Kind::Node, Fault::None);
    }
    changed(&heard).await;
    let why = format!("{:?}", heard.borrow().failures);
    assert!(!why.contains("certificate"), "bad advice: {why}");
    assert_eq!((lists(&api)[1], heard.borrow().failed("pods")), (1, 0), "pods had nothing to do with it");
    api.set_fault(Kind::Node, Fault::None);
    api.delete(Kind::Node, None, "d").unwrap();
    known(&heard, "what the watch after the list tells", |heard| heard.moves[5..] == ["-d"]).await;
    why
}

#[actix_web::test]
async fn a_watch_that_expires_inside_a_200_lists_anew() {
    expires(&[Fault::ExpireInStream], true).await;
    let recorded = Fault::Status(200, recorded("410_watch_nodes_too_old.json"));
    let why = expires(&[Fault::CutStreams, recorded], true).await;
    assert!(why.contains("too old resource version: 1 (3)"), "{why}");
}

#[actix_web::test]
async fn a_watch_that_expires_as_a_status_lists_anew() {
    // In the recorded words every list fails too, so that these must be over before there can be a list.
    let recorded = Fault::Status(410, recorded("410_list_exact_compacted_revision.json"));
    expires(&[Fault::CutStreams, recorded], true).await;
    // The old version stays expired: only a new list helps.
    expires(&[Fault::CutStreams, Fault::ExpireAsStatus], false).await;
}

#[actix_web::test]
async fn lists_of_many_pages_name_everything_once() {
    let (api, heard) = follow(1_203).await;
    let pages: Vec<_> =
        asked(&api, "pods", false).iter().map(|asked| asked.contains_key("continue")).collect();
    assert_eq!(pages, [false, true, true]);
    let names: Vec<String> = (0..1_203).map(|at| format!("pod-{at:04}")).collect();
    assert_eq!(heard.borrow().listed, std::slice::from_ref(&names));
    // Every continued page of the next list has expired, then every page, in the recorded words.
    let words = recorded("410_list_continue_expired.json");
    for (at, fault) in [Fault::ExpireAsStatus, Fault::Status(410, words)].into_iter().enumerate() {
        let failed = heard.borrow().failed("pods");
        api.set_fault(Kind::Pod, Fault::ExpireInStream);
        known(&heard, "the watch's failure", |heard| heard.failed("pods") > failed).await;
        api.set_fault(Kind::Pod, fault);
        known(&heard, "the list's failures", |heard| heard.failed("pods") > failed + 2).await;
        api.delete(Kind::Pod, Some("shop"), &names[at]).unwrap();
        assert_eq!(heard.borrow().inventory.counts().1, 1_203 - at, "lost by an unfinished list");
        assert!(heard.borrow().failures.last().unwrap().1.contains("continue parameter is too old"));
        api.set_fault(Kind::Pod, Fault::None);
        known(&heard, "the next list", |heard| heard.listed.len() == at + 2).await;
        assert_eq!(heard.borrow().listed[at + 1], names[at + 1..]);
        known(&heard, "what is left", |heard| heard.inventory.counts().1 == 1_202 - at).await;
    }
    let (_api, _kubelets, collector) = scraping(1_203, Fault::None).await;
    assert_eq!(collector.counted(&["heapster_pods{"]).await, 1_203.0);
}

#[actix_web::test]
async fn cut_watches_go_on_where_they_were() {
    let (api, heard) = follow(3).await;
    let mut expected = heard.borrow().moves.clone();
    for round in 0..5 {
        let name = format!("n{round}");
        // Something before the cut, something after it.
        api.apply(Kind::Node, node(&name, 4));
        api.set_fault_for_all(Fault::CutStreams);
        let version = api.delete(Kind::Node, None, &name).unwrap().to_string();
        expected.extend([format!("+{name}"), format!("-{name}")]);
        known(&heard, "the change", |heard| heard.moves == expected).await;
        api.set_fault(Kind::Node, Fault::CutStreams);
        known(&heard, "a watch from there on", |_| begun_at(&api) == version).await;
    }
    assert_eq!(lists(&api), [1; 3], "a cut watch needs no new list");
}

#[actix_web::test]
async fn bookmarks_move_a_watch_on() {
    let (api, heard) = follow(3).await;
    let version = (3..20).fold(0, |_, at| api.apply(Kind::Pod, pod(at))).to_string();
    // Whether a bookmark has come cannot be seen before the next watch: a bookmark and a cut in turns.
    for _ in 0..10 {
        api.send_bookmarks();
        pass(10).await;
        api.set_fault(Kind::Node, Fault::CutStreams);
        pass(10).await;
    }
    assert_eq!(begun_at(&api), version);
    // From before the bookmark this would be a new list.
    api.compact(Kind::Node);
    api.set_fault(Kind::Node, Fault::CutStreams);
    change(&api);
    changed(&heard).await;
    assert_eq!((lists(&api), heard.borrow().failed("nodes")), ([1; 3], 0));
    // The recorded watch begins with nodes of versions 635 and 377 and a bookmark of 818.
    let lines = recorded("watch_nodes.jsonl").split_inclusive('\n').take(3).collect();
    api.set_fault(Kind::Node, Fault::CutStreams);
    api.set_fault(Kind::Node, Fault::Status(200, lines));
    known(&heard, "a watch from the recorded bookmark on", |_| begun_at(&api) == "818").await;
    assert_eq!(heard.borrow().moves[5..], ["+node-a", "+node-b"]);
}

/// Nodes are asked for so often while the server has one fault; after that all is well.
async fn repeats(times: RangeInclusive<usize>, seconds: u64, watch: bool, fault: Fault) {
    let (api, heard) = follow(3).await;
    if !watch {
        api.set_fault(Kind::Node, Fault::ExpireInStream);
        known(&heard, "the watch's end", |heard| heard.failed("nodes") > 0).await;
    } else if fault != Fault::HangStream {
        api.set_fault(Kind::Node, Fault::CutStreams);
    }
    let before = asked(&api, "nodes", watch).len();
    api.set_fault(Kind::Node, fault.clone());
    change(&api);
    pass(seconds).await;
    let repeated = asked(&api, "nodes", watch).len() - before;
    assert!(times.contains(&repeated), "{repeated} times in {seconds} s of {fault:?}, watch: {watch}");
    assert_eq!(heard.borrow().moves, CHANGED[..3], "something was lost");
    api.set_fault(Kind::Node, Fault::None);
    changed(&heard).await;
}

#[actix_web::test]
async fn a_watch_that_goes_silent_is_given_up_within_five_minutes() {
    repeats(1..=1, 300, true, Fault::HangStream).await;
}

#[actix_web::test]
async fn requests_that_are_never_answered_are_given_up() {
    repeats(2..=20, 600, true, Fault::HangHeaders).await;
    repeats(2..=20, 600, false, Fault::HangHeaders).await;
    repeats(2..=20, 600, false, Fault::HangStream).await;
}

#[actix_web::test]
async fn requests_that_fail_are_repeated_with_growing_pauses() {
    let broken = Fault::Status(500, recorded("500_bad_watch_resourceVersion.json"));
    repeats(3..=16, 120, true, broken.clone()).await;
    repeats(3..=16, 120, false, broken).await;
}

#[actix_web::test]
async fn watches_that_end_at_once_are_repeated_with_pauses() {
    repeats(3..=120, 120, true, Fault::Status(200, String::new())).await;
}

#[actix_web::test]
async fn a_server_away_for_a_minute_is_asked_with_growing_pauses() {
    let (api, heard) = follow(3).await;
    api.stop().await;
    change(&api);
    api.compact(Kind::Node);
    pass(60).await;
    assert_eq!(heard.borrow().inventory.counts(), (3, 3, 0), "something was lost");
    let failed = KINDS.map(|kind| heard.borrow().failed(kind));
    assert!(failed.iter().all(|failed| (3..=11).contains(failed)), "{failed:?} attempts");
    heard.borrow_mut().works.clear();
    api.start_at(api.port()).unwrap();
    // The longest pause, and some: that is told though pods and namespaces are as they were.
    pass(20).await;
    let works = |kind| heard.borrow().works.iter().filter(|works| **works == kind).count();
    assert_eq!(["pods", "namespaces"].map(works), [1, 1]);
    changed(&heard).await;
    known(&heard, "the watch of nodes", |heard| heard.works.contains(&"nodes")).await;
}

#[actix_web::test]
async fn a_server_that_says_nothing_is_told_within_seconds_and_waited_for() {
    let (api, heard) = follow(3).await;
    for (at, watch) in [true, false].into_iter().enumerate() {
        known(&heard, "the watch", |heard| heard.works.iter().filter(|kind| **kind == "nodes").count() > at)
            .await;
        let failed = heard.borrow().failed("nodes");
        // A watch that ends is asked for again at once; one that expires is listed anew after a pause.
        api.set_fault(Kind::Node, if watch { Fault::CutStreams } else { Fault::ExpireInStream });
        if !watch {
            known(&heard, "the end", |heard| heard.failed("nodes") > failed).await;
        }
        let (failed, asks) = (heard.borrow().failed("nodes"), asked(&api, "nodes", watch).len());
        api.set_fault(Kind::Node, Fault::HangHeaders);
        until("the request", async || {
            pass(1).await;
            (asked(&api, "nodes", watch).len() > asks).then_some(())
        })
        .await;
        pass(15).await;
        let told = heard.borrow().waits.clone();
        assert_eq!(told.len(), at + 1, "{told:?}");
        let (kind, why) = &told[at];
        assert!(*kind == "nodes" && why.starts_with("no answer within 12s; "), "{told:?}");
        assert_eq!(heard.borrow().failed("nodes"), failed, "it is still waited for");
        assert_eq!(asked(&api, "nodes", watch).len(), asks + 1, "it was asked again");
        api.set_fault(Kind::Node, Fault::None);
    }
    change(&api);
    changed(&heard).await;
}
