//! The resource metrics API's JSON as Heapster answered it at `v1alpha1` (`metrics/apis/metrics/handlers.go`). Writing
//! only.

use super::chunks::Frame;
use super::go_json::pretty;
use super::quantity;
use super::rfc3339;
use crate::model::time::{Timestamp, Window};
use crate::model::usage::{NodeUsage, PodUsage, Usage};
use serde::Serialize;
use std::time::Duration;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    creation_timestamp: &'a str,
}

#[derive(Serialize)]
struct ResourceList {
    cpu: String,
    memory: String,
}

#[derive(Serialize)]
struct Container<'a> {
    name: &'a str,
    usage: ResourceList,
}

#[derive(Serialize)]
struct NodeMetrics<'a> {
    metadata: Metadata<'a>,
    timestamp: &'a str,
    window: &'a str,
    usage: ResourceList,
}

#[derive(Serialize)]
struct PodMetrics<'a> {
    metadata: Metadata<'a>,
    timestamp: &'a str,
    window: &'a str,
    containers: Vec<Container<'a>>,
}

/// A list in the pretty form, whose elements stand two levels deep.
const LIST: Frame = Frame {
    opens: "{\n  \"metadata\": {},\n  \"items\": [\n   ",
    parts: ",\n   ",
    closes: "\n  ]\n }",
    empty: "{\n  \"metadata\": {},\n  \"items\": null\n }",
};

/// How deep an element of a list stands.
const IN_LIST: usize = 2;

/// A list of nodes, asked for at `now`, in pieces.
pub fn nodes(nodes: Vec<NodeUsage>, now: Timestamp) -> impl Iterator<Item = String> {
    let mut texts = Texts::new(now);
    LIST.around(nodes.into_iter().map(move |node| node_at(&node, &mut texts, IN_LIST)))
}

/// A list of pods, asked for at `now`, in pieces.
pub fn pods(pods: Vec<PodUsage>, now: Timestamp) -> impl Iterator<Item = String> {
    let mut texts = Texts::new(now);
    LIST.around(pods.into_iter().map(move |pod| pod_at(&pod, &mut texts, IN_LIST)))
}

/// One node, asked for at `now`.
pub fn node(node: &NodeUsage, now: Timestamp) -> String {
    node_at(node, &mut Texts::new(now), 0)
}

/// One pod, asked for at `now`.
pub fn pod(pod: &PodUsage, now: Timestamp) -> String {
    pod_at(pod, &mut Texts::new(now), 0)
}

/// The texts that the objects of one list have in common.
struct Texts {
    created: String,
    /// Of the window that was told last.
    stamps: Option<(Window, String, String)>,
}

impl Texts {
    /// The time of the request, in whole seconds: Heapster made each object when it was asked for.
    fn new(now: Timestamp) -> Self {
        Self { created: rfc3339::format(Timestamp::from_seconds(now.seconds())), stamps: None }
    }

    /// The time of the request, the window's end and the window's length. Heapster told `1m0s` whatever its resolution
    /// was.
    fn of(&mut self, window: Window) -> (&str, &str, &str) {
        let fresh = self.stamps.take().filter(|(told, ..)| *told == window);
        let told = || (window, rfc3339::format(window.end()), go_duration(window.resolution().duration()));
        let (_, timestamp, length) = self.stamps.insert(fresh.unwrap_or_else(told));
        (&self.created, timestamp, length)
    }
}

fn node_at(node: &NodeUsage, texts: &mut Texts, depth: usize) -> String {
    let (created, timestamp, window) = texts.of(node.measured.window);
    let metadata = Metadata { name: &node.name, namespace: None, creation_timestamp: created };
    let metrics = NodeMetrics { metadata, timestamp, window, usage: resources(node.usage) };
    // Texts and lists of them cannot fail to be JSON.
    pretty(&metrics, depth).unwrap_or_default()
}

fn pod_at(pod: &PodUsage, texts: &mut Texts, depth: usize) -> String {
    let (created, timestamp, window) = texts.of(pod.measured.window);
    let metadata = Metadata { name: &pod.name, namespace: Some(&pod.namespace), creation_timestamp: created };
    let container = |(name, usage)| Container { name, usage: resources(usage) };
    let containers = pod.containers.iter().map(|(name, usage)| container((&**name, *usage)));
    let metrics = PodMetrics { metadata, timestamp, window, containers: containers.collect() };
    pretty(&metrics, depth).unwrap_or_default()
}

fn resources(usage: Usage) -> ResourceList {
    ResourceList { cpu: quantity::of_millis(usage.cpu), memory: quantity::of_bytes(usage.memory) }
}

/// A duration as Go prints it: `30s`, `1m0s`, `7.5s`.
fn go_duration(length: Duration) -> String {
    let (hours, minutes) = (length.as_secs() / 3_600, length.as_secs() / 60 % 60);
    let fraction = match length.subsec_millis() {
        0 => String::new(),
        millis => format!(".{millis:03}").trim_end_matches('0').to_owned(),
    };
    let seconds = format!("{}{fraction}s", length.as_secs() % 60);
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}
