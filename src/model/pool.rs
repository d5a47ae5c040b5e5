//! One of each of many equal values. What is worth sharing is left to whoever keeps them.

use super::Set;
use super::entity::Name;
use std::hash::Hash;
use std::sync::Arc;

/// How many values there are at least when those that nobody else has any more are looked for.
const FEWEST: usize = 1_024;

/// A value that many may hold at once.
pub trait Held: Clone + Eq + Hash {
    /// Whether anybody but the pool has it.
    fn has_others(&self) -> bool;
}

impl<T: ?Sized + Hash + Eq> Held for Arc<T> {
    fn has_others(&self) -> bool {
        Arc::strong_count(self) > 1
    }
}

impl Held for Name {
    fn has_others(&self) -> bool {
        // None where the program itself has it.
        Name::strong_count(self).is_some_and(|count| count > 1)
    }
}

/// Values that were seen and that somebody may still have.
#[derive(Debug)]
pub struct Pool<T> {
    held: Set<T>,
    sweep_at: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { held: Set::default(), sweep_at: FEWEST }
    }
}

impl<T: Held> Pool<T> {
    /// The value itself, or an equal one that was seen before.
    pub fn share(&mut self, value: &T) -> T {
        if let Some(held) = self.held.get(value) {
            return held.clone();
        }
        if self.held.len() >= self.sweep_at {
            self.held.retain(Held::has_others);
            // An eighth more at most: what is gone takes as much memory as what is there.
            self.sweep_at = FEWEST.max(self.held.len() + self.held.len() / 8);
        }
        self.held.insert(value.clone());
        value.clone()
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}
