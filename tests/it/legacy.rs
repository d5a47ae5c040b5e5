//! What the legacy source asks and how it reads an answer: which container is whose, and that every number of a body,
//! real or made by hand, is told.

use crate::bodies::fixtures;
use crate::handmade::{cases, window};
use crate::legacy_walk::{Walk, subject};
use crate::summaries_walk::told;
use heapster::model::metric::Metric;
use heapster::model::report::{Part, Subject};
use heapster::sources::stats_api;
use heapster::wire::kubelet_stats::{StatsError, decode, request};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The body that a kubelet gives of these infos.
fn body(infos: impl IntoIterator<Item = Value>) -> Value {
    infos.into_iter().enumerate().map(|(at, info)| (format!("any name {at}"), info)).collect()
}

/// Every real body. Older cAdvisors gave a list where a kubelet gives an object.
pub fn real() -> Vec<(String, Value)> {
    let found = fixtures("stats-container").into_iter();
    let keyed = |value: Value| match value {
        Value::Array(infos) => body(infos),
        value => value,
    };
    found.map(|found| (found.path, keyed(serde_json::from_slice(&found.body).unwrap()))).collect()
}

/// A node and a container with every member that is read.
pub fn complete() -> Value {
    let traffic = |name: &str, by: u64| json!({"name": name, "rx_bytes": by, "rx_errors": 2 * by, "tx_bytes": 3 * by, "tx_errors": 4 * by});
    let info = |name: &str, interfaces: &[&str]| {
        let mut network = traffic("eth0", 5);
        network["interfaces"] = (10..).zip(interfaces).map(|(by, name)| traffic(name, by)).collect();
        let time = |second: u64| format!("2016-03-31T10:00:{second}.25Z");
        json!({
            "name": name,
            "aliases": ["k8s_web.1f2_web-1_default_uid_0", "abc"],
            "spec": {
                "creation_time": time(10), "has_cpu": true, "has_memory": true, "has_network": true,
                "has_filesystem": true, "has_diskio": true, "has_custom_metrics": true,
                "labels": {"io.kubernetes.pod.name": "web-1", "io.kubernetes.pod.namespace": "default", "io.kubernetes.container.name": "web"},
                "custom_metrics": [{"name": "qps", "type": "gauge", "format": "int"}, {"name": "load", "type": "gauge", "format": "float"}],
            },
            "stats": [{"timestamp": time(40), "cpu": {"usage": {"total": 1}}}, {
                "timestamp": time(58),
                "cpu": {"usage": {"total": 123_456_789, "per_cpu_usage": [1, 2]}, "load_average": 20},
                "memory": {"usage": 1_000, "cache": 300, "rss": 500, "swap": 9, "working_set": 700, "container_data": {"pgfault": 11, "pgmajfault": 2}},
                "network": network,
                "filesystem": [
                    {"device": "/dev/sda1", "capacity": 100, "usage": 40, "available": 60, "has_inodes": true, "inodes": 1_000, "inodes_free": 900},
                    {"device": "tmpfs", "capacity": 101, "usage": 41, "available": 61, "has_inodes": false, "inodes": 1, "inodes_free": 2},
                ],
                "diskio": {"io_service_bytes": [
                    {"device": "/dev/sda", "major": 8, "minor": 0, "stats": {"Read": 4_096, "Write": 8_192, "Total": 12_288}},
                    {"device": "", "major": 253, "minor": 1, "stats": {"Read": 4_097, "Write": 8_193}},
                ]},
                "accelerators": [{"make": "nvidia", "model": "tesla-p100", "id": "GPU-1", "memory_total": 10, "memory_used": 6, "duty_cycle": 40}],
                "custom_metrics": {
                    "qps": [{"timestamp": time(58), "int_value": 3, "float_value": 0.5}, {"timestamp": time(48), "int_value": 2, "float_value": 0.25}],
                    "load": [{"timestamp": time(48), "int_value": 7, "float_value": 1.25}, {"timestamp": time(58), "int_value": 8, "float_value": 1.5}],
                },
            }],
        })
    };
    let mut node = info("/", &["eth0", "eth1"]);
    node["aliases"] = Value::Null;
    body([node, info("/docker/abc", &["eth0"])])
}

