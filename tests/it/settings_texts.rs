//! What is written for others to read: instants, the model API's JSON, and the log sink's text, held to recorded answers.

use crate::bodies::{recording, recordings};
use crate::handmade::{T0, container, inventory, node, of_container, pod};
use heapster::model::Set;
use heapster::model::entity::Labels;
use heapster::model::inventory::{ContainerFacts, NodeFacts, NodeInventory};
use heapster::model::label_copier::LabelCopier;
use heapster::model::metric::{Metric, Value};
use heapster::model::report::{Part, Report, Subject};
use heapster::model::time::{Resolution, Timestamp};
use heapster::rollup::cluster::Batch;
use heapster::rollup::node::{Answer, assemble};
use heapster::wire::batch_text::encode;
use heapster::wire::model_api::{names, series};
use heapster::wire::rfc3339::{format, parse};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

fn by_chrono(text: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt()
}

#[test]
fn instants_are_read_in_every_form() {
    for text in [
        "1970-01-01T00:00:00Z",
        "2026-11-21T19:20:00Z",
        "2016-02-29T23:59:59Z",
        "2000-02-29T00:00:00Z",
        "2261-12-31T23:59:59Z",
        "1969-12-31T23:59:59Z",
        "2026-11-21T19:20:00.5Z",
        "2026-11-21T19:20:00.123456789Z",
        "2026-11-21T19:20:00+02:00",
        "2026-11-21T19:20:00.000000001-11:30",
        "2026-11-21T19:20:00+00:00",
        "2026-11-21t19:20:00z",
    ] {
        assert_eq!(parse(text).map(Timestamp::nanos), by_chrono(text), "{text}");
        assert!(parse(text).is_some(), "{text}");
    }
}

#[test]
fn what_is_no_instant_is_refused() {
    for text in [
        "",
        "2026",
        "2026-11-21",
        "2026-11-21T19:20:00",
        "2026-11-21T19:20Z",
        "2026-11-31T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00Z ",
        " 2026-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-01-01T00:00:00Z",
        "2026-01-01T00:00:00+25:00",
        "２026-01-01T00:00:00Z",
        "2026/01/01T00:00:00Z",
        "now",
        "1795288800",
    ] {
        assert_eq!(parse(text), None, "{text:?}");
    }
}

/// The points of a recorded series, in their order.
fn points(body: &serde_json::Value) -> Vec<(Timestamp, Value)> {
    let point = |point: &serde_json::Value| {
        let at = by_chrono(point["timestamp"].as_str().unwrap()).unwrap();
        (Timestamp::from_nanos(at), Value::Integer(point["value"].as_u64().unwrap()))
    };
    body["metrics"].as_array().unwrap().iter().map(point).collect()
}

/// The bodies of recorded answers that are JSON and not packed.
fn answers() -> Vec<(String, String)> {
    let all = recordings("tape/heapster-answers-at-end", |name| name.ends_with(".http")).into_iter();
    let text = |bytes| String::from_utf8(bytes).ok();
    let texts = all.filter_map(|(name, bytes)| Some((name, text(bytes)?)));
    let parted = texts.filter_map(|(name, text)| {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let json = head.starts_with("HTTP/1.1 200")
            && head.contains("application/json")
            && !head.contains("Content-Encoding");
        json.then(|| (name, body.to_owned()))
    });
    parted.collect()
}

#[test]
fn recorded_series_are_written_byte_for_byte() {
    let (mut full, mut empty, answers) = (0, 0, answers());
    for (name, body) in &answers {
        if !body.starts_with("{\n  \"metrics\": ") || !body.contains("latestTimestamp") {
            continue;
        }
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        let points = points(&json);
        *(if points.is_empty() { &mut empty } else { &mut full }) += 1;
        assert_eq!(series(&points), *body, "{name}");
    }
    assert!(answers.is_empty() || (full > 50 && empty > 1), "{full} series and {empty} empty ones");
}

#[test]
fn recorded_lists_are_written_byte_for_byte() {
    let (mut seen, answers) = (0, answers());
    for (name, body) in &answers {
        if let Ok(list) = serde_json::from_str::<Vec<String>>(body) {
            seen += 1;
            assert_eq!(names(&list), *body, "{name}");
        }
    }
    assert!(answers.is_empty() || seen > 10, "{seen} lists");
}

