//! The words in which databases are asked about the past, and what they answer: hostile names, grammar, numbers, and the
//! JSON of buckets. What real databases make of them is left to `past`.

use crate::handmade::{T0, cases, of_container, of_free, of_namespace, of_node, of_pod};
use heapster::model::entity::{Entity, Labels};
use heapster::model::metric::{Metric, MetricKey, Value};
use heapster::model::past::{
    Aggregation, Bucket, Sought, Subject, Wanted, buckets, labels_of_parts, metric_named,
};
use heapster::model::time::Timestamp;
use heapster::wire::influx_past::{self, Layout};
use heapster::wire::prometheus_names::{Level, shown, value};
use heapster::wire::{past_api, promql};
use proptest::prelude::*;
use std::time::Duration;

fn wanted(of: &[Entity], metric: &str, labels: Option<Labels>) -> Wanted {
    let sought = |entity: &Entity| Sought { subject: Subject::Entity(entity.clone()), start: T0 };
    let end = T0.after(Duration::from_secs(60));
    Wanted { of: of.iter().map(sought).collect(), metric: metric.to_owned(), labels, end }
}

fn layout(with_fields: bool, policy: Option<&str>) -> Layout {
    Layout {
        with_fields,
        cluster_name: "prod".to_owned(),
        shard: String::new(),
        policy: policy.map(str::to_owned),
    }
}

const TIME: &str = "time >= 1795288800000000000 AND time <= 1795288860000000000";

#[test]
fn influxql_asks_for_one_series_and_no_more() {
    let asked = layout(false, None).points(&wanted(&[of_node("n1"), of_node("n2")], "cpu/usage_rate", None));
    let of = |node: &str| {
        format!(
            "SELECT \"value\" FROM \"cpu/usage_rate\" WHERE \"type\" = 'node' AND \"cluster_name\" = 'prod' AND \
             \"nodename\" = '{node}' AND {TIME}"
        )
    };
    assert_eq!(asked, format!("{}; {}", of("n1"), of("n2")));
    let root = Labels::new([("resource_id", "/")]);
    let asked = layout(true, Some("p")).points(&wanted(&[Entity::Cluster], "filesystem/usage", Some(root)));
    let of =
        "\"type\" = 'cluster' AND \"cluster_name\" = 'prod' AND \"shard\" = '' AND \"resource_id\" = '/'";
    assert_eq!(asked, format!("SELECT \"usage\" FROM \"p\".\"filesystem\" WHERE {of} AND {TIME}"));
    // Whoever is asked for as a whole is not asked for in parts.
    let asked = layout(false, None).points(&wanted(&[of_namespace("a")], "filesystem/usage", None));
    assert!(asked.contains(" AND \"resource_id\" = '' AND "), "{asked}");
    let images = Labels::new([("resource_id", "imagefs")]);
    let asked = layout(false, None).points(&wanted(&[of_node("a")], "filesystem/usage", Some(images)));
    assert!(asked.contains("FROM \"filesystem/imagefs/usage\""), "as it was written: {asked}");
    let how = [Aggregation::Average, Aggregation::Count, Aggregation::Percentile(95)];
    let asked = layout(false, None).buckets(&wanted(&[of_pod("a", "b")], "uptime", None), &how, Some(500));
    let of =
        "\"type\" = 'pod' AND \"cluster_name\" = 'prod' AND \"namespace_name\" = 'a' AND \"pod_name\" = 'b'";
    assert_eq!(
        asked,
        format!(
            "SELECT MEAN(\"value\"), COUNT(\"value\"), PERCENTILE(\"value\", 95) FROM \"uptime\" WHERE {of} AND {TIME} \
             GROUP BY time(500ms) fill(none)"
        )
    );
}

