//! Sums: of containers, pods and namespaces, for every additive metric, and at the largest number.

use crate::handmade::{
    T0, assembled, container, entities, held, inventory, keys, node, of_namespace, of_pod, pod, said, window,
};
use heapster::model::entity::Entity;
use heapster::model::inventory::{ContainerFacts, PodFacts, Resources};
use heapster::model::metric::Metric;
use heapster::model::report::{Part, Report, Subject};
use heapster::rollup::block::Block;
use heapster::rollup::carried;
use heapster::rollup::sum::{NamespaceSums, Sums};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn additive() -> Vec<Metric> {
    Metric::ALL.iter().copied().filter(|metric| metric.descriptor().is_additive()).collect()
}

/// A value for every additive metric. The rate is given in the kubelet's own measure too, and both agree.
fn values(of: impl Fn(usize) -> u64) -> Vec<(Metric, u64)> {
    let all = additive().into_iter().enumerate().map(|(at, metric)| (metric, of(at)));
    let mut all: Vec<_> = all.collect();
    let rate = all.iter().find(|(metric, _)| *metric == Metric::CpuUsageRate).unwrap().1;
    for (metric, held) in &mut all {
        if *metric == Metric::CpuUsageNanocores {
            *held = rate * 1_000_000;
        }
    }
    all
}

#[test]
fn originals_six_and_the_designs_are_additive() {
    let names: Vec<_> = additive().iter().map(|metric| metric.descriptor().name).collect();
    let expected = [
        "cpu/usage_rate",
        "memory/usage",
        "memory/working_set",
        "memory/rss",
        "memory/cache",
        "memory/page_faults_rate",
        "memory/major_page_faults_rate",
        "network/rx_rate",
        "network/tx_rate",
        "network/rx_errors_rate",
        "network/tx_errors_rate",
        "ephemeral_storage/usage",
        "cpu/request",
        "cpu/limit",
        "memory/request",
        "memory/limit",
        "ephemeral_storage/request",
        "ephemeral_storage/limit",
        "restart_count",
    ];
    for name in expected {
        assert!(names.contains(&name), "{name} is not summed");
    }
}

#[test]
fn every_additive_metric_reaches_namespace_and_cluster() {
    let values = values(|at| at as u64 + 1);
    let pods = [Subject::Container("a", "x", "main"), Subject::Pod("a", "y"), Subject::Pod("b", "z")];
    let report = said(&pods.map(|subject| (subject, &values[..])));
    let made = assembled(&report, &inventory(node("node-1"), []), window(0), None);
    let sums = made.sums.pack(window(0), T0, None);
    for (metric, own) in values {
        assert_eq!(held(&made.block, &of_pod("a", "x"), metric), Some(own), "{metric:?} of the pod");
        let of = |entity| held(&sums, &entity, metric);
        let found = [of(of_namespace("a")), of(of_namespace("b")), of(Entity::Cluster)];
        assert_eq!(found, [2 * own, own, 3 * own].map(Some), "{metric:?}");
    }
}

#[test]
fn sums_stay_at_the_largest_number() {
    // Of rates it is either this one or the kubelet's own that counts.
    for left_out in [Metric::CpuUsageRate, Metric::CpuUsageNanocores] {
        let huge = additive().into_iter().filter(|metric| *metric != left_out);
        stays_at_the_largest_number(&huge.map(|metric| (metric, u64::MAX - 1)).collect::<Vec<_>>());
    }
}

fn stays_at_the_largest_number(huge: &[(Metric, u64)]) {
    let report = said(&[
        (Subject::Container("a", "x", "one"), huge),
        (Subject::Container("a", "x", "two"), huge),
        (Subject::Pod("b", "y"), huge),
        (Subject::Pod("b", "z"), &[(Metric::MemoryUsage, 1)]),
    ]);
    let made = assembled(&report, &inventory(node("node-1"), []), window(0), None);
    let sums = made.sums.pack(window(0), T0, None);
    for (metric, own) in huge.iter().copied() {
        assert_eq!(held(&made.block, &of_pod("a", "x"), metric), Some(u64::MAX), "{metric:?}");
        let in_b = if metric == Metric::MemoryUsage { u64::MAX } else { own };
        assert_eq!(held(&sums, &of_namespace("b"), metric), Some(in_b), "{metric:?}");
        assert_eq!(held(&sums, &Entity::Cluster, metric), Some(u64::MAX), "{metric:?}");
    }
}

#[test]
fn free_containers_and_the_node_itself_are_in_no_sum() {
    let usage: &[(Metric, u64)] = &[(Metric::MemoryUsage, 1_000)];
    let report = said(&[
        (Subject::Node, usage),
        (Subject::Free("kubelet"), usage),
        (Subject::Pod("a", "x"), &[(Metric::MemoryUsage, 3)]),
    ]);
    let made = assembled(&report, &inventory(node("node-1"), []), window(0), None);
    let sums = made.sums.pack(window(0), T0, None);
    assert_eq!(held(&sums, &Entity::Cluster, Metric::MemoryUsage), Some(3));
    assert_eq!(entities(&sums.layout.rows), [Entity::Cluster, of_namespace("a")]);
}

