//! A hundred thousand pods that come and go in ten minutes: one retention later nothing is held of them, neither points nor
//! names. Time is simulated; the same for real is `cargo bench --bench cluster -- --churn`.

use crate::handmade::{T0, assembled, container, node, pod, said, window};
use heapster::model::entity::{ClusterId, Name};
use heapster::model::inventory::{Change, Inventory, PodFacts, PodName};
use heapster::model::metric::Metric;
use heapster::model::report::Subject;
use heapster::model::shard::{Shard, owner};
use heapster::model::share::Share;
use heapster::rollup::Rollup;
use heapster::rollup::block::{Block, Rows};
use heapster::rollup::cluster::Held;
use heapster::rollup::ended::Followed;
use heapster::rollup::latest::Scope;
use heapster::rollup::query::{Answer, Query};
use heapster::rollup::schedule::Schedule;
use heapster::rollup::strangers::Strangers;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

const NODES: usize = 50;
/// Pods on each node at any time.
const PODS: usize = 100;
/// Windows in which every pod is replaced: ten minutes of 30 s.
const CHURN: i64 = 20;
/// Windows that are kept.
const KEPT: i64 = 10;
const CLUSTER: ClusterId = ClusterId(0);

/// What lives on after it was let go would show here.
#[derive(Default)]
struct Traces {
    /// By where they are, each held once by this.
    names: HashMap<*const str, Name>,
    facts: Vec<Weak<PodFacts>>,
    rows: Vec<Weak<Rows>>,
    blocks: Vec<Weak<Block>>,
}

fn alive<T>(traces: &[Weak<T>]) -> usize {
    traces.iter().filter(|trace| trace.strong_count() > 0).count()
}

impl Traces {
    fn names_alive(&self) -> usize {
        self.names.values().filter(|name| Name::strong_count(name) != Some(1)).count()
    }
}

/// The collector's pure parts, as its actors hold them.
struct Collector {
    inventory: Inventory,
    rollup: Rollup,
    previous: Vec<Option<Arc<Block>>>,
    followed: Followed,
    strangers: Vec<Strangers>,
    window: i64,
    generation: usize,
}

fn name_of_node(at: usize) -> String {
    format!("node-{at}")
}

fn name_of_pod(node: usize, at: usize, generation: usize) -> String {
    format!("web-{generation}-{node}-{at}")
}

fn facts(node: usize, at: usize, generation: usize) -> PodFacts {
    let pod = pod("shop", &name_of_pod(node, at, generation), [container("app")]);
    PodFacts { node: Some(name_of_node(node).into()), ..pod }
}

impl Collector {
    fn new() -> Self {
        let mut inventory = Inventory::default();
        (0..NODES).for_each(|at| inventory.node(Change::Applied(node(&name_of_node(at)))));
        let schedule = Schedule::new(crate::handmade::grid());
        let retention = Duration::from_secs(30) * u32::try_from(KEPT).unwrap();
        let mut rollup = Rollup::new(["here".into()], schedule, retention);
        rollup.expect(CLUSTER, (0..NODES).map(|at| name_of_node(at).into()), T0);
        let mut new = Self {
            inventory,
            rollup,
            previous: vec![None; NODES],
            followed: Followed::default(),
            strangers: (0..NODES).map(|_| Strangers::default()).collect(),
            window: -1,
            generation: 0,
        };
        new.each_pod(|inventory, node, at| inventory.pod(Change::Applied(facts(node, at, 0))));
        new
    }

    fn each_pod(&mut self, mut act: impl FnMut(&mut Inventory, usize, usize)) {
        for (node, at) in (0..NODES).flat_map(|node| (0..PODS).map(move |at| (node, at))) {
            act(&mut self.inventory, node, at);
        }
    }

    /// Every pod is deleted, and another one is made in its place.
    fn replace(&mut self) {
        let before = self.generation;
        self.generation += 1;
        self.each_pod(|inventory, node, at| {
            inventory.pod(Change::Gone(facts(node, at, before)));
            inventory.pod(Change::Applied(facts(node, at, before + 1)));
        });
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(30 * u64::try_from(self.window + 1).unwrap())
    }