#[test]
fn promql_asks_for_one_metric_of_a_level() {
    let of = |of: &[Subject], name: &str, labels: Option<&Labels>, cluster: Option<&str>| {
        let own = promql::Own { cluster, shard: "" };
        promql::selector(own, &of.iter().collect::<Vec<_>>(), &metric_named(name).unwrap(), labels)
    };
    let entity = |entity: Entity| vec![Subject::Entity(entity)];
    assert_eq!(
        of(&entity(Entity::Cluster), "cpu/usage_rate", None, None),
        "heapster_cluster_cpu_usage_cores{shard=\"\"}"
    );
    assert_eq!(
        of(&entity(of_container("a", "b", "c")), "cpu/usage", None, Some("east")),
        "heapster_container_cpu_usage_seconds_total{cluster=\"east\",namespace=\"a\",container=\"c\",pod=\"b\"}"
    );
    let pods = [Subject::Entity(of_pod("a", "x.1")), Subject::Entity(of_pod("a", "y-2"))];
    assert_eq!(
        of(&pods, "memory/usage", None, None),
        "heapster_pod_memory_usage_bytes{namespace=\"a\",pod=~\"x\\\\.1|y-2\"}"
    );
    // Of several shards each has its own sums.
    let own = promql::Own { cluster: None, shard: "2/3" };
    let (sum, pod) = (Subject::Entity(of_namespace("a")), Subject::Entity(of_pod("a", "b")));
    let asked = |subject: &Subject| {
        promql::selector(own, &[subject], &metric_named("memory/usage").unwrap(), None)
            .contains("shard=\"2/3\"")
    };
    assert_eq!((asked(&sum), asked(&pod)), (true, false));
    let uids = [Subject::PodId("u".into())];
    assert_eq!(of(&uids, "uptime", None, None), "heapster_pod_uptime_seconds{uid=\"u\"}");
    let root = Labels::new([("resource_id", "/")]);
    assert_eq!(
        of(&entity(of_node("n")), "filesystem/usage", Some(&root), None),
        "heapster_node_fs_usage_bytes{node=\"n\",device=\"/\"}"
    );
    assert_eq!(
        of(&entity(of_free("n", "kubelet")), "network/rx", None, None),
        "heapster_system_container_network_receive_bytes_total{node=\"n\",container=\"kubelet\",interface=\"\"}"
    );
    assert_eq!(
        of(&entity(of_pod("a", "b")), "nvidia.com/gpu/request", None, None),
        "heapster_pod_resource_request{namespace=\"a\",pod=\"b\",resource=\"nvidia.com/gpu\"}"
    );
    let how = [Aggregation::Maximum, Aggregation::Percentile(99)];
    assert_eq!(
        promql::aggregated("x{}", &how, 9_999),
        "label_replace(max_over_time(x{}[10000ms]), \"heapster_part\", \"0\", \"\", \"\") or \
         label_replace(quantile_over_time(0.99, x{}[10000ms]), \"heapster_part\", \"1\", \"\", \"\")"
    );
    assert_eq!(
        (promql::seconds(1_795_288_800_007), promql::seconds(-1)),
        ("1795288800.007".into(), "-1.999".into())
    );
}

/// Walks over a statement: what stands outside of quotes, with each quoted text as one mark.
fn skeleton(statement: &str) -> String {
    let (mut out, mut chars) = (String::new(), statement.chars());
    while let Some(each) = chars.next() {
        if each != '\'' && each != '"' {
            out.push(each);
            continue;
        }
        out.push('Q');
        loop {
            match chars.next().unwrap_or_else(|| panic!("a quote that is not closed: {statement}")) {
                '\\' => drop(chars.next()),
                end if end == each => break,
                _ => {}
            }
        }
    }
    out
}

fn hostile() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "'", "\"", "\\", "\n", ";", "{", "}", "|", ")", "--", " OR 1=1", "a", "ü", "\u{7f}",
    ]);
    prop::collection::vec(odd, 1..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(cases(300))]

    /// Names are checked before; should one slip through, it stays within its quotes.
    #[test]
    fn no_name_leaves_its_quotes(a in hostile(), b in hostile(), label in hostile(), text in hostile(), with_fields: bool) {
        let labels = Labels::new([(label, text)]);
        let ask = |pod: Entity, metric: &str, labels: Option<Labels>| {
            let wanted = wanted(&[pod], metric, labels);
            let layout = layout(with_fields, None);
            let subject = &wanted.of[0].subject;
            let key = metric_named(metric).unwrap();
            (
                skeleton(&layout.points(&wanted)),
                skeleton(&layout.buckets(&wanted, &[Aggregation::Count], None)),
                skeleton(&layout.containers("x", metric)),
                skeleton(&promql::listed(promql::Own { cluster: Some(metric), shard: "" }, Level::Pod, &[("namespace", metric)])),
                skeleton(&promql::selector(promql::Own { cluster: Some(metric), shard: metric }, &[subject, subject], &key, None)),
            )
        };
        let custom = format!("custom/{b}");
        let odd = ask(of_pod(&a, &b), &custom, Some(labels));
        let tame = ask(of_pod("x", "y"), "custom/z", Some(Labels::new([("k", "v")])));
        prop_assert_eq!(odd, tame);
    }

    /// What was written in base units is told in the metric's own.
    #[test]
    fn values_come_back_as_they_went(held in 0_u64..1 << 50, at in 0..Metric::ALL.len()) {
        let key = MetricKey::Known(Metric::ALL[at]);
        prop_assert_eq!(shown(&key, value(&key, held)), Some(key.form().show(held)));
    }
}

