//! Rows found by where they stood in the last answer: the block is the same as when every name is compared.

use crate::handmade::{cases, container, inventory, node, pod, resources, window};
use heapster::model::Set;
use heapster::model::amount::Amount;
use heapster::model::inventory::{ContainerFacts, NodeFacts, NodeInventory, PodFacts};
use heapster::model::metric::Metric;
use heapster::model::report::{Part, Report, Subject};
use heapster::model::resources::Packed;
use heapster::rollup::block::Block;
use heapster::rollup::kin::Kin;
use heapster::rollup::known::Known;
use heapster::rollup::node::{Answer, Assembled, assemble, assemble_at};
use proptest::prelude::*;
use std::sync::Arc;

const PODS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What one body tells: pods in its order, some of them twice, with how many volumes.
type Told = Vec<(usize, usize)>;

fn report(told: &Told, value: u64) -> Report<'static> {
    let mut report = Report::default();
    report.pods_are_pause = value.is_multiple_of(3);
    report.begin(Subject::Node, Part::Whole);
    report.push(Metric::MemoryUsage, value);
    for (n, (pod, volumes)) in told.iter().enumerate() {
        let name = PODS[*pod];
        let value = value.wrapping_mul(31).wrapping_add(n as u64);
        report.begin(Subject::Pod("shop", name), Part::Whole);
        report.push(Metric::StartTime, value % 7);
        report.push(Metric::NetworkRx, value);
        if value.is_multiple_of(2) {
            report.push(Metric::MemoryUsage, value);
        }
        for volume in &PODS[..*volumes] {
            report.begin(Subject::Pod("shop", name), Part::Resource("Volume:", volume));
            report.push(Metric::FilesystemUsage, value);
        }
        report.begin(Subject::Container("shop", name, "app"), Part::Whole);
        report.push(Metric::CpuUsage, value);
        report.push(Metric::MemoryUsage, value / 2);
        report.push_custom("queries", 0.5);
    }
    report
}

fn known_pods(of: &[&str]) -> Arc<NodeInventory> {
    inventory(node("n1"), of.iter().map(|name| pod("shop", name, [container("app"), container("late")])))
}

/// The same pods with other requests, limits and restarts; every other one in the node's network, and with a container
/// more.
fn changed_pods(of: &[&str]) -> Arc<NodeInventory> {
    let changed = |(n, name): (usize, &&str)| {
        let app = ContainerFacts {
            requests: Packed::from(resources(100 + n as u64, 555, 1_000))
                .with([("example.com/resource".into(), n as u64)]),
            limits: resources(2_000, 3_333, 5_000 * n as u64).into(),
            ..container("app")
        };
        let more = [container("late"), app, container("aside")].into_iter().skip(n % 2);
        let restarts = [None, Some(n as u64)].map(Amount::from).into_iter().skip(n % 2).collect();
        PodFacts { host_network: n.is_multiple_of(2), restarts, ..pod("shop", name, more) }
    };
    let node = NodeFacts { capacity: resources(4_000, 1 << 33, 1 << 36), ..node("n1") };
    inventory(node, of.iter().enumerate().map(changed))
}

struct Scraper {
    known: Known,
    previous: Option<Block>,
}

impl Scraper {
    fn answer(&mut self, report: &Report<'_>, inventory: &Arc<NodeInventory>, at: i64) -> (bool, Assembled) {
        let rows = self.previous.as_ref().map(|previous| previous.layout.rows.clone());
        let found = self.known.find(report, inventory, rows.as_ref());
        let was_found = found.is_some();
        let answer = Answer {
            report,
            inventory,
            foreign: &Set::default(),
            strangers: &Set::default(),
            previous: self.previous.as_ref(),
            window: window(at),
            scraped_at: window(at).end(),
        };
        let (made, placed) = assemble_at(&answer, found);
        let plain = assemble(&answer);
        assert_eq!((&made.block, &made.sums, &made.tally), (&plain.block, &plain.sums, &plain.tally));
        assert_eq!(*placed.kin, Kin::of(&made.block.layout.rows, inventory), "whose rows they are");
        if !was_found {
            self.known.remember(&answer, &placed, &made);
        }
        (was_found, made)
    }
}

