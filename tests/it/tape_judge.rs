//! scratch

use crate::tape_expected::{Oracle, tolerance};
use crate::tape_player::ask_all;
use std::collections::BTreeMap;

#[actix_web::test]
async fn ours_is_as_expected() {
    let oracle = Oracle::new();
    let mut bad = 0;
    let mut n = 0;
    for (theirs, ours) in ask_all().await {
        let Some(path) = theirs.path.strip_prefix("/api/v1/model/") else { continue };
        let Some(json) = ours.json() else { continue };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = format!("/{path}");
        if json.get("metrics").is_none() {
            if let Some(entity) = path.trim_end_matches('/').strip_suffix("/metrics") {
                let names: Vec<String> = oracle.names(entity.trim_start_matches('/')).into_iter().collect();
                let ours: Vec<String> = serde_json::from_value(json.clone()).unwrap();
                n += 1;
                if names != ours {
                    bad += 1;
                    let missing: Vec<_> = names.iter().filter(|n| !ours.contains(n)).collect();
                    let extra: Vec<_> = ours.iter().filter(|n| !names.contains(n)).collect();
                    println!("NAMES {path}: missing {missing:?} extra {extra:?}");
                }
            }
            continue;
        }
        let Some((entity, metric)) = path.split_once("/metrics/") else { continue };
        if query.contains("start") || query.contains("end") {
            continue;
        };
        let labels = query.strip_prefix("labels=").unwrap_or("");
        n += 1;
        let entity = entity.trim_start_matches('/');
        let expected = oracle.series(entity, metric, labels);
        let ours: BTreeMap<_, f64> = json["metrics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| {
                let at = heapster::wire::rfc3339::parse(p["timestamp"].as_str().unwrap()).unwrap();
                (at, p.get("floatValue").unwrap_or(&p["value"]).as_f64().unwrap())
            })
            .collect();
        let mut lines = Vec::new();
        for at in expected.keys().chain(ours.keys()).collect::<std::collections::BTreeSet<_>>() {
            let (e, o) = (expected.get(at), ours.get(at));
            if heapster::wire::rfc3339::format(*at) == "2026-11-21T19:21:00Z" { continue }
            if !matches!((e, o), (Some(e), Some(o)) if (e - o).abs() <= tolerance(metric, entity)) {
                lines.push(format!("   {} expected {e:?} ours {o:?}", heapster::wire::rfc3339::format(*at)));
            }
        }
        if lines.len() > 0 {
            bad += 1;
            println!("SERIES {} {}", theirs.path, lines.len());
            lines.iter().take(5).for_each(|l| println!("{l}"));
        }
    }
    println!("{bad} of {n}");
}

#[actix_web::test]
async fn probe_sums() {
    tokio::time::pause();
    let oracle = Oracle::new();
    let mut player = crate::tape_player::Player::start();
    let end = heapster::model::time::Timestamp::from_seconds(1795288861);
    player.play_until(end).await;
    let one = crate::tape::Tape::open().answers()[0].clone();
    let pods: std::collections::BTreeSet<String> = oracle.told().flat_map(|(_, t)| t.expected.keys()).map(|(e, ..)| e.clone()).filter(|e| e.starts_with("namespaces/shop/pods")).collect();
    for pod in pods {
        let mut r = one.clone();
        r.path = format!("/api/v1/model/{pod}/metrics/cpu/usage_rate");
        let ours = player.ask(vec![r]).await.remove(0).json().unwrap();
        for (at, v) in oracle.series(&pod, "cpu/usage_rate", "") {
            let at = heapster::wire::rfc3339::format(at);
            let o = ours["metrics"].as_array().unwrap().iter().find(|p| p["timestamp"] == at.as_str());
            if at.contains("19:15:50") || at.contains("19:16:00") { println!("{pod} {at} {v} {o:?}"); }
        }
    }
    player.stop().await;
}
