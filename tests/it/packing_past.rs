//! Blocks told by what differs from the one after them: whatever is read going back is what was put in, to the last bit.

use crate::handmade::{cases, keys};
use crate::packing_blocks::{Cells, block, metrics, rows};
use heapster::model::metric::{Metric, MetricKey};
use heapster::rollup::block::Block;
use heapster::rollup::history::{Form, Points, Ring, SeriesKey, Span};
use heapster::rollup::rice::{self, Numbers};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

fn numbers() -> impl Strategy<Value = Vec<i64>> {
    let one = prop_oneof![
        any::<i64>(),
        -300..300_i64,
        Just(0),
        Just(i64::MIN),
        Just(i64::MAX),
        (-900..900_i64).prop_map(|n| n * 4_096),
        (-900..900_i64).prop_map(|n| n * 1_000_000_000),
    ];
    let alike = (any::<i64>(), -9..9_i64).prop_map(|(base, step)| base.saturating_add(step));
    prop_oneof![
        prop::collection::vec(one.clone(), 0..200),
        (one.clone(), prop::collection::vec(-9..9_i64, 0..200))
            .prop_map(|(base, steps)| steps.iter().map(|step| base.wrapping_add(*step)).collect()),
        (one.clone(), prop::collection::vec(prop_oneof![4 => Just(None), 1 => alike.prop_map(Some)], 0..200))
            .prop_map(|(most, others)| others.iter().map(|other| other.unwrap_or(most)).collect()),
        prop::collection::vec((-900..900_i64).prop_map(|n| n * 125_000), 0..200),
    ]
}

/// Values of the same rows for some windows: jumps, slow steps, what never moves, and restarts; most metrics of a row are
/// there in every window, some come and go.
pub fn history() -> impl Strategy<Value = (usize, Vec<Cells>)> {
    (1_usize..40, 1_usize..9).prop_flat_map(|(count, windows)| {
        let step = prop_oneof![
            Just(0_u64),
            0..5_000_u64,
            any::<u64>(),
            Just(30_000_000_000_u64),
            (0..99_u64).prop_map(|n| n.wrapping_neg())
        ];
        let series = (any::<u64>(), prop::collection::vec(step, windows));
        let start = prop_oneof![1 => Just(true), 3 => Just(false)];
        let there =
            prop_oneof![3 => Just(u16::MAX), 1 => any::<u16>(), 1 => (0..9_u32).prop_map(|n| u16::MAX << n)];
        let tied = prop::sample::select(vec![
            Metric::CpuTime,
            Metric::CpuUsage,
            Metric::CpuUsageRate,
            Metric::NetworkRx,
            Metric::NetworkRxRate,
            Metric::NetworkTime,
            Metric::MemoryUsage,
            Metric::MemoryWorkingSet,
            Metric::MemoryAvailable,
            Metric::MemoryRss,
        ]);
        let metric = prop_oneof![metrics(), tied.prop_map(MetricKey::Known)];
        let all = prop::collection::btree_map((0..count, metric), (start, there, series), 0..150);
        (Just(count), Just(windows), all).prop_map(|(count, windows, all)| {
            let of = |at: usize| {
                let value = |(small, _, (base, steps)): &(bool, u16, (u64, Vec<u64>))| {
                    let base = if *small { base % 1_000 } else { *base };
                    steps[..=at].iter().fold(base, |value, step| value.wrapping_add(*step))
                };
                let there = all.iter().filter(|(_, (_, there, _))| there >> at & 1 == 1);
                there.map(|(key, series)| (key.clone(), value(series))).collect()
            };
            (count, (0..windows).map(of).collect())
        })
    })
}

