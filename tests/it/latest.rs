//! The newest points of many at once, and what they make of cpu and memory in use: who is in it, and who is left out.

use crate::handmade::{T0, assembled, container, grid, inventory, names, node, of_pod, pod, said, window};
use heapster::model::entity::{ClusterId, Labels, Name};
use heapster::model::inventory::{NodeFacts, NodeInventory, PodFacts};
use heapster::model::metric::Metric;
use heapster::model::report::Subject;
use heapster::model::selector::Selector;
use heapster::model::time::Window;
use heapster::model::usage::{NodeUsage, PodUsage, Usage};
use heapster::rollup::Rollup;
use heapster::rollup::latest::{Keys, Latest, Scope};
use heapster::rollup::query::{Answer, Query};
use heapster::rollup::schedule::Schedule;
use heapster::rollup::usage;
use std::sync::Arc;
use std::time::Duration;

const FIRST: ClusterId = ClusterId(0);

fn rollup(nodes: &[&str]) -> Rollup {
    let mut rollup = Rollup::new(names(&["one", "two"]), Schedule::new(grid()), Duration::from_secs(900));
    rollup.expect(FIRST, names(nodes), T0);
    rollup
}

/// What is held of a value in one test: containers of pods, cpu in millicores and memory; None of what is not told.
type Told<'a> = (&'a str, &'a str, &'a str, Option<u64>, Option<u64>);

