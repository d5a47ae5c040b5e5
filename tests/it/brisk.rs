//! The brisk reader against serde_json: what it reads is the same, and what kubelets write it does read.

use crate::bodies::summaries;
use heapster::wire::brisk::{self, MAX_DEPTH, Refused};
use heapster::wire::kubelet_summary::Summary;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

fn briskly(text: &str) -> Result<Value, Refused> {
    brisk::read(text, |reader| Value::deserialize(reader))
}

/// Values without what the reader leaves to others, but for strings with escapes now and then.
fn values() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        (0_u64..10_000_000_000_000_000_000).prop_map(Value::from),
        (0_u64..1_000).prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no other", |n| n.is_finite()).prop_map(Value::from),
    ];
    let text = prop_oneof!["[ !#-\\[\\]-~é✓]{0,20}", "\\PC{0,12}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        text.prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-zA-Z_]{0,20}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn written() -> impl Strategy<Value = String> {
    (values(), any::<bool>()).prop_map(|(value, pretty)| match pretty {
        true => serde_json::to_string_pretty(&value).unwrap(),
        false => value.to_string(),
    })
}

/// Bytes that mean something in JSON, in place of some, behind some, or nothing in place of some.
fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, &'static str)>> {
    let pieces = prop::sample::select(vec![
        "",
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "-",
        "+",
        ".",
        "e",
        "E",
        "0",
        "00",
        "1",
        "9",
        " ",
        "\n",
        "\t",
        "\u{1}",
        "\0",
        "é",
        "null",
        "true",
        "99999999999999999999",
        "1e400",
        "-0",
        "0.0",
        "/",
    ]);
    prop::collection::vec((any::<prop::sample::Index>(), 0_u8..2, pieces), 1..4)
}

fn damaged(text: String, damage: &[(prop::sample::Index, u8, &str)]) -> String {
    let mut text = text;
    for (at, length, piece) in damage {
        let bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let from = at.index(bounds.len());
        let to = (from + usize::from(*length)).min(bounds.len() - 1);
        text.replace_range(bounds[from]..bounds[to], piece);
    }
    text
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    if let Ok(value) = briskly(text) {
        let other: Value = serde_json::from_str(text).map_err(|error| {
            TestCaseError::fail(format!("{text:?} is {value}, which serde_json refuses: {error}"))
        })?;
        // As text, so that -0.0 is not 0.0.
        prop_assert_eq!(value.to_string(), other.to_string(), "{:?}", text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::handmade::cases(2_000))]

    #[test]
    fn what_is_read_is_what_serde_json_reads(text in written()) {
        holds(&text)?;
        if !text.contains('\\') {
            prop_assert!(briskly(&text).is_ok(), "refused: {}", text);
        }
    }

    #[test]
    fn what_is_damaged_is_read_as_serde_json_reads_it_or_refused(text in written(), damage in damage()) {
        holds(&damaged(text, &damage))?;
    }

    #[test]
    fn numbers_of_every_length_are_read(digits in "[0-9]{1,22}", rest in "(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?") {
        for text in [format!("{digits}{rest}"), format!("-{digits}{rest}"), format!("[{digits}{rest} ]")] {
            holds(&text)?;
        }
        if digits.len() < 20 && (digits.len() == 1 || !digits.starts_with('0')) {
            let value = briskly(&digits).unwrap();
            prop_assert_eq!(value, digits.parse::<u64>().unwrap());
        }
    }
}

#[test]
fn what_is_out_of_the_ordinary_is_refused() {
    let deep = |depth: u32| format!("{}{}", "[".repeat(depth as usize), "]".repeat(depth as usize));
    assert!(briskly(&deep(MAX_DEPTH)).is_ok());
    let broken = [
        "",
        " ",
        "{",
        "[",
        "\"",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "[1,]",
        "[1 2]",
        "{\"a\" 1}",
        "{a:1}",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "nul",
        "truer",
        "1 1",
        "{} x",
        "[}",
        "{]",
        "\"\u{1}\"",
        "+1",
        "--1",
    ];
    let left = ["\"\\n\"", "99999999999999999999", "18446744073709551615", "1e400", &deep(MAX_DEPTH + 1)];
    for text in broken {
        assert_eq!(briskly(text), Err(Refused), "{text:?}");
        assert!(serde_json::from_str::<Value>(text).is_err(), "{text:?} is broken");
    }
    for text in left {
        assert_eq!(briskly(text), Err(Refused), "{text:?}");
    }
    assert_eq!(briskly(" { \"a\" : [ 1 , -2.5e1 ] }\r\n"), Ok(json!({ "a": [1, -25.0] })));
}

/// Whoever stops reading in the middle of a list has not read the text.
#[test]
fn lists_are_read_to_their_end() {
    assert_eq!(brisk::read("[1,2,3]", |reader| <(u8, u8)>::deserialize(reader)), Err(Refused));
    assert_eq!(brisk::read("[1,2]", |reader| <(u8, u8)>::deserialize(reader)), Ok((1, 2)));
}

#[test]
fn every_recorded_summary_is_read() {
    let all = summaries();
    assert!(!all.is_empty());
    for (name, body) in all {
        let text = std::str::from_utf8(&body).unwrap();
        assert!(brisk::read(text, |reader| Summary::deserialize(reader)).is_ok(), "{name} is refused");
    }
}
