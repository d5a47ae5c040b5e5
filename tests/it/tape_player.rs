//! Plays the tape: the recorded bytes, each at its own instant of a made-up clock, through the real decoding, assembling,
//! inventory, aggregator and server. No kubelet, no API server, no sleeping.
//!
//! # Which scrape is which window
//! The original scraped 5 s after the end of a window of 10 s and stamped everything with that end: what it asked for at
//! 19:14:35.015 is stamped 19:14:30. Ours stamps an answer with the last window that had ended when it was asked for,
//! which is the same one, since a turn comes within the first half of the window that follows (`rollup::schedule`).
//! A round of the original that waited for a dead kubelet came 20 s late, still stamped with the window's end.
//!
//! # Which answer belongs to which instant
//! The tape has no instant for each of the 594 answers, but each has a `Date`, in whole seconds, and they were asked for
//! one after the other. They are asked for here at that second; from the first one on that tells of the last round, at
//! the second after.

use crate::tape::{RESOLUTION, Recorded, Reply, Tape, instant};
use crate::tape_client;
use crate::tape_judge::Case;
use crate::tape_usage::{OLD_ROOT, ROOT};
use actix::prelude::*;
use heapster::actors::aggregator::Aggregator;
use heapster::api::limits::Limits;
use heapster::api::{Api, Settings, server};
use heapster::clock::Clock;
use heapster::messages::{InventoryChanged, Missed, Scraped, Took};
use heapster::model::Set;
use heapster::model::entity::{ClusterId, Name};
use heapster::model::inventory::{Change, Inventory, PodName};
use heapster::model::label_copier::LabelCopier;
use heapster::model::time::{Resolution, Timestamp};
use heapster::rollup::Rollup;
use heapster::rollup::block::Block;
use heapster::rollup::node::{Answer, assemble, unknown_pods};
use heapster::rollup::schedule::Schedule;
use heapster::sources::{Format, summary_api};
use heapster::telemetry::Telemetry;
use heapster::wire::kubernetes_objects::{ApiNamespace, ApiNode, ApiPod};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What happens at an instant.
#[derive(Clone, Debug)]
enum Event {
    /// The API server tells of a change: kind, type and object.
    Told(&'static str, String, Value),
    /// A node is asked: its name, the answer's member, how long it took.
    Asked(Name, Option<String>, Duration),
    /// The answer is in.
    In(Box<Scraped>),
}

/// A player with a collector's inside to play to.
pub struct Player {
    clock: Clock,
    script: VecDeque<(Timestamp, Event)>,
    inventory: Inventory,
    previous: BTreeMap<Name, Arc<Block>>,
    aggregator: Addr<Aggregator>,
    format: Arc<dyn Format>,
    address: SocketAddr,
    server: actix_web::dev::ServerHandle,
}

/// What the server's own threads take for the time of the tape: they do not share the paused clock.
pub const ANSWERED: Timestamp = Timestamp::from_seconds(1_795_288_865);

const KINDS: [&str; 3] = ["nodes", "pods", "namespaces"];

impl Player {
    /// A player at the tape's beginning: the lists are read, nothing is asked yet. The clock must be paused.
    pub fn start() -> Self {
        let tape = Tape::open();
        let mut script = Vec::new();
        for kind in KINDS {
            for line in tape.lines(&format!("apiserver-json/{kind}_watch.jsonl")) {
                let told: Value = serde_json::from_str(line["line"].as_str().unwrap()).unwrap();
                let change = told["type"].as_str().unwrap().to_owned();
                script.push((instant(&line["at"]), Event::Told(kind, change, told["object"].clone())));
            }
        }
        for node in ["node-a", "node-b"] {
            for entry in tape.asked(&format!("kubelet-{node}")) {
                let took = entry.done.map_or(0, |done| done.since(entry.at)).unsigned_abs();
                script.push((entry.at, Event::Asked(node.into(), entry.file, Duration::from_nanos(took))));
            }
        }
        script.sort_by_key(|(at, _)| *at);
        let first = instant(&tape.lines("index.jsonl").next().unwrap()["at"]);
        let (clock, telemetry) = (Clock::starting_at(first), Telemetry::new());
        let schedule = Schedule::new(Resolution::new(RESOLUTION).unwrap());
        let names: Vec<Name> = vec!["kubernetes".into()];
        let rollup = Rollup::new(names.clone(), schedule, Duration::from_secs(15 * 60));
        let aggregator =
            Aggregator::new(rollup, names.clone(), Vec::new(), clock.clone(), telemetry.clone()).start();
        let api = Api::new(
            aggregator.clone().recipient(),
            aggregator.clone().recipient(),
            aggregator.clone().recipient(),
            names,
            Settings {
                stale_after: Duration::from_secs(180),
                disable_export: false,
                labels: LabelCopier::default(),
                shard: None,
                sinks: Vec::new(),
            },
            Clock::starting_at(ANSWERED),
            telemetry,
        );
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = server::server(&api, listener, Limits::default(), None).unwrap();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let mut player = Self {
            clock,
            script: script.into(),
            inventory: Inventory::default(),
            previous: BTreeMap::new(),
            aggregator,
            format: summary_api::format(),
            address,
            server: handle,
        };
        player.read_lists(tape);
        player
    }

