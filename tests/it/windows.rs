//! Windows and the timetable: when whom is asked for which window, and when a window is closed.

use crate::handmade::{T0, grid, window};
use heapster::model::time::{Resolution, Timestamp};
use heapster::rollup::schedule::Schedule;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

fn schedule(seconds: u64) -> Schedule {
    Schedule::new(Resolution::new(Duration::from_secs(seconds)).unwrap())
}

fn resolutions() -> impl Strategy<Value = Resolution> {
    (5_000_u64..=3_600_000).prop_map(|millis| Resolution::new(Duration::from_millis(millis)).unwrap())
}

/// The latest turn that a node can have.
fn last_turn(schedule: Schedule) -> Duration {
    schedule.resolution().duration() / 2
}

#[test]
fn resolution_is_five_seconds_to_an_hour_in_whole_milliseconds() {
    for good in [5_000, 5_001, 30_000, 60_000, 3_600_000] {
        let length = Duration::from_millis(good);
        assert_eq!(Resolution::new(length).map(Resolution::duration), Ok(length));
    }
    let bad = [
        Duration::ZERO,
        Duration::from_millis(4_999),
        Duration::from_millis(3_600_001),
        Duration::from_nanos(30_000_000_001),
        Duration::from_micros(30_000_500),
        Duration::MAX,
    ];
    for length in bad {
        let message = Resolution::new(length).unwrap_err().to_string();
        assert!(message.contains("30s") && !message.contains('\n'), "{message}");
    }
}

#[test]
fn windows_lie_on_the_grid_of_the_epoch() {
    assert_eq!(window(0).end(), T0);
    assert_eq!(grid().last_ended(Timestamp::from_nanos(0)).index(), 0);
    assert_eq!(grid().last_ended(Timestamp::from_nanos(-1)).index(), -1, "rounded down before 1970 too");
    assert_eq!(grid().last_ended(Timestamp::from_nanos(T0.nanos() - 1)), window(-1));
    assert_eq!(window(3).step(-5), window(-2));
    assert_eq!(window(7).end().since(window(5).end()), 2 * grid().nanos());
    let shown = window(0).to_string();
    assert!(shown.contains(&T0.seconds().to_string()), "{shown}");
}

#[test]
fn instants_at_the_ends_of_time_do_not_overflow() {
    let (first, last) = (Timestamp::from_nanos(i64::MIN), Timestamp::from_nanos(i64::MAX));
    assert_eq!(last.after(Duration::MAX), last);
    assert_eq!(Timestamp::from_seconds(i64::MAX), last);
    assert_eq!(Timestamp::from_seconds(i64::MIN), first);
    assert!(last.since(first) > 0 && first.since(last) < 0);
    assert_eq!(Timestamp::from_nanos(-1).seconds(), -1);
    let far = grid().last_ended(last).step(i64::MAX);
    assert_eq!(far.end(), last);
}

#[test]
fn offset_depends_on_source_and_node_only() {
    let schedule = schedule(30);
    for n in 0..100 {
        let node = format!("node-{n}");
        assert_eq!(schedule.offset("a", &node), Schedule::new(grid()).offset("a", &node));
    }
    assert_ne!(schedule.offset("a", "node"), schedule.offset("b", "node"));
    assert_ne!(schedule.offset("ab", "c"), schedule.offset("a", "bc"), "names are kept apart");
}

#[test]
fn offsets_are_spread_evenly() {
    const NODES: usize = 10_000;
    // As many as there are beats in the shortest half window.
    const PARTS: usize = 25;
    type Naming = fn(usize) -> String;
    let namings: [Naming; 4] = [
        |n| format!("node-{n}"),
        |n| format!("gke-prod-pool-1-5f3a{n:04x}-x7k2"),
        |n| format!("ip-10-{}-{}-{}.eu-central-1.compute.internal", n / 62_500, n / 250, n % 250),
        |n| format!("{n}"),
    ];
    for seconds in [5, 30, 60, 3_600] {
        let schedule = schedule(seconds);
        for naming in namings {
            let mut parts = [0; PARTS];
            for n in 0..NODES {
                let offset = schedule.offset("kubernetes.summary_api:https://cluster", &naming(n));
                let share = offset.as_millis() as usize * PARTS / last_turn(schedule).as_millis() as usize;
                parts[share] += 1;
            }
            let even = NODES / PARTS;
            let worst = parts.iter().map(|part: &usize| part.abs_diff(even)).max().unwrap();
            // Five standard deviations of a fair spread are some 110.
            assert!(worst < 120, "{} at {seconds} s: {parts:?}", naming(1));
        }
    }
}

#[test]
fn deadline_is_ten_seconds_or_what_half_a_window_leaves() {
    let most = Duration::from_secs(10);
    for seconds in [5, 6, 10, 15, 20, 30, 60, 3_600] {
        let half = last_turn(schedule(seconds));
        let deadline = schedule(seconds).deadline();
        assert!(
            deadline <= most.min(half) && deadline >= most.min(half.mul_f64(0.75)),
            "{seconds} s: {deadline:?}"
        );
        assert!(deadline < half, "{seconds} s: nothing is left between answer and next window");
    }
}

