//! Windows closing and carrying: when sums are made, of whom, and what comes too late for them.

use crate::handmade::{T0, assembled, grid, inventory, names, node, of_namespace, window};
use heapster::model::entity::{ClusterId, Entity, Name};
use heapster::model::metric::{Metric, Value};
use heapster::model::report::{Part, Report, Subject};
use heapster::model::time::{Timestamp, Window};
use heapster::rollup::Rollup;
use heapster::rollup::block::Block;
use heapster::rollup::cluster::{Batch, Held};
use heapster::rollup::history::{SeriesKey, Span};
use heapster::rollup::query::{Answer, Query};
use heapster::rollup::schedule::Schedule;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub const RETENTION: Duration = Duration::from_secs(900);
pub const FIRST: ClusterId = ClusterId(0);

/// A rollup, and for every node the block that its scraper would remember.
pub struct Fleet {
    pub rollup: Rollup,
    previous: BTreeMap<(ClusterId, String), Arc<Block>>,
    started: Timestamp,
}

impl Fleet {
    pub fn of(clusters: &[&str]) -> Self {
        let rollup = Rollup::new(names(clusters), Schedule::new(grid()), RETENTION);
        Self { rollup, previous: BTreeMap::new(), started: window(-1_000).end() }
    }

    /// One cluster whose nodes are known since the end of window 0.
    pub fn with(nodes: &[&str]) -> Self {
        let mut fleet = Self::of(&["only"]);
        fleet.expect(nodes, T0);
        fleet
    }

    pub fn expect(&mut self, nodes: &[&str], now: Timestamp) {
        self.rollup.expect(FIRST, names(nodes), now);
    }

    pub fn uptime(&self, now: Timestamp) -> Duration {
        Duration::from_nanos(u64::try_from(now.since(self.started)).unwrap())
    }

    /// A node answers with the working sets of these pods (namespace, pod, bytes).
    pub fn answer(&mut self, id: ClusterId, name: &str, at: Window, pods: &[(&str, &str, u64)]) {
        self.answer_at(id, name, at, pods, at.end().after(Duration::from_secs(2)));
    }

    pub fn answer_at(
        &mut self,
        id: ClusterId,
        name: &str,
        at: Window,
        pods: &[(&str, &str, u64)],
        now: Timestamp,
    ) {
        let mut report = Report::default();
        report.begin(Subject::Node, Part::Whole);
        report.push(Metric::MemoryWorkingSet, 1);
        for (namespace, pod, bytes) in pods {
            report.begin(Subject::Pod(namespace, pod), Part::Whole);
            report.push(Metric::MemoryWorkingSet, *bytes);
            report.begin(Subject::Container(namespace, pod, "main"), Part::Whole);
            report.push(Metric::MemoryWorkingSet, *bytes);
        }
        let inventory = match self.previous.get(&(id, name.to_owned())).and_then(|block| block.facts.clone())
        {
            Some(known) => known,
            None => inventory(node(name), []),
        };
        let previous = self.previous.get(&(id, name.to_owned())).cloned();
        let made = assembled(&report, &inventory, at, previous.as_deref());
        let block = Arc::new(made.block);
        self.previous.insert((id, name.to_owned()), block.clone());
        self.rollup.took(id, &name.into(), block, Arc::new(made.sums), self.uptime(now));
    }

    pub fn miss(&mut self, name: &str, at: Window) {
        self.rollup.missed(FIRST, &name.into(), at);
    }

    pub fn close(&mut self, now: Timestamp) -> Vec<Batch> {
        self.rollup.close_due(now, self.uptime(now))
    }

    pub fn names(&self, query: Query) -> Vec<String> {
        match self.rollup.answer(Some(FIRST), &query).settled() {
            Answer::Names(names) => names,
            other => panic!("{other:?}"),
        }
    }

    pub fn series(&self, id: Option<ClusterId>, entity: Entity) -> Vec<(Timestamp, Value)> {
        let key = SeriesKey { entity, metric: "memory/working_set".to_owned(), labels: None };
        match self.rollup.answer(id, &Query::Series(key, Span::ALL)) {
            Answer::Series(points) => points,
            other => panic!("{other:?}"),
        }
    }

    /// The cluster's working set by window.
    pub fn sums(&self) -> BTreeMap<i64, u64> {
        let points = self.series(Some(FIRST), Entity::Cluster).into_iter();
        let whole = |value| if let Value::Integer(whole) = value { whole } else { panic!("{value:?}") };
        points.map(|(at, value)| (at.since(T0) / grid().nanos(), whole(value))).collect()
    }

    pub fn held(&self) -> Held {
        self.rollup.held().next().unwrap().1
    }
}

/// Shortly after a window's end: before its time is up.
pub fn soon(at: Window) -> Timestamp {
    at.end().after(Duration::from_secs(5))
}

/// When a window's time is up.
pub fn up(at: Window) -> Timestamp {
    Schedule::new(grid()).closes_at(at)
}

