//! Nodes, pods and namespaces of real API servers: every item decodes, and says what its JSON says.

use crate::bodies::{fixtures, recordings};
use heapster::model::amount::Amount;
use heapster::model::inventory::{NodeFacts, PodFacts, Unusable};
use heapster::model::time::Timestamp;
use heapster::wire::kubernetes_objects::{ApiNamespace, ApiNode, ApiPod};
use serde_json::{Value, json};
use std::net::IpAddr;

/// The items of every list of one kind: where each is from, and the item.
fn items(what: &str) -> Vec<(String, Value)> {
    let mut bodies: Vec<(String, Vec<u8>)> = Vec::new();
    for fixture in fixtures(what) {
        let list: Value = serde_json::from_slice(&fixture.body).unwrap();
        if fixture.items > 0 {
            assert_eq!(list["items"].as_array().map(Vec::len), Some(fixture.items), "{}", fixture.path);
        }
        bodies.push((fixture.path, fixture.body));
    }
    let plain =
        [format!("{what}.json"), format!("{what}_limit_3.json"), format!("{what}_resourceVersion_0.json")];
    bodies.extend(recordings("apiserver", |name| plain.iter().any(|plain| plain == name)));
    bodies.extend(recordings("tape/apiserver-json", |name| name == format!("{what}_list.json")));
    let mut items = Vec::new();
    for (path, body) in bodies {
        let list: Value = serde_json::from_slice(&body).unwrap();
        for (at, item) in list["items"].as_array().unwrap().iter().enumerate() {
            items.push((format!("{path} item {at}"), item.clone()));
        }
    }
    for (path, body) in recordings("tape/apiserver-json", |name| name == format!("{what}_watch.jsonl")) {
        for (at, line) in String::from_utf8(body).unwrap().lines().enumerate() {
            let line: Value = serde_json::from_str(line).unwrap();
            let event: Value = serde_json::from_str(line["line"].as_str().unwrap()).unwrap();
            if event["type"] != "BOOKMARK" {
                items.push((format!("{path} line {at}"), event["object"].clone()));
            }
        }
    }
    items
}

fn nodes() -> Vec<(String, Value, Option<NodeFacts>)> {
    let facts = |item: &Value| serde_json::from_value::<ApiNode>(item.clone()).unwrap().facts();
    items("nodes").into_iter().map(|(name, item)| (name, item.clone(), facts(&item))).collect()
}

fn pods() -> Vec<(String, Value, Option<PodFacts>)> {
    let objects = items("pods").into_iter().filter(|(_, item)| item.is_object());
    let facts = |item: &Value| serde_json::from_str::<ApiPod>(&item.to_string()).unwrap().facts();
    objects.map(|(name, item)| (name, item.clone(), facts(&item))).collect()
}

fn text<'v>(value: &'v Value, path: &str) -> Option<&'v str> {
    value.pointer(path)?.as_str().filter(|text| !text.is_empty())
}

fn list<'v>(value: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

/// A quantity in thousandths, read by floating point: exact for every form that these bodies use.
fn thousandths(quantity: &Value) -> Option<u64> {
    let text = quantity.as_str()?;
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: f64 = text[..end].parse().unwrap();
    let factor = match &text[end..] {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        other => panic!("{other:?} is new here"),
    };
    Some((number * factor * 1e3).round() as u64)
}

/// cpu in thousandths, memory and ephemeral storage in bytes.
fn amounts(map: &Value) -> [Option<u64>; 3] {
    let whole = |name: &str| thousandths(&map[name]).map(|thousandths| thousandths.div_ceil(1_000));
    [thousandths(&map["cpu"]), whole("memory"), whole("ephemeral-storage")]
}

fn found(resources: &heapster::model::inventory::Resources) -> [Option<u64>; 3] {
    [resources.cpu, resources.memory, resources.ephemeral_storage].map(Amount::get)
}

#[test]
fn nodes_say_what_their_json_says() {
    for (name, item, facts) in nodes() {
        let facts = facts.unwrap_or_else(|| panic!("{name} has no record"));
        assert_eq!(Some(&*facts.name), text(&item, "/metadata/name"), "{name}");
        let hostnames = list(&item, "/status/addresses").filter(|address| address["type"] == "Hostname");
        let hostname = hostnames.filter_map(|address| text(address, "/address")).last();
        assert_eq!(&*facts.hostname, hostname.unwrap_or(&facts.name), "{name}");
        assert_eq!(&*facts.host_id, text(&item, "/spec/externalID").unwrap_or_default(), "{name}");
        assert_eq!(facts.schedulable, item["spec"]["unschedulable"] != json!(true), "{name}");
        assert_eq!(found(&facts.capacity), amounts(&item["status"]["capacity"]), "{name}");
        assert_eq!(found(&facts.allocatable), amounts(&item["status"]["allocatable"]), "{name}");
        let labels = item["metadata"]["labels"].as_object().into_iter().flatten();
        let mut labels: Vec<_> = labels.map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect();
        labels.sort_unstable();
        assert_eq!(facts.labels.iter().collect::<Vec<_>>(), labels, "{name}");
        let ready = list(&item, "/status/conditions").filter(|condition| condition["type"] == "Ready");
        let ready = { ready }.all(|condition| condition["status"] == "True");
        assert_eq!(facts.address == Err(Unusable::NotReady), !ready, "{name}");
        if ready {
            let of_kind = |kind| {
                let of_kind = list(&item, "/status/addresses").filter(move |address| address["type"] == kind);
                of_kind.filter_map(|address| text(address, "/address")?.parse::<IpAddr>().ok()).last()
            };
            let expected = ["InternalIP", "ExternalIP", "LegacyHostIP"].into_iter().find_map(of_kind);
            assert_eq!(facts.address, expected.ok_or(Unusable::NoAddress), "{name}");
        }
    }
}

