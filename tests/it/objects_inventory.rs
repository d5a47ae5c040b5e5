//! The inventory: what is there after any order of lists and watch events, and which nodes it concerns.

use crate::bodies::recordings;
use crate::handmade::{container, inventory as made_inventory, node, pod};
use heapster::model::amount::Amount;
use heapster::model::entity::Name;
use heapster::model::inventory::{
    Change, Inventory, NamespaceFacts, NodeFacts, PodFacts, PodName, Record, Table,
};
use heapster::model::pool::Pool;
use heapster::wire::kubernetes_objects::ApiPod;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

fn on(node: &str, namespace: &str, name: &str) -> PodFacts {
    PodFacts { node: (!node.is_empty()).then(|| node.into()), ..pod(namespace, name, [container("main")]) }
}

fn namespace(name: &str, uid: &str) -> NamespaceFacts {
    NamespaceFacts { name: name.into(), uid: uid.into() }
}

fn touched(inventory: &mut Inventory) -> BTreeSet<String> {
    inventory.take_touched().iter().map(|name| name.to_string()).collect()
}

fn texts(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn pods_of(inventory: &Inventory, node: &str) -> BTreeSet<String> {
    let of = inventory.of_node(&node.into()).unwrap_or_else(|| panic!("{node} is not there"));
    assert!(of.pods.iter().all(|pod| of.pod(&pod.namespace, &pod.name) == Some(pod)));
    of.pods.iter().map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect()
}

/// Nodes a and b, listed; one namespace.
fn two_nodes() -> Inventory {
    let mut inventory = Inventory::default();
    inventory.node(Change::ListBegins);
    ["a", "b"].into_iter().for_each(|name| inventory.node(Change::Listed(node(name))));
    inventory.node(Change::ListDone);
    inventory.namespace(Change::ListBegins);
    inventory.namespace(Change::Listed(namespace("shop", "1")));
    inventory.namespace(Change::ListDone);
    inventory.take_touched();
    inventory
}

#[test]
fn inventory_is_complete_once_every_kind_was_listed() {
    let mut inventory = Inventory::default();
    assert!(!inventory.nodes_known() && !inventory.is_complete());
    inventory.node(Change::ListBegins);
    inventory.node(Change::Listed(node("a")));
    assert!(!inventory.nodes_known(), "the list is not done");
    inventory.node(Change::ListDone);
    assert!(inventory.nodes_known() && !inventory.is_complete());
    inventory.pod(Change::ListBegins);
    inventory.pod(Change::ListDone);
    inventory.namespace(Change::ListBegins);
    inventory.namespace(Change::ListDone);
    assert!(inventory.is_complete());
    inventory.node(Change::ListBegins);
    assert!(inventory.is_complete(), "a relist takes nothing back");
    assert_eq!(inventory.counts(), (1, 0, 0));
}

#[test]
fn relist_sweeps_what_it_does_not_name() {
    let mut inventory = two_nodes();
    inventory.pod(Change::Applied(on("a", "shop", "web")));
    inventory.pod(Change::Applied(on("b", "shop", "db")));
    inventory.take_touched();
    inventory.pod(Change::ListBegins);
    inventory.pod(Change::Listed(on("a", "shop", "web")));
    assert_eq!(pods_of(&inventory, "b"), texts(&["shop/db"]), "not before the list is done");
    assert_eq!(touched(&mut inventory), texts(&[]), "an unchanged pod touches nobody");
    inventory.pod(Change::ListDone);
    assert_eq!(touched(&mut inventory), texts(&["b"]));
    assert_eq!(pods_of(&inventory, "b"), texts(&[]));
    assert_eq!(inventory.counts().1, 1);
}

#[test]
fn watch_events_during_a_relist_stand() {
    let mut inventory = two_nodes();
    inventory.pod(Change::Applied(on("a", "shop", "old")));
    inventory.pod(Change::ListBegins);
    inventory.pod(Change::Applied(on("a", "shop", "new")));
    inventory.pod(Change::Listed(on("a", "shop", "old")));
    inventory.pod(Change::Gone(on("a", "shop", "old")));
    inventory.pod(Change::ListDone);
    assert_eq!(pods_of(&inventory, "a"), texts(&["shop/new"]));
    inventory.pod(Change::ListBegins);
    inventory.pod(Change::ListBegins);
    inventory.pod(Change::ListDone);
    assert_eq!(pods_of(&inventory, "a"), texts(&[]), "a list begun anew forgets what the first one named");
}

#[test]
fn pod_that_moves_touches_both_nodes() {
    let mut inventory = two_nodes();
    inventory.pod(Change::Applied(on("", "shop", "web")));
    assert_eq!(touched(&mut inventory), texts(&[]), "it waits for a node");
    assert_eq!(inventory.node_of(&on("", "shop", "web").key()), None);
    for (home, concerned) in [("a", &["a"][..]), ("b", &["a", "b"]), ("b", &[]), ("", &["b"])] {
        inventory.pod(Change::Applied(on(home, "shop", "web")));
        assert_eq!(touched(&mut inventory), texts(concerned), "to {home:?}");
        for node in ["a", "b"] {
            let expected = if home == node { texts(&["shop/web"]) } else { texts(&[]) };
            assert_eq!(pods_of(&inventory, node), expected);
        }
        let found = inventory.node_of(&on("", "shop", "web").key()).map(|name| name.to_string());
        assert_eq!(found.unwrap_or_default(), home);
    }
}

#[test]
fn pods_of_a_node_that_is_not_there_yet_are_kept_for_it() {
    let mut inventory = two_nodes();
    inventory.pod(Change::Applied(on("late", "shop", "web")));
    assert!(inventory.of_node(&"late".into()).is_none());
    inventory.node(Change::Applied(node("late")));
    assert_eq!(pods_of(&inventory, "late"), texts(&["shop/web"]));
    assert_eq!(touched(&mut inventory), texts(&["late"]));
    inventory.node(Change::Gone(node("late")));
    assert!(inventory.of_node(&"late".into()).is_none());
    assert_eq!(touched(&mut inventory), texts(&["late"]));
}

#[test]
fn namespaces_touch_every_node_and_only_when_they_change() {
    let mut inventory = two_nodes();
    inventory.namespace(Change::Applied(namespace("shop", "1")));
    assert_eq!(touched(&mut inventory), texts(&[]));
    inventory.namespace(Change::Applied(namespace("shop", "2")));
    assert_eq!(touched(&mut inventory), texts(&["a", "b"]));
    let uids = inventory.of_node(&"a".into()).unwrap().namespaces;
    assert_eq!(*uids, BTreeMap::from([("shop".into(), "2".into())]));
    inventory.touch([Name::from("a")]);
    assert_eq!(touched(&mut inventory), texts(&["a"]));
    assert_eq!(touched(&mut inventory), texts(&[]), "taken once");
}

#[test]
fn what_is_there_is_found_by_borrowed_names() {
    let known = made_inventory(node("a"), [pod("shop", "web", [])]);
    assert!(known.pod("shop", "web").is_some());
    assert!(known.pod("web", "shop").is_none() && known.pod("shop", "").is_none());
}

#[test]
fn recorded_watch_leads_from_the_list_to_what_it_tells_last() {
    let mut inventory = two_nodes();
    let mut model: BTreeMap<PodName, Option<Name>> = BTreeMap::new();
    let facts = |object: &Value| serde_json::from_value::<ApiPod>(object.clone()).unwrap().facts().unwrap();
    inventory.pod(Change::ListBegins);
    for (_, body) in recordings("tape/apiserver-json", |name| name == "pods_list.json") {
        for item in serde_json::from_slice::<Value>(&body).unwrap()["items"].as_array().unwrap() {
            let facts = facts(item);
            model.insert(facts.key(), facts.node.clone());
            inventory.pod(Change::Listed(facts));
        }
    }
    inventory.pod(Change::ListDone);
    for (_, body) in recordings("tape/apiserver-json", |name| name == "pods_watch.jsonl") {
        for line in String::from_utf8(body).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let event: Value = serde_json::from_str(line["line"].as_str().unwrap()).unwrap();
            let gone = match event["type"].as_str().unwrap() {
                "ADDED" | "MODIFIED" => false,
                "DELETED" => true,
                _ => continue,
            };
            let facts = facts(&event["object"]);
            if gone {
                model.remove(&facts.key());
                inventory.pod(Change::Gone(facts));
            } else {
                model.insert(facts.key(), facts.node.clone());
                inventory.pod(Change::Applied(facts));
            }
        }
    }
    assert_eq!(inventory.counts().1, model.len());
    for (pod, node) in &model {
        assert_eq!(inventory.node_of(pod), node.as_ref(), "{pod:?}");
    }
}

