//! Some bytes out of a piece of memory that many share. Who shares which is left to [`super::bundle`].

use std::ops::Range;
use std::sync::Arc;

/// Bytes that lie by themselves, or together with those of others. Cloning is cheap.
#[derive(Clone)]
pub struct Part {
    piece: Arc<[u8]>,
    start: u32,
    end: u32,
}

impl Part {
    /// Those of a piece. None where they are not all in it, or lie behind the fourth GiB.
    pub(super) fn of(piece: &Arc<[u8]>, range: Range<usize>) -> Option<Self> {
        piece.get(range.clone())?;
        let (start, end) = (u32::try_from(range.start).ok()?, u32::try_from(range.end).ok()?);
        Some(Self { piece: piece.clone(), start, end })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        let at = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        self.piece.get(at(self.start)..at(self.end)).unwrap_or_default()
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Part").field(&self.bytes()).finish()
    }
}