#[test]
fn pods_say_what_their_json_says() {
    for (name, item, facts) in pods() {
        let Some(facts) = facts else {
            assert!(text(&item, "/metadata/name").is_none(), "{name} has no record");
            continue;
        };
        assert_eq!(Some(&*facts.name), text(&item, "/metadata/name"), "{name}");
        assert_eq!(Some(&*facts.namespace), text(&item, "/metadata/namespace"), "{name}");
        assert_eq!(facts.uid.to_string(), text(&item, "/metadata/uid").unwrap_or_default(), "{name}");
        assert_eq!(facts.node.as_deref(), text(&item, "/spec/nodeName"), "{name}");
        assert_eq!(facts.host_network, item["spec"]["hostNetwork"] == json!(true), "{name}");
        let started = text(&item, "/status/startTime");
        let started = started.map(|text| chrono::DateTime::parse_from_rfc3339(text).unwrap());
        let started = started.map(|at| Timestamp::from_nanos(at.timestamp_nanos_opt().unwrap()));
        assert_eq!(facts.started, started, "{name}");
        let sidecars = list(&item, "/spec/initContainers").filter(|c| c["restartPolicy"] == "Always");
        let declared: Vec<&Value> = list(&item, "/spec/containers").chain(sidecars).collect();
        assert_eq!(facts.containers.len(), declared.len(), "{name}");
        assert_eq!(facts.restarts.len(), declared.len(), "{name}");
        for ((container, restarts), of) in facts.containers.iter().zip(&*facts.restarts).zip(declared) {
            let name = format!("{name}, container {}", container.name);
            assert_eq!(Some(&*container.name), of["name"].as_str(), "{name}");
            assert_eq!(&*container.image, of["image"].as_str().unwrap_or_default(), "{name}");
            assert_eq!(found(&container.requests.get()), amounts(&of["resources"]["requests"]), "{name}");
            assert_eq!(found(&container.limits.get()), amounts(&of["resources"]["limits"]), "{name}");
            let known = ["cpu", "memory", "ephemeral-storage"];
            let requests = of["resources"]["requests"].as_object().into_iter().flatten();
            let other = requests.filter(|(resource, _)| !known.contains(&resource.as_str())).count();
            assert_eq!(container.requests.others().len(), other, "{name}");
            let statuses =
                list(&item, "/status/containerStatuses").chain(list(&item, "/status/initContainerStatuses"));
            let own = statuses.into_iter().find(|status| status["name"] == of["name"]);
            assert_eq!(restarts.get(), own.and_then(|own| own["restartCount"].as_u64()), "{name}");
        }
    }
}

#[test]
fn namespaces_say_what_their_json_says() {
    for (name, item) in items("namespaces") {
        let facts = serde_json::from_value::<ApiNamespace>(item.clone()).unwrap().facts().unwrap();
        assert_eq!(Some(&*facts.name), text(&item, "/metadata/name"), "{name}");
        assert_eq!(Some(&*facts.uid), text(&item, "/metadata/uid"), "{name}");
    }
}

#[test]
fn empty_items_have_no_record() {
    for item in [
        json!({}),
        json!({ "metadata": null }),
        json!({ "metadata": { "name": "" } }),
        json!({ "metadata": [] }),
    ] {
        assert!(serde_json::from_value::<ApiNode>(item.clone()).unwrap().facts().is_none(), "{item}");
        assert!(serde_json::from_value::<ApiPod>(item.clone()).unwrap().facts().is_none(), "{item}");
        assert!(serde_json::from_value::<ApiNamespace>(item.clone()).unwrap().facts().is_none(), "{item}");
    }
    assert!(serde_json::from_value::<ApiPod>(Value::Null).is_err(), "an error, no panic");
    let nowhere = json!({ "metadata": { "name": "web" } });
    assert!(
        serde_json::from_value::<ApiPod>(nowhere).unwrap().facts().is_none(),
        "a pod without a namespace"
    );
}