/// One change of a table of five nodes, which differ in whether they take pods.
fn changes() -> impl Strategy<Value = Vec<Change<NodeFacts>>> {
    let row = || {
        (0_u8..5, any::<bool>())
            .prop_map(|(n, schedulable)| NodeFacts { schedulable, ..node(&format!("n{n}")) })
    };
    let change = prop_oneof![
        1 => Just(Change::ListBegins),
        1 => Just(Change::ListDone),
        3 => row().prop_map(Change::Listed),
        3 => row().prop_map(Change::Applied),
        2 => row().prop_map(Change::Gone),
    ];
    prop::collection::vec(change, 0..60)
}

proptest! {
    #![proptest_config(crate::handmade::cases(1_000))]

    #[test]
    fn table_is_a_map_with_mark_and_sweep(changes in changes()) {
        let mut table = Table::<NodeFacts>::default();
        let mut model: BTreeMap<Name, NodeFacts> = BTreeMap::new();
        let mut marked: Option<BTreeSet<Name>> = None;
        let mut complete = false;
        for change in changes {
            let before = model.clone();
            match &change {
                Change::ListBegins => marked = Some(BTreeSet::new()),
                Change::ListDone => {
                    complete = true;
                    if let Some(marked) = marked.take() {
                        model.retain(|name, _| marked.contains(name));
                    }
                }
                Change::Listed(row) | Change::Applied(row) => {
                    marked.iter_mut().for_each(|marked| marked.extend([row.name.clone()]));
                    model.insert(row.name.clone(), row.clone());
                }
                Change::Gone(row) => drop(model.remove(&row.name)),
            }
            let mut told: BTreeMap<Name, (Option<NodeFacts>, Option<NodeFacts>)> = BTreeMap::new();
            table.apply(change, |old, new| {
                let name = old.or(new).unwrap().name.clone();
                let pair = (old.map(|row| (**row).clone()), new.map(|row| (**row).clone()));
                assert!(told.insert(name, pair).is_none(), "told twice");
            });
            let names: BTreeSet<&Name> = before.keys().chain(model.keys()).collect();
            let differ = names.into_iter().filter(|name| before.get(*name) != model.get(*name));
            let expected = differ.map(|name| (name.clone(), (before.get(name).cloned(), model.get(name).cloned())));
            prop_assert_eq!(told, expected.collect());
            let rows: BTreeMap<Name, NodeFacts> = table.iter().map(|row| (row.key(), (**row).clone())).collect();
            prop_assert_eq!(&rows, &model);
            prop_assert_eq!((table.len(), table.is_empty(), table.is_complete()), (model.len(), model.is_empty(), complete));
            for n in 0..5 {
                let name = Name::from(format!("n{n}"));
                prop_assert_eq!(table.get(&name).map(|row| &**row), model.get(&name));
            }
        }
    }

    #[test]
    fn bound_pods_are_those_that_say_so(moves in prop::collection::vec((0_u8..6, 0_u8..4, any::<bool>()), 0..80)) {
        let mut inventory = two_nodes();
        let mut model: BTreeMap<u8, u8> = BTreeMap::new();
        for (name, home, gone) in moves {
            let homes = ["", "a", "b", "nowhere"];
            let facts = on(homes[usize::from(home)], "shop", &format!("pod-{name}"));
            let before = model.get(&name).copied();
            if gone {
                model.remove(&name);
                inventory.pod(Change::Gone(facts));
            } else {
                model.insert(name, home);
                inventory.pod(Change::Applied(facts));
            }
            let after = model.get(&name).copied();
            let concerned = [before, after].into_iter().flatten().filter(|home| *home > 0 && before != after);
            prop_assert_eq!(touched(&mut inventory), concerned.map(|home| homes[usize::from(home)].to_owned()).collect());
            for (at, node) in [(1, "a"), (2, "b")] {
                let own = model.iter().filter(|(_, home)| **home == at).map(|(name, _)| format!("shop/pod-{name}"));
                prop_assert_eq!(pods_of(&inventory, node), own.collect());
            }
        }
    }
}

