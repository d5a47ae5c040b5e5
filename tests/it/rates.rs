//! One rate from two samples, and every reason why there is none.

use heapster::model::metric::Unit;
use heapster::model::time::{Resolution, Timestamp};
use heapster::rollup::rate::{FRESH, NoRate, Sample, rate};
use proptest::prelude::*;
use std::time::Duration;

const SECOND: i64 = 1_000_000_000;

fn resolution(seconds: u64) -> Resolution {
    Resolution::new(Duration::from_secs(seconds)).unwrap()
}

fn sample(value: u64, nanos: i64) -> Sample {
    Sample { value, at: Timestamp::from_nanos(nanos), start: None }
}

fn started(value: u64, nanos: i64, start: i64) -> Sample {
    Sample { start: Some(Timestamp::from_nanos(start)), ..sample(value, nanos) }
}

/// What the model should hold, by 128-bit integers.
fn exact(delta: u64, nanos: u64, unit: Unit) -> u64 {
    let (delta, nanos) = (u128::from(delta), u128::from(nanos));
    let held = match unit {
        Unit::Millicores => delta * 1_000 / nanos,
        _ => {
            let (whole, rest) = (delta * 1_000_000_000_000 / nanos, delta * 1_000_000_000_000 % nanos);
            if rest * 2 >= nanos { whole + 1 } else { whole }
        }
    };
    u64::try_from(held).unwrap_or(u64::MAX)
}

#[test]
fn worked_example_of_the_original() {
    let (before, after) = (sample(947_130_377_781, 0), sample(948_071_062_732, 60 * SECOND));
    assert_eq!(rate(Some(before), after, resolution(60)).unwrap().held_as(Unit::Millicores), 15);
    let (before, after) = (sample(0, 0), sample(120, 60 * SECOND));
    let thousandths = rate(Some(before), after, resolution(60)).unwrap().held_as(Unit::PerSecond);
    assert_eq!(thousandths, 2_000, "2.0 a second");
}

#[test]
fn millicores_are_cut_off_and_the_rest_is_rounded() {
    let before = sample(0, 0);
    let just_below = sample(1_999_999, SECOND);
    assert_eq!(rate(Some(before), just_below, resolution(60)).unwrap().held_as(Unit::Millicores), 1);
    let two_thirds = rate(Some(before), sample(2, 3 * SECOND), resolution(60)).unwrap();
    assert_eq!(two_thirds.held_as(Unit::BytesPerSecond), 667);
    let one_third = rate(Some(before), sample(1, 3 * SECOND), resolution(60)).unwrap();
    assert_eq!(one_third.held_as(Unit::PerSecond), 333);
}

#[test]
fn what_does_not_fit_stays_at_the_largest_number() {
    let steep = rate(Some(sample(0, 0)), sample(u64::MAX, 1), resolution(60)).unwrap();
    assert_eq!(steep.held_as(Unit::Millicores), u64::MAX);
    assert_eq!(steep.held_as(Unit::BytesPerSecond), u64::MAX);
}

#[test]
fn first_sample_of_an_old_or_ageless_entity_has_no_rate() {
    let now = 1_000 * SECOND;
    for next in [sample(5, now), started(5, now, now - 60 * SECOND), started(5, now, 0)] {
        assert_eq!(rate(None, next, resolution(60)), Err(NoRate::First), "{next:?}");
    }
}

#[test]
fn fresh_entity_is_rated_from_its_start() {
    let fresh = i64::try_from(FRESH.as_nanos()).unwrap();
    let start = 500 * SECOND;
    let (window, value) = (60 * SECOND, 7_777_777_777);
    for (age, rated) in
        [(fresh - 1, false), (fresh, true), (fresh + 1, true), (window - 1, true), (window, false)]
    {
        let next = started(value, start + age, start);
        let first = rate(None, next, resolution(60));
        let restarted = rate(Some(sample(u64::MAX, start - SECOND)), next, resolution(60));
        if rated {
            let expected = exact(value, age as u64, Unit::Millicores);
            assert_eq!(first.unwrap().held_as(Unit::Millicores), expected, "age {age}");
            assert_eq!(restarted, first, "age {age}");
        } else {
            assert_eq!((first, restarted), (Err(NoRate::First), Err(NoRate::Restarted)), "age {age}");
        }
    }
}

#[test]
fn entity_that_starts_in_the_future_has_no_rate() {
    let before = sample(5, 100 * SECOND);
    let next = started(9, 130 * SECOND, 200 * SECOND);
    assert_eq!(rate(Some(before), next, resolution(60)), Err(NoRate::Restarted));
    assert_eq!(rate(None, next, resolution(60)), Err(NoRate::First));
}

#[test]
fn restart_is_told_by_the_start_even_if_the_counter_grew() {
    let before = started(100, 100 * SECOND, 10 * SECOND);
    let young = started(1_000, 135 * SECOND, 130 * SECOND);
    assert_eq!(rate(Some(before), young, resolution(30)), Err(NoRate::Restarted));
    let older = started(1_000, 121 * SECOND, 101 * SECOND);
    let from_start = rate(Some(before), older, resolution(30)).unwrap();
    assert_eq!(from_start.held_as(Unit::PerSecond), exact(1_000, 20 * SECOND as u64, Unit::PerSecond));
}