#[test]
fn names_of_metrics_are_known_and_their_parts() {
    for metric in Metric::ALL.iter().filter(|metric| metric.descriptor().is_public()) {
        assert_eq!(metric_named(metric.descriptor().name), Some(MetricKey::Known(*metric)));
    }
    assert_eq!(metric_named("start_time"), None);
    assert_eq!(metric_named("nonsense"), None);
    assert_eq!(metric_named("custom/qps"), Some(MetricKey::Custom("custom/qps".into())));
    assert_eq!(labels_of_parts(metric_named("accelerator/duty_cycle").as_ref()).len(), 3);
    assert!(labels_of_parts(metric_named("uptime").as_ref()).is_empty() && labels_of_parts(None).is_empty());
}

#[test]
fn influxdbs_numbers_are_told_as_the_metric_has_them() {
    let rows = |rows: &str| {
        format!(
            r#"{{"results":[{{"series":[{{"name":"m","columns":["time","value"],"values":[{rows}]}}]}},{{"statement_id":1}}]}}"#
        )
    };
    let read = |text: &str, metric: &str| influx_past::read_points(rows(text).as_bytes(), metric).unwrap();
    let at = Timestamp::from_nanos;
    let mixed = "[1,12],[2,12.5],[3,null]";
    assert_eq!(
        read("[2,7],[1,9007199254740993]", "uptime"),
        [vec![(at(1), Value::Integer(9_007_199_254_740_993)), (at(2), Value::Integer(7))], vec![]]
    );
    assert_eq!(
        read(mixed, "cpu/node_utilization")[0],
        [(at(1), Value::Float(12.0)), (at(2), Value::Float(12.5))],
        "a fraction is one even where it is whole"
    );
    assert_eq!(
        read(mixed, "theirs")[0],
        [(at(1), Value::Float(12.0)), (at(2), Value::Float(12.5))],
        "a mixture"
    );
    assert_eq!(read("[1,12]", "theirs")[0], [(at(1), Value::Integer(12))]);
    let untold = |text: &str| influx_past::read_points(text.as_bytes(), "m").unwrap_err();
    assert_eq!(untold("<html>"), influx_past::Untold::Foreign);
    assert_eq!(untold(r#"{"results":[]}"#), influx_past::Untold::Foreign);
    assert_eq!(untold(r#"{"error":"no"}"#), influx_past::Untold::Said("no".into()));
    assert_eq!(untold(r#"{"results":[{"error":"bad"}]}"#), influx_past::Untold::Said("bad".into()));
    let values = r#"{"results":[{"series":[{"columns":["key","value"],"values":[["nodename","b"],["nodename","a"]]}]}]}"#;
    assert_eq!(influx_past::read_values(values.as_bytes()).unwrap(), ["a", "b"]);
    let last = r#"{"results":[{"series":[{"name":"cpu","columns":["time","last_limit","last_usage"],"values":[[0,null,3]]},
        {"name":"uptime","columns":["time","last_value"],"values":[[0,7]]}]}]}"#;
    assert_eq!(influx_past::read_metrics(last.as_bytes()).unwrap(), ["cpu/usage", "uptime"]);
}

#[test]
fn promqls_answers_are_read_without_ends_of_series() {
    let pods = [Subject::Entity(of_pod("a", "x")), Subject::Entity(of_pod("a", "y"))];
    let body = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"__name__":"m","pod":"y","node":"n"},"values":[[1.5,"2"],[2,"NaN"],[3.001,"+Inf"],[4,"0.25"]]},
        {"metric":{"pod":"x","heapster_part":"3"},"value":[7,"1e3"]},
        {"metric":{"pod":"stranger"},"value":[7,"1"]}]}}"#;
    let found = promql::read(body.as_bytes(), &pods.iter().collect::<Vec<_>>()).unwrap();
    let told: Vec<_> = found.iter().map(|found| (found.whose, found.part, found.points.clone())).collect();
    assert_eq!(told, [(1, 0, vec![(1_500, 2.0), (4_000, 0.25)]), (0, 3, vec![(7_000, 1_000.0)])]);
    let error = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
    assert_eq!(promql::read(error.as_bytes(), &[]), Err(promql::Untold::Said("parse error".into())));
    assert_eq!(promql::read(b"<html>", &[]), Err(promql::Untold::Foreign));
    let names = promql::read_values(
        br#"{"status":"success","data":["heapster_pod_custom","heapster_pod_uptime_seconds"]}"#,
    );
    assert_eq!(promql::metrics(Level::Pod, &names.unwrap()), (vec!["uptime".to_owned()], false, true));
}

