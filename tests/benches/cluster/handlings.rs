//! What holds the aggregator's thread, one thing after the other, without actors: the history of thousands of nodes is fed,
//! closed, asked and emptied, and the longest of each is told. What comes of it live is left to `measure`.

use crate::moving::Moving;
use crate::options::Size;
use heapster::model::Set;
use heapster::model::entity::{ClusterId, Entity, Name};
use heapster::model::inventory::{Change, Inventory, NodeInventory};
use heapster::model::time::{Resolution, Timestamp, Window};
use heapster::rollup::Rollup;
use heapster::rollup::block::Block;
use heapster::rollup::history::{SeriesKey, Span};
use heapster::rollup::latest::Scope;
use heapster::rollup::node::{Answer, assemble};
use heapster::rollup::query::Query;
use heapster::rollup::schedule::Schedule;
use heapster::rollup::sum::NamespaceSums;
use heapster::simulator::cluster::Node;
use heapster::simulator::{Shape, SyntheticCluster, objects, summary};
use heapster::wire::kubelet_summary::decode;
use heapster::wire::kubernetes_objects::{ApiNode, ApiPod};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BORN: Timestamp = Timestamp::from_seconds(1_795_288_800);
const ROUND: Duration = Duration::from_secs(30);
/// Windows that are kept.
const KEPT: u32 = 4;
const CLUSTER: ClusterId = ClusterId(0);