#[test]
fn question_is_the_originals_and_the_summary_is_asked_otherwise() {
    let expected = r#"{"containerName":"/","num_stats":1,"start":"2026-11-21T19:19:30Z","end":"2026-11-21T19:20:00Z","subcontainers":true}"#;
    assert_eq!(request(window(0)), expected);
    let question = stats_api::format().question(window(0));
    assert_eq!((question.path, question.json.as_deref()), ("/stats/container/", Some(expected)));
    let otherwise = stats_api::format().otherwise().unwrap();
    let question = otherwise.question(window(0));
    assert_eq!((question.path, question.json), ("/stats/summary/", None));
    assert!(otherwise.otherwise().is_none());
}

/// An info of nothing but what tells whose it is.
fn bare(name: &str, aliases: &[&str], [container, namespace, pod]: [&str; 3]) -> Value {
    let labels = [("container.name", container), ("pod.namespace", namespace), ("pod.name", pod)];
    let labels = labels.into_iter().filter(|(_, value)| *value != "-");
    let labels: Value = labels.map(|(key, value)| (format!("io.kubernetes.{key}"), json!(value))).collect();
    json!({"name": name, "aliases": aliases, "spec": {"labels": labels}, "stats": [{}]})
}

#[test]
fn containers_are_told_apart_as_the_original_did() {
    use Subject::{Container, Free, Node, Pod};
    let none = ["-", "-", "-"];
    let pod = ["-", "ns", "p"];
    let cases: &[(&str, &[&str], [&str; 3], Option<Subject<'_>>)] = &[
        ("/", &[], none, Some(Node)),
        ("/docker-daemon", &[], none, Some(Free("docker-daemon"))),
        ("/system.slice/docker.service", &[], none, Some(Free("system.slice/docker.service"))),
        ("//twice", &[], none, Some(Free("/twice"))),
        ("/docker/1", &["nginx", "1"], none, Some(Free("nginx"))),
        // The original's own tests.
        (
            "/x",
            &[],
            ["testContainer", "testPodNS", "testPodName"],
            Some(Container("testPodNS", "testPodName", "testContainer")),
        ),
        ("/x", &[], ["POD", "-", "testPodNS/testPodName"], Some(Pod("testPodNS", "testPodName"))),
        (
            "k8s_test.testkubelet",
            &[],
            ["-", "testPodNS", "testPodName"],
            Some(Container("testPodNS", "testPodName", "test")),
        ),
        // Kubernetes 1.0: no namespace label, and the container's name only in Docker's.
        (
            "/docker/1",
            &["k8s_web.1f2_p_ns_uid_0", "1"],
            ["-", "-", "ns/p"],
            Some(Container("ns", "p", "web")),
        ),
        ("/docker/1", &["k8s_POD.e4c_p_ns_uid_0", "1"], ["", "", "ns/p"], Some(Pod("ns", "p"))),
        ("/x", &[], ["c", "-", "ns/p/q"], Some(Container("ns", "p/q", "c"))),
        ("/x", &[], ["c", "ns", "n/p"], Some(Container("ns", "n/p", "c"))),
        ("k8s_web.1f2", &[], ["label", "ns", "p"], Some(Container("ns", "p", "label"))),
        // Whatever of the three is missing, it is nobody's pod.
        ("/x", &[], pod, Some(Free("x"))),
        ("/x", &[], ["c", "", "p"], Some(Free("x"))),
        ("/x", &[], ["POD", "ns", "-"], Some(Free("x"))),
        ("k8s_web.1f2", &[], none, Some(Free("k8s_web.1f2"))),
        // Names with a dot before the fourth place, which crashed the original.
        ("/a.b", &[], pod, Some(Free("a.b"))),
        (".", &[], pod, Some(Free("."))),
        ("abc.d", &[], pod, Some(Free("abc.d"))),
        ("k8s_.d", &[], pod, Some(Free("k8s_.d"))),
        ("ééé.d", &[], pod, Some(Container("ns", "p", "é"))),
        ("aéé€.d", &[], pod, Some(Free("aéé€.d"))),
        ("", &[], pod, None),
    ];
    for (name, aliases, labels, expected) in cases {
        let info = bare(name, aliases, *labels);
        assert_eq!(subject(&info), *expected, "{info}: the walk");
        let text = body([info]).to_string();
        let stats = decode(text.as_bytes()).unwrap();
        let rows = stats.report().rows().iter().map(|row| row.subject).collect::<Vec<_>>();
        assert_eq!(rows, Vec::from_iter(*expected), "{text}");
    }
}

#[test]
fn every_leaf_of_a_complete_body_is_told_at_its_place() {
    let text = complete().to_string();
    let stats = decode(text.as_bytes()).unwrap();
    let report = stats.report();
    assert_eq!((report.broken_leaves, report.pods_are_pause, report.claimed_node), (0, true, None));
    for (subject, interfaces) in [(Subject::Node, 2), (Subject::Container("default", "web-1", "web"), 1)] {
        let rows = report.rows().iter().filter(|row| row.subject == subject);
        let of = |part: Part<'_>| {
            let row = rows.clone().find(|row| row.part == part);
            row.map(|row| report.values(row).to_vec()).unwrap_or_default()
        };
        use Metric as M;
        // 2016-03-31T10:00:00Z, and the numbers of all interfaces.
        let (minute, sums) =
            (1_459_418_400_000_000_000, [[10, 20, 30, 40], [21, 42, 63, 84]][interfaces - 1]);
        let network = [M::NetworkRx, M::NetworkRxErrors, M::NetworkTx, M::NetworkTxErrors];
        let whole = [
            (M::StartTime, minute + 10_250_000_000),
            (M::CpuTime, minute + 58_250_000_000),
            (M::CpuUsage, 123_456_789),
            (M::CpuLoad, 20),
            (M::MemoryUsage, 1_000),
            (M::MemoryCache, 300),
            (M::MemoryRss, 500),
            (M::MemoryWorkingSet, 700),
            (M::SwapUsage, 9),
            (M::MemoryPageFaults, 11),
            (M::MemoryMajorPageFaults, 2),
        ];
        assert_eq!(
            of(Part::Whole),
            whole.into_iter().chain(network.into_iter().zip(sums)).collect::<Vec<_>>()
        );
        let fs = [(M::FilesystemUsage, 40), (M::FilesystemLimit, 100), (M::FilesystemAvailable, 60)];
        let inodes = [(M::FilesystemInodes, 1_000), (M::FilesystemInodesFree, 900)];
        assert_eq!(of(Part::Resource("", "/dev/sda1")), [&fs[..], &inodes[..]].concat());
        let fs = fs.map(|(metric, held)| (metric, held + 1));
        assert_eq!(of(Part::Resource("", "tmpfs")), fs, "inodes that it does not have");
        for (device, more) in [("/dev/sda", 0), ("253:1", 1)] {
            let mut told = of(Part::Resource("", device));
            told.retain(|(metric, _)| *metric != M::CpuTime);
            assert_eq!(told, [(M::DiskReadBytes, 4_096 + more), (M::DiskWriteBytes, 8_192 + more)]);
        }
        let accelerator =
            [(M::AcceleratorMemoryTotal, 10), (M::AcceleratorMemoryUsed, 6), (M::AcceleratorDutyCycle, 40)];
        assert_eq!(of(Part::Accelerator("nvidia", "tesla-p100", "GPU-1")), accelerator);
        let told: Vec<_> =
            report.custom().iter().filter(|(row, ..)| report.rows()[*row].subject == subject).collect();
        assert_eq!(
            told.iter().map(|(_, name, value)| (*name, *value)).collect::<Vec<_>>(),
            [("qps", 3.0), ("load", 1.5)]
        );
        assert_eq!(rows.filter(|row| matches!(row.part, Part::Interface(_))).count(), [0, 2][interfaces - 1]);
    }
}

