//! The bytes of many nodes' older blocks put together: alone each takes a little more than it needs, and pages that hold
//! blocks of every age are never free. When they are looked for is left to [`super::cluster`].

use super::history::{Loose, Ring};
use super::part::Part;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many bytes are put together at most, unless a single block has more.
pub const PIECE: usize = 128 * 1024;
/// The fewest: a small piece is no better than what is in it.
const LEAST: usize = 16 * 1024;
/// What a piece takes beside its bytes: two counts.
const COUNTS: usize = 2 * size_of::<usize>();

/// Puts together what lies loose in these rings, window by window, so that what lies together is dropped together. What
/// does not fill a piece of so many bytes waits for more, as long as more of its window may come.
pub fn bundle<'r>(rings: impl Iterator<Item = &'r mut Ring>, piece: usize) {
    let mut loose: BTreeMap<i64, Vec<Loose<'r>>> = BTreeMap::new();
    for past in rings.flat_map(Ring::loose) {
        loose.entry(past.window().index()).or_default().push(past);
    }
    let newest = loose.keys().next_back().copied();
    for (window, of_window) in loose {
        let least = if Some(window) == newest { piece } else { LEAST.min(piece) };
        let mut left: usize = of_window.iter().map(|past| past.bytes().len()).sum();
        let (mut some, mut size) = (Vec::new(), 0);
        for past in of_window {
            let room = snug(left + size + COUNTS).min(piece).saturating_sub(COUNTS);
            let more = past.bytes().len();
            if size + more > room && !some.is_empty() {
                put_together(std::mem::take(&mut some), std::mem::take(&mut size));
            }
            if some.is_empty() && left < least {
                break;
            }
            size += more;
            left -= more;
            some.push(past);
        }
    }
}

/// The most bytes, up to so many, of which an allocator wastes none: it has four sizes for each power of two.
const fn snug(bytes: usize) -> usize {
    let digits = usize::BITS - bytes.leading_zeros();
    let zeros = digits.saturating_sub(3);
    bytes >> zeros << zeros
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
