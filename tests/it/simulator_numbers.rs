//! The simulated cluster's numbers: what a body says is what the functions say, and no counter ever goes down.

use crate::simulator::NOW;
use heapster::model::time::Timestamp;
use heapster::simulator::*;
use proptest::prelude::*;
use serde_json::Value;

fn cluster(pretty: bool, psi: bool) -> SyntheticCluster {
    let born = Timestamp::from_seconds(NOW.seconds() - 3_600);
    SyntheticCluster::new(Shape { nodes: 2, pods: 12, containers: 3, pretty, psi, ..Shape::default() }, born)
}

fn body(cluster: &SyntheticCluster, at: Timestamp) -> Vec<u8> {
    let mut out = Vec::new();
    summary::write(cluster, &cluster.nodes()[0], at, &mut out);
    out
}

fn instant(text: &Value) -> Timestamp {
    let parsed = chrono::DateTime::parse_from_rfc3339(text.as_str().unwrap()).unwrap();
    Timestamp::from_seconds(parsed.timestamp())
}

#[test]
fn summaries_tell_what_the_functions_say() {
    let cluster = cluster(true, true);
    let text = body(&cluster, NOW);
    assert!(
        text.starts_with(b"{\n \"node\": {\n  \"nodeName\": \"node-1\",\n  \"systemContainers\": [\n   {\n")
    );
    let summary: Value = serde_json::from_slice(&text).unwrap();
    let node = &cluster.nodes()[0];
    let time = instant(&summary["node"]["cpu"]["time"]);
    assert!(NOW.since(time) < 4_000_000_000 && time <= NOW);
    assert_eq!(summary["node"]["cpu"]["usageCoreNanoSeconds"], node.usage(time).cpu_nanoseconds);
    assert_eq!(summary["node"]["cpu"]["usageCoreNanoSeconds"], node.cpu_nanoseconds(time));
    assert_eq!(summary["node"]["memory"]["workingSetBytes"], node.usage(time).working_set);
    assert_eq!(summary["node"]["network"]["rxBytes"], node.traffic(time).received);
    assert_eq!(summary["pods"].as_array().unwrap().len(), 12);
    let mut pressures = 0;
    for (told, pod) in summary["pods"].as_array().unwrap().iter().zip(&node.pods) {
        assert_eq!(told["podRef"]["name"], pod.name);
        let time = instant(&told["cpu"]["time"]);
        assert_eq!(told["cpu"]["usageCoreNanoSeconds"], pod.cpu_nanoseconds(time));
        assert_eq!(told["memory"]["rssBytes"], pod.usage(time).rss);
        assert_eq!(told["containers"].as_array().unwrap().len(), 3);
        for (told, container) in told["containers"].as_array().unwrap().iter().zip(&pod.containers) {
            assert_eq!(told["name"], container.name);
            let time = instant(&told["cpu"]["time"]);
            let counted = SyntheticCluster::cpu_nanoseconds(container, time);
            assert_eq!(told["cpu"]["usageCoreNanoSeconds"], counted);
            let earlier = container.cpu_nanoseconds(Timestamp::from_seconds(time.seconds() - 3));
            assert_eq!(told["cpu"]["usageNanoCores"], (counted - earlier) / 3);
            assert_eq!(told["memory"]["usageBytes"], container.usage(time).memory);
            assert_eq!(told["memory"].get("availableBytes").is_some(), container.memory_limit.is_some());
            pressures += told["cpu"]["psi"]["some"]["total"].as_u64().unwrap();
        }
    }
    assert!(pressures > 0);
}

#[test]
fn shapes_change_the_text_only() {
    let told = |pretty, psi| serde_json::from_slice::<Value>(&body(&cluster(pretty, psi), NOW)).unwrap();
    assert_eq!(told(true, true), told(false, true));
    assert!(
        told(true, false)["node"]["cpu"].get("psi").is_none()
            && told(true, false)["node"].get("io").is_none()
    );
    assert!(!body(&cluster(false, true), NOW).contains(&b'\n'));
}

#[test]
fn nothing_is_told_twice() {
    let shape = Shape { nodes: 300, pods: 9, namespaces: 7, ..Shape::default() };
    let cluster = SyntheticCluster::new(shape, NOW);
    let pods = || cluster.nodes().iter().flat_map(|node| &node.pods);
    let names: std::collections::HashSet<_> = pods().map(|pod| (&pod.namespace, &pod.name)).collect();
    let uids: std::collections::HashSet<_> = pods().map(|pod| &pod.uid).collect();
    let addresses: std::collections::HashSet<_> = cluster.nodes().iter().map(|node| node.address).collect();
    assert_eq!((names.len(), uids.len(), addresses.len()), (2_700, 2_700, 300));
    assert!(cluster.nodes().iter().all(|node| cluster.node_at(node.address).unwrap().name == node.name));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn counters_never_decrease(from in -100_i64..200_000_000, step in 0_i64..5_000, fine in 0_i64..1_000_000_000) {
        let cluster = cluster(true, true);
        let at = |seconds: i64| Timestamp::from_nanos(cluster.born().nanos() + seconds * 1_000_000_000 + fine);
        let (early, late) = (at(from), at(from + step));
        for node in cluster.nodes() {
            prop_assert!(node.cpu_nanoseconds(early) <= node.cpu_nanoseconds(late));
            prop_assert!(node.traffic(early).received <= node.traffic(late).received);
            prop_assert!(node.traffic(early).send_errors <= node.traffic(late).send_errors);
            prop_assert!(node.usage(early).page_faults <= node.usage(late).page_faults);
            prop_assert!(node.usage(early).major_page_faults <= node.usage(late).major_page_faults);
            prop_assert!(node.usage(late).working_set >= node.pods_usage(late).working_set);
            prop_assert!(node.usage(late).working_set < node.memory);
            prop_assert_eq!(node.usage(late).cpu_nanoseconds, node.cpu_nanoseconds(late));
            prop_assert!(node.cpu_nanoseconds(late) >= node.pods_usage(late).cpu_nanoseconds);
            for pod in &node.pods {
                let sum: u64 = pod.containers.iter().map(|one| SyntheticCluster::cpu_nanoseconds(one, late)).sum();
                prop_assert!(pod.usage(late).cpu_nanoseconds >= sum);
                prop_assert_eq!(pod.usage(late).cpu_nanoseconds, pod.cpu_nanoseconds(late));
                for container in &pod.containers {
                    let bytes = container.usage(late).working_set;
                    prop_assert!(container.memory_limit.is_none_or(|limit| bytes < limit));
                    prop_assert!(container.cpu_nanoseconds(early) <= container.cpu_nanoseconds(late));
                }
            }
        }
    }

    #[test]
    fn samples_are_at_most_an_interval_old(seed: u64, nanos in 1_000_000_000_000_000_000_i64..2_000_000_000_000_000_000) {
        let (cluster, at) = (cluster(true, true), Timestamp::from_nanos(nanos));
        let sample = cluster.sampled(seed, Timestamp::from_seconds(0), at);
        prop_assert!(sample <= at && at.since(sample) < 4_000_000_000);
        prop_assert_eq!(sample.nanos() % 1_000_000_000, 0);
    }
}