fn counts(batch: &Batch) -> (Window, usize, usize, usize) {
    (batch.window, batch.nodes.len(), batch.carried, batch.missing)
}

#[test]
fn window_closes_as_soon_as_every_node_has_answered_or_failed() {
    let mut fleet = Fleet::with(&["a", "b", "c"]);
    fleet.answer(FIRST, "a", window(0), &[("shop", "web", 10)]);
    fleet.answer(FIRST, "b", window(0), &[("shop", "db", 20)]);
    assert!(!fleet.rollup.all_answered(FIRST, window(0)));
    assert!(fleet.close(soon(window(0))).is_empty(), "c has not answered");
    fleet.miss("c", window(0));
    assert!(fleet.rollup.all_answered(FIRST, window(0)));
    let batches = fleet.close(soon(window(0)));
    assert_eq!(batches.iter().map(counts).collect::<Vec<_>>(), [(window(0), 2, 0, 1)]);
    assert_eq!(fleet.sums(), BTreeMap::from([(0, 10 + 20)]));
    assert!(fleet.close(soon(window(0))).is_empty(), "a window is closed once");
}

#[test]
fn window_closes_when_its_time_is_up() {
    let mut fleet = Fleet::with(&["a", "b"]);
    fleet.answer(FIRST, "a", window(0), &[("shop", "web", 10)]);
    assert!(fleet.close(Timestamp::from_nanos(up(window(0)).nanos() - 1)).is_empty());
    let batches = fleet.close(up(window(0)));
    assert_eq!(batches.iter().map(counts).collect::<Vec<_>>(), [(window(0), 1, 0, 1)]);
}

#[test]
fn node_points_are_there_before_the_window_closes() {
    let mut fleet = Fleet::with(&["a", "b"]);
    fleet.answer(FIRST, "a", window(0), &[("shop", "web", 10)]);
    let pod = crate::handmade::of_pod("shop", "web");
    assert_eq!(fleet.series(None, pod), [(window(0).end(), Value::Integer(10))]);
    assert_eq!(fleet.names(Query::Nodes), ["a"]);
    assert!(fleet.sums().is_empty(), "sums are made at the close");
}

#[test]
fn silent_node_counts_one_window_more_and_then_leaves_the_sums() {
    let mut fleet = Fleet::with(&["a", "b"]);
    let mut closed = Vec::new();
    for k in 0..4 {
        fleet.answer(FIRST, "a", window(k), &[("shop", "web", 10)]);
        if k == 0 {
            fleet.answer(FIRST, "b", window(k), &[("shop", "db", 200), ("ops", "log", 3_000)]);
        }
        closed.extend(fleet.close(up(window(k))).iter().map(counts));
    }
    let expected = [(window(0), 2, 0, 0), (window(1), 1, 1, 0), (window(2), 1, 0, 1), (window(3), 1, 0, 1)];
    assert_eq!(closed, expected);
    assert_eq!(fleet.sums(), BTreeMap::from([(0, 3_210), (1, 3_210), (2, 10), (3, 10)]));
    let ops = fleet.series(None, of_namespace("ops"));
    assert_eq!(ops, [0, 1].map(|k| (window(k).end(), Value::Integer(3_000))));
}

#[test]
fn failed_node_is_carried_like_a_silent_one() {
    let mut fleet = Fleet::with(&["a"]);
    fleet.answer(FIRST, "a", window(0), &[("shop", "web", 10)]);
    fleet.close(soon(window(0)));
    fleet.miss("a", window(1));
    assert_eq!(fleet.close(soon(window(1))).iter().map(counts).collect::<Vec<_>>(), [(window(1), 0, 1, 0)]);
    fleet.miss("a", window(2));
    let batches = fleet.close(soon(window(2)));
    assert_eq!(batches.iter().map(counts).collect::<Vec<_>>(), [(window(2), 0, 0, 1)]);
    assert!(batches[0].sums.is_none(), "nobody has anything to add");
    assert_eq!(fleet.sums(), BTreeMap::from([(0, 10), (1, 10)]));
}

#[test]
fn late_answer_is_kept_and_counted_but_in_no_sum() {
    let mut fleet = Fleet::with(&["a", "b"]);
    fleet.answer(FIRST, "a", window(0), &[("shop", "web", 10)]);
    fleet.close(up(window(0)));
    fleet.answer_at(FIRST, "b", window(0), &[("shop", "db", 20)], up(window(0)));
    assert_eq!(fleet.held().late, 1);
    assert!(fleet.close(up(window(0))).is_empty());
    assert_eq!(fleet.sums(), BTreeMap::from([(0, 10)]));
    assert_eq!(fleet.series(None, crate::handmade::of_pod("shop", "db")).len(), 1);
    assert_eq!(fleet.names(Query::Pods("shop".into())), ["db", "web"]);
}

