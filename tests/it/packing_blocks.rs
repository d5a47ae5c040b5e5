//! Blocks and their rings: what was put into a table is what is read from the block, whichever way it is read.

use crate::handmade::{T0, keys, of_container, of_node, of_pod, window};
use heapster::model::entity::{Entity, Labels};
use heapster::model::metric::{Form, Metric, MetricKey, Value};
use heapster::model::time::Timestamp;
use heapster::rollup::block::{Block, RowSet, Rows};
use heapster::rollup::history::{Points, Ring, SeriesKey, Span};
use heapster::rollup::sheet::Sheet;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub type Cells = BTreeMap<(usize, MetricKey), u64>;

/// `count` rows: a node, pods, and a labelled part of every second pod.
pub fn rows(count: usize) -> Arc<Rows> {
    let mut keys: Vec<(Entity, Option<Labels>)> = vec![(of_node("node-1"), None)];
    for n in 0..count {
        let pod = of_pod("shop", &format!("pod-{n:04}"));
        keys.push((pod.clone(), (n % 2 == 1).then(|| Labels::new([("resource_id", format!("Volume:{n}"))]))));
    }
    keys.truncate(count);
    Arc::new(Rows::new(keys.iter().map(|(entity, labels)| (entity, labels.as_ref()))))
}

pub fn block(rows: &Arc<Rows>, cells: &Cells, at: i64, previous: Option<&Block>) -> Block {
    let mut sheet = Sheet::new(rows.clone());
    for ((row, metric), held) in cells {
        match metric {
            MetricKey::Known(metric) => sheet.set(*row, *metric, *held),
            other => assert!(sheet.set_other(*row, other, *held, usize::MAX)),
        }
    }
    sheet.pack(window(at), window(at).end(), None, previous)
}

pub fn metrics() -> impl Strategy<Value = MetricKey> {
    let stored: Vec<MetricKey> = Metric::ALL
        .iter()
        .filter(|metric| **metric != Metric::Uptime)
        .map(|m| MetricKey::Known(*m))
        .collect();
    prop_oneof![
        8 => prop::sample::select(stored),
        1 => "[a-c]".prop_map(|name| MetricKey::Custom(format!("custom/{name}").into())),
        1 => "[a-c]".prop_map(|name| MetricKey::Resource(format!("{name}/request").into())),
    ]
}

fn cells() -> impl Strategy<Value = (usize, Cells)> {
    (1_usize..150).prop_flat_map(|count| {
        let value = prop_oneof![any::<u64>(), 0..2_000_000_000_000_000_000_u64, Just(0), Just(u64::MAX)];
        (Just(count), prop::collection::btree_map((0..count, metrics()), value, 0..400))
    })
}

fn uptime(block: &Block, start: u64) -> Option<u64> {
    let at = u64::try_from(block.scraped_at.nanos()).unwrap();
    (start <= at).then(|| (at - start) / 1_000_000)
}