#[test]
fn pod_that_changes_keeps_the_names_that_blocks_hold() {
    let mut inventory = two_nodes();
    inventory.pod(Change::Applied(on("a", "shop", "web")));
    let before = inventory.of_node(&"a".into()).and_then(|of| of.pod("shop", "web").cloned());
    let changed = PodFacts { host_network: true, uid: "another".into(), ..on("a", "shop", "web") };
    inventory.pod(Change::Applied(changed));
    let after = inventory.of_node(&"a".into()).and_then(|of| of.pod("shop", "web").cloned());
    let (before, after) = before.zip(after).expect("it was and is there");
    assert!(Name::ptr_eq(&before.name, &after.name));
    assert!(after.host_network && after.uid.to_string() == "another" && before.uid != after.uid);
    assert_eq!(pods_of(&inventory, "a"), texts(&["shop/web"]));
}

#[test]
fn what_nobody_has_any_more_is_not_kept_to_be_shared() {
    let mut pool: Pool<Name> = Pool::default();
    let text = |n: usize| Name::from(format!("pod-{n}"));
    let mut there: VecDeque<Name> = (0..8_000).map(|n| pool.share(&text(n))).collect();
    let mut most = 0;
    for n in 8_000..40_000 {
        there.pop_front();
        there.push_back(pool.share(&text(n)));
        most = most.max(pool.len());
    }
    assert!((8_000..=9_200).contains(&most), "{most} kept of which 8000 are there");
    assert!(Name::ptr_eq(&there[0], &pool.share(&text(32_000))));
}

#[test]
fn amounts_are_there_or_not() {
    assert_eq!(Amount::default().get(), None);
    assert_eq!(Amount::from(None), Amount::default());
    for amount in [0, 1, u64::MAX - 1] {
        assert_eq!(
            (Amount::from(amount).get(), Amount::from(Some(amount)).get()),
            (Some(amount), Some(amount))
        );
    }
    assert_eq!(Amount::from(u64::MAX).get(), Some(u64::MAX - 1), "the one that does not fit is not lost");
}
