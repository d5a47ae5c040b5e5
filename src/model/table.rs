//! One kind of object that the API server tells of, each kept once and found by its key. Which kinds there are is left to
//! [`super::inventory`].

use super::Set;
use hashbrown::Equivalent;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A record that one table of the inventory holds.
pub trait Record: PartialEq {
    /// What tells it from its like.
    type Key: Clone + Eq + Hash;
    /// Its key.
    fn key(&self) -> Self::Key;
}

/// What a watch tells of one kind of object.
#[derive(Clone, Debug)]
pub enum Change<R> {
    /// A list begins: what it does not name is gone when it is done.
    ListBegins,
    /// An object of the list.
    Listed(R),
    /// The list is done.
    ListDone,
    /// An object is there, new or changed.
    Applied(R),
    /// An object is gone.
    Gone(R),
}

/// A record among its like, told from them by its key alone: a key beside each would take four times the memory.
#[derive(Debug)]
struct Kept<R>(Arc<R>);

impl<R: Record> Hash for Kept<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key().hash(state);
    }
}

impl<R: Record> PartialEq for Kept<R> {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl<R: Record> Eq for Kept<R> {}

/// A key, or what is like one, by which a record is found.
#[derive(Hash)]
struct By<'q, Q: ?Sized>(&'q Q);

impl<R: Record, Q: Equivalent<R::Key> + ?Sized> Equivalent<Kept<R>> for By<'_, Q> {
    fn equivalent(&self, kept: &Kept<R>) -> bool {
        self.0.equivalent(&kept.0.key())
    }
}

/// One kind of object, followed by mark and sweep through every relist.
#[derive(Debug)]
pub struct Table<R: Record> {
    rows: Set<Kept<R>>,
    listing: Option<Set<R::Key>>,
    complete: bool,
}

impl<R: Record> Default for Table<R> {
    fn default() -> Self {
        Self { rows: Set::default(), listing: None, complete: false }
    }
}

impl<R: Record> Table<R> {
    /// Takes in one change and calls `changed(before, after)` for every record that is new, other or gone by it.
    pub fn apply(&mut self, change: Change<R>, mut changed: impl FnMut(Option<&Arc<R>>, Option<&Arc<R>>)) {
        match change {
            Change::ListBegins => self.listing = Some(Set::default()),
            Change::Listed(record) => {
                let key = record.key();
                self.put(record, &mut changed);
                if let Some(seen) = &mut self.listing {
                    seen.insert(key);
                }
            }
            Change::ListDone => {
                self.complete = true;
                if let Some(seen) = self.listing.take() {
                    self.rows.retain(|Kept(record)| {
                        let stays = seen.contains(&record.key());
                        if !stays {
                            changed(Some(record), None);
                        }
                        stays
                    });
                }
            }
            Change::Applied(record) => {
                let key = record.key();
                if let Some(seen) = &mut self.listing {
                    seen.insert(key.clone());
                }
                self.put(record, &mut changed);
            }
            Change::Gone(record) => {
                if let Some(Kept(before)) = self.rows.take(&By(&record.key())) {
                    changed(Some(&before), None);
                }
            }
        }
    }

    fn put(&mut self, record: R, changed: &mut impl FnMut(Option<&Arc<R>>, Option<&Arc<R>>)) {
        if self.get(&record.key()).is_some_and(|before| **before == record) {
            return;
        }
        let record = Arc::new(record);
        let before = self.rows.replace(Kept(record.clone()));
        changed(before.as_ref().map(|Kept(before)| before), Some(&record));
    }

    /// Whether a list was ever finished: before that, what is missing may only be unknown.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The record of this key.
    pub fn get<Q: Equivalent<R::Key> + Hash + ?Sized>(&self, key: &Q) -> Option<&Arc<R>> {
        self.rows.get(&By(key)).map(|Kept(record)| record)
    }

    /// Every record, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<R>> {
        self.rows.iter().map(|Kept(record)| record)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