#[test]
fn lengths_of_buckets_and_aggregations_are_read() {
    let millis = [("10s", 10_000), ("500ms", 500), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000)];
    for (text, expected) in millis {
        assert_eq!(past_api::bucket(text), Ok(expected), "{text}");
    }
    let bad = [
        ("5", "unable to parse bucket size: \"5\" is too short to be a duration"),
        ("5x", "unable to parse bucket size: \"5x\" has no known duration suffix"),
        ("ms", "strconv.ParseUint: parsing \"m\": invalid syntax"),
        ("xs", "strconv.ParseUint: parsing \"x\": invalid syntax"),
        ("-5m", "strconv.ParseUint: parsing \"-5\": invalid syntax"),
        ("99999999999999999999s", "strconv.ParseUint: parsing \"99999999999999999999\": value out of range"),
        ("0s", "unable to parse bucket size: \"0s\" is no time at all"),
    ];
    for (text, beginning) in bad {
        let said = past_api::bucket(text).unwrap_err().to_string();
        assert!(said.starts_with(beginning), "{text}: {said}");
    }
    assert_eq!(past_api::aggregations("max"), Ok(vec![Aggregation::Maximum]));
    let several = [Aggregation::Count, Aggregation::Percentile(95), Aggregation::Median];
    assert_eq!(past_api::aggregations("count,95-perc,median,count"), Ok(several.to_vec()));
    assert_eq!(past_api::aggregations("max,"), Err(String::new()));
    assert_eq!(past_api::aggregations("sum"), Err("sum".to_owned()));
}

/// The example of Heapster's document, member for member.
#[test]
fn buckets_are_told_as_heapster_told_them() {
    let values = vec![
        (Aggregation::Percentile(95), Value::Integer(19)),
        (Aggregation::Average, Value::Float(12.5)),
        (Aggregation::Maximum, Value::Integer(20)),
        (Aggregation::Minimum, Value::Integer(1)),
        (Aggregation::Median, Value::Float(12.25)),
        (Aggregation::Count, Value::Integer(5)),
    ];
    let bucket = Bucket { at: Timestamp::from_seconds(1_472_724_000), values };
    let told = r#"{"buckets":[{"timestamp":"2016-09-01T10:00:00Z","count":5,"average":{"floatValue":12.5},"maximum":{"intValue":20},"minimum":{"intValue":1},"median":{"floatValue":12.25},"percentiles":{"95":{"intValue":19}}}],"bucketSize":300000000000}"#;
    let nanos = 300_000_000_000;
    assert_eq!(past_api::several(&[vec![bucket.clone()]], nanos), told);
    let pretty = past_api::buckets(&[bucket], nanos);
    let bare: String = pretty.split_whitespace().collect();
    assert_eq!(bare, told);
    assert!(
        pretty.starts_with("{\n  \"buckets\": [\n   {\n    \"timestamp\": ") && pretty.ends_with("\n }"),
        "{pretty}"
    );
    let empty = past_api::several(&[Vec::new()], nanos);
    assert_eq!(empty, r#"{"buckets":[],"bucketSize":0}"#);
}

#[test]
fn points_are_put_together_here_where_no_store_can() {
    let points: Vec<(Timestamp, Value)> = [3, 1, 2, 10]
        .into_iter()
        .enumerate()
        .map(|(at, value)| (T0.after(Duration::from_secs(at as u64 * 5)), Value::Integer(value)))
        .collect();
    let how = [Aggregation::Median, Aggregation::Maximum, Aggregation::Percentile(50), Aggregation::Count];
    let told = buckets(&points, &how, Some(15_000), T0);
    let middle = (Aggregation::Median, Value::Float(2.0));
    assert_eq!(told[0].values[..2], [middle, (Aggregation::Maximum, Value::Integer(3))]);
    assert_eq!(
        (told.len(), told[1].at, told[1].values[3].1),
        (2, T0.after(Duration::from_secs(15)), Value::Integer(1))
    );
    let one = buckets(&points, &how, None, T0);
    assert_eq!((one.len(), one[0].at, one[0].values[0].1), (1, T0, Value::Float(2.5)));
}
