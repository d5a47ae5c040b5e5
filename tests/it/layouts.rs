//! Which rows have a value of which metric, against the plain sets: whatever the layout before was, and in how few bytes.

use crate::handmade::cases;
use crate::packing_blocks::{Cells, block, metrics, rows};
use heapster::model::metric::{Metric, MetricKey};
use heapster::rollup::block::{Layout, Row};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Plain = BTreeMap<MetricKey, BTreeSet<Row>>;

fn read(layout: &Layout) -> Plain {
    layout.columns().map(|(metric, set)| (metric.clone(), set.iter().collect())).collect()
}

fn cells(plain: &Plain) -> Cells {
    let of = |(metric, rows): (&MetricKey, &BTreeSet<Row>)| {
        rows.iter().map(|row| ((*row, metric.clone()), 1)).collect::<Vec<_>>()
    };
    plain.iter().flat_map(of).collect()
}

/// Metrics of which many have the same rows, and others that are like them but for one.
fn plain(count: usize) -> impl Strategy<Value = Plain> {
    let set = prop::collection::btree_set(0..count, 1..6);
    let sets = prop::collection::vec(set, 1..4);
    let of =
        prop::collection::vec((metrics(), any::<prop::sample::Index>(), prop::option::of(0..count)), 0..40);
    (sets, of).prop_map(|(sets, of)| {
        let own = |(metric, at, more): (MetricKey, prop::sample::Index, Option<Row>)| {
            let mut set = sets[at.index(sets.len())].clone();
            set.extend(more);
            (metric, set)
        };
        of.into_iter().map(own).collect()
    })
}

fn history() -> impl Strategy<Value = (usize, Vec<(Plain, usize, bool)>)> {
    // Up to one, two and three words, and just so many.
    prop::sample::select(vec![1_usize, 5, 63, 64, 65, 128, 150]).prop_flat_map(|count| {
        (Just(count), prop::collection::vec((plain(count), 0..40_usize, any::<bool>()), 1..5))
    })
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn layouts_are_what_was_put_in_whatever_was_before((count, windows) in history()) {
        let rows = rows(count);
        let (mut before, mut last) = (None, Plain::new());
        for (n, (other, kept, same)) in windows.into_iter().enumerate() {
            // As before, the beginning of it, or the beginning and then something else.
            let mut plain: Plain = if same { last.clone() } else { last.into_iter().take(kept).collect() };
            if !same && kept % 3 > 0 {
                plain.extend(other);
            }
            let made = block(&rows, &cells(&plain), n as i64, before.as_ref());
            let layout = &made.layout;
            prop_assert_eq!(&read(layout), &plain);
            prop_assert_eq!(&**layout, &*block(&rows, &cells(&plain), n as i64, None).layout, "as if none was before");
            prop_assert_eq!(layout.points(), plain.values().map(BTreeSet::len).sum::<usize>());
            for (metric, set) in layout.columns() {
                let held = &plain[metric];
                prop_assert_eq!((set.len(), set.is_empty()), (held.len(), held.is_empty()));
                prop_assert!((0..count + 3).all(|row| set.has(row) == held.contains(&row)));
            }
            let shared = before.as_ref().is_some_and(|before| Arc::ptr_eq(&before.layout, layout));
            let alike = before.as_ref().is_some_and(|before| read(&before.layout) == plain);
            prop_assert_eq!(shared, alike, "what is the same is shared");
            (before, last) = (Some(made), plain);
        }
    }
}

#[test]
fn a_layout_takes_few_bytes() {
    let count = 250;
    let stored = Metric::ALL.iter().filter(|metric| **metric != Metric::Uptime);
    let of =
        |(n, metric): (usize, &Metric)| (MetricKey::Known(*metric), (0..count).step_by(1 + n % 3).collect());
    let plain: Plain = stored.enumerate().map(of).collect();
    let layout = block(&rows(count), &cells(&plain), 0, None).layout;
    // Four bytes a column, and three sets of four words and a count.
    assert_eq!(layout.bytes(), 4 * plain.len() + 3 * 8 * (count.div_ceil(64) + 1));
}
