//! The scraper alone, on a paused clock: the fakes sit where sockets and neighbours would.

use crate::actors_probe::{Kept, probe};
use crate::handmade::{T0, grid, inventory, node, pod, window};
use actix::prelude::*;
use heapster::actors::scraper::{Scraper, Shared};
use heapster::client::kubelet::{Bound, Deadline, Fetch, FetchError, Fetched, Fetching, Question, Target};
use heapster::clock::Clock;
use heapster::config::uri::Uri;
use heapster::messages::{Drain, Foreign, Missed, Retired, Scraped, WhichAreForeign};
use heapster::model::entity::ClusterId;
use heapster::model::inventory::PodName;
use heapster::model::report::Report;
use heapster::model::time::Window;
use heapster::rollup::schedule::Schedule;
use heapster::sources::{self, Format, Undecodable};
use heapster::telemetry::Telemetry;
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What a kubelet says: a body, or a failure.
pub type Says = Result<&'static str, fn() -> FetchError>;

/// A kubelet that takes some time and then says this, or fails.
struct FakeKubelet {
    takes: Duration,
    says: Says,
    asked: Rc<RefCell<Vec<IpAddr>>>,
}

impl Fetch for FakeKubelet {
    fn fetch(&self, target: &Target, _: &Question, _: Duration) -> Fetching {
        self.asked.borrow_mut().push(target.address);
        let (takes, says) = (self.takes, self.says);
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            says.map(|text| Fetched { body: text.as_bytes().to_vec(), date: None }).map_err(|error| error())
        })
    }
}

/// The summary format, but for a body that makes it panic.
struct Fragile;

impl Format for Fragile {
    fn question(&self, window: Window) -> Question {
        heapster::sources::summary_api::format().question(window)
    }

    fn read(&self, body: &[u8], then: &mut dyn FnMut(&Report<'_>)) -> Result<(), Undecodable> {
        assert!(body != b"panic", "asked to panic");
        heapster::sources::summary_api::format().read(body, then)
    }
}

const SUMMARY: &str = r#"{"node":{"nodeName":"n1","memory":{"usageBytes":7}},
    "pods":[{"podRef":{"namespace":"shop","name":"mine"},"memory":{"usageBytes":5}},
            {"podRef":{"namespace":"shop","name":"theirs"},"memory":{"usageBytes":100}}]}"#;

pub struct Bench {
    pub clock: Clock,
    pub telemetry: Telemetry,
    pub scraper: Addr<Scraper>,
    pub scraped: Kept<Scraped>,
    asked: Rc<RefCell<Vec<IpAddr>>>,
}

/// A scraper of `n1` in front of a fake kubelet, 7 s after the end of a window.
fn scraper(takes: Duration, says: Says) -> Bench {
    scraper_beside(takes, says, |ask| {
        let theirs = |pod: &&PodName| &*pod.name == "theirs";
        Foreign { pods: ask.pods.iter().filter(theirs).cloned().collect(), others_unknown: true }
    })
}

/// The same beside a discovery that answers so.
pub fn scraper_beside(takes: Duration, says: Says, foreign: fn(&WhichAreForeign) -> Foreign) -> Bench {
    tokio::time::pause();
    let clock = Clock::starting_at(T0.after(Duration::from_secs(7)));
    let telemetry = Telemetry::new();
    let (aggregator, scraped) = probe(&clock, |_: &Scraped| ());
    let (discovery, _) = probe(&clock, foreign);
    let asked = Rc::new(RefCell::new(Vec::new()));
    let source = Uri::parse("kubernetes.summary_api:''", &|_| None).unwrap();
    let kubelets = sources::build(&[source]).unwrap().remove(0).kubelets;
    let shared = Shared {
        cluster: ClusterId(0),
        cluster_name: "here".into(),
        format: Arc::new(Fragile),
        schedule: Schedule::new(grid()),
        deadline: Deadline { time: Schedule::new(grid()).deadline(), bound: Bound::Longest },
        kubelets: Arc::new(kubelets),
        clock: clock.clone(),
        telemetry: telemetry.clone(),
        aggregator,
    };
    let fetch = Rc::new(FakeKubelet { takes, says, asked: asked.clone() });
    let inventory = inventory(node("n1"), [pod("shop", "mine", [])]);
    let scraper = Scraper::new(shared, fetch, discovery, inventory).start();
    Bench { clock, telemetry, scraper, scraped, asked }
}

