//! The bytes of many nodes' older blocks put together: alone each takes a little more than it needs, and pages that hold
//! blocks of every age are never free. When they are looked for is left to [`super::cluster`].

use super::history::{Loose, Ring};
use super::part::Part;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many bytes are put together at most, unless a single block has more: whole pages.
pub const PIECE: usize = 64 * 1024;

/// Puts together what lies loose in these rings, window by window, so that what lies together is dropped together. What
/// does not fill a piece of so many bytes waits for more.
pub fn bundle<'r>(rings: impl Iterator<Item = &'r mut Ring>, piece: usize) {
    let mut loose: BTreeMap<i64, Vec<Loose<'r>>> = BTreeMap::new();
    for past in rings.flat_map(Ring::loose) {
        loose.entry(past.window().index()).or_default().push(past);
    }
    for of_window in loose.into_values() {
        let (mut some, mut size) = (Vec::new(), 0);
        for past in of_window {
            let more = past.bytes().len();
            if size + more > piece && !some.is_empty() {
                put_together(std::mem::take(&mut some), std::mem::take(&mut size));
            }
            size += more;
            some.push(past);
        }
    }
}

fn put_together(some: Vec<Loose<'_>>, size: usize) {
    let mut piece = Vec::with_capacity(size);
    let mut ends = Vec::with_capacity(some.len());
    for past in &some {
        piece.extend_from_slice(past.bytes());
        ends.push(piece.len());
    }
    let piece: Arc<[u8]> = piece.into();
    let mut start = 0;
    for (past, end) in some.into_iter().zip(ends) {
        if let Some(part) = Part::of(&piece, start..end) {
            past.replace(part);
        }
        start = end;
    }
}
