//! A block told by what differs from the one after it, and read by going back from there. How few bits a difference
//! takes is left to [`super::rice`], which blocks are kept so to [`super::history`].
//!
//! Only the columns that move are told anew. What a newer value says of an older one is taken off first: a counter is
//! where its rate came from, a container's available memory mirrors its working set. So both of a counter and its rate
//! cost little more than one, and either is exact.

use super::block::{Block, Filled, Layout, Row, uptime};
use super::opened::Opened;
use super::pack::{Column, read_varint, write_varint};
use super::part::Part;
use super::rice::{self, Numbers};
use super::still::Still;
use crate::model::metric::{Metric, MetricKey, RATED, Rated, Unit, to_f64, to_u64};
use crate::model::time::{Timestamp, Window};
use std::sync::Arc;

/// A block of the same rows as the one after it. Small: there are thirty for each node. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Past {
    /// The window, counted from that of `still`.
    since: i32,
    /// Whether `moving` is a part of what many have put together.
    bundled: bool,
    /// When the answer was asked for.
    pub scraped_at: Timestamp,
    still: Arc<Still>,
    /// Of each moving column the length in LEB128, then each moving column. Its own, or a part of what [`super::bundle`] has
    /// put together.
    moving: Part,
}

impl PartialEq for Past {
    /// Whether they tell the same, whatever they have in common with others.
    fn eq(&self, other: &Self) -> bool {
        let seen = |past: &Self| (past.window(), past.scraped_at);
        let (own, others) = (&*self.still, &*other.still);
        seen(self) == seen(other)
            && own.layout == others.layout
            && own.facts == others.facts
            && own.steady == others.steady
            && self.moving == other.moving
    }
}

/// What the newer value of a metric, and other metrics' values, say of its older value.
#[derive(Clone, Copy, Debug)]
enum Tie {
    /// Nothing but that it may be the same.
    Same,
    /// It is smaller by what the newer rate says.
    Rated(&'static Rated),
    /// It moved as the other did.
    With(Metric),
    /// It moved as the other did, the other way.
    Against(Metric),
}

fn tie(metric: &MetricKey) -> Tie {
    let MetricKey::Known(metric) = metric else { return Tie::Same };
    match metric {
        Metric::MemoryWorkingSet => Tie::With(Metric::MemoryUsage),
        Metric::MemoryRss => Tie::With(Metric::MemoryWorkingSet),
        Metric::MemoryAvailable => Tie::Against(Metric::MemoryWorkingSet),
        counter => RATED.iter().find(|rated| rated.counter == *counter).map_or(Tie::Same, Tie::Rated),
    }
}

/// Where a counter's instant is looked for, in this order.
fn instants(rated: &Rated) -> [Metric; 4] {
    [rated.time, Metric::CpuTime, Metric::MemoryTime, Metric::NetworkTime]
}

impl Tie {
    /// By how much the older value is more than the newer one, as far as the tie tells.
    fn step(self, newer: impl Fn(Metric) -> Option<u64>, older: impl Fn(Metric) -> Option<u64>) -> i64 {
        let told = match self {
            Self::Same => None,
            Self::With(other) => moved(&newer, &older, other),
            Self::Against(other) => moved(&newer, &older, other).map(i64::wrapping_neg),
            Self::Rated(rated) => newer(rated.rate).and_then(|rate| {
                let time = |metric: Metric| newer(metric).zip(older(metric));
                let (after, before) = instants(rated).into_iter().find_map(time)?;
                let elapsed = to_f64(after.checked_sub(before)?);
                // Of whole millicores half a one was cut off on average.
                let grown = match rated.rate.descriptor().unit {
                    Unit::Millicores => (to_f64(rate) + 0.5) * elapsed / 1e3,
                    _ => to_f64(rate) * elapsed / 1e12,
                };
                Some(i64::try_from(to_u64(grown.round())?).ok()?.wrapping_neg())
            }),
        };
        told.unwrap_or(0)
    }
}

fn moved(
    newer: &impl Fn(Metric) -> Option<u64>,
    older: &impl Fn(Metric) -> Option<u64>,
    metric: Metric,
) -> Option<i64> {
    Some(older(metric)?.wrapping_sub(newer(metric)?).cast_signed())
}

/// Whether some tie asks for the metric.
fn is_asked_for(metric: &MetricKey) -> Option<Metric> {
    let MetricKey::Known(metric) = metric else { return None };
    let by_rate = RATED.iter().any(|rated| rated.rate == *metric || rated.time == *metric);
    let by_memory = matches!(metric, Metric::MemoryUsage | Metric::MemoryWorkingSet);
    (by_rate || by_memory).then_some(*metric)
}

fn opened(block: &Block) -> Opened<'_> {
    Opened::of(block, |metric| is_asked_for(&MetricKey::Known(metric)).is_some())
}

