//! Blocks made of the legacy source's answers: a pod is its pause container and its containers, a namespace its pods,
//! the cluster its namespaces, where the original showed pause containers alone.

use crate::handmade::{
    T0, assembled, container, held, held_as, held_part, inventory, node, of_container, of_free, of_namespace,
    of_node, of_pod, pod, resources, window,
};
use crate::legacy::real;
use crate::legacy_walk::subject;
use heapster::model::entity::{Entity, Labels};
use heapster::model::inventory::{ContainerFacts, NodeInventory};
use heapster::model::metric::{Metric as M, MetricKey};
use heapster::model::report::Subject;
use heapster::rollup::block::Block;
use heapster::rollup::node::{Assembled, Tally, unknown_pods};
use heapster::wire::kubelet_stats::decode;
use heapster::wire::rfc3339;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Millicores, bytes and page faults a second of each container of the hand-made node: namespace, pod, name.
const RUNS: [(&str, &str, &str, [u64; 3]); 9] = [
    ("shop", "web", "POD", [3, 100, 1]),
    ("shop", "web", "c1", [250, 2_000, 10]),
    ("shop", "web", "c2", [40, 30_000, 200]),
    // No pause container is reported.
    ("shop", "api", "app", [500, 7_000, 4]),
    ("shop", "api", "side", [60, 800, 5]),
    // Nothing but the pause container runs.
    ("ops", "dns", "POD", [2, 90, 0]),
    ("", "", "/", [900, 1_000_000, 5_000]),
    ("", "", "/docker-daemon", [90, 400_000, 700]),
    ("", "", "/kubelet", [80, 300_000, 600]),
];
/// Bytes a second that come in by each interface.
const RECEIVED: [(&str, u64); 2] = [("eth0", 700), ("eth1", 300)];
/// What the pause container's disk reads a second.
const READ: u64 = 4_096;

/// What the node answers with samples of so many seconds after [`T0`].
fn answer(second: u64) -> Value {
    let at = |second: u64| rfc3339::format(T0.after(Duration::from_secs(second)));
    let count = |rate: u64| rate * (1_000 + second);
    let infos = RUNS.into_iter().enumerate().map(|(n, (namespace, pod, name, [millicores, bytes, faults]))| {
        let labels = json!({"io.kubernetes.container.name": name, "io.kubernetes.pod.name": pod, "io.kubernetes.pod.namespace": namespace});
        let interface = |(name, rate): (&str, u64)| json!({"name": name, "rx_bytes": count(rate), "tx_bytes": count(2 * rate)});
        let interfaces: Value = match name {
            "POD" => RECEIVED.map(interface).into(),
            // A container in the same network tells the same once more.
            _ => vec![interface(("eth0", 77))].into(),
        };
        let info = json!({
            "name": if namespace.is_empty() { name } else { "/docker/abc" },
            "spec": {"labels": if namespace.is_empty() { Value::Null } else { labels }, "creation_time": "2026-11-20T00:00:00Z",
                "custom_metrics": [{"name": "qps", "type": "gauge", "format": "int"}]},
            "stats": [{
                "timestamp": at(second),
                "cpu": {"usage": {"total": count(millicores * 1_000_000)}},
                "memory": {"usage": bytes, "working_set": bytes + 1, "rss": bytes + 2, "cache": bytes + 3, "swap": bytes + 4,
                    "container_data": {"pgfault": count(faults), "pgmajfault": count(2 * faults)}},
                "network": {"interfaces": interfaces},
                "filesystem": [{"device": "/dev/sda", "usage": bytes + 5}],
                "diskio": {"io_service_bytes": [{"device": "/dev/sda", "major": 8, "minor": 0, "stats": {"Read": count(READ), "Write": 0}}]},
                "custom_metrics": {"qps": [{"timestamp": at(second), "int_value": bytes}]},
            }],
        });
        (n.to_string(), info)
    });
    infos.collect()
}

fn made(body: &Value, inventory: &Arc<NodeInventory>, n: i64, previous: Option<&Block>) -> Assembled {
    let text = body.to_string();
    let stats = decode(text.as_bytes()).unwrap();
    assembled(&stats.report(), inventory, window(n), previous)
}

/// The blocks of two answers a minute apart, whose samples are 50 s apart, and of the second one once more.
fn three() -> [Assembled; 3] {
    let inventory = inventory(node("n"), []);
    let first = made(&answer(0), &inventory, 0, None);
    let second = made(&answer(50), &inventory, 2, Some(&first.block));
    let third = made(&answer(50), &inventory, 3, Some(&second.block));
    [first, second, third]
}

