//! A number that may not be there, in the memory of one that is. What it counts is left to whoever holds it.

use std::fmt;
use std::num::NonZeroU64;

/// A number or none, held as one more than it is.
///
/// `u64::MAX` is held as the number before it: no resource has that much, and no container was restarted that often.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Amount(Option<NonZeroU64>);

impl Amount {
    /// The number.
    pub const fn get(self) -> Option<u64> {
        match self.0 {
            Some(held) => Some(held.get() - 1),
            None => None,
        }
    }
}

impl From<Option<u64>> for Amount {
    fn from(amount: Option<u64>) -> Self {
        Self(amount.map(|amount| NonZeroU64::MIN.saturating_add(amount)))
    }
}

impl From<u64> for Amount {
    fn from(amount: u64) -> Self {
        Some(amount).into()
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