#[test]
fn what_a_container_does_not_have_is_not_told() {
    for flag in ["has_cpu", "has_memory", "has_network", "has_filesystem", "has_diskio", "has_custom_metrics"]
    {
        let group = flag.trim_start_matches("has_");
        let mut without = complete();
        for info in without.as_object_mut().unwrap().values_mut() {
            info["stats"][1].as_object_mut().unwrap().remove(group);
        }
        let mut flagged = complete();
        for info in flagged.as_object_mut().unwrap().values_mut() {
            info["spec"][flag] = json!(false);
        }
        let [without, flagged] =
            [without, flagged].map(|body| told(&decode(body.to_string().as_bytes()).unwrap().report()));
        assert!(
            without.len() < told(&decode(complete().to_string().as_bytes()).unwrap().report()).len(),
            "{group}"
        );
        assert_eq!(flagged, without, "{flag}");
    }
}

#[test]
fn of_custom_metrics_the_newest_value_in_the_declared_format_is_told() {
    let value = |second: u64, int: i64, float: f64| json!({"timestamp": format!("2016-03-31T10:00:{second}Z"), "int_value": int, "float_value": float});
    let cases = [
        ("int", vec![value(10, 1, 0.5), value(30, -3, 2.5), value(20, 2, 1.5)], Some(-3.0)),
        ("float", vec![value(10, 1, 0.5), value(30, -3, 2.5), value(20, 2, 1.5)], Some(2.5)),
        ("float", vec![value(10, 1, 0.5), value(10, 2, 1.5)], Some(0.5)),
        ("other", vec![value(10, 1, 0.5)], None),
        ("int", vec![], None),
    ];
    for (format, values, expected) in cases {
        let mut info = bare("/x", &[], ["-", "-", "-"]);
        info["spec"]["custom_metrics"] =
            json!([{"name": "qps", "format": format}, {"name": "unheard-of", "format": "int"}]);
        info["stats"] = json!([{"custom_metrics": {"qps": values, "undeclared": values}}]);
        let text = body([info]).to_string();
        let stats = decode(text.as_bytes()).unwrap();
        let report = stats.report();
        let told: Vec<_> = report.custom().iter().map(|(_, name, value)| (*name, *value)).collect();
        assert_eq!(told, Vec::from_iter(expected.map(|value| ("qps", value))), "{text}");
    }
}

