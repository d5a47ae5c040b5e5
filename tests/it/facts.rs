//! What is held of pods, in little memory and exactly: uids, amounts, lists, and what replicas share.

use crate::handmade::{container, node, pod, resources};
use heapster::model::amount::Amount;
use heapster::model::entity::{Labels, Name};
use heapster::model::inventory::{Change, ContainerFacts, Inventory, PodFacts, Resources};
use heapster::model::list::List;
use heapster::model::pods::Pods;
use heapster::model::pool::Pool;
use heapster::model::resources::Packed;
use heapster::model::time::Timestamp;
use heapster::model::uid::Uid;
use heapster::rollup::history::Form;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Of each there are as many as pods or containers in the cluster.
#[test]
fn facts_are_small() {
    assert_eq!(size_of::<Amount>(), size_of::<u64>());
    assert_eq!(size_of::<Option<Timestamp>>(), size_of::<i64>());
    assert_eq!(size_of::<Option<Name>>(), size_of::<usize>());
    assert_eq!(size_of::<Labels>(), size_of::<usize>());
    assert_eq!((size_of::<Uid>(), size_of::<Packed>()), (16, 16));
    let pointers = |count| count * size_of::<usize>();
    assert_eq!(size_of::<ContainerFacts>(), pointers(2) + 2 * size_of::<Packed>());
    let host_network = size_of::<u64>();
    let pod = pointers(6) + size_of::<Uid>() + size_of::<Timestamp>() + host_network;
    assert_eq!(size_of::<PodFacts>(), pod);
    // An allocator gives 112 for one byte more.
    assert_eq!(size_of::<PodFacts>() + 2 * size_of::<usize>(), 96);
    // Every node has thirty.
    assert_eq!(size_of::<Form>(), 6 * size_of::<u64>());
}

#[test]
fn nodes_share_what_many_have() {
    let mut inventory = Inventory::default();
    for name in ["n1", "n2"] {
        inventory.node(Change::Applied(node(name)));
    }
    let [one, two] = ["n1", "n2"].map(|name| inventory.of_node(&name.into()).unwrap().node);
    assert!(one.labels.is(&two.labels) && Name::ptr_eq(&one.name, &one.hostname));
}

#[test]
fn uids_are_printed_as_they_came() {
    let random = "0f8fad5b-d9cd-469f-a165-70867728950e";
    let other_versions = [1, 3, 5, 7].map(|version| random.replace("-4", &format!("-{version}")));
    let other_variants = ["0", "7", "c", "f"].map(|variant| random.replace("-a1", &format!("-{variant}1")));
    let others = [
        random.to_uppercase(),
        random.replacen('f', "F", 1),
        random.replace('-', ""),
        // A static pod's uid is a hash of its manifest.
        "7c2e9b6f4d1a03856e5fb8c9d0a1726e".to_owned(),
        String::new(),
        "-".to_owned(),
        "----".to_owned(),
        format!("{random}-"),
        format!("-{random}"),
        format!("{random}0"),
        random[1..].to_owned(),
        random.replacen('-', "", 1) + "-",
        random.replacen('0', "g", 1),
        random.replacen('0', "\u{e9}", 1),
        random.replacen("0f", "\u{e9}", 1),
        random.repeat(1_000),
        "name-of-a-thing".to_owned(),
    ];
    for text in others.iter().chain(&other_versions).chain(&other_variants) {
        let uid = Uid::from(text.as_str());
        assert_eq!((uid.to_string(), uid.more_bytes()), (text.clone(), text.len()));
        assert_eq!((format!("{uid:?}"), uid.is_empty()), (format!("\"{text}\""), text.is_empty()));
        assert_ne!(uid, Uid::from(random));
    }
    for variant in ["8", "9", "a", "b"] {
        let text = random.replace("-a1", &format!("-{variant}1"));
        let uid = Uid::from(text.as_str());
        assert_eq!((uid.to_string(), uid.more_bytes(), uid.is_empty()), (text, 0, false));
    }
}

