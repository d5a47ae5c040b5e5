//! Broken summaries: one bad leaf costs that leaf, and no bytes cost more than an error.

use crate::bodies::summaries;
use crate::summaries_walk::{expected, is_folded, is_whole_number, told};
use heapster::model::report::{Part, Report, Subject};
use heapster::wire::kubelet_summary::{SummaryError, decode, read};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Stands for a number that is valid JSON and too large for a double.
const HUGE: &str = "a number too large for a double";

fn text(body: &Value) -> String {
    body.to_string().replace(&format!("{HUGE:?}"), "1e400")
}

/// Some of the recorded bodies, one of each peculiarity, and one made by hand with every member.
static BODIES: LazyLock<Vec<(String, Value)>> = LazyLock::new(|| {
    let wanted = [
        "datadog-core/windows-summary.json",
        "nri/1_16-summary.json",
        "nri/1_35-summary.json",
        "nri/1_34-early-summary.json",
        "metrics-server/kind-1_17-summary.json",
        "telegraf/2016-summary.json",
        "node-a/stats-summary-10s/01.json",
        "node-b/stats-summary-10s/09.json",
    ];
    let picked = summaries().into_iter().filter(|(name, _)| wanted.iter().any(|end| name.ends_with(end)));
    let picked = picked.map(|(name, body)| (name, serde_json::from_slice(&body).unwrap()));
    std::iter::once(("hand-made".to_owned(), handmade())).chain(picked).collect()
});

fn handmade() -> Value {
    complete(&["kubelet", "runtime", "misc", "pods"], &["web", "runtime"])
}

fn complete(system_containers: &[&str], containers: &[&str]) -> Value {
    let time = "2016-03-31T10:00:58Z";
    let psi = json!({ "some": { "total": 1, "avg10": 0.25, "avg60": 1, "avg300": 2.5 }, "full": { "total": 2, "avg10": 0 } });
    let cpu = json!({ "time": time, "usageNanoCores": 1, "usageCoreNanoSeconds": 1_000, "psi": psi });
    let memory = json!({ "time": time, "usageBytes": 10, "workingSetBytes": 8, "rssBytes": 5, "pageFaults": 3, "majorPageFaults": 1, "availableBytes": 99, "psi": psi });
    let fs = |used: u64| json!({ "availableBytes": 5, "capacityBytes": 10, "usedBytes": used, "inodesFree": 1, "inodes": 3, "inodesUsed": 2 });
    let swap = json!({ "time": time, "swapAvailableBytes": 7, "swapUsageBytes": 6 });
    let io = json!({ "time": time, "psi": psi });
    let traffic =
        |name: &str| json!({ "name": name, "rxBytes": 1, "rxErrors": 2, "txBytes": 3, "txErrors": 4 });
    let network = |names: &[&str]| {
        let mut network = traffic(names[0]);
        network["time"] = time.into();
        network["interfaces"] = names.iter().map(|name| traffic(name)).collect();
        network
    };
    let container = |name: &str| {
        json!({
            "name": name, "startTime": time, "cpu": cpu, "memory": memory, "io": io, "swap": swap,
            "rootfs": fs(20), "logs": fs(30),
            "accelerators": [{ "make": "nvidia", "model": "p100", "id": "GPU-1", "memoryTotal": 10, "memoryUsed": 5, "dutyCycle": 40 }],
            "userDefinedMetrics": [{ "name": "qps", "type": "gauge", "time": time, "value": 1.5 }],
        })
    };
    json!({
        "node": {
            "nodeName": "n1", "startTime": time, "cpu": cpu, "memory": memory, "io": io, "swap": swap,
            "network": network(&["eth0", "eth1"]), "fs": fs(5),
            "runtime": { "imageFs": fs(6), "containerFs": fs(7) }, "rlimit": { "time": time, "maxpid": 8, "curproc": 9 },
            "systemContainers": (system_containers.iter().map(|name| container(name)).collect::<Value>()),
        },
        "pods": [{
            "podRef": { "name": "web-1", "namespace": "default", "uid": "u-1" }, "startTime": time,
            "cpu": cpu, "memory": memory, "io": io, "swap": swap, "network": network(&["eth0"]),
            "volume": [{ "name": "data", "availableBytes": 1, "capacityBytes": 2, "usedBytes": 1, "inodes": 4, "inodesFree": 3, "inodesUsed": 1 }],
            "ephemeral-storage": fs(50), "process_stats": { "process_count": 3 },
            "containers": (containers.iter().map(|name| container(name)).collect::<Value>()),
        }],
    })
}

/// Every path of a value, its own and those of all that it holds.
fn paths(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    found.push(path.clone());
    let children: Vec<(String, &Value)> = match value {
        Value::Array(list) => list.iter().enumerate().map(|(at, child)| (at.to_string(), child)).collect(),
        Value::Object(map) => map.iter().map(|(key, child)| (key.clone(), child)).collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        path.push(key);
        paths(child, path, found);
        path.pop();
    }
}

