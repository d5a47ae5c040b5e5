//! What we write, held byte for byte to what the original Heapster wrote: its recorded answers are read, taken for values,
//! and written again.

use crate::handmade::{container, node, pod};
use heapster::model::entity::{Entity, Labels, Name};
use heapster::model::inventory::{NodeInventory, PodFacts};
use heapster::model::label_copier::LabelCopier;
use heapster::model::metric::{Metric, Value as Point};
use heapster::model::selector::Selector;
use heapster::model::time::{Resolution, Timestamp, Window};
use heapster::model::usage::{Measured, NodeUsage, PodUsage, Usage};
use heapster::rollup::block::{Block, Rows};
use heapster::rollup::sheet::Sheet;
use heapster::wire::{metric_export, metrics_api, model_api, quantity, rfc3339};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The body of a recorded answer.
fn recorded(name: &str) -> String {
    let path = format!("{}/tests/data/heapster-answers/{name}.http", env!("CARGO_MANIFEST_DIR"));
    let answer = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 "));
    body.to_owned()
}

fn json(name: &str) -> Value {
    serde_json::from_str(&recorded(name)).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn at(value: &Value) -> Timestamp {
    rfc3339::parse(text(value)).unwrap()
}

fn minute(end: Timestamp) -> Window {
    // Heapster said that each of its windows was a minute.
    Resolution::new(Duration::from_secs(60)).unwrap().last_ended(end)
}

fn measured(item: &Value) -> Measured {
    assert_eq!(item["window"], "1m0s");
    let window = minute(at(&item["timestamp"]));
    assert_eq!(window.end(), at(&item["timestamp"]));
    Measured { window, sampled: window.end() }
}

fn usage(usage: &Value) -> Usage {
    let cpu = quantity::millis(text(&usage["cpu"])).unwrap();
    Usage { cpu, memory: quantity::units(text(&usage["memory"])).unwrap() }
}

fn node_usage(item: &Value) -> NodeUsage {
    let name = text(&item["metadata"]["name"]).into();
    NodeUsage { name, measured: measured(item), usage: usage(&item["usage"]) }
}

fn pod_usage(item: &Value) -> PodUsage {
    let name = |value: &Value| Name::from(text(value));
    let containers = item["containers"].as_array().unwrap().iter();
    PodUsage {
        namespace: name(&item["metadata"]["namespace"]),
        name: name(&item["metadata"]["name"]),
        measured: measured(item),
        containers: containers.map(|each| (name(&each["name"]), usage(&each["usage"]))).collect(),
    }
}

#[test]
fn resource_metrics_are_written_as_the_original_did() {
    let nodes = json("nodes");
    let items = nodes["items"].as_array().unwrap();
    let now = at(&items[0]["metadata"]["creationTimestamp"]);
    let written: String = metrics_api::nodes(items.iter().map(node_usage).collect(), now).collect();
    assert_eq!(written, recorded("nodes"));
    let node = json("node");
    assert_eq!(metrics_api::node(&node_usage(&node), now), recorded("node"));
    let pods = json("pods");
    let items: Vec<PodUsage> = pods["items"].as_array().unwrap().iter().map(pod_usage).collect();
    let one = metrics_api::pod(&items[1], now);
    assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), pods["items"][1]);
    let written: String = metrics_api::pods(items, now).collect();
    assert_eq!(written, recorded("pods"));
    assert_eq!(metrics_api::pods(Vec::new(), now).collect::<String>(), recorded("no-pods"));
}

#[test]
fn selectors_are_refused_in_the_words_of_the_original() {
    for (selector, name) in [("===", "bad-selector-1"), ("a b c", "bad-selector-2")] {
        let why = selector.parse::<Selector>().unwrap_err();
        assert_eq!(format!("Error while parsing selector {selector}: {why}"), recorded(name));
    }
}

fn points(series: &Value) -> Vec<(Timestamp, Point)> {
    let points = series["metrics"].as_array().unwrap().iter();
    points.map(|point| (at(&point["timestamp"]), Point::Integer(point["value"].as_u64().unwrap()))).collect()
}

#[test]
fn series_and_lists_of_them_are_written_as_the_original_did() {
    assert_eq!(model_api::series(&points(&json("series"))), recorded("series"));
    for name in ["pod-list", "pod-list-unknown"] {
        let items = json(name);
        let items: Vec<_> = items["items"].as_array().unwrap().iter().map(points).collect();
        let (opens, closes) = model_api::SEVERAL;
        assert_eq!(format!("{opens}{}{closes}", model_api::several(&items)), recorded(name));
    }
    let keys: Vec<String> = serde_json::from_value(json("allkeys")).unwrap();
    assert_eq!(model_api::names(&keys), recorded("allkeys"));
}

