//! Older blocks of several nodes put together: they are read as before, also by who had begun, and little stays loose.

use crate::handmade::cases;
use crate::packing_blocks::Cells;
use crate::packing_past::{history, pushed};
use heapster::model::metric::{Metric, MetricKey};
use heapster::rollup::block::Block;
use heapster::rollup::bundle::bundle;
use heapster::rollup::history::{Form, Ring};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn blocks(ring: &Ring) -> Vec<Arc<Block>> {
    ring.blocks().collect()
}

/// The sizes of what lies loose, by window.
fn loose(rings: &mut [Ring]) -> BTreeMap<i64, Vec<usize>> {
    let mut loose: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for past in rings.iter_mut().flat_map(Ring::loose) {
        loose.entry(past.window().index()).or_default().push(past.bytes().len());
    }
    loose
}

/// Figures of which no one tells anything of another.
fn random(of: usize, window: usize) -> Cells {
    let metrics =
        [Metric::MemoryUsage, Metric::MemoryCache, Metric::NetworkRxErrors, Metric::NetworkTxErrors];
    let places = (0..40_usize).flat_map(|row| metrics.map(|metric| (row, MetricKey::Known(metric))));
    let value = |place: usize| {
        let seed = u64::try_from(1 + place + of * 7_919 + window * 104_729).unwrap();
        (0..3).fold(seed, |mixed, _| (mixed ^ mixed >> 31).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    };
    places.enumerate().map(|(place, key)| (key, value(place))).collect()
}

/// As long as more of a window may come, what does not fill a piece waits; then it is put together as it is.
#[test]
fn what_is_left_of_a_window_waits_for_the_next_one_only() {
    let piece = 1024 * 1024;
    let rings = |windows: usize| {
        let of = |of: usize| {
            let mut ring = Ring::default();
            let windows: Vec<Cells> = (0..windows).map(|window| random(of, window)).collect();
            pushed(&mut ring, 40, &windows);
            ring
        };
        (0..30).map(of).collect::<Vec<Ring>>()
    };
    let total = |sizes: &Vec<usize>| sizes.iter().sum::<usize>();

    let mut one = rings(2);
    let had = loose(&mut one);
    bundle(one.iter_mut(), piece);
    assert_eq!(loose(&mut one), had, "a window of which more may come");

    let mut two = rings(3);
    let had = loose(&mut two);
    bundle(two.iter_mut(), piece);
    let left = loose(&mut two);
    let sizes: Vec<(usize, usize)> =
        had.iter().map(|(window, had)| (total(had), left.get(window).map_or(0, total))).collect();
    let [(older, of_older), (newer, of_newer)] = sizes[..] else { panic!("{sizes:?}") };
    assert_eq!(of_newer, newer);
    assert!(older > 32 * 1024 && of_older < 16 * 1024, "{of_older} of {older} left");
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn bundled_blocks_are_read_as_before(
        histories in prop::collection::vec(history(), 1..6),
        piece in 1..2_000_usize,
    ) {
        let mut rings: Vec<Ring> = Vec::new();
        for (count, windows) in &histories {
            let mut ring = Ring::default();
            pushed(&mut ring, *count, windows);
            rings.push(ring);
        }
        let before: Vec<_> = rings.iter().map(|ring| (blocks(ring), ring.size())).collect();
        let readers: Vec<Vec<Form>> = rings.iter().map(|ring| ring.forms().cloned().collect()).collect();
        let had = loose(&mut rings);

        bundle(rings.iter_mut(), piece);
        let after: Vec<_> = rings.iter().map(|ring| (blocks(ring), ring.size())).collect();
        prop_assert_eq!(&after, &before);
        for (forms, (blocks, _)) in readers.iter().zip(&before) {
            for (form, pair) in forms.iter().skip(1).zip(blocks.windows(2)) {
                prop_assert_eq!(&form.open(&pair[0]), &pair[1]);
            }
        }

        for (window, sizes) in loose(&mut rings) {
            let total: usize = sizes.iter().sum();
            prop_assert!(total <= piece || sizes.len() == 1, "{window}: {sizes:?} in pieces of {piece}");
        }
        for (window, sizes) in had {
            let total: usize = sizes.iter().sum();
            let left: usize = loose(&mut rings).get(&window).map_or(0, |left| left.iter().sum());
            // A block of which nothing moves has no bytes: it fills no piece with another.
            let alone = sizes.iter().filter(|size| **size > 0).count() == 1;
            prop_assert!(total <= piece || alone || left < total, "{window}: nothing of {sizes:?}");
        }

        for ring in &mut rings {
            ring.prune(Duration::MAX / 2, Duration::ZERO);
            prop_assert_eq!(ring.size(), (0, 0, 0));
        }
    }
}