impl Bench {
    fn outcomes(&self) -> Vec<(i64, Result<usize, Missed>)> {
        let scraped = self.scraped.lock().unwrap();
        let outcome =
            |scraped: &Scraped| scraped.outcome.as_ref().map(|took| took.bytes).map_err(|missed| *missed);
        scraped.iter().map(|(_, s)| (s.window.index() - window(0).index(), outcome(s))).collect()
    }
}

#[actix_web::test]
async fn a_scraper_asks_once_for_every_window() {
    let bench = scraper(Duration::from_millis(30), Ok(SUMMARY));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let windows: Vec<i64> = bench.outcomes().iter().map(|(window, _)| *window).collect();
    assert_eq!(windows, (0..=windows.len() as i64 - 1).collect::<Vec<_>>());
    assert!((119..=121).contains(&windows.len()), "{} turns in an hour of 30 s windows", windows.len());
    let offset = Schedule::new(grid()).offset("here", "n1");
    for (at, scraped) in bench.scraped.lock().unwrap().iter().skip(1) {
        let turn = scraped.window.end().since(T0) as u64 + offset.as_nanos() as u64 - 7_000_000_000;
        let late = at.as_nanos() as u64 - turn;
        assert!((30_000_000..40_000_000).contains(&late), "{late} ns after its turn");
    }
    let (first, _) = bench.scraped.lock().unwrap()[0];
    assert!(first < Duration::from_secs(3), "the first picture came after {first:?}");
}

#[actix_web::test]
async fn pods_bound_to_other_nodes_are_left_out() {
    let bench = scraper(Duration::ZERO, Ok(SUMMARY));
    tokio::time::sleep(Duration::from_secs(20)).await;
    let scraped = bench.scraped.lock().unwrap();
    let took = scraped[0].1.outcome.as_ref().unwrap();
    let pods: Vec<String> = took.block.layout.rows.entities().map(|entity| entity.to_string()).collect();
    assert_eq!(pods, ["node:n1", "namespace:shop/pod:mine"]);
    assert_eq!(took.tally.foreign_rows, 1);
}

#[actix_web::test]
async fn a_kubelet_slower_than_a_window_is_asked_again_only_when_it_is_done() {
    let bench = scraper(Duration::from_secs(70), Ok(SUMMARY));
    tokio::time::sleep(Duration::from_secs(100)).await;
    let asked = bench.asked.borrow().len();
    let overrun = bench.outcomes().iter().filter(|(_, outcome)| *outcome == Err(Missed::Overrun)).count();
    assert_eq!(asked, 2);
    assert!((2..=3).contains(&overrun), "{overrun} turns were missed");
}

#[actix_web::test]
async fn whatever_a_kubelet_says_costs_only_that_turn() {
    let failures: [(Says, Missed); 6] = [
        (Ok("panic"), Missed::Panicked),
        (Ok("<html>"), Missed::Undecodable),
        (Ok(r#"{"kind":"Status"}"#), Missed::Undecodable),
        (Err(|| FetchError::Timeout(Duration::from_secs(10))), Missed::Timeout),
        (Err(|| FetchError::Status { status: 403, text: "Forbidden".into() }), Missed::Unauthorized),
        (Err(|| FetchError::Unreachable("refused".into())), Missed::Unreachable),
    ];
    for (says, missed) in failures {
        let bench = scraper(Duration::from_millis(1), says);
        tokio::time::sleep(Duration::from_secs(90)).await;
        let outcomes: Vec<_> = bench.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
        assert!(
            outcomes.len() >= 3 && outcomes.iter().all(|outcome| *outcome == Err(missed)),
            "{outcomes:?}"
        );
        tokio::time::resume();
    }
}

#[actix_web::test]
async fn a_scraper_ends_when_its_node_is_gone_and_finishes_when_it_drains() {
    let bench = scraper(Duration::from_secs(5), Ok(SUMMARY));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(bench.asked.borrow().len(), 1);
    bench.scraper.send(Drain).await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(bench.outcomes(), [(0, Ok(SUMMARY.len()))]);
    assert!(!bench.scraper.connected());

    tokio::time::resume();
    let bench = scraper(Duration::from_secs(5), Ok(SUMMARY));
    tokio::time::sleep(Duration::from_secs(4)).await;
    bench.scraper.send(Retired).await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(bench.outcomes(), []);
    assert!(!bench.scraper.connected());
    let counted = bench.telemetry.exposition().unwrap();
    assert!(counted.contains("heapster_scrape_body_bytes_total 0"), "{counted}");
    assert!(bench.clock.uptime() > Duration::from_secs(120));
}
