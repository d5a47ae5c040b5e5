//! When to speak of points that are dropped for want of room: at the first, then at most every ten minutes, and once it is
//! over. Pure: saying it is left to the exporter actor.

use super::queue::{Ledger, QUEUE_FULL, Reason, SPOOL_FULL, TOO_LARGE};
use crate::model::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// The least time between two words of one reason.
pub const EVERY: Duration = Duration::from_secs(600);

/// What is to be said of one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// So many points were dropped, the first for as long as is remembered.
    Began(u64),
    /// So many more were dropped since the last word.
    More(u64),
    /// None was dropped since the last word; so many were before, from the first on.
    Over(u64),
}

/// What to do about points that are dropped for this reason. None where the sink's answer says it.
pub fn advice(reason: Reason) -> Option<&'static str> {
    match reason {
        QUEUE_FULL => {
            Some("there is no room in memory, the oldest go first; raise queue_limit or give spool_dir")
        }
        SPOOL_FULL => Some("there is no room in its spool, the oldest go first; raise spool_limit"),
        TOO_LARGE => Some("each alone is more than the server takes at once; raise the server's limit"),
        _ => None,
    }
}

/// What was said of one sink.
#[derive(Clone, Debug, Default)]
pub struct Losses(BTreeMap<Reason, Said>);

#[derive(Clone, Copy, Debug)]
struct Said {
    /// When the last word was.
    at: Timestamp,
    /// Points that were dropped until then.
    total: u64,
    /// Points that were dropped before the first word.
    before: u64,
    /// Whether it is over.
    over: bool,
}

impl Losses {
    /// What is to be said now.
    pub fn look(&mut self, ledger: &Ledger, now: Timestamp) -> Vec<(Reason, Word)> {
        let known = ledger.dropped.iter().filter(|(reason, _)| advice(reason).is_some());
        known.filter_map(|(reason, total)| Some((*reason, self.word(reason, *total, now)?))).collect()
    }

    fn word(&mut self, reason: Reason, total: u64, now: Timestamp) -> Option<Word> {
        let said = self.0.entry(reason).or_insert(Said { at: now, total: 0, before: 0, over: true });
        let more = total.saturating_sub(said.total);
        let word = match (said.over, more) {
            (true, 0) => return None,
            (true, _) => {
                said.before = said.total;
                Word::Began(more)
            }
            (false, _) if now < said.at.after(EVERY) => return None,
            (false, 0) => Word::Over(total.saturating_sub(said.before)),
            (false, _) => Word::More(more),
        };
        (said.at, said.total, said.over) = (now, total, matches!(word, Word::Over(_)));
        Some(word)
    }
}
