//! One cluster from start to end: the simulator's process, the collector's process, rounds without questions, rounds with
//! them. The table is left to `main`.

use crate::churn;
use crate::options::{Options, Size};
use crate::process::{Process, Used};
use crate::queries::{self, Asked};
use awc::Client;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// How long the collector is waited for until every node has answered in a round.
const WARM: Duration = Duration::from_secs(240);
/// Where in a round the figures are taken: every turn is over, and no next one has begun.
const QUIET: f64 = 0.9;

/// What came of some rounds.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    pub count: u32,
    /// Rounds in which every node answered in time, and nothing else counted.
    pub complete: u32,
    /// Turns by what came of them.
    pub outcomes: Vec<(String, f64)>,
    /// Seconds of CPU a round: the collector's and the simulator's.
    pub cpu: f64,
    pub simulator_cpu: f64,
    /// Bytes that kubelets sent, a round.
    pub received: f64,
}

/// What came of one cluster.
#[derive(Clone, Debug)]
pub struct Measured {
    pub size: Size,
    pub body: f64,
    /// Seconds until the first round in which every node answered.
    pub warm: f64,
    pub quiet: Rounds,
    pub asked: Rounds,
    pub used: Used,
    pub answers: Asked,
    pub points: f64,
    pub history: f64,
    pub rounds_held: f64,
    /// Seconds that the aggregator's thread was held for longest, and the end of the bucket beyond which nothing was.
    pub longest: Option<f64>,
    pub handled: Vec<(String, f64)>,
}

/// `/metrics` at a moment.
pub struct Metrics(String);

impl Metrics {
    async fn of(client: &Client, base: &str) -> Result<Self, String> {
        let mut reply =
            client.get(format!("{base}/metrics")).send().await.map_err(|error| error.to_string())?;
        let body = reply.body().limit(16 << 20).await.map_err(|error| error.to_string())?;
        Ok(Self(String::from_utf8_lossy(&body).into_owned()))
    }

    /// The members of a family, by their labels as they are written.
    fn family(&self, name: &str) -> Vec<(String, f64)> {
        let lines = self.0.lines().filter_map(|line| line.strip_prefix("heapster_")?.strip_prefix(name));
        let members = lines.filter_map(|rest| {
            let (labels, value) = rest.rsplit_once(' ')?;
            (labels.is_empty() || labels.starts_with('{')).then_some((labels.to_owned(), value.parse().ok()?))
        });
        members.collect()
    }

    pub fn sum(&self, name: &str) -> f64 {
        self.family(name).iter().map(|(_, value)| value).sum()
    }

    /// Nodes that are left to other shards.
    fn of_others(&self) -> f64 {
        let others =
            self.family("nodes").into_iter().filter(|(labels, _)| labels.contains("\"of_other_shards\""));
        others.map(|(_, n)| n).sum()
    }

    fn answered(&self) -> f64 {
        self.family("scrapes_total")
            .iter()
            .filter(|(labels, _)| labels.contains("\"ok\""))
            .map(|(_, n)| n)
            .sum()
    }
}

/// Bytes as they are told.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Runs one cluster. None where what came of it is told already.
///
/// # Errors
/// What did not work.
pub async fn run(options: &Options, size: &Size) -> Result<Option<Measured>, String> {
    let mut play = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
    play.arg("--simulate").args(size.arguments());
    let mut simulator = Process::start(play, false);
    let source = simulator.said(|line| line.starts_with("kubernetes").then(|| line.to_owned()))?;
    let mut collect = Command::new(env!("CARGO_BIN_EXE_heapster"));
    collect.arg(format!("--source={source}"));
    collect.arg(format!("--model_resolution={}s", options.resolution.as_secs()));
    if options.churn.is_some() {
        collect.arg(format!("--retention={}s", options.retention().as_secs()));
    }
    collect.args(["--port=0", "--listen_ip=127.0.0.1", "--log_level=info"]).args(&options.flags);
    let collector = Process::start(collect, true);
    simulator.tell(&format!("collector {}", collector.id()));
    let began = Instant::now();
    let base =
        collector.said(|line| Some(format!("http://{}", line.split_once("listening on ")?.1.trim())))?;
    let measuring =
        Measuring { options, size, collector: &collector, base: &base, client: Client::default() };
    let measured = match options.churn {
        Some(churn) => {
            measuring.warm(began).await?;
            churn::run(&measuring, &mut simulator, churn).await.map(|()| None)
        }
        None => measuring.all(&simulator, began).await.map(Some),
    };
    for line in collector.rest().iter().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")) {
        eprintln!("{line}");
    }
    measured
}