/// The body with what is at `path` replaced, or taken out.
fn changed(body: &Value, path: &[String], by: Option<&Value>) -> Value {
    let mut body = body.clone();
    let (last, above) = path.split_last().unwrap();
    let holder = above.iter().fold(&mut body, |value, step| match value {
        Value::Array(list) => &mut list[step.parse::<usize>().unwrap()],
        value => &mut value[step.as_str()],
    });
    match (holder, by) {
        (Value::Array(list), Some(by)) => list[last.parse::<usize>().unwrap()] = by.clone(),
        (Value::Array(list), None) => drop(list.remove(last.parse().unwrap())),
        (holder, Some(by)) => holder[last.as_str()] = by.clone(),
        (holder, None) => drop(holder.as_object_mut().unwrap().remove(last)),
    }
    body
}

/// What a member is replaced by, and whether a whole number that becomes this is broken (None: it stays a number).
fn breakages() -> Vec<(Option<Value>, Option<bool>)> {
    let broken = [json!("x"), json!(-1), json!({}), json!([]), json!(true), json!(1e300)];
    let broken = broken.into_iter().map(|by| (Some(by), Some(true)));
    let absent = [(None, Some(false)), (Some(Value::Null), Some(false))];
    let sound = [(Some(json!(7)), None), (Some(json!([{}, null, 3])), Some(true))];
    broken.chain(absent).chain(sound).collect()
}

/// What is lost although it stands elsewhere, and what is not counted as it should be.
fn harm(
    name: &str,
    body: &Value,
    path: &[String],
    by: Option<&Value>,
    breaks: Option<bool>,
) -> Option<String> {
    let case = format!("{name}: {} = {}", path.join("."), by.map_or("gone".into(), Value::to_string));
    let after = changed(body, path, by);
    let text = text(&after);
    // What stands for a huge number must not be taken for a name.
    let after = if by == Some(&json!(HUGE)) { changed(body, path, Some(&Value::Null)) } else { after };
    let (mut lost, mut broken) = (Vec::new(), 0);
    let result = read(text.as_bytes(), |report| {
        (lost, broken) = (expected(&after).lost(&told(report)), report.broken_leaves);
    });
    match result {
        Ok(()) => {}
        Err(SummaryError::NotSummary) if ["node", "pods"].iter().all(|member| after[*member].is_null()) => {
            return None;
        }
        Err(error) => return Some(format!("{case}: {error:?}")),
    }
    if !lost.is_empty() {
        return Some(format!("{case}: lost {lost:?}"));
    }
    let steps: Vec<&str> = path.iter().map(String::as_str).collect();
    let was = steps.iter().fold(body, |value, step| match step.parse::<usize>() {
        Ok(at) => &value[at],
        Err(_) => &value[*step],
    });
    let counts = is_whole_number(body, &steps) && !is_folded(body, &steps) && was.is_u64();
    let breaks = u64::from(breaks.filter(|_| counts)?);
    let broken = broken - decode(body.to_string().as_bytes()).unwrap().report().broken_leaves;
    (broken != breaks).then(|| format!("{case}: {broken} broken leaves instead of {breaks}"))
}

/// What is harmed by any one member that becomes one of these.
fn harmed(body: &Value, breakages: &[(Option<Value>, Option<bool>)]) -> Vec<String> {
    let mut all = Vec::new();
    paths(body, &mut Vec::new(), &mut all);
    let members = all.iter().filter(|path| !path.is_empty());
    let each = members.flat_map(|path| breakages.iter().map(move |breakage| (path, breakage)));
    each.filter_map(|(path, (by, breaks))| harm("hand-made", body, path, by.as_ref(), *breaks)).collect()
}

#[test]
fn any_one_member_of_a_complete_body_may_break() {
    assert_eq!(harmed(&complete(&["misc"], &["web"]), &breakages()), Vec::<String>::new());
}

