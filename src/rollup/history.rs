//! The last minutes of one node, or of the sums: blocks in the order in which they came, and what is read from them. The
//! newest is whole, an older one is left to [`super::past`] as soon as there is one after it.

use super::block::{Block, Layout};
use super::part::Part;
use super::past::{Past, Trail};
use crate::model::entity::{Entity, Labels};
use crate::model::metric::{MetricKey, Value};
use crate::model::time::{Timestamp, Window};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Instants from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub start: Timestamp,
    /// The last.
    pub end: Timestamp,
}

impl Span {
    /// All instants there are.
    pub const ALL: Span =
        Span { start: Timestamp::from_nanos(i64::MIN), end: Timestamp::from_nanos(i64::MAX) };

    fn has(self, at: Timestamp) -> bool {
        (self.start..=self.end).contains(&at)
    }
}

/// What a series is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesKey {
    /// The entity.
    pub entity: Entity,
    /// The metric's whole name.
    pub metric: String,
    /// The part of the entity; None for the entity as a whole.
    pub labels: Option<Labels>,
}

/// A series by the stamps of its points.
pub type Points = BTreeMap<Timestamp, Value>;

/// How a block is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// As it came: the newest one, and those of which the one after has other rows.
    Whole(Arc<Block>),
    /// By what differs from the one after it.
    Past(Past),
}

impl Form {
    /// The block, where `newer` is the one after it.
    pub fn open(&self, newer: &Block) -> Arc<Block> {
        match self {
            Self::Whole(block) => block.clone(),
            Self::Past(past) => Arc::new(past.open(newer)),
        }
    }

    /// The window whose end stamps every point.
    pub fn window(&self) -> Window {
        match self {
            Self::Whole(block) => block.window,
            Self::Past(past) => past.window(),
        }
    }

    /// What is in it.
    pub fn layout(&self) -> &Arc<Layout> {
        match self {
            Self::Whole(block) => &block.layout,
            Self::Past(past) => past.layout(),
        }
    }

    fn past(&self) -> Option<&Past> {
        match self {
            Self::Whole(_) => None,
            Self::Past(past) => Some(past),
        }
    }

    fn parts(&self) -> (&Arc<[u8]>, usize) {
        match self {
            Self::Whole(block) => (&block.steady, block.moving.len()),
            Self::Past(past) => past.parts(),
        }
    }

    /// Bytes of packed values that it does not share with the one after it.
    fn own_bytes(&self, next: Option<&Form>) -> usize {
        let (steady, moving) = self.parts();
        let shared = next.is_some_and(|next| Arc::ptr_eq(next.parts().0, steady));
        moving + if shared { 0 } else { steady.len() }
    }
}

/// The newest block and the older ones after it, each opened when it is reached and not before: opening costs as much as a
/// hundred readings.
pub fn opened<'f>(
    mut newest: Option<Arc<Block>>,
    mut older: impl Iterator<Item = &'f Form>,
) -> impl Iterator<Item = Arc<Block>> {
    let mut newer: Option<Arc<Block>> = None;
    std::iter::from_fn(move || {
        let block = match &newer {
            None => newest.take()?,
            Some(newer) => older.next()?.open(newer),
        };
        newer = Some(block.clone());
        Some(block)
    })
}

/// Of how many blocks, the newest, is kept what was known of the node and its pods: those that lists, exports and windows
/// for sinks are made of are the last one closed, the one before it, and later ones.
const RECENT: usize = 4;
/// For how many blocks more there is room where a ring is full.
const ROOM: usize = 4;

#[derive(Debug)]
struct Kept {
    form: Form,
    /// Nanoseconds by the monotonic clock, so that a stepped wall clock loses nothing.
    received: u64,
}

/// An older block whose bytes lie by themselves.
#[derive(Debug)]
pub struct Loose<'r>(&'r mut Past);

impl Loose<'_> {
    /// The window whose end stamps every point.
    pub fn window(&self) -> Window {
        self.0.window()
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.moving()
    }

    /// Puts the same bytes in the place of its own. Whoever is reading it goes on with the old ones.
    pub(super) fn replace(self, bytes: Part) {
        self.0.bundle(bytes);
    }
}

/// One node's blocks, or the sums', oldest first.
#[derive(Debug, Default)]
pub struct Ring {
    kept: VecDeque<Kept>,
    points: usize,
    bytes: usize,
}

impl Ring {
    /// Adds a block that came at `uptime`.
    pub fn push(&mut self, block: Arc<Block>, uptime: Duration) {
        let new = Form::Whole(block.clone());
        self.points += block.layout.points();
        self.bytes += new.own_bytes(None);
        let before = self.forms().nth(1).and_then(Form::past).cloned();
        if let Some(last) = self.kept.back_mut() {
            self.bytes = self.bytes.saturating_sub(last.form.own_bytes(None));
            if let Form::Whole(older) = &last.form
                && let Some(past) = Past::of(older, &block, before.as_ref())
            {
                last.form = Form::Past(past);
            }
            self.bytes += last.form.own_bytes(Some(&new));
        }
        // A ring soon holds as many as it ever will: doubling would leave half of it empty for good.
        if self.kept.len() == self.kept.capacity() {
            self.kept.reserve_exact(ROOM);
        }
        let received = u64::try_from(uptime.as_nanos()).unwrap_or(u64::MAX);
        self.kept.push_back(Kept { form: new, received });
        self.forget_facts();
    }

