//! Label selectors: the whole grammar, held to what Kubernetes documents of it, and to themselves.

use crate::handmade::cases;
use heapster::model::entity::Labels;
use heapster::model::selector::Selector;
use proptest::prelude::*;

fn labels() -> Labels {
    Labels::new([
        ("app", "web"),
        ("tier", "front"),
        ("example.com/weight", "12"),
        ("empty", ""),
        ("in", "in"),
    ])
}

fn takes(selector: &str) -> bool {
    let labels = labels();
    let read: Selector = selector.parse().unwrap_or_else(|error| panic!("{selector:?}: {error}"));
    read.takes(|key| labels.get(key))
}

#[test]
fn every_operator_selects() {
    let taken = [
        "",
        "  ",
        "app",
        "!gone",
        "! gone",
        "app=web",
        "app==web",
        "app = web",
        "app!=db",
        "gone!=db",
        "empty=",
        "empty==,app=web",
        "app in (db,web)",
        "app in ( web )",
        "app in (web, )",
        "empty in (a,,b)",
        "empty in ()",
        "app notin ()",
        "app notin (db)",
        "gone notin (web)",
        "example.com/weight>11",
        "example.com/weight < 13",
        "in in (in)",
        "in=in",
        "app,tier=front,!gone,tier notin (back,middle)",
    ];
    let refused = [
        "gone",
        "!app",
        "app=db",
        "gone=",
        "app!=web",
        "app=",
        "app in (db)",
        "gone in (db,)",
        "app notin (db,web)",
        "example.com/weight>12",
        "app>1",
        "gone<1",
        "app,tier=back",
    ];
    for selector in taken {
        assert!(takes(selector), "{selector:?} should take it");
    }
    for selector in refused {
        assert!(!takes(selector), "{selector:?} should not take it");
    }
    assert!(" ".parse::<Selector>().unwrap().is_everything());
    assert!(!"a".parse::<Selector>().unwrap().is_everything());
}

#[test]
fn what_is_no_selector_is_refused_with_what_may_stand_there() {
    let long = format!("app={}", "v".repeat(64));
    let far = format!("{}/a", "p".repeat(254));
    let cases = [
        ("=", "found '=', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("a b", "found 'b', expected: '=', '!=', '==', 'in', notin'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("!", "found '', expected: identifier"),
        ("a==!", "found '!', expected: identifier"),
        ("a in", "found '', expected: '('"),
        ("a in b", "found 'b', expected: '('"),
        ("a in (b", "found '', expected: ',' or ')'"),
        ("a in (=)", "found '=', expected: identifier"),
        ("a>b", "\"b\" is no whole number"),
        ("a=-b", "\"-b\" is no value"),
        ("-a", "\"-a\" is no name"),
        ("A.com/b", "\"A.com/b\" is no name"),
        ("a/b/c", "\"a/b/c\" is no name"),
        ("a/", "\"a/\" is no name"),
        (&long, "is no value of a label"),
        (&far, "is no name of a label"),
    ];
    for (selector, why) in cases {
        let error = selector.parse::<Selector>().unwrap_err();
        assert!(error.to_string().contains(why), "{selector:?}: {error}");
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn no_text_is_too_strange(text in "[ a-c!=<>(),/\\-é\\n]{0,24}") {
        let labels = labels();
        if let Ok(selector) = text.parse::<Selector>() {
            selector.takes(|key| labels.get(key));
        }
    }

    /// A requirement and its opposite never agree.
    #[test]
    fn opposites_part_all_objects(
        values in prop::collection::vec("[a-c]{0,2}", 1..4),
        present in prop::option::of("[a-c]{0,2}"),
    ) {
        let set = values.join(",");
        for (one, other) in [(format!("k in ({set})"), format!("k notin ({set})")), ("k".to_owned(), "!k".to_owned())] {
            let held = |text: &str| text.parse::<Selector>().unwrap().takes(|_| present.as_deref());
            prop_assert!(held(&one) != held(&other), "{one} {other} {present:?}");
        }
        let expected = present.as_ref().is_some_and(|present| values.contains(present));
        let in_set = format!("k in ({set})").parse::<Selector>().unwrap();
        prop_assert_eq!(in_set.takes(|_| present.as_deref()), expected);
    }
}
