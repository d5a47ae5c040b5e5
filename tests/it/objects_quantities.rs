//! Quantities: every suffix, rounding up, and what is none.

use heapster::wire::quantity::{millis, units};
use proptest::prelude::*;

const SUFFIXES: &[(&str, u32, u32, i32)] = &[
    // suffix, power of 10, power of 1024, and whether the power of 10 is below zero
    ("n", 9, 0, -1),
    ("u", 6, 0, -1),
    ("m", 3, 0, -1),
    ("", 0, 0, 1),
    ("k", 3, 0, 1),
    ("M", 6, 0, 1),
    ("G", 9, 0, 1),
    ("T", 12, 0, 1),
    ("P", 15, 0, 1),
    ("E", 18, 0, 1),
    ("Ki", 0, 1, 1),
    ("Mi", 0, 2, 1),
    ("Gi", 0, 3, 1),
    ("Ti", 0, 4, 1),
    ("Pi", 0, 5, 1),
    ("Ei", 0, 6, 1),
];

#[test]
fn every_suffix() {
    for (suffix, ten, binary, sign) in SUFFIXES {
        let (ten, binary) = (10_u128.pow(*ten), 1_024_u128.pow(*binary));
        for number in [0_u128, 1, 3, 999, 1_000, 1_001] {
            let text = format!("{number}{suffix}");
            let (up, down) = if *sign > 0 { (ten * binary, 1) } else { (binary, ten) };
            let rounded = |scale: u128| u64::try_from((number * up * scale).div_ceil(down)).ok();
            assert_eq!((units(&text), millis(&text)), (rounded(1), rounded(1_000)), "{text}");
        }
    }
}

#[test]
fn forms_that_kubernetes_writes() {
    for (text, thousandths) in [
        ("250m", 250),
        ("0.5", 500),
        (".5", 500),
        ("5.", 5_000),
        ("+2", 2_000),
        ("1e3", 1_000_000),
        ("1E3", 1_000_000),
        ("1e+3", 1_000_000),
        ("1e-3", 1),
        ("1.5e2", 150_000),
        ("0.0001", 1),
        ("1n", 1),
        ("1000001n", 2),
        ("007", 7_000),
        ("0", 0),
        ("0m", 0),
    ] {
        assert_eq!(millis(text), Some(thousandths), "{text}");
    }
    assert_eq!(units("129e6"), Some(129_000_000));
    assert_eq!(units("129M"), units("129e6"));
    assert_eq!(units("1.5Gi"), Some(3 << 29));
    assert_eq!(units("0.1Ki"), Some(103), "rounded up");
    assert_eq!(units("128974848000m"), Some(128_974_848));
    assert_eq!(units("15Ei"), Some(15 << 60));
}

#[test]
fn what_does_not_fit_is_none() {
    assert_eq!(units("18446744073709551615"), Some(u64::MAX));
    assert_eq!(units("18446744073709551615000m"), Some(u64::MAX));
    for text in
        ["18446744073709551616", "16Ei", "1e20", "1e400", "999999999999999999999999999999999999999999"]
    {
        assert_eq!(units(text), None, "{text}");
    }
    assert_eq!(millis("18446744073709551616m"), None);
    assert_eq!(millis("18446744073709552"), None, "in thousandths it is too large");
    assert_eq!(units("18446744073709552"), Some(18_446_744_073_709_552));
}

#[test]
fn rubbish_is_none() {
    for text in [
        "", " ", ".", "+", "-", "m", "Gi", "1 ", " 1", "1 Gi", "-1", "-0.5", "+-1", "++1", "1..2", "1.2.3",
        "0x10", "1K", "1gi", "1Mib", "1mm", "1e", "1e1.5", "1e1e1", "e3", "1,5", "Infinity", "NaN", "1_000",
        "１", "1m\n",
    ] {
        assert_eq!((units(text), millis(text)), (None, None), "{text:?}");
    }
}

proptest! {
    #![proptest_config(crate::handmade::cases(2_000))]

    #[test]
    fn any_quantity_is_that_of_exact_fractions(whole in 0_u64..10_000_000_000, fraction in "[0-9]{0,9}", suffix in prop::sample::select(SUFFIXES), plus in any::<bool>()) {
        let (name, ten, binary, sign) = suffix;
        let text = format!("{}{whole}{}{fraction}{name}", if plus { "+" } else { "" }, if fraction.is_empty() { "" } else { "." });
        let digits: i128 = format!("{whole}{fraction}").parse().unwrap();
        let (mut up, mut down) = (1_024_i128.pow(binary), 10_i128.pow(fraction.len() as u32));
        if sign > 0 { up *= 10_i128.pow(ten) } else { down *= 10_i128.pow(ten) }
        let expected = |scale: i128| {
            let product = digits.checked_mul(up)?.checked_mul(scale)?;
            u64::try_from((product + down - 1) / down).ok()
        };
        prop_assert_eq!(units(&text), expected(1), "{}", text);
        prop_assert_eq!(millis(&text), expected(1_000), "{}", text);
    }

    #[test]
    fn any_exponent_is_that_power_of_ten(number in 0_u64..1_000_000, exponent in -9_i32..12, e in prop::sample::select(&["e", "E"][..])) {
        let text = format!("{number}{e}{exponent}");
        let expected = if exponent < 0 {
            let down = 10_u64.pow(exponent.unsigned_abs());
            number.div_ceil(down)
        } else {
            number * 10_u64.pow(exponent.unsigned_abs())
        };
        prop_assert_eq!(units(&text), Some(expected), "{}", text);
    }

    #[test]
    fn any_text_is_survived(text in ".{0,20}") {
        let _ = (units(&text), millis(&text));
    }

    #[test]
    fn thousandths_are_never_less_than_units(text in "[0-9]{1,9}(\\.[0-9]{1,6})?(m|k|Ki|Mi|)") {
        let (whole, thousandths) = (units(&text).unwrap(), millis(&text).unwrap());
        prop_assert_eq!(thousandths.div_ceil(1_000), whole);
    }
}
