//! Every recorded summary decodes, and no number of it is lost.

use crate::bodies::{fixtures, summaries};
use crate::handmade::{T0, assembled, grid, inventory, node};
use crate::summaries_walk::{Multiset, expected, lacking, told};
use heapster::model::entity::EntityRef;
use heapster::model::metric::Metric;
use heapster::model::report::{Part, Report, Subject};
use heapster::wire::kubelet_summary::decode;
use serde_json::Value;
use std::collections::BTreeSet;

/// Pods, containers and system containers of a report, each run counted.
fn counts(report: &Report<'_>) -> (usize, usize, usize) {
    let whole = report.rows().iter().filter(|row| row.part == Part::Whole);
    whole.fold((0, 0, 0), |(pods, containers, system), row| match row.subject {
        Subject::Pod(..) => (pods + 1, containers, system),
        Subject::Container(..) => (pods, containers + 1, system),
        Subject::Free(_) => (pods, containers, system + 1),
        Subject::Node => (pods, containers, system),
    })
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

/// The same counts of the JSON.
fn counted(body: &Value) -> (usize, usize, usize) {
    let containers = list(body, "pods").map(|pod| list(pod, "containers").count()).sum();
    (list(body, "pods").count(), containers, list(&body["node"], "systemContainers").count())
}

#[test]
fn counts_of_the_fixtures_are_those_of_their_index() {
    for fixture in fixtures("summary") {
        let summary = decode(&fixture.body).unwrap_or_else(|error| panic!("{}: {error}", fixture.path));
        let expected = (fixture.pods, fixture.containers, fixture.system_containers);
        assert_eq!(counts(&summary.report()), expected, "{}", fixture.path);
    }
}

#[test]
fn counts_of_every_body_are_those_of_its_json() {
    for (name, body) in summaries() {
        let json: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(counts(&decode(&body).unwrap().report()), counted(&json), "{name}");
    }
}

#[test]
fn of_two_runs_of_a_container_one_is_kept() {
    let mut doubles = 0;
    for (name, body) in summaries() {
        let json: Value = serde_json::from_slice(&body).unwrap();
        let names = |container: &Value, pod: &Value| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&pod["podRef"]["namespace"]), text(&pod["podRef"]["name"]), text(&container["name"]))
        };
        let distinct: BTreeSet<_> = list(&json, "pods")
            .flat_map(|pod| list(pod, "containers").map(move |container| names(container, pod)))
            .collect();
        let summary = decode(&body).unwrap();
        let made = assembled(&summary.report(), &inventory(node("n"), []), grid().last_ended(T0), None);
        let entities = made.block.layout.rows.entities();
        let kept = entities.filter(|entity| matches!(entity, EntityRef::PodContainer(..))).count();
        assert_eq!(kept, distinct.len(), "{name}");
        let runs = counted(&json).1 - distinct.len();
        assert_eq!(made.tally.superseded_rows > 0, runs > 0, "{name}");
        doubles += runs;
    }
    assert!(doubles > 0 || summaries().is_empty(), "no body has a container twice: nothing was tested");
}

#[test]
fn no_number_is_lost_and_none_is_made_up() {
    for (name, body) in summaries() {
        let json: Value = serde_json::from_slice(&body).unwrap();
        let expected = expected(&json);
        assert_eq!(expected.unknown, Vec::<String>::new(), "{name}: a member that nobody reads");
        let summary = decode(&body).unwrap();
        let report = summary.report();
        let told = told(&report);
        assert!(expected.values.len() > 20, "{name}: hardly any number found");
        assert_eq!(expected.lost(&told), Vec::<String>::new(), "{name}: lost");
        assert_eq!(report.broken_leaves, expected.broken, "{name}: numbers that no metric holds");
        let mut allowed: Multiset = expected.values.clone();
        expected.folded.iter().for_each(|(key, count)| *allowed.entry(key.clone()).or_default() += count);
        let made_up: Vec<_> =
            lacking(&told, &allowed).into_iter().filter(|key| !is_summed(&json, key)).collect();
        assert_eq!(made_up, Vec::<String>::new(), "{name}: made up");
    }
}

/// Whether a value may be the sum of a network's interfaces: those of a network without numbers of its own.
fn is_summed(json: &Value, key: &str) -> bool {
    let networks = list(json, "pods").map(|pod| &pod["network"]).chain([&json["node"]["network"]]);
    let bare = |network: &Value| {
        let none = ["rxBytes", "rxErrors", "txBytes", "txErrors"].iter().all(|leaf| network[*leaf].is_null());
        none && list(network, "interfaces").next().is_some()
    };
    key.contains("Network")
        && key.contains("\"Whole\"")
        && networks.filter(|network| bare(network)).count() > 0
}

