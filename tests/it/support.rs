//! What tests of the whole need: a collector on free ports, a client, and waiting on state with a bound.

use actix_web::http::header::CONTENT_TYPE;
use heapster::api::limits::Limits;
use heapster::clock::Clock;
use heapster::config::cli::{self, Typed};
use heapster::config::{Config, Environment};
use heapster::{sinks, sources, topology};
use serde_json::Value;
use std::time::Duration;

/// The longest that any state is waited for.
pub const BOUND: Duration = Duration::from_secs(90);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until `state` gives something.
pub async fn until<T>(what: &str, mut state: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = state().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(BOUND, wait).await.unwrap_or_else(|_| panic!("waited in vain for: {what}"))
}

/// The command line as `main` reads it.
pub fn typed(args: &[&str]) -> Typed {
    cli::parse(args.iter().map(|arg| (*arg).to_owned()), &sources::help(), &sinks::help()).unwrap()
}

/// What these flags come to, beside a free port, loopback and the shortest resolution.
pub fn resolved(args: &[&str]) -> Config {
    let mut typed = typed(args);
    typed.default_to("port", "0");
    typed.default_to("listen_ip", "127.0.0.1");
    typed.default_to("model_resolution", "5s");
    Config::resolve(&typed, &Environment::new(), &|path| std::fs::read_to_string(path)).unwrap()
}

/// A source that is not there: enough for what does not depend on a cluster.
pub const NOWHERE: &str = "--source=kubernetes.summary_api:http://127.0.0.1:1?inClusterConfig=false";

/// A collector within this test, on a port of its own.
pub struct Collector {
    pub running: topology::Running,
    pub base: String,
}

impl Collector {
    /// Starts one with these flags beside a free port, loopback and the shortest resolution.
    pub async fn start(args: &[&str]) -> Self {
        Self::start_with(args, Limits::default()).await
    }

    /// Starts one with these flags that holds its clients to these limits.
    pub async fn start_with(args: &[&str], limits: Limits) -> Self {
        let config = resolved(args);
        let sources = sources::build(&config.sources).unwrap();
        let sinks = sinks::build(&config.sinks, &config.labels).unwrap();
        let running = {
            let past = config.historical_source.as_ref().map(|uri| sinks::asked::build(uri).unwrap());
            topology::start_with(&config, sources, sinks, past, Clock::system(), limits).await
        }
        .unwrap();
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}", running.address);
        Self { running, base }
    }

    /// Why one with these flags does not start.
    pub async fn refused(args: &[&str]) -> String {
        let config = resolved(args);
        let sources = sources::build(&config.sources).unwrap();
        let sinks = sinks::build(&config.sinks, &config.labels).unwrap();
        topology::start(&config, sources, sinks, None, Clock::system()).await.err().unwrap().to_string()
    }

    /// Asks for a path, whatever comes.
    pub async fn get(&self, path: &str) -> Reply {
        get(&format!("{}{path}", self.base)).await
    }

    /// Asks the model for a path and gives its JSON.
    pub async fn model(&self, path: &str) -> Value {
        let reply = self.get(&format!("/api/v1/model/{path}")).await;
        assert_eq!((reply.status, reply.kind.as_str()), (200, "application/json"), "{path}: {}", reply.body);
        serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{path}: {error}: {}", reply.body))
    }

    /// A list of the model.
    pub async fn list(&self, path: &str) -> Vec<String> {
        serde_json::from_value(self.model(path).await).unwrap()
    }

    /// A series of the model: stamp, value, floatValue.
    pub async fn series(&self, path: &str) -> Vec<(String, u64, Option<f64>)> {
        let answer = self.model(path).await;
        let points = answer["metrics"].as_array().unwrap().iter();
        let points: Vec<_> = points
            .map(|point| {
                let stamp = point["timestamp"].as_str().unwrap().to_owned();
                (
                    stamp,
                    point["value"].as_u64().unwrap(),
                    point.get("floatValue").map(|v| v.as_f64().unwrap()),
                )
            })
            .collect();
        let latest = points.last().map_or("0001-01-01T00:00:00Z", |(stamp, _, _)| stamp.as_str());
        assert_eq!(answer["latestTimestamp"], latest, "{path}");
        points
    }

    /// The sum of a family's members in `/metrics` whose line holds every one of `parts`.
    pub async fn counted(&self, parts: &[&str]) -> f64 {
        let text = self.get("/metrics").await.body;
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub kind: String,
    pub body: String,
}

/// Asks a URL.
pub async fn get(url: &str) -> Reply {
    let client = awc::Client::builder().timeout(Duration::from_secs(10)).finish();
    let mut reply = client.get(url).send().await.unwrap_or_else(|error| panic!("{url}: {error}"));
    let kind =
        reply.headers().get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default();
    let body = reply.body().limit(64 << 20).await.unwrap();
    Reply { status: reply.status().as_u16(), kind, body: String::from_utf8(body.to_vec()).unwrap() }
}