#[test]
fn fractions_stand_beside_their_whole_part() {
    for (value, whole) in [(0.25, 0_u64), (1.0, 1), (2.999, 2), (1e15, 1_000_000_000_000_000), (0.0, 0)] {
        let json: serde_json::Value = serde_json::from_str(&series(&[(T0, Value::Float(value))])).unwrap();
        assert_eq!(json["metrics"][0]["value"], whole, "{value}");
        assert_eq!(json["metrics"][0]["floatValue"].as_f64(), Some(value));
        assert_eq!(json["latestTimestamp"], json["metrics"][0]["timestamp"]);
    }
    let whole = series(&[(T0, Value::Integer(u64::MAX))]);
    assert!(
        whole.contains(&format!("\"value\": {}\n", u64::MAX)) && !whole.contains("floatValue"),
        "{whole}"
    );
    for odd in [-1.5, f64::NAN, f64::INFINITY, 1e300] {
        let text = series(&[(T0, Value::Float(odd))]);
        let json: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{odd}: {error} in {text}"));
        assert!(json["metrics"][0]["value"].is_u64(), "never negative, never wrapped: {text}");
    }
}

#[test]
fn texts_are_escaped_as_go_does() {
    let odd = ["a<b>&c", "quote\"back\\slash", "tab\tline\n", "\u{1}", "é", "</script>"].map(str::to_owned);
    let text = names(&odd);
    assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), odd);
    assert!(!text.contains(['<', '>', '&']), "{text}");
    assert!(text.contains("a\\u003cb\\u003e\\u0026c"), "{text}");
}

/// One set of the log sink's text: its lines by heading.
#[derive(Debug, Default)]
struct LogSet {
    times: Vec<String>,
    labels: Vec<String>,
    metrics: Vec<String>,
    /// Metric line and label line, sorted: the original kept the order in which they came.
    labelled: Vec<(String, String)>,
}

fn log_set(text: &str, key: &str) -> LogSet {
    let start = format!("MetricSet: {key}\n");
    let body = &text[text.find(&start).unwrap_or_else(|| panic!("no set {key}")) + start.len()..];
    let body = &body[..body.find("\n\n").map_or(body.len(), |end| end + 1)];
    let (mut set, mut heading) = (LogSet::default(), "");
    for line in body.lines() {
        match line {
            "   Labels:" | "   Metrics:" | "   Labeled Metrics:" => heading = line.trim(),
            _ => match heading {
                "Labels:" => set.labels.push(line.to_owned()),
                "Metrics:" => set.metrics.push(line.to_owned()),
                "Labeled Metrics:" if line.starts_with("         ") => {
                    set.labelled.last_mut().unwrap().1 = line.to_owned()
                }
                "Labeled Metrics:" => set.labelled.push((line.to_owned(), String::new())),
                _ => set.times.push(line.to_owned()),
            },
        }
    }
    set.labelled.sort();
    set
}

fn pair(line: &str) -> (&str, &str) {
    line.trim_start().split_once(" = ").unwrap_or_else(|| panic!("{line:?}"))
}

/// A line with a fraction as this project holds it: to a thousandth.
fn to_a_thousandth(line: &str) -> String {
    let (name, value) = pair(line);
    if !value.contains('.') {
        return line.to_owned();
    }
    format!("      {name} = {:.6}", (value.parse::<f64>().unwrap() * 1e3).round() / 1e3)
}

const KEY: &str = "namespace:batch/pod:disk-b/container:writer";

