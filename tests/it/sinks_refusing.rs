//! Real servers that refuse: rights that are missing, types that conflict, names of any kind.

use crate::databases::Database;
use crate::exporting::{ROOM, Watched, lines};
use crate::stored::batch;
use heapster::messages::Export;
use heapster::rollup::cluster::Batch;
use std::collections::BTreeMap;
use std::sync::Arc;

#[actix_web::test]
async fn a_type_that_conflicts_costs_its_own_points_and_no_others() {
    let Some(database) = Database::influxdb().await else { return };
    database.influxql("", "CREATE DATABASE k8s WITH NAME \"default\"").await;
    // Somebody wrote the same measurement with a float, at the time of these windows.
    let stamp = crate::handmade::window(0).end().nanos();
    let line = format!("memory/usage,of=somebody value=1.5 {stamp}");
    let client = awc::Client::default();
    let written = client.post(format!("{}/write?db=k8s", database.base)).send_body(line).await.unwrap();
    assert_eq!(written.status().as_u16(), 204);
    let mut watched = Watched::start(&format!("influxdb:{}", database.base), ROOM, None);
    watched.export(0).await;
    watched.export(1).await;
    let state = watched.settled().await;
    let (lost, kept): (Vec<_>, Vec<_>) =
        lines(0..2).into_iter().partition(|line| line.starts_with("memory/usage,"));
    assert_eq!(state.ledger.dropped, BTreeMap::from([("field_type_conflict", lost.len() as u64)]));
    assert_eq!(state.ledger.delivered, kept.len() as u64);
    let said = state.last_error.unwrap();
    assert!(said.contains("input field") && said.contains("memory/usage"), "its own words: {said}");
    let stored = database.influxql("k8s", "SELECT count(value) FROM /.*/").await;
    let counted: u64 = stored.iter().map(|series| series.values[0][1].as_u64().unwrap()).sum();
    assert_eq!(counted, kept.len() as u64 + 1, "the others are there");
}

#[actix_web::test]
async fn rights_that_are_missing_lose_nothing() {
    let Some(database) = Database::influxdb_with(&[("INFLUXDB_HTTP_AUTH_ENABLED", "true")]).await else {
        return;
    };
    let admin = async |statement: &str| {
        let pairs = [("u", "boss"), ("p", "secret"), ("q", statement)];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let mut reply =
            awc::Client::default().post(format!("{}/query?{query}", database.base)).send().await.unwrap();
        let body = reply.body().await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(reply.status().is_success() && !text.contains("\"error\""), "{statement}: {text}");
        text
    };
    admin("CREATE USER boss WITH PASSWORD 'secret' WITH ALL PRIVILEGES").await;
    admin("CREATE USER writer WITH PASSWORD 'secret'").await;
    let start = |options: &str| Watched::start(&format!("influxdb:{}?{options}", database.base), ROOM, None);
    // Nobody knows root here. Once they do, everything is there.
    let mut unknown = start("user=late&pw=secret&db=a");
    unknown.export(0).await;
    let state = unknown.waits_for("a refusal", |state| state.failures > 0).await;
    assert!(state.last_error.unwrap().starts_with("unauthorized: status 401"));
    admin("CREATE USER late WITH PASSWORD 'secret' WITH ALL PRIVILEGES").await;
    assert_eq!(unknown.settled().await.ledger.lost(), 0);
    // One who may not make a database waits for it, and then writes without seeing its policies.
    let mut writer = start("user=writer&pw=secret&db=b");
    writer.export(0).await;
    let state = writer.waits_for("a refusal", |state| state.failures > 0).await;
    assert_eq!(state.ledger.queued, state.ledger.made);
    admin("CREATE DATABASE b").await;
    admin("GRANT WRITE ON b TO writer").await;
    let state = writer.settled().await;
    assert_eq!((state.ledger.lost(), state.ledger.delivered), (0, state.ledger.made));
    let text = admin("SELECT count(value) FROM b.autogen.\"memory/usage\"").await;
    let one = lines(0..1).iter().filter(|line| line.starts_with("memory/usage,")).count();
    assert!(text.contains(&format!(",{one}]")), "{text}");
}

/// A window whose cluster has a name that could end or escape everything.
fn hostile(name: &str) -> Batch {
    Batch { cluster: name.into(), ..batch(0, &[("a", &[1])]) }
}

/// Names that no Kubernetes has, but that something else may.
const NAMES: [&str; 6] = ["a b", "a,b=c", "\"quoted\"", "back\\slash\\", "two\nlines", "#é ☃"];

#[actix_web::test]
async fn names_of_any_kind_come_back_from_real_servers() {
    let meant = |text: &str| text.replace('＼', "\\").replace('␊', "\n");
    let mut expected: Vec<&str> = NAMES.to_vec();
    expected.sort_unstable();
    if let Some(database) = Database::influxdb().await {
        for (at, name) in NAMES.iter().enumerate() {
            write_as(&database, name, at).await;
        }
        let answer = database.influxql("k8s", "SHOW TAG VALUES WITH KEY = \"cluster_name\"").await;
        for series in &answer {
            let mut found: Vec<String> =
                series.values.iter().map(|row| meant(row[1].as_str().unwrap())).collect();
            found.sort_unstable();
            assert_eq!(found, expected);
        }
        assert!(answer.len() > 5);
    }
    if let Some(database) = Database::victoria_metrics().await {
        for (at, name) in NAMES.iter().enumerate() {
            write_as(&database, name, at).await;
        }
        database.ask("/internal/force_flush", &[]).await;
        let pairs = [("start", "2026-01-01T00:00:00Z"), ("end", "2027-12-31T00:00:00Z")];
        let reply = database.ask("/api/v1/label/cluster_name/values", &pairs).await;
        let answer: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        let mut found: Vec<String> =
            answer["data"].as_array().unwrap().iter().map(|name| meant(name.as_str().unwrap())).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
}

async fn write_as(database: &Database, name: &str, at: usize) {
    let option: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    let watched = Watched::start(&format!("influxdb:{}?cluster_name={option}", database.base), ROOM, None);
    watched.exporter.send(Export(Arc::new(hostile(name)))).await.unwrap();
    let state = watched.settled().await;
    assert_eq!((state.ledger.lost(), state.ledger.delivered), (0, state.ledger.made), "{at}: {name:?}");
    watched.kill();
}
