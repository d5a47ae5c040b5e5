//! What keeps the aggregator's thread free: blocks that are opened when they are reached, long lists that are put together
//! elsewhere, the nodes of one namespace alone. That nothing is lost by it.

use crate::handmade::{T0, assembled, container, grid, inventory, names, node, pod, said, window};
use heapster::model::entity::{ClusterId, Name};
use heapster::model::metric::Metric;
use heapster::model::report::Subject;
use heapster::model::selector::Selector;
use heapster::rollup::Rollup;
use heapster::rollup::history::opened;
use heapster::rollup::latest::{Latest, Scope};
use heapster::rollup::query::{Answer, Query};
use heapster::rollup::schedule::Schedule;
use heapster::rollup::usage;
use std::sync::Arc;
use std::time::Duration;

const CLUSTER: ClusterId = ClusterId(0);

/// A cluster of some nodes with so many pods each in `large`, and one in `small` on the first.
fn rollup(nodes: usize, pods: usize) -> Rollup {
    let mut rollup = Rollup::new(["here".into()], Schedule::new(grid()), Duration::from_secs(900));
    let all: Vec<String> = (0..nodes).map(|n| format!("node-{n}")).collect();
    rollup.expect(CLUSTER, all.iter().map(|name| Name::from(name.as_str())), T0);
    for (at, name) in all.iter().enumerate() {
        let names: Vec<String> = (0..pods).map(|n| format!("web-{at}-{n}")).collect();
        let mut bound: Vec<(&str, &str)> = names.iter().map(|name| ("large", name.as_str())).collect();
        bound.extend((at == 0).then_some(("small", "one")));
        let known = bound.iter().map(|(space, name)| pod(space, name, [container("app")]));
        let usage: &[(Metric, u64)] =
            &[(Metric::CpuUsageNanocores, 1_000_000), (Metric::MemoryWorkingSet, 4_096)];
        let subjects = bound.iter().flat_map(|(space, name)| {
            [Subject::Pod(space, name), Subject::Container(space, name, "app")]
                .map(|subject| (subject, usage))
        });
        let report = said(&subjects.collect::<Vec<_>>());
        let made = assembled(&report, &inventory(node(name), known), window(0), None);
        let uptime = Duration::from_secs(1);
        rollup.took(CLUSTER, &name.as_str().into(), Arc::new(made.block), Arc::new(made.sums), uptime);
    }
    rollup
}

fn listed(rollup: &Rollup, namespace: &str) -> Vec<String> {
    let answer = rollup.answer(None, &Query::Pods(namespace.into()));
    assert!(matches!(answer, Answer::Pods(..)), "{answer:?}");
    match answer.settled() {
        Answer::Names(names) => names,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_list_of_pods_is_left_to_whoever_asks_and_is_whole() {
    let rollup = rollup(21, 100);
    let mut expected: Vec<String> =
        (0..21).flat_map(|at| (0..100).map(move |n| format!("web-{at}-{n}"))).collect();
    expected.sort_unstable();
    assert_eq!(listed(&rollup, "large"), expected);
    assert_eq!(listed(&rollup, "small"), names(&["one"]).iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(listed(&rollup, "nowhere"), Vec::<String>::new());
}

fn latest(rollup: &Rollup, scope: Scope) -> Vec<Latest> {
    match rollup.answer(None, &Query::Latest(scope)) {
        Answer::Latest(latest) => latest,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_namespace_is_asked_of_its_nodes_alone_and_tells_all_its_pods() {
    let rollup = rollup(5, 3);
    for (namespace, nodes, pods) in [("small", 1, 1), ("large", 5, 15), ("nowhere", 0, 0)] {
        let of_nodes = latest(&rollup, Scope::Namespace(namespace.into()));
        assert_eq!(of_nodes[0].nodes.len(), nodes, "{namespace}");
        let all = latest(&rollup, Scope::All);
        let everything = Selector::default();
        let told = usage::pods(&of_nodes, Some(namespace), &everything);
        assert_eq!((told.len(), &told), (pods, &usage::pods(&all, Some(namespace), &everything)));
    }
}

#[test]
fn an_older_block_is_not_opened_before_it_is_reached() {
    let rollup = rollup(1, 1);
    let newest = latest(&rollup, Scope::All)[0].nodes[0].newest.clone();
    let older = std::iter::from_fn(|| panic!("an older block was asked for"));
    let mut blocks = opened(Some(newest.clone()), older);
    assert!(blocks.next().is_some_and(|block| Arc::ptr_eq(&block, &newest)));
    assert!(opened(None, std::iter::empty()).next().is_none());
}