/// The sum over those of `RUNS` that are wanted.
fn sum(wanted: impl Fn(&str, &str, &str) -> bool, which: usize) -> u64 {
    RUNS.iter()
        .filter(|(namespace, pod, name, _)| wanted(namespace, pod, name))
        .map(|(.., of)| of[which])
        .sum()
}

/// Every sum of memory and of rates of some of `RUNS`, as held, and how many they are.
fn sums(wanted: impl Fn(&str, &str, &str) -> bool) -> [(M, u64); 8] {
    let count = RUNS.iter().filter(|(namespace, pod, name, _)| wanted(namespace, pod, name)).count() as u64;
    let [millicores, bytes, faults] = [0, 1, 2].map(|which| sum(&wanted, which));
    [
        (M::CpuUsageRate, millicores),
        (M::MemoryUsage, bytes),
        (M::MemoryWorkingSet, bytes + count),
        (M::MemoryRss, bytes + 2 * count),
        (M::MemoryCache, bytes + 3 * count),
        (M::SwapUsage, bytes + 4 * count),
        (M::MemoryPageFaultsRate, 1_000 * faults),
        (M::MemoryMajorPageFaultsRate, 2_000 * faults),
    ]
}

#[track_caller]
fn assert_held(block: &Block, entity: &Entity, expected: &[(M, u64)]) {
    for (metric, value) in expected {
        assert_eq!(held(block, entity, *metric), Some(*value), "{entity}: {metric:?}");
    }
}

#[test]
fn pods_are_their_pause_container_and_their_containers() {
    let [_, second, _] = three();
    for (namespace, pod) in [("shop", "web"), ("shop", "api"), ("ops", "dns")] {
        assert_held(&second.block, &of_pod(namespace, pod), &sums(|n, p, _| (n, p) == (namespace, pod)));
    }
    for (namespace, pod, name, _) in
        RUNS.iter().filter(|(namespace, _, name, _)| !namespace.is_empty() && *name != "POD")
    {
        let expected = sums(|n, p, c| (n, p, c) == (namespace, pod, name));
        assert_held(&second.block, &of_container(namespace, pod, name), &expected);
    }
    assert_held(&second.block, &of_node("n"), &sums(|_, _, name| name == "/"));
    assert_held(&second.block, &of_free("n", "kubelet"), &sums(|_, _, name| name == "/kubelet"));
    assert_held(&second.block, &of_pod("shop", "web"), &[(M::CpuUsageRate, 293), (M::MemoryUsage, 32_100)]);
    // A pod's counters are its pause container's, and nobody's where none is reported.
    let counters = [M::CpuUsage, M::MemoryPageFaults, M::Uptime, M::NetworkRx];
    let of = |pod: &str| counters.map(|metric| held(&second.block, &of_pod("shop", pod), metric));
    let uptime =
        window(2).end().after(Duration::from_secs(1)).since(rfc3339::parse("2026-11-20T00:00:00Z").unwrap());
    assert_eq!(of("web"), [3 * 1_050_000_000, 1_050, uptime as u64 / 1_000_000, 1_000 * 1_050].map(Some));
    assert_eq!(of("api"), [None; 4]);
    // Applications measure in containers; their pods are the sums.
    let qps = |entity: &Entity| {
        held_as(&second.block, entity, &MetricKey::Custom("custom/qps".into())).map(f64::from_bits)
    };
    assert_eq!(qps(&of_container("shop", "web", "c1")), Some(2_000.0));
    assert_eq!(qps(&of_pod("shop", "api")), Some(7_800.0));
}

#[test]
fn namespaces_and_cluster_are_sums_of_pods() {
    let [first, second, _] = three();
    let above = second.sums.pack(window(2), window(2).end(), None);
    assert_held(&above, &of_namespace("shop"), &sums(|namespace, _, _| namespace == "shop"));
    assert_held(&above, &of_namespace("ops"), &sums(|namespace, _, _| namespace == "ops"));
    assert_held(&above, &Entity::Cluster, &sums(|namespace, _, _| !namespace.is_empty()));
    assert_held(&above, &Entity::Cluster, &[(M::CpuUsageRate, 855), (M::MemoryUsage, 39_990)]);
    let above = first.sums.pack(window(0), window(0).end(), None);
    assert_eq!(held(&above, &Entity::Cluster, M::CpuUsageRate), None, "no rate yet, rather than 0");
    assert_eq!(held(&above, &Entity::Cluster, M::MemoryUsage), Some(39_990));
}

