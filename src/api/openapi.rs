//! `/openapi.json`: every route of [`super::routes`] with its parameters and the shape of its answer, for machines.

use super::routes::{HISTORICAL, ROUTES, Route, Speaks};
use super::server;
use super::{Api, reply};
use crate::model::entity::Name;
use crate::model::past::AGGREGATIONS;
use crate::wire::prometheus_names::Level;
use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

/// The document.
pub async fn openapi(api: web::Data<Api>) -> HttpResponse {
    reply::json(document(&api.clusters, api.archive.is_some()).to_string())
}

/// The document as a value, for a collector of these clusters, with a historical source or without one. It is small, and seldom asked for: it is made anew each
/// time.
pub fn document(clusters: &[Name], historical: bool) -> Value {
    let historical = HISTORICAL.iter().filter(|_| historical);
    let paths: Map<String, Value> = ROUTES
        .iter()
        .chain(historical)
        .map(|route| (route.shown(), json!({ "get": operation(route) })))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Heapster",
            "description": "Usage of the nodes, pods and containers of Kubernetes clusters: 15 minutes of every metric. \
                            Only GET is answered.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{}, { "clientCertificate": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "clientCertificate": {
                "type": "mutualTLS", "description": "asked for where Heapster runs with --tls_client_ca",
            } },
            "parameters": parameters(clusters),
            "responses": responses(),
            "schemas": schemas(),
        },
    })
}

/// What a route answers with when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Page,
    Health,
    Exposition,
    Document,
    Status,
    Listing,
    Names,
    Stats,
    Series,
    SeveralSeries,
    PastSeries,
    SeveralPastSeries,
    Buckets,
    SeveralBuckets,
    Export,
    Schema,
    Scrape,
    Nodes,
    Node,
    Pods,
    Pod,
}

/// What the historical API's paths begin with.
const PAST: &str = "/api/v1/historical/";

fn answer(route: &Route) -> Answer {
    let path = route.path;
    let (_, last) = path.rsplit_once('/').unwrap_or_default();
    match path {
        "/" => Answer::Page,
        "/metrics" => Answer::Exposition,
        "/openapi.json" => Answer::Document,
        "/api/v1/status" => Answer::Status,
        "/api/v1/metric-export" => Answer::Export,
        "/api/v1/metric-export-schema" => Answer::Schema,
        "/api/v1/export/prometheus" => Answer::Scrape,
        _ if route.speaks == Speaks::Text => Answer::Health,
        _ if path.starts_with("/apis/") => match last {
            "nodes" => Answer::Nodes,
            "{node}" => Answer::Node,
            "pods" => Answer::Pods,
            _ => Answer::Pod,
        },
        _ if path.starts_with(PAST) && last.starts_with("{metric") => {
            match (path.contains("/metrics-aggregated/"), path.contains("-list/")) {
                (false, false) => Answer::PastSeries,
                (false, true) => Answer::SeveralPastSeries,
                (true, false) => Answer::Buckets,
                (true, true) => Answer::SeveralBuckets,
            }
        }
        _ if path.contains("/pod-list/") => Answer::SeveralSeries,
        _ if last.starts_with("{metric") => Answer::Series,
        _ => match last {
            "stats" => Answer::Stats,
            "model" | "{node}" | "{namespace}" | "{pod}" | "{container}" => Answer::Listing,
            _ => Answer::Names,
        },
    }
}

/// The form of an answer, and the schema of it where it is JSON.
const fn content(answer: Answer) -> (&'static str, &'static str) {
    let json = "application/json";
    match answer {
        Answer::Page => ("text/html", "Text"),
        Answer::Health | Answer::Scrape => ("text/plain", "Text"),
        Answer::Exposition => ("application/openmetrics-text", "Text"),
        Answer::Document => (json, "Document"),
        Answer::Status => (json, "Status"),
        Answer::Listing | Answer::Names => (json, "Names"),
        Answer::Stats => (json, "Stats"),
        Answer::Series | Answer::PastSeries => (json, "Series"),
        Answer::SeveralSeries | Answer::SeveralPastSeries => (json, "SeveralSeries"),
        Answer::Buckets => (json, "Buckets"),
        Answer::SeveralBuckets => (json, "SeveralBuckets"),
        Answer::Export => (json, "Export"),
        Answer::Schema => (json, "ExportSchema"),
        Answer::Nodes => (json, "NodeMetricsList"),
        Answer::Node => (json, "NodeMetrics"),
        Answer::Pods => (json, "PodMetricsList"),
        Answer::Pod => (json, "PodMetrics"),
    }
}

