//! The document of all routes: as many as the table has, each with its own parameters, and every answer of a cluster in
//! the shape that it says.

use crate::support::{Collector, until};
use heapster::api::openapi::document;
use heapster::api::routes::{HISTORICAL, ROUTES, Route, Speaks};
use heapster::clock::Clock;
use heapster::simulator::{Shape, Simulator};
use serde_json::Value;
use std::collections::BTreeSet;

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        None => value,
        Some(to) => {
            let found = document.pointer(to.strip_prefix('#').unwrap());
            resolved(document, found.unwrap_or_else(|| panic!("{to} is nowhere")))
        }
    }
}

#[test]
fn every_route_is_in_it_and_none_else() {
    holds(&document(&["east".into()], false), &ROUTES.iter().collect::<Vec<_>>());
    holds(&document(&["east".into()], true), &ROUTES.iter().chain(HISTORICAL).collect::<Vec<_>>());
}

fn holds(document: &Value, routes: &[&Route]) {
    let paths = document["paths"].as_object().unwrap();
    let told: BTreeSet<String> = paths.keys().cloned().collect();
    assert_eq!(told, routes.iter().map(|route| route.shown()).collect());
    assert_eq!(told.len(), routes.len());
    let mut ids = BTreeSet::new();
    for route in routes {
        let path = route.shown();
        let operations = paths[&path].as_object().unwrap();
        assert_eq!(operations.keys().collect::<Vec<_>>(), ["get"], "{path}");
        let get = &operations["get"];
        assert_eq!(get["summary"], route.about);
        assert!(ids.insert(get["operationId"].as_str().unwrap().to_owned()), "{path}");
        let parameters = get["parameters"].as_array().unwrap().iter();
        let parameters: Vec<&Value> = parameters.map(|parameter| resolved(document, parameter)).collect();
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
        let named: Vec<String> =
            in_path.map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap())).collect();
        let parts: Vec<&str> = path.split('/').filter(|part| part.starts_with('{')).collect();
        assert_eq!(named, parts, "{path}");
        let series = path.ends_with("/metrics/{metric}") || path.contains("/metrics-aggregated/");
        assert_eq!(parameters.iter().any(|parameter| parameter["name"] == "start"), series, "{path}");
        let responses = get["responses"].as_object().unwrap();
        for (status, response) in responses {
            let response = resolved(document, response);
            assert!(response["description"].is_string(), "{path}: {status}");
            for content in response["content"].as_object().unwrap().values() {
                resolved(document, &content["schema"]);
            }
        }
        assert_eq!(responses.contains_key("406"), route.speaks == Speaks::Json, "{path}");
    }
}

/// What is wrong with a value, by the part of JSON Schema that the document uses.
pub fn wrong(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let schema = resolved(document, schema);
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("{at}: no such type {other}"),
    };
    let fits = match &schema["type"] {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().unwrap())),
        other => panic!("{at}: {other}"),
    };
    let mut found = Vec::new();
    if !fits {
        found.push(format!("{at}: {value} is no {}", schema["type"]));
    }
    if schema["format"] == "date-time"
        && value.as_str().is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_err())
    {
        found.push(format!("{at}: {value} is no time"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            found.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let told = schema.pointer(&format!("/properties/{name}"));
        match told.or_else(|| schema.get("additionalProperties")) {
            Some(told) => found.extend(wrong(document, told, member, &format!("{at}.{name}"))),
            // Where members are named, one that is not is one that was forgotten.
            None if schema["properties"].as_object().is_some_and(|named| !named.is_empty()) => {
                found.push(format!("{at}: {name} is not told"));
            }
            None => {}
        }
    }
    for (index, member) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(wrong(document, &schema["items"], member, &format!("{at}[{index}]")));
    }
    found
}