/// What the newer block holds where the older one has the values of one of its columns: 0 where it has none.
fn newer_values(newer: &Block, layout: &Arc<Layout>, position: usize, values: &mut Vec<u64>) {
    values.clear();
    let Some((key, rows)) = layout.column(position) else { return };
    match newer.column_like(layout, position, key) {
        Some((present, column)) if present == rows => values.extend(column.iter()),
        Some((present, column)) => {
            let mut held = present.iter().zip(column.iter()).peekable();
            values.extend(rows.iter().map(|row| {
                while held.next_if(|(before, _)| *before < row).is_some() {}
                held.next_if(|(same, _)| *same == row).map_or(0, |(_, value)| value)
            }));
        }
        None => values.resize(rows.len(), 0),
    }
}

impl Past {
    /// `older` told by what differs from `newer`. None where they are not of the same rows. What it has in common with
    /// `earlier`, the block before it, is shared.
    pub fn of(older: &Block, newer: &Block, earlier: Option<&Past>) -> Option<Self> {
        if !Arc::ptr_eq(&older.layout.rows, &newer.layout.rows) {
            return None;
        }
        let (before, after) = (opened(older), opened(newer));
        let (mut lengths, mut columns) = (Vec::new(), Vec::new());
        let (mut new, mut differences, mut codes) = (Vec::new(), Vec::<i64>::new(), Vec::new());
        for (position, (key, present, old)) in older.columns().enumerate().skip(older.layout.steady) {
            newer_values(newer, &older.layout, position, &mut new);
            let plain = old.iter().zip(&new).map(|(old, new)| old.wrapping_sub(*new).cast_signed());
            differences.clear();
            match tie(key) {
                Tie::Same => differences.extend(plain),
                tie => differences.extend(present.iter().zip(plain).map(|(row, difference)| {
                    let step = tie.step(|metric| after.get(metric, row), |metric| before.get(metric, row));
                    difference.wrapping_sub(step)
                })),
            }
            let start = columns.len();
            rice::write(&differences, &mut codes, &mut columns);
            write_varint(u64::try_from(columns.len() - start).ok()?, &mut lengths);
        }
        lengths.append(&mut columns);
        let moving = Part::of(&lengths.as_slice().into(), 0..lengths.len())?;
        let (since, still) = Still::of(older, earlier.map(|earlier| &earlier.still));
        Some(Self { since, bundled: false, scraped_at: older.scraped_at, still, moving })
    }

    /// The window whose end stamps every point.
    pub fn window(&self) -> Window {
        self.still.window.step(self.since.into())
    }

