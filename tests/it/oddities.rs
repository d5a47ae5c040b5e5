//! Answers that can be read and are odd all the same, and pods that nobody knows: pure, and in front of a scraper on a
//! paused clock. What the log, the status and the doctor make of them is left to `oddities_whole`.

use crate::actors::{Says, scraper_beside};
use crate::handmade::{inventory, names, node, pod, said, window};
use heapster::messages::Foreign;
use heapster::model::Set;
use heapster::model::inventory::PodName;
use heapster::model::metric::Metric;
use heapster::model::report::Subject;
use heapster::model::time::Timestamp;
use heapster::rollup::node::{Answer, Tally, assemble};
use heapster::rollup::oddity::{CLOCK_OFF, OLD, Oddity, oddities, skew};
use heapster::rollup::strangers::{GRACE, MOST, Strangers};
use std::time::Duration;

#[test]
fn a_clock_is_told_to_the_second_and_none_of_it_within_two() {
    let now = Timestamp::from_nanos(1_000_000_700_000_000);
    for (told, expected) in [(1_000_000, 0), (999_999, 0), (1_000_002, 2), (1_000_003, 3), (999_998, -2)] {
        assert_eq!(skew(Timestamp::from_seconds(told), now), expected, "{told}");
    }
    for off in [-3_600_i64, -61, 61, 86_400] {
        let told = Timestamp::from_seconds(1_000_000 + off);
        assert!((skew(told, now) - off).abs() <= 1, "{off}");
    }
    assert_eq!(skew(Timestamp::from_nanos(i64::MIN), now).signum(), -1);
}

fn at(seconds_before: i64) -> u64 {
    (window(0).end().nanos() - seconds_before * 1_000_000_000) as u64
}

#[test]
fn figures_are_old_by_the_kubelets_own_clock() {
    let (known, none) = (inventory(node("n1"), []), Set::default());
    let found = |newest: i64, skew: Option<i64>| {
        let pod = Subject::Pod("a", "b");
        let older: &[(Metric, u64)] = &[(Metric::CpuTime, at(newest + 500))];
        let report = said(&[(Subject::Node, older), (pod, &[(Metric::MemoryTime, at(newest))])]);
        let (window, scraped_at) = (window(0), window(0).end());
        let answer = Answer {
            report: &report,
            inventory: &known,
            foreign: &none,
            strangers: &none,
            previous: None,
            window,
            scraped_at,
        };
        oddities(&answer, &Tally::default(), skew)
    };
    let (limit, off) = (OLD as i64, CLOCK_OFF as i64);
    assert_eq!(found(limit, None), []);
    assert_eq!(found(limit + 1, None), [Oddity::Old(OLD + 1)]);
    assert_eq!(found(-3_600, None), []);
    // An hour behind is a wrong clock and no old figure; with a right one it is the other way round.
    assert_eq!(found(3_600, Some(-3_600)), [Oddity::Clock(-3_600)]);
    assert_eq!(found(3_600, Some(0)), [Oddity::Old(3_600)]);
    assert_eq!(found(0, Some(off)), []);
    assert_eq!(found(0, Some(off + 1)), [Oddity::Clock(off + 1)]);
    assert_eq!(found(0, Some(3_600)), [Oddity::Clock(3_600), Oddity::Old(3_600)]);
}

#[test]
fn of_a_name_that_is_none_nothing_is_shown() {
    let (known, none) = (inventory(node("n1"), []), Set::default());
    for (claimed, shown) in [("n-2.example", "n-2.example"), ("eyJhbGciOi", "…"), ("a\nb", "…"), ("n1", "")]
    {
        let mut report = said(&[]);
        report.claimed_node = Some(claimed);
        let (window, scraped_at) = (window(0), window(0).end());
        let answer = Answer {
            report: &report,
            inventory: &known,
            foreign: &none,
            strangers: &none,
            previous: None,
            window,
            scraped_at,
        };
        let found = oddities(&answer, &assemble(&answer).tally, None);
        let expected = Some(Oddity::OtherNode(shown.to_owned())).filter(|_| !shown.is_empty());
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }
}

fn pods(names_of: &[&str]) -> Vec<PodName> {
    names(names_of).into_iter().map(|name| PodName { namespace: "shop".into(), name }).collect()
}