    fn read_lists(&mut self, tape: &Tape) {
        for kind in KINDS {
            self.tell(kind, "BEGIN", Value::Null);
            for item in tape.json(&format!("apiserver-json/{kind}_list.json"))["items"].as_array().unwrap() {
                self.tell(kind, "LISTED", item.clone());
            }
            self.tell(kind, "DONE", Value::Null);
        }
    }

    fn tell(&mut self, kind: &str, change: &str, object: Value) {
        fn of<A: DeserializeOwned, R>(
            change: &str,
            object: Value,
            facts: impl Fn(&A) -> Option<R>,
        ) -> Option<Change<R>> {
            let record = || facts(&serde_json::from_value(object.clone()).unwrap()).unwrap();
            match change {
                "BEGIN" => Some(Change::ListBegins),
                "LISTED" => Some(Change::Listed(record())),
                "DONE" => Some(Change::ListDone),
                "ADDED" | "MODIFIED" => Some(Change::Applied(record())),
                "DELETED" => Some(Change::Gone(record())),
                "BOOKMARK" => None,
                other => panic!("a watch told {other}"),
            }
        }
        let inventory = &mut self.inventory;
        match kind {
            "nodes" => {
                of(change, object, ApiNode::facts).into_iter().for_each(|change| inventory.node(change))
            }
            "pods" => of(change, object, ApiPod::facts).into_iter().for_each(|change| inventory.pod(change)),
            _ => of(change, object, ApiNamespace::facts)
                .into_iter()
                .for_each(|change| inventory.namespace(change)),
        }
    }

    /// Tells the aggregator which nodes are scraped, as discovery does.
    async fn tell_nodes(&mut self) {
        let (_, pods, namespaces) = self.inventory.counts();
        let usable = |node: &Name| self.inventory.of_node(node).unwrap().node.address;
        let names: Vec<Name> = self.inventory.nodes().map(|node| node.name.clone()).collect();
        let scraped = names.iter().filter(|node| usable(node).is_ok()).cloned().collect();
        let unusable = names.iter().filter_map(|node| Some((node.clone(), usable(node).err()?))).collect();
        let changed = InventoryChanged {
            cluster: ClusterId(0),
            scraped,
            unusable,
            pods,
            namespaces,
            of_other_shards: 0,
            uid: None,
        };
        self.aggregator.send(changed).await.unwrap();
    }

    /// Plays everything that happened before an instant; then it is that instant.
    pub async fn play_until(&mut self, until: Timestamp) {
        while self.script.front().is_some_and(|(at, _)| *at < until) {
            let (at, event) = self.script.pop_front().unwrap();
            self.wait_for(at).await;
            match event {
                Event::Told(kind, change, object) => {
                    self.tell(kind, &change, object);
                    if kind == "nodes" {
                        self.tell_nodes().await;
                    }
                }
                Event::Asked(node, file, took) => self.answer(at, node, file.as_deref(), took),
                Event::In(scraped) => self.aggregator.send(*scraped).await.unwrap(),
            }
        }
        self.wait_for(until).await;
    }

    /// The paused clock moves on while nothing else is to be done.
    async fn wait_for(&mut self, at: Timestamp) {
        if self.clock.uptime() == Duration::ZERO {
            self.tell_nodes().await;
        }
        let wait = Duration::from_nanos(at.since(self.clock.now()).max(0).unsigned_abs());
        tokio::time::sleep(wait).await;
    }

    /// What a scraper does with an answer; it is told of once it is in.
    fn answer(&mut self, now: Timestamp, node: Name, file: Option<&str>, duration: Duration) {
        let window = Resolution::new(RESOLUTION).unwrap().last_ended(now);
        let outcome = file.map(|file| self.take(now, &node, Tape::open().bytes(file), duration));
        let scraped = Scraped {
            cluster: ClusterId(0),
            node,
            window,
            address: None,
            outcome: outcome.ok_or(Missed::Unreachable),
            why: None,
        };
        let (at, event) = (now.after(duration), Event::In(Box::new(scraped)));
        let place = self.script.partition_point(|(other, _)| *other <= at);
        self.script.insert(place, (at, event));
    }

