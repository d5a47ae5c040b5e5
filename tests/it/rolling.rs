//! One node's answer becomes one block: requests and limits, sums of containers, and which rows count.

use crate::handmade::{
    assembled, container, entities, held, held_as, inventory, node, of_container, of_free, of_node, of_pod,
    pod, resources, said, window,
};
use heapster::model::Set;
use heapster::model::entity::Entity;
use heapster::model::inventory::{ContainerFacts, PodFacts, PodName};
use heapster::model::metric::{Form, Metric, MetricKey, Value};
use heapster::model::report::{Part, Report, Subject};
use heapster::model::resources::Packed;
use heapster::rollup::node::{Answer, MAX_OTHER_METRICS, MAX_ROWS, Tally, assemble, unknown_pods};
use std::collections::BTreeSet;
use std::time::Duration;

const POD: Subject<'static> = Subject::Pod("shop", "web");
const C1: Subject<'static> = Subject::Container("shop", "web", "c1");
const NGINX: Subject<'static> = Subject::Container("shop", "web", "nginx");

const REQUESTS: [Metric; 3] = [Metric::CpuRequest, Metric::MemoryRequest, Metric::EphemeralStorageRequest];
const LIMITS: [Metric; 3] = [Metric::CpuLimit, Metric::MemoryLimit, Metric::EphemeralStorageLimit];

/// The pod of the original's enricher test.
fn enriched_pod() -> [ContainerFacts; 2] {
    let c1 = ContainerFacts { requests: resources(100, 555, 1_000).into(), ..container("c1") };
    let nginx = ContainerFacts {
        requests: Packed::from(resources(333, 1_000, 2_000)).with([("example.com/resource1".into(), 2)]),
        limits: resources(2_222, 3_333, 5_000).into(),
        ..container("nginx")
    };
    [c1, nginx]
}

fn of(report: &Report<'_>, entity: &Entity, metrics: &[Metric]) -> Vec<Option<u64>> {
    let inventory = inventory(node("node-1"), [pod("shop", "web", enriched_pod())]);
    let block = assembled(report, &inventory, window(0), None).block;
    metrics.iter().map(|metric| held(&block, entity, *metric)).collect()
}

#[test]
fn requests_and_limits_come_of_the_spec_whatever_the_kubelet_reports() {
    let usage: &[(Metric, u64)] = &[(Metric::MemoryUsage, 7)];
    let node_row = (Subject::Node, usage);
    let reports = [
        said(&[node_row, (POD, usage), (C1, usage), (NGINX, usage)]),
        said(&[node_row, (POD, usage), (NGINX, usage)]),
        said(&[node_row, (C1, usage)]),
        said(&[node_row, (POD, usage)]),
        said(&[node_row, (POD, &[])]),
    ];
    for report in &reports {
        let rows = report.rows();
        for entity in [of_pod("shop", "web"), of_node("node-1")] {
            assert_eq!(of(report, &entity, &REQUESTS), [433, 1_555, 3_000].map(Some), "{entity}: {rows:?}");
            assert_eq!(of(report, &entity, &LIMITS), [2_222, 3_333, 5_000].map(Some), "{entity}: {rows:?}");
        }
        let c1 = of_container("shop", "web", "c1");
        assert_eq!(of(report, &c1, &REQUESTS), [100, 555, 1_000].map(Some), "{rows:?}");
        assert_eq!(of(report, &c1, &LIMITS), [0, 0, 0].map(Some), "0 where there is no limit");
        let inventory = inventory(node("node-1"), [pod("shop", "web", enriched_pod())]);
        let block = assembled(report, &inventory, window(0), None).block;
        let extended = MetricKey::Resource("example.com/resource1/request".into());
        assert_eq!(held_as(&block, &of_pod("shop", "web"), &extended), Some(2));
        assert_eq!(held_as(&block, &of_container("shop", "web", "nginx"), &extended), Some(2));
        assert_eq!(held_as(&block, &c1, &extended), None);
    }
}

