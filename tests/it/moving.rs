//! The bodies of the cluster benchmark: the text of a kubelet, all of it read by the collector, every figure moving.

use crate::simulator::NOW;
use heapster::model::time::Timestamp;
use heapster::simulator::{Shape, SyntheticCluster, summary};
use serde_json::Value;

#[path = "../benches/cluster/moving.rs"]
mod body;

fn written(psi: bool, pretty: bool) -> Vec<u8> {
    let born = Timestamp::from_seconds(NOW.seconds() - 3_600);
    let shape = Shape { nodes: 1, pods: 6, containers: 2, psi, pretty, ..Shape::default() };
    let cluster = SyntheticCluster::new(shape, born);
    let mut text = Vec::new();
    summary::write(&cluster, &cluster.nodes()[0], NOW, &mut text);
    text
}

/// Every number and instant of a document with the name it stands under and its path.
fn leaves(at: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match at {
        Value::Object(members) => members.iter().for_each(|(k, v)| leaves(v, &format!("{path}/{k}"), found)),
        Value::Array(each) => {
            each.iter().enumerate().for_each(|(n, v)| leaves(v, &format!("{path}/{n}"), found))
        }
        leaf => found.push((path.to_owned(), leaf.clone())),
    }
}

fn all(text: &[u8]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    leaves(&serde_json::from_slice(text).unwrap(), "", &mut found);
    found
}

#[test]
fn a_body_keeps_its_shape_and_every_figure_moves() {
    for (psi, pretty) in [(true, true), (false, false)] {
        let text = written(psi, pretty);
        let mut moving = body::Moving::new(text.clone(), 10, 7);
        let mut bodies = Vec::new();
        for round in 0..=10 {
            let mut out = Vec::new();
            moving.write(NOW.seconds() + 30 * round, &mut out);
            assert_eq!(out.contains(&b'\n'), pretty);
            bodies.push(all(&out));
        }
        let told = all(&text);
        let paths = |of: &[(String, Value)]| of.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        assert!(bodies.iter().all(|body| paths(body) == paths(&told)), "members come or go");
        let (mut moved, mut counters, mut still_there) = (0, 0, 0);
        for (at, (path, first)) in bodies[0].iter().enumerate() {
            let name = path.rsplit('/').next().unwrap();
            let seen: Vec<&Value> = bodies.iter().map(|body| &body[at].1).collect();
            let still =
                ["startTime", "capacityBytes", "inodes", "maxpid", "name", "namespace", "uid", "nodeName"];
            let nought = told[at].1 == 0 && name != "total" && !name.starts_with("avg");
            if still.contains(&name) || nought {
                assert!(seen.iter().all(|value| *value == first), "{path} moves");
                continue;
            }
            moved += 1;
            if name == "time" {
                let ages = (0..).zip(&seen).map(|(round, value)| {
                    let time = chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
                    NOW.seconds() + 30 * round - time.timestamp()
                });
                assert!(
                    ages.clone().all(|age| (0..60).contains(&age)),
                    "{path}: {:?}",
                    ages.collect::<Vec<_>>()
                );
                continue;
            }
            // What happens less than once in a minute, or is of a few pages, may stand for ten rounds.
            still_there += usize::from(seen.iter().all(|value| *value == first));
            if name.ends_with("NanoSeconds")
                || name.ends_with("Faults")
                || name == "total"
                || name.ends_with("xBytes")
            {
                counters += 1;
                assert!(seen.windows(2).all(|two| two[0].as_u64() <= two[1].as_u64()), "{path}: {seen:?}");
            }
        }
        assert!(still_there * 20 < moved, "{still_there} of {moved} stand still");
        assert!(counters > 50 && moved > 3 * counters / 2, "{moved} of {} move", told.len());
    }
}

#[test]
fn nothing_is_measured_twice_within_the_housekeeping() {
    let mut moving = body::Moving::new(written(true, true), 10, 7);
    let mut ask = |seconds: i64| {
        let mut out = Vec::new();
        moving.write(NOW.seconds() + seconds, &mut out);
        out
    };
    let first = ask(600);
    assert_eq!(first, ask(600));
    let changed =
        all(&first).into_iter().zip(all(&ask(605))).filter(|(before, after)| before != after).count();
    let later = all(&first).into_iter().zip(all(&ask(610))).filter(|(before, after)| before != after).count();
    assert!(0 < changed && changed < later, "{changed} figures after 5 s, {later} after 10 s");
}

#[test]
fn figures_that_are_one_in_a_kubelet_stay_one() {
    for psi in [true, false] {
        let text = written(psi, false);
        let mut moving = body::Moving::new(text, 10, 7);
        let (mut files, mut memories, mut networks) = (0, 0, 0);
        let mut available = std::collections::BTreeSet::new();
        for round in 0..5 {
            let mut out = Vec::new();
            moving.write(NOW.seconds() + 30 * round, &mut out);
            let told: Value = serde_json::from_slice(&out).unwrap();
            let disk = |fs: &Value| [fs["availableBytes"].clone(), fs["inodesFree"].clone()];
            let node = disk(&told["node"]["fs"]);
            available.insert(node[0].as_u64().unwrap());
            for pod in told["pods"].as_array().unwrap() {
                assert_eq!(disk(&pod["ephemeral-storage"]), node);
                let counters = |network: &Value| {
                    ["rxBytes", "rxErrors", "txBytes", "txErrors"].map(|name| network[name].clone())
                };
                assert_eq!(counters(&pod["network"]["interfaces"][0]), counters(&pod["network"]));
                networks += 1;
                for container in pod["containers"].as_array().unwrap() {
                    assert_eq!(
                        [disk(&container["rootfs"]), disk(&container["logs"])],
                        [node.clone(), node.clone()]
                    );
                    files += 1;
                }
            }
            let node = &told["node"]["memory"];
            let limit = ["availableBytes", "workingSetBytes"].map(|name| node[name].as_u64().unwrap());
            assert_eq!(limit[0] + limit[1], 64 << 30, "{node}");
            memories += 1;
        }
        assert!(files > 0 && memories > 0 && networks > 0 && available.len() > 1, "{available:?}");
    }
}