#[test]
fn a_pod_that_nobody_knows_counts_for_its_grace() {
    let mut strangers = Strangers::default();
    let start = Duration::from_secs(1_000);
    let mut out = |names: &[&str], after: Duration| {
        let mut out: Vec<PodName> = strangers.judge(&pods(names), start + after).into_iter().collect();
        out.sort();
        out
    };
    let moment = Duration::from_secs(1);
    assert_eq!(out(&["a"], Duration::ZERO), []);
    assert_eq!(out(&["a", "b"], GRACE - moment), []);
    assert_eq!(out(&["a", "b"], GRACE), pods(&["a"]));
    // One that was away begins anew.
    assert_eq!(out(&["b"], GRACE + moment), []);
    assert_eq!(out(&["a", "b"], GRACE * 2), pods(&["b"]));
    strangers.forget();
    assert!(strangers.judge(&pods(&["a", "b"]), start + GRACE * 3).is_empty());
    // Ever new names do not help: only so many count at once.
    let many: Vec<String> = (0..MOST + 3).map(|n| format!("{n:04}")).collect();
    let many = pods(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let mut out: Vec<PodName> = Strangers::default().judge(&many, start).into_iter().collect();
    out.sort();
    assert_eq!(out, many[MOST..]);
}

#[test]
fn what_does_not_count_is_in_no_row_and_counted() {
    let usage: &[(Metric, u64)] = &[(Metric::MemoryUsage, 7)];
    let container = Subject::Container("shop", "ghost", "main");
    let report = said(&[
        (Subject::Pod("shop", "mine"), usage),
        (Subject::Pod("shop", "ghost"), usage),
        (container, usage),
    ]);
    let known = inventory(node("n1"), [pod("shop", "mine", [])]);
    let (foreign, strangers) = (Set::default(), Set::from_iter(pods(&["ghost"])));
    let (window, scraped_at) = (window(0), window(0).end());
    let answer = Answer {
        report: &report,
        inventory: &known,
        foreign: &foreign,
        strangers: &strangers,
        previous: None,
        window,
        scraped_at,
    };
    let made = assemble(&answer);
    assert_eq!(made.tally, Tally { unknown_rows: 2, ..Tally::default() });
    assert_eq!(oddities(&answer, &made.tally, None), [Oddity::UnknownPods(1)]);
    let rows: Vec<String> = made.block.layout.rows.entities().map(|entity| entity.to_string()).collect();
    assert_eq!(rows, ["namespace:shop/pod:mine"]);
}

const GHOST: Says = Ok(r#"{"node":{"memory":{"usageBytes":7}},
    "pods":[{"podRef":{"namespace":"shop","name":"mine"},"memory":{"usageBytes":5}},
            {"podRef":{"namespace":"shop","name":"ghost"},"memory":{"usageBytes":100}}]}"#);

/// For each answer of ten minutes, whether the ghost was in it.
async fn ghost(foreign: fn(&heapster::messages::WhichAreForeign) -> Foreign) -> Vec<(Duration, bool)> {
    let bench = scraper_beside(Duration::ZERO, GHOST, foreign);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let scraped = bench.scraped.lock().unwrap();
    let seen = scraped.iter().map(|(at, scraped)| {
        let took = scraped.outcome.as_ref().unwrap();
        let there = took.block.layout.rows.entities().any(|entity| entity.to_string().ends_with("ghost"));
        assert_eq!(took.tally.unknown_rows, u64::from(!there));
        assert_eq!(took.oddities.contains(&Oddity::UnknownPods(1)), !there);
        (*at, there)
    });
    seen.collect()
}

#[actix_web::test]
async fn a_kubelet_invents_a_pod_for_two_minutes_only() {
    let seen = ghost(|_| Foreign { pods: Vec::new(), others_unknown: true }).await;
    let first = seen[0].0;
    assert!(seen.len() > 15, "{seen:?}");
    for (at, there) in seen {
        assert_eq!(there, at - first < GRACE, "after {at:?}");
    }
}

#[actix_web::test]
async fn where_the_api_server_cannot_tell_its_pods_all_count() {
    let seen = ghost(|_| Foreign::default()).await;
    assert!(seen.len() > 15 && seen.iter().all(|(_, there)| *there), "{seen:?}");
}