#[test]
fn lists_come_in_pieces_that_make_up_the_whole() {
    let names: Vec<String> = (0..50_000).map(|n| format!("namespace:shop/pod:p-{n}<&>")).collect();
    let pieces: Vec<String> = model_api::long_names(names.iter().cloned()).collect();
    assert!(pieces.len() > 10 && pieces.iter().all(|piece| piece.len() < 64 * 1_024));
    let whole = pieces.concat();
    assert_eq!(serde_json::from_str::<Vec<String>>(&whole).unwrap(), names);
    assert!(whole.contains("p-7\\u003c\\u0026\\u003e\"") && !whole.contains(['<', '>', '&']));
    assert_eq!(model_api::long_names(std::iter::empty()).collect::<String>(), "[]");
}

/// The entity that an exported element is of; its namespace is known by its uid alone.
fn entity(labels: &Value) -> Entity {
    let name = |label: &str| Name::from(labels[label].as_str().unwrap_or_default());
    let (namespace, container) = (name("namespace_id"), name("container_name"));
    match (labels.get("pod_name"), &*container) {
        (None, "machine") => Entity::Node(name("nodename")),
        (None, _) => Entity::FreeContainer { node: name("nodename"), container },
        (Some(_), "/pod") => Entity::Pod { namespace, pod: name("pod_name") },
        (Some(_), _) => Entity::PodContainer { namespace, pod: name("pod_name"), container },
    }
}

fn metric(name: &str) -> Metric {
    *Metric::ALL.iter().find(|metric| metric.descriptor().name == name).unwrap()
}

fn part(point: &Value) -> Option<Labels> {
    let pairs = point.get("labels")?.as_object().unwrap();
    Some(Labels::new(pairs.iter().map(|(label, value)| (&**label, text(value)))))
}

fn labels_of(element: &Value) -> Labels {
    let pairs = element["labels"]["labels"].as_str().unwrap().split(',');
    Labels::new(pairs.map(|pair| pair.split_once(':').unwrap()))
}

/// What the API server must have said of one node for its elements to have these labels.
fn facts(name: &str, elements: &[&Value]) -> NodeInventory {
    let mut pods: BTreeMap<(String, String), PodFacts> = BTreeMap::new();
    let mut this = node(name);
    for element in elements {
        let labels = &element["labels"];
        match entity(labels) {
            Entity::Node(_) => this.labels = labels_of(element),
            Entity::Pod { namespace, pod: of } | Entity::PodContainer { namespace, pod: of, .. } => {
                let facts = pods
                    .entry((namespace.to_string(), of.to_string()))
                    .or_insert_with(|| pod(&namespace, &of, []));
                facts.uid = text(&labels["pod_id"]).into();
                facts.labels = labels_of(element);
                if let Some(image) = labels.get("container_base_image") {
                    let mut container = container(text(&labels["container_name"]));
                    container.image = text(image).into();
                    facts.containers = facts.containers.iter().cloned().chain([container]).collect();
                }
            }
            _ => {}
        }
    }
    let namespaces = pods.keys().map(|(namespace, _)| (Name::from(&**namespace), Name::from(&**namespace)));
    NodeInventory {
        node: Arc::new(this),
        namespaces: Arc::new(namespaces.collect()),
        pods: pods.into_values().map(Arc::new).collect(),
    }
}

/// The block of one node that holds the values of its elements.
fn block(facts: NodeInventory, elements: &[&Value], end: Timestamp) -> Block {
    let each = || {
        elements.iter().flat_map(|element| {
            let points = element["metrics"].as_object().unwrap().iter();
            let points =
                points.flat_map(|(name, points)| points.as_array().unwrap().iter().map(move |p| (name, p)));
            points.map(|(name, point)| (entity(&element["labels"]), name, point))
        })
    };
    let mut keys: BTreeSet<(Entity, Option<Labels>)> =
        each().map(|(entity, _, point)| (entity, part(point))).collect();
    keys.extend(each().map(|(entity, ..)| (entity, None)));
    let rows = Arc::new(Rows::new(keys.iter().map(|(entity, part)| (entity, part.as_ref()))));
    let mut sheet = Sheet::new(rows.clone());
    for (entity, name, point) in each() {
        if point["start"] != point["end"] {
            let start = u64::try_from(at(&point["start"]).nanos()).unwrap();
            sheet.set(rows.find(&entity, None).unwrap(), Metric::StartTime, start);
        }
        if metric(name) != Metric::Uptime {
            let row = rows.find(&entity, part(point).as_ref()).unwrap();
            sheet.set(row, metric(name), point["value"].as_u64().unwrap());
        }
    }
    let window = Resolution::new(Duration::from_secs(10)).unwrap().last_ended(end);
    assert_eq!(window.end(), end);
    sheet.pack(window, end.after(Duration::from_secs(5)), Some(Arc::new(facts)), None)
}