    /// Of what was known of pods that are gone nothing is to stay but their names.
    fn forget_facts(&mut self) {
        let Some(at) = self.kept.len().checked_sub(RECENT + 1) else { return };
        let earlier = at.checked_sub(1).and_then(|at| self.kept.get(at)?.form.past()).cloned();
        match self.kept.get_mut(at).map(|kept| &mut kept.form) {
            Some(Form::Past(past)) => past.forget_facts(earlier.as_ref()),
            // Whoever else holds it is done with it sooner than it expires.
            Some(Form::Whole(block)) => {
                if let Some(block) = Arc::get_mut(block) {
                    block.facts = None;
                }
            }
            None => {}
        }
    }

    /// Takes out the blocks that came more than `retention` before `uptime`, and tells what was in them.
    pub fn prune(&mut self, uptime: Duration, retention: Duration) -> Vec<Arc<Layout>> {
        let mut dropped = Vec::new();
        let is_past = |kept: &Kept| Duration::from_nanos(kept.received).saturating_add(retention) < uptime;
        while self.kept.front().is_some_and(is_past) {
            let Some(kept) = self.kept.pop_front() else { break };
            let own = kept.form.own_bytes(self.kept.front().map(|kept| &kept.form));
            self.bytes = self.bytes.saturating_sub(own);
            self.points = self.points.saturating_sub(kept.form.layout().points());
            dropped.push(kept.form.layout().clone());
        }
        dropped
    }

    /// The older blocks whose bytes lie by themselves, newest first, up to the first one whose do not: all rings are looked
    /// at every second, and most of what they hold is not in the processor's cache.
    pub fn loose(&mut self) -> impl Iterator<Item = Loose<'_>> {
        let forms = self.kept.iter_mut().rev().map(|kept| &mut kept.form);
        let newest = forms.take_while(|form| !form.past().is_some_and(Past::is_bundled));
        newest.filter_map(|form| match form {
            Form::Whole(_) => None,
            Form::Past(past) => Some(Loose(past)),
        })
    }

    /// The block that came last.
    pub fn latest(&self) -> Option<&Arc<Block>> {
        match &self.kept.back()?.form {
            Form::Whole(block) => Some(block),
            Form::Past(_) => None,
        }
    }

    /// Every block as it is kept, the newest first.
    pub fn forms(&self) -> impl Iterator<Item = &Form> {
        self.kept.iter().rev().map(|kept| &kept.form)
    }

    /// Every block as it came, the newest first.
    pub fn blocks(&self) -> impl Iterator<Item = Arc<Block>> {
        opened(self.latest().cloned(), self.forms().skip(1))
    }

    /// The newest block of a window.
    pub fn of_window(&self, window: Window) -> Option<Arc<Block>> {
        // Nearly always it is the newest of all: opening others is for clocks that were set.
        self.forms()
            .any(|form| form.window() == window)
            .then(|| self.blocks().find(|block| block.window == window))?
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How many blocks and points there are, and in how many bytes of packed values.
    pub fn size(&self) -> (usize, usize, usize) {
        (self.kept.len(), self.points, self.bytes)
    }

    /// The blocks' layouts, newest first, without those that are the same as the block's after.
    pub fn layouts(&self) -> impl Iterator<Item = &Arc<Layout>> {
        let mut last: Option<&Arc<Layout>> = None;
        self.forms().map(Form::layout).filter(move |layout| {
            let new = last.is_none_or(|last| !Arc::ptr_eq(last, layout));
            last = Some(layout);
            new
        })
    }

    /// Adds the points of a series within `span`. Of two with one stamp the one that came later counts.
    pub fn read(&self, key: &SeriesKey, span: Span, points: &mut Points) {
        let metric = self.layouts().find_map(|layout| layout.metric_named(&key.metric));
        let Some(metric) = metric.filter(MetricKey::is_public) else { return };
        let mut trail: Option<Trail> = None;
        let mut own = Points::new();
        for form in self.forms() {
            let held = match form {
                Form::Whole(block) => {
                    let row = block.layout.rows.find(&key.entity, key.labels.as_ref());
                    trail = row.map(|row| Trail::new(block, row, &metric));
                    trail.as_ref().and_then(|trail| trail.value(block.scraped_at))
                }
                Form::Past(past) => trail.as_mut().and_then(|trail| trail.back(past)),
            };
            let stamp = form.window().end();
            if let (Some(held), true) = (held, span.has(stamp)) {
                own.entry(stamp).or_insert(metric.form().show(held));
            }
        }
        points.append(&mut own);
    }

    /// Adds the names of the metrics that the entity, or a part of it, has a point of.
    pub fn names(&self, entity: &Entity, labels: Option<&Labels>, names: &mut BTreeSet<String>) {
        for layout in self.layouts() {
            let Some(row) = layout.rows.find(entity, labels) else { continue };
            let public = layout.metrics_of(row).filter(MetricKey::is_public);
            names.extend(public.map(|metric| metric.name().to_owned()));
        }
    }
}
