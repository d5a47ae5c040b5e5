//! Discovery and aggregator, each alone, on a paused clock.

use crate::actors_probe::probe;
use crate::handmade::{T0, grid, inventory, node, pod, window};
use actix::prelude::*;
use futures_util::StreamExt;
use heapster::actors::aggregator::Aggregator;
use heapster::actors::discovery::{Discovery, ScraperHandle};
use heapster::client::kubernetes::{Told, Trouble};
use heapster::clock::Clock;
use heapster::messages::*;
use heapster::model::entity::ClusterId;
use heapster::model::inventory::{Change, NodeFacts, NodeInventory, PodName, Unusable};
use heapster::model::report::Report;
use heapster::rollup::Rollup;
use heapster::rollup::schedule::Schedule;
use heapster::telemetry::Telemetry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// Stands in for a scraper: keeps what it is assigned and ends when it is told to.
struct Stand(String, Arc<Mutex<Vec<String>>>);

impl Actor for Stand {
    type Context = Context<Self>;
}

impl Handler<Assigned> for Stand {
    type Result = ();
    fn handle(&mut self, Assigned(inventory): Assigned, _: &mut Context<Self>) {
        let address = inventory.node.address.unwrap();
        self.1.lock().unwrap().push(format!("{} at {address} with {} pods", self.0, inventory.pods.len()));
    }
}

impl Handler<Retired> for Stand {
    type Result = ();
    fn handle(&mut self, _: Retired, context: &mut Context<Self>) {
        self.1.lock().unwrap().push(format!("{} retired", self.0));
        context.stop();
    }
}

impl Handler<Drain> for Stand {
    type Result = ();
    fn handle(&mut self, _: Drain, context: &mut Context<Self>) {
        context.stop();
    }
}

fn at(name: &str, address: Result<[u8; 4], Unusable>) -> NodeFacts {
    NodeFacts { address: address.map(IpAddr::from), ..node(name) }
}

#[actix_web::test]
async fn discovery_keeps_one_scraper_for_each_usable_node() {
    tokio::time::pause();
    let clock = Clock::starting_at(T0);
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let (tell, told) = mpsc::unbounded_channel();
    let told =
        futures_util::stream::unfold(told, |mut told| async { told.recv().await.map(|each| (each, told)) });
    let (aggregator, changes) = probe(&clock, |_: &InventoryChanged| ());
    let made = log.clone();
    let make = Box::new(move |inventory: Arc<NodeInventory>, _| {
        let name = inventory.node.name.to_string();
        made.lock().unwrap().push(format!("{name} made with {} pods", inventory.pods.len()));
        let stand = Stand(name, made.clone()).start();
        let (assigned, retired) = (stand.clone().recipient(), stand.clone().recipient());
        ScraperHandle { assigned, retired, drain: stand.recipient() }
    });
    let telemetry = Telemetry::new();
    let discovery =
        Discovery::new(ClusterId(0), "here".into(), told.boxed(), make, aggregator, clock, telemetry).start();
    let step = async |events: Vec<Told>| {
        events.into_iter().for_each(|event| tell.send(event).unwrap());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut lines: Vec<String> = log.lock().unwrap().drain(..).collect();
        lines.sort();
        lines
    };
    let on = |name: &str, node: &str| {
        let mut pod = pod("shop", name, []);
        pod.node = Some(node.into());
        pod
    };
    // Nothing begins before nodes and pods are known.
    let nodes = [
        Change::ListBegins,
        Change::Listed(at("n1", Ok([127, 0, 0, 1]))),
        Change::Listed(at("n2", Ok([127, 0, 0, 2]))),
        Change::Listed(at("n3", Err(Unusable::NotReady))),
        Change::ListDone,
    ];
    assert!(step(nodes.map(Told::Node).into()).await.is_empty());
    let mut rest: Vec<Told> =
        [Change::ListBegins, Change::Listed(on("a", "n1")), Change::Listed(on("b", "n1")), Change::ListDone]
            .map(Told::Pod)
            .into();
    rest.extend([Change::ListBegins, Change::ListDone].map(Told::Namespace));
    assert_eq!(step(rest).await, ["n1 made with 2 pods", "n2 made with 0 pods"]);
    // A pod moves, a node changes its address, a node gets ready, a watch fails.
    assert_eq!(
        step(vec![Told::Pod(Change::Applied(on("b", "n2")))]).await,
        ["n1 at 127.0.0.1 with 1 pods", "n2 at 127.0.0.2 with 1 pods"]
    );
    assert_eq!(
        step(vec![Told::Node(Change::Applied(at("n1", Ok([127, 0, 0, 9]))))]).await,
        ["n1 at 127.0.0.9 with 1 pods"]
    );
    assert_eq!(
        step(vec![Told::Node(Change::Applied(at("n3", Ok([127, 0, 0, 3]))))]).await,
        ["n3 made with 0 pods"]
    );
    assert!(step(vec![Told::Failed("nodes", Trouble::new("gone", "look for it"))]).await.is_empty());
    // A node gets not ready, one is missing from a new list, one is deleted.
    assert_eq!(
        step(vec![Told::Node(Change::Applied(at("n3", Err(Unusable::NotReady))))]).await,
        ["n3 retired"]
    );
    let relist = [Change::ListBegins, Change::Listed(at("n2", Ok([127, 0, 0, 2]))), Change::ListDone];
    assert_eq!(step(relist.map(Told::Node).into()).await, ["n1 retired"]);
    assert_eq!(step(vec![Told::Node(Change::Gone(at("n2", Ok([127, 0, 0, 2]))))]).await, ["n2 retired"]);
    let last = changes.lock().unwrap().last().unwrap().1.clone();
    assert!(last.scraped.is_empty() && last.pods == 2, "{last:?}");
    // The pod b is known to be on n2 whoever asks.
    let pods = vec![
        PodName { namespace: "shop".into(), name: "b".into() },
        PodName { namespace: "shop".into(), name: "new".into() },
    ];
    let foreign = discovery.send(WhichAreForeign { node: "n1".into(), pods: pods.clone() }).await.unwrap();
    assert_eq!(foreign, Foreign { pods: pods[..1].to_vec(), others_unknown: true });
    let ask = WhichAreForeign { node: "n2".into(), pods };
    let none = Foreign { pods: Vec::new(), others_unknown: true };
    assert_eq!(discovery.send(ask.clone()).await.unwrap(), none);
    // While the pods are not followed, nobody can say that there is none of a name.
    assert!(step(vec![Told::Failed("pods", Trouble::new("gone", "look for it"))]).await.is_empty());
    assert!(!discovery.send(ask.clone()).await.unwrap().others_unknown);
    step(vec![Told::Works("pods")]).await;
    assert_eq!(discovery.send(ask).await.unwrap(), none);
    discovery.send(Drain).await.unwrap();
}