#[test]
fn node_that_answers_twice_is_added_once() {
    let mut fleet = Fleet::with(&["a"]);
    for _ in 0..2 {
        fleet.answer(FIRST, "a", window(0), &[("shop", "web", 10)]);
    }
    let batches = fleet.close(soon(window(0)));
    assert_eq!(batches.iter().map(counts).collect::<Vec<_>>(), [(window(0), 1, 0, 0)]);
    assert_eq!(fleet.sums(), BTreeMap::from([(0, 10)]));
}

#[test]
fn removed_node_is_neither_waited_for_nor_carried() {
    let mut fleet = Fleet::with(&["a", "b"]);
    for name in ["a", "b"] {
        fleet.answer(FIRST, name, window(0), &[("shop", name, 10)]);
    }
    fleet.close(soon(window(0)));
    fleet.expect(&["a"], soon(window(0)));
    fleet.answer(FIRST, "a", window(1), &[("shop", "a", 10)]);
    let batches = fleet.close(soon(window(1)));
    assert_eq!(batches.iter().map(counts).collect::<Vec<_>>(), [(window(1), 1, 0, 0)]);
    assert_eq!(fleet.sums(), BTreeMap::from([(0, 20), (1, 10)]));
}

#[test]
fn added_node_is_waited_for_from_the_window_that_has_just_ended() {
    let mut fleet = Fleet::with(&["a"]);
    fleet.expect(&["a", "b"], window(1).end().after(Duration::from_secs(1)));
    fleet.answer(FIRST, "a", window(0), &[("shop", "a", 10)]);
    let batches = fleet.close(soon(window(1)));
    assert_eq!(batches.len(), 1, "window 0 does not wait for b");
    fleet.answer(FIRST, "a", window(1), &[("shop", "a", 10)]);
    assert!(fleet.close(soon(window(1))).is_empty(), "window 1 waits for b");
    fleet.answer(FIRST, "b", window(1), &[("shop", "b", 5)]);
    assert_eq!(fleet.close(soon(window(1))).len(), 1);
    assert_eq!(fleet.sums(), BTreeMap::from([(0, 10), (1, 15)]));
}

#[test]
fn first_window_waits_for_the_first_scrapes_wherever_in_it_they_begin() {
    let schedule = Schedule::new(grid());
    for second in 0..30 {
        let mut fleet = Fleet::of(&["only"]);
        let now = T0.after(Duration::from_secs(second));
        fleet.expect(&["a", "b"], now);
        fleet.answer(FIRST, "a", window(0), &[("shop", "web", 10)]);
        let last = now.after(Duration::from_secs(2) + schedule.deadline());
        assert!(fleet.close(last).is_empty(), "b may still answer for {second} s");
        fleet.answer_at(FIRST, "b", window(0), &[("shop", "db", 20)], last);
        assert_eq!(fleet.close(last).len(), 1);
        assert_eq!((fleet.held().late, fleet.sums()), (0, BTreeMap::from([(0, 30)])), "from {second} s on");
    }
}

proptest! {
    #![proptest_config(crate::handmade::cases(100))]

    #[test]
    fn sums_are_those_of_who_answered_and_of_who_missed_one_window(
        script in prop::collection::vec(prop::collection::vec((0_u8..4, 0_u64..1_000), 4), 1..25),
    ) {
        let nodes = ["a", "b", "c", "d"];
        let mut fleet = Fleet::with(&nodes);
        let mut last: BTreeMap<&str, (i64, u64)> = BTreeMap::new();
        let mut expected = BTreeMap::new();
        for (k, answers) in (0..).zip(script) {
            let (mut sum, mut told, mut carried) = (0, 0, 0);
            for (node, (what, bytes)) in nodes.into_iter().zip(answers) {
                match what {
                    0 => fleet.miss(node, window(k)),
                    1 => {}
                    _ => {
                        fleet.answer(FIRST, node, window(k), &[("shop", node, bytes)]);
                        last.insert(node, (k, bytes));
                        told += 1;
                    }
                }
                match last.get(node) {
                    Some((at, bytes)) if *at == k => sum += bytes,
                    Some((at, bytes)) if *at == k - 1 => {
                        sum += bytes;
                        carried += 1;
                    }
                    _ => {}
                }
            }
            if told + carried > 0 {
                expected.insert(k, sum);
            }
            let batches = fleet.close(up(window(k)));
            prop_assert_eq!(batches.iter().map(counts).collect::<Vec<_>>(), [(window(k), told, carried, 4 - told - carried)]);
            let of_batch: BTreeSet<Name> =
                batches[0].nodes.iter().filter_map(|block| Some(block.facts.as_ref()?.node.name.clone())).collect();
            let answered = last.iter().filter(|(_, (at, _))| *at == k).map(|(node, _)| Name::from(*node));
            prop_assert_eq!(of_batch, answered.collect());
        }
        prop_assert_eq!(fleet.sums(), expected);
    }
}