#[test]
fn a_pods_traffic_is_its_pause_containers_alone() {
    let [_, second, third] = three();
    let above = second.sums.pack(window(2), window(2).end(), None);
    for block in [&second.block, &third.block] {
        for pod in [of_pod("shop", "web"), of_pod("ops", "dns")] {
            assert_held(block, &pod, &[(M::NetworkRxRate, 1_000_000), (M::NetworkTxRate, 2_000_000)]);
        }
        assert_eq!(held(block, &of_container("shop", "web", "c1"), M::NetworkRxRate), Some(77_000));
    }
    assert_held(&above, &of_namespace("ops"), &[(M::NetworkRxRate, 1_000_000)]);
}

#[test]
fn interfaces_and_disks_are_rated_by_the_instants_of_their_samples() {
    let [_, second, third] = three();
    let web = of_pod("shop", "web");
    for (what, block) in [("new samples", &second.block), ("the same once more", &third.block)] {
        let disk = Labels::new([("resource_id", "/dev/sda")]);
        assert_eq!(held_part(block, &web, &disk, M::DiskReadBytesRate), Some(1_000 * READ), "{what}");
        for (name, rate) in RECEIVED {
            let interface = Labels::new([("interface", name)]);
            assert_eq!(
                held_part(block, &web, &interface, M::NetworkRxRate),
                Some(1_000 * rate),
                "{what}: {name}"
            );
        }
    }
}

#[test]
fn the_same_sample_once_more_keeps_rates_and_adds_no_pause_container_twice() {
    let [_, second, third] = three();
    for (namespace, pod, name, _) in RUNS.iter().filter(|(.., name, _)| *name != "POD") {
        let entity = match *name {
            "/" => of_node("n"),
            free if namespace.is_empty() => of_free("n", &free[1..]),
            name => of_container(namespace, pod, name),
        };
        for rate in [M::CpuUsageRate, M::MemoryPageFaultsRate, M::MemoryMajorPageFaultsRate] {
            assert_eq!(
                held(&third.block, &entity, rate),
                held(&second.block, &entity, rate),
                "{entity}: {rate:?}"
            );
        }
    }
    let containers = sums(|namespace, pod, name| (namespace, pod) == ("shop", "web") && name != "POD");
    let rates: Vec<_> =
        containers.into_iter().filter(|(metric, _)| metric.descriptor().name.ends_with("_rate")).collect();
    assert_eq!(rates.len(), 3);
    assert_held(&third.block, &of_pod("shop", "web"), &rates);
    assert_held(&third.block, &of_pod("shop", "web"), &[(M::MemoryUsage, 32_100)]);
}

#[test]
fn containers_that_are_declared_and_do_not_run_are_there() {
    let asks = |name: &str| ContainerFacts { requests: resources(100, 1_000, 0).into(), ..container(name) };
    let pods =
        [pod("ops", "dns", [asks("dns"), asks("cache")]), pod("shop", "api", [asks("app"), asks("late")])];
    let inventory = inventory(node("n"), pods);
    let text = answer(0).to_string();
    let stats = decode(text.as_bytes()).unwrap();
    let unknown: Vec<String> =
        unknown_pods(&stats.report(), &inventory).iter().map(|pod| pod.name.to_string()).collect();
    assert_eq!(unknown, ["web"]);
    let Assembled { block, tally, .. } = made(&answer(0), &inventory, 0, None);
    assert_eq!(Tally { no_rate: [0; 5], ..tally }, Tally::default());
    for stub in [
        of_container("ops", "dns", "dns"),
        of_container("ops", "dns", "cache"),
        of_container("shop", "api", "late"),
    ] {
        let row = block.layout.rows.find(&stub, None).unwrap_or_else(|| panic!("{stub} is not there"));
        let names: BTreeSet<_> =
            block.layout.metrics_of(row).map(|metric| metric.name().to_owned()).collect();
        assert!(
            names.len() == 6
                && names.iter().all(|name| name.ends_with("/request") || name.ends_with("/limit")),
            "{stub}: {names:?}"
        );
    }
    assert_held(&block, &of_pod("ops", "dns"), &[(M::MemoryUsage, 90), (M::CpuRequest, 200)]);
    assert_held(&block, &of_pod("shop", "api"), &[(M::MemoryUsage, 7_800), (M::CpuRequest, 200)]);
    assert_held(&block, &of_node("n"), &[(M::CpuRequest, 400)]);
}

