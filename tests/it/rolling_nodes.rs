//! What a node has, how much of it is used, and rates against the answer before.

use crate::handmade::{
    T0, assembled, container, grid, held, inventory, node, of_container, of_namespace, of_node, of_pod, pod,
    resources, said, window,
};
use heapster::model::entity::{Entity, EntityRef, Name};
use heapster::model::inventory::{ContainerFacts, NodeFacts, PodFacts, Resources};
use heapster::model::metric::{Metric, RATED, Value};
use heapster::model::report::{Part, Report, Subject};
use heapster::rollup::node::Tally;
use heapster::rollup::rate::{NoRate, Sample, rate};
use std::sync::Arc;
use std::time::Duration;

const POD: Subject<'static> = Subject::Pod("shop", "web");
const MAIN: Subject<'static> = Subject::Container("shop", "web", "main");

/// Capacity, allocatable, utilization, reservation; usage and request: of each resource.
const RESOURCES: [([Metric; 4], Metric, Metric); 3] = [
    (
        [
            Metric::CpuNodeCapacity,
            Metric::CpuNodeAllocatable,
            Metric::CpuNodeUtilization,
            Metric::CpuNodeReservation,
        ],
        Metric::CpuUsageRate,
        Metric::CpuRequest,
    ),
    (
        [
            Metric::MemoryNodeCapacity,
            Metric::MemoryNodeAllocatable,
            Metric::MemoryNodeUtilization,
            Metric::MemoryNodeReservation,
        ],
        Metric::MemoryUsage,
        Metric::MemoryRequest,
    ),
    (
        [
            Metric::EphemeralStorageNodeCapacity,
            Metric::EphemeralStorageNodeAllocatable,
            Metric::EphemeralStorageNodeUtilization,
            Metric::EphemeralStorageNodeReservation,
        ],
        Metric::EphemeralStorageUsage,
        Metric::EphemeralStorageRequest,
    ),
];

fn requesting(name: &str, requests: Resources) -> PodFacts {
    pod("shop", name, [ContainerFacts { requests: requests.into(), ..container("main") }])
}

#[test]
fn node_shows_what_it_has_and_what_share_is_used_and_requested() {
    let facts = NodeFacts {
        capacity: resources(4_000, 16_000_000_000, 100_000),
        allocatable: resources(3_000, 12_000_000_000, 70_000),
        ..node("node-1")
    };
    let used = [1_000_u64, 5_000_000_000, 10_000];
    let requests = [resources(500, 1_000_000, 7_000), resources(250, 2_000_000, 0)];
    let pods = ["a", "b"].into_iter().zip(requests).map(|(name, requests)| requesting(name, requests));
    let inventory = inventory(facts.clone(), pods);
    let usage: Vec<_> = RESOURCES.iter().zip(used).map(|((_, usage, _), held)| (*usage, held)).collect();
    let report =
        said(&[(Subject::Node, &usage), (Subject::Pod("shop", "a"), &[]), (Subject::Pod("shop", "b"), &[])]);
    let block = assembled(&report, &inventory, window(0), None).block;
    let amounts =
        |of: &Resources| [of.cpu, of.memory, of.ephemeral_storage].map(|amount| amount.get().unwrap());
    for (n, ([capacity, allocatable, utilization, reservation], _, request)) in RESOURCES.iter().enumerate() {
        let requested: u64 = requests.iter().map(|of| amounts(of)[n]).sum();
        let shown = |metric: &Metric| {
            metric.descriptor().form.show(held(&block, &of_node("node-1"), *metric).unwrap())
        };
        let of = amounts(&facts.allocatable)[n] as f64;
        let share = |part: u64| Value::Float((part as f64 / of * 1e6).round() / 1e6);
        assert_eq!(shown(request), Value::Integer(requested));
        assert_eq!(shown(capacity), Value::Float(amounts(&facts.capacity)[n] as f64));
        assert_eq!(shown(allocatable), Value::Float(of));
        assert_eq!(shown(utilization), share(used[n]));
        assert_eq!(shown(reservation), share(requested));
    }
}

#[test]
fn shares_of_nothing_are_left_out() {
    let empty = NodeFacts { capacity: resources(0, 0, 0), allocatable: resources(0, 0, 0), ..node("node-1") };
    let unknown = node("node-1");
    for (facts, told) in [(empty, Some(0)), (unknown, None)] {
        let inventory = inventory(facts, []);
        let usage: Vec<_> = RESOURCES.iter().map(|(_, usage, _)| (*usage, 5)).collect();
        let block = assembled(&said(&[(Subject::Node, &usage)]), &inventory, window(0), None).block;
        for ([capacity, allocatable, utilization, reservation], ..) in RESOURCES {
            let of = |metric| held(&block, &of_node("node-1"), metric);
            assert_eq!([of(capacity), of(allocatable)], [told; 2]);
            assert_eq!([of(utilization), of(reservation)], [None; 2], "nothing is divided by 0");
        }
    }
}

