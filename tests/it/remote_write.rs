//! Remote write: byte for byte, there and back with hostile names, and which series have ended.

use crate::handmade::{T0, assembled, cases, container, inventory, node, pod, said, window};
use heapster::model::inventory::NodeInventory;
use heapster::model::metric::{Metric, MetricKey};
use heapster::model::report::Subject;
use heapster::model::time::Timestamp;
use heapster::rollup::cluster::Batch;
use heapster::rollup::ended::Followed;
use heapster::wire::prometheus_names::{Family, Level, Whose, apart, labels};
use heapster::wire::remote_write::messages::{one, two};
use heapster::wire::remote_write::{STALE, Sample, Version, Writer};
use proptest::prelude::*;
use prost::Message;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A request as it was written: labels with the name first, value, milliseconds, and when the counter began.
type Told = (Vec<(String, String)>, f64, i64, i64);

fn unpacked(body: &[u8]) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(body).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The series of a request of 1.0.
pub fn read_one(body: &[u8]) -> Vec<Told> {
    let request = one::WriteRequest::decode(&*unpacked(body)).unwrap();
    let told = |series: one::TimeSeries| {
        let [sample] = series.samples[..] else { panic!("{} samples", series.samples.len()) };
        let labels = series.labels.iter().map(|label| (text(&label.name), text(&label.value)));
        (labels.collect(), sample.value, sample.timestamp, 0)
    };
    request.timeseries.into_iter().map(told).collect()
}

/// The series of a request of 2.0, with kind, help and unit.
pub fn read_two(body: &[u8]) -> Vec<(Told, (i32, String, String))> {
    let request = two::Request::decode(&*unpacked(body)).unwrap();
    let symbols: Vec<String> = request.symbols.iter().map(|symbol| text(symbol)).collect();
    assert_eq!(symbols[0], "");
    assert_eq!(symbols.iter().collect::<BTreeSet<_>>().len(), symbols.len(), "each text once");
    let symbol = |at: u32| symbols[at as usize].clone();
    let told = |series: two::TimeSeries| {
        let [sample] = series.samples[..] else { panic!("{} samples", series.samples.len()) };
        assert_eq!(series.created_timestamp, sample.start_timestamp);
        let labels = series.labels_refs.chunks(2).map(|pair| (symbol(pair[0]), symbol(pair[1])));
        let metadata = series.metadata.unwrap();
        let what = (metadata.kind, symbol(metadata.help_ref), symbol(metadata.unit_ref));
        ((labels.collect(), sample.value, sample.timestamp, sample.start_timestamp), what)
    };
    request.timeseries.into_iter().map(told).collect()
}

fn counter() -> Family {
    Family::new(&MetricKey::Known(Metric::CpuUsage), Level::Node, None)
}

fn written(version: Version, pairs: &[(&str, &str)], sample: Sample) -> Vec<u8> {
    let mut writer = Writer::new(version);
    let (family, labels) = (writer.family(&counter()), writer.labels(pairs));
    writer.push(&family, &labels, sample);
    assert_eq!(writer.len(), 1);
    writer.finish()
}

fn sample(value: f64) -> Sample {
    Sample { value, at: T0, start: Some(Timestamp::from_seconds(1_700_000_000)) }
}

/// Protobuf by hand: a field of this number with these bytes, shorter than 128.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    assert!(bytes.len() < 128);
    all.extend_from_slice(bytes);
    all
}

/// A number as protobuf writes it.
fn varint(mut number: u64) -> Vec<u8> {
    let mut all = Vec::new();
    while number >= 0x80 {
        all.push(number as u8 | 0x80);
        number >>= 7;
    }
    all.push(number as u8);
    all
}