/// The log text of a window in which one container said what a recorded set says.
fn told_again(set: &LogSet) -> String {
    let label =
        |name: &str| set.labels.iter().map(|line| pair(line)).find(|(key, _)| *key == name).unwrap().1;
    let nanos = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    let (scrape, create) = (nanos(&set.times[0]), nanos(&set.times[1]));
    let mut report = Report::default();
    report.begin(Subject::Container("batch", "disk-b", "writer"), Part::Whole);
    report.push(Metric::StartTime, create);
    report.push(Metric::CpuTime, scrape);
    let metric =
        |name: &str| Metric::ALL.iter().copied().find(|metric| metric.descriptor().name == name).unwrap();
    let mut uptime = 0;
    for (name, value) in set.metrics.iter().map(|line| pair(line)) {
        match metric(name) {
            Metric::Uptime => uptime = value.parse().unwrap(),
            metric => report.push(metric, metric.descriptor().form.hold(value.parse().unwrap()).unwrap()),
        }
    }
    let mut last = None;
    for (line, part) in &set.labelled {
        let resource = pair(part).1;
        if last.replace(resource) != Some(resource) {
            report.begin(Subject::Container("batch", "disk-b", "writer"), Part::Resource("", resource));
        }
        let (name, value) = pair(line);
        report.push(metric(name), value.parse().unwrap());
    }
    let main = ContainerFacts { image: label("container_base_image").into(), ..container("writer") };
    let (app, value) = label("labels").split_once(':').unwrap();
    let mut facts = pod("batch", "disk-b", [main]);
    facts.restarts = [0.into()].into();
    facts.uid = label("pod_id").into();
    facts.labels = Labels::new([(app, value)]);
    let host = NodeFacts { hostname: label("hostname").into(), ..node(label("nodename")) };
    let known = inventory(host, [facts]);
    let uids = [("batch".into(), label("namespace_id").into())];
    let known = Arc::new(NodeInventory { namespaces: Arc::new(uids.into()), ..(*known).clone() });
    let scraped_at = Timestamp::from_nanos(create as i64).after(Duration::from_millis(uptime));
    let window = Resolution::new(Duration::from_secs(10)).unwrap().last_ended(scraped_at);
    let foreign = Set::default();
    let answer = Answer {
        report: &report,
        inventory: &known,
        foreign: &foreign,
        strangers: &foreign,
        previous: None,
        window,
        scraped_at,
    };
    let made = assemble(&answer);
    assert!(made.block.layout.rows.find(&of_container("batch", "disk-b", "writer"), None).is_some());
    let sums = Some(Arc::new(made.sums.pack(window, scraped_at, None)));
    let batch = Batch {
        cluster: "c".into(),
        window,
        nodes: vec![Arc::new(made.block)],
        sums,
        carried: 0,
        missing: 0,
    };
    encode(&batch, &LabelCopier::default())
}

#[test]
fn log_text_says_what_the_originals_said_in_the_same_lines() {
    let Some(log) = recording("tape/heapster-stderr-with-log-sink.txt") else { return };
    let log = String::from_utf8(log).unwrap();
    let batches = log.split(" DataBatch ").skip(1).map(|batch| batch.split("\nI1").next().unwrap());
    let mut seen = 0;
    for batch in batches.filter(|batch| batch.contains(&format!("MetricSet: {KEY}\n"))) {
        seen += 1;
        let mut theirs = log_set(batch, KEY);
        theirs.metrics.iter_mut().for_each(|line| *line = to_a_thousandth(line));
        let text = told_again(&theirs);
        assert!(
            text.starts_with("DataBatch     Timestamp: ")
                && text.contains(" +0000 UTC\n\nMetricSet: cluster\n"),
            "{text}"
        );
        let ours = log_set(&text, KEY);
        assert_eq!(ours.times, theirs.times);
        assert_eq!(ours.labelled, theirs.labelled);
        for (ours, theirs) in [(&ours.labels, &theirs.labels), (&ours.metrics, &theirs.metrics)] {
            let kept: Vec<_> = ours.iter().filter(|line| theirs.contains(line)).collect();
            assert_eq!(kept, theirs.iter().collect::<Vec<_>>(), "every line of theirs, in their order");
            assert!(ours.is_sorted_by_key(|line| pair(line).0), "{ours:?}");
        }
    }
    assert!(seen > 5, "{seen} batches");
}