#[test]
fn share_above_the_whole_is_shown_as_it_is() {
    let facts = NodeFacts { allocatable: resources(1_000, 1, 1), ..node("node-1") };
    let report = said(&[(Subject::Node, &[(Metric::CpuUsageRate, 2_500), (Metric::MemoryUsage, u64::MAX)])]);
    let block = assembled(&report, &inventory(facts, []), window(0), None).block;
    assert_eq!(held(&block, &of_node("node-1"), Metric::CpuNodeUtilization), Some(2_500_000));
    assert_eq!(
        held(&block, &of_node("node-1"), Metric::MemoryNodeUtilization),
        None,
        "no share is that large"
    );
}

#[test]
fn traffic_of_pods_on_the_hosts_network_is_not_added_a_second_time() {
    let additive = Metric::ALL.iter().copied().filter(|metric| metric.descriptor().is_additive());
    let values: Vec<_> = additive
        .map(|metric| (metric, if metric == Metric::CpuUsageNanocores { 10_000_000 } else { 10 }))
        .collect();
    let mut on_host = pod("shop", "proxy", []);
    on_host.host_network = true;
    let inventory = inventory(node("node-1"), [on_host, pod("shop", "web", [])]);
    let report = said(&[(POD, &values), (Subject::Pod("shop", "proxy"), &values)]);
    let made = assembled(&report, &inventory, window(0), None);
    let sums = made.sums.pack(window(0), T0, None);
    for (metric, own) in values {
        let traffic = metric.descriptor().name.starts_with("network/");
        let expected = if traffic { own } else { 2 * own };
        assert_eq!(held(&sums, &of_namespace("shop"), metric), Some(expected), "{metric:?}");
        assert_eq!(held(&made.block, &of_pod("shop", "proxy"), metric), Some(own), "the pod shows its own");
    }
}

/// Two answers 20 s apart, of which the kubelet says that it read the figures at these seconds after [`T0`].
fn twice(
    rows: [&[(Metric, u64)]; 2],
    subject: Subject<'_>,
) -> (Arc<heapster::rollup::block::Block>, heapster::rollup::node::Assembled) {
    let inventory = inventory(node("node-1"), []);
    let first = Arc::new(assembled(&said(&[(subject, rows[0])]), &inventory, window(0), None).block);
    let second = assembled(&said(&[(subject, rows[1])]), &inventory, window(1), Some(&first));
    (first, second)
}

fn at(second: i64) -> u64 {
    (T0.nanos() + second * 1_000_000_000) as u64
}

#[test]
fn every_counter_is_rated_over_the_kubelets_own_instants() {
    for rated in RATED {
        let sample = |value, second| {
            let at = heapster::model::time::Timestamp::from_nanos(at(second) as i64);
            Sample { value, at, start: None }
        };
        let (before, after) = (sample(5_000, 3), sample(90_000_000_017, 26));
        let row = |sample: Sample| [(rated.counter, sample.value), (rated.time, sample.at.nanos() as u64)];
        let (_, made) = twice([&row(before), &row(after)], POD);
        let expected = rate(Some(before), after, grid()).unwrap().held_as(rated.rate.descriptor().unit);
        assert_eq!(held(&made.block, &of_pod("shop", "web"), rated.rate), Some(expected), "{rated:?}");
    }
}

#[test]
fn figures_without_their_own_instant_go_by_the_others_or_by_the_scrape() {
    let faults = |value, time: Option<(Metric, u64)>| {
        std::iter::once((Metric::MemoryPageFaults, value)).chain(time).collect::<Vec<_>>()
    };
    let expected = |seconds: u64| 7_000 * 1_000 / seconds;
    let pair = [faults(0, Some((Metric::CpuTime, at(0)))), faults(7_000, Some((Metric::CpuTime, at(14))))];
    let (_, made) = twice([&pair[0], &pair[1]], POD);
    assert_eq!(held(&made.block, &of_pod("shop", "web"), Metric::MemoryPageFaultsRate), Some(expected(14)));
    let (_, made) = twice([&faults(0, None), &faults(7_000, None)], POD);
    let apart = grid().duration().as_secs();
    let rate = held(&made.block, &of_pod("shop", "web"), Metric::MemoryPageFaultsRate).unwrap();
    assert!(rate.abs_diff(expected(apart)) <= 1, "{rate} over the {apart} s between the scrapes");
}