#[test]
fn declared_containers_that_do_not_run_are_there_with_requests_only() {
    let report = said(&[(POD, &[(Metric::MemoryUsage, 7)])]);
    let inventory = inventory(node("node-1"), [pod("shop", "web", enriched_pod())]);
    let block = assembled(&report, &inventory, window(0), None).block;
    let row = block.layout.rows.find(&of_container("shop", "web", "c1"), None).unwrap();
    let names: BTreeSet<_> = block.layout.metrics_of(row).collect();
    assert_eq!(names, REQUESTS.into_iter().chain(LIMITS).map(MetricKey::Known).collect());
}

#[test]
fn pods_that_no_kubelet_reports_are_not_made_up() {
    let report = said(&[(Subject::Node, &[(Metric::MemoryUsage, 7)])]);
    let inventory = inventory(node("node-1"), [pod("shop", "web", enriched_pod())]);
    let made = assembled(&report, &inventory, window(0), None);
    assert_eq!(entities(&made.block.layout.rows), [of_node("node-1")]);
    for metric in REQUESTS.into_iter().chain(LIMITS) {
        assert_eq!(held(&made.block, &of_node("node-1"), metric), Some(0), "the sum over no pod");
    }
}

#[test]
fn pods_own_value_stands_and_what_it_lacks_is_summed() {
    let (rss, usage, swap) = (Metric::MemoryRss, Metric::MemoryUsage, Metric::SwapUsage);
    let report = said(&[
        (POD, &[(rss, 100)]),
        (C1, &[(rss, 10), (usage, 10), (swap, 30)]),
        (NGINX, &[(rss, 20), (usage, 100)]),
    ]);
    assert_eq!(of(&report, &of_pod("shop", "web"), &[rss, usage, swap]), [100, 110, 30].map(Some));
}

#[test]
fn pod_of_which_only_containers_are_reported_is_their_sum() {
    let report = said(&[(C1, &[(Metric::MemoryUsage, 10)]), (NGINX, &[(Metric::MemoryUsage, 100)])]);
    assert_eq!(of(&report, &of_pod("shop", "web"), &[Metric::MemoryUsage]), [Some(110)]);
}

#[test]
fn counters_are_never_summed() {
    let counters = [Metric::CpuUsage, Metric::MemoryPageFaults, Metric::NetworkRx, Metric::StartTime];
    let values: Vec<_> = counters.iter().map(|metric| (*metric, 1_000)).collect();
    let report = said(&[(POD, &[]), (C1, &values), (NGINX, &values)]);
    assert_eq!(of(&report, &of_pod("shop", "web"), &counters), [None; 4]);
    assert_eq!(of(&report, &of_pod("shop", "web"), &[Metric::Uptime]), [None]);
    assert_eq!(of(&report, &of_container("shop", "web", "c1"), &counters), [Some(1_000); 4]);
}

#[test]
fn equal_names_in_other_pods_and_namespaces_do_not_collide() {
    let subjects = [("a", "web", "app"), ("b", "web", "app"), ("a", "api", "app"), ("a", "web", "runtime")];
    let mut report = Report::default();
    for (n, (namespace, pod, container)) in subjects.into_iter().enumerate() {
        report.begin(Subject::Container(namespace, pod, container), Part::Whole);
        report.push(Metric::MemoryUsage, n as u64 + 1);
    }
    report.begin(Subject::Free("app"), Part::Whole);
    report.push(Metric::MemoryUsage, 99);
    let block = assembled(&report, &inventory(node("node-1"), []), window(0), None).block;
    for (n, (namespace, pod, container)) in subjects.into_iter().enumerate() {
        let entity = of_container(namespace, pod, container);
        assert_eq!(held(&block, &entity, Metric::MemoryUsage), Some(n as u64 + 1), "{entity}");
    }
    assert_eq!(held(&block, &of_free("node-1", "app"), Metric::MemoryUsage), Some(99));
    assert_eq!(held(&block, &of_pod("a", "web"), Metric::MemoryUsage), Some(1 + 4));
}