#[test]
fn the_last_sample_counts_and_infos_without_one_do_not() {
    let sample = |usage: u64| json!({"memory": {"usage": usage}});
    let with = |name: &str, stats: Value| json!({"name": name, "stats": stats});
    let infos = [
        with("/a", json!([sample(3), sample(1), sample(2)])),
        with("/b", json!([])),
        with("/c", Value::Null),
        with("/d", json!([sample(4), null])),
    ];
    let text = body(infos).to_string();
    let stats = decode(text.as_bytes()).unwrap();
    let report = stats.report();
    let usage: Vec<_> =
        report.rows().iter().map(|row| (row.subject, report.value(row, Metric::MemoryUsage))).collect();
    assert_eq!(usage, [(Subject::Free("a"), Some(2)), (Subject::Free("d"), Some(4))]);
    for nothing in [json!({}), json!({"kind": "Status"}), body([with("/", json!([]))])] {
        assert!(matches!(decode(nothing.to_string().as_bytes()), Err(StatsError::NotStats)), "{nothing}");
    }
    for other in ["", "[]", "null", "\"/\"", "<html>", "{\"/\":{}", "404 page not found"] {
        assert!(matches!(decode(other.as_bytes()), Err(StatsError::NotJson(_))), "{other}");
    }
    let cut = decode(&text.as_bytes()[..text.len() / 2]).unwrap_err();
    assert!(cut.is_cut_off() && matches!(decode(b"{\"\xff\":1}"), Err(StatsError::NotText(_))));
}