#[test]
fn of_two_runs_of_a_container_the_later_started_counts() {
    for name in ["web", "POD"] {
        let run = |created: &str, usage: u64| {
            json!({
                "name": "/docker/abc",
                "spec": {"creation_time": created, "labels": {"io.kubernetes.container.name": name, "io.kubernetes.pod.name": "p", "io.kubernetes.pod.namespace": "ns"}},
                "stats": [{"memory": {"usage": usage}}],
            })
        };
        let body = json!({"1": run("2026-11-20T10:00:00Z", 5), "2": run("2026-11-20T11:00:00Z", 70), "3": run("2026-11-20T09:00:00Z", 800)});
        let Assembled { block, tally, .. } = made(&body, &inventory(node("n"), []), 0, None);
        assert_eq!(
            (held(&block, &of_pod("ns", "p"), M::MemoryUsage), tally.superseded_rows),
            (Some(70), 2),
            "{name}"
        );
    }
}

/// The counters and gauges of a sample that sum up, by the rate or gauge that they become: the instant's nanoseconds first.
fn sampled(sample: &Value) -> (i64, [u64; 3], u64) {
    let at = chrono::DateTime::parse_from_rfc3339(sample["timestamp"].as_str().unwrap()).unwrap();
    let number = |pointer: &str| sample.pointer(pointer).and_then(Value::as_u64).unwrap();
    let counters = ["/cpu/usage/total", "/memory/container_data/pgfault", "/network/rx_bytes"].map(number);
    (at.timestamp_nanos_opt().unwrap(), counters, number("/memory/usage"))
}

#[test]
fn sums_and_rates_of_real_samples_are_those_worked_out_by_hand() {
    let Some((_, body)) = real().into_iter().find(|(name, _)| name.contains("1_1-cadvisor")) else { return };
    let part = |last: bool| -> Value {
        let mut body = body.clone();
        for info in body.as_object_mut().unwrap().values_mut() {
            let samples = info["stats"].as_array_mut().unwrap();
            let kept = if last { samples.pop() } else { samples.drain(..).next() };
            *samples = vec![kept.unwrap()];
        }
        body
    };
    let (before, after, inventory) = (part(false), part(true), inventory(node("n"), []));
    let first = made(&before, &inventory, 0, None);
    let second = made(&after, &inventory, 2, Some(&first.block));
    let mut expected = BTreeMap::<Entity, [u64; 3]>::new();
    let mut traffic = BTreeMap::<Entity, u64>::new();
    for (key, info) in after.as_object().unwrap() {
        let (then, old, _) = sampled(&before[key]["stats"][0]);
        let (now, new, memory) = sampled(&info["stats"][0]);
        let (nanos, delta) = (u128::try_from(now - then).unwrap(), |at: usize| u128::from(new[at] - old[at]));
        let milli = |at: usize| ((delta(at) * 1_000_000_000_000 + nanos / 2) / nanos) as u64;
        let values = [(delta(0) * 1_000 / nanos) as u64, milli(1), memory];
        let mut add = |entity: Entity| {
            let sums = expected.entry(entity).or_default();
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        };
        match subject(info).unwrap() {
            Subject::Node => add(of_node("n")),
            Subject::Free(name) => add(of_free("n", name)),
            Subject::Pod(namespace, pod) => {
                assert_eq!(traffic.insert(of_pod(namespace, pod), milli(2)), None, "two pause containers");
                [of_pod(namespace, pod), of_namespace(namespace), Entity::Cluster].into_iter().for_each(add);
            }
            Subject::Container(namespace, pod, name) => {
                [
                    of_container(namespace, pod, name),
                    of_pod(namespace, pod),
                    of_namespace(namespace),
                    Entity::Cluster,
                ]
                .into_iter()
                .for_each(add);
            }
        }
    }
    assert!(traffic.len() >= 5, "hardly any pod: {traffic:?}");
    let above = second.sums.pack(window(2), window(2).end(), None);
    for (entity, [cpu, faults, memory]) in &expected {
        let block =
            if matches!(entity, Entity::Namespace(_) | Entity::Cluster) { &above } else { &second.block };
        let expected =
            [(M::CpuUsageRate, *cpu), (M::MemoryPageFaultsRate, *faults), (M::MemoryUsage, *memory)];
        assert_held(block, entity, &expected);
    }
    for (pod, rate) in traffic {
        assert_held(&second.block, &pod, &[(M::NetworkRxRate, rate)]);
    }
}