#[test]
fn the_bytes_are_those_of_the_protocol() {
    let stamp = varint(1_795_288_800_000);
    let value = [&[1 << 3 | 1][..], &1.5_f64.to_le_bytes(), &[2 << 3], &stamp].concat();
    let label =
        |name: &str, value: &str| field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat());
    let labels = [label("__name__", "heapster_node_cpu_usage_seconds_total"), label("node", "a")].concat();
    let series = [labels, field(2, &value)].concat();
    assert_eq!(unpacked(&written(Version::One, &[("node", "a")], sample(1.5))), field(1, &series));

    let start = varint(1_700_000_000_000);
    let value = [value, vec![3 << 3], start.clone()].concat();
    let symbols = [
        "",
        "__name__",
        "heapster_node_cpu_usage_seconds_total",
        "CPU time used, over all cores",
        "seconds",
        "node",
        "a",
    ];
    let symbols = symbols.map(|symbol| field(4, symbol.as_bytes())).concat();
    let metadata = field(5, &[1 << 3, 1, 3 << 3, 3, 4 << 3, 4]);
    let series = [field(1, &[1, 2, 5, 6]), field(2, &value), metadata, vec![6 << 3], start].concat();
    let told = unpacked(&written(Version::Two, &[("node", "a")], sample(1.5)));
    assert_eq!(told, [symbols, field(5, &series)].concat());
}

#[test]
fn a_series_that_has_ended_is_marked_by_the_very_bits() {
    let one = read_one(&written(Version::One, &[], sample(STALE)));
    let two = read_two(&written(Version::Two, &[], Sample { start: None, ..sample(STALE) }));
    assert_eq!(one[0].1.to_bits(), 0x7ff0_0000_0000_0002);
    assert_eq!((two[0].0.1.to_bits(), two[0].0.3), (0x7ff0_0000_0000_0002, 0));
}

#[test]
fn a_counter_that_began_later_than_it_was_measured_has_no_beginning() {
    let late = Sample { start: Some(Timestamp::from_nanos(T0.nanos() + 1_000_000)), ..sample(1.0) };
    assert_eq!(read_two(&written(Version::Two, &[], late))[0].0.3, 0);
}

proptest! {
    #![proptest_config(cases(200))]
    #[test]
    fn whatever_names_there_are_come_back(
        series in prop::collection::vec((prop::collection::btree_map("[a-z]{1,3}", "(?s).{1,8}", 0..4), any::<f64>(), any::<i32>()), 0..8)
    ) {
        for version in [Version::One, Version::Two] {
            let mut writer = Writer::new(version);
            let family = writer.family(&counter());
            for (pairs, value, at) in &series {
                let pairs: Vec<(&str, &str)> = pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
                let labels = writer.labels(&pairs);
                let at = Timestamp::from_seconds(i64::from(*at));
                writer.push(&family, &labels, Sample { value: *value, at, start: None });
            }
            let body = writer.finish();
            let told = match version {
                Version::One => read_one(&body),
                Version::Two => read_two(&body).into_iter().map(|(told, _)| told).collect(),
            };
            prop_assert_eq!(told.len(), series.len());
            for ((labels, value, stamp, _), (pairs, expected, at)) in told.iter().zip(&series) {
                prop_assert_eq!(&labels[0], &("__name__".to_owned(), counter().series()));
                let pairs: Vec<(String, String)> = pairs.clone().into_iter().collect();
                prop_assert_eq!(&labels[1..], &pairs[..]);
                prop_assert!(labels.is_sorted());
                // Protobuf leaves out zeros, of whatever sign.
                prop_assert_eq!((value.to_bits(), *stamp), ((expected + 0.0).to_bits(), i64::from(*at) * 1_000));
            }
        }
    }
}

/// A window in which these nodes told these pods, each of one container.
fn batch(at: i64, nodes: &[(&str, &[&str])]) -> Batch {
    let block = |(name, pods): &(&str, &[&str])| {
        let known: Arc<NodeInventory> =
            inventory(node(name), pods.iter().map(|name| pod("shop", name, [container("x")])));
        let values = [(Metric::StartTime, 1), (Metric::MemoryUsage, 1)];
        let rows: Vec<_> =
            pods.iter().map(|pod| (Subject::Container("shop", pod, "x"), &values[..])).collect();
        Arc::new(assembled(&said(&rows), &known, window(at), None).block)
    };
    let nodes = nodes.iter().map(block).collect();
    Batch { cluster: "one".into(), window: window(at), nodes, sums: None, carried: 0, missing: 0 }
}