#[actix_web::test]
async fn the_aggregator_closes_a_window_without_the_node_that_is_silent() {
    tokio::time::pause();
    let clock = Clock::starting_at(T0.after(Duration::from_millis(1)));
    let telemetry = Telemetry::new();
    let (exporter, exported) = probe(&clock, |_: &Export| ());
    let rollup = Rollup::new(["here".into()], Schedule::new(grid()), Duration::from_secs(900));
    let exporters = vec![("probe".to_owned(), exporter)];
    let aggregator =
        Aggregator::new(rollup, vec!["here".into()], exporters, clock.clone(), telemetry.clone()).start();
    let scraped = vec!["n1".into(), "n2".into()];
    let changed = InventoryChanged {
        cluster: ClusterId(0),
        scraped,
        unusable: Vec::new(),
        pods: 1,
        namespaces: 1,
        of_other_shards: 0,
        uid: None,
    };
    aggregator.send(changed).await.unwrap();
    let state = aggregator.send(AskState).await.unwrap();
    assert!(state[0].discovered && state[0].scraped == 2 && state[0].last_window.is_none());
    let mut report = Report::default();
    report.begin(heapster::model::report::Subject::Pod("shop", "mine"), heapster::model::report::Part::Whole);
    report.push(heapster::model::metric::Metric::MemoryUsage, 5);
    let made = crate::handmade::assembled(
        &report,
        &inventory(node("n1"), [pod("shop", "mine", [])]),
        window(0),
        None,
    );
    let took = Took {
        block: Arc::new(made.block),
        sums: Arc::new(made.sums),
        tally: made.tally,
        duration: Duration::ZERO,
        bytes: 1,
        skew: None,
        oddities: Vec::new(),
    };
    let send = |node: &str, outcome| Scraped {
        cluster: ClusterId(0),
        node: node.into(),
        window: window(0),
        address: None,
        outcome,
        why: None,
    };
    aggregator.send(send("n1", Ok(took))).await.unwrap();
    assert!(exported.lock().unwrap().is_empty());
    tokio::time::sleep(Duration::from_secs(29)).await;
    {
        let exported = exported.lock().unwrap();
        let batch = &exported[0].1.0;
        assert_eq!((batch.nodes.len(), batch.carried, batch.missing, exported.len()), (1, 0, 1, 1));
        let closed_at = Schedule::new(grid()).closes_at(window(0)).since(T0) as u64;
        assert!((closed_at..closed_at + 300_000_000).contains(&(exported[0].0.as_nanos() as u64)));
    }
    // The next window: both have failed, so it closes at once; the one counts with its last values.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let failed = |node: &str| Scraped { window: window(1), ..send(node, Err(Missed::Timeout)) };
    aggregator.send(failed("n1")).await.unwrap();
    aggregator.send(failed("n2")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let exported = exported.lock().unwrap();
    assert_eq!((exported.len(), exported[1].1.0.carried, exported[1].1.0.missing), (2, 1, 1));
    assert_eq!(telemetry.scrapes.of(["here", "timeout"]).get(), 2);
}