    /// What is in it.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.still.layout
    }

    /// Keeps what was known of the node and its pods no longer. What it then has in common with `earlier`, the block before
    /// it, is shared.
    pub(super) fn forget_facts(&mut self, earlier: Option<&Past>) {
        if self.still.facts.is_some() {
            let window = self.window();
            (self.since, self.still) =
                self.still.without_facts(window, earlier.map(|earlier| &earlier.still));
        }
    }

    /// Its steady columns, and how many bytes its moving ones take.
    pub(super) fn parts(&self) -> (&Arc<[u8]>, usize) {
        (&self.still.steady, self.moving().len())
    }

    /// Its moving columns.
    pub(super) fn moving(&self) -> &[u8] {
        self.moving.bytes()
    }

    /// Puts the same bytes, which lie together with others', in the place of those of its moving columns.
    pub(super) fn bundle(&mut self, same: Part) {
        self.moving = same;
        self.bundled = true;
    }

    /// Whether the bytes of its moving columns lie together with others'.
    pub(super) fn is_bundled(&self) -> bool {
        self.bundled
    }

    /// The moving columns with what each is a column of.
    fn columns(&self) -> impl Iterator<Item = Option<Numbers<'_>>> {
        let count = self.layout().columns().len() - self.layout().steady;
        let mut lengths = self.moving();
        let mut columns = lengths;
        for _ in 0..count {
            columns = read_varint(columns).map_or(&[], |(_, rest)| rest);
        }
        (0..count).map(move |_| {
            let (length, rest) = read_varint(lengths)?;
            let (column, behind) = columns.split_at_checked(usize::try_from(length).ok()?)?;
            (lengths, columns) = (rest, behind);
            Numbers::of(column)
        })
    }

    /// The steady column at a position of the layout. None where the column there moves.
    fn steady(&self, position: usize) -> Option<Column<'_>> {
        let mut rest: &[u8] = &self.still.steady;
        let columns = self.layout().columns().take(self.layout().steady);
        let mut columns = columns.map_while(|(_, present)| {
            let (column, behind) = Column::split(rest, present.len())?;
            rest = behind;
            Some(column)
        });
        columns.nth(position)
    }

    /// The numbers of the moving column at a position of the layout.
    fn column(&self, position: usize) -> Option<Numbers<'_>> {
        let layout = self.layout();
        let (count, at) = (layout.columns().len() - layout.steady, position.checked_sub(layout.steady)?);
        let (mut rest, mut start, mut length) = (self.moving(), 0, 0);
        for nth in 0..count {
            let (next, behind) = read_varint(rest)?;
            let next = usize::try_from(next).ok()?;
            if nth < at {
                start += next;
            } else if nth == at {
                length = next;
            }
            rest = behind;
        }
        Numbers::of(rest.get(start..start + length)?)
    }

    /// The block, as it was, out of the one after it.
    pub fn open(&self, newer: &Block) -> Block {
        let (mut before, after) = (Opened::none(), opened(newer));
        let Still { layout, facts, .. } = &*self.still;
        let (steady, rows) = (layout.steady, layout.rows.len());
        let mut values: Vec<Vec<u64>> = Vec::new();
        let mut rest: &[u8] = &self.still.steady;
        for (key, present) in layout.columns().take(steady) {
            let split = Column::split(rest, present.len());
            let column: Vec<u64> = split.into_iter().flat_map(|(column, _)| column.iter()).collect();
            rest = split.map_or(&[], |(_, rest)| rest);
            if let Some(metric) = is_asked_for(key) {
                before.put(metric, rows, present, column.iter().copied());
            }
            values.push(column);
        }
        let mut new = Vec::new();
        let moving = layout.columns().enumerate().skip(steady);
        for ((position, (key, present)), numbers) in moving.zip(self.columns()) {
            let Some(mut numbers) = numbers else { break };
            newer_values(newer, layout, position, &mut new);
            let tie = tie(key);
            let mut column = Vec::with_capacity(present.len());
            for (row, new) in present.iter().zip(&new) {
                let step = tie.step(|metric| after.get(metric, row), |metric| before.get(metric, row));
                column.push(new.wrapping_add(step.wrapping_add(numbers.read()).cast_unsigned()));
            }
            if let Some(metric) = is_asked_for(key) {
                before.put(metric, rows, present, column.iter().copied());
            }
            values.push(column);
        }
        let columns = layout.columns().zip(&values);
        let columns =
            columns.map(|((metric, present), values)| Filled { metric: metric.clone(), present, values });
        let (rows, facts) = (layout.rows.clone(), facts.clone());
        let block = Block::new(self.window(), self.scraped_at, rows, columns.collect(), facts, Some(newer));
        Block { layout: layout.clone(), ..block }
    }
}

