//! Where the rows of a node's last answer stood, so that those of the next are found without a name being compared: most
//! answers tell of the same pods as the one before. Finding them otherwise is left to `chosen`.

use super::block::Rows;
use super::kin::Kin;
use super::node::{Answer, Assembled, Placed};
use crate::model::Map;
use crate::model::inventory::NodeInventory;
use crate::model::report::{Report, ReportRow};
use std::hash::BuildHasher;
use std::sync::Arc;

/// Two hashes of a row's names, seeded anew in every process: nobody can choose names that share both. Half of either is
/// enough.
type Mark = [u32; 2];

/// The rows of an answer of which each counted and each pod was known, in the order in which they were told.
#[derive(Debug, Default)]
pub struct Known {
    last: Option<Last>,
    seeds: [foldhash::quality::RandomState; 2],
}

#[derive(Debug)]
struct Last {
    inventory: Arc<NodeInventory>,
    rows: Arc<Rows>,
    marks: Box<[Mark]>,
    places: Box<[u16]>,
    /// Of those rows and that inventory.
    kin: Arc<Kin>,
}

impl Known {
    /// Where each row of the report stands in the table of the block before. None where that is not the table of the
    /// last answer that was remembered, where something else is known of the node's pods since, or where the report does
    /// not tell of exactly the same.
    pub fn find(
        &self,
        report: &Report<'_>,
        inventory: &Arc<NodeInventory>,
        before: Option<&Arc<Rows>>,
    ) -> Option<Placed> {
        let last = self.last.as_ref()?;
        let same = Arc::ptr_eq(&last.inventory, inventory) && Arc::ptr_eq(&last.rows, before?);
        if !same || report.rows().len() != last.marks.len() {
            return None;
        }
        let mut elsewhere = Map::<Mark, usize>::default();
        let mut taken = vec![false; last.marks.len()];
        let mut found = Vec::with_capacity(taken.len());
        for (told, row) in report.rows().iter().enumerate() {
            let mark = self.mark(row);
            let at = if last.marks.get(told) == Some(&mark) {
                told
            } else {
                if elsewhere.is_empty() {
                    elsewhere = last.marks.iter().enumerate().map(|(at, mark)| (*mark, at)).collect();
                }
                *elsewhere.get(&mark)?
            };
            if std::mem::replace(taken.get_mut(at)?, true) {
                return None;
            }
            found.push(last.places.get(at).map(|place| usize::from(*place)));
        }
        Some(Placed { row_of: found, kin: last.kin.clone() })
    }

    /// Remembers where the rows of an answer stand, if each of them counts and stands alone. `placed` is what
    /// [`super::node::assemble_at`] told with `made`.
    pub fn remember(&mut self, answer: &Answer<'_>, placed: &Placed, made: &Assembled) {
        let Placed { row_of, kin } = placed;
        self.last = None;
        let left_out = made.tally.foreign_rows
            + made.tally.unknown_rows
            + made.tally.superseded_rows
            + made.tally.rows_over_limit;
        // A table too long for its places to be told in 16 bits is looked through anew each time.
        let known = row_of.iter().map_while(|row| u16::try_from((*row)?).ok());
        // Of the right size from the start: an allocator may leave what shrinks as large as it was.
        let mut places = Vec::with_capacity(row_of.len());
        places.extend(known);
        if left_out != 0 || places.len() != row_of.len() {
            return;
        }
        let mut distinct = places.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() == places.len() {
            let marks = answer.report.rows().iter().map(|told| self.mark(told)).collect();
            let (inventory, rows) = (answer.inventory.clone(), made.block.layout.rows.clone());
            let (places, kin) = (places.into(), kin.clone());
            self.last = Some(Last { inventory, rows, marks, places, kin });
        }
    }

    fn mark(&self, row: &ReportRow<'_>) -> Mark {
        self.seeds.each_ref().map(|seed| {
            let hash = seed.hash_one((row.subject, row.part)) >> 32;
            u32::try_from(hash).unwrap_or(0)
        })
    }
}