#[test]
fn same_instant_keeps_the_last_rate_and_counts_it() {
    let inventory = inventory(node("node-1"), []);
    let mut previous = None;
    let mut rates = Vec::new();
    for (k, (value, second)) in [(0, 0), (30_000, 10), (30_000, 10), (30_000, 10)].into_iter().enumerate() {
        let report = said(&[(POD, &[(Metric::NetworkRx, value), (Metric::NetworkTime, at(second))])]);
        let made = assembled(&report, &inventory, window(k as i64), previous.as_ref());
        let withheld: u64 = made.tally.no_rate.iter().sum();
        rates.push((held(&made.block, &of_pod("shop", "web"), Metric::NetworkRxRate), withheld));
        previous = Some(made.block);
    }
    let held = Some(30_000 / 10 * 1_000);
    assert_eq!(rates, [(None, 1), (held, 0), (held, 1), (held, 1)]);
}

#[test]
fn withheld_rates_are_counted_by_their_reason() {
    let row = |value, second| [(Metric::NetworkRx, value), (Metric::NetworkTime, at(second))];
    let cases = [
        (row(10, 0), row(9, 10), NoRate::Reset),
        (row(10, 10), row(20, 0), NoRate::Backwards),
        (row(10, 10), row(10, 10), NoRate::SameInstant),
    ];
    for (before, after, reason) in cases {
        let (_, made) = twice([&before, &after], POD);
        let mut no_rate = [0; NoRate::ALL.len()];
        no_rate[NoRate::ALL.iter().position(|each| *each == reason).unwrap()] = 1;
        assert_eq!(made.tally, Tally { no_rate, ..Tally::default() });
        assert_eq!(held(&made.block, &of_pod("shop", "web"), Metric::NetworkRxRate), None);
    }
}

#[test]
fn container_started_since_the_last_answer_is_rated_from_its_start() {
    let c = Subject::Container("shop", "web", "main");
    let row = |start, usage, second| {
        [(Metric::StartTime, at(start)), (Metric::CpuUsage, usage), (Metric::CpuTime, at(second))]
    };
    let (_, made) = twice([&row(-500, 9_000_000_000, 0), &row(5, 4_000_000_000, 25)], c);
    let expected = 4_000_000_000_u64 / 20 / 1_000_000;
    assert_eq!(held(&made.block, &of_container("shop", "web", "main"), Metric::CpuUsageRate), Some(expected));
    assert_eq!(made.tally, Tally::default());
}

#[test]
fn kubelets_own_rate_serves_where_there_is_no_counter() {
    let (_, made) = twice([&[], &[(Metric::CpuUsageNanocores, 1_999_999)]], POD);
    assert_eq!(held(&made.block, &of_pod("shop", "web"), Metric::CpuUsageRate), Some(1));
    let counted = [(Metric::CpuUsage, 5), (Metric::CpuUsageNanocores, 700_000_000)];
    let (_, made) = twice([&[], &counted], POD);
    assert_eq!(held(&made.block, &of_pod("shop", "web"), Metric::CpuUsageRate), None, "first sample");
}

#[test]
fn rates_follow_their_rows_when_others_come_and_go() {
    let inventory = inventory(node("node-1"), []);
    let row = |value, second| [(Metric::NetworkRx, value), (Metric::NetworkTime, at(second))];
    let (x, y, z) = (Subject::Pod("a", "x"), Subject::Pod("b", "y"), Subject::Pod("c", "z"));
    let first = assembled(&said(&[(x, &row(1_000, 0)), (z, &row(50, 0))]), &inventory, window(0), None).block;
    let report = said(&[(y, &row(77, 10)), (z, &row(150, 10))]);
    let second = assembled(&report, &inventory, window(1), Some(&first)).block;
    assert_eq!(held(&second, &of_pod("c", "z"), Metric::NetworkRxRate), Some(100 * 1_000 / 10));
    assert_eq!(held(&second, &of_pod("b", "y"), Metric::NetworkRxRate), None);
    let third = assembled(&report, &inventory, window(2), Some(&second)).block;
    assert!(Arc::ptr_eq(&second.layout.rows, &third.layout.rows), "same rows are shared");
    assert_eq!(third.scraped_at, window(2).end().after(Duration::from_secs(1)));
}