/// The series of a window as a set of texts; or those that have ended.
fn ended(followed: &Followed, batch: &Batch) -> BTreeSet<String> {
    let all = followed.ended(batch).into_iter().flat_map(|ended| {
        let of = |(row, key): &(usize, MetricKey)| {
            let (entity, part) = ended.layout.rows.key(*row).unwrap();
            let family = Family::new(key, Level::of(entity), apart(key, part));
            format!(
                "{} {:?}",
                family.series(),
                labels(Whose::default(), entity, part, ended.facts.as_deref())
            )
        };
        ended.series.iter().map(of).collect::<Vec<_>>()
    });
    all.filter(|series| series.starts_with("heapster_container_")).collect()
}

fn of(node: &str, pod: &str, names: &[&str]) -> BTreeSet<String> {
    let labels = [("container", "x"), ("namespace", "shop"), ("node", node), ("pod", pod)];
    names.iter().map(|name| format!("heapster_container_{name} {labels:?}")).collect()
}

const ALL: [&str; 3] = ["memory_usage_bytes", "start_time_seconds", "uptime_seconds"];

#[test]
fn what_is_told_no_more_has_ended() {
    let none = BTreeSet::new();
    let mut followed = Followed::default();
    let step = |followed: &mut Followed, batch: Batch| {
        let found = ended(followed, &batch);
        followed.follow(&batch);
        assert_eq!(ended(followed, &batch), none, "a window that was followed ends nothing");
        found
    };
    let first = batch(0, &[("a", &["p", "q"]), ("b", &["r"])]);
    assert_eq!(step(&mut followed, first), none, "at the start nothing is known to have been");
    // One pod goes, another moves, the third stays.
    let found = step(&mut followed, batch(1, &[("a", &["q"]), ("b", &["p", "r"])]));
    let p: BTreeSet<String> = found.iter().filter(|series| series.contains("\"p\"")).cloned().collect();
    assert_eq!(p, found);
    let told = |names: &[&str], node, pod| of(node, pod, names);
    for name in ["memory_usage_bytes", "start_time_seconds", "uptime_seconds"] {
        assert!(found.is_superset(&told(&[name], "a", "p")), "{name}: {found:?}");
    }
    assert!(
        found.iter().all(|series| series.contains("(\"node\", \"a\")")),
        "the one that moved is there still"
    );
    // A node that misses one window has not ended: its series are listed still.
    assert_eq!(step(&mut followed, batch(2, &[("a", &["q"])])), none);
    let found = step(&mut followed, batch(3, &[("a", &["q"])]));
    assert!(found.is_superset(&told(&ALL, "b", "p")) && found.is_superset(&told(&ALL, "b", "r")));
    assert!(found.iter().all(|series| series.contains("(\"node\", \"b\")")), "{found:?}");
    assert_eq!(step(&mut followed, batch(4, &[("a", &["q"])])), none, "once");
    // Of windows that were dropped nothing is known: the next that comes tells.
    let found = step(&mut followed, batch(9, &[("b", &["r"])]));
    assert!(found.is_superset(&told(&ALL, "a", "q")), "{found:?}");
    // A clock that was set back ends nothing.
    assert_eq!(step(&mut followed, batch(5, &[("c", &["s"])])), none);
    assert_eq!(step(&mut followed, batch(6, &[("c", &["s"])])), none);
}

#[test]
fn a_metric_that_is_told_no_more_has_ended_alone() {
    let known = inventory(node("a"), [pod("shop", "p", [container("x")])]);
    let told = |at, values: &[(Metric, u64)]| {
        let report = said(&[(Subject::Container("shop", "p", "x"), values)]);
        let block = Arc::new(assembled(&report, &known, window(at), None).block);
        Batch {
            cluster: "one".into(),
            window: window(at),
            nodes: vec![block],
            sums: None,
            carried: 0,
            missing: 0,
        }
    };
    let mut followed = Followed::default();
    followed.follow(&told(0, &[(Metric::MemoryUsage, 1), (Metric::MemoryRss, 1)]));
    let next = told(1, &[(Metric::MemoryUsage, 9)]);
    assert_eq!(ended(&followed, &next), of("a", "p", &["memory_rss_bytes"]));
}