#[test]
fn traffic_without_a_default_interface_is_the_sum_of_all() {
    let mut seen = 0;
    for fixture in fixtures("summary") {
        let json: Value = serde_json::from_slice(&fixture.body).unwrap();
        let network = &json["node"]["network"];
        if !network["rxBytes"].is_null() || network["interfaces"].is_null() {
            continue;
        }
        seen += 1;
        let summary = decode(&fixture.body).unwrap();
        let report = summary.report();
        let row =
            report.rows().iter().find(|row| (row.subject, row.part) == (Subject::Node, Part::Whole)).unwrap();
        let leaves = ["rxBytes", "rxErrors", "txBytes", "txErrors"];
        let metrics =
            [Metric::NetworkRx, Metric::NetworkRxErrors, Metric::NetworkTx, Metric::NetworkTxErrors];
        for (leaf, metric) in leaves.into_iter().zip(metrics) {
            let sum = list(network, "interfaces").map(|interface| interface[leaf].as_u64().unwrap()).sum();
            assert_eq!(report.value(row, metric), Some(sum), "{}: {leaf}", fixture.path);
        }
    }
    assert!(seen > 0 || fixtures("summary").is_empty(), "no body has interfaces only: nothing was tested");
}

fn nanos(value: &Value) -> Option<u64> {
    let at = chrono::DateTime::parse_from_rfc3339(value.as_str()?).unwrap();
    u64::try_from(at.timestamp_nanos_opt()?).ok().filter(|nanos| *nanos > 0)
}

/// Start and sample times of one subject, by the JSON and by the report.
#[track_caller]
fn times_agree(name: &str, value: &Value, report: &Report<'_>, row: &heapster::model::report::ReportRow<'_>) {
    let (cpu, memory) = (nanos(&value["cpu"]["time"]), nanos(&value["memory"]["time"]));
    let of = |metric| report.value(row, metric);
    assert_eq!(of(Metric::StartTime), nanos(&value["startTime"]), "{name}: {:?}", row.subject);
    assert_eq!(of(Metric::CpuTime), cpu, "{name}: {:?}", row.subject);
    assert_eq!(of(Metric::MemoryTime).or(of(Metric::CpuTime)), memory.or(cpu), "{name}: {:?}", row.subject);
    assert_eq!(of(Metric::NetworkTime), nanos(&value["network"]["time"]), "{name}: {:?}", row.subject);
}

#[test]
fn start_and_sample_times_are_those_of_the_body() {
    for (name, body) in summaries() {
        let json: Value = serde_json::from_slice(&body).unwrap();
        let summary = decode(&body).unwrap();
        let report = summary.report();
        let mut whole = report.rows().iter().filter(|row| row.part == Part::Whole);
        times_agree(&name, &json["node"], &report, whole.next().unwrap());
        for container in list(&json["node"], "systemContainers") {
            times_agree(&name, container, &report, whole.next().unwrap());
        }
        for pod in list(&json, "pods") {
            times_agree(&name, pod, &report, whole.next().unwrap());
            for container in list(pod, "containers") {
                times_agree(&name, container, &report, whole.next().unwrap());
            }
        }
        assert!(whole.next().is_none());
    }
}

#[test]
fn local_storage_is_the_file_system_that_holds_it_or_root_and_logs() {
    for (name, body) in summaries() {
        let json: Value = serde_json::from_slice(&body).unwrap();
        let mut expected = vec![json["node"]["fs"]["usedBytes"].as_u64()];
        let of_container = |container: &Value| {
            let used = ["rootfs", "logs"].map(|part| container[part]["usedBytes"].as_u64());
            used.into_iter().flatten().reduce(|a, b| a + b)
        };
        expected.extend(list(&json["node"], "systemContainers").map(of_container));
        for pod in list(&json, "pods") {
            expected.push(pod["ephemeral-storage"]["usedBytes"].as_u64());
            expected.extend(list(pod, "containers").map(of_container));
        }
        let summary = decode(&body).unwrap();
        let report = summary.report();
        let whole = report.rows().iter().filter(|row| row.part == Part::Whole);
        let found: Vec<_> = whole.map(|row| report.value(row, Metric::EphemeralStorageUsage)).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn body_is_the_nodes_that_it_claims() {
    for (name, body) in summaries() {
        let json: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(decode(&body).unwrap().report().claimed_node, json["node"]["nodeName"].as_str(), "{name}");
    }
}