fn answers(rollup: &mut Rollup, id: ClusterId, known: &Arc<NodeInventory>, at: Window, told: &[Told<'_>]) {
    let values = |cpu: Option<u64>, memory: Option<u64>| {
        let cpu = cpu.map(|cpu| (Metric::CpuUsageNanocores, cpu * 1_000_000));
        let read = u64::try_from(at.end().nanos()).unwrap() - 3;
        cpu.into_iter()
            .chain(memory.map(|memory| (Metric::MemoryWorkingSet, memory)))
            .chain([(Metric::CpuTime, read)])
            .collect::<Vec<_>>()
    };
    let mut rows = vec![(Subject::Node, values(Some(1_500), Some(4_096)))];
    for (namespace, pod, container, cpu, memory) in told {
        rows.push((Subject::Container(namespace, pod, container), values(*cpu, *memory)));
    }
    let rows: Vec<_> = rows.iter().map(|(subject, values)| (*subject, values.as_slice())).collect();
    let made = assembled(&said(&rows), known, at, None);
    let uptime = Duration::from_nanos(u64::try_from(at.end().since(window(-1_000).end())).unwrap());
    rollup.took(id, &known.node.name, Arc::new(made.block), Arc::new(made.sums), uptime);
    rollup.close_due(at.end().after(Duration::from_secs(29)), uptime);
}

fn latest(rollup: &Rollup, scope: Scope) -> Vec<Latest> {
    match rollup.answer(None, &Query::Latest(scope)) {
        Answer::Latest(latest) => latest,
        other => panic!("{other:?}"),
    }
}

fn nodes(rollup: &Rollup, selector: &str) -> Vec<NodeUsage> {
    usage::nodes(&latest(rollup, Scope::All), &selector.parse::<Selector>().unwrap())
}

fn pods(rollup: &Rollup, namespace: Option<&str>, selector: &str) -> Vec<PodUsage> {
    usage::pods(&latest(rollup, Scope::All), namespace, &selector.parse::<Selector>().unwrap())
}

fn pod_names(pods: &[PodUsage]) -> Vec<String> {
    pods.iter().map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect()
}

fn one(rollup: &Rollup, namespace: &str, name: &str) -> Option<Option<PodUsage>> {
    let (namespace, name) = (Name::from(namespace), Name::from(name));
    usage::pod(&latest(rollup, Scope::Pod(namespace.clone(), name.clone())), &namespace, &name)
}

fn labelled(name: &str, label: (&str, &str)) -> NodeFacts {
    NodeFacts { labels: Labels::new([label]), hostname: format!("host-{name}").into(), ..node(name) }
}

fn shop(name: &str, containers: &[&str]) -> PodFacts {
    pod("shop", name, containers.iter().map(|name| container(name)))
}

#[test]
fn pods_need_every_container_and_nodes_both_values() {
    let mut rollup = rollup(&["a"]);
    let known = inventory(
        labelled("a", ("zone", "z1")),
        [
            shop("whole", &["x", "y"]),
            shop("half", &["x", "y"]),
            shop("silent", &["x"]),
            shop("no-memory", &["x"]),
        ],
    );
    let told: [Told<'_>; 5] = [
        ("shop", "whole", "x", Some(10), Some(100)),
        ("shop", "whole", "y", Some(0), Some(200)),
        ("shop", "half", "x", Some(1), Some(1)),
        ("shop", "no-memory", "x", Some(1), None),
        ("shop", "unknown", "x", Some(1), Some(1)),
    ];
    answers(&mut rollup, FIRST, &known, window(0), &told);
    let all = pods(&rollup, None, "");
    assert_eq!(pod_names(&all), ["shop/whole"]);
    let container = |name: &str, cpu, memory| (Name::from(name), Usage { cpu, memory });
    assert_eq!(
        all[0].containers,
        [container("x", 10, 100), container("y", 0, 200)],
        "in the order of the spec"
    );
    assert_eq!(all[0].measured.window, window(0));
    assert_eq!(window(0).end().since(all[0].measured.sampled), 3, "the kubelet's own time is kept");
    let node = &nodes(&rollup, "")[0];
    assert_eq!((&*node.name, node.usage), ("a", Usage { cpu: 1_500, memory: 4_096 }));
    // Known without values, and not known at all, are told apart.
    assert_eq!(one(&rollup, "shop", "whole"), Some(Some(all[0].clone())));
    assert_eq!(one(&rollup, "shop", "half"), Some(None));
    assert_eq!(one(&rollup, "shop", "silent"), Some(None));
    assert_eq!(one(&rollup, "shop", "unknown"), None);
    assert_eq!(one(&rollup, "other", "whole"), None);
}

#[test]
fn selectors_and_namespaces_choose_and_lists_are_sorted() {
    let mut rollup = rollup(&["a", "b"]);
    let on = |name: &str, zone, pods: Vec<PodFacts>| inventory(labelled(name, ("zone", zone)), pods);
    let b = on("b", "z2", vec![shop("m", &["x"]), pod("batch", "m", [container("x")])]);
    let a = on("a", "z1", vec![shop("z", &["x"]), shop("c", &["x"])]);
    let told = |namespace, pod| -> Told<'_> { (namespace, pod, "x", Some(1), Some(1)) };
    answers(&mut rollup, FIRST, &b, window(0), &[told("shop", "m"), told("batch", "m")]);
    answers(&mut rollup, FIRST, &a, window(0), &[told("shop", "z"), told("shop", "c")]);
    assert_eq!(pod_names(&pods(&rollup, None, "")), ["batch/m", "shop/c", "shop/m", "shop/z"]);
    assert_eq!(pod_names(&pods(&rollup, Some("shop"), "app notin (z)")), ["shop/c", "shop/m"]);
    assert_eq!(pod_names(&pods(&rollup, Some("nope"), "")), [""; 0]);
    let named =
        |selector| nodes(&rollup, selector).iter().map(|node| node.name.to_string()).collect::<Vec<_>>();
    assert_eq!(
        (named(""), named("zone=z2"), named("!zone")),
        (vec!["a".into(), "b".into()], vec!["b".into()], vec![])
    );
    // One node, by name and by host name.
    for name in ["b", "host-b"] {
        let found = usage::nodes(&latest(&rollup, Scope::Node(name.into())), &Selector::default());
        assert_eq!(found.iter().map(|node| &*node.name).collect::<Vec<_>>(), ["b"], "{name}");
    }
    assert!(latest(&rollup, Scope::Node("nope".into())).iter().all(|latest| latest.nodes.is_empty()));
}

#[test]
fn one_missed_window_is_bridged_and_no_more() {
    let mut rollup = rollup(&["a", "b"]);
    let a = inventory(node("a"), [shop("web", &["x"])]);
    let b = inventory(node("b"), []);
    let keys = |rollup: &Rollup| Keys::new(&latest(rollup, Scope::All)).collect::<Vec<_>>();
    let web = |cpu| -> [Told<'static>; 1] { [("shop", "web", "x", cpu, Some(1))] };
    answers(&mut rollup, FIRST, &a, window(0), &web(Some(7)));
    answers(&mut rollup, FIRST, &b, window(0), &[]);
    for k in 1..=3 {
        rollup.missed(FIRST, &"a".into(), window(k));
        answers(&mut rollup, FIRST, &b, window(k), &[]);
        let listed = k <= 1;
        assert_eq!(nodes(&rollup, "").len(), if listed { 2 } else { 1 }, "window {k}");
        assert_eq!(pods(&rollup, None, "").len(), usize::from(listed), "window {k}");
        assert_eq!(one(&rollup, "shop", "web").is_some(), listed, "window {k}");
        assert_eq!(keys(&rollup).contains(&of_pod("shop", "web")), listed, "window {k}");
        let exported = latest(&rollup, Scope::All)[0].nodes.len();
        assert_eq!(exported, if listed { 2 } else { 1 }, "window {k}");
    }
    // It comes back without a rate: the window before is too old to stand in.
    answers(&mut rollup, FIRST, &a, window(4), &web(None));
    answers(&mut rollup, FIRST, &b, window(4), &[]);
    assert_eq!(one(&rollup, "shop", "web"), Some(None));
    // A rate that is missing once is that of the window before.
    for (k, cpu) in [(5, Some(9)), (6, None), (7, None)] {
        answers(&mut rollup, FIRST, &a, window(k), &web(cpu));
        answers(&mut rollup, FIRST, &b, window(k), &[]);
        let told = one(&rollup, "shop", "web").unwrap();
        let found =
            told.map(|pod| (pod.measured.window.index() - window(0).index(), pod.containers[0].1.cpu));
        assert_eq!(found, (k < 7).then_some((5, 9)), "window {k}");
        assert_eq!(pods(&rollup, None, "").len(), usize::from(k < 7), "window {k}");
    }
    // Deleted and made anew under the same name, it does not inherit the old one's values.
    answers(&mut rollup, FIRST, &a, window(8), &web(Some(3)));
    let again = inventory(node("a"), [PodFacts { uid: "another".into(), ..shop("web", &["x"]) }]);
    answers(&mut rollup, FIRST, &again, window(9), &web(None));
    assert_eq!(one(&rollup, "shop", "web"), Some(None));
}

#[test]
fn keys_are_sorted_and_each_is_there_once() {
    let mut rollup = rollup(&["a", "b"]);
    let two = ClusterId(1);
    rollup.expect(two, names(&["a"]), T0);
    let web: [Told<'_>; 1] = [("shop", "web", "x", Some(1), Some(1))];
    for (id, name) in [(FIRST, "a"), (FIRST, "b"), (two, "a")] {
        answers(&mut rollup, id, &inventory(node(name), [shop("web", &["x"])]), window(0), &web);
    }
    let keys: Vec<String> = Keys::new(&latest(&rollup, Scope::All)).map(|key| key.to_string()).collect();
    let expected = [
        "cluster",
        "namespace:shop",
        "node:a",
        "node:b",
        "namespace:shop/pod:web",
        "namespace:shop/pod:web/container:x",
    ];
    assert_eq!(keys, expected);
    assert_eq!(pod_names(&pods(&rollup, None, "")), ["shop/web"], "of several the first");
}
