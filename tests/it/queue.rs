//! The queue in front of a sink: whatever happens in whatever order, it holds what a plain model holds, stays within its
//! limits, and accounts for every point. And the pauses between attempts.

use heapster::model::time::Timestamp;
use heapster::rollup::pause::{FIRST, LONGEST, LONGEST_ASKED, SHORTEST, asked, pause};
use heapster::rollup::queue::{Item, Limits, QUEUE_FULL, Queue, SPOOL_FULL};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const LIMITS: Limits = Limits { memory: 100, disk: 200 };

#[derive(Clone, Debug)]
enum Step {
    Push { memory: usize, disk: usize, points: usize },
    Recover { disk: usize, points: usize },
    Broken(u64),
    Take,
    Deliver(usize),
    Drop(usize),
    Recount(usize),
    Requeue,
    Done,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sizes = prop_oneof![4 => 1..60_usize, 1 => 60..300_usize];
    let disks = prop_oneof![2 => Just(0), 3 => 1..90_usize, 1 => 90..300_usize];
    let step = prop_oneof![
        6 => (sizes, disks, 1..50_usize).prop_map(|(memory, disk, points)| Step::Push { memory, disk, points }),
        1 => (1..90_usize, 1..50_usize).prop_map(|(disk, points)| Step::Recover { disk, points }),
        1 => (0..9_u64).prop_map(Step::Broken),
        4 => Just(Step::Take),
        4 => (0..40_usize).prop_map(Step::Deliver),
        2 => (0..40_usize).prop_map(Step::Drop),
        1 => (0..60_usize).prop_map(Step::Recount),
        3 => Just(Step::Requeue),
        2 => Just(Step::Done),
    ];
    prop::collection::vec(step, 0..80)
}

/// What waits, told plainly: number, whether in memory, memory, disk, points.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    id: u64,
    held: bool,
    memory: usize,
    disk: usize,
    points: u64,
}

#[derive(Default)]
struct Model {
    waiting: VecDeque<Plain>,
    fates: BTreeMap<&'static str, u64>,
    came: u64,
}

impl Model {
    fn fate(&mut self, fate: &'static str, points: u64) {
        *self.fates.entry(fate).or_default() += points;
    }

    /// Drops what is too much; gives the files that go.
    fn make_room(&mut self) -> Vec<u64> {
        let mut gone = Vec::new();
        while self.waiting.iter().map(|item| item.disk).sum::<usize>() > LIMITS.disk {
            let at = self.waiting.iter().position(|item| item.disk > 0).unwrap();
            self.waiting[at].disk = 0;
            gone.push(self.waiting[at].id);
            if !self.waiting[at].held {
                let lost = self.waiting.remove(at).unwrap();
                self.fate(SPOOL_FULL, lost.points);
            }
        }
        while self.waiting.iter().map(|item| item.memory).sum::<usize>() > LIMITS.memory {
            if let Some(item) = self.waiting.iter_mut().find(|item| item.held && item.disk > 0) {
                (item.held, item.memory) = (false, 0);
            } else {
                let at = self.waiting.iter().position(|item| item.held).unwrap();
                let lost = self.waiting.remove(at).unwrap();
                self.fate(QUEUE_FULL, lost.points);
            }
        }
        gone
    }
}

fn item(id: u64, held: bool, memory: usize, disk: usize, points: usize) -> Item<()> {
    let todo = std::iter::once(0..points).collect();
    Item {
        id,
        end: Timestamp::from_seconds(id as i64),
        value: held.then_some(()),
        memory,
        disk,
        hearsay: !held,
        todo,
    }
}