    /// Every node answers once, with a pod that nobody knows besides its own, and the window is closed.
    fn round(&mut self, mut traces: Option<&mut Traces>) {
        self.window += 1;
        let _ = self.inventory.take_touched();
        let (window, uptime) = (window(self.window), self.uptime());
        for at in 0..NODES {
            let name: Name = name_of_node(at).into();
            let inventory = Arc::new(self.inventory.of_node(&name).unwrap());
            let names: Vec<String> = (0..PODS).map(|pod| name_of_pod(at, pod, self.generation)).collect();
            let used = 4_096 * u64::try_from(self.window + 1_000).unwrap();
            let usage = [(Metric::MemoryUsage, used), (Metric::MemoryWorkingSet, used / 2)];
            let rows: Vec<(Subject<'_>, &[(Metric, u64)])> = names
                .iter()
                .flat_map(|pod| [Subject::Pod("shop", pod), Subject::Container("shop", pod, "app")])
                .map(|subject| (subject, usage.as_slice()))
                .collect();
            let stranger = PodName { namespace: "shop".into(), name: format!("odd-{}", self.window).into() };
            self.strangers[at].judge(&[stranger], uptime);
            let made = assembled(&said(&rows), &inventory, window, self.previous[at].as_deref());
            let block = Arc::new(made.block);
            if let Some(traces) = &mut traces {
                let pods = block.layout.rows.pods();
                traces.names.extend(pods.map(|(_, pod)| (std::ptr::from_ref(pod.as_str()), pod.clone())));
                traces.facts.extend(inventory.pods.iter().map(Arc::downgrade));
                traces.rows.push(Arc::downgrade(&block.layout.rows));
                traces.blocks.push(Arc::downgrade(&block));
            }
            self.previous[at] = Some(block.clone());
            self.rollup.took(CLUSTER, &name, block, Arc::new(made.sums), uptime);
        }
        for batch in self.rollup.close_due(window.end().after(Duration::from_secs(29)), uptime) {
            self.followed.ended(&batch);
            self.followed.follow(&batch);
        }
    }

    fn held(&self) -> Held {
        self.rollup.held().next().unwrap().1
    }

    fn listed(&self) -> usize {
        match self.rollup.answer(None, &Query::Pods("shop".into())).settled() {
            Answer::Names(names) => names.len(),
            other => panic!("{other:?}"),
        }
    }
}

/// Within a tenth.
fn assert_alike(what: &str, before: usize, after: usize) {
    assert!(before > 0 && before.abs_diff(after) * 10 <= before, "{what}: {before} before, {after} after");
}

#[test]
fn a_retention_after_the_churn_all_is_as_before() {
    let mut collector = Collector::new();
    (0..=KEPT).for_each(|_| collector.round(None));
    let (before, listed, known) = (collector.held(), collector.listed(), collector.inventory.counts());
    assert_eq!((listed, before.pods, known.1), (NODES * PODS, NODES * PODS, NODES * PODS));

    let mut traces = Traces::default();
    let mut most = Held::default();
    for _ in 0..CHURN {
        collector.replace();
        collector.round(Some(&mut traces));
        let held = collector.held();
        most = Held { pods: most.pods.max(held.pods), ..held };
        assert_eq!(collector.inventory.counts(), known);
    }
    assert_eq!(traces.names.len(), 100_000);
    // What came and went is found for as long as its points are kept, and no longer.
    assert!(most.pods >= before.pods * usize::try_from(KEPT).unwrap(), "{most:?} after {before:?}");
    assert!(traces.names_alive() > NODES * PODS && alive(&traces.rows) > NODES);

    // Nobody asked for them goes on as long as the retention.
    collector.replace();
    (0..=KEPT + 1).for_each(|_| collector.round(None));
    let after = collector.held();
    assert_alike("blocks", before.blocks, after.blocks);
    assert_alike("points", before.points, after.points);
    assert_alike("bytes", before.bytes, after.bytes);
    assert_alike("entities", before.entities, after.entities);
    assert_eq!((after.pods, collector.listed(), collector.inventory.counts()), (before.pods, listed, known));
    let left = [traces.names_alive(), alive(&traces.facts), alive(&traces.rows), alive(&traces.blocks)];
    assert_eq!(left, [0; 4], "names, facts, rows and blocks of pods that are gone");
    let latest = collector.rollup.answer(None, &Query::Latest(Scope::Namespace("shop".into())));
    let Answer::Latest(latest) = latest else { panic!("{latest:?}") };
    assert_eq!(latest[0].nodes.len(), NODES);
}

#[test]
fn names_that_kubelets_told_first_give_way_to_the_inventorys() {
    let mut collector = Collector::new();
    collector.each_pod(|inventory, node, at| inventory.pod(Change::Gone(facts(node, at, 0))));
    let (mut first, mut later) = (Traces::default(), Traces::default());
    collector.round(Some(&mut first));
    collector.each_pod(|inventory, node, at| inventory.pod(Change::Applied(facts(node, at, 0))));
    (0..=KEPT + 1).for_each(|_| collector.round(Some(&mut later)));
    assert_eq!((first.names.len(), collector.listed()), (NODES * PODS, NODES * PODS));
    assert_eq!(first.names_alive(), 0);
    assert_eq!(later.names_alive(), later.names.len());
}

#[test]
fn nodes_that_go_are_forgotten_with_their_pods() {
    let mut collector = Collector::new();
    (0..3).for_each(|_| collector.round(None));
    collector.rollup.expect(CLUSTER, [], window(collector.window).end());
    // Nobody answers any more; the clock goes on.
    for look in 0..4 * 30 * u32::try_from(KEPT + 2).unwrap() {
        let since = Duration::from_millis(250) * look;
        let (now, uptime) = (window(collector.window).end().after(since), collector.uptime() + since);
        collector.rollup.close_due(now, uptime);
    }
    let Held { blocks, points, bytes, entities, pods, .. } = collector.held();
    assert_eq!((blocks, points, bytes, entities, pods), (0, 0, 0, 0, 0));
}

#[test]
fn pods_of_other_shards_leave_nothing() {
    let mut share = Share::new(Shard::new(1, 2).unwrap());
    let theirs = (0..).map(name_of_node).find(|name| owner(name, 2) == 2).unwrap();
    let key = |n: usize| PodName { namespace: "shop".into(), name: n.to_string().into() };
    let facts = |n: usize| PodFacts { node: Some(theirs.as_str().into()), ..pod("shop", &n.to_string(), []) };
    for n in 0..100_000 {
        assert!(matches!(share.pod(Change::Applied(facts(n))), Some(Change::Gone(_))));
        if n > 0 {
            assert!(share.is_of_others(&key(n - 1)));
            share.pod(Change::Gone(facts(n - 1)));
        }
    }
    assert_eq!((0..100_000).filter(|n| share.is_of_others(&key(*n))).count(), 1);
}