fn told() -> impl Strategy<Value = Told> {
    prop::collection::vec((0..PODS.len(), 0..3_usize), 0..7)
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn blocks_are_the_same_as_when_names_are_compared(first in told(), others in prop::collection::vec(prop_oneof![told(), Just(Vec::new())], 1..5), swap in any::<prop::sample::Index>(), other in 0..5_usize) {
        // Facts may change, and pods be unknown, from one answer to the next.
        let all = known_pods(&PODS);
        let unlike = [all.clone(), known_pods(&PODS[1..]), changed_pods(&PODS), changed_pods(&PODS[2..]), changed_pods(&[])];
        let unlike = &unlike[other];
        let mut scraper = Scraper { known: Known::default(), previous: None };
        let mut last = first;
        for (at, next) in others.into_iter().enumerate() {
            // As last time; in another order; something else; with something else known of the pods.
            let mut turned = last.clone();
            if !turned.is_empty() {
                let by = swap.index(turned.len());
                turned.rotate_left(by);
            }
            for (step, told) in [&last, &last, &turned, &next, &next, &next, &next].into_iter().enumerate() {
                let inventory = if step > 4 { unlike } else { &all };
                let (_, made) = scraper.answer(&report(told, at as u64 * 10 + step as u64), inventory, at as i64 * 7 + step as i64);
                scraper.previous = Some(made.block);
            }
            last = next;
        }
    }
}

#[test]
fn same_pods_in_any_order_are_found_and_nothing_else_is() {
    let all = known_pods(&PODS);
    let first: Told = vec![(0, 2), (1, 0), (2, 1)];
    let turned: Told = vec![(2, 1), (0, 2), (1, 0)];
    let more: Told = vec![(0, 2), (1, 0), (2, 1), (3, 0)];
    let twice: Told = vec![(0, 2), (1, 0), (1, 0)];
    let other_volume: Told = vec![(0, 2), (1, 1), (2, 0)];
    let expected = [
        (&first, false),
        (&first, true),
        (&turned, true),
        (&more, false),
        (&more, true),
        (&first, false),
        (&twice, false),
        (&twice, false),
        (&other_volume, false),
        (&first, false),
        (&first, true),
    ];
    let mut scraper = Scraper { known: Known::default(), previous: None };
    for (at, (told, is_found)) in expected.into_iter().enumerate() {
        let (found, made) = scraper.answer(&report(told, at as u64), &all, at as i64);
        assert_eq!(found, is_found, "answer {at}");
        scraper.previous = Some(made.block);
    }
    let again = known_pods(&PODS);
    assert!(!scraper.answer(&report(&first, 99), &again, 99).0, "something else may be known of the pods");
}

#[test]
fn of_all_tellings_only_the_same_rows_are_found() {
    let all = known_pods(&PODS);
    // Each of four pods with none, one or two volumes, one of them told last.
    let tellings: Vec<Told> = (0..81)
        .map(|n| {
            let mut told: Told = (0..4).map(|pod| (pod, n / 3_usize.pow(pod as u32) % 3)).collect();
            told.rotate_left(n % 4);
            told
        })
        .collect();
    let sorted = |told: &Told| {
        let mut told = told.clone();
        told.sort_unstable();
        told
    };
    for first in &tellings {
        let mut scraper = Scraper { known: Known::default(), previous: None };
        let rows = scraper.answer(&report(first, 1), &all, 0).1.block.layout.rows.clone();
        for (at, other) in tellings.iter().enumerate() {
            let mut turned = other.clone();
            turned.rotate_left(at % 3);
            for told in [other, &turned] {
                let found = scraper.known.find(&report(told, 2), &all, Some(&rows)).is_some();
                assert_eq!(found, sorted(told) == sorted(first), "{first:?} and then {told:?}");
            }
        }
    }
}
