//! What a cluster's history holds, lists and forgets, through churn, stepped clocks and several clusters.

use crate::handmade::{T0, grid, names, of_node, of_pod, window};
use crate::windows_rollup::{FIRST, Fleet, RETENTION, soon, up};
use heapster::model::entity::{ClusterId, Entity};
use heapster::model::metric::Value;
use heapster::model::time::Timestamp;
use heapster::rollup::cluster::Held;
use heapster::rollup::query::{Answer, Query};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many windows are kept.
fn kept() -> i64 {
    i64::try_from(RETENTION.as_nanos()).unwrap() / grid().nanos()
}

/// Nothing is held any more but the counts that only grow.
#[track_caller]
fn is_empty(fleet: &Fleet) {
    let held = fleet.held();
    assert_eq!(held, Held { late: held.late, ..Held::default() });
    assert!(fleet.names(Query::Nodes).is_empty());
    assert!(fleet.names(Query::Namespaces).is_empty());
    assert!(fleet.sums().is_empty());
}

#[test]
fn lists_bridge_one_missed_window_and_no_more() {
    let mut fleet = Fleet::with(&["a", "b"]);
    let lists = |fleet: &Fleet| {
        [
            fleet.names(Query::Nodes),
            fleet.names(Query::Namespaces),
            fleet.names(Query::Pods("ops".into())),
            fleet.names(Query::Containers("ops".into(), "log".into())),
        ]
    };
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let all = [texts(&["a", "b"]), texts(&["ops", "shop"]), texts(&["log"]), texts(&["main"])];
    let without_b = [texts(&["a"]), texts(&["shop"]), vec![], vec![]];
    fleet.answer(FIRST, "b", window(0), &[("ops", "log", 1)]);
    for (k, expected) in [(0, &all), (1, &all), (2, &without_b), (3, &without_b)] {
        fleet.answer(FIRST, "a", window(k), &[("shop", "web", 1)]);
        fleet.close(up(window(k)));
        assert_eq!(lists(&fleet), *expected, "after window {k}");
    }
    assert_eq!(fleet.series(None, of_pod("ops", "log")).len(), 1, "its history stays for its time");
    fleet.answer(FIRST, "b", window(4), &[("ops", "log", 1)]);
    assert_eq!(lists(&fleet), all, "back with its next answer");
}

#[test]
fn pod_that_moves_is_listed_once_and_has_one_series() {
    let mut fleet = Fleet::with(&["a", "b"]);
    for (k, home) in [(0, "a"), (1, "a"), (2, "b"), (3, "b")] {
        for name in ["a", "b"] {
            let pods: &[_] = if name == home { &[("shop", "web", 10)] } else { &[] };
            fleet.answer(FIRST, name, window(k), pods);
        }
        fleet.close(soon(window(k)));
        assert_eq!(fleet.names(Query::Pods("shop".into())), ["web"]);
    }
    let expected: Vec<_> = (0..4).map(|k| (window(k).end(), Value::Integer(10))).collect();
    assert_eq!(fleet.series(None, of_pod("shop", "web")), expected);
}

#[test]
fn history_goes_as_far_back_as_the_retention() {
    let mut fleet = Fleet::with(&["a"]);
    let last = kept() + 40;
    for k in 0..=last {
        fleet.answer(FIRST, "a", window(k), &[("shop", "web", k as u64)]);
        fleet.close(soon(window(k)));
    }
    for entity in [of_pod("shop", "web"), Entity::Cluster] {
        let points = fleet.series(None, entity);
        let ends: Vec<Timestamp> = points.iter().map(|(at, _)| *at).collect();
        let newest = window(last).end();
        assert!(ends.len() as i64 >= kept() && ends.len() as i64 <= kept() + 1, "{} points", ends.len());
        assert_eq!(ends.last(), Some(&newest));
        assert!(ends.windows(2).all(|pair| pair[1].since(pair[0]) == grid().nanos()), "no gap");
    }
}

#[test]
fn cluster_without_nodes_forgets_everything_in_its_time() {
    let mut fleet = Fleet::with(&["a", "b"]);
    for k in 0..5 {
        fleet.answer(FIRST, "a", window(k), &[("shop", "web", 1)]);
        fleet.answer(FIRST, "b", window(k), &[("ops", "log", 1)]);
        fleet.close(soon(window(k)));
    }
    let full = fleet.held();
    assert!(full.blocks > 0 && full.points > 0 && full.bytes > 0 && full.entities > 0, "{full:?}");
    fleet.expect(&[], soon(window(4)));
    for k in 5..5 + kept() + 3 {
        fleet.close(up(window(k)));
    }
    is_empty(&fleet);
}