/// One row's values of one metric, from a block back through those told by what differs.
#[derive(Debug)]
pub struct Trail {
    row: Row,
    /// That of the block that was read last.
    layout: Arc<Layout>,
    /// Those that ties ask for first, the one that is asked for last.
    followed: Vec<Followed>,
    /// Whether start times are followed because uptimes are asked for.
    uptime: bool,
}

#[derive(Debug)]
struct Followed {
    key: MetricKey,
    tie: Tie,
    /// The column's position and the value's in it; None where the row has none.
    place: Option<(usize, usize)>,
    /// In the block that was read last, and in the one being read.
    newer: Option<u64>,
    older: Option<u64>,
}

impl Trail {
    /// Begins at a block, whether or not the row has a value of the metric there.
    pub fn new(block: &Block, row: Row, metric: &MetricKey) -> Self {
        let uptime = *metric == MetricKey::Known(Metric::Uptime);
        let metric = if uptime { &MetricKey::Known(Metric::StartTime) } else { metric };
        let mut trail = Self { row, layout: block.layout.clone(), followed: Vec::new(), uptime };
        trail.follow(block, metric);
        trail
    }

    fn follow(&mut self, block: &Block, key: &MetricKey) {
        let tie = tie(key);
        match tie {
            Tie::Same => {}
            Tie::With(other) | Tie::Against(other) => self.follow(block, &MetricKey::Known(other)),
            Tie::Rated(rated) => {
                for other in std::iter::once(rated.rate).chain(instants(rated)) {
                    self.follow(block, &MetricKey::Known(other));
                }
            }
        }
        let (place, newer) = (self.layout.place(self.row, key), block.value(self.row, key));
        self.followed.push(Followed { key: key.clone(), tie, place, newer, older: newer });
    }

    /// The value in the block that was read last.
    pub fn value(&self, scraped_at: Timestamp) -> Option<u64> {
        let held = self.followed.last()?.newer?;
        if self.uptime { uptime(scraped_at, held) } else { Some(held) }
    }

    /// Goes on to the block before.
    pub fn back(&mut self, past: &Past) -> Option<u64> {
        if !Arc::ptr_eq(&self.layout, past.layout()) {
            self.layout = past.layout().clone();
            for followed in &mut self.followed {
                followed.place = self.layout.place(self.row, &followed.key);
            }
        }
        for at in 0..self.followed.len() {
            let (before, rest) = self.followed.split_at_mut_checked(at)?;
            let followed = rest.first_mut()?;
            followed.older = followed.place.and_then(|place| followed.read(place, past, before));
        }
        for followed in &mut self.followed {
            followed.newer = followed.older;
        }
        self.value(past.scraped_at)
    }
}

impl Followed {
    fn read(&self, (position, rank): (usize, usize), past: &Past, before: &[Followed]) -> Option<u64> {
        if let Some(column) = past.steady(position) {
            return column.get(rank);
        }
        let mut numbers = past.column(position)?;
        for _ in 0..rank {
            numbers.read();
        }
        let find = |metric| before.iter().find(|other| other.key == MetricKey::Known(metric));
        let newer = |metric| find(metric)?.newer;
        let older = |metric| find(metric)?.older;
        let step = self.tie.step(newer, older).wrapping_add(numbers.read());
        Some(self.newer.unwrap_or(0).wrapping_add(step.cast_unsigned()))
    }
}
