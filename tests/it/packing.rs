//! One column of numbers as few bytes: whatever goes in comes out.

use heapster::rollup::pack::{Column, pack};
use proptest::prelude::*;

fn packed(values: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(values, &mut bytes);
    bytes
}

#[track_caller]
fn round_trips(values: &[u64]) {
    let bytes = packed(values);
    let (column, rest) = Column::split(&bytes, values.len()).expect("the whole column is there");
    assert!(rest.is_empty(), "{} bytes too many for {values:?}", rest.len());
    assert_eq!(column.iter().collect::<Vec<_>>(), values);
    for (at, value) in values.iter().enumerate() {
        assert_eq!(column.get(at), Some(*value), "number {at} of {values:?}");
    }
    assert_eq!(column.get(values.len()), None);
    assert_eq!(column.get(usize::MAX), None);
}

#[test]
fn extremes_round_trip() {
    let max = u64::MAX;
    for values in [
        &[][..],
        &[0],
        &[max],
        &[0, max],
        &[max, 0, max],
        &[max, max - 1],
        &[1, 1 << 63],
        &[1 << 63, 0],
        &[max, 1 << 63, 1, 0, (1 << 32) - 1, 1 << 32],
        &[7; 1_000],
        &[max; 70],
    ] {
        round_trips(values);
    }
}

#[test]
fn every_width_round_trips_at_every_position() {
    for width in 0..=64 {
        let top = if width == 64 { u64::MAX } else { (1 << width) - 1 };
        let values: Vec<u64> = (0..67).map(|at| if at % 3 == 0 { top } else { top / (at + 1) }).collect();
        round_trips(&values);
    }
}

#[test]
fn every_power_of_ten_round_trips() {
    for power in 0..=19 {
        let step = 10_u64.pow(power);
        let values: Vec<u64> = (0..40).map(|n: u64| step.saturating_mul(n * n)).collect();
        round_trips(&values);
        let shifted: Vec<u64> = values.iter().map(|value| value.saturating_add(17)).collect();
        round_trips(&shifted);
    }
}

#[test]
fn constant_column_costs_next_to_nothing() {
    let bytes = packed(&[12_345; 10_000]);
    assert!(bytes.len() <= 12, "{} bytes for one number", bytes.len());
}

#[test]
fn several_columns_follow_one_another() {
    let columns: [&[u64]; 4] = [&[1, 2, 3], &[], &[u64::MAX, 0], &[5; 9]];
    let mut bytes = Vec::new();
    for values in columns {
        pack(values, &mut bytes);
    }
    let mut rest = &bytes[..];
    for values in columns {
        let (column, behind) = Column::split(rest, values.len()).unwrap();
        assert_eq!(column.iter().collect::<Vec<_>>(), values);
        rest = behind;
    }
    assert!(rest.is_empty());
}

fn columns() -> impl Strategy<Value = Vec<u64>> {
    let numbers = |most: u64| prop::collection::vec(0..=most, 0..200);
    let stepped = |step: u64| {
        (0..1_000_000_000_u64, prop::collection::vec(0..1_000_000_u64, 0..200))
            .prop_map(move |(base, many)| many.into_iter().map(|n| base + n * step).collect::<Vec<_>>())
    };
    prop_oneof![
        prop::collection::vec(any::<u64>(), 0..200),
        prop::collection::vec(prop_oneof![Just(0), Just(u64::MAX), any::<u64>()], 0..50),
        numbers(1),
        numbers(1_000),
        numbers(1 << 40),
        stepped(1_000),
        stepped(1_000_000),
        stepped(1_000_000_000),
        stepped(4_096),
        (any::<u64>(), 0_usize..300).prop_map(|(value, many)| vec![value; many]),
    ]
}

proptest! {
    #![proptest_config(crate::handmade::cases(1_000))]

    #[test]
    fn any_column_round_trips(values in columns()) {
        round_trips(&values);
    }

    #[test]
    fn any_cut_column_is_refused(values in columns()) {
        let bytes = packed(&values);
        for end in 0..bytes.len() {
            prop_assert!(Column::split(&bytes[..end], values.len()).is_none(), "cut at {end} of {}", bytes.len());
        }
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0_usize..2_000) {
        if let Some((column, rest)) = Column::split(&bytes, count) {
            prop_assert!(rest.len() < bytes.len());
            prop_assert_eq!(column.iter().count(), count);
        }
    }

    #[test]
    fn a_common_step_is_taken_out(base in any::<u32>(), step in prop_oneof![Just(1_000_u64), Just(1_000_000), Just(1_000_000_000), Just(1 << 20)], many in prop::collection::vec(0..4_096_u64, 1..300)) {
        let values: Vec<u64> = many.iter().map(|n| u64::from(base) + n * step).collect();
        let widest = many.iter().max().unwrap() - many.iter().min().unwrap();
        let bits = (u64::BITS - widest.leading_zeros()) as usize;
        let payload = (bits * many.len()).div_ceil(8);
        let size = packed(&values).len();
        prop_assert!(size <= 2 + 10 + payload, "{size} bytes where {payload} and a head would do");
    }
}