#[test]
fn labelled_parts_are_in_no_sum() {
    let mut report = Report::default();
    let values = [(Part::Whole, 5), (Part::Interface("eth0"), 5), (Part::Interface("eth1"), 70)];
    for (part, held) in values {
        report.begin(Subject::Pod("a", "x"), part);
        report.push(Metric::NetworkRxRate, held);
    }
    let made = assembled(&report, &inventory(node("node-1"), []), window(0), None);
    let sums = made.sums.pack(window(0), T0, None);
    assert_eq!(held(&sums, &of_namespace("a"), Metric::NetworkRxRate), Some(5));
}

/// One container or pod as a random report tells it: a value or none for each additive metric.
type Told = Vec<Option<u64>>;

#[derive(Clone, Debug)]
struct RandomPod {
    namespace: u8,
    own: Option<Told>,
    containers: Vec<(Told, u64, Option<u64>)>,
    known: bool,
    host_network: bool,
}

fn told() -> impl Strategy<Value = Told> {
    let value = prop_oneof![8 => 0..1_000_000_u64, 1 => any::<u64>(), 1 => Just(u64::MAX)];
    prop::collection::vec(prop::option::weighted(0.6, value), additive().len())
}

fn random_pod() -> impl Strategy<Value = RandomPod> {
    let containers = prop::collection::vec((told(), 0..5_000_u64, prop::option::of(0..9_u64)), 1..4);
    (0..3_u8, prop::option::of(told()), containers, any::<bool>(), any::<bool>()).prop_map(
        |(namespace, own, containers, known, host_network)| RandomPod {
            namespace,
            own,
            containers,
            known,
            host_network,
        },
    )
}

/// The kubelet's own rate, which serves where there is no counter, as here.
fn nanocores(told: &Told) -> Option<u64> {
    told[additive().iter().position(|metric| *metric == Metric::CpuUsageNanocores).unwrap()]
}

/// What a container has of a metric: what was told, but what the spec says where it is known.
fn of_container(
    pod: &RandomPod,
    container: &(Told, u64, Option<u64>),
    at: usize,
    metric: Metric,
) -> Option<u64> {
    let (told, requested, restarts) = container;
    let name = metric.descriptor().name;
    match metric {
        Metric::RestartCount if pod.known && restarts.is_some() => *restarts,
        Metric::CpuRequest if pod.known => Some(*requested),
        Metric::CpuUsageRate => nanocores(told).map(|own| own / 1_000_000).or(told[at]),
        _ if pod.known && (name.ends_with("/request") || name.ends_with("/limit")) => Some(0),
        _ => told[at],
    }
}

fn expected_of_pod(pod: &RandomPod, at: usize, metric: Metric) -> Option<u64> {
    let own = pod.own.as_ref().and_then(|own| match metric {
        Metric::CpuUsageRate => nanocores(own).map(|own| own / 1_000_000).or(own[at]),
        _ => own[at],
    });
    let values = pod.containers.iter().filter_map(|container| of_container(pod, container, at, metric));
    own.or_else(|| values.reduce(u64::saturating_add))
}

fn facts(pod_name: &str, random: &RandomPod) -> PodFacts {
    let containers = random.containers.iter().enumerate().map(|(n, (_, requested, _))| ContainerFacts {
        requests: Resources { cpu: (*requested).into(), ..Resources::default() }.into(),
        ..container(&format!("c{n}"))
    });
    let mut facts = pod(&format!("ns-{}", random.namespace), pod_name, containers);
    facts.host_network = random.host_network;
    facts.restarts = random.containers.iter().map(|(.., restarts)| (*restarts).into()).collect();
    facts
}

fn report_of<'a>(pods: &[RandomPod], names: &'a [String], spaces: &'a [String]) -> Report<'a> {
    let mut report = Report::default();
    for ((pod, name), namespace) in pods.iter().zip(names).zip(spaces) {
        let own = pod.own.iter().map(|told| (Subject::Pod(namespace, name), told));
        let parts = pod.containers.iter().zip(["c0", "c1", "c2"]);
        let parts = parts.map(|((told, ..), c)| (Subject::Container(namespace, name, c), told));
        for (subject, told) in own.chain(parts) {
            report.begin(subject, Part::Whole);
            for (metric, held) in additive().into_iter().zip(told) {
                held.iter().for_each(|held| report.push(metric, *held));
            }
        }
    }
    report
}