proptest! {
    #![proptest_config(crate::handmade::cases(40))]

    #[test]
    fn what_goes_in_comes_out((count, cells) in cells()) {
        let rows = rows(count);
        let block = block(&rows, &cells, 0, None);
        prop_assert_eq!(block.points(), cells.len());
        let start = MetricKey::Known(Metric::StartTime);
        let mut expected = cells.clone();
        for ((row, _), held) in cells.iter().filter(|((_, metric), _)| *metric == start) {
            if let Some(uptime) = uptime(&block, *held) {
                expected.insert((*row, MetricKey::Known(Metric::Uptime)), uptime);
            }
        }
        let mut read = Cells::new();
        block.for_each(|row, metric, held| assert_eq!(read.insert((row, metric.clone()), held), None));
        prop_assert_eq!(&read, &expected);
        let keys: BTreeSet<&MetricKey> = expected.keys().map(|(_, metric)| metric).collect();
        for metric in keys {
            for row in 0..count {
                prop_assert_eq!(block.value(row, metric), expected.get(&(row, metric.clone())).copied());
            }
            prop_assert_eq!(block.layout.metric_named(metric.name()), Some(metric.clone()));
        }
        for row in 0..count {
            let listed: BTreeSet<MetricKey> = block.layout.metrics_of(row).collect();
            let mut of_row: BTreeSet<MetricKey> =
                cells.keys().filter(|(at, _)| *at == row).map(|(_, metric)| metric.clone()).collect();
            if of_row.contains(&start) {
                of_row.insert(MetricKey::Known(Metric::Uptime));
            }
            prop_assert_eq!(listed, of_row);
        }
    }

    #[test]
    fn columns_agree_with_values((count, cells) in cells()) {
        let rows = rows(count);
        let block = block(&rows, &cells, 0, None);
        for metric in Metric::ALL.iter().copied().filter(|metric| *metric != Metric::Uptime) {
            let values: Vec<Option<u64>> =
                (0..count).map(|row| block.value(row, &MetricKey::Known(metric))).collect();
            match block.column(metric) {
                Some(column) => prop_assert_eq!(column, values),
                None => prop_assert!(values.iter().all(Option::is_none)),
            }
        }
    }

    #[test]
    fn later_block_reads_the_same_whatever_it_shares((count, first) in cells(), (_, changes) in cells()) {
        let rows = rows(count);
        let before = block(&rows, &first, 0, None);
        let mut second = first.clone();
        second.extend(changes.into_iter().filter(|((row, _), _)| *row < count));
        let alone = block(&rows, &second, 1, None);
        let sharing = block(&rows, &second, 1, Some(&before));
        for (row, metric) in second.keys() {
            prop_assert_eq!(sharing.value(*row, metric), second.get(&(*row, metric.clone())).copied());
        }
        prop_assert!(sharing.own_bytes(Some(&before)) <= alone.own_bytes(None));
    }

    #[test]
    fn row_sets_hold_the_bits_they_were_made_of(words in prop::collection::vec(any::<u64>(), 0..8)) {
        let set = RowSet::from_words(&words);
        let bits: Vec<usize> =
            (0..words.len() * 64).filter(|at| words[at / 64] & (1 << (at % 64)) != 0).collect();
        prop_assert_eq!(set.iter().collect::<Vec<_>>(), bits.clone());
        for at in 0..words.len() * 64 + 3 {
            prop_assert_eq!(set.has(at), bits.contains(&at));
        }
    }
}

