//! Older blocks of several nodes put together: they are read as before, also by who had begun, and little stays loose.

use crate::handmade::cases;
use crate::packing_past::{history, pushed};
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
            prop_assert!(total <= piece || sizes.len() == 1 || left < total, "{window}: nothing of {sizes:?}");
        }

        for ring in &mut rings {
            ring.prune(Duration::MAX / 2, Duration::ZERO);
            prop_assert_eq!(ring.size(), (0, 0, 0));
        }
    }
}