proptest! {
    #![proptest_config(crate::handmade::cases(150))]

    /// Of two answers of one node, the second with what else can be in one: parts, metrics of its own, other resources.
    #[test]
    fn a_block_tells_what_its_node_added(
        first in prop::collection::vec(random_pod(), 0..6),
        mut second in prop::collection::vec(random_pod(), 0..6),
        same: bool,
        pods_are_pause: bool,
    ) {
        if same {
            second.clone_from(&first);
        }
        let mut previous: Option<Block> = None;
        for (at, pods) in [(0, &first), (1, &second)] {
            let names: Vec<String> = (0..pods.len()).map(|p| format!("pod-{p}")).collect();
            let spaces: Vec<String> = pods.iter().map(|pod| format!("ns-{}", pod.namespace)).collect();
            let mut report = report_of(pods, &names, &spaces);
            report.pods_are_pause = pods_are_pause;
            for (name, namespace) in names.iter().zip(&spaces).skip(1) {
                report.push_custom("queries", 0.5);
                report.begin(Subject::Pod(namespace, name), Part::Interface("eth0"));
                report.push(Metric::NetworkRx, 1_000);
                report.begin(Subject::Pod(namespace, "only-a-part"), Part::Interface("eth0"));
                report.push(Metric::NetworkRx, 1_000);
            }
            report.begin(Subject::Node, Part::Whole);
            report.push(Metric::MemoryUsage, 1 << 40);
            report.begin(Subject::Free("kubelet"), Part::Whole);
            report.push(Metric::MemoryUsage, 1 << 30);
            let known = names.iter().zip(pods).filter(|(_, pod)| pod.known).map(|(name, pod)| {
                let mut facts = facts(name, pod);
                let mut containers = facts.containers.to_vec();
                let requests = containers[0].requests.clone();
                containers[0].requests = requests.with([("nvidia.com/gpu".into(), 3)]);
                facts.containers = containers.into();
                facts
            });
            let made = assembled(&report, &inventory(node("node-1"), known), window(at), previous.as_ref());
            let mut again = NamespaceSums::default();
            carried::add(&made.block, &mut again);
            prop_assert_eq!(&again, &made.sums);
            // On top of what others added.
            let mut twice = made.sums.clone();
            twice.add_all(&made.sums);
            carried::add(&made.block, &mut again);
            prop_assert_eq!(again, twice);
            previous = Some(made.block);
        }
    }

    #[test]
    fn cluster_is_the_sum_of_namespaces_and_they_of_pods(nodes in prop::collection::vec(prop::collection::vec(random_pod(), 0..6), 1..4)) {
        let mut all = NamespaceSums::default();
        let mut expected: BTreeMap<(Entity, Metric), u64> = BTreeMap::new();
        let mut add = |entity: Entity, metric, held: u64| {
            let sum = expected.entry((entity, metric)).or_insert(0);
            *sum = sum.saturating_add(held);
        };
        for (n, pods) in nodes.iter().enumerate() {
            let names: Vec<String> = (0..pods.len()).map(|p| format!("pod-{n}-{p}")).collect();
            let spaces: Vec<String> = pods.iter().map(|pod| format!("ns-{}", pod.namespace)).collect();
            let report = report_of(pods, &names, &spaces);
            let known = names.iter().zip(pods).filter(|(_, pod)| pod.known).map(|(name, pod)| facts(name, pod));
            let made = assembled(&report, &inventory(node(&format!("node-{n}")), known), window(0), None);
            for ((pod, name), namespace) in pods.iter().zip(&names).zip(&spaces) {
                for (at, metric) in additive().into_iter().enumerate() {
                    let value = expected_of_pod(pod, at, metric);
                    prop_assert_eq!(held(&made.block, &of_pod(namespace, name), metric), value, "{:?} of {}", metric, name);
                    let twice = pod.known && pod.host_network && metric.descriptor().name.starts_with("network/");
                    if let (Some(held), false) = (value, twice) {
                        add(of_namespace(namespace), metric, held);
                        add(Entity::Cluster, metric, held);
                    }
                }
            }
            all.add_all(&made.sums);
        }
        let sums = all.pack(window(0), T0, None);
        let mut read = BTreeMap::new();
        let rows = keys(&sums.layout.rows);
        sums.for_each(|row, key, held| {
            if let heapster::model::metric::MetricKey::Known(metric) = key {
                read.insert((rows[row].0.clone(), *metric), held);
            }
        });
        prop_assert_eq!(read.len(), sums.points());
        prop_assert_eq!(&read, &expected);
        for metric in additive() {
            let namespaces = read.iter().filter(|((entity, of), _)| *of == metric && *entity != Entity::Cluster);
            let sum = namespaces.map(|(_, held)| *held).reduce(u64::saturating_add);
            prop_assert_eq!(read.get(&(Entity::Cluster, metric)).copied(), sum, "{:?}", metric);
        }
    }

    #[test]
    fn sums_do_not_depend_on_the_order(values in prop::collection::vec((0_usize..5, any::<u64>()), 0..20)) {
        let (mut forwards, mut backwards) = (Sums::default(), Sums::default());
        let metrics = additive();
        values.iter().for_each(|(at, held)| forwards.add(metrics[*at], *held));
        values.iter().rev().for_each(|(at, held)| backwards.add(metrics[*at], *held));
        prop_assert_eq!(&forwards, &backwards);
        let mut twice = forwards.clone();
        twice.add_all(&Sums::default());
        prop_assert_eq!(twice, forwards, "adding nothing changes nothing");
    }
}
