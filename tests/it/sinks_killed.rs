//! The whole binary with a spool, killed while its database is down: what it collected is there once both are back.

use crate::databases::Database;
use crate::sinks_influxdb::simulator;
use crate::support::{get, until};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SECRET: &str = "hunter2-and-more";

/// A process that ends with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(port: u16, source: &str, sink: &str, spool: &Path, log: &Path) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heapster"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEAPSTER_")) {
        command.env_remove(name);
    }
    command.args([format!("--source={source}"), format!("--sink={sink}"), format!("--port={port}")]);
    command.args(["--listen_ip=127.0.0.1", "--model_resolution=5s", "--log_level=debug"]);
    command.arg(format!("--spool_dir={}", spool.display())).env("PASSWORD", SECRET);
    let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
    Running(command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
}

/// The one sink as `/api/v1/status` tells of it. None while there is no answer.
async fn sink(port: u16) -> Option<Value> {
    std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    let reply = get(&format!("http://127.0.0.1:{port}/api/v1/status")).await;
    assert!(!reply.body.contains(SECRET));
    serde_json::from_str::<Value>(&reply.body).unwrap()["sinks"].get(0).cloned()
}

#[actix_web::test]
async fn a_kill_loses_nothing_that_was_closed() {
    let Some(mut database) = Database::influxdb().await else { return };
    let (simulator, folder) = (simulator(), tempfile::tempdir().unwrap());
    let (spool, log) = (folder.path().join("spool"), folder.path().join("log"));
    let uri = format!("influxdb:{}?user=root&pw=$PASSWORD", database.base);
    database.kill();
    let port = crate::databases::free_port();
    let first = start(port, &simulator.source_uri(), &uri, &spool, &log);
    let before = until("three windows in the spool", async || {
        sink(port).await.filter(|sink| sink["queuedWindows"].as_u64() >= Some(3))
    })
    .await;
    drop(first);
    database.restart("/ping").await;
    let port = crate::databases::free_port();
    let mut second = start(port, &simulator.source_uri(), &uri, &spool, &log);
    let after = until("all of it delivered, and a window of its own", async || {
        let own =
            |sink: &Value| sink["pointsMade"].as_u64() > Some(0) && sink["queuedPoints"].as_u64() == Some(0);
        sink(port).await.filter(own)
    })
    .await;
    let number = |sink: &Value, name: &str| sink[name].as_u64().unwrap();
    assert!(number(&after, "pointsRecovered") >= number(&before, "queuedPoints"), "{before} {after}");
    assert_eq!(after["pointsDropped"], serde_json::json!({}));
    assert_eq!(
        number(&after, "pointsDelivered"),
        number(&after, "pointsRecovered") + number(&after, "pointsMade")
    );
    // The oldest window that waited before the kill is there, and so is every one after it.
    let oldest = chrono::DateTime::parse_from_rfc3339(before["oldestWindow"].as_str().unwrap()).unwrap();
    let rows = database.influxql("k8s", "SELECT value FROM \"memory/usage\" WHERE type = 'cluster'").await;
    let stamps: Vec<i64> = rows[0].values.iter().map(|row| row[0].as_i64().unwrap()).collect();
    assert_eq!(stamps[0], oldest.timestamp_nanos_opt().unwrap());
    assert!(stamps.len() as u64 >= before["queuedWindows"].as_u64().unwrap(), "{stamps:?}");
    let killed = Command::new("kill").args(["-TERM", &second.0.id().to_string()]).status().unwrap();
    assert!(killed.success() && second.0.wait().unwrap().code() == Some(0));
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("points wait (unreachable)") && log.contains("were left in its spool"), "{log}");
    assert!(!log.contains(SECRET) && !log.contains("aHVudGVyMi"), "no secret in the log");
    simulator.stop().await;
}