#[test]
fn log_text_heads_sets_and_times_as_the_original_did() {
    let Some(log) = recording("tape/heapster-stderr-with-log-sink.txt") else { return };
    let log = String::from_utf8(log).unwrap();
    let theirs = log_set(&log, "cluster");
    let report = crate::handmade::said(&[(Subject::Pod("shop", "web"), &[(Metric::MemoryUsage, 5)])]);
    let made =
        crate::handmade::assembled(&report, &inventory(node("n"), []), crate::handmade::window(0), None);
    let sums = Some(Arc::new(made.sums.pack(crate::handmade::window(0), T0, None)));
    let batch = Batch {
        cluster: "c".into(),
        window: crate::handmade::window(0),
        nodes: vec![Arc::new(made.block)],
        sums,
        carried: 0,
        missing: 0,
    };
    let text = encode(&batch, &LabelCopier::default());
    let ours = log_set(&text, "cluster");
    assert_eq!((ours.times, ours.labels), (theirs.times, theirs.labels), "a set without instants");
    let keys: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("MetricSet: ")).collect();
    assert!(keys.is_sorted() && keys.len() == 3, "{keys:?}");
    let stamp = format(T0).replace('T', " ").replace('Z', "");
    assert!(text.starts_with(&format!("DataBatch     Timestamp: {stamp} +0000 UTC\n\n")), "{text}");
}

proptest! {
    #![proptest_config(crate::handmade::cases(3_000))]

    #[test]
    fn any_instant_is_read_as_chrono_does(nanos in any::<i64>(), minutes in -14 * 60_i32..=14 * 60, digits in prop::sample::select(&[0_usize, 3, 6, 9][..]), zulu in any::<bool>()) {
        use chrono::{DateTime, FixedOffset, SecondsFormat};
        let form = [SecondsFormat::Secs, SecondsFormat::Millis, SecondsFormat::Micros, SecondsFormat::Nanos][digits / 3];
        let at = DateTime::from_timestamp_nanos(nanos).with_timezone(&FixedOffset::east_opt(if zulu { 0 } else { minutes * 60 }).unwrap());
        let text = at.to_rfc3339_opts(form, zulu);
        prop_assert_eq!(parse(&text).map(Timestamp::nanos), by_chrono(&text), "{}", text);
    }

    #[test]
    fn any_instant_comes_back(nanos in any::<i64>(), step in prop::sample::select(&[1, 1_000_000, 1_000_000_000][..])) {
        let at = Timestamp::from_nanos(nanos / step * step);
        let text = format(at);
        prop_assert_eq!(parse(&text), Some(at), "{}", text);
        prop_assert!(text.ends_with('Z') && !text.ends_with(".Z") && (!text.contains('.') || !text.ends_with("0Z")), "{}", text);
    }

    #[test]
    fn dates_and_rubbish_are_read_as_chrono_does(text in "[0-9]{4}-[0-9]{2}-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2}|)") {
        prop_assert_eq!(parse(&text).map(Timestamp::nanos), by_chrono(&text), "{}", text);
    }

    #[test]
    fn any_text_is_survived(text in "\\PC{0,30}") {
        prop_assert_eq!(parse(&text).map(Timestamp::nanos), by_chrono(&text));
    }

    #[test]
    fn any_series_is_json_with_its_own_numbers(values in prop::collection::vec((0..i64::MAX, prop_oneof![any::<u64>().prop_map(Value::Integer), (0.0..1e18).prop_map(Value::Float)]), 0..20)) {
        let points: Vec<_> = values.into_iter().map(|(at, value)| (Timestamp::from_nanos(at), value)).collect();
        let text = series(&points);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (point, (at, value)) in json["metrics"].as_array().unwrap().iter().zip(&points) {
            prop_assert_eq!(by_chrono(point["timestamp"].as_str().unwrap()), Some(at.nanos()));
            match value {
                Value::Integer(whole) => prop_assert_eq!(point["value"].as_u64(), Some(*whole)),
                Value::Float(float) => {
                    prop_assert_eq!(point["value"].as_u64(), Some(float.trunc() as u64));
                    let told = point["floatValue"].as_f64().unwrap();
                    // serde_json reads back to within one unit in the last place.
                    prop_assert!((told - float).abs() <= float * f64::EPSILON, "{told} for {float}");
                }
            }
        }
        prop_assert_eq!(json["metrics"].as_array().unwrap().len(), points.len());
    }
}
