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

/// Some bits of the hash of a row's names: enough to look for it by. That no other row has the same is found out when they
/// are remembered.
type Mark = [u16; 2];

/// Two hashes of every row's names, added up: whatever the order, other rows have another total. Seeded anew in every
/// process, so that nobody can choose names that have the same.
type Total = [u64; 2];

/// What is remembered of a row. Six bytes: every node has hundreds of them.
#[derive(Clone, Copy, Debug)]
struct Told {
    mark: Mark,
    place: u16,
}

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
    /// In the order in which they were told, each with another mark.
    told: Box<[Told]>,
    total: Total,
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
        if !same || report.rows().len() != last.told.len() {
            return None;
        }
        let mut elsewhere = Map::<Mark, u16>::default();
        let mut total = Total::default();
        let mut found = Vec::with_capacity(last.told.len());
        for (row, told) in report.rows().iter().zip(&last.told) {
            let mark = self.mark(row, &mut total);
            let place = if told.mark == mark {
                told.place
            } else {
                if elsewhere.is_empty() {
                    elsewhere = last.told.iter().map(|told| (told.mark, told.place)).collect();
                }
                *elsewhere.get(&mark)?
            };
            found.push(Some(usize::from(place)));
        }
        (total == last.total).then(|| Placed { row_of: found, kin: last.kin.clone() })
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
        let mut total = Total::default();
        // Of the right size from the start: an allocator may leave what shrinks as large as it was.
        let mut told = Vec::with_capacity(row_of.len());
        // A table too long for its places to be told in 16 bits is looked through anew each time.
        let known = answer.report.rows().iter().zip(row_of).map_while(|(row, place)| {
            Some(Told { place: u16::try_from((*place)?).ok()?, mark: self.mark(row, &mut total) })
        });
        told.extend(known);
        // And so is the rare one of which two rows have the same mark.
        let is_alone = told.len() == row_of.len()
            && are_distinct(told.iter().map(|told| told.place))
            && are_distinct(told.iter().map(|told| told.mark));
        if left_out == 0 && is_alone {
            let (inventory, rows) = (answer.inventory.clone(), made.block.layout.rows.clone());
            self.last = Some(Last { inventory, rows, told: told.into(), total, kin: kin.clone() });
        }
    }

    /// A row's mark. Adds the row to the total.
    fn mark(&self, row: &ReportRow<'_>, total: &mut Total) -> Mark {
        let hashes = self.seeds.each_ref().map(|seed| seed.hash_one((row.subject, row.part)));
        for (sum, hash) in total.iter_mut().zip(hashes) {
            *sum = sum.wrapping_add(hash);
        }
        let [hash, _] = hashes;
        let [.., a, b, c, d] = hash.to_le_bytes();
        [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])]
    }
}

fn are_distinct<T: Ord>(all: impl Iterator<Item = T>) -> bool {
    let mut sorted: Vec<T> = all.collect();
    sorted.sort_unstable();
    sorted.is_sorted_by(|a, b| a < b)
}