    fn take(&mut self, now: Timestamp, node: &Name, body: &[u8], duration: Duration) -> Took {
        let window = Resolution::new(RESOLUTION).unwrap().last_ended(now);
        let inventory = Arc::new(self.inventory.of_node(node).unwrap());
        let mut made = None;
        let mut make = |report: &heapster::model::report::Report<'_>| {
            let elsewhere = |pod: &PodName| self.inventory.node_of(pod).is_some_and(|home| home != node);
            let foreign: Set<PodName> =
                unknown_pods(report, &inventory).into_iter().filter(elsewhere).collect();
            let previous = self.previous.get(node).map(|block| &**block);
            made = Some(assemble(&Answer {
                report,
                inventory: &inventory,
                foreign: &foreign,
                strangers: &Set::default(),
                previous,
                window,
                scraped_at: now,
            }));
        };
        self.format.read(body, &mut make).unwrap();
        let made = made.unwrap();
        let block = Arc::new(made.block);
        self.previous.insert(node.clone(), block.clone());
        Took {
            block,
            sums: Arc::new(made.sums),
            tally: made.tally,
            duration,
            bytes: body.len(),
            skew: None,
            oddities: Vec::new(),
        }
    }

    /// Asks the server over a real socket. The clock stands still meanwhile: tokio does not move a paused clock while
    /// a blocking task runs.
    pub async fn ask(&self, requests: Vec<Recorded>) -> Vec<Reply> {
        let (before, address) = (self.clock.now(), self.address);
        let asking = move || requests.iter().map(|request| tape_client::ask(address, request)).collect();
        let replies = actix_web::rt::task::spawn_blocking(asking).await.unwrap();
        assert_eq!(self.clock.now(), before, "the clock moved while it should have stood still");
        replies
    }

    pub async fn stop(self) {
        self.server.stop(true).await;
    }
}

/// When each of the original's answers is asked for here; see the head of this file.
pub fn instants(answers: &[Recorded]) -> Vec<Timestamp> {
    let tape = Tape::open();
    let last = tape.asked("kubelet-node-a").last().unwrap().at;
    let last = Resolution::new(RESOLUTION).unwrap().last_ended(last).end();
    let told = heapster::wire::rfc3339::format(last);
    let first = answers.iter().position(|answer| {
        let plain = answer.reply.plain();
        plain.windows(told.len()).any(|window| window == told.as_bytes())
    });
    let first = first.expect("some answer tells of the last round");
    let dated = |answer: &Recorded| {
        let date = chrono::DateTime::parse_from_rfc2822(answer.reply.header("date")).unwrap();
        Timestamp::from_seconds(date.timestamp())
    };
    let later = |at: usize| if at < first { Duration::ZERO } else { Duration::from_secs(1) };
    answers.iter().enumerate().map(|(at, answer)| dated(answer).after(later(at))).collect()
}

/// Plays the tape to its end and asks for everything that the original was asked for. Gives its answers and ours.
pub async fn ask_all() -> Vec<Case> {
    tokio::time::pause();
    let answers = Tape::open().answers();
    let instants = instants(&answers);
    let mut player = Player::start();
    let mut cases = Vec::new();
    for (at, group) in by_instant(&instants, &answers) {
        player.play_until(at).await;
        let ours = player.ask(group.clone()).await;
        let below = |request: &Recorded| Some(format!("{ROOT}{}", request.path.strip_prefix(OLD_ROOT)?));
        let newer = |request: &Recorded| Some(Recorded { path: below(request)?, ..request.clone() });
        let mut newer_answers = player.ask(group.iter().filter_map(newer).collect()).await.into_iter();
        for (theirs, ours) in group.into_iter().zip(ours) {
            let newer = below(&theirs).and_then(|_| newer_answers.next());
            cases.push(Case { theirs, ours, at, newer });
        }
    }
    player.stop().await;
    cases
}

fn by_instant(instants: &[Timestamp], answers: &[Recorded]) -> Vec<(Timestamp, Vec<Recorded>)> {
    let mut groups: Vec<(Timestamp, Vec<Recorded>)> = Vec::new();
    for (at, answer) in instants.iter().zip(answers) {
        match groups.last_mut() {
            Some((last, group)) if last == at => group.push(answer.clone()),
            _ => groups.push((*at, vec![answer.clone()])),
        }
    }
    groups
}
