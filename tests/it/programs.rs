//! Programs of others that tests ask, where they are installed: a Prometheus in a folder of its own on a free port.

use crate::support::{get, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A program where Debian puts it or in the path. None, said aloud, where it is not installed.
pub fn program(name: &str, package: &str) -> Option<String> {
    let found = std::env::var("PATH").unwrap_or_default();
    let found =
        found.split(':').map(|folder| format!("{folder}/{name}")).find(|path| Path::new(path).exists());
    if found.is_none() {
        eprintln!("skipped: {name} is not installed; apt-get install {package}");
    }
    found
}

/// A series' labels but for its name.
pub type Labels = BTreeMap<String, String>;

/// A Prometheus that runs, or whatever else answers PromQL at this URL. Ended with the test.
pub struct Prometheus {
    child: Option<Child>,
    _folder: TempDir,
    pub base: String,
}

impl Prometheus {
    /// One with this configuration, which takes remote writes as well. None where it is not installed.
    pub async fn start(config: &str) -> Option<Self> {
        let program = program("prometheus", "prometheus")?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--web.enable-remote-write-receiver")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let prometheus =
            Self { child: Some(child), _folder: folder, base: format!("http://127.0.0.1:{port}") };
        prometheus.ready("/-/ready").await;
        Some(prometheus)
    }

    /// Another server that answers PromQL.
    pub fn at_url(base: &str) -> Self {
        Self { child: None, _folder: tempfile::tempdir().unwrap(), base: base.to_owned() }
    }

    async fn ready(&self, path: &str) {
        let (url, client) = (format!("{}{path}", self.base), awc::Client::default());
        until("a Prometheus that answers", async || {
            client.get(&url).send().await.ok()?.status().is_success().then_some(())
        })
        .await;
    }

    /// Asks a path with these parameters.
    pub async fn ask(&self, path: &str, pairs: &[(&str, &str)]) -> Value {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let reply = get(&format!("{}{path}?{query}", self.base)).await;
        let answer: Value =
            serde_json::from_str(&reply.body).unwrap_or_else(|_| panic!("{path}: {}", reply.body));
        assert_eq!(answer["status"], "success", "{path} {pairs:?}: {}", reply.body);
        answer
    }

    /// The points of each series of a query that ends with a range, by their stamps in milliseconds.
    pub async fn series(&self, query: &str) -> Vec<(Labels, BTreeMap<i64, f64>)> {
        let answer = self.ask("/api/v1/query", &[("query", query)]).await;
        let series = answer["data"]["result"].as_array().unwrap().iter();
        let points = |series: &Value| series["values"].as_array().unwrap().iter().map(point).collect();
        series.map(|series| (labels(series), points(series))).collect()
    }

    /// What a query gives at an instant, in milliseconds.
    pub async fn at(&self, query: &str, millis: i64) -> Vec<(Labels, f64)> {
        let time = format!("{}", millis as f64 / 1e3);
        let answer = self.ask("/api/v1/query", &[("query", query), ("time", &time)]).await;
        let series = answer["data"]["result"].as_array().unwrap().iter();
        series.map(|series| (labels(series), point(&series["value"]).1)).collect()
    }

    /// What a query gives now.
    pub async fn now(&self, query: &str) -> Vec<(Labels, f64)> {
        let answer = self.ask("/api/v1/query", &[("query", query)]).await;
        let series = answer["data"]["result"].as_array().unwrap().iter();
        series.map(|series| (labels(series), point(&series["value"]).1)).collect()
    }
}

fn labels(series: &Value) -> Labels {
    let mut labels: Labels = serde_json::from_value(series["metric"].clone()).unwrap();
    labels.remove("__name__");
    labels
}

fn point(pair: &Value) -> (i64, f64) {
    let stamp = (pair[0].as_f64().unwrap() * 1e3).round() as i64;
    (stamp, pair[1].as_str().unwrap().parse().unwrap())
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