#[test]
fn a_pod_is_not_rated_against_another_one_of_its_name() {
    let of_uid = |uid: &str| PodFacts { uid: uid.into(), ..pod("shop", "web", [container("main")]) };
    let known = |uid| inventory(node("node-1"), [of_uid(uid), pod("shop", "other", [])]);
    let other = Subject::Pod("shop", "other");
    let row = |value, second| [(Metric::CpuUsage, value), (Metric::CpuTime, at(second))];
    let told = |value, second| {
        let row = row(value, second);
        said(&[(POD, &row), (MAIN, &row), (other, &row), (Subject::Node, &row)])
    };
    for (before, after, is_same) in [("a", "b", false), ("a", "a", true), ("", "b", true), ("a", "", true)] {
        let (before, after) = (known(before), known(after));
        let first = assembled(&told(1_000_000_000, 0), &before, window(0), None).block;
        let made = assembled(&told(3_000_000_000, 10), &after, window(1), Some(&first));
        let rate = |entity: &Entity| held(&made.block, entity, Metric::CpuUsageRate);
        let expected = is_same.then_some(200);
        assert_eq!(rate(&of_pod("shop", "web")), expected);
        assert_eq!(rate(&of_container("shop", "web", "main")), expected);
        assert_eq!([rate(&of_pod("shop", "other")), rate(&of_node("node-1"))], [Some(200); 2]);
        let firsts = NoRate::ALL.iter().position(|each| *each == NoRate::First).unwrap();
        assert_eq!(made.tally.no_rate[firsts], if is_same { 0 } else { 2 });
        let third = assembled(&told(4_000_000_000, 20), &after, window(2), Some(&made.block));
        assert_eq!(held(&third.block, &of_pod("shop", "web"), Metric::CpuUsageRate), Some(100));
    }
}

#[test]
fn names_are_the_inventorys_as_soon_as_it_has_them() {
    let report = |metric| said(&[(POD, &[(metric, 1)])]);
    let unknown = inventory(node("node-1"), []);
    let known = inventory(node("node-1"), [pod("shop", "web", [])]);
    let own = &known.pods.get("shop", "web").expect("the pod is there").name;
    let first = assembled(&report(Metric::MemoryUsage), &unknown, window(0), None).block;
    let second = assembled(&report(Metric::CpuUsage), &known, window(1), Some(&first)).block;
    let pods = |block: &heapster::rollup::block::Block| {
        block.layout.rows.pods().map(|(_, pod)| pod.clone()).collect::<Vec<_>>()
    };
    assert!(pods(&first).iter().all(|name| name == own && !Name::ptr_eq(name, own)), "nobody knew the pod");
    assert!(pods(&second).iter().all(|name| Name::ptr_eq(name, own)) && pods(&second).len() == 1);
    let third = assembled(&report(Metric::CpuUsage), &known, window(2), Some(&second)).block;
    assert!(Arc::ptr_eq(&second.layout.rows, &third.layout.rows), "and then they stay");
}

/// Where the names of an entity are.
fn addresses(entity: EntityRef<'_>) -> Vec<*const str> {
    match entity {
        EntityRef::Cluster => vec![],
        EntityRef::Namespace(name) | EntityRef::Node(name) => vec![name],
        EntityRef::FreeContainer(first, name) | EntityRef::Pod(first, name) => vec![first, name],
        EntityRef::PodContainer(namespace, pod, container) => vec![namespace, pod, container],
    }
}

#[test]
fn table_with_another_pod_shares_the_rest_with_the_one_before() {
    let inventory = inventory(node("node-1"), [pod("shop", "known", [])]);
    let report = |other| {
        let mut report = Report::default();
        for (subject, part) in [
            (Subject::Node, Part::Whole),
            (Subject::Node, Part::Interface("eth0")),
            (Subject::Node, Part::Accelerator("make", "model", "0")),
            (Subject::Free("kubelet"), Part::Whole),
            (Subject::Pod("shop", "known"), Part::Whole),
            (Subject::Pod("shop", "known"), Part::Interface("eth0")),
            (Subject::Container("shop", "stranger", "main"), Part::Whole),
            (Subject::Container("shop", "stranger", "main"), Part::Resource("Volume:", "data")),
            (Subject::Pod("shop", other), Part::Whole),
            (Subject::Pod("shop", other), Part::Resource("Volume:", other)),
        ] {
            report.begin(subject, part);
            report.push(Metric::MemoryUsage, 1);
        }
        report
    };
    let before = assembled(&report("old"), &inventory, window(0), None).block;
    let after = assembled(&report("new"), &inventory, window(1), Some(&before)).block;
    let (before, after) = (&before.layout.rows, &after.layout.rows);
    let mut others = 0;
    for (entity, labels) in after.iter().filter(|(entity, _)| *entity != EntityRef::Pod("shop", "new")) {
        let (held, held_labels) = before.key(before.find(entity, labels).unwrap()).unwrap();
        assert_eq!(addresses(entity), addresses(held), "{entity}");
        assert!(labels.zip(held_labels).is_none_or(|(own, held)| own.is(held)), "{entity} {labels:?}");
        others += 1;
    }
    assert_eq!(others, after.len() - 2, "all but the new pod and its volume");
}
