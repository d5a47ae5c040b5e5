//! One of each of many equal values. What is worth sharing is left to whoever keeps them.

use super::Set;
use std::hash::Hash;
use std::sync::Arc;

/// How many values there are at least when those that nobody else has any more are looked for.
const FEWEST: usize = 1_024;

/// Values that were seen and that somebody may still have.
#[derive(Debug)]
pub struct Pool<T: ?Sized> {
    held: Set<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { held: Set::default(), sweep_at: FEWEST }
    }
}

impl<T: ?Sized + Hash + Eq> Pool<T> {
    /// The value itself, or an equal one that was seen before.
    pub fn share(&mut self, value: &Arc<T>) -> Arc<T> {
        if let Some(held) = self.held.get(&**value) {
            return held.clone();
        }
        if self.held.len() >= self.sweep_at {
            self.held.retain(|held| Arc::strong_count(held) > 1);
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
