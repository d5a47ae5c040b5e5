//! What one older block after the other has in common, held once for all of them. How a block is told by what differs is left
//! to [`super::past`].

use super::block::{Block, Layout};
use crate::model::inventory::NodeInventory;
use crate::model::time::Window;
use std::sync::Arc;

/// What blocks have in common as long as nothing but their figures changes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Still {
    /// Of the first of them.
    pub window: Window,
    /// What is in them.
    pub layout: Arc<Layout>,
    /// What was known of the node and its pods.
    pub facts: Option<Arc<NodeInventory>>,
    /// Their steady columns.
    pub steady: Arc<[u8]>,
}

impl Still {
    /// What a block is made of, and how many windows after the first one that is so. What the block would have in common
    /// with the one `before` it, if it has.
    pub fn of(block: &Block, before: Option<&Arc<Self>>) -> (i32, Arc<Self>) {
        let (layout, facts) = (block.layout.clone(), block.facts.clone());
        Self { window: block.window, layout, facts, steady: block.steady.clone() }.shared(before)
    }

    /// The same of a block of this window, without what was known of the node and its pods.
    pub fn without_facts(&self, window: Window, before: Option<&Arc<Self>>) -> (i32, Arc<Self>) {
        Self { window, facts: None, ..self.clone() }.shared(before)
    }

    fn shared(self, before: Option<&Arc<Self>>) -> (i32, Arc<Self>) {
        let since = |first: &Self| i32::try_from(self.window.index().checked_sub(first.window.index())?).ok();
        let shared =
            before.filter(|before| before.is(&self)).and_then(|before| Some((since(before)?, before)));
        match shared {
            Some((since, before)) => (since, before.clone()),
            None => (0, Arc::new(self)),
        }
    }

    /// Whether it is made of the very same.
    fn is(&self, other: &Self) -> bool {
        let facts = match (&self.facts, &other.facts) {
            (Some(own), Some(others)) => Arc::ptr_eq(own, others),
            (own, others) => own.is_none() && others.is_none(),
        };
        facts
            && Arc::ptr_eq(&self.layout, &other.layout)
            && Arc::ptr_eq(&self.steady, &other.steady)
            && self.window.resolution() == other.window.resolution()
    }
}