fn amount() -> impl Strategy<Value = Option<u64>> {
    let near = |bits: u32| (1_u64 << bits).saturating_sub(2)..=(1_u64 << bits).saturating_add(2);
    prop_oneof![
        1 => Just(None),
        3 => any::<u64>().prop_map(Some),
        3 => (any::<u64>(), 0..64_u32).prop_map(|(of, shift)| Some(of >> shift)),
        3 => (0..1_u64 << 35, 0..64_u32).prop_map(|(of, shift)| Some(of << shift)),
        1 => (0..64_u32).prop_flat_map(near).prop_map(Some),
    ]
}

/// Texts of every length that is told in another way, and the label that is the usual one.
fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{0,2}",
        "\\PC{0,9}",
        Just("resource_id".to_owned()),
        "[a-b]{253,256}",
        Just("é".repeat(300))
    ]
}

proptest! {
    #![proptest_config(crate::handmade::cases(2_000))]

    #[test]
    fn random_uids_take_no_memory_of_their_own(bits: u128) {
        let uuid = bits & !(0xf << 76) & !(0b11 << 62) | (4 << 76) | (0b10 << 62);
        let digits = format!("{uuid:032x}");
        let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
        let text = groups.join("-");
        let uid = Uid::from(text.as_str());
        prop_assert_eq!((uid.to_string(), uid.more_bytes()), (text.clone(), 0));
        prop_assert_eq!(&uid, &Uid::from(Name::from(text)));
        prop_assert_ne!(uid, Uid::from(digits));
    }

    #[test]
    fn uids_are_equal_where_their_texts_are(a in "[0-4a-cA-]{0,2}(-[89abAB]0){0,2}", b in "[0-4a-cA-]{0,2}(-[89abAB]0){0,2}") {
        let long = |text: &str| format!("0f8fad5b-d9cd-469f-a165-7086772{text}");
        for (a, b) in [(a.clone(), b.clone()), (long(&a), long(&b))] {
            prop_assert_eq!(Uid::from(a.as_str()) == Uid::from(b.as_str()), a == b);
            prop_assert_eq!(Uid::from(a.as_str()).to_string(), a);
        }
    }

    #[test]
    fn amounts_are_packed_exactly(amounts in [amount(), amount(), amount()]) {
        let [cpu, memory, ephemeral_storage] = amounts.map(Amount::from);
        let resources = Resources { cpu, memory, ephemeral_storage };
        let packed = Packed::from(resources);
        prop_assert_eq!((packed.get(), packed.clone()), (resources, packed.get().into()));
        let more = Resources { cpu: amounts[0].map_or(0, |cpu| cpu / 2 + 1).into(), ..resources };
        prop_assert_eq!(packed == more.into(), resources == more);
        let others = [("nvidia.com/gpu".into(), amounts[1].unwrap_or(1))];
        let both = packed.clone().with(others.clone());
        prop_assert_eq!((both.get(), both.others(), packed.others()), (resources, &others[..], &[][..]));
        prop_assert!(both != packed && both.with([]) == packed);
    }

    /// Each a pod that comes or, with its restarts other, changes; or that goes.
    #[test]
    fn pods_are_sorted_whatever_comes_and_goes(changes in prop::collection::vec((0..4_u8, 0..6_u8, 0..3_u64), 0..40)) {
        let (mut pods, mut expected) = (Pods::default(), BTreeMap::new());
        for (namespace, name, restarts) in changes {
            let key = (format!("ns-{namespace}"), format!("web-{name}"));
            if restarts == 0 {
                let gone: Option<Arc<PodFacts>> = expected.remove(&key);
                pods = gone.map_or(pods.clone(), |gone| pods.without(&gone));
            } else {
                let restarts = List::from([restarts.into()]);
                let pod = Arc::new(PodFacts { restarts, ..pod(&key.0, &key.1, []) });
                pods = pods.with(pod.clone());
                expected.insert(key, pod);
            }
            prop_assert!(pods.iter().eq(expected.values()));
            prop_assert_eq!(&pods, &expected.values().cloned().collect::<Pods>());
            for ((namespace, name), pod) in &expected {
                prop_assert!(pods.get(namespace, name).is_some_and(|found| Arc::ptr_eq(found, pod)));
            }
        }
    }

    #[test]
    fn labels_are_as_their_pairs(
        a in prop::collection::vec((label(), label()), 0..4),
        b in prop::collection::vec((label(), label()), 0..4),
    ) {
        let sorted = |pairs: &[(String, String)]| {
            let mut sorted = pairs.to_vec();
            sorted.sort();
            sorted
        };
        let (one, other) = (Labels::new(a.clone()), Labels::new(b.clone()));
        let (a, b) = (sorted(&a), sorted(&b));
        prop_assert!(one.iter().eq(a.iter().map(|(label, value)| (&**label, &**value))));
        prop_assert_eq!((one == other, one.cmp(&other)), (a == b, a.cmp(&b)));
        for (label, _) in &b {
            let held = a.iter().find(|(key, _)| key == label).map(|(_, value)| &**value);
            prop_assert_eq!(one.get(label), held);
        }
        let mut pool: Pool<Labels> = Pool::default();
        prop_assert!(pool.share(&one).is(&one) && pool.share(&Labels::new(a)).is(&one));
    }

    #[test]
    fn lists_are_as_their_elements(a: Vec<u8>, b: Vec<u8>) {
        let (one, other) = (List::from(a.clone()), b.iter().copied().collect::<List<u8>>());
        prop_assert_eq!((&*one, &*other), (&a[..], &b[..]));
        prop_assert_eq!((one == other, one.cmp(&other)), (a == b, a.cmp(&b)));
        prop_assert_eq!((one.is(&one.clone()), one.is(&other)), (true, a.is_empty() && b.is_empty()));
        prop_assert_eq!(one == List::from(a), true);
    }
}