#[actix_web::test]
async fn every_answer_has_the_shape_that_is_told() {
    let simulator =
        Simulator::start(Shape { nodes: 2, pods: 4, ..Shape::default() }, Clock::system()).unwrap();
    let source = format!("--source={}", simulator.source_uri());
    let collector = Collector::start(&[&source, "--sink=log"]).await;
    // A rate of each needs two readings of its kubelet.
    until("the usage of everything", async || {
        let items = async |kind| {
            let list = collector.get(&format!("/apis/metrics/v1alpha1/{kind}")).await.body;
            let list: Value = serde_json::from_str(&list).unwrap();
            list["items"].as_array().map_or(0, Vec::len)
        };
        (items("nodes").await == 2 && items("pods").await == 8).then_some(())
    })
    .await;
    let document: Value = serde_json::from_str(&collector.get("/openapi.json").await.body).unwrap();
    let pod = &simulator.cluster().nodes()[0].pods[0];
    let names = [
        ("{node}", "node-1".to_owned()),
        ("{namespace}", pod.namespace.to_string()),
        ("{pods}", format!("{},nobody", pod.name)),
        ("{pod}", pod.name.to_string()),
        ("/freecontainers/{container}", "/freecontainers/kubelet".to_owned()),
        (
            "{container}",
            collector
                .list(&format!("namespaces/{}/pods/{}/containers", pod.namespace, pod.name))
                .await
                .remove(0),
        ),
        ("{metric}", "cpu/usage_rate".to_owned()),
    ];
    for route in ROUTES {
        let path = names.iter().fold(route.shown(), |path, (part, name)| path.replace(part, name));
        let reply = collector.get(&path).await;
        let responses = &document["paths"][&route.shown()]["get"]["responses"];
        let content = responses[reply.status.to_string()]["content"].as_object();
        let content =
            content.unwrap_or_else(|| panic!("{path}: {} is not told: {}", reply.status, reply.body));
        let told = &content[reply.kind.split(';').next().unwrap()];
        assert_eq!(reply.status, 200, "{path}");
        if route.speaks == Speaks::Json {
            let value: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(wrong(&document, &told["schema"], &value, &path), [""; 0]);
            assert!(
                value != Value::Null && value != serde_json::json!([]),
                "{path} has nothing to hold to the shape"
            );
        }
    }
    collector.running.stop().await;
    simulator.stop().await;
}

#[actix_web::test]
async fn the_api_servers_proxy_leads_to_a_service() {
    let simulator =
        Simulator::start(Shape { nodes: 1, pods: 1, ..Shape::default() }, Clock::system()).unwrap();
    let source = format!("--source={}", simulator.source_uri());
    let collector = Collector::start(&[&source]).await;
    let base = format!("{}/api/v1/namespaces/kube-system/services", simulator.api_url());
    simulator.api().proxy("kube-system", "heapster", &collector.base);
    until("the node", async || (collector.list("nodes").await == ["node-1"]).then_some(())).await;
    let own = collector.get("/api/v1/model/nodes/").await.body;
    for service in ["heapster", "heapster:80", "http:heapster:", "http:heapster:80", "http%3Aheapster%3A"] {
        for path in ["api/v1/model/nodes/", "api%2Fv1%2Fmodel%2Fnodes%2F"] {
            let reply = crate::support::get(&format!("{base}/{service}/proxy/{path}")).await;
            assert_eq!((reply.status, reply.body.as_str()), (200, own.as_str()), "{service}/{path}");
        }
    }
    let reply =
        crate::support::get(&format!("{base}/heapster/proxy/api/v1/model/metrics/cpu/usage?start=x")).await;
    assert!(reply.status == 400 && reply.body.contains("start"), "queries go on: {}", reply.body);
    let reply = crate::support::get(&format!("{base}/heapster/proxy/api//v1/model/nodes/")).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, own.as_str()), "so do redirects");
    let nobody = crate::support::get(&format!("{base}/nobody/proxy/")).await;
    assert!(nobody.status == 404 && nobody.body.contains("\"kind\":\"Status\""), "{}", nobody.body);
    collector.running.stop().await;
    let gone = crate::support::get(&format!("{base}/heapster/proxy/")).await;
    assert!(gone.status == 503 && gone.body.contains("trying to reach service"), "{}", gone.body);
    simulator.stop().await;
}