/// The elements by their labels, the points of each metric sorted. Uptimes are left out: the original told them by the
/// instant at which each thing was measured, we by that at which the kubelet was asked.
fn sorted(elements: &Value) -> BTreeMap<String, Value> {
    let mut sorted = BTreeMap::new();
    for element in elements.as_array().unwrap() {
        let mut metrics = element["metrics"].clone();
        metrics.as_object_mut().unwrap().remove("uptime");
        for points in metrics.as_object_mut().unwrap().values_mut() {
            points.as_array_mut().unwrap().sort_by_key(Value::to_string);
        }
        assert!(sorted.insert(element["labels"].to_string(), metrics).is_none());
    }
    sorted
}

/// The blocks of the only cluster that is collected.
fn plain(blocks: Vec<Arc<Block>>) -> Vec<(Option<Name>, Arc<Block>)> {
    blocks.into_iter().map(|block| (None, block)).collect()
}

#[test]
fn a_whole_export_is_written_as_the_original_did() {
    let export = json("metric-export");
    let elements: Vec<&Value> = export.as_array().unwrap().iter().collect();
    let end = at(&elements[0]["metrics"]["cpu/usage"][0]["end"]);
    let nodes: BTreeSet<&str> = elements.iter().map(|element| text(&element["labels"]["nodename"])).collect();
    let blocks = nodes.iter().map(|name| {
        let own: Vec<&Value> =
            elements.iter().copied().filter(|element| element["labels"]["nodename"] == *name).collect();
        Arc::new(block(facts(name, &own), &own, end))
    });
    let blocks: Vec<Arc<Block>> = blocks.collect();
    let written: String = metric_export::export(plain(blocks.clone()), LabelCopier::default()).collect();
    assert!(written.ends_with("]\n") && written.matches('\n').count() == 1);
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(sorted(&written), sorted(&export));
    assert!(elements.len() >= 40 && nodes.len() == 2);
    // Uptimes end with the answer and begin with the start.
    for element in written.as_array().unwrap() {
        let Some(uptime) = element["metrics"].get("uptime") else { continue };
        let point = &uptime[0];
        let lasted = end.after(Duration::from_secs(5)).since(at(&point["start"])) / 1_000_000;
        assert_eq!(point["value"].as_i64(), Some(lasted));
    }
    // What stands in labels and metrics is sorted, as Go wrote maps.
    let first = metric_export::export(plain(blocks), LabelCopier::default()).next().unwrap();
    assert!(first.find("\"cpu/usage\"").unwrap() < first.find("\"memory/rss\"").unwrap());
    assert_eq!(metric_export::export(Vec::new(), LabelCopier::default()).collect::<String>(), "null\n");
}

#[test]
fn the_schema_is_that_of_the_original_in_our_words() {
    let mut original = json("metric-export-schema");
    let mut ours: Value = serde_json::from_str(&metric_export::schema()).unwrap();
    // Inodes are no bytes.
    for line in original["metrics"].as_array_mut().unwrap() {
        if text(&line["name"]).contains("inodes") {
            assert_eq!(line.as_object_mut().unwrap().remove("units").unwrap(), "bytes");
        }
    }
    let mut told = 0;
    for schema in [&mut original, &mut ours] {
        for list in ["metrics", "common_labels", "pod_labels"] {
            for line in schema[list].as_array_mut().unwrap() {
                let labels = line.get("labels").cloned();
                for label in labels.iter().flat_map(|labels| labels.as_array().unwrap()) {
                    assert!(!text(&label["description"]).is_empty());
                }
                if let Some(labels) = line.get_mut("labels") {
                    labels
                        .as_array_mut()
                        .unwrap()
                        .iter_mut()
                        .for_each(|label| label["description"].take_text());
                }
                line["description"].take_text();
                told += 1;
            }
        }
    }
    assert_eq!(ours, original);
    assert!(told > 70);
    // The members stand in the same order as well.
    let first = |schema: &str| schema.lines().take(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(first(&metric_export::schema()), first(&recorded("metric-export-schema")));
}

trait TakeText {
    fn take_text(&mut self);
}

impl TakeText for Value {
    fn take_text(&mut self) {
        assert!(!text(&self.take()).is_empty());
    }
}