#[test]
fn lists_that_nobody_has_any_more_are_not_kept() {
    let mut pool: Pool<List<Name>> = Pool::default();
    let list = |n: usize| List::from([Name::from(n.to_string())]);
    let kept = pool.share(&list(0));
    for n in 1..10_000 {
        pool.share(&list(n));
    }
    assert!(pool.len() <= 1_024, "{}", pool.len());
    assert!(kept.is(&pool.share(&list(0))));
}

fn replica(n: u64, restarts: impl IntoIterator<Item = u64>) -> PodFacts {
    let of = |name| ContainerFacts {
        requests: Packed::from(resources(100, 1 << 28, 0)).with([("nvidia.com/gpu".into(), 2)]),
        limits: resources(200, 3_000_000_001, 0).into(),
        ..container(name)
    };
    PodFacts {
        node: Some("a".into()),
        labels: Labels::new([("app", "web")]),
        restarts: restarts.into_iter().map(Amount::from).collect(),
        ..pod("shop", &format!("web-{n}"), ["app", "proxy"].map(of))
    }
}

fn told(pods: &[PodFacts]) -> Vec<Arc<PodFacts>> {
    let mut inventory = Inventory::default();
    inventory.node(Change::Applied(node("a")));
    pods.iter().for_each(|pod| inventory.pod(Change::Applied(pod.clone())));
    let pods: Vec<Arc<PodFacts>> =
        inventory.of_node(&"a".into()).into_iter().flat_map(|of| of.pods.all().to_vec()).collect();
    pods
}

#[test]
fn replicas_share_what_their_spec_says_however_often_they_restarted() {
    let made = [replica(0, [0, 0]), replica(1, [0, 3]), replica(2, [0, 0]), replica(3, [])];
    let held = told(&made);
    assert_eq!(held.iter().map(|pod| PodFacts::clone(pod)).collect::<Vec<_>>(), made);
    for pod in &held[1..] {
        assert!(pod.containers.is(&held[0].containers) && pod.labels.is(&held[0].labels));
    }
    assert!(held[0].restarts.is(&held[2].restarts));
    let restarts: Vec<Vec<Option<u64>>> =
        held.iter().map(|pod| pod.restarts.iter().map(|restarts| restarts.get()).collect()).collect();
    assert_eq!(restarts, [vec![Some(0), Some(0)], vec![Some(0), Some(3)], vec![Some(0), Some(0)], vec![]]);
}

#[test]
fn a_restart_is_a_change() {
    let mut inventory = Inventory::default();
    inventory.node(Change::Applied(node("a")));
    inventory.pod(Change::Applied(replica(0, [0, 0])));
    let mut touched = |pod| {
        inventory.take_touched();
        inventory.pod(Change::Applied(pod));
        inventory.take_touched().len()
    };
    assert_eq!(
        (touched(replica(0, [0, 0])), touched(replica(0, [0, 1])), touched(replica(0, [0, 1]))),
        (0, 1, 0)
    );
}