proptest! {
    #![proptest_config(crate::handmade::cases(2_000))]

    #[test]
    fn last_ended_window_has_ended_and_the_next_has_not(resolution in resolutions(), nanos in -1_000_000_000_000_000_000_i64..9_000_000_000_000_000_000) {
        let now = Timestamp::from_nanos(nanos);
        let last = resolution.last_ended(now);
        prop_assert!(last.end() <= now && now < last.step(1).end());
        prop_assert_eq!(last.end().nanos() % resolution.nanos(), 0);
        prop_assert_eq!(resolution.last_ended(last.end()), last);
    }

    #[test]
    fn turns_lie_in_the_first_half_and_answers_are_in_before_the_close(resolution in resolutions(), source in ".{0,40}", node in ".{0,40}", k in 0_i64..1_000_000) {
        let schedule = Schedule::new(resolution);
        let offset = schedule.offset(&source, &node);
        prop_assert!(offset < last_turn(schedule));
        prop_assert!(schedule.first_delay(&source, &node) <= Duration::from_secs(2));
        prop_assert!(schedule.first_delay(&source, &node) <= offset);
        prop_assert!(schedule.deadline() <= Duration::from_secs(10) && schedule.deadline() > Duration::ZERO);
        let window = resolution.last_ended(Timestamp::from_nanos(0)).step(k);
        let answered = window.end().after(last_turn(schedule) + schedule.deadline());
        let closes = schedule.closes_at(window);
        prop_assert!(answered < closes, "the last answer comes before the close");
        prop_assert!(closes < window.step(1).end(), "a window is closed before the next one ends");
        let from_start = schedule.first_delay(&source, &node) + schedule.deadline();
        prop_assert!(from_start < schedule.first_scrapes_within() + Duration::from_nanos(1));
    }

    #[test]
    fn steady_clock_neither_repeats_nor_skips_a_window(
        resolution in resolutions(),
        node in "[a-z]{1,10}",
        start in 0_i64..4_000_000_000_000,
        delays in prop::collection::vec((0.0_f64..0.999, 0_u64..1_000), 1..40),
    ) {
        let schedule = Schedule::new(resolution);
        let offset = schedule.offset("", &node);
        let mut now = Timestamp::from_nanos(T0.nanos() + start);
        let mut last = resolution.last_ended(now);
        let (mut window, mut wait) = schedule.next_turn(now, offset, last);
        for (busy, early) in delays {
            prop_assert!(wait <= resolution.duration() * 2);
            now = now.after(wait);
            prop_assert_eq!(now, window.end().after(offset), "it waits for its own turn");
            last = window;
            // The answer takes up to the deadline; timers may be a little early instead.
            now = if busy < 0.1 {
                Timestamp::from_nanos(now.nanos() - early as i64)
            } else {
                now.after(schedule.deadline().mul_f64(busy))
            };
            (window, wait) = schedule.next_turn(now, offset, last);
            prop_assert_eq!(window, last.step(1));
        }
    }

    #[test]
    fn stepped_clock_never_stalls_bursts_or_repeats_the_last_window(
        resolution in resolutions(),
        node in "[a-z]{1,10}",
        steps in prop::collection::vec(
            prop_oneof![
                -100_000_000_000_000_i64..100_000_000_000_000,
                -60_000_000_000_i64..60_000_000_000,
                -1_000_i64..1_000,
            ],
            1..40,
        ),
    ) {
        let schedule = Schedule::new(resolution);
        let offset = schedule.offset("", &node);
        let mut now = T0;
        let mut last = resolution.last_ended(now);
        for step in steps {
            now = Timestamp::from_nanos(now.nanos() + step);
            let (window, wait) = schedule.next_turn(now, offset, last);
            prop_assert_ne!(window, last);
            prop_assert!(wait <= resolution.duration() * 2, "waits {wait:?}");
            let behind = window.end().after(offset).since(now);
            prop_assert_eq!(Some(wait), u64::try_from(behind).ok().map(Duration::from_nanos), "the turn is to come");
            now = now.after(wait);
            last = window;
        }
    }
}

#[test]
fn clock_set_forward_misses_the_windows_between_once() {
    let schedule = schedule(30);
    let offset = schedule.offset("", "node-1");
    let at = |n| window(n).end().after(offset);
    let (next, wait) = schedule.next_turn(at(100), offset, window(1));
    assert!(next.index() > window(99).index() && wait <= grid().duration());
}

#[test]
fn clock_set_back_begins_anew_instead_of_waiting() {
    let schedule = schedule(30);
    let offset = schedule.offset("", "node-1");
    let back = window(-500).end().after(offset);
    let (next, wait) = schedule.next_turn(back, offset, window(0));
    assert!(next.index() <= window(-499).index() && wait <= grid().duration());
    let (mut now, mut last, mut seen) = (back, window(0), BTreeSet::new());
    for _ in 0..20 {
        let (next, wait) = schedule.next_turn(now, offset, last);
        assert!(seen.insert(next.index()), "{next} twice");
        (now, last) = (now.after(wait), next);
    }
    assert_eq!(seen.last().unwrap() - seen.first().unwrap(), 19, "no window between is skipped");
}