proptest! {
    #![proptest_config(crate::handmade::cases(2_000))]

    #[test]
    fn the_queue_is_the_model(steps in steps()) {
        let (mut queue, mut model) = (Queue::new(LIMITS), Model::default());
        let mut hand: Option<(Item<()>, u64)> = None;
        for (id, step) in (1..).zip(steps) {
            match step.clone() {
                Step::Push { memory, disk, points } => {
                    model.came += points as u64;
                    model.waiting.push_back(Plain { id, held: true, memory, disk, points: points as u64 });
                    prop_assert_eq!(queue.push(item(id, true, memory, disk, points)), model.make_room());
                }
                Step::Recover { disk, points } => {
                    model.came += points as u64;
                    model.waiting.push_back(Plain { id, held: false, memory: 0, disk, points: points as u64 });
                    prop_assert_eq!(queue.recover(item(id, false, 0, disk, points)), model.make_room());
                }
                Step::Broken(points) => {
                    model.came += points;
                    model.fate("torn", points);
                    queue.recovered_broken(points, "torn");
                }
                Step::Take => {
                    let taken = queue.take();
                    prop_assert_eq!(taken.is_some(), hand.is_none() && !model.waiting.is_empty());
                    if let Some(taken) = taken {
                        let oldest = model.waiting.pop_front().unwrap();
                        prop_assert_eq!((taken.id, taken.points()), (oldest.id, oldest.points));
                        hand = Some((taken, oldest.points));
                    }
                }
                Step::Deliver(points) | Step::Drop(points) => {
                    let settled = hand.as_mut().map_or(0, |(_, left)| {
                        let settled = (points as u64).min(*left);
                        *left -= settled;
                        settled
                    });
                    if let Step::Deliver(_) = step {
                        queue.delivered(points);
                        model.fate("delivered", settled);
                    } else {
                        queue.dropped("refused", points);
                        model.fate("refused", settled);
                    }
                }
                Step::Recount(points) => {
                    let Some((taken, left)) = &mut hand else { continue };
                    if !std::mem::take(&mut taken.hearsay) {
                        continue;
                    }
                    model.came = model.came + points as u64 - *left;
                    *left = points as u64;
                    queue.recount(points);
                }
                Step::Requeue => {
                    let Some((mut taken, left)) = hand.take() else { continue };
                    taken.todo = std::iter::once(0..left as usize).collect();
                    let (held, memory) = (taken.value.is_some(), taken.memory);
                    model.waiting.push_front(Plain { id: taken.id, held, memory, disk: taken.disk, points: left });
                    prop_assert_eq!(queue.requeue(taken), model.make_room());
                }
                Step::Done => {
                    let Some((_, left)) = hand.take() else { continue };
                    queue.done("unsettled");
                    model.fate("unsettled", left);
                }
            }
            let waiting: Vec<Plain> = queue
                .waiting()
                .map(|item| Plain {
                    id: item.id,
                    held: item.value.is_some(),
                    memory: item.memory,
                    disk: item.disk,
                    points: item.points(),
                })
                .collect();
            prop_assert_eq!(&waiting, &model.waiting.iter().cloned().collect::<Vec<_>>());
            prop_assert!(waiting.iter().all(|item| item.held || item.disk > 0), "nothing waits that is nowhere");
            prop_assert!(queue.memory() <= LIMITS.memory && queue.disk() <= LIMITS.disk);
            let ledger = queue.ledger();
            let in_hand = hand.as_ref().map_or(0, |(_, left)| *left);
            prop_assert_eq!(ledger.queued, waiting.iter().map(|item| item.points).sum::<u64>() + in_hand);
            prop_assert_eq!(ledger.made + ledger.recovered, ledger.delivered + ledger.queued + ledger.lost());
            prop_assert_eq!(ledger.made + ledger.recovered, model.came);
            let mut fates = ledger.dropped.clone();
            fates.insert("delivered", ledger.delivered);
            model.fates.retain(|_, points| *points > 0);
            fates.retain(|_, points| *points > 0);
            prop_assert_eq!(&fates, &model.fates);
        }
    }

    #[test]
    fn pauses_grow_and_stay_within_bounds(failures in 1..200_u32, chance in any::<u64>()) {
        let bound = FIRST * 2_u32.saturating_pow(failures - 1).min(1 << 20);
        let got = pause(failures, chance);
        prop_assert!((SHORTEST..=bound.min(LONGEST)).contains(&got), "{got:?}");
    }
}

/// Any pause may come, short ones and long ones alike: those who failed together are not tried again together.
#[test]
fn pauses_are_spread_over_the_whole_span() {
    let all: Vec<Duration> =
        (0..10_000).map(|n: u64| pause(4, n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let span = FIRST * 8 - SHORTEST;
    for tenth in 0..10 {
        let (from, to) = (SHORTEST + span * tenth / 10, SHORTEST + span * (tenth + 1) / 10);
        let count = all.iter().filter(|pause| (from..to).contains(*pause)).count();
        assert!((700..1_300).contains(&count), "{count} of 10,000 in {from:?} to {to:?}");
    }
    assert_eq!(asked(Duration::ZERO), FIRST);
    assert_eq!(asked(Duration::from_secs(30)), Duration::from_secs(30));
    assert_eq!(asked(Duration::MAX), LONGEST_ASKED);
}