#[test]
fn of_two_runs_of_one_container_the_later_started_counts() {
    let run = |start: u64, usage: u64| [(Metric::StartTime, start), (Metric::MemoryUsage, usage)];
    let (old, new, bare) = (run(1_000, 5), run(2_000, 50), [(Metric::CpuTime, 9)]);
    type Row<'a> = (Subject<'a>, &'a [(Metric, u64)]);
    let cases: [&[Row<'_>]; 5] = [
        &[(C1, &old), (C1, &new)],
        &[(C1, &new), (C1, &old)],
        &[(C1, &new), (C1, &bare)],
        &[(C1, &bare), (C1, &new)],
        &[(C1, &old), (NGINX, &run(1, 7)), (C1, &[]), (C1, &new), (C1, &run(1_500, 8))],
    ];
    for rows in cases {
        let report = said(rows);
        let inventory = inventory(node("node-1"), []);
        let made = assembled(&report, &inventory, window(0), None);
        let c1 = of_container("shop", "web", "c1");
        assert_eq!(held(&made.block, &c1, Metric::MemoryUsage), Some(50), "{rows:?}");
        assert_eq!(held(&made.block, &c1, Metric::StartTime), Some(2_000), "{rows:?}");
        let runs = rows.iter().filter(|(subject, _)| *subject == C1).count() as u64;
        assert_eq!(made.tally, Tally { superseded_rows: runs - 1, ..Tally::default() });
    }
    let equal = said(&[(C1, &run(2_000, 5)), (C1, &run(2_000, 50))]);
    assert_eq!(of(&equal, &of_container("shop", "web", "c1"), &[Metric::MemoryUsage]), [Some(50)]);
}

#[test]
fn parts_follow_the_run_they_belong_to() {
    let mut report = Report::default();
    for (start, used) in [(2_000, 20), (1_000, 10)] {
        report.begin(C1, Part::Whole);
        report.push(Metric::StartTime, start);
        report.begin(C1, Part::Resource("", "/"));
        report.push(Metric::FilesystemUsage, used);
    }
    let made = assembled(&report, &inventory(node("node-1"), []), window(0), None);
    let root = heapster::model::entity::Labels::new([("resource_id", "/")]);
    let c1 = of_container("shop", "web", "c1");
    assert_eq!(crate::handmade::held_part(&made.block, &c1, &root, Metric::FilesystemUsage), Some(20));
    assert_eq!(made.tally.superseded_rows, 2);
}

#[test]
fn foreign_pods_are_dropped_and_counted_and_unknown_ones_taken() {
    let usage: &[(Metric, u64)] = &[(Metric::MemoryUsage, 7)];
    let (foreign, foreign_container) =
        (Subject::Pod("ops", "moved"), Subject::Container("ops", "moved", "main"));
    let unknown = Subject::Pod("ops", "brand-new");
    let report = said(&[(POD, usage), (foreign, usage), (foreign_container, usage), (unknown, usage)]);
    let inventory = inventory(node("node-1"), [pod("shop", "web", enriched_pod())]);
    let name = |name: &str| PodName { namespace: "ops".into(), name: name.into() };
    assert_eq!(unknown_pods(&report, &inventory), [name("brand-new"), name("moved")]);
    let made = assemble(&Answer {
        report: &report,
        inventory: &inventory,
        foreign: &Set::from_iter([name("moved")]),
        strangers: &Set::default(),
        previous: None,
        window: window(0),
        scraped_at: window(0).end(),
    });
    assert_eq!(made.tally, Tally { foreign_rows: 2, ..Tally::default() });
    let pods: Vec<_> = made.block.layout.rows.pods().map(|(namespace, pod)| of_pod(namespace, pod)).collect();
    assert_eq!(pods, [of_pod("ops", "brand-new"), of_pod("shop", "web")]);
    assert_eq!(held(&made.block, &of_pod("ops", "brand-new"), Metric::MemoryUsage), Some(7));
    assert_eq!(held(&made.block, &of_pod("ops", "brand-new"), Metric::CpuRequest), None, "nothing is known");
}

#[test]
fn node_is_named_by_the_inventory_whatever_the_body_claims() {
    let mut report = said(&[(Subject::Node, &[(Metric::MemoryUsage, 7)])]);
    report.claimed_node = Some("node-2");
    let made = assembled(&report, &inventory(node("node-1"), []), window(0), None);
    assert_eq!(held(&made.block, &of_node("node-1"), Metric::MemoryUsage), Some(7));
    assert_eq!(held(&made.block, &of_node("node-2"), Metric::MemoryUsage), None);
    assert_eq!(made.tally.other_node_claimed, 1);
    report.claimed_node = Some("node-1");
    assert_eq!(assembled(&report, &inventory(node("node-1"), []), window(0), None).tally, Tally::default());
}

#[test]
fn restarts_are_those_of_the_status_and_sum_up() {
    let restarts = [Some(3), Some(4), None].map(Option::into).into();
    let facts = PodFacts { restarts, ..pod("shop", "web", ["a", "b", "c"].map(container)) };
    let inventory = inventory(node("node-1"), [facts]);
    let mut made = assembled(&said(&[(POD, &[])]), &inventory, window(0), None);
    let restarts = |entity: Entity| held(&made.block, &entity, Metric::RestartCount);
    assert_eq!(["a", "b", "c"].map(|c| restarts(of_container("shop", "web", c))), [Some(3), Some(4), None]);
    assert_eq!(restarts(of_pod("shop", "web")), Some(7));
    let of_namespace: Vec<_> = made.sums.of(&"shop".into()).iter().collect();
    assert!(of_namespace.contains(&(Metric::RestartCount, 7)), "{of_namespace:?}");
}

#[test]
fn custom_metrics_are_doubles_and_sum_up_in_the_pod() {
    let values = [(C1, 1.5), (NGINX, -4.25)];
    let mut report = Report::default();
    for (subject, value) in values {
        report.begin(subject, Part::Whole);
        report.push_custom("queries", value);
    }
    report.begin(POD, Part::Whole);
    let made = assembled(&report, &inventory(node("node-1"), []), window(0), None);
    let key = MetricKey::Custom("custom/queries".into());
    assert_eq!((key.name(), key.form(), key.is_public()), ("custom/queries", Form::Double, true));
    let shown = |entity: Entity| held_as(&made.block, &entity, &key).map(|held| key.form().show(held));
    assert_eq!(shown(of_container("shop", "web", "c1")), Some(Value::Float(1.5)));
    assert_eq!(shown(of_container("shop", "web", "nginx")), Some(Value::Float(-4.25)));
    assert_eq!(shown(of_pod("shop", "web")), Some(Value::Float(values.iter().map(|(_, value)| value).sum())));
}

#[test]
fn uptime_is_milliseconds_from_the_start_to_the_scrape() {
    let scraped = window(0).end().after(Duration::from_secs(1));
    let age = Duration::from_micros(123_456_789);
    let start = scraped.nanos() as u64 - age.as_nanos() as u64;
    let report = said(&[(C1, &[(Metric::StartTime, start)]), (NGINX, &[(Metric::StartTime, start * 2)])]);
    let uptimes = [("c1", Some(age.as_millis() as u64)), ("nginx", None)];
    for (name, expected) in uptimes {
        assert_eq!(of(&report, &of_container("shop", "web", name), &[Metric::Uptime]), [expected]);
    }
}

#[test]
fn metrics_outside_the_catalogue_are_limited_and_counted() {
    let names: Vec<String> = (0..MAX_OTHER_METRICS + 44).map(|n| format!("m{n}")).collect();
    let mut report = Report::default();
    for subject in [C1, NGINX] {
        report.begin(subject, Part::Whole);
        names.iter().for_each(|name| report.push_custom(name, 1.0));
    }
    let made = assembled(&report, &inventory(node("node-1"), []), window(0), None);
    assert_eq!(made.tally, Tally { metrics_over_limit: 2 * 44, ..Tally::default() });
    let row = made.block.layout.rows.find(&of_pod("shop", "web"), None).unwrap();
    assert_eq!(made.block.layout.metrics_of(row).count(), MAX_OTHER_METRICS, "the pod has those that fit");
}

#[test]
fn rows_are_limited_and_counted() {
    let names: Vec<String> = (0..MAX_ROWS + 9).map(|n| format!("volume-{n}")).collect();
    let mut report = Report::default();
    for name in &names {
        report.begin(POD, Part::Resource("Volume:", name));
        report.push(Metric::FilesystemUsage, 1);
    }
    let made = assembled(&report, &inventory(node("node-1"), []), window(0), None);
    assert_eq!(made.tally, Tally { rows_over_limit: 9, ..Tally::default() });
    assert_eq!(made.block.points(), MAX_ROWS);
}