pub struct Measuring<'a> {
    options: &'a Options,
    size: &'a Size,
    collector: &'a Process,
    base: &'a str,
    client: Client,
}

impl Measuring<'_> {
    pub async fn metrics(&self) -> Result<Metrics, String> {
        Metrics::of(&self.client, self.base).await
    }

    /// The length of a round.
    pub fn resolution(&self) -> Duration {
        self.options.resolution
    }

    /// How long the collector keeps points while pods come and go.
    pub fn retention(&self) -> Duration {
        self.options.retention()
    }

    /// The collector.
    pub fn collector(&self) -> &Process {
        self.collector
    }

    /// Waits until every node has answered. After how many seconds that was.
    async fn warm(&self, began: Instant) -> Result<f64, String> {
        let nodes = f64::from(self.size.nodes);
        loop {
            let metrics = self.metrics().await?;
            if metrics.answered() >= (nodes - metrics.of_others()).max(1.0) {
                break;
            }
            if began.elapsed() > WARM {
                return Err(format!("not every node answered within {} s", WARM.as_secs()));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(began.elapsed().as_secs_f64())
    }

    async fn all(&self, simulator: &Process, began: Instant) -> Result<Measured, String> {
        let nodes = f64::from(self.size.nodes);
        let warm = self.warm(began).await?;
        // The first whole round sets up connections and columns.
        self.end_of_round().await;
        self.end_of_round().await;
        let quiet = self.rounds(simulator, self.options.rounds).await?;
        let used = self.collector.used();
        let during = self.options.resolution * self.options.query_rounds;
        let (asked, answers) = match self.options.query_rounds {
            0 => (Rounds::default(), Asked::default()),
            count => {
                let ask = queries::ask(self.base, self.size, self.options.queries, during.mul_f64(0.98));
                let (rounds, answers) = tokio::join!(self.rounds(simulator, count), ask);
                (rounds?, answers)
            }
        };
        let metrics = self.metrics().await?;
        let longest =
            metrics.family("aggregator_longest_handling_seconds").iter().map(|(_, n)| *n).reduce(f64::max);
        Ok(Measured {
            size: self.size.clone(),
            body: metrics.sum("scrape_body_bytes_total") / metrics.answered(),
            warm,
            quiet,
            asked,
            used: Used { most: self.collector.used().most, ..used },
            answers,
            points: metrics.sum("points"),
            history: metrics.sum("history_bytes"),
            rounds_held: metrics.sum("blocks") / (nodes + 1.0),
            longest,
            handled: metrics.family("aggregator_longest_handling_seconds"),
        })
    }

    /// Waits for the quiet part of the round.
    async fn end_of_round(&self) {
        let resolution = self.options.resolution.as_secs_f64();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let into = now % resolution / resolution;
        let left = if into < QUIET - 0.02 { QUIET - into } else { 1.0 + QUIET - into };
        tokio::time::sleep(Duration::from_secs_f64(left * resolution)).await;
    }

    async fn rounds(&self, simulator: &Process, count: u32) -> Result<Rounds, String> {
        let (collector, played) = (self.collector.used(), simulator.used());
        let first = self.metrics().await?;
        let (mut complete, mut before) = (0, first.answered());
        let mut last = Metrics(first.0.clone());
        for _ in 0..count {
            self.end_of_round().await;
            last = self.metrics().await?;
            let answered = last.answered() - before;
            let (carried, missing) = (last.sum("window_nodes_carried"), last.sum("window_nodes_missing"));
            before = last.answered();
            let own = f64::from(self.size.nodes) - last.of_others();
            complete += u32::from(answered == own && carried + missing == 0.0);
        }
        let each = f64::from(count);
        let earlier = first.family("scrapes_total");
        let known = |labels: &str| earlier.iter().find(|(other, _)| other == labels).map_or(0.0, |(_, n)| *n);
        let outcomes = last.family("scrapes_total").into_iter().map(|(labels, n)| {
            let n = n - known(&labels);
            (labels, n)
        });
        let bytes = last.sum("scrape_body_bytes_total") - first.sum("scrape_body_bytes_total");
        Ok(Rounds {
            count,
            complete,
            outcomes: outcomes.filter(|(_, n)| *n > 0.0).collect(),
            cpu: (self.collector.used().cpu - collector.cpu) / each,
            simulator_cpu: (simulator.used().cpu - played.cpu) / each,
            received: bytes / each,
        })
    }
}