/// As a real kubelet told of a new pod: sampled at 19:15:34, started at 19:15:35.
#[test]
fn sample_taken_before_its_own_start_is_of_the_same_run() {
    let start = 135 * SECOND;
    let (before, next) = (started(0, 134 * SECOND, start), started(106_055_634, 152 * SECOND, start));
    let held = rate(Some(before), next, resolution(10)).unwrap().held_as(Unit::Millicores);
    assert_eq!(held, exact(106_055_634, 18 * SECOND as u64, Unit::Millicores));
}

#[test]
fn start_times_that_move_without_a_restart_do_no_harm() {
    let before = started(1_000, 100 * SECOND, 10 * SECOND);
    for start in [0, 9 * SECOND, 11 * SECOND, 99 * SECOND, 100 * SECOND] {
        let next = started(4_000, 130 * SECOND, start);
        let held = rate(Some(before), next, resolution(30)).unwrap().held_as(Unit::PerSecond);
        assert_eq!(held, exact(3_000, 30 * SECOND as u64, Unit::PerSecond), "start moved to {start}");
    }
}

#[test]
fn same_instant_backwards_and_reset() {
    let before = sample(100, 100 * SECOND);
    let cases = [
        (sample(100, 100 * SECOND), NoRate::SameInstant),
        (sample(900, 100 * SECOND), NoRate::SameInstant),
        (sample(900, 100 * SECOND - 1), NoRate::Backwards),
        (sample(99, 101 * SECOND), NoRate::Reset),
        (sample(0, 101 * SECOND), NoRate::Reset),
    ];
    for (next, reason) in cases {
        assert_eq!(rate(Some(before), next, resolution(30)), Err(reason), "{next:?}");
    }
}

#[test]
fn idle_counter_has_the_rate_zero() {
    let idle = rate(Some(sample(u64::MAX, 0)), sample(u64::MAX, 1), resolution(30)).unwrap();
    assert_eq!((idle.held_as(Unit::Millicores), idle.held_as(Unit::PerSecond)), (0, 0));
}

#[test]
fn every_reason_has_its_own_label() {
    let labels: std::collections::BTreeSet<_> = NoRate::ALL.iter().map(|reason| reason.as_label()).collect();
    assert_eq!(labels.len(), NoRate::ALL.len());
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..1_000_000_000_u64, Just(0), Just(u64::MAX)]
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let instant = || prop_oneof![any::<i64>(), 0..200 * SECOND, Just(i64::MIN), Just(i64::MAX)];
    (value(), instant(), prop::option::of(instant())).prop_map(|(value, at, start)| Sample {
        value,
        at: Timestamp::from_nanos(at),
        start: start.map(Timestamp::from_nanos),
    })
}

/// Samples as kubelets can tell them: at and after the Unix epoch, close enough to each other to matter.
fn told_sample() -> impl Strategy<Value = Sample> {
    let instant = || prop_oneof![4 => 0..200 * SECOND, 1 => 0..i64::MAX];
    (value(), instant(), prop::option::of(instant())).prop_map(|(value, at, start)| Sample {
        value,
        at: Timestamp::from_nanos(at),
        start: start.map(Timestamp::from_nanos),
    })
}

proptest! {
    #![proptest_config(crate::handmade::cases(2_000))]

    #[test]
    fn nothing_panics(before in prop::option::of(any_sample()), next in any_sample(), seconds in 5_u64..=3_600) {
        if let Ok(rate) = rate(before, next, resolution(seconds)) {
            let _ = (rate.held_as(Unit::Millicores), rate.held_as(Unit::BytesPerSecond));
            prop_assert!(before.is_some() || next.start.is_some());
        }
    }

    #[test]
    fn whatever_is_rated_is_exact(before in prop::option::of(told_sample()), next in told_sample(), seconds in 5_u64..=3_600) {
        let since = |from: Timestamp| u64::try_from(next.at.nanos() - from.nanos());
        let restarted = match (before, next.start) {
            (None, _) => true,
            (Some(before), Some(start)) => start > before.at && before.start != Some(start),
            (Some(_), None) => false,
        };
        match rate(before, next, resolution(seconds)) {
            Ok(rate) => {
                let (delta, nanos) = if restarted {
                    let age = since(next.start.unwrap()).unwrap();
                    prop_assert!(Duration::from_nanos(age) >= FRESH && age < seconds * 1_000_000_000);
                    (next.value, age)
                } else {
                    let before = before.unwrap();
                    prop_assert!(next.value >= before.value);
                    (next.value - before.value, since(before.at).unwrap())
                };
                prop_assert!(nanos > 0);
                for unit in [Unit::Millicores, Unit::PerSecond, Unit::BytesPerSecond] {
                    prop_assert_eq!(rate.held_as(unit), exact(delta, nanos, unit));
                }
            }
            Err(NoRate::First) => prop_assert!(before.is_none()),
            Err(NoRate::Restarted) => prop_assert!(before.is_some() && restarted),
            Err(NoRate::SameInstant) => prop_assert_eq!(before.unwrap().at, next.at),
            Err(NoRate::Backwards) => prop_assert!(next.at < before.unwrap().at),
            Err(NoRate::Reset) => prop_assert!(next.value < before.unwrap().value && next.at > before.unwrap().at),
        }
    }

    #[test]
    fn steady_growth_has_the_same_rate_however_it_is_cut(per_second in 0_u64..1_000_000_000, steps in prop::collection::vec(1_i64..300, 1..20)) {
        let mut before = sample(0, 0);
        for step in steps {
            let next = sample(before.value + per_second * step as u64, before.at.nanos() + step * SECOND);
            prop_assert_eq!(rate(Some(before), next, resolution(60)).unwrap().held_as(Unit::PerSecond), per_second * 1_000);
            before = next;
        }
    }
}