/// How long each kind of handling took, in the order in which they were first seen.
#[derive(Default)]
struct Longest(Vec<(&'static str, Vec<Duration>)>);

impl Longest {
    fn of<T>(&mut self, what: &'static str, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = work();
        let took = began.elapsed();
        match self.0.iter_mut().find(|(known, ..)| *known == what) {
            Some((_, all)) => all.push(took),
            None => self.0.push((what, vec![took])),
        }
        result
    }
}

/// One node's inventory and its kubelet's body.
struct Played {
    name: Name,
    inventory: Arc<NodeInventory>,
    body: Moving,
    previous: Option<Arc<Block>>,
}

impl Played {
    /// A node as the cluster has it; where `again`, every pod of it is another one.
    fn new(cluster: &SyntheticCluster, node: &Node, again: bool) -> Self {
        let mut node = node.clone();
        for pod in node.pods.iter_mut().filter(|_| again) {
            pod.name.push_str("-b");
            pod.uid = pod.uid.replacen(|_: char| true, "b", 1);
        }
        let mut inventory = Inventory::default();
        let object: ApiNode = serde_json::from_value(objects::node(&node, 10_255)).unwrap();
        inventory.node(Change::Applied(object.facts().unwrap()));
        for pod in &node.pods {
            let object: ApiPod = serde_json::from_value(objects::pod(&node, pod)).unwrap();
            inventory.pod(Change::Applied(object.facts().unwrap()));
        }
        let name = Name::from(&*node.name);
        let inventory = Arc::new(inventory.of_node(&name).unwrap());
        let mut text = Vec::new();
        summary::write(cluster, &node, BORN.after(Duration::from_secs(3_600)), &mut text);
        Self { name, inventory, body: Moving::new(text, 10, node.seed), previous: None }
    }

    fn answer(&mut self, window: Window) -> (Arc<Block>, Arc<NamespaceSums>) {
        let mut text = Vec::new();
        self.body.write(window.end().seconds(), &mut text);
        let summary = decode(&text).unwrap();
        let report = summary.report();
        let answer = Answer {
            report: &report,
            inventory: &self.inventory,
            foreign: &Set::default(),
            strangers: &Set::default(),
            previous: self.previous.as_deref(),
            window,
            scraped_at: window.end(),
        };
        let made = assemble(&answer);
        let block = Arc::new(made.block);
        self.previous = Some(block.clone());
        (block, Arc::new(made.sums))
    }
}

struct Fed {
    rollup: Rollup,
    window: Window,
    uptime: Duration,
    longest: Longest,
}

impl Fed {
    /// A round in which these nodes answer; answers are made beforehand, as scrapers do.
    fn round(&mut self, nodes: &mut [Played]) {
        self.window = self.window.step(1);
        self.uptime += ROUND;
        for node in nodes {
            let (block, sums) = node.answer(self.window);
            let (rollup, uptime) = (&mut self.rollup, self.uptime);
            self.longest.of("a node's answer", || rollup.took(CLUSTER, &node.name, block, sums, uptime));
        }
        let (now, uptime) = (self.window.end().after(ROUND / 2 + Duration::from_secs(10)), self.uptime);
        let rollup = &mut self.rollup;
        let closed = self.longest.of("closing a window", || rollup.close_due(now, uptime));
        assert_eq!(closed.len(), 1);
        self.longest.of("letting a window go", || drop(closed));
        self.look();
    }

    /// Four looks a second until the next round.
    fn look(&mut self) {
        let now = self.window.end().after(ROUND - Duration::from_millis(1));
        for n in 0..4 * ROUND.as_secs() {
            let uptime = self.uptime + Duration::from_millis(250 * n);
            let rollup = &mut self.rollup;
            let closed = self.longest.of("a look", || rollup.close_due(now, uptime));
            assert!(closed.is_empty());
        }
    }

    fn ask(&mut self, what: &'static str, query: &Query) {
        for _ in 0..5 {
            let rollup = &self.rollup;
            let answer = self.longest.of(what, || rollup.answer(None, query));
            black_box(&answer);
        }
    }
}

fn played(size: &Size, namespaces: u32) -> (Vec<Played>, Vec<Played>, SyntheticCluster) {
    let shape = Shape {
        nodes: size.nodes,
        pods: size.pods,
        containers: size.containers,
        namespaces,
        psi: size.psi,
        pretty: size.pretty,
        ..Shape::default()
    };
    let cluster = SyntheticCluster::new(shape, BORN);
    let all = |again| cluster.nodes().iter().map(|node| Played::new(&cluster, node, again)).collect();
    (all(false), all(true), cluster)
}

/// Tells the longest handling of each kind with so many nodes. `namespaces`: few make long lists.
pub fn run(size: &Size, namespaces: u32) {
    let (mut nodes, mut others, cluster) = played(size, namespaces);
    let schedule = Schedule::new(Resolution::new(ROUND).unwrap());
    let mut fed = Fed {
        rollup: Rollup::new(["bench".into()], schedule, ROUND * KEPT),
        window: Resolution::new(ROUND).unwrap().last_ended(BORN.after(Duration::from_secs(3_600))),
        uptime: Duration::from_secs(60),
        longest: Longest::default(),
    };
    let names = || nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>();
    let (first, again, now) = (names(), names(), fed.window.step(1).end());
    let (rollup, longest) = (&mut fed.rollup, &mut fed.longest);
    longest.of("the first list of nodes", || rollup.expect(CLUSTER, first, now));
    for _ in 0..=KEPT {
        fed.round(&mut nodes);
    }
    let (rollup, longest) = (&mut fed.rollup, &mut fed.longest);
    longest.of("another list of nodes", || rollup.expect(CLUSTER, again, now));
    questions(&mut fed, &cluster);
    let held = |fed: &Fed| fed.rollup.held().map(|(_, held, _)| held).next().unwrap();
    let before = held(&fed);
    for _ in 0..=KEPT + 1 {
        fed.round(&mut others);
    }
    let after = held(&fed);
    println!("all pods replaced: {before:?} before, {after:?} after");
    let (rollup, longest) = (&mut fed.rollup, &mut fed.longest);
    longest.of("a list without nodes", || rollup.expect(CLUSTER, [], now));
    fed.uptime += ROUND * (KEPT + 2);
    (0..3).for_each(|_| fed.look());
    println!("no node left: {:?}", held(&fed));
    println!(
        "\n{} nodes × {} pods × {} containers, {namespaces} namespaces",
        size.nodes, size.pods, size.containers
    );
    println!("| what | how often | median, ms | the longest three, ms |\n|---|---|---|---|");
    for (what, mut all) in fed.longest.0 {
        all.sort_unstable_by_key(|took| std::cmp::Reverse(*took));
        let told = |took: &Duration| format!("{:.3}", took.as_secs_f64() * 1e3);
        let longest: Vec<String> = all.iter().take(3).map(told).collect();
        println!("| {what} | {} | {} | {} |", all.len(), told(&all[all.len() / 2]), longest.join(", "));
    }
}

fn questions(fed: &mut Fed, cluster: &SyntheticCluster) {
    let node = &cluster.nodes()[cluster.nodes().len() / 2];
    let pod = node.pods.last().unwrap();
    let (space, name): (Name, Name) = (pod.namespace.as_str().into(), pod.name.as_str().into());
    let of_pod = Entity::Pod { namespace: space.clone(), pod: name.clone() };
    let key = |entity: &Entity, metric: &str| SeriesKey {
        entity: entity.clone(),
        metric: metric.into(),
        labels: None,
    };
    let several = |count| {
        let pods =
            cluster.nodes().iter().flat_map(|node| &node.pods).filter(|other| other.namespace == *space);
        let entity = |pod: &heapster::simulator::cluster::Pod| Entity::Pod {
            namespace: space.clone(),
            pod: pod.name.as_str().into(),
        };
        pods.take(count).map(|pod| key(&entity(pod), "memory/usage")).collect()
    };
    fed.ask("list: nodes", &Query::Nodes);
    fed.ask("list: namespaces", &Query::Namespaces);
    fed.ask("list: pods of a namespace", &Query::Pods(space.clone()));
    fed.ask("list: pods of kube-system", &Query::Pods("kube-system".into()));
    fed.ask("list: pods of a node", &Query::NodePods(node.name.as_str().into()));
    fed.ask("list: pods of no node", &Query::NodePods("no-such-node".into()));
    fed.ask("list: metrics of a pod", &Query::Metrics(of_pod.clone()));
    fed.ask("list: metrics of the cluster", &Query::Metrics(Entity::Cluster));
    fed.ask("series: pod", &Query::Series(key(&of_pod, "cpu/usage_rate"), Span::ALL));
    fed.ask(
        "series: namespace",
        &Query::Series(key(&Entity::Namespace(space.clone()), "memory/usage"), Span::ALL),
    );
    fed.ask("series: 100 pods", &Query::Several(several(100), Span::ALL));
    fed.ask("newest: all", &Query::Latest(Scope::All));
    fed.ask("newest: a node", &Query::Latest(Scope::Node(node.name.as_str().into())));
    fed.ask("newest: a pod", &Query::Latest(Scope::Pod(space.clone(), name)));
    fed.ask("newest: no pod", &Query::Latest(Scope::Pod(space, "no-such-pod".into())));
    let (rollup, longest) = (&fed.rollup, &mut fed.longest);
    for _ in 0..5 {
        black_box(longest.of("what is held", || rollup.held().count()));
    }
}