#[test]
fn clock_set_back_goes_on_from_there() {
    let mut fleet = Fleet::with(&["a", "b"]);
    for k in 0..=10 {
        for name in ["a", "b"] {
            fleet.answer(FIRST, name, window(k), &[("shop", name, 1)]);
        }
        fleet.close(soon(window(k)));
    }
    for k in 3..=6 {
        let at = window(10).end().after(Duration::from_secs(30));
        for name in ["a", "b"] {
            fleet.answer_at(FIRST, name, window(k), &[("shop", name, 100)], at);
        }
        let closed: Vec<_> = fleet.close(soon(window(k))).iter().map(|batch| batch.window).collect();
        assert_eq!(closed, [window(k)]);
    }
    let sums = fleet.sums();
    let expected = (0..=10).map(|k| (k, if (3..=6).contains(&k) { 200 } else { 2 }));
    assert_eq!(sums, expected.collect(), "what was told last counts, and nothing is lost");
    assert_eq!(fleet.names(Query::Nodes), ["a", "b"]);
}

#[test]
fn clock_set_back_before_the_start_still_waits_for_every_node() {
    let mut fleet = Fleet::with(&["a", "b"]);
    for name in ["a", "b"] {
        fleet.answer(FIRST, name, window(0), &[("shop", name, 1)]);
    }
    fleet.close(soon(window(0)));
    let (back, at) = (window(-500), soon(window(1)));
    fleet.answer_at(FIRST, "a", back, &[("shop", "a", 10)], at);
    assert!(fleet.close(soon(back)).is_empty(), "b has not answered, and the time is not up");
    fleet.answer_at(FIRST, "b", back, &[("shop", "b", 20)], at);
    assert_eq!(fleet.close(soon(back)).len(), 1);
    assert_eq!(fleet.sums(), BTreeMap::from([(-500, 30), (0, 2)]));
}

#[test]
fn clock_set_forward_is_not_followed_window_by_window() {
    let mut fleet = Fleet::with(&["a"]);
    fleet.answer(FIRST, "a", window(0), &[("shop", "web", 1)]);
    fleet.close(soon(window(0)));
    let far = window(100_000);
    let started = fleet.uptime(soon(window(1)));
    let batches = fleet.rollup.close_due(soon(far), started);
    assert!(batches.len() as i64 <= kept() + 1, "{} batches at once", batches.len());
    assert_eq!(fleet.held().blocks, 2 + batches.iter().filter(|batch| batch.sums.is_some()).count());
    fleet.answer_at(FIRST, "a", far, &[("shop", "web", 5)], soon(window(1)));
    assert_eq!(fleet.rollup.close_due(soon(far), started).len(), 1);
    assert_eq!(fleet.sums().get(&100_000), Some(&5));
}

#[test]
fn windows_that_are_due_together_are_closed_one_by_one() {
    let mut fleet = Fleet::of(&["east", "west"]);
    for id in [FIRST, ClusterId(1)] {
        fleet.rollup.expect(id, names(&["node-1"]), T0);
        fleet.answer(id, "node-1", window(0), &[("shop", "web", 10)]);
    }
    let (now, uptime) = (soon(window(2)), fleet.uptime(soon(window(2))));
    let mut next = || fleet.rollup.close_next(now, uptime).map(|batch| batch.window);
    // The time of the third is not up.
    let due = [window(0), window(1)];
    let closed: Vec<_> = std::iter::from_fn(&mut next).collect();
    assert_eq!(closed, [due, due].concat());
    assert_eq!(next(), None);
}