/// The parameters of a query that an answer looks at.
const fn looks_at(answer: Answer) -> &'static [&'static str] {
    match answer {
        Answer::Page | Answer::Exposition | Answer::Document | Answer::Status => &[],
        Answer::Listing | Answer::Schema => &[],
        Answer::Health => &["verbose"],
        Answer::Scrape => &["cluster", "level", "timestamps", "created"],
        Answer::Names | Answer::Stats | Answer::Export | Answer::Node | Answer::Pod => &["cluster"],
        Answer::Series | Answer::SeveralSeries => &["cluster", "start", "end", "labels"],
        Answer::PastSeries | Answer::SeveralPastSeries => &["cluster", "since", "end", "labels"],
        Answer::Buckets | Answer::SeveralBuckets => &["cluster", "since", "end", "bucket", "labels"],
        Answer::Nodes | Answer::Pods => &["cluster", "labelSelector"],
    }
}

fn operation(route: &Route) -> Value {
    let answer = answer(route);
    let (form, schema) = content(answer);
    let shown = route.shown();
    let parts: Vec<&str> =
        shown.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect();
    let asked = looks_at(answer);
    let named = parts.iter().chain(asked).map(|name| reference("parameters", name));
    let mut body = json!({ form: { "schema": reference("schemas", schema) } });
    if answer == Answer::Scrape
        && let Some(forms) = body.as_object_mut()
    {
        let (other, schema) = content(Answer::Exposition);
        forms.insert(other.to_owned(), json!({ "schema": reference("schemas", schema) }));
    }
    let mut responses = Map::new();
    let mut respond = |status: &str, response: Value| responses.insert(status.to_owned(), response);
    let mut good = json!({ "description": route.about, "content": body });
    if let (true, Some(good)) = (server::is_of_nodes(route.path), good.as_object_mut()) {
        let about = "the shard I/N whose nodes are told of; absent where the whole cluster is collected";
        let header = json!({ "description": about, "schema": { "type": "string" } });
        good.insert("headers".to_owned(), json!({ "X-Heapster-Shard": header }));
    }
    respond("200", good);
    for status in ["401", "403", "411", "413", "414", "431", "503"] {
        respond(status, reference("responses", status));
    }
    if route.path.starts_with(PAST) {
        respond("500", reference("responses", "500"));
    }
    if answer == Answer::Health {
        respond("500", json!({ "description": "it is not; the reasons", "content": plain() }));
    }
    if !asked.is_empty() && answer != Answer::Health || !parts.is_empty() {
        respond("400", reference("responses", "400"));
    }
    if !parts.is_empty() {
        respond("301", reference("responses", "301"));
        respond("404", reference("responses", "404"));
    }
    if route.speaks == Speaks::Json {
        respond("406", reference("responses", "406"));
    }
    let words = shown.split(|each: char| !each.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let id: Vec<&str> = std::iter::once("get").chain(words).collect();
    json!({
        "operationId": id.join("_"),
        "summary": route.about,
        "parameters": named.collect::<Vec<_>>(),
        "responses": responses,
    })
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn plain() -> Value {
    json!({ "text/plain": { "schema": reference("schemas", "Text") } })
}

/// Pairs of label and value, or nothing.
const PAIRS: &str = "^([^:,]+:[^,]+(,[^:,]+:[^,]+)*)?$";

/// Selectors of labels, in the forms that are written down; Kubernetes' grammar takes blanks in more places.
fn selectors() -> String {
    let name = "[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?";
    let key = format!("([a-z0-9]{{1,30}}(\\.[a-z0-9]{{1,30}}){{0,6}}/)?{name}");
    let one = format!("(!?{key}|{key}(=|==|!=)({name})?|{key} (in|notin) \\(({name})?(,({name})?)*\\))");
    format!("^({one}(,{one})*)?$")
}

fn parameters(clusters: &[Name]) -> Value {
    let part = |name: &str, about: &str| {
        let schema = json!({ "type": "string", "minLength": 1 });
        json!({ "name": name, "in": "path", "required": true, "description": about, "schema": schema })
    };
    let asked = |name: &str, about: &str, schema: Value| json!({ "name": name, "in": "query", "required": false, "description": about, "schema": schema });
    // An empty value is none.
    let time = json!({ "type": "string", "anyOf": [{ "format": "date-time" }, { "maxLength": 0 }] });
    let names: Vec<&str> = clusters.iter().map(|name| &**name).chain([""]).collect();
    let cluster = json!({ "type": "string", "enum": names });
    let selector = json!({ "type": "string", "pattern": selectors() });
    let pairs = json!({ "type": "string", "pattern": PAIRS });
    let text = json!({ "type": "string" });
    let level = Level::ALL.map(Level::word).join("|");
    let levels = json!({ "type": "string", "pattern": format!("^(({level})(,({level}))*)?$") });
    let switch = json!({ "type": "string", "enum": ["true", "false", ""] });
    let hows = AGGREGATIONS.map(|(name, _)| name).join("|");
    json!({
        "node": part("node", "name or host name of a node"),
        "namespace": part("namespace", "name of a namespace"),
        "pod": part("pod", "name of a pod"),
        "pods": part("pods", "names of pods, parted by commas"),
        "container": part("container", "name of a container"),
        "metric": part("metric", "name of a metric, with its slashes, such as cpu/usage_rate"),
        "pod_id": part("pod_id", "uid of a pod"),
        "pod_ids": part("pod_ids", "uids of pods, parted by commas"),
        "aggregations": json!({
            "name": "aggregations", "in": "path", "required": true, "description": "how points are put together, parted by commas",
            "schema": { "type": "string", "pattern": format!("^({hows})(,({hows}))*$") },
        }),
        "since": json!({
            "name": "start", "in": "query", "required": true, "description": "the first instant, in RFC 3339",
            "schema": { "type": "string", "format": "date-time" },
        }),
        "bucket": asked(
            "bucket", "the length of a bucket; without it, one from start to end",
            json!({ "type": "string", "pattern": "^([1-9][0-9]{0,5}(ms|s|m|h|d))?$" }),
        ),
        "cluster": asked("cluster", "one of the clusters that are collected; without it, all", cluster),
        "start": asked("start", "the first instant, in RFC 3339", time.clone()),
        "end": asked("end", "the last instant, in RFC 3339", time),
        "labels": asked("labels", "which part of the entity, as label:value,label:value", pairs),
        "labelSelector": asked("labelSelector", "a selector of labels, as Kubernetes takes it", selector),
        "level": asked("level", "levels, parted by commas; without it, all", levels),
        "timestamps": asked("timestamps", "whether samples have timestamps; without it, true", switch.clone()),
        "created": asked("created", "whether counters of OpenMetrics tell when they began; without it, false", switch),
        "verbose": asked("verbose", "show every check", text),
    })
}

fn responses() -> Value {
    let said = |about: &str| json!({ "description": about, "content": plain() });
    let again = json!({ "Retry-After": { "description": "seconds", "schema": { "type": "string" } } });
    let to =
        json!({ "Location": { "description": "the path that was meant", "schema": { "type": "string" } } });
    json!({
        "301": { "description": "the path has empty or dotted segments", "headers": to, "content": plain() },
        "400": said("a parameter or the path cannot be read; the reason"),
        "401": said("no client certificate was shown, where one is needed"),
        "403": said("the client certificate's name may not ask"),
        "404": said("there is no such path, node or pod"),
        "500": said("the historical source has nothing of that, or does not answer; the reason"),
        "406": said("the client does not take JSON"),
        "411": said("the request has a body without a length"),
        "413": said("the request's body is too large"),
        "414": said("the URI is too long"),
        "431": said("the headers are too large"),
        "503": { "description": "too much is asked at once; try again", "headers": again, "content": plain() },
    })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn list(of: Value) -> Value {
    json!({ "type": "array", "items": of })
}

fn schemas() -> Value {
    let of = |name: &str| reference("schemas", name);
    let (text, time) = (json!({ "type": "string" }), json!({ "type": "string", "format": "date-time" }));
    let (count, number) = (json!({ "type": "integer", "minimum": 0 }), json!({ "type": "number" }));
    let maybe = |kind: &str| json!({ "type": [kind, "null"] });
    let mapped = |of: Value| json!({ "type": "object", "additionalProperties": of });
    let figures = object(
        &["average", "percentile", "max"],
        json!({ "average": count, "percentile": count, "max": count }),
    );
    let spans =
        object(&["minute", "hour", "day"], json!({ "minute": figures, "hour": figures, "day": figures }));
    let point =
        object(&["timestamp", "value"], json!({ "timestamp": time, "value": count, "floatValue": number }));
    let value = json!({ "type": "object", "properties": { "intValue": count, "floatValue": number } });
    let bucket = json!({
        "timestamp": time, "count": count, "average": value, "maximum": value, "minimum": value, "median": value,
        "percentiles": mapped(value.clone()),
    });
    let buckets = list(object(&["timestamp"], bucket));
    let exported = object(
        &["start", "end", "value"],
        json!({ "start": time, "end": time, "value": number, "labels": mapped(text.clone()) }),
    );
    let exporter = object(
        &["metrics", "labels"],
        json!({ "metrics": mapped(list(exported)), "labels": mapped(text.clone()) }),
    );
    let labels = list(object(&["key"], json!({ "key": text, "description": text })));
    let line = json!({ "name": text, "description": text, "labels": labels, "type": text, "value_type": text, "units": text });
    let usage = object(&["cpu", "memory"], json!({ "cpu": text, "memory": text }));
    let metadata = object(&["name"], json!({ "name": text, "namespace": text, "creationTimestamp": time }));
    let container = object(&["name", "usage"], json!({ "name": text, "usage": usage }));
    let items = |name: &str| {
        let items = json!({ "type": ["array", "null"], "items": of(name) });
        object(&["metadata", "items"], json!({ "metadata": { "type": "object" }, "items": items }))
    };
    let node = json!({
        "name": text, "address": maybe("string"), "outcome": text, "why": maybe("string"),
        "lastAnswerAgeSeconds": maybe("number"), "durationSeconds": maybe("number"), "bytes": maybe("integer"),
        "clockSkewSeconds": maybe("integer"), "notices": list(text.clone()), "ratesWithheld": mapped(count.clone()),
    });
    let cluster = json!({
        "name": text, "discovered": { "type": "boolean" }, "nodesScraped": count, "nodesUnusable": count,
        "nodesOfOtherShards": count,
        "lastWindow": maybe("string"), "lastWindowAgeSeconds": maybe("number"), "nodesInLastWindow": count,
        "points": count, "nodes": list(object(&["name", "outcome"], node)),
    });
    let clusters = list(object(&["name", "discovered", "nodes"], cluster));
    let sink = json!({
        "name": text, "state": { "type": "string", "enum": ["ok", "failing", "dropping"] }, "queuedWindows": count, "queuedPoints": count, "queuedBytes": count,
        "spooledBytes": count, "oldestWindow": maybe("string"), "lastError": maybe("string"),
        "lastErrorAt": maybe("string"), "pointsMade": count, "pointsRecovered": count, "pointsDelivered": count,
        "pointsDropped": mapped(count.clone()),
    });
    let sinks = list(object(&["name", "state"], sink));
    json!({
        "Text": text,
        "Document": object(&["openapi", "info", "paths"], json!({})),
        "Names": list(text.clone()),
        "Series": object(&["metrics", "latestTimestamp"], json!({ "metrics": list(point), "latestTimestamp": time })),
        "SeveralSeries": object(&["items"], json!({ "items": list(of("Series")) })),
        "Buckets": object(&["buckets", "bucketSize"], json!({ "buckets": buckets, "bucketSize": count })),
        "SeveralBuckets": object(&["items"], json!({ "items": list(of("Buckets")) })),
        "Stats": object(&["uptime", "stats"], json!({ "uptime": count, "stats": mapped(spans) })),
        "Status": object(
            &["version", "clusters", "sinks"],
            json!({ "version": text, "shard": text, "clusters": clusters, "sinks": sinks }),
        ),
        "Export": { "type": ["array", "null"], "items": exporter },
        "ExportSchema": object(
            &["metrics", "common_labels", "pod_labels"],
            json!({
                "metrics": list(object(&["name", "description", "type", "value_type"], line)),
                "common_labels": labels, "pod_labels": labels,
            }),
        ),
        "NodeMetrics": object(
            &["metadata", "timestamp", "window", "usage"],
            json!({ "metadata": metadata, "timestamp": time, "window": text, "usage": usage }),
        ),
        "PodMetrics": object(
            &["metadata", "timestamp", "window", "containers"],
            json!({ "metadata": metadata, "timestamp": time, "window": text, "containers": list(container) }),
        ),
        "NodeMetricsList": items("NodeMetrics"),
        "PodMetricsList": items("PodMetrics"),
    })
}