/// A node with these addresses (type, address) and conditions (type, status).
fn address(addresses: &[(&str, &str)], conditions: &[(&str, &str)]) -> Result<IpAddr, Unusable> {
    let addresses: Vec<Value> =
        addresses.iter().map(|(kind, address)| json!({ "type": kind, "address": address })).collect();
    let conditions: Vec<Value> =
        conditions.iter().map(|(kind, status)| json!({ "type": kind, "status": status })).collect();
    let node = json!({ "metadata": { "name": "n" }, "status": { "addresses": addresses, "conditions": conditions } });
    serde_json::from_value::<ApiNode>(node).unwrap().facts().unwrap().address
}

#[test]
fn address_is_the_last_internal_else_external_else_legacy_one() {
    let (a, b, v6, host) = ("10.0.0.1", "127.0.0.1", "2001:db8::1", "node.example");
    type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
    let cases: [Case<'_>; 9] = [
        (&[("Hostname", host), ("InternalIP", a)], Some(a)),
        (&[("InternalIP", v6), ("InternalIP", b)], Some(b)),
        (&[("InternalIP", b), ("InternalIP", v6)], Some(v6)),
        (&[("InternalIP", a), ("InternalIP", host)], Some(a)),
        (&[("ExternalIP", b)], Some(b)),
        (&[("ExternalIP", b), ("InternalIP", a), ("LegacyHostIP", v6), ("ExternalIP", v6)], Some(a)),
        (&[("LegacyHostIP", a)], Some(a)),
        (&[("LegacyHostIP", a), ("ExternalIP", b), ("InternalDNS", host)], Some(b)),
        (&[("Hostname", a), ("InternalIP", ""), ("ExternalIP", host)], None),
    ];
    for (addresses, expected) in cases {
        let expected = expected.map(|text| text.parse().unwrap()).ok_or(Unusable::NoAddress);
        assert_eq!(address(addresses, &[]), expected, "{addresses:?}");
    }
}

#[test]
fn node_is_usable_unless_its_ready_condition_says_otherwise() {
    let a: &[(&str, &str)] = &[("InternalIP", "10.0.0.1")];
    for usable in [
        &[][..],
        &[("Ready", "True")],
        &[("NotReady", "True")],
        &[("DiskPressure", "True"), ("Ready", "True")],
    ] {
        assert!(address(a, usable).is_ok(), "{usable:?}");
    }
    for unusable in
        [&[("Ready", "False")][..], &[("Ready", "Unknown")], &[("Ready", "")], &[("Ready", "true")]]
    {
        assert_eq!(address(a, unusable), Err(Unusable::NotReady), "{unusable:?}");
    }
    assert_eq!(address(&[], &[("Ready", "False")]), Err(Unusable::NotReady), "the first reason is told");
}

#[test]
fn broken_members_cost_themselves_only() {
    let broken = [json!(null), json!(7), json!("x"), json!([]), json!({}), json!(true), json!([null, 3, {}])];
    for by in &broken {
        let node = json!({
            "metadata": { "name": "n", "labels": by, "uid": by, "annotations": by },
            "spec": by, "status": { "capacity": by, "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }, by], "conditions": by },
        });
        let facts = serde_json::from_value::<ApiNode>(node).unwrap().facts().unwrap();
        assert_eq!(facts.address, Ok("10.0.0.1".parse().unwrap()), "{by}");
        let pod = json!({
            "metadata": { "name": "p", "namespace": "shop", "labels": by },
            "spec": {
                "nodeName": "n", "hostNetwork": by, "initContainers": by,
                "containers": [by, { "name": "main", "image": by, "resources": { "requests": { "cpu": "1", "memory": by }, "limits": by } }],
            },
            "status": by,
        });
        let facts = serde_json::from_value::<ApiPod>(pod).unwrap().facts().unwrap();
        let main = facts.containers.iter().find(|container| &*container.name == "main").unwrap();
        assert_eq!((facts.node.as_deref(), main.requests.get().cpu.get()), (Some("n"), Some(1_000)), "{by}");
    }
}

#[test]
fn extended_resources_are_kept_in_whole_units() {
    let requests = json!({ "cpu": "1", "nvidia.com/gpu": "2", "hugepages-2Mi": "4Mi", "example.com/half": "500m", "bad": "x" });
    let pod = json!({
        "metadata": { "name": "p", "namespace": "shop" },
        "spec": { "containers": [{ "name": "main", "resources": { "requests": requests } }] },
    });
    let facts = serde_json::from_value::<ApiPod>(pod).unwrap().facts().unwrap();
    let mut other: Vec<_> =
        facts.containers[0].requests.others().iter().map(|(name, held)| (&**name, *held)).collect();
    other.sort_unstable();
    assert_eq!(other, [("example.com/half", 1), ("hugepages-2Mi", 4 << 20), ("nvidia.com/gpu", 2)]);
}