#[test]
fn no_number_of_a_real_body_is_lost_and_none_is_made_up() {
    for (name, json) in real() {
        let text = json.to_string();
        let stats = decode(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (report, walk) = (stats.report(), Walk::of(&json));
        assert!(walk.values.len() > 10, "{name}: hardly any number found");
        assert_eq!(told(&report), walk.values, "{name}");
        assert_eq!((report.broken_leaves, walk.broken), (0, 0), "{name}");
        let whole = report.rows().iter().filter(|row| row.part == Part::Whole).count();
        assert_eq!(whole, json.as_object().unwrap().len(), "{name}");
    }
}

#[test]
fn some_numbers_of_real_bodies_are_those_that_a_reader_finds_there() {
    use Metric as M;
    let disk = Part::Resource("", "/dev/xvdce");
    let propjoe = Subject::Container("default", "propjoe-lkc3l", "propjoe");
    let expected = [
        (
            "1_1-cadvisor-subcontainers",
            Subject::Pod("default", "propjoe-lkc3l"),
            Part::Whole,
            M::MemoryUsage,
            1_118_208,
        ),
        (
            "1_1-cadvisor-subcontainers",
            Subject::Pod("default", "propjoe-lkc3l"),
            Part::Whole,
            M::NetworkRx,
            4_944_664_970,
        ),
        ("1_1-cadvisor-subcontainers", propjoe, Part::Whole, M::CpuUsage, 6_525_672_598_806),
        ("1_1-cadvisor-subcontainers", Subject::Node, Part::Whole, M::NetworkTx, 492_251_528_716),
        (
            "1_1-cadvisor-subcontainers",
            Subject::Free("kubelet"),
            Part::Whole,
            M::MemoryPageFaults,
            37_418_435_836,
        ),
        (
            "stats-container-container",
            Subject::Container("default", "stress-1-core-mh2pn", "ubuntu"),
            Part::Whole,
            M::MemoryCache,
            25_645_056,
        ),
        ("stats-container-node", Subject::Node, disk, M::DiskReadBytes, 1_064_960),
        ("stats-container-node", Subject::Node, Part::Interface("eth1"), M::NetworkRx, 1_381_489),
        (
            "stats-container-node",
            Subject::Node,
            Part::Whole,
            M::NetworkRx,
            119_645_606 + 41_008 + 3_337_858_744 + 101_910_411 + 1_381_489 + 104_600_658,
        ),
    ];
    for (name, json) in real() {
        let text = json.to_string();
        let stats = decode(text.as_bytes()).unwrap();
        let report = stats.report();
        for (_, subject, part, metric, held) in
            expected.iter().filter(|(file, ..)| name.ends_with(&format!("{file}.json")))
        {
            let rows = report.rows().iter().filter(|row| (row.subject, row.part) == (*subject, *part));
            let told: Vec<u64> = rows.filter_map(|row| report.value(row, *metric)).collect();
            assert_eq!(told, [*held], "{name}: {subject:?} {metric:?}");
        }
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn any_names_and_labels_are_taken(name in "[/a._é]{0,7}", alias in "[k8s_./é]{0,8}", labels in prop::array::uniform3("-|[a/]{0,3}|POD")) {
        for aliases in [&[][..], &[alias.as_str()]] {
            let info = bare(&name, aliases, labels.each_ref().map(String::as_str));
            let text = body([info.clone()]).to_string();
            let stats = decode(text.as_bytes()).unwrap();
            prop_assert_eq!(stats.report().rows().first().map(|row| row.subject), subject(&info), "{}", text);
        }
    }
}