proptest! {
    #![proptest_config(crate::handmade::cases(400))]

    #[test]
    fn any_one_member_of_a_recorded_body_may_break(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), breakage in prop::sample::select(breakages())) {
        let (name, body) = which.get(&BODIES);
        let mut all = Vec::new();
        paths(body, &mut Vec::new(), &mut all);
        let path = at.get(&all[1..]);
        prop_assert_eq!(harm(name, body, path, breakage.0.as_ref(), breakage.1), None);
    }

    #[test]
    fn garbage_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn any_json_below_node_and_pods_is_survived(node in any_json(), pods in any_json()) {
        let body = json!({ "node": node, "pods": pods });
        let text = text(&body);
        match decode(text.as_bytes()) {
            Ok(summary) => prop_assert_eq!(expected(&body).lost(&told(&summary.report())), Vec::<String>::new()),
            Err(error) => prop_assert!(matches!(error, SummaryError::NotSummary) && node.is_null() && pods.is_null(), "{error:?}: {text}"),
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof![any::<f64>(), Just(f64::MAX), Just(-0.0)].prop_map(Value::from),
        prop::sample::select(&["", "a", "eth0", "2026-11-21T19:20:00Z", "é\u{0}\"\\"][..])
            .prop_map(Value::from),
    ];
    const KEYS: &[&str] = &[
        "name",
        "namespace",
        "podRef",
        "cpu",
        "memory",
        "network",
        "interfaces",
        "containers",
        "systemContainers",
        "volume",
        "fs",
        "rootfs",
        "usageBytes",
        "usedBytes",
        "rxBytes",
        "time",
        "startTime",
        "psi",
        "some",
        "total",
        "avg10",
        "userDefinedMetrics",
        "value",
        "accelerators",
        "unheard-of",
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(prop::sample::select(KEYS), inner, 0..8)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

#[test]
fn cut_bodies_are_errors() {
    for (name, body) in BODIES.iter() {
        let text = body.to_string();
        let step = 1 + text.len() / 200;
        for end in (0..text.len()).step_by(step) {
            assert!(decode(&text.as_bytes()[..end]).is_err(), "{name} cut at {end}");
        }
    }
}

#[test]
fn deep_nesting_is_an_error_or_a_result() {
    const DEPTH: usize = 10_000;
    let (arrays, objects) =
        ("[".repeat(DEPTH) + &"]".repeat(DEPTH), "{\"a\":".repeat(DEPTH) + "1" + &"}".repeat(DEPTH));
    for deep in [arrays, objects] {
        for body in [
            deep.clone(),
            format!("{{\"node\":{deep},\"pods\":[]}}"),
            format!("{{\"node\":{{\"cpu\":{deep}}}}}"),
            format!("{{\"node\":{{\"cpu\":{{\"usageNanoCores\":{deep}}}}}}}"),
            format!("{{\"node\":{{}},\"unheard-of\":{deep}}}"),
            format!("{{\"pods\":[{{\"containers\":[{deep}]}}]}}"),
            "{\"node\":".repeat(DEPTH),
        ] {
            if let Ok(summary) = decode(body.as_bytes()) {
                assert!(told(&summary.report()).is_empty());
            }
        }
    }
}

#[test]
fn any_one_number_may_be_too_large_for_a_double() {
    let huge = [(Some(json!(HUGE)), Some(true))];
    assert_eq!(harmed(&complete(&["misc"], &["web"]), &huge), Vec::<String>::new());
}

#[test]
fn line_ends_blanks_and_escapes_do_not_matter() {
    let body = serde_json::to_string_pretty(&handmade()).unwrap();
    let plain = told(&decode(body.as_bytes()).unwrap().report());
    let escaped = body
        .replace("web-1", "w\\u0065b-1")
        .replace("eth1", "\\u0065th1")
        .replace("usageBytes", "us\\u0061geBytes");
    for variant in
        [body.replace('\n', "\r\n"), body.replace('\n', "\t\n\n"), format!(" \r\n{body}\n \t"), escaped]
    {
        assert_eq!(told(&decode(variant.as_bytes()).unwrap().report()), plain);
    }
}

#[test]
fn marks_doubles_and_rubbish_behind_the_body_are_survived() {
    let body = handmade().to_string();
    let double = body.replacen("\"usageNanoCores\":1", "\"usageNanoCores\":1,\"usageNanoCores\":2", 1);
    for variant in
        [format!("\u{feff}{body}"), double, format!("{body}{body}"), format!("{body}x"), format!("{body},")]
    {
        if let Ok(summary) = decode(variant.as_bytes()) {
            assert!(!told(&summary.report()).is_empty());
        }
    }
    assert!(matches!(decode(format!("{body}x").as_bytes()), Err(SummaryError::NotJson(_))));
    let mut bytes = body.into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'w').unwrap();
    bytes[at] = 0xff;
    assert!(matches!(decode(&bytes), Err(SummaryError::NotText(_))));
}

#[test]
fn what_a_kubelet_would_not_say_is_no_summary() {
    for body in
        ["{}", "{\"kind\":\"Status\",\"code\":403}", "{\"node\":null,\"pods\":null}", "{\"items\":[]}"]
    {
        assert!(matches!(decode(body.as_bytes()), Err(SummaryError::NotSummary)), "{body}");
    }
    for body in ["", " ", "null", "3", "\"node\"", "Forbidden", "<html></html>", "{\"node\":{}", "{node:{}}"]
    {
        assert!(decode(body.as_bytes()).is_err(), "{body:?}");
    }
    for body in ["{\"node\":{}}", "{\"pods\":[]}", "{\"node\":{},\"pods\":null}"] {
        assert!(decode(body.as_bytes()).is_ok(), "{body}");
    }
}

#[test]
fn system_containers_are_renamed_and_containers_of_pods_are_not() {
    let body = handmade().to_string();
    let summary = decode(body.as_bytes()).unwrap();
    let report: Report<'_> = summary.report();
    let whole = report.rows().iter().filter(|row| row.part == Part::Whole).map(|row| row.subject);
    let expected = [
        Subject::Node,
        Subject::Free("kubelet"),
        Subject::Free("docker-daemon"),
        Subject::Free("system"),
        Subject::Free("pods"),
        Subject::Pod("default", "web-1"),
        Subject::Container("default", "web-1", "web"),
        Subject::Container("default", "web-1", "runtime"),
    ];
    assert_eq!(whole.collect::<Vec<_>>(), expected);
}