#[test]
fn rows_are_found_by_key_and_sorted() {
    let volume = Labels::new([("resource_id", "Volume:data")]);
    let given = [
        (of_pod("shop", "web"), Some(volume.clone())),
        (of_node("node-1"), None),
        (of_container("shop", "web", "app"), None),
        (of_pod("shop", "web"), None),
        (of_node("node-1"), None),
    ];
    let rows = Rows::new(given.iter().map(|(entity, labels)| (entity, labels.as_ref())));
    let distinct: BTreeSet<_> = given.iter().cloned().collect();
    let read = keys(&rows);
    assert_eq!(read.len(), distinct.len(), "doubles fall together");
    assert!(read.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{read:?}");
    for (row, (entity, labels)) in read.iter().enumerate() {
        assert_eq!(rows.find(entity, labels.as_ref()), Some(row));
    }
    assert_eq!(rows.find(&of_node("node-1"), Some(&volume)), None);
    assert_eq!(rows.find(&of_node("node-2"), None), None);
    assert_eq!(rows.key(read.len()), None);
}

#[test]
fn unchanged_layout_and_steady_columns_are_shared() {
    let rows = rows(40);
    let fill = |usage: u64, limit: u64| -> Cells {
        let of = |metric, held: u64| (0..40).map(move |row| ((row, MetricKey::Known(metric)), held));
        of(Metric::MemoryUsage, usage).chain(of(Metric::MemoryLimit, limit)).collect()
    };
    let first = block(&rows, &fill(1, 10), 0, None);
    let same = block(&rows, &fill(2, 10), 1, Some(&first));
    assert!(Arc::ptr_eq(&first.layout, &same.layout), "same rows, same metrics: one layout");
    assert!(same.own_bytes(Some(&first)) < same.own_bytes(None), "limits are packed once");
    let other = block(&rows, &fill(2, 11), 2, Some(&same));
    assert!(Arc::ptr_eq(&first.layout, &other.layout));
    assert_eq!(other.own_bytes(Some(&same)), other.own_bytes(None), "another limit is packed anew");
    let mut fewer = fill(2, 11);
    fewer.remove(&(7, MetricKey::Known(Metric::MemoryUsage)));
    let fewer = block(&rows, &fewer, 3, Some(&other));
    assert!(!Arc::ptr_eq(&other.layout, &fewer.layout), "a value less is another layout");
}

fn series(entity: &Entity, metric: Metric) -> SeriesKey {
    SeriesKey { entity: entity.clone(), metric: metric.descriptor().name.to_owned(), labels: None }
}

fn one_value(at: i64, held: u64) -> Arc<Block> {
    Arc::new(block(&rows(1), &Cells::from([((0, MetricKey::Known(Metric::MemoryUsage)), held)]), at, None))
}

fn read(ring: &Ring, span: Span) -> Vec<(Timestamp, Value)> {
    let mut points = Points::new();
    ring.read(&series(&of_node("node-1"), Metric::MemoryUsage), span, &mut points);
    points.into_iter().collect()
}

#[test]
fn span_takes_both_its_ends() {
    let mut ring = Ring::default();
    for at in 0..5 {
        ring.push(one_value(at, at as u64), Duration::from_secs(at as u64 * 30));
    }
    let points: Vec<_> = (0..5).map(|at| (window(at).end(), Value::Integer(at as u64))).collect();
    assert_eq!(read(&ring, Span::ALL), points);
    assert_eq!(read(&ring, Span { start: window(1).end(), end: window(3).end() }), points[1..=3]);
    assert_eq!(read(&ring, Span { start: window(2).end(), end: window(2).end() }), points[2..=2]);
    let just_inside = Span { start: Timestamp::from_nanos(window(1).end().nanos() + 1), ..Span::ALL };
    assert_eq!(read(&ring, just_inside), points[2..]);
    assert_eq!(read(&ring, Span { start: window(3).end(), end: window(1).end() }), []);
}

#[test]
fn of_two_points_with_one_stamp_the_later_counts() {
    let mut ring = Ring::default();
    for (at, held) in [(0, 1), (1, 2), (0, 3)] {
        ring.push(one_value(at, held), Duration::ZERO);
    }
    let expected = [(window(0).end(), Value::Integer(3)), (window(1).end(), Value::Integer(2))];
    assert_eq!(read(&ring, Span::ALL), expected);
}

#[test]
fn prune_goes_by_arrival_and_keeps_what_is_just_as_old_as_allowed() {
    let (retention, step) = (Duration::from_secs(90), Duration::from_secs(30));
    let mut ring = Ring::default();
    for at in 0..6_u32 {
        ring.push(one_value(100 - i64::from(at), u64::from(at)), step * at);
    }
    assert!(ring.prune(step * 3, retention).is_empty(), "the oldest is exactly 90 s old");
    let dropped = ring.prune(step * 3 + Duration::from_nanos(1), retention);
    assert_eq!(dropped.len(), 1);
    let left: Vec<_> = ring.forms().map(|form| form.window()).collect();
    assert_eq!(left, (95..100).map(window).collect::<Vec<_>>(), "newest first, the oldest gone");
    assert_eq!(ring.prune(step * 60, retention).len(), 5);
    assert!(ring.is_empty() && ring.latest().is_none());
}

#[test]
fn names_are_those_of_public_metrics_over_the_whole_ring() {
    let rows = rows(2);
    let of = |metric| Cells::from([((0, MetricKey::Known(metric)), 1)]);
    let mut ring = Ring::default();
    for (at, metric) in [Metric::MemoryRss, Metric::StartTime, Metric::CpuTime].into_iter().enumerate() {
        ring.push(Arc::new(block(&rows, &of(metric), at as i64, None)), Duration::ZERO);
    }
    let mut names = BTreeSet::new();
    ring.names(&of_node("node-1"), None, &mut names);
    let expected = [Metric::MemoryRss, Metric::Uptime].map(|metric| metric.descriptor().name.to_owned());
    assert_eq!(names, BTreeSet::from(expected), "start and sample times are not for the API");
    let mut points = Points::new();
    ring.read(&series(&of_node("node-1"), Metric::CpuTime), Span::ALL, &mut points);
    assert!(points.is_empty(), "{points:?}");
}

#[test]
fn forms_show_what_they_hold() {
    let by_form = |form| Metric::ALL.iter().copied().find(|metric| metric.descriptor().form == form).unwrap();
    for (form, value) in [(Form::Whole, 4_000.0), (Form::Milli, 1.625), (Form::Micro, 0.25)] {
        let metric = by_form(form);
        let cells = Cells::from([((0, MetricKey::Known(metric)), form.hold(value).unwrap())]);
        let mut ring = Ring::default();
        ring.push(Arc::new(block(&rows(1), &cells, 0, None)), Duration::ZERO);
        let mut points = Points::new();
        ring.read(&series(&of_node("node-1"), metric), Span::ALL, &mut points);
        assert_eq!(points, Points::from([(T0, Value::Float(value))]), "{form:?}");
    }
    for refused in [-0.6, f64::NAN, f64::INFINITY, 1e300] {
        assert_eq!(Form::Integer.hold(refused), None, "{refused}");
        assert_eq!(Form::Milli.hold(refused), None, "{refused}");
    }
    assert_eq!(Form::Double.hold(-1.5).map(|held| Form::Double.show(held)), Some(Value::Float(-1.5)));
}