pub fn pushed(ring: &mut Ring, count: usize, windows: &[Cells]) -> Vec<Arc<Block>> {
    let rows = rows(count);
    let mut blocks: Vec<Arc<Block>> = Vec::new();
    for (at, cells) in windows.iter().enumerate() {
        let previous = blocks.last().map(|block| &**block);
        let block = Arc::new(block(&rows, cells, at as i64, previous));
        ring.push(block.clone(), Duration::from_secs(30 * at as u64));
        blocks.push(block);
    }
    blocks
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn numbers_come_out_as_they_went_in(numbers in numbers()) {
        let mut bytes = Vec::new();
        rice::write(&numbers, &mut Vec::new(), &mut bytes);
        prop_assert!(bytes.len() <= 12 + numbers.len() * 90 / 8, "{} bytes", bytes.len());
        let mut read = Numbers::of(&bytes).unwrap();
        for number in &numbers {
            prop_assert_eq!(read.read(), *number);
        }
    }

    #[test]
    fn damaged_numbers_are_numbers_or_none(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Some(mut numbers) = Numbers::of(&bytes) {
            for _ in 0..100 {
                numbers.read();
            }
        }
    }

    #[test]
    fn every_block_and_series_is_read_as_it_was_pushed((count, windows) in history()) {
        let mut ring = Ring::default();
        let blocks = pushed(&mut ring, count, &windows);
        let newest_first: Vec<&Block> = blocks.iter().rev().map(|block| &**block).collect();
        let opened: Vec<Arc<Block>> = ring.blocks().collect();
        prop_assert_eq!(opened.iter().map(|block| &**block).collect::<Vec<_>>(), newest_first);
        for block in &blocks {
            let found = ring.of_window(block.window);
            prop_assert_eq!(found.as_deref(), Some(&**block));
        }
        let metrics: BTreeSet<&MetricKey> = windows.iter().flat_map(Cells::keys).map(|(_, metric)| metric).collect();
        let uptime = MetricKey::Known(Metric::Uptime);
        for (entity, labels) in keys(&rows(count)) {
            for metric in metrics.iter().copied().chain([&uptime]).filter(|metric| metric.is_public()) {
                let value = |block: &Block| block.value(block.layout.rows.find(&entity, labels.as_ref())?, metric);
                let with_stamp = |block: &Arc<Block>| Some((block.window.end(), value(block)?));
                let expected: Points = blocks
                    .iter()
                    .filter_map(with_stamp)
                    .map(|(stamp, held)| (stamp, metric.form().show(held)))
                    .collect();
                let key = SeriesKey {
                    entity: entity.clone(),
                    metric: metric.name().to_owned(),
                    labels: labels.clone(),
                };
                let mut points = Points::new();
                ring.read(&key, Span::ALL, &mut points);
                // NaN among an application's numbers is not equal to itself.
                prop_assert_eq!(format!("{points:?}"), format!("{expected:?}"), "{:?}", key);
            }
        }
    }

    #[test]
    fn size_is_that_of_what_is_kept((count, windows) in history(), retention in 0..9_u64) {
        let mut ring = Ring::default();
        pushed(&mut ring, count, &windows);
        let last = Duration::from_secs(30 * windows.len() as u64);
        let dropped = ring.prune(last, Duration::from_secs(30 * retention));
        let (blocks, points, bytes) = ring.size();
        prop_assert_eq!(blocks + dropped.len(), windows.len());
        prop_assert_eq!(points, windows.iter().skip(dropped.len()).map(Cells::len).sum::<usize>());
        let all: Vec<Arc<Block>> = ring.blocks().collect();
        prop_assert_eq!(all.len(), blocks);
        let rest = ring.prune(last * 100, Duration::ZERO);
        prop_assert_eq!(rest.len(), blocks);
        prop_assert_eq!((ring.size(), bytes == 0), ((0, 0, 0), all.iter().all(|b| b.points() == 0)));
    }
}

#[test]
fn newest_is_whole_and_so_is_the_last_of_some_rows() {
    let of = |metrics: &[Metric]| -> Cells {
        metrics.iter().map(|metric| ((0, MetricKey::Known(*metric)), 7)).collect()
    };
    let two = of(&[Metric::MemoryUsage, Metric::MemoryRss]);
    let mut ring = Ring::default();
    let first = pushed(&mut ring, 1, &[two.clone(), of(&[Metric::MemoryUsage]), two.clone()]);
    let others = pushed(&mut ring, 2, &[two.clone(), two]);
    let whole: Vec<bool> = ring.forms().map(|form| matches!(form, Form::Whole(_))).collect();
    assert_eq!(whole, [true, false, true, false, false], "newest first");
    let opened: Vec<Arc<Block>> = ring.blocks().collect();
    assert_eq!(opened, first.into_iter().chain(others).rev().collect::<Vec<_>>());
    let layouts: Vec<_> = ring.layouts().map(|layout| layout.columns().count()).collect();
    assert_eq!(layouts, [2, 2, 1, 2], "each block has its own columns");
}

#[test]
fn older_blocks_have_in_common_what_does_not_change() {
    let rows = rows(5);
    let cells = |held| Cells::from([((0, MetricKey::Known(Metric::MemoryUsage)), held)]);
    let (mut ring, mut last) = (Ring::default(), None::<Arc<Block>>);
    for at in 0..30 {
        let made = Arc::new(block(&rows, &cells(at as u64), at, last.as_deref()));
        ring.push(made.clone(), Duration::from_secs(at as u64));
        last = Some(made);
    }
    let last = last.unwrap();
    // The newest block's and one for all the others.
    assert_eq!(Arc::strong_count(&last.layout), 2);
    assert!(ring.forms().all(|form| Arc::ptr_eq(form.layout(), &last.layout)));
    // Where its bytes are, what it has in common, which window, and when it was asked for.
    assert!(size_of::<Form>() <= 48, "{}", size_of::<Form>());
}

#[test]
fn what_was_known_of_pods_is_kept_of_the_newest_blocks_alone() {
    use crate::handmade::{assembled, inventory, node, of_pod, pod, said, window};
    use heapster::model::report::Subject;
    // The same pods, of which something else is known each time; and others each time.
    for stays in [true, false] {
        let (mut ring, mut last, mut facts) = (Ring::default(), None::<Arc<Block>>, Vec::new());
        for at in 0..12_u32 {
            let name = if stays { "web".to_owned() } else { format!("web-{at}") };
            let known = inventory(node("node-1"), [pod("shop", &name, [])]);
            let report = said(&[(Subject::Pod("shop", &name), &[(Metric::MemoryUsage, u64::from(at))])]);
            let made = Arc::new(assembled(&report, &known, window(at.into()), last.as_deref()).block);
            ring.push(made.clone(), Duration::from_secs(at.into()));
            (facts, last) = ([facts, vec![Arc::downgrade(&known)]].concat(), Some(made));
        }
        let kept: Vec<bool> = facts.iter().map(|facts| facts.upgrade().is_some()).collect();
        assert_eq!(kept, [vec![false; 8], vec![true; 4]].concat(), "{stays}");
        let entity = of_pod("shop", if stays { "web" } else { "web-3" });
        let key = SeriesKey { entity, metric: "memory/usage".into(), labels: None };
        let mut points = Points::new();
        ring.read(&key, Span::ALL, &mut points);
        assert_eq!(points.len(), if stays { 12 } else { 1 });
    }
}
