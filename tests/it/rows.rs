//! The table of a block's rows against the plain list of its keys: order, every way of finding, whose the names are, and
//! how little memory it takes.

use crate::handmade::{cases, keys, of_container, of_free, of_namespace, of_node, of_pod};
use heapster::model::entity::{Entity, EntityRef, Labels, Name};
use heapster::rollup::rows::Rows;
use proptest::prelude::*;
use std::collections::BTreeSet;

type Key = (Entity, Option<Labels>);

fn rows<'k>(keys: impl IntoIterator<Item = &'k Key>) -> Rows {
    let keys: Vec<&Key> = keys.into_iter().collect();
    Rows::new(keys.iter().map(|(entity, labels)| (entity, labels.as_ref())))
}

/// Few names, so that many meet: of pods and of what they are in, and one that is empty.
fn entity() -> impl Strategy<Value = Entity> {
    let name = || prop::sample::select(vec!["", "a", "b", "ab", "c"]);
    prop_oneof![
        1 => Just(Entity::Cluster),
        1 => name().prop_map(of_namespace),
        1 => name().prop_map(of_node),
        2 => (name(), name()).prop_map(|(node, container)| of_free(node, container)),
        3 => (name(), name()).prop_map(|(namespace, pod)| of_pod(namespace, pod)),
        4 => (name(), name(), name()).prop_map(|(namespace, pod, name)| of_container(namespace, pod, name)),
    ]
}

fn labels() -> impl Strategy<Value = Option<Labels>> {
    let value = prop::sample::select(vec!["/", "Volume:a", "Volume:b"]);
    prop::option::of(value.prop_map(|value| Labels::new([("resource_id", value)])))
}

fn some_keys() -> impl Strategy<Value = Vec<Key>> {
    prop::collection::vec((entity(), labels()), 0..60)
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_table_is_the_sorted_list_of_its_keys(given in some_keys(), others in some_keys()) {
        let table = rows(&given);
        let plain: Vec<Key> = given.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        prop_assert_eq!(keys(&table), plain.clone());
        prop_assert_eq!((table.len(), table.is_empty()), (plain.len(), plain.is_empty()));
        prop_assert_eq!(table.key(plain.len()), None);
        let entities: BTreeSet<&Entity> = plain.iter().map(|(entity, _)| entity).collect();
        prop_assert!(table.entities().eq(entities.iter().map(|entity| entity.borrowed())));
        prop_assert_eq!((table.entity_count(), table.entity(entities.len())), (entities.len(), None));
        for (entity, part) in given.iter().chain(&others) {
            let row = plain.binary_search(&(entity.clone(), part.clone())).ok();
            prop_assert_eq!(table.find(entity, part.as_ref()), row, "{} {:?}", entity, part);
            let own = plain.iter().position(|(other, _)| other == entity).unwrap_or(0);
            let count = plain.iter().filter(|(other, _)| other == entity).count();
            let span = table.span(entity.borrowed());
            prop_assert_eq!(span.len(), count);
            prop_assert!(count == 0 || span.start == own);
            let first = plain.partition_point(|(other, _)| other < entity);
            prop_assert_eq!(table.first_that(|other| other >= entity.borrowed()), first);
        }
        let pods = |of: &str| -> Vec<String> {
            let pods = entities.iter().filter_map(|entity| match entity {
                Entity::Pod { namespace, pod } if **namespace == *of => Some(pod.to_string()),
                _ => None,
            });
            pods.collect()
        };
        let mut all = Vec::new();
        for namespace in ["", "a", "ab", "b", "c", "zz"] {
            prop_assert_eq!(table.pods_of(namespace).collect::<Vec<_>>(), pods(namespace));
            all.extend(pods(namespace).into_iter().map(|pod| (namespace.to_owned(), pod)));
        }
        let listed = table.pods().map(|(namespace, pod)| (namespace.to_string(), pod.to_string()));
        prop_assert_eq!(listed.collect::<Vec<_>>(), all);
    }

    #[test]
    fn tables_are_equal_where_their_keys_are(first in some_keys(), second in some_keys(), few in any::<bool>()) {
        let second = if few { &second[..second.len().min(1)] } else { &second };
        let sorted = |keys: &[Key]| keys.iter().cloned().collect::<BTreeSet<_>>();
        prop_assert_eq!(rows(&first) == rows(second), sorted(&first) == sorted(second));
        // The same names held by others, and by one holder where there were two.
        let mut pool = BTreeSet::<Name>::new();
        let again: Vec<Key> = first.iter().map(|(entity, labels)| (pooled(entity, &mut pool), labels.clone())).collect();
        prop_assert_eq!(rows(&again), rows(&first));
    }

    #[test]
    fn names_stay_with_whoever_has_them(given in some_keys()) {
        let table = rows(&given);
        let mut pool = BTreeSet::new();
        let shared: Vec<Key> = given.iter().map(|(entity, labels)| (pooled(entity, &mut pool), labels.clone())).collect();
        let held = |table: &Rows, of: &[Key]| {
            let owners: BTreeSet<*const u8> = of.iter().flat_map(|(entity, _)| texts(entity.borrowed())).map(str::as_ptr).collect();
            table.entities().flat_map(texts).all(|name| owners.contains(&name.as_ptr()))
        };
        prop_assert!(held(&table, &given) && held(&rows(&shared), &shared), "no name is copied");
        for (at, entity) in table.entities().enumerate() {
            let names = table.names(at);
            prop_assert_eq!(names.iter().flatten().map(|name| &***name).collect::<Vec<_>>(), texts(entity));
            let owned = table.owned(at).unwrap();
            let addresses = |entity| texts(entity).into_iter().map(str::as_ptr).collect::<Vec<_>>();
            prop_assert_eq!(addresses(owned.borrowed()), addresses(entity));
        }
        prop_assert_eq!(table.owned(table.entity_count()), None);
        prop_assert_eq!(table.names(table.entity_count()), [None; 3]);
    }
}