#[test]
fn several_clusters_are_kept_apart_and_summed_when_asked_together() {
    let mut fleet = Fleet::of(&["east", "west"]);
    let west = ClusterId(1);
    for id in [FIRST, west] {
        fleet.rollup.expect(id, names(&["node-1"]), T0);
    }
    fleet.answer(FIRST, "node-1", window(0), &[("shop", "web", 10), ("only-east", "log", 1)]);
    fleet.answer(west, "node-1", window(0), &[("shop", "web", 200), ("only-west", "log", 2)]);
    assert_eq!(fleet.close(soon(window(0))).len(), 2);
    let one = |id, entity| match fleet.series(id, entity).as_slice() {
        [(at, Value::Integer(value))] if *at == window(0).end() => *value,
        other => panic!("{other:?}"),
    };
    assert_eq!(one(Some(FIRST), Entity::Cluster), 11);
    assert_eq!(one(Some(west), Entity::Cluster), 202);
    assert_eq!(one(None, Entity::Cluster), 11 + 202);
    assert_eq!((one(Some(FIRST), of_pod("shop", "web")), one(Some(west), of_pod("shop", "web"))), (10, 200));
    assert_eq!(one(None, of_pod("shop", "web")), 10, "of several clusters the first that has it");
    assert_eq!(one(None, of_pod("only-west", "log")), 2);
    let listed = |id, query| fleet.rollup.answer(id, &query).settled();
    let texts = |names: &[&str]| Answer::Names(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(listed(None, Query::Namespaces), texts(&["only-east", "only-west", "shop"]));
    assert_eq!(listed(Some(west), Query::Namespaces), texts(&["only-west", "shop"]));
    assert_eq!(listed(Some(ClusterId(2)), Query::Namespaces), texts(&[]));
    let held: Vec<_> =
        fleet.rollup.held().map(|(name, held, nodes)| (name.to_string(), held.blocks, nodes)).collect();
    assert_eq!(held, [("east".to_owned(), 2, 1), ("west".to_owned(), 2, 1)]);
}

#[test]
fn answers_for_an_unknown_cluster_are_ignored() {
    let mut fleet = Fleet::of(&["only"]);
    fleet.answer(ClusterId(7), "a", window(0), &[("shop", "web", 1)]);
    fleet.rollup.missed(ClusterId(7), &"a".into(), window(0));
    assert!(!fleet.rollup.all_answered(ClusterId(7), window(0)));
    is_empty(&fleet);
}

#[test]
fn unknown_names_have_empty_answers() {
    let mut fleet = Fleet::with(&["a"]);
    fleet.answer(FIRST, "a", window(0), &[("shop", "web", 1)]);
    fleet.close(soon(window(0)));
    for entity in [of_node("b"), of_pod("shop", "nope"), of_pod("nope", "web")] {
        assert_eq!(fleet.series(None, entity.clone()), []);
        assert!(fleet.names(Query::Metrics(entity)).is_empty());
    }
    assert!(fleet.names(Query::Pods("nope".into())).is_empty());
    assert!(fleet.names(Query::FreeContainers("a".into())).is_empty());
}

/// What one node does in one window: nothing, or answer with these of its pods.
fn script() -> impl Strategy<Value = Vec<Vec<Option<BTreeSet<u8>>>>> {
    let pods = prop::collection::btree_set(0_u8..5, 0..5);
    prop::collection::vec(prop::collection::vec(prop::option::weighted(0.8, pods), 3), 1..50)
}

proptest! {
    #![proptest_config(crate::handmade::cases(60))]

    #[test]
    fn lists_hold_through_churn_and_all_is_forgotten_at_last(script in script()) {
        let nodes = ["a", "b", "c"];
        let mut fleet = Fleet::with(&nodes);
        let mut seen: Vec<BTreeSet<(u8, u8)>> = Vec::new();
        let windows = script.len() as i64;
        for (k, answers) in (0..).zip(&script) {
            let mut now = BTreeSet::new();
            for (node, answer) in nodes.iter().zip(answers) {
                let Some(pods) = answer else { continue };
                let own: Vec<_> = pods.iter().map(|pod| (format!("ns-{}", pod % 2), format!("pod-{pod}"))).collect();
                let own: Vec<_> = own.iter().map(|(namespace, pod)| (&**namespace, &**pod, 1)).collect();
                fleet.answer(FIRST, node, window(k), &own);
                now.extend(pods.iter().map(|pod| (pod % 2, *pod)));
            }
            seen.push(now);
            fleet.close(up(window(k)));
            let recent: BTreeSet<_> = seen.iter().rev().take(2).flatten().collect();
            for parity in 0..2 {
                let expected: Vec<String> =
                    recent.iter().filter(|(p, _)| *p == parity).map(|(_, pod)| format!("pod-{pod}")).collect();
                prop_assert_eq!(fleet.names(Query::Pods(format!("ns-{parity}").into())), expected);
            }
            let namespaces: BTreeSet<String> = recent.iter().map(|(p, _)| format!("ns-{p}")).collect();
            prop_assert_eq!(fleet.names(Query::Namespaces), namespaces.into_iter().collect::<Vec<_>>());
        }
        fleet.expect(&[], up(window(windows - 1)));
        for k in windows..windows + kept() + 3 {
            fleet.close(up(window(k)));
        }
        is_empty(&fleet);
        for pod in 0..5 {
            prop_assert_eq!(fleet.series(None, of_pod(&format!("ns-{}", pod % 2), &format!("pod-{pod}"))), vec![]);
        }
    }
}
