//! Real databases for tests: each started in a folder of its own on ports that are free, and ended with the test.

use crate::programs::program;
use crate::support::{Reply, get, until};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A database that runs.
pub struct Database {
    child: Child,
    folder: TempDir,
    pub base: String,
    start: Box<dyn Fn(&Path) -> Command>,
}

/// A port that is free at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Database {
    /// An InfluxDB 1. None where it is not installed.
    pub async fn influxdb() -> Option<Self> {
        Self::influxdb_with(&[]).await
    }

    /// An InfluxDB 1 with these settings more.
    pub async fn influxdb_with(more: &[(&'static str, &'static str)]) -> Option<Self> {
        let program = program("influxd", "influxdb")?;
        let (port, inner, more) = (free_port(), free_port(), more.to_vec());
        let start = move |folder: &Path| {
            let mut command = Command::new(&program);
            command.args(["run", "-config", "/dev/null"]);
            command.env("INFLUXDB_HTTP_BIND_ADDRESS", format!("127.0.0.1:{port}"));
            command.env("INFLUXDB_BIND_ADDRESS", format!("127.0.0.1:{inner}"));
            command.env("INFLUXDB_REPORTING_DISABLED", "true");
            command.env("INFLUXDB_MONITOR_STORE_ENABLED", "false");
            for (setting, place) in [("META_DIR", "meta"), ("DATA_DIR", "data"), ("DATA_WAL_DIR", "wal")] {
                command.env(format!("INFLUXDB_{setting}"), folder.join(place));
            }
            command.envs(more.iter().copied());
            command
        };
        Some(Self::run(port, "/ping", Box::new(start)).await)
    }

    /// A VictoriaMetrics. None where it is not installed.
    pub async fn victoria_metrics() -> Option<Self> {
        let program = program("victoria-metrics", "victoria-metrics")?;
        let port = free_port();
        let start = move |folder: &Path| {
            let mut command = Command::new(&program);
            command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
            command.arg(format!("-storageDataPath={}", folder.join("data").display()));
            command.args(["-retentionPeriod=100y", "-search.latencyOffset=0s", "-search.disableCache"]);
            command
        };
        Some(Self::run(port, "/health", Box::new(start)).await)
    }

    async fn run(port: u16, health: &str, start: Box<dyn Fn(&Path) -> Command>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = spawn(&start, folder.path());
        let database = Self { child, folder, base: format!("http://127.0.0.1:{port}"), start };
        database.ready(health).await;
        database
    }

    async fn ready(&self, health: &str) {
        let (url, client) = (format!("{}{health}", self.base), awc::Client::default());
        until("a database that answers", async || {
            let answer = client.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again with what it had.
    pub async fn restart(&mut self, health: &str) {
        self.kill();
        self.child = spawn(&self.start, self.folder.path());
        self.ready(health).await;
    }

    /// Asks a path with these parameters.
    pub async fn ask(&self, path: &str, pairs: &[(&str, &str)]) -> Reply {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        get(&format!("{}{path}?{query}", self.base)).await
    }

    /// Asks in InfluxQL and gives each series of the answer: its tags and its rows.
    pub async fn influxql(&self, database: &str, statement: &str) -> Vec<Series> {
        let reply = self.ask("/query", &[("db", database), ("q", statement), ("epoch", "ns")]).await;
        let answer: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert!(reply.status == 200 && !reply.body.contains("\"error\""), "{statement}: {}", reply.body);
        let series = answer["results"][0]["series"].as_array().cloned().unwrap_or_default();
        series.into_iter().map(|series| serde_json::from_value(series).unwrap()).collect()
    }
}

fn spawn(start: &dyn Fn(&Path) -> Command, folder: &Path) -> Child {
    start(folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for Database {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One series of an InfluxDB's answer.
#[derive(Debug, serde::Deserialize)]
pub struct Series {
    #[serde(default)]
    pub tags: std::collections::BTreeMap<String, String>,
    pub values: Vec<Vec<serde_json::Value>>,
}