fn texts(entity: EntityRef<'_>) -> Vec<&str> {
    match entity {
        EntityRef::Cluster => vec![],
        EntityRef::Namespace(name) | EntityRef::Node(name) => vec![name],
        EntityRef::FreeContainer(first, second) | EntityRef::Pod(first, second) => vec![first, second],
        EntityRef::PodContainer(first, second, third) => vec![first, second, third],
    }
}

/// The same entity with the names of the pool.
fn pooled(entity: &Entity, pool: &mut BTreeSet<Name>) -> Entity {
    let mut own = |name: &Name| {
        pool.insert(name.clone());
        pool.get(name).unwrap().clone()
    };
    match entity {
        Entity::Cluster => Entity::Cluster,
        Entity::Namespace(name) => Entity::Namespace(own(name)),
        Entity::Node(name) => Entity::Node(own(name)),
        Entity::FreeContainer { node, container } => {
            Entity::FreeContainer { node: own(node), container: own(container) }
        }
        Entity::Pod { namespace, pod } => Entity::Pod { namespace: own(namespace), pod: own(pod) },
        Entity::PodContainer { namespace, pod, container } => {
            Entity::PodContainer { namespace: own(namespace), pod: own(pod), container: own(container) }
        }
    }
}

#[test]
fn tables_with_more_than_two_bytes_can_count_are_whole() {
    let most = usize::from(u16::MAX);
    for count in [most / 2, most - 1, most, most + 1, most + 70] {
        let given: Vec<Key> = (0..count).map(|n| (of_pod("shop", &format!("pod-{n:06}")), None)).collect();
        let table = rows(&given);
        assert_eq!((table.len(), table.entity_count()), (count, count));
        for row in (0..count).step_by(997).chain([0, count / 2, most - 2, most - 1, most, count - 1]) {
            let Some((entity, _)) = given.get(row) else { continue };
            assert_eq!(table.key(row), Some((entity.borrowed(), None)), "row {row} of {count}");
            assert_eq!(table.find(entity, None), Some(row), "row {row} of {count}");
        }
        assert_eq!(table.pods().count(), count);
    }
}

/// A node with 45 pods of two containers, of which every pod has a volume: 181 rows. The names are the inventory's.
#[test]
fn a_table_takes_few_bytes() {
    let (node, namespace): (Name, Name) = ("node-1".into(), "shop".into());
    let containers: [Name; 2] = ["app".into(), "proxy".into()];
    let mut given: Vec<Key> = vec![(Entity::Node(node), None)];
    let volume = Labels::new([("resource_id", "/")]);
    for n in 0..45 {
        let name: Name = format!("web-7d4b9c6f5d-{n:05}").into();
        let pod = Entity::Pod { namespace: namespace.clone(), pod: name.clone() };
        given.extend([(pod.clone(), None), (pod, Some(volume.clone()))]);
        given.extend(containers.iter().map(|container| {
            let (namespace, pod, container) = (namespace.clone(), name.clone(), container.clone());
            (Entity::PodContainer { namespace, pod, container }, None)
        }));
    }
    let table = rows(&given);
    let names: usize = table.pods().map(|(_, pod)| pod.len() + size_of::<Name>()).sum();
    assert_eq!(table.len(), 181);
    // Two numbers a row, three an entity, each of two bytes, and whatever there is once.
    let numbers = 2 * (2 * table.len() + 3 * table.entity_count());
    assert!(table.bytes() <= names + numbers + 200, "{} for {names} and {numbers}", table.bytes());
}
