//! scratch

use crate::tape::Tape;
use crate::tape_expected::Oracle;
use crate::tape_original::*;
use heapster::model::time::Timestamp;

#[test]
fn theirs_is_as_expected() {
    let oracle = Oracle::new();
    let original = Original::new(&oracle);
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for theirs in Tape::open().answers() {
        let Some(path) = theirs.path.strip_prefix("/api/v1/model/") else { continue };
        let Some(json) = theirs.reply.json() else { continue };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = format!("/{path}");
        if json.get("metrics").is_none() {
            continue;
        }
        let Some((entity, metric)) = path.split_once("/metrics/") else { continue };
        if query.contains("start") || query.contains("end") {
            continue;
        };
        let labels = query.strip_prefix("labels=").unwrap_or("");
        let entity = entity.trim_start_matches('/');
        let sum = !entity.starts_with("nodes/") && entity.split('/').count() <= 2;
        for p in json["metrics"].as_array().unwrap() {
            let at: Timestamp = heapster::wire::rfc3339::parse(p["timestamp"].as_str().unwrap()).unwrap();
            let v = p["value"].as_u64().unwrap();
            let round = original.round(at).unwrap();
            let (expected, kind) = if sum {
                (Some(original.sum(round, entity, metric)), "sum")
            } else if metric.ends_with("_rate") {
                (original.rate(round, entity, metric), "rate")
            } else {
                (oracle.series(entity, metric, labels).get(&at).copied(), "plain")
            };
            let expected = expected.map(|e| e.trunc() as u64);
            if expected != Some(v) {
                *kinds.entry(format!("{kind} {metric}")).or_default() += 1;
                if metric != "uptime" {
                    println!("{path}?{query} {} theirs {v} model {expected:?}", p["timestamp"]);
                }
            }
        }
    }
    println!("{kinds:#?}");
}
